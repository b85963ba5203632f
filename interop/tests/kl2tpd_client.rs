//! kl2tpd calls our server from a kernel without PPPoL2TP.
//!
//! ```text
//!   namespace 2, kl2tpd -null ── br0 ── ol2tp serve
//! ```

use std::net::SocketAddr;

use interop::daemon::Daemon;
use interop::lan::{HERE, Lan};
use interop::log::with;
use interop::process::Process;
use interop::{PATIENCE, kl2tpd};
use nix::sys::signal::Signal;
use ol2tpd::Notice;

const CONFIGURATION: &str = "[[listen]]\naddress = \"192.0.2.1\"\n[pool.inner]\nranges = [\"10.9.0.2\"]\n\
    [peer.any]\npool = \"inner\"\nlocal-address = \"10.9.0.1\"\n\
    [[user]]\nname = \"alice\"\npassword = \"wonderland\"\n";

#[test]
fn kl2tpd_has_no_data_plane() {
    let lan = Lan::new().expect("a network");
    let there = lan.host(2).expect("a namespace");
    let server = Daemon::serve(&lan.here, CONFIGURATION).expect("a server");
    let client = kl2tpd::start_on(&there, SocketAddr::from((HERE, 1701))).expect("kl2tpd");
    server.told(|notice| matches!(notice, Notice::CallUp { .. }).then_some(())).expect("a call");
    // It finds out when its session is up.
    server.told(|notice| matches!(notice, Notice::SessionDown { .. }).then_some(())).expect("its CDN");
    client.signal(Signal::SIGINT).expect("it runs");
    server.told(|notice| matches!(notice, Notice::TunnelDown { .. }).then_some(())).expect("it is told");
    assert!(client.wait(PATIENCE).expect("it ends").success());
    server.stop().expect("a good end");
}

#[test]
fn kl2tpd_loses_its_server() {
    let lan = Lan::new().expect("a network");
    let there = lan.host(2).expect("a namespace");
    let server = Daemon::serve(&lan.here, CONFIGURATION).expect("a server");
    let client = kl2tpd::start_on(&there, SocketAddr::from((HERE, 1701))).expect("kl2tpd");
    server.told(|notice| matches!(notice, Notice::CallUp { .. }).then_some(())).expect("a call");
    server.stop().expect("a good end");
    hears(&client, "Stopccn");
}

fn hears(client: &Process, message: &str) {
    let line = format!("message=recv message_type=avpMsgType{message}");
    client.log.find(PATIENCE, with(&line)).expect("it is told");
}
