//! Reliable delivery of one tunnel's control messages (RFC 2661 §5.8 and Appendix A).
//!
//! ```text
//!  send ─► │ 7 │ 8 │ 9 │ 10 │ 11 │ 12 │   the queue; 7 is the oldest that the peer has not acked
//!           ──┬── ──┬── ───────┬──────
//!             │     │          └ waits for the window
//!             │     └ sent before a timeout: presumed lost, goes again before anything new
//!             └ in flight, at most the window: slow start's, never more than the peer's
//!
//!  peer's Nr = 8 ─► 7 leaves the queue, the window grows
//!
//!  our Nr = 4 ─► │ gap │ 5 │ 6 │ gap │ 8 │   received ahead, stored until the gap is filled
//! ```
//!
//! | row | event | condition | effect |
//! |---|---|---|---|
//! | | **Nr of any message, ZLB or not** | | |
//! | N1 | | Nr is the oldest unacked | no news |
//! | N2 | | Nr acks messages that were sent | they leave the queue, the window grows, timer and budget start anew |
//! | N3 | | Nr is older | ignored: [`Ack::Stale`] |
//! | N4 | | Nr acks what was never sent | ignored: [`Ack::Unsent`]; the message itself counts |
//! | | **Ns** | | |
//! | R1 | | ZLB | Ns means nothing; never acked |
//! | R2 | | Ns is our Nr | deliver, ack within the ack delay |
//! | R3 | | and it is the second unacked, or the peer may have no third outstanding | ack at once |
//! | R4 | | and others are stored behind a gap | deliver, then those that follow now; ack at once |
//! | R5 | | ahead, inside our window | store |
//! | R6 | | stored already | drop: [`Arrival::Duplicate`], ack at once |
//! | R7 | | ahead, inside our window, no room | drop: [`Arrival::NoRoom`] |
//! | R8 | | ahead of our window | drop: [`Arrival::OutOfWindow`] |
//! | R9 | | one of the 32768 numbers before our Nr | drop: [`Arrival::Duplicate`], ack at once |
//! | | **transmission** | | |
//! | T1 | | a message fits the window | it goes with the current Nr, which pays the ack |
//! | T2 | | else, an ack is due | ZLB with the Ns of the next new message |
//! | T3 | | else | nothing |
//! | | **time** | | |
//! | E1 | | no timer due | nothing |
//! | E2 | | the oldest was not acked in time | window 1, half of it the threshold; from the oldest on again, interval doubled up to the cap |
//! | E3 | | that often that the budget is spent | [`GiveUp`]; the timer stops |
//! | E4 | [`Reliable::retry`] | | new budget, the oldest goes again |
//! | E5 | [`Reliable::abandon`] | | nothing is sent again; acking goes on |
//!
//! How the RFC is read where it leaves room:
//!
//! - *Timer.* One, for the front of the queue (§5.8: "the message at the front of the queue … is
//!   retransmitted"). What was sent behind it is presumed lost with it and goes again as acks reopen
//!   the window: a peer that discards what comes out of order gets all of it without another
//!   timeout, from one that keeps it the first ack takes everything off the queue.
//! - *Budget.* Only an Nr that acks something is an answer. A peer that talks but never takes our
//!   message is given up like a silent one.
//! - *Window growth.* Every message whose Nr acks something new is one ack, however many it acks.
//!   A second timeout in a row is the same congestion and does not halve the threshold again.
//! - *Ack delay.* 50 ms by default: long enough to ride on the answer, far below the peer's timer of
//!   1 s. Every second message is acked at once, so that the peer's window grows as it should; every
//!   one while the peer may have no more than two outstanding. That is so if its own receive window
//!   is that small (who can take one message at a time sends one at a time), and in its slow start,
//!   where it may send one more than the acks that it has had from us since its last retransmission.
//!   So a peer that cannot go on without an ack gets it at once.
//! - *Receive window.* A peer that ignores the Receive Window Size AVP assumes 4 (§4.4.3), so that
//!   much is taken whatever we advertised.

mod counters;
mod stored;
mod window;

#[cfg(test)]
mod tests;

use core::fmt;
use core::time::Duration;
use std::collections::VecDeque;

use super::Instant;

pub use counters::Counters;
use stored::{Refused, Stored};
use window::Window;

/// The window of a peer that has not said otherwise (RFC 2661 §4.4.3).
pub const DEFAULT_WINDOW: u16 = 4;
/// The largest window: half of the numbers (RFC 2661 §5.8).
pub const MAX_WINDOW: u16 = 32_768;

/// How long things take. One for many tunnels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub struct Timing {
    /// The wait before the first retransmission; each further wait is twice as long.
    pub retransmit: Duration,
    /// The longest wait. RFC 2661 §5.8 wants no less than 8 s.
    pub cap: Duration,
    /// How often a message is sent again before the peer is given up.
    pub retransmissions: u8,
    /// How long an ack waits for a message to ride on; less than the peer's `retransmit`.
    pub ack_delay: Duration,
}

impl Timing {
    /// The recommendations of RFC 2661 §5.8, and 50 ms for acks.
    pub const DEFAULT: Self = Self {
        retransmit: Duration::from_secs(1),
        cap: Duration::from_secs(8),
        retransmissions: 5,
        ack_delay: Duration::from_millis(50),
    };

    /// The wait after the transmission that so many others went before.
    fn interval(&self, retransmissions: u8) -> Duration {
        let doubled = 1u32.checked_shl(retransmissions.into()).unwrap_or(u32::MAX);
        self.retransmit.saturating_mul(doubled).min(self.cap)
    }

    /// A full retransmission cycle, from the first transmission to giving up: 31 s by default. An
    /// ended tunnel goes on acking for so long (RFC 2661 §5.8).
    pub fn cycle(&self) -> Duration {
        (0..=self.retransmissions).fold(Duration::ZERO, |sum, n| sum.saturating_add(self.interval(n)))
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What a received message was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Receipt {
    /// Where it stands in the order.
    pub arrival: Arrival,
    /// What its Nr said.
    pub ack: Ack,
}

/// Where a received message stands in the order of messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrival {
    /// A ZLB: nothing beyond its Nr.
    Zlb,
    /// The next one: process it, then what [`Reliable::take_stored`] returns until that is `None`.
    Deliver,
    /// Ahead of a gap: stored.
    Stored,
    /// Seen before: drop it.
    Duplicate,
    /// Ahead of a gap, and too much is stored: drop it, the peer will send it again.
    NoRoom,
    /// So far ahead that the peer disregards our window: drop it.
    OutOfWindow,
}

/// What the Nr of a received message said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ack {
    /// Nothing new.
    Nothing,
    /// So many more messages have reached the peer.
    New(u16),
    /// Less than an earlier Nr: overtaken on the way. Ignored.
    Stale,
    /// More than was ever sent. Ignored.
    Unsent,
}

/// A message to be sent now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transmit<'a> {
    /// Goes into the header.
    pub ns: u16,
    /// Goes into the header.
    pub nr: u16,
    /// What was queued, or `None`: a ZLB.
    pub message: Option<&'a [u8]>,
}

/// What [`Reliable::next_timeout`] is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Timer {
    /// The oldest message was not acked.
    Retransmission,
    /// An ack found no message to ride on.
    Ack,
}

/// The peer took no message in a full retransmission cycle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GiveUp {
    /// How often the timer waited for an ack of it.
    pub transmissions: u16,
}

impl fmt::Display for GiveUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the peer did not acknowledge a message in {} transmissions", self.transmissions)
    }
}

impl core::error::Error for GiveUp {}

/// No timer runs.
const NEVER: Instant = Instant::from_micros(u64::MAX);

/// Both directions of one tunnel's control messages.
///
/// After each call that takes `&mut self`, drain [`poll_transmit`](Self::poll_transmit) and read
/// [`next_timeout`](Self::next_timeout). While nothing is queued or stored, nothing is allocated.
pub struct Reliable {
    /// From the oldest message that is not acked on; number `una` is at the front.
    queue: VecDeque<Box<[u8]>>,
    stored: Stored,
    /// When the front of the queue goes again.
    retransmit_at: Instant,
    /// When an ack that is owed goes by itself.
    ack_at: Instant,
    una: u16,
    nr: u16,
    /// How many of the queue were ever sent.
    sent: u16,
    /// How many of them are in flight; the next to be sent stands behind them.
    next: u16,
    window: Window,
    /// Our own window.
    our_window: u16,
    /// In-order messages since our last ack.
    unacked: u16,
    /// The peer's congestion window if it follows Appendix A.
    peer_cwnd: u16,
    /// How often the front of the queue has timed out.
    timeouts: u8,
    counters: Counters,
}

impl Reliable {
    /// A new tunnel's state. `window` is what our Receive Window Size AVP says; that of the peer is
    /// taken as [`DEFAULT_WINDOW`] until [`set_peer_window`](Self::set_peer_window).
    pub fn new(window: u16) -> Self {
        Self {
            queue: VecDeque::new(),
            stored: Stored::default(),
            retransmit_at: NEVER,
            ack_at: NEVER,
            una: 0,
            nr: 0,
            sent: 0,
            next: 0,
            window: Window::new(DEFAULT_WINDOW),
            our_window: window.clamp(DEFAULT_WINDOW, MAX_WINDOW),
            unacked: 0,
            peer_cwnd: 1,
            timeouts: 0,
            counters: Counters::default(),
        }
    }

    /// The peer's Receive Window Size AVP. 0, which is invalid, counts as 1.
    pub fn set_peer_window(&mut self, window: u16) {
        self.window.set_peer(window.clamp(1, MAX_WINDOW));
    }

    /// Queues a message: whatever the caller wants back from [`poll_transmit`](Self::poll_transmit)
    /// to put Ns and Nr into.
    pub fn send(&mut self, message: impl Into<Box<[u8]>>) {
        self.queue.push_back(message.into());
    }

    /// Takes back what was queued but never sent, so that a StopCCN need not wait for it.
    pub fn discard_unsent(&mut self) {
        self.queue.truncate(self.sent.into());
        self.tidy();
    }

    /// Gives up what the peer has not acked: it has ended the tunnel and will not. Its own messages go on
    /// being acked.
    pub fn abandon(&mut self) {
        self.una = self.ns();
        self.queue = VecDeque::new();
        (self.sent, self.next, self.retransmit_at) = (0, 0, NEVER);
    }

    /// A control message from the peer; `None` instead of its bytes: a ZLB. The bytes are copied only
    /// if they are stored.
    pub fn receive(
        &mut self,
        now: Instant,
        timing: &Timing,
        ns: u16,
        nr: u16,
        message: Option<&[u8]>,
    ) -> Receipt {
        let ack = self.acknowledge(now, timing, nr);
        let arrival = match message {
            Some(message) => self.order(now, timing, ns, message),
            None => Arrival::Zlb,
        };
        self.counters.count(arrival, ack);
        Receipt { arrival, ack }
    }

    /// The next stored message that has become deliverable.
    pub fn take_stored(&mut self) -> Option<Box<[u8]>> {
        self.stored.take()
    }

    /// The next message to send at `now`.
    pub fn poll_transmit(&mut self, now: Instant, timing: &Timing) -> Option<Transmit<'_>> {
        if usize::from(self.next) < self.queue.len() && self.next < self.window.size() {
            let at = self.next;
            self.next += 1;
            if at < self.sent {
                self.counters.retransmissions = self.counters.retransmissions.wrapping_add(1);
            }
            self.sent = self.sent.max(self.next);
            if at == 0 {
                self.retransmit_at = now + timing.interval(self.timeouts);
            }
            self.ack_sent();
            let ns = self.una.wrapping_add(at);
            return Some(Transmit { ns, nr: self.nr, message: self.queue.get(at.into()).map(|m| &**m) });
        }
        if !is_due(self.ack_at, now) {
            return None;
        }
        self.ack_sent();
        self.counters.zlbs = self.counters.zlbs.wrapping_add(1);
        Some(Transmit { ns: self.una.wrapping_add(self.sent), nr: self.nr, message: None })
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), and what for.
    pub fn next_timeout(&self) -> Option<(Instant, Timer)> {
        let next = if self.ack_at < self.retransmit_at {
            (self.ack_at, Timer::Ack)
        } else {
            (self.retransmit_at, Timer::Retransmission)
        };
        (next.0 != NEVER).then_some(next)
    }

    /// Time has passed.
    ///
    /// # Errors
    ///
    /// [`GiveUp`], once, when the budget of `timing` is spent. The tunnel is to be cleared (RFC 2661
    /// §5.8), unless the caller has reason to [`retry`](Self::retry). A late ack still counts.
    pub fn handle_timeout(&mut self, now: Instant, timing: &Timing) -> Result<(), GiveUp> {
        if !is_due(self.retransmit_at, now) {
            return Ok(());
        }
        self.retransmit_at = NEVER;
        if self.timeouts >= timing.retransmissions {
            return Err(GiveUp { transmissions: u16::from(self.timeouts) + 1 });
        }
        self.window.congested(self.timeouts == 0);
        self.timeouts += 1;
        self.next = 0;
        Ok(())
    }

    /// After [`GiveUp`]: a new budget for the oldest message, which goes again at once.
    pub fn retry(&mut self) {
        self.timeouts = 0;
        self.next = 0;
    }

    /// Whether the peer has everything that was queued.
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }

    /// The oldest message that the peer has not acked.
    pub fn oldest(&self) -> Option<&[u8]> {
        self.queue.front().map(|message| &**message)
    }

    /// How many messages the peer has not acked: sent, or waiting. Nothing here bounds it, so a
    /// caller that answers a peer which does not ack should.
    pub fn backlog(&self) -> usize {
        self.queue.len()
    }

    /// The Ns of the next new message.
    pub fn ns(&self) -> u16 {
        self.una.wrapping_add(self.sent)
    }

    /// The Ns that is expected from the peer.
    pub fn nr(&self) -> u16 {
        self.nr
    }

    /// How many messages may be outstanding now.
    pub fn window(&self) -> u16 {
        self.window.size()
    }

    /// What has happened so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    fn acknowledge(&mut self, now: Instant, timing: &Timing, nr: u16) -> Ack {
        let count = nr.wrapping_sub(self.una);
        if count == 0 {
            return Ack::Nothing;
        }
        if count > self.sent {
            return if is_before(nr, self.una) { Ack::Stale } else { Ack::Unsent };
        }
        self.queue.drain(..usize::from(count));
        self.tidy();
        self.una = nr;
        self.sent -= count;
        self.next = self.next.saturating_sub(count);
        self.timeouts = 0;
        self.window.acked();
        self.retransmit_at = if self.next > 0 { now + timing.interval(0) } else { NEVER };
        Ack::New(count)
    }

    fn order(&mut self, now: Instant, timing: &Timing, ns: u16, message: &[u8]) -> Arrival {
        let ahead = ns.wrapping_sub(self.nr);
        if ahead == 0 {
            debug_assert!(!self.stored.is_ready(), "take_stored comes before the next message");
            self.nr = self.nr.wrapping_add(1);
            let gap = !self.stored.is_empty();
            let nr = self.stored.advance(self.nr);
            self.unacked = self.unacked.saturating_add(1 + nr.wrapping_sub(self.nr));
            self.nr = nr;
            let outstanding = self.peer_cwnd.min(self.window.peer());
            let at_once = gap || self.unacked > 1 || outstanding <= 2;
            let latest = if at_once { now } else { now + timing.ack_delay };
            self.ack_at = self.ack_at.min(latest);
            Arrival::Deliver
        } else if is_before(ns, self.nr) {
            self.repeated(now)
        } else if ahead >= self.our_window {
            Arrival::OutOfWindow
        } else {
            match self.stored.insert(self.nr, ns, message) {
                Ok(()) => Arrival::Stored,
                Err(Refused::Duplicate) => self.repeated(now),
                Err(Refused::NoRoom) => Arrival::NoRoom,
            }
        }
    }

    /// The peer has sent something again: it waits for an ack, and with a window of 1.
    fn repeated(&mut self, now: Instant) -> Arrival {
        self.ack_at = self.ack_at.min(now);
        self.peer_cwnd = 1;
        Arrival::Duplicate
    }

    /// An Nr goes to the peer.
    fn ack_sent(&mut self) {
        if self.unacked > 0 {
            self.peer_cwnd = self.peer_cwnd.saturating_add(1).min(self.our_window);
        }
        self.unacked = 0;
        self.ack_at = NEVER;
    }

    /// An empty queue keeps no memory.
    fn tidy(&mut self) {
        if self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
    }
}

/// Numbers only: the messages may hold what should not be printed.
impl fmt::Debug for Reliable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reliable")
            .field("una", &self.una)
            .field("sent", &self.sent)
            .field("queued", &self.queue.len())
            .field("nr", &self.nr)
            .field("window", &self.window)
            .finish_non_exhaustive()
    }
}

/// Whether a timer has expired.
fn is_due(at: Instant, now: Instant) -> bool {
    at <= now && at != NEVER
}

/// Whether `number` is one of the 32768 before `other` (RFC 2661 §5.8).
const fn is_before(number: u16, other: u16) -> bool {
    (number.wrapping_sub(other) as i16) < 0
}
