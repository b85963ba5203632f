//! The bed without our software: two guests, xl2tpd with pppd in both, call each other.
//!
//! ```text
//!   LAC, guest 2 ── br0 ── guest 3, LNS
//! ```

use std::fs;
use std::path::Path;

use interop::PATIENCE;
use interop::lan::Lan;
use interop::log::with;
use interop::uml::Uml;
use interop::xl2tpd::{Auth, INNER, Settings, Xl2tpd};

const PLAIN: Settings =
    Settings { user: ("alice", "wonder land"), auth: Auth::Chap, secret: None, sequence: false };
const FULL: Settings =
    Settings { auth: Auth::MsChapV2, secret: Some("tunnel secret"), sequence: true, ..PLAIN };

#[test]
fn xl2tpd_calls_xl2tpd() {
    call(PLAIN, |lac, lns| {
        lac.hang_up().expect("a call");
        lns.job.find(PATIENCE, with("Connection closed to")).expect("it is told");
        lns.gone().expect("pppd ends");
        lac.gone().expect("pppd ends");
    });
}

#[test]
fn xl2tpd_calls_xl2tpd_with_everything() {
    call(FULL, |lac, lns| {
        lns.terminate().expect("it runs");
        lac.gone().expect("pppd ends");
        lns.gone().expect("pppd ends");
    });
}

#[test]
fn xl2tpd_is_killed_beside_xl2tpd() {
    call(FULL, |lac, lns| {
        lac.kill().expect("it runs");
        lns.gone().expect("pppd notices");
    });
}

#[test]
fn xl2tpd_leaves_nothing_behind() {
    let lan = Lan::new().expect("a network");
    let here = Path::new("/proc/thread-self/ns/net");
    let namespace = lan.here.enter(|| fs::read_link(here)).expect("procfs");
    let guest = Uml::boot(&lan, 2).expect("a guest");
    let _client = Xl2tpd::lac(&guest, guest.address, PLAIN).expect("xl2tpd");
    let inside = || {
        let processes = fs::read_dir("/proc").expect("procfs").flatten();
        // Of processes that end meanwhile there is none.
        let inside = |path: &Path| fs::read_link(path.join("ns/net")).is_ok_and(|inside| inside == namespace);
        processes.filter(|process| inside(&process.path())).count()
    };
    assert_ne!(inside(), 0);
    drop(guest);
    assert_eq!(inside(), 0);
    let mounts = fs::read_to_string("/proc/self/mounts").expect("procfs");
    assert!(!mounts.contains("/peers/"), "{mounts}");
}

/// A call from one guest to the other through which data flows, and its end.
fn call(settings: Settings, end: impl FnOnce(&Xl2tpd, &Xl2tpd)) {
    let lan = Lan::new().expect("a network");
    let [lac, lns] = [2, 3].map(|host| Uml::boot(&lan, host).expect("a guest"));
    let server = Xl2tpd::lns(&lns, settings).expect("an LNS");
    let client = Xl2tpd::lac(&lac, lns.address, settings).expect("a LAC");
    let (here, there) = INNER;
    assert_eq!(server.up().expect("IPCP"), (here, there));
    assert_eq!(client.up().expect("IPCP"), (there, here));
    lac.run(&format!("ping -q -c 5 -i 0.1 -W 5 {here}")).expect("echoes");
    let iperf3 = lns.start("exec iperf3 --server --one-off --forceflush").expect("iperf3");
    iperf3.find(PATIENCE, with("Server listening")).expect("it listens");
    lac.run(&format!("iperf3 --client {here} --time 1")).expect("TCP");
    iperf3.succeed(PATIENCE).expect("iperf3");
    end(&client, &server);
    for guest in [lac, lns] {
        guest.kill().expect("it is gone");
    }
}
