//! What is refused, by whom, and in which words.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use pppol2tp::linux::LinuxDriver;
use pppol2tp::user::Config;
use pppol2tp::{Driver, Errno, Error, Interface, Prefix, SessionIds, SharedConfig, TunnelConfig, UnitConfig};

use crate::bed::*;
use crate::common::{tunnel_to, udp};
use crate::tests;

/// How long a driver waits for an id of its own that is free soon.
const CLOSING: Duration = Duration::from_millis(200);

tests! {
    nothing_where_the_driver_works
    without_privileges
    ids_that_are_none
    ids_that_are_taken
    ids_of_another_process
    a_session_without_a_tunnel
    a_peer_of_another_family
    another_peer_of_a_tunnel
    what_only_the_user_home_has
    more_sources_than_a_filter_holds
    names_of_interfaces
}

fn refused<T>(result: Result<T, Error>, errno: Errno, word: &str) {
    let error = result.err().expect("refused");
    assert!(error.errno() == errno && error.to_string().contains(word), "{error}");
}

fn nothing_where_the_driver_works() {
    for _ in 0..3 {
        assert_eq!(LinuxDriver::probe().expect("it works").name(), "linux");
    }
    let (driver, why) = pppol2tp::auto(Config::default()).expect("a driver");
    assert_eq!(driver.name(), "linux", "{why}");
    until("all is closed", || known().is_empty());
}

fn without_privileges() {
    // Of this thread, which ends with this test.
    let nobody = nix::unistd::Uid::from_raw(65534);
    nix::unistd::setfsuid(nobody);
    let error = LinuxDriver::probe().err().expect("no rights");
    nix::unistd::setfsuid(nix::unistd::Uid::from_raw(0));
    assert!(["/dev/ppp", "run as root"].iter().all(|word| error.to_string().contains(word)), "{error}");
}

fn ids_that_are_none() {
    let (end, peer) = raw();
    let peer = peer.local_addr().expect("its address");
    refused(end.handle.tunnel(tunnel_to(peer, 0)), Errno::Inval, "1 to 65535");
    for (session_id, peer_session_id) in [(0, 1), (1, 0), (0, 0)] {
        let ids = SessionIds { session_id, peer_session_id, ..end.session.ids() };
        refused(end.driver.session(ids), Errno::Inval, "1 to 65535");
    }
}

fn ids_that_are_taken() {
    let (end, peer) = raw();
    let second = end.driver.attach(udp("127.0.0.1:0")).expect("attached");
    refused(second.tunnel(tunnel_to(peer.local_addr().expect("its address"), 1)), Errno::Exist, "another id");
    refused(end.driver.session(end.session.ids()), Errno::Exist, "another id");
}

fn ids_of_another_process() {
    let (end, peer) = raw();
    // As good as another process.
    let other = driver();
    let handle = other.attach(udp("127.0.0.1:0")).expect("attached");
    let peer = peer.local_addr().expect("its address");
    let _own = handle.tunnel(tunnel_to(peer, 7)).expect("another id");
    // Who has a tunnel that would wait too is told at once: nobody knows when another process ends its own.
    let begin = Instant::now();
    for _ in 0..20 {
        refused(handle.tunnel(tunnel_to(peer, 1)), Errno::Exist, "take another");
    }
    assert!(begin.elapsed() < 20 * CLOSING);
    refused(other.session(SessionIds { session_id: 11, ..end.session.ids() }), Errno::NoEnt, "no tunnel");
    assert_eq!(end.session.send(&lcp(1)), Ok(()));
}

fn a_session_without_a_tunnel() {
    let ids = ids(1, 2);
    refused(driver().session(ids), Errno::NoEnt, "no tunnel 1");
}

fn a_peer_of_another_family() {
    let of_ipv6 = socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::DGRAM, None).expect("a socket");
    of_ipv6.set_only_v6(true).expect("set");
    of_ipv6.bind(&"[::]:0".parse::<SocketAddr>().expect("an address").into()).expect("bound");
    for (socket, peer) in [(udp("127.0.0.1:0"), "[::1]:1701"), (of_ipv6.into(), "127.0.0.1:1701")] {
        let handle = driver().attach(socket).expect("attached");
        let tunnel = handle.tunnel(tunnel_to(peer.parse().expect("an address"), 1));
        refused(tunnel, Errno::AfNoSupport, "family");
    }
}

fn another_peer_of_a_tunnel() {
    let (end, peer) = raw();
    let same = tunnel_to(peer.local_addr().expect("its address"), 1);
    let again = end.handle.tunnel(same.clone()).expect("attached to it");
    assert_eq!(end.driver.snapshot().tunnels[0].references, 3);
    drop(again);
    assert_eq!(end.driver.snapshot().tunnels[0].references, 2);
    let other = TunnelConfig { peer: "127.0.0.1:9".parse().expect("an address"), ..same };
    refused(end.handle.tunnel(other), Errno::Inval, "has the peer");
    end.session.send(&lcp(1)).expect("it lives");
}

fn what_only_the_user_home_has() {
    let (end, peer) = raw();
    let shared = SharedConfig { name: "pool".into(), mtu: 1400 };
    refused(end.driver.shared_interface(shared), Errno::OpNotSupp, "per-session");
    let interface = Interface::Shared { name: "pool".into(), addresses: Vec::new() };
    let unit = end.session.unit(UnitConfig { interface, ..UnitConfig::default() });
    refused(unit, Errno::OpNotSupp, "driver = \"user\"");
    let zero = TunnelConfig { accept_zero_id: true, ..tunnel_to(peer.local_addr().expect("it"), 3) };
    refused(end.handle.tunnel(zero), Errno::OpNotSupp, "driver = \"user\"");
    // Nobody lowers the MSS: that is said, and the unit is made.
    end.session.unit(UnitConfig { mss_clamp: true, ..UnitConfig::default() }).expect("a unit");
}

fn more_sources_than_a_filter_holds() {
    let (end, _peer) = raw();
    let address = |n: u32| std::net::IpAddr::from((0x0a00_0000 + n).to_be_bytes());
    let unit = |count| {
        let sources = (0..count).map(|n| Prefix::host(address(n))).collect();
        end.session.unit(UnitConfig { sources, ..UnitConfig::default() })
    };
    drop(unit(1000).expect("as many as docs/driver.md says"));
    refused(unit(1100), Errno::Inval, "use fewer");
    assert_eq!(interfaces(), [""; 0]);
}

fn names_of_interfaces() {
    let (end, _peer) = raw();
    let unit = |name: &str| {
        let interface = Interface::Own { name: name.into() };
        end.session.unit(UnitConfig { interface, ..UnitConfig::default() })
    };
    refused(unit("lo"), Errno::Exist, "another name");
    refused(unit(""), Errno::Inval, "1 to 15 bytes");
    refused(unit("a/b"), Errno::Inval, "1 to 15 bytes");
    refused(unit("0123456789abcdef"), Errno::Inval, "1 to 15 bytes");
    assert_eq!(interfaces(), [""; 0]);
    for (asked, given) in [("ppp%d", "ppp0"), ("ppp7", "ppp7"), ("office%d", "office0"), ("office", "office")]
    {
        assert_eq!(unit(asked).expect("a unit").interface(), given);
    }
    assert_eq!(interfaces(), [""; 0]);
}
