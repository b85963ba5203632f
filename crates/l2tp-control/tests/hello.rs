//! Signs of life (RFC 2661 §5.5, §6.5): asked for only when nothing goes by, and not of a peer whose data
//! flows.

mod common;

use std::time::Duration;

use common::*;
use l2tp_control::config::Policy;
use l2tp_control::wire::{Hello, Message, MessageType};
use l2tp_control::{By, Event, Incoming, Request, TunnelState};
use l2tp_data::id::TunnelId;

const HELLO: MessageType = MessageType::HELLO;
const INTERVAL: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

/// An idle tunnel with a peer made by hand, which says nothing by itself.
fn idle(policy: &Policy) -> (Bed, Peer, TunnelId) {
    let (mut bed, mut peer) = (Bed::new(policy), Peer::new(LAC, 77));
    let tunnel = bed.opened_by(&mut peer);
    bed.pass(SECOND);
    bed.take(&mut peer);
    (bed, peer, tunnel)
}

/// How many HELLOs go out in so many seconds, each of them acknowledged, while every second something
/// else happens.
fn hellos(bed: &mut Bed, peer: &mut Peer, seconds: u64, mut every: impl FnMut(&mut Bed, &mut Peer)) -> usize {
    let mut count = 0;
    for _ in 0..seconds {
        bed.pass(SECOND);
        let hellos = kinds(&bed.take(peer)).len();
        if hellos > 0 {
            bed.ack(peer);
        }
        count += hellos;
        every(bed, peer);
    }
    count
}

#[test]
fn a_hello_asks_after_the_interval_and_again_after_the_answer() {
    let (mut bed, mut peer, tunnel) = idle(&Policy::default());
    bed.pass(INTERVAL - 2 * SECOND);
    assert_eq!(kinds(&bed.take(&mut peer)), []);
    bed.pass(SECOND);
    let sent = bed.take(&mut peer);
    assert_eq!(kinds(&sent), [HELLO]);
    assert_eq!((sent[0].header().tunnel_id, sent[0].header().session_id), (77, 0));
    bed.ack(&mut peer);
    bed.pass(INTERVAL);
    assert_eq!(kinds(&bed.take(&mut peer)), [HELLO]);
    bed.ack(&mut peer);
    assert_eq!(bed.end.tunnel_state(tunnel), Some(TunnelState::Established));
}

#[test]
fn nothing_is_asked_while_anything_goes_by() {
    let (mut bed, mut peer, tunnel) = idle(&Policy::default());
    assert_eq!(hellos(&mut bed, &mut peer, 600, |bed, _| bed.end.data_received(bed.now, tunnel)), 0);
    let said = |bed: &mut Bed, peer: &mut Peer| drop(bed.send(peer, 0, Hello {}));
    assert_eq!(hellos(&mut bed, &mut peer, 600, said), 0, "control messages count");
    assert_eq!(hellos(&mut bed, &mut peer, 600, |_, _| {}), 10);
}

#[test]
fn a_peer_that_only_listens_is_asked_four_times_as_rarely() {
    let (mut bed, mut peer, tunnel) = idle(&Policy::default());
    bed.end.data_received(bed.now, tunnel);
    assert_eq!(hellos(&mut bed, &mut peer, 239, |bed, _| bed.end.data_sent(bed.now, tunnel)), 0);
    assert_eq!(hellos(&mut bed, &mut peer, 2, |bed, _| bed.end.data_sent(bed.now, tunnel)), 1);
    assert_eq!(hellos(&mut bed, &mut peer, 960, |bed, _| bed.end.data_sent(bed.now, tunnel)), 4);
}

#[test]
fn a_dead_peer_is_given_up_although_data_is_sent_to_it() {
    let (mut bed, mut peer, tunnel) = idle(&Policy::default());
    for _ in 0..300 {
        bed.pass(SECOND);
        bed.end.data_sent(bed.now, tunnel);
    }
    assert!(kinds(&bed.take(&mut peer)).contains(&HELLO));
    let [Event::TunnelDown { reason, .. }] = &bed.told()[..] else { panic!() };
    assert_eq!(reason.by, By::Silence);
    assert_eq!((bed.end.tunnels(), bed.end.poll_timeout()), (0, None));
}

#[test]
fn a_peer_that_does_not_answer_is_given_up_after_its_budget() {
    // Retransmissions, and seconds from the first HELLO to the end: 1, 2, 4, 8, 8, 8.
    for (retransmissions, seconds) in [(0, 1), (1, 3), (5, 31), (7, 47)] {
        let policy = Policy { hello_retransmissions: retransmissions, ..Policy::default() };
        let (mut bed, mut peer, _) = idle(&policy);
        bed.pass(INTERVAL - SECOND);
        bed.pass(Duration::from_secs(seconds) - SECOND / 10);
        assert_eq!(kinds(&bed.take(&mut peer)).len(), 1 + usize::from(retransmissions));
        assert_eq!(bed.told(), []);
        bed.pass(SECOND / 5);
        let [Event::TunnelDown { reason, .. }] = &bed.told()[..] else { panic!() };
        assert_eq!(reason.by, By::Silence, "{retransmissions}");
    }
}

#[test]
fn the_budget_is_that_of_hellos_only() {
    let policy = Policy { hello_retransmissions: 0, ..Policy::default() };
    let (mut bed, mut peer, tunnel) = idle(&policy);
    bed.end.place_call(bed.now, tunnel, Request::Incoming(Incoming::default()), None).unwrap();
    bed.pass(CYCLE - SECOND);
    assert_eq!((kinds(&bed.take(&mut peer)).len(), bed.told()), (6, vec![]));
    bed.pass(2 * SECOND);
    assert_eq!(names(&bed.told()), ["tunnel down"]);
}

#[test]
fn a_phone_asleep_is_not_cut_off_while_its_data_flows() {
    let (mut bed, mut peer, tunnel) = idle(&Policy::default());
    // It sends something every 90 s, and answers no HELLO.
    for n in 0..20 {
        bed.pass(Duration::from_secs(89));
        bed.end.data_received(bed.now, tunnel);
        bed.pass(SECOND);
        assert_eq!(bed.told(), [], "{n}");
    }
    assert!(kinds(&bed.take(&mut peer)).len() > 20);
    // It wakes up, and what it has missed is acknowledged.
    bed.ack(&mut peer);
    assert!(bed.end.delivery(tunnel).unwrap().retransmissions > 0);
    assert_eq!(hellos(&mut bed, &mut peer, 121, |_, _| {}), 2);
    // It goes for good.
    bed.pass(INTERVAL + CYCLE);
    assert_eq!(names(&bed.told()), ["tunnel down"]);
}

#[test]
fn a_phone_whose_data_has_stopped_is_given_up() {
    let (mut bed, _, tunnel) = idle(&Policy::default());
    bed.pass(Duration::from_secs(80));
    bed.end.data_received(bed.now, tunnel);
    bed.pass(INTERVAL + CYCLE - SECOND);
    assert_eq!(bed.told(), []);
    bed.pass(CYCLE);
    assert_eq!(names(&bed.told()), ["tunnel down"]);
}

#[test]
fn a_tunnel_that_is_closed_does_not_wait_for_a_hello() {
    let (mut bed, mut peer, tunnel) = idle(&Policy::default());
    bed.pass(INTERVAL);
    assert!(kinds(&bed.take(&mut peer)).contains(&HELLO));
    let cause = l2tp_control::Cause::new(l2tp_control::wire::StopResult::CLEAR);
    bed.end.close(bed.now, tunnel, cause).unwrap();
    for _ in 0..40 {
        bed.end.data_received(bed.now, tunnel);
        bed.pass(SECOND);
    }
    assert_eq!(bed.end.tunnels(), 0);
}

#[test]
fn hello_off() {
    let policy = Policy { hello: None, ..Policy::default() };
    let (mut bed, mut peer, tunnel) = idle(&policy);
    assert_eq!(bed.end.poll_timeout(), None);
    bed.pass(Duration::from_secs(86_400));
    assert_eq!((bed.take(&mut peer), bed.told()), (vec![], vec![]));
    assert_eq!(bed.end.tunnel_state(tunnel), Some(TunnelState::Established));
    bed.send(&mut peer, 0, Hello {});
    bed.pass(SECOND);
    assert_eq!(bed.take(&mut peer).len(), 1, "that of the peer is acknowledged");
}

#[test]
fn there_is_none_before_the_tunnel_is_established() {
    let policy = Policy { hello: Some(SECOND), ..Policy::default() };
    let (mut bed, mut peer) = (Bed::new(&policy), Peer::new(LAC, 77));
    bed.send(&mut peer, 0, sccrq(77));
    bed.send(&mut peer, 0, Message::Zlb);
    assert_eq!(hellos(&mut bed, &mut peer, 50, |_, _| {}), 0);
}

#[test]
fn two_idle_endpoints_ask_each_other_in_turn() {
    let mut pair = Pair::new(&Policy::default());
    pair.tunnel(&Policy::default());
    pair.pass(Duration::from_secs(3600));
    let hellos = pair.sent.iter().flatten().filter(|sent| sent.kind() == Some(HELLO)).count();
    assert!((58..=62).contains(&hellos), "one a minute is enough for both: {hellos}");
    assert_eq!([0, 1].map(|side| pair.ends[side].tunnels()), [1, 1]);
}
