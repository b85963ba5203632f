//! `ol2tp` on Linux' own PPPoL2TP with several tunnels and sessions in one daemon, several sessions in one tunnel, over
//! IPv6, and the choice of the driver.
//!
//! ```text
//!   guest 2 ── br0 ── guest 3
//!               ├── here, ol2tp in user space
//!               └── 4, ol2tp in user space
//! ```

mod guests;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr};

use guests::*;
use interop::PATIENCE;
use interop::daemon::Daemon;
use interop::guest::{GuestDaemon, in_words_of_proc, proc_sessions};
use interop::kl2tpd::WithPppd;
use interop::lan::{HERE, Lan};
use interop::log::with;
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

#[test]
fn uml_serves_two_in_one_tunnel() {
    serves_two_in_one_tunnel(OWN);
}

#[test]
fn uml_serves_two_in_one_tunnel_with_pppd() {
    serves_two_in_one_tunnel(PPPD);
}

/// Two sessions in one tunnel of kl2tpd's: each has its numbers, the end of one leaves the other, and that of the
/// tunnel ends it.
fn serves_two_in_one_tunnel(ppp: &str) {
    let lan = Lan::new().expect("a network");
    let [caller, called] = [2, 3].map(|host| guest(&lan, host));
    let (local, remote) = INNER;
    let configuration = serve("linux", called.address, ppp).replace(&remote.to_string(), POOL);
    // kl2tpd knows no secret. What a slow machine says late is no reason to end anything here.
    let configuration = configuration.replace(COMMON, "ipv6 = false\n").replace(IMPATIENT, "");
    let server = GuestDaemon::serve(&called, &configuration).expect("a server");
    let peer = (called.address, 1701).into();
    let client = WithPppd::start(&lan, &caller, peer, SETTINGS.user, 2).expect("kl2tpd");
    let first = remote_but(&server, local, None);
    let remotes = [first, remote_but(&server, local, Some(first))];
    for remote in remotes {
        let told = format!("local  IP address {remote}");
        client.pppd.find(PATIENCE, with(&told)).expect("its pppd is told");
    }
    let report = server.show().expect("a report");
    let tunnel = match &report.tunnels.expect("tunnels")[..] {
        [tunnel] => tunnel.tunnel_id,
        tunnels => panic!("not one tunnel: {tunnels:?}"),
    };
    assert_eq!(interfaces(&called, &server).into_keys().collect::<Vec<_>>(), sorted(remotes));
    let ids = remotes.map(|remote| session_with(&server, remote));
    for n in [0, 1] {
        let before = ids.map(|id| [octets(&called, 1, id), octets(&caller, 3, id)]);
        // Both sessions lead to that address.
        echoes_through(&caller, remotes[n], local);
        let after = ids.map(|id| [octets(&called, 1, id), octets(&caller, 3, id)]);
        for end in [0, 1] {
            let more = [0, 1].map(|n| after[n][end] - before[n][end]);
            // There and back; the other one has LCP's echoes, if anything.
            assert!(more[n] > 2 * 20 * 1000 && more[1 - n] < 1000, "session {n}, end {end}: {more:?}");
        }
    }
    server.disconnect(&format!("--tunnel {tunnel} --session {}", ids[0])).expect("it is there");
    down(|wanted| server.told(wanted)).expect("the server is told");
    client.pppd.find(PATIENCE, with("Connection terminated.")).expect("its pppd is told");
    assert_eq!(interfaces(&called, &server).into_keys().collect::<Vec<_>>(), [remotes[1]]);
    echoes_through(&caller, remotes[1], local);
    let mark = server.mark();
    client.kl2tpd.signal("INT").expect("it runs");
    down(|wanted| server.told_from(mark, wanted)).expect("the server is told");
    let tunnel_down = |notice: &Notice| matches!(notice, Notice::TunnelDown { .. }).then_some(());
    server.told_from(mark, tunnel_down).expect("the server is told");
    client.gone().expect("pppd ends");
    server.stop().expect("a good end");
}

/// Other than this one, an address that a server has given.
fn remote_but(server: &GuestDaemon<'_>, ours: Ipv4Addr, other: Option<Ipv4Addr>) -> Ipv4Addr {
    let remote = server.told(|notice| match notice {
        Notice::SessionUp { local, remote: IpAddr::V4(remote), .. } => {
            (*local == ours && Some(*remote) != other).then_some(*remote)
        }
        _ => None,
    });
    remote.expect("the server is told")
}

/// The server's id of the session with this address at its other end.
fn session_with(server: &GuestDaemon<'_>, remote: Ipv4Addr) -> u16 {
    let sessions = server.show().expect("a report").sessions.expect("sessions");
    let has = |session: &&SessionView| {
        session.ppp.as_ref().is_some_and(|ppp| ppp.remote.contains(&IpAddr::V4(remote)))
    };
    sessions.iter().find(has).expect("its session").session_id
}

/// What the kernel of a guest has sent and received of the session that has this id at this place of the four.
fn octets(guest: &Uml, place: usize, id: u16) -> u64 {
    let sessions = proc_sessions(guest).expect("procfs");
    let session = sessions.iter().find(|session| session.ids[place] == id).expect("the session");
    session.counters[1] + session.counters[4]
}

/// Twenty long echoes out of the interface that has this address.
fn echoes_through(guest: &Uml, from: Ipv4Addr, to: Ipv4Addr) {
    let addresses = guest.run("ip -o -4 address show").expect("addresses");
    let line =
        addresses.lines().find(|line| line.contains(&format!(" inet {from} "))).expect("its interface");
    let interface = line.split_whitespace().nth(1).expect("a name");
    guest.run(&format!("ping -q -c 20 -i 0.1 -W 5 -s 1000 -I {interface} {to}")).expect("echoes");
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
    let [_, there] = [&caller, &called].map(guest_over_ipv6);
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
    let ignored = "the kernel's driver does not do `mss-clamp`, which is wanted for [peer.any]";
    server.job().find(PATIENCE, with(ignored)).expect("it is said");
    let text = server.show_text().expect("a report");
    assert_eq!(text.lines().last(), Some(&*format!("driver linux: {why}")), "{text}");
    server.stop().expect("a good end");
}
