//! One tunnel with many sessions on one shared interface, without control protocol: what
//! `ol2tp bench sessions` measures.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use pppol2tp::{Driver, Interface, Prefix, SessionIds, SharedConfig, TunnelConfig, UnitConfig};

use crate::error::{Doing, Result};
use crate::sockets::{Sockets, udp_socket};

/// What makes many sessions. Both ends use the same ids: session *n* is *n* at either.
#[derive(Clone, Debug)]
pub struct SharedSessionsConfig {
    /// Where the UDP socket is bound.
    pub local: SocketAddr,
    /// Where the peer's is.
    pub peer: SocketAddr,
    /// The tunnel's id, at both ends.
    pub tunnel_id: u16,
    /// How many sessions, numbered from 1.
    pub sessions: u16,
    /// A /16 in which session *n* has address *n* at the other end.
    pub network: Ipv4Addr,
    /// The shared interface's name.
    pub interface: String,
    /// Its MTU in bytes.
    pub mtu: u16,
    /// Whether the peer's driver has a fast path.
    pub peer_fast: bool,
}

/// Session *n*'s address in the /16 that `network` starts.
pub fn address(network: Ipv4Addr, session: u16) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(network) | u32::from(session))
}

/// Makes the tunnel, its sessions and the interface, and routes the network to the interface.
///
/// Errors: as of [`static_session::open`](crate::static_session::open).
pub fn open(driver: &dyn Driver, config: &SharedSessionsConfig) -> Result<Sockets> {
    let SharedSessionsConfig { local, peer, tunnel_id, .. } = *config;
    let udp = driver.attach(udp_socket(local, peer)?).doing(|| format!("taking over UDP socket {local}"))?;
    let tunnel = udp
        .tunnel(TunnelConfig {
            tunnel_id,
            peer_tunnel_id: tunnel_id,
            peer,
            local: None,
            accept_zero_id: false,
        })
        .doing(|| format!("tunnel {tunnel_id}"))?;
    if config.peer_fast {
        tunnel.peer_has_fast_path();
    }
    let shared = driver
        .shared_interface(SharedConfig { name: config.interface.clone(), mtu: config.mtu })
        .doing(|| format!("shared interface {}", config.interface))?;
    let name = shared.interface();

    let count = usize::from(config.sessions);
    let (mut sessions, mut units) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for id in 1..=config.sessions {
        let ids = SessionIds { tunnel_id, session_id: id, peer_tunnel_id: tunnel_id, peer_session_id: id };
        let session = driver.session(ids).doing(|| format!("session {id}"))?;
        let inner = IpAddr::V4(address(config.network, id));
        let interface = Interface::Shared { name: name.clone(), addresses: vec![Prefix::host(inner)] };
        let unit = session
            .unit(UnitConfig { interface, ..UnitConfig::default() })
            .doing(|| format!("session {id} on interface {name}"))?;
        sessions.push(session);
        units.push(unit);
    }
    let network = Prefix { address: config.network.into(), len: 16 };
    shared.add_route(network).doing(|| format!("route {}/16 to interface {name}", config.network))?;
    Ok(Sockets { udp, units, sessions, shared: Some(shared), tunnels: vec![tunnel] })
}
