//! What is said of calls: carried whole from one end to the other, both ways.

mod common;

use std::time::Duration;

use common::call::*;
use common::*;
use l2tp_control::call::State;
use l2tp_control::config::{Config, PeerRule, Policy};
use l2tp_control::error::Misuse;
use l2tp_control::wire::{
    Accm, Attribute, AuthenType, Bearer, Bps, CallErrors, CauseCode, CdnResult, Direction, ErrorCode,
    Framing, MessageType, Occn, OtherAvps, Sli, StopResult, Wen,
};
use l2tp_control::{By, Cause, Connected, Event, Incoming, Outgoing, PppCause, Proxy, Q931, Reason, Request};
use l2tp_data::id::{SessionId, TunnelId};

/// Two ends with a tunnel.
fn pair() -> (Pair, [TunnelId; 2]) {
    let mut pair = Pair::new(&Policy::default());
    let ids = pair.tunnel(&Policy::default());
    (pair, ids)
}

/// One end places a call, the other is offered it.
fn offered(pair: &mut Pair, ids: [TunnelId; 2], by: usize, request: &Request) -> (Request, [SessionId; 2]) {
    let placed = pair.ends[by].place_call(pair.now, ids[by], request.clone(), None).unwrap();
    pair.settle();
    let [Event::CallOffered { session, request, .. }] = &pair.told(1 - by)[..] else { panic!() };
    let mut sessions = [placed, *session];
    sessions.rotate_left(by);
    (*request.clone(), sessions)
}

/// What both ends are told of the line.
fn connect(
    pair: &mut Pair,
    ids: [TunnelId; 2],
    sessions: [SessionId; 2],
    line: &Connected,
) -> [Connected; 2] {
    pair.ends[1].accept(pair.now, ids[1], sessions[1]).unwrap();
    pair.settle();
    pair.ends[0].connected(ids[0], sessions[0], line.clone()).unwrap();
    pair.settle();
    [0, 1].map(|side| {
        pair.told(side)
            .into_iter()
            .find_map(|event| match event {
                Event::CallUp { tunnel, session, peer_session, connected } => {
                    assert_eq!(
                        (tunnel, session, peer_session),
                        (ids[side], sessions[side], sessions[1 - side])
                    );
                    Some(*connected)
                }
                _ => None,
            })
            .expect("the call is up")
    })
}

#[test]
fn an_incoming_call_is_described_by_the_lac() {
    let (mut pair, ids) = pair();
    let incoming = Incoming {
        serial: Some(0xdead_beef),
        bearer: Some(Bearer::ANALOG),
        channel: Some(17),
        calling: Some(b"0815".into()),
        called: Some(b"4711".into()),
        sub_address: Some(b"\xff\x00".into()),
        other_avps: OtherAvps::default(),
    };
    let request = Request::Incoming(incoming);
    assert_eq!(offered(&mut pair, ids, 0, &request).0, request);
}

#[test]
fn an_outgoing_call_is_described_by_the_lns() {
    let (mut pair, ids) = pair();
    let request = Request::Outgoing(Outgoing {
        serial: Some(7),
        minimum_bps: 9600,
        maximum_bps: 128_000,
        bearer: Bearer::DIGITAL | Bearer::ANALOG,
        framing: Framing::ASYNC,
        called: b"*31#4711".into(),
        sub_address: Some(b"1".into()),
        other_avps: OtherAvps::default(),
    });
    let (told, sessions) = offered(&mut pair, ids, 1, &request);
    assert_eq!(told, request);
    // The LAC dials.
    pair.ends[0].accept(pair.now, ids[0], sessions[0]).unwrap();
    pair.settle();
    assert_eq!(names(&pair.told(1)), ["call accepted"]);
    assert_eq!(pair.ends[1].session_state(ids[1], sessions[1]), Some(State::WaitConnect));
    let line = Connected { tx_bps: 33_600, framing: Framing::ASYNC, ..Connected::default() };
    pair.ends[0].connected(ids[0], sessions[0], line.clone()).unwrap();
    pair.settle();
    let [Event::CallUp { connected, .. }] = &pair.told(1)[..] else { panic!() };
    assert_eq!(**connected, line);
}

#[test]
fn calls_are_numbered_in_their_tunnel() {
    let (mut pair, ids) = pair();
    for serial in 1..=3 {
        let (told, _) = offered(&mut pair, ids, 0, &Request::Incoming(Incoming::default()));
        assert!(matches!(told, Request::Incoming(call) if call.serial == Some(serial)));
    }
    let (told, _) = offered(&mut pair, ids, 1, &outgoing());
    assert!(matches!(told, Request::Outgoing(call) if call.serial == Some(1)), "each end numbers its own");
}

#[test]
fn the_line_is_described_by_the_lac_with_what_it_has_negotiated() {
    let (mut pair, ids) = pair();
    let (_, sessions) = offered(&mut pair, ids, 0, &Request::Incoming(Incoming::default()));
    let line = Connected {
        tx_bps: 52_000,
        rx_bps: Some(33_600),
        framing: Framing::ASYNC,
        sequencing_required: true,
        private_group: Some(b"vpn-7".into()),
        proxy: Some(Box::new(Proxy {
            initial_received_lcp: Some(vec![1, 4, 5, 0xdc]),
            last_sent_lcp: Some(vec![3, 4, 0xc0, 0x23]),
            last_received_lcp: Some(vec![1, 4, 5, 0xd4]),
            authen_type: Some(AuthenType::CHAP),
            authen_name: Some(b"alice@example".into()),
            authen_challenge: Some(vec![9; 16]),
            authen_id: Some(42),
            authen_response: Some(vec![7; 16].into()),
        })),
        other_avps: OtherAvps::default(),
    };
    assert_eq!(connect(&mut pair, ids, sessions, &line), [line.clone(), line]);
}

#[test]
fn a_line_without_more_has_no_more() {
    let (mut pair, ids) = pair();
    let (_, sessions) = offered(&mut pair, ids, 0, &Request::Incoming(Incoming::default()));
    let line = Connected::default();
    assert_eq!(connect(&mut pair, ids, sessions, &line), [line.clone(), line]);
    let iccn = pair.sent[0].iter().find(|sent| sent.kind() == Some(MessageType::ICCN)).unwrap();
    for absent in [Attribute::SEQUENCING_REQUIRED, Attribute::PRIVATE_GROUP_ID, Attribute::PROXY_AUTHEN_TYPE]
    {
        assert_eq!(iccn.avp(absent), None);
    }
}

#[test]
fn a_password_is_not_printed() {
    let proxy = Proxy { authen_response: Some(b"hunter2".to_vec().into()), ..Proxy::default() };
    let line = Connected { proxy: Some(Box::new(proxy)), ..Connected::default() };
    assert!(!format!("{line:?}").contains("hunter2") && !format!("{line:?}").contains("104"));
}

#[test]
fn speeds_are_never_0_and_the_second_is_sent_only_if_it_differs() {
    let rows = [
        (0, None, 1, None),
        (0, Some(0), 1, None),
        (64_000, Some(64_000), 64_000, None),
        (64_000, Some(0), 64_000, Some(1)),
        (64_000, Some(33_600), 64_000, Some(33_600)),
    ];
    for (tx_bps, rx_bps, tx, rx) in rows {
        let line = Connected { tx_bps, rx_bps, ..Connected::default() };
        for request in [None, Some(ocrq(THEIRS))] {
            let mut call = match request {
                Some(request) => Call::offered(request),
                None => Call::placed(Request::Incoming(Incoming::default())),
            };
            match request {
                Some(_) => drop(call.accept()),
                None => drop(call.tell(l2tp_control::wire::Icrp::new(session_id(THEIRS)))),
            }
            call.bed.end.connected(call.tunnel, call.session, line.clone()).unwrap();
            let sent = call.said();
            let speed =
                |attribute| sent[0].avp(attribute).map(|value| u32::from_be_bytes(value.try_into().unwrap()));
            assert_eq!(speed(Attribute::TX_CONNECT_SPEED), Some(tx));
            assert_eq!(speed(Attribute::RX_CONNECT_SPEED), rx);
        }
    }
}

#[test]
fn the_line_can_be_described_ahead_of_its_turn() {
    let line = Connected { tx_bps: 4711, ..Connected::default() };
    let later = Connected { tx_bps: 4712, ..Connected::default() };
    // With the call; while it waits for the tunnel; while it waits for the answer; the last one counts.
    for ahead in 0..4 {
        let (mut bed, mut peer) = (Bed::new(&Policy::default()), Peer::new(LNS, 77));
        let tunnel = bed.dialling(&mut peer, &Policy::default());
        let first = (ahead == 0 || ahead == 3).then(|| if ahead == 3 { later.clone() } else { line.clone() });
        let request = Request::Incoming(Incoming::default());
        let session = bed.end.place_call(bed.now, tunnel, request, first).unwrap();
        if ahead == 1 {
            bed.end.connected(tunnel, session, line.clone()).unwrap();
        }
        bed.send(&mut peer, 0, sccrp(77));
        bed.ack(&mut peer);
        if ahead >= 2 {
            bed.end.connected(tunnel, session, line.clone()).unwrap();
        }
        bed.told();
        bed.send(&mut peer, session.get(), l2tp_control::wire::Icrp::new(session_id(THEIRS)));
        let told = bed.told();
        assert_eq!(names(&told), ["call accepted", "call up"], "{ahead}");
        assert!(matches!(&told[1], Event::CallUp { connected, .. } if **connected == line), "{ahead}");
    }
}

#[test]
fn a_call_is_up_when_its_iccn_has_been_sent_and_not_while_that_waits_for_the_window() {
    let (mut bed, mut peer) = (Bed::new(&Policy::default()), Peer::new(LNS, 77));
    let tunnel = bed.opened_to(&mut peer, &Policy::default());
    let calls = 1..=8;
    let mut sessions = Vec::new();
    for _ in calls.clone() {
        let request = Request::Incoming(Incoming::default());
        sessions.push(bed.end.place_call(bed.now, tunnel, request, Some(Connected::default())).unwrap());
    }
    bed.drain();
    while !bed.take(&mut peer).is_empty() {
        bed.ack(&mut peer);
    }
    // All calls are accepted, and no ICCN is acked.
    for (theirs, session) in calls.zip(&sessions) {
        let icrp = peer.datagram(session.get(), l2tp_control::wire::Icrp::new(session_id(theirs)));
        bed.give(peer.path, icrp);
    }
    let (mut up, mut gone, mut rounds) = (0, 0, 0);
    while up < sessions.len() {
        let sent = bed.take(&mut peer);
        gone += sent.iter().filter(|sent| sent.kind() == Some(MessageType::ICCN)).count();
        up += names(&bed.told()).iter().filter(|name| **name == "call up").count();
        assert_eq!(up, gone);
        let ack = peer.datagram(0, l2tp_control::wire::Message::Zlb);
        bed.give(peer.path, ack);
        rounds += 1;
    }
    assert!(rounds > 1, "the window held nothing back");
}

#[test]
fn a_call_that_ends_while_its_iccn_waits_was_never_up() {
    let (mut bed, mut peer) = (Bed::new(&Policy::default()), Peer::new(LNS, 77));
    let tunnel = bed.opened_to(&mut peer, &Policy::default());
    let place = |bed: &mut Bed| {
        let request = Request::Incoming(Incoming::default());
        bed.end.place_call(bed.now, tunnel, request, Some(Connected::default())).unwrap()
    };
    // Messages that are not acked fill the window.
    let session = place(&mut bed);
    bed.drain();
    bed.take(&mut peer);
    bed.ack(&mut peer);
    for _ in 0..9 {
        place(&mut bed);
    }
    let icrp = peer.datagram(session.get(), l2tp_control::wire::Icrp::new(session_id(THEIRS)));
    bed.give(peer.path, icrp);
    assert_eq!(names(&bed.told()), ["call accepted"]);
    bed.end.hang_up(bed.now, tunnel, session, Cause::new(CdnResult::ADMINISTRATIVE)).unwrap();
    for _ in 0..9 {
        bed.drain();
        bed.take(&mut peer);
        bed.ack(&mut peer);
    }
    assert_eq!(names(&bed.told()), ["call down"]);
}

#[test]
fn commands_out_of_turn_are_refused() {
    let line = Connected::default;
    let mut call = Call::offered(icrq(THEIRS));
    let (now, tunnel, session) = (call.bed.now, call.tunnel, call.session);
    let end = &mut call.bed.end;
    assert_eq!(end.connected(tunnel, session, line()), Err(Misuse::WrongState("idle")));
    assert_eq!(
        end.send_link_info(tunnel, session, Accm { send: 0, receive: 0 }),
        Err(Misuse::WrongState("idle"))
    );
    end.accept(now, tunnel, session).unwrap();
    assert_eq!(end.accept(now, tunnel, session), Err(Misuse::WrongState("wait-connect")));
    assert_eq!(
        end.connected(tunnel, session, line()),
        Err(Misuse::WrongState("wait-connect")),
        "we are the LNS"
    );
    let other = session_id(session.get() ^ 1);
    assert_eq!(end.accept(now, tunnel, other), Err(Misuse::NoSession));
    assert_eq!(end.hang_up(now, tunnel, other, Cause::new(CdnResult::BUSY)), Err(Misuse::NoSession));
    assert_eq!(end.place_call(now, tunnel, outgoing(), Some(line())), Err(Misuse::NotLac));
    let long = Connected { private_group: Some(vec![0; 1001]), ..line() };
    assert_eq!(
        end.place_call(now, tunnel, Request::Incoming(Incoming::default()), Some(long)),
        Err(Misuse::StringTooLong)
    );
    assert_eq!(end.sessions(), 1, "nothing was placed");
    for misuse in
        [Misuse::NotLac, Misuse::NoSecret, Misuse::NoIds, Misuse::NoSession, Misuse::WrongState("x")]
    {
        assert!(!misuse.to_string().is_empty());
    }
}

#[test]
fn sli_and_wen_reach_the_other_end() {
    let (mut pair, ids) = pair();
    let sessions = pair.call(ids);
    let accm = Accm { send: 0xffff_0000, receive: 0x0000_ffff };
    let errors = CallErrors { crc: 1, framing: 2, timeouts: 3, ..CallErrors::default() };
    pair.ends[1].send_link_info(ids[1], sessions[1], accm).unwrap();
    pair.ends[0].send_line_errors(ids[0], sessions[0], errors).unwrap();
    pair.settle();
    assert_eq!(pair.told(0), [Event::LinkInfo { tunnel: ids[0], session: sessions[0], accm }]);
    assert_eq!(pair.told(1), [Event::LineErrors { tunnel: ids[1], session: sessions[1], errors }]);
    let wrong = Err(Misuse::WrongState("established"));
    assert_eq!(pair.ends[0].send_link_info(ids[0], sessions[0], accm), wrong, "that is the LNS's");
    assert_eq!(pair.ends[1].send_line_errors(ids[1], sessions[1], errors), wrong, "that is the LAC's");
}

#[test]
fn an_sli_or_wen_from_the_wrong_side_ends_nothing() {
    let mut call = Call::offered(icrq(THEIRS));
    for _ in 0..2 {
        assert_eq!(kinds(&call.tell(Sli::new(Accm { send: 0, receive: 0 }))), []);
        call.bed.end.accept(call.bed.now, call.tunnel, call.session).ok();
        call.said();
    }
    assert_eq!((call.bed.told(), call.bed.count("ignored_message")), (vec![], 2));
    assert_eq!(kinds(&call.tell(Wen::new(CallErrors::default()))), [], "ahead of the ICCN");
    assert_eq!(names(&call.bed.told()), ["line errors"]);
    assert_eq!(call.state(), Some(State::WaitConnect));
}

#[test]
fn why_a_call_has_ended_is_told_whole() {
    let (mut pair, ids) = pair();
    let cause = Cause {
        result: CdnResult::GENERAL_ERROR,
        error: Some(ErrorCode::VENDOR),
        message: "grüezi".into(),
        ppp: Some(PppCause {
            code: CauseCode::AUTH_FAILED,
            protocol: 0xc223,
            direction: Direction::PEER,
            message: "no such user".into(),
        }),
        q931: Some(Q931 { code: 16, message: 0x45 }),
    };
    let sessions = pair.call(ids);
    pair.ends[1].hang_up(pair.now, ids[1], sessions[1], cause.clone()).unwrap();
    pair.settle();
    for (side, by) in [(0, By::Peer), (1, By::Us)] {
        let [Event::CallDown { tunnel, session, reason }] = &pair.told(side)[..] else { panic!() };
        assert_eq!((*tunnel, *session), (ids[side], sessions[side]));
        assert_eq!(**reason, Reason { by, cause: cause.clone() });
    }
    assert_eq!(
        Reason { by: By::Peer, cause }.to_string(),
        "closed by the peer (CDN 2: call disconnected for the reason indicated in the error code; error 6: a \
         generic vendor-specific error occurred; grüezi; PPP disconnect cause 16: authentication: bad name, \
         password or secret, direction 1: at the peer, no such user; Q.931 cause 16)"
    );
}

#[test]
fn reasons_are_told_in_words() {
    let state = By::State { message: MessageType::OCCN, state: "idle" };
    let all = [
        By::Us,
        By::Peer,
        state,
        By::Authentication,
        By::Silence,
        By::SetupTime,
        By::Tie,
        By::Restart,
        By::Empty,
    ];
    let mut words: Vec<_> =
        all.map(|by| Reason { by, cause: Cause::new(StopResult::CLEAR) }.to_string()).into_iter().collect();
    assert!(
        words
            .iter()
            .all(|words| words.ends_with("(StopCCN 1: general request to clear the control connection)"))
    );
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), all.len());
}

#[test]
fn a_call_that_is_not_set_up_in_time_ends() {
    let setup = Policy::default().setup;
    let second = Duration::from_secs(1);
    // Our caller does not answer; the LAC does not connect; the LNS does not answer.
    let accepted = || {
        let mut call = Call::offered(icrq(THEIRS));
        call.bed.pass(setup / 2);
        call.accept();
        call
    };
    let placed = || Call::placed(Request::Incoming(Incoming::default()));
    for (mut call, to) in [(Call::offered(icrq(THEIRS)), THEIRS), (accepted(), THEIRS), (placed(), 0)] {
        call.bed.pass(setup - second);
        assert_eq!(call.bed.told(), []);
        call.bed.take(&mut call.peer);
        call.bed.ack(&mut call.peer);
        call.bed.pass(second);
        let sent = call.said();
        let sent: Vec<_> = sent.into_iter().filter(|sent| sent.kind() != Some(MessageType::HELLO)).collect();
        assert_eq!(call.why(), (By::SetupTime, CdnResult::TIMEOUT));
        call.assert_disconnected(&sent, to, (10, 0));
    }
    // An established one has all the time.
    let mut call = accepted();
    call.tell(iccn());
    call.bed.told();
    call.bed.pass(setup);
    assert_eq!(call.bed.told(), []);
}

#[test]
fn a_call_that_waits_for_its_tunnel_too_long_ends_without_a_word() {
    let (mut bed, mut peer) = (Bed::new(&Policy::default()), Peer::new(LNS, 77));
    let policy = Policy { setup: Duration::from_secs(10), ..Policy::default() };
    let tunnel = bed.dialling(&mut peer, &policy);
    bed.end.place_call(bed.now, tunnel, outgoing(), None).unwrap();
    bed.pass(Duration::from_secs(10));
    let told = bed.told();
    assert!(names(&told).contains(&"tunnel down"), "{told:?}");
    assert_eq!(bed.end.sessions(), 0);
    assert!(!kinds(&bed.take(&mut peer)).contains(&MessageType::CDN));
}

#[test]
fn data_may_flow_before_the_iccn_is_acknowledged() {
    let mut call = Call::placed(Request::Incoming(Incoming::default()));
    call.tell(l2tp_control::wire::Icrp::new(session_id(THEIRS)));
    call.bed.told();
    call.bed.end.connected(call.tunnel, call.session, Connected::default()).unwrap();
    call.bed.drain();
    assert_eq!(names(&call.bed.told()), ["call up"], "though the ICCN has not even arrived");
    let ids = call.bed.end.peer_ids(call.tunnel, call.session);
    assert_eq!(ids, Some((tunnel_id(77), session_id(THEIRS))));
}

#[test]
fn what_we_say_of_ourselves_is_configured() {
    let policy = Policy { bearer_capabilities: false, receive_window: 8, ..Policy::default() };
    let config = |policy: &Policy| Config {
        host_name: "lns.example".into(),
        vendor_name: "".into(),
        firmware_revision: 0x0102,
        framing: Framing::SYNC,
        bearer: Bearer::DIGITAL,
        peers: vec![PeerRule::anyone(policy.clone())],
        ..Config::default()
    };
    for (policy, bearer) in [(&policy, None), (&Policy::default(), Some(&[0, 0, 0, 1][..]))] {
        let mut bed = Bed::with(config(policy));
        let mut lns = Peer::new(LNS, 77);
        bed.end.connect(bed.now, connect_to(LNS, policy)).unwrap();
        bed.drain();
        let mut sent = bed.take(&mut lns);
        sent.extend(bed.send(&mut Peer::new(LAC, 78), 0, sccrq(78)));
        assert_eq!(kinds(&sent), [MessageType::SCCRQ, MessageType::SCCRP]);
        for sent in &sent {
            assert_eq!(sent.avp(Attribute::HOST_NAME), Some(&b"lns.example"[..]));
            assert_eq!(sent.avp(Attribute::VENDOR_NAME), None);
            assert_eq!(sent.number(Attribute::FIRMWARE_REVISION), 0x0102);
            assert_eq!(sent.avp(Attribute::FRAMING_CAPABILITIES), Some(&[0, 0, 0, 1][..]));
            assert_eq!(sent.avp(Attribute::BEARER_CAPABILITIES), bearer);
            assert_eq!(sent.number(Attribute::RECEIVE_WINDOW_SIZE), policy.receive_window);
        }
    }
    let names = Config { host_name: "".into(), vendor_name: "v".repeat(2000).into(), ..config(&policy) };
    let mut bed = Bed::with(names);
    bed.end.connect(bed.now, connect_to(LNS, &policy)).unwrap();
    bed.drain();
    assert_eq!(bed.sent[0].avp(Attribute::HOST_NAME), Some(&b"ol2tp"[..]), "there has to be one");
    assert_eq!(bed.sent[0].avp(Attribute::VENDOR_NAME).unwrap().len(), 1000);
}

#[test]
fn an_occn_says_what_an_iccn_says_of_the_line() {
    let mut call = Call::placed(outgoing());
    call.tell(ocrp(THEIRS));
    call.bed.told();
    let line = Occn {
        rx_connect_speed: Some(Bps(2)),
        sequencing_required: true,
        ..Occn::new(Bps(1), Framing::ASYNC)
    };
    call.tell(line);
    let [Event::CallUp { connected, .. }] = &call.bed.told()[..] else { panic!() };
    let expected = Connected {
        tx_bps: 1,
        rx_bps: Some(2),
        framing: Framing::ASYNC,
        sequencing_required: true,
        ..Connected::default()
    };
    assert_eq!(**connected, expected);
}
