//! One listener, many tunnels: nothing is lost, and all comes from and goes to the right address.

use std::collections::{BTreeMap, VecDeque};
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;

use nix::unistd::{Uid, setfsuid};
use pppol2tp::{Driver, Errno, PassedUp, Reason, SessionIds, TunnelConfig, TunnelSocket, UdpHandle};
use socket2::{Domain, Type};

use crate::bed::*;
use crate::common::{PATIENCE, message, receive, tunnel_to, udp};
use crate::frames::readable;
use crate::is_module;
use crate::tests;

tests! {
    keeps_its_port_to_itself
    keeps_its_port_from_other_users
    loses_nothing_while_tunnels_are_made
    keeps_little_for_one_peer
    receives_for_its_tunnels
    hears_a_peer_after_its_tunnel
    gives_what_waits_at_a_tunnel_that_ends
    answers_from_the_address_that_was_called
    has_two_tunnels_of_one_peer
    that_came_connected
    for_both_families
    tells_datagrams_apart
    learns_the_peers_id
    fragments_or_not
}

fn at(socket: &UdpSocket) -> SocketAddr {
    socket.local_addr().expect("its address")
}

fn next(handle: &dyn UdpHandle) -> PassedUp {
    handle.recv_timeout(PATIENCE).expect("something")
}

/// Another program of the same user asks for the port, whichever sockets there are: those of the oldest tunnels
/// go first, and those of the newest.
fn keeps_its_port_to_itself() {
    let handle = driver().attach(udp("127.0.0.1:0")).expect("attached");
    let to = handle.local_addr().expect("its address");
    let is_refused = || {
        let thief = socket2::Socket::new(Domain::IPV4, Type::DGRAM, None).expect("a socket");
        thief.set_reuse_address(true).expect("set");
        thief.set_reuse_port(true).expect("set");
        let refused = thief.bind(&to.into()).expect_err("the port is taken");
        assert_eq!(refused.kind(), std::io::ErrorKind::AddrInUse);
    };
    let peers: Vec<_> = (0..30).map(|_| udp("127.0.0.1:0")).collect();
    let make = |(id, peer): (u16, &UdpSocket)| {
        let tunnel = handle.tunnel(tunnel_to(at(peer), id)).expect("a tunnel");
        is_refused();
        tunnel
    };
    let mut tunnels: VecDeque<_> = (1..).zip(&peers).map(make).collect();
    while let Some(oldest) = tunnels.pop_front() {
        oldest.delete();
        is_refused();
        tunnels.pop_back().into_iter().for_each(TunnelSocket::delete);
        is_refused();
    }
}

/// While 200 tunnels are made, another user asks for the port.
fn keeps_its_port_from_other_users() {
    let handle = driver().attach(udp("127.0.0.1:0")).expect("attached");
    let to = handle.local_addr().expect("its address");
    let peers: Vec<_> = (0..200).map(|_| udp("127.0.0.1:0")).collect();
    let (made, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let thief = scope.spawn(|| {
            // Of this thread alone.
            setfsuid(Uid::from_raw(65534));
            while !made.load(SeqCst) {
                let thief = socket2::Socket::new(Domain::IPV4, Type::DGRAM, None).expect("a socket");
                thief.set_reuse_address(true).expect("set");
                thief.set_reuse_port(true).expect("set");
                thief.bind(&to.into()).expect_err("the port is taken");
                asked.fetch_add(1, SeqCst);
            }
        });
        let tunnels: Vec<_> = (1..)
            .zip(&peers)
            .map(|(id, peer)| {
                let before = asked.load(SeqCst);
                let tunnel = handle.tunnel(tunnel_to(at(peer), id)).expect("a tunnel");
                until("it is asked again", || asked.load(SeqCst) > before || thief.is_finished());
                tunnel
            })
            .collect();
        made.store(true, SeqCst);
        thief.join().expect("it was refused");
        drop(tunnels);
    });
}

/// Thousands of tunnels shall not keep gigabytes of what a peer sends at once.
fn keeps_little_for_one_peer() {
    const SENT: usize = 3000;
    let (end, peer) = raw();
    (0..SENT).for_each(|_| drop(peer.send_to(&hello(1), end.local()).expect("sent")));
    next(&*end.handle);
    let kept = std::iter::from_fn(|| end.handle.recv()).count();
    assert!(kept < SENT / 3, "{kept} of {SENT}");
}

/// While 150 tunnels are made, 200 sockets send numbered messages, 150 of which are the tunnels' peers.
fn loses_nothing_while_tunnels_are_made() {
    const SOURCES: usize = 200;
    const TUNNELS: u16 = 150;
    /// How many messages may be on their way.
    const WAITING: usize = 1000;
    let handle = driver().attach(udp("127.0.0.1:0")).expect("attached");
    let to = handle.local_addr().expect("its address");
    let sources: Vec<_> = (0..SOURCES).map(|_| udp("127.0.0.1:0")).collect();
    let (made, taken) = (AtomicBool::new(false), AtomicUsize::new(0));
    let send = || {
        let mut sent = 0;
        for n in 0.. {
            for source in &sources {
                while sent - taken.load(SeqCst) > WAITING {
                    thread::yield_now();
                }
                source.send_to(&hello(n), to).expect("sent");
                sent += 1;
            }
            if made.load(SeqCst) {
                return n;
            }
        }
        unreachable!("a number has no end")
    };
    let mut heard: BTreeMap<SocketAddr, Vec<Vec<u8>>> = BTreeMap::new();
    let mut take = |up: PassedUp| {
        assert_eq!(up.reason, Reason::Control);
        taken.fetch_add(1, SeqCst);
        heard.entry(up.from).or_default().push(up.datagram);
    };
    let (last, _tunnels) = thread::scope(|scope| {
        let sender = scope.spawn(send);
        let tunnels = sources.iter().zip(1..=TUNNELS).map(|(peer, id)| {
            // Some is read meanwhile, and some waits.
            (0..50).map_while(|_| handle.recv()).for_each(&mut take);
            handle.tunnel(tunnel_to(at(peer), id)).expect("a tunnel")
        });
        let tunnels: Vec<_> = tunnels.collect();
        made.store(true, SeqCst);
        while !sender.is_finished() {
            handle.recv().into_iter().for_each(&mut take);
        }
        (sender.join().expect("sent"), tunnels)
    });
    let all = SOURCES * (usize::from(last) + 1);
    (taken.load(SeqCst)..all).for_each(|_| take(next(&*handle)));
    assert_eq!(handle.recv(), None);
    let sent: Vec<_> = (0..=last).map(hello).collect();
    for source in &sources {
        assert!(heard[&at(source)] == sent, "order: {:?}", heard[&at(source)]);
    }
}

fn receives_for_its_tunnels() {
    let handle = driver().attach(udp("127.0.0.1:0")).expect("attached");
    let to = handle.local_addr().expect("its address");
    let peers: Vec<_> = (0..3).map(|_| udp("127.0.0.1:0")).collect();
    let of = |id: usize| handle.tunnel(tunnel_to(at(&peers[id]), 1 + id as u16)).expect("a tunnel");
    let _tunnels = [of(0), of(1)];
    assert!(!readable(handle.poll_fd().expect("a descriptor")));
    for (n, peer) in (0..).zip(&peers) {
        peer.send_to(&hello(n), to).expect("sent");
        assert!(readable(handle.poll_fd().expect("a descriptor")));
        let up = next(&*handle);
        assert_eq!((up.datagram, up.from, up.reason), (hello(n), at(peer), Reason::Control));
        assert_eq!(up.local, Some(to.ip()));
        assert!(!readable(handle.poll_fd().expect("a descriptor")));
        handle.send(&hello(n), at(peer), None).expect("sent");
        assert_eq!(receive(peer), Ok(hello(n)));
    }
}

fn hears_a_peer_after_its_tunnel() {
    let (end, peer) = raw();
    let to = end.local();
    let ids = end.session.ids();
    end.tunnel.delete();
    assert!(!end.session.is_alive());
    peer.send_to(&hello(1), to).expect("sent");
    assert_eq!(next(&*end.handle).datagram, hello(1));
    end.handle.send(&hello(2), at(&peer), None).expect("sent");
    assert_eq!(receive(&peer), Ok(hello(2)));
    // Both ids are free at once.
    let _tunnel = end.handle.tunnel(tunnel_to(at(&peer), 1)).expect("again");
    let session = end.driver.session(ids).expect("again");
    session.send(&lcp(1)).expect("sent");
    assert_eq!(receive(&peer), Ok(message(&[2, 2, 20, 0xff03], &lcp(1))));
}

fn gives_what_waits_at_a_tunnel_that_ends() {
    let (end, peer) = raw();
    for n in 0..5 {
        peer.send_to(&hello(n), end.local()).expect("sent");
    }
    end.tunnel.delete();
    for n in 0..5 {
        assert_eq!(next(&*end.handle).datagram, hello(n));
    }
    assert_eq!(end.handle.recv(), None);
}

fn answers_from_the_address_that_was_called() {
    let driver = driver();
    let handle = driver.attach(udp("0.0.0.0:0")).expect("attached");
    let port = handle.local_addr().expect("its address").port();
    let peer = udp("127.0.0.1:0");
    let called = SocketAddr::new([127, 0, 0, 9].into(), port);
    peer.send_to(&hello(1), called).expect("sent");
    assert_eq!(next(&*handle).local, Some(called.ip()));
    let config = TunnelConfig { local: Some(called.ip()), ..tunnel_to(at(&peer), 1) };
    let _tunnel = handle.tunnel(config).expect("a tunnel");
    let session = driver.session(ids(1, 2)).expect("a session");
    peer.send_to(&hello(2), called).expect("sent");
    assert_eq!(next(&*handle).local, Some(called.ip()));
    let mut buffer = [0; 100];
    session.send(&lcp(1)).expect("sent");
    assert_eq!(peer.recv_from(&mut buffer).expect("a data message").1, called);
    handle.send(&hello(3), at(&peer), Some(called.ip())).expect("sent");
    assert_eq!(peer.recv_from(&mut buffer).expect("a control message").1, called);
}

fn has_two_tunnels_of_one_peer() {
    let (end, peer) = raw();
    let tunnel = end.handle.tunnel(tunnel_to(at(&peer), 3)).expect("a tunnel");
    let session = end.driver.session(ids(3, 4)).expect("a session");
    let mut buffer = [0; 100];
    let mut arrives = |tunnel: u16| {
        peer.send_to(&message(&[2, tunnel, 10 * tunnel, 0xff03], &lcp(tunnel as u8)), end.local())
            .expect("sent");
        let socket = if tunnel == 1 { &end.session } else { &session };
        assert_eq!(socket.recv_timeout(&mut buffer, PATIENCE), Ok(Some(lcp(1).len())));
    };
    arrives(1);
    arrives(3);
    for n in 0..3 {
        peer.send_to(&hello(n), end.local()).expect("sent");
        assert_eq!(next(&*end.handle).datagram, hello(n));
    }
    session.send(&lcp(1)).expect("sent");
    assert_eq!(receive(&peer), Ok(message(&[2, 4, 40, 0xff03], &lcp(1))));
    tunnel.delete();
    peer.send_to(&hello(9), end.local()).expect("sent");
    assert_eq!(next(&*end.handle).datagram, hello(9));
    end.session.send(&lcp(1)).expect("it lives");
}

fn that_came_connected() {
    let (socket, peer, stranger) = (udp("127.0.0.1:0"), udp("127.0.0.1:0"), udp("127.0.0.1:0"));
    socket.connect(at(&peer)).expect("connected");
    let to = at(&socket);
    // What has come before is not lost.
    peer.send_to(&hello(0), to).expect("sent");
    let end = End::new(socket, at(&peer), 1, 2);
    assert_eq!(end.local(), to);
    stranger.send_to(&hello(7), to).expect("sent");
    peer.send_to(&hello(1), to).expect("sent");
    assert_eq!([0, 1].map(|_| next(&*end.handle).datagram), [hello(0), hello(1)]);
    let other = end.handle.tunnel(tunnel_to(at(&stranger), 3)).err().expect("refused");
    assert!(other.to_string().contains("connected to"), "{other}");
    end.session.send(&lcp(1)).expect("sent");
    assert_eq!(receive(&peer), Ok(message(&[2, 2, 20, 0xff03], &lcp(1))));
    end.tunnel.delete();
    peer.send_to(&hello(2), to).expect("sent");
    assert_eq!(next(&*end.handle).datagram, hello(2));
    end.handle.send(&hello(3), at(&peer), None).expect("sent");
    assert_eq!(receive(&peer), Ok(hello(3)));
}

fn for_both_families() {
    let driver = driver();
    let handle = driver.attach(udp("[::]:0")).expect("attached");
    let port = handle.local_addr().expect("its address").port();
    for (ip, id) in [("127.0.0.1", 1), ("::1", 3)] {
        let peer = udp(&SocketAddr::new(ip.parse().expect("an address"), 0).to_string());
        let _tunnel = handle.tunnel(tunnel_to(at(&peer), id)).expect("a tunnel");
        let session = driver.session(ids(id, id + 1)).expect("a session");
        peer.send_to(&hello(1), (ip, port)).expect("sent");
        assert_eq!(next(&*handle).from, at(&peer));
        handle.send(&hello(2), at(&peer), None).expect("sent");
        assert_eq!(receive(&peer), Ok(hello(2)));
        session.send(&lcp(1)).expect("sent");
        assert_eq!(receive(&peer), Ok(message(&[2, id + 1, 10 * id + 10, 0xff03], &lcp(1))));
    }
}

fn tells_datagrams_apart() {
    let (end, peer) = raw();
    for (datagram, reason) in [
        (hello(1), Reason::Control),
        (vec![0, 2, 0, 1], Reason::Short),
        (message(&[3, 0, 0, 0, 0, 0, 0, 0], &[]), Reason::Version),
        (message(&[2, 1, 99, 0xff03], &lcp(1)), Reason::UnknownSession),
    ] {
        peer.send_to(&datagram, end.local()).expect("sent");
        assert_eq!(end.up(), (reason, datagram));
    }
    // Of a session that is there, and too short for the kernel's own driver.
    let short = message(&[2, 1, 10, 0xc021], &[9, 1, 0, 4]);
    peer.send_to(&short, end.local()).expect("sent");
    if is_module() {
        assert_eq!(end.recv(), short[6..]);
    } else {
        assert_eq!(end.up(), (Reason::Short, short));
    }
    // Control messages come first.
    peer.send_to(&message(&[2, 1, 99, 0xff03], &lcp(1)), end.local()).expect("sent");
    peer.send_to(&hello(2), end.local()).expect("sent");
    assert_eq!([0, 1].map(|_| end.up().0), [Reason::Control, Reason::UnknownSession]);
    let counters = end.driver.snapshot().sockets.swap_remove(0).counters;
    let counters: Vec<_> = counters.into_iter().filter(|(_, value)| *value != 0).collect();
    let too_short = if is_module() { 1 } else { 2 };
    assert_eq!(
        counters,
        [("rx_control", 2), ("rx_short", too_short), ("rx_version", 1), ("rx_unknown_session", 2)]
    );
}

fn learns_the_peers_id() {
    let peer = udp("127.0.0.1:0");
    let driver = driver();
    let handle = driver.attach(udp("127.0.0.1:0")).expect("attached");
    let unknown = TunnelConfig { peer_tunnel_id: 0, ..tunnel_to(at(&peer), 1) };
    let _tunnel = handle.tunnel(unknown.clone()).expect("a tunnel");
    let session = driver.session(SessionIds { peer_tunnel_id: 0, ..ids(1, 2) }).expect("a session");
    let sends = |id| {
        session.send(&lcp(1)).expect("sent");
        assert_eq!(receive(&peer), Ok(message(&[2, id, 20, 0xff03], &lcp(1))));
        assert_eq!(driver.snapshot().tunnels[0].peer_tunnel_id, id);
        assert_eq!(session.ids().peer_tunnel_id, id);
    };
    sends(0);
    let _again =
        handle.tunnel(TunnelConfig { peer_tunnel_id: 2, ..unknown.clone() }).expect("attached to it");
    sends(2);
    // The first is kept.
    let _third = handle.tunnel(TunnelConfig { peer_tunnel_id: 3, ..unknown }).expect("attached to it");
    sends(2);
}

fn fragments_or_not() {
    let there = Space::joined();
    let remote = there.enter(|| udp("10.9.0.2:0"));
    let local = udp("10.9.0.1:0");
    let remote_at = at(&remote);
    let local_at = at(&local);
    let right = there.enter(|| End::new(remote, local_at, 2, 1));
    let left = End::new(local, remote_at, 1, 2);
    let long = [hello(1), vec![0; 3000]].concat();
    for whole in [true, false] {
        left.handle.set_dont_fragment(whole).expect("set");
        let sent = left.handle.send(&long, remote_at, None);
        assert_eq!(sent.map_err(|error| error.errno()), if whole { Err(Errno::MsgSize) } else { Ok(()) });
        // Linux fragments data messages all the same.
        let frame = [lcp(1), vec![0; 1800]].concat();
        left.session.send(&frame).expect("sent");
        assert_eq!(right.recv(), frame);
    }
    assert_eq!(right.up().1, long);
}
