//! Socket options, and what a snapshot tells.

use pppol2tp::data::proc::bucket;
use pppol2tp::{Driver, Errno, SessionIds, SocketOption};

use crate::bed::*;
use crate::tests;

tests! {
    are_kept_by_the_kernel
    are_checked
    of_a_management_socket
    a_lac_follows_its_lns
    a_snapshot_has_all
}

fn are_kept_by_the_kernel() {
    let (end, _peer) = raw();
    for option in [SocketOption::RecvSeq, SocketOption::SendSeq, SocketOption::LnsMode] {
        for value in [1, 0] {
            end.session.set(option, value).expect("set");
            assert_eq!(end.session.get(option), Ok(value), "{option:?}");
        }
    }
    // Ten times the 10 ms of a slow kernel's clock.
    for value in [100, 0] {
        end.session.set(SocketOption::ReorderTo, value).expect("set");
        assert_eq!(end.session.get(SocketOption::ReorderTo), Ok(value));
    }
    // Linux would take it and do nothing.
    let error = end.session.set(SocketOption::Debug, 15).expect_err("refused");
    assert!(error.errno() == Errno::OpNotSupp && error.to_string().contains("tracepoints"), "{error}");
    end.session.set(SocketOption::Debug, 0).expect("nothing is wanted");
    assert_eq!(end.session.get(SocketOption::Debug), Ok(0));
}

fn are_checked() {
    let (end, _peer) = raw();
    for (option, value) in [
        (SocketOption::RecvSeq, 2),
        (SocketOption::SendSeq, -1),
        (SocketOption::LnsMode, 2),
        (SocketOption::ReorderTo, -1),
    ] {
        let error = end.session.set(option, value).expect_err("refused");
        assert_eq!(error.errno(), Errno::Inval, "{option:?} {value}: {error}");
    }
}

fn of_a_management_socket() {
    let (end, _peer) = raw();
    let error = end.tunnel.set(SocketOption::Debug, 1).expect_err("refused");
    assert_eq!(error.errno(), Errno::OpNotSupp, "{error}");
    assert_eq!(end.tunnel.get(SocketOption::Debug), Ok(0));
    for option in SocketOption::ALL.into_iter().filter(|option| *option != SocketOption::Debug) {
        let errors = [end.tunnel.set(option, 1), end.tunnel.get(option).map(drop)];
        for error in errors.map(|result| result.expect_err("refused")) {
            assert_eq!(error.errno(), Errno::NoProtoOpt, "{option:?}: {error}");
        }
    }
    assert_eq!(end.tunnel.stats(Some(99)).map_err(|error| error.errno()), Err(Errno::BadR));
    assert_eq!(end.tunnel.stats(Some(0)).map_err(|error| error.errno()), Err(Errno::BadR));
}

fn a_lac_follows_its_lns() {
    let (lac, lns) = pair("127.0.0.1:0");
    lns.session.set(SocketOption::LnsMode, 1).expect("set");
    for on in [1, 0] {
        lns.session.set(SocketOption::SendSeq, on).expect("set");
        lns.session.send(&lcp(1)).expect("sent");
        lac.recv();
        assert_eq!(lac.session.get(SocketOption::SendSeq), Ok(on));
    }
}

fn a_snapshot_has_all() {
    let (end, peer) = raw();
    let session_id = (11..).find(|id| bucket(*id) == bucket(10)).expect("an id");
    let ids = SessionIds { session_id, peer_session_id: 21, ..end.session.ids() };
    let _second = end.driver.session(ids).expect("a session");
    end.session.set(SocketOption::RecvSeq, 1).expect("set");
    end.session.set(SocketOption::ReorderTo, 100).expect("set");
    let snapshot = end.driver.snapshot();
    let [socket] = &snapshot.sockets[..] else { panic!("{snapshot:?}") };
    assert_eq!(socket.local, end.local());
    let [tunnel] = &snapshot.tunnels[..] else { panic!("{snapshot:?}") };
    assert_eq!((tunnel.tunnel_id, tunnel.peer_tunnel_id, tunnel.references), (1, 2, 3));
    assert_eq!((tunnel.local, tunnel.peer), (end.local(), peer.local_addr().expect("its address")));
    // Newest first: both are in one bucket of the kernel's.
    let [second, session] = &snapshot.sessions[..] else { panic!("{snapshot:?}") };
    assert_eq!([second.ids, session.ids], [ids, end.session.ids()]);
    assert!(session.recv_seq && !session.send_seq && !session.lns_mode && !session.bound);
    assert_eq!((session.reorder_timeout, session.interface.as_deref()), (100, None));
    let proc = snapshot.proc().to_string();
    assert!(proc.contains("SESSION 'sess 1/10'"), "{proc}");
}
