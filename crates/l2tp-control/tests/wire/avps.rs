//! One row for each AVP: number, M bit, whether it may be hidden, length, and its bytes both ways.

use l2tp_control::auth::Secret;
use l2tp_control::error::Violation;
use l2tp_control::wire::*;
use l2tp_data::id::{SessionId, TunnelId};

use super::raw::{M, O, Raw};

const TUNNEL: TunnelId = TunnelId::new(0x1234).unwrap();
const SESSION: SessionId = SessionId::new(0x5678).unwrap();

fn sccrq<'a>() -> Sccrq<'a> {
    Sccrq::new(ProtocolVersion::V1_0, "lac".into(), Framing::ALL, TUNNEL)
}

fn sccrp<'a>() -> Sccrp<'a> {
    Sccrp::new(ProtocolVersion::V1_0, Framing::ALL, "lns".into(), TUNNEL)
}

fn icrq<'a>() -> Icrq<'a> {
    Icrq::new(SESSION, 1)
}

fn iccn<'a>() -> Iccn<'a> {
    Iccn::new(Bps(1), Framing::SYNC)
}

fn ocrq<'a>() -> Ocrq<'a> {
    Ocrq::new(SESSION, 1, 2, 3, Bearer::ANALOG, Framing::ASYNC, "".into())
}

fn cdn<'a>() -> Cdn<'a> {
    Cdn::new(CdnResult::ADMINISTRATIVE.into(), Some(SESSION))
}

/// Attribute, M and H bits, value, a message that has it.
type Row = (u16, bool, bool, Vec<u8>, Message<'static>);

fn rows() -> Vec<Row> {
    let result = ResultCode {
        result: CdnResult::GENERAL_ERROR,
        error: Some(ErrorCode::RESOURCES),
        message: "full".into(),
    };
    let q931 = Q931Cause { code: 0x1234, message: 0x45, advisory: "busy".into() };
    let cause = DisconnectCause {
        code: CauseCode::AUTH_FAILED,
        protocol: 0xc223,
        direction: Direction::PEER,
        message: "bad".into(),
    };
    let errors = CallErrors {
        crc: 1,
        framing: 2,
        hardware_overruns: 3,
        buffer_overruns: 4,
        timeouts: 5,
        alignment: 0x0102_0304,
    };
    let accm = Accm { send: 0x000a_0000, receive: 0xffff_ffff };
    vec![
        (0, true, false, vec![0, 6], Hello::new().into()),
        (1, true, false, b"\0\x02\0\x04full".to_vec(), Cdn::new(result, Some(SESSION)).into()),
        (2, true, false, vec![1, 0], sccrq().into()),
        (3, true, true, vec![0, 0, 0, 3], sccrq().into()),
        (
            4,
            true,
            true,
            vec![0, 0, 0, 2],
            Sccrq { bearer_capabilities: Some(Bearer::ANALOG), ..sccrq() }.into(),
        ),
        (
            5,
            false,
            false,
            vec![1, 2, 3, 4, 5, 6, 7, 8],
            Sccrq { tie_breaker: Some(0x0102_0304_0506_0708), ..sccrq() }.into(),
        ),
        (6, false, true, vec![0x0a, 0], Sccrq { firmware_revision: Some(0x0a00), ..sccrq() }.into()),
        (7, true, false, b"lac".to_vec(), sccrq().into()),
        (8, false, true, b"ol2tp".to_vec(), Sccrp { vendor_name: Some("ol2tp".into()), ..sccrp() }.into()),
        (9, true, true, vec![0x12, 0x34], sccrp().into()),
        (10, true, false, vec![0x80, 0], Sccrp { receive_window_size: Some(32768), ..sccrp() }.into()),
        (
            11,
            true,
            true,
            b"\x01\xff".to_vec(),
            Sccrp { challenge: Some(Octets(b"\x01\xff")), ..sccrp() }.into(),
        ),
        (12, true, false, b"\x12\x34\x45busy".to_vec(), Cdn { q931_cause: Some(q931), ..cdn() }.into()),
        (13, true, true, vec![0xab; 16], Scccn { challenge_response: Some([0xab; 16]) }.into()),
        (14, true, true, vec![0x56, 0x78], icrq().into()),
        (15, true, true, vec![0, 0, 0, 1], icrq().into()),
        (16, true, true, vec![0, 0, 0, 2], ocrq().into()),
        (17, true, true, vec![0, 0, 0, 3], ocrq().into()),
        (18, true, true, vec![0, 0, 0, 1], Icrq { bearer_type: Some(Bearer::DIGITAL), ..icrq() }.into()),
        (19, true, true, vec![0, 0, 0, 1], iccn().into()),
        (
            21,
            true,
            true,
            b"5551234".to_vec(),
            Icrq { called_number: Some("5551234".into()), ..icrq() }.into(),
        ),
        (
            22,
            true,
            true,
            b"5550000".to_vec(),
            Icrq { calling_number: Some("5550000".into()), ..icrq() }.into(),
        ),
        (23, true, true, b"9".to_vec(), Icrq { sub_address: Some("9".into()), ..icrq() }.into()),
        (24, true, true, vec![5, 0xf5, 0xe1, 0], Iccn::new(Bps(100_000_000), Framing::SYNC).into()),
        (25, false, true, vec![0, 0, 1, 0], Icrq { physical_channel_id: Some(256), ..icrq() }.into()),
        (
            26,
            false,
            true,
            vec![1, 4, 5, 0xdc],
            Iccn { initial_received_lcp: Some(Octets(&[1, 4, 5, 0xdc])), ..iccn() }.into(),
        ),
        (27, false, true, vec![5, 6], Iccn { last_sent_lcp: Some(Octets(&[5, 6])), ..iccn() }.into()),
        (28, false, true, vec![], Iccn { last_received_lcp: Some(Octets(&[])), ..iccn() }.into()),
        (29, false, true, vec![0, 2], Iccn { proxy_authen_type: Some(AuthenType::CHAP), ..iccn() }.into()),
        (
            30,
            false,
            true,
            b"user@isp".to_vec(),
            Iccn { proxy_authen_name: Some("user@isp".into()), ..iccn() }.into(),
        ),
        (
            31,
            false,
            true,
            vec![7; 16],
            Iccn { proxy_authen_challenge: Some(Octets(&[7; 16])), ..iccn() }.into(),
        ),
        (
            32,
            false,
            true,
            vec![0, 0x7f],
            Iccn { proxy_authen_id: Some(ProxyAuthenId(0x7f)), ..iccn() }.into(),
        ),
        (
            33,
            false,
            true,
            vec![8; 16],
            Iccn { proxy_authen_response: Some(Private(&[8; 16])), ..iccn() }.into(),
        ),
        (
            34,
            true,
            true,
            [0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5, 1, 2, 3, 4].to_vec(),
            Wen::new(errors).into(),
        ),
        (35, true, true, vec![0, 0, 0, 0x0a, 0, 0, 0xff, 0xff, 0xff, 0xff], Sli::new(accm).into()),
        (
            37,
            false,
            true,
            b"group".to_vec(),
            Iccn { private_group_id: Some("group".into()), ..iccn() }.into(),
        ),
        (38, false, true, vec![0, 0, 0xfa, 0], Iccn { rx_connect_speed: Some(Bps(64_000)), ..iccn() }.into()),
        (39, true, false, vec![], Iccn { sequencing_required: true, ..iccn() }.into()),
        (
            46,
            false,
            true,
            b"\0\x10\xc2\x23\x01bad".to_vec(),
            Cdn { disconnect_cause: Some(cause), ..cdn() }.into(),
        ),
    ]
}

fn encode(message: &Message<'_>, hiding: Option<&Hiding<'_>>) -> Vec<u8> {
    let mut out = vec![0; 2048];
    let length = message.encode(1, 2, hiding, &mut out).unwrap();
    out.truncate(length);
    out
}

#[test]
fn every_avp_has_a_row() {
    let rows: Vec<u16> = rows().iter().map(|row| row.0).collect();
    let mut expected: Vec<u16> = AVPS.iter().map(|rule| rule.attribute.number).collect();
    expected.retain(|number| *number != 36); // only with hidden ones, see below
    assert_eq!(rows, expected);
}

#[test]
fn each_is_sent_with_its_bits_length_and_value() {
    for (number, mandatory, _, value, message) in rows() {
        let bits = if mandatory { M } else { O };
        let expected = Raw::empty().avp(bits, number, &value).0.split_off(12);
        let sent = encode(&message, None);
        let found: Vec<_> = Avps::new(&sent[12..]).map(Result::unwrap).collect();
        let mut at = 12;
        let avp = found.iter().find(|avp| {
            at += 6 + avp.value.len();
            avp.attribute() == Attribute::ietf(number)
        });
        assert_eq!(avp.expect("it is there").value, value, "{number}");
        assert_eq!(sent[at - expected.len()..at], expected, "{number}");
    }
}

#[test]
fn each_is_read_back_in_strict_mode() {
    for (number, .., message) in rows() {
        let mut sent = Raw(encode(&message, None));
        assert_eq!(sent.clean(), message, "{number}");
    }
}

#[test]
fn those_that_may_be_hidden_are_and_no_others() {
    let secret = Secret::new(b"secret");
    let hiding = Hiding { secret: &secret, random_vector: &[0x5a; 16], padding: &[1, 2, 3] };
    for (number, mandatory, hideable, value, message) in rows() {
        let mut sent = Raw(encode(&message, Some(&hiding)));
        let found: Vec<_> = Avps::new(&sent.0[12..]).map(Result::unwrap).collect();
        let place = found.iter().position(|avp| avp.attribute() == Attribute::ietf(number)).unwrap();
        let avp = found[place];
        assert_eq!((avp.is_mandatory(), avp.is_hidden()), (mandatory, hideable), "{number}");
        if hideable {
            assert_eq!(avp.value.len(), 2 + value.len() + 3, "{number}");
            let vector = found.iter().position(|avp| avp.attribute() == Attribute::RANDOM_VECTOR).unwrap();
            assert!(vector < place, "{number}");
            assert!(found[vector].is_mandatory() && !found[vector].is_hidden());
            assert!(found[..vector].iter().all(|avp| !avp.is_hidden()), "{number}");
        }
        let body = sent.decode_with(Some(&secret), Leniencies::STRICT).unwrap();
        assert_eq!((body.message, body.used, body.ignored), (message, Leniencies::STRICT, 0), "{number}");
    }
}

#[test]
fn a_message_without_anything_to_hide_has_no_random_vector() {
    let secret = Secret::new(b"secret");
    let hiding = Hiding { secret: &secret, random_vector: &[0x5a; 16], padding: &[] };
    let hello = Message::from(Hello::new());
    assert_eq!(encode(&hello, Some(&hiding)), encode(&hello, None));
}

/// A message that the AVP belongs to, with it in the given length.
fn with_length(attribute: Attribute, length: usize) -> Raw {
    let rule = MESSAGES.iter().find(|rule| rule.must.contains(&attribute) || rule.may.contains(&attribute));
    let mut value = super::raw::value(attribute);
    value.resize(length, 1);
    let bits = if attribute.rule().unwrap().mandatory { M } else { O };
    Raw::without(rule.unwrap().message_type, Some(attribute)).avp(bits, attribute.number, &value)
}

#[test]
fn a_wrong_length_ends_what_the_message_is_about_or_is_ignored_as_the_m_bit_says() {
    let lengths = AVPS.iter().filter(|rule| ![0, 36].contains(&rule.attribute.number));
    for rule in lengths {
        let attribute = rule.attribute;
        let mut wrong = Vec::new();
        if rule.min > 0 {
            wrong.push(rule.min - 1);
        }
        if rule.max < 1017 {
            wrong.push(rule.max + 1);
        }
        for length in wrong {
            let mut raw = with_length(attribute, length);
            let violation = Violation::AvpLength { attribute, length: length as u16 };
            match raw.strict() {
                Err(failure) => {
                    assert!(rule.mandatory, "{attribute} of {length} bytes: {failure:?}");
                    assert_eq!(failure.error, violation.into(), "{length}");
                    assert_eq!(failure.error.code(), Some(ErrorCode::LENGTH));
                }
                Ok(body) => {
                    assert!(!rule.mandatory, "{attribute} of {length} bytes");
                    assert_eq!((body.ignored, body.fault), (1, Some(violation)));
                }
            }
        }
        for length in [rule.min, rule.max] {
            with_length(attribute, length).clean();
        }
    }
}

#[test]
fn an_assigned_id_of_zero_is_out_of_range() {
    let rows = [
        (MessageType::SCCRQ, Attribute::ASSIGNED_TUNNEL_ID),
        (MessageType::SCCRP, Attribute::ASSIGNED_TUNNEL_ID),
        (MessageType::ICRQ, Attribute::ASSIGNED_SESSION_ID),
        (MessageType::ICRP, Attribute::ASSIGNED_SESSION_ID),
        (MessageType::OCRQ, Attribute::ASSIGNED_SESSION_ID),
        (MessageType::OCRP, Attribute::ASSIGNED_SESSION_ID),
    ];
    for (message_type, attribute) in rows {
        let mut raw = Raw::without(message_type, Some(attribute)).avp(M, attribute.number, &[0, 0]);
        assert_eq!(raw.error(), Violation::AvpValue(attribute).into(), "{message_type}");
        assert_eq!(raw.error().code(), Some(ErrorCode::VALUE));
    }
}

#[test]
fn who_ends_before_he_assigned_an_id_says_zero() {
    let stop = StopCcn::new(None, StopResult::VERSION.into());
    let mut sent = Raw(encode(&stop.into(), None));
    assert_eq!(sent.clean(), stop.into());
    let cdn = Cdn::new(CdnResult::NO_FACILITIES.into(), None);
    let mut sent = Raw(encode(&cdn.into(), None));
    assert_eq!(sent.clean(), cdn.into());
}

#[test]
fn a_value_that_is_too_long_is_our_callers_mistake() {
    use l2tp_control::error::Misuse;

    let mut out = vec![0; Message::MAX];
    let name = vec![b'x'; 1018];
    let encode = |length: usize, hiding: Option<&Hiding<'_>>, out: &mut [u8]| {
        let message = Sccrp { vendor_name: Some(Octets(&name[..length])), ..sccrp() };
        Message::from(message).encode(0, 0, hiding, out).err()
    };
    assert_eq!(encode(1017, None, &mut out), None);
    assert_eq!(encode(1018, None, &mut out), Some(Misuse::ValueTooLong(Attribute::VENDOR_NAME)));
    let secret = Secret::new(b"s");
    let hiding = Hiding { secret: &secret, random_vector: &[1; 16], padding: &[0; 5] };
    assert_eq!(encode(1010, Some(&hiding), &mut out), None);
    assert_eq!(encode(1011, Some(&hiding), &mut out), Some(Misuse::ValueTooLong(Attribute::VENDOR_NAME)));
    for room in 0..60 {
        let error = encode(3, None, &mut out[..room]);
        assert_eq!(error, Some(Misuse::MessageTooLong), "{room}");
    }
}
