//! A network namespace with interfaces that lead nowhere: the other end of each veth has no address.

use std::net::IpAddr;
use std::panic::resume_unwind;
use std::thread;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{InfoData, InfoKind, InfoVeth, LinkAttribute, LinkInfo, LinkMessage};
use nix::net::if_::if_nametoindex;
use nix::sched::{CloneFlags, unshare};
use pppol2tp::Prefix;
use pppol2tp::netlink::{Netlink, Route};

/// Runs a test in a network namespace of its own, whose loopback interface is up.
pub(crate) fn in_netns<R: Send>(test: impl FnOnce() -> R + Send) -> R {
    let body = || {
        unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace (needs root)");
        Netlink::open().unwrap().set_up(if_nametoindex("lo").unwrap(), true).unwrap();
        test()
    };
    thread::scope(|scope| scope.spawn(body).join().unwrap_or_else(|panic| resume_unwind(panic)))
}

/// An interface that is up, with addresses.
pub(crate) fn interface(netlink: &Netlink, name: &str, addresses: &[&str]) -> u32 {
    let other = format!("{name}-other");
    let mut peer = LinkMessage::default();
    peer.attributes.push(LinkAttribute::IfName(other.clone()));
    let mut link = LinkMessage::default();
    link.attributes.push(LinkAttribute::IfName(name.into()));
    link.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Veth),
        LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
    ]));
    netlink.request(RouteNetlinkMessage::NewLink(link), NLM_F_CREATE | NLM_F_EXCL).unwrap();
    netlink.set_up(if_nametoindex(&*other).unwrap(), true).unwrap();
    let index = if_nametoindex(name).unwrap();
    netlink.set_up(index, true).unwrap();
    for address in addresses {
        netlink.add_address(index, prefix(address), None).unwrap();
    }
    index
}

/// Deletes an interface.
pub(crate) fn delete(netlink: &Netlink, index: u32) {
    let mut link = LinkMessage::default();
    link.header.index = index;
    netlink.request(RouteNetlinkMessage::DelLink(link), 0).unwrap();
}

/// `10.0.0.1/24`.
pub(crate) fn prefix(text: &str) -> Prefix {
    let (address, len) = text.split_once('/').unwrap();
    Prefix { address: address.parse().unwrap(), len: len.parse().unwrap() }
}

/// A route by a router, as a system has it.
pub(crate) fn by(destination: &str, gateway: &str, index: u32, metric: u32) -> Route {
    const STATIC: u8 = 4;
    let gateway = (!gateway.is_empty()).then(|| gateway.parse::<IpAddr>().unwrap());
    Route { gateway, index: Some(index), metric, ..Route::new(prefix(destination), STATIC) }
}
