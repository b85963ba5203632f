//! kl2tpd with pppd on Linux' PPPoL2TP calls our server.
//!
//! ```text
//!   guest 2, kl2tpd ── br0 ── ol2tp serve
//! ```

use std::net::SocketAddr;

use interop::PATIENCE;
use interop::daemon::Daemon;
use interop::iperf3::{self, Way};
use interop::kl2tpd::WithPppd;
use interop::lan::{HERE, Lan};
use interop::log::with;
use interop::uml::Uml;
use interop::xl2tpd::INNER;
use ol2tpd::Notice;

#[test]
fn kl2tpd_by_chap_ends() {
    let (lan, guest) = bed();
    let server = Daemon::serve(&lan.here, &configuration("chap")).expect("a server");
    let client = up(&lan, &guest, &server);
    client.kl2tpd.signal("INT").expect("it runs");
    server.told(|notice| matches!(notice, Notice::TunnelDown { .. }).then_some(())).expect("it is told");
    client.gone().expect("pppd ends");
    server.stop().expect("a good end");
}

#[test]
fn kl2tpd_by_mschapv2_is_hung_up_on() {
    let (lan, guest) = bed();
    let server = Daemon::serve(&lan.here, &configuration("mschapv2")).expect("a server");
    let client = up(&lan, &guest, &server);
    server.stop().expect("a good end");
    client.kl2tpd.find(PATIENCE, with("message=recv message_type=avpMsgTypeStopccn")).expect("it is told");
    client.gone().expect("pppd ends");
}

fn bed() -> (Lan, Uml) {
    let lan = Lan::new().expect("a network");
    let guest = Uml::boot(&lan, 2).expect("a guest");
    (lan, guest)
}

fn configuration(auth: &str) -> String {
    let (local, remote) = INNER;
    format!(
        "[[listen]]\naddress = \"{HERE}\"\n[pool.inner]\nranges = [\"{remote}\"]\n\
         [peer.any]\nauth = [\"{auth}\"]\npool = \"inner\"\nlocal-address = \"{local}\"\n\
         [[user]]\nname = \"alice\"\npassword = \"wonderland\"\n"
    )
}

/// A session through which data flows both ways.
fn up<'a>(lan: &Lan, guest: &'a Uml, server: &Daemon) -> WithPppd<'a> {
    let peer = SocketAddr::from((HERE, 1701));
    let client = WithPppd::start(lan, guest, peer, ("alice", "wonderland"), 1).expect("kl2tpd");
    let (here, there) = INNER;
    let ipv4 = |notice: &Notice| match notice {
        Notice::SessionUp { local, .. } => (*local == here).then_some(()),
        _ => None,
    };
    server.told(ipv4).expect("a session");
    assert_eq!(client.up().expect("IPCP"), (there, here));
    guest.run(&format!("ping -q -c 5 -i 0.1 -W 5 {here}")).expect("echoes");
    for way in [Way::Up, Way::Down] {
        let peer = iperf3::serve_in(guest).expect("iperf3");
        iperf3::run(&lan.here, there, way, 5).expect("TCP");
        peer.succeed(PATIENCE).expect("iperf3");
    }
    client
}
