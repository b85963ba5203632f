//! Each message: which AVPs it must and may have (RFC 2661 §6), in which order they are sent, and what
//! is said when one is missing.

use l2tp_control::error::Violation;
use l2tp_control::wire::*;
use l2tp_data::id::{SessionId, TunnelId};

use super::raw::Raw;

const TUNNEL: TunnelId = TunnelId::new(7).unwrap();
const SESSION: SessionId = SessionId::new(8).unwrap();

/// Every message with every AVP that it may have.
pub(crate) fn full() -> Vec<Message<'static>> {
    let text = Octets(b"text");
    vec![
        Sccrq {
            protocol_version: ProtocolVersion::V1_0,
            host_name: text,
            framing_capabilities: Framing::ALL,
            assigned_tunnel_id: TUNNEL,
            bearer_capabilities: Some(Bearer::ALL),
            receive_window_size: Some(8),
            challenge: Some(text),
            tie_breaker: Some(9),
            firmware_revision: Some(0x0a00),
            vendor_name: Some(text),
        }
        .into(),
        Sccrp {
            protocol_version: ProtocolVersion::V1_0,
            framing_capabilities: Framing::ALL,
            host_name: text,
            assigned_tunnel_id: TUNNEL,
            bearer_capabilities: Some(Bearer::ALL),
            firmware_revision: Some(0x0a00),
            vendor_name: Some(text),
            receive_window_size: Some(8),
            challenge: Some(text),
            challenge_response: Some([1; 16]),
        }
        .into(),
        Scccn { challenge_response: Some([1; 16]) }.into(),
        StopCcn { assigned_tunnel_id: Some(TUNNEL), result_code: StopResult::CLEAR.into() }.into(),
        Hello {}.into(),
        Ocrq {
            assigned_session_id: SESSION,
            call_serial_number: 1,
            minimum_bps: 2,
            maximum_bps: 3,
            bearer_type: Bearer::ANALOG,
            framing_type: Framing::ASYNC,
            called_number: text,
            sub_address: Some(text),
        }
        .into(),
        Ocrp { assigned_session_id: SESSION, physical_channel_id: Some(4) }.into(),
        Occn {
            tx_connect_speed: Bps(5),
            framing_type: Framing::SYNC,
            rx_connect_speed: Some(Bps(6)),
            sequencing_required: true,
        }
        .into(),
        Icrq {
            assigned_session_id: SESSION,
            call_serial_number: 1,
            bearer_type: Some(Bearer::DIGITAL),
            physical_channel_id: Some(4),
            calling_number: Some(text),
            called_number: Some(text),
            sub_address: Some(text),
        }
        .into(),
        Icrp { assigned_session_id: SESSION }.into(),
        Iccn {
            tx_connect_speed: Bps(5),
            framing_type: Framing::SYNC,
            initial_received_lcp: Some(text),
            last_sent_lcp: Some(text),
            last_received_lcp: Some(text),
            proxy_authen_type: Some(AuthenType::PAP),
            proxy_authen_name: Some(text),
            proxy_authen_challenge: Some(text),
            proxy_authen_id: Some(ProxyAuthenId(1)),
            proxy_authen_response: Some(Private(b"text")),
            private_group_id: Some(text),
            rx_connect_speed: Some(Bps(6)),
            sequencing_required: true,
        }
        .into(),
        Cdn {
            result_code: CdnResult::ADMINISTRATIVE.into(),
            assigned_session_id: Some(SESSION),
            q931_cause: Some(Q931Cause { code: 16, message: 0, advisory: text }),
            disconnect_cause: Some(DisconnectCause {
                code: CauseCode::NORMAL,
                protocol: 0,
                direction: Direction::LOCAL,
                message: text,
            }),
        }
        .into(),
        Wen { call_errors: CallErrors { crc: 1, ..CallErrors::default() } }.into(),
        Sli { accm: Accm { send: 0, receive: u32::MAX } }.into(),
    ]
}

/// Type, name, AVPs that must be there, AVPs that may be there: both in the order of §6.
const ROWS: [(u16, &str, &[u16], &[u16]); 14] = [
    (1, "SCCRQ", &[2, 7, 3, 9], &[4, 10, 11, 5, 6, 8]),
    (2, "SCCRP", &[2, 3, 7, 9], &[4, 6, 8, 10, 11, 13]),
    (3, "SCCCN", &[], &[13]),
    (4, "StopCCN", &[9, 1], &[]),
    (6, "HELLO", &[], &[]),
    (7, "OCRQ", &[14, 15, 16, 17, 18, 19, 21], &[23]),
    (8, "OCRP", &[14], &[25]),
    (9, "OCCN", &[24, 19], &[38, 39]),
    (10, "ICRQ", &[14, 15], &[18, 25, 22, 21, 23]),
    (11, "ICRP", &[14], &[]),
    (12, "ICCN", &[24, 19], &[26, 27, 28, 29, 30, 31, 32, 33, 37, 38, 39]),
    (14, "CDN", &[1, 14], &[12, 46]),
    (15, "WEN", &[34], &[]),
    (16, "SLI", &[35], &[]),
];

#[test]
fn each_has_the_avps_of_its_section() {
    let numbers =
        |list: &[Attribute]| -> Vec<u16> { list.iter().map(|attribute| attribute.number).collect() };
    let found: Vec<_> = MESSAGES
        .iter()
        .map(|rule| {
            let name = rule.message_type.name().unwrap();
            (rule.message_type.0, name, numbers(rule.must), numbers(rule.may))
        })
        .collect();
    let expected: Vec<_> =
        ROWS.iter().map(|(kind, name, must, may)| (*kind, *name, must.to_vec(), may.to_vec())).collect();
    assert_eq!(found, expected);
}

#[test]
fn avps_are_sent_in_the_order_of_the_sections_behind_the_message_type() {
    for (message, (kind, _, must, may)) in full().iter().zip(ROWS) {
        let mut out = [0; 1000];
        let length = message.encode(1, 2, None, &mut out).unwrap();
        let sent: Vec<_> = Avps::new(&out[12..length]).map(|avp| avp.unwrap().attribute().number).collect();
        let expected: Vec<u16> = [0].iter().chain(must).chain(may).copied().collect();
        assert_eq!(sent, expected, "{message:?}");
        assert_eq!(message.message_type(), Some(MessageType(kind)));
    }
}

#[test]
fn each_is_read_back_with_all_avps_and_with_none_that_may_be_missing() {
    for message in full() {
        let mut out = [0; 1000];
        let length = message.encode(1, 2, None, &mut out).unwrap();
        assert_eq!(Raw(out[..length].to_vec()).clean(), message);
        let kind = message.message_type().unwrap();
        assert_eq!(Raw::minimal(kind).clean().message_type(), Some(kind));
    }
}

#[test]
fn a_missing_avp_is_named() {
    let mut rows = 0;
    for rule in MESSAGES {
        for attribute in rule.must {
            rows += 1;
            let mut raw = Raw::without(rule.message_type, Some(*attribute));
            let failure = raw.decode_with(None, Leniencies::STRICT).unwrap_err();
            let violation = Violation::MissingAvp(*attribute);
            assert_eq!(failure.error, violation.into(), "{}", rule.message_type);
            assert_eq!(failure.message_type, Some(rule.message_type));
            assert_eq!(violation.to_string(), format!("{attribute} is missing"));
        }
    }
    assert_eq!(rows, 29);
}

#[test]
fn avps_may_stand_in_any_order_behind_the_message_type() {
    for message in full() {
        let mut out = [0; 1000];
        let length = message.encode(1, 2, None, &mut out).unwrap();
        let avps: Vec<_> = Avps::new(&out[12..length]).map(Result::unwrap).collect();
        let bits = |avp: &Avp<'_>| if avp.is_mandatory() { 0x8000 } else { 0 };
        let first = Raw::new(message.message_type().unwrap());
        let mut backwards = avps[1..]
            .iter()
            .rev()
            .fold(first, |raw, avp| raw.avp(bits(avp), avp.attribute().number, avp.value));
        assert_eq!(backwards.clean(), message);
    }
}

#[test]
fn the_ids_of_the_header_are_the_receivers() {
    let mut out = [0; 100];
    let length = Message::from(Hello {}).encode(0x1234, 0x5678, None, &mut out).unwrap();
    let header = Header::parse(&out[..length]).unwrap();
    let expected = Header { length: 20, tunnel_id: 0x1234, session_id: 0x5678, ns: 0, nr: 0 };
    assert_eq!(header, expected);
}

#[test]
fn a_message_is_about_the_tunnel_or_about_a_session() {
    for rule in MESSAGES {
        let expected = if rule.message_type.0 <= 6 { Scope::Tunnel } else { Scope::Session };
        assert_eq!(rule.message_type.scope(), expected, "{}", rule.message_type);
    }
    assert_eq!(MessageType(99).scope(), Scope::Tunnel);
}

#[test]
fn every_message_fits_into_the_buffer_that_is_said_to_be_enough() {
    use l2tp_control::auth::Secret;

    let secret = Secret::new(b"s");
    let long = [b'x'; 1010];
    let octets = Octets(&long);
    let iccn = Iccn {
        initial_received_lcp: Some(octets),
        last_sent_lcp: Some(octets),
        last_received_lcp: Some(octets),
        proxy_authen_type: Some(AuthenType::PAP),
        proxy_authen_name: Some(octets),
        proxy_authen_challenge: Some(octets),
        proxy_authen_id: Some(ProxyAuthenId(1)),
        proxy_authen_response: Some(Private(&long)),
        private_group_id: Some(octets),
        rx_connect_speed: Some(Bps(6)),
        sequencing_required: true,
        ..Iccn::new(Bps(1), Framing::SYNC)
    };
    let mut out = vec![0; Message::MAX];
    let hiding = Hiding { secret: &secret, random_vector: &[7; 1017], padding: &[0; 5] };
    let length = Message::from(iccn).encode(0, 0, Some(&hiding), &mut out).unwrap();
    assert!(length > 8 * 1010);
    let longest = MESSAGES.iter().map(|rule| rule.must.len() + rule.may.len()).max().unwrap();
    assert!(Header::LEN + 8 + (1 + longest) * avp::MAX <= Message::MAX);
}
