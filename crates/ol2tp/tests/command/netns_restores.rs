//! Routes and name servers are those of the session while it is up, and as they were afterwards.

use std::net::IpAddr;

use nix::sys::signal::Signal;
use ol2tp::bed::{Bed, RIGHT};
use ol2tpd::Notice;
use pppol2tp::Prefix;

use crate::home::{Home, RESOLV_CONF, Traces};
use crate::vpn::{connect, ping_all, ping_both, serve, until_up};

/// 198.51.100.0 and 203.0.113.0 as /proc/net/route has them.
const NETWORK: &str = "006433C6";
const OTHER: &str = "007100CB";

/// A client with routes and name servers, while it is up.
fn with_routes(left: &Home<'_>) -> crate::home::Running {
    let routes = ["--route", "198.51.100.0/24", "--route", "203.0.113.0/24", "--dns", "file"];
    let mut client = connect(left, &routes);
    client.until_up();
    assert!(left.has_route(NETWORK) && left.has_route(OTHER));
    left.until_file("resolv.conf", "nameserver 10.64.0.53");
    client
}

fn is_as_before(left: &Home<'_>, before: &Traces) {
    assert_eq!(&left.traces(), before);
    assert_eq!(left.read("/etc/resolv.conf"), RESOLV_CONF);
}

#[test]
fn after_the_client_has_ended() {
    let bed = Bed::new().unwrap();
    let (left, right) = (Home::new(&bed.left), Home::new(&bed.right));
    let before = left.traces();
    let _server = serve(&right, &[]);
    let mut client = with_routes(&left);
    client.stop();
    is_as_before(&left, &before);
}

#[test]
fn after_the_server_has_ended_the_session() {
    let bed = Bed::new().unwrap();
    let (left, right) = (Home::new(&bed.left), Home::new(&bed.right));
    let before = left.traces();
    let mut server = serve(&right, &[]);
    let mut client = with_routes(&left);
    server.stop();
    assert_eq!(client.ended().code, Some(17));
    is_as_before(&left, &before);
}

#[test]
fn at_the_next_start_after_the_client_was_killed() {
    let bed = Bed::new().unwrap();
    let (left, right) = (Home::new(&bed.left), Home::new(&bed.right));
    let before = left.traces();
    let _server = serve(&right, &[]);
    let mut client = with_routes(&left);
    client.signal(Signal::SIGKILL);
    assert_eq!(client.ended().code, Some(-9));
    // The interface went with the process, and its routes with the interface.
    assert!(!left.has_route(NETWORK));
    assert!(left.read("/etc/resolv.conf").contains("nameserver 10.64.0.53"));

    let mut client = connect(&left, &["--dns", "none", "--route", "198.51.100.0/24"]);
    client.until_up();
    left.until_file("resolv.conf", RESOLV_CONF);
    client.stop();
    is_as_before(&left, &before);
}

/// The host route to the server, and one that lets nothing go past the tunnel, as /proc/net/route has them.
const HOST: &str = "020200C0 FFFFFFFF 00000000 0 veth0";
const STOP: &str = "00000080 00000080 00000000";

#[test]
fn routes_past_the_tunnel_go_at_the_next_start_after_the_client_was_killed() {
    let bed = Bed::new().unwrap();
    let (left, right) = (Home::new(&bed.left), Home::new(&bed.right));
    let before = left.traces();
    let _server = serve(&right, &[]);
    let mut client = connect(&left, &["--dns", "none", "--default-route"]);
    client.until_up();
    client.signal(Signal::SIGKILL);
    assert_eq!(client.ended().code, Some(-9));
    assert!(left.has_route(HOST) && left.has_route(STOP), "{:#?}", left.traces());

    // One that has no need of them.
    let mut client = connect(&left, &["--dns", "none"]);
    client.until_up();
    assert!(!left.has_route(HOST) && !left.has_route(STOP), "{:#?}", left.traces());
    client.stop();
    is_as_before(&left, &before);
}

#[test]
fn those_of_a_client_that_lives_stay() {
    let bed = Bed::new().unwrap();
    let (left, right) = (Home::new(&bed.left), Home::new(&bed.right));
    let before = left.traces();
    let _server = serve(&right, &[]);
    let mut client = connect(&left, &["--dns", "none", "--default-route"]);
    client.until_up();
    let mut other = connect(&left, &["--dns", "none", "--socket", "/run/other.sock"]);
    other.until_up();
    assert!(left.has_route(HOST) && left.has_route(STOP), "{:#?}", left.traces());
    other.stop();
    assert!(left.has_route(HOST) && left.has_route(STOP), "{:#?}", left.traces());
    client.stop();
    is_as_before(&left, &before);
}

#[test]
fn name_servers_of_ipv6_come_by_router_advertisements() {
    let bed = Bed::new().unwrap();
    let (left, right) = (Home::new(&bed.left), Home::new(&bed.right));
    let before = left.traces();
    let mut server = serve(&right, &["--dns", "2001:db8:64::53"]);
    let mut client = connect(&left, &["--dns", "file"]);
    until_up(&mut client, &mut server);
    let servers: Vec<IpAddr> = ["10.64.0.53", "2001:db8:64::53"].map(|server| server.parse().unwrap()).into();
    let by = client.until(|notice| match notice {
        Notice::NameServers { servers: told, by, .. } => (told == servers).then_some(by),
        _ => None,
    });
    assert_eq!(by, "file");
    for server in servers {
        left.until_file("resolv.conf", &format!("nameserver {server}"));
    }
    client.stop();
    is_as_before(&left, &before);
}

#[test]
fn a_default_route_takes_all_but_the_way_to_the_server() {
    let bed = Bed::new().unwrap();
    let (left, right) = (Home::new(&bed.left), Home::new(&bed.right));
    let before = left.traces();
    let mut server = serve(&right, &[]);
    // What nobody but the server knows.
    let far = Prefix { address: "198.51.100.7".parse().unwrap(), len: 32 };
    bed.right.own_prefix(far).unwrap();
    let mut client = connect(&left, &["--default-route", "--dns", "none"]);
    let (session, _) = until_up(&mut client, &mut server);
    // Nor does anything else leave past the tunnel, if it should have no way through it.
    for first in ["0", "8"] {
        let half = format!("{first:0<32} 01 {:032} ffffffff lo", 0);
        assert!(left.has_route(&half), "{half}");
    }
    ping_both(left.space, &session);
    ping_all(left.space, far.address);
    ping_all(left.space, RIGHT.into());
    client.stop();
    is_as_before(&left, &before);
}
