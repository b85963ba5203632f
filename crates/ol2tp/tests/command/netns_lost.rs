//! Either side is killed: the other notices and cleans up. A client that persists comes back.

use nix::sys::signal::Signal;
use ol2tp::bed::Bed;
use ol2tpd::Notice;
use ol2tpd::notice::Failed;

use crate::home::Home;
use crate::vpn::{connect, ping_both, until_up};

/// A client that notices within a second or two that the server has gone.
const CLIENT: &str = r#"
[connect.office]
host = "192.0.2.2"
user = "anna"
password = "sesame"
dns = "none"
echo-interval = "1s"
echo-failures = 1
"#;

/// A server that notices the same of a client.
const SERVER: &str = r#"
[[listen]]
address = "192.0.2.2"
[peer.everybody]
auth = ["mschapv2"]
local-address = "10.64.0.1"
pool = "one"
ipv6-pool = "six"
echo-interval = "1s"
echo-failures = 1
[pool.one]
ranges = ["10.64.0.10-10.64.0.10"]
[ipv6-pool.six]
prefix = "2001:db8:64::/48"
[[user]]
name = "anna"
password = "sesame"
"#;

const CONNECT: [&str; 5] = ["connect", "-c", "/etc/ol2tp.toml", "office", "--json"];

#[test]
fn a_killed_server_is_noticed_by_the_client() {
    let bed = Bed::new().unwrap();
    let (left, right) = (Home::new(&bed.left), Home::new(&bed.right));
    let before = left.traces();
    left.write("/etc/ol2tp.toml", CLIENT);
    let server = right.serve(SERVER);
    let mut client = left.start(&CONNECT);
    client.until_up();
    server.signal(Signal::SIGKILL);
    let ended = client.ended();
    assert_eq!(ended.code, Some(16), "{ended:#?}");
    assert!(ended.errors.starts_with("ol2tp: office: the connection was lost: "), "{ended:#?}");
    assert_eq!(left.traces(), before);
}

#[test]
fn a_killed_client_is_noticed_by_the_server_which_takes_its_address_back() {
    let bed = Bed::new().unwrap();
    let (left, right) = (Home::new(&bed.left), Home::new(&bed.right));
    let mut server = right.serve(SERVER);
    let (left_before, right_before) = (left.traces(), right.traces());
    let mut client = connect(&left, &["--dns", "none"]);
    until_up(&mut client, &mut server);
    client.signal(Signal::SIGKILL);
    assert_eq!(client.ended().code, Some(-9));
    server.until_down();
    right.until_traces(&right_before);
    assert_eq!(left.read("/etc/resolv.conf"), crate::home::RESOLV_CONF);

    // There is one address only, and it can be had again.
    let mut client = connect(&left, &["--dns", "none"]);
    let (here, _) = until_up(&mut client, &mut server);
    ping_both(left.space, &here);
    client.stop();
    assert_eq!(left.traces(), left_before);
}

#[test]
fn a_persistent_client_comes_back_when_the_server_does() {
    let bed = Bed::new().unwrap();
    let (left, right) = (Home::new(&bed.left), Home::new(&bed.right));
    let before = (left.traces(), right.traces());
    left.write(
        "/etc/ol2tp.toml",
        &format!("{CLIENT}persist = true\nbackoff = \"1s\"\nbackoff-cap = \"1s\"\n"),
    );
    let mut server = right.serve(SERVER);
    let mut client = left.start(&CONNECT);
    client.until_up();

    // Once it ends in good order, once it does not.
    for (signal, expected) in [(Signal::SIGTERM, Failed::Ended), (Signal::SIGKILL, Failed::Lost)] {
        server.signal(signal);
        server.ended();
        let (failure, retry) = client.until(|notice| match notice {
            Notice::Failed { failure, retry, .. } => Some((failure, retry)),
            _ => None,
        });
        assert_eq!(failure, expected);
        assert!((0.75..=1.25).contains(&retry.unwrap()), "{retry:?}");
        server = right.serve(SERVER);
        let (here, _) = until_up(&mut client, &mut server);
        ping_both(left.space, &here);
    }
    client.stop();
    server.stop();
    assert_eq!((left.traces(), right.traces()), before);
}
