//! What strangers do again and again is neither told each time nor done for ever.

use std::time::Duration;

use ol2tp::bed::{Bed, LEFT, RIGHT};
use ol2tp::clients::{Clients, Load};
use ol2tpd::Notice;

use crate::home::Home;
use crate::vpn::{USER, serve};

const CALLS: usize = 300;
/// Told at once; and one a second then.
const TOLD: usize = 100;
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn calls_that_nobody_proves_anything_for_are_not_all_told() {
    let bed = Bed::new().unwrap();
    let home = Home::new(&bed.right);
    let mut server = serve(&home, &[]);
    let load = Load {
        server: (RIGHT, 1701).into(),
        sources: vec![LEFT.into()],
        tunnels: CALLS / 100,
        opening: 1,
        sessions_per_tunnel: 100,
        user: USER.into(),
        password: "guessed".into(),
        secret: None,
        proxy: None,
    };
    let mut clients = bed.left.enter(|| Clients::new(load)).unwrap();
    clients.run(PATIENCE, |clients| clients.failed == CALLS).unwrap();
    assert_eq!((clients.up, clients.failed), (0, CALLS));
    clients.close().unwrap();
    clients.run(PATIENCE, |clients| clients.tunnels() == 0).unwrap();
    let (mut began, mut ended) = (0, 0);
    let mut tunnels = CALLS / 100;
    server.until(|notice| {
        match notice {
            Notice::CallUp { .. } => began += 1,
            Notice::SessionDown { .. } => ended += 1,
            Notice::TunnelDown { .. } => tunnels -= 1,
            _ => {}
        }
        (tunnels == 0).then_some(())
    });
    assert!((TOLD..CALLS).contains(&began), "{began} began");
    assert!((began..CALLS).contains(&ended), "{ended} of {began} ended");
    server.stop();
}
