//! What an idle session costs: 20,000 of them that pass up, with units on one shared interface. The one test
//! of this file, because the allocator that counts is the whole process's.
#![allow(clippy::print_stdout)]

mod common;

use std::alloc::System;
use std::fs;
use std::net::Ipv4Addr;

use common::{in_netns, tunnel_to, udp};
use pppol2tp::user::UserDriver;
use pppol2tp::{Driver, Interface, Prefix, SessionIds, SharedConfig, SocketOption, UnitConfig};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const SESSIONS: u16 = 20_000;
/// Bytes that one may take: in a tunnel with all others, and with a tunnel of its own.
const LIMITS: [(&str, u16, usize); 2] = [("one tunnel", 1, 1024), ("a tunnel each", SESSIONS, 2048)];

#[test]
fn netns_an_idle_session_takes_little() {
    assert!(in_use(|| Box::new([0u8; 1000])).1 >= 1000, "the allocator does not count");
    in_netns(|| {
        for (name, tunnels, limit) in LIMITS {
            let each = each(tunnels);
            println!("{name}: {each} bytes for each of {SESSIONS} idle sessions");
            assert!(each <= limit, "{name}: {each} bytes for each session; {limit} at the most");
        }
    });
}

/// Bytes of each of the sessions, and of so many tunnels.
fn each(tunnels: u16) -> usize {
    let driver = UserDriver::new(common::config()).expect("a driver");
    let handle = driver.attach(udp("127.0.0.1:0")).expect("attached");
    let peer = udp("127.0.0.1:0").local_addr().expect("its address");
    let config = SharedConfig { name: "l2tp%d".into(), mtu: 1400 };
    let shared = driver.shared_interface(config).expect("an interface");
    let before = descriptors();
    let ((_tunnels, sessions), bytes) = in_use(|| {
        let tunnel = |id| handle.tunnel(tunnel_to(peer, id)).expect("a tunnel");
        let tunnels: Vec<_> = (1..=tunnels).map(tunnel).collect();
        let of = tunnels.iter().cycle().map(|tunnel| tunnel.tunnel_id());
        let open = |(id, tunnel_id): (u16, u16)| {
            let ids =
                SessionIds { tunnel_id, session_id: id, peer_tunnel_id: tunnel_id + 1, peer_session_id: id };
            let session = driver.session(ids).expect("a session");
            session.set(SocketOption::ReorderTo, 100).expect("set");
            session.pass_up().expect("alive");
            let inner = Ipv4Addr::from_bits(0x0a40_0000 + u32::from(id));
            let addresses = vec![Prefix::host(inner.into())];
            let interface = Interface::Shared { name: shared.interface(), addresses };
            let unit = session.unit(UnitConfig { interface, ..UnitConfig::default() }).expect("a unit");
            (unit, session)
        };
        let sessions: Vec<_> = (1..=SESSIONS).zip(of).map(open).collect();
        driver.snapshot();
        (tunnels, sessions)
    });
    assert!(descriptors() <= before, "a session has a descriptor");
    assert!(sessions.iter().all(|(unit, session)| unit.is_alive() && session.is_alive()));
    bytes / usize::from(SESSIONS)
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").expect("there").count()
}

/// Bytes that what `make` makes has allocated.
fn in_use<T>(make: impl FnOnce() -> T) -> (T, usize) {
    let region = Region::new(ALLOCATOR);
    let made = make();
    let change = region.change();
    (made, change.bytes_allocated - change.bytes_deallocated)
}
