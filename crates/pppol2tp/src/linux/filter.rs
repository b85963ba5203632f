//! Which inner addresses a peer may send from, as a filter of its PPP unit.
//!
//! The kernel runs it (PPPIOCSPASS, `CONFIG_PPP_FILTER`) on network packets of both directions, behind four
//! bytes: the first is 0 for those received, the third and fourth are the protocol.
//!
//! ```text
//!       sent?                                        ─► pass
//!       IPv4?   for each prefix of IPv4: source in it ─► pass    else drop
//!       IPv6?   for each prefix of IPv6: source in it ─► pass    else drop
//!       other                                        ─► drop
//! ```

use std::net::{IpAddr, Ipv6Addr};

use libc::sock_filter;

use super::unit::{IP, IPV6};
use crate::Prefix;

// Operations of linux/filter.h.
const LOAD_BYTE: u16 = 0x30;
const LOAD_HALF: u16 = 0x28;
const LOAD_WORD: u16 = 0x20;
const AND: u16 = 0x54;
const GO: u16 = 0x05;
const GO_IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
const PASS: u32 = u32::MAX;
const DROP: u32 = 0;

const DIRECTION: u32 = 0;
const PROTOCOL: u32 = 2;
/// Where the source address stands.
const SOURCE: u32 = 4 + 12;
const SOURCE_IPV6: u32 = 4 + 8;

/// The program that drops what is received from elsewhere; `::` and IPv6 link-local addresses are always good.
pub(super) fn program(sources: &[Prefix]) -> Vec<sock_filter> {
    let link_local = Prefix { address: Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0).into(), len: 10 };
    let good = [Prefix::host(Ipv6Addr::UNSPECIFIED.into()), link_local];
    let of = |ipv4| sources.iter().chain(&good).filter(move |prefix| prefix.address.is_ipv4() == ipv4);
    let mut program = vec![go(LOAD_BYTE, DIRECTION), if_equal(0, 1, 0), go(RETURN, PASS)];
    for (protocol, ipv4) in [(IP, true), (IPV6, false)] {
        let mut tests: Vec<_> = of(ipv4).flat_map(|prefix| within(*prefix)).collect();
        tests.push(go(RETURN, DROP));
        // Another protocol goes on behind them; how far a jump under a condition goes is a byte.
        program.extend([
            go(LOAD_HALF, PROTOCOL),
            if_equal(protocol.into(), 1, 0),
            go(GO, tests.len() as u32),
        ]);
        program.append(&mut tests);
    }
    program.push(go(RETURN, DROP));
    program
}

fn go(code: u16, k: u32) -> sock_filter {
    sock_filter { code, jt: 0, jf: 0, k }
}

/// Skips as many instructions: if the value loaded is `k`, or else.
fn if_equal(k: u32, equal: u8, other: u8) -> sock_filter {
    sock_filter { code: GO_IF_EQUAL, jt: equal, jf: other, k }
}

/// Passes a packet whose source is in the prefix, and goes on behind itself with others.
fn within(prefix: Prefix) -> Vec<sock_filter> {
    let (at, words) = match prefix.network().address {
        IpAddr::V4(ip) => (SOURCE, vec![ip.to_bits()]),
        IpAddr::V6(ip) => (SOURCE_IPV6, (0..4).map(|n| (ip.to_bits() >> (96 - 32 * n)) as u32).collect()),
    };
    let mask =
        |n: u32| u32::MAX.checked_shl(32 - u32::from(prefix.len).saturating_sub(32 * n).min(32)).unwrap_or(0);
    let words: Vec<_> = (0..).zip(words).filter(|(n, _)| mask(*n) != 0).collect();
    let mut tests = Vec::new();
    for (left, (n, word)) in (1..=words.len()).rev().zip(words) {
        // To the next prefix: over the tests of the words left, and the end.
        let skip = 3 * (left as u8 - 1) + 1;
        tests.extend([go(LOAD_WORD, at + 4 * n), go(AND, mask(n)), if_equal(word, 0, skip)]);
    }
    tests.push(go(RETURN, PASS));
    tests
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel does with a program.
    fn run(program: &[sock_filter], packet: &[u8]) -> bool {
        let (mut at, mut value) = (0, 0u32);
        loop {
            let sock_filter { code, jt, jf, k } = program[at];
            let bytes = |len| {
                let bytes: &[u8] = &packet[k as usize..][..len];
                bytes.iter().fold(0, |value, byte| value << 8 | u32::from(*byte))
            };
            at += 1;
            match code {
                LOAD_BYTE => value = bytes(1),
                LOAD_HALF => value = bytes(2),
                LOAD_WORD => value = bytes(4),
                AND => value &= k,
                GO => at += k as usize,
                GO_IF_EQUAL => at += usize::from(if value == k { jt } else { jf }),
                RETURN => return k != DROP,
                other => panic!("{other}"),
            }
        }
    }

    fn passes(sources: &[Prefix], sent: u8, source: &str) -> bool {
        let mut packet = vec![0; 60];
        packet[0] = sent;
        match source.parse().expect("an address") {
            IpAddr::V4(ip) => {
                packet[3] = 0x21;
                packet[16..20].copy_from_slice(&ip.octets());
            }
            IpAddr::V6(ip) => {
                packet[3] = 0x57;
                packet[12..28].copy_from_slice(&ip.octets());
            }
        }
        run(&program(sources), &packet)
    }

    #[test]
    fn only_what_comes_from_the_sources_passes() {
        let prefix = |address: &str, len| Prefix { address: address.parse().expect("an address"), len };
        let sources = [
            prefix("10.0.0.2", 32),
            prefix("192.0.2.77", 24),
            prefix("2001:db8:1::", 48),
            prefix("2001:db8:2::1", 128),
        ];
        for (source, good) in [
            ("10.0.0.2", true),
            ("10.0.0.3", false),
            ("192.0.2.1", true),
            ("192.0.3.1", false),
            ("0.0.0.0", false),
            ("2001:db8:1:ffff::1", true),
            ("2001:db8:2::1", true),
            ("2001:db8:2::2", false),
            ("2001:db8:3::1", false),
            ("::", true),
            ("::1", false),
            ("fe80::1", true),
            ("febf::1", true),
            ("fec0::1", false),
        ] {
            assert_eq!(passes(&sources, 0, source), good, "{source}");
            assert!(passes(&sources, 1, source), "sent from {source}");
        }
        assert!(passes(&[prefix("0.0.0.0", 0)], 0, "10.0.0.3"));
        assert!(passes(&[prefix("::", 0)], 0, "2001:db8::1"));
        assert!(!passes(&[prefix("::", 0)], 0, "10.0.0.3"));
    }

    #[test]
    fn of_many_sources_the_last_one_passes() {
        let address = |n: u32| IpAddr::from((0x0a00_0000 + n).to_be_bytes());
        let sources: Vec<_> = (0..300).map(|n| Prefix::host(address(n))).collect();
        assert!(passes(&sources, 0, "10.0.1.43") && !passes(&sources, 0, "10.0.1.44"));
        assert!(passes(&sources, 0, "fe80::1"));
    }

    #[test]
    fn other_protocols_pass_only_when_sent() {
        for [high, low] in [[0, 0x2b], [0, 0x29], [2, 0x81], [2, 0x83]] {
            for (sent, passes) in [(0, false), (1, true)] {
                let mut packet = [0; 60];
                packet[..4].copy_from_slice(&[sent, 0, high, low]);
                assert_eq!(run(&program(&[Prefix::host([10, 0, 0, 1].into())]), &packet), passes);
            }
        }
    }
}
