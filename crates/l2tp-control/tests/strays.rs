//! Messages for no tunnel of ours: answered at most once, never in a loop, and nothing is kept of them.

mod common;

use std::time::Duration;

use common::call::cdn;
use common::*;
use l2tp_control::config::{Config, Limits, PeerRule, Policy};
use l2tp_control::wire::{Hello, Message, MessageType, Scccn, StopCcn, StopResult};
use l2tp_control::{Endpoint, Instant};

fn stop() -> StopCcn<'static> {
    StopCcn::new(Some(tunnel_id(77)), StopResult::CLEAR.into())
}

fn messages() -> Vec<Message<'static>> {
    vec![
        Message::Zlb,
        sccrq(77).into(),
        sccrp(77).into(),
        Scccn { challenge_response: None }.into(),
        stop().into(),
        Hello {}.into(),
        icrq(9).into(),
        iccn().into(),
        cdn().into(),
        Message::Unknown(MessageType(99)),
    ]
}

#[test]
fn each_is_answered_at_most_once_and_leaves_nothing() {
    for message in messages() {
        let (mut bed, mut peer) = (Bed::new(&Policy::default()), Peer::new(LAC, 77));
        (peer.theirs, peer.ns, peer.nr) = (1234, 5, 6);
        let sent = bed.send(&mut peer, 0, message);
        let expected = match message {
            // §7.2.1: idle, receive SCCRP.
            Message::Sccrp(_) => vec![Some(MessageType::STOPCCN)],
            // Its sender waits for an ack, and nobody else can give it.
            Message::StopCcn(_) => vec![None],
            _ => vec![],
        };
        assert_eq!(sent.iter().map(Sent::kind).collect::<Vec<_>>(), expected, "{message:?}");
        for sent in &sent {
            assert_eq!((sent.header().tunnel_id, sent.header().nr), (77, 6));
        }
        assert_eq!((bed.told(), bed.end.tunnels(), bed.count("stray")), (vec![], 0, 1), "{message:?}");
        bed.pass(CYCLE);
        assert_eq!((bed.take(&mut peer), bed.end.poll_timeout()), (vec![], None), "{message:?}");
    }
}

#[test]
fn only_an_sccrq_makes_a_tunnel() {
    for message in messages() {
        let (mut bed, mut peer) = (Bed::new(&Policy::default()), Peer::new(LAC, 77));
        let sent = bed.send(&mut peer, 0, message);
        let tunnels = usize::from(matches!(message, Message::Sccrq(_)));
        assert_eq!((bed.end.tunnels(), kinds(&sent).len()), (tunnels, tunnels), "{message:?}");
    }
}

/// Two endpoints send each other's answers to and fro until there are none.
fn rounds(ends: &mut [Endpoint; 2], mut datagram: Vec<u8>) -> usize {
    let mut buffer = vec![0; Message::MAX];
    let now = Instant::from_micros(1_000_000);
    ends[0].handle_datagram(now, path(LNS), &mut datagram);
    for round in 0..100 {
        let [one, other] = ends;
        let (end, to, from) = if round % 2 == 0 { (one, other, LAC) } else { (other, one, LNS) };
        let mut said = false;
        while let Some(transmit) = end.poll_transmit(now, &mut buffer) {
            said = true;
            to.handle_datagram(now, path(from), &mut buffer[..transmit.len]);
        }
        if !said {
            return round;
        }
    }
    panic!("it does not end");
}

#[test]
fn two_endpoints_that_answer_each_others_strays_fall_silent() {
    for message in messages() {
        for theirs in [0, 1234] {
            // Neither lets the other open a tunnel.
            let mut ends = [1, 2].map(|seed| Endpoint::new(Config::default(), [seed; 32]));
            let mut peer = Peer { theirs, ..Peer::new(LNS, 4321) };
            let rounds = rounds(&mut ends, peer.datagram(0, message));
            assert!(rounds <= 3, "{message:?}: {rounds}");
            assert!(ends.iter().all(|end| end.poll_timeout().is_none() && end.tunnels() == 0));
        }
    }
}

#[test]
fn an_endpoint_that_has_forgotten_its_tunnel_is_told() {
    // The LNS has started again; the LAC's tunnel to it cannot be kept alive.
    let mut pair = Pair::new(&Policy::default());
    pair.tunnel(&Policy::default());
    pair.ends[1] = Endpoint::new(config(&Policy::default()), [9; 32]);
    pair.pass(Duration::from_secs(100));
    assert_eq!(names(&pair.told(0)), ["tunnel down"]);
    assert_eq!(pair.ends[0].tunnels(), 0);
}

#[test]
fn answers_are_within_the_rates() {
    let limits = Limits { requests_per_source: 3, ..Limits::default() };
    let peers = vec![PeerRule::anyone(Policy::default())];
    let mut bed = Bed::with(Config { limits, peers, ..Config::default() });
    let mut peer = Peer { theirs: 1234, ..Peer::new(LAC, 77) };
    let answers: usize = (0..100).map(|_| bed.send(&mut peer, 0, stop()).len()).sum();
    assert_eq!((answers, bed.count("stray")), (3, 100));
    let mut other = Peer { theirs: 1234, ..Peer::new(LNS, 77) };
    assert_eq!(bed.send(&mut other, 0, stop()).len(), 1, "others are answered");
    bed.pass(Duration::from_secs(1));
    assert_eq!(bed.send(&mut peer, 0, stop()).len(), 1);
}

#[test]
fn answers_that_nobody_fetches_are_bounded() {
    let mut bed = Bed::new(&Policy::default());
    for n in 0..2000u32 {
        let mut peer = Peer { theirs: 1234, ..Peer::new(&format!("10.0.{}.{}:1701", n / 256, n % 256), 77) };
        let mut message = peer.datagram(0, stop());
        bed.end.handle_datagram(bed.now, peer.path, &mut message);
    }
    bed.drain();
    assert!(bed.sent.len() <= 256, "{}", bed.sent.len());
    assert_eq!(bed.count("unanswered") + bed.sent.len() as u64, 2000);
}
