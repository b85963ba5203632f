//! Our client calls xl2tpd with pppd on Linux' PPPoL2TP.
//!
//! ```text
//!   ol2tp connect ── br0 ── guest 2, xl2tpd
//! ```

use std::io;

use interop::PATIENCE;
use interop::daemon::Daemon;
use interop::iperf3::{self, Way};
use interop::lan::Lan;
use interop::log::with;
use interop::uml::Uml;
use interop::xl2tpd::{Auth, INNER, Settings, Xl2tpd};
use ol2tp::exit::Code;
use ol2tpd::Notice;

const PLAIN: Settings =
    Settings { user: ("alice", "wonderland"), auth: Auth::Chap, secret: None, sequence: false };
const FULL: Settings =
    Settings { auth: Auth::MsChapV2, secret: Some("tunnel secret"), sequence: true, ..PLAIN };

#[test]
fn xl2tpd_is_called_by_flags() {
    let (lan, guest) = bed();
    let server = Xl2tpd::lns(&guest, PLAIN).expect("xl2tpd");
    let host = guest.address.to_string();
    let arguments = ["connect", &host, "--user", "alice", "--password-file", "FILE", "--dns", "none"];
    let client = Daemon::start(&lan.here, &arguments, "wonderland\n").expect("the command");
    up(&client, &server).expect("a session");
    ping(&guest, &lan).expect("echoes");
    // pppd ends in good order: it hears of it.
    client.stop().expect("a good end");
    server.job.find(PATIENCE, with("rcvd [LCP TermReq")).expect("it is told");
    server.gone().expect("pppd ends");
}

#[test]
fn xl2tpd_receives_for_30_s() {
    moves(PLAIN, Way::Up);
}

#[test]
fn xl2tpd_sends_for_30_s_with_everything() {
    moves(FULL, Way::Down);
}

#[test]
fn xl2tpd_sends_for_30_s_with_a_secret() {
    moves(Settings { secret: FULL.secret, ..PLAIN }, Way::Down);
}

#[test]
fn xl2tpd_receives_for_30_s_by_mschapv2() {
    moves(Settings { secret: None, ..FULL }, Way::Up);
}

#[test]
fn xl2tpd_is_hung_up_on_by_its_caller() {
    let (lan, guest) = bed();
    let server = Xl2tpd::lns(&guest, FULL).expect("xl2tpd");
    let client = connect(&lan, &guest, FULL).expect("the command");
    up(&client, &server).expect("a session");
    client.stop().expect("a good end");
    server.job.find(PATIENCE, with("Connection closed to")).expect("it is told");
    server.gone().expect("pppd ends");
    // There is one address, and it is free again.
    let mark = server.job.mark();
    let client = connect(&lan, &guest, FULL).expect("the command");
    up_from(&client, &server, mark).expect("a session");
    ping(&guest, &lan).expect("echoes");
    client.stop().expect("a good end");
}

#[test]
fn xl2tpd_ends_as_server() {
    let (lan, guest) = bed();
    let server = Xl2tpd::lns(&guest, PLAIN).expect("xl2tpd");
    let client = connect(&lan, &guest, PLAIN).expect("the command");
    up(&client, &server).expect("a session");
    server.terminate().expect("it runs");
    client.ends(Code::Ended).expect("its end");
    server.gone().expect("pppd ends");
}

#[test]
fn xl2tpd_is_killed_as_server() {
    let (lan, guest) = bed();
    let server = Xl2tpd::lns(&guest, PLAIN).expect("xl2tpd");
    let client = connect(&lan, &guest, PLAIN).expect("the command");
    up(&client, &server).expect("a session");
    server.kill().expect("it runs");
    client.ends(Code::Lost).expect("its end");
    server.gone().expect("pppd ends");
}

#[test]
fn xl2tpd_loses_power_as_server() {
    let (lan, guest) = bed();
    let server = Xl2tpd::lns(&guest, FULL).expect("xl2tpd");
    let client = connect(&lan, &guest, FULL).expect("the command");
    up(&client, &server).expect("a session");
    guest.kill().expect("it is gone");
    client.ends(Code::Lost).expect("its end");
}

#[test]
fn xl2tpd_loses_its_caller() {
    let (lan, guest) = bed();
    let server = Xl2tpd::lns(&guest, FULL).expect("xl2tpd");
    let client = connect(&lan, &guest, FULL).expect("the command");
    up(&client, &server).expect("a session");
    client.kill().expect("nothing is left");
    server.gone().expect("pppd notices");
    // Then its only address is free again.
    server.job.find(PATIENCE, with("Maximum retries exceeded")).expect("it gives up");
    let mark = server.job.mark();
    let client = connect(&lan, &guest, FULL).expect("the command");
    up_from(&client, &server, mark).expect("a session");
    ping(&guest, &lan).expect("echoes");
    client.stop().expect("a good end");
}

#[test]
fn xl2tpd_refuses_a_wrong_password() {
    for auth in [Auth::Chap, Auth::MsChapV2] {
        let (lan, guest) = bed();
        let server = Xl2tpd::lns(&guest, Settings { auth, ..PLAIN }).expect("xl2tpd");
        let wrong = Settings { user: ("alice", "looking glass"), auth, ..PLAIN };
        let client = connect(&lan, &guest, wrong).expect("the command");
        client.ends(Code::Password).expect("its end");
        server.gone().expect("pppd ends");
    }
}

#[test]
fn xl2tpd_refuses_a_wrong_secret() {
    let (lan, guest) = bed();
    let _server = Xl2tpd::lns(&guest, FULL).expect("xl2tpd");
    let client = connect(&lan, &guest, Settings { secret: Some("wrong"), ..FULL }).expect("the command");
    client.ends(Code::Secret).expect("its end");
}

fn bed() -> (Lan, Uml) {
    let lan = Lan::new().expect("a network");
    let guest = Uml::boot(&lan, 2).expect("a guest");
    (lan, guest)
}

/// A client that notices within 5 s that its peer is gone.
fn connect<'a>(lan: &'a Lan, guest: &Uml, settings: Settings) -> io::Result<Daemon<'a>> {
    let Settings { user: (user, password), secret, sequence, .. } = settings;
    let secret = secret.map(|secret| format!("secret = \"{secret}\"\n")).unwrap_or_default();
    let configuration = format!(
        "[connect.guest]\nhost = \"{}\"\nuser = \"{user}\"\npassword = \"{password}\"\n{secret}dns = \"none\"\n\
         send-sequence = {sequence}\nrequire-sequence = {sequence}\n\
         echo-interval = \"1s\"\necho-failures = 5\nretransmissions = 3\n",
        guest.address
    );
    Daemon::start(&lan.here, &["connect", "-c", "FILE", "guest"], &configuration)
}

/// Both sides have the same addresses.
fn up(client: &Daemon, server: &Xl2tpd) -> io::Result<()> {
    up_from(client, server, 0)
}

/// The same of a session that pppd tells of behind a mark.
fn up_from(client: &Daemon, server: &Xl2tpd, mark: usize) -> io::Result<()> {
    let (remote, local) = INNER;
    client.told(|notice| match notice {
        Notice::SessionUp { local: here, remote: there, .. } => {
            (*here == local && *there == remote).then_some(())
        }
        _ => None,
    })?;
    let addresses = server.up_from(mark)?;
    if addresses == INNER { Ok(()) } else { Err(io::Error::other(format!("{addresses:?}"))) }
}

/// Echoes both ways.
fn ping(guest: &Uml, lan: &Lan) -> io::Result<()> {
    guest.run(&format!("ping -q -c 5 -i 0.1 -W 5 {}", INNER.1))?;
    lan.here.run(&format!("ping -q -c 5 -i 0.1 -W 5 {}", INNER.0)).map(drop)
}

fn moves(settings: Settings, way: Way) {
    let (lan, guest) = bed();
    let server = Xl2tpd::lns(&guest, settings).expect("xl2tpd");
    let client = connect(&lan, &guest, settings).expect("the command");
    up(&client, &server).expect("a session");
    ping(&guest, &lan).expect("echoes");
    let peer = iperf3::serve_in(&guest).expect("iperf3");
    iperf3::run(&lan.here, INNER.0, way, 30).expect("TCP");
    peer.succeed(PATIENCE).expect("iperf3");
    let sessions = client.show().expect("the control socket").sessions.expect("they are shown");
    let [session] = &sessions[..] else { panic!("{sessions:?}") };
    assert_eq!((session.send_seq, session.recv_seq), (settings.sequence, settings.sequence));
    for name in ["rx_errors", "rx_seq_discards"] {
        assert!(session.stats.contains(&(name.into(), 0)), "{:?}", session.stats);
    }
    client.stop().expect("a good end");
    server.gone().expect("pppd ends");
}
