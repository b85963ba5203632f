//! What a link tells its caller.

use core::fmt;
use core::net::Ipv4Addr;
use core::time::Duration;

use super::auth::Request;
use super::config::{InterfaceId, Method};
use super::protocol::Protocol;

/// What has happened on a link. Every `Ipv4Up` and `Ipv6Up` is followed by its `Down` before the next
/// one, and before [`Event::Down`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// LCP is open. After a renegotiation it comes again, and everything that follows it.
    LcpUp {
        /// The longest information field that the peer receives.
        peer_mru: u16,
        /// How we must prove who we are.
        local_auth: Option<Method>,
        /// How the peer must.
        peer_auth: Option<Method>,
    },
    /// The peer has sent its proof: answer with [`authenticated`](super::Link::authenticated). It comes
    /// again when the peer may try again, and with every re-challenge.
    Authenticate(Box<Request>),
    /// The peer has taken our proof.
    Authenticated,
    /// The peer has words for its user: with its Success, or as a Notification of EAP.
    Says(Box<str>),
    /// Authentication is done, both ways: say with [`network`](super::Link::network) what to negotiate.
    Network {
        /// The name that the peer has proved to own.
        peer_name: Option<Box<[u8]>>,
    },
    /// IPv4 packets may flow.
    Ipv4Up {
        /// Our address.
        local: Ipv4Addr,
        /// The peer's address; 0.0.0.0 if it has none.
        peer: Ipv4Addr,
        /// The name servers that the peer told us.
        dns: [Option<Ipv4Addr>; 2],
    },
    /// No more IPv4.
    Ipv4Down,
    /// IPv6 packets may flow.
    Ipv6Up {
        /// Our interface identifier.
        local: InterfaceId,
        /// The peer's.
        peer: InterfaceId,
    },
    /// No more IPv6.
    Ipv6Down,
    /// There will be no IPv4, or no more.
    Ipv4Refused(Why),
    /// There will be no IPv6, or no more.
    Ipv6Refused(Why),
    /// The peer says what it is (RFC 1570 §2.1).
    Identification(Box<[u8]>),
    /// The peer says how long the link will last (RFC 1570 §2.2).
    TimeRemaining(Duration),
    /// The link is over. Nothing follows.
    Down(Reason),
}

/// Why a link is over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reason {
    /// The caller has closed it.
    Closed,
    /// The peer has terminated it.
    PeerTerminated {
        /// What it said; mostly nothing, not always text.
        message: Box<[u8]>,
    },
    /// Nothing has come from the peer for so long, and it answered no Echo-Request.
    Silence,
    /// LCP, or the last network protocol, was not agreed upon.
    Negotiation {
        /// The protocol.
        protocol: Protocol,
        /// Why not.
        why: Why,
    },
    /// One end did not prove who it is.
    AuthenticationFailed {
        /// Who refused the other's proof, or waited in vain for it.
        by: By,
        /// By which method, if one was agreed upon.
        method: Option<Method>,
        /// What was said.
        message: Box<str>,
    },
    /// We hear ourselves (RFC 1661 §6.4).
    Loop,
    /// The caller says that frames no longer flow.
    LowerDown,
    /// What the LAC negotiated cannot hold, and the policy forbids negotiating anew.
    ProxyMismatch(Mismatch),
}

/// One of the two ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum By {
    /// We.
    Us,
    /// The peer.
    Peer,
}

/// Why a protocol was not agreed upon.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Why {
    /// Our Configure-Requests were not answered.
    NoAnswer,
    /// Each end kept asking for what the other refuses.
    NotConverging,
    /// The peer does not know the protocol, or not its packets.
    Rejected,
    /// The peer has terminated it.
    Terminated {
        /// What it said.
        message: Box<[u8]>,
    },
    /// The peer refuses every authentication method that we require.
    NoMethod,
    /// The peer has no address for us.
    NoAddress,
    /// What the peer asks for is what we ask for, our magic number included (RFC 1661 §6.4).
    Loop,
    /// We do not want it.
    NotWanted,
}

/// What of a LAC's negotiation is not as it must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mismatch {
    /// The LAC did not tell what it negotiated.
    Missing,
    /// What it told is no list of options.
    Malformed,
    /// The peer was granted what we refuse.
    Granted,
    /// The peer was not asked for a proof that we require.
    Authentication,
    /// The LAC asked the peer for what we do not do.
    Asked,
}

/// Phases of a link (RFC 1661 §3.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Phase {
    /// Not open yet, or over.
    Dead,
    /// LCP is negotiated.
    Establish,
    /// One end or both prove who they are.
    Authenticate,
    /// Network protocols are negotiated, and packets flow.
    Network,
    /// LCP is terminated.
    Terminate,
}

/// Which timer it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Timer {
    /// LCP's restart timer.
    Lcp,
    /// IPCP's restart timer.
    Ipcp,
    /// IPV6CP's restart timer.
    Ipv6cp,
    /// The authentication of the peer: retransmission, or the next challenge.
    PeerAuth,
    /// Our authentication: retransmission.
    LocalAuth,
    /// The time that authentication may take.
    Authentication,
    /// The next Echo-Request, or the end of waiting for replies.
    Echo,
}

/// What has become of the frames of a link.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counters {
    /// Frames received, all that follow included.
    pub received: u32,
    /// Frames sent.
    pub transmitted: u32,
    /// Received: not a frame or packet of its protocol.
    pub malformed: u32,
    /// Received: not allowed in this phase, or no answer to what we sent.
    pub discarded: u32,
    /// Received: of a protocol or code that was rejected.
    pub rejected: u32,
    /// Received: IPv4 and IPv6 packets, which are not for a link.
    pub network: u32,
    /// Not sent, because the caller did not fetch what was there.
    pub overrun: u32,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LcpUp { peer_mru, local_auth, peer_auth } => {
                write!(f, "LCP is open, the peer's MRU is {peer_mru}")?;
                if let Some(method) = peer_auth {
                    write!(f, ", the peer authenticates by {method}")?;
                }
                match local_auth {
                    Some(method) => write!(f, ", we authenticate by {method}"),
                    None => Ok(()),
                }
            }
            Self::Authenticate(request) => {
                write!(f, "the peer says that it is \"{}\"", request.name.escape_ascii())
            }
            Self::Authenticated => f.write_str("the peer knows us"),
            Self::Says(words) => write!(f, "the peer says \"{words}\""),
            Self::Network { peer_name: Some(name) } => {
                write!(f, "authenticated, the peer is \"{}\"", name.escape_ascii())
            }
            Self::Network { peer_name: None } => f.write_str("the peer need not authenticate"),
            Self::Ipv4Up { local, peer, .. } => write!(f, "IPv4 is up, {local} to {peer}"),
            Self::Ipv4Down => f.write_str("IPv4 is down"),
            Self::Ipv6Up { local, peer } => {
                write!(f, "IPv6 is up, {} to {}", local.link_local(), peer.link_local())
            }
            Self::Ipv6Down => f.write_str("IPv6 is down"),
            Self::Ipv4Refused(why) => write!(f, "there is no IPv4: {why}"),
            Self::Ipv6Refused(why) => write!(f, "there is no IPv6: {why}"),
            Self::Identification(text) => write!(f, "the peer is \"{}\"", text.escape_ascii()),
            Self::TimeRemaining(time) => write!(f, "the peer gives the link {} s", time.as_secs()),
            Self::Down(reason) => write!(f, "the link is down: {reason}"),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("closed here"),
            Self::PeerTerminated { message } if message.is_empty() => {
                f.write_str("the peer has terminated it")
            }
            Self::PeerTerminated { message } => {
                write!(f, "the peer has terminated it: \"{}\"", message.escape_ascii())
            }
            Self::Silence => f.write_str(
                "the peer is silent and answers no LCP echo: it or the path to it is gone; connect again",
            ),
            Self::Negotiation { protocol, why } => write!(f, "{protocol}: {why}"),
            Self::AuthenticationFailed { by, method, message } => {
                f.write_str(match by {
                    By::Us => "the peer has not proved who it is",
                    By::Peer => "the peer does not take us for who we are",
                })?;
                if let Some(method) = method {
                    write!(f, " ({method})")?;
                }
                let hint = "check name and password";
                write!(f, ": {}", if message.is_empty() { hint } else { message })
            }
            Self::Loop => {
                f.write_str("the link is looped back, we hear our own frames: check the way to the peer")
            }
            Self::LowerDown => f.write_str("frames no longer flow: the session below has ended"),
            Self::ProxyMismatch(mismatch) => write!(
                f,
                "what the LAC negotiated cannot hold ({mismatch}): set proxy-lcp to renegotiate-on-mismatch, \
                 or configure the LAC alike"
            ),
        }
    }
}

impl Why {
    /// What the peer is told.
    pub(crate) const fn farewell(&self) -> &'static str {
        match self {
            Self::NoAnswer => "no answer",
            Self::NotConverging => "no agreement",
            Self::NoMethod => "authentication required",
            Self::NoAddress => "no address",
            Self::Loop => "looped back",
            Self::Rejected | Self::Terminated { .. } | Self::NotWanted => "",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoAnswer => "the peer does not answer: see whether data reaches it and comes back",
            Self::NotConverging => {
                "each end keeps asking for what the other refuses: compare both configurations"
            }
            Self::Rejected => "the peer does not do it",
            Self::Terminated { message } if message.is_empty() => "the peer has ended it",
            Self::Terminated { message } => {
                return write!(f, "the peer has ended it: \"{}\"", message.escape_ascii());
            }
            Self::NoMethod => {
                "the peer refuses every authentication method that is required here: allow one that it knows"
            }
            Self::NoAddress => {
                "the peer assigns no address: its pool may be empty, or it wants one to be configured here"
            }
            Self::Loop => "we hear ourselves",
            Self::NotWanted => "it is not wanted here",
        })
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "it did not say what it negotiated",
            Self::Malformed => "what it says cannot be read",
            Self::Granted => "it granted the peer what is refused here",
            Self::Authentication => "it did not ask the peer for the proof that is required here",
            Self::Asked => "it asked the peer for what is not done here",
        })
    }
}
