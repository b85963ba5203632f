//! Who gets in, how many, and how fast.

mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use common::call::{Call, ocrq};
use common::*;
use l2tp_control::auth::Secret;
use l2tp_control::config::{Config, Limits, PeerRule, Policy};
use l2tp_control::error::Misuse;
use l2tp_control::wire::{
    Attribute, CdnResult, Header, Message, MessageType, ProtocolVersion, Scccn, Sccrq, StopCcn, StopResult,
};
use l2tp_control::{Cause, Event, Incoming, Request};

const CDN: MessageType = MessageType::CDN;
const SCCRP: MessageType = MessageType::SCCRP;
const STOPCCN: MessageType = MessageType::STOPCCN;
const SECOND: Duration = Duration::from_secs(1);

fn limited(limits: Limits) -> Bed {
    let peers = vec![PeerRule::anyone(Policy::default())];
    Bed::with(Config { limits, peers, ..Config::default() })
}

/// A peer at an address of its own.
fn peer(n: u16) -> Peer {
    let [high, low] = n.to_be_bytes();
    Peer::new(&format!("10.0.{high}.{low}:1701"), 77)
}

/// The answer to a peer's SCCRQ: a tunnel, a refusal, or nothing.
fn ask(bed: &mut Bed, peer: &mut Peer) -> Option<(u16, u16)> {
    let id = peer.id;
    let sent = bed.send(peer, 0, sccrq(id));
    match &kinds(&sent)[..] {
        [SCCRP] => Some((0, 0)),
        [STOPCCN] => Some(sent[0].result()),
        [] => None,
        kinds => panic!("{kinds:?}"),
    }
}

const OPENED: Option<(u16, u16)> = Some((0, 0));
const NO_RESOURCES: Option<(u16, u16)> = Some((2, 4));

#[test]
fn the_number_of_tunnels_is_limited() {
    let mut bed = limited(Limits { tunnels: 3, ..Limits::default() });
    let mut peers: Vec<_> = (0..4).map(peer).collect();
    for peer in &mut peers[..3] {
        bed.opened_by(peer);
    }
    assert_eq!(ask(&mut bed, &mut peers[3]), NO_RESOURCES);
    assert_eq!((bed.end.tunnels(), bed.count("refused")), (3, 1));
    bed.send(&mut peers[0], 0, StopCcn::new(Some(tunnel_id(77)), StopResult::CLEAR.into()));
    peers[3] = peer(3);
    assert_eq!(ask(&mut bed, &mut peers[3]), OPENED, "one that lingers does not count");
}

#[test]
fn half_open_tunnels_are_limited_in_all_and_by_source() {
    let limits = Limits { half_open: 4, half_open_per_source: 2, ..Limits::default() };
    let rows = [
        ("10.0.0.1:1", OPENED),
        ("10.0.0.1:2", OPENED),
        ("10.0.0.1:3", NO_RESOURCES),
        ("[2001:db8::1]:1", OPENED),
        ("[2001:db8::ffff:1]:1", OPENED),
        ("[2001:db8::2]:1", NO_RESOURCES),
        ("10.0.0.2:1", NO_RESOURCES),
    ];
    let mut bed = limited(limits);
    let mut first = Peer::new(rows[0].0, 77);
    for (address, expected) in rows {
        let mut peer = Peer::new(address, 77);
        assert_eq!(ask(&mut bed, &mut peer), expected, "{address}");
        if address == rows[0].0 {
            first = peer;
        }
    }
    assert_eq!(bed.end.half_open(), 4);
    bed.send(&mut first, 0, Scccn { challenge_response: None });
    assert_eq!(bed.end.half_open(), 3);
    assert_eq!(ask(&mut bed, &mut Peer::new("10.0.0.2:1", 77)), OPENED, "an established one does not count");
}

#[test]
fn tunnels_are_limited_by_source() {
    let mut bed = limited(Limits { tunnels_per_source: 2, ..Limits::default() });
    let peers = |addresses: [&str; 2]| addresses.map(|address| Peer::new(address, 77));
    let mut rows = [
        (peers(["10.0.0.1:1", "10.0.0.1:2"]), "10.0.0.1:3"),
        (peers(["[2001:db8::1]:1", "[2001:db8::ffff:1]:1"]), "[2001:db8::2]:1"),
    ];
    for (peers, more) in &mut rows {
        for peer in peers {
            bed.opened_by(peer);
        }
        assert_eq!(ask(&mut bed, &mut Peer::new(more, 77)), NO_RESOURCES, "{more}");
    }
    assert_eq!((bed.end.tunnels(), bed.end.half_open()), (4, 0));
    assert_eq!(ask(&mut bed, &mut peer(9)), OPENED, "another source");
    for (peers, more) in &mut rows {
        let id = tunnel_id(peers[0].theirs);
        bed.end.close(bed.now, id, Cause::new(StopResult::CLEAR)).unwrap();
        bed.drain();
        assert_eq!(ask(&mut bed, &mut Peer::new(more, 77)), OPENED, "{more}: one that closes does not count");
        assert_eq!(ask(&mut bed, &mut Peer::new(more, 78)), NO_RESOURCES, "{more}: a half-open one does");
    }
}

#[test]
fn calls_are_limited_by_source_until_they_are_proven() {
    let limits = Limits { unproven_calls_per_source: Some(2), ..Limits::default() };
    let mut bed = limited(limits);
    let mut peers = ["10.0.0.1:1", "10.0.0.1:2", "10.0.0.2:1"].map(|address| Peer::new(address, 77));
    let tunnels = peers.each_mut().map(|peer| bed.opened_by(peer));
    let [first, second, other] = &mut peers;
    let sessions = [bed.offered_by(first, 1), bed.offered_by(second, 1)];
    let refused = |bed: &mut Bed, peer: &mut Peer, id| {
        let sent = bed.send(peer, 0, icrq(id));
        assert_eq!((kinds(&sent), sent[0].result()), (vec![CDN], (4, 0)));
        bed.ack(peer);
    };
    refused(&mut bed, first, 2);
    bed.offered_by(other, 1);
    for _ in 0..2 {
        bed.end.proven(tunnels[0], sessions[0]);
    }
    bed.offered_by(first, 3);
    refused(&mut bed, first, 4);
    let hang_up = |bed: &mut Bed, n: usize, peer: &mut Peer| {
        bed.end.hang_up(bed.now, tunnels[n], sessions[n], Cause::new(CdnResult::BUSY)).unwrap();
        bed.drain();
        bed.take(peer);
        bed.ack(peer);
    };
    hang_up(&mut bed, 0, first);
    refused(&mut bed, first, 5);
    hang_up(&mut bed, 1, second);
    bed.offered_by(second, 6);
    refused(&mut bed, second, 7);
    bed.end.close(bed.now, tunnels[1], Cause::new(StopResult::CLEAR)).unwrap();
    bed.drain();
    bed.offered_by(first, 8);
    for tunnel in [tunnels[0], tunnels[2]] {
        bed.end.close(bed.now, tunnel, Cause::new(StopResult::CLEAR)).unwrap();
    }
    bed.pass(2 * CYCLE);
    assert!(bed.end.is_empty());
}

#[test]
fn who_knows_the_secret_may_have_any_number_of_unproven_calls() {
    let policy = Policy { secret: Some(Secret::new(b"s")), challenge: true, ..Policy::default() };
    let limits = Limits { unproven_calls_per_source: Some(1), ..Limits::default() };
    let lns = Config { limits, ..config(&policy) };
    let mut pair = Pair::with([config(&policy), lns]);
    let ids = pair.tunnel(&policy);
    for _ in 0..3 {
        pair.call(ids);
    }
    assert_eq!(pair.ends[1].sessions(), 3);
}

#[test]
fn tunnels_that_we_open_do_not_count() {
    let mut bed = limited(Limits { tunnels_per_source: 1, ..Limits::default() });
    for port in 1..=3 {
        bed.opened_to(&mut Peer::new(&format!("10.0.0.1:{port}"), 77), &Policy::default());
    }
    assert_eq!(ask(&mut bed, &mut Peer::new("10.0.0.1:9", 77)), OPENED);
}

#[test]
fn a_half_open_tunnel_stops_to_count_however_it_ends() {
    let secret = Policy { secret: Some(Secret::new(b"s")), challenge: true, ..Policy::default() };
    type End = fn(&mut Bed, &mut Peer);
    let rows: [(&str, &Policy, End); 6] = [
        ("established", &Policy::default(), |bed, peer| {
            bed.send(peer, 0, Scccn { challenge_response: None });
        }),
        ("wrong secret", &secret, |bed, peer| {
            bed.send(peer, 0, Scccn { challenge_response: Some([0; 16]) });
        }),
        ("silence", &Policy::default(), |bed, _| bed.pass(CYCLE)),
        ("no progress", &Policy::default(), |bed, peer| {
            bed.ack(peer);
            bed.pass(2 * CYCLE);
        }),
        ("StopCCN", &Policy::default(), |bed, peer| {
            bed.send(peer, 0, StopCcn::new(Some(tunnel_id(77)), StopResult::CLEAR.into()));
        }),
        ("closed by us", &Policy::default(), |bed, peer| {
            bed.end.close(bed.now, tunnel_id(peer.theirs), Cause::new(StopResult::CLEAR)).unwrap();
        }),
    ];
    for (what, policy, end) in rows {
        let (mut bed, mut peer) = (Bed::new(policy), peer(0));
        assert_eq!(ask(&mut bed, &mut peer), OPENED);
        assert_eq!(bed.end.half_open(), 1, "{what}");
        end(&mut bed, &mut peer);
        bed.drain();
        assert_eq!(bed.end.half_open(), 0, "{what}");
        bed.pass(4 * CYCLE);
        assert_eq!(bed.end.half_open(), 0, "{what}");
    }
}

#[test]
fn requests_are_limited_by_source_and_in_all() {
    let mut bed = limited(Limits { requests_per_source: 5, requests: 12, ..Limits::default() });
    let asked = |bed: &mut Bed, source: u16, count: u16| {
        let answers = (0..count).map(|id| ask(bed, &mut Peer { id: id + 1, ..peer(source) }));
        answers.filter(Option::is_some).count()
    };
    assert_eq!(asked(&mut bed, 1, 20), 5);
    assert_eq!(asked(&mut bed, 2, 20), 5);
    assert_eq!(asked(&mut bed, 3, 20), 2);
    assert_eq!(bed.count("rate"), 48);
    bed.pass(SECOND);
    bed.sent.clear();
    assert_eq!(asked(&mut bed, 4, 20), 5);
}

#[test]
fn a_refusal_counts_as_one_request() {
    let limits = Limits { requests_per_source: 1, tunnels: 0, ..Limits::default() };
    let mut bed = limited(limits);
    for _ in 0..3 {
        assert_eq!(ask(&mut bed, &mut peer(1)), NO_RESOURCES);
        assert_eq!(ask(&mut bed, &mut peer(1)), None);
        bed.pass(SECOND);
    }
}

#[test]
fn a_flood_keeps_nothing_but_its_half_open_tunnels() {
    let limits = Limits { requests_per_source: 100_000, requests: 1_000_000, ..Limits::default() };
    let mut bed = limited(limits);
    for n in 0..2000u16 {
        let mut peer = Peer::new(&format!("10.9.9.9:{}", 1024 + n), 77);
        ask(&mut bed, &mut peer);
    }
    assert_eq!((bed.end.tunnels(), bed.end.half_open()), (256, 256));
    bed.pass(CYCLE);
    assert_eq!((bed.end.tunnels(), bed.end.half_open(), bed.end.poll_timeout()), (0, 0, None));
}

#[test]
fn junk_leaves_nothing() {
    let mut bed = limited(Limits::default());
    let mut good = peer(1);
    let request = good.datagram(0, sccrq(77));
    let mut junk: Vec<Vec<u8>> = (0..request.len()).map(|length| request[..length].to_vec()).collect();
    for version in [0, 1, 3, 4, 15] {
        let mut other = request.clone();
        other[1] = version;
        junk.push(other);
    }
    for flags in [0x48, 0x88, 0xc0, 0xca, 0xc9, 0x00] {
        let mut other = request.clone();
        other[0] = flags;
        junk.push(other);
    }
    junk.extend([b"GET / HTTP/1.1\r\n\r\n".to_vec(), vec![0xff; 1500], vec![0; 1500], vec![0xc8, 2]]);
    let count = junk.len() as u64;
    for datagram in junk {
        bed.give(good.path, datagram);
    }
    assert_eq!((bed.end.tunnels(), bed.end.poll_timeout(), bed.sent.len()), (0, None, 0));
    assert_eq!(
        bed.end.counters().map(|(_, count)| count).sum::<u64>(),
        count,
        "each is counted under a name"
    );
}

#[test]
fn while_draining_no_tunnel_and_no_call_is_taken() {
    let mut call = Call::idle();
    let offered = call.bed.offered_by(&mut call.peer, 8);
    call.bed.end.set_draining(true);
    assert_eq!(ask(&mut call.bed, &mut peer(1)), Some((6, 0)));
    for message in [Message::from(icrq(9)), ocrq(9).into()] {
        let sent = call.send(0, message);
        assert_eq!((kinds(&sent), sent[0].result()), (vec![CDN], (3, 0)));
        assert_eq!(sent[0].header().session_id, 9);
    }
    assert_eq!(call.bed.told(), []);
    call.bed.end.accept(call.bed.now, call.tunnel, offered).unwrap();
    assert_eq!(kinds(&call.said()), [MessageType::ICRP], "what is there goes on");
    call.bed.end.set_draining(false);
    assert_eq!(ask(&mut call.bed, &mut peer(2)), OPENED);
}

#[test]
fn the_number_of_sessions_is_limited() {
    for limits in
        [Limits { sessions: 3, ..Limits::default() }, Limits { sessions_per_tunnel: 3, ..Limits::default() }]
    {
        let (mut bed, mut peer) = (limited(limits), peer(1));
        let tunnel = bed.opened_by(&mut peer);
        let sessions: Vec<_> = (1..=3).map(|id| bed.offered_by(&mut peer, id)).collect();
        let sent = bed.send(&mut peer, 0, icrq(4));
        assert_eq!((kinds(&sent), sent[0].result()), (vec![CDN], (4, 0)));
        assert_eq!(bed.count("call_refused"), 1);
        bed.end.hang_up(bed.now, tunnel, sessions[0], Cause::new(CdnResult::BUSY)).unwrap();
        bed.drain();
        bed.take(&mut peer);
        bed.ack(&mut peer);
        bed.offered_by(&mut peer, 5);
    }
}

#[test]
fn tunnel_ids_run_out() {
    let policy = Policy::default();
    let mut bed = limited(Limits { tunnels: usize::MAX, ..Limits::default() });
    let ids: BTreeSet<_> =
        (0..65_535).map(|_| bed.end.connect(bed.now, connect_to(LNS, &policy)).unwrap()).collect();
    bed.drain();
    bed.sent.clear();
    assert_eq!((ids.len(), bed.end.tunnels()), (65_535, 65_535), "all different, none 0");
    assert_eq!(bed.end.connect(bed.now, connect_to(LNS, &policy)), Err(Misuse::NoIds));
    let mut stranger = peer(1);
    let sent = bed.send(&mut stranger, 0, sccrq(77));
    assert_eq!((kinds(&sent), sent[0].result()), (vec![STOPCCN], (2, 4)));
    assert_eq!(sent[0].words(), "no tunnel id is free");
    assert_eq!(bed.end.half_open(), 0);
}

#[test]
fn session_ids_run_out_and_linger() {
    let (mut bed, mut peer) =
        (limited(Limits { sessions_per_tunnel: usize::MAX, ..Limits::default() }), peer(1));
    let tunnel = bed.opened_by(&mut peer);
    let request = || Request::Incoming(Incoming::default());
    let ids: Vec<_> =
        (0..65_535).map(|_| bed.end.place_call(bed.now, tunnel, request(), None).unwrap()).collect();
    assert_eq!(bed.end.sessions(), 65_535);
    assert_eq!(bed.end.place_call(bed.now, tunnel, request(), None), Err(Misuse::NoIds));
    bed.end.hang_up(bed.now, tunnel, ids[7], Cause::new(CdnResult::BUSY)).unwrap();
    assert_eq!(bed.end.place_call(bed.now, tunnel, request(), None), Err(Misuse::NoIds), "it lingers");
    let later = bed.now + CYCLE;
    assert_eq!(bed.end.place_call(later, tunnel, request(), None), Ok(ids[7]));
}

#[test]
fn a_call_is_refused_when_session_ids_have_run_out() {
    let limits = Limits { sessions_per_tunnel: usize::MAX, backlog: usize::MAX, ..Limits::default() };
    let (mut bed, mut peer) = (limited(limits), peer(1));
    let tunnel = bed.opened_by(&mut peer);
    bed.drain();
    bed.take(&mut peer);
    for _ in 0..65_535 {
        bed.end.place_call(bed.now, tunnel, Request::Incoming(Incoming::default()), None).unwrap();
    }
    let request = peer.datagram(0, icrq(9));
    bed.give(peer.path, request);
    // The refusal stands behind all the requests.
    let mut sent = bed.take(&mut peer);
    while kinds(&sent).last() != Some(&CDN) {
        sent = bed.ack(&mut peer);
        assert!(!sent.is_empty());
    }
    let cdn = sent.last().unwrap();
    assert_eq!((cdn.header().session_id, cdn.result(), &*cdn.words()), (9, (4, 0), "no session id is free"));
    assert_eq!(bed.told(), []);
}

#[test]
fn ids_are_not_to_be_guessed() {
    let ids = |seed: u8| {
        let mut end = l2tp_control::Endpoint::new(Config::default(), [seed; 32]);
        let now = l2tp_control::Instant::from_micros(1);
        let ids = (0..100).map(|_| end.connect(now, connect_to(LNS, &Policy::default())).unwrap().get());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(ids(1), ids(1), "the same seed gives the same output");
    assert_ne!(ids(1), ids(2));
    let near = ids(1).windows(2).filter(|pair| pair[0].abs_diff(pair[1]) < 100).count();
    assert!(near < 5, "{near}");
}

#[test]
fn unsolicited_data_and_other_versions_are_counted() {
    let mut bed = limited(Limits::default());
    bed.give(path(LAC), vec![0x00, 0x02, 0, 1, 0, 1, 0xff, 0x03]);
    bed.give(path(LAC), Header::zlb(0, 0, 0).iter().map(|byte| byte ^ 1).collect());
    let names: Vec<_> = bed.end.counters().collect();
    assert_eq!(names, [("not_control", 1), ("version", 1)]);
}

#[test]
fn a_refused_version_is_not_a_tunnel() {
    for version in [0, 2, 255] {
        let mut bed = limited(Limits::default());
        let protocol_version = ProtocolVersion { version, revision: 0 };
        let sent = bed.send(&mut peer(1), 0, Sccrq { protocol_version, ..sccrq(77) });
        assert_eq!((sent[0].result(), bed.end.tunnels()), ((5, 0x100), 0));
    }
    // A revision is compatible.
    let mut bed = limited(Limits::default());
    let protocol_version = ProtocolVersion { version: 1, revision: 9 };
    assert_eq!(kinds(&bed.send(&mut peer(1), 0, Sccrq { protocol_version, ..sccrq(77) })), [SCCRP]);
}

/// A peer that asks for calls and acknowledges none of the answers.
fn deaf(limits: Limits, message: impl Fn(u16) -> Message<'static>) -> (Bed, Peer, usize) {
    let (mut bed, mut peer) = (limited(limits), peer(1));
    let tunnel = bed.opened_by(&mut peer);
    bed.take(&mut peer);
    let mut offered = 0;
    for id in 1..=500 {
        peer.nr = 1;
        let datagram = peer.datagram(0, message(id));
        bed.give(peer.path, datagram);
        for event in bed.told() {
            if let Event::CallOffered { session, .. } = event {
                offered += 1;
                bed.end.accept(bed.now, tunnel, session).unwrap();
            }
        }
    }
    (bed, peer, offered)
}

#[test]
fn what_a_deaf_peer_asks_for_is_not_taken_beyond_the_backlog() {
    let limits = Limits { backlog: 20, ..Limits::default() };
    for message in [(|id| icrq(id).into()) as fn(u16) -> Message<'static>, |id| ocrq(id).into()] {
        let (mut bed, mut peer, offered) = deaf(limits, message);
        assert_eq!(offered, 20);
        assert!(bed.count("backlog") > 0);
        // Once it hears, what it has to say is taken again: nothing was acknowledged and dropped.
        let taken = bed.end.delivery(tunnel_id(peer.theirs)).unwrap();
        assert_eq!(taken.duplicates, 0);
        bed.take(&mut peer);
        for _ in 0..20 {
            peer.nr = bed.sent.iter().map(|sent| sent.header().ns + 1).max().unwrap_or(peer.nr).max(peer.nr);
            bed.ack(&mut peer);
        }
        peer.ns = 2 + 20;
        let datagram = peer.datagram(0, message(21));
        bed.give(peer.path, datagram);
        assert_eq!(names(&bed.told()), ["call offered"]);
    }
}

#[test]
fn refusals_for_a_deaf_peer_are_bounded_too() {
    let limits = Limits { backlog: 20, sessions_per_tunnel: 0, ..Limits::default() };
    let (bed, _, offered) = deaf(limits, |id| icrq(id).into());
    assert_eq!((offered, bed.count("call_refused")), (0, 20));
    let icrp = |id| l2tp_control::wire::Icrp::new(session_id(id)).into();
    let (mut bed, ..) = deaf(Limits { backlog: 20, ..Limits::default() }, icrp);
    assert_eq!((bed.count("no_session"), bed.count("backlog")), (500, 480));
    bed.pass(2 * CYCLE);
    assert_eq!(bed.end.tunnels(), 0, "and it is given up");
    assert!(bed.sent.iter().all(|sent| sent.avp(Attribute::MESSAGE_TYPE).is_some() || sent.kind().is_none()));
}
