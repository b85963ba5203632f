//! Sequence numbers, reordering and counters of one session.

use std::collections::BTreeMap;

/// A session that holds so many messages gives up the gap in front of them.
pub const FRAMES_HELD: usize = 64;
/// A session that holds more bytes than this gives up the gap in front of them.
pub const BYTES_HELD: usize = 256 * 1024;

/// A session's options.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// RECVSEQ.
    pub recv_seq: bool,
    /// SENDSEQ.
    pub send_seq: bool,
    /// LNSMODE.
    pub lns_mode: bool,
    /// REORDERTO, in microseconds.
    pub reorder_timeout: u64,
}

#[derive(Clone, Debug)]
struct Held<T> {
    ns: Option<u16>,
    len: usize,
    expires: u64,
    item: T,
}

/// What one message led to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step<T> {
    /// What is delivered, in this order: the message itself, or held ones, or both.
    pub delivered: Vec<T>,
    /// Why the message itself was dropped: the name of the reason's counter.
    pub discarded: Option<&'static str>,
}

/// A session. `T` is whatever stands for a message's frame.
#[derive(Clone, Debug)]
pub struct Session<T> {
    options: Options,
    nr: u16,
    any_sequenced: bool,
    last_out_of_order: Option<u16>,
    in_a_row: u32,
    held: Vec<Held<T>>,
    counters: BTreeMap<&'static str, u64>,
}

/// `a` comes after `b`, in numbers that wrap.
fn after(a: u16, b: u16) -> bool {
    let ahead = (i32::from(a) - i32::from(b)).rem_euclid(65536);
    (1..32768).contains(&ahead)
}

impl<T> Session<T> {
    /// A new session.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            nr: 0,
            any_sequenced: false,
            last_out_of_order: None,
            in_a_row: 0,
            held: Vec::new(),
            counters: BTreeMap::new(),
        }
    }

    /// The options now; `send_seq` may have been switched by the LNS.
    pub fn options(&self) -> Options {
        self.options
    }

    /// Changes the options. Without reordering nothing stays held: what is delivered by that.
    pub fn set_options(&mut self, options: Options) -> Vec<T> {
        self.options = options;
        if options.reorder_timeout == 0 { self.drain(u64::MAX) } else { Vec::new() }
    }

    /// The number expected next.
    pub fn nr(&self) -> u16 {
        self.nr
    }

    /// How many messages are held.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// When the first held message gives up waiting.
    pub fn expiry(&self) -> Option<u64> {
        self.held.first().map(|head| head.expires)
    }

    /// One counter, by the name under which it is shown.
    pub fn count(&self, name: &str) -> u64 {
        self.counters.get(name).copied().unwrap_or(0)
    }

    /// The counters that are not zero.
    pub fn counters(&self) -> &BTreeMap<&'static str, u64> {
        &self.counters
    }

    fn add(&mut self, name: &'static str, n: u64) {
        *self.counters.entry(name).or_default() += n;
    }

    /// Counts a message that is dropped for `reason`.
    pub fn discard(&mut self, reason: &'static str) {
        self.add(reason, 1);
        self.add("rx_errors", 1);
    }

    fn discard_for_sequence(&mut self, reason: &'static str) {
        self.add("rx_seq_discards", 1);
        self.discard(reason);
    }

    /// A whole message: both halves below.
    pub fn arrive(&mut self, now: u64, ns: Option<u16>, len: usize, item: T) -> Step<T> {
        match self.admit(ns.is_some()) {
            Ok(()) => self.order(now, ns, len, item),
            Err(reason) => Step { delivered: Vec::new(), discarded: Some(reason) },
        }
    }

    /// The S bit: the LNS's wish, or a missing number.
    pub fn admit(&mut self, sequenced: bool) -> Result<(), &'static str> {
        let lac = !self.options.lns_mode;
        if sequenced {
            if lac && !self.options.send_seq {
                self.options.send_seq = true;
            }
            return Ok(());
        }
        if self.options.recv_seq {
            self.discard_for_sequence("rx_seq_missing");
            return Err("rx_seq_missing");
        }
        if lac && self.options.send_seq {
            self.options.send_seq = false;
            return Ok(());
        }
        if self.options.send_seq {
            self.discard_for_sequence("rx_seq_missing");
            return Err("rx_seq_missing");
        }
        Ok(())
    }

    /// Window, order, queue; then everything that can be delivered now.
    pub fn order(&mut self, now: u64, ns: Option<u16>, len: usize, item: T) -> Step<T> {
        let discarded = match ns {
            Some(ns) => self.queue(now, ns, len, item).err(),
            None => {
                self.append(now, None, len, item);
                None
            }
        };
        Step { delivered: self.drain(now), discarded }
    }

    /// The timer at [`expiry`](Self::expiry): what is delivered because its time is up at `now`.
    pub fn timer(&mut self, now: u64) -> Vec<T> {
        self.drain(now)
    }

    fn queue(&mut self, now: u64, ns: u16, len: usize, item: T) -> Result<(), &'static str> {
        let ahead = (i32::from(ns) - i32::from(self.nr)).rem_euclid(65536);
        if ahead >= 32767 {
            self.discard("rx_seq_window");
            return Err("rx_seq_window");
        }
        if self.options.reorder_timeout == 0 {
            if self.any_sequenced && ns != self.nr && !self.resynchronises(ns) {
                self.discard_for_sequence("rx_seq_unexpected");
                return Err("rx_seq_unexpected");
            }
            self.nr = ns;
            self.any_sequenced = true;
            self.append(now, Some(ns), len, item);
            return Ok(());
        }
        if !self.any_sequenced {
            self.any_sequenced = true;
            self.nr = ns;
        }
        if self.held.iter().any(|held| held.ns == Some(ns)) {
            self.discard_for_sequence("rx_seq_duplicate");
            return Err("rx_seq_duplicate");
        }
        match self.held.iter().position(|held| held.ns.is_some_and(|held| after(held, ns))) {
            Some(before) => {
                self.add("rx_oos_packets", 1);
                let expires = now + self.options.reorder_timeout;
                self.held.insert(before, Held { ns: Some(ns), len, expires, item });
            }
            None => self.append(now, Some(ns), len, item),
        }
        Ok(())
    }

    fn append(&mut self, now: u64, ns: Option<u16>, len: usize, item: T) {
        let expires = now + self.options.reorder_timeout;
        self.held.push(Held { ns, len, expires, item });
    }

    /// The sixth message of a run of consecutive numbers, none of them the one expected.
    fn resynchronises(&mut self, ns: u16) -> bool {
        let follows = self.last_out_of_order.is_some_and(|last| last.wrapping_add(1) == ns);
        self.in_a_row = if follows { self.in_a_row + 1 } else { 0 };
        self.last_out_of_order = Some(ns);
        self.in_a_row > 4
    }

    fn drain(&mut self, now: u64) -> Vec<T> {
        let mut delivered = Vec::new();
        while let Some(head) = self.held.first() {
            if let Some(ns) = head.ns {
                if ns != self.nr {
                    let bytes: usize = self.held.iter().map(|held| held.len).sum();
                    let full = self.held.len() >= FRAMES_HELD || bytes > BYTES_HELD;
                    let late = head.expires <= now;
                    let reordering = self.options.reorder_timeout != 0;
                    if reordering && !full && !late {
                        break;
                    }
                    self.add("reorder_gaps", 1);
                }
                self.nr = ns.wrapping_add(1);
            }
            let head = self.held.remove(0);
            self.add("rx_packets", 1);
            self.add("rx_bytes", head.len as u64);
            delivered.push(head.item);
        }
        delivered
    }
}
