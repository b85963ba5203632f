//! A server as a service: what its manager is told, what its scripts get, which privileges it keeps.

use std::fs::{self, Permissions};
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use nix::sys::signal::Signal;
use ol2tp::bed::Bed;
use ol2tpd::Notice;

use crate::home::{Home, Running};
use crate::vpn::{connect, ping_both, until_up};

const SERVER: &str = r#"
[[listen]]
address = "192.0.2.2"
[peer.everybody]
local-address = "10.64.0.1"
pool = "one"
ipv6-pool = "six"
[pool.one]
ranges = ["10.64.0.10-10.64.0.10"]
[ipv6-pool.six]
prefix = "2001:db8:64::/48"
[[user]]
name = "anna"
password = "sesame"
[hooks]
ip-up = "/etc/hook"
ip-down = "/etc/hook"
ipv6-up = "/etc/hook"
ipv6-down = "/etc/hook"
"#;
const HOOK: &str = r#"#!/bin/sh
echo "$HOOK $1 $USER $LOCAL_ADDRESS $REMOTE_ADDRESS $PREFIX $REASON." >> /etc/hooked
"#;
const CONNECT: [&str; 2] = ["--dns", "none"];

/// The server, whose manager listens.
fn start(home: &Home<'_>, file: &str) -> (Running, UnixDatagram) {
    home.write("/etc/ol2tp.toml", file);
    home.write("/etc/hook", HOOK);
    home.write("/etc/hooked", "");
    home.enter(|| fs::set_permissions("/etc/hook", Permissions::from_mode(0o700))).unwrap();
    let manager = home.enter(|| UnixDatagram::bind("/run/notify")).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let arguments = ["serve", "-c", "/etc/ol2tp.toml", "--json"];
    (home.start_with(&arguments, &[("NOTIFY_SOCKET", "/run/notify")]), manager)
}

/// What the manager is told, up to the first that begins like this.
fn until(manager: &UnixDatagram, words: &str) -> Vec<String> {
    let (mut told, mut buffer) = (Vec::new(), [0; 256]);
    while told.last().is_none_or(|last: &String| !last.starts_with(words)) {
        let len = manager.recv(&mut buffer).unwrap_or_else(|error| panic!("{words}: {error} after {told:?}"));
        told.push(String::from_utf8(buffer[..len].to_vec()).unwrap());
    }
    told
}

#[test]
fn the_manager_is_told_what_it_does() {
    let bed = Bed::new().unwrap();
    let home = Home::new(&bed.right);
    let (mut server, manager) = start(&home, SERVER);
    assert_eq!(until(&manager, "STATUS"), ["READY=1", "STATUS=listening on 192.0.2.2:1701"]);
    server.signal(Signal::SIGHUP);
    let told = until(&manager, "STATUS");
    assert!(told[0].starts_with("RELOADING=1\nMONOTONIC_USEC="), "{told:?}");
    assert_eq!(told[1], "READY=1");
    server.until(|notice| matches!(notice, Notice::Reloaded).then_some(()));
    server.signal(Signal::SIGTERM);
    until(&manager, "STOPPING=1");
    assert_eq!(server.ended().code, Some(0));
}

#[test]
fn scripts_run_when_a_network_comes_and_goes() {
    let bed = Bed::new().unwrap();
    let (left, right) = (Home::new(&bed.left), Home::new(&bed.right));
    let (mut server, _manager) = start(&right, SERVER);
    server.until_listening();
    let mut client = connect(&left, &CONNECT);
    let (here, there) = until_up(&mut client, &mut server);
    // A script that waits for its turn is left out if its network has gone by then.
    right.until_file("hooked", "ip-up ppp");
    right.until_file("hooked", "ipv6-up ppp");
    client.stop();
    server.until_down();
    server.stop();
    let told = right.read("/etc/hooked");
    let name = &there.interface;
    let (v6, prefix) = (format!("{} {}", there.v6.0, there.v6.1), "2001:db8:64::/64");
    let mut lines: Vec<_> = told.lines().collect();
    assert_eq!(lines.len(), 4, "{told}");
    // Both come up in any order, and go one after the other.
    lines[..2].sort_unstable();
    let ups = [
        format!("ip-up {name} anna 10.64.0.1 10.64.0.10  ."),
        format!("ipv6-up {name} anna {v6} {prefix} ."),
    ];
    assert_eq!(lines[..2], ups);
    lines[2..].sort_unstable();
    assert!(lines[2].starts_with(&format!("ip-down {name} anna 10.64.0.1 10.64.0.10  ")), "{told}");
    assert!(lines[3].starts_with(&format!("ipv6-down {name} anna {v6} {prefix} ")), "{told}");
    assert!(lines[2..].iter().all(|line| !line.ends_with(" .")), "no reason: {told}");
    assert_eq!(here.v4.0.to_string(), "10.64.0.10");
}

/// A field of /proc/PID/status.
fn status(server: &Running, field: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line[field.len()..].trim().to_owned()
}

#[test]
fn privileges_are_kept_that_it_needs() {
    const NET_BIND_SERVICE: u64 = 1 << 10;
    const NET_ADMIN: u64 = 1 << 12;
    const NET_RAW: u64 = 1 << 13;
    let bed = Bed::new().unwrap();
    let (left, right) = (Home::new(&bed.left), Home::new(&bed.right));
    let (mut with_scripts, _manager) = start(&right, SERVER);
    with_scripts.until_listening();
    let mut client = connect(&left, &CONNECT);
    client.until_up();
    let scripts = NET_BIND_SERVICE | NET_ADMIN | NET_RAW;
    for (program, kept, no_more) in
        [(&with_scripts, scripts, "0"), (&client, NET_BIND_SERVICE | NET_ADMIN, "1")]
    {
        for set in ["CapEff:", "CapPrm:", "CapBnd:"] {
            assert_eq!(u64::from_str_radix(&status(program, set), 16), Ok(kept), "{set}");
        }
        assert_eq!(status(program, "NoNewPrivs:"), no_more);
    }
    client.stop();
    with_scripts.stop();
}

#[test]
fn one_session_more_is_refused_where_it_is_said() {
    let bed = Bed::new().unwrap();
    let (left, right) = (Home::new(&bed.left), Home::new(&bed.right));
    let user = "name = \"anna\"\nmax-sessions = 1\nrefuse-more = true";
    let file = SERVER.replace("name = \"anna\"", user).replace(".10\"]", ".11\"]");
    let (mut server, _manager) = start(&right, &file);
    server.until_listening();
    let mut first = connect(&left, &CONNECT);
    let (session, _) = until_up(&mut first, &mut server);
    let second = connect(&left, &[&CONNECT[..], &["--socket", "/run/second.sock"]].concat()).ended();
    assert_eq!(second.code, Some(14), "{second:#?}");
    // The first one goes on.
    ping_both(left.space, &session);
    first.stop();
    server.stop();
}

#[test]
fn one_source_may_not_take_more_than_its_share() {
    let bed = Bed::new().unwrap();
    let (left, right) = (Home::new(&bed.left), Home::new(&bed.right));
    let (mut server, _manager) = start(&right, &format!("{SERVER}[limits]\ntunnels-per-source = 1\n"));
    server.until_listening();
    let mut first = connect(&left, &CONNECT);
    until_up(&mut first, &mut server);
    let second = connect(&left, &[&CONNECT[..], &["--socket", "/run/second.sock"]].concat()).ended();
    assert_eq!(second.code, Some(13), "{second:#?}");
    first.stop();
    server.stop();
}

#[test]
fn a_file_whose_addresses_cannot_all_be_had_changes_nothing() {
    let bed = Bed::new().unwrap();
    let home = Home::new(&bed.right);
    let (mut server, manager) = start(&home, SERVER);
    until(&manager, "STATUS");
    let more = "[[listen]]\naddress = '192.0.2.2:1702'\n[[listen]]\naddress = '203.0.113.9:1701'\n";
    home.write("/etc/ol2tp.toml", &format!("{more}{SERVER}"));
    server.signal(Signal::SIGHUP);
    until(&manager, "STATUS");
    // What it had opened already is closed.
    home.enter(|| UdpSocket::bind("192.0.2.2:1702")).unwrap();
    server.signal(Signal::SIGTERM);
    let ended = server.ended();
    assert!(ended.errors.contains("the old one stays: binding UDP socket 203.0.113.9:1701"), "{ended:#?}");
    assert!(
        ended.lines.iter().all(|line| !line.contains("reloaded") && !line.contains("1702")),
        "{ended:#?}"
    );
}
