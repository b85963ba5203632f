//! xl2tpd with pppd on Linux' PPPoL2TP calls our server.
//!
//! ```text
//!   guest 2, xl2tpd ── br0 ── ol2tp serve
//! ```

use std::io;

use interop::PATIENCE;
use interop::daemon::Daemon;
use interop::iperf3::{self, Way};
use interop::lan::{HERE, Lan};
use interop::log::with;
use interop::uml::Uml;
use interop::xl2tpd::{Auth, INNER, Settings, Xl2tpd};
use ol2tpd::Notice;

const PLAIN: Settings =
    Settings { user: ("alice", "wonderland"), auth: Auth::Chap, secret: None, sequence: false };
const FULL: Settings =
    Settings { auth: Auth::MsChapV2, secret: Some("tunnel secret"), sequence: true, ..PLAIN };

#[test]
fn xl2tpd_by_flags_and_hangs_up() {
    let lan = Lan::new().expect("a network");
    let guest = Uml::boot(&lan, 2).expect("a guest");
    let (listen, local, pool) = (HERE.to_string(), INNER.0.to_string(), format!("{}/32", INNER.1));
    let arguments = [
        ["serve", "--listen", &listen, "--user", "alice:wonderland", "--auth", "chap"].as_slice(),
        &["--pool", &pool, "--local-address", &local],
    ]
    .concat();
    let server = Daemon::start(&lan.here, &arguments, "").expect("the command");
    let server = server.listening().expect("it listens");
    let client = Xl2tpd::lac(&guest, HERE, PLAIN).expect("xl2tpd");
    up(&server, &client).expect("a session");
    ping(&guest, &lan).expect("echoes");

    client.hang_up().expect("a call");
    down(&server).expect("it is told");
    client.gone().expect("pppd ends");
    nothing(&server);
    server.stop().expect("a good end");
}

#[test]
fn xl2tpd_sends_for_30_s() {
    moves(PLAIN, Way::Down);
}

#[test]
fn xl2tpd_receives_for_30_s_with_everything() {
    moves(FULL, Way::Up);
}

#[test]
fn xl2tpd_receives_for_30_s_with_a_secret() {
    moves(Settings { secret: FULL.secret, ..PLAIN }, Way::Up);
}

#[test]
fn xl2tpd_sends_for_30_s_by_mschapv2() {
    moves(Settings { secret: None, ..FULL }, Way::Down);
}

#[test]
fn xl2tpd_is_hung_up_on() {
    let (lan, guest) = bed();
    let server = Daemon::serve(&lan.here, &configuration(FULL)).expect("a server");
    let client = Xl2tpd::lac(&guest, HERE, FULL).expect("xl2tpd");
    up(&server, &client).expect("a session");
    server.stop().expect("a good end");
    client.job.find(PATIENCE, with("Connection closed to")).expect("it is told");
    client.gone().expect("pppd ends");
}

#[test]
fn xl2tpd_ends() {
    let (lan, guest) = bed();
    let server = Daemon::serve(&lan.here, &configuration(PLAIN)).expect("a server");
    let client = Xl2tpd::lac(&guest, HERE, PLAIN).expect("xl2tpd");
    up(&server, &client).expect("a session");
    client.terminate().expect("it runs");
    down(&server).expect("it is told");
    nothing(&server);
    client.gone().expect("pppd ends");
    server.stop().expect("a good end");
}

#[test]
fn xl2tpd_is_killed_and_calls_again() {
    let (lan, guest) = bed();
    let server = Daemon::serve(&lan.here, &configuration(PLAIN)).expect("a server");
    let client = Xl2tpd::lac(&guest, HERE, PLAIN).expect("xl2tpd");
    up(&server, &client).expect("a session");
    client.kill().expect("it runs");
    down(&server).expect("it notices");
    client.gone().expect("pppd ends");
    // The only address of the pool is free again.
    let again = Xl2tpd::lac(&guest, HERE, PLAIN).expect("xl2tpd");
    assert_eq!(again.up().expect("IPCP"), (INNER.1, INNER.0));
    ping(&guest, &lan).expect("echoes");
    server.stop().expect("a good end");
}

#[test]
fn xl2tpd_loses_power() {
    let (lan, guest) = bed();
    let server = Daemon::serve(&lan.here, &configuration(FULL)).expect("a server");
    let client = Xl2tpd::lac(&guest, HERE, FULL).expect("xl2tpd");
    up(&server, &client).expect("a session");
    guest.kill().expect("it is gone");
    down(&server).expect("it notices");
    nothing(&server);
    server.stop().expect("a good end");
}

#[test]
fn xl2tpd_loses_its_server_and_finds_the_next() {
    let (lan, guest) = bed();
    let server = Daemon::serve(&lan.here, &configuration(PLAIN)).expect("a server");
    let client = Xl2tpd::lac(&guest, HERE, PLAIN).expect("xl2tpd");
    up(&server, &client).expect("a session");
    server.kill().expect("nothing is left");
    client.gone().expect("pppd notices");
    let server = Daemon::serve(&lan.here, &configuration(PLAIN)).expect("a server");
    up(&server, &client).expect("a session");
    ping(&guest, &lan).expect("echoes");
    server.stop().expect("a good end");
}

#[test]
fn xl2tpd_has_the_wrong_password() {
    for auth in [Auth::Chap, Auth::MsChapV2] {
        let (lan, guest) = bed();
        let server = Daemon::serve(&lan.here, &configuration(Settings { auth, ..PLAIN })).expect("a server");
        let wrong = Settings { user: ("alice", "looking glass"), auth, ..PLAIN };
        let client = Xl2tpd::lac(&guest, HERE, wrong).expect("xl2tpd");
        client.job.find(PATIENCE, with("authentication failed")).expect("it is told");
        let why = server.told(|notice| match notice {
            Notice::SessionDown { why, .. } => Some(why.clone()),
            _ => None,
        });
        assert!(why.expect("it ends").contains("password is wrong"));
        client.gone().expect("pppd ends");
        nothing(&server);
        server.stop().expect("a good end");
    }
}

#[test]
fn xl2tpd_has_the_wrong_secret() {
    let (lan, guest) = bed();
    let server = Daemon::serve(&lan.here, &configuration(FULL)).expect("a server");
    let client = Xl2tpd::lac(&guest, HERE, Settings { secret: Some("wrong"), ..FULL }).expect("xl2tpd");
    client.job.find(PATIENCE, with("authentication")).expect("it is refused");
    nothing(&server);
    server.stop().expect("a good end");
}

fn bed() -> (Lan, Uml) {
    let lan = Lan::new().expect("a network");
    let guest = Uml::boot(&lan, 2).expect("a guest");
    (lan, guest)
}

/// A server that notices within 5 s that its peer is gone, and that has one address to give.
fn configuration(settings: Settings) -> String {
    let Settings { user: (user, password), auth, secret, sequence } = settings;
    let auth = if auth == Auth::Chap { "chap" } else { "mschapv2" };
    let secret = secret.map(|secret| format!("secret = \"{secret}\"\n")).unwrap_or_default();
    let (local, remote) = INNER;
    format!(
        "[[listen]]\naddress = \"{HERE}\"\n[pool.inner]\nranges = [\"{remote}\"]\n\
         [peer.any]\n{secret}auth = [\"{auth}\"]\npool = \"inner\"\nlocal-address = \"{local}\"\n\
         send-sequence = {sequence}\nrequire-sequence = {sequence}\n\
         echo-interval = \"1s\"\necho-failures = 5\nretransmissions = 3\n\
         [[user]]\nname = \"{user}\"\npassword = \"{password}\"\n"
    )
}

/// Both sides have the same addresses.
fn up(server: &Daemon, client: &Xl2tpd) -> io::Result<()> {
    let (local, remote) = INNER;
    server.told(|notice| match notice {
        Notice::SessionUp { user, local: here, remote: there, .. } => {
            let user = user.as_deref() == Some("alice");
            (user && *here == local && *there == remote).then_some(())
        }
        _ => None,
    })?;
    let addresses = client.up()?;
    if addresses == (remote, local) { Ok(()) } else { Err(io::Error::other(format!("{addresses:?}"))) }
}

/// The session ends, and then the tunnel.
fn down(server: &Daemon) -> io::Result<()> {
    server.told(|notice| matches!(notice, Notice::SessionDown { .. }).then_some(()))?;
    server.told(|notice| matches!(notice, Notice::TunnelDown { .. }).then_some(()))
}

/// Echoes both ways.
fn ping(guest: &Uml, lan: &Lan) -> io::Result<()> {
    guest.run(&format!("ping -q -c 5 -i 0.1 -W 5 {}", INNER.0))?;
    lan.here.run(&format!("ping -q -c 5 -i 0.1 -W 5 {}", INNER.1)).map(drop)
}

/// The server has no session any more.
fn nothing(server: &Daemon) {
    let report = server.show().expect("the control socket");
    assert_eq!(report.sessions.map(|sessions| sessions.len()), Some(0), "{}", server.text());
}

fn moves(settings: Settings, way: Way) {
    let (lan, guest) = bed();
    let server = Daemon::serve(&lan.here, &configuration(settings)).expect("a server");
    let client = Xl2tpd::lac(&guest, HERE, settings).expect("xl2tpd");
    up(&server, &client).expect("a session");
    ping(&guest, &lan).expect("echoes");
    let peer = iperf3::serve_in(&guest).expect("iperf3");
    iperf3::run(&lan.here, INNER.1, way, 30).expect("TCP");
    peer.succeed(PATIENCE).expect("iperf3");
    let sessions = server.show().expect("the control socket").sessions.expect("they are shown");
    let [session] = &sessions[..] else { panic!("{sessions:?}") };
    assert_eq!((session.send_seq, session.recv_seq), (settings.sequence, settings.sequence));
    for name in ["rx_errors", "rx_seq_discards"] {
        assert!(session.stats.contains(&(name.into(), 0)), "{:?}", session.stats);
    }
    client.hang_up().expect("a call");
    down(&server).expect("it is told");
    server.stop().expect("a good end");
}
