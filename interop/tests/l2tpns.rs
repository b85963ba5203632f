//! Our client calls l2tpns, which asks FreeRADIUS; before that, Linux does, so that the bed is known to work.
//!
//! ```text
//!   ol2tp connect, or guest 2 ── br0 ── namespace 3: l2tpns ── FreeRADIUS
//! ```

use std::io;
use std::net::{IpAddr, Ipv4Addr};

use interop::PATIENCE;
use interop::daemon::Daemon;
use interop::guest::GuestDaemon;
use interop::iperf3::{self, Way};
use interop::l2tpns::{INNER, L2tpns, RESOLVER};
use interop::lan::{Host, Lan};
use interop::log::with;
use interop::uml::Uml;
use interop::xl2tpd::{Auth, Settings, Xl2tpd};
use ol2tp::exit::Code;
use ol2tpd::Notice;
use ol2tpd::notice::Failed;

const SECRET: &str = "tunnel secret";
const USER: (&str, &str) = ("alice", "wonderland");

#[test]
fn l2tpns_is_called_by_linux() {
    let (lan, server) = bed();
    let guest = Uml::boot(&lan, 2).expect("a guest");
    let settings = Settings { user: USER, auth: Auth::Chap, secret: Some(SECRET), sequence: false };
    let client = Xl2tpd::lac(&guest, server.address, settings).expect("xl2tpd");
    let (_, there) = client.up().expect("IPCP");
    assert_eq!(there, INNER);
    guest.run(&format!("ping -q -c 5 -i 0.1 -W 5 {INNER}")).expect("echoes");
}

#[test]
fn l2tpns_by_chap_with_secret_receives_for_30_s() {
    moves("chap", SECRET, Way::Up);
}

#[test]
fn l2tpns_by_pap_without_secret_sends_for_30_s() {
    moves("pap", "", Way::Down);
}

#[test]
fn l2tpns_has_all_traffic_and_is_asked_for_names() {
    let (lan, server) = bed();
    let all = "default-route = true\ndns = \"file\"\n";
    let client = dial(&lan.here, &server, "chap", SECRET, USER, all).expect("the command");
    let local = up(&client).expect("a session");
    client.told(|notice| matches!(notice, Notice::NameServers { .. }).then_some(())).expect("name servers");
    let resolv_conf = client.resolv_conf().expect("there is one");
    assert!(resolv_conf.contains(&format!("nameserver {RESOLVER}")), "{resolv_conf}");
    for (target, inside) in [("203.0.113.7", true), (&server.address.to_string(), false)] {
        let way = lan.here.run(&format!("ip route get {target}")).expect("a route");
        assert_eq!(way.contains(&format!("src {local}")), inside, "{way}");
    }
    lan.here.run(&format!("ping -q -c 5 -i 0.1 -W 5 {INNER}")).expect("echoes");
    // Routes and name servers are as they were.
    client.stop().expect("a good end");
}

#[test]
fn l2tpns_ends() {
    let (lan, server) = bed();
    let client = connect(&lan, &server, "chap", SECRET, USER.1).expect("the command");
    up(&client).expect("a session");
    server.terminate().expect("it runs");
    client.ends(Code::Ended).expect("its end");
}

#[test]
fn l2tpns_is_killed() {
    let (lan, server) = bed();
    let client = connect(&lan, &server, "chap", SECRET, USER.1).expect("the command");
    up(&client).expect("a session");
    server.kill().expect("it runs");
    client.ends(Code::Lost).expect("its end");
}

#[test]
fn l2tpns_refuses_a_wrong_password() {
    let (lan, server) = bed();
    for auth in ["chap", "pap"] {
        let client = connect(&lan, &server, auth, SECRET, "looking glass").expect("the command");
        client.ends(Code::Password).expect("its end");
    }
}

/// It ends the call without a word, by PPP or in the call's end: pppd alone knows what it waited for.
#[test]
fn l2tpns_refuses_a_wrong_password_of_pppd() {
    let (lan, server) = bed();
    let guest = Uml::boot(&lan, 2).expect("a guest");
    for auth in ["chap", "pap"] {
        let configuration = format!(
            "driver = \"linux\"\n[connect.peer]\nhost = \"{}\"\nsecret = \"{SECRET}\"\nuser = \"{}\"\n\
             password = \"looking glass\"\nauth = [\"{auth}\"]\ndns = \"none\"\nipv6 = false\nppp = \"pppd\"\n",
            server.address, USER.0
        );
        let client = GuestDaemon::connect(&guest, &configuration).expect("the command");
        client.ends(Code::Password).expect("its end");
    }
}

#[test]
fn l2tpns_has_another_secret() {
    let (lan, server) = bed();
    let client = connect(&lan, &server, "chap", "wrong", USER.1).expect("the command");
    client.ends(Code::Secret).expect("its end");
}

#[test]
fn l2tpns_has_no_address_left() {
    let lan = Lan::new().expect("a network");
    let others = [USER, ("bob", "builder")];
    let server = L2tpns::start_for_one(&lan, 3, SECRET, &others).expect("l2tpns and FreeRADIUS");
    let first = connect(&lan, &server, "chap", SECRET, USER.1).expect("the command");
    up(&first).expect("a session");
    let elsewhere = lan.host(4).expect("another namespace");
    let second = dial(&elsewhere, &server, "chap", SECRET, others[1], "").expect("the command");
    second.ends(Code::Address).expect("its end");
    first.stop().expect("a good end");
}

#[test]
fn l2tpns_is_started_anew_and_called_again() {
    let (lan, mut server) = bed();
    let persist = "persist = true\nbackoff = \"1s\"\n";
    let client = dial(&lan.here, &server, "chap", SECRET, USER, persist).expect("the command");
    up(&client).expect("a session");
    let mark = client.mark();
    server.restart().expect("l2tpns");
    let failed = client.told_from(mark, |notice| match notice {
        Notice::Failed { failure, retry, .. } => Some((*failure, retry.is_some())),
        _ => None,
    });
    assert_eq!(failed.expect("it notices"), (Failed::Lost, true));
    up_from(&client, mark).expect("it calls again");
    lan.here.run(&format!("ping -q -c 5 -i 0.1 -W 5 {INNER}")).expect("echoes");
    client.stop().expect("a good end");
}

#[test]
fn l2tpns_is_called_from_an_address_that_goes() {
    let (lan, server) = bed();
    let client = connect(&lan, &server, "chap", SECRET, USER.1).expect("the command");
    up(&client).expect("a session");
    lan.here.run("ip address add 192.0.2.9/24 dev br0").expect("a new address");
    lan.here.run("ip address del 192.0.2.1/24 dev br0").expect("the old one goes");
    client.ends(Code::Lost).expect("its end");
}

fn bed() -> (Lan, L2tpns) {
    let lan = Lan::new().expect("a network");
    let server = L2tpns::start(&lan, 3, SECRET, &[USER]).expect("l2tpns and FreeRADIUS");
    (lan, server)
}

/// A client that notices within 5 s that its peer is gone.
fn connect<'a>(
    lan: &'a Lan,
    server: &L2tpns,
    auth: &str,
    secret: &str,
    password: &str,
) -> io::Result<Daemon<'a>> {
    dial(&lan.here, server, auth, secret, (USER.0, password), "")
}

/// The same, elsewhere and with more settings.
fn dial<'a>(
    host: &'a Host,
    server: &L2tpns,
    auth: &str,
    secret: &str,
    (user, password): (&str, &str),
    more: &str,
) -> io::Result<Daemon<'a>> {
    let secret = if secret.is_empty() { String::new() } else { format!("secret = \"{secret}\"\n") };
    let dns = if more.contains("dns = ") { "" } else { "dns = \"none\"\n" };
    let configuration = format!(
        "[connect.l2tpns]\nhost = \"{}\"\nuser = \"{user}\"\npassword = \"{password}\"\nauth = [\"{auth}\"]\n\
         {secret}{dns}echo-interval = \"1s\"\necho-failures = 5\nretransmissions = 3\n{more}",
        server.address
    );
    Daemon::start(host, &["connect", "-c", "FILE", "l2tpns"], &configuration)
}

/// Waits for the session. Returns the client's address.
fn up(client: &Daemon) -> io::Result<Ipv4Addr> {
    up_from(client, 0)
}

fn up_from(client: &Daemon, mark: usize) -> io::Result<Ipv4Addr> {
    client.told_from(mark, |notice| match notice {
        Notice::SessionUp { local: IpAddr::V4(local), remote, .. } if *remote == INNER => Some(*local),
        _ => None,
    })
}

fn moves(auth: &str, secret: &str, way: Way) {
    let (lan, server) = bed();
    let client = connect(&lan, &server, auth, secret, USER.1).expect("the command");
    let local = up(&client).expect("a session");
    server.radius.log.find(PATIENCE, with("Login OK: [alice")).expect("FreeRADIUS was asked");
    lan.here.run(&format!("ping -q -c 5 -i 0.1 -W 5 {INNER}")).expect("echoes");
    server.host.run(&format!("ping -q -c 5 -i 0.1 -W 5 {local}")).expect("echoes");

    let peer = iperf3::serve_on(&server.host).expect("iperf3");
    iperf3::run(&lan.here, INNER, way, 30).expect("TCP");
    assert!(peer.wait(PATIENCE).expect("iperf3").success());
    client.stop().expect("a good end");
    server.lns.log.find(PATIENCE, with("Received StopCCN")).expect("it is told");
}
