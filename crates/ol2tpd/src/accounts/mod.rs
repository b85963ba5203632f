//! Who may log in: the question that the daemon asks, and who answers it.
//!
//! ```text
//!  reactor ── AccessRequest, Reply ──► Aaa: Local, RADIUS to come
//!     ▲                                 │
//!     └──── Answer { session, access } ◄┘  at once or later, from any task
//!
//!  reactor ── Record: Start, Interim …, Stop ──► Aaa
//! ```
//!
//! A session that was accepted once has exactly one `Stop` when it ends, whether or not it got as far as
//! `Start`; so whoever counts sessions counts right.

mod chap_secrets;
mod local;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use ppp::{RejectCode, Request, Verdict};
use pppol2tp::Prefix;
use tokio::sync::mpsc::UnboundedSender;

use crate::config::Settings;

pub(crate) use chap_secrets::ChapSecrets;
pub use local::Local;

/// Decides who may log in, and is told what became of the sessions.
pub trait Aaa: Send {
    /// Whether a peer is let in. The answer goes into `reply`, at once or later.
    fn authenticate(&mut self, request: AccessRequest, reply: Reply);

    /// What became of a session that was let in.
    fn account(&mut self, record: Record);

    /// The configuration was read again: other accounts, from now on. Sessions remain.
    fn reload(&mut self, settings: &Settings);
}

/// A peer that wants to be let in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccessRequest {
    /// The number of the session: unique as long as the daemon lives.
    pub session: u64,
    /// Name and proof.
    pub request: Request,
    /// The tunnel's peer.
    pub peer: SocketAddr,
    /// The Calling Number AVP.
    pub calling_number: Option<Box<[u8]>>,
    /// The Called Number AVP.
    pub called_number: Option<Box<[u8]>>,
    /// The name of the profile.
    pub profile: Box<str>,
}

/// The answer to an [`AccessRequest`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Access {
    /// What the peer is told.
    pub verdict: Verdict,
    /// What the session gets, if it is let in.
    pub grant: Grant,
    /// The number of the session that has to end for it.
    pub replaces: Option<u64>,
}

/// What an account gives its sessions.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Grant {
    /// The peer's IPv4 address.
    pub address: Option<Ipv4Addr>,
    /// The IPv4 pool, in place of the profile's.
    pub pool: Option<String>,
    /// The peer's IPv6 prefix, a /64.
    pub ipv6_prefix: Option<Prefix>,
    /// Networks behind the peer.
    pub routes: Vec<Prefix>,
    /// How many sessions the account may have at a time.
    pub max_sessions: Option<u32>,
    /// Whether one more is refused; else it ends the oldest.
    pub refuse_more: bool,
    /// The longest the session may last, in place of the profile's.
    pub session_timeout: Option<Duration>,
    /// The longest the session may be without IP traffic, in place of the profile's.
    pub idle_timeout: Option<Duration>,
}

impl Grant {
    /// How many sessions can be had at a time: what is always the same can be had once.
    pub fn most_sessions(&self) -> Option<u32> {
        let once = self.address.is_some() || self.ipv6_prefix.is_some() || !self.routes.is_empty();
        if once { Some(1) } else { self.max_sessions }
    }
}

/// An [`Access`] on its way to the session that it is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The number of the session.
    pub session: u64,
    /// The answer.
    pub access: Access,
}

/// Where the answer goes. Dropped without one, it refuses: no session waits for ever.
#[derive(Debug)]
pub struct Reply {
    session: u64,
    to: Option<UnboundedSender<Answer>>,
}

impl Reply {
    /// For this session, into this channel. A session asks once at a time, which bounds the channel.
    pub fn new(session: u64, to: UnboundedSender<Answer>) -> Self {
        Self { session, to: Some(to) }
    }

    /// Answers.
    pub fn send(mut self, access: Access) {
        self.answer(access);
    }

    fn answer(&mut self, access: Access) {
        if let Some(to) = self.to.take() {
            // A reactor that has gone needs no answer.
            let _ = to.send(Answer { session: self.session, access });
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.answer(Access::refused("The server cannot check passwords at the moment"));
    }
}

impl Access {
    /// Not let in, for a reason that is not the password.
    pub fn refused(message: &str) -> Self {
        let code = RejectCode::NO_DIALIN_PERMISSION;
        Self {
            verdict: Verdict::Reject { message: message.into(), code, retry: false },
            grant: Grant::default(),
            replaces: None,
        }
    }
}

/// What became of a session that was let in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// The number of the session.
    pub session: u64,
    /// The name that the peer gave.
    pub user: Box<[u8]>,
    /// Which record it is.
    pub kind: RecordKind,
    /// The peer's IPv4 address.
    pub address: Option<Ipv4Addr>,
    /// The peer's IPv6 prefix.
    pub ipv6_prefix: Option<Prefix>,
    /// Since `Start`.
    pub time: Duration,
    /// What has been moved.
    pub traffic: Traffic,
}

/// Which record it is (RFC 2866 §5.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RecordKind {
    /// The session can be used.
    Start,
    /// It goes on.
    Interim,
    /// It has ended.
    Stop {
        /// Why.
        cause: TerminateCause,
        /// The same in words.
        words: String,
    },
}

/// What has been moved, seen from here.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Traffic {
    /// Packets from the peer.
    pub rx_packets: u64,
    /// Octets from the peer.
    pub rx_bytes: u64,
    /// Packets to the peer.
    pub tx_packets: u64,
    /// Octets to the peer.
    pub tx_bytes: u64,
}

/// Why a session has ended: the numbers of Acct-Terminate-Cause (RFC 2866 §5.10).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TerminateCause(pub u32);

impl TerminateCause {
    /// The peer ended it.
    pub const USER_REQUEST: Self = Self(1);
    /// The tunnel has gone.
    pub const LOST_CARRIER: Self = Self(2);
    /// The peer does not answer any more.
    pub const LOST_SERVICE: Self = Self(3);
    /// No traffic.
    pub const IDLE_TIMEOUT: Self = Self(4);
    /// Its time is up.
    pub const SESSION_TIMEOUT: Self = Self(5);
    /// An administrator ended it.
    pub const ADMIN_RESET: Self = Self(6);
    /// The daemon ends.
    pub const ADMIN_REBOOT: Self = Self(7);
    /// Something failed here.
    pub const NAS_ERROR: Self = Self(9);
    /// We ended it for another reason.
    pub const NAS_REQUEST: Self = Self(10);
    /// There is nothing to give: no address is free.
    pub const SERVICE_UNAVAILABLE: Self = Self(15);
    /// The peer broke a rule, or nothing could be agreed on.
    pub const USER_ERROR: Self = Self(17);
}
