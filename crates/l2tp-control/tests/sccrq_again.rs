//! SCCRQs that come twice, peers that start again, and peers that look alike.

mod common;

use std::time::Duration;

use common::*;
use l2tp_control::config::Policy;
use l2tp_control::wire::{CdnResult, MessageType, Octets, Scccn, Sccrq, StopCcn, StopResult};
use l2tp_control::{By, Cause, Event, TunnelState};

const SCCRP: MessageType = MessageType::SCCRP;
const SCCCN: Scccn = Scccn { challenge_response: None };

fn bed() -> Bed {
    Bed::new(&Policy::default())
}

#[test]
fn an_sccrq_that_is_sent_again_makes_no_second_tunnel() {
    let mut bed = bed();
    let mut peer = Peer::new(LAC, 77);
    let request = peer.datagram(0, sccrq(77));
    for n in 0..5 {
        bed.give(peer.path, request.clone());
        let sent = bed.take(&mut peer);
        assert_eq!(kinds(&sent), [SCCRP], "{n}: each is answered");
        assert_eq!((sent[0].header().ns, sent[0].header().nr), (0, 1), "and acknowledged");
        assert_eq!((bed.end.tunnels(), bed.end.half_open()), (1, 1));
    }
    assert_eq!(bed.count("sccrq_again"), 4);
}

#[test]
fn once_the_sccrp_is_acknowledged_an_sccrq_that_comes_again_is_acknowledged_only() {
    let mut bed = bed();
    let mut peer = Peer::new(LAC, 77);
    let request = peer.datagram(0, sccrq(77));
    bed.give(peer.path, request.clone());
    bed.take(&mut peer);
    bed.ack(&mut peer);
    bed.give(peer.path, request);
    let sent = bed.take(&mut peer);
    assert_eq!((kinds(&sent), sent.len(), sent[0].header().nr), (vec![], 1, 1));
}

#[test]
fn a_late_copy_of_the_sccrq_does_not_disturb_the_tunnel() {
    let mut bed = bed();
    let mut peer = Peer::new(LAC, 77);
    let request = peer.datagram(0, sccrq(77));
    bed.give(peer.path, request.clone());
    bed.take(&mut peer);
    bed.send(&mut peer, 0, SCCCN);
    bed.pass(Duration::from_secs(20));
    bed.told();
    bed.take(&mut peer);
    bed.give(peer.path, request);
    assert_eq!((bed.told(), bed.take(&mut peer), bed.end.tunnels()), (vec![], vec![], 1));
}

#[test]
fn a_peer_that_starts_again_replaces_its_tunnel_once_the_new_one_works() {
    let different = Sccrq { tie_breaker: Some(5), ..sccrq(77) };
    // What comes, and when: the same SCCRQ can be a late copy for a cycle.
    for (request, wait) in [(different, Duration::ZERO), (sccrq(77), CYCLE + Duration::from_secs(1))] {
        let mut bed = bed();
        let mut peer = Peer::new(LAC, 77);
        let old = bed.opened_by(&mut peer);
        bed.offered_by(&mut peer, 9);
        bed.pass(wait);
        bed.told();
        bed.sent.clear();

        let mut peer = Peer::new(LAC, 77);
        assert_eq!(kinds(&bed.send(&mut peer, 0, request)), [SCCRP]);
        assert_eq!((bed.told(), bed.end.tunnels()), (vec![], 2), "anybody can send an SCCRQ in its name");
        bed.send(&mut peer, 0, SCCCN);
        let told = bed.told();
        assert_eq!(names(&told), ["tunnel down", "tunnel up"]);
        let Event::TunnelDown { tunnel, reason, .. } = &told[0] else { panic!() };
        assert_eq!((*tunnel, reason.by), (old, By::Restart));
        assert_eq!((bed.end.tunnels(), bed.end.sessions()), (1, 0));
    }
}

#[test]
fn an_sccrq_in_a_peers_name_cannot_end_its_tunnel() {
    let mut bed = Bed::new(&Policy { hello: None, ..Policy::default() });
    let mut peer = Peer::new(LAC, 77);
    let tunnel = bed.opened_by(&mut peer);
    for n in 0..40 {
        let mut forger = Peer::new(LAC, 77);
        bed.send(&mut forger, 0, Sccrq { tie_breaker: Some(n), ..sccrq(77) });
        // He does not see the id that he would have to answer to.
        forger.theirs = 0;
        bed.send(&mut forger, 0, SCCCN);
        forger.ns = peer.ns;
        bed.send(&mut forger, 0, StopCcn::new(Some(tunnel_id(77)), StopResult::CLEAR.into()));
    }
    bed.pass(Duration::from_secs(100));
    assert_eq!(bed.end.tunnel_state(tunnel), Some(TunnelState::Established));
    assert_eq!((bed.end.tunnels(), bed.end.half_open()), (1, 0));
    assert!(!names(&bed.told()).contains(&"tunnel up"));
}

#[test]
fn a_peer_that_has_closed_its_tunnel_may_open_the_same_at_once() {
    let mut bed = bed();
    let mut peer = Peer::new(LAC, 77);
    bed.opened_by(&mut peer);
    bed.send(&mut peer, 0, StopCcn::new(Some(tunnel_id(77)), StopResult::CLEAR.into()));
    assert_eq!(names(&bed.told()), ["tunnel down"]);
    let mut peer = Peer::new(LAC, 77);
    bed.opened_by(&mut peer);
    assert_eq!(bed.end.tunnels(), 2, "the old one lingers");
    bed.pass(CYCLE);
    assert_eq!(bed.end.tunnels(), 1);
}

#[test]
fn clients_behind_one_nat_address_are_different_peers() {
    // Windows: each client assigns 1. By port; with IPsec, also by association.
    let clients = [("203.0.113.7:1701", 0), ("203.0.113.7:4500", 0), ("203.0.113.7:49152", 0)];
    let associations = [("203.0.113.7:1701", 1), ("203.0.113.7:1701", 2)];
    let mut bed = bed();
    let mut peers: Vec<_> = clients
        .into_iter()
        .chain(associations)
        .map(|(address, socket)| {
            let mut peer = Peer::new(address, 1);
            peer.path.socket = socket;
            peer
        })
        .collect();
    let tunnels: Vec<_> = peers.iter_mut().map(|peer| bed.opened_by(peer)).collect();
    assert_eq!(bed.end.tunnels(), peers.len());
    let sessions: Vec<_> = peers.iter_mut().map(|peer| bed.offered_by(peer, 9)).collect();
    for ((peer, tunnel), session) in peers.iter_mut().zip(&tunnels).zip(&sessions) {
        bed.end.accept(bed.now, *tunnel, *session).unwrap();
        bed.drain();
        let sent = bed.take(peer);
        assert!(sent.iter().all(|sent| sent.path == peer.path), "each is answered where it is");
        bed.send(peer, session.get(), iccn());
    }
    assert_eq!(names(&bed.told()), vec!["call up"; peers.len()]);
    // One of them goes, the others stay.
    bed.send(&mut peers[2], 0, StopCcn::new(Some(tunnel_id(1)), StopResult::CLEAR.into()));
    assert_eq!(names(&bed.told()), ["tunnel down"]);
    assert_eq!(bed.end.sessions(), peers.len() - 1);
}

#[test]
fn a_message_from_elsewhere_does_not_count() {
    let mut bed = bed();
    let mut peer = Peer::new(LAC, 77);
    let tunnel = bed.opened_by(&mut peer);
    for (address, socket) in [("192.0.2.1:1702", 0), ("192.0.2.9:1701", 0), (LAC, 1)] {
        let mut other = Peer { theirs: peer.theirs, ns: peer.ns, nr: peer.nr, ..Peer::new(address, 77) };
        other.path.socket = socket;
        let stop = StopCcn::new(Some(tunnel_id(77)), StopResult::CLEAR.into());
        assert_eq!(bed.send(&mut other, 0, stop), []);
    }
    assert_eq!(bed.count("foreign_source"), 3);
    assert_eq!(bed.end.tunnel_state(tunnel), Some(TunnelState::Established));
}

#[test]
fn an_sccrq_that_does_not_begin_with_number_0_is_dropped() {
    let mut bed = bed();
    let mut peer = Peer { ns: 1, ..Peer::new(LAC, 77) };
    assert_eq!(bed.send(&mut peer, 0, sccrq(77)), []);
    assert_eq!((bed.end.tunnels(), bed.count("sccrq_number")), (0, 1));
}

#[test]
fn an_sccrq_that_is_too_long_is_dropped() {
    let mut bed = bed();
    for (more, answers) in [(4000, 1), (4100, 0)] {
        let mut peer = Peer::new(LAC, 77);
        let mut request = peer.datagram(0, sccrq(77));
        // Zeros are padding, and forgiven.
        request.resize(more, 0);
        request[2..4].copy_from_slice(&(more as u16).to_be_bytes());
        bed.give(peer.path, request);
        assert_eq!(kinds(&bed.take(&mut peer)).len(), answers, "{more}");
    }
    assert_eq!(bed.count("sccrq_length"), 1);
}

#[test]
fn a_challenge_makes_every_sccrq_another() {
    let mut bed =
        Bed::new(&Policy { secret: Some(l2tp_control::auth::Secret::new(b"s")), ..Policy::default() });
    for challenge in [&[1; 16], &[2; 16]] {
        let mut peer = Peer::new(LAC, 77);
        let request = Sccrq { challenge: Some(Octets(challenge)), ..sccrq(77) };
        assert_eq!(kinds(&bed.send(&mut peer, 0, request)), [SCCRP]);
    }
    assert_eq!(bed.end.half_open(), 2);
}

#[test]
fn the_lns_knows_its_own_tunnel_again_when_the_peer_reuses_its_id() {
    // Opened by us; then the peer starts again and gives its tunnel to us the same id.
    let mut bed = bed();
    let mut peer = Peer::new(LAC, 77);
    let old = bed.opened_to(&mut peer, &Policy::default());
    bed.pass(CYCLE + Duration::from_secs(1));
    let mut peer = Peer::new(LAC, 77);
    bed.sent.clear();
    assert_eq!(kinds(&bed.send(&mut peer, 0, sccrq(77))), [SCCRP]);
    bed.send(&mut peer, 0, SCCCN);
    let told = bed.told();
    let [Event::TunnelDown { tunnel, reason, .. }, Event::TunnelUp { .. }] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!((*tunnel, reason.by), (old, By::Restart));
    let call = bed.offered_by(&mut peer, 9);
    let id = tunnel_id(peer.theirs);
    bed.end.hang_up(bed.now, id, call, Cause::new(CdnResult::BUSY)).unwrap();
    bed.drain();
    assert_eq!(kinds(&bed.take(&mut peer)), [MessageType::CDN]);
}
