//! A client takes addresses from router advertisements and nothing else: a server cannot have hosts of the
//! client's own networks by what it advertises.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

use nix::net::if_::if_nametoindex;
use nix::sys::signal::Signal;
use ol2tp::bed::{Bed, LEFT, LEFT6, Space};
use ol2tpd::Notice;
use ol2tpd::advert::Advertisement;
use ol2tpd::advert::message::{PrefixInformation, Resolvers};
use pppol2tp::netlink::Netlink;
use serde_json::Value;
use socket2::{Domain, Protocol, Socket, Type};

use crate::home::{Home, Running, Session};
use crate::vpn::{PASSWORD, USER, connect, ping_link, ping_new, serve, until_up};

/// A server that has no prefixes, and so advertises nothing itself.
const SERVER: &str = r#"
[[listen]]
address = "192.0.2.2"
[peer.all]
local-address = "10.64.0.1"
pool = "two"
ipv6 = true
[pool.two]
ranges = ["10.64.0.10-10.64.0.11"]
[[user]]
name = "anna"
password = "sesame"
"#;

fn prefix(text: &str, len: u8) -> PrefixInformation {
    let prefix = text.parse().unwrap();
    PrefixInformation { prefix, len, on_link: true, autonomous: true, valid: 3600, preferred: 3600 }
}

fn advertisement(prefixes: &[PrefixInformation]) -> Advertisement {
    Advertisement { prefixes: prefixes.into(), ..Advertisement::new(None, None, &[]) }
}

/// One that names a resolver.
fn with_resolver(resolver: Ipv6Addr) -> Advertisement {
    let dns = vec![Resolvers { servers: vec![resolver], lifetime: 1800 }];
    Advertisement { dns, ..advertisement(&[]) }
}

/// Sends an advertisement to all nodes at an interface.
fn advertise(space: &Space, interface: &str, advertisement: &Advertisement, hop_limit: u32) {
    let sent = space.enter(|| {
        let socket = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))?;
        socket.set_multicast_hops_v6(hop_limit)?;
        let all_nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
        let to = SocketAddrV6::new(all_nodes, 0, 0, if_nametoindex(interface)?);
        socket.send_to(&advertisement.build(), &to.into())
    });
    sent.unwrap();
}

/// Waits until a client has as many addresses by advertisements.
fn until_addresses(client: &mut Running, count: usize) -> Vec<IpAddr> {
    client.until(|notice| match notice {
        Notice::Addresses { addresses, .. } => (addresses.len() == count).then_some(addresses),
        _ => None,
    })
}

/// The address that a client has of a /64.
fn address(network: &str, session: &Session) -> IpAddr {
    let (network, IpAddr::V6(own)) = (network.parse::<Ipv6Addr>().unwrap(), session.v6.0) else { panic!() };
    Ipv6Addr::from_bits(network.to_bits() | own.to_bits() & u128::from(u64::MAX)).into()
}

/// The IPv6 addresses of an interface.
fn addresses(space: &Space, interface: &str) -> Vec<IpAddr> {
    let all = space.enter(|| Netlink::open()?.ipv6_addresses(if_nametoindex(interface)?)).unwrap();
    let mut all: Vec<_> = all.iter().map(|address| address.prefix.address).collect();
    all.sort();
    all
}

/// A client of [`SERVER`] that is up at both ends, and the name of the server's interface.
fn up(left: &Home<'_>, right: &Home<'_>, more: &[&str]) -> (Running, Running, Session, String) {
    let mut server = right.serve(SERVER);
    let mut client = connect(left, more);
    let (here, there) = until_up(&mut client, &mut server);
    // Now the link-local addresses are ready.
    ping_link(left.space, &here);
    ping_link(right.space, &there);
    (client, server, here, there.interface)
}

#[test]
fn a_client_has_an_address_of_the_prefix_that_it_is_given() {
    let bed = Bed::new().unwrap();
    let (left, right) = (Home::new(&bed.left), Home::new(&bed.right));
    let before = left.traces();
    let mut server = serve(&right, &[]);
    let mut client = connect(&left, &["--dns", "none"]);
    let (here, _) = until_up(&mut client, &mut server);
    let told = until_addresses(&mut client, 1);
    let IpAddr::V6(given) = told[0] else { panic!("{told:?}") };
    assert_eq!(given.segments()[..3], [0x2001, 0xdb8, 0x64]);
    assert_eq!(addresses(left.space, &here.interface), [given.into(), here.v6.0]);
    let shown: Value = serde_json::from_str(&left.output(&["show", "sessions", "--json"])).unwrap();
    let local = shown["sessions"][0]["ppp"]["local"].as_array().unwrap();
    assert!(local.contains(&given.to_string().into()), "{shown}");
    ping_new(right.space, SocketAddr::new(given.into(), 0));
    client.stop();
    assert_eq!(left.traces(), before);
}

#[test]
fn a_hostile_server_captures_nothing() {
    let bed = Bed::new().unwrap();
    let (left, right) = (Home::new(&bed.left), Home::new(&bed.right));
    let (mut client, _server, here, there) = up(&left, &right, &["--dns", "file"]);
    let routes = || left.space.enter(|| Netlink::open()?.routes(true)).unwrap();
    let before = routes();

    let own = LEFT6.to_string();
    let bad = [
        prefix("2001::", 16),
        prefix(&own, 64),
        prefix(&own, 128),
        prefix("fe80::", 64),
        prefix("ff02::", 64),
        prefix("::", 0),
        prefix("::", 64),
        PrefixInformation { valid: 0, preferred: 0, ..prefix("2001:db8:78::", 64) },
    ];
    let good = prefix("2001:db8:77::", 64);
    advertise(right.space, &there, &advertisement(&[&bad[..], &[good]].concat()), 255);
    let first = address("2001:db8:77::", &here);
    assert_eq!(until_addresses(&mut client, 1), [first]);
    assert_eq!(addresses(left.space, &here.interface), [first, here.v6.0]);

    // From elsewhere, for all that is known.
    advertise(right.space, &there, &advertisement(&[prefix("2001:db8:79::", 64)]), 64);
    // Nor is an address taken away at once.
    let ended = PrefixInformation { valid: 0, preferred: 0, ..good };
    advertise(right.space, &there, &advertisement(&[ended]), 255);
    // Its resolver is what is waited for.
    let resolver = Ipv6Addr::new(0x2001, 0xdb8, 0x77, 0, 0, 0, 0, 0x53);
    advertise(right.space, &there, &with_resolver(resolver), 255);
    left.until_file("resolv.conf", &format!("nameserver {resolver}"));
    assert_eq!(addresses(left.space, &here.interface), [first, here.v6.0]);

    let many: Vec<_> = (0..20).map(|n| prefix(&format!("2001:db8:80:{n}::"), 64)).collect();
    advertise(right.space, &there, &advertisement(&many), 255);
    assert_eq!(until_addresses(&mut client, 4).len(), 4);
    assert_eq!(addresses(left.space, &here.interface).len(), 5);

    assert_eq!(routes(), before);
    client.signal(Signal::SIGTERM);
    let ended = client.ended();
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let why = "no address of 2001:db8::/64, which the server advertises: there is 2001:db8::/64 dev veth0";
    assert!(ended.errors.contains(why) && ended.errors.lines().count() == 1, "{ended:#?}");
}

#[test]
fn an_address_goes_when_its_time_is_up() {
    let bed = Bed::new().unwrap();
    let (left, right) = (Home::new(&bed.left), Home::new(&bed.right));
    let (mut client, _server, here, there) = up(&left, &right, &["--dns", "none"]);
    let short = PrefixInformation { valid: 2, preferred: 1, ..prefix("2001:db8:77::", 64) };
    advertise(right.space, &there, &advertisement(&[short]), 255);
    assert_eq!(until_addresses(&mut client, 1), [address("2001:db8:77::", &here)]);
    until_addresses(&mut client, 0);
    assert_eq!(addresses(left.space, &here.interface), [here.v6.0]);
    client.stop();
}

/// A client and a server in one.
const BOTH: &str = r#"
[[listen]]
address = "192.0.2.1"
[peer.all]
local-address = "10.65.0.1"
pool = "two"
ipv6 = true
[pool.two]
ranges = ["10.65.0.10-10.65.0.11"]
[[user]]
name = "anna"
password = "sesame"
[connect.out]
host = "192.0.2.2"
user = "anna"
password = "sesame"
dns = "none"
"#;

#[test]
fn what_a_caller_advertises_is_not_heard() {
    let bed = Bed::new().unwrap();
    let (left, right) = (Home::new(&bed.left), Home::new(&bed.right));
    let mut server = right.serve(SERVER);
    left.write("/etc/ol2tp.toml", BOTH);
    let mut both = left.start(&["serve", "-c", "/etc/ol2tp.toml", "--json"]);
    let (here, there) = until_up(&mut both, &mut server);
    let (host, socket) = (LEFT.to_string(), "/run/caller.sock");
    let arguments = ["connect", &host, "--json", "--user", USER, "--dns", "none", "--socket", socket];
    let mut caller = right.start_as(PASSWORD, &arguments);
    let (calling, called) = until_up(&mut caller, &mut both);
    for (space, session) in
        [(left.space, &here), (right.space, &there), (right.space, &calling), (left.space, &called)]
    {
        ping_link(space, session);
    }
    advertise(right.space, &calling.interface, &advertisement(&[prefix("2001:db8:66::", 64)]), 255);
    advertise(right.space, &there.interface, &advertisement(&[prefix("2001:db8:77::", 64)]), 255);
    assert_eq!(until_addresses(&mut both, 1), [address("2001:db8:77::", &here)]);
    assert_eq!(addresses(left.space, &called.interface), [called.v6.0]);
    assert_eq!(addresses(left.space, &here.interface), [address("2001:db8:77::", &here), here.v6.0]);
}
