//! What both sides take for granted: where fields are, that all bytes of a map's value are some field's, and what sums
//! and flows come to.

use std::collections::BTreeSet;
use std::mem::offset_of;

use pppol2tp_bpf::layout::{Counters, FLOWS, HEADERS, PATTERNS, Pattern, Session, Way, flow, fold};
use proptest::prelude::*;

/// The places of these fields, which have to follow each other to the end without a gap.
macro_rules! places {
    ($of:ident { $($field:ident),+ }) => {{
        let $of { $($field),+ } = $of::default();
        let places = [$((offset_of!($of, $field), size_of_val(&$field))),+];
        for pair in places.windows(2) {
            assert_eq!(pair[0].0 + pair[0].1, pair[1].0, "a gap: {places:?}");
        }
        let [first, .., last] = places;
        assert_eq!((first.0, last.0 + last.1), (0, size_of::<$of>()), "a gap: {places:?}");
        places.map(|(place, _)| place)
    }};
}

#[test]
fn a_session_has_no_padding_and_its_fields_where_the_programs_look() {
    let places = places!(Session {
        flags,
        outer,
        inner,
        mark,
        tunnel,
        mtu,
        ip_sum,
        down_sum,
        up_sum,
        peer_port,
        local_port,
        peer,
        local,
        sources,
        headers
    });
    assert_eq!(places, [0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 38, 40, 56, 72, 200]);
    assert_eq!(size_of::<Session>(), 264);
}

#[test]
fn counters_have_no_padding() {
    let places = places!(Counters { rx_packets, rx_bytes, tx_packets, tx_bytes });
    assert_eq!((places, size_of::<Counters>()), ([0, 8, 16, 24], 32));
}

#[test]
fn a_way_has_no_padding() {
    assert_eq!((places!(Way { passed, done }), size_of::<Way>()), ([0, 8], 16));
}

#[test]
fn a_pattern_has_no_padding() {
    assert_eq!((places!(Pattern { mask, value }), size_of::<Pattern>()), ([0, 16], 32));
    assert_eq!(size_of::<[Pattern; PATTERNS]>(), 128);
}

/// The kernel puts an array's values at multiples of eight bytes; the driver counts by their size.
#[test]
fn values_of_arrays_lie_next_to_each_other() {
    assert_eq!([size_of::<Session>() % 8, size_of::<Way>() % 8], [0, 0]);
}

#[test]
fn there_is_room_for_the_longest_headers() {
    // IPv6, UDP, L2TP's shortest, FF 03, PPP's protocol.
    assert_eq!(HEADERS, 40 + 8 + 6 + 2 + 2);
    assert!(HEADERS <= size_of_val(&Session::default().headers));
}

#[test]
fn a_sum_folds_to_16_bits() {
    for (sum, folded) in [
        (0, 0),
        (1, 1),
        (0xffff, 0xffff),
        (0x1_0000, 1),
        (0x1_ffff, 1),
        (0x1234_5678, 0x68ac),
        (0xffff_ffff, 0xffff),
        (0x1_0000_0000, 1),
        (0x0001_ffff_ffff, 1),
        // Each of the four steps is needed: this one carries in all.
        (0xffff_0000_ffff_0001, 1),
        (u64::MAX, 0xffff),
    ] {
        assert_eq!(fold(sum), folded, "{sum:#x}");
    }
}

proptest! {
    /// RFC 1071 §1: a ones' complement sum is one modulo 0xffff, and zero is what no carry leads to.
    #[test]
    fn a_folded_sum_is_the_remainder(sum: u64) {
        prop_assert_eq!(u64::from(fold(sum)) % 0xffff, sum % 0xffff);
        prop_assert_eq!(fold(sum) == 0, sum == 0);
    }

    #[test]
    fn a_flow_is_one_of_them(addresses: u64, ports: u32) {
        prop_assert!(flow(addresses, ports) < FLOWS);
    }
}

/// A pair of addresses, from 10.0.0.1, 10.0.0.2 and so on to one server, as the programs sum them up.
fn from(host: u32) -> u64 {
    let word = |address: u32| u64::from(address.to_be()) + u64::from(0xffff_u32.to_be());
    word(0x0a00_0001 + host) | word(0xc000_0201) << 32
}

/// Two ports.
fn ports(source: u16) -> u32 {
    let ([a, b], [c, d]) = (source.to_be_bytes(), 443_u16.to_be_bytes());
    u32::from_ne_bytes([a, b, c, d])
}

/// How many different ones there are.
fn different(flows: impl Iterator<Item = u32>) -> usize {
    flows.collect::<BTreeSet<_>>().len()
}

/// By chance 1,024 flows would be 906 different ones.
#[test]
fn flows_that_differ_in_little_are_kept_apart() {
    let near = different((0..1024).map(|port| flow(from(0), ports(32768 + port))));
    assert!(near > 850, "ports: {near}");
    let near = different((0..1024).map(|host| flow(from(host), ports(32768))));
    assert!(near > 850, "hosts: {near}");
}

#[test]
fn all_flows_are_used() {
    let used =
        different((0..64).flat_map(|host| (1024..2048).map(move |port| flow(from(host), ports(port)))));
    assert_eq!(used, FLOWS as usize);
}
