//! A client connects to a server: packets go both ways, and either side can end it in good order.

use nix::sys::signal::Signal;
use ol2tp::bed::{Bed, RIGHT6};
use ol2tpd::notice::{Notice, Step};

use crate::home::{Ended, Home};
use crate::vpn::{PASSWORD, USER, connect, ping_both, ping_link, serve, until_up};

/// Steps and their order, of the JSON lines of a connection.
fn steps(ended: &Ended) -> Vec<Step> {
    let notices = ended.lines.iter().map(|line| serde_json::from_str(line).unwrap());
    notices
        .filter_map(|notice| match notice {
            Notice::Step { step, .. } => Some(step),
            _ => None,
        })
        .collect()
}

#[test]
fn pings_are_answered_both_ways_and_the_client_ends_in_good_order() {
    let bed = Bed::new().unwrap();
    let (left, right) = (Home::new(&bed.left), Home::new(&bed.right));
    let before = (left.traces(), right.traces());
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut server = serve(&right, &["--secret", "open"]);
        let mut client = connect(&left, &["--secret", "open", "--dns", "none"]);
        let (here, there) = until_up(&mut client, &mut server);
        assert_eq!((here.v4.0, here.v4.1), (there.v4.1, there.v4.0));
        assert_eq!((here.v6.0, here.v6.1), (there.v6.1, there.v6.0));
        assert_eq!(here.v4, ("10.64.0.10".parse().unwrap(), "10.64.0.1".parse().unwrap()));
        ping_both(left.space, &here);
        ping_both(right.space, &there);

        client.signal(signal);
        let ended = client.ended();
        assert_eq!((ended.code, &*ended.errors), (Some(0), ""), "{ended:#?}");
        let mut steps = steps(&ended);
        steps.dedup();
        use Step::*;
        let order = [Resolve, Tunnel, Call, Link, Authentication, Network, Configure, Up];
        assert_eq!(steps[..order.len()], order);
        server.until_down();
        server.stop();
        assert_eq!((left.traces(), right.traces()), before);
    }
}

#[test]
fn a_server_that_ends_in_good_order_is_the_end_of_the_client() {
    let bed = Bed::new().unwrap();
    let (left, right) = (Home::new(&bed.left), Home::new(&bed.right));
    let before = (left.traces(), right.traces());
    let mut server = serve(&right, &[]);
    let mut client = connect(&left, &["--dns", "none"]);
    client.until_up();
    server.stop();
    let ended = client.ended();
    assert_eq!(ended.code, Some(17), "{ended:#?}");
    assert!(ended.errors.starts_with("ol2tp: 192.0.2.2: the connection has ended: "), "{ended:#?}");
    assert_eq!((left.traces(), right.traces()), before);
}

#[test]
fn over_ipv6_to_a_server_whose_sessions_share_an_interface() {
    let bed = Bed::new().unwrap();
    let (left, right) = (Home::new(&bed.left), Home::new(&bed.right));
    let before = (left.traces(), right.traces());
    let (host, user) = (RIGHT6.to_string(), format!("{USER}:{PASSWORD}"));
    let arguments = [
        &["serve", "--json", "--listen", &host, "--user", &user, "--interface", "shared"][..],
        &[
            "--local-address",
            "10.64.0.1",
            "--pool",
            "10.64.0.10-10.64.0.11",
            "--ipv6-pool",
            "2001:db8:64::/48",
        ],
    ];
    let mut server = right.start(&arguments.concat());
    server.until_listening();
    let mut clients = [1, 2].map(|n| {
        let socket = format!("/run/{n}.sock");
        let arguments = ["connect", &host, "--json", "--user", USER, "--dns", "none", "--socket", &socket];
        let mut client = left.start_as(PASSWORD, &arguments);
        let (here, there) = until_up(&mut client, &mut server);
        assert_eq!(there.interface, "l2tp0");
        if n == 1 {
            ping_both(left.space, &here);
            ping_both(right.space, &there);
        } else {
            // The client's host has two ways to 10.64.0.1 now.
            ping_link(left.space, &here);
            ping_link(right.space, &there);
        }
        client
    });
    for client in &mut clients {
        client.stop();
        server.until_down();
    }
    server.stop();
    assert_eq!((left.traces(), right.traces()), before);
}

#[test]
fn people_see_steps_with_marks_and_times() {
    let bed = Bed::new().unwrap();
    let (left, right) = (Home::new(&bed.left), Home::new(&bed.right));
    let _server = serve(&right, &[]);
    let mut client =
        left.start_as(PASSWORD, &["connect", "192.0.2.2", "--user", USER, "--dns", "none", "--no-ipv6"]);
    while !client.line().expect("an address").contains("ppp0: 10.64.0.10 to 10.64.0.1, MTU ") {}
    client.signal(Signal::SIGINT);
    let ended = client.ended();
    assert_eq!((ended.code, &*ended.errors), (Some(0), ""), "{ended:#?}");
    assert_eq!(ended.lines.first().map(|line| &**line), Some("  driver user: as it was wanted"));
    for step in [
        "looking up 192.0.2.2",
        "opening the tunnel to 192.0.2.2:1701",
        "placing the call",
        "negotiating the link (LCP)",
        "authenticating",
        "agreeing on addresses",
        "configuring the interface",
    ] {
        let line = ended.lines.iter().find(|line| line.starts_with(&format!("✓ {step} ")));
        let line = line.unwrap_or_else(|| panic!("{step}: {ended:#?}"));
        assert!(line.ends_with(" ms") || line.ends_with(" s"), "{line}");
    }
    assert!(ended.lines.last().unwrap().starts_with("  ended after 0:00:0"), "{ended:#?}");
}
