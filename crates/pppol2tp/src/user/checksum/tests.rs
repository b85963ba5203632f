use proptest::collection::vec;
use proptest::prelude::*;

use super::super::fuzzing::packet::checksum;
use super::*;

/// The checksum field of `bytes` as a number.
fn fast(bytes: &[u8]) -> u16 {
    u16::from_be_bytes((!fold(sum(bytes))).to_ne_bytes())
}

/// The example of RFC 1071 §3.
#[test]
fn example() {
    let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
    assert_eq!(fast(&bytes), !0xddf2);
    assert_eq!(fold(sum_short(&bytes)), fold(sum(&bytes)));
}

#[test]
fn the_longest_packets_of_the_largest_words_do_not_overflow() {
    for len in [65_534, 65_535, 1 << 20] {
        let bytes = vec![0xff; len];
        assert_eq!(fast(&bytes), checksum(&[&bytes]), "{len}");
    }
}

#[test]
fn fold_takes_every_sum() {
    assert_eq!(fold(0), 0);
    for sum in [
        1,
        0xffff,
        0x1_0000,
        0x1_ffff,
        0xffff_ffff,
        0x1_0000_ffff,
        0xffff_ffff_fffe_0002,
        u64::MAX - 1,
        u64::MAX,
    ] {
        let folded = fold(sum);
        assert_ne!(folded, 0, "{sum:x}");
        assert_eq!(u64::from(folded) % 0xffff, sum % 0xffff, "{sum:x}");
    }
}

proptest! {
    #[test]
    fn as_defined(bytes in vec(any::<u8>(), 0..2000), skip in 0usize..70) {
        let bytes = &bytes[skip.min(bytes.len())..];
        prop_assert_eq!(fast(bytes), checksum(&[bytes]));
        prop_assert_eq!(fold(sum_short(bytes)), fold(sum(bytes)));
    }

    #[test]
    fn pseudo_header_of_ipv4(source: [u8; 4], destination: [u8; 4], payload in vec(any::<u8>(), 0..100)) {
        let addresses = [source, destination].concat();
        let len = payload.len() as u16;
        let all = pseudo_header(&addresses, TCP, len) + sum(&payload);
        let defined = checksum(&[&addresses, &[0, TCP], &len.to_be_bytes(), &payload]);
        prop_assert_eq!((!fold(all)).to_ne_bytes(), defined.to_be_bytes());
    }

    #[test]
    fn pseudo_header_of_ipv6(source: [u8; 16], destination: [u8; 16], payload in vec(any::<u8>(), 0..100)) {
        let addresses = [source, destination].concat();
        let len = payload.len() as u16;
        let all = pseudo_header(&addresses, UDP, len) + sum(&payload);
        let defined = checksum(&[&addresses, &u32::from(len).to_be_bytes(), &[0, 0, 0, UDP], &payload]);
        prop_assert_eq!((!fold(all)).to_ne_bytes(), defined.to_be_bytes());
    }
}
