use super::*;

const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 1, 2, 3, 4);
const DAY: u32 = 86_400;

fn at(milliseconds: u64) -> Instant {
    Instant::from_micros(1_000_000 + milliseconds * 1000)
}

fn seconds(seconds: u64) -> Instant {
    at(seconds * 1000)
}

/// The prefix 2001:db8:0:n::/64.
fn prefix(n: u16) -> PrefixInformation {
    PrefixInformation {
        prefix: Ipv6Addr::new(0x2001, 0xdb8, 0, n, 0, 0, 0, 0),
        len: 64,
        on_link: true,
        autonomous: true,
        valid: DAY,
        preferred: DAY,
    }
}

fn address(n: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, n, 1, 2, 3, 4)
}

fn host() -> Host {
    Host::new(at(0), LINK_LOCAL)
}

fn take(host: &mut Host, now: Instant, prefixes: &[PrefixInformation]) -> Vec<Lifetimes> {
    host.take(now, prefixes, |_| true)
}

/// When solicitations are sent, the first failing so often.
fn solicits(failing: usize) -> Vec<Instant> {
    let (mut host, mut tries, mut sent) = (host(), 0, Vec::new());
    while let Some(now) = host.poll_timeout() {
        assert!(tries < 1000);
        host.handle_timeout(now, || {
            tries += 1;
            if tries <= failing {
                return Err(io::ErrorKind::AddrNotAvailable.into());
            }
            sent.push(now);
            Ok(())
        });
    }
    sent
}

#[test]
fn three_solicitations_four_seconds_apart() {
    assert_eq!(solicits(0), [at(0), at(4000), at(8000)]);
}

#[test]
fn one_that_cannot_be_sent_is_tried_again_soon_but_not_for_ever() {
    assert_eq!(solicits(2), [at(200), at(4200), at(8200)]);
    assert_eq!(solicits(usize::MAX), []);
}

#[test]
fn an_advertisement_ends_solicitations() {
    let mut host = host();
    host.handle_timeout(at(0), || Ok(()));
    assert_eq!(host.poll_timeout(), Some(at(4000)));
    assert!(host.hears(at(100)));
    assert_eq!(host.poll_timeout(), None);
}

#[test]
fn a_flood_of_advertisements_is_not_heard() {
    let mut host = host();
    let heard = (0..10_000).filter(|now| host.hears(at(*now))).count();
    assert_eq!(heard, 8 + 9, "eight, and one in each second");
}

#[test]
fn an_address_is_the_prefix_and_the_links_identifier() {
    let mut host = host();
    // Bits behind the prefix are not its.
    let odd = PrefixInformation { prefix: Ipv6Addr::new(0x2001, 0xdb8, 0, 7, 9, 9, 9, 9), ..prefix(7) };
    let told = take(&mut host, at(0), &[PrefixInformation { preferred: 5, ..odd }]);
    assert_eq!(told, [Lifetimes { address: address(7), valid: DAY, preferred: 5 }]);
    assert_eq!(host.addresses().collect::<Vec<_>>(), [address(7)]);
}

#[test]
fn whether_it_is_on_link_does_not_matter() {
    for on_link in [true, false] {
        assert_eq!(take(&mut host(), at(0), &[PrefixInformation { on_link, ..prefix(1) }]).len(), 1);
    }
}

#[test]
fn prefixes_that_are_not_for_addresses() {
    let of = |address: &str| PrefixInformation { prefix: address.parse().unwrap(), ..prefix(1) };
    let rows = [
        ("no A flag", PrefixInformation { autonomous: false, ..prefix(1) }),
        ("shorter", PrefixInformation { len: 16, ..prefix(1) }),
        ("by a bit", PrefixInformation { len: 63, ..prefix(1) }),
        ("longer", PrefixInformation { len: 65, ..prefix(1) }),
        ("all", PrefixInformation { len: 0, ..prefix(1) }),
        ("a host", PrefixInformation { len: 128, ..prefix(1) }),
        ("valid for no time", PrefixInformation { valid: 0, preferred: 0, ..prefix(1) }),
        ("preferred for longer", PrefixInformation { preferred: DAY + 1, ..prefix(1) }),
        ("preferred for ever", PrefixInformation { preferred: u32::MAX, ..prefix(1) }),
        ("link-local", of("fe80::")),
        ("link-local, too", of("febf:ffff::")),
        ("multicast", of("ff02::")),
        ("unspecified", of("::")),
        ("loopback", of("::1")),
        ("IPv4", of("::ffff:10.0.0.1")),
    ];
    for (what, prefix) in rows {
        let mut host = host();
        assert_eq!(take(&mut host, at(0), &[prefix]), [], "{what}");
        assert_eq!(host.addresses().count(), 0, "{what}");
    }
}

#[test]
fn networks_of_others_are_left_alone() {
    let mut host = host();
    let mut asked = Vec::new();
    let told = host.take(at(0), &[prefix(1), prefix(2)], |network| {
        asked.push(network);
        network.address != prefix(1).prefix
    });
    assert_eq!(told.iter().map(|told| told.address).collect::<Vec<_>>(), [address(2)]);
    assert_eq!(asked, [1, 2].map(|n| Prefix { address: prefix(n).prefix.into(), len: 64 }));
}

#[test]
fn there_are_so_many_addresses_and_no_more() {
    let mut host = host();
    let many: Vec<_> = (0..20).map(prefix).collect();
    assert_eq!(take(&mut host, at(0), &many).len(), ADDRESSES);
    assert_eq!(host.addresses().collect::<Vec<_>>(), [0, 1, 2, 3].map(address));
    // Those that are there go on.
    let later = take(&mut host, seconds(10), &many);
    assert_eq!(later.iter().map(|told| told.address).collect::<Vec<_>>(), [0, 1, 2, 3].map(address));
    // One that could not be given makes room.
    host.forget(address(1));
    assert_eq!(take(&mut host, seconds(20), &many).len(), ADDRESSES);
    assert_eq!(host.addresses().collect::<Vec<_>>(), [0, 2, 3, 1].map(address));
}

#[test]
fn an_address_goes_when_its_time_is_up() {
    let mut host = host();
    host.hears(at(0));
    let short = PrefixInformation { valid: 10, preferred: 5, ..prefix(1) };
    let for_ever = PrefixInformation { valid: u32::MAX, preferred: u32::MAX, ..prefix(2) };
    let told = take(&mut host, at(0), &[short, for_ever]);
    assert_eq!(told.iter().map(|told| told.valid).collect::<Vec<_>>(), [10, u32::MAX]);
    assert_eq!(host.poll_timeout(), Some(seconds(10)));
    assert_eq!(host.handle_timeout(at(9999), || Ok(())), [Ipv6Addr::UNSPECIFIED; 0]);
    assert_eq!(host.handle_timeout(seconds(10), || Ok(())), [address(1)]);
    assert_eq!(host.addresses().collect::<Vec<_>>(), [address(2)]);
    assert_eq!(host.poll_timeout(), None);
}

#[test]
fn a_later_advertisement_prolongs_and_does_not_shorten_below_two_hours() {
    const HOURS: u32 = 3600;
    // What it was at first, what it is told to be 100 s later, and what it is then.
    let rows = [
        (HOURS, 2 * HOURS + 1, 2 * HOURS + 1),
        (HOURS, HOURS, HOURS),
        (HOURS, HOURS - 99, HOURS - 99),
        (HOURS, HOURS - 101, HOURS - 100),
        (HOURS, 0, HOURS - 100),
        (DAY, 3 * HOURS, 3 * HOURS),
        (DAY, 2 * HOURS, 2 * HOURS),
        (DAY, HOURS, 2 * HOURS),
        (DAY, 0, 2 * HOURS),
        (u32::MAX, 3 * HOURS, 3 * HOURS),
        (u32::MAX, 0, 2 * HOURS),
        (HOURS, u32::MAX, u32::MAX),
        (u32::MAX, u32::MAX, u32::MAX),
    ];
    for (first, told, then) in rows {
        let mut host = host();
        let with = |valid| PrefixInformation { valid, preferred: 0, ..prefix(1) };
        take(&mut host, at(0), &[with(first)]);
        let now = take(&mut host, seconds(100), &[with(told)]);
        assert_eq!(now, [Lifetimes { address: address(1), valid: then, preferred: 0 }], "{first} {told}");
    }
}

#[test]
fn one_that_is_not_preferred_any_more_says_so() {
    let mut host = host();
    take(&mut host, at(0), &[prefix(1)]);
    // What a router says at its end.
    let ended = PrefixInformation { valid: 0, preferred: 0, ..prefix(1) };
    let told = take(&mut host, seconds(1), &[ended]);
    assert_eq!(told, [Lifetimes { address: address(1), valid: 7200, preferred: 0 }]);
    // Nor is anything preferred for longer than it is valid.
    let mut host = self::host();
    take(&mut host, at(0), &[PrefixInformation { valid: 100, preferred: 100, ..prefix(1) }]);
    let told = take(&mut host, at(60_500), &[PrefixInformation { valid: 20, preferred: 20, ..prefix(1) }]);
    assert_eq!(told, [Lifetimes { address: address(1), valid: 40, preferred: 20 }]);
}

#[test]
fn a_network_that_is_anothers_is_looked_up_once() {
    let mut host = host();
    let prefixes = [1, 2, 3].map(prefix);
    let mut looks = 0;
    for _ in 0..5 {
        let taken = host.take(at(0), &prefixes, |_| {
            looks += 1;
            false
        });
        assert_eq!(taken, []);
    }
    assert_eq!(looks, 3);
}
