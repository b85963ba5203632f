//! A connection that waits for something can be ended all the same.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use ol2tp::bed::{Bed, RIGHT};
use ol2tpd::Notice;

use crate::home::Home;
use crate::vpn::{PASSWORD, USER};

/// Asks a name server that is there and never answers: this takes minutes.
const RESOLV_CONF: &str = "nameserver 192.0.2.2\noptions timeout:30 attempts:5\n";
const FILE: &str = r#"
[connect.office]
host = "server.test"
user = "anna"
password = "sesame"
dns = "none"
persist = true
"#;

#[test]
fn for_the_address_of_its_server() {
    let bed = Bed::new().unwrap();
    let left = Home::new(&bed.left);
    left.write("/etc/nsswitch.conf", "hosts: dns\n");
    left.write("/etc/resolv.conf", RESOLV_CONF);
    let before = left.traces();
    let silent = bed.right.enter(|| UdpSocket::bind((RIGHT, 53))).unwrap();
    let mut client = left.start_as(PASSWORD, &["connect", "server.test", "--json", "--user", USER]);
    silent.recv(&mut [0; 512]).unwrap();
    let asked = Instant::now();
    client.signal(Signal::SIGTERM);
    assert_eq!(client.ended().code, Some(0));
    assert!(asked.elapsed() < Duration::from_secs(60), "{:?}", asked.elapsed());
    assert_eq!(left.traces(), before);
}

#[test]
fn for_its_next_try() {
    let bed = Bed::new().unwrap();
    let left = Home::new(&bed.left);
    left.write("/etc/nsswitch.conf", "hosts: files\n");
    left.write("/etc/ol2tp.toml", FILE);
    let before = left.traces();
    let mut client = left.start(&["connect", "-c", "/etc/ol2tp.toml", "office", "--json"]);
    client.until(|notice| matches!(notice, Notice::Failed { retry: Some(_), .. }).then_some(()));
    left.output(&["disconnect", "--all"]);
    assert_eq!(client.ended().code, Some(0));
    assert_eq!(left.traces(), before);
}
