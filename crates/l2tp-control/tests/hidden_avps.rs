//! Hidden AVPs (RFC 2661 §4.3): sent only to a peer that has proved that it knows the secret.

mod common;

use common::call::outgoing;
use common::*;
use l2tp_control::auth::Secret;
use l2tp_control::config::Policy;
use l2tp_control::wire::{
    Attribute, Avps, CallErrors, CdnResult, Header, Hiding, Leniencies, Message, MessageType, Octets,
    Private, Scccn, Sccrq, decode,
};
use l2tp_control::{By, Cause, Connected, Event, Incoming, Proxy, Request};

fn policy(challenge: bool) -> Policy {
    Policy { secret: Some(Secret::new(b"s")), challenge, hide: true, ..Policy::default() }
}

/// Which messages have a hidden AVP, by sender.
fn hidden(pair: &Pair) -> [Vec<MessageType>; 2] {
    [0, 1].map(|side| {
        let hidden = |sent: &&Sent| {
            Avps::new(&sent.bytes[Header::LEN..]).any(|avp| avp.is_ok_and(|avp| avp.is_hidden()))
        };
        pair.sent[side].iter().filter(hidden).filter_map(Sent::kind).collect()
    })
}

#[test]
fn nothing_is_hidden_before_the_peer_has_answered_a_challenge() {
    // Who challenges, and what each end hides of a tunnel with a call.
    let rows: [([bool; 2], [&[MessageType]; 2]); 4] = [
        ([false, false], [&[], &[]]),
        ([true, false], [&[MessageType::ICRQ, MessageType::ICCN, MessageType::STOPCCN], &[]]),
        ([false, true], [&[], &[MessageType::ICRP]]),
        (
            [true, true],
            [
                &[MessageType::SCCCN, MessageType::ICRQ, MessageType::ICCN, MessageType::STOPCCN],
                &[MessageType::ICRP],
            ],
        ),
    ];
    for (challenges, expected) in rows {
        let [lac, lns] = challenges.map(policy);
        let mut pair = Pair::with([config(&lac), config(&lns)]);
        let ids = pair.tunnel(&lac);
        pair.call(ids);
        pair.ends[0].close(pair.now, ids[0], Cause::new(l2tp_control::wire::StopResult::CLEAR)).unwrap();
        pair.pass(CYCLE + CYCLE);
        assert_eq!(hidden(&pair), expected.map(<[_]>::to_vec), "{challenges:?}");
        pair.assert_empty();
    }
}

#[test]
fn what_was_hidden_comes_out_at_the_other_end() {
    let mut pair = Pair::new(&policy(true));
    let ids = pair.tunnel(&policy(true));
    let incoming = Incoming {
        calling: Some(b"0815".into()),
        called: Some(b"4711".into()),
        channel: Some(3),
        ..Incoming::default()
    };
    let connected = Connected {
        proxy: Some(Box::new(Proxy {
            authen_name: Some(b"alice".into()),
            authen_response: Some(b"hunter2".to_vec().into()),
            ..Proxy::default()
        })),
        ..Connected::default()
    };
    let request = Request::Incoming(incoming.clone());
    pair.ends[0].place_call(pair.now, ids[0], request, Some(connected.clone())).unwrap();
    pair.settle();
    let [Event::CallOffered { session, request, .. }] = &pair.told(1)[..] else { panic!() };
    assert_eq!(**request, Request::Incoming(Incoming { serial: Some(1), ..incoming }));
    pair.ends[1].accept(pair.now, ids[1], *session).unwrap();
    pair.settle();
    let [Event::CallUp { connected: told, .. }] = &pair.told(1)[..] else { panic!() };
    assert_eq!(**told, connected);
    let all: Vec<u8> = pair.sent.iter().flatten().flat_map(|sent| sent.bytes.clone()).collect();
    for secret in [&b"0815"[..], b"4711", b"alice", b"hunter2"] {
        assert!(!all.windows(secret.len()).any(|window| window == secret));
    }

    // The other way: what an LNS wants.
    pair.told(0);
    pair.ends[1].place_call(pair.now, ids[1], outgoing(), None).unwrap();
    pair.settle();
    let [Event::CallOffered { request, .. }] = &pair.told(0)[..] else { panic!() };
    assert!(matches!(&**request, Request::Outgoing(call) if call.called == b"4711"));
}

#[test]
fn every_message_has_a_random_vector_and_padding_of_its_own() {
    let mut pair = Pair::new(&policy(true));
    let ids = pair.tunnel(&policy(true));
    for _ in 0..16 {
        let request = Request::Incoming(Incoming { calling: Some(b"0815".into()), ..Incoming::default() });
        pair.ends[0].place_call(pair.now, ids[0], request, None).unwrap();
        pair.settle();
    }
    let requests: Vec<_> =
        pair.sent[0].iter().filter(|sent| sent.kind() == Some(MessageType::ICRQ)).collect();
    let mut vectors: Vec<_> = requests.iter().map(|sent| sent.avp(Attribute::RANDOM_VECTOR)).collect();
    let mut lengths: Vec<_> =
        requests.iter().map(|sent| sent.avp(Attribute::CALLING_NUMBER).unwrap().len()).collect();
    vectors.sort_unstable();
    vectors.dedup();
    lengths.sort_unstable();
    lengths.dedup();
    assert_eq!(vectors.len(), 16);
    assert!(lengths.len() > 4, "the length tells nothing: {lengths:?}");
    for sent in &requests {
        let mut bytes = sent.bytes.clone();
        let strict = decode(&mut bytes, Some(&Secret::new(b"s")), Leniencies::STRICT).unwrap();
        let Message::Icrq(icrq) = strict.message else { panic!() };
        assert_eq!(icrq.calling_number, Some(Octets(b"0815")));
    }
}

#[test]
fn an_sccrq_may_be_hidden_too() {
    let (mut bed, mut peer) = (Bed::new(&policy(false)), Peer::new(LAC, 77));
    let secret = Secret::new(b"s");
    let hiding = Hiding { secret: &secret, random_vector: &[3; 16], padding: &[4; 5] };
    let request = Sccrq { vendor_name: Some("ACME".into()), ..sccrq(77) };
    let bytes = peer.hidden(0, request, Some(&hiding));
    bed.give(peer.path, bytes.clone());
    assert_eq!(kinds(&bed.take(&mut peer)), [MessageType::SCCRP]);
    bed.give(peer.path, bytes);
    assert_eq!((bed.count("sccrq_again"), bed.end.tunnels()), (1, 1));
    bed.send(&mut peer, 0, Scccn { challenge_response: None });
    let [Event::TunnelUp { peer, .. }] = &bed.told()[..] else { panic!() };
    assert_eq!(peer.vendor_name, b"ACME");
}

#[test]
fn a_tunnel_without_a_secret_cannot_read_what_is_hidden() {
    let (mut bed, mut peer) = (Bed::new(&Policy::default()), Peer::new(LAC, 77));
    bed.opened_by(&mut peer);
    let secret = Secret::new(b"s");
    let hiding = Hiding { secret: &secret, random_vector: &[3; 16], padding: &[] };
    let session = bed.offered_by(&mut peer, 9);
    bed.end.accept(bed.now, tunnel_id(peer.theirs), session).unwrap();
    bed.drain();
    bed.take(&mut peer);
    let iccn = l2tp_control::wire::Iccn { proxy_authen_response: Some(Private(b"x")), ..iccn() };
    let bytes = peer.hidden(session.get(), iccn, Some(&hiding));
    bed.give(peer.path, bytes);
    let sent = bed.take(&mut peer);
    assert_eq!((kinds(&sent), sent[0].result()), (vec![MessageType::CDN], (2, 8)));
    let [Event::CallDown { reason, .. }] = &bed.told()[..] else { panic!() };
    assert!(matches!(reason.by, By::Error(_)));
    assert!(reason.to_string().contains("no secret"), "{reason}");
}

#[test]
fn a_wrong_secret_is_noticed() {
    let (mut bed, mut peer) = (Bed::new(&policy(false)), Peer::new(LAC, 77));
    bed.opened_by(&mut peer);
    let secret = Secret::new(b"another");
    let hiding = Hiding { secret: &secret, random_vector: &[3; 16], padding: &[] };
    let bytes = peer.hidden(0, icrq(9), Some(&hiding));
    bed.give(peer.path, bytes);
    let sent = bed.take(&mut peer);
    assert_eq!(kinds(&sent), [], "whose call it is nobody knows");
    assert_eq!((bed.count("unrevealed"), bed.end.sessions()), (1, 0));
}

#[test]
fn sli_wen_and_cdn_are_hidden_and_read() {
    let mut pair = Pair::new(&policy(true));
    let ids = pair.tunnel(&policy(true));
    let sessions = pair.call(ids);
    let accm = l2tp_control::wire::Accm { send: 1, receive: 2 };
    let errors = CallErrors { crc: 3, ..CallErrors::default() };
    pair.ends[1].send_link_info(ids[1], sessions[1], accm).unwrap();
    pair.ends[0].send_line_errors(ids[0], sessions[0], errors).unwrap();
    pair.settle();
    assert_eq!(names(&pair.told(0)), ["link info"]);
    assert_eq!(names(&pair.told(1)), ["line errors"]);
    let cause = Cause::new(CdnResult::ADMINISTRATIVE);
    pair.ends[0].hang_up(pair.now, ids[0], sessions[0], cause).unwrap();
    pair.settle();
    let cdn = pair.sent[0].iter().find(|sent| sent.kind() == Some(MessageType::CDN)).unwrap();
    assert!(cdn.is_hidden(Attribute::ASSIGNED_SESSION_ID) && !cdn.is_hidden(Attribute::RESULT_CODE));
    assert_eq!(names(&pair.told(1)), ["call down"]);
}
