//! Messages that are unknown, malformed or incomplete (RFC 2661 §4.1, §4.4.1, §7.1): what they end, and
//! what the peer and people are told.

mod common;

use common::call::*;
use common::*;
use l2tp_control::config::Policy;
use l2tp_control::error::{Error, Unsupported, Violation};
use l2tp_control::wire::{
    Attribute, CdnResult, Hello, Leniencies, MessageType, Scccn, StopCcn, StopResult, set_numbers,
};
use l2tp_control::{By, Cause, Event, Incoming, Request, TunnelState};

const CDN: MessageType = MessageType::CDN;
const STOPCCN: MessageType = MessageType::STOPCCN;
const M: u8 = 0x80;

/// A message with more bytes behind it.
fn with(mut message: Vec<u8>, more: &[u8]) -> Vec<u8> {
    message.extend(more);
    let length = u16::try_from(message.len()).unwrap();
    message[2..4].copy_from_slice(&length.to_be_bytes());
    message
}

/// A message of any type and of nothing else.
fn untyped(peer: &mut Peer, session: u16, bits: u8, number: u16) -> Vec<u8> {
    let mut message = peer.datagram(session, Hello {});
    message[12] = bits;
    message[18..20].copy_from_slice(&number.to_be_bytes());
    message
}

fn give(call: &mut Call, message: Vec<u8>) -> Vec<Sent> {
    call.bed.give(call.peer.path, message);
    call.said()
}

/// As LNS, in wait-connect.
fn accepted() -> Call {
    let mut call = Call::offered(icrq(THEIRS));
    call.accept();
    call
}

#[test]
fn an_unknown_mandatory_avp_ends_the_session_that_it_concerns() {
    let mut call = accepted();
    let message = call.peer.datagram(call.session.get(), iccn());
    let sent = give(&mut call, with(message, &[M, 8, 0x0d, 0xe9, 0, 7, 1, 2]));
    assert_eq!(sent[0].words(), "unknown AVP with the M bit set: attribute 7 of vendor 3561");
    let unknown = Unsupported::Avp(Attribute { vendor: 3561, number: 7 });
    assert_eq!(call.why(), (By::Error(unknown.into()), CdnResult::GENERAL_ERROR));
    call.assert_disconnected(&sent, THEIRS, (2, 8));
    assert_eq!(call.bed.end.tunnel_state(call.tunnel), Some(TunnelState::Established));
    assert_eq!(call.bed.count("unknown_avp"), 1);
}

#[test]
fn in_a_request_it_is_answered_though_there_is_no_session_yet() {
    let mut call = Call::idle();
    let message = call.peer.datagram(0, icrq(THEIRS));
    let sent = give(&mut call, with(message, &[M, 6, 0, 0, 0, 99]));
    assert_eq!((kinds(&sent), sent[0].result()), (vec![CDN], (2, 8)));
    assert_eq!((sent[0].header().session_id, call.bed.told()), (THEIRS, vec![]));
}

#[test]
fn an_unknown_mandatory_avp_ends_the_tunnel_that_it_concerns() {
    let mut call = accepted();
    let message = call.peer.datagram(0, Hello {});
    let sent = give(&mut call, with(message, &[M, 6, 0, 0, 0, 99]));
    assert_eq!((kinds(&sent), sent[0].result()), (vec![STOPCCN], (2, 8)));
    assert_eq!(sent[0].words(), "unknown AVP with the M bit set: attribute 99");
    let [Event::TunnelDown { reason, .. }] = &call.bed.told()[..] else { panic!() };
    assert_eq!(reason.by, By::Error(Unsupported::Avp(Attribute::ietf(99)).into()));
    assert_eq!(
        reason.to_string(),
        "the peer sent a message that is wrong: unknown AVP with the M bit set: attribute 99 (StopCCN 2: \
         general error, the error code says which; error 8: receipt of an unknown AVP with the M bit set; \
         unknown AVP with the M bit set: attribute 99)"
    );
}

#[test]
fn in_an_sccrq_or_sccrp_it_refuses_the_tunnel() {
    let (mut bed, mut peer) = (Bed::new(&Policy::default()), Peer::new(LAC, 77));
    let request = peer.datagram(0, sccrq(77));
    bed.give(peer.path, with(request, &[M, 6, 0, 0, 0, 99]));
    let sent = bed.take(&mut peer);
    assert_eq!((kinds(&sent), sent[0].result(), bed.end.tunnels()), (vec![STOPCCN], (2, 8), 0));
    assert_eq!(sent[0].header().tunnel_id, 77);

    let (mut bed, mut peer) = (Bed::new(&Policy::default()), Peer::new(LNS, 77));
    bed.dialling(&mut peer, &Policy::default());
    let reply = peer.datagram(0, sccrp(77));
    bed.give(peer.path, with(reply, &[M, 6, 0, 0, 0, 99]));
    let sent = bed.take(&mut peer);
    assert_eq!((kinds(&sent), sent[0].result()), (vec![STOPCCN], (2, 8)));
    assert_eq!(sent[0].header().tunnel_id, 77, "its id could be read all the same");
}

#[test]
fn unknown_avps_without_the_m_bit_are_ignored_however_many() {
    let mut call = accepted();
    let avps: Vec<u8> = (0..200u8).flat_map(|n| [0, 7, 0x0d, 0xe9, 0, n, 1]).collect();
    let message = call.peer.datagram(call.session.get(), iccn());
    assert_eq!(kinds(&give(&mut call, with(message, &avps))), []);
    assert_eq!((names(&call.bed.told()), call.bed.count("ignored_avps")), (vec!["call up"], 200));
}

#[test]
fn an_unknown_message_type_ends_the_tunnel_if_its_m_bit_says_so() {
    for (number, about) in [(5, 0), (13, 0), (13, 1), (99, 1)] {
        let mut call = accepted();
        let session = about * call.session.get();
        let ignored = untyped(&mut call.peer, session, 0, number);
        assert_eq!(kinds(&give(&mut call, ignored)), []);
        assert_eq!((call.bed.told(), call.bed.count("unknown_message")), (vec![], 1), "{number}");

        let message = untyped(&mut call.peer, session, M, number);
        let sent = give(&mut call, message);
        assert_eq!((kinds(&sent), sent[0].result()), (vec![STOPCCN], (2, 8)), "{number}");
        let unknown = Unsupported::MessageType(MessageType(number));
        let [Event::TunnelDown { reason, .. }] = &call.bed.told()[..] else { panic!() };
        assert_eq!(reason.by, By::Error(unknown.into()));
    }
}

#[test]
fn what_cannot_be_decoded_ends_what_it_is_about() {
    // It was in its turn and is acknowledged: nothing can make it good.
    let junk: [&[u8]; 3] = [&[1], &[M, 5, 0, 0, 0, 9], &[M, 200, 0, 0, 0, 9, 1]];
    for junk in junk {
        let mut call = accepted();
        let message = call.peer.datagram(call.session.get(), iccn());
        let sent = give(&mut call, with(message, junk));
        assert!(matches!(call.why().0, By::Error(Error::Malformed(_))));
        call.assert_disconnected(&sent, THEIRS, (2, 2));

        let message = call.peer.datagram(0, Hello {});
        let sent = give(&mut call, with(message, junk));
        assert_eq!((kinds(&sent), sent[0].result()), (vec![STOPCCN], (2, 2)));
    }
}

#[test]
fn a_message_without_message_type_ends_the_tunnel() {
    let mut call = accepted();
    let mut message = call.peer.datagram(call.session.get(), iccn());
    message.drain(12..20);
    let sent = give(&mut call, with(message, &[]));
    assert_eq!((kinds(&sent), sent[0].result()), (vec![STOPCCN], (2, 3)));
}

#[test]
fn a_wrong_value_names_the_avp() {
    let mut call = accepted();
    let message = call.peer.datagram(call.session.get(), iccn());
    // Sequencing Required has no value.
    let strict = with(message, &[M, 7, 0, 0, 0, 39, 1]);
    give(&mut call, strict);
    assert_eq!(call.bed.count("long_value"), 1, "which is forgiven");

    let mut call = accepted();
    let message = call.peer.datagram(call.session.get(), l2tp_control::wire::Wen::new(Default::default()));
    let length = message.len() - 3;
    let mut message = message[..length].to_vec();
    message[21] = 29;
    let sent = give(&mut call, with(message, &[]));
    assert_eq!(sent[0].words(), "Call Errors (34) has a value of 23 bytes, a wrong length");
    call.assert_disconnected(&sent, THEIRS, (2, 2));
}

#[test]
fn a_broken_cdn_still_ends_its_session_and_is_not_answered() {
    let mut call = accepted();
    let message = call.peer.datagram(call.session.get(), cdn());
    let sent = give(&mut call, with(message, &[M, 6, 0, 0, 0, 99]));
    assert!(matches!(call.why().0, By::Error(Error::Unsupported(Unsupported::Avp(_)))));
    call.assert_cleaned_up(&sent);
    // And one for no session ends nothing.
    let message = call.peer.datagram(4711, cdn());
    assert_eq!(kinds(&give(&mut call, with(message, &[M, 6, 0, 0, 0, 99]))), []);
    assert_eq!(call.bed.end.tunnels(), 1);
}

#[test]
fn a_broken_stopccn_still_ends_its_tunnel_and_is_not_answered() {
    let mut call = accepted();
    let message = call.peer.datagram(0, StopCcn::new(Some(tunnel_id(77)), StopResult::CLEAR.into()));
    let sent = give(&mut call, with(message, &[M, 6, 0, 0, 0, 99]));
    assert_eq!((kinds(&sent), names(&call.bed.told())), (vec![], vec!["tunnel down"]));
    assert_eq!(call.bed.end.tunnel_state(call.tunnel), Some(TunnelState::Closing));
}

#[test]
fn a_broken_answer_that_names_another_session_does_not_touch_that() {
    let mut call = accepted();
    let request = Request::Incoming(Incoming::default());
    let other = call.bed.end.place_call(call.bed.now, call.tunnel, request, None).unwrap();
    call.said();
    let answer = call.peer.datagram(other.get(), l2tp_control::wire::Icrp::new(session_id(THEIRS)));
    assert_eq!(kinds(&give(&mut call, with(answer, &[M, 6, 0, 0, 0, 99]))), [CDN]);
    assert_eq!((names(&call.bed.told()), call.bed.end.sessions()), (vec!["call down"], 1));
    let sent = call.send(0, cdn());
    call.assert_cleaned_up(&sent);
}

#[test]
fn a_missing_avp_is_named() {
    let mut call = accepted();
    let mut message = call.peer.datagram(call.session.get(), cdn());
    // Without Result Code.
    let end = 20 + usize::from(message[21]);
    message.drain(20..end);
    give(&mut call, with(message, &[]));
    let missing = Violation::MissingAvp(Attribute::RESULT_CODE);
    assert_eq!(call.why().0, By::Error(missing.into()));
}

#[test]
fn a_call_message_before_the_tunnel_is_established_ends_the_tunnel() {
    let (mut bed, mut peer) = (Bed::new(&Policy::default()), Peer::new(LAC, 77));
    bed.send(&mut peer, 0, sccrq(77));
    let sent = bed.send(&mut peer, 0, icrq(9));
    assert_eq!((kinds(&sent), sent[0].result()), (vec![STOPCCN], (7, 0)));
    assert_eq!(sent[0].words(), "the peer sent ICRQ, which has no place in wait-ctl-conn");
    assert_eq!((bed.end.half_open(), bed.end.sessions()), (0, 0));
}

#[test]
fn what_is_strict_is_strict() {
    let policy = Policy { leniencies: Leniencies::STRICT, ..Policy::default() };
    let (mut bed, mut peer) = (Bed::new(&policy), Peer::new(LAC, 77));
    bed.opened_by(&mut peer);
    // Bytes behind the message: the datagram does not count, not even its number.
    let mut message = peer.datagram(0, Hello {});
    message.push(0);
    bed.give(peer.path, message.clone());
    assert_eq!((bed.count("trailing"), bed.told()), (1, vec![]));
    message.pop();
    bed.give(peer.path, message);
    bed.pass(std::time::Duration::from_secs(1));
    assert_eq!(bed.take(&mut peer).last().unwrap().header().nr, peer.ns);
    // An AVP that does not belong there.
    let message = peer.datagram(0, Hello {});
    bed.give(peer.path, with(message, &[M, 8, 0, 0, 0, 10, 0, 4]));
    let sent = bed.take(&mut peer);
    assert_eq!((kinds(&sent), sent[0].result()), (vec![STOPCCN], (2, 3)));
}

#[test]
fn what_is_forgiven_is_counted() {
    let mut call = accepted();
    let mut message = call.peer.datagram(0, Hello {});
    message.extend([0; 9]);
    assert_eq!(kinds(&give(&mut call, message)), []);
    let message = call.peer.datagram(0, Hello {});
    assert_eq!(kinds(&give(&mut call, with(message, &[M, 8, 0, 0, 0, 10, 0, 4]))), []);
    assert_eq!((call.bed.count("trailing_bytes"), call.bed.count("misplaced_avp")), (1, 1));
}

#[test]
fn a_message_out_of_turn_is_looked_at_in_its_turn() {
    let mut call = accepted();
    let number = call.peer.ns;
    let connected = call.peer.datagram(call.session.get(), iccn());
    let mut broken = call.peer.datagram(call.session.get(), Scccn { challenge_response: None });
    set_numbers(&mut broken, number.wrapping_add(1), call.peer.nr);
    assert_eq!(kinds(&give(&mut call, broken)), [], "it waits");
    assert_eq!(call.bed.told(), []);
    let sent = give(&mut call, connected);
    assert_eq!((kinds(&sent), sent[0].result()), (vec![STOPCCN], (7, 0)));
    assert_eq!(names(&call.bed.told()), ["call up", "tunnel down"]);
}

#[test]
fn words_for_people_are_cut_to_what_fits() {
    let mut call = accepted();
    let cause = Cause { message: "ü".repeat(500), ..Cause::new(CdnResult::ADMINISTRATIVE) };
    call.bed.end.hang_up(call.bed.now, call.tunnel, call.session, cause).unwrap();
    let sent = call.said();
    assert_eq!(sent[0].words(), "ü".repeat(100));
    let long = Request::Incoming(Incoming { calling: Some(vec![b'1'; 1001]), ..Incoming::default() });
    let refused = call.bed.end.place_call(call.bed.now, call.tunnel, long, None);
    assert_eq!(refused, Err(l2tp_control::error::Misuse::StringTooLong));
}
