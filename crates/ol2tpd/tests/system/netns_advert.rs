//! IPv6 addresses by Router Advertisements, through real sessions.
//!
//! ```text
//!   server: lns%d or one shared interface ══ L2TP over loopback ══ client: ppp%d, one for each session
//! ```

use std::fs;
use std::net::{IpAddr, Ipv6Addr, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;

use l2tp_data::time::Instant;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use ol2tpd::advert::host::Lifetimes;
use ol2tpd::advert::message::PrefixInformation;
use ol2tpd::advert::{Advertisement, Advertiser, Host, Link, deafen, prepare_host, prepare_router};
use pppol2tp::netlink::{Netlink, Notice, Notices};
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

/// The client's end of a session.
struct Client {
    unit: Box<dyn Unit>,
    host: Host,
    socket: Advertiser,
    netlink: Netlink,
}

impl Client {
    /// It comes up with [`start`](Self::start).
    fn new(end: &End, n: u16) -> Self {
        let unit = own(end, n, "ppp%d");
        prepare_host(&unit.interface()).unwrap();
        let (socket, netlink) = (Advertiser::open().unwrap(), Netlink::open().unwrap());
        Self { unit, host: Host::new(seconds(0), client(n)), socket, netlink }
    }

    /// Comes up, and waits until the kernel takes packets to its address.
    fn start(&self, n: u16) {
        let mut notices = Notices::open().unwrap();
        let address = IpAddr::V6(client(n));
        self.unit.set_up(true).unwrap();
        self.unit.add_address(Prefix { address, len: 64 }, None).unwrap();
        let taken =
            |notice| matches!(notice, Notice::Route(route) if route.destination == Prefix::host(address));
        loop {
            assert!(readable(&notices), "the kernel never takes packets to {address}");
            while let Some(notice) = notices.recv().unwrap() {
                if taken(notice) {
                    return;
                }
            }
        }
    }

    fn solicit(&mut self) {
        let now = self.host.poll_timeout().unwrap();
        let mut sent = false;
        self.host.handle_timeout(now, || {
            sent = self.socket.solicit(self.unit.index()).is_ok();
            Ok(())
        });
        assert!(sent);
    }

    /// Takes what is advertised at its interface until it has these addresses.
    fn hear_until(&mut self, now: Instant, wanted: &[(Ipv6Addr, bool)]) {
        let mut heard = Vec::new();
        while self.addresses() != wanted {
            assert!(readable(self.socket.poll_fd()), "{:?} instead of {wanted:?}", self.addresses());
            self.socket.handle_readable(now, &mut heard);
            for (_, told) in heard.drain(..).filter(|(index, _)| *index == self.unit.index()) {
                assert!(self.host.hears(now));
                for Lifetimes { address, valid, preferred } in self.host.take(now, &told.prefixes, |_| true) {
                    self.netlink.add_address_for(self.unit.index(), address, valid, preferred).unwrap();
                }
            }
        }
    }

    /// Its IPv6 addresses, and whether each is deprecated.
    fn addresses(&self) -> Vec<(Ipv6Addr, bool)> {
        addresses(&self.netlink, self.unit.index())
    }
}

fn addresses(netlink: &Netlink, index: u32) -> Vec<(Ipv6Addr, bool)> {
    let all = netlink.ipv6_addresses(index).unwrap().into_iter();
    let mut found: Vec<_> = all
        .filter_map(|address| match address.prefix.address {
            IpAddr::V6(ip) => Some((ip, address.deprecated)),
            IpAddr::V4(_) => None,
        })
        .collect();
    found.sort();
    found
}

fn readable(fd: impl AsFd) -> bool {
    poll(&mut [PollFd::new(fd.as_fd(), PollFlags::POLLIN)], PollTimeout::from(10_000u16)).unwrap() == 1
}

/// Takes solicitations until an advertisement is planned sooner than it was.
fn await_solicitation(advertiser: &mut Advertiser, now: Instant) {
    let planned = advertiser.poll_timeout();
    while advertiser.poll_timeout() == planned {
        assert!(readable(advertiser.poll_fd()), "the client solicits");
        advertiser.handle_readable(now, &mut Vec::new());
    }
}

#[test]
fn a_client_that_solicits_gets_an_address() {
    in_netns(|| {
        let [server, peer] = ends();
        let mut advertiser = Advertiser::open().unwrap();
        let (lns, mut ppp) = (server_unit(&server, 1), Client::new(&peer, 1));
        // The first advertisement finds nobody.
        advertiser.add(seconds(0), 7, Link { index: lns.index(), peer: None }, advertisement(1));
        assert_eq!(advertiser.poll_timeout(), Some(seconds(1)));
        advertiser.handle_timeout(seconds(1));
        assert_eq!(advertiser.poll_timeout(), Some(seconds(17)));
        ppp.start(1);
        ppp.solicit();
        await_solicitation(&mut advertiser, seconds(5));
        let due = advertiser.poll_timeout().unwrap();
        assert!(due >= seconds(5) && due.since(seconds(5)) <= Duration::from_millis(500), "{due}");
        let before = ppp.netlink.routes(true).unwrap();
        advertiser.handle_timeout(due);
        let own = (client(1), false);
        ppp.hear_until(due, &[(global(1), false), own]);
        // There is no route to the prefix, nor one by default.
        assert_eq!(ppp.netlink.routes(true).unwrap(), before);
        // The end is told.
        advertiser.remove(7);
        assert_eq!(advertiser.poll_timeout(), None);
        ppp.hear_until(due, &[(global(1), true), own]);
    });
}

#[test]
fn the_first_advertisement_is_not_asked_for() {
    in_netns(|| {
        let [server, peer] = ends();
        let (lns, mut ppp) = (server_unit(&server, 1), Client::new(&peer, 1));
        let mut advertiser = Advertiser::open().unwrap();
        ppp.start(1);
        ppp.solicit();
        assert!(readable(advertiser.poll_fd()), "the client is up when it solicits");
        advertiser.add(seconds(0), 1, Link { index: lns.index(), peer: None }, advertisement(1));
        advertiser.handle_timeout(seconds(1));
        ppp.hear_until(seconds(1), &[(global(1), false), (client(1), false)]);
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
        let mut clients: Vec<_> = (1..=SESSIONS).map(|n| Client::new(&peer, n)).collect();
        for n in 1..=SESSIONS {
            let link = Link { index: shared.index(), peer: Some(client(n)) };
            advertiser.add(seconds(0), n.into(), link, advertisement(n));
        }
        advertiser.handle_timeout(seconds(1));
        // The second alone solicits, and it alone is answered.
        clients[1].start(2);
        clients[1].solicit();
        await_solicitation(&mut advertiser, seconds(5));
        advertiser.handle_timeout(seconds(6));
        clients[1].hear_until(seconds(6), &[(global(2), false), (client(2), false)]);
        clients[0].start(1);
        clients[0].solicit();
        await_solicitation(&mut advertiser, seconds(9));
        advertiser.handle_timeout(seconds(10));
        clients[0].hear_until(seconds(10), &[(global(1), false), (client(1), false)]);
        assert_eq!(clients[1].addresses().len(), 2, "its neighbour's is not for it");
        drop(units);
    });
}

#[test]
fn what_the_kernel_has_taken_on_an_interface_of_others_is_taken_back() {
    in_netns(|| {
        let [server, peer] = ends();
        let netlink = Netlink::open().unwrap();
        let mut notices = Notices::open().unwrap();
        let mut advertiser = Advertiser::open().unwrap();
        let (lns, unit) = (server_unit(&server, 1), own(&peer, 1, "ppp%d"));
        let (name, index) = (unit.interface(), unit.index());
        // As an interface is on most machines.
        for (key, value) in [("accept_ra", "2"), ("autoconf", "1"), ("addr_gen_mode", "1")] {
            fs::write(format!("/proc/sys/net/ipv6/conf/{name}/{key}"), value).unwrap();
        }
        unit.set_up(true).unwrap();
        unit.add_address(Prefix { address: client(1).into(), len: 64 }, None).unwrap();
        assert!(readable(advertiser.poll_fd()), "the kernel solicits");
        let mut hostile = advertisement(1);
        hostile.prefixes[0].on_link = true;
        hostile.prefixes.push(PrefixInformation { len: 16, ..hostile.prefixes[0] });
        advertiser.add(seconds(0), 1, Link { index: lns.index(), peer: None }, hostile);
        advertiser.handle_timeout(seconds(1));
        let captures = |len| {
            let routes = netlink.routes(true).unwrap();
            routes.iter().any(|route| route.index == Some(index) && route.destination.len == len)
        };
        while addresses(&netlink, index).len() < 2 || !captures(16) {
            assert!(readable(&notices), "the kernel takes what is advertised");
            while notices.recv().unwrap().is_some() {}
        }
        deafen(&netlink, index, &name).unwrap();
        assert_eq!(addresses(&netlink, index), [(client(1), false)]);
        assert!(!captures(16) && captures(64), "its own fe80::/64 stays");
        // Nor does it take anything again.
        let mut heard = Vec::new();
        let mut ear = Advertiser::open().unwrap();
        advertiser.handle_timeout(seconds(20));
        while heard.is_empty() {
            assert!(readable(ear.poll_fd()));
            ear.handle_readable(seconds(20), &mut heard);
        }
        assert_eq!(addresses(&netlink, index), [(client(1), false)]);
        assert!(!captures(16));
    });
}

#[test]
fn an_interface_without_ipv6_is_an_error_in_words() {
    in_netns(|| {
        let error = prepare_host("nothing").unwrap_err().to_string();
        assert!(error.contains("IPv6 on nothing: ") && error.contains("(ipv6 = false)"), "{error}");
    });
}
