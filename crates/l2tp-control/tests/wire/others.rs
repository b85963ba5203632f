//! AVPs that the table does not know, as callers give and get them.

use l2tp_control::auth::Secret;
use l2tp_control::error::Misuse;
use l2tp_control::wire::*;

use super::raw::{H, M, O, Raw};

const CIRCUIT: Attribute = Attribute { vendor: 3561, number: 1 };

#[test]
fn they_are_written_behind_a_message() {
    let mut others = OtherAvps::default();
    assert!(others.is_empty());
    others.push(CIRCUIT, b"eth 1").unwrap();
    others.push_mandatory(Attribute::ietf(98), b"").unwrap();
    assert_eq!(
        others.octets(),
        [&[0, 11, 0x0d, 0xe9, 0, 1], &b"eth 1"[..], &[0x80, 6, 0, 0, 0, 98]].concat()
    );
    let mut out = [0xee; 64];
    let length = Message::from(Hello {}).encode(1, 0, None, &mut out).unwrap();
    let end = others.append(length, &mut out).unwrap();
    assert_eq!((end, &out[length..end], out[end]), (length + 17, others.octets(), 0xee));
    assert_eq!(Header::parse(&out).unwrap().length, end as u16);
    for room in length..end {
        assert_eq!(others.append(length, &mut out[..room]), Err(Misuse::MessageTooLong));
    }
}

#[test]
fn what_cannot_be_sent_is_refused_and_changes_nothing() {
    let mut others = OtherAvps::default();
    others.push(CIRCUIT, &[1; 1000]).unwrap();
    let before = others.clone();
    for push in [OtherAvps::push, OtherAvps::push_mandatory] {
        let known = Attribute::CALLING_NUMBER;
        assert_eq!(push(&mut others, known, b"1"), Err(Misuse::KnownAvp(known)));
        assert_eq!(push(&mut others, CIRCUIT, &[1; 1018]), Err(Misuse::ValueTooLong(CIRCUIT)));
        // Beside 1006 octets there are 1042: those of the longest AVP, not of 19 more.
        push(&mut others, CIRCUIT, &[2; 1017]).unwrap();
        assert_eq!(push(&mut others, CIRCUIT, &[3; 14]), Err(Misuse::TooManyAvps));
        push(&mut others, CIRCUIT, &[3; 13]).unwrap();
        assert_eq!((others.octets().len(), others.iter().count()), (OtherAvps::MAX, 3));
        others = before.clone();
    }
    for misuse in [Misuse::KnownAvp(CIRCUIT), Misuse::TooManyAvps] {
        assert!(!misuse.to_string().is_empty());
    }
}

#[test]
fn what_was_hidden_and_not_revealed_is_none_of_them() {
    let secret = Secret::new(b"secret");
    // Without decryption the first would have an empty value.
    let mut raw =
        Raw::minimal(MessageType::ICRQ).vendor(H, 9, 1, &[0, 0]).avp(M, 36, &[5; 16]).vendor(O, 9, 2, b"2");
    for secret in [None, Some(&secret)] {
        let body = raw.decode_with(secret, Leniencies::STRICT).unwrap();
        assert_eq!(body.ignored, 2);
        assert_eq!(body.others().map(|avp| avp.attribute().number).collect::<Vec<_>>(), [2]);
    }
}

#[test]
fn what_has_a_reserved_bit_is_none_of_them() {
    let mut raw = Raw::minimal(MessageType::ICRQ).vendor(O | 0x0400, 9, 1, b"1").vendor(O, 9, 2, b"2");
    let body = raw.strict().unwrap();
    assert_eq!((body.ignored, body.others().count()), (2, 1));
}
