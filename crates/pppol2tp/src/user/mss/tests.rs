use proptest::collection::vec;
use proptest::prelude::*;

use super::super::fuzzing::packet::{ACK, PSH, Packet};
use super::*;

const TIMESTAMPS: [u8; 10] = [8, 10, 1, 2, 3, 4, 5, 6, 7, 8];
const WHOLE: Header =
    Header { flags: 0, gso_type: 0, hdr_len: 0, gso_size: 0, csum_start: 0, csum_offset: 0 };

/// Options in front of the MSS, the MSS, and what fills the last word.
fn options(before: &[u8], mss: u16) -> Vec<u8> {
    let mut options = [before, &[MSS, MSS_LEN], &mss.to_be_bytes()].concat();
    options.resize(options.len().next_multiple_of(4), END);
    options
}

fn syn(ipv6: bool, before: &[u8], mss: u16) -> Packet {
    Packet { ipv6, flags: SYN, options: options(before, mss), payload: Vec::new(), ..Packet::default() }
}

fn clamped(mut bytes: Vec<u8>, header: &Header, mtu: u16) -> Vec<u8> {
    clamp(&mut bytes, header, || mtu);
    bytes
}

/// The packet with this MSS in its place, its checksum computed anew.
fn with(packet: &Packet, before: &[u8], mss: u16) -> Packet {
    Packet { options: options(before, mss), ..packet.clone() }
}

fn unchanged(bytes: &[u8]) {
    assert_eq!(clamped(bytes.to_vec(), &WHOLE, 500), bytes);
}

#[test]
fn wherever_the_option_stands() {
    for before in [&[][..], &[NOP], &[NOP, NOP], &[4, 2, NOP], &TIMESTAMPS, &[3, 3, 7], &[MSS, 6, 5, 5, 5, 5]]
    {
        for (ipv6, most) in [(false, 1360), (true, 1340)] {
            for flags in [SYN, SYN | ACK, SYN | PSH | 0xc0] {
                let packet = Packet { flags, ..syn(ipv6, before, 1460) };
                let expected = with(&packet, before, most);
                assert_eq!(clamped(packet.build(), &WHOLE, 1400), expected.build(), "{before:?}");
            }
        }
    }
}

#[test]
fn behind_options_and_extension_headers_of_ip() {
    for (ipv6, extra) in [(false, 1), (false, 10), (true, 1), (true, 8)] {
        let packet = Packet { extra, ..syn(ipv6, &[NOP], 9000) };
        let expected = with(&packet, &[NOP], if ipv6 { 1340 } else { 1360 });
        assert_eq!(clamped(packet.build(), &WHOLE, 1400), expected.build());
    }
}

#[test]
fn a_checksum_that_is_left_to_the_device_stays() {
    for ipv6 in [false, true] {
        let packet = syn(ipv6, &[NOP], 9000);
        let (header, bytes) = packet.build_partial(0);
        let (_, expected) = with(&packet, &[NOP], 1400 - if ipv6 { 60 } else { 40 }).build_partial(0);
        assert_eq!(clamped(bytes, &header, 1400), expected);
    }
}

#[test]
fn a_checksum_elsewhere_that_is_left_to_the_device_says_nothing_of_tcps() {
    let (packet, header) =
        (syn(false, &[], 9000), Header { flags: vnet::F_NEEDS_CSUM, csum_start: 40, ..WHOLE });
    assert_eq!(clamped(packet.build(), &header, 1400), with(&packet, &[], 1360).build());
}

#[test]
fn a_segment_size_that_fits_stays() {
    for mss in [0, 1, 536, 1359, 1360] {
        let bytes = syn(false, &[], mss).build();
        assert_eq!(clamped(bytes.clone(), &WHOLE, 1400), bytes);
    }
}

#[test]
fn an_mtu_without_room_leaves_nothing() {
    let packet = syn(true, &[], 1440);
    assert_eq!(clamped(packet.build(), &WHOLE, 59), with(&packet, &[], 0).build());
}

#[test]
fn a_first_fragment_has_the_option_and_others_do_not() {
    let first = Packet { fragment: 0x2000, ..syn(false, &[], 1460) };
    assert_eq!(clamped(first.build(), &WHOLE, 1400), with(&first, &[], 1360).build());
    for fragment in [1, 0x1fff, 0x2001] {
        unchanged(&Packet { fragment, ..first.clone() }.build());
    }
}

/// A SYN behind these extension headers, given by their kind and the bytes behind it.
fn behind(headers: &[(u8, &[u8])]) -> Vec<u8> {
    let plain = syn(true, &[], 1460).build();
    let mut packet = plain[..IPV6].to_vec();
    let mut next = 6;
    for (kind, bytes) in headers {
        packet[next] = *kind;
        next = packet.len();
        packet.push(TCP);
        packet.extend_from_slice(bytes);
    }
    packet.extend_from_slice(&plain[IPV6..]);
    packet
}

#[test]
fn every_extension_header() {
    let changes = |headers: &[(u8, &[u8])]| clamped(behind(headers), &WHOLE, 1400) != behind(headers);
    let longer = [&[1][..], &[0; 14]].concat();
    for kind in [0, 43, 60, 135] {
        assert!(changes(&[(kind, &[0; 7])]), "{kind}");
        assert!(changes(&[(kind, &longer), (kind, &[0; 7])]), "{kind}");
        assert!(!changes(&[(kind, &[1; 7])]), "{kind}: the header ends elsewhere");
        assert!(!changes(&[(kind, &[255; 7])]), "{kind}: it ends behind the packet");
    }
    assert!(changes(&[(44, &[0, 0, 1, 9, 9, 9, 9])]), "the first fragment");
    assert!(!changes(&[(44, &[0, 0, 8, 9, 9, 9, 9])]), "the second");
    assert!(!changes(&[(44, &[0, 1, 0, 9, 9, 9, 9])]), "another");
    assert!(changes(&[(51, &[[1].as_slice(), &[0; 10]].concat())]), "authentication");
    for unknown in [50, 59, 17, 140, 253] {
        assert!(!changes(&[(unknown, &[0; 7])]), "{unknown}");
    }
    assert!(!changes(&[(60, [0; 7].as_slice()); EXTENSIONS + 1]), "too many");
}

#[test]
fn what_is_no_syn_or_has_no_option_stays() {
    let packet = syn(false, &[], 1460);
    unchanged(&Packet { flags: ACK, ..packet.clone() }.build());
    unchanged(&Packet { udp: true, payload: packet.build()[20..].to_vec(), ..packet.clone() }.build());
    unchanged(&Packet { options: vec![NOP; 40], ..packet.clone() }.build());
    unchanged(&Packet { options: Vec::new(), ..packet.clone() }.build());
    // Behind the end of the options, of a length of 0 or 1, cut off by the header's end.
    for options in [
        [END, MSS, MSS_LEN, 0xff, 0xff, 0, 0, 0],
        [8, 0, MSS, MSS_LEN, 0xff, 0xff, 0, 0],
        [8, 1, MSS, MSS_LEN, 0xff, 0xff, 0, 0],
        [NOP, NOP, NOP, NOP, NOP, MSS, MSS_LEN, 0xff],
        [NOP, NOP, NOP, NOP, NOP, NOP, NOP, MSS],
        [MSS, 3, 0xff, MSS, 5, 0xff, 0xff, 0xff],
    ] {
        unchanged(&Packet { options: options.to_vec(), payload: vec![0xff; 4], ..packet.clone() }.build());
    }
    let bytes = packet.build();
    for len in 0..bytes.len() - 1 {
        unchanged(&bytes[..len]);
    }
}

proptest! {
    #[test]
    fn the_checksum_is_what_computing_it_anew_gives(
        ipv6: bool,
        nops in 0..8usize,
        extra in 0..4u8,
        announced: u16,
        mtu: u16,
        (seq, ack, window, ports) in any::<(u32, u32, u16, [u16; 2])>(),
        flags: u8,
        payload in vec(any::<u8>(), 0..40),
    ) {
        let before = vec![NOP; nops];
        let packet = syn(ipv6, &before, announced);
        let packet = Packet { extra, seq, ack, window, ports, flags: flags | SYN, payload, ..packet };
        let most = mtu.saturating_sub(if ipv6 { 60 } else { 40 });
        let expected = with(&packet, &before, announced.min(most));
        prop_assert_eq!(clamped(packet.build(), &WHOLE, mtu), expected.build());
        let (header, partial) = packet.build_partial(0);
        prop_assert_eq!(clamped(partial, &header, mtu), expected.build_partial(0).1);
    }

    #[test]
    fn any_bytes_change_by_an_option_and_a_checksum_at_the_most(
        mut bytes in vec(any::<u8>(), 0..120),
        version in prop::sample::select(vec![0x45, 0x46, 0x60]),
        next in prop::sample::select(vec![TCP, 0, 44, 51, 60]),
        mtu: u16,
        flags: bool,
    ) {
        if let Some(byte) = bytes.first_mut() {
            *byte = version;
        }
        if let Some(byte) = bytes.get_mut(if version == 0x60 { 6 } else { 9 }) {
            *byte = next;
        }
        let header = Header { flags: u8::from(flags), csum_start: 20, csum_offset: 16, ..WHOLE };
        let after = clamped(bytes.clone(), &header, mtu);
        prop_assert_eq!(after.len(), bytes.len());
        prop_assert!(after.iter().zip(&bytes).filter(|(after, before)| after != before).count() <= 4);
    }
}
