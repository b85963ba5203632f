//! Tunnel authentication, RFC 2661 §5.1.1. The digests were computed with Python's hashlib.

use l2tp_control::auth::{self, Secret};
use l2tp_control::wire::MessageType;

const CHALLENGE: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
const SCCRP: [u8; 16] = 0xfb00_897b_a632_e720_bd6f_d525_fafc_b984_u128.to_be_bytes();
const SCCCN: [u8; 16] = 0x76a9_2e07_d295_8846_eeb9_6f4a_7a98_c14c_u128.to_be_bytes();
const EMPTY: [u8; 16] = 0x9e68_8c58_a548_7b8e_af69_c9e1_005a_d0bf_u128.to_be_bytes();

#[test]
fn the_response_is_md5_over_message_type_secret_and_challenge() {
    let secret = Secret::new(b"shared secret");
    assert_eq!(auth::response(MessageType::SCCRP, &secret, &CHALLENGE), SCCRP);
    assert_eq!(auth::response(MessageType::SCCCN, &secret, &CHALLENGE), SCCCN);
    assert_eq!(auth::response(MessageType::SCCRP, &Secret::new(b""), b""), EMPTY);
}

#[test]
fn a_response_is_accepted_only_for_its_message_secret_and_challenge() {
    let secret = Secret::new(b"shared secret");
    assert!(auth::verify(MessageType::SCCRP, &secret, &CHALLENGE, &SCCRP));
    assert!(!auth::verify(MessageType::SCCCN, &secret, &CHALLENGE, &SCCRP));
    assert!(!auth::verify(MessageType::SCCRP, &Secret::new(b"shared secres"), &CHALLENGE, &SCCRP));
    assert!(!auth::verify(MessageType::SCCRP, &secret, &CHALLENGE[..15], &SCCRP));
    for bit in 0..128 {
        let mut wrong = SCCRP;
        wrong[bit / 8] ^= 1 << (bit % 8);
        assert!(!auth::verify(MessageType::SCCRP, &secret, &CHALLENGE, &wrong), "bit {bit}");
    }
}

#[test]
fn a_secret_is_not_printed() {
    let text = format!("{:?}", Secret::new(b"hunter2"));
    assert_eq!(text, "Secret");
}
