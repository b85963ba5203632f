//! A session's state, in two halves that different threads or CPUs own: [`Receive`] and
//! [`Transmit`]. What crosses is one flag, [`SendSeq`].
//!
//! | message | condition | effect |
//! |---|---|---|
//! | with Ns | LAC and not sending numbers | start sending numbers: the LNS asks for it |
//! | without | RECVSEQ | drop: `rx_seq_missing` |
//! | without | LAC and sending numbers | stop sending numbers, deliver |
//! | without | LNS and sending numbers | drop: `rx_seq_missing` |
//! | with Ns | (Ns − nr) mod 2^16 ≥ 32767 | drop: `rx_seq_window` |
//! | with Ns | the first ever | it defines nr: what came before may have been lost |
//! | with Ns, reordering | Ns = nr | deliver, then what was held behind it |
//! | with Ns, reordering | held already | drop: `rx_seq_duplicate` |
//! | with Ns, reordering | other | hold in order; skip the gap when the queue is full or the head's time is up |
//! | with Ns, no reordering | Ns = nr | deliver |
//! | with Ns, no reordering | sixth of a run of consecutive numbers that are not nr | re-synchronise: deliver |
//! | with Ns, no reordering | other | drop: `rx_seq_unexpected` |
//! | without | messages held | hold behind them |
//! | without | none held | deliver |

use core::sync::atomic::{AtomicBool, Ordering};

use super::debug::{DebugMask, Message as Debug};
use super::header::{self, Sequence};
use super::reorder::{Inserted, Reorder};
use super::stats::{Count, Rx};

/// The receive window (RFC 2661 §5.4: numbers in the preceding half are old).
const WINDOW: u16 = 32767;
/// More consecutive numbers than this, none of them nr, re-synchronise a session without reordering.
const RESYNC: u8 = 4;

/// Whether sequence numbers are sent: SENDSEQ, switched by the LNS through the receive half.
#[derive(Debug, Default)]
pub struct SendSeq(AtomicBool);

impl SendSeq {
    /// A flag with its first value.
    pub const fn new(on: bool) -> Self {
        Self(AtomicBool::new(on))
    }

    /// The flag. It guards no other data, so its accesses are relaxed.
    #[inline]
    pub fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Sets the flag.
    #[inline]
    pub fn set(&self, on: bool) {
        self.0.store(on, Ordering::Relaxed);
    }
}

/// Where the receive rules count and say what they do.
pub trait Sink: Count<Rx> {
    /// The session's debug mask.
    fn mask(&self) -> DebugMask;
    /// Emits a message; called only if the mask has [`DebugMask::SEQ`].
    fn debug(&self, message: Debug);
}

/// What to do with a message. After [`Deliver`](Self::Deliver) and [`Hold`](Self::Hold), call
/// [`Receive::release`] until it returns `None`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Pass it on now. It has been counted.
    Deliver,
    /// Keep it in this slot until it is released.
    Hold(u8),
    /// Drop it. It has been counted.
    Discard,
}

/// The receive half.
#[derive(Clone, Debug, Default)]
pub struct Receive {
    nr: u16,
    /// The next sequenced message defines nr (with reordering).
    started: bool,
    /// The last number that was not nr (without reordering).
    nr_oos: Option<u16>,
    nr_oos_count: u8,
    /// RECVSEQ: drop messages without numbers.
    pub recv_seq: bool,
    /// LNSMODE: act as LNS, which decides whether numbers are used.
    pub lns_mode: bool,
    /// REORDERTO in microseconds; 0: do not reorder.
    pub reorder_timeout: u64,
}

impl Receive {
    /// The number expected next.
    pub fn nr(&self) -> u16 {
        self.nr
    }

    /// What the S bit alone decides: whether the message may go on, and whether we send numbers.
    /// `false`: drop it; it has been counted. Comes before the rest of the header is looked at.
    #[inline]
    pub fn admit(&mut self, sequence: Option<Sequence>, send_seq: &SendSeq, sink: &impl Sink) -> bool {
        match (sequence.is_some(), send_seq.get()) {
            (true, false) if !self.lns_mode => {
                self.debug(sink, Debug::LnsRequests { sequence: true });
                send_seq.set(true);
            }
            (false, sends) if self.recv_seq || (sends && self.lns_mode) => {
                self.discard(None, Rx::SeqMissing, sink);
                return false;
            }
            (false, true) => {
                self.debug(sink, Debug::LnsRequests { sequence: false });
                send_seq.set(false);
            }
            _ => {}
        }
        true
    }

    /// Where a message that was [admitted](Self::admit) stands in the order: one of `len` bytes, L2TP
    /// header included.
    ///
    /// `queue` is there whenever [`reorder_timeout`](Self::reorder_timeout) is not 0 or messages
    /// are still held; without it, nothing is held.
    #[inline]
    pub fn order(
        &mut self,
        sequence: Option<Sequence>,
        len: usize,
        now: u64,
        queue: Option<&mut Reorder>,
        sink: &impl Sink,
    ) -> Verdict {
        let queue = queue.filter(|queue| self.reorder_timeout != 0 || !queue.is_empty());
        let Some(Sequence { ns, .. }) = sequence else {
            return match queue {
                Some(queue) if !queue.is_empty() => self.hold(None, len, now, queue, sink),
                _ => deliver(len, sink),
            };
        };
        self.debug(sink, Debug::Received { ns, nr: self.nr });
        if ns.wrapping_sub(self.nr) >= WINDOW {
            return self.discard(Some(ns), Rx::SeqWindow, sink);
        }
        match queue {
            Some(queue) => self.reorder(ns, len, now, queue, sink),
            None => self.in_order(ns, len, sink),
        }
    }

    /// [`admit`](Self::admit), then [`order`](Self::order).
    #[inline]
    pub fn accept(
        &mut self,
        sequence: Option<Sequence>,
        len: usize,
        now: u64,
        queue: Option<&mut Reorder>,
        send_seq: &SendSeq,
        sink: &impl Sink,
    ) -> Verdict {
        if self.admit(sequence, send_seq, sink) {
            self.order(sequence, len, now, queue, sink)
        } else {
            Verdict::Discard
        }
    }

    /// The next message to take out of its slot and deliver, if one is due at `now`. It has been
    /// counted.
    #[inline]
    pub fn release(&mut self, now: u64, queue: &mut Reorder, sink: &impl Sink) -> Option<u8> {
        if let Some(ns) = queue.head()? {
            if ns != self.nr {
                let due = queue.deadline().is_some_and(|deadline| now >= deadline);
                if !due && !queue.full() && self.reorder_timeout != 0 {
                    return None;
                }
                self.debug(sink, Debug::Skipped { nr: self.nr, ns });
                sink.add(Rx::ReorderGaps, 1);
            }
            self.nr = ns.wrapping_add(1);
        }
        let (slot, len) = queue.pop()?;
        deliver(len, sink);
        Some(slot)
    }

    fn reorder(&mut self, ns: u16, len: usize, now: u64, queue: &mut Reorder, sink: &impl Sink) -> Verdict {
        if !self.started {
            self.started = true;
            self.nr = ns;
        }
        if ns != self.nr {
            return self.hold(Some(ns), len, now, queue, sink);
        }
        if !queue.is_empty() {
            self.debug(sink, Debug::Inserted { ns });
            sink.add(Rx::OosPackets, 1);
        }
        self.nr = ns.wrapping_add(1);
        deliver(len, sink)
    }

    fn hold(
        &mut self,
        ns: Option<u16>,
        len: usize,
        now: u64,
        queue: &mut Reorder,
        sink: &impl Sink,
    ) -> Verdict {
        let slot = match queue.insert(ns, self.nr, len, now + self.reorder_timeout) {
            Inserted::Duplicate => return self.discard(ns, Rx::SeqDuplicate, sink),
            Inserted::Last(slot) => slot,
            Inserted::Before(slot) => {
                if let Some(ns) = ns {
                    self.debug(sink, Debug::Inserted { ns });
                }
                sink.add(Rx::OosPackets, 1);
                slot
            }
        };
        if let Some(ns) = ns {
            self.debug(sink, Debug::Holding { ns, nr: self.nr, held: queue.len() });
        }
        Verdict::Hold(slot)
    }

    fn in_order(&mut self, ns: u16, len: usize, sink: &impl Sink) -> Verdict {
        if ns != self.nr && self.started {
            let consecutive = self.nr_oos.is_some_and(|last| last.wrapping_add(1) == ns);
            self.nr_oos_count = if consecutive { self.nr_oos_count.saturating_add(1) } else { 0 };
            self.nr_oos = Some(ns);
            if self.nr_oos_count <= RESYNC {
                return self.discard(Some(ns), Rx::SeqUnexpected, sink);
            }
            self.debug(sink, Debug::Skipped { nr: self.nr, ns });
        }
        self.started = true;
        self.nr = ns.wrapping_add(1);
        deliver(len, sink)
    }

    #[cold]
    fn discard(&self, ns: Option<u16>, reason: Rx, sink: &impl Sink) -> Verdict {
        self.debug(sink, Debug::Discarded { ns, nr: self.nr, reason: reason.name() });
        if reason != Rx::SeqWindow {
            sink.add(Rx::SeqDiscards, 1);
        }
        discard(reason, sink);
        Verdict::Discard
    }

    #[inline]
    fn debug(&self, sink: &impl Sink, message: Debug) {
        if sink.mask().has(DebugMask::SEQ) {
            sink.debug(message);
        }
    }
}

/// Counts a message that is dropped for `reason`, before or after it was delivered.
#[cold]
pub fn discard(reason: Rx, count: &impl Count<Rx>) {
    count.add(reason, 1);
    count.add(Rx::Errors, 1);
}

#[inline]
fn deliver(len: usize, count: &impl Count<Rx>) -> Verdict {
    count.add(Rx::Packets, 1);
    count.add(Rx::Bytes, len as u64);
    Verdict::Deliver
}

/// The transmit half.
#[derive(Clone, Debug)]
pub struct Transmit {
    /// The peer's tunnel id; 0 while not known.
    pub tunnel_id: u16,
    session_id: u16,
    ns: u16,
}

impl Transmit {
    /// A half that sends to these ids of the peer's, from Ns 0.
    pub const fn new(peer_tunnel_id: u16, peer_session_id: u16) -> Self {
        Self { tunnel_id: peer_tunnel_id, session_id: peer_session_id, ns: 0 }
    }

    /// The number of the next sequenced message.
    pub fn ns(&self) -> u16 {
        self.ns
    }

    /// Writes what stands in front of the next frame's protocol field and takes the next Ns if
    /// numbers are sent. Returns how many bytes are used: 8 or 12.
    #[inline]
    pub fn header(&mut self, send_seq: bool, out: &mut [u8; header::MAX]) -> usize {
        let ns = send_seq.then(|| {
            let ns = self.ns;
            self.ns = ns.wrapping_add(1);
            ns
        });
        header::write(self.tunnel_id, self.session_id, ns, out)
    }
}
