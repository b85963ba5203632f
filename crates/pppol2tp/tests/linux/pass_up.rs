//! Sessions that pass up: one descriptor serves them all.

use std::net::UdpSocket;

use pppol2tp::{Driver, Errno, Reason, SessionIds, UnitConfig};

use crate::bed::*;
use crate::common::{PATIENCE, message};
use crate::frames::readable;
use crate::tests;

tests! {
    control_messages_first
    frames_that_wait_first
    frames_of_a_unit
    one_descriptor_for_all
    an_interface_that_is_deleted
    an_interface_that_was_deleted_before
    a_tunnel_that_is_deleted
    a_tunnel_of_many_sessions_that_is_deleted
    a_session_that_is_dropped
    a_unit_that_is_dropped
    nothing_turns_in_circles
}

const IDS: SessionIds = SessionIds { tunnel_id: 1, session_id: 10, peer_tunnel_id: 2, peer_session_id: 20 };
const OTHER: SessionIds = SessionIds { session_id: 11, peer_session_id: 21, ..IDS };

fn arrives(end: &End, peer: &UdpSocket, session: SessionIds, frame: &[u8]) {
    peer.send_to(&message(&[2, 1, session.session_id, 0xff03], frame), end.local()).expect("sent");
}

fn gone(end: &End) {
    assert_eq!(end.up(), (Reason::Gone(IDS), Vec::new()));
}

fn control_messages_first() {
    let (end, peer) = raw();
    let other = end.driver.session(OTHER).expect("a session");
    end.session.pass_up().expect("alive");
    other.pass_up().expect("alive");
    arrives(&end, &peer, IDS, &lcp(1));
    arrives(&end, &peer, IDS, &lcp(2));
    arrives(&end, &peer, OTHER, &lcp(3));
    peer.send_to(&hello(1), end.local()).expect("sent");
    assert_eq!(end.up(), (Reason::Control, hello(1)));
    assert_eq!(end.up(), (Reason::Frame(IDS), lcp(1)));
    // One that comes between them, too.
    peer.send_to(&hello(2), end.local()).expect("sent");
    assert_eq!(end.up(), (Reason::Control, hello(2)));
    let mut rest = [end.up(), end.up()];
    rest.sort_by_key(|(_, frame)| frame.clone());
    assert_eq!(rest, [(Reason::Frame(IDS), lcp(2)), (Reason::Frame(OTHER), lcp(3))]);
    assert_eq!(end.handle.recv(), None);
    assert_eq!(end.session.recv(&mut [0; 100]), Ok(None));
}

fn frames_that_wait_first() {
    let (end, peer) = raw();
    (0..20).for_each(|id| arrives(&end, &peer, IDS, &lcp(id)));
    end.session.pass_up().expect("alive");
    end.session.pass_up().expect("twice is once");
    (20..40).for_each(|id| arrives(&end, &peer, IDS, &lcp(id)));
    for id in 0..40 {
        assert_eq!(end.up(), (Reason::Frame(IDS), lcp(id)));
    }
    assert_eq!(end.handle.recv(), None);
}

fn frames_of_a_unit() {
    let (end, peer) = raw();
    end.session.pass_up().expect("alive");
    let unit = end.session.unit(UnitConfig::default()).expect("a unit");
    for frame in [lcp(1), ipcp(2), lcp(3)] {
        arrives(&end, &peer, IDS, &frame);
        let up = end.handle.recv_timeout(PATIENCE).expect("a frame");
        assert_eq!((up.reason, up.datagram), (Reason::Frame(IDS), frame));
        assert_eq!(up.from, peer.local_addr().expect("its address"));
    }
    assert_eq!(unit.recv(&mut [0; 100]), Ok(None));
    drop(unit);
    arrives(&end, &peer, IDS, &ipcp(4));
    assert_eq!(end.up(), (Reason::Frame(IDS), ipcp(4)));
}

fn one_descriptor_for_all() {
    let (end, peer) = raw();
    end.session.pass_up().expect("alive");
    let unit = end.session.unit(UnitConfig::default()).expect("a unit");
    let fd = end.handle.poll_fd().expect("a descriptor");
    for frame in [lcp(1), ipcp(2)] {
        assert!(!readable(fd));
        arrives(&end, &peer, IDS, &frame);
        until("it is readable", || readable(fd));
        assert!(!readable(end.session.poll_fd().expect("a descriptor")));
        assert!(!readable(unit.poll_fd().expect("a descriptor")));
        assert_eq!(end.up().1, frame);
    }
    assert!(!readable(fd));
}

fn an_interface_that_is_deleted() {
    let (end, peer) = raw();
    end.session.pass_up().expect("alive");
    let unit = end.session.unit(UnitConfig::default()).expect("a unit");
    arrives(&end, &peer, IDS, &lcp(1));
    ip("link delete ppp0");
    assert_eq!(end.up(), (Reason::Frame(IDS), lcp(1)));
    gone(&end);
    assert!(!unit.is_alive() && end.session.is_alive());
    assert_eq!(end.handle.recv(), None);
    assert!(!readable(end.handle.poll_fd().expect("a descriptor")));
    // The session goes on without it, and with another.
    drop(unit);
    arrives(&end, &peer, IDS, &lcp(2));
    assert_eq!(end.up(), (Reason::Frame(IDS), lcp(2)));
    let unit = end.session.unit(UnitConfig::default()).expect("another");
    arrives(&end, &peer, IDS, &ipcp(3));
    assert_eq!(end.up(), (Reason::Frame(IDS), ipcp(3)));
    assert!(unit.is_alive());
}

fn an_interface_that_was_deleted_before() {
    let (end, _peer) = raw();
    let _unit = end.session.unit(UnitConfig::default()).expect("a unit");
    ip("link delete ppp0");
    end.session.pass_up().expect("alive");
    gone(&end);
    assert_eq!(end.handle.recv(), None);
}

fn a_tunnel_that_is_deleted() {
    let (end, peer) = raw();
    let other = end.driver.session(OTHER).expect("a session");
    let quiet = end.driver.session(SessionIds { session_id: 12, ..OTHER }).expect("a session");
    end.session.pass_up().expect("alive");
    other.pass_up().expect("alive");
    let _unit = end.session.unit(UnitConfig::default()).expect("a unit");
    arrives(&end, &peer, IDS, &lcp(1));
    arrives(&end, &peer, OTHER, &lcp(2));
    arrives(&end, &peer, IDS, &ipcp(3));
    let End { session, tunnel, handle, .. } = end;
    tunnel.delete();
    let up: Vec<_> = std::iter::from_fn(|| handle.recv()).map(|up| (up.reason, up.datagram)).collect();
    assert_eq!(
        up,
        [
            (Reason::Frame(IDS), lcp(1)),
            (Reason::Frame(IDS), ipcp(3)),
            (Reason::Gone(IDS), Vec::new()),
            (Reason::Frame(OTHER), lcp(2)),
            (Reason::Gone(OTHER), Vec::new()),
        ]
    );
    assert!(!session.is_alive() && !other.is_alive() && !quiet.is_alive());
    assert_eq!(session.pass_up().map_err(|error| error.errno()), Err(Errno::NotConn));
    assert!(!readable(handle.poll_fd().expect("a descriptor")));
}

/// More frames wait in the kernel than there is room for.
fn a_tunnel_of_many_sessions_that_is_deleted() {
    const SESSIONS: u16 = 200;
    const FRAMES: u8 = 32;
    let (end, peer) = raw();
    let sessions: Vec<_> = (0..SESSIONS)
        .map(|n| {
            let ids = SessionIds { session_id: 100 + n, peer_session_id: 100 + n, ..IDS };
            let session = end.driver.session(ids).expect("a session");
            session.pass_up().expect("alive");
            (0..FRAMES).for_each(|id| arrives(&end, &peer, ids, &lcp(id)));
            session
        })
        .collect();
    end.tunnel.delete();
    let (mut frames, mut gone) = (0u64, 0);
    while let Some(up) = end.handle.recv() {
        match up.reason {
            Reason::Gone(_) => gone += 1,
            _ => frames += 1,
        }
    }
    let counters = end.driver.snapshot().sockets.swap_remove(0).counters;
    let count = |wanted| counters.iter().find(|(name, _)| *name == wanted).expect("it is there").1;
    // Each end is told of, and takes room as well.
    assert!(gone == SESSIONS && (1..=4096).contains(&frames), "{gone}, {frames}");
    assert_eq!(count("rx_frames"), frames);
    assert_eq!(count("rx_frames_dropped"), u64::from(SESSIONS) * u64::from(FRAMES) - frames);
    drop(sessions);
}

fn a_session_that_is_dropped() {
    let (end, peer) = raw();
    let other = end.driver.session(OTHER).expect("a session");
    other.pass_up().expect("alive");
    end.session.pass_up().expect("alive");
    // Some of its frames have been read already when it is dropped.
    (0..5).for_each(|id| arrives(&end, &peer, OTHER, &lcp(id)));
    assert_eq!(end.up(), (Reason::Frame(OTHER), lcp(0)));
    drop(other);
    assert_eq!(end.handle.recv(), None);
    let next = end.driver.session(OTHER).expect("the id is free");
    next.pass_up().expect("alive");
    arrives(&end, &peer, OTHER, &lcp(9));
    assert_eq!(end.up(), (Reason::Frame(OTHER), lcp(9)));
}

fn a_unit_that_is_dropped() {
    let (end, _peer) = raw();
    end.session.pass_up().expect("alive");
    for _ in 0..20 {
        drop(end.session.unit(UnitConfig::default()).expect("a unit"));
    }
    assert_eq!(end.handle.recv(), None);
    assert!(!readable(end.handle.poll_fd().expect("a descriptor")));
}

/// A session that ends while its unit is held: the unit's descriptor is ready for ever, and nobody is to look.
fn nothing_turns_in_circles() {
    let (end, _peer) = raw();
    end.session.pass_up().expect("alive");
    let unit = end.session.unit(UnitConfig::default()).expect("a unit");
    let End { session, handle, .. } = end;
    drop(session);
    assert_eq!(handle.recv(), None);
    assert!(!readable(handle.poll_fd().expect("a descriptor")));
    assert!(!unit.is_alive());
}
