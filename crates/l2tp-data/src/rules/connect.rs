//! `connect`: makes a management socket or a session socket.
//!
//! The first row that fits decides. Rows 1 belong to [`SockAddr::decode`](super::SockAddr::decode).
//!
//! | | who | condition | result |
//! |---|---|---|---|
//! | 1 | both | length, family or protocol of the address | EINVAL |
//! | 2 | both | connected already | EBUSY |
//! | 3 | both | connected once, its tunnel has ended | EALREADY |
//! | 4 | both | s_tunnel = 0 | EINVAL |
//! | 5 | both | exactly one of s_session, d_session is 0 | EINVAL |
//! | 6 | management | the descriptor is not open | EBADF |
//! | 7 | management | it is no socket | ENOTSOCK |
//! | 8 | management | it is no UDP socket | EPROTONOSUPPORT |
//! | 9 | management | it is neither IPv4 nor IPv6 | EAFNOSUPPORT |
//! | 10 | management | it serves another encapsulation | EBUSY |
//! | 11 | management | it serves a tunnel of another id, and may serve one only | EINVAL |
//! | 12 | management | this tunnel is closing | ENODEV |
//! | 13 | management | it serves this tunnel | accepted, existing |
//! | 14 | management | the id belongs to another socket's tunnel | EEXIST |
//! | 15 | management | else (also: the tunnel that had the id has lost its socket) | accepted, new |
//! | 16 | session | no such tunnel | ENOENT |
//! | 17 | session | s_session is taken in that tunnel | EEXIST |
//! | 18 | session | the tunnel has lost its UDP socket | EBADF |
//! | 19 | session | the tunnel is closing | ENODEV |
//! | 20 | session | else | accepted |
//!
//! A peer tunnel id of 0 is allowed. A tunnel keeps the first other one that a management or session
//! socket brings: the caller fills it in from what is accepted. Sessions send the tunnel's.

use super::super::id::{SessionId, TunnelId};
use super::{Errno, Socket};

/// The numbers that `connect` is asked for: "s" ids are local, "d" ids are the peer's. Both session
/// ids 0 ask for a management socket; a caller whose interface has a call of its own for sessions
/// refuses that first, with [`Errno::Inval`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Connect {
    /// The tunnel's UDP socket; only [`View::descriptor`] looks at it.
    pub fd: i32,
    /// Local tunnel id.
    pub s_tunnel: u16,
    /// Local session id.
    pub s_session: u16,
    /// The peer's tunnel id; may be 0.
    pub d_tunnel: u16,
    /// The peer's session id.
    pub d_session: u16,
}

/// What a home knows. Each fact is asked for when its turn comes.
pub trait View {
    /// The state of the socket that connects. One that is made by connecting is new.
    fn socket(&self) -> Socket {
        Socket::New
    }

    /// What the descriptor is, seen from a management socket that asks for this tunnel id.
    fn descriptor(&self, fd: i32, tunnel: TunnelId) -> Descriptor;

    /// The tunnel that has this id.
    fn tunnel(&self, tunnel: TunnelId) -> Option<Tunnel>;

    /// Whether the tunnel has a session with this local id.
    fn has_session(&self, tunnel: TunnelId, session: SessionId) -> bool;

    /// Whether a UDP socket may serve several tunnels. Through a `sockaddr` it may not.
    fn several_tunnels_per_socket(&self) -> bool {
        false
    }
}

/// What a descriptor given to `connect` turns out to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Descriptor {
    /// Not open.
    Bad,
    /// Not a socket.
    NotSocket,
    /// A socket, but not of UDP.
    NotUdp,
    /// Neither IPv4 nor IPv6.
    NotInet,
    /// A UDP socket of another encapsulation.
    Foreign,
    /// A UDP socket that serves the tunnel asked for.
    ThisTunnel,
    /// A UDP socket that serves tunnels, but not the one asked for.
    OtherTunnel,
    /// A UDP socket that no encapsulation uses.
    Plain,
}

/// A tunnel as `connect` sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tunnel {
    /// How far it has lived.
    pub state: TunnelState,
    /// The peer's tunnel id; 0 while not known.
    pub peer_tunnel: u16,
}

/// How far a tunnel has lived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TunnelState {
    /// In use.
    Open,
    /// Being deleted.
    Closing,
    /// Its UDP socket is gone; dead sessions or management sockets keep the rest.
    NoSocket,
}

/// A `connect` that the rules allow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Accepted {
    /// A management socket.
    Management {
        /// Local tunnel id.
        tunnel: TunnelId,
        /// Whether the tunnel is there already.
        existing: bool,
        /// The peer's tunnel id; 0 while not known.
        peer_tunnel: u16,
    },
    /// A session socket.
    Session {
        /// Local tunnel id.
        tunnel: TunnelId,
        /// Local session id.
        session: SessionId,
        /// The peer's tunnel id; 0 while not known.
        peer_tunnel: u16,
        /// The peer's session id.
        peer_session: SessionId,
    },
}

/// Decides on a `connect`, in the order of the table above.
pub fn connect(request: &Connect, view: &impl View) -> Result<Accepted, Errno> {
    match view.socket() {
        Socket::New => {}
        Socket::Connected(_) => return Err(Errno::Busy),
        Socket::Dead(_) => return Err(Errno::Already),
        Socket::Closed => return Err(Errno::BadF),
    }
    let tunnel = TunnelId::new(request.s_tunnel).ok_or(Errno::Inval)?;
    match (SessionId::new(request.s_session), SessionId::new(request.d_session)) {
        (None, None) => management(request, tunnel, view),
        (Some(session), Some(peer_session)) => {
            let peer_tunnel = session_tunnel(request, tunnel, session, view)?;
            Ok(Accepted::Session { tunnel, session, peer_tunnel, peer_session })
        }
        _ => Err(Errno::Inval),
    }
}

fn management(request: &Connect, tunnel: TunnelId, view: &impl View) -> Result<Accepted, Errno> {
    let existing = match view.descriptor(request.fd, tunnel) {
        Descriptor::Bad => return Err(Errno::BadF),
        Descriptor::NotSocket => return Err(Errno::NotSock),
        Descriptor::NotUdp => return Err(Errno::ProtoNoSupport),
        Descriptor::NotInet => return Err(Errno::AfNoSupport),
        Descriptor::Foreign => return Err(Errno::Busy),
        Descriptor::OtherTunnel if !view.several_tunnels_per_socket() => return Err(Errno::Inval),
        Descriptor::OtherTunnel | Descriptor::Plain => false,
        Descriptor::ThisTunnel => true,
    };
    let peer_tunnel = match view.tunnel(tunnel) {
        Some(Tunnel { state: TunnelState::Closing, .. }) => return Err(Errno::NoDev),
        Some(Tunnel { state: TunnelState::Open, .. }) if !existing => return Err(Errno::Exist),
        Some(known) if existing && known.peer_tunnel != 0 => known.peer_tunnel,
        _ => request.d_tunnel,
    };
    Ok(Accepted::Management { tunnel, existing, peer_tunnel })
}

/// Checks a session's tunnel and returns the peer's tunnel id.
fn session_tunnel(
    request: &Connect,
    tunnel: TunnelId,
    session: SessionId,
    view: &impl View,
) -> Result<u16, Errno> {
    let known = view.tunnel(tunnel).ok_or(Errno::NoEnt)?;
    if view.has_session(tunnel, session) {
        return Err(Errno::Exist);
    }
    match known.state {
        TunnelState::NoSocket => Err(Errno::BadF),
        TunnelState::Closing => Err(Errno::NoDev),
        TunnelState::Open if known.peer_tunnel == 0 => Ok(request.d_tunnel),
        TunnelState::Open => Ok(known.peer_tunnel),
    }
}
