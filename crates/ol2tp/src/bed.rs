//! Two network namespaces joined by veth. Nothing but this process holds them: they go with it.
//!
//! ```text
//!   left   192.0.2.1/24 ═══ veth0 ══ veth0 ═══ 192.0.2.2/24   right
//!          2001:db8::1/64                      2001:db8::2/64
//! ```

use std::fs::File;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd;
use std::panic::resume_unwind;
use std::thread;
use std::time::{Duration, Instant};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::link::{InfoData, InfoKind, InfoVeth, LinkAttribute, LinkInfo, LinkMessage};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::net::if_::if_nametoindex;
use nix::sched::{CloneFlags, setns, unshare};
use ol2tpd::usable;
use pppol2tp::Prefix;
use pppol2tp::netlink::Netlink;

use crate::ping::{Requests, ping};

/// Where the left end of the veth is.
pub const LEFT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// Where the right end of the veth is.
pub const RIGHT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
/// The left end's IPv6 address.
pub const LEFT6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
/// The right end's IPv6 address.
pub const RIGHT6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);

/// RT_TABLE_LOCAL.
const LOCAL_TABLE: u8 = 255;
/// Both ends of the veth.
pub const VETH: &str = "veth0";
/// How long the kernel may take to install routes, and to get a link going.
const PATIENCE: Duration = Duration::from_secs(60);

/// A network namespace that lives as long as this value and the processes in it.
#[derive(Debug)]
pub struct Space {
    namespace: File,
}

impl Space {
    /// A new namespace, its loopback interface up.
    ///
    /// Errors: CAP_SYS_ADMIN is missing.
    pub fn new() -> io::Result<Self> {
        let namespace = thread::scope(|scope| {
            let made = scope.spawn(|| {
                unshare(CloneFlags::CLONE_NEWNET)?;
                File::open("/proc/thread-self/ns/net")
            });
            made.join().unwrap_or_else(|panic| resume_unwind(panic))
        })?;
        let space = Self { namespace };
        space.enter(|| Netlink::open()?.set_up(if_nametoindex("lo")?, true))?;
        Ok(space)
    }

    /// Runs `f` in a thread inside the namespace. Sockets and child processes that it makes stay
    /// there.
    pub fn enter<R: Send>(&self, f: impl FnOnce() -> io::Result<R> + Send) -> io::Result<R> {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                setns(&self.namespace, CloneFlags::CLONE_NEWNET)?;
                f()
            });
            inside.join().unwrap_or_else(|panic| resume_unwind(panic))
        })
    }

    /// Joins this namespace and another by a veth; both ends are down and have no address.
    pub fn join(&self, name: &str, other: &Self, other_name: &str) -> io::Result<()> {
        self.enter(|| {
            let mut peer = LinkMessage::default();
            peer.attributes.push(LinkAttribute::IfName(other_name.into()));
            peer.attributes.push(LinkAttribute::NetNsFd(other.namespace.as_raw_fd()));
            let mut link = LinkMessage::default();
            link.attributes.push(LinkAttribute::IfName(name.into()));
            link.attributes.push(LinkAttribute::LinkInfo(vec![
                LinkInfo::Kind(InfoKind::Veth),
                LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
            ]));
            Netlink::open()?.request(RouteNetlinkMessage::NewLink(link), NLM_F_CREATE | NLM_F_EXCL)
        })
    }

    /// Makes every IPv4 address of a prefix one of this namespace's own.
    pub fn own_prefix(&self, prefix: Prefix) -> io::Result<()> {
        self.enter(|| {
            let mut message = RouteMessage::default();
            message.header = RouteHeader {
                address_family: AddressFamily::Inet,
                destination_prefix_length: prefix.len,
                table: LOCAL_TABLE,
                protocol: RouteProtocol::Static,
                scope: RouteScope::Host,
                kind: RouteType::Local,
                ..RouteHeader::default()
            };
            message.attributes.push(RouteAttribute::Destination(RouteAddress::from(prefix.address)));
            message.attributes.push(RouteAttribute::Oif(if_nametoindex("lo")?));
            Netlink::open()?.request(RouteNetlinkMessage::NewRoute(message), NLM_F_CREATE | NLM_F_EXCL)
        })
    }
}

/// Whether an address answers an echo within a second.
fn answers(from: &Space, target: IpAddr) -> io::Result<bool> {
    let once = Requests { count: 1, interval: Duration::ZERO, patience: Duration::from_secs(1) };
    match ping(from, target, once) {
        Ok(ping) => Ok(ping.complete()),
        // Nobody has answered ARP or Neighbour Discovery.
        Err(error) if error.kind() == ErrorKind::HostUnreachable => Ok(false),
        Err(error) => Err(error),
    }
}

/// Two namespaces and the veth between them.
#[derive(Debug)]
pub struct Bed {
    /// The namespace with the addresses [`LEFT`] and [`LEFT6`].
    pub left: Space,
    /// The namespace with the addresses [`RIGHT`] and [`RIGHT6`].
    pub right: Space,
}

impl Bed {
    /// Makes both namespaces and joins them.
    ///
    /// Errors: CAP_SYS_ADMIN or CAP_NET_ADMIN is missing, or the kernel has no veth.
    pub fn new() -> io::Result<Self> {
        let bed = Self { left: Space::new()?, right: Space::new()? };
        bed.left.join(VETH, &bed.right, VETH)?;
        let ends = [(&bed.left, LEFT, LEFT6, RIGHT6), (&bed.right, RIGHT, RIGHT6, LEFT6)];
        for (space, v4, v6, _) in ends {
            space.enter(|| {
                let netlink = Netlink::open()?;
                let index = if_nametoindex(VETH)?;
                netlink.set_up(index, true)?;
                netlink.add_address(index, Prefix { address: IpAddr::V4(v4), len: 24 }, None)?;
                netlink.add_address(index, Prefix { address: IpAddr::V6(v6), len: 64 }, None)
            })?;
        }
        for (space, _, v6, other) in ends {
            space.enter(|| {
                let index = if_nametoindex(VETH)?;
                let usable = usable::wait(index, v6.into(), other.into(), PATIENCE)?;
                if usable { Ok(()) } else { Err(io::Error::other(format!("{VETH}: {v6} is not usable"))) }
            })?;
        }
        // Some time after both ends are up the kernel gives the first one its queue; until then it drops what is
        // sent there, without telling anyone. A busy machine takes seconds for that.
        for right in [IpAddr::V4(RIGHT), IpAddr::V6(RIGHT6)] {
            let end = Instant::now() + PATIENCE;
            while !answers(&bed.left, right)? {
                if Instant::now() >= end {
                    return Err(io::Error::other(format!("{VETH}: {right} does not answer")));
                }
            }
        }
        Ok(bed)
    }
}
