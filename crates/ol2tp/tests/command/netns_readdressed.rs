//! The address of either end changes while a session is up: the client says so, and comes again if it shall.

use std::net::IpAddr;

use nix::net::if_::if_nametoindex;
use nix::sys::signal::Signal;
use ol2tp::bed::{Bed, LEFT, RIGHT, Space};
use ol2tpd::Notice;
use ol2tpd::notice::Failed;
use pppol2tp::Prefix;
use pppol2tp::netlink::Netlink;

use crate::home::{Home, Running};
use crate::vpn::{ping_both, until_up};

/// A client that would never notice by silence that nobody hears it.
const CLIENT: &str = r#"
[connect.office]
host = "192.0.2.2"
user = "anna"
password = "sesame"
dns = "none"
hello = "off"
echo-interval = "off"
"#;

/// The same, which connects again.
const PERSIST: &str = "persist = true\nbackoff = \"1s\"\nbackoff-cap = \"1s\"\n";

/// A client that persists, and notices within a second or two that its server has gone.
const BY_NAME: &str = r#"
[connect.office]
host = "server.test"
user = "anna"
password = "sesame"
dns = "none"
persist = true
backoff = "1s"
backoff-cap = "1s"
echo-interval = "1s"
echo-failures = 1
"#;

/// One address, always the same; a client that has gone is noticed after minutes.
const SERVER: &str = r#"
[[listen]]
address = "HOST"
[peer.everybody]
local-address = "10.64.0.1"
ipv6-pool = "six"
[ipv6-pool.six]
prefix = "2001:db8:64::/48"
[[user]]
name = "anna"
password = "sesame"
address = "10.64.0.10"
"#;

const CONNECT: [&str; 5] = ["connect", "-c", "/etc/ol2tp.toml", "office", "--json"];
/// What the ends have afterwards.
const NEW_LEFT: &str = "192.0.2.11";
const NEW_RIGHT: &str = "192.0.2.12";

fn give(space: &Space, address: IpAddr) {
    let prefix = Prefix { address, len: 24 };
    space.enter(|| Netlink::open()?.add_address(if_nametoindex("veth0")?, prefix, None)).unwrap();
}

fn take(space: &Space, address: IpAddr) {
    let prefix = Prefix { address, len: 24 };
    space.enter(|| Netlink::open()?.remove_address(if_nametoindex("veth0")?, prefix, None)).unwrap();
}

/// The only address of an end is another one now.
fn change(space: &Space, from: IpAddr, to: &str) {
    take(space, from);
    give(space, to.parse().unwrap());
}

fn serve(right: &Home<'_>, host: &str) -> Running {
    right.serve(&SERVER.replace("HOST", host))
}

/// The failure that the client tells of, and whether it tries again.
fn until_failed(client: &mut Running) -> (Failed, String, bool) {
    client.until(|notice| match notice {
        Notice::Failed { failure, why, retry, .. } => Some((failure, why, retry.is_some())),
        _ => None,
    })
}

#[test]
fn a_client_whose_address_goes_has_lost_its_connection() {
    let bed = Bed::new().unwrap();
    let (left, right) = (Home::new(&bed.left), Home::new(&bed.right));
    let before = left.traces();
    let mut server = serve(&right, "192.0.2.2");
    left.write("/etc/ol2tp.toml", CLIENT);
    let mut client = left.start(&CONNECT);
    until_up(&mut client, &mut server);
    change(left.space, LEFT.into(), NEW_LEFT);
    let ended = client.ended();
    assert_eq!(ended.code, Some(16), "{ended:#?}");
    let words = "ol2tp: office: the connection was lost: this machine no longer has the address 192.0.2.1, ";
    assert!(ended.errors.starts_with(words), "{ended:#?}");
    assert_eq!(left.traces(), before);
}

#[test]
fn one_that_persists_connects_again_from_its_new_address_and_ends_its_old_session() {
    let bed = Bed::new().unwrap();
    let (left, right) = (Home::new(&bed.left), Home::new(&bed.right));
    let before = (left.traces(), right.traces());
    let mut server = serve(&right, "192.0.2.2");
    left.write("/etc/ol2tp.toml", &format!("{CLIENT}{PERSIST}"));
    let mut client = left.start(&CONNECT);
    let (old, _) = until_up(&mut client, &mut server);
    change(left.space, LEFT.into(), NEW_LEFT);
    let (failure, why, again) = until_failed(&mut client);
    assert!(failure == Failed::Lost && why.contains("192.0.2.1, ") && again, "{failure:?}: {why}");
    assert_eq!(server.until_down(), "its user has come again, from elsewhere");
    let (new, there) = until_up(&mut client, &mut server);
    assert_eq!(new.v4, old.v4);
    ping_both(left.space, &new);
    ping_both(right.space, &there);
    client.stop();
    server.until_down();
    server.signal(Signal::SIGTERM);
    assert_eq!(server.ended().code, Some(0));
    assert_eq!((left.traces(), right.traces()), before);
}

#[test]
fn addresses_that_are_not_the_tunnels_may_come_and_go() {
    let bed = Bed::new().unwrap();
    let (left, right) = (Home::new(&bed.left), Home::new(&bed.right));
    let mut server = serve(&right, "192.0.2.2");
    left.write("/etc/ol2tp.toml", CLIENT);
    let mut client = left.start(&CONNECT);
    let (here, _) = until_up(&mut client, &mut server);
    give(left.space, NEW_LEFT.parse().unwrap());
    ping_both(left.space, &here);
    take(left.space, NEW_LEFT.parse().unwrap());
    ping_both(left.space, &here);
    client.stop();
}

#[test]
fn a_server_with_a_new_address_is_found_by_its_name() {
    let bed = Bed::new().unwrap();
    let (left, right) = (Home::new(&bed.left), Home::new(&bed.right));
    let before = (left.traces(), right.traces());
    left.write("/etc/nsswitch.conf", "hosts: files\n");
    left.write("/etc/hosts", "192.0.2.2 server.test\n");
    left.write("/etc/ol2tp.toml", BY_NAME);
    let mut server = serve(&right, "192.0.2.2");
    let mut client = left.start(&CONNECT);
    until_up(&mut client, &mut server);

    server.signal(Signal::SIGKILL);
    server.ended();
    change(right.space, RIGHT.into(), NEW_RIGHT);
    left.write("/etc/hosts", &format!("{NEW_RIGHT} server.test\n"));
    let mut server = serve(&right, NEW_RIGHT);
    let (failure, _, again) = until_failed(&mut client);
    assert!(failure == Failed::Lost && again, "{failure:?}");
    let (here, there) = until_up(&mut client, &mut server);
    ping_both(left.space, &here);
    ping_both(right.space, &there);
    client.stop();
    server.stop();
    assert_eq!((left.traces(), right.traces()), before);
}
