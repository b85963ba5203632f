//! Raw frames between two drivers, and what they look like on the wire.

use std::os::fd::BorrowedFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use pppol2tp::data::stats::{Rx, Tx};
use pppol2tp::{Driver, SocketOption};

use crate::bed::*;
use crate::common::{message, receive};
use crate::tests;

tests! {
    both_ways_over_ipv4
    both_ways_over_ipv6
    on_the_wire
    with_sequence_numbers
    a_descriptor_tells_of_them
    longer_than_the_buffer
    counted_alike_on_both_sides
}

pub(crate) fn readable(fd: BorrowedFd<'_>) -> bool {
    poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], PollTimeout::ZERO) == Ok(1)
}

fn both_ways(address: &str) {
    let (left, right) = pair(address);
    for n in 0..20 {
        left.session.send(&lcp(n)).expect("sent");
        right.session.send(&ipcp(n)).expect("sent");
    }
    for n in 0..20 {
        assert_eq!(right.recv(), lcp(n));
        assert_eq!(left.recv(), ipcp(n));
    }
    assert_eq!(left.session.recv(&mut [0; 100]), Ok(None));
}

fn both_ways_over_ipv4() {
    both_ways("127.0.0.1:0");
}

fn both_ways_over_ipv6() {
    both_ways("[::1]:0");
}

fn on_the_wire() {
    let (end, peer) = raw();
    end.session.send(&lcp(7)).expect("sent");
    end.session.flush().expect("alive");
    end.handle.send(&hello(1), peer.local_addr().expect("its address"), None).expect("sent");
    assert_eq!(receive(&peer), Ok(message(&[2, 2, 20, 0xff03], &lcp(7))));
    assert_eq!(receive(&peer), Ok(hello(1)));
    for header in [&[2, 1, 10, 0xff03][..], &[2, 1, 10]] {
        peer.send_to(&message(header, &lcp(8)), end.local()).expect("sent");
        assert_eq!(end.recv(), lcp(8));
    }
}

fn with_sequence_numbers() {
    let (end, peer) = raw();
    end.session.set(SocketOption::SendSeq, 1).expect("set");
    end.session.set(SocketOption::LnsMode, 1).expect("set");
    for ns in 0..3 {
        end.session.send(&lcp(7)).expect("sent");
        assert_eq!(receive(&peer), Ok(message(&[0x0802, 2, 20, ns, 0, 0xff03], &lcp(7))));
    }
    let arrives = |ns: u16| {
        let message = message(&[0x0802, 1, 10, ns, 0, 0xff03], &lcp(ns as u8));
        peer.send_to(&message, end.local()).expect("sent");
    };
    // The first one defines what the next is; 5 is behind that then, 9 ahead of it.
    for ns in [5, 6, 5, 9, 7] {
        arrives(ns);
    }
    for ns in 5..8 {
        assert_eq!(end.recv(), lcp(ns));
    }
    let stats = end.session.stats().expect("alive");
    assert_eq!((stats.rx(Rx::Packets), stats.rx(Rx::Errors), stats.rx(Rx::SeqDiscards)), (3, 2, 1));
    let session = &end.driver.snapshot().sessions[0];
    assert_eq!((session.nr, session.ns), (8, 3));
    assert!(session.send_seq && session.lns_mode && !session.recv_seq);
}

fn a_descriptor_tells_of_them() {
    let (left, right) = pair("127.0.0.1:0");
    let fd = right.session.poll_fd().expect("a descriptor");
    assert!(!readable(fd));
    left.session.send(&lcp(1)).expect("sent");
    until("it is readable", || readable(fd));
    assert_eq!(right.recv(), lcp(1));
    assert!(!readable(fd));
    // They are nobody else's.
    assert!(right.handle.recv().is_none());
}

fn longer_than_the_buffer() {
    let (left, right) = pair("127.0.0.1:0");
    left.session.send(&lcp(1)).expect("sent");
    let mut buffer = [0; 4];
    until("it comes", || right.session.recv(&mut buffer).expect("alive") == Some(lcp(1).len()));
    assert_eq!(buffer, lcp(1)[..4]);
}

fn counted_alike_on_both_sides() {
    let (left, right) = pair("127.0.0.1:0");
    for n in 0..5 {
        left.session.send(&lcp(n)).expect("sent");
        right.recv();
    }
    let (sent, received) = (left.session.stats().expect("alive"), right.session.stats().expect("alive"));
    assert_eq!((sent.tx(Tx::Packets), sent.tx(Tx::Bytes), sent.tx(Tx::Errors)), (5, 5 * 18, 0));
    assert_eq!((received.rx(Rx::Packets), received.rx(Rx::Bytes), received.rx(Rx::Errors)), (5, 5 * 18, 0));
    for (end, session) in [(&left, sent), (&right, received)] {
        assert_eq!(end.tunnel.stats(None), Ok(session));
        assert_eq!(end.tunnel.stats(Some(end.session.ids().session_id)), Ok(session));
        let snapshot = end.driver.snapshot();
        assert_eq!((snapshot.tunnels[0].stats, snapshot.sessions[0].stats), (session, session));
    }
}
