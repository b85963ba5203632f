//! IPv6 addresses by Router Advertisements, through real sessions to the kernel's own SLAAC.
//!
//! ```text
//!   server: lns%d or one shared interface ══ L2TP over loopback ══ client: ppp%d, one for each session
//! ```

use std::net::{IpAddr, Ipv6Addr, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;

use l2tp_data::time::Instant;
use netlink_packet_core::NLM_F_DUMP;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use ol2tpd::advert::{Advertisement, Advertiser, Link, prepare_host, prepare_router};
use pppol2tp::netlink::{Netlink, Notices};
use pppol2tp::user::{Config, UserDriver};
use pppol2tp::*;

use crate::netns::{in_netns, prefix};

const SERVER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

/// The client's link-local address in session `n`.
fn client(n: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0xa, 0, 0, n)
}

/// The address that the client of session `n` gets.
fn global(n: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, n, 0xa, 0, 0, n)
}

fn advertisement(n: u16) -> Advertisement {
    let prefix = Prefix { address: Ipv6Addr::new(0x2001, 0xdb8, 0, n, 0, 0, 0, 0).into(), len: 64 };
    Advertisement::new(Some(prefix), Some(1400), &[])
}

fn seconds(seconds: u64) -> Instant {
    Instant::from_micros(seconds * 1_000_000)
}

/// An end of a tunnel with `SESSIONS` sessions, none bound yet.
struct End {
    sessions: Vec<Box<dyn SessionSocket>>,
    _tunnel: Box<dyn TunnelSocket>,
    _handle: Box<dyn UdpHandle>,
    driver: UserDriver,
}

const SESSIONS: u16 = 2;

fn ends() -> [End; 2] {
    let sockets = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    let addresses = [0, 1].map(|n: usize| sockets[n].local_addr().unwrap());
    let mut n = 0;
    sockets.map(|socket| {
        let (tunnel_id, peer_tunnel_id) = (n + 1, 2 - n);
        let driver = UserDriver::new(Config::default()).unwrap();
        let handle = driver.attach(socket).unwrap();
        let peer = addresses[usize::from(1 - n)];
        let config = TunnelConfig { tunnel_id, peer_tunnel_id, peer, local: None, accept_zero_id: false };
        let tunnel = handle.tunnel(config).unwrap();
        let sessions = (1..=SESSIONS)
            .map(|id| SessionIds { tunnel_id, session_id: id, peer_tunnel_id, peer_session_id: id })
            .map(|ids| driver.session(ids).unwrap())
            .collect();
        n += 1;
        End { sessions, _tunnel: tunnel, _handle: handle, driver }
    })
}

/// The server's interface for session `n`, up.
fn server_unit(end: &End, n: u16) -> Box<dyn Unit> {
    let unit = own(end, n, "lns%d");
    prepare_router(&unit.interface()).unwrap();
    unit.set_up(true).unwrap();
    unit.add_address(Prefix { address: SERVER.into(), len: 64 }, None).unwrap();
    unit
}

fn own(end: &End, n: u16, name: &str) -> Box<dyn Unit> {
    let config = UnitConfig { interface: Interface::Own { name: name.into() }, ..UnitConfig::default() };
    end.sessions[usize::from(n - 1)].unit(config).unwrap()
}

/// The client's interface for session `n`; it comes up with [`start_client`].
fn client_unit(end: &End, n: u16) -> Box<dyn Unit> {
    let unit = own(end, n, "ppp%d");
    prepare_host(&unit.interface()).unwrap();
    unit
}

fn start_client(unit: &dyn Unit, n: u16) {
    unit.set_up(true).unwrap();
    unit.add_address(Prefix { address: client(n).into(), len: 64 }, None).unwrap();
}

/// The IPv6 addresses of an interface, and whether each is deprecated.
fn addresses(netlink: &Netlink, index: u32) -> Vec<(Ipv6Addr, bool)> {
    let mut message = AddressMessage::default();
    message.header.family = AddressFamily::Inet6;
    let answers = netlink.query(RouteNetlinkMessage::GetAddress(message), NLM_F_DUMP).unwrap();
    let address = |message: &AddressMessage| {
        let deprecated = message.attributes.iter().any(|attribute| {
            matches!(attribute, AddressAttribute::Flags(flags) if flags.contains(AddressFlags::Deprecated))
        });
        message.attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Address(IpAddr::V6(ip)) => Some((*ip, deprecated)),
            _ => None,
        })
    };
    let mut found: Vec<_> = answers
        .iter()
        .filter_map(|answer| match answer {
            RouteNetlinkMessage::NewAddress(message) if message.header.index == index => address(message),
            _ => None,
        })
        .collect();
    found.sort();
    found
}

/// Waits until an interface has these addresses.
fn await_addresses(notices: &mut Notices, netlink: &Netlink, index: u32, wanted: &[(Ipv6Addr, bool)]) {
    loop {
        while notices.recv().unwrap().is_some() {}
        let found = addresses(netlink, index);
        if found == wanted {
            return;
        }
        assert!(readable(&*notices), "{found:?} instead of {wanted:?}");
    }
}

fn readable(fd: impl AsFd) -> bool {
    poll(&mut [PollFd::new(fd.as_fd(), PollFlags::POLLIN)], PollTimeout::from(10_000u16)).unwrap() == 1
}

/// Takes solicitations until an advertisement is planned sooner than it was.
fn await_solicitation(advertiser: &mut Advertiser, now: Instant) {
    let planned = advertiser.poll_timeout();
    while advertiser.poll_timeout() == planned {
        assert!(readable(advertiser.poll_fd()), "the kernel solicits");
        advertiser.handle_readable(now);
    }
}

#[test]
fn a_client_that_solicits_gets_an_address() {
    in_netns(|| {
        let [server, peer] = ends();
        let netlink = Netlink::open().unwrap();
        let mut notices = Notices::open().unwrap();
        let mut advertiser = Advertiser::open().unwrap();
        let (lns, ppp) = (server_unit(&server, 1), client_unit(&peer, 1));
        // The first advertisement finds nobody.
        advertiser.add(seconds(0), 7, Link { index: lns.index(), peer: None }, advertisement(1));
        assert_eq!(advertiser.poll_timeout(), Some(seconds(1)));
        advertiser.handle_timeout(seconds(1));
        assert_eq!(advertiser.poll_timeout(), Some(seconds(17)));
        start_client(&*ppp, 1);
        await_solicitation(&mut advertiser, seconds(5));
        let due = advertiser.poll_timeout().unwrap();
        assert!(due >= seconds(5) && due.since(seconds(5)) <= Duration::from_millis(500), "{due}");
        advertiser.handle_timeout(due);
        let [own, given] = [(client(1), false), (global(1), false)];
        await_addresses(&mut notices, &netlink, ppp.index(), &[given, own]);
        // The kernel took neither a default route nor one to the prefix.
        let routes = netlink.routes(true).unwrap();
        assert!(!routes.iter().any(|route| route.destination.len == 0), "{routes:?}");
        // The end is told.
        advertiser.remove(7);
        assert_eq!(advertiser.poll_timeout(), None);
        await_addresses(&mut notices, &netlink, ppp.index(), &[(global(1), true), own]);
    });
}

#[test]
fn the_first_advertisement_is_not_asked_for() {
    in_netns(|| {
        let [server, peer] = ends();
        let netlink = Netlink::open().unwrap();
        let mut notices = Notices::open().unwrap();
        let (lns, ppp) = (server_unit(&server, 1), client_unit(&peer, 1));
        let mut advertiser = Advertiser::open().unwrap();
        start_client(&*ppp, 1);
        assert!(readable(advertiser.poll_fd()), "the client is up when it solicits");
        advertiser.add(seconds(0), 1, Link { index: lns.index(), peer: None }, advertisement(1));
        advertiser.handle_timeout(seconds(1));
        await_addresses(&mut notices, &netlink, ppp.index(), &[(global(1), false), (client(1), false)]);
        // An interface that has gone is no problem.
        drop(lns);
        advertiser.handle_timeout(seconds(16));
        advertiser.remove(1);
    });
}

#[test]
fn sessions_of_a_shared_interface_have_a_prefix_each() {
    in_netns(|| {
        let [server, peer] = ends();
        let netlink = Netlink::open().unwrap();
        let mut notices = Notices::open().unwrap();
        let mut advertiser = Advertiser::open().unwrap();
        let shared = server.driver.shared_interface(SharedConfig { name: "lns".into(), mtu: 1400 }).unwrap();
        prepare_router("lns").unwrap();
        shared.add_address(Prefix { address: SERVER.into(), len: 64 }).unwrap();
        let units: Vec<_> = (1..=SESSIONS)
            .map(|n| {
                let addresses = vec![Prefix::host(client(n).into()), prefix(&format!("2001:db8:0:{n}::/64"))];
                let interface = Interface::Shared { name: "lns".into(), addresses };
                let config = UnitConfig { interface, ..UnitConfig::default() };
                server.sessions[usize::from(n - 1)].unit(config).unwrap()
            })
            .collect();
        let clients: Vec<_> = (1..=SESSIONS).map(|n| client_unit(&peer, n)).collect();
        for n in 1..=SESSIONS {
            let link = Link { index: shared.index(), peer: Some(client(n)) };
            advertiser.add(seconds(0), n.into(), link, advertisement(n));
        }
        advertiser.handle_timeout(seconds(1));
        // The second alone solicits, and it alone is answered.
        start_client(&*clients[1], 2);
        await_solicitation(&mut advertiser, seconds(5));
        advertiser.handle_timeout(seconds(6));
        await_addresses(
            &mut notices,
            &netlink,
            clients[1].index(),
            &[(global(2), false), (client(2), false)],
        );
        start_client(&*clients[0], 1);
        await_solicitation(&mut advertiser, seconds(9));
        advertiser.handle_timeout(seconds(10));
        await_addresses(
            &mut notices,
            &netlink,
            clients[0].index(),
            &[(global(1), false), (client(1), false)],
        );
        assert_eq!(addresses(&netlink, clients[1].index()).len(), 2, "its neighbour's is not for it");
        drop(units);
    });
}

#[test]
fn an_interface_without_ipv6_is_an_error_in_words() {
    in_netns(|| {
        let error = prepare_host("nothing").unwrap_err().to_string();
        assert!(error.contains("IPv6 on nothing: ") && error.contains("(ipv6 = false)"), "{error}");
    });
}
