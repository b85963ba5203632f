//! What an endpoint tells its caller, and what calls are made of.

use core::fmt;
use core::net::{IpAddr, SocketAddr};

use l2tp_data::id::{SessionId, TunnelId};
use zeroize::Zeroizing;

use super::error::Error;
use super::wire::{
    Accm, AuthenType, Bearer, CallErrors, CauseCode, CdnResult, Direction, ErrorCode, Framing, MessageType,
    Octets, OtherAvps, StopResult,
};

/// The way to a peer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub struct Path {
    /// The caller's number of the UDP socket. With IPsec, of the association on it: behind one NAT,
    /// several peers can share an address and port.
    pub socket: u32,
    /// Our address, if the socket has several: what was asked answers.
    pub local: Option<IpAddr>,
    /// The peer's address and port.
    pub peer: SocketAddr,
}

/// Who a peer is: what is the same in all of its messages.
pub(crate) type Remote = (u32, SocketAddr);

impl Path {
    pub(crate) const fn remote(&self) -> Remote {
        (self.socket, self.peer)
    }
}

/// Something that happened. Tunnels and sessions are named by the ids that we assigned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A tunnel is established.
    TunnelUp {
        /// The tunnel.
        tunnel: TunnelId,
        /// What the peer said of itself.
        peer: Box<PeerInfo>,
    },
    /// A tunnel has ended, and all of its sessions with it, without an event of their own.
    TunnelDown {
        /// The tunnel.
        tunnel: TunnelId,
        /// What the peer said of itself, if it began to open the tunnel and that never was up.
        stranger: Option<Box<PeerInfo>>,
        /// Why.
        reason: Box<Reason<StopResult>>,
    },
    /// The peer wants a call: [`accept`](super::Endpoint::accept) it or
    /// [`hang_up`](super::Endpoint::hang_up).
    CallOffered {
        /// Its tunnel.
        tunnel: TunnelId,
        /// The call's session.
        session: SessionId,
        /// What kind of call.
        request: Box<Request>,
    },
    /// The peer takes the call that we asked for (ICRP, OCRP). As LAC, say
    /// [`connected`](super::Endpoint::connected) next, unless the call was placed with that.
    CallAccepted {
        /// Its tunnel.
        tunnel: TunnelId,
        /// The call's session.
        session: SessionId,
    },
    /// A session is established: data can flow.
    CallUp {
        /// Its tunnel.
        tunnel: TunnelId,
        /// The call's session.
        session: SessionId,
        /// The id that the peer assigned.
        peer_session: SessionId,
        /// What the LAC said of the line.
        connected: Box<Connected>,
    },
    /// A session has ended.
    CallDown {
        /// Its tunnel.
        tunnel: TunnelId,
        /// The call's session.
        session: SessionId,
        /// Why.
        reason: Box<Reason<CdnResult>>,
    },
    /// The LNS told the ACCM of a session (SLI, RFC 2661 §6.14).
    LinkInfo {
        /// Its tunnel.
        tunnel: TunnelId,
        /// The session.
        session: SessionId,
        /// The masks.
        accm: Accm,
    },
    /// The LAC told the line errors of a session (WEN, RFC 2661 §6.13).
    LineErrors {
        /// Its tunnel.
        tunnel: TunnelId,
        /// The session.
        session: SessionId,
        /// The counts.
        errors: CallErrors,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids = |f: &mut fmt::Formatter<'_>, tunnel: &TunnelId, session: &SessionId| {
            write!(f, "tunnel {} session {}: ", tunnel.get(), session.get())
        };
        match self {
            Self::TunnelUp { tunnel, peer } => {
                let proved = if peer.authenticated { ", authenticated" } else { "" };
                let (name, theirs) = (Octets(&peer.host_name), peer.tunnel_id.get());
                write!(
                    f,
                    "tunnel {}: up, to {name} at {}, whose id is {theirs}",
                    tunnel.get(),
                    peer.path.peer
                )?;
                write!(f, ", window {}{proved}", peer.window)
            }
            Self::TunnelDown { tunnel, reason, .. } => write!(f, "tunnel {}: down, {reason}", tunnel.get()),
            Self::CallOffered { tunnel, session, request } => {
                ids(f, tunnel, session)?;
                match &**request {
                    Request::Incoming(call) => {
                        f.write_str("incoming call offered")?;
                        let numbers = [("from", &call.calling), ("to", &call.called)];
                        let known =
                            numbers.iter().filter_map(|(word, number)| Some((word, number.as_ref()?)));
                        known.clone().try_for_each(|(word, number)| write!(f, " {word} {}", Octets(number)))
                    }
                    Request::Outgoing(call) => write!(f, "outgoing call wanted to {}", Octets(&call.called)),
                }
            }
            Self::CallAccepted { tunnel, session } => {
                ids(f, tunnel, session)?;
                f.write_str("the peer takes the call")
            }
            Self::CallUp { tunnel, session, peer_session, connected } => {
                ids(f, tunnel, session)?;
                write!(f, "up, the peer's id is {}, {} bit/s", peer_session.get(), connected.tx_bps)
            }
            Self::CallDown { tunnel, session, reason } => {
                ids(f, tunnel, session)?;
                write!(f, "down, {reason}")
            }
            Self::LinkInfo { tunnel, session, accm } => {
                ids(f, tunnel, session)?;
                write!(f, "ACCM send {:08x}, receive {:08x}", accm.send, accm.receive)
            }
            Self::LineErrors { tunnel, session, errors } => {
                ids(f, tunnel, session)?;
                let CallErrors { crc, framing, hardware_overruns, buffer_overruns, timeouts, alignment } =
                    errors;
                write!(
                    f,
                    "line errors: CRC {crc}, framing {framing}, hardware overruns {hardware_overruns}, "
                )?;
                write!(f, "buffer overruns {buffer_overruns}, timeouts {timeouts}, alignment {alignment}")
            }
        }
    }
}

/// What a peer said of itself in SCCRQ or SCCRP.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PeerInfo {
    /// The way to it.
    pub path: Path,
    /// The tunnel id that it assigned.
    pub tunnel_id: TunnelId,
    /// Its Host Name.
    pub host_name: Vec<u8>,
    /// Its Vendor Name.
    pub vendor_name: Vec<u8>,
    /// Its Firmware Revision.
    pub firmware_revision: Option<u16>,
    /// Its Framing Capabilities.
    pub framing: Framing,
    /// Its Bearer Capabilities.
    pub bearer: Option<Bearer>,
    /// Its Receive Window Size.
    pub window: u16,
    /// Whether it has proved that it knows the secret.
    pub authenticated: bool,
    /// AVPs of vendors and of other documents.
    pub other_avps: OtherAvps,
}

/// What kind of call is wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub enum Request {
    /// The LAC has a call for the LNS (ICRQ).
    Incoming(Incoming),
    /// The LNS wants the LAC to call (OCRQ).
    Outgoing(Outgoing),
}

/// A call that a LAC has received (ICRQ, RFC 2661 §6.6).
#[derive(Clone, PartialEq, Eq, Default, Debug)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub struct Incoming {
    /// Call Serial Number; `None` takes the tunnel's next.
    pub serial: Option<u32>,
    /// Bearer Type.
    pub bearer: Option<Bearer>,
    /// Physical Channel ID.
    pub channel: Option<u32>,
    /// Calling Number.
    pub calling: Option<Vec<u8>>,
    /// Called Number.
    pub called: Option<Vec<u8>>,
    /// Sub-Address.
    pub sub_address: Option<Vec<u8>>,
    /// AVPs of vendors and of other documents, such as the access line's (RFC 5515).
    pub other_avps: OtherAvps,
}

/// A call that a LAC shall make (OCRQ, RFC 2661 §6.9).
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub struct Outgoing {
    /// Call Serial Number; `None` takes the tunnel's next.
    pub serial: Option<u32>,
    /// Minimum BPS.
    pub minimum_bps: u32,
    /// Maximum BPS.
    pub maximum_bps: u32,
    /// Bearer Type.
    pub bearer: Bearer,
    /// Framing Type.
    pub framing: Framing,
    /// Called Number.
    pub called: Vec<u8>,
    /// Sub-Address.
    pub sub_address: Option<Vec<u8>>,
    /// AVPs of vendors and of other documents.
    pub other_avps: OtherAvps,
}

/// What a LAC says of a line that is connected (ICCN, OCCN, RFC 2661 §6.8, §6.11).
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub struct Connected {
    /// (Tx) Connect Speed: towards the caller, in bits per second. Never sent as 0, which DrayTek
    /// refuses.
    pub tx_bps: u32,
    /// Rx Connect Speed. Sent only if it differs.
    pub rx_bps: Option<u32>,
    /// Framing Type.
    pub framing: Framing,
    /// Whether data messages must have sequence numbers (RFC 2661 §5.4).
    pub sequencing_required: bool,
    /// Private Group ID.
    pub private_group: Option<Vec<u8>>,
    /// What the LAC has already negotiated with the caller.
    pub proxy: Option<Box<Proxy>>,
    /// AVPs of vendors and of other documents.
    pub other_avps: OtherAvps,
}

impl Default for Connected {
    fn default() -> Self {
        Self {
            tx_bps: 100_000_000,
            rx_bps: None,
            framing: Framing::SYNC,
            sequencing_required: false,
            private_group: None,
            proxy: None,
            other_avps: OtherAvps::default(),
        }
    }
}

/// Proxy LCP and proxy authentication (RFC 2661 §4.4.5).
#[derive(Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub struct Proxy {
    /// Initial Received LCP CONFREQ.
    pub initial_received_lcp: Option<Vec<u8>>,
    /// Last Sent LCP CONFREQ.
    pub last_sent_lcp: Option<Vec<u8>>,
    /// Last Received LCP CONFREQ.
    pub last_received_lcp: Option<Vec<u8>>,
    /// Proxy Authen Type.
    pub authen_type: Option<AuthenType>,
    /// Proxy Authen Name.
    pub authen_name: Option<Vec<u8>>,
    /// Proxy Authen Challenge.
    pub authen_challenge: Option<Vec<u8>>,
    /// Proxy Authen ID.
    pub authen_id: Option<u8>,
    /// Proxy Authen Response: with PAP, the password. Wiped from memory when dropped.
    pub authen_response: Option<Zeroizing<Vec<u8>>>,
}

/// Without the response, which may be a password.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("authen_type", &self.authen_type)
            .field("authen_name", &self.authen_name)
            .field("authen_id", &self.authen_id)
            .finish_non_exhaustive()
    }
}

/// Why a tunnel (`C` is [`StopResult`]) or a session ([`CdnResult`]) has ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reason<C> {
    /// Who ended it.
    pub by: By,
    /// What the StopCCN or CDN says or said.
    pub cause: Cause<C>,
}

/// Who ended a tunnel or session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum By {
    /// Our caller.
    Us,
    /// The peer, by StopCCN or CDN.
    Peer,
    /// The peer broke a rule, or wants what we do not have.
    Error(Error),
    /// The peer sent a message that has no place in this state (RFC 2661 §7).
    State {
        /// What came.
        message: MessageType,
        /// In which state.
        state: &'static str,
    },
    /// The peer did not prove that it knows the secret, or we have none to answer it with.
    Authentication,
    /// The peer acknowledged nothing any more.
    Silence,
    /// The peer acknowledged, and did not go on.
    SetupTime,
    /// Both sides opened a tunnel with the same tie breaker (RFC 2661 §4.4.3).
    Tie,
    /// The peer has opened the same tunnel anew: it has started again.
    Restart,
    /// The last session has ended.
    Empty,
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Us => f.write_str("closed by us"),
            Self::Peer => f.write_str("closed by the peer"),
            Self::Error(error) => write!(f, "the peer sent a message that is wrong: {error}"),
            Self::State { message, state } => {
                write!(f, "the peer sent {message}, which has no place in {state}")
            }
            Self::Authentication => {
                f.write_str("tunnel authentication failed: compare the secrets of both sides")
            }
            Self::Silence => f.write_str("the peer does not answer any more"),
            Self::SetupTime => f.write_str("the peer did not complete the set-up in time"),
            Self::Tie => f.write_str("both sides opened a tunnel at the same time, with equal tie breakers"),
            Self::Restart => f.write_str("the peer has started again"),
            Self::Empty => f.write_str("the last session has ended"),
        }
    }
}

/// What StopCCN (`C` is [`StopResult`]) or CDN ([`CdnResult`]) say.
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub struct Cause<C> {
    /// The result code.
    pub result: C,
    /// The error code, if there is one.
    pub error: Option<ErrorCode>,
    /// Words for a human.
    pub message: String,
    /// Why PPP ended (RFC 3145), in a CDN.
    pub ppp: Option<PppCause>,
    /// Why the telephone network ended the call, in a CDN of a LAC.
    pub q931: Option<Q931>,
}

impl<C> Cause<C> {
    /// A result without more.
    pub const fn new(result: C) -> Self {
        Self { result, error: None, message: String::new(), ppp: None, q931: None }
    }

    /// A result with an error code and words.
    pub fn error(result: C, error: ErrorCode, message: impl Into<String>) -> Self {
        Self { error: Some(error), message: message.into(), ..Self::new(result) }
    }
}

impl<C: fmt::Display> fmt::Display for Cause<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.result.fmt(f)?;
        if let Some(error) = self.error.filter(|error| *error != ErrorCode::NONE) {
            write!(f, "; {error}")?;
        }
        if !self.message.is_empty() {
            write!(f, "; {}", self.message)?;
        }
        if let Some(cause) = &self.ppp {
            write!(f, "; {}, {}", cause.code, cause.direction)?;
            if !cause.message.is_empty() {
                write!(f, ", {}", cause.message)?;
            }
        }
        if let Some(cause) = &self.q931 {
            write!(f, "; Q.931 cause {}", cause.code)?;
        }
        Ok(())
    }
}

impl<C: fmt::Display> fmt::Display for Reason<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.by, self.cause)
    }
}

/// Q.931 Cause Code (RFC 2661 §4.4.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub struct Q931 {
    /// The cause code of ITU-T Q.931.
    pub code: u16,
    /// The Q.931 message in which it came.
    pub message: u8,
}

/// PPP Disconnect Cause Code (RFC 3145).
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub struct PppCause {
    /// What happened.
    pub code: CauseCode,
    /// The PPP control protocol it happened in, or 0.
    pub protocol: u16,
    /// At which side.
    pub direction: Direction,
    /// Words for a human.
    pub message: String,
}
