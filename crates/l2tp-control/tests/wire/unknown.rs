//! What is unknown or cannot be an AVP (RFC 2661 §4.1, §4.4.1), and what is known of such a message all
//! the same.

use l2tp_control::error::{Error, Malformed, Unsupported, Violation};
use l2tp_control::wire::*;
use l2tp_data::id::{SessionId, TunnelId};

use super::raw::{H, M, O, Raw};

#[test]
fn an_unknown_avp_with_the_m_bit_ends_what_the_message_is_about() {
    let rows = [
        (MessageType::SCCRQ, Scope::Tunnel, Attribute::ietf(99)),
        (MessageType::HELLO, Scope::Tunnel, Attribute::ietf(40)),
        (MessageType::STOPCCN, Scope::Tunnel, Attribute::ietf(20)),
        (MessageType::ICRQ, Scope::Session, Attribute { vendor: 9, number: 7 }),
        (MessageType::CDN, Scope::Session, Attribute { vendor: 3561, number: 1 }),
        (MessageType::SLI, Scope::Session, Attribute { vendor: 1, number: 0 }),
    ];
    for (message_type, scope, attribute) in rows {
        let mut raw = Raw::minimal(message_type).vendor(M, attribute.vendor, attribute.number, &[1]);
        let failure = raw.decode_with(None, Leniencies::LIBERAL).unwrap_err();
        assert_eq!(failure.error, Unsupported::Avp(attribute).into());
        assert_eq!(failure.error.code(), Some(ErrorCode::UNKNOWN_AVP));
        assert_eq!(failure.message_type.map(MessageType::scope), Some(scope), "{message_type}");
    }
}

#[test]
fn an_unknown_avp_without_the_m_bit_is_ignored_and_can_be_read() {
    let mut raw = Raw::minimal(MessageType::ICRQ)
        .vendor(O, 3561, 1, b"circuit")
        .avp(O, 25, &[0, 0, 0, 1])
        .avp(O, 60, b"")
        .vendor(O, 9, 22, b"not a Calling Number");
    let body = raw.strict().unwrap();
    let Message::Icrq(icrq) = body.message else { panic!("{body:?}") };
    assert_eq!((icrq.physical_channel_id, icrq.calling_number), (Some(1), None));
    assert_eq!((body.ignored, body.fault, body.used), (3, None, Leniencies::STRICT));
    let others: Vec<_> =
        body.others().map(|avp| (avp.attribute().vendor, avp.attribute().number, avp.value)).collect();
    assert_eq!(others, [(3561, 1, &b"circuit"[..]), (0, 60, b""), (9, 22, b"not a Calling Number")]);
}

#[test]
fn an_avp_of_a_vendor_may_be_there_many_times() {
    let raw = Raw::minimal(MessageType::ICRQ);
    let mut raw = (0..100).fold(raw, |raw, n| raw.vendor(O, 3561, 1, &[n]));
    let body = raw.strict().unwrap();
    assert_eq!((body.ignored, body.others().count()), (100, 100));
}

#[test]
fn an_avp_with_a_reserved_bit_is_unknown() {
    for bit in [0x2000, 0x1000, 0x0800, 0x0400] {
        let mut raw = Raw::minimal(MessageType::ICRQ).avp(O | bit, 22, b"1");
        let body = raw.strict().unwrap();
        let Message::Icrq(icrq) = body.message else { panic!("{body:?}") };
        assert_eq!((icrq.calling_number, body.ignored), (None, 1), "{bit:04x}");
        let mut raw = Raw::minimal(MessageType::ICRQ).avp(M | bit, 22, b"1");
        assert_eq!(raw.error(), Unsupported::Avp(Attribute::CALLING_NUMBER).into());
        let mut raw = Raw::empty().avp(M | bit, 0, &[0, 6]);
        assert_eq!(raw.error(), Violation::MessageTypeNotFirst.into());
    }
}

#[test]
fn an_unknown_message_type_ends_the_tunnel_or_is_ignored_as_the_m_bit_says() {
    for number in [0, 5, 13, 17, 0xffff] {
        let kind = MessageType(number);
        let mut raw = Raw::empty().avp(M, 0, &number.to_be_bytes()).avp(M, 14, &[0, 9]);
        let failure = raw.liberal().unwrap_err();
        assert_eq!(failure.error, Unsupported::MessageType(kind).into());
        assert_eq!((failure.message_type, failure.session_id), (Some(kind), SessionId::new(9)));
        let mut raw = Raw::empty().avp(O, 0, &number.to_be_bytes()).avp(M, 99, &[1]).avp(M, 14, &[0, 9]);
        let body = raw.strict().unwrap();
        assert_eq!(body.message, Message::Unknown(kind));
        assert_eq!(body.others().count(), 1);
    }
}

#[test]
fn the_message_type_comes_first() {
    let rows = [
        Raw::empty().avp(M, 9, &[0, 7]).avp(M, 0, &[0, 1]),
        Raw::empty().avp(M, 36, &[0; 16]).avp(M, 0, &[0, 6]),
        Raw::empty().vendor(M, 9, 0, &[0, 6]),
        Raw::empty().avp(O, 99, b""),
    ];
    for mut raw in rows {
        assert_eq!(raw.error(), Violation::MessageTypeNotFirst.into());
        assert_eq!(raw.strict_error(), Violation::MessageTypeNotFirst.into());
    }
    let mut raw = Raw::empty().avp(M, 9, &[0, 7]).avp(M, 0, &[0, 1]);
    let failure = raw.liberal().unwrap_err();
    assert_eq!((failure.message_type, failure.tunnel_id), (None, TunnelId::new(7)));
    for length in [0, 1] {
        let attribute = Attribute::MESSAGE_TYPE;
        let mut raw = Raw::empty().avp(M, 0, &[0, 6][..usize::from(length)]);
        assert_eq!(raw.error(), Violation::AvpLength { attribute, length }.into());
    }
}

#[test]
fn what_is_no_avp_makes_the_message_malformed() {
    let rows: [(&[u8], Malformed); 7] = [
        (&[1], Malformed::AvpHeader { at: 20 }),
        (&[0x80, 8, 0, 0, 0], Malformed::AvpHeader { at: 20 }),
        (&[0x80, 5, 0, 0, 0, 9], Malformed::AvpLength { at: 20, length: 5 }),
        (&[0x80, 0, 0, 0, 0, 9], Malformed::AvpLength { at: 20, length: 0 }),
        (&[0x80, 7, 0, 0, 0, 9], Malformed::AvpLength { at: 20, length: 7 }),
        (&[0x83, 0xff, 0, 0, 0, 9], Malformed::AvpLength { at: 20, length: 1023 }),
        (&[0x00, 6, 0, 0, 0, 99, 1], Malformed::AvpHeader { at: 26 }),
    ];
    for (bytes, error) in rows {
        let mut raw = Raw::new(MessageType::HELLO).junk(bytes);
        let failure = raw.liberal().unwrap_err();
        assert_eq!((failure.error, failure.message_type), (error.into(), Some(MessageType::HELLO)));
        assert_eq!(Error::from(error).code(), None, "it is dropped, not answered");
    }
}

#[test]
fn assigned_ids_are_known_beside_every_error() {
    let broken = |raw: Raw| {
        [
            raw.clone().avp(M, 99, b""),
            raw.clone().avp(M, 25, b"12345678901234567890").avp(M, 34, b""),
            raw.clone().avp(H | M, 21, b""),
            raw.clone().junk(&[0xff]),
        ]
    };
    let tunnel = Raw::without(MessageType::SCCRQ, Some(Attribute::PROTOCOL_VERSION));
    for raw in broken(tunnel) {
        for mut raw in [raw.clone(), raw.avp(M, 9, &[0, 2])] {
            let failure = raw.strict().unwrap_err();
            assert_eq!(failure.tunnel_id, TunnelId::new(0x0101), "{failure:?}");
            assert_eq!((failure.message_type, failure.session_id), (Some(MessageType::SCCRQ), None));
        }
    }
    let session = Raw::without(MessageType::ICRQ, Some(Attribute::CALL_SERIAL_NUMBER));
    for mut raw in broken(session) {
        let failure = raw.strict().unwrap_err();
        assert_eq!(failure.session_id, SessionId::new(0x0101), "{failure:?}");
        assert_eq!((failure.message_type, failure.tunnel_id), (Some(MessageType::ICRQ), None));
    }
    let mut raw = Raw::new(MessageType::ICRQ).avp(M, 99, b"").avp(M, 14, &[0, 0]).avp(M, 14, &[0, 5]);
    let failure = raw.liberal().unwrap_err();
    assert_eq!(failure.session_id, SessionId::new(5), "found behind the error; 0 is none");
}
