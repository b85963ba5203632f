//! Sessions that pass up: their frames come with the datagrams of the tunnel's UDP socket.

mod common;

use std::os::fd::BorrowedFd;
use std::time::Instant;

use common::{Bed, IDS, PATIENCE, message, tunnel_to};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use pppol2tp::user::UserDriver;
use pppol2tp::{Driver, Errno, PassedUp, Reason, SessionIds, SessionSocket, SocketOption};

const OTHER: SessionIds = SessionIds { session_id: 11, peer_session_id: 21, ..IDS };
const HELLO: &[u8] = &[0xc8, 2, 0, 12, 0, 0, 0, 0, 0, 1, 0, 1];

fn bed() -> Bed {
    Bed::new(common::config())
}

/// An LCP frame with this number in it.
fn lcp(number: u16) -> Vec<u8> {
    message(&[0xc021, number], &[])
}

/// The same in a data message of a session.
fn data(session: SessionIds, number: u16) -> Vec<u8> {
    message(&[2, session.tunnel_id, session.session_id, 0xff03], &lcp(number))
}

fn frame(session: SessionIds, number: u16) -> (Reason, Vec<u8>) {
    (Reason::Frame(session), lcp(number))
}

fn told(passed_up: Vec<PassedUp>) -> Vec<(Reason, Vec<u8>)> {
    passed_up.into_iter().map(|up| (up.reason, up.datagram)).collect()
}

fn readable(fd: BorrowedFd<'_>) -> bool {
    poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], PollTimeout::ZERO) == Ok(1)
}

fn socket_counters(driver: &UserDriver) -> Vec<(&'static str, u64)> {
    let counters = driver.snapshot().sockets.swap_remove(0).counters;
    counters.into_iter().filter(|(name, value)| name.contains("frames") && *value != 0).collect()
}

#[test]
fn frames_of_sessions_come_in_order_behind_control_messages() {
    let bed = bed();
    let other = bed.driver.session(OTHER).expect("a session");
    bed.session.pass_up().expect("alive");
    other.pass_up().expect("alive");
    for datagram in
        [data(IDS, 1), data(OTHER, 2), HELLO.to_vec(), message(&[2, 1, 99], &[0; 9]), data(IDS, 3)]
    {
        bed.sends(&datagram);
    }
    wait_for(&bed.driver, 3);
    let up = bed.settle();
    assert!(up.iter().all(|up| up.from == bed.peer.local_addr().expect("its address")));
    let unknown = (Reason::UnknownSession, message(&[2, 1, 99], &[0; 9]));
    let hello = (Reason::Control, HELLO.to_vec());
    assert_eq!(told(up), [hello, frame(IDS, 1), frame(OTHER, 2), frame(IDS, 3), unknown]);
    assert_eq!(bed.session.recv(&mut [0; 100]), Ok(None));
    assert_eq!(bed.counters()[..2], [("rx_packets", 2), ("rx_bytes", 2 * 12)]);
    assert_eq!(socket_counters(&bed.driver), [("rx_frames", 3)]);
}

#[test]
fn a_session_that_does_not_pass_up_keeps_its_frames() {
    let bed = bed();
    let other = bed.driver.session(OTHER).expect("a session");
    other.pass_up().expect("alive");
    bed.sends(&data(IDS, 1));
    bed.sends(&data(OTHER, 2));
    assert_eq!(told(bed.settle()), [frame(OTHER, 2)]);
    assert_eq!(bed.session.recv(&mut [0; 100]), Ok(Some(4)));
    assert_eq!(other.recv(&mut [0; 100]), Ok(None));
}

#[test]
fn frames_that_wait_already_come_first() {
    let bed = bed();
    (1..=3).for_each(|number| bed.sends(&data(IDS, number)));
    assert_eq!(bed.settle(), []);
    bed.session.pass_up().expect("alive");
    bed.session.pass_up().expect("twice is once");
    (4..=5).for_each(|number| bed.sends(&data(IDS, number)));
    assert_eq!(told(bed.settle()), [1, 2, 3, 4, 5].map(|number| frame(IDS, number)));
}

#[test]
fn frames_that_wait_are_not_overtaken_while_more_come() {
    const FRAMES: u16 = 200;
    let bed = bed();
    std::thread::scope(|scope| {
        scope.spawn(|| (1..=FRAMES).for_each(|number| bed.sends(&data(IDS, number))));
        bed.session.pass_up().expect("alive");
        for number in 1..=FRAMES {
            let up = bed.handle.recv_timeout(PATIENCE).expect("a frame");
            assert_eq!((up.reason, up.datagram), frame(IDS, number));
        }
    });
}

#[test]
fn frames_held_by_reordering_come_in_their_order() {
    let bed = bed();
    bed.session.set(SocketOption::ReorderTo, 50).expect("set");
    bed.session.pass_up().expect("alive");
    for ns in [0, 2, 3, 5] {
        bed.sends(&message(&[0x0802, 1, 10, ns, 0, 0xff03], &lcp(ns)));
    }
    for ns in [0, 2, 3, 5] {
        let up = bed.handle.recv_timeout(PATIENCE).expect("its time is up");
        assert_eq!((up.reason, up.datagram), frame(IDS, ns));
    }
}

#[test]
fn one_descriptor_says_that_there_are_frames() {
    let bed = bed();
    bed.session.pass_up().expect("alive");
    let fd = bed.handle.poll_fd().expect("a descriptor");
    assert!(!readable(fd));
    bed.sends(&data(IDS, 1));
    poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], PollTimeout::from(10_000u16)).expect("polled");
    assert!(!readable(bed.session.poll_fd().expect("a descriptor")));
    assert_eq!(told(Vec::from_iter(bed.handle.recv())), [frame(IDS, 1)]);
    assert!(!readable(fd));
}

#[test]
fn a_tunnel_that_is_deleted_tells_of_its_sessions_behind_their_frames() {
    let Bed { session, tunnel, handle, peer, driver } = bed();
    let other = driver.session(OTHER).expect("a session");
    let quiet = driver.session(SessionIds { session_id: 12, ..IDS }).expect("a session");
    session.pass_up().expect("alive");
    other.pass_up().expect("alive");
    peer.send_to(&data(IDS, 1), handle.local_addr().expect("its address")).expect("sent");
    assert_eq!(handle.recv_timeout(PATIENCE).map(|up| up.reason), Some(Reason::Frame(IDS)));
    peer.send_to(&data(IDS, 2), handle.local_addr().expect("its address")).expect("sent");
    wait_for(&driver, 2);
    tunnel.delete();
    let up: Vec<_> = (0..3).filter_map(|_| handle.recv_timeout(PATIENCE)).collect();
    assert_eq!(told(up), [frame(IDS, 2), (Reason::Gone(IDS), Vec::new()), (Reason::Gone(OTHER), Vec::new())]);
    assert!(!session.is_alive() && !quiet.is_alive());
    assert_eq!(session.pass_up().map_err(|error| error.errno()), Err(Errno::NotConn));
    drop((session, other, quiet));
    assert_eq!(common::settle(&*handle, &peer), []);
}

#[test]
fn nothing_comes_of_a_session_that_was_dropped() {
    let Bed { session, tunnel: _tunnel, handle, peer, driver } = bed();
    let local = handle.local_addr().expect("its address");
    session.pass_up().expect("alive");
    for number in 1..=3 {
        peer.send_to(&data(IDS, number), local).expect("sent");
    }
    wait_for(&driver, 3);
    drop(session);
    // Its ids are another's now, which does not get its frames.
    let next = driver.session(IDS).expect("the id is free");
    next.pass_up().expect("alive");
    peer.send_to(&data(IDS, 4), local).expect("sent");
    assert_eq!(told(common::settle(&*handle, &peer)), [frame(IDS, 4)]);
}

#[test]
fn a_session_takes_no_more_than_its_share() {
    const SHARE: u64 = 256;
    let bed = bed();
    let other = bed.driver.session(OTHER).expect("a session");
    bed.session.pass_up().expect("alive");
    other.pass_up().expect("alive");
    (0..SHARE as u16 + 44).for_each(|number| bed.sends(&data(IDS, number)));
    bed.sends(&data(OTHER, 1));
    wait_for(&bed.driver, SHARE + 45);
    let up = bed.settle();
    assert_eq!(up.len() as u64, SHARE + 1);
    assert_eq!(up.last().map(|up| up.reason), Some(Reason::Frame(OTHER)));
    let (all, dropped) = (SHARE + 44, 44);
    let bytes = all * 12;
    assert_eq!(
        bed.counters(),
        [("rx_packets", all), ("rx_bytes", bytes), ("rx_errors", dropped), ("rx_queue_full", dropped)]
    );
    assert_eq!(socket_counters(&bed.driver), [("rx_frames", all + 1), ("rx_frames_dropped", dropped)]);
    // What was taken made room.
    bed.sends(&data(IDS, 1));
    assert_eq!(told(bed.settle()), [frame(IDS, 1)]);
}

#[test]
fn all_sessions_together_take_no_more_than_16_mib() {
    const FRAME: usize = 60_000;
    const ROOM: u64 = (16 << 20) / FRAME as u64;
    let bed = bed();
    let of = |session_id| SessionIds { session_id, peer_session_id: session_id, ..IDS };
    let sessions: Vec<_> = (101..=104).map(|id| bed.driver.session(of(id)).expect("a session")).collect();
    sessions.iter().for_each(|session| session.pass_up().expect("alive"));
    for (number, session) in (1..=ROOM + 50).zip(sessions.iter().cycle()) {
        let to = session.ids();
        bed.sends(&message(&[2, to.tunnel_id, to.session_id, 0xc021], &vec![0; FRAME]));
        if number % 50 == 0 || number == ROOM + 50 {
            // The buffer of the UDP socket is not what this is about.
            wait_for(&bed.driver, number);
        }
    }
    let taken = bed.settle().len() as u64;
    assert!((ROOM - 10..=ROOM + 1).contains(&taken), "{taken} frames");
}

/// Waits until so many frames were passed up or dropped.
fn wait_for(driver: &UserDriver, frames: u64) {
    let end = Instant::now() + PATIENCE;
    while !socket_counters(driver).contains(&("rx_frames", frames)) {
        assert!(Instant::now() < end, "{frames} frames: {:?}", socket_counters(driver));
        std::thread::yield_now();
    }
}

mod netns {
    use netlink_packet_route::RouteNetlinkMessage;
    use netlink_packet_route::link::LinkMessage;
    use pppol2tp::netlink::Netlink;
    use pppol2tp::{Interface, Prefix, SharedConfig, Unit, UnitConfig};

    use super::*;
    use crate::common::in_netns;

    fn delete(index: u32) {
        let mut link = LinkMessage::default();
        link.header.index = index;
        let netlink = Netlink::open().expect("rtnetlink");
        netlink.request(RouteNetlinkMessage::DelLink(link), 0).expect("deleted");
    }

    fn own(bed: &Bed) -> Box<dyn Unit> {
        bed.session.unit(UnitConfig::default()).expect("a unit")
    }

    fn gone(bed: &Bed) {
        let up = bed.handle.recv_timeout(PATIENCE).expect("word of it");
        assert_eq!(told(vec![up]), [(Reason::Gone(IDS), Vec::new())]);
    }

    #[test]
    fn frames_of_a_unit_come_whatever_it_is_bound_to() {
        in_netns(|| {
            let bed = bed();
            let shared = SharedConfig { name: "pool".into(), mtu: 1400 };
            let shared = bed.driver.shared_interface(shared).expect("an interface");
            let addresses = vec![Prefix::host([10, 0, 0, 2].into())];
            let interface = Interface::Shared { name: shared.interface(), addresses };
            bed.sends(&data(IDS, 1));
            assert_eq!(bed.settle(), []);
            let unit = bed.session.unit(UnitConfig { interface, ..UnitConfig::default() }).expect("a unit");
            bed.sends(&data(IDS, 2));
            assert_eq!(bed.settle(), []);
            // What waits at the session, then what waits at the unit.
            bed.session.pass_up().expect("alive");
            bed.sends(&data(IDS, 3));
            assert_eq!(told(bed.settle()), [1, 2, 3].map(|number| frame(IDS, number)));
            assert_eq!(unit.recv(&mut [0; 100]), Ok(None));
            drop(unit);
            bed.sends(&data(IDS, 4));
            assert_eq!(told(bed.settle()), [frame(IDS, 4)]);
            let _unit = own(&bed);
            bed.sends(&data(IDS, 5));
            // A protocol of one byte is passed up in two.
            bed.sends(&message(&[2, 1, 10], &[0xff, 3, 0x3d, 7]));
            let of_one_byte = (Reason::Frame(IDS), vec![0, 0x3d, 7]);
            assert_eq!(told(bed.settle()), [frame(IDS, 5), of_one_byte]);
        });
    }

    #[test]
    fn an_interface_that_is_deleted_tells_of_its_session() {
        in_netns(|| {
            let bed = bed();
            bed.session.pass_up().expect("alive");
            let unit = own(&bed);
            delete(unit.index());
            gone(&bed);
            assert!(!unit.is_alive() && bed.session.is_alive());
            // The session goes on without it.
            drop(unit);
            bed.sends(&data(IDS, 1));
            assert_eq!(told(bed.settle()), [frame(IDS, 1)]);
        });
    }

    #[test]
    fn a_unit_that_is_dead_when_its_session_begins_to_pass_up_is_told_of() {
        in_netns(|| {
            let bed = bed();
            let unit = own(&bed);
            delete(unit.index());
            let mut fds = [PollFd::new(unit.poll_fd().expect("a descriptor"), PollFlags::POLLIN)];
            poll(&mut fds, PollTimeout::from(10_000u16)).expect("polled");
            bed.session.pass_up().expect("alive");
            gone(&bed);
        });
    }

    #[test]
    fn a_shared_interface_that_goes_tells_of_all_its_sessions() {
        for deleted in [false, true] {
            in_netns(|| {
                let bed = bed();
                let other = bed.driver.session(OTHER).expect("a session");
                let shared = SharedConfig { name: "pool".into(), mtu: 1400 };
                let shared = bed.driver.shared_interface(shared).expect("an interface");
                let unit = |session: &dyn SessionSocket, last| {
                    session.pass_up().expect("alive");
                    let addresses = vec![Prefix::host([10, 0, 0, last].into())];
                    let interface = Interface::Shared { name: shared.interface(), addresses };
                    session.unit(UnitConfig { interface, ..UnitConfig::default() }).expect("a unit")
                };
                let units = [unit(&*bed.session, 2), unit(&*other, 3)];
                if deleted {
                    delete(shared.index());
                } else {
                    drop(shared);
                }
                let up: Vec<_> = (0..2).filter_map(|_| bed.handle.recv_timeout(PATIENCE)).collect();
                assert_eq!(told(up), [(Reason::Gone(IDS), Vec::new()), (Reason::Gone(OTHER), Vec::new())]);
                assert!(units.iter().all(|unit| !unit.is_alive()));
                // Their owner closes them: no more is told.
                drop((units, other));
                assert_eq!(bed.settle(), []);
            });
        }
    }

    #[test]
    fn a_unit_that_its_owner_drops_is_not_told_of() {
        in_netns(|| {
            let bed = bed();
            let shared = SharedConfig { name: "pool".into(), mtu: 1400 };
            let shared = bed.driver.shared_interface(shared).expect("an interface");
            bed.session.pass_up().expect("alive");
            for _ in 0..100 {
                let interface = Interface::Shared { name: shared.interface(), addresses: Vec::new() };
                drop(bed.session.unit(UnitConfig { interface, ..UnitConfig::default() }).expect("a unit"));
            }
            drop(own(&bed));
            drop(shared);
            assert_eq!(bed.settle(), []);
        });
    }

    #[test]
    fn sessions_of_another_socket_are_passed_up_there() {
        in_netns(|| {
            let bed = bed();
            let second = bed.driver.attach(common::udp("127.0.0.1:0")).expect("attached");
            let peer = bed.peer.local_addr().expect("its address");
            let _tunnel = second.tunnel(tunnel_to(peer, 3)).expect("a tunnel");
            let ids = SessionIds { tunnel_id: 3, peer_tunnel_id: 4, ..IDS };
            let session = bed.driver.session(ids).expect("a session");
            session.pass_up().expect("alive");
            bed.session.pass_up().expect("alive");
            let local = second.local_addr().expect("its address");
            bed.peer.send_to(&data(ids, 1), local).expect("sent");
            bed.sends(&data(IDS, 2));
            assert_eq!(told(bed.settle()), [frame(IDS, 2)]);
            assert_eq!(told(common::settle(&*second, &bed.peer)), [frame(ids, 1)]);
        });
    }
}
