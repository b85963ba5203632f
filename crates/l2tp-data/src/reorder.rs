//! The queue of a session that puts messages back in order: decisions only. The caller keeps the
//! messages themselves in as many slots as [`FRAMES`] says, and the clock.
//!
//! ```text
//!  nr = 7 expected           head                              tail
//!                    gap │ ns 9 │ ns 10 │ no ns │ ns 13 │ …
//!                          └ deadline: when it passes, 7 and 8 are given up
//! ```
//!
//! The head is always a sequenced message with a gap in front of it: whatever can be delivered is
//! released before the caller turns to the next datagram.

/// How many messages a session holds at most. Reaching it skips the gap.
pub const FRAMES: usize = 64;
/// How many bytes a session holds at most; going beyond skips the gap.
pub const BYTES: usize = 256 * 1024;

/// One message that is held.
#[derive(Clone, Copy, Debug)]
struct Entry {
    deadline: u64,
    len: u32,
    ns: Option<u16>,
    slot: u8,
}

/// The messages held, in order of delivery.
#[derive(Clone, Debug)]
pub struct Reorder {
    entries: [Entry; FRAMES],
    count: usize,
    bytes: usize,
    /// A bit per slot in use.
    used: u64,
}

/// What became of a message given to [`Reorder::insert`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Inserted {
    /// In this slot, behind all others.
    Last(u8),
    /// In this slot, in front of some.
    Before(u8),
    /// A message with this number is held already.
    Duplicate,
}

impl Default for Reorder {
    fn default() -> Self {
        Self::new()
    }
}

impl Reorder {
    /// An empty queue.
    pub const fn new() -> Self {
        let entry = Entry { deadline: 0, len: 0, ns: None, slot: 0 };
        Self { entries: [entry; FRAMES], count: 0, bytes: 0, used: 0 }
    }

    /// How many messages are held.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// When the head gives up waiting, in the caller's microseconds.
    pub fn deadline(&self) -> Option<u64> {
        self.entries[..self.count].first().map(|head| head.deadline)
    }

    /// Whether the bound is reached.
    pub(super) fn full(&self) -> bool {
        self.count == FRAMES || self.bytes > BYTES
    }

    /// Number, or `None` for an unsequenced message, of the head.
    pub(super) fn head(&self) -> Option<Option<u16>> {
        self.entries[..self.count].first().map(|head| head.ns)
    }

    /// Puts a message where it belongs: sequenced ones by serial distance from `nr`, others last.
    /// There is room, because a full queue is drained before the next message.
    pub(super) fn insert(&mut self, ns: Option<u16>, nr: u16, len: usize, deadline: u64) -> Inserted {
        debug_assert!(self.count < FRAMES);
        let at = match ns {
            None => self.count,
            Some(ns) => {
                let distance = ns.wrapping_sub(nr);
                let held = &self.entries[..self.count];
                if held.iter().any(|entry| entry.ns == Some(ns)) {
                    return Inserted::Duplicate;
                }
                held.iter()
                    .position(|entry| entry.ns.is_some_and(|held| held.wrapping_sub(nr) > distance))
                    .unwrap_or(self.count)
            }
        };
        let slot = self.used.trailing_ones() as u8;
        self.used |= 1 << slot;
        self.entries.copy_within(at..self.count, at + 1);
        self.entries[at] = Entry { deadline, len: len as u32, ns, slot };
        self.count += 1;
        self.bytes += len;
        if at + 1 == self.count { Inserted::Last(slot) } else { Inserted::Before(slot) }
    }

    /// Takes the head off. Its slot stays readable until the next insertion.
    pub(super) fn pop(&mut self) -> Option<(u8, usize)> {
        let head = *self.entries[..self.count].first()?;
        self.entries.copy_within(1..self.count, 0);
        self.count -= 1;
        self.bytes -= head.len as usize;
        self.used &= !(1 << head.slot);
        Some((head.slot, head.len as usize))
    }
}
