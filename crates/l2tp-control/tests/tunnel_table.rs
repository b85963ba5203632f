//! RFC 2661 §7.2.1, control connection establishment: one test a row.

mod common;

use common::*;
use l2tp_control::auth::Secret;
use l2tp_control::config::Policy;
use l2tp_control::wire::{Attribute, Message, MessageType, ProtocolVersion, Scccn, StopCcn, StopResult};
use l2tp_control::{By, Cause, Event, Incoming, Request, TunnelState};

const SCCRQ: MessageType = MessageType::SCCRQ;
const SCCRP: MessageType = MessageType::SCCRP;
const SCCCN: MessageType = MessageType::SCCCN;
const STOPCCN: MessageType = MessageType::STOPCCN;
const ICRQ: MessageType = MessageType::ICRQ;

fn bed() -> (Bed, Peer) {
    (Bed::new(&Policy::default()), Peer::new(LAC, 77))
}

fn scccn() -> Scccn {
    Scccn { challenge_response: None }
}

fn stop(id: u16) -> StopCcn<'static> {
    StopCcn::new(Some(tunnel_id(id)), StopResult::SHUTTING_DOWN.into())
}

/// Places a call that waits for its tunnel or not.
fn place(bed: &mut Bed, tunnel: l2tp_data::id::TunnelId) {
    bed.end.place_call(bed.now, tunnel, Request::Incoming(Incoming::default()), None).unwrap();
    bed.drain();
}

/// Why the tunnel has gone, which is the next event.
fn down(bed: &mut Bed) -> (By, StopResult) {
    match bed.events.pop_front() {
        Some(Event::TunnelDown { reason, .. }) => (reason.by, reason.cause.result),
        event => panic!("{event:?}"),
    }
}

/// Tells the peer with result 7 and gives the tunnel up.
fn assert_out_of_place(bed: &mut Bed, sent: &[Sent], message: MessageType, state: &'static str) {
    assert_eq!(kinds(sent), [STOPCCN]);
    assert_eq!(sent.last().unwrap().result(), (7, 0));
    assert_eq!(down(bed), (By::State { message, state }, StopResult::STATE_MACHINE));
}

#[test]
fn idle_local_open_request() {
    let (mut bed, mut peer) = bed();
    let tunnel = bed.end.connect(bed.now, connect_to(LAC, &Policy::default())).unwrap();
    bed.drain();
    let sent = bed.take(&mut peer);
    assert_eq!(kinds(&sent), [SCCRQ]);
    assert_eq!((sent[0].header().tunnel_id, sent[0].header().ns, sent[0].header().nr), (0, 0, 0));
    assert_eq!(sent[0].number(Attribute::ASSIGNED_TUNNEL_ID), tunnel.get());
    assert_eq!(bed.end.tunnel_state(tunnel), Some(TunnelState::WaitCtlReply));
}

#[test]
fn idle_receive_sccrq_acceptable() {
    let (mut bed, mut peer) = bed();
    let sent = bed.send(&mut peer, 0, sccrq(77));
    assert_eq!(kinds(&sent), [SCCRP]);
    assert_eq!((sent[0].header().tunnel_id, sent[0].header().ns, sent[0].header().nr), (77, 0, 1));
    assert_eq!(bed.end.tunnel_state(tunnel_id(peer.theirs)), Some(TunnelState::WaitCtlConn));
    assert_eq!((bed.end.half_open(), bed.told()), (1, vec![]));
}

#[test]
fn idle_receive_sccrq_not_acceptable() {
    let (mut bed, mut peer) = bed();
    let request = l2tp_control::wire::Sccrq {
        protocol_version: ProtocolVersion { version: 2, revision: 0 },
        ..sccrq(77)
    };
    let sent = bed.send(&mut peer, 0, request);
    assert_eq!(kinds(&sent), [STOPCCN]);
    assert_eq!(sent[0].result(), (5, 0x0100), "version, and the highest that is supported");
    assert_eq!((sent[0].header().tunnel_id, sent[0].header().ns, sent[0].header().nr), (77, 0, 1));
    assert_ne!(sent[0].number(Attribute::ASSIGNED_TUNNEL_ID), 0);
    assert_eq!((bed.end.tunnels(), bed.end.half_open(), bed.told()), (0, 0, vec![]));
}

#[test]
fn idle_receive_sccrp() {
    let (mut bed, mut peer) = bed();
    (peer.theirs, peer.nr) = (1234, 1);
    let sent = bed.send(&mut peer, 0, sccrp(77));
    assert_eq!(kinds(&sent), [STOPCCN]);
    assert_eq!(sent[0].result(), (7, 0));
    assert_eq!((sent[0].header().tunnel_id, sent[0].header().ns, sent[0].header().nr), (77, 1, 1));
    assert_eq!((bed.end.tunnels(), bed.told()), (0, vec![]));
}

#[test]
fn idle_receive_scccn() {
    let (mut bed, mut peer) = bed();
    for theirs in [0, 1234] {
        peer.theirs = theirs;
        assert_eq!(bed.send(&mut peer, 0, scccn()), []);
    }
    assert_eq!((bed.end.tunnels(), bed.told(), bed.count("stray")), (0, vec![], 2));
}

#[test]
fn wait_ctl_reply_receive_sccrp_acceptable() {
    let (mut bed, mut peer) = bed();
    let tunnel = bed.dialling(&mut peer, &Policy::default());
    place(&mut bed, tunnel);
    assert_eq!(bed.take(&mut peer), [], "the call waits for the tunnel");
    let sent = bed.send(&mut peer, 0, sccrp(77));
    assert_eq!(kinds(&sent), [SCCCN, ICRQ], "tunnel-open event to waiting sessions");
    assert_eq!((sent[0].header().tunnel_id, sent[0].header().ns, sent[0].header().nr), (77, 1, 1));
    assert_eq!(names(&bed.told()), ["tunnel up"]);
    assert_eq!(bed.end.tunnel_state(tunnel), Some(TunnelState::Established));
}

#[test]
fn wait_ctl_reply_receive_sccrp_not_acceptable() {
    let (mut bed, mut peer) = bed();
    bed.dialling(&mut peer, &Policy::default());
    let reply = l2tp_control::wire::Sccrp {
        protocol_version: ProtocolVersion { version: 3, revision: 0 },
        ..sccrp(77)
    };
    let sent = bed.send(&mut peer, 0, reply);
    assert_eq!(kinds(&sent), [STOPCCN]);
    assert_eq!((sent[0].result(), sent[0].header().tunnel_id), ((5, 0x0100), 77));
    assert_eq!(down(&mut bed).1, StopResult::VERSION);
    bed.ack(&mut peer);
    assert_eq!(bed.end.tunnels(), 0);
}

#[test]
fn wait_ctl_reply_receive_sccrq_lose_tie_breaker() {
    let (mut bed, mut peer) = bed();
    let tunnel = bed.dialling(&mut peer, &Policy::default());
    place(&mut bed, tunnel);
    peer = Peer::new(LAC, 77);
    let request = l2tp_control::wire::Sccrq { tie_breaker: Some(0), ..sccrq(77) };
    let sent = bed.send(&mut peer, 0, request);
    assert_eq!(kinds(&sent), [SCCRP], "ours is forgotten, the peer's is answered");
    assert_eq!(peer.theirs, tunnel.get());
    assert_eq!(bed.end.tunnel_state(tunnel), Some(TunnelState::WaitCtlConn));
    assert_eq!(kinds(&bed.send(&mut peer, 0, scccn())), [ICRQ], "the waiting call was kept");
    assert_eq!(names(&bed.told()), ["tunnel up"]);
    bed.pass(CYCLE);
    let again = bed.take(&mut peer);
    assert!(!kinds(&again).contains(&SCCRQ), "{again:?}");
}

#[test]
fn wait_ctl_reply_receive_scccn() {
    let (mut bed, mut peer) = bed();
    let tunnel = bed.dialling(&mut peer, &Policy::default());
    peer.theirs = tunnel.get();
    let sent = bed.send(&mut peer, 0, scccn());
    assert_out_of_place(&mut bed, &sent, SCCCN, "wait-ctl-reply");
}

#[test]
fn wait_ctl_conn_receive_scccn_acceptable() {
    let (mut bed, mut peer) = bed();
    bed.send(&mut peer, 0, sccrq(77));
    let tunnel = tunnel_id(peer.theirs);
    place(&mut bed, tunnel);
    assert_eq!(kinds(&bed.send(&mut peer, 0, scccn())), [ICRQ], "tunnel-open event to waiting sessions");
    assert_eq!(names(&bed.told()), ["tunnel up"]);
    assert_eq!(bed.end.tunnel_state(tunnel), Some(TunnelState::Established));
    assert_eq!(bed.end.half_open(), 0);
}

#[test]
fn wait_ctl_conn_receive_scccn_not_acceptable() {
    let policy = Policy { secret: Some(Secret::new(b"s")), challenge: true, ..Policy::default() };
    let (mut bed, mut peer) = (Bed::new(&policy), Peer::new(LAC, 77));
    bed.send(&mut peer, 0, sccrq(77));
    let sent = bed.send(&mut peer, 0, Scccn { challenge_response: Some([0; 16]) });
    assert_eq!(kinds(&sent), [STOPCCN]);
    assert_eq!(sent[0].result(), (4, 0));
    assert_eq!(down(&mut bed), (By::Authentication, StopResult::NOT_AUTHORISED));
    assert_eq!(bed.end.half_open(), 0);
    bed.ack(&mut peer);
    assert_eq!(bed.end.tunnels(), 0);
}

#[test]
fn wait_ctl_conn_receive_sccrp_or_sccrq() {
    let rows: [(MessageType, Message<'_>); 2] = [(SCCRP, sccrp(77).into()), (SCCRQ, sccrq(77).into())];
    for (kind, message) in rows {
        let (mut bed, mut peer) = bed();
        bed.send(&mut peer, 0, sccrq(77));
        let sent = bed.send(&mut peer, 0, message);
        assert_out_of_place(&mut bed, &sent, kind, "wait-ctl-conn");
        assert_eq!(bed.end.half_open(), 0);
    }
}

#[test]
fn established_local_open_request() {
    let (mut bed, mut peer) = bed();
    let tunnel = bed.opened_by(&mut peer);
    place(&mut bed, tunnel);
    assert_eq!(kinds(&bed.take(&mut peer)), [ICRQ], "tunnel-open event at once");
    assert_eq!(bed.end.tunnel_state(tunnel), Some(TunnelState::Established));
}

#[test]
fn established_admin_tunnel_close() {
    let (mut bed, mut peer) = bed();
    let tunnel = bed.opened_by(&mut peer);
    let cause = Cause { message: "tea time".into(), ..Cause::new(StopResult::SHUTTING_DOWN) };
    bed.end.close(bed.now, tunnel, cause).unwrap();
    bed.drain();
    let sent = bed.take(&mut peer);
    assert_eq!(kinds(&sent), [STOPCCN]);
    assert_eq!((sent[0].result(), &*sent[0].words()), ((6, 0), "tea time"));
    assert_eq!(sent[0].number(Attribute::ASSIGNED_TUNNEL_ID), tunnel.get());
    assert_eq!(down(&mut bed), (By::Us, StopResult::SHUTTING_DOWN));
    assert!(bed.end.close(bed.now, tunnel, Cause::new(StopResult::CLEAR)).is_err());
    bed.ack(&mut peer);
    assert_eq!(bed.end.tunnels(), 0);
}

#[test]
fn established_receive_sccrq_sccrp_or_scccn() {
    let rows: [(MessageType, Message<'_>); 3] =
        [(SCCRQ, sccrq(77).into()), (SCCRP, sccrp(77).into()), (SCCCN, scccn().into())];
    for (kind, message) in rows {
        let (mut bed, mut peer) = bed();
        bed.opened_by(&mut peer);
        let sent = bed.send(&mut peer, 0, message);
        assert_out_of_place(&mut bed, &sent, kind, "established");
    }
}

#[test]
fn any_state_receive_stopccn() {
    let idle = |_: &mut Bed, peer: &mut Peer| peer.theirs = 1234;
    let wait_ctl_reply = |bed: &mut Bed, peer: &mut Peer| {
        peer.theirs = bed.dialling(peer, &Policy::default()).get();
    };
    let wait_ctl_conn = |bed: &mut Bed, peer: &mut Peer| {
        bed.send(peer, 0, sccrq(77));
    };
    let established = |bed: &mut Bed, peer: &mut Peer| {
        bed.opened_by(peer);
    };
    type Row = (&'static str, fn(&mut Bed, &mut Peer), usize);
    let rows: [Row; 4] = [
        ("idle", idle, 0),
        ("wait-ctl-reply", wait_ctl_reply, 1),
        ("wait-ctl-conn", wait_ctl_conn, 1),
        ("established", established, 1),
    ];
    for (state, prepare, tunnels) in rows {
        let (mut bed, mut peer) = bed();
        prepare(&mut bed, &mut peer);
        bed.take(&mut peer);
        let sent = bed.send(&mut peer, 0, stop(77));
        assert_eq!(kinds(&sent), [], "{state}");
        if tunnels == 1 {
            assert_eq!(down(&mut bed), (By::Peer, StopResult::SHUTTING_DOWN), "{state}");
        }
        assert_eq!((bed.told(), bed.end.tunnels(), bed.end.half_open()), (vec![], tunnels, 0), "{state}");
        bed.pass(std::time::Duration::from_secs(1));
        let acks: Vec<_> = sent.into_iter().chain(bed.take(&mut peer)).map(|sent| sent.header().nr).collect();
        assert_eq!(acks, [peer.ns], "{state}: acknowledged once");
        bed.pass(CYCLE);
        assert_eq!((bed.end.tunnels(), bed.take(&mut peer)), (0, vec![]), "{state}");
    }
}
