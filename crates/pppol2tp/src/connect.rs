//! `connect` through the Rust interface, which is the same in both homes.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use l2tp_data::id::{SessionId, TunnelId};
use l2tp_data::rules::{self, Accepted, Connect, Descriptor, Tunnel, TunnelState, View};

use crate::{Errno, Error, Result, SessionIds, TunnelConfig};

/// A tunnel and its sessions, as a home has them.
pub(crate) trait Known {
    /// The peer's tunnel id; 0 until it is known.
    fn peer_id(&self) -> u16;
    /// The peer's address.
    fn peer(&self) -> SocketAddr;
    /// Whether it has a session with this local id.
    fn has_session(&self, id: u16) -> bool;
}

/// What the rules ask, of tunnels by their local ids.
pub(crate) struct Facts<'a, K> {
    pub(crate) tunnels: &'a BTreeMap<u16, K>,
    /// Whether a tunnel is one of the UDP socket that is given. There is none for a session.
    pub(crate) is_ours: Option<&'a dyn Fn(&K) -> bool>,
}

impl<K: Known> View for Facts<'_, K> {
    fn descriptor(&self, _: i32, tunnel: TunnelId) -> Descriptor {
        let Some(is_ours) = self.is_ours else { return Descriptor::Bad };
        match self.tunnels.get(&tunnel.get()) {
            Some(known) if is_ours(known) => Descriptor::ThisTunnel,
            _ => Descriptor::Plain,
        }
    }

    fn tunnel(&self, tunnel: TunnelId) -> Option<Tunnel> {
        let known = self.tunnels.get(&tunnel.get())?;
        Some(Tunnel { state: TunnelState::Open, peer_tunnel: known.peer_id() })
    }

    fn has_session(&self, tunnel: TunnelId, session: SessionId) -> bool {
        self.tunnels.get(&tunnel.get()).is_some_and(|known| known.has_session(session.get()))
    }

    fn several_tunnels_per_socket(&self) -> bool {
        true
    }
}

/// The tunnel that a management socket is for, if that is there, and the peer's id for it. `peer` is where the
/// peer is.
pub(crate) fn tunnel<'a, K: Known>(
    tunnels: &'a BTreeMap<u16, K>,
    config: &TunnelConfig,
    peer: SocketAddr,
    is_ours: &dyn Fn(&K) -> bool,
) -> Result<(Option<&'a K>, u16)> {
    let id = config.tunnel_id;
    let request = Connect { s_tunnel: id, d_tunnel: config.peer_tunnel_id, ..Connect::default() };
    let accepted = rules::connect(&request, &Facts { tunnels, is_ours: Some(is_ours) });
    let (existing, peer_id) = match accepted.map_err(|errno| no_tunnel(errno, id))? {
        Accepted::Management { existing, peer_tunnel, .. } => (existing, peer_tunnel),
        Accepted::Session { .. } => return Err(Errno::Inval.into()),
    };
    let known = tunnels.get(&id).filter(|_| existing);
    if let Some(other) = known.map(Known::peer).filter(|other| *other != peer) {
        return Err(Error::new(Errno::Inval, format!("tunnel {id} has the peer {other}, not {peer}")));
    }
    Ok((known, peer_id))
}

/// The tunnel of a session, and the peer's id for it.
pub(crate) fn session<'a, K: Known>(tunnels: &'a BTreeMap<u16, K>, ids: &SessionIds) -> Result<(&'a K, u16)> {
    let explain = |errno| no_session(errno, ids);
    if ids.session_id == 0 && ids.peer_session_id == 0 {
        // Without session ids it would be a management socket, which is made from a UDP socket.
        return Err(explain(Errno::Inval));
    }
    let request = Connect {
        s_tunnel: ids.tunnel_id,
        s_session: ids.session_id,
        d_tunnel: ids.peer_tunnel_id,
        d_session: ids.peer_session_id,
        ..Connect::default()
    };
    match rules::connect(&request, &Facts { tunnels, is_ours: None }).map_err(explain)? {
        Accepted::Session { peer_tunnel, .. } => {
            let known = tunnels.get(&ids.tunnel_id).ok_or_else(|| explain(Errno::NoEnt))?;
            Ok((known, peer_tunnel))
        }
        Accepted::Management { .. } => Err(explain(Errno::Inval)),
    }
}

fn no_tunnel(errno: Errno, id: u16) -> Error {
    match errno {
        Errno::Inval => Error::new(errno, format!("tunnel id {id} is not one: ids are 1 to 65535")),
        Errno::Exist => Error::new(
            errno,
            format!("tunnel id {id} belongs to a tunnel of another UDP socket; take another id"),
        ),
        errno => errno.into(),
    }
}

fn no_session(errno: Errno, ids: &SessionIds) -> Error {
    let SessionIds { tunnel_id, session_id, peer_session_id, .. } = *ids;
    match errno {
        Errno::Inval => {
            let message = format!(
                "tunnel {tunnel_id} and session ids {session_id} (ours) and {peer_session_id} (the peer's) have to be 1 to 65535"
            );
            Error::new(errno, message)
        }
        Errno::NoEnt => Error::new(
            errno,
            format!("there is no tunnel {tunnel_id}; make it first with a management socket"),
        ),
        Errno::Exist => Error::new(
            errno,
            format!("tunnel {tunnel_id} has a session {session_id} already; take another id"),
        ),
        errno => errno.into(),
    }
}
