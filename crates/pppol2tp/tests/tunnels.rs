//! Tunnels through the driver's own interface: several on one UDP socket, IPv6, addresses, strangers.

mod common;

use std::net::{IpAddr, SocketAddr, UdpSocket};

use common::{Bed, IDS, PATIENCE, message, receive, settle, tunnel_to, udp};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use pppol2tp::user::UserDriver;
use pppol2tp::{Driver, Errno, Reason, SessionIds, SessionSocket, TunnelConfig};

const FRAME: &[u8] = &[0xc0, 0x21, 9, 1, 0, 8, 1, 2, 3, 4];
const HDLC: &[u8] = &[0xff, 3, 0xc0, 0x21, 9, 1, 0, 8, 1, 2, 3, 4];

fn driver() -> UserDriver {
    UserDriver::new(common::config()).expect("a driver")
}

fn address(socket: &UdpSocket) -> SocketAddr {
    socket.local_addr().expect("its address")
}

fn session(driver: &UserDriver, tunnel_id: u16, session_id: u16) -> Box<dyn SessionSocket> {
    let ids = SessionIds { tunnel_id, session_id, peer_tunnel_id: 0, peer_session_id: session_id + 1 };
    driver.session(ids).expect("a session")
}

/// The next frame of a session.
fn frame(session: &dyn SessionSocket) -> Vec<u8> {
    let mut buffer = [0; 2000];
    let len = session.recv_timeout(&mut buffer, PATIENCE).expect("alive").expect("a frame");
    buffer[..len].to_vec()
}

fn nothing(session: &dyn SessionSocket) {
    assert_eq!(session.recv(&mut [0; 100]), Ok(None));
}

fn errno<T>(result: pppol2tp::Result<T>) -> Option<Errno> {
    result.err().map(|error| error.errno())
}

fn foreign(driver: &UserDriver, tunnel_id: u16) -> u64 {
    let snapshot = driver.snapshot();
    let tunnel = snapshot.tunnels.iter().find(|tunnel| tunnel.tunnel_id == tunnel_id);
    tunnel.expect("it is there").rx_foreign
}

#[test]
fn several_tunnels_on_one_udp_socket() {
    let driver = driver();
    let handle = driver.attach(udp("127.0.0.1:0")).expect("attached");
    let local = handle.local_addr().expect("its address");
    let peers: Vec<_> = (0..3).map(|_| udp("127.0.0.1:0")).collect();
    let tunnels: Vec<_> = peers
        .iter()
        .zip([1, 1000, 65000])
        .map(|(peer, id)| handle.tunnel(tunnel_to(address(peer), id)).expect("a tunnel"))
        .collect();
    // The same session id in each.
    let sessions: Vec<_> = tunnels.iter().map(|tunnel| session(&driver, tunnel.tunnel_id(), 7)).collect();
    for ((peer, tunnel), session) in peers.iter().zip(&tunnels).zip(&sessions) {
        let id = tunnel.tunnel_id();
        let payload = message(&[0xff03, 0xc021, id], &[]);
        peer.send_to(&message(&[2, id, 7], &payload), local).expect("sent");
        assert_eq!(frame(&**session), message(&[0xc021, id], &[]));
        session.send(&payload[2..]).expect("sent");
        assert_eq!(receive(peer), Ok(message(&[2, id + 1, 8], &payload)));
        assert_eq!(tunnel.stats(None).expect("statistics").rx(pppol2tp::data::stats::Rx::Packets), 1);
    }
    // Deleting one leaves the others.
    let mut tunnels = tunnels.into_iter();
    tunnels.next().expect("three").delete();
    assert_eq!(errno(sessions[0].stats()), Some(Errno::NotConn));
    for (peer, session) in peers.iter().zip(&sessions).skip(1) {
        let SessionIds { tunnel_id, session_id, .. } = session.ids();
        peer.send_to(&message(&[2, tunnel_id, session_id], HDLC), local).expect("sent");
        assert_eq!(frame(&**session), FRAME);
    }
    peers[0].send_to(&message(&[2, 1, 7], HDLC), local).expect("sent");
    let passed_up = settle(&*handle, &peers[0]);
    assert_eq!(passed_up.iter().map(|up| up.reason).collect::<Vec<_>>(), [Reason::UnknownSession]);
}

#[test]
fn several_tunnels_to_one_peer() {
    let driver = driver();
    let (handle, peer) = (driver.attach(udp("127.0.0.1:0")).expect("attached"), udp("127.0.0.1:0"));
    let _tunnels = [1, 3].map(|id| handle.tunnel(tunnel_to(address(&peer), id)).expect("a tunnel"));
    let sessions = [session(&driver, 1, 10), session(&driver, 3, 30)];
    let local = handle.local_addr().expect("its address");
    for session in &sessions {
        let SessionIds { tunnel_id, session_id, .. } = session.ids();
        peer.send_to(&message(&[2, tunnel_id, session_id], HDLC), local).expect("sent");
        assert_eq!(frame(&**session), FRAME);
    }
    // A session id of the other tunnel is not one of this tunnel.
    peer.send_to(&message(&[2, 1, 30], HDLC), local).expect("sent");
    assert_eq!(settle(&*handle, &peer).len(), 1);
    sessions.iter().for_each(|session| nothing(&**session));
}

#[test]
fn an_id_belongs_to_one_socket() {
    let driver = driver();
    let (first, second) = (driver.attach(udp("127.0.0.1:0")), driver.attach(udp("127.0.0.1:0")));
    let (first, second) = (first.expect("attached"), second.expect("attached"));
    let peer = udp("127.0.0.1:0");
    let tunnel = first.tunnel(tunnel_to(address(&peer), 1)).expect("a tunnel");
    assert_eq!(errno(second.tunnel(tunnel_to(address(&peer), 1))), Some(Errno::Exist));
    tunnel.delete();
    second.tunnel(tunnel_to(address(&peer), 1)).expect("the id is free");
    assert_eq!(errno(first.tunnel(tunnel_to(address(&peer), 1))), Some(Errno::Exist));
}

#[test]
fn a_second_management_socket_names_the_same_peer() {
    let bed = Bed::new(common::config());
    let peer = address(&bed.peer);
    let again = bed.handle.tunnel(tunnel_to(peer, 1)).expect("attached to the tunnel");
    assert_eq!(bed.driver.snapshot().tunnels[0].references, 3);
    drop(again);
    assert_eq!(bed.driver.snapshot().tunnels[0].references, 2);
    let other = udp("127.0.0.1:0");
    assert_eq!(errno(bed.handle.tunnel(tunnel_to(address(&other), 1))), Some(Errno::Inval));
    assert_eq!(errno(bed.handle.tunnel(tunnel_to(peer, 0))), Some(Errno::Inval));
}

#[test]
fn tunnel_ids_and_session_ids_are_checked() {
    let bed = Bed::new(common::config());
    let connect = |session_id, peer_session_id| {
        errno(bed.driver.session(SessionIds { session_id, peer_session_id, ..IDS }))
    };
    assert_eq!(connect(0, 0), Some(Errno::Inval));
    assert_eq!(connect(0, 1), Some(Errno::Inval));
    assert_eq!(connect(1, 0), Some(Errno::Inval));
    assert_eq!(connect(10, 1), Some(Errno::Exist));
    assert_eq!(errno(bed.driver.session(SessionIds { tunnel_id: 9, ..IDS })), Some(Errno::NoEnt));
    assert_eq!(errno(bed.driver.session(SessionIds { tunnel_id: 0, ..IDS })), Some(Errno::Inval));
}

#[test]
fn connected_socket() {
    let (socket, peer, stranger) = (udp("127.0.0.1:0"), udp("127.0.0.1:0"), udp("127.0.0.1:0"));
    socket.connect(address(&peer)).expect("connected");
    let driver = driver();
    let handle = driver.attach(socket).expect("attached");
    assert_eq!(errno(handle.tunnel(tunnel_to(address(&stranger), 1))), Some(Errno::Inval));
    let _tunnel = handle.tunnel(tunnel_to(address(&peer), 1)).expect("a tunnel");
    let session = session(&driver, 1, 10);
    let local = handle.local_addr().expect("its address");
    peer.send_to(&message(&[2, 1, 10], HDLC), local).expect("sent");
    assert_eq!(frame(&*session), FRAME);
    session.send(FRAME).expect("sent");
    assert_eq!(receive(&peer), Ok(message(&[2, 2, 11], HDLC)));
    handle.send(b"control", address(&peer), Some(local.ip())).expect("sent");
    assert_eq!(receive(&peer), Ok(b"control".to_vec()));
    handle.send(b"elsewhere", address(&stranger), None).expect("sent");
    assert_eq!(receive(&stranger), Ok(b"elsewhere".to_vec()));
}

#[test]
fn strangers_are_counted_and_dropped() {
    let bed = Bed::new(common::config());
    let stranger = udp("127.0.0.1:0");
    let local = bed.handle.local_addr().expect("its address");
    for _ in 0..5 {
        stranger.send_to(&message(&[2, 1, 10], HDLC), local).expect("sent");
    }
    assert_eq!(settle(&*bed.handle, &stranger), []);
    nothing(&*bed.session);
    assert_eq!(foreign(&bed.driver, 1), 5);
    assert_eq!(bed.counters(), []);
    // Between the peer's own they do not get in either.
    bed.arrives(HDLC);
    stranger.send_to(&message(&[2, 1, 10], &[0xff, 3, 0xc0, 0x21, 0]), local).expect("sent");
    bed.arrives(HDLC);
    settle(&*bed.handle, &stranger);
    settle(&*bed.handle, &bed.peer);
    assert_eq!(frame(&*bed.session), FRAME);
    assert_eq!(frame(&*bed.session), FRAME);
    nothing(&*bed.session);
    assert_eq!(foreign(&bed.driver, 1), 6);
}

#[test]
fn tunnel_id_0_of_peers_that_are_allowed_to() {
    let driver = driver();
    let handle = driver.attach(udp("127.0.0.1:0")).expect("attached");
    let local = handle.local_addr().expect("its address");
    let (quirky, strict) = (udp("127.0.0.1:0"), udp("127.0.0.1:0"));
    let config = TunnelConfig { accept_zero_id: true, ..tunnel_to(address(&quirky), 1) };
    let _tunnels = [
        handle.tunnel(config).expect("a tunnel"),
        handle.tunnel(tunnel_to(address(&strict), 3)).expect("a tunnel"),
    ];
    let (of_quirky, of_strict) = (session(&driver, 1, 10), session(&driver, 3, 30));
    quirky.send_to(&message(&[2, 0, 10], HDLC), local).expect("sent");
    quirky.send_to(&message(&[2, 1, 10], HDLC), local).expect("sent");
    assert_eq!(frame(&*of_quirky), FRAME);
    assert_eq!(frame(&*of_quirky), FRAME);
    for (from, ids) in [(&strict, [0, 30]), (&strict, [0, 10]), (&quirky, [0, 30])] {
        from.send_to(&message(&[2, ids[0], ids[1]], HDLC), local).expect("sent");
        let passed_up = settle(&*handle, from);
        assert_eq!(passed_up.iter().map(|up| up.reason).collect::<Vec<_>>(), [Reason::UnknownSession]);
    }
    nothing(&*of_quirky);
    nothing(&*of_strict);
}

/// Control messages have a queue of their own, which is read first, in order.
#[test]
fn a_flood_does_not_displace_control_messages() {
    const JUNK: usize = 2000;
    const CONTROL: u16 = 300;
    let bed = Bed::new(common::config());
    let control = |ns| message(&[0xc802, 12, 1, 0, ns, 0], &[]);
    for ns in 0..CONTROL {
        for _ in 0..JUNK / usize::from(CONTROL) {
            bed.sends(&message(&[2, 9, 9], HDLC));
        }
        bed.sends(&control(ns));
        // No faster than the driver reads, so that its socket's buffer does not decide.
        bed.arrives(HDLC);
        assert_eq!(frame(&*bed.session), FRAME);
    }
    let mut fds = [PollFd::new(bed.handle.poll_fd().expect("a descriptor"), PollFlags::POLLIN)];
    assert_eq!(poll(&mut fds, PollTimeout::ZERO), Ok(1));
    for ns in 0..CONTROL {
        let up = bed.handle.recv().expect("a control message");
        assert_eq!((up.reason, up.datagram), (Reason::Control, control(ns)));
    }
    let rest =
        std::iter::from_fn(|| bed.handle.recv()).inspect(|up| assert_eq!(up.reason, Reason::UnknownSession));
    let rest = rest.count() as u64;
    assert!((1..=256).contains(&rest), "{rest} others");
    assert_eq!(poll(&mut fds, PollTimeout::ZERO), Ok(0));
    let counters = bed.driver.snapshot().sockets[0].counters.clone();
    let counter = |name| counters.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    assert_eq!(counter("rx_control"), Some(CONTROL.into()));
    assert_eq!(counter("rx_control_dropped"), Some(0));
    let junk = (JUNK / usize::from(CONTROL) * usize::from(CONTROL)) as u64;
    assert_eq!(counter("rx_unknown_session"), Some(junk));
    assert_eq!(counter("rx_passed_up_dropped"), Some(junk - rest));
}

#[test]
fn datagrams_that_nobody_sends() {
    let driver = driver();
    let handle = driver.attach(udp("127.0.0.1:0")).expect("attached");
    assert_eq!(handle.recv(), None);
    let peer = udp("127.0.0.1:0");
    assert_eq!(errno(handle.send(&[0; 65_508], address(&peer), None)), Some(Errno::MsgSize));
    handle.send(&[], address(&peer), None).expect("an empty datagram is one");
    assert_eq!(receive(&peer), Ok(Vec::new()));
}

#[test]
fn sockets_that_are_none_of_udp() {
    use std::os::fd::OwnedFd;
    let driver = driver();
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").expect("a TCP socket");
    let unix = std::os::unix::net::UnixDatagram::unbound().expect("a Unix socket");
    let file = std::fs::File::open("/dev/null").expect("a file");
    for (fd, expected) in [
        (OwnedFd::from(tcp), Errno::ProtoNoSupport),
        (unix.into(), Errno::ProtoNoSupport),
        (file.into(), Errno::NotSock),
    ] {
        assert_eq!(errno(driver.attach(UdpSocket::from(fd))), Some(expected));
    }
    assert!(driver.snapshot().sockets.is_empty());
}

#[test]
fn values_may_be_dropped_after_their_driver() {
    let Bed { session, tunnel, handle, peer, driver } = Bed::new(common::config());
    drop(driver);
    let to = handle.local_addr().expect("its address");
    peer.send_to(&message(&[2, 1, 10], HDLC), to).expect("sent");
    assert_eq!(frame(&*session), FRAME);
    session.send(FRAME).expect("sent");
    assert_eq!(receive(&peer), Ok(message(&[2, 2, 20], HDLC)));
    drop(handle);
    assert!(!tunnel.is_alive());
}

#[test]
fn a_thousand_sessions_come_and_go() {
    let bed = Bed::new(common::config());
    for round in 0..3 {
        let sessions: Vec<_> = (100..1100).map(|id| session(&bed.driver, 1, id)).collect();
        for session in &sessions {
            let SessionIds { session_id, .. } = session.ids();
            bed.sends(&message(&[2, 1, session_id], &message(&[0xc021, session_id, round], &[])));
            assert_eq!(frame(&**session), message(&[0xc021, session_id, round], &[]));
        }
    }
    assert_eq!(bed.driver.snapshot().sessions.len(), 1);
    let packets = bed.tunnel.stats(None).expect("statistics").rx(pppol2tp::data::stats::Rx::Packets);
    assert_eq!(packets, 3000);
}

/// Threads that take one session id in turn: whoever has it receives.
#[test]
fn an_id_goes_from_hand_to_hand() {
    const ROUNDS: usize = 3000;
    let driver = driver();
    let handle = driver.attach(udp("127.0.0.1:0")).expect("attached");
    let local = handle.local_addr().expect("its address");
    let peer = udp("127.0.0.1:0");
    let _tunnel = handle.tunnel(tunnel_to(address(&peer), 1)).expect("a tunnel");
    let ids = SessionIds { tunnel_id: 1, session_id: 7, peer_tunnel_id: 2, peer_session_id: 8 };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    let Ok(session) = driver.session(ids) else { continue };
                    peer.send_to(&message(&[2, 1, 7], HDLC), local).expect("sent");
                    assert_eq!(frame(&*session), FRAME);
                }
            });
        }
    });
}

mod netns {
    use super::*;
    use crate::common::in_netns;

    #[test]
    fn ipv6() {
        in_netns(|| {
            let bed = Bed::on(udp("[::1]:0"), udp("[::1]:0"), common::config(), IDS);
            bed.arrives(HDLC);
            assert_eq!(frame(&*bed.session), FRAME);
            bed.session.send(FRAME).expect("sent");
            assert_eq!(receive(&bed.peer), Ok(message(&[2, 2, 20], HDLC)));
            let up = settle(&*bed.handle, &bed.peer);
            assert_eq!(up, []);
            bed.sends(&message(&[2, 9, 9], HDLC));
            let up = settle(&*bed.handle, &bed.peer);
            assert_eq!(
                (up[0].from, up[0].local),
                (address(&bed.peer), Some(IpAddr::from([0u8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])))
            );
        });
    }

    /// An IPv6 socket that takes IPv4 too: addresses are shown, compared and sent to as IPv4.
    #[test]
    fn dual_stack_socket_with_ipv4_peers() {
        in_netns(|| {
            let driver = driver();
            let handle = driver.attach(udp("[::]:0")).expect("attached");
            let port = handle.local_addr().expect("its address").port();
            let (peer, peer6) = (udp("127.0.0.1:0"), udp("[::1]:0"));
            let _tunnels = [
                handle.tunnel(tunnel_to(address(&peer), 1)).expect("a tunnel"),
                handle.tunnel(tunnel_to(address(&peer6), 3)).expect("a tunnel"),
            ];
            let (v4, v6) = (session(&driver, 1, 10), session(&driver, 3, 30));
            peer.send_to(&message(&[2, 1, 10], HDLC), ("127.0.0.1", port)).expect("sent");
            peer6.send_to(&message(&[2, 3, 30], HDLC), ("::1", port)).expect("sent");
            assert_eq!(frame(&*v4), FRAME);
            assert_eq!(frame(&*v6), FRAME);
            v4.send(FRAME).expect("sent");
            v6.send(FRAME).expect("sent");
            assert_eq!(receive(&peer), Ok(message(&[2, 2, 11], HDLC)));
            assert_eq!(receive(&peer6), Ok(message(&[2, 4, 31], HDLC)));
            let control = message(&[0xc802, 12, 0, 0, 1, 0], &[]);
            peer.send_to(&control, ("127.0.0.1", port)).expect("sent");
            let up = handle.recv_timeout(PATIENCE).expect("passed up");
            assert_eq!((up.from, up.local), (address(&peer), Some(IpAddr::from([127, 0, 0, 1]))));
            handle.send(&control, up.from, up.local).expect("sent");
            assert_eq!(receive(&peer), Ok(control));
        });
    }

    /// A peer that is given in mapped form is the same.
    #[test]
    fn mapped_peer_address() {
        in_netns(|| {
            let driver = driver();
            let handle = driver.attach(udp("[::]:0")).expect("attached");
            let peer = udp("127.0.0.1:0");
            let mapped: SocketAddr =
                format!("[::ffff:127.0.0.1]:{}", address(&peer).port()).parse().expect("an address");
            let _tunnel = handle.tunnel(tunnel_to(mapped, 1)).expect("a tunnel");
            let session = session(&driver, 1, 10);
            let port = handle.local_addr().expect("its address").port();
            peer.send_to(&message(&[2, 1, 10], HDLC), ("127.0.0.1", port)).expect("sent");
            assert_eq!(frame(&*session), FRAME);
            assert_eq!(driver.snapshot().tunnels[0].peer, address(&peer));
        });
    }

    #[test]
    fn ipv6_peer_of_an_ipv4_socket() {
        in_netns(|| {
            let handle = driver().attach(udp("127.0.0.1:0")).expect("attached");
            let peer = udp("[::1]:0");
            assert_eq!(errno(handle.tunnel(tunnel_to(address(&peer), 1))), Some(Errno::AfNoSupport));
        });
    }

    /// Replies leave from the address that the peer asked, also where several share a socket.
    #[test]
    fn replies_leave_from_the_address_that_was_asked() {
        in_netns(|| {
            let driver = driver();
            let handle = driver.attach(udp("0.0.0.0:1701")).expect("attached");
            let peers = [udp("127.0.0.9:1702"), udp("127.0.0.10:1702")];
            let locals = [IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2])];
            for (index, (peer, local)) in peers.iter().zip(locals).enumerate() {
                let id = 10 * (index as u16 + 1);
                peer.send_to(&message(&[0xc802, 12, 0, 0, 0, 0], &[]), (local, 1701)).expect("sent");
                let up = handle.recv_timeout(PATIENCE).expect("passed up");
                assert_eq!((up.from, up.local), (address(peer), Some(local)));
                handle.send(b"reply", up.from, up.local).expect("sent");
                assert_eq!(from(peer), (b"reply".to_vec(), local));

                let config = TunnelConfig { local: up.local, ..tunnel_to(up.from, id) };
                let _tunnel = handle.tunnel(config).expect("a tunnel");
                let session = session(&driver, id, 7);
                session.send(FRAME).expect("sent");
                assert_eq!(from(peer), (message(&[2, id + 1, 8], HDLC), local));
                peer.send_to(&message(&[2, id, 7], HDLC), (local, 1701)).expect("sent");
                assert_eq!(frame(&*session), FRAME);
            }
        });
    }

    #[test]
    fn and_over_ipv6() {
        in_netns(|| {
            let lo = nix::net::if_::if_nametoindex("lo").expect("lo");
            let second: IpAddr = "2001:db8::2".parse().expect("an address");
            let netlink = pppol2tp::netlink::Netlink::open().expect("rtnetlink");
            netlink.add_address(lo, pppol2tp::Prefix::host(second), None).expect("an address");
            let driver = driver();
            let handle = driver.attach(udp("[::]:1701")).expect("attached");
            let peer = udp("[::1]:1702");
            // The kernel makes an IPv6 address usable some time after it has taken it.
            let asks = |_| {
                peer.send_to(&message(&[0xc802, 12, 0, 0, 0, 0], &[]), (second, 1701)).expect("sent");
                handle.recv_timeout(PATIENCE / 100)
            };
            let up = (0..100).find_map(asks).expect("passed up");
            assert_eq!((up.from, up.local), (address(&peer), Some(second)));
            let config = TunnelConfig { local: up.local, ..tunnel_to(up.from, 1) };
            let _tunnel = handle.tunnel(config).expect("a tunnel");
            session(&driver, 1, 7).send(FRAME).expect("sent");
            assert_eq!(from(&peer), (message(&[2, 2, 8], HDLC), second));
        });
    }

    /// A datagram and who sent it.
    fn from(socket: &UdpSocket) -> (Vec<u8>, IpAddr) {
        let mut buffer = [0; 2000];
        let (len, from) = socket.recv_from(&mut buffer).expect("a datagram");
        (buffer[..len].to_vec(), from.ip())
    }
}
