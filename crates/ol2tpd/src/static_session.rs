//! A tunnel with one session and no control protocol: both ends are told the ids, as with
//! `ip l2tp add`.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use pppol2tp::{DebugMask, Driver, Interface, Prefix, SessionIds, SocketOption, TunnelConfig, UnitConfig};
use tracing::warn;

use crate::error::{Doing, Result};
use crate::sockets::{Sockets, udp_socket};
use crate::usable;

/// How long addresses are waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// What makes a static session.
#[derive(Clone, Debug)]
pub struct StaticConfig {
    /// Where the UDP socket is bound.
    pub local: SocketAddr,
    /// Where the peer's is.
    pub peer: SocketAddr,
    /// The four ids.
    pub ids: SessionIds,
    /// The interface's name; `%d` stands for the first free number.
    pub interface: String,
    /// Addresses of the interface, each with the one at the other end.
    pub addresses: Vec<(IpAddr, IpAddr)>,
    /// An upper bound for the interface's MTU in bytes.
    pub mtu: Option<u16>,
    /// Whether the peer's driver has a fast path.
    pub peer_fast: bool,
    /// The session's options.
    pub options: Options,
}

/// The socket options of a session.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// SENDSEQ.
    pub send_seq: bool,
    /// RECVSEQ.
    pub recv_seq: bool,
    /// LNSMODE.
    pub lns_mode: bool,
    /// REORDERTO, of which whole milliseconds count.
    pub reorder_timeout: Duration,
    /// DEBUG, of the tunnel and of the session.
    pub debug: DebugMask,
}

/// Makes the tunnel, the session and its interface, and sets the interface up.
///
/// Errors: the addresses cannot be bound or reached, the driver refuses ids or options, or the
/// interface cannot be made. Whatever had been made is gone then.
pub fn open(driver: &dyn Driver, config: &StaticConfig) -> Result<Sockets> {
    let StaticConfig { local, peer, ids, options, .. } = config;
    let udp =
        driver.attach(udp_socket(*local, *peer)?).doing(|| format!("taking over UDP socket {local}"))?;
    let tunnel = udp
        .tunnel(TunnelConfig {
            tunnel_id: ids.tunnel_id,
            peer_tunnel_id: ids.peer_tunnel_id,
            peer: *peer,
            local: None,
            accept_zero_id: false,
        })
        .doing(|| format!("tunnel {}:{}", ids.tunnel_id, ids.peer_tunnel_id))?;
    if config.peer_fast {
        tunnel.peer_has_fast_path();
    }
    // A session inherits the tunnel's mask when it is connected.
    tunnel
        .set(SocketOption::Debug, options.debug.0.cast_signed())
        .doing(|| format!("tunnel {}: debug", ids.tunnel_id))?;

    let session =
        driver.session(*ids).doing(|| format!("session {}:{}", ids.session_id, ids.peer_session_id))?;
    let reorder_timeout = i32::try_from(options.reorder_timeout.as_millis()).unwrap_or(i32::MAX);
    for (option, value, name) in [
        (SocketOption::RecvSeq, i32::from(options.recv_seq), "recv-seq"),
        (SocketOption::SendSeq, i32::from(options.send_seq), "send-seq"),
        (SocketOption::LnsMode, i32::from(options.lns_mode), "lns"),
        (SocketOption::ReorderTo, reorder_timeout, "reorder-timeout"),
    ] {
        // 0 is what it has.
        if value != 0 {
            session.set(option, value).doing(|| format!("session {}: {name}", ids.session_id))?;
        }
    }

    let interface = Interface::Own { name: config.interface.clone() };
    let unit = session
        .unit(UnitConfig { interface, mtu: config.mtu, ..UnitConfig::default() })
        .doing(|| format!("interface {}", config.interface))?;
    let name = unit.interface();
    // First up: an IPv6 address that was given to an interface while it was down may never get the
    // route to its peer (the kernel's duplicate address detection ends before there is a link).
    unit.set_up(true).doing(|| format!("interface {name}: setting it up"))?;
    for (address, other) in &config.addresses {
        unit.add_address(Prefix::host(*address), Some(*other))
            .doing(|| format!("interface {name}: address {address} peer {other}"))?;
    }
    for (address, other) in &config.addresses {
        let usable = usable::wait(unit.index(), *address, *other, PATIENCE);
        if !usable.doing(|| format!("interface {name}: waiting for its routes"))? {
            warn!("interface {name}: packets from {address} to {other} do not go through it yet");
        }
    }
    Ok(Sockets { udp, units: vec![unit], sessions: vec![session], shared: None, tunnels: vec![tunnel] })
}
