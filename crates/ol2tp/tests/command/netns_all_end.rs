//! Many sessions with an interface each end at once: what they had is free for others at once.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use ol2tp::bed::{Bed, LEFT, RIGHT};
use ol2tp::clients::{Clients, Load};
use ol2tpd::Notice;

use crate::home::{Home, Running};
use crate::vpn::{PASSWORD, USER};

const CLIENTS: usize = 40;
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs the clients until the server has told of this of all of them.
fn until_told(clients: &mut Clients, server: &mut Running, wanted: fn(&Notice) -> bool) {
    let told = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            server.until_count(CLIENTS, wanted);
            told.store(true, Relaxed);
        });
        assert!(clients.run(PATIENCE, |_| told.load(Relaxed)).unwrap(), "{}", clients.why);
    });
}

#[test]
fn their_addresses_serve_others_and_their_interfaces_go() {
    let bed = Bed::new().unwrap();
    let home = Home::new(&bed.right);
    let (host, user) = (RIGHT.to_string(), format!("{USER}:{PASSWORD}"));
    // As many addresses as there are clients.
    let pool = ["--local-address", "10.64.0.1", "--pool", "10.64.1.1-10.64.1.40"];
    let serve = ["serve", "--json", "--listen", &host, "--user", &user];
    let mut server = home.start(&[&serve[..], &pool].concat());
    server.until_listening();
    let before = home.traces();

    for _ in 0..2 {
        let load = Load {
            server: (RIGHT, 1701).into(),
            sources: vec![LEFT.into()],
            tunnels: 1,
            opening: 1,
            sessions_per_tunnel: CLIENTS,
            user: USER.into(),
            password: PASSWORD.into(),
            secret: None,
            proxy: None,
        };
        let mut clients = bed.left.enter(|| Clients::new(load)).unwrap();
        until_told(&mut clients, &mut server, |notice| matches!(notice, Notice::SessionUp { .. }));
        assert!(clients.run(PATIENCE, |clients| clients.up == CLIENTS).unwrap(), "{}", clients.why);
        assert_eq!(clients.addresses().into_iter().collect::<BTreeSet<_>>().len(), CLIENTS);
        clients.close().unwrap();
        until_told(&mut clients, &mut server, |notice| matches!(notice, Notice::SessionDown { .. }));
    }
    home.until_traces(&before);
    server.stop();
}
