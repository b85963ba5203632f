//! Units: interfaces, network packets, and PPP's control frames.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::thread;

use nix::sys::socket::{LinkAddr, recvfrom};
use pppol2tp::data::stats::{Rx, Tx};
use pppol2tp::{Driver, Errno, Prefix, SocketOption, UnitConfig};
use socket2::{Domain, Protocol, Socket, Type};

use crate::bed::*;
use crate::common::{PATIENCE, ipv4, message, receive, udp, wire};
use crate::frames::readable;
use crate::tests;

tests! {
    move_packets_over_ipv4
    move_packets_over_ipv6
    move_packets_with_sequence_numbers
    give_lcp_and_ncp
    give_what_waited_at_the_session
    give_the_session_back
    have_the_mtu_of_the_path
    drop_what_comes_from_other_sources
    take_no_network_protocol_but_ipv4_and_ipv6
    keep_the_last_32_frames
    one_at_a_time
    a_dead_one_is_told_of
}

/// Pings, and TCP both ways, between two namespaces.
fn move_packets(net: &str, sequence: bool) {
    let there = Space::joined();
    let at = |host: u8| format!("{net}{host}").parse::<IpAddr>().expect("an address");
    let local = udp(&SocketAddr::new(at(1), 0).to_string());
    let local_at = local.local_addr().expect("its address");
    let (left, right) = there.enter(|| {
        let remote = udp(&SocketAddr::new(at(2), 0).to_string());
        let remote_at = remote.local_addr().expect("its address");
        (remote_at, End::new(remote, local_at, 2, 1))
    });
    let (left, right) = (End::new(local, left, 1, 2), right);
    if sequence {
        for end in [&left, &right] {
            end.session.set(SocketOption::SendSeq, 1).expect("set");
            end.session.set(SocketOption::RecvSeq, 1).expect("set");
        }
        left.session.set(SocketOption::LnsMode, 1).expect("set");
    }
    let (here, over_there) = units(&left, &right, &there);
    run("ping", "-q -c 3 -i 0.1 -W 5 10.8.0.2");
    run("ping", "-q -c 3 -i 0.1 -W 5 fd08::2");
    there.enter(|| run("ping", "-q -c 3 -i 0.1 -W 5 10.8.0.1"));
    let server = there.enter(|| TcpListener::bind("10.8.0.2:0").expect("bound"));
    let data: Vec<u8> = (0..1_000_000u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
    thread::scope(|scope| {
        let serve = scope.spawn(|| {
            let (mut stream, _) = server.accept().expect("a connection");
            let mut got = vec![0; data.len()];
            stream.read_exact(&mut got).expect("all of it");
            stream.write_all(&got).expect("written");
        });
        let mut stream = TcpStream::connect(server.local_addr().expect("its address")).expect("connected");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        stream.write_all(&data).expect("written");
        let mut got = vec![0; data.len()];
        stream.read_exact(&mut got).expect("all of it");
        assert!(got == data);
        serve.join().expect("served");
    });
    for unit in [&here, &over_there] {
        assert!(unit.is_alive());
    }
    there.enter(|| over_there.set_up(false).expect("down"));
    here.set_up(false).expect("down");
    let stats = [&left, &right].map(|end| end.session.stats().expect("alive"));
    for (sender, receiver) in [(stats[0], stats[1]), (stats[1], stats[0])] {
        assert_eq!(
            (sender.tx(Tx::Packets), sender.tx(Tx::Bytes)),
            (receiver.rx(Rx::Packets), receiver.rx(Rx::Bytes))
        );
        assert_eq!((sender.tx(Tx::Errors), receiver.rx(Rx::Errors)), (0, 0));
        assert!(sender.tx(Tx::Bytes) > 1_000_000);
    }
    let (ours, theirs) = (left.driver.snapshot(), there.enter(|| right.driver.snapshot()));
    let (ours, theirs) = (&ours.sessions[0], &theirs.sessions[0]);
    assert_eq!((ours.ns, ours.nr), (theirs.nr, theirs.ns));
    assert_eq!(ours.ns != 0, sequence);
    assert!(ours.bound && ours.interface.as_deref() == Some("ppp0"));
}

fn move_packets_over_ipv4() {
    move_packets("10.9.0.", false);
}

fn move_packets_over_ipv6() {
    move_packets("fd09::", false);
}

fn move_packets_with_sequence_numbers() {
    move_packets("10.9.0.", true);
}

fn next(unit: &dyn pppol2tp::Unit) -> Vec<u8> {
    let mut buffer = [0; 2000];
    let len = unit.recv_timeout(&mut buffer, PATIENCE).expect("alive").expect("a frame");
    buffer[..len].to_vec()
}

fn give_lcp_and_ncp() {
    let (end, peer) = raw();
    let unit = end.session.unit(UnitConfig::default()).expect("a unit");
    let fd = unit.poll_fd().expect("a descriptor");
    assert!(!readable(fd));
    assert_eq!(unit.recv(&mut [0; 100]), Ok(None));
    let (chap, ipv6cp, xns) =
        (vec![0xc2, 0x23, 1, 1, 0, 4], vec![0x80, 0x57, 1, 1, 0, 4], vec![0, 0x25, 7, 7]);
    for frame in [lcp(1), ipcp(2), chap, ipv6cp, xns] {
        // A protocol that fits in one byte comes in one.
        let sent = if frame[0] == 0 { &frame[1..] } else { &frame };
        peer.send_to(&message(&[2, 1, 10, 0xff03], &[sent, &[0; 4]].concat()), end.local()).expect("sent");
        until("it is readable", || readable(fd));
        assert_eq!(next(&*unit), [frame, vec![0; 4]].concat());
        assert!(!readable(fd));
    }
    let mut buffer = [0; 2000];
    for frame in [lcp(1), ipcp(2)] {
        unit.send(&frame).expect("sent");
        let len = peer.recv(&mut buffer).expect("a message");
        assert_eq!(buffer[..len], message(&[2, 2, 20, 0xff03], &frame));
    }
    // They are the unit's.
    assert_eq!(end.session.recv(&mut buffer).map_err(|error| error.errno()), Err(Errno::Io));
}

fn give_what_waited_at_the_session() {
    let (end, peer) = raw();
    for id in 0..3 {
        peer.send_to(&message(&[2, 1, 10, 0xff03], &lcp(id)), end.local()).expect("sent");
    }
    let fd = end.session.poll_fd().expect("a descriptor");
    until("they wait", || readable(fd));
    let unit = end.session.unit(UnitConfig::default()).expect("a unit");
    assert!(!readable(fd));
    peer.send_to(&message(&[2, 1, 10, 0xff03], &lcp(3)), end.local()).expect("sent");
    assert!(readable(unit.poll_fd().expect("a descriptor")));
    for id in 0..4 {
        assert_eq!(next(&*unit), lcp(id));
    }
    assert!(!readable(unit.poll_fd().expect("a descriptor")));
}

fn give_the_session_back() {
    let (end, peer) = raw();
    let arrives = |frame: &[u8]| {
        peer.send_to(&message(&[2, 1, 10, 0xff03], frame), end.local()).expect("sent");
    };
    for round in 0..3 {
        let unit = end.session.unit(UnitConfig::default()).expect("a unit");
        assert_eq!(unit.interface(), "ppp0");
        arrives(&ipcp(round));
        assert_eq!(next(&*unit), ipcp(round));
        drop(unit);
        assert_eq!(interfaces(), [""; 0]);
        for frame in [lcp(round), ipcp(round)] {
            arrives(&frame);
            assert_eq!(end.recv(), frame);
        }
    }
}

fn have_the_mtu_of_the_path() {
    let there = Space::joined();
    for (local, peer, path) in
        [("10.9.0.1:0", "10.9.0.2:9", 1500 - 42), ("[fd09::1]:0", "[fd09::2]:9", 1500 - 62)]
    {
        let end = End::new(udp(local), peer.parse().expect("an address"), 1, 2);
        let mtu = |config: UnitConfig| {
            let unit = end.session.unit(config).expect("a unit");
            let text = ip(&format!("link show dev {}", unit.interface()));
            assert!(text.contains(&format!("mtu {} ", unit.mtu())), "{text}");
            unit
        };
        assert_eq!(mtu(UnitConfig::default()).mtu(), path);
        assert_eq!(mtu(UnitConfig { mtu: Some(1300), ..UnitConfig::default() }).mtu(), 1300);
        assert_eq!(mtu(UnitConfig { mtu: Some(1400), mru: Some(1350), ..UnitConfig::default() }).mtu(), 1350);
        let unit = mtu(UnitConfig { mtu: Some(1400), ..UnitConfig::default() });
        for (mru, mtu) in [(1390, 1390), (1500, 1400)] {
            unit.set_mru(mru).expect("set");
            assert_eq!(unit.mtu(), mtu);
        }
    }
    drop(there);
}

fn one_at_a_time() {
    let (end, _peer) = raw();
    let unit = end.session.unit(UnitConfig::default()).expect("a unit");
    let second = end.session.unit(UnitConfig::default()).err().expect("refused");
    assert_eq!(second.errno(), Errno::Busy, "{second}");
    assert_eq!(interfaces(), ["ppp0"]);
    drop(unit);
    end.session.unit(UnitConfig::default()).expect("again");
}

fn a_dead_one_is_told_of() {
    let (end, _peer) = raw();
    let unit = end.session.unit(UnitConfig::default()).expect("a unit");
    let fd = unit.poll_fd().expect("a descriptor");
    assert!(unit.is_alive() && !readable(fd));
    ip("link delete ppp0");
    assert!(readable(fd) && !unit.is_alive() && end.session.is_alive());
    drop(unit);
    let unit = end.session.unit(UnitConfig::default()).expect("a new one");
    let fd = unit.poll_fd().expect("a descriptor");
    let End { session, tunnel, .. } = end;
    tunnel.delete();
    assert!(readable(fd) && !unit.is_alive() && !session.is_alive());
    assert_eq!(unit.recv(&mut [0; 100]).map_err(|error| error.errno()), Err(Errno::NotConn));
    assert_eq!(unit.send(&lcp(1)).map_err(|error| error.errno()), Err(Errno::NotConn));
    assert_eq!(interfaces(), ["ppp0"]);
    drop(unit);
    assert_eq!(interfaces(), [""; 0]);
}

/// The unit's peer may send from 10.8.0.2; a raw one sends from there, and from elsewhere, and link-local.
fn drop_what_comes_from_other_sources() {
    let (end, peer) = raw();
    let sources = vec![Prefix::host([10, 8, 0, 2].into())];
    let unit = end.session.unit(UnitConfig { sources, ..UnitConfig::default() }).expect("a unit");
    unit.set_up(true).expect("up");
    unit.add_address(Prefix::host([10, 8, 0, 1].into()), Some([10, 8, 0, 2].into())).expect("an address");
    unit.add_address(Prefix::host("fe80::1".parse().expect("it")), None).expect("an address");
    let echo = udp("0.0.0.0:0");
    let to = SocketAddrV4::new([10, 8, 0, 1].into(), echo.local_addr().expect("its address").port());
    for host in [3, 2] {
        let packet = ipv4(SocketAddrV4::new([10, 8, 0, host].into(), 7), to, &[host]);
        let message = message(&[2, 1, 10, 0xff03, 0x21], &packet);
        peer.send_to(&message, end.local()).expect("sent");
    }
    // That of 3 would have been the first.
    assert_eq!(receive(&echo), Ok(vec![2]));
    assert_eq!(end.session.stats().expect("alive").rx(Rx::Packets), 2);
    // Nothing is in the way of what we send.
    echo.send_to(&[1], "10.8.0.2:7").expect("sent");
    assert_eq!(wire(&peer)[..10], message(&[2, 2, 20, 0xff03, 0x21], &[])[..]);
}

/// Whoever listens to the interface sees the IPv4 packet first, which comes last.
fn take_no_network_protocol_but_ipv4_and_ipv6() {
    const IPX: u16 = 0x2b;
    const APPLE_TALK: u16 = 0x29;
    const MPLS: [u16; 2] = [0x281, 0x283];
    for sources in [vec![], vec![Prefix::host([10, 8, 0, 2].into())]] {
        let (end, peer) = raw();
        let unit = end.session.unit(UnitConfig { sources, ..UnitConfig::default() }).expect("a unit");
        unit.set_up(true).expect("up");
        let all = Protocol::from(i32::from((libc::ETH_P_ALL as u16).to_be()));
        let tap = Socket::new(Domain::PACKET, Type::DGRAM, Some(all)).expect("a socket");
        tap.set_read_timeout(Some(PATIENCE)).expect("set");
        let at = |host| SocketAddrV4::new([10, 8, 0, host].into(), 7);
        let packet = ipv4(at(2), at(1), &[1]);
        for protocol in [IPX, APPLE_TALK, MPLS[0], MPLS[1], 0x21] {
            peer.send_to(&message(&[2, 1, 10, 0xff03, protocol], &packet), end.local()).expect("sent");
        }
        let received = loop {
            let (_, from) = recvfrom::<LinkAddr>(tap.as_raw_fd(), &mut [0; 2000]).expect("a packet");
            let from = from.expect("of an interface");
            if from.ifindex() == unit.index() as usize && from.pkttype() != libc::PACKET_OUTGOING {
                break from.protocol();
            }
        };
        assert_eq!(u16::from_be(received), libc::ETH_P_IP as u16);
        assert_eq!(unit.recv(&mut [0; 100]), Ok(None));
    }
}

fn keep_the_last_32_frames() {
    let (end, peer) = raw();
    let unit = end.session.unit(UnitConfig::default()).expect("a unit");
    for frame in [lcp, ipcp] {
        for id in 0..100 {
            peer.send_to(&message(&[2, 1, 10, 0xff03], &frame(id)), end.local()).expect("sent");
        }
        for id in 68..100 {
            assert_eq!(next(&*unit), frame(id));
        }
        assert_eq!(unit.recv(&mut [0; 100]), Ok(None));
    }
}
