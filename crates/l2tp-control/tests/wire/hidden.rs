//! Hidden AVPs, RFC 2661 §4.3. The hidden values were computed with Python's hashlib, for the random
//! vector 00 01 … 0f and the secret "shared secret".

use l2tp_control::auth::Secret;
use l2tp_control::error::{Error, Unsupported, Violation};
use l2tp_control::wire::*;
use l2tp_data::id::{SessionId, TunnelId};

use super::raw::{H, M, O, Raw};

const VECTOR: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
/// Assigned Tunnel ID 1234.
const TUNNEL: &[u8] = &[0xfb, 0xb3, 0x5a, 0x1f];
/// Called Number "0123456789" with the padding aa bb cc dd: one block, full to the brim.
const NUMBER: u128 = 0x181b_6a50_f661_4bf1_1b8b_4c3a_f674_ae50;
/// Proxy Authen Name "a rather long user name@example.net" with seven times 55: three blocks.
const NAME: &[u8] = &[
    0xef, 0x0b, 0xa8, 0x67, 0xc3, 0x7f, 0x1f, 0xf1, 0x40, 0xed, 0xc5, 0x01, 0x84, 0xfc, 0xd8, 0xc8, 0x41,
    0x55, 0x87, 0x06, 0xcf, 0xfe, 0x53, 0x45, 0xbe, 0x57, 0xff, 0xd3, 0xa7, 0x01, 0x9a, 0xf3, 0xe2, 0xc8,
    0x9b, 0xda, 0x66, 0x34, 0xe8, 0x28, 0x62, 0xd1, 0xe1, 0x11,
];
/// A value of no bytes at all, for attribute 39.
const NOTHING: &[u8] = &[0x77, 0x37];

fn secret() -> Secret {
    Secret::new(b"shared secret")
}

fn session() -> SessionId {
    SessionId::new(1).unwrap()
}

/// A message of this type with a Random Vector and one hidden AVP.
fn hidden(message_type: MessageType, bits: u16, number: u16, value: &[u8]) -> Raw {
    let missing = Some(Attribute::ietf(number));
    Raw::without(message_type, missing).avp(M, 36, &VECTOR).avp(H | bits, number, value)
}

#[test]
fn hidden_values_are_revealed() {
    let secret = secret();
    let mut raw = hidden(MessageType::STOPCCN, M, 9, TUNNEL);
    let body = raw.decode_with(Some(&secret), Leniencies::STRICT).unwrap();
    let Message::StopCcn(stop) = body.message else { panic!("{body:?}") };
    assert_eq!(stop.assigned_tunnel_id, TunnelId::new(0x1234));

    let mut raw = hidden(MessageType::ICRQ, M, 21, &NUMBER.to_be_bytes());
    let body = raw.decode_with(Some(&secret), Leniencies::STRICT).unwrap();
    let Message::Icrq(icrq) = body.message else { panic!("{body:?}") };
    assert_eq!(icrq.called_number, Some("0123456789".into()));

    let mut raw = hidden(MessageType::ICCN, O, 30, NAME);
    let body = raw.decode_with(Some(&secret), Leniencies::STRICT).unwrap();
    let Message::Iccn(iccn) = body.message else { panic!("{body:?}") };
    assert_eq!(iccn.proxy_authen_name, Some("a rather long user name@example.net".into()));
}

#[test]
fn values_are_hidden_as_the_standard_says() {
    let secret = secret();
    let rows: [(Message<'_>, u16, &[u8], &[u8]); 3] = [
        (StopCcn::new(TunnelId::new(0x1234), StopResult::CLEAR.into()).into(), 9, &[], TUNNEL),
        (
            Icrq { called_number: Some("0123456789".into()), ..Icrq::new(session(), 1) }.into(),
            21,
            &[0xaa, 0xbb, 0xcc, 0xdd],
            &NUMBER.to_be_bytes(),
        ),
        (
            Iccn {
                proxy_authen_name: Some("a rather long user name@example.net".into()),
                ..Iccn::new(Bps(1), Framing::SYNC)
            }
            .into(),
            30,
            &[0x55; 7],
            NAME,
        ),
    ];
    for (message, number, padding, expected) in rows {
        let hiding = Hiding { secret: &secret, random_vector: &VECTOR, padding };
        let mut out = [0; 500];
        let length = message.encode(0, 0, Some(&hiding), &mut out).unwrap();
        let avp = Avps::new(&out[12..length]).map(Result::unwrap);
        let avp = avp.into_iter().find(|avp| avp.attribute() == Attribute::ietf(number)).unwrap();
        assert_eq!((avp.is_hidden(), avp.value), (true, expected), "{number}");
    }
}

#[test]
fn an_avp_is_revealed_with_the_random_vector_before_it() {
    let secret = secret();
    let mut raw = Raw::new(MessageType::ICCN)
        .avp(M, 24, &[0, 0, 0, 9])
        .avp(M, 36, b"another vector")
        .avp(M, 36, &VECTOR)
        .avp(H, 30, NAME)
        .avp(M, 36, b"a vector behind")
        .avp(M, 19, &[0, 0, 0, 1]);
    let body = raw.decode_with(Some(&secret), Leniencies::STRICT).unwrap();
    let Message::Iccn(iccn) = body.message else { panic!("{body:?}") };
    assert_eq!(iccn.proxy_authen_name, Some("a rather long user name@example.net".into()));
    assert_eq!((iccn.tx_connect_speed, iccn.framing_type), (Bps(9), Framing::SYNC));
}

#[test]
fn a_hidden_avp_before_any_random_vector_is_an_error_or_ignored_as_the_m_bit_says() {
    let secret = secret();
    let mut raw = Raw::minimal(MessageType::ICRQ).avp(H | M, 21, &NUMBER.to_be_bytes()).avp(M, 36, &VECTOR);
    let failure = raw.decode_with(Some(&secret), Leniencies::LIBERAL).unwrap_err();
    assert_eq!(failure.error, Violation::NoRandomVector(Attribute::CALLED_NUMBER).into());
    assert_eq!(failure.session_id, SessionId::new(0x0101));

    let mut raw = Raw::minimal(MessageType::ICCN).avp(H, 30, NAME);
    let body = raw.decode_with(Some(&secret), Leniencies::LIBERAL).unwrap();
    let fault = Violation::NoRandomVector(Attribute::PROXY_AUTHEN_NAME);
    assert_eq!((body.ignored, body.fault), (1, Some(fault)));
}

#[test]
fn without_a_secret_a_hidden_avp_is_as_good_as_unknown() {
    let mut raw = hidden(MessageType::ICRQ, M, 21, &NUMBER.to_be_bytes());
    let failure = raw.decode_with(None, Leniencies::LIBERAL).unwrap_err();
    assert_eq!(failure.error, Unsupported::NoSecret(Attribute::CALLED_NUMBER).into());
    assert_eq!(failure.error.code(), Some(ErrorCode::UNKNOWN_AVP));

    let mut raw = hidden(MessageType::ICCN, O, 30, NAME);
    let body = raw.decode_with(None, Leniencies::LIBERAL).unwrap();
    assert_eq!((body.ignored, body.fault), (1, None));
    assert!(matches!(body.message, Message::Iccn(Iccn { proxy_authen_name: None, .. })));
}

#[test]
fn a_must_avp_that_is_hidden_under_another_secret_is_an_error() {
    let mut raw = hidden(MessageType::SCCRP, M, 9, TUNNEL);
    let other = Secret::new(b"another secret");
    let failure = raw.decode_with(Some(&other), Leniencies::LIBERAL).unwrap_err();
    assert_eq!(failure.error, Violation::Unrevealed(Attribute::ASSIGNED_TUNNEL_ID).into());
    assert_eq!((failure.message_type, failure.tunnel_id), (Some(MessageType::SCCRP), None));
}

#[test]
fn a_hidden_value_shorter_than_its_length_field_is_garbage() {
    for value in [&[][..], &[1]] {
        let mut raw = hidden(MessageType::ICRQ, M, 21, value);
        let failure = raw.decode_with(Some(&secret()), Leniencies::LIBERAL).unwrap_err();
        assert_eq!(failure.error, Violation::Unrevealed(Attribute::CALLED_NUMBER).into());
    }
}

#[test]
fn an_unknown_hidden_avp_is_unknown_before_it_is_hidden() {
    let mut raw = Raw::minimal(MessageType::ICRQ).avp(H | M, 99, &[1, 2, 3, 4]);
    for secret in [None, Some(&secret())] {
        let failure = raw.clone().decode_with(secret, Leniencies::LIBERAL).unwrap_err();
        assert_eq!(failure.error, Unsupported::Avp(Attribute::ietf(99)).into());
    }
    raw = Raw::minimal(MessageType::ICRQ).avp(M, 36, &VECTOR).vendor(H, 9, 30, NAME);
    let secret = secret();
    let body = raw.decode_with(Some(&secret), Leniencies::STRICT).unwrap();
    let others: Vec<_> = body.others().collect();
    assert_eq!(others.len(), 1, "its own number is hashed, not its vendor's");
    assert_eq!(others[0].value, b"a rather long user name@example.net");
}

#[test]
fn assigned_ids_are_found_beside_an_error_even_if_they_are_hidden() {
    let mut raw = hidden(MessageType::SCCRP, M, 9, TUNNEL).avp(M, 99, &[]);
    let failure = raw.decode_with(Some(&secret()), Leniencies::LIBERAL).unwrap_err();
    assert_eq!(failure.error, Error::Unsupported(Unsupported::Avp(Attribute::ietf(99))));
    assert_eq!(failure.tunnel_id, TunnelId::new(0x1234));
}

#[test]
fn the_message_type_must_not_be_hidden() {
    let mut raw = Raw::empty().avp(H | M, 0, &[0, 6]);
    let failure = raw.decode_with(Some(&secret()), Leniencies::LIBERAL).unwrap_err();
    assert_eq!(failure.error, Violation::MessageTypeNotFirst.into());
}

#[test]
fn a_hidden_value_may_be_empty() {
    let secret = secret();
    let mut raw = hidden(MessageType::ICCN, M, 39, NOTHING);
    let body = raw.decode_with(Some(&secret), Leniencies::LIBERAL).unwrap();
    assert!(matches!(body.message, Message::Iccn(Iccn { sequencing_required: true, .. })));
    assert_eq!(body.used, Leniencies::HIDDEN_ANYWHERE);
}
