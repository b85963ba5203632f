//! What a running daemon holds of the driver.

use std::net::{SocketAddr, UdpSocket};

use pppol2tp::{SessionSocket, SharedInterface, TunnelSocket, UdpHandle, Unit};
use socket2::{Domain, Protocol, Socket, Type};

use crate::error::{Doing, Result};

/// Sockets and units. They are dropped from top to bottom: the UDP socket first, because messages
/// that come for a session without its unit, or for one that has ended, would be reported as dropped.
pub struct Sockets {
    /// The UDP socket.
    pub udp: Box<dyn UdpHandle>,
    /// PPP units.
    pub units: Vec<Box<dyn Unit>>,
    /// Session sockets.
    pub sessions: Vec<Box<dyn SessionSocket>>,
    /// The interface that the units share, if they do.
    pub shared: Option<Box<dyn SharedInterface>>,
    /// Management sockets.
    pub tunnels: Vec<Box<dyn TunnelSocket>>,
}

impl Sockets {
    /// The management socket of a tunnel.
    pub fn tunnel(&self, tunnel_id: u16) -> Option<&dyn TunnelSocket> {
        self.tunnels.iter().find(|tunnel| tunnel.tunnel_id() == tunnel_id).map(|tunnel| &**tunnel)
    }

    /// The socket of a session.
    pub fn session(&self, tunnel_id: u16, session_id: u16) -> Option<&dyn SessionSocket> {
        let wanted = |ids: pppol2tp::SessionIds| (ids.tunnel_id, ids.session_id) == (tunnel_id, session_id);
        self.sessions.iter().find(|session| wanted(session.ids())).map(|session| &**session)
    }
}

/// A UDP socket bound to `local` and connected to `peer`.
///
/// Errors: the addresses are of two families, `local` is not this machine's or is in use, or there
/// is no route to `peer`.
pub fn udp_socket(local: SocketAddr, peer: SocketAddr) -> Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP))
        .doing(|| "UDP socket".into())?;
    socket.bind(&local.into()).doing(|| format!("binding the UDP socket to {local} (--local)"))?;
    socket.connect(&peer.into()).doing(|| format!("connecting the UDP socket to {peer} (--peer)"))?;
    Ok(socket.into())
}
