//! Inner source addresses that a session may use on an interface of its own.

mod common;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV4};

use common::{Bed, in_netns, ipv4};
use pppol2tp::{Prefix, UnitConfig};

/// An IPv4 or IPv6 packet from this address, in a PPP frame.
fn frame(from: IpAddr) -> Vec<u8> {
    let (protocol, packet) = match from {
        IpAddr::V4(from) => {
            let to = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), 9);
            (0x21, ipv4(SocketAddrV4::new(from, 9), to, b"hello"))
        }
        IpAddr::V6(from) => {
            // No payload, no next header.
            let to: Ipv6Addr = "2001:db8::1".parse().expect("an address");
            (0x57, [&[0x60, 0, 0, 0, 0, 0, 59, 64][..], &from.octets(), &to.octets()].concat())
        }
    };
    [&[0xff, 3, 0, protocol][..], &packet].concat()
}

/// Which of these sources are taken for forged.
fn forged<'a>(sources: &[Prefix], from: &[&'a str]) -> Vec<&'a str> {
    let bed = Bed::new(common::config());
    let config = UnitConfig { sources: sources.to_vec(), ..UnitConfig::default() };
    let unit = bed.session.unit(config).expect("a unit");
    unit.set_up(true).expect("up");
    let forged = from.iter().filter(|from| {
        let count =
            || bed.counters().iter().find(|(name, _)| *name == "rx_spoofed").map_or(0, |found| found.1);
        let before = count();
        bed.arrives(&frame(from.parse().expect("an address")));
        count() > before
    });
    let forged = forged.copied().collect();
    let all = from.len() as u64;
    let counters = bed.counters();
    assert!(counters.contains(&("rx_packets", all)), "a forged packet is a packet: {counters:?}");
    assert!(counters.iter().all(|(name, _)| *name != "rx_interface"), "{counters:?}");
    forged
}

const FROM: [&str; 9] = [
    "10.0.0.2",
    "10.0.0.3",
    "0.0.0.0",
    "192.0.2.77",
    "2001:db8:7::5",
    "2001:db8:8::5",
    "fe80::1",
    "febf::1",
    "::",
];

#[test]
fn netns_of_its_own_addresses_all_else_is_dropped() {
    in_netns(|| {
        let prefix = |address: &str, len| Prefix { address: address.parse().expect("an address"), len };
        let sources = [prefix("10.0.0.2", 32), prefix("192.0.2.64", 26), prefix("2001:db8:7::", 64)];
        assert_eq!(forged(&sources, &FROM), ["10.0.0.3", "0.0.0.0", "2001:db8:8::5"]);
        assert_eq!(forged(&sources[..1], &["10.0.0.2", "2001:db8:7::5", "fe80::1"]), ["2001:db8:7::5"]);
    });
}

#[test]
fn netns_without_addresses_anything_may_come() {
    in_netns(|| assert_eq!(forged(&[], &FROM), [""; 0]));
}
