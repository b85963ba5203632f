//! `ol2tp` on Linux' own PPPoL2TP, with PPP of its own and with pppd: calls itself, xl2tpd, and itself in user
//! space.
//!
//! ```text
//!   guest 2 ── br0 ── guest 3
//!               └── ol2tp in user space
//! ```

use std::fmt::Debug;
use std::io;
use std::net::{IpAddr, Ipv4Addr};

use interop::PATIENCE;
use interop::daemon::Daemon;
use interop::guest::{GuestDaemon, in_words_of_proc, nothing_left, only_session, proc_sessions};
use interop::iperf3::{self, Way};
use interop::lan::{HERE, Lan};
use interop::log::with;
use interop::uml::Uml;
use interop::xl2tpd::{Auth, INNER, Settings, Xl2tpd};
use ol2tp::exit::Code;
use ol2tpd::Notice;
use ol2tpd::control::SessionView;

/// How xl2tpd is told what [`serve`] and [`connect`] tell ours.
const SETTINGS: Settings = Settings {
    user: ("alice", "wonder land"),
    auth: Auth::MsChapV2,
    secret: Some("tunnel secret"),
    sequence: true,
};
/// In `[peer.NAME]` and `[connect.NAME]`.
const COMMON: &str =
    "secret = \"tunnel secret\"\nsend-sequence = true\nrequire-sequence = true\nipv6 = false\n";
/// How often numbers of both sides are looked at until they agree: what is on its way is counted at one side.
const LOOKS: u32 = 20;

/// Bytes of the first frame of a client, with its L2TP header: a Configure-Request, of pppd with an ACCM.
const FIRST_FRAME: [u64; 2] = [28, 34];
/// What that of a server has besides: MS-CHAPv2.
const AUTH: u64 = 5;

/// Who does PPP.
const OWN: &str = "ppp = \"own\"\n";
const PPPD: &str = "ppp = \"pppd\"\npppd-options = [\"debug\"]\n";

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
    guest_calls_user_space(OWN);
}

#[test]
fn uml_guest_calls_user_space_with_pppd() {
    guest_calls_user_space(PPPD);
}

#[test]
fn uml_user_space_calls_guest() {
    user_space_calls_guest(OWN);
}

#[test]
fn uml_user_space_calls_guest_with_pppd() {
    user_space_calls_guest(PPPD);
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
    client.hang_up().expect("a call");
    down(|wanted| server.told(wanted)).expect("the server is told");
    client.gone().expect("its pppd ends");
    server.stop().expect("a good end");
}

fn guest_calls_user_space(ppp: &str) {
    let lan = Lan::new().expect("a network");
    let caller = guest(&lan, 2);
    let server = Daemon::serve(&lan.here, &serve("user", HERE, OWN)).expect("a server");
    let client = GuestDaemon::connect(&caller, &connect("linux", HERE, ppp)).expect("a client");
    up(|wanted| client.told(wanted), (INNER.1, INNER.0)).expect("the client is told");
    up(|wanted| server.told(wanted), INNER).expect("the server is told");
    moves_from_here(&lan, &caller, INNER.1, INNER.0);
    agrees_with_kernel(&caller, &client);
    agree(
        || Ok(sent_and_received(&client.session()?)),
        || Ok(received_and_sent(&only_session(server.show()?)?)),
    );
    client.stop().expect("a good end");
    down(|wanted| server.told(wanted)).expect("the server is told");
    server.stop().expect("a good end");
}

fn user_space_calls_guest(ppp: &str) {
    let lan = Lan::new().expect("a network");
    let called = guest(&lan, 2);
    let server = GuestDaemon::serve(&called, &serve("linux", called.address, ppp)).expect("a server");
    let configuration = connect("user", called.address, OWN);
    let client =
        Daemon::start(&lan.here, &["connect", "-c", "FILE", "peer"], &configuration).expect("a client");
    up(|wanted| client.told(wanted), (INNER.1, INNER.0)).expect("the client is told");
    up(|wanted| server.told(wanted), INNER).expect("the server is told");
    moves_from_here(&lan, &called, INNER.0, INNER.1);
    agrees_with_kernel(&called, &server);
    agree(
        || Ok(sent_and_received(&only_session(client.show()?)?)),
        || Ok(received_and_sent(&server.session()?)),
    );
    client.stop().expect("a good end");
    down(|wanted| server.told(wanted)).expect("the server is told");
    server.stop().expect("a good end");
}

/// The kernel's sessions and interfaces go with their daemons.
fn daemons_are_killed(ppp: &str) {
    let lan = Lan::new().expect("a network");
    let [caller, called] = [2, 3].map(|host| guest(&lan, host));
    let server = GuestDaemon::serve(&called, &serve("linux", called.address, ppp)).expect("a server");
    let client = GuestDaemon::connect(&caller, &connect("linux", called.address, ppp)).expect("a client");
    up(|wanted| client.told(wanted), (INNER.1, INNER.0)).expect("the client is told");
    up(|wanted| server.told(wanted), INNER).expect("the server is told");
    assert_eq!(proc_sessions(&caller).expect("procfs").len(), 1);
    server.signal("KILL").expect("it runs");
    nothing_left(&called).expect("all is gone");
    client.ends(Code::Lost).expect("it notices");
    let server = GuestDaemon::serve(&called, &serve("linux", called.address, ppp)).expect("a server");
    let client = GuestDaemon::connect(&caller, &connect("linux", called.address, ppp)).expect("a client");
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
    let global = shown.split_whitespace().find_map(|word| word.strip_suffix("/64")).expect("its address");
    assert!(global.starts_with("2001:db8:"), "{shown}");
    called.run(&format!("{ping} {global}")).expect("echoes");
    client.stop().expect("a good end");
    server.stop().expect("a good end");
}

#[test]
fn uml_pppd_of_a_client_is_killed() {
    let lan = Lan::new().expect("a network");
    let caller = guest(&lan, 2);
    let server = Daemon::serve(&lan.here, &serve("user", HERE, OWN)).expect("a server");
    let client = GuestDaemon::connect(&caller, &connect("linux", HERE, PPPD)).expect("a client");
    up(|wanted| client.told(wanted), (INNER.1, INNER.0)).expect("the client is told");
    caller.run("pkill -KILL -x pppd").expect("it runs");
    let why = down(|wanted| client.told(wanted)).expect("the client notices");
    assert_eq!(why, "pppd failed: signal: 9 (SIGKILL)");
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
    let client =
        Daemon::start(&lan.here, &["connect", "-c", "FILE", "peer"], &configuration).expect("a client");
    up(|wanted| server.told(wanted), INNER).expect("the server is told");
    up(|wanted| client.told(wanted), (INNER.1, INNER.0)).expect("the client is told");
    called.run("pkill -KILL -x pppd").expect("it runs");
    let why = down(|wanted| server.told(wanted)).expect("the server notices");
    assert_eq!(why, "pppd failed: signal: 9 (SIGKILL)");
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
fn uml_pppd_tells_accms() {
    let lan = Lan::new().expect("a network");
    let [caller, called] = [2, 3].map(|host| guest(&lan, host));
    called.run("mount -t tmpfs tmpfs /tmp").expect("a place for the plugin's socket");
    let plugin = PPPD.replace("\"debug\"", "\"plugin\", \"openl2tp.so\"");
    let server = GuestDaemon::serve(&called, &serve("linux", called.address, &plugin)).expect("a server");
    let client = GuestDaemon::connect(&caller, &connect("linux", called.address, PPPD)).expect("a client");
    client.job().find(PATIENCE, with("ACCM send 00000000, receive 00000000")).expect("the LAC is told");
    up(|wanted| server.told(wanted), INNER).expect("the server is told");
    client.stop().expect("a good end");
    server.stop().expect("a good end");
}

/// A guest whose pppd knows the user.
fn guest(lan: &Lan, host: u8) -> Uml {
    let guest = Uml::boot(lan, host).expect("a guest");
    let (user, password) = SETTINGS.user;
    guest.file("secrets", &format!("\"{user}\" * \"{password}\" *\n")).expect("a file");
    guest.run("install -m 600 /host/secrets /etc/ppp/chap-secrets").expect("its secrets");
    guest
}

/// A server that notices within 5 s that its peer is gone, and that has one address to give.
fn serve(driver: &str, address: Ipv4Addr, ppp: &str) -> String {
    let ((local, remote), (user, password)) = (INNER, SETTINGS.user);
    format!(
        "driver = \"{driver}\"\n[[listen]]\naddress = \"{address}\"\n[pool.inner]\nranges = [\"{remote}\"]\n\
         [peer.any]\n{COMMON}{ppp}auth = [\"mschapv2\"]\npool = \"inner\"\nlocal-address = \"{local}\"\n\
         echo-interval = \"1s\"\necho-failures = 5\nhello = \"1s\"\nhello-retransmissions = 2\nretransmissions = 3\n\
         [[user]]\nname = \"{user}\"\npassword = \"{password}\"\n"
    )
}

/// A client that notices within 5 s that its peer is gone.
fn connect(driver: &str, host: Ipv4Addr, ppp: &str) -> String {
    let (user, password) = SETTINGS.user;
    format!(
        "driver = \"{driver}\"\n[connect.peer]\nhost = \"{host}\"\n{COMMON}{ppp}user = \"{user}\"\n\
         password = \"{password}\"\ndns = \"none\"\nauth = [\"mschapv2\"]\n\
         echo-interval = \"1s\"\necho-failures = 5\nretransmissions = 3\n"
    )
}

/// It is told of the session, with these addresses.
fn up(
    told: impl FnOnce(&dyn Fn(&Notice) -> Option<(Ipv4Addr, Ipv4Addr)>) -> io::Result<(Ipv4Addr, Ipv4Addr)>,
    addresses: (Ipv4Addr, Ipv4Addr),
) -> io::Result<()> {
    let (here, there) = addresses;
    told(&|notice| match notice {
        Notice::SessionUp { local, remote, .. } => (*local == here && *remote == there).then_some(addresses),
        _ => None,
    })
    .map(drop)
}

/// It is told that the session has ended.
fn down(told: impl FnOnce(&dyn Fn(&Notice) -> Option<String>) -> io::Result<String>) -> io::Result<String> {
    told(&|notice| match notice {
        Notice::SessionDown { why, .. } => Some(why.clone()),
        _ => None,
    })
}

fn echoes(guest: &Uml, to: Ipv4Addr) {
    guest.run(&format!("ping -q -c 5 -i 0.1 -W 5 {to}")).expect("echoes");
}

/// Echoes, and TCP both ways, from one guest to this address in another.
fn moves(from: &Uml, to: Ipv4Addr, there: &Uml) {
    echoes(from, to);
    for way in ["", "--reverse"] {
        let peer = iperf3::serve_in(there).expect("iperf3");
        from.run(&format!("iperf3 --client {to} --time 1 {way}")).expect("TCP");
        peer.succeed(PATIENCE).expect("iperf3");
    }
}

/// The same between here and a guest.
fn moves_from_here(lan: &Lan, there: &Uml, to: Ipv4Addr, from: Ipv4Addr) {
    echoes(there, from);
    lan.here.run(&format!("ping -q -c 5 -i 0.1 -W 5 {to}")).expect("echoes");
    for way in [Way::Up, Way::Down] {
        let peer = iperf3::serve_in(there).expect("iperf3");
        iperf3::run(&lan.here, to, way, 1).expect("TCP");
        peer.succeed(PATIENCE).expect("iperf3");
    }
}

/// What `show` tells is what the kernel tells: ids, state, Ns and Nr, counters, interface.
fn agrees_with_kernel(guest: &Uml, daemon: &GuestDaemon) {
    agree(|| Ok(vec![in_words_of_proc(&daemon.session()?)]), || proc_sessions(guest));
    let session = daemon.session().expect("a session");
    assert!(session.bound && session.send_seq && session.recv_seq, "{session:?}");
    assert!(session.interface.is_some(), "{session:?}");
    assert_ne!((session.nr, session.ns), (0, 0), "{session:?}");
    for name in ["rx_errors", "rx_seq_discards", "tx_errors"] {
        assert!(session.stats.contains(&(name.into(), 0)), "{:?}", session.stats);
    }
}

/// Two views are the same at last.
fn agree<T: PartialEq + Debug>(left: impl Fn() -> io::Result<T>, right: impl Fn() -> io::Result<T>) {
    agree_so(left, right, T::eq);
}

/// The same of what we have sent and received, and what xl2tpd has received and sent. Its session may not be there
/// yet when our first frame comes, which has so many bytes, or when that comes again.
fn agree_but_first(
    first: u64,
    ours: impl Fn() -> io::Result<[u64; 4]>,
    its: impl Fn() -> io::Result<[u64; 4]>,
) {
    agree_so(ours, its, |ours, its| {
        let [packets, bytes, sent, sent_bytes] = *its;
        let missed = ours[0].saturating_sub(packets);
        *ours == [packets + missed, bytes + missed * first, sent, sent_bytes]
    });
}

fn agree_so<T: Debug>(
    left: impl Fn() -> io::Result<T>,
    right: impl Fn() -> io::Result<T>,
    same: impl Fn(&T, &T) -> bool,
) {
    let mut last = None;
    for _ in 0..LOOKS {
        let both = (left().expect("one view"), right().expect("the other view"));
        if same(&both.0, &both.1) {
            return;
        }
        last = Some(both);
    }
    panic!("they never agree: {last:#?}");
}

fn count(session: &SessionView, name: &str) -> u64 {
    session.stats.iter().find(|(counter, _)| counter == name).map_or(0, |(_, value)| *value)
}

/// Packets and bytes.
fn sent_and_received(session: &SessionView) -> [u64; 4] {
    ["tx_packets", "tx_bytes", "rx_packets", "rx_bytes"].map(|name| count(session, name))
}

fn received_and_sent(session: &SessionView) -> [u64; 4] {
    ["rx_packets", "rx_bytes", "tx_packets", "tx_bytes"].map(|name| count(session, name))
}

/// Some of the kernel's counters of the only session in a guest.
fn counters(guest: &Uml, which: [usize; 4]) -> io::Result<[u64; 4]> {
    let sessions = proc_sessions(guest)?;
    let [session] = &sessions[..] else { return Err(io::Error::other(format!("{sessions:?}"))) };
    Ok(which.map(|counter| session.counters[counter]))
}
