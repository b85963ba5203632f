//! How a tunnel ends (RFC 2661 §5.7): told, acknowledged, and kept for a while.

mod common;

use std::time::Duration;

use common::*;
use l2tp_control::config::Policy;
use l2tp_control::error::Misuse;
use l2tp_control::wire::{Attribute, Hello, Message, MessageType, Scccn, StopCcn, StopResult};
use l2tp_control::{By, Cause, Event, Incoming, Request, TunnelState};
use l2tp_data::id::TunnelId;

const SCCRQ: MessageType = MessageType::SCCRQ;
const SCCRP: MessageType = MessageType::SCCRP;
const STOPCCN: MessageType = MessageType::STOPCCN;
const SECOND: Duration = Duration::from_secs(1);

fn bed() -> (Bed, Peer) {
    (Bed::new(&Policy::default()), Peer::new(LAC, 77))
}

fn clear() -> Cause<StopResult> {
    Cause::new(StopResult::CLEAR)
}

fn close(bed: &mut Bed, tunnel: TunnelId) {
    bed.end.close(bed.now, tunnel, clear()).unwrap();
    bed.drain();
}

fn stop() -> StopCcn<'static> {
    StopCcn::new(Some(tunnel_id(77)), StopResult::CLEAR.into())
}

/// Who ended the tunnel, which is the only event.
fn by(bed: &mut Bed) -> By {
    match &bed.told()[..] {
        [Event::TunnelDown { reason, .. }] => reason.by,
        told => panic!("{told:?}"),
    }
}

#[test]
fn an_ended_tunnel_acknowledges_for_a_retransmission_cycle() {
    let (mut bed, mut peer) = bed();
    bed.opened_by(&mut peer);
    let last = peer.datagram(0, stop());
    bed.give(peer.path, last.clone());
    assert_eq!(by(&mut bed), By::Peer);
    for second in [1, 5, 24] {
        bed.pass(Duration::from_secs(second) - SECOND / 2);
        bed.take(&mut peer);
        bed.give(peer.path, last.clone());
        let sent = bed.take(&mut peer);
        assert_eq!(sent.iter().map(|sent| (sent.kind(), sent.header().nr)).collect::<Vec<_>>(), [(None, 3)]);
        bed.pass(SECOND / 2);
    }
    assert_eq!(bed.end.tunnels(), 1);
    bed.pass(SECOND);
    assert_eq!((bed.end.tunnels(), bed.end.poll_timeout(), bed.told()), (0, None, vec![]));
}

#[test]
fn messages_for_an_ended_tunnel_do_nothing_and_do_not_prolong_it() {
    let (mut bed, mut peer) = bed();
    bed.opened_by(&mut peer);
    bed.send(&mut peer, 0, stop());
    bed.told();
    for _ in 0..30 {
        bed.send(&mut peer, 0, icrq(9));
        bed.send(&mut peer, 0, stop());
        bed.send(&mut peer, 0, Hello {});
        bed.pass(SECOND);
    }
    let sent = bed.take(&mut peer);
    assert_eq!((kinds(&sent), bed.told(), bed.end.sessions()), (vec![], vec![], 0));
    bed.pass(SECOND);
    assert_eq!(bed.end.tunnels(), 0);
}

#[test]
fn a_tunnel_that_we_end_is_gone_when_that_is_acknowledged() {
    let (mut bed, mut peer) = bed();
    let tunnel = bed.opened_by(&mut peer);
    close(&mut bed, tunnel);
    assert_eq!(by(&mut bed), By::Us);
    assert_eq!(bed.end.tunnel_state(tunnel), Some(TunnelState::Closing));
    assert_eq!(kinds(&bed.take(&mut peer)), [STOPCCN]);
    bed.ack(&mut peer);
    assert_eq!((bed.end.tunnels(), bed.end.poll_timeout(), bed.told()), (0, None, vec![]));
}

#[test]
fn what_came_meanwhile_is_acknowledged_first() {
    let (mut bed, mut peer) = bed();
    let tunnel = bed.opened_by(&mut peer);
    let crossing = peer.datagram(0, Hello {});
    close(&mut bed, tunnel);
    bed.give(peer.path, crossing);
    bed.take(&mut peer);
    bed.ack(&mut peer);
    bed.pass(SECOND);
    assert_eq!(bed.take(&mut peer).iter().map(|sent| sent.header().nr).collect::<Vec<_>>(), [peer.ns]);
    assert_eq!((bed.end.tunnels(), bed.end.poll_timeout()), (0, None));
}

#[test]
fn it_is_gone_after_a_cycle_at_the_latest() {
    let (mut bed, mut peer) = bed();
    let tunnel = bed.opened_by(&mut peer);
    close(&mut bed, tunnel);
    bed.pass(CYCLE - SECOND);
    assert_eq!((kinds(&bed.take(&mut peer)), bed.end.tunnels()), (vec![STOPCCN; 6], 1));
    bed.pass(SECOND);
    assert_eq!((bed.end.tunnels(), bed.end.poll_timeout()), (0, None));
}

#[test]
fn the_stopccn_waits_for_nothing_that_was_not_sent() {
    let (mut bed, mut peer) = bed();
    let tunnel = bed.opened_by(&mut peer);
    for _ in 0..20 {
        bed.end.place_call(bed.now, tunnel, Request::Incoming(Incoming::default()), None).unwrap();
    }
    bed.drain();
    let requests = kinds(&bed.take(&mut peer)).len();
    assert!(requests < 20);
    close(&mut bed, tunnel);
    assert_eq!((names(&bed.told()), bed.end.sessions()), (vec!["tunnel down"], 0), "one event for all");
    assert_eq!(kinds(&bed.ack(&mut peer)), [STOPCCN], "the other requests are not sent");
}

#[test]
fn both_ends_close_at_the_same_time() {
    let (mut bed, mut peer) = bed();
    let tunnel = bed.opened_by(&mut peer);
    let last = peer.datagram(0, stop());
    close(&mut bed, tunnel);
    assert_eq!(by(&mut bed), By::Us);
    bed.give(peer.path, last);
    bed.pass(CYCLE - SECOND);
    let sent: Vec<_> = bed.take(&mut peer).iter().map(|sent| (sent.kind(), sent.header().nr)).collect();
    assert_eq!(sent, [(Some(STOPCCN), 2), (None, 3)], "neither waits for the other's ack");
    assert_eq!((bed.told(), bed.end.tunnels()), (vec![], 1));
    bed.pass(2 * SECOND);
    assert_eq!(bed.end.tunnels(), 0);

    let mut pair = Pair::new(&Policy::default());
    let ids = pair.tunnel(&Policy::default());
    for (end, id) in pair.ends.iter_mut().zip(ids) {
        end.close(pair.now, id, clear()).unwrap();
    }
    pair.pass(CYCLE + SECOND);
    assert_eq!([0, 1].map(|side| names(&pair.told(side))), [["tunnel down"]; 2]);
    pair.assert_empty();
}

#[test]
fn a_peer_that_gives_up_before_our_answer_names_the_tunnel_by_its_own_id() {
    let (mut bed, mut peer) = bed();
    bed.send(&mut peer, 0, sccrq(77));
    let mut forger = Peer { ns: 1, ..Peer::new("192.0.2.1:1702", 77) };
    bed.send(&mut forger, 0, stop());
    let mut other = Peer { ns: 1, ..Peer::new(LAC, 78) };
    bed.send(&mut other, 0, StopCcn::new(Some(tunnel_id(78)), StopResult::CLEAR.into()));
    assert_eq!((bed.told(), bed.end.half_open()), (vec![], 1), "neither is about this tunnel");

    peer.theirs = 0;
    bed.send(&mut peer, 0, stop());
    assert_eq!(by(&mut bed), By::Peer);
    assert_eq!(bed.end.half_open(), 0);
    bed.pass(CYCLE);
    assert_eq!(bed.end.tunnels(), 0);
}

#[test]
fn an_established_tunnel_is_not_ended_without_its_id() {
    let (mut bed, mut peer) = bed();
    let tunnel = bed.opened_by(&mut peer);
    peer.theirs = 0;
    bed.send(&mut peer, 0, stop());
    assert_eq!(bed.end.tunnel_state(tunnel), Some(TunnelState::Established));
}

#[test]
fn closed_before_the_answer_the_peer_is_told_as_soon_as_its_id_is_known() {
    let (mut bed, mut peer) = bed();
    let tunnel = bed.dialling(&mut peer, &Policy::default());
    close(&mut bed, tunnel);
    assert_eq!((by(&mut bed), bed.take(&mut peer)), (By::Us, vec![]));
    let sent = bed.send(&mut peer, 0, sccrp(77));
    assert_eq!(kinds(&sent), [STOPCCN]);
    assert_eq!((sent[0].header().tunnel_id, sent[0].header().ns), (77, 1));
    assert_eq!(sent[0].number(Attribute::ASSIGNED_TUNNEL_ID), tunnel.get());
    bed.ack(&mut peer);
    assert_eq!((bed.end.tunnels(), bed.told()), (0, vec![]));
}

#[test]
fn closed_before_any_answer_the_peer_is_told_by_our_id() {
    let (mut bed, mut peer) = bed();
    let tunnel = bed.dialling(&mut peer, &Policy::default());
    close(&mut bed, tunnel);
    bed.told();
    // It has got the SCCRQ, and its answer is late.
    let sent = bed.ack(&mut Peer { theirs: tunnel.get(), nr: 1, ..Peer::new(LAC, 77) });
    assert_eq!(kinds(&sent), [STOPCCN]);
    assert_eq!(sent[0].header().tunnel_id, 0);
    assert_eq!(sent[0].number(Attribute::ASSIGNED_TUNNEL_ID), tunnel.get());
    bed.pass(CYCLE);
    assert_eq!(bed.end.tunnels(), 0);
}

#[test]
fn a_peer_that_is_silent_from_the_start_is_given_up() {
    let (mut bed, mut peer) = bed();
    let tunnel = bed.dialling(&mut peer, &Policy::default());
    bed.end.place_call(bed.now, tunnel, Request::Incoming(Incoming::default()), None).unwrap();
    bed.pass(CYCLE);
    assert_eq!(kinds(&bed.take(&mut peer)), [SCCRQ; 5]);
    assert_eq!(by(&mut bed), By::Silence);
    assert_eq!((bed.end.tunnels(), bed.end.sessions(), bed.end.poll_timeout()), (0, 0, None));
}

#[test]
fn an_sccrp_that_nobody_acknowledges_is_sent_three_times() {
    let (mut bed, mut peer) = bed();
    let request = peer.datagram(0, sccrq(77));
    bed.give(peer.path, request.clone());
    bed.pass(4 * SECOND);
    assert_eq!(kinds(&bed.take(&mut peer)), [SCCRP; 3]);
    // The peer is there, and has not got any of them.
    bed.give(peer.path, request);
    bed.pass(CYCLE);
    assert_eq!(kinds(&bed.take(&mut peer)), [SCCRP; 3]);
    assert_eq!(by(&mut bed), By::Silence);
    assert_eq!((bed.end.tunnels(), bed.end.half_open(), bed.end.poll_timeout()), (0, 0, None));
}

#[test]
fn a_peer_that_acknowledges_and_does_not_go_on_is_given_up_too() {
    let (mut bed, mut peer) = bed();
    bed.send(&mut peer, 0, sccrq(77));
    bed.send(&mut peer, 0, Message::Zlb);
    bed.pass(Policy::default().setup - SECOND);
    assert_eq!((bed.told(), bed.end.half_open()), (vec![], 1));
    bed.pass(2 * SECOND);
    assert_eq!(by(&mut bed), By::SetupTime);
    assert!(kinds(&bed.take(&mut peer)).contains(&STOPCCN));
    assert_eq!(bed.end.half_open(), 0);
}

#[test]
fn an_empty_tunnel_is_closed_if_the_policy_says_so() {
    let policy = Policy { empty: Some(5 * SECOND), hello: None, ..Policy::default() };
    let mut pair = Pair::with([config(&policy), config(&Policy::default())]);
    let ids = pair.tunnel(&policy);
    let first = pair.call(ids);
    pair.pass(10 * SECOND);
    let second = pair.call(ids);
    for sessions in [first, second] {
        let cause = Cause::new(l2tp_control::wire::CdnResult::ADMINISTRATIVE);
        pair.ends[0].hang_up(pair.now, ids[0], sessions[0], cause).unwrap();
        pair.pass(4 * SECOND);
        assert_eq!(names(&pair.told(0)), ["call down"]);
    }
    pair.told(1);
    let third = pair.call(ids);
    pair.pass(10 * SECOND);
    assert_eq!((pair.told(0), pair.ends[0].sessions()), (vec![], 1), "a call keeps it open");
    let cause = Cause::new(l2tp_control::wire::CdnResult::ADMINISTRATIVE);
    pair.ends[1].hang_up(pair.now, ids[1], third[1], cause).unwrap();
    pair.pass(6 * SECOND);
    let told = pair.told(0);
    let [Event::CallDown { .. }, Event::TunnelDown { reason, .. }] = &told[..] else { panic!("{told:?}") };
    assert_eq!(reason.by, By::Empty);
}

#[test]
fn a_tunnel_that_was_never_used_is_empty_as_well() {
    let policy = Policy { empty: Some(5 * SECOND), ..Policy::default() };
    let (mut bed, mut peer) = bed();
    bed.opened_to(&mut peer, &policy);
    bed.pass(6 * SECOND);
    assert_eq!(by(&mut bed), By::Empty);
}

#[test]
fn an_ended_tunnel_takes_no_commands() {
    let (mut bed, mut peer) = bed();
    let tunnel = bed.opened_by(&mut peer);
    let session = bed.offered_by(&mut peer, 9);
    close(&mut bed, tunnel);
    let now = bed.now;
    let request = || Request::Incoming(Incoming::default());
    assert_eq!(bed.end.close(now, tunnel, clear()), Err(Misuse::NoTunnel));
    assert_eq!(bed.end.place_call(now, tunnel, request(), None), Err(Misuse::NoTunnel));
    assert_eq!(bed.end.accept(now, tunnel, session), Err(Misuse::NoSession));
    bed.ack(&mut peer);
    bed.take(&mut peer);
    bed.ack(&mut peer);
    assert_eq!(bed.end.accept(now, tunnel, session), Err(Misuse::NoTunnel));
    assert_eq!(bed.end.close(now, tunnel, clear()), Err(Misuse::NoTunnel));
}

#[test]
fn its_id_is_not_given_to_another_before_its_time() {
    // All ids but one are in use; the last one ends.
    let mut bed = Bed::new(&Policy::default());
    let ids: Vec<_> =
        (0..65_535).map(|_| bed.end.connect(bed.now, connect_to(LNS, &Policy::default())).unwrap()).collect();
    bed.drain();
    let mut peer = Peer { theirs: ids[0].get(), nr: 1, ..Peer::new(LNS, 77) };
    bed.sent.clear();
    bed.send(&mut peer, 0, sccrp(77));
    close(&mut bed, ids[0]);
    bed.take(&mut peer);
    bed.ack(&mut peer);
    let connect = |bed: &mut Bed| bed.end.connect(bed.now, connect_to(LAC, &Policy::default()));
    assert_eq!(connect(&mut bed), Err(Misuse::NoIds));
    // The others have not been given up yet.
    bed.end.handle_timeout(bed.now + (CYCLE - SECOND));
    bed.drain();
    bed.now = bed.now + (CYCLE - SECOND);
    assert_eq!(connect(&mut bed), Err(Misuse::NoIds));
    bed.now = bed.now + SECOND;
    assert_eq!(connect(&mut bed), Ok(ids[0]));
}

#[test]
fn an_out_of_order_stopccn_waits_for_what_was_said_before_it() {
    let (mut bed, mut peer) = bed();
    bed.send(&mut peer, 0, sccrq(77));
    let connected = peer.datagram(0, Scccn { challenge_response: None });
    let request = peer.datagram(0, icrq(9));
    let end = peer.datagram(0, stop());
    for message in [end, request] {
        bed.give(peer.path, message);
        assert_eq!(bed.told(), []);
    }
    bed.give(peer.path, connected);
    assert_eq!(names(&bed.told()), ["tunnel up", "call offered", "tunnel down"]);
    assert_eq!(bed.end.sessions(), 0);
}
