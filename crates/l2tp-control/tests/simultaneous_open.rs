//! Both sides open a tunnel at the same time: the tie breaker decides (RFC 2661 §4.4.3).

mod common;

use common::*;
use l2tp_control::auth::Secret;
use l2tp_control::config::Policy;
use l2tp_control::wire::{Attribute, MessageType, ProtocolVersion, Sccrq};
use l2tp_control::{By, Event, Incoming, Request, TunnelState};
use l2tp_data::id::TunnelId;

const SCCRQ: MessageType = MessageType::SCCRQ;
const SCCRP: MessageType = MessageType::SCCRP;
const STOPCCN: MessageType = MessageType::STOPCCN;

fn policy(tie_breaker: bool) -> Policy {
    Policy { tie_breaker, ..Policy::default() }
}

/// An endpoint that is opening a tunnel, its tie breaker, and the peer that opens one too.
fn dialling(policy: &Policy) -> (Bed, Peer, TunnelId, Option<u64>) {
    let (mut bed, peer) = (Bed::new(policy), Peer::new(LAC, 77));
    let tunnel = bed.end.connect(bed.now, connect_to(LAC, policy)).unwrap();
    let request = Request::Incoming(Incoming::default());
    bed.end.place_call(bed.now, tunnel, request, None).unwrap();
    bed.drain();
    let tie = bed.sent[0].avp(Attribute::TIE_BREAKER).map(|tie| u64::from_be_bytes(tie.try_into().unwrap()));
    bed.sent.clear();
    (bed, peer, tunnel, tie)
}

#[test]
fn two_endpoints_agree_on_one_tunnel() {
    for seed in 0..20 {
        let mut pair = Pair::new(&policy(true));
        for end in &mut pair.ends {
            // Different tie breakers each time.
            for _ in 0..seed {
                let id = end.connect(pair.now, connect_to("198.51.100.9:1701", &policy(true))).unwrap();
                end.close(pair.now, id, l2tp_control::Cause::new(l2tp_control::wire::StopResult::CLEAR))
                    .unwrap();
            }
        }
        pair.lose = Box::new(|_, sent| sent.path.peer.ip() == path("198.51.100.9:1701").peer.ip());
        let ours = [LNS, LAC].into_iter().zip(&mut pair.ends);
        let ids: Vec<_> =
            ours.map(|(to, end)| end.connect(pair.now, connect_to(to, &policy(true))).unwrap()).collect();
        pair.settle();
        let up = [0, 1].map(|side| {
            let up = pair.told(side).into_iter().find_map(|event| match event {
                Event::TunnelUp { tunnel, peer } => Some((tunnel, peer.tunnel_id)),
                _ => None,
            });
            up.expect("one tunnel is up")
        });
        assert_eq!(up[0], (up[1].1, up[1].0));
        assert_eq!([up[0].0, up[1].0], ids[..], "each end knows it by the id that it asked for");
        pair.pass(2 * CYCLE);
        assert_eq!([0, 1].map(|side| pair.ends[side].tunnels()), [1, 1]);
        assert_eq!([0, 1].map(|side| pair.count(side, "tie_lost")).iter().sum::<u64>(), 1);
    }
}

#[test]
fn the_lower_tie_breaker_wins() {
    let (mut bed, mut peer, tunnel, tie) = dialling(&policy(true));
    let tie = tie.expect("a tie breaker was sent");
    let sent = bed.send(&mut peer, 0, Sccrq { tie_breaker: Some(tie + 1), ..sccrq(77) });
    assert_eq!((sent, bed.told(), bed.count("tie_won")), (vec![], vec![], 1), "theirs is ignored");
    assert_eq!(bed.end.tunnel_state(tunnel), Some(TunnelState::WaitCtlReply));

    let mut peer = Peer::new(LAC, 78);
    let sent = bed.send(&mut peer, 0, Sccrq { tie_breaker: Some(tie - 1), ..sccrq(78) });
    assert_eq!((kinds(&sent), bed.told(), bed.count("tie_lost")), (vec![SCCRP], vec![], 1));
    assert_eq!(bed.end.tunnel_state(tunnel), Some(TunnelState::WaitCtlConn));
    assert_eq!((bed.end.tunnels(), bed.end.sessions(), bed.end.half_open()), (1, 1, 1));
}

#[test]
fn equal_tie_breakers_end_both_tunnels() {
    let (mut bed, mut peer, _, tie) = dialling(&policy(true));
    let sent = bed.send(&mut peer, 0, Sccrq { tie_breaker: tie, ..sccrq(77) });
    assert_eq!((sent, bed.end.tunnels(), bed.end.sessions()), (vec![], 0, 0));
    let [Event::TunnelDown { reason, .. }] = &bed.told()[..] else { panic!() };
    assert_eq!(reason.by, By::Tie);
}

#[test]
fn who_wants_a_single_tunnel_wins_against_who_does_not_care() {
    let (mut bed, mut peer, tunnel, _) = dialling(&policy(true));
    assert_eq!(bed.send(&mut peer, 0, sccrq(77)), []);
    assert_eq!(bed.end.tunnel_state(tunnel), Some(TunnelState::WaitCtlReply));

    let (mut bed, mut peer, tunnel, tie) = dialling(&policy(false));
    assert_eq!(tie, None);
    let sent = bed.send(&mut peer, 0, Sccrq { tie_breaker: Some(u64::MAX), ..sccrq(77) });
    assert_eq!(kinds(&sent), [SCCRP]);
    assert_eq!(bed.end.tunnel_state(tunnel), Some(TunnelState::WaitCtlConn));
}

#[test]
fn without_tie_breakers_there_are_two_tunnels() {
    let mut pair = Pair::new(&policy(false));
    for (to, end) in [LNS, LAC].into_iter().zip(&mut pair.ends) {
        end.connect(pair.now, connect_to(to, &policy(false))).unwrap();
    }
    pair.settle();
    for side in 0..2 {
        assert_eq!(names(&pair.told(side)), ["tunnel up", "tunnel up"]);
    }
}

#[test]
fn a_tie_is_between_the_same_addresses_and_ports() {
    let (mut bed, _, tunnel, _) = dialling(&policy(true));
    for other in ["192.0.2.1:1702", "192.0.2.3:1701"] {
        let mut peer = Peer::new(other, 77);
        let sent = bed.send(&mut peer, 0, Sccrq { tie_breaker: Some(0), ..sccrq(77) });
        assert_eq!(kinds(&sent), [SCCRP]);
        assert_ne!(peer.theirs, tunnel.get());
    }
    // On which of our sockets the peer's request came does not matter.
    let mut peer = Peer::new(LAC, 77);
    peer.path.socket = 5;
    bed.send(&mut peer, 0, Sccrq { tie_breaker: Some(0), ..sccrq(77) });
    assert_eq!(peer.theirs, tunnel.get());
}

#[test]
fn of_several_tunnels_the_one_with_the_lowest_tie_breaker_counts() {
    let (mut bed, mut peer, _, first) = dialling(&policy(true));
    let mut ties = vec![first.unwrap()];
    for _ in 0..5 {
        bed.end.connect(bed.now, connect_to(LAC, &policy(true))).unwrap();
        bed.drain();
        let tie = bed.sent.pop().unwrap().avp(Attribute::TIE_BREAKER).unwrap().try_into().unwrap();
        ties.push(u64::from_be_bytes(tie));
    }
    let lowest = *ties.iter().min().unwrap();
    assert_eq!(bed.send(&mut peer, 0, Sccrq { tie_breaker: Some(lowest + 1), ..sccrq(77) }), []);
    assert_eq!(bed.count("tie_won"), 1);
}

#[test]
fn who_lets_nobody_in_gives_way_to_nobody() {
    let mut bed = Bed::with(l2tp_control::config::Config::default());
    let tunnel = bed.end.connect(bed.now, connect_to(LAC, &policy(true))).unwrap();
    bed.drain();
    bed.sent.clear();
    let mut peer = Peer::new(LAC, 77);
    let sent = bed.send(&mut peer, 0, Sccrq { tie_breaker: Some(0), ..sccrq(77) });
    assert_eq!((kinds(&sent), sent[0].result()), (vec![STOPCCN], (4, 0)));
    assert_eq!(bed.end.tunnel_state(tunnel), Some(TunnelState::WaitCtlReply));
}

#[test]
fn an_established_tunnel_takes_no_part() {
    let (mut bed, mut peer) = (Bed::new(&policy(true)), Peer::new(LAC, 77));
    bed.opened_to(&mut peer, &policy(true));
    let mut other = Peer::new(LAC, 78);
    let sent = bed.send(&mut other, 0, Sccrq { tie_breaker: Some(0), ..sccrq(78) });
    assert_eq!((kinds(&sent), bed.end.tunnels()), (vec![SCCRP], 2));
}

#[test]
fn a_loser_that_our_sccrq_has_overtaken_is_late_and_still_loses() {
    // The peer has given way, and its tunnel has kept the id of its SCCRQ, which comes now.
    let (mut bed, mut peer, tunnel, tie) = dialling(&policy(true));
    peer.theirs = tunnel.get();
    bed.send(&mut peer, 0, sccrp(77));
    assert_eq!(names(&bed.told()), ["tunnel up"]);
    let mut late = Peer::new(LAC, 77);
    let sent = bed.send(&mut late, 0, Sccrq { tie_breaker: tie.map(|tie| tie + 1), ..sccrq(77) });
    assert_eq!((kinds(&sent), bed.end.tunnels(), bed.count("tie_won")), (vec![], 1, 1));
}

#[test]
fn a_winner_that_is_not_acceptable_ends_our_tunnel_all_the_same() {
    let secret = Policy { secret: Some(Secret::new(b"s")), challenge: true, ..policy(true) };
    let version = ProtocolVersion { version: 9, revision: 0 };
    let (mut bed, mut peer, _, _) = dialling(&secret);
    let request = Sccrq { tie_breaker: Some(0), protocol_version: version, ..sccrq(77) };
    let sent = bed.send(&mut peer, 0, request);
    assert_eq!((kinds(&sent), sent[0].result()), (vec![STOPCCN], (5, 0x0100)));
    assert_eq!((names(&bed.told()), bed.end.tunnels(), bed.end.sessions()), (vec!["tunnel down"], 0, 0));

    let (mut bed, mut peer, _, _) = dialling(&policy(true));
    let challenge = Some(l2tp_control::wire::Octets(&[1; 16]));
    let sent = bed.send(&mut peer, 0, Sccrq { tie_breaker: Some(0), challenge, ..sccrq(77) });
    assert_eq!((kinds(&sent), sent[0].result()), (vec![STOPCCN], (4, 0)));
    let [Event::TunnelDown { reason, .. }] = &bed.told()[..] else { panic!() };
    assert_eq!(reason.by, By::Authentication);
}

#[test]
fn the_loser_challenges_the_winner() {
    let secret = Policy { secret: Some(Secret::new(b"s")), challenge: true, ..policy(true) };
    let (mut bed, mut peer, tunnel, _) = dialling(&secret);
    let sent = bed.send(&mut peer, 0, Sccrq { tie_breaker: Some(0), ..sccrq(77) });
    assert!(sent[0].avp(Attribute::CHALLENGE).is_some());
    assert!(!kinds(&sent).contains(&SCCRQ));
    bed.send(&mut peer, 0, l2tp_control::wire::Scccn { challenge_response: None });
    assert_eq!(bed.end.tunnel_state(tunnel), Some(TunnelState::Closing));
}

#[test]
fn late_answers_to_an_sccrq_that_gave_way_ack_nothing_of_the_new_tunnel() {
    let (mut bed, mut peer, tunnel, _) = dialling(&policy(true));
    // The peer had accepted our SCCRQ as its tunnel 88 when it sent its own.
    let mut answering = Peer::new(LAC, 88);
    answering.theirs = tunnel.get();
    answering.nr = 1;
    assert_eq!(kinds(&bed.send(&mut peer, 0, Sccrq { tie_breaker: Some(0), ..sccrq(77) })), [SCCRP]);
    let refused = bed.send(&mut answering, 0, sccrp(88));
    assert_eq!((kinds(&refused), refused[0].header().tunnel_id), (vec![STOPCCN], 88));
    answering.nr = 1;
    assert_eq!(bed.ack(&mut answering), []);
    assert_eq!(bed.count("late_answer"), 2);

    bed.pass(std::time::Duration::from_secs(1));
    assert_eq!(kinds(&bed.take(&mut peer)), [SCCRP], "it goes again");
    bed.send(&mut peer, 0, l2tp_control::wire::Scccn { challenge_response: None });
    assert_eq!(bed.end.tunnel_state(tunnel), Some(TunnelState::Established));
}
