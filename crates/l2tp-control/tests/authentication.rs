//! Tunnel authentication (RFC 2661 §5.1.1), both ways, and which secret is for whom.

mod common;

use std::sync::Arc;

use common::*;
use l2tp_control::auth::{self, Secret};
use l2tp_control::config::{Config, Network, PeerRule, Policy};
use l2tp_control::error::Misuse;
use l2tp_control::wire::{Attribute, Header, Message, MessageType, Octets, Scccn, Sccrp, Sccrq};
use l2tp_control::{By, Event, TunnelState};
use md5::{Digest, Md5};

/// A policy with a secret, "" for none.
fn policy(secret: &str, challenge: bool) -> Policy {
    let secret = (!secret.is_empty()).then(|| Secret::new(secret.as_bytes()));
    Policy { secret, challenge, ..Policy::default() }
}

/// Whether a tunnel came up, and whether each end knows that the other has the secret.
fn open(lac: &Policy, lns: &Policy) -> (Pair, Option<[bool; 2]>) {
    let mut pair = Pair::with([config(lac), config(lns)]);
    pair.connect(lac);
    let up = |events: Vec<Event>| match &events[..] {
        [Event::TunnelUp { peer, .. }] => Some(peer.authenticated),
        _ => None,
    };
    let ends = [0, 1].map(|side| pair.told(side)).map(up);
    let both = ends[0].zip(ends[1]).map(|(lac, lns)| [lac, lns]);
    (pair, both)
}

#[test]
fn who_is_challenged_has_to_know_the_secret() {
    // The LAC's secret and challenge, the LNS's, and what each knows of the other in the end.
    let rows = [
        ("", false, "", false, Some([false, false])),
        ("s", true, "s", true, Some([true, true])),
        ("s", true, "s", false, Some([true, false])),
        ("s", false, "s", true, Some([false, true])),
        ("s", false, "", false, Some([false, false])),
        ("", false, "s", false, Some([false, false])),
        ("s", true, "", false, None),
        ("", false, "s", true, None),
        ("s", true, "t", true, None),
        ("s", true, "t", false, None),
        ("s", false, "t", true, None),
    ];
    for (lac, lac_challenges, lns, lns_challenges, expected) in rows {
        let row = format!("LAC {lac:?} {lac_challenges}, LNS {lns:?} {lns_challenges}");
        let (mut pair, up) = open(&policy(lac, lac_challenges), &policy(lns, lns_challenges));
        assert_eq!(up, expected, "{row}");
        if expected.is_none() {
            let all: Vec<_> = pair.sent.iter().flatten().cloned().collect();
            let stop = all.iter().find(|sent| sent.kind() == Some(MessageType::STOPCCN)).expect(&row);
            assert_eq!(stop.result(), (4, 0), "{row}");
            pair.pass(2 * CYCLE);
            pair.assert_empty();
        }
    }
}

#[test]
fn the_responses_are_those_of_the_rfc() {
    let lac = policy("s", true);
    let (pair, _) = open(&lac, &lac);
    let [request, connected] = [0, 1].map(|n| pair.sent[0][n].clone());
    let reply = &pair.sent[1][0];
    let value = |sent: &Sent, attribute| sent.avp(attribute).unwrap().to_vec();
    let challenges = [&request, reply].map(|sent| value(sent, Attribute::CHALLENGE));
    let responses = [reply, &connected].map(|sent| value(sent, Attribute::CHALLENGE_RESPONSE));
    let secret = Secret::new(b"s");
    assert_eq!(responses[0], auth::response(MessageType::SCCRP, &secret, &challenges[0]));
    assert_eq!(responses[1], auth::response(MessageType::SCCCN, &secret, &challenges[1]));
    assert!(challenges[0].len() == 16 && challenges[0] != challenges[1]);
}

#[test]
fn as_lns_a_wrong_or_missing_response_ends_the_tunnel() {
    for challenge_response in [None, Some([0; 16])] {
        let (mut bed, mut peer) = (Bed::new(&policy("s", true)), Peer::new(LAC, 77));
        let reply = bed.send(&mut peer, 0, sccrq(77));
        assert!(reply[0].avp(Attribute::CHALLENGE).is_some());
        let sent = bed.send(&mut peer, 0, Scccn { challenge_response });
        assert_eq!((kinds(&sent), sent[0].result()), (vec![MessageType::STOPCCN], (4, 0)));
        let [Event::TunnelDown { reason, stranger: Some(peer), .. }] = &bed.told()[..] else { panic!() };
        assert_eq!((reason.by, &*peer.host_name), (By::Authentication, &b"peer"[..]));
        assert_eq!(peer.path, path(LAC), "so that it can be logged who it was");
    }
}

#[test]
fn as_lac_a_wrong_or_missing_response_ends_the_tunnel() {
    for challenge_response in [None, Some([0; 16])] {
        let (mut bed, mut peer) = (Bed::new(&Policy::default()), Peer::new(LNS, 77));
        bed.dialling(&mut peer, &policy("s", true));
        let sent = bed.send(&mut peer, 0, Sccrp { challenge_response, ..sccrp(77) });
        assert_eq!((kinds(&sent), sent[0].result()), (vec![MessageType::STOPCCN], (4, 0)));
    }
}

#[test]
fn a_response_to_no_challenge_proves_nothing() {
    let (mut bed, mut peer) = (Bed::new(&policy("s", false)), Peer::new(LAC, 77));
    bed.send(&mut peer, 0, sccrq(77));
    bed.send(&mut peer, 0, Scccn { challenge_response: Some([1; 16]) });
    let [Event::TunnelUp { peer, .. }] = &bed.told()[..] else { panic!() };
    assert!(!peer.authenticated);
}

#[test]
fn who_is_challenged_by_a_peer_it_has_no_secret_for_says_so() {
    let (mut bed, mut peer) = (Bed::new(&policy("", false)), Peer::new(LAC, 77));
    let sent = bed.send(&mut peer, 0, Sccrq { challenge: Some(Octets(&[1; 16])), ..sccrq(77) });
    assert_eq!((kinds(&sent), sent[0].result()), (vec![MessageType::STOPCCN], (4, 0)));
    assert!(sent[0].words().contains("no secret"));
    assert_eq!(bed.end.tunnels(), 0);

    let (mut bed, mut peer) = (Bed::new(&policy("", false)), Peer::new(LNS, 77));
    bed.dialling(&mut peer, &policy("", false));
    let sent = bed.send(&mut peer, 0, Sccrp { challenge: Some(Octets(&[1; 16])), ..sccrp(77) });
    assert_eq!((kinds(&sent), sent[0].result()), (vec![MessageType::STOPCCN], (4, 0)));
}

#[test]
fn a_challenge_without_a_secret_lets_nobody_in() {
    let (mut bed, mut peer) = (Bed::new(&policy("", true)), Peer::new(LAC, 77));
    let sent = bed.send(&mut peer, 0, sccrq(77));
    assert_eq!((kinds(&sent), sent[0].result()), (vec![MessageType::STOPCCN], (4, 0)));
    assert_eq!(bed.end.connect(bed.now, connect_to(LNS, &policy("", true))), Err(Misuse::NoSecret));
    assert_eq!(bed.end.tunnels(), 0);
}

#[test]
fn the_first_rule_that_fits_host_name_and_network_has_the_secret() {
    let rule = |host_name: &str, network: Option<(&str, u8)>, secret: &str| PeerRule {
        host_name: host_name.into(),
        network: network.map(|(address, bits)| Network { address: address.parse().unwrap(), bits }),
        policy: policy(secret, true).into(),
    };
    let peers = vec![
        rule("lac-?.example", Some(("192.0.2.0", 24)), "first"),
        rule("lac-?.example", None, "second"),
        rule("*", Some(("2001:db8::", 32)), "third"),
    ];
    let rows = [
        ("LAC-1.example", "192.0.2.9:1701", Some("first")),
        ("lac-1.example", "198.51.100.1:1701", Some("second")),
        ("lac-1.example", "[::ffff:192.0.2.9]:1701", Some("first")),
        ("phone", "[2001:db8::1]:49152", Some("third")),
        ("phone", "192.0.2.9:1701", None),
    ];
    for (host_name, address, expected) in rows {
        let mut bed = Bed::with(Config { peers: peers.clone(), ..Config::default() });
        let mut peer = Peer::new(address, 77);
        let sent = bed.send(&mut peer, 0, Sccrq { host_name: host_name.into(), ..sccrq(77) });
        let Some(secret) = expected else {
            assert_eq!((kinds(&sent), sent[0].result()), (vec![MessageType::STOPCCN], (4, 0)));
            assert!(sent[0].words().contains("not known"));
            continue;
        };
        assert_eq!(kinds(&sent), [MessageType::SCCRP], "{host_name} {address}");
        let challenge = sent[0].avp(Attribute::CHALLENGE).unwrap();
        let response = auth::response(MessageType::SCCCN, &Secret::new(secret.as_bytes()), challenge);
        bed.send(&mut peer, 0, Scccn { challenge_response: Some(response) });
        let state = bed.end.tunnel_state(tunnel_id(peer.theirs));
        assert_eq!(state, Some(TunnelState::Established), "{host_name} {address}");
    }
}

#[test]
fn the_first_answer_of_a_tunnel_that_is_refused_is_not_repeated() {
    let (mut bed, mut peer) = (Bed::with(Config::default()), Peer::new(LAC, 77));
    assert_eq!(kinds(&bed.send(&mut peer, 0, sccrq(77))), [MessageType::STOPCCN]);
    assert_eq!(bed.send(&mut peer, 0, Message::Zlb), []);
    bed.pass(CYCLE);
    assert_eq!((bed.take(&mut peer), bed.end.poll_timeout()), (vec![], None));
}

/// An SCCRQ with this Host Name, and other AVPs in front of that.
fn sccrq_with(first: &[u8], host_name: &'static str) -> Vec<u8> {
    let request = Sccrq { host_name: host_name.into(), ..sccrq(77) };
    let mut bytes = Peer::new(LAC, 77).datagram(0, request);
    // Behind the header, Message Type and Protocol Version.
    let at = Header::LEN + 8 + 8;
    bytes.splice(at..at, first.iter().copied());
    let length = bytes.len() as u16;
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
    bytes
}

/// A Random Vector, and behind it the Host Name `lac`, hidden with the secret `t`.
fn hidden_host_name() -> Vec<u8> {
    let key = Md5::new().chain_update([0, 7]).chain_update("t").chain_update([3; 16]).finalize();
    let value = [0, 3, b'l', b'a', b'c'].into_iter().zip(key).map(|(byte, key)| byte ^ key);
    let vector = [0x80, 22, 0, 0, 0, 36].into_iter().chain([3; 16]);
    vector.chain([0xc0, 11, 0, 0, 0, 7]).chain(value).collect()
}

#[test]
fn the_host_name_that_counts_is_the_one_that_the_rule_was_chosen_by() {
    let rule = |host_name: &str, policy: Policy| PeerRule {
        host_name: host_name.into(),
        network: None,
        policy: policy.into(),
    };
    let lac = rule("lac", policy("s", true));
    let others = rule("*", policy("t", false));
    let rows = [
        ("an empty one first", sccrq_with(&[0, 6, 0, 0, 0, 7], "lac")),
        ("one with a reserved bit first", sccrq_with(&[4, 7, 0, 0, 0, 7, b'x'], "lac")),
        ("a hidden one first", sccrq_with(&hidden_host_name(), "other")),
    ];
    for (what, request) in rows {
        let peers = vec![lac.clone(), others.clone()];
        let mut bed = Bed::with(Config { peers, ..Config::default() });
        bed.give(path(LAC), request.clone());
        assert_eq!(kinds(&bed.sent), [MessageType::STOPCCN], "{what}");
        assert_eq!(
            (bed.sent[0].result(), bed.count("host_name"), bed.end.tunnels()),
            ((2, 3), 1, 0),
            "{what}"
        );
        assert_eq!(bed.sent[0].words(), "which Host Name counts is not clear");
        let mut bed = Bed::with(Config { peers: vec![others.clone()], ..Config::default() });
        bed.give(path(LAC), request);
        assert_eq!(kinds(&bed.sent), [MessageType::SCCRP], "{what}, and one rule fits either");
    }
}

#[test]
fn a_tunnel_tells_the_policy_that_it_was_opened_with() {
    let rule = |host_name: &str| PeerRule {
        host_name: host_name.into(),
        network: None,
        policy: Policy::default().into(),
    };
    let peers = vec![rule("nobody"), rule("peer"), rule("*")];
    let mut bed = Bed::with(Config { peers: peers.clone(), ..Config::default() });
    let mut peer = Peer::new(LAC, 77);
    let tunnel = bed.opened_by(&mut peer);
    bed.end.config_mut().peers.clear();
    assert!(bed.end.policy(tunnel).is_some_and(|policy| Arc::ptr_eq(policy, &peers[1].policy)));
    let connect = connect_to(LNS, &Policy::default());
    let dialled = bed.end.connect(bed.now, connect.clone()).unwrap();
    assert!(bed.end.policy(dialled).is_some_and(|policy| Arc::ptr_eq(policy, &connect.policy)));
}
