//! Interfaces and the path: MTU, an interface that disappears, a session that ends.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::LinkMessage;
use nix::net::if_::if_nametoindex;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use ol2tp::bed::{Bed, LEFT, LEFT6, RIGHT, RIGHT6, Space};
use pppol2tp::netlink::Netlink;
use pppol2tp::user::{Config, Mode, UserDriver};
use pppol2tp::{Driver, Errno, Interface, Prefix, SessionIds, TunnelConfig, UnitConfig};

use crate::ends::{End, pair, pattern, tcp_both_ways};

fn readable(fd: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::new(fd, PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::from(10_000u16)).unwrap() == 1
}

/// Index of an interface, if it is there.
fn index(space: &Space, name: &str) -> Option<u32> {
    space.enter(|| Ok(if_nametoindex(name).ok())).unwrap()
}

/// MTU of a unit between two addresses over a veth of 1500 bytes.
fn mtu(local: IpAddr, peer: IpAddr, config: UnitConfig) -> u16 {
    let bed = Bed::new().unwrap();
    bed.left
        .enter(|| {
            let driver = UserDriver::new(Config::default()).unwrap();
            let socket = UdpSocket::bind((local, 0))?;
            let udp = driver.attach(socket).unwrap();
            let peer = (peer, 1701).into();
            let config_ =
                TunnelConfig { tunnel_id: 1, peer_tunnel_id: 1, peer, local: None, accept_zero_id: false };
            let _tunnel = udp.tunnel(config_).unwrap();
            let ids = SessionIds { tunnel_id: 1, session_id: 1, peer_tunnel_id: 1, peer_session_id: 1 };
            let session = driver.session(ids).unwrap();
            let unit = session.unit(config).unwrap();
            let name = unit.interface();
            let mtu = std::fs::read_to_string(format!("/proc/sys/net/ipv6/conf/{name}/mtu"))?;
            assert_eq!(mtu.trim().parse(), Ok(unit.mtu()), "the interface has the MTU that the unit says");
            Ok(unit.mtu())
        })
        .unwrap()
}

#[test]
fn mtu_leaves_room_for_the_long_header() {
    assert_eq!(mtu(LEFT.into(), RIGHT.into(), UnitConfig::default()), 1500 - 20 - 8 - 10 - 4);
    assert_eq!(mtu(LEFT6.into(), RIGHT6.into(), UnitConfig::default()), 1500 - 40 - 8 - 10 - 4);
}

#[test]
fn mtu_is_not_above_the_mru_nor_the_configuration() {
    let config = UnitConfig { mru: Some(1400), ..UnitConfig::default() };
    assert_eq!(mtu(LEFT.into(), RIGHT.into(), config), 1400);
    let config = UnitConfig { mtu: Some(1300), mru: Some(1400), ..UnitConfig::default() };
    assert_eq!(mtu(LEFT.into(), RIGHT.into(), config), 1300);
    let config = UnitConfig { mtu: Some(9000), ..UnitConfig::default() };
    assert_eq!(mtu(LEFT.into(), RIGHT.into(), config), 1458);
}

/// Two ends with a router between them, whose second link carries 1400 bytes only.
fn over_a_narrow_link() -> (End, End, Space) {
    let (left, router, right) = (Space::new().unwrap(), Space::new().unwrap(), Space::new().unwrap());
    left.join("up", &router, "left").unwrap();
    router.join("right", &right, "up").unwrap();
    let address = |c, d| IpAddr::from([192, 0, c, d]);
    let all = Prefix { address: address(0, 0), len: 16 };
    let links = [
        (&left, "up", address(2, 1), 1500, true),
        (&router, "left", address(2, 2), 1500, false),
        (&router, "right", address(3, 2), 1400, false),
        (&right, "up", address(3, 1), 1400, true),
    ];
    for (space, name, address, mtu, edge) in links {
        space
            .enter(|| {
                let (netlink, index) = (Netlink::open()?, if_nametoindex(name)?);
                netlink.set_mtu(index, mtu)?;
                netlink.add_address(index, Prefix { address, len: 24 }, None)?;
                netlink.set_up(index, true)?;
                std::fs::write("/proc/sys/net/ipv4/ip_forward", "1")?;
                // The router answers ARP for whatever is behind it.
                std::fs::write(format!("/proc/sys/net/ipv4/conf/{name}/proxy_arp"), "1")?;
                if edge { netlink.add_route(index, all) } else { Ok(()) }
            })
            .unwrap();
    }
    let one = left.enter(|| UdpSocket::bind((address(2, 1), 1701))).unwrap();
    let two = right.enter(|| UdpSocket::bind((address(3, 1), 1701))).unwrap();
    one.connect((address(3, 1), 1701)).unwrap();
    two.connect((address(2, 1), 1701)).unwrap();
    (End::new(1, one, Mode::OFFLOAD, None), End::new(2, two, Mode::OFFLOAD, None), router)
}

#[test]
fn the_mtu_follows_what_path_mtu_discovery_learns() {
    let (one, two, _router) = over_a_narrow_link();
    assert_eq!((one.unit.mtu(), two.unit.mtu()), (1458, 1400 - 42));
    // Too large for the second link with its headers: the router says so by ICMP.
    let sender = one.space.enter(|| UdpSocket::bind((one.v4, 0))).unwrap();
    let end = Instant::now() + Duration::from_secs(10);
    sender.send_to(&[0; 1400], (two.v4, 9)).unwrap();
    while one.unit.mtu() != 1400 - 42 {
        assert!(Instant::now() < end, "the MTU is still {}", one.unit.mtu());
        std::thread::yield_now();
    }
    tcp_both_ways(&one, &two, two.v4, &pattern(4 << 20));
    assert_eq!(one.counter("tx_errors"), 0);
}

#[test]
fn what_is_too_large_for_the_path_is_counted_and_the_rest_goes_on() {
    let bed = Bed::new().unwrap();
    let one = bed.left.enter(|| UdpSocket::bind((LEFT, 1701))).unwrap();
    let two = bed.right.enter(|| UdpSocket::bind((RIGHT, 1701))).unwrap();
    one.connect((RIGHT, 1701)).unwrap();
    two.connect((LEFT, 1701)).unwrap();
    let (one, two) = (End::new(1, one, Mode::OFFLOAD, None), End::new(2, two, Mode::OFFLOAD, None));
    one.udp.set_dont_fragment(true).unwrap();
    one.space.enter(|| Netlink::open()?.set_mtu(one.unit.index(), 4000)).unwrap();
    let receiver = two.space.enter(|| UdpSocket::bind((two.v4, 0))).unwrap();
    receiver.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let sender = one.space.enter(|| UdpSocket::bind((one.v4, 0))).unwrap();
    sender.connect(receiver.local_addr().unwrap()).unwrap();
    let mut buffer = [0; 4000];
    for round in 1..=5 {
        sender.send(&[1; 3000]).unwrap();
        sender.send(&[2; 100]).unwrap();
        assert_eq!(receiver.recv(&mut buffer).unwrap(), 100);
        assert_eq!((one.counter("tx_too_big"), one.counter("tx_errors")), (round, round));
    }
}

#[test]
fn an_interface_that_disappears_is_told_and_the_session_goes_on() {
    let (one, two) = pair(Mode::OFFLOAD);
    let name = two.unit.interface();
    two.space
        .enter(|| {
            let mut link = LinkMessage::default();
            link.header.index = two.unit.index();
            Netlink::open()?.request(RouteNetlinkMessage::DelLink(link), 0)
        })
        .unwrap();
    assert!(readable(two.unit.poll_fd().unwrap()), "the unit is woken");
    assert!(!two.unit.is_alive());
    assert_eq!(index(&two.space, &name), None);
    // What still comes for it is dropped under a name.
    let sender = one.space.enter(|| UdpSocket::bind((one.v4, 0))).unwrap();
    sender.send_to(b"into the void", (two.v4, 9)).unwrap();
    while two.counter("rx_interface") == 0 {
        std::thread::yield_now();
    }
    let mut buffer = [0; 100];
    drop(two.unit);
    one.unit.send(&[0xc0, 0x21, 9, 2, 0, 4]).unwrap();
    let len = two.session.recv_timeout(&mut buffer, Duration::from_secs(10)).unwrap().unwrap();
    assert_eq!(buffer[..len], [0xc0, 0x21, 9, 2, 0, 4]);
    // And it can have a new one.
    let unit = two.space.enter(|| Ok(two.session.unit(UnitConfig::default()).unwrap())).unwrap();
    assert!(index(&two.space, &unit.interface()).is_some());
}

#[test]
fn an_interface_that_is_down_drops_under_a_name_and_comes_back() {
    let (one, two) = pair(Mode::OFFLOAD);
    two.unit.set_up(false).unwrap();
    let sender = one.space.enter(|| UdpSocket::bind((one.v4, 0))).unwrap();
    sender.send_to(b"nobody home", (two.v4, 9)).unwrap();
    let mut buffer = [0; 100];
    one.unit.send(&[0xc0, 0x21, 9, 1, 0, 4]).unwrap();
    two.unit.recv_timeout(&mut buffer, Duration::from_secs(10)).unwrap().unwrap();
    // The packet may be behind the frame, and is refused only when its batch is written.
    let start = Instant::now();
    while two.counter("rx_interface") < 1 && start.elapsed() < Duration::from_secs(10) {
        std::thread::yield_now();
    }
    assert_eq!(two.counter("rx_interface"), 1, "{:?}", two.counters());
    assert_eq!(two.counter("rx_packets"), 2);
    two.unit.set_up(true).unwrap();
    let sender = one.space.enter(|| UdpSocket::bind((one.v4, 0))).unwrap();
    let receiver = two.space.enter(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))).unwrap();
    receiver.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let port = receiver.local_addr().unwrap().port();
    sender.send_to(b"back", (two.v4, port)).unwrap();
    assert_eq!(receiver.recv(&mut buffer).unwrap(), 4);
}

#[test]
fn the_peer_vanishes_and_nothing_stalls() {
    let (one, two) = pair(Mode::OFFLOAD);
    drop(two.udp);
    assert!(readable(two.unit.poll_fd().unwrap()), "the unit is woken");
    assert!(readable(two.session.poll_fd().unwrap()), "the session is woken");
    assert_eq!(two.session.stats().unwrap_err().errno(), Errno::NotConn);
    assert_eq!(two.tunnel.stats(None).unwrap_err().errno(), Errno::BadF);
    // The port is closed now: ICMP says so, is counted, and sending goes on.
    let sender = one.space.enter(|| UdpSocket::bind((one.v4, 0))).unwrap();
    let icmp_errors = || {
        let sockets = one.driver.snapshot().sockets;
        sockets[0].counters.iter().find(|(name, _)| *name == "icmp_errors").unwrap().1
    };
    while icmp_errors() < 3 {
        sender.send_to(b"anybody?", (two.v4, 9)).unwrap();
        std::thread::yield_now();
    }
    assert!(one.unit.is_alive());
    assert_eq!(one.counter("tx_errors"), one.counter("tx_refused"));
}

#[test]
fn units_come_and_go_under_traffic() {
    let (one, two) = pair(Mode::OFFLOAD);
    let bytes = pattern(4 << 20);
    std::thread::scope(|scope| {
        let transfer = scope.spawn(|| tcp_both_ways(&one, &two, two.v4, &bytes));
        let mut made = 0;
        while !transfer.is_finished() || made < 20 {
            let ids = SessionIds { tunnel_id: 2, session_id: 7, peer_tunnel_id: 1, peer_session_id: 7 };
            let session = two.driver.session(ids).unwrap();
            let interface = Interface::Own { name: "tmp%d".into() };
            let unit = two
                .space
                .enter(|| Ok(session.unit(UnitConfig { interface, ..UnitConfig::default() }).unwrap()));
            let unit = unit.unwrap();
            made += 1;
            // Either order.
            if made % 2 == 0 {
                drop(session);
                drop(unit);
            } else {
                drop(unit);
                drop(session);
            }
        }
    });
    one.assert_clean();
    two.assert_clean();
    assert_eq!(two.driver.snapshot().sessions.len(), 1);
}
