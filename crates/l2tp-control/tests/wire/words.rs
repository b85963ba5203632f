//! What a person reads: numbers, values and errors in words.

use l2tp_control::error::{Error, Malformed, Misuse, Unsupported, Violation};
use l2tp_control::wire::*;

#[test]
fn numbers_are_said_in_words_if_they_are_known() {
    let rows: [(&dyn std::fmt::Display, &str); 16] = [
        (&MessageType::ICRQ, "ICRQ"),
        (&MessageType::STOPCCN, "StopCCN"),
        (&MessageType(99), "message type 99"),
        (&Attribute::HOST_NAME, "Host Name (7)"),
        (&Attribute::ietf(99), "attribute 99"),
        (&Attribute { vendor: 9, number: 7 }, "attribute 7 of vendor 9"),
        (&CdnResult::ADMINISTRATIVE, "CDN 3: call disconnected for administrative reasons"),
        (&CdnResult(77), "CDN 77"),
        (&StopResult::SHUTTING_DOWN, "StopCCN 6: the requester is being shut down"),
        (&ErrorCode::RESOURCES, "error 4: insufficient resources to handle this operation now"),
        (&CauseCode::AUTH_FAILED, "PPP disconnect cause 16: authentication: bad name, password or secret"),
        (&AuthenType::PAP, "proxy authentication type 3: PAP"),
        (&Framing::ALL, "synchronous and asynchronous"),
        (&Framing::NONE, "none"),
        (&Bearer(0x5), "digital and 0x4"),
        (&Bearer(0x8), "0x8"),
    ];
    for (number, words) in rows {
        assert_eq!(number.to_string(), words);
    }
}

#[test]
fn octets_are_escaped_and_passwords_not_shown() {
    assert_eq!(Octets("Zürich\n\\".as_bytes()).to_string(), r"Zürich\n\\");
    assert_eq!(Octets(b"\x00\xff ok").to_string(), r"\u{0}\xff ok");
    assert_eq!(format!("{:?}", Private(b"hunter2")), "(7 octets)");
    let iccn = Iccn { proxy_authen_response: Some(Private(b"hunter2")), ..Iccn::new(Bps(1), Framing::SYNC) };
    assert!(!format!("{iccn:?}").contains("hunter2"));
}

#[test]
fn an_end_is_told_in_one_line() {
    let result = ResultCode {
        result: CdnResult::GENERAL_ERROR,
        error: Some(ErrorCode::UNKNOWN_AVP),
        message: Octets(b"attribute 99\0\0"),
    };
    assert_eq!(
        result.to_string(),
        "CDN 2: call disconnected for the reason indicated in the error code; error 8: receipt of an unknown \
         AVP with the M bit set; it says: attribute 99"
    );
    let plain = ResultCode::from(StopResult::CLEAR);
    assert_eq!(plain.to_string(), "StopCCN 1: general request to clear the control connection");
    let cause = DisconnectCause {
        code: CauseCode::ECHO_TIMEOUT,
        protocol: 0xc021,
        direction: Direction::LOCAL,
        message: "".into(),
    };
    assert_eq!(
        cause.to_string(),
        "PPP disconnect cause 8: LCP: echo request timeout, direction 2: at the sender, protocol c021"
    );
}

#[test]
fn errors_have_a_name_a_clause_a_code_and_a_sentence() {
    let attribute = Attribute::CALLED_NUMBER;
    let rows: [(Error, &str, &str, Option<u16>, &str); 21] = [
        (Malformed::Short.into(), "short", "§3.1", None, "shorter than the header"),
        (Malformed::Version(1).into(), "version", "§3.1", None, "L2F"),
        (Malformed::Version(3).into(), "version", "§3.1", None, "version 3"),
        (Malformed::NotControl.into(), "not_control", "§3.1", None, "data message"),
        (Malformed::Flags(0x8802).into(), "flags", "§3.1", None, "8802"),
        (
            Malformed::Length { length: 30, datagram: 20 }.into(),
            "length",
            "§3.1",
            None,
            "30 bytes, the datagram has 20",
        ),
        (Malformed::Trailing { length: 20, datagram: 23 }.into(), "trailing", "§3.1", None, "3 bytes behind"),
        (Malformed::AvpHeader { at: 20 }.into(), "avp_header", "§4.1", None, "byte 20"),
        (Malformed::AvpLength { at: 20, length: 5 }.into(), "avp_framing", "§4.1", None, "5 bytes long"),
        (Violation::MessageTypeNotFirst.into(), "message_type_not_first", "§4.4.1", Some(3), "first AVP"),
        (
            Violation::MissingAvp(attribute).into(),
            "missing_avp",
            "§6",
            Some(3),
            "Called Number (21) is missing",
        ),
        (Violation::AvpLength { attribute, length: 5 }.into(), "avp_length", "§4.4", Some(2), "5 bytes"),
        (Violation::AvpValue(attribute).into(), "avp_value", "§4.4", Some(3), "out of range"),
        (
            Violation::NoRandomVector(attribute).into(),
            "no_random_vector",
            "§4.3",
            Some(3),
            "no Random Vector",
        ),
        (
            Violation::Unrevealed(attribute).into(),
            "unrevealed",
            "§4.3",
            Some(3),
            "secrets of both sides differ",
        ),
        (Violation::HiddenForbidden(attribute).into(), "hidden_forbidden", "§4.4", Some(3), "must not be"),
        (Violation::MandatoryBit(attribute).into(), "mandatory_bit", "§4.4", Some(3), "wrong M bit"),
        (Violation::RepeatedAvp(attribute).into(), "repeated_avp", "§6", Some(3), "twice"),
        (Violation::MisplacedAvp(attribute).into(), "misplaced_avp", "§6", Some(3), "does not belong"),
        (Unsupported::Avp(Attribute::ietf(99)).into(), "unknown_avp", "§4.1", Some(8), "attribute 99"),
        (
            Unsupported::MessageType(MessageType(99)).into(),
            "unknown_message_type",
            "§4.4.1",
            Some(8),
            "type 99",
        ),
    ];
    for (error, name, clause, code, words) in rows {
        assert_eq!((error.name(), error.clause(), error.code().map(|code| code.0)), (name, clause, code));
        assert!(error.to_string().contains(words), "{error}");
    }
    let error = Error::from(Unsupported::NoSecret(attribute));
    assert_eq!((error.name(), error.clause()), ("no_secret", "§4.3"));
    assert!(error.to_string().contains("no secret for this peer"));
    assert!(Misuse::ValueTooLong(attribute).to_string().contains("1017"));
    assert!(Misuse::MessageTooLong.to_string().contains("buffer"));
}

#[test]
fn leniencies_are_named() {
    let two = Leniencies::TRAILING_BYTES | Leniencies::SWAPPED_RESULT;
    assert_eq!(two.to_string(), "trailing_bytes, swapped_result");
    assert_eq!(Leniencies::STRICT.to_string(), "");
}
