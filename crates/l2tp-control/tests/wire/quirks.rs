//! What real peers send, by name.

use l2tp_control::auth::{self, Secret};
use l2tp_control::error::{Malformed, Violation};
use l2tp_control::wire::*;
use l2tp_data::id::TunnelId;

use super::raw::{M, O, Raw};

#[test]
fn windows_sends_vendor_microsoft_and_a_window_of_8() {
    let mut raw = Raw::new(MessageType::SCCRQ)
        .avp(M, 2, &[1, 0])
        .avp(M, 3, &[0, 0, 0, 1])
        .avp(M, 4, &[0, 0, 0, 0])
        .avp(O, 6, &[0x0a, 0])
        .avp(M, 7, b"DESKTOP-1")
        .avp(O, 8, b"Microsoft")
        .avp(M, 9, &[0, 1])
        .avp(M, 10, &[0, 8]);
    let Message::Sccrq(sccrq) = raw.clean() else { panic!() };
    assert_eq!(sccrq.vendor_name, Some("Microsoft".into()));
    assert_eq!((sccrq.firmware_revision, sccrq.receive_window_size), (Some(0x0a00), Some(8)));
    assert_eq!(sccrq.bearer_capabilities, Some(Bearer::NONE));
}

#[test]
fn windows_98_sets_the_m_bit_of_physical_channel_id() {
    let mut raw = Raw::minimal(MessageType::ICRQ).avp(M, 25, &[0, 0, 0, 0]);
    let Message::Icrq(icrq) = raw.forgiven(Leniencies::MANDATORY_BIT) else { panic!() };
    assert_eq!(icrq.physical_channel_id, Some(0));
}

#[test]
fn apple_sends_result_codes_in_little_endian() {
    for (sent, result) in [([1, 0], CdnResult::CARRIER_LOST), ([3, 0], CdnResult::ADMINISTRATIVE)] {
        let mut raw = Raw::without(MessageType::CDN, Some(Attribute::RESULT_CODE)).avp(M, 1, &sent);
        let Message::Cdn(cdn) = raw.forgiven(Leniencies::SWAPPED_RESULT) else { panic!() };
        assert_eq!(cdn.result_code.result, result);
    }
}

#[test]
fn android_mtpd_is_anonymous_has_a_window_of_1_and_no_bearer_capabilities() {
    let mut raw = Raw::new(MessageType::SCCRQ)
        .avp(M, 2, &[1, 0])
        .avp(M, 7, b"anonymous")
        .avp(M, 3, &[0, 0, 0, 3])
        .avp(M, 9, &[0xbe, 0xef])
        .avp(M, 10, &[0, 1]);
    let Message::Sccrq(sccrq) = raw.clean() else { panic!() };
    assert_eq!((&*sccrq.host_name, sccrq.receive_window_size), (&b"anonymous"[..], Some(1)));
    assert_eq!(sccrq.bearer_capabilities, None);
}

#[test]
fn android_and_mikrotik_send_result_codes_without_error_code() {
    let mut raw = Raw::new(MessageType::CDN).avp(M, 1, &[0, 3]).avp(M, 14, &[0, 9]);
    let Message::Cdn(cdn) = raw.clean() else { panic!() };
    assert_eq!((cdn.result_code.result, cdn.result_code.error), (CdnResult::ADMINISTRATIVE, None));
    let mut raw = Raw::new(MessageType::STOPCCN).avp(M, 9, &[0, 9]).avp(M, 1, &[0, 6, 0, 0, 0, 0, 0, 0]);
    let Message::StopCcn(stop) = raw.clean() else { panic!() };
    assert_eq!(stop.result_code.result, StopResult::SHUTTING_DOWN);
    assert_eq!(stop.result_code.to_string(), "StopCCN 6: the requester is being shut down");
}

#[test]
fn cisco_sends_six_bytes_behind_the_challenge_response() {
    let secret = Secret::new(b"cisco");
    let mut value = auth::response(MessageType::SCCCN, &secret, b"challenge").to_vec();
    value.extend([0xde, 0xad, 0xbe, 0xef, 0, 0]);
    let mut raw = Raw::new(MessageType::SCCCN).avp(M, 13, &value);
    let Message::Scccn(scccn) = raw.forgiven(Leniencies::LONG_VALUE) else { panic!() };
    let received = scccn.challenge_response.unwrap();
    assert!(auth::verify(MessageType::SCCCN, &secret, b"challenge", &received));

    let mut raw =
        Raw::new(MessageType::SCCCN).avp(M, 13, &value[..16]).trailing(&[0xde, 0xad, 0xbe, 0xef, 0, 0]);
    raw.forgiven(Leniencies::TRAILING_BYTES);
    let mut raw = Raw::new(MessageType::SCCCN).avp(M, 13, &value[..16]).junk(&[0; 6]);
    raw.forgiven(Leniencies::PADDING);
}

#[test]
fn cisco_may_leave_out_speed_and_framing() {
    let mut raw = Raw::new(MessageType::ICCN);
    let Message::Iccn(iccn) = raw.forgiven(Leniencies::MISSING_SPEED) else { panic!() };
    assert_eq!((iccn.tx_connect_speed, iccn.framing_type), (Bps(0), Framing::NONE));
}

#[test]
fn cisco_as5300_sends_speeds_in_ascii() {
    let mut raw =
        Raw::new(MessageType::ICCN).avp(M, 24, b"64000").avp(M, 19, &[0, 0, 0, 1]).avp(O, 38, b"33600");
    let Message::Iccn(iccn) = raw.forgiven(Leniencies::ASCII_SPEED) else { panic!() };
    assert_eq!((iccn.tx_connect_speed, iccn.rx_connect_speed), (Bps(64000), Some(Bps(33600))));
}

#[test]
fn an_optional_speed_of_two_bytes_is_ignored() {
    let mut raw = Raw::minimal(MessageType::ICCN).avp(O, 38, &[0xfa, 0]);
    let body = raw.strict().unwrap();
    let attribute = Attribute::RX_CONNECT_SPEED;
    assert_eq!(body.fault, Some(Violation::AvpLength { attribute, length: 2 }));
    assert!(matches!(body.message, Message::Iccn(Iccn { rx_connect_speed: None, .. })));
}

#[test]
fn juniper_sends_vendor_avps_and_the_disconnect_cause() {
    let mut raw =
        Raw::minimal(MessageType::ICRQ).vendor(O, 3561, 1, b"atm 1/0:1.32").vendor(O, 3561, 2, b"cpe");
    let body = raw.liberal().unwrap();
    assert_eq!(body.others().filter(|avp| avp.attribute().vendor == 3561).count(), 2);
    let mut raw = Raw::minimal(MessageType::CDN).avp(O, 46, &[0, 3, 0xc0, 0x21, 1]);
    let Message::Cdn(cdn) = raw.clean() else { panic!() };
    let cause = cdn.disconnect_cause.unwrap();
    assert_eq!((cause.code, cause.direction), (CauseCode::NORMAL, Direction::PEER));
}

#[test]
fn mpd5_sends_more_avps_in_scccn_than_belong_there() {
    let mut raw = Raw::new(MessageType::SCCCN).avp(M, 13, &[1; 16]).avp(M, 2, &[1, 0]).avp(M, 7, b"mpd");
    let Message::Scccn(scccn) = raw.forgiven(Leniencies::MISPLACED_AVP) else { panic!() };
    assert_eq!(scccn.challenge_response, Some([1; 16]));
}

#[test]
fn huawei_sends_wrong_m_bits_in_an_order_of_its_own() {
    let mut raw = Raw::new(MessageType::SCCRP)
        .avp(O, 9, &[0, 5])
        .avp(M, 8, b"Huawei")
        .avp(O, 7, b"quidway")
        .avp(O, 3, &[0, 0, 0, 3])
        .avp(O, 2, &[1, 0]);
    let Message::Sccrp(sccrp) = raw.forgiven(Leniencies::MANDATORY_BIT) else { panic!() };
    assert_eq!(sccrp.assigned_tunnel_id, TunnelId::new(5).unwrap());
    assert_eq!(sccrp.vendor_name, Some("Huawei".into()));
}

#[test]
fn h3c_is_spared_the_avps_it_dislikes() {
    let sccrq = Sccrq::new(ProtocolVersion::V1_0, "lac".into(), Framing::SYNC, TunnelId::new(1).unwrap());
    let mut out = [0; 200];
    let length = Message::from(sccrq).encode(0, 0, None, &mut out).unwrap();
    let sent: Vec<_> = Avps::new(&out[12..length]).map(|avp| avp.unwrap().attribute().number).collect();
    assert_eq!(sent, [0, 2, 7, 3, 9]);
}

#[test]
fn xl2tpd_sends_an_ocrq_without_all_of_its_avps() {
    let mut raw = Raw::new(MessageType::OCRQ).avp(M, 14, &[0, 9]).avp(M, 15, &[0, 0, 0, 1]);
    assert_eq!(raw.error(), Violation::MissingAvp(Attribute::MINIMUM_BPS).into());
}

#[test]
fn l2f_and_other_junk_on_the_port_is_no_message() {
    let rows: [(&[u8], Malformed); 3] = [
        (&[0xe0, 0x01, 1, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0], Malformed::Version(1)),
        (b"\xc8\x03\0\x14\0\0\0\0\0\0\0\0\x80\x08\0\0\0\0\0\x01", Malformed::Version(3)),
        (b"\x16\xfe\xff\0\0\0\0\0\0\0\0\0", Malformed::Version(0xe)),
    ];
    for (datagram, error) in rows {
        assert_eq!(Header::parse(datagram), Err(error));
    }
}
