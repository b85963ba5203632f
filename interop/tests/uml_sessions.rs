//! `ol2tp` on Linux' own PPPoL2TP with several tunnels and sessions in one daemon, over IPv6, and the choice of the
//! driver.
//!
//! ```text
//!   guest 2 ── br0 ── guest 3
//!               ├── here, ol2tp in user space
//!               └── 4, ol2tp in user space
//! ```

mod guests;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use guests::*;
use interop::daemon::Daemon;
use interop::guest::{GuestDaemon, in_words_of_proc, proc_sessions};
use interop::lan::{HERE, Lan};
use interop::uml::Uml;
use interop::xl2tpd::INNER;
use ol2tpd::Notice;
use ol2tpd::control::SessionView;

/// Addresses of the sessions of one server.
const POOL: &str = "10.9.1.1-10.9.1.9";

#[test]
fn uml_serves_several() {
    serves_several(OWN);
}

#[test]
fn uml_serves_several_with_pppd() {
    serves_several(PPPD);
}

#[test]
fn uml_calls_several() {
    calls_several(OWN);
}

#[test]
fn uml_calls_several_with_pppd() {
    calls_several(PPPD);
}

/// Two tunnels to one daemon; the end of one leaves the other.
fn serves_several(ppp: &str) {
    let lan = Lan::new().expect("a network");
    let (called, there) = (guest(&lan, 3), lan.host(4).expect("a namespace"));
    let (local, remote) = INNER;
    let configuration = serve("linux", called.address, ppp).replace(&remote.to_string(), POOL);
    let server = GuestDaemon::serve(&called, &configuration).expect("a server");
    let configuration = connect("user", called.address, OWN);
    let connect = |host| Daemon::start(host, &["connect", "-c", "FILE", "peer"], &configuration);
    let clients = [&lan.here, &there].map(|host| connect(host).expect("a client"));
    let remotes = clients.each_ref().map(|client| address(|wanted| client.told(wanted), local));
    remotes
        .iter()
        .for_each(|&remote| up(|wanted| server.told(wanted), (local, remote)).expect("the server is told"));
    assert_eq!(interfaces(&called, &server).into_keys().collect::<Vec<_>>(), sorted(remotes));
    let [first, second] = clients;
    remotes.iter().for_each(|remote| echoes(&called, *remote));
    first.stop().expect("a good end");
    down(|wanted| server.told(wanted)).expect("the server is told");
    assert_eq!(interfaces(&called, &server).into_keys().collect::<Vec<_>>(), [remotes[1]]);
    echoes(&called, remotes[1]);
    there.run(&format!("ping -q -c 5 -i 0.1 -W 5 {local}")).expect("echoes");
    second.stop().expect("a good end");
    server.stop().expect("a good end");
}

/// Two tunnels from one daemon, and the end of one.
fn calls_several(ppp: &str) {
    let lan = Lan::new().expect("a network");
    let (caller, there) = (guest(&lan, 2), lan.host(4).expect("a namespace"));
    let peers = [(&lan.here, HERE, "10.9.2"), (&there, interop::lan::address(4), "10.9.3")];
    let servers = peers.map(|(host, at, net)| {
        let configuration = serve("user", at, OWN).replace("10.9.0", net);
        Daemon::serve(host, &configuration).expect("a server")
    });
    let connections = ["here", "there"].into_iter().zip(peers);
    let connections = connections.map(|(name, (_, at, _))| connection(name, at, ppp)).collect::<String>();
    // It listens too, as `serve` does.
    let configuration = serve("linux", caller.address, ppp) + &connections;
    let client = GuestDaemon::serve(&caller, &configuration).expect("a client");
    let ends =
        |net: &str| [1, 2].map(|host| format!("{net}.{host}").parse::<Ipv4Addr>().expect("an address"));
    let remotes = peers.map(|(_, _, net)| {
        let [remote, local] = ends(net);
        up(|wanted| client.told(wanted), (local, remote)).expect("the client is told");
        remote
    });
    servers.each_ref().into_iter().zip(peers).for_each(|(server, (_, _, net))| {
        let [local, remote] = ends(net);
        up(|wanted| server.told(wanted), (local, remote)).expect("the server is told");
    });
    let names = interfaces(&caller, &client);
    assert_eq!(names.keys().copied().collect::<Vec<_>>(), sorted(remotes));
    remotes.iter().for_each(|remote| echoes(&caller, *remote));
    client.disconnect(&format!("--interface {}", names[&remotes[0]])).expect("it is there");
    down(|wanted| servers[0].told(wanted)).expect("the server is told");
    down(|wanted| client.told(wanted)).expect("the client is told");
    assert_eq!(interfaces(&caller, &client).into_keys().collect::<Vec<_>>(), [remotes[1]]);
    echoes(&caller, remotes[1]);
    client.stop().expect("a good end");
    for server in servers {
        server.stop().expect("a good end");
    }
}

fn sorted<const N: usize>(mut addresses: [Ipv4Addr; N]) -> [Ipv4Addr; N] {
    addresses.sort();
    addresses
}

/// The address that a client is given.
fn address(
    told: impl FnOnce(&dyn Fn(&Notice) -> Option<Ipv4Addr>) -> io::Result<Ipv4Addr>,
    peer: Ipv4Addr,
) -> Ipv4Addr {
    let address = told(&|notice| match notice {
        Notice::SessionUp { local: IpAddr::V4(local), remote, .. } if *remote == peer => Some(*local),
        _ => None,
    });
    address.expect("the client is told")
}

/// Interfaces of the sessions by the peers' addresses, as `show` has them: the kernel has the same interface for
/// each session, and that interface has this address at its other end.
fn interfaces(guest: &Uml, daemon: &GuestDaemon<'_>) -> BTreeMap<Ipv4Addr, String> {
    let sessions = || Ok::<_, io::Error>(daemon.show()?.sessions.unwrap_or_default());
    let ids = |session: &SessionView| [session.tunnel_id, session.session_id];
    agree(
        || {
            let mut views = sessions()?;
            views.sort_by_key(ids);
            Ok(views.iter().map(in_words_of_proc).collect::<Vec<_>>())
        },
        || {
            let mut sessions = proc_sessions(guest)?;
            sessions.sort_by_key(|session| [session.ids[0], session.ids[1]]);
            Ok(sessions)
        },
    );
    let ipv4 = |address| match address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    };
    let known = |session: &SessionView| {
        let name = session.interface.clone().expect("an interface");
        let remotes = session.ppp.as_ref().expect("PPP").remote.clone();
        let remote = remotes.into_iter().find_map(ipv4).expect("its address");
        let addresses = guest.run(&format!("ip -o -4 address show dev {name}")).expect("it is there");
        assert!(addresses.contains(&format!(" peer {remote}/32 ")), "{session:?}: {addresses}");
        (remote, name)
    };
    let sessions = sessions().expect("sessions");
    let known: BTreeMap<_, _> = sessions.iter().map(known).collect();
    assert_eq!(known.len(), sessions.len());
    known
}

#[test]
fn uml_guest_calls_guest_over_ipv6() {
    guest_calls_guest_over_ipv6(OWN);
}

#[test]
fn uml_guest_calls_guest_over_ipv6_with_pppd() {
    guest_calls_guest_over_ipv6(PPPD);
}

fn guest_calls_guest_over_ipv6(ppp: &str) {
    let lan = Lan::new().expect("a network");
    let [caller, called] = [2, 3].map(|host| guest(&lan, host));
    let [_, there] = [&caller, &called].map(over_ipv6);
    let server = GuestDaemon::serve(&called, &serve("linux", there, ppp)).expect("a server");
    let client = GuestDaemon::connect(&caller, &connect("linux", there, ppp)).expect("a client");
    up(|wanted| client.told(wanted), (INNER.1, INNER.0)).expect("the client is told");
    up(|wanted| server.told(wanted), INNER).expect("the server is told");
    moves(&caller, INNER.0, &called);
    for (guest, daemon) in [(&caller, &client), (&called, &server)] {
        agrees_with_kernel(guest, daemon);
        let peer = daemon.session().expect("a session").peer;
        assert!(peer.starts_with("[2001:db8:"), "{peer}");
    }
    agree(|| Ok(sent_and_received(&client.session()?)), || Ok(received_and_sent(&server.session()?)));
    numbers_agree(|| client.session(), || Ok(seen_from_there(&server.session()?)));
    client.stop().expect("a good end");
    down(|wanted| server.told(wanted)).expect("the server is told");
    server.stop().expect("a good end");
}

/// Gives a guest an IPv6 address.
fn over_ipv6(guest: &Uml) -> Ipv6Addr {
    let address = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, guest.host.into());
    guest.run(&format!("ip address add {address}/64 dev vec0 nodad")).expect("an address");
    address
}

#[test]
fn uml_auto_is_the_kernels_driver() {
    let lan = Lan::new().expect("a network");
    let called = guest(&lan, 3);
    let server = GuestDaemon::serve(&called, &serve("auto", called.address, OWN)).expect("a server");
    let told = server.told(|notice| match notice {
        Notice::Driver { name, why } => Some((name.clone(), why.clone())),
        _ => None,
    });
    let why = "the kernel's PPPoL2TP works here";
    assert_eq!(told.expect("it is told"), ("linux".into(), why.into()));
    let driver = server.show().expect("a report").driver.expect("a driver");
    assert_eq!((&*driver.name, &*driver.why), ("linux", why));
    let text = server.show_text().expect("a report");
    assert_eq!(text.lines().last(), Some(&*format!("driver linux: {why}")), "{text}");
    server.stop().expect("a good end");
}
