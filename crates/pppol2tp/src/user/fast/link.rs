//! How a peer is reached.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkInfo, LinkLayerType, LinkMessage};

use super::super::state::{Tunnel, Udp};
use super::Why;
use super::policy;
use crate::netlink::{Netlink, RouteKind};
use crate::sys;

/// SO_NETNS_COOKIE of asm-generic/socket.h.
const SO_NETNS_COOKIE: i32 = 71;
/// IFLA_PARENT_DEV_BUS_NAME of linux/if_link.h.
const PARENT_BUS: u16 = 57;

/// The way to a peer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in super::super) struct Path {
    /// The interface.
    pub(super) outer: u32,
    /// Our address.
    pub(super) local: IpAddr,
    /// What is sent over it is finished before anyone receives it: it is a wire, or ends at one.
    pub(super) wire: bool,
    /// SO_MARK, TTL or hop limit, and type of service of what the socket sends.
    pub(super) mark: u32,
    pub(super) hops: u8,
    pub(super) service: u8,
}

/// Finds the way to a tunnel's peer.
///
/// Errors: why its frames cannot go fast.
pub(in super::super) fn path(netlink: &Netlink, tunnel: &Tunnel, udp: &Udp) -> Result<Path, Why> {
    let failed = |error: std::io::Error| Why(format!("looking for the way to {}: {error}", tunnel.peer));
    let fd = udp.fd();
    let any = if tunnel.peer.is_ipv4() { IpAddr::from([0; 4]) } else { IpAddr::from([0; 16]) };
    let bound = (!udp.local.ip().is_unspecified()).then_some(udp.local.ip());
    let local = tunnel.local.or(bound).filter(|ip| ip.is_ipv4() == tunnel.peer.is_ipv4());
    let probe = UdpSocket::bind((local.unwrap_or(any), 0)).map_err(failed)?;
    if option(fd, libc::SOL_SOCKET, SO_NETNS_COOKIE)
        != option(probe.as_fd(), libc::SOL_SOCKET, SO_NETNS_COOKIE)
    {
        return Err("the UDP socket is of another network namespace than the interface".into());
    }
    policy::none_for(tunnel.peer.ip())?;
    let bound = option(fd, libc::SOL_SOCKET, libc::SO_BINDTOIFINDEX).cast_unsigned();
    let scope = match tunnel.peer {
        SocketAddr::V4(_) => 0,
        SocketAddr::V6(peer) => peer.scope_id(),
    };
    let mark = option(fd, libc::SOL_SOCKET, libc::SO_MARK).cast_unsigned();
    let wanted = [bound, scope].into_iter().find(|index| *index != 0);
    // As the socket would choose an address.
    let like = [(libc::SO_MARK, mark), (libc::SO_BINDTOIFINDEX, wanted.unwrap_or(0))];
    for (name, value) in like.into_iter().filter(|(_, value)| *value != 0) {
        sys::set_option(probe.as_fd(), libc::SOL_SOCKET, name, value.cast_signed()).map_err(failed)?;
    }
    probe.connect(tunnel.peer).map_err(failed)?;
    let local = probe.local_addr().map_err(failed)?.ip().to_canonical();
    let way = netlink.way_of(tunnel.peer.ip(), local, mark, wanted).map_err(failed)?;
    let index = match (way.kind, way.index) {
        (RouteKind::Unicast | RouteKind::Local, Some(index)) => index,
        _ => return Err(format!("packets to {} leave by no interface", tunnel.peer).into()),
    };
    let wire = is_wire(netlink, index)?;
    let (hops, service) = if tunnel.peer.is_ipv4() {
        (option(fd, libc::SOL_IP, libc::IP_TTL), option(fd, libc::SOL_IP, libc::IP_TOS))
    } else {
        (option(fd, libc::SOL_IPV6, libc::IPV6_UNICAST_HOPS), option(fd, libc::SOL_IPV6, libc::IPV6_TCLASS))
    };
    Ok(Path {
        outer: index,
        local,
        wire,
        mark,
        hops: if hops > 0 { hops as u8 } else { 64 },
        service: service.max(0) as u8,
    })
}

/// An option's value, 0 if it has none.
fn option(fd: BorrowedFd<'_>, level: i32, name: i32) -> i32 {
    sys::get_option(fd, level, name).unwrap_or(0)
}

/// Whether what an interface sends leaves this machine by it, finished. A virtual link hands it to someone else here, checksums and
/// super-packets as they are.
fn is_wire(netlink: &Netlink, index: u32) -> Result<bool, Why> {
    let mut message = LinkMessage::default();
    message.header.index = index;
    let answers = netlink
        .query(RouteNetlinkMessage::GetLink(message), 0)
        .map_err(|error| Why(format!("asking for interface {index}: {error}")))?;
    let link = answers.into_iter().find_map(|answer| match answer {
        RouteNetlinkMessage::NewLink(link) => Some(link),
        _ => None,
    });
    let link = link.ok_or_else(|| Why(format!("interface {index} has gone")))?;
    let name = link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => Some(name.clone()),
        _ => None,
    });
    let name = name.unwrap_or_default();
    if !matches!(link.header.link_layer_type, LinkLayerType::Ether | LinkLayerType::Loopback) {
        return Err(format!("{name} is no Ethernet").into());
    }
    let is_virtual = link.attributes.iter().any(|attribute| match attribute {
        LinkAttribute::LinkInfo(infos) => infos.iter().any(|info| matches!(info, LinkInfo::Kind(_))),
        _ => false,
    });
    let bus = link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Other(nla) => {
            use netlink_packet_core::Nla;
            (nla.kind() == PARENT_BUS).then(|| {
                let mut value = vec![0; nla.value_len()];
                nla.emit_value(&mut value);
                value
            })
        }
        _ => None,
    });
    let emulated = bus.is_none_or(|bus| {
        let name: &[u8] = bus.split(|byte| *byte == 0).next().unwrap_or_default();
        [&b"virtio"[..], b"vmbus", b"xen"].contains(&name)
    });
    Ok(!is_virtual && !emulated)
}
