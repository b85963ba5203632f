//! AVPs of vendors and of other documents: from caller to caller, in SCCRQ, SCCRP, ICRQ, ICCN, OCRQ and
//! OCCN.

mod common;

use common::call::*;
use common::*;
use l2tp_control::auth::Secret;
use l2tp_control::config::Policy;
use l2tp_control::wire::{Attribute, Header, Icrp, Message, MessageType, OtherAvps};
use l2tp_control::{Connected, Event, Incoming, Outgoing, PeerInfo, Request};
use l2tp_data::id::TunnelId;

/// Agent-Circuit-Id (RFC 5515).
const CIRCUIT: Attribute = Attribute { vendor: 3561, number: 1 };
/// Connect Speed Update Enable (RFC 5515): it is the IETF's, and there is nothing in it.
const SPEED_UPDATES: Attribute = Attribute::ietf(98);

fn others(circuit: &str) -> OtherAvps {
    let mut others = OtherAvps::default();
    others.push(CIRCUIT, circuit.as_bytes()).unwrap();
    others.push(SPEED_UPDATES, b"").unwrap();
    others
}

/// What each end is told of the other.
fn tunnel(pair: &mut Pair, policies: [&Policy; 2]) -> ([TunnelId; 2], [Box<PeerInfo>; 2]) {
    pair.ends[1].config_mut().peers = config(policies[1]).peers;
    let lac = pair.connect(policies[0]);
    let up = |events: Vec<Event>| match events.into_iter().next() {
        Some(Event::TunnelUp { tunnel, peer }) => (tunnel, peer),
        event => panic!("{event:?}"),
    };
    let (ours, theirs) = (up(pair.told(0)), up(pair.told(1)));
    assert_eq!(ours.0, lac);
    ([lac, theirs.0], [ours.1, theirs.1])
}

/// A call that one end places, told to the other; then what both are told of its line.
fn call(pair: &mut Pair, ids: [TunnelId; 2], by: usize, request: Request, line: &Connected) -> [Event; 3] {
    let placed = pair.ends[by].place_call(pair.now, ids[by], request, None).unwrap();
    pair.settle();
    let offered = pair.told(1 - by).remove(0);
    let Event::CallOffered { session, .. } = offered else { panic!("{offered:?}") };
    pair.ends[1 - by].accept(pair.now, ids[1 - by], session).unwrap();
    pair.settle();
    let lac = if by == 0 { placed } else { session };
    pair.ends[0].connected(ids[0], lac, line.clone()).unwrap();
    pair.settle();
    let [lac, lns] = [0, 1].map(|side| pair.told(side).pop().unwrap());
    [offered, lac, lns]
}

fn line(circuit: &str) -> Connected {
    Connected { other_avps: others(circuit), ..Connected::default() }
}

#[test]
fn those_of_a_tunnel_are_told_at_both_ends() {
    let policy = |circuit| Policy { other_avps: others(circuit), ..Policy::default() };
    let (mut pair, none) = (Pair::new(&Policy::default()), Policy::default());
    let (_, told) = tunnel(&mut pair, [&policy("lac"), &policy("lns")]);
    assert_eq!(told.map(|peer| peer.other_avps), [others("lns"), others("lac")]);
    let (_, told) = tunnel(&mut pair, [&none, &none]);
    assert!(told.iter().all(|peer| peer.other_avps.is_empty()));
}

#[test]
fn those_of_a_call_are_told_at_the_other_end_hidden_or_not() {
    let hidden = Policy { secret: Some(Secret::new(b"s")), challenge: true, hide: true, ..Policy::default() };
    for policy in [Policy::default(), hidden] {
        let mut pair = Pair::new(&policy);
        let (ids, _) = tunnel(&mut pair, [&policy, &policy]);
        let incoming = Request::Incoming(Incoming { other_avps: others("icrq"), ..Incoming::default() });
        let Request::Outgoing(to) = outgoing() else { panic!() };
        let outgoing = Request::Outgoing(Outgoing { other_avps: others("ocrq"), ..to });
        for (by, request, asked, connected) in [(0, incoming, "icrq", "iccn"), (1, outgoing, "ocrq", "occn")]
        {
            let [offered, lac, lns] = call(&mut pair, ids, by, request, &line(connected));
            let Event::CallOffered { request, .. } = offered else { panic!("{offered:?}") };
            let told = match *request {
                Request::Incoming(call) => call.other_avps,
                Request::Outgoing(call) => call.other_avps,
            };
            assert_eq!(told, others(asked));
            for event in [lac, lns] {
                let Event::CallUp { connected: told, .. } = event else { panic!("{event:?}") };
                assert_eq!(told.other_avps, others(connected));
            }
        }
    }
}

#[test]
fn they_are_sent_with_the_m_bit_only_if_the_caller_says_so() {
    let mut call = Call::placed(Request::Incoming(Incoming::default()));
    call.tell(Icrp::new(session_id(THEIRS)));
    let mut line = line("optional");
    let mandatory = Attribute { vendor: 9, number: 7 };
    line.other_avps.push_mandatory(mandatory, b"mandatory").unwrap();
    call.bed.end.connected(call.tunnel, call.session, line).unwrap();
    let sent = call.said();
    assert_eq!(sent[0].kind(), Some(MessageType::ICCN));
    let avps = l2tp_control::wire::Avps::new(&sent[0].bytes[Header::LEN..]).map(Result::unwrap);
    let sent: Vec<_> = avps
        .filter(|avp| avp.attribute().rule().is_none())
        .map(|avp| (avp.attribute(), avp.is_mandatory(), avp.is_hidden(), avp.value))
        .collect();
    let expected: [(_, _, _, &[u8]); 3] = [
        (CIRCUIT, false, false, b"optional"),
        (SPEED_UPDATES, false, false, b""),
        (mandatory, true, false, b"mandatory"),
    ];
    assert_eq!(sent, expected);
}

#[test]
fn more_than_is_kept_is_left_out() {
    let mut call = Call::idle();
    let request: Message<'_> = icrq(THEIRS).into();
    let mut bytes = vec![0; Message::MAX];
    let mut length = request.encode(call.peer.theirs, 0, None, &mut bytes).unwrap();
    let mut much = OtherAvps::default();
    much.push(CIRCUIT, &[7; 1000]).unwrap();
    much.push(SPEED_UPDATES, &[8; 1000]).unwrap();
    for _ in 0..5 {
        length = much.append(length, &mut bytes).unwrap();
    }
    bytes.truncate(length);
    l2tp_control::wire::set_numbers(&mut bytes, call.peer.ns, call.peer.nr);
    call.bed.give(call.peer.path, bytes);
    let Some(Event::CallOffered { request, .. }) = call.bed.events.pop_front() else { panic!() };
    let Request::Incoming(told) = *request else { panic!() };
    assert_eq!(told.other_avps, much, "the first ones");
    assert_eq!(call.bed.count("ignored_avps"), 10);
}

#[test]
fn their_values_are_not_printed() {
    let line = line("hunter2");
    assert!(!format!("{line:?}").contains("hunter2") && !format!("{line:?}").contains("104"), "{line:?}");
    assert!(format!("{line:?}").contains("attribute 1 of vendor 3561"), "{line:?}");
}
