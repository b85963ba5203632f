//! Sessions that last too long, or that nobody uses, are ended.

use std::time::Duration;

use ol2tp::bed::Bed;
use ol2tp::ping::Requests;
use ol2tpd::Notice;

use crate::home::{Home, Running};
use crate::vpn::{connect, ping_with};

/// A server whose sessions have a limit, and say something each second.
fn serve(home: &Home<'_>, limit: &str) -> Running {
    let file = format!(
        r#"
[[listen]]
address = "192.0.2.2"
[peer.everybody]
local-address = "10.64.0.1"
pool = "one"
echo-interval = "1s"
{limit}
[pool.one]
ranges = ["10.64.0.10-10.64.0.10"]
[[user]]
name = "anna"
password = "sesame"
"#
    );
    home.serve(&file)
}

/// How a session has ended: why, and after how many seconds.
fn ended(server: &mut Running) -> (String, f64) {
    server.until(|notice| match notice {
        Notice::SessionDown { why, seconds, .. } => Some((why, seconds)),
        _ => None,
    })
}

#[test]
fn a_session_ends_when_its_time_is_up() {
    let bed = Bed::new().unwrap();
    let (left, right) = (Home::new(&bed.left), Home::new(&bed.right));
    let mut server = serve(&right, "session-timeout = \"2s\"");
    let mut client = connect(&left, &["--dns", "none"]);
    let (why, seconds) = ended(&mut server);
    assert_eq!(why, "its time is up (session-timeout)");
    assert!(seconds >= 2.0, "{seconds}");
    let client = client.ended();
    assert_eq!(client.code, Some(17));
    assert!(client.errors.contains("its time is up"), "{client:#?}");
}

#[test]
fn a_session_ends_when_its_user_sends_nothing() {
    let bed = Bed::new().unwrap();
    let (left, right) = (Home::new(&bed.left), Home::new(&bed.right));
    let mut server = serve(&right, "idle-timeout = \"2s\"\nipv6 = false");
    let mut client = connect(&left, &["--dns", "none", "--no-ipv6"]);
    for end in [&mut client, &mut server] {
        end.until(|notice| matches!(notice, Notice::SessionUp { .. }).then_some(()));
    }
    // As long as it sends, it lives; its echoes afterwards do not count.
    let busy =
        Requests { count: 40, interval: Duration::from_millis(100), patience: Duration::from_secs(10) };
    ping_with(left.space, ([10, 64, 0, 1], 0).into(), busy);
    let (why, seconds) = ended(&mut server);
    assert_eq!(why, "it was idle (idle-timeout)");
    assert!(seconds >= 5.9, "it was busy for 3.9 s, then idle for 2 s: {seconds}");
    assert_eq!(client.ended().code, Some(17));
}

#[test]
fn a_client_ends_its_session_when_it_sends_nothing() {
    let bed = Bed::new().unwrap();
    let (left, right) = (Home::new(&bed.left), Home::new(&bed.right));
    let _server = serve(&right, "");
    let file = r#"
[connect.office]
host = "192.0.2.2"
user = "anna"
password = "sesame"
dns = "none"
ipv6 = false
idle-timeout = "2s"
"#;
    left.write("/etc/ol2tp.toml", file);
    let mut client = left.start(&["connect", "-c", "/etc/ol2tp.toml", "office", "--json"]);
    client.until(|notice| matches!(notice, Notice::SessionUp { .. }).then_some(()));
    let (why, _) = ended(&mut client);
    assert_eq!(why, "it was idle (idle-timeout)");
    let ended = client.ended();
    assert_eq!((ended.code, &*ended.errors), (Some(0), ""), "{ended:#?}");
}
