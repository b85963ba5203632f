//! Five hundred clients at once, through a relay that loses a twentieth of all datagrams each way.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use nix::net::if_::if_nametoindex;
use ol2tp::bed::{Bed, LEFT, RIGHT, Space};
use ol2tp::clients::{Clients, Load};
use ol2tpd::Notice;
use ol2tpd::control::Report;
use pppol2tp::Prefix;
use pppol2tp::netlink::Netlink;

use crate::home::Home;
use crate::relay::Relay;
use crate::vpn::{PASSWORD, USER};

const CLIENTS: usize = 500;
/// Lost of 1000.
const LOSS: u64 = 50;
const PATIENCE: Duration = Duration::from_secs(120);
const SOCKET: &str = "/run/many.sock";

#[test]
fn all_come_up_none_twice_and_all_are_gone_in_the_end() {
    let bed = Bed::new().unwrap();
    let home = Home::new(&bed.right);
    let before = home.traces();
    let (host, user) = (RIGHT.to_string(), format!("{USER}:{PASSWORD}"));
    // As many addresses as there are clients: none can have two.
    let pool = ["--local-address", "10.64.0.1", "--pool", "10.64.1.1-10.64.2.244"];
    let serve = ["serve", "--json", "--listen", &host, "--user", &user, "--socket", SOCKET];
    let mut server = home.start(&[&serve[..], &pool].concat());
    server.until_listening();

    let middle = (LEFT, 1701).into();
    let mut relay = Relay::new(&bed.left, middle, (RIGHT, 1701).into(), LOSS).unwrap();
    let load = Load {
        server: middle,
        sources: sources(&bed.left),
        tunnels: CLIENTS,
        opening: CLIENTS,
        sessions_per_tunnel: 1,
        user: USER.into(),
        password: PASSWORD.into(),
        secret: None,
        proxy: None,
    };
    let mut clients = bed.left.enter(|| Clients::new(load)).unwrap();
    // An end that is up answers the other until that is up too.
    let (served, over, started) = (AtomicBool::new(false), AtomicBool::new(false), Instant::now());
    thread::scope(|scope| {
        let _relay = scope.spawn(|| relay.carry(&bed.left, &over).unwrap());
        // It stops however this ends.
        let _over = Over(&over);
        scope.spawn(|| {
            server.until_count(CLIENTS, |notice| matches!(notice, Notice::SessionUp { .. }));
            // A frame that comes for the second time has a link negotiated anew.
            while !served.load(Relaxed) && started.elapsed() < PATIENCE {
                served.store(remotes(&home) == (CLIENTS, CLIENTS), Relaxed);
            }
        });
        let all = clients.run(PATIENCE, |clients| clients.up == CLIENTS && served.load(Relaxed)).unwrap();
        assert!(all, "{} are up, {} failed, the last one: {}", clients.up, clients.failed, clients.why);
        let addresses: BTreeSet<_> = clients.addresses().into_iter().collect();
        assert_eq!(addresses.len(), CLIENTS);

        clients.close().unwrap();
        let gone = clients.run(PATIENCE, |clients| clients.tunnels() == 0).unwrap();
        assert!(gone, "{} tunnels are left", clients.tunnels());
    });
    let lost = relay.lost * 1000 / (relay.lost + relay.carried);
    assert!((LOSS - 20..LOSS + 20).contains(&lost), "{lost} of 1000 were lost");
    server.until_count(CLIENTS, |notice| matches!(notice, Notice::SessionDown { .. }));
    server.stop();
    assert_eq!(home.traces(), before);
}

/// Has the relay stop.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// Addresses that the clients share by twos: one address may ask for 50 tunnels a second.
fn sources(space: &Space) -> Vec<IpAddr> {
    let addresses: Vec<_> = (3..=252).map(|n| IpAddr::from([192, 0, 2, n])).collect();
    space
        .enter(|| {
            let (netlink, index) = (Netlink::open()?, if_nametoindex("veth0")?);
            addresses
                .iter()
                .try_for_each(|ip| netlink.add_address(index, Prefix { address: *ip, len: 24 }, None))
        })
        .unwrap();
    addresses
}

/// How many sessions the server has, and how many addresses they have.
fn remotes(home: &Home<'_>) -> (usize, usize) {
    let shown = home.output(&["show", "sessions", "--json", "--socket", SOCKET]);
    let report: Report = serde_json::from_str(&shown).unwrap();
    let sessions = report.sessions.unwrap();
    let remote = sessions.iter().flat_map(|session| session.ppp.iter().flat_map(|ppp| &ppp.remote));
    (sessions.len(), remote.copied().collect::<BTreeSet<_>>().len())
}
