//! A user who comes again from elsewhere does not wait until his old session is known to be dead.

use nix::sys::signal::Signal;
use ol2tp::bed::Bed;
use ol2tpd::Notice;

use crate::home::Home;
use crate::vpn::{connect, ping_both, until_up};

/// One address, always the same, and a route; dead peers are noticed after minutes.
const SERVER: &str = r#"
[[listen]]
address = "192.0.2.2"
[peer.everybody]
local-address = "10.64.0.1"
ipv6-pool = "six"
[ipv6-pool.six]
prefix = "2001:db8:64::/48"
[[user]]
name = "anna"
password = "sesame"
address = "10.64.0.10"
routes = ["198.51.100.0/24"]
"#;

/// 198.51.100.0 as /proc/net/route has it.
const BEHIND: &str = "006433C6";

#[test]
fn the_new_session_has_the_address_and_the_routes() {
    let bed = Bed::new().unwrap();
    let (left, right) = (Home::new(&bed.left), Home::new(&bed.right));
    let mut server = right.serve(SERVER);
    let mut old = connect(&left, &["--dns", "none"]);
    let (first, _) = until_up(&mut old, &mut server);
    old.signal(Signal::SIGKILL);
    old.ended();

    let mut new = connect(&left, &["--dns", "none"]);
    assert_eq!(server.until_down(), "its user has come again, from elsewhere");
    let (second, there) = until_up(&mut new, &mut server);
    assert_eq!(second.v4, first.v4);
    ping_both(left.space, &second);
    assert!(right.has_route(BEHIND));
    new.stop();
    let ids = server.until(|notice| match notice {
        Notice::SessionDown { tunnel_id, session_id, .. } => Some((tunnel_id, session_id)),
        _ => None,
    });
    assert_eq!(ids, there.ids);
    assert!(!right.has_route(BEHIND));
    // The old client does not answer any more.
    server.signal(Signal::SIGTERM);
    assert_eq!(server.ended().code, Some(0));
}
