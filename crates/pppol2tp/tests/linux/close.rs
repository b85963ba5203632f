//! Closing, in all orders: nothing is left, and all that was used is free again.

use std::any::Any;

use pppol2tp::{Driver, Errno, SessionIds, SocketOption, UnitConfig};

use crate::bed::*;
use crate::common::{PATIENCE, message, receive, udp};
use crate::tests;

tests! {
    in_all_orders
    in_all_orders_while_passing_up
    ids_are_free_at_once
    a_tunnel_lives_without_its_management_socket
    the_dead_say_so
}

/// Unit, session socket, management socket, UDP handle.
fn orders() -> Vec<[usize; 4]> {
    let mut orders = Vec::new();
    for n in 0..4usize.pow(4) {
        let order = [n / 64, n / 16 % 4, n / 4 % 4, n % 4];
        if (0..4).all(|value| order.contains(&value)) {
            orders.push(order);
        }
    }
    assert_eq!(orders.len(), 24);
    orders
}

fn all_orders(pass_up: bool) {
    let local = udp("127.0.0.1:0").local_addr().expect("its address").to_string();
    for order in orders() {
        let peer = udp("127.0.0.1:0");
        let end = End::new(udp(&local), peer.local_addr().expect("its address"), 1, 2);
        if pass_up {
            end.session.pass_up().expect("alive");
        }
        let unit = end.session.unit(UnitConfig::default()).expect("a unit");
        assert_eq!(interfaces(), ["ppp0"], "{order:?}");
        let End { session, tunnel, handle, .. } = end;
        let mut parts: [Option<Box<dyn Any>>; 4] =
            [Some(Box::new(unit)), Some(Box::new(session)), Some(Box::new(tunnel)), Some(Box::new(handle))];
        for part in order {
            parts[part] = None;
            if part == 0 {
                assert_eq!(interfaces(), [""; 0], "{order:?}");
            }
        }
        until("the kernel has closed all", || known().is_empty());
    }
}

fn in_all_orders() {
    all_orders(false);
}

fn in_all_orders_while_passing_up() {
    all_orders(true);
}

fn ids_are_free_at_once() {
    for _ in 0..300 {
        let (left, right) = pair("127.0.0.1:0");
        left.session.send(&lcp(1)).expect("sent");
        assert_eq!(right.recv(), lcp(1));
    }
    let (end, peer) = raw();
    for id in 0..=255 {
        let ids = SessionIds { session_id: 77, peer_session_id: 88, ..end.session.ids() };
        let session = end.driver.session(ids).expect("a session");
        session.send(&lcp(id)).expect("sent");
        assert_eq!(receive(&peer), Ok(message(&[2, 2, 88, 0xff03], &lcp(id))));
        peer.send_to(&message(&[2, 1, 77, 0xff03], &lcp(id)), end.local()).expect("sent");
        let mut buffer = [0; 100];
        assert_eq!(session.recv_timeout(&mut buffer, PATIENCE), Ok(Some(lcp(id).len())));
    }
}

fn a_tunnel_lives_without_its_management_socket() {
    let (left, right) = pair("127.0.0.1:0");
    let End { session, tunnel, handle, driver } = left;
    drop(tunnel);
    session.send(&lcp(1)).expect("sent");
    assert_eq!(right.recv(), lcp(1));
    let another = SessionIds { session_id: 11, peer_session_id: 21, ..session.ids() };
    driver.session(another).expect("another session");
    drop(handle);
    assert!(!session.is_alive());
}

fn the_dead_say_so() {
    let (end, peer) = raw();
    let again = crate::common::tunnel_to(peer.local_addr().expect("its address"), 1);
    let again = end.handle.tunnel(again).expect("attached to it");
    let End { session, tunnel, driver, handle: _handle } = end;
    let fd = session.poll_fd().expect("a descriptor");
    tunnel.delete();
    assert!(crate::frames::readable(fd));
    let errors = [
        session.send(&lcp(1)),
        session.flush(),
        session.recv(&mut [0; 9]).map(drop),
        session.set(SocketOption::SendSeq, 1),
        session.get(SocketOption::SendSeq).map(drop),
        session.stats().map(drop),
        session.pass_up(),
        session.unit(UnitConfig::default()).map(drop),
    ];
    for error in errors.map(|result| result.expect_err("it is dead")) {
        assert_eq!(error.errno(), Errno::NotConn, "{error}");
    }
    assert!(!again.is_alive());
    let errors = [again.set(SocketOption::Debug, 1), again.stats(None).map(drop)];
    for error in errors.map(|result| result.expect_err("it is dead")) {
        assert_eq!(error.errno(), Errno::BadF, "{error}");
    }
    assert_eq!(driver.session(session.ids()).map(drop).map_err(|error| error.errno()), Err(Errno::NoEnt));
    assert!(driver.snapshot().tunnels.is_empty() && driver.snapshot().sessions.is_empty());
}
