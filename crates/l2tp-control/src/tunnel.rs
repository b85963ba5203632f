//! One tunnel: its control connection's state (RFC 2661 §7.2.1) and its sessions.
//!
//! ```text
//!   we open                               the peer opens
//!   idle ──SCCRQ──► wait-ctl-reply        idle ◄──SCCRQ── wait-ctl-conn ──SCCRP──►
//!          ◄─SCCRP─ ──SCCCN──► established                ◄──SCCCN── established
//!   any ──StopCCN──► closing ──acknowledged, or its time is over──► gone
//!   any ◄──StopCCN── closing ──a retransmission cycle later──► gone        (§5.7)
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use l2tp_data::id::{SessionId, TunnelId};

use super::Instant;
use super::call::Session;
use super::config::Policy;
use super::event::{Path, PeerInfo, Remote};
use super::ids::IdPool;
use super::reliable::{Reliable, Timing};
use super::timers::TimerId;
use super::wire::{Header, MessageType};

/// A control connection's state (RFC 2661 §7.2.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// We have sent an SCCRQ.
    WaitCtlReply,
    /// We have sent an SCCRP.
    WaitCtlConn,
    /// Calls can be made.
    Established,
    /// It has ended; what still comes is acknowledged.
    Closing,
}

impl State {
    /// Its name in the RFC.
    pub const fn name(self) -> &'static str {
        match self {
            Self::WaitCtlReply => "wait-ctl-reply",
            Self::WaitCtlConn => "wait-ctl-conn",
            Self::Established => "established",
            Self::Closing => "closing",
        }
    }
}

/// A tunnel.
#[derive(Debug)]
pub(crate) struct Tunnel {
    pub(crate) id: TunnelId,
    /// The id that the peer assigned; `None` until it did.
    pub(crate) peer: Option<TunnelId>,
    pub(crate) path: Path,
    pub(crate) policy: Arc<Policy>,
    pub(crate) state: State,
    /// The peer has closed it: nothing but its time ends it.
    pub(crate) lingers: bool,
    pub(crate) reliable: Reliable,
    pub(crate) timer: TimerId,
    /// It stands in the queue of those that may have something to send.
    pub(crate) ready: bool,
    pub(crate) opener: Opener,
    /// We opened it, and gave way to the peer, who did as well: answers to our SCCRQ can still come.
    pub(crate) gave_way: bool,
    pub(crate) sessions: BTreeMap<SessionId, Box<Session>>,
    /// Sessions by the id that the peer assigned.
    pub(crate) by_peer: BTreeMap<SessionId, SessionId>,
    pub(crate) session_ids: IdPool<SessionId>,
    /// The last Call Serial Number of ours.
    pub(crate) serial: u32,
    /// When set-up has to be done; when an empty tunnel is closed; when a closing one is gone.
    pub(crate) deadline: Option<Instant>,
    pub(crate) created: Instant,
    pub(crate) life: Life,
    /// The challenge that the peer has to answer.
    pub(crate) challenge: Option<[u8; 16]>,
    /// Whether it has proved that it knows the secret.
    pub(crate) authenticated: bool,
    /// What the peer said of itself, until the tunnel is up.
    pub(crate) info: Option<Box<PeerInfo>>,
}

/// Who opened a tunnel.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Opener {
    /// We did, with this tie breaker.
    Us(Option<u64>),
    /// The peer, with an SCCRQ of this hash.
    Peer(u64),
}

/// Signs of life: when each came last.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Life {
    /// Control messages from the peer.
    pub(crate) heard: Instant,
    /// Data messages from the peer.
    pub(crate) received: Instant,
    /// Data messages to the peer.
    pub(crate) sent: Instant,
}

/// How many times the HELLO interval the peer may be silent while we send data to it: it may be gone.
const ONE_SIDED: u32 = 4;

impl Tunnel {
    /// The peer, and the id that it assigned.
    pub(crate) fn key(&self) -> Option<(Remote, TunnelId)> {
        Some((self.path.remote(), self.peer?))
    }

    /// Retransmission times of what is at the front of the queue.
    pub(crate) fn timing(&self) -> Timing {
        let mut timing = self.policy.timing;
        if self.hello_is_oldest() {
            timing.retransmissions = self.policy.hello_retransmissions;
        } else if self.state == State::WaitCtlConn && !self.gave_way {
            timing.retransmissions = self.policy.sccrp_retransmissions;
        }
        timing
    }

    /// When something has to be done.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let reliable = self.reliable.next_timeout().map(|(at, _)| at);
        [reliable, self.deadline, self.hello_due()].into_iter().flatten().min()
    }

    /// When a HELLO is due, if nothing comes before (§6.5): when nothing went by in either direction.
    pub(crate) fn hello_due(&self) -> Option<Instant> {
        let idle = self.state == State::Established && self.reliable.is_idle();
        let interval = self.policy.hello.filter(|_| idle)?;
        let last = self.life.heard.max(self.life.received);
        Some((last.max(self.life.sent) + interval).min(last + interval.saturating_mul(ONE_SIDED)))
    }

    /// Whether an unanswered HELLO does not matter, because data has come not longer ago than it takes to
    /// send a HELLO and give it up: a phone that saves its battery.
    pub(crate) fn lives_without_hello(&self, now: Instant) -> bool {
        let patience = self.policy.hello.unwrap_or_default().saturating_add(self.timing().cycle());
        let alive = self.life.received != Instant::default() && now.since(self.life.received) < patience;
        self.hello_is_oldest() && alive
    }

    fn hello_is_oldest(&self) -> bool {
        self.reliable.oldest().and_then(message_type) == Some(MessageType::HELLO)
    }

    /// Whether it has ended, and all is said.
    pub(crate) fn is_done(&self) -> bool {
        let quiet = self.reliable.is_idle() && self.reliable.next_timeout().is_none();
        self.state == State::Closing && !self.lingers && quiet
    }

    /// The session that a message is about: by the id in the header. Where that is 0, because the
    /// sender does not know it yet, by the sender's own.
    pub(crate) fn find(&self, number: u16, peer: Option<SessionId>) -> Option<SessionId> {
        match SessionId::new(number) {
            Some(session) => self.sessions.contains_key(&session).then_some(session),
            None => self.by_peer.get(&peer?).copied(),
        }
    }
}

/// The type of an encoded message: the first AVP's value.
pub(crate) fn message_type(message: &[u8]) -> Option<MessageType> {
    let [_, _, 0, 0, 0, 0, high, low] = *message.get(Header::LEN..)?.first_chunk()? else { return None };
    Some(MessageType(u16::from_be_bytes([high, low])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tens_of_thousands_of_tunnels_fit_into_memory() {
        let (tunnel, session) = (size_of::<Tunnel>(), size_of::<Session>());
        assert!(tunnel <= 400 && session <= 40, "{tunnel}, {session}");
    }

    #[test]
    fn the_type_of_a_message_is_that_of_its_first_avp() {
        let message = |avp: &[u8]| [&Header::zlb(1, 2, 3), avp].concat();
        assert_eq!(message_type(&message(&[0x80, 8, 0, 0, 0, 0, 0, 6])), Some(MessageType::HELLO));
        let others: [&[u8]; 4] =
            [&[], &[0x80, 8, 0, 0, 0, 0, 0], &[0x80, 8, 0, 0, 0, 9, 0, 6], &[0x80, 8, 0, 9, 0, 0, 0, 6]];
        for other in others {
            assert_eq!(message_type(&message(other)), None);
        }
    }
}
