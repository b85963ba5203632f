//! What real peers do, by name, against a whole endpoint. What is about single AVPs is in
//! `tests/wire/quirks.rs`.

mod common;

use std::time::Duration;

use common::call::*;
use common::*;
use l2tp_control::auth::{self, Secret};
use l2tp_control::call::State;
use l2tp_control::config::{Config, PeerRule, Policy};
use l2tp_control::wire::{
    Accm, Attribute, AuthenType, Bearer, Bps, CauseCode, Cdn, CdnResult, Direction, DisconnectCause, Framing,
    Hello, Iccn, Icrp, Leniencies, Message, MessageType, Octets, Private, ResultCode, Scccn, Sccrp, Sccrq,
    Sli, StopCcn, StopResult, decode, set_numbers,
};
use l2tp_control::{By, Cause, Connected, Event, Incoming, Path, Request, TunnelState};

const SECOND: Duration = Duration::from_secs(1);

/// A message with more bytes behind it, inside its length.
fn with(mut message: Vec<u8>, more: &[u8]) -> Vec<u8> {
    message.extend(more);
    let length = u16::try_from(message.len()).unwrap();
    message[2..4].copy_from_slice(&length.to_be_bytes());
    message
}

fn windows(id: u16) -> Sccrq<'static> {
    Sccrq {
        host_name: "DESKTOP-1".into(),
        vendor_name: Some("Microsoft".into()),
        firmware_revision: Some(0x0a00),
        framing_capabilities: Framing::SYNC,
        bearer_capabilities: Some(Bearer::NONE),
        receive_window_size: Some(8),
        ..sccrq(id)
    }
}

/// As LNS, in established.
fn answered() -> Call {
    let mut call = Call::offered(icrq(THEIRS));
    call.accept();
    call.tell(iccn());
    call.bed.told();
    call
}

#[test]
fn windows_assigns_1_from_port_1701_and_knows_no_secret() {
    let challenge = Policy { secret: Some(Secret::new(b"s")), challenge: true, ..Policy::default() };
    let rules = vec![
        PeerRule { host_name: "lac-*".into(), network: None, policy: challenge.into() },
        PeerRule::anyone(Policy::default()),
    ];
    let mut bed = Bed::with(Config { peers: rules, ..Config::default() });
    let mut ids: Vec<_> = (1..=50)
        .map(|n| {
            let mut peer = Peer::new(&format!("203.0.113.{n}:1701"), 1);
            let sent = bed.send(&mut peer, 0, windows(1));
            assert_eq!((kinds(&sent), sent[0].avp(Attribute::CHALLENGE)), (vec![MessageType::SCCRP], None));
            bed.send(&mut peer, 0, Scccn { challenge_response: None });
            peer.theirs
        })
        .collect();
    assert_eq!(names(&bed.told()), ["tunnel up"; 50]);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 50);
    assert!(ids.windows(2).any(|pair| pair[1] - pair[0] > 100), "ours are not in sequence");
}

#[test]
fn windows_sends_its_sccrq_again_and_gets_one_tunnel() {
    let (mut bed, mut peer) = (Bed::new(&Policy::default()), Peer::new(LAC, 1));
    let request = peer.datagram(0, windows(1));
    for _ in 0..4 {
        bed.give(peer.path, request.clone());
        bed.pass(SECOND);
    }
    bed.take(&mut peer);
    bed.send(&mut peer, 0, Scccn { challenge_response: None });
    assert_eq!((names(&bed.told()), bed.end.tunnels()), (vec!["tunnel up"], 1));
}

#[test]
fn windows_xp_as_lns_keeps_an_empty_tunnel_so_the_client_closes_it() {
    let policy = Policy { empty: Some(Duration::ZERO), ..Policy::default() };
    let (mut bed, mut peer) = (Bed::new(&Policy::default()), Peer::new(LNS, 77));
    let tunnel = bed.dialling(&mut peer, &policy);
    let request = Request::Incoming(Incoming::default());
    let session = bed.end.place_call(bed.now, tunnel, request, Some(Connected::default())).unwrap();
    bed.send(&mut peer, 0, sccrp(77));
    bed.send(&mut peer, session.get(), Icrp::new(session_id(THEIRS)));
    bed.ack(&mut peer);
    bed.told();
    bed.end.hang_up(bed.now, tunnel, session, Cause::new(CdnResult::ADMINISTRATIVE)).unwrap();
    bed.pass(SECOND / 100);
    let mut sent = bed.take(&mut peer);
    sent.extend(bed.ack(&mut peer));
    assert_eq!(kinds(&sent), [MessageType::CDN, MessageType::STOPCCN]);
    assert_eq!(names(&bed.told()), ["call down", "tunnel down"]);
}

#[test]
fn windows_98_and_nt_put_the_receivers_id_into_cdn_and_stopccn() {
    let mut call = answered();
    let result = ResultCode::from(CdnResult::CARRIER_LOST);
    let sent = call.tell(Cdn::new(result, Some(call.session)));
    assert_eq!(call.why(), (By::Peer, CdnResult::CARRIER_LOST));
    call.assert_cleaned_up(&sent);
    let stop = StopCcn::new(Some(call.tunnel), StopResult::CLEAR.into());
    assert_eq!(kinds(&call.send(0, stop)), []);
    assert_eq!(names(&call.bed.told()), ["tunnel down"]);
    assert_eq!(call.bed.end.tunnel_state(call.tunnel), Some(TunnelState::Closing));
}

#[test]
fn apple_sends_result_codes_in_little_endian() {
    let mut call = answered();
    let mut message = call.peer.datagram(call.session.get(), cdn());
    message[26..28].copy_from_slice(&[3, 0]);
    message[28..30].copy_from_slice(&[0, 0]);
    call.bed.give(call.peer.path, message);
    assert_eq!(call.why(), (By::Peer, CdnResult::ADMINISTRATIVE));
    assert_eq!(call.bed.count("swapped_result"), 1);
}

#[test]
fn apple_and_android_answer_no_hello_while_they_sleep() {
    let (mut bed, mut peer) = (Bed::new(&Policy::default()), Peer::new(LAC, 77));
    let tunnel = bed.opened_by(&mut peer);
    for _ in 0..30 {
        bed.pass(70 * SECOND);
        bed.end.data_received(bed.now, tunnel);
    }
    assert_eq!(bed.end.tunnel_state(tunnel), Some(TunnelState::Established));
    assert!(kinds(&bed.take(&mut peer)).contains(&MessageType::HELLO));
    // Asleep without any data: only without HELLO, or with a longer budget.
    let patient = Policy { hello: None, ..Policy::default() };
    let (mut bed, mut peer) = (Bed::new(&patient), Peer::new(LAC, 77));
    let tunnel = bed.opened_by(&mut peer);
    bed.pass(86_400 * SECOND);
    assert_eq!(bed.end.tunnel_state(tunnel), Some(TunnelState::Established));
}

#[test]
fn android_mtpd_is_anonymous_and_has_a_window_of_1() {
    let (mut bed, mut peer) = (Bed::new(&Policy::default()), Peer::new(LAC, 77));
    let request = Sccrq {
        host_name: "anonymous".into(),
        receive_window_size: Some(1),
        bearer_capabilities: None,
        ..sccrq(77)
    };
    bed.send(&mut peer, 0, request);
    bed.send(&mut peer, 0, Scccn { challenge_response: None });
    let tunnel = tunnel_id(peer.theirs);
    let [Event::TunnelUp { peer: info, .. }] = &bed.told()[..] else { panic!() };
    assert_eq!((&*info.host_name, info.window, info.bearer), (&b"anonymous"[..], 1, None));
    for _ in 0..20 {
        bed.end.place_call(bed.now, tunnel, Request::Incoming(Incoming::default()), None).unwrap();
    }
    bed.drain();
    for n in 0..20 {
        assert_eq!(kinds(&bed.take(&mut peer)).len(), 1, "{n}: one at a time");
        let ack = peer.datagram(0, Message::Zlb);
        bed.give(peer.path, ack);
    }
    assert_eq!(bed.take(&mut peer), []);
}

#[test]
fn android_drops_what_is_not_byte_exact() {
    let mut pair = Pair::new(&Policy::default());
    let ids = pair.tunnel(&Policy::default());
    let sessions = pair.call(ids);
    pair.ends[1].hang_up(pair.now, ids[1], sessions[1], Cause::new(CdnResult::ADMINISTRATIVE)).unwrap();
    pair.settle();
    pair.ends[1].close(pair.now, ids[1], Cause::new(StopResult::CLEAR)).unwrap();
    pair.pass(CYCLE);
    let all: Vec<_> = pair.sent.iter().flatten().cloned().collect();
    assert_eq!(kinds(&all).len(), 8, "one of each, and acks");
    for mut sent in all {
        let strict = decode(&mut sent.bytes, None, Leniencies::STRICT);
        assert!(strict.is_ok_and(|body| body.ignored == 0));
    }
}

#[test]
fn android_ends_calls_without_error_code() {
    let mut call = answered();
    let sent = call.tell(Cdn::new(CdnResult::ADMINISTRATIVE.into(), Some(session_id(THEIRS))));
    let Some(Event::CallDown { reason, .. }) = call.bed.events.back() else { panic!() };
    assert_eq!(reason.cause, Cause::new(CdnResult::ADMINISTRATIVE));
    call.assert_cleaned_up(&sent);
}

#[test]
fn cisco_gets_no_hidden_avp_in_an_sccrq_and_sends_six_bytes_behind_its_response() {
    let secret = Secret::new(b"cisco");
    let policy = Policy { secret: Some(secret.clone()), challenge: true, hide: true, ..Policy::default() };
    let (mut bed, mut peer) = (Bed::new(&policy), Peer::new(LNS, 77));
    bed.end.connect(bed.now, connect_to(LNS, &policy)).unwrap();
    bed.drain();
    let request = bed.take(&mut peer).remove(0);
    assert!(!(0..50).any(|number| request.is_hidden(Attribute::ietf(number))));
    let challenge = request.avp(Attribute::CHALLENGE).unwrap();
    let response = auth::response(MessageType::SCCRP, &secret, challenge);
    let reply = peer.datagram(0, Sccrp { challenge_response: Some(response), ..sccrp(77) });
    // The response is the last AVP; its length says 28.
    let at = reply.len() - 22;
    let mut reply = with(reply, &[0xde, 0xad, 0xbe, 0xef, 0, 0]);
    reply[at + 1] = 28;
    bed.give(peer.path, reply);
    assert_eq!(kinds(&bed.take(&mut peer)), [MessageType::SCCCN]);
    let [Event::TunnelUp { peer, .. }] = &bed.told()[..] else { panic!() };
    assert!(peer.authenticated);
}

#[test]
fn cisco_has_a_window_of_800_and_closes_an_empty_tunnel() {
    let (mut bed, mut peer) = (Bed::new(&Policy::default()), Peer::new(LAC, 77));
    bed.send(&mut peer, 0, Sccrq { receive_window_size: Some(800), ..sccrq(77) });
    bed.send(&mut peer, 0, Scccn { challenge_response: None });
    let session = bed.offered_by(&mut peer, THEIRS);
    assert_eq!(names(&bed.told()), ["tunnel up"]);
    let tunnel = tunnel_id(peer.theirs);
    bed.end.hang_up(bed.now, tunnel, session, Cause::new(CdnResult::NO_FACILITIES)).unwrap();
    bed.drain();
    bed.take(&mut peer);
    bed.send(&mut peer, 0, StopCcn::new(Some(tunnel_id(77)), StopResult::CLEAR.into()));
    assert_eq!(names(&bed.told()), ["call down", "tunnel down"]);
}

#[test]
fn cisco_may_leave_out_speed_and_framing() {
    let mut call = Call::offered(icrq(THEIRS));
    call.accept();
    let mut message = call.peer.datagram(call.session.get(), iccn());
    message.truncate(20);
    call.bed.give(call.peer.path, with(message, &[]));
    let [Event::CallUp { connected, .. }] = &call.bed.told()[..] else { panic!() };
    assert_eq!((connected.tx_bps, connected.framing), (0, Framing::NONE));
}

#[test]
fn cisco_asa_wants_answers_from_the_address_that_it_asked() {
    let mut bed = Bed::new(&Policy::default());
    for local in ["192.0.2.10", "192.0.2.11"] {
        let mut peer = Peer::new(&format!("{local}:1701"), 77);
        peer.path = Path { local: Some(local.parse().unwrap()), ..peer.path };
        let mut sent = bed.send(&mut peer, 0, sccrq(77));
        sent.extend(bed.send(&mut peer, 0, Scccn { challenge_response: None }));
        // Also when a later message comes to another of our addresses.
        peer.path.local = None;
        sent.extend(bed.send(&mut peer, 0, icrq(9)));
        bed.pass(SECOND);
        sent.extend(bed.take(&mut peer));
        assert!(sent.len() > 1);
        assert!(sent.iter().all(|sent| sent.path.local == Some(local.parse().unwrap())));
    }
}

#[test]
fn meraki_sends_sli_and_data_before_the_iccn_is_acknowledged() {
    let mut call = Call::placed(Request::Incoming(Incoming::default()));
    call.tell(Icrp::new(session_id(THEIRS)));
    let sli = Sli::new(Accm { send: 0, receive: 0 });
    assert_eq!(kinds(&call.tell(sli)), [], "ahead of our ICCN");
    call.connected();
    assert_eq!(kinds(&call.tell(sli)), []);
    assert_eq!(names(&call.bed.told()), ["call accepted", "link info", "call up", "link info"]);
    // As LNS: the ids that data needs are known before the ICCN.
    let mut call = Call::offered(icrq(THEIRS));
    call.accept();
    assert!(call.bed.end.peer_ids(call.tunnel, call.session).is_some());
    assert_eq!(call.state(), Some(State::WaitConnect));
}

#[test]
fn mikrotik_sends_eight_bytes_of_result_code_and_reorders() {
    let (mut bed, mut peer) = (Bed::new(&Policy::default()), Peer::new(LAC, 77));
    bed.send(&mut peer, 0, sccrq(77));
    let connected = peer.datagram(0, Scccn { challenge_response: None });
    let request = peer.datagram(0, icrq(9));
    bed.give(peer.path, request);
    bed.give(peer.path, connected);
    assert_eq!(names(&bed.told()), ["tunnel up", "call offered"]);
    let result = ResultCode { result: StopResult::SHUTTING_DOWN, error: None, message: Octets(&[0; 4]) };
    bed.send(&mut peer, 0, StopCcn::new(Some(tunnel_id(77)), result));
    let [Event::TunnelDown { reason, .. }] = &bed.told()[..] else { panic!() };
    assert_eq!((reason.by, reason.cause.result), (By::Peer, StopResult::SHUTTING_DOWN));
}

#[test]
fn juniper_sends_vendor_avps_proxy_lcp_and_the_disconnect_cause() {
    let mut call = Call::idle();
    let request = call.peer.datagram(0, icrq(THEIRS));
    call.bed.give(call.peer.path, with(request, b"\x00\x0d\x0d\xe9\x00\x01circuit"));
    let Some(Event::CallOffered { session, .. }) = call.bed.events.pop_front() else { panic!() };
    call.session = session;
    call.accept();
    call.tell(Iccn {
        last_sent_lcp: Some(Octets(&[1, 4, 5, 0xdc])),
        proxy_authen_type: Some(AuthenType::PAP),
        proxy_authen_name: Some("alice".into()),
        proxy_authen_response: Some(Private(b"secret")),
        ..iccn()
    });
    let [Event::CallUp { connected, .. }] = &call.bed.told()[..] else { panic!() };
    let proxy = connected.proxy.as_ref().unwrap();
    assert_eq!(
        (proxy.authen_type, proxy.authen_name.as_deref()),
        (Some(AuthenType::PAP), Some(&b"alice"[..]))
    );
    let cause = DisconnectCause {
        code: CauseCode::NORMAL,
        protocol: 0xc021,
        direction: Direction::PEER,
        message: "".into(),
    };
    call.tell(Cdn { disconnect_cause: Some(cause), ..cdn() });
    let [Event::CallDown { reason, .. }] = &call.bed.told()[..] else { panic!() };
    assert_eq!(reason.cause.ppp.as_ref().unwrap().code, CauseCode::NORMAL);
}

#[test]
fn xl2tpd_acknowledges_acks_and_gets_no_more() {
    let (mut bed, mut peer) = (Bed::new(&Policy::default()), Peer::new(LAC, 77));
    bed.opened_by(&mut peer);
    bed.pass(SECOND);
    bed.take(&mut peer);
    for ns in [0, 1, 2, 3, 9] {
        let mut zlb = peer.datagram(0, Message::Zlb);
        set_numbers(&mut zlb, ns, peer.nr);
        bed.give(peer.path, zlb);
        bed.pass(SECOND);
        assert_eq!(bed.take(&mut peer), [], "Ns {ns}");
    }
}

#[test]
fn xl2tpd_sends_an_incomplete_ocrq_and_is_told_what_is_missing() {
    let mut call = Call::idle();
    let mut request = call.peer.datagram(0, ocrq(THEIRS));
    request.truncate(20 + 8 + 10);
    call.bed.give(call.peer.path, with(request, &[]));
    let sent = call.said();
    assert_eq!((kinds(&sent), sent[0].result()), (vec![MessageType::CDN], (2, 3)));
    assert_eq!(sent[0].words(), "Minimum BPS (16) is missing");
}

#[test]
fn mpd5_sends_more_avps_in_scccn_than_belong_there() {
    let (mut bed, mut peer) = (Bed::new(&Policy::default()), Peer::new(LAC, 77));
    bed.send(&mut peer, 0, sccrq(77));
    let connected = peer.datagram(0, Scccn { challenge_response: None });
    bed.give(peer.path, with(connected, b"\x80\x08\0\0\0\x02\x01\0\x80\x09\0\0\0\x07mpd"));
    assert_eq!(names(&bed.told()), ["tunnel up"]);
}

#[test]
fn accel_ppp_answers_from_a_new_port() {
    let (mut bed, mut peer) = (Bed::new(&Policy::default()), Peer::new(LNS, 77));
    let tunnel = bed.dialling(&mut peer, &Policy::default());
    peer.path = path("192.0.2.2:40000");
    (peer.theirs, peer.nr) = (tunnel.get(), 1);
    assert_eq!(kinds(&bed.send(&mut peer, 0, sccrp(77))), [MessageType::SCCCN]);
    assert_eq!(names(&bed.told()), ["tunnel up"]);
}

#[test]
fn draytek_refuses_a_speed_of_0_and_d_link_an_rx_speed_that_is_the_same() {
    let mut call = Call::placed(Request::Incoming(Incoming::default()));
    call.tell(Icrp::new(session_id(THEIRS)));
    let line = Connected { tx_bps: 0, rx_bps: Some(0), ..Connected::default() };
    call.bed.end.connected(call.tunnel, call.session, line).unwrap();
    let sent = call.said();
    assert_eq!(sent[0].avp(Attribute::TX_CONNECT_SPEED), Some(&[0, 0, 0, 1][..]));
    assert_eq!(sent[0].avp(Attribute::RX_CONNECT_SPEED), None);
}

#[test]
fn d_link_watchguard_and_check_point_send_twice_and_in_disorder() {
    let (mut bed, mut peer) = (Bed::new(&Policy::default()), Peer::new(LAC, 77));
    bed.send(&mut peer, 0, sccrq(77));
    let tunnel = tunnel_id(peer.theirs);
    let connected = peer.datagram(0, Scccn { challenge_response: None });
    let requests: Vec<_> = (1..=3).map(|id| peer.datagram(0, icrq(id))).collect();
    let order =
        [&requests[1], &connected, &connected, &requests[1], &requests[2], &requests[0], &requests[0]];
    for message in order {
        bed.give(peer.path, message.clone());
    }
    let told = bed.told();
    assert_eq!(names(&told), ["tunnel up", "call offered", "call offered", "call offered"]);
    bed.pass(SECOND);
    assert_eq!(bed.take(&mut peer).last().unwrap().header().nr, peer.ns, "all is acknowledged");
    assert!(bed.end.delivery(tunnel).unwrap().duplicates >= 3);
}

#[test]
fn huawei_sends_wrong_m_bits_in_an_order_of_its_own() {
    let (mut bed, mut peer) = (Bed::new(&Policy::default()), Peer::new(LNS, 77));
    bed.dialling(&mut peer, &Policy::default());
    let message = peer.datagram(0, Hello {});
    let mut reply = with(
        message,
        b"\0\x08\0\0\0\x09\0\x4d\x80\x0c\0\0\0\x08Huawei\0\x0d\0\0\0\x07quidway\0\x0a\0\0\0\x03\0\0\0\x03\
          \0\x08\0\0\0\x02\x01\0",
    );
    reply[19] = MessageType::SCCRP.0 as u8;
    bed.give(peer.path, reply);
    assert_eq!(kinds(&bed.take(&mut peer)), [MessageType::SCCCN]);
    assert!(bed.count("mandatory_bit") > 0);
}

#[test]
fn h3c_is_spared_bearer_capabilities() {
    let policy = Policy { bearer_capabilities: false, ..Policy::default() };
    let mut bed = Bed::new(&policy);
    bed.end.connect(bed.now, connect_to(LNS, &policy)).unwrap();
    bed.drain();
    let mut sent = bed.take(&mut Peer::new(LNS, 77));
    sent.extend(bed.send(&mut Peer::new(LAC, 78), 0, sccrq(78)));
    assert_eq!(kinds(&sent), [MessageType::SCCRQ, MessageType::SCCRP]);
    assert!(sent.iter().all(|sent| sent.avp(Attribute::BEARER_CAPABILITIES).is_none()));
}

#[test]
fn keenetic_wants_its_answers_on_the_socket_that_it_asked() {
    let mut bed = Bed::new(&Policy::default());
    for socket in [3, 4] {
        let id = 70 + socket as u16;
        let mut peer = Peer::new(LAC, id);
        peer.path.socket = socket;
        let mut sent = bed.send(&mut peer, 0, sccrq(id));
        sent.extend(bed.send(&mut peer, 0, Scccn { challenge_response: None }));
        bed.pass(SECOND);
        sent.extend(bed.take(&mut peer));
        assert!(sent.len() > 1 && sent.iter().all(|sent| sent.path.socket == socket));
    }
}

#[test]
fn cisco_as5300_sends_speeds_in_ascii() {
    let mut call = Call::offered(icrq(THEIRS));
    call.accept();
    let message = call.peer.datagram(call.session.get(), Iccn::new(Bps(0), Framing::SYNC));
    let mut message = [&message[..26], b"64000", &message[30..]].concat();
    message[21] = 11;
    call.bed.give(call.peer.path, with(message, &[]));
    let [Event::CallUp { connected, .. }] = &call.bed.told()[..] else { panic!() };
    assert_eq!((connected.tx_bps, call.bed.count("ascii_speed")), (64_000, 1));
}

#[test]
fn l2f_and_port_scans_leave_nothing() {
    let mut bed = Bed::new(&Policy::default());
    let junk: [&[u8]; 5] = [
        &[0xe0, 0x01, 1, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0],
        b"\xc8\x03\0\x14\0\0\0\0\0\0\0\0\x80\x08\0\0\0\0\0\x01",
        b"\x16\xfe\xff\0\0\0\0\0\0\0\0\0",
        b"",
        &[0xc8, 0x02, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 8, 0, 0, 0, 0, 0, 1],
    ];
    for junk in junk {
        bed.give(path(LAC), junk.to_vec());
    }
    assert_eq!((bed.end.tunnels(), bed.sent.len(), bed.end.poll_timeout()), (0, 0, None));
}
