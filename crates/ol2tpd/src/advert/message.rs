//! Router Solicitations and Advertisements (RFC 4861 §4.1, §4.2, RFC 8106 §5.1). The kernel fills in and
//! checks the checksums.

use std::net::Ipv6Addr;

use pppol2tp::Prefix;

pub(super) const SOLICITATION: u8 = 133;
pub(super) const ADVERTISEMENT: u8 = 134;
/// Of an advertisement; a solicitation's has 8 bytes.
const HEADER: usize = 16;

// Options, and the unit of their lengths in bytes.
const SOURCE_LINK_LAYER_ADDRESS: u8 = 1;
const PREFIX_INFORMATION: u8 = 3;
const MTU: u8 = 5;
const RECURSIVE_DNS_SERVER: u8 = 25;
const UNIT: usize = 8;

// Flags.
const MANAGED: u8 = 0x80;
const OTHER: u8 = 0x40;
const ON_LINK: u8 = 0x80;
const AUTONOMOUS: u8 = 0x40;

/// Hop limit of what has not been forwarded.
pub(super) const HOP_LIMIT: u8 = 255;
/// The most options that are looked at, so that a packet of the longest kind costs little.
const OPTIONS: usize = 64;

/// A Router Advertisement. Times are in seconds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Advertisement {
    /// The hop limit that hosts take; 0: none is said.
    pub hop_limit: u8,
    /// Addresses come by DHCPv6.
    pub managed: bool,
    /// Other things come by DHCPv6.
    pub other: bool,
    /// How long this is a default router; 0: it is none.
    pub router_lifetime: u16,
    /// Prefixes.
    pub prefixes: Vec<PrefixInformation>,
    /// The link's MTU in bytes.
    pub mtu: Option<u32>,
    /// Resolvers.
    pub dns: Vec<Resolvers>,
}

/// Resolvers of an advertisement that are good for the same time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Resolvers {
    /// Their addresses; 127 at the most are sent.
    pub servers: Vec<Ipv6Addr>,
    /// How long they are good; `u32::MAX`: for ever.
    pub lifetime: u32,
}

/// A prefix of an advertisement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PrefixInformation {
    /// Its first address.
    pub prefix: Ipv6Addr,
    /// Its length in bits.
    pub len: u8,
    /// Whether all its addresses are on this link.
    pub on_link: bool,
    /// Whether hosts make themselves addresses of it.
    pub autonomous: bool,
    /// How long it is valid; `u32::MAX`: for ever.
    pub valid: u32,
    /// How long its addresses are preferred.
    pub preferred: u32,
}

impl Advertisement {
    /// What a session is told of its prefix (an IPv6 one; any other is left out), with RFC 4861's defaults.
    pub fn new(prefix: Option<Prefix>, mtu: Option<u16>, dns: &[Ipv6Addr]) -> Self {
        let information = |prefix: Prefix| match prefix.network().address {
            std::net::IpAddr::V6(address) => Some(PrefixInformation {
                prefix: address,
                len: prefix.len,
                on_link: false,
                autonomous: true,
                valid: 2_592_000,
                preferred: 604_800,
            }),
            std::net::IpAddr::V4(_) => None,
        };
        Self {
            hop_limit: 64,
            managed: false,
            other: false,
            router_lifetime: 1800,
            prefixes: prefix.and_then(information).into_iter().collect(),
            mtu: mtu.map(u32::from),
            dns: if dns.is_empty() {
                Vec::new()
            } else {
                vec![Resolvers { servers: dns.into(), lifetime: 1800 }]
            },
        }
    }

    /// The last one: nothing of it is good any more.
    pub fn last(&self) -> Self {
        let ended = |prefix: &PrefixInformation| PrefixInformation { valid: 0, preferred: 0, ..*prefix };
        let prefixes = self.prefixes.iter().map(ended).collect();
        let dns = self.dns.iter().map(|dns| Resolvers { lifetime: 0, ..dns.clone() }).collect();
        Self { router_lifetime: 0, prefixes, dns, ..*self }
    }

    /// Its bytes, the checksum zero.
    pub fn build(&self) -> Vec<u8> {
        let flags = if self.managed { MANAGED } else { 0 } | if self.other { OTHER } else { 0 };
        let mut bytes = vec![ADVERTISEMENT, 0, 0, 0, self.hop_limit, flags];
        bytes.extend(self.router_lifetime.to_be_bytes());
        // Reachable and retransmission times: not said.
        bytes.extend([0; 8]);
        for prefix in &self.prefixes {
            let on_link = if prefix.on_link { ON_LINK } else { 0 };
            let autonomous = if prefix.autonomous { AUTONOMOUS } else { 0 };
            bytes.extend([PREFIX_INFORMATION, 4, prefix.len, on_link | autonomous]);
            bytes.extend(prefix.valid.to_be_bytes());
            bytes.extend(prefix.preferred.to_be_bytes());
            bytes.extend([0; 4]);
            bytes.extend(prefix.prefix.octets());
        }
        if let Some(mtu) = self.mtu {
            bytes.extend([MTU, 1, 0, 0]);
            bytes.extend(mtu.to_be_bytes());
        }
        for Resolvers { servers, lifetime } in &self.dns {
            let servers = &servers[..servers.len().min(127)];
            bytes.extend([RECURSIVE_DNS_SERVER, 1 + 2 * servers.len() as u8, 0, 0]);
            bytes.extend(lifetime.to_be_bytes());
            bytes.extend(servers.iter().flat_map(Ipv6Addr::octets));
        }
        bytes
    }

    /// Reads one (§6.1.2); unknown options are passed over. `None` if it is none or must be ignored.
    pub fn parse(bytes: &[u8], source: Ipv6Addr, hop_limit: u8) -> Option<Self> {
        if bytes.len() < HEADER || bytes[..2] != [ADVERTISEMENT, 0] {
            return None;
        }
        if hop_limit != HOP_LIMIT || !source.is_unicast_link_local() {
            return None;
        }
        let mut advertisement = Self {
            hop_limit: bytes[4],
            managed: bytes[5] & MANAGED != 0,
            other: bytes[5] & OTHER != 0,
            router_lifetime: u16::from_be_bytes([bytes[6], bytes[7]]),
            prefixes: Vec::new(),
            mtu: None,
            dns: Vec::new(),
        };
        for option in options(&bytes[HEADER..])? {
            match (option[0], option.len()) {
                (PREFIX_INFORMATION, 32) => advertisement.prefixes.push(PrefixInformation {
                    prefix: address(&option[16..]),
                    len: option[2].min(128),
                    on_link: option[3] & ON_LINK != 0,
                    autonomous: option[3] & AUTONOMOUS != 0,
                    valid: number(&option[4..]),
                    preferred: number(&option[8..]),
                }),
                (MTU, 8) => advertisement.mtu = Some(number(&option[4..])),
                (RECURSIVE_DNS_SERVER, 24..) => advertisement.dns.push(Resolvers {
                    servers: option[8..].chunks_exact(16).map(address).collect(),
                    lifetime: number(&option[4..]),
                }),
                _ => {}
            }
        }
        Some(advertisement)
    }
}

/// A Router Solicitation, the checksum zero; without our link-layer address, for PPP has none.
pub(super) const fn solicitation() -> [u8; 8] {
    [SOLICITATION, 0, 0, 0, 0, 0, 0, 0]
}

/// Whether this is a Router Solicitation that must not be ignored (§6.1.1).
pub fn is_solicitation(bytes: &[u8], source: Ipv6Addr, hop_limit: u8) -> bool {
    let header = bytes.len() >= 8 && bytes[..2] == [SOLICITATION, 0] && hop_limit == HOP_LIMIT;
    header
        && options(&bytes[8..]).is_some_and(|mut options| {
            !source.is_unspecified() || options.all(|option| option[0] != SOURCE_LINK_LAYER_ADDRESS)
        })
}

/// The options, each with its two bytes of type and length; `None` if a length is wrong.
fn options(mut bytes: &[u8]) -> Option<impl Iterator<Item = &[u8]>> {
    let mut options = Vec::new();
    while !bytes.is_empty() && options.len() < OPTIONS {
        let len = usize::from(*bytes.get(1)?) * UNIT;
        if len == 0 {
            return None;
        }
        let (option, rest) = bytes.split_at_checked(len)?;
        options.push(option);
        bytes = rest;
    }
    Some(options.into_iter())
}

fn number(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

fn address(bytes: &[u8]) -> Ipv6Addr {
    bytes.first_chunk::<16>().map_or(Ipv6Addr::UNSPECIFIED, |bytes| Ipv6Addr::from(*bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

    fn sample() -> Advertisement {
        let prefix = Prefix { address: "2001:db8:0:5::7".parse().unwrap(), len: 64 };
        Advertisement::new(Some(prefix), Some(1400), &["2001:db8::53".parse().unwrap()])
    }

    #[test]
    fn bytes_as_in_rfc_4861() {
        let expected = [
            "86 00 0000 40 00 0708 00000000 00000000",
            "03 04 40 40 00278d00 00093a80 00000000 20010db8000000050000000000000000",
            "05 01 0000 00000578",
            "19 03 0000 00000708 20010db8000000000000000000000053",
        ];
        let hex: String = sample().build().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, expected.concat().replace(' ', ""));
    }

    #[test]
    fn the_last_one_takes_everything_back() {
        let last = sample().last();
        assert_eq!((last.router_lifetime, last.dns[0].lifetime), (0, 0));
        assert_eq!((last.prefixes[0].valid, last.prefixes[0].preferred), (0, 0));
        assert_eq!(last.prefixes[0].prefix, sample().prefixes[0].prefix);
    }

    #[test]
    fn an_advertisement_that_must_be_ignored() {
        let bytes = sample().build();
        let changed = |at: usize, byte: u8| {
            let mut bytes = bytes.clone();
            bytes[at] = byte;
            bytes
        };
        assert_eq!(Advertisement::parse(&bytes, ROUTER, 255), Some(sample()));
        assert_eq!(Advertisement::parse(&bytes, ROUTER, 254), None);
        assert_eq!(Advertisement::parse(&bytes, "2001:db8::1".parse().unwrap(), 255), None);
        assert_eq!(Advertisement::parse(&bytes[..15], ROUTER, 255), None);
        assert_eq!(Advertisement::parse(&changed(0, 133), ROUTER, 255), None);
        assert_eq!(Advertisement::parse(&changed(1, 1), ROUTER, 255), None, "a code");
        assert_eq!(Advertisement::parse(&changed(17, 0), ROUTER, 255), None, "an option of length 0");
        assert_eq!(
            Advertisement::parse(&changed(17, 200), ROUTER, 255),
            None,
            "a longer one than the packet"
        );
    }

    #[test]
    fn one_that_is_cut_short_has_what_is_left_or_is_none() {
        let bytes = sample().build();
        // Behind the header, the prefix, the MTU and the resolvers.
        let whole =
            [(16, (0, None, 0)), (48, (1, None, 0)), (56, (1, Some(1400), 0)), (80, (1, Some(1400), 1))];
        for len in 0..=bytes.len() {
            let read = Advertisement::parse(&bytes[..len], ROUTER, 255);
            let parts = read.map(|read| (read.prefixes.len(), read.mtu, read.dns.len()));
            assert_eq!(parts, whole.iter().find(|(end, _)| *end == len).map(|(_, parts)| *parts), "{len}");
        }
    }

    #[test]
    fn each_option_of_resolvers_has_its_own_time() {
        let dns = [(&["2001:db8::53", "2001:db8::54"][..], 1800), (&["2001:db8::55"], 0)];
        let dns = dns.map(|(servers, lifetime)| Resolvers {
            servers: servers.iter().map(|server| server.parse().unwrap()).collect(),
            lifetime,
        });
        let told = Advertisement { dns: dns.into(), ..sample() };
        assert_eq!(Advertisement::parse(&told.build(), ROUTER, 255), Some(told));
    }

    #[test]
    fn options_of_another_length_than_theirs_are_passed_over() {
        for option in
            [&[3, 1, 64, 0x40, 0, 0, 0, 9][..], &[5, 2, 0, 0, 0, 0, 5, 0], &[25, 1, 0, 0, 0, 0, 0, 9]]
        {
            let mut bytes = Advertisement { prefixes: vec![], mtu: None, dns: vec![], ..sample() }.build();
            bytes.extend(option);
            bytes.resize(HEADER + usize::from(option[1]) * UNIT, 0);
            let read = Advertisement::parse(&bytes, ROUTER, 255).unwrap();
            assert_eq!((read.prefixes.len(), read.mtu, read.dns.len()), (0, None, 0), "{option:?}");
        }
    }

    #[test]
    fn a_solicitation_that_must_be_ignored() {
        assert!(is_solicitation(&solicitation(), ROUTER, 255));
        let plain = [133, 0, 0, 0, 0, 0, 0, 0];
        let with_address = [133, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 0, 0, 0, 0, 7];
        let host = ROUTER;
        assert!(is_solicitation(&plain, host, 255));
        assert!(is_solicitation(&plain, Ipv6Addr::UNSPECIFIED, 255));
        assert!(is_solicitation(&with_address, host, 255));
        assert!(!is_solicitation(&with_address, Ipv6Addr::UNSPECIFIED, 255));
        assert!(!is_solicitation(&plain, host, 64));
        assert!(!is_solicitation(&plain[..7], host, 255));
        assert!(!is_solicitation(&[133, 1, 0, 0, 0, 0, 0, 0], host, 255));
        assert!(!is_solicitation(&[134, 0, 0, 0, 0, 0, 0, 0], host, 255));
        assert!(!is_solicitation(&[133, 0, 0, 0, 0, 0, 0, 0, 1, 0], host, 255));
        assert!(!is_solicitation(&[133, 0, 0, 0, 0, 0, 0, 0, 1], host, 255));
    }

    proptest! {
        #[test]
        fn anything_is_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut bytes = bytes;
            let _ = is_solicitation(&bytes, ROUTER, 255);
            if bytes.len() > 1 {
                bytes[..2].copy_from_slice(&[ADVERTISEMENT, 0]);
            }
            let _ = Advertisement::parse(&bytes, ROUTER, 255);
        }

        #[test]
        fn what_is_built_is_read(
            hop_limit: u8, managed: bool, other: bool, router_lifetime: u16,
            prefixes in prop::collection::vec((any::<u128>(), 0..=128u8, any::<(bool, bool, u32, u32)>()), 0..4),
            mtu: Option<u32>,
            dns in prop::collection::vec((prop::collection::vec(any::<u128>(), 1..4), any::<u32>()), 0..3),
        ) {
            let prefixes = prefixes.into_iter().map(|(prefix, len, (on_link, autonomous, valid, preferred))| {
                PrefixInformation { prefix: prefix.into(), len, on_link, autonomous, valid, preferred }
            });
            let dns = dns.into_iter().map(|(servers, lifetime)| {
                Resolvers { servers: servers.into_iter().map(Ipv6Addr::from).collect(), lifetime }
            });
            let advertisement = Advertisement {
                hop_limit, managed, other, router_lifetime, prefixes: prefixes.collect(), mtu,
                dns: dns.collect(),
            };
            prop_assert_eq!(Advertisement::parse(&advertisement.build(), ROUTER, 255), Some(advertisement));
        }
    }
}
