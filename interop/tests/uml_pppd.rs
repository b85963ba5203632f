//! `ol2tp` on Linux' own PPPoL2TP, with PPP of its own and with pppd: calls itself, xl2tpd, and itself in user
//! space.
//!
//! ```text
//!   guest 2 ── br0 ── guest 3
//!               └── ol2tp in user space
//! ```

mod guests;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use guests::*;
use interop::PATIENCE;
use interop::daemon::Daemon;
use interop::guest::{GuestDaemon, nothing_left, only_session, proc_sessions};
use interop::lan::{HERE, Lan};
use interop::log::with;
use interop::uml::Uml;
use interop::xl2tpd::{INNER, Xl2tpd};
use ol2tp::exit::Code;
use ol2tpd::Notice;
use ol2tpd::control::SessionView;

#[test]
fn uml_guest_calls_guest() {
    guest_calls_guest(OWN);
}

#[test]
fn uml_guest_calls_guest_with_pppd() {
    guest_calls_guest(PPPD);
}

#[test]
fn uml_guest_calls_xl2tpd() {
    guest_calls_xl2tpd(OWN);
}

#[test]
fn uml_guest_calls_xl2tpd_with_pppd() {
    guest_calls_xl2tpd(PPPD);
}

#[test]
fn uml_xl2tpd_calls_guest() {
    xl2tpd_calls_guest(OWN);
}

#[test]
fn uml_xl2tpd_calls_guest_with_pppd() {
    xl2tpd_calls_guest(PPPD);
}

#[test]
fn uml_guest_calls_user_space() {
    guest_calls_user_space(OWN, Outer::Ipv4);
}

#[test]
fn uml_guest_calls_user_space_with_pppd() {
    guest_calls_user_space(PPPD, Outer::Ipv4);
}

#[test]
fn uml_guest_calls_user_space_over_ipv6() {
    guest_calls_user_space(OWN, Outer::Ipv6);
}

#[test]
fn uml_guest_calls_user_space_over_ipv6_with_pppd() {
    guest_calls_user_space(PPPD, Outer::Ipv6);
}

#[test]
fn uml_user_space_calls_guest() {
    user_space_calls_guest(OWN, Outer::Ipv4);
}

#[test]
fn uml_user_space_calls_guest_with_pppd() {
    user_space_calls_guest(PPPD, Outer::Ipv4);
}

#[test]
fn uml_user_space_calls_guest_over_ipv6() {
    user_space_calls_guest(OWN, Outer::Ipv6);
}

#[test]
fn uml_user_space_calls_guest_over_ipv6_with_pppd() {
    user_space_calls_guest(PPPD, Outer::Ipv6);
}

#[test]
fn uml_daemons_are_killed() {
    daemons_are_killed(OWN);
}

#[test]
fn uml_daemons_are_killed_beside_pppd() {
    daemons_are_killed(PPPD);
}

fn guest_calls_guest(ppp: &str) {
    let lan = Lan::new().expect("a network");
    let [caller, called] = [2, 3].map(|host| guest(&lan, host));
    let server = GuestDaemon::serve(&called, &serve("linux", called.address, ppp)).expect("a server");
    let client = GuestDaemon::connect(&caller, &connect("linux", called.address, ppp)).expect("a client");
    up(|wanted| client.told(wanted), (INNER.1, INNER.0)).expect("the client is told");
    up(|wanted| server.told(wanted), INNER).expect("the server is told");
    moves(&caller, INNER.0, &called);
    echoes(&called, INNER.1);
    agrees_with_kernel(&caller, &client);
    agrees_with_kernel(&called, &server);
    agree(|| Ok(sent_and_received(&client.session()?)), || Ok(received_and_sent(&server.session()?)));
    numbers_agree(|| client.session(), || Ok(seen_from_there(&server.session()?)));
    client.stop().expect("a good end");
    let ended = server.told(|notice| match notice {
        Notice::SessionDown { user, rx_bytes, tx_bytes, .. } => Some((user.clone(), *rx_bytes, *tx_bytes)),
        _ => None,
    });
    let (user, received, sent) = ended.expect("the server is told");
    assert_eq!(user.as_deref(), Some(SETTINGS.user.0));
    // TCP went both ways for a second.
    assert!(received > 100_000 && sent > 100_000, "{received}, {sent}");
    server.stop().expect("a good end");
}

fn guest_calls_xl2tpd(ppp: &str) {
    let lan = Lan::new().expect("a network");
    let [caller, called] = [2, 3].map(|host| guest(&lan, host));
    let server = Xl2tpd::lns(&called, SETTINGS).expect("xl2tpd");
    let client = GuestDaemon::connect(&caller, &connect("linux", called.address, ppp)).expect("a client");
    up(|wanted| client.told(wanted), (INNER.1, INNER.0)).expect("the client is told");
    assert_eq!(server.up().expect("IPCP"), INNER);
    moves(&caller, INNER.0, &called);
    agrees_with_kernel(&caller, &client);
    agree_but_first(
        FIRST_FRAME[usize::from(ppp == PPPD)],
        || Ok(sent_and_received(&client.session()?)),
        || counters(&called, [3, 4, 0, 1]),
    );
    numbers_agree(|| client.session(), || numbers_of_kernel(&called));
    client.stop().expect("a good end");
    server.gone().expect("its pppd ends");
}

fn xl2tpd_calls_guest(ppp: &str) {
    let lan = Lan::new().expect("a network");
    let [caller, called] = [2, 3].map(|host| guest(&lan, host));
    let server = GuestDaemon::serve(&called, &serve("linux", called.address, ppp)).expect("a server");
    let client = Xl2tpd::lac(&caller, called.address, SETTINGS).expect("xl2tpd");
    up(|wanted| server.told(wanted), INNER).expect("the server is told");
    assert_eq!(client.up().expect("IPCP"), (INNER.1, INNER.0));
    moves(&caller, INNER.0, &called);
    agrees_with_kernel(&called, &server);
    agree_but_first(
        FIRST_FRAME[usize::from(ppp == PPPD)] + AUTH,
        || Ok(sent_and_received(&server.session()?)),
        || counters(&caller, [3, 4, 0, 1]),
    );
    numbers_agree(|| server.session(), || numbers_of_kernel(&caller));
    client.hang_up().expect("a call");
    down(|wanted| server.told(wanted)).expect("the server is told");
    client.gone().expect("its pppd ends");
    server.stop().expect("a good end");
}

/// What tunnels go over.
#[derive(Clone, Copy)]
enum Outer {
    Ipv4,
    Ipv6,
}

impl Outer {
    /// The addresses of here and of a guest.
    fn addresses(self, lan: &Lan, guest: &Uml) -> [IpAddr; 2] {
        match self {
            Self::Ipv4 => [HERE.into(), guest.address.into()],
            Self::Ipv6 => [here_over_ipv6(lan), guest_over_ipv6(guest)],
        }
    }
}

/// Where the other end of a session's tunnel is.
fn peer(session: io::Result<SessionView>) -> IpAddr {
    let peer: SocketAddr = session.expect("a session").peer.parse().expect("an address");
    peer.ip()
}

fn guest_calls_user_space(ppp: &str, outer: Outer) {
    let lan = Lan::new().expect("a network");
    let caller = guest(&lan, 2);
    let [here, there] = outer.addresses(&lan, &caller);
    let server = Daemon::serve(&lan.here, &serve("user", here, OWN)).expect("a server");
    let client = GuestDaemon::connect(&caller, &connect("linux", here, ppp)).expect("a client");
    up(|wanted| client.told(wanted), (INNER.1, INNER.0)).expect("the client is told");
    up(|wanted| server.told(wanted), INNER).expect("the server is told");
    let user = client.told(|notice| match notice {
        Notice::SessionUp { user, .. } => Some(user.clone()),
        _ => None,
    });
    assert_eq!(user.expect("the client is told").as_deref(), Some(SETTINGS.user.0));
    let shown = client.session().expect("a session").ppp.expect("PPP").user;
    assert_eq!(shown.as_deref(), Some(SETTINGS.user.0));
    assert_eq!(peer(client.session()), here);
    assert_eq!(peer(server.show().and_then(only_session)), there);
    moves_from_here(&lan, &caller, INNER.1, INNER.0);
    agrees_with_kernel(&caller, &client);
    agree(
        || Ok(sent_and_received(&client.session()?)),
        || Ok(received_and_sent(&only_session(server.show()?)?)),
    );
    numbers_agree(|| client.session(), || Ok(seen_from_there(&only_session(server.show()?)?)));
    client.stop().expect("a good end");
    down(|wanted| server.told(wanted)).expect("the server is told");
    server.stop().expect("a good end");
}

fn user_space_calls_guest(ppp: &str, outer: Outer) {
    let lan = Lan::new().expect("a network");
    let called = guest(&lan, 2);
    let [here, there] = outer.addresses(&lan, &called);
    let server = GuestDaemon::serve(&called, &serve("linux", there, ppp)).expect("a server");
    let configuration = connect("user", there, OWN);
    let client =
        Daemon::start(&lan.here, &["connect", "-c", "FILE", "peer"], &configuration).expect("a client");
    up(|wanted| client.told(wanted), (INNER.1, INNER.0)).expect("the client is told");
    up(|wanted| server.told(wanted), INNER).expect("the server is told");
    assert_eq!(peer(client.show().and_then(only_session)), there);
    assert_eq!(peer(server.session()), here);
    moves_from_here(&lan, &called, INNER.0, INNER.1);
    agrees_with_kernel(&called, &server);
    agree(
        || Ok(sent_and_received(&only_session(client.show()?)?)),
        || Ok(received_and_sent(&server.session()?)),
    );
    numbers_agree(|| server.session(), || Ok(seen_from_there(&only_session(client.show()?)?)));
    client.stop().expect("a good end");
    down(|wanted| server.told(wanted)).expect("the server is told");
    server.stop().expect("a good end");
}

/// The kernel's sessions and interfaces go with their daemons.
fn daemons_are_killed(ppp: &str) {
    let lan = Lan::new().expect("a network");
    let [caller, called] = [2, 3].map(|host| guest(&lan, host));
    // The survivor is impatient. Whose daemon is killed has pppd's patience, which is minutes.
    let patient = |configuration: String| configuration.replace(ECHO, "");
    let configuration = patient(serve("linux", called.address, ppp));
    let server = GuestDaemon::serve(&called, &configuration).expect("a server");
    let client = GuestDaemon::connect(&caller, &connect("linux", called.address, ppp)).expect("a client");
    up(|wanted| client.told(wanted), (INNER.1, INNER.0)).expect("the client is told");
    up(|wanted| server.told(wanted), INNER).expect("the server is told");
    assert_eq!(proc_sessions(&caller).expect("procfs").len(), 1);
    server.signal("KILL").expect("it runs");
    nothing_left(&called).expect("all is gone");
    client.ends(Code::Lost).expect("it notices");
    let server = GuestDaemon::serve(&called, &serve("linux", called.address, ppp)).expect("a server");
    let configuration = patient(connect("linux", called.address, ppp));
    let client = GuestDaemon::connect(&caller, &configuration).expect("a client");
    up(|wanted| server.told(wanted), INNER).expect("the same address is free");
    client.signal("KILL").expect("it runs");
    nothing_left(&caller).expect("all is gone");
    down(|wanted| server.told(wanted)).expect("the server notices");
    server.stop().expect("a good end");
}

#[test]
fn uml_guest_calls_guest_by_ipv6() {
    ipv6(OWN);
}

#[test]
fn uml_guest_calls_guest_by_ipv6_with_pppd() {
    ipv6(PPPD);
}

/// Both have link-local addresses, and the client has one of the prefix that the server announces.
fn ipv6(ppp: &str) {
    let lan = Lan::new().expect("a network");
    let [caller, called] = [2, 3].map(|host| guest(&lan, host));
    let pool = "[ipv6-pool.six]\nprefix = \"2001:db8::/48\"\n[peer.any]\nipv6-pool = \"six\"\n";
    let six = |configuration: String| configuration.replace("ipv6 = false\n", "");
    let configuration = six(serve("linux", called.address, ppp)).replace("[peer.any]\n", pool);
    let server = GuestDaemon::serve(&called, &configuration).expect("a server");
    let configuration = six(connect("linux", called.address, ppp));
    let client = GuestDaemon::connect(&caller, &configuration).expect("a client");
    let up = |notice: &Notice| match notice {
        Notice::SessionUp { local: IpAddr::V6(local), remote: IpAddr::V6(remote), interface, .. } => {
            Some((*local, *remote, interface.clone()))
        }
        _ => None,
    };
    let (local, remote, interface) = client.told(up).expect("the client is told");
    let (server_local, server_remote, _) = server.told(up).expect("the server is told");
    assert_eq!((local, remote), (server_remote, server_local));
    let ping = "ping -q -c 5 -i 0.1 -W 5";
    caller.run(&format!("{ping} {remote}%{interface}")).expect("echoes");
    let show = format!("ip -6 -o address show dev {interface} scope global");
    let wait = format!(
        "n=0; until test -n \"$({show})\"; do n=$((n + 1)); test $n -lt 300 || exit 1; sleep 0.1; done"
    );
    let shown = caller.run(&format!("{wait}; {show}")).expect("an address of the prefix");
    let global = shown.split_whitespace().find_map(|word| word.strip_suffix("/128")).expect("its address");
    assert!(global.starts_with("2001:db8:"), "{shown}");
    called.run(&format!("{ping} {global}")).expect("echoes");
    client.stop().expect("a good end");
    server.stop().expect("a good end");
}

/// What the peer is told when pppd is killed: an error, and a cause by RFC 3145, which has none for what does not end by
/// its rules.
const KILLED: &str = "Result Code (1): CDN 2: call disconnected for the reason indicated in the error code; error 4: \
                      insufficient resources to handle this operation now; it says: PPP has failed\n\
                      PPP Disconnect Cause Code (46): PPP disconnect cause 0: no information available, direction 0: \
                      global error";

/// Result and causes of the CDN that a daemon hears.
fn cdn(daemon: &Daemon<'_>) -> String {
    let cdn = daemon.told(|notice| match notice {
        Notice::Message { sent: false, text } if text.starts_with("CDN ") => Some(text.clone()),
        _ => None,
    });
    let cdn = cdn.expect("a CDN");
    let causes =
        cdn.lines().map(str::trim).filter(|line| line.starts_with("Result") || line.contains("Cause"));
    causes.collect::<Vec<_>>().join("\n")
}

#[test]
fn uml_pppd_of_a_client_is_killed() {
    let lan = Lan::new().expect("a network");
    let caller = guest(&lan, 2);
    let configuration = serve("user", HERE, OWN);
    let server = Daemon::start(&lan.here, &["serve", "-c", "FILE", "--trace"], &configuration);
    let server = server.and_then(Daemon::listening).expect("a server");
    let client = GuestDaemon::connect(&caller, &connect("linux", HERE, PPPD)).expect("a client");
    up(|wanted| client.told(wanted), (INNER.1, INNER.0)).expect("the client is told");
    caller.run("pkill -KILL -x pppd").expect("it runs");
    let why = down(|wanted| client.told(wanted)).expect("the client notices");
    assert_eq!(why, "pppd failed: signal: 9 (SIGKILL)");
    assert_eq!(cdn(&server), KILLED);
    let why = down(|wanted| server.told(wanted)).expect("the server is told");
    assert!(why.contains("PPP has failed"), "{why}");
    client.ends(Code::Local).expect("its end");
    server.stop().expect("a good end");
}

#[test]
fn uml_pppd_of_a_server_is_killed() {
    let lan = Lan::new().expect("a network");
    let called = guest(&lan, 2);
    let server = GuestDaemon::serve(&called, &serve("linux", called.address, PPPD)).expect("a server");
    let configuration = connect("user", called.address, OWN);
    let client = Daemon::start(&lan.here, &["connect", "-c", "FILE", "peer", "--trace"], &configuration);
    let client = client.expect("a client");
    up(|wanted| server.told(wanted), INNER).expect("the server is told");
    up(|wanted| client.told(wanted), (INNER.1, INNER.0)).expect("the client is told");
    called.run("pkill -KILL -x pppd").expect("it runs");
    let why = down(|wanted| server.told(wanted)).expect("the server notices");
    assert_eq!(why, "pppd failed: signal: 9 (SIGKILL)");
    assert_eq!(cdn(&client), KILLED);
    client.ends(Code::Ended).expect("it is told");
    server.stop().expect("a good end");
}

#[test]
fn uml_pppd_has_the_wrong_password() {
    let lan = Lan::new().expect("a network");
    let caller = guest(&lan, 2);
    let server = Daemon::serve(&lan.here, &serve("user", HERE, OWN)).expect("a server");
    let configuration = connect("linux", HERE, PPPD).replace(SETTINGS.user.1, "looking glass");
    let client = GuestDaemon::connect(&caller, &configuration).expect("a client");
    client.ends(Code::Password).expect("its end");
    server.stop().expect("a good end");
}

#[test]
fn uml_pppd_has_a_wrong_option() {
    let lan = Lan::new().expect("a network");
    let caller = guest(&lan, 2);
    let server = Daemon::serve(&lan.here, &serve("user", HERE, OWN)).expect("a server");
    for options in ["nonsense", "plugin\", \"nonsense.so"] {
        let configuration = connect("linux", HERE, &PPPD.replace("debug", options));
        let client = GuestDaemon::connect(&caller, &configuration).expect("a client");
        let why = down(|wanted| client.told(wanted)).expect("it is told");
        assert!(why.contains("its options are wrong (exit code 2)") && why.contains("nonsense"), "{why}");
        client.ends(Code::Local).expect("its end");
    }
    server.stop().expect("a good end");
}

#[test]
fn uml_pppd_knows_the_address() {
    let lan = Lan::new().expect("a network");
    let called = guest(&lan, 2);
    called.run(&format!("sed -i 's/\\*$/{}/' /etc/ppp/chap-secrets", INNER.1)).expect("an address");
    let configuration = serve("linux", called.address, PPPD).replace("pool = \"inner\"\n", "");
    let server = GuestDaemon::serve(&called, &configuration).expect("a server");
    let configuration = connect("user", called.address, OWN);
    let client =
        Daemon::start(&lan.here, &["connect", "-c", "FILE", "peer"], &configuration).expect("a client");
    up(|wanted| server.told(wanted), INNER).expect("the server is told");
    up(|wanted| client.told(wanted), (INNER.1, INNER.0)).expect("the client is told");
    client.stop().expect("a good end");
    server.stop().expect("a good end");
}

#[test]
fn uml_pppd_waits_for_ever() {
    let lan = Lan::new().expect("a network");
    let [caller, called] = [2, 3].map(|host| guest(&lan, host));
    let silent = PPPD.replace("debug", "silent");
    let timed = format!("{silent}authentication-time = \"1s\"\n");
    let server = GuestDaemon::serve(&called, &serve("linux", called.address, &timed)).expect("a server");
    let client = GuestDaemon::connect(&caller, &connect("linux", called.address, &silent)).expect("a client");
    let why = down(|wanted| server.told(wanted)).expect("the server has enough");
    assert_eq!(why, "pppd has no addresses in time (authentication-time)");
    client.ends(Code::Refused).expect("it is told");
    server.stop().expect("a good end");
}

#[test]
fn uml_pppd_has_few_strangers() {
    let lan = Lan::new().expect("a network");
    let [caller, called] = [2, 3].map(|host| guest(&lan, host));
    // Nobody knows a secret, and nobody begins with LCP: the first caller never logs in.
    let strange =
        |configuration: String| configuration.replace(COMMON, "ipv6 = false\n").replace(IMPATIENT, "");
    let silent = PPPD.replace("debug", "silent\", \"debug") + "authentication-time = \"1h\"\n";
    let few = "[limits]\npppd-logins = 1\n[peer.any]\n";
    let configuration = strange(serve("linux", called.address, &silent)).replace("[peer.any]\n", few);
    let server = GuestDaemon::serve(&called, &configuration).expect("a server");
    let configuration = strange(connect("linux", called.address, &silent));
    let first = GuestDaemon::connect(&caller, &configuration).expect("a client");
    server.job().find(PATIENCE, with("using channel")).expect("its pppd runs");
    let configuration = strange(connect("user", called.address, OWN));
    let arguments = ["connect", "-c", "FILE", "peer", "--trace"];
    let second = Daemon::start(&lan.here, &arguments, &configuration).expect("a client");
    let why = "there are too many callers already who have not logged in yet";
    assert!(cdn(&second).ends_with(&format!("it says: {why}")), "{}", cdn(&second));
    let told = down(|wanted| second.told(wanted)).expect("it is told");
    assert!(told.contains(why), "{told}");
    second.ends(Code::Refused).expect("its end");
    first.stop().expect("a good end");
    server.stop().expect("a good end");
}

#[test]
fn uml_pppd_runs_scripts_and_hides_the_password() {
    let lan = Lan::new().expect("a network");
    let caller = guest(&lan, 2);
    for name in ["ip-up", "ip-down"] {
        let script = caller.file(name, "#!/bin/sh\necho ${0##*/} $1 $4 $5 $6 >>/run/scripts\n");
        let script = script.expect("a file");
        caller.run(&format!("install -m 755 {script} /etc/ppp/{name}")).expect("its scripts");
    }
    let server = Daemon::serve(&lan.here, &serve("user", HERE, OWN)).expect("a server");
    let client = GuestDaemon::connect(&caller, &connect("linux", HERE, PPPD)).expect("a client");
    up(|wanted| client.told(wanted), (INNER.1, INNER.0)).expect("the client is told");
    let line = caller.run("tr '\\0' ' ' </proc/$(pgrep -x pppd)/cmdline").expect("its command line");
    assert!(line.contains("pppol2tp_tunnel_id"), "{line}");
    assert!(!line.contains(SETTINGS.user.1) && !line.contains(SETTINGS.user.0), "{line}");
    client.stop().expect("a good end");
    let (remote, local) = INNER;
    let said = caller.run("cat /run/scripts").expect("they have run");
    let expected = ["ip-up", "ip-down"].map(|name| format!("{name} ppp0 {local} {remote} peer"));
    assert_eq!(said.lines().collect::<Vec<_>>(), expected);
    server.stop().expect("a good end");
}

#[test]
fn uml_pppd_runs_its_script_to_the_end() {
    let lan = Lan::new().expect("a network");
    let called = guest(&lan, 2);
    let script = "#!/bin/sh\necho begun >>/run/told; read go </run/go; echo ended >>/run/told\n";
    let script = called.file("ip-down", script).expect("a file");
    called.run(&format!("mkfifo /run/go && install -m 755 {script} /etc/ppp")).expect("its script");
    let patient = PPPD.replace("\"debug\"", "\"debug\", \"child-timeout\", \"60\"");
    let server = GuestDaemon::serve(&called, &serve("linux", called.address, &patient)).expect("a server");
    let configuration = connect("user", called.address, OWN);
    let client =
        Daemon::start(&lan.here, &["connect", "-c", "FILE", "peer"], &configuration).expect("a client");
    up(|wanted| server.told(wanted), INNER).expect("the server is told");
    up(|wanted| client.told(wanted), (INNER.1, INNER.0)).expect("the client is told");
    // Its link ends first: the call's end finds the script running.
    called.run("ip link delete ppp0").expect("it is there");
    server.job().find(PATIENCE, with("Connection terminated.")).expect("its link has ended");
    client.stop().expect("a good end");
    let decision = server.job().find(PATIENCE, |line| {
        let words = ["pppd ends by itself", "sending SIGTERM to process"];
        words.into_iter().find(|words| line.contains(words))
    });
    assert_eq!(decision.expect("the call has ended"), "pppd ends by itself");
    called.run("echo >/run/go").expect("the script goes on");
    called.run("pidwait -x pppd; true").expect("pppd ends");
    assert_eq!(called.run("cat /run/told").expect("the script has run"), "begun\nended");
    server.stop().expect("a good end");
}

#[test]
fn uml_pppd_tells_accms() {
    let lan = Lan::new().expect("a network");
    let [caller, called] = [2, 3].map(|host| guest(&lan, host));
    called.run("mount -t tmpfs tmpfs /tmp").expect("a place for the plugin's socket");
    // What each wants to have escaped: the server receives what the client sends.
    let map =
        |options: &str, map: &str| PPPD.replace("\"debug\"", &format!("{options}\"asyncmap\", \"{map}\""));
    let plugin = map("\"plugin\", \"openl2tp.so\", ", "a0000");
    let server = GuestDaemon::serve(&called, &serve("linux", called.address, &plugin)).expect("a server");
    let configuration = connect("linux", called.address, &map("", "500"));
    let client = GuestDaemon::connect(&caller, &configuration).expect("a client");
    client.job().find(PATIENCE, with("ACCM send 00000500, receive 000a0000")).expect("the LAC is told");
    up(|wanted| server.told(wanted), INNER).expect("the server is told");
    client.stop().expect("a good end");
    server.stop().expect("a good end");
}

#[test]
fn uml_pppd_leaves_hosts_of_our_network_where_they_are() {
    let lan = Lan::new().expect("a network");
    let caller = guest(&lan, 2);
    // 192.0.2.0/24 is the network between both ends, the server's own address in it one of them.
    for remote in [Ipv4Addr::new(192, 0, 2, 53), HERE] {
        let configuration = serve("user", HERE, OWN).replace(&INNER.0.to_string(), &remote.to_string());
        let server = Daemon::serve(&lan.here, &configuration).expect("a server");
        let client = GuestDaemon::connect(&caller, &connect("linux", HERE, PPPD)).expect("a client");
        up(|wanted| client.told(wanted), (INNER.1, remote)).expect("the client is told");
        let way = caller.run(&format!("ip route get {remote}")).expect("a way");
        assert!(way.contains(" dev vec0 "), "{way}");
        // An interface that comes up has its routes again.
        caller.run("ip link set ppp0 down && ip link set ppp0 up").expect("its route is back");
        let why = down(|wanted| client.told(wanted)).expect("the call ends");
        assert_eq!(
            why,
            format!("{remote}, which the server calls its own, was routed into the tunnel once more")
        );
        client.ends(Code::Local).expect("its end");
        let way = caller.run(&format!("ip route get {remote}; ip route show proto 115")).expect("a way");
        assert!(way.contains(" dev vec0 ") && !way.contains("unreachable"), "{way}");
        server.stop().expect("a good end");
    }
}

#[test]
fn uml_pppd_has_the_interface_of_the_one_before() {
    let lan = Lan::new().expect("a network");
    let caller = guest(&lan, 2);
    let server = Daemon::serve(&lan.here, &serve("user", HERE, OWN)).expect("a server");
    let configuration = connect("linux", HERE, PPPD) + "interface-name = \"office\"\npersist = true\n";
    let client = GuestDaemon::connect(&caller, &configuration).expect("a client");
    up(|wanted| client.told(wanted), (INNER.1, INNER.0)).expect("the client is told");
    let mark = client.mark();
    // The call ends without a goodbye of its link: the client's pppd goes on for a while.
    lan.here.run("ip link delete ppp0").expect("it is there");
    let mut failures = Vec::new();
    let again = |notice: &Notice| match notice {
        Notice::Failed { why, .. } => {
            failures.push(why.clone());
            None
        }
        Notice::SessionUp { interface, .. } => Some(interface.clone()),
        _ => None,
    };
    assert_eq!(client.told_from(mark, again).expect("it comes again"), "office");
    assert!(failures.iter().all(|why| !why.contains("pppd")), "{failures:?}");
    client.stop().expect("a good end");
    server.stop().expect("a good end");
}

#[test]
fn uml_pppd_has_debians_options_and_scripts() {
    let lan = Lan::new().expect("a network");
    let guests = [2, 3].map(|host| guest(&lan, host));
    for guest in &guests {
        // What the distribution has there lies beneath the guest's own.
        let below = "mkdir /run/below && mount --bind / /run/below && cp -r /run/below/etc/ppp/* /etc/ppp";
        let lock = guest.run(&format!("{below} && sed -n /^lock$/p /etc/ppp/options"));
        assert_eq!(lock.expect("Debian's files").trim(), "lock");
        let script = "#!/bin/sh\necho ${0%.d/*} $PPP_IFACE $PPP_LOCAL $PPP_REMOTE $PPP_IPPARAM >>/run/told\n";
        let script = guest.file("told", script).expect("a file");
        let install = format!("install -m 755 {script} /etc/ppp/$on.d/told");
        guest
            .run(&format!("for on in ip-up ip-down ipv6-up ipv6-down; do {install}; done"))
            .expect("scripts");
    }
    let [caller, called] = &guests;
    let six = |configuration: String| configuration.replace("ipv6 = false\n", "");
    let pool = "[ipv6-pool.six]\nprefix = \"2001:db8::/48\"\n[peer.any]\nipv6-pool = \"six\"\n";
    let configuration = six(serve("linux", called.address, PPPD)).replace("[peer.any]\n", pool);
    let server = GuestDaemon::serve(called, &configuration).expect("a server");
    let client =
        GuestDaemon::connect(caller, &six(connect("linux", called.address, PPPD))).expect("a client");
    let (there, here) = INNER;
    let ends = [(caller, here, there, "peer"), (called, there, here, "any")];
    let have_told = |lines: usize| {
        let told = format!("test \"$(wc -l </run/told)\" = {lines}");
        let wait = format!("n=0; until {told}; do n=$((n + 1)); test $n -lt 300 || exit 1; sleep 0.1; done");
        ends.map(|(guest, ..)| guest.run(&format!("{wait}; sort /run/told")).expect("they have run"))
    };
    have_told(2);
    client.stop().expect("a good end");
    down(|wanted| server.told(wanted)).expect("the server is told");
    for (told, (_, local, remote, name)) in have_told(4).iter().zip(ends) {
        let lines: Vec<_> = told.lines().map(|line| line.split(' ').collect::<Vec<_>>()).collect();
        let [local, remote] = [local, remote].map(|ip| ip.to_string());
        for (line, on) in lines.iter().zip(["ip-down", "ip-up", "ipv6-down", "ipv6-up"]) {
            let place = format!("/etc/ppp/{on}");
            match line[..] {
                [at, "ppp0", ours, its, of] if at == place && of == name => match on.starts_with("ipv6") {
                    true => assert!(ours.starts_with("fe80:") && its.starts_with("fe80:"), "{told}"),
                    false => assert_eq!((ours, its), (&*local, &*remote)),
                },
                _ => panic!("{told}"),
            }
        }
    }
    server.stop().expect("a good end");
}
