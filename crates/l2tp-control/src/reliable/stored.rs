//! Messages that came before those that belong in front of them.
//!
//! ```text
//!  Nr = 7     │ 5 │ 6 │     │ 9 │ 10 │
//!               ready         waiting
//! ```

use std::collections::VecDeque;

/// How many bytes are stored at most, for the messages and for keeping them.
pub(super) const BYTES: usize = 32 * 1024;
/// What keeping a message costs beside its bytes.
pub(super) const OVERHEAD: usize = 64;

/// Why a message was not stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refused {
    Duplicate,
    NoRoom,
}

/// The messages, if there are any.
#[derive(Default)]
pub(super) struct Stored(Option<Box<Held>>);

#[derive(Default)]
struct Held {
    /// By number, those that are ready first.
    messages: VecDeque<(u16, Box<[u8]>)>,
    ready: usize,
    bytes: usize,
}

impl Stored {
    /// Whether nothing is stored.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether a message can be taken.
    pub(super) fn is_ready(&self) -> bool {
        self.0.as_ref().is_some_and(|held| held.ready > 0)
    }

    /// Stores message `ns`, which is ahead of `nr`.
    pub(super) fn insert(&mut self, nr: u16, ns: u16, message: &[u8]) -> Result<(), Refused> {
        let cost = message.len() + OVERHEAD;
        let held = self.0.get_or_insert_default();
        let distance = |ns: u16| ns.wrapping_sub(nr) as i16;
        let result = match held.messages.binary_search_by_key(&distance(ns), |&(ns, _)| distance(ns)) {
            Ok(_) => Err(Refused::Duplicate),
            Err(_) if held.bytes + cost > BYTES => Err(Refused::NoRoom),
            Err(at) => {
                held.messages.insert(at, (ns, message.into()));
                held.bytes += cost;
                Ok(())
            }
        };
        self.tidy();
        result
    }

    /// Message `nr` is expected now: makes those ready that follow without a gap, and returns what
    /// is expected after them.
    pub(super) fn advance(&mut self, mut nr: u16) -> u16 {
        let Some(held) = &mut self.0 else { return nr };
        while held.messages.get(held.ready).is_some_and(|&(ns, _)| ns == nr) {
            held.ready += 1;
            nr = nr.wrapping_add(1);
        }
        nr
    }

    /// The next message that is ready.
    pub(super) fn take(&mut self) -> Option<Box<[u8]>> {
        let held = self.0.as_mut().filter(|held| held.ready > 0)?;
        let (_, message) = held.messages.pop_front()?;
        held.ready -= 1;
        held.bytes -= message.len() + OVERHEAD;
        self.tidy();
        Some(message)
    }

    fn tidy(&mut self) {
        if self.0.as_ref().is_some_and(|held| held.messages.is_empty()) {
            self.0 = None;
        }
    }
}
