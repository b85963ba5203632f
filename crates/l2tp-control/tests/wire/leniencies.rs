//! Each leniency both ways: what it forgives, and what a receiver without it says.

use l2tp_control::error::{Error, Malformed, Violation};
use l2tp_control::wire::*;

use super::raw::{H, M, O, Raw, value};

const STRICT: Leniencies = Leniencies::STRICT;

/// A message that needs this leniency, and why it is refused without; `None` if the AVP is ignored.
type Row = (Leniencies, &'static str, Raw, Option<Error>);

fn rows() -> Vec<Row> {
    use Leniencies as L;
    use MessageType as T;

    let result = Attribute::RESULT_CODE;
    let cdn = |code: &[u8]| Raw::without(T::CDN, Some(result)).avp(M, 1, code);
    let speed = |value: &[u8]| Raw::without(T::ICCN, Some(Attribute::TX_CONNECT_SPEED)).avp(M, 24, value);
    let length = |attribute, length| Error::from(Violation::AvpLength { attribute, length });
    let missing = |attribute| Some(Violation::MissingAvp(attribute).into());
    let reserved = |attribute| Some(Violation::AvpValue(attribute).into());
    let hello = || Raw::new(T::HELLO);
    vec![
        (
            L::TRAILING_BYTES,
            "bytes behind the message",
            hello().trailing(&[1, 2, 3]),
            Some(Malformed::Trailing { length: 20, datagram: 23 }.into()),
        ),
        (
            L::TRAILING_BYTES,
            "bytes behind a ZLB",
            Raw::empty().trailing(&[0; 34]),
            Some(Malformed::Trailing { length: 12, datagram: 46 }.into()),
        ),
        (
            L::PADDING,
            "zeros shorter than an AVP",
            hello().junk(&[0; 3]),
            Some(Malformed::AvpHeader { at: 20 }.into()),
        ),
        (
            L::PADDING,
            "zeros longer than an AVP",
            hello().junk(&[0; 40]),
            Some(Malformed::AvpLength { at: 20, length: 0 }.into()),
        ),
        (
            L::LONG_VALUE,
            "a Challenge Response of 22 bytes",
            Raw::new(T::SCCCN).avp(M, 13, &[7; 22]),
            Some(length(Attribute::CHALLENGE_RESPONSE, 22)),
        ),
        (
            L::LONG_VALUE,
            "a Message Type of 4 bytes",
            Raw::empty().avp(M, 0, &[0, 6, 0, 0]),
            Some(length(Attribute::MESSAGE_TYPE, 4)),
        ),
        (
            L::LONG_VALUE,
            "a connect speed of 8 bytes",
            speed(&[0, 1, 0, 0, 0xff, 0xff, 0xff, 0xff]),
            Some(length(Attribute::TX_CONNECT_SPEED, 8)),
        ),
        (L::LONG_VALUE, "an optional AVP of 3 bytes", Raw::minimal(T::SCCRQ).avp(O, 6, &[1, 2, 3]), None),
        (L::RESULT_LENGTH, "a Result Code of 3 bytes", cdn(&[0, 3, 0]), Some(length(result, 3))),
        (L::ASCII_SPEED, "a speed in ASCII", speed(b"64000"), Some(length(Attribute::TX_CONNECT_SPEED, 5))),
        (
            L::ASCII_SPEED,
            "a speed in ASCII with a terminator",
            speed(b"28800\0"),
            Some(length(Attribute::TX_CONNECT_SPEED, 6)),
        ),
        (
            L::MISSING_SPEED,
            "ICCN without speed",
            Raw::without(T::ICCN, Some(Attribute::TX_CONNECT_SPEED)),
            missing(Attribute::TX_CONNECT_SPEED),
        ),
        (
            L::MISSING_SPEED,
            "ICCN without framing",
            Raw::without(T::ICCN, Some(Attribute::FRAMING_TYPE)),
            missing(Attribute::FRAMING_TYPE),
        ),
        (
            L::MISSING_SPEED,
            "OCCN without speed",
            Raw::without(T::OCCN, Some(Attribute::TX_CONNECT_SPEED)),
            missing(Attribute::TX_CONNECT_SPEED),
        ),
        (
            L::MANDATORY_BIT,
            "M bit on Physical Channel ID",
            Raw::minimal(T::ICRQ).avp(M, 25, &[0; 4]),
            Some(Violation::MandatoryBit(Attribute::PHYSICAL_CHANNEL_ID).into()),
        ),
        (
            L::MANDATORY_BIT,
            "no M bit on Call Serial Number",
            Raw::without(T::ICRQ, Some(Attribute::CALL_SERIAL_NUMBER)).avp(O, 15, &[0; 4]),
            Some(Violation::MandatoryBit(Attribute::CALL_SERIAL_NUMBER).into()),
        ),
        (
            L::MANDATORY_BIT,
            "no M bit on Message Type",
            Raw::empty().avp(O, 0, &[0, 6]),
            Some(Violation::MandatoryBit(Attribute::MESSAGE_TYPE).into()),
        ),
        (
            L::MISPLACED_AVP,
            "Host Name in SCCCN",
            Raw::new(T::SCCCN).avp(M, 7, b"mpd"),
            Some(Violation::MisplacedAvp(Attribute::HOST_NAME).into()),
        ),
        (
            L::REPEATED_AVP,
            "two Host Names",
            Raw::minimal(T::SCCRQ).avp(M, 7, b"another"),
            Some(Violation::RepeatedAvp(Attribute::HOST_NAME).into()),
        ),
        (
            L::REPEATED_AVP,
            "two Message Types",
            hello().avp(M, 0, &[0, 4]),
            Some(Violation::RepeatedAvp(Attribute::MESSAGE_TYPE).into()),
        ),
        (
            L::RESERVED_FIELD,
            "reserved byte of Proxy Authen ID",
            Raw::minimal(T::ICCN).avp(O, 32, &[1, 2]),
            None,
        ),
        (
            L::RESERVED_FIELD,
            "reserved field of ACCM",
            Raw::new(T::SLI).avp(M, 35, &[1; 10]),
            reserved(Attribute::ACCM),
        ),
        (
            L::RESERVED_FIELD,
            "reserved field of Call Errors",
            Raw::new(T::WEN).avp(M, 34, &[1; 26]),
            reserved(Attribute::CALL_ERRORS),
        ),
    ]
}

#[test]
fn each_forgives_what_it_names_and_nothing_else() {
    for (leniency, what, raw, refusal) in rows() {
        let decode = |granted| raw.clone().decode_with(None, granted).map(|body| body.used);
        let error = |granted| decode(granted).err().map(|failure| failure.error);
        assert_eq!(decode(Leniencies::LIBERAL), Ok(leniency), "{what}");
        assert_eq!(decode(leniency), Ok(leniency), "{what}");
        assert_eq!(error(Leniencies::LIBERAL - leniency), refusal, "{what}");
        assert_eq!(error(STRICT), refusal, "{what}");
        if refusal.is_none() {
            let mut raw = raw.clone();
            let body = raw.strict().unwrap();
            assert_eq!((body.ignored, body.fault.is_some(), body.used), (1, true, STRICT), "{what}");
        }
    }
}

#[test]
fn each_has_a_row() {
    let mut seen = Leniencies::HIDDEN_ANYWHERE | Leniencies::SWAPPED_RESULT; // below
    rows().iter().for_each(|row| seen |= row.0);
    assert_eq!(seen, Leniencies::LIBERAL);
    let named = Leniencies::NAMES.iter().fold(STRICT, |all, (leniency, _)| all | *leniency);
    assert_eq!(named, Leniencies::LIBERAL);
}

#[test]
fn what_is_forgiven_is_read_as_it_was_meant() {
    use Leniencies as L;

    let speed = |value: &[u8]| {
        let mut raw = Raw::without(MessageType::OCCN, Some(Attribute::TX_CONNECT_SPEED)).avp(M, 24, value);
        let Message::Occn(occn) = raw.liberal().unwrap().message else { panic!() };
        occn.tx_connect_speed
    };
    assert_eq!(speed(b"64000"), Bps(64000));
    assert_eq!(speed(b"28800\0"), Bps(28800));
    assert_eq!(speed(b"9600"), Bps(0x3936_3030), "four bytes are a number");
    assert_eq!(speed(&[0, 1, 0, 0, 1]), Bps(0x1_0000));

    let mut raw = Raw::without(MessageType::ICCN, Some(Attribute::TX_CONNECT_SPEED));
    let Message::Iccn(iccn) = raw.forgiven(L::MISSING_SPEED) else { panic!() };
    assert_eq!(iccn.tx_connect_speed, Bps(0));

    let mut raw = Raw::minimal(MessageType::SCCRQ).avp(M, 7, b"another");
    let Message::Sccrq(sccrq) = raw.forgiven(L::REPEATED_AVP) else { panic!() };
    assert_eq!(&*sccrq.host_name, b"lac", "the first counts");

    let mut raw = Raw::new(MessageType::SCCCN).avp(M, 13, &[7; 22]);
    let Message::Scccn(scccn) = raw.forgiven(L::LONG_VALUE) else { panic!() };
    assert_eq!(scccn.challenge_response, Some([7; 16]));
}

#[test]
fn a_hidden_avp_that_must_not_be_hidden_is_read_by_leniency() {
    use l2tp_control::auth::Secret;

    // Receive Window Size 4 under an empty secret and an empty vector, from Python's hashlib.
    let mut raw = Raw::minimal(MessageType::SCCRQ).avp(M, 36, &[]).avp(M | H, 10, &[0x8f, 0x7e, 0xbb, 0xba]);
    let secret = Secret::new(&[]);
    let decode = |raw: &mut Raw, granted| {
        let body = raw.decode_with(Some(&secret), granted).map(|body| (body.used, body.message));
        body.map(|(used, message)| match message {
            Message::Sccrq(sccrq) => (used, sccrq.receive_window_size),
            other => panic!("{other:?}"),
        })
    };
    let read = decode(&mut raw.clone(), Leniencies::LIBERAL);
    assert_eq!(read, Ok((Leniencies::HIDDEN_ANYWHERE, Some(4))));
    let error = decode(&mut raw, Leniencies::LIBERAL - Leniencies::HIDDEN_ANYWHERE).unwrap_err().error;
    assert_eq!(error, Violation::HiddenForbidden(Attribute::RECEIVE_WINDOW_SIZE).into());
}

/// Result, error, message, and the leniencies used.
type Read = (u16, Option<u16>, Vec<u8>, Leniencies);

fn result_code(value: &[u8], granted: Leniencies) -> Read {
    let mut raw = Raw::without(MessageType::CDN, Some(Attribute::RESULT_CODE)).avp(M, 1, value);
    let body = raw.decode_with(None, granted).unwrap();
    let Message::Cdn(Cdn { result_code, .. }) = body.message else { panic!() };
    (result_code.result.0, result_code.error.map(|error| error.0), result_code.message.to_vec(), body.used)
}

#[test]
fn result_codes_of_every_shape() {
    let swapped = Leniencies::SWAPPED_RESULT;
    let rows: [(&[u8], Read); 8] = [
        (&[0, 3], (3, None, vec![], STRICT)),
        (&[0, 2, 0, 8], (2, Some(8), vec![], STRICT)),
        (&[0, 3, 0, 0, 0, 0, 0, 0], (3, Some(0), vec![0; 4], STRICT)),
        (b"\0\x02\0\x06because", (2, Some(6), b"because".to_vec(), STRICT)),
        (&[3, 0], (3, None, vec![], swapped)),
        (&[1, 0, 0, 0], (1, Some(0), vec![], swapped)),
        (&[2, 0, 8, 0], (2, Some(8), vec![], swapped)),
        (&[0, 0], (0, None, vec![], STRICT)),
    ];
    for (value, expected) in rows {
        assert_eq!(result_code(value, Leniencies::LIBERAL), expected, "{value:?}");
    }
    assert_eq!(result_code(&[3, 0], STRICT), (0x0300, None, vec![], STRICT));
    assert_eq!(result_code(&[2, 0, 8, 0], STRICT), (0x0200, Some(0x0800), vec![], STRICT));
}

#[test]
fn every_avp_may_have_the_wrong_m_bit() {
    for rule in AVPS.iter().filter(|rule| ![0, 36].contains(&rule.attribute.number)) {
        let attribute = rule.attribute;
        let message = MESSAGES
            .iter()
            .find(|message| message.must.contains(&attribute) || message.may.contains(&attribute));
        let bits = if rule.mandatory { O } else { M };
        let mut raw = Raw::without(message.unwrap().message_type, Some(attribute)).avp(
            bits,
            attribute.number,
            &value(attribute),
        );
        assert_eq!(raw.strict_error(), Violation::MandatoryBit(attribute).into());
        raw.forgiven(Leniencies::MANDATORY_BIT);
    }
}
