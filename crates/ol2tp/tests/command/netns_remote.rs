//! A running server shows what it has, ends what it is told to, tells what happens, and reads its file
//! again.

use nix::sys::signal::Signal;
use ol2tp::bed::Bed;
use ol2tpd::Notice;
use serde_json::Value;

use crate::home::{Home, Running};
use crate::vpn::{PASSWORD, connect, ping_both, serve, until_up};

const SERVER: &str = r#"
[[listen]]
address = "192.0.2.2"
[peer.all]
local-address = "10.64.0.1"
pool = "four"
ipv6-pool = "six"
[pool.four]
ranges = ["10.64.0.10-10.64.0.20"]
[ipv6-pool.six]
prefix = "2001:db8:64::/48"
[[user]]
name = "anna"
password = "sesame"
"#;

fn show(home: &Home<'_>, what: &str) -> Value {
    serde_json::from_str(&home.output(&["show", what, "--json"])).unwrap()
}

#[test]
fn show_tells_of_tunnels_sessions_and_users() {
    let bed = Bed::new().unwrap();
    let (left, right) = (Home::new(&bed.left), Home::new(&bed.right));
    let mut server = serve(&right, &["--secret", "open"]);
    let mut client = connect(&left, &["--secret", "open", "--dns", "none"]);
    let (here, there) = until_up(&mut client, &mut server);
    ping_both(left.space, &here);

    let tunnel = &show(&right, "tunnels")["tunnels"][0];
    assert_eq!(tunnel["tunnel_id"], there.ids.0);
    assert_eq!(tunnel["control"]["authenticated"], true);
    let session = &show(&right, "sessions")["sessions"][0];
    assert_eq!(session["session_id"], there.ids.1);
    assert_eq!(session["ppp"]["user"], "anna");
    assert!(session["ppp"]["remote"].as_array().unwrap().contains(&"10.64.0.10".into()), "{session}");
    let user = &show(&right, "users")["users"][0];
    assert_eq!(user["user"], "anna");
    assert!(user["addresses"].as_array().unwrap().contains(&"10.64.0.10".into()), "{user}");
    // 5 echo requests of 84 bytes and 5 of 104, with their protocol fields.
    assert!(user["rx_bytes"].as_u64().unwrap() >= 5 * 84 + 5 * 104, "{user}");

    let ids = format!("{}/{}", there.ids.0, there.ids.1);
    let pools = &show(&right, "pools")["pools"];
    assert_eq!((&pools[0]["taken"], &pools[0]["size"]), (&1.into(), &2.into()), "{pools}");
    assert_eq!((&pools[1]["ipv6"], &pools[1]["taken"]), (&true.into(), &1.into()), "{pools}");

    for (what, words) in [
        ("tunnels", &["TUNNEL", "STATE", &*there.ids.0.to_string(), "192.0.2.1:", "authenticated"][..]),
        ("sessions", &["SESSION", "USER", &ids, "anna", "ppp0", "10.64.0.10"]),
        ("users", &["USER", "SESSION", "anna", &ids, "10.64.0.10"]),
    ] {
        let text = right.output(&["show", what]);
        assert_eq!(text.lines().count(), 2, "{text}");
        for word in words {
            assert!(text.contains(word), "{word}: {text}");
        }
    }
    // The client has a control socket too.
    let session = &show(&left, "sessions")["sessions"][0];
    assert_eq!(session["session_id"], here.ids.1);
    client.stop();
    server.until_down();
    assert_eq!(right.output(&["show", "users"]), "no users\n");
    server.stop();
}

#[test]
fn disconnect_ends_what_is_named_and_nothing_else() {
    let bed = Bed::new().unwrap();
    let (left, right) = (Home::new(&bed.left), Home::new(&bed.right));
    let mut server = serve(&right, &["--user", "berta:sesame"]);
    let before = right.traces();
    let mut other = left.start_as(
        PASSWORD,
        &[
            "connect",
            "192.0.2.2",
            "--json",
            "--user",
            "berta",
            "--dns",
            "none",
            "--socket",
            "/run/other.sock",
        ],
    );
    let (berta, _) = until_up(&mut other, &mut server);

    for how in ["user", "interface", "tunnel", "session"] {
        let mut client = connect(&left, &["--dns", "none"]);
        let (_, session) = until_up(&mut client, &mut server);
        let (tunnel, number) = (session.ids.0.to_string(), session.ids.1.to_string());
        let arguments = match how {
            "user" => vec!["--user", "anna"],
            "interface" => vec!["--interface", &*session.interface],
            "tunnel" => vec!["--tunnel", &*tunnel],
            _ => vec!["--tunnel", &*tunnel, "--session", &*number],
        };
        right.output(&[&["disconnect"], &arguments[..]].concat());
        server.until_down();
        let ended = client.ended();
        assert_eq!(ended.code, Some(17), "{how}: {ended:#?}");
        ping_both(left.space, &berta);
    }
    right.output(&["disconnect", "--all"]);
    assert_eq!(other.ended().code, Some(17));
    server.until_down();
    right.until_traces(&before);

    let output = right.run(&["disconnect", "--user", "anna"]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("there is no such session"), "{error}");
    server.stop();
}

#[test]
fn a_client_is_disconnected_from_its_own_side() {
    let bed = Bed::new().unwrap();
    let (left, right) = (Home::new(&bed.left), Home::new(&bed.right));
    let before = left.traces();
    let mut server = serve(&right, &[]);
    let mut client = connect(&left, &["--dns", "none", "--persist"]);
    let session = client.until_up();
    left.output(&["disconnect", "--interface", &session.interface]);
    server.until_down();
    let ended = client.ended();
    assert_eq!(left.traces(), before);
    assert_eq!((ended.code, &*ended.errors), (Some(0), ""), "{ended:#?}");
    server.stop();
}

/// Waits until all of them follow the events of a server: it tells something until they have heard it.
fn until_they_follow(server: &mut Running, followers: &mut [&mut Running]) {
    for follower in followers {
        while !follower.has_told() {
            server.signal(Signal::SIGHUP);
            server.until(|notice| matches!(notice, Notice::Reloaded).then_some(()));
        }
    }
}

#[test]
fn events_are_told_until_the_daemon_ends() {
    let bed = Bed::new().unwrap();
    let (left, right) = (Home::new(&bed.left), Home::new(&bed.right));
    let mut server = right.serve(SERVER);
    let mut json = right.start(&["events", "--json"]);
    let mut text = right.start(&["events"]);
    until_they_follow(&mut server, &mut [&mut json, &mut text]);
    let mut client = connect(&left, &["--dns", "none"]);
    let (_, session) = until_up(&mut client, &mut server);
    client.stop();
    server.until_down();
    server.stop();

    let json = json.ended();
    assert_eq!((json.code, &*json.errors), (Some(0), ""));
    let notices: Vec<Notice> = json.lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let up = notices.iter().filter(|notice| matches!(notice, Notice::SessionUp { .. })).count();
    assert_eq!(up, 2, "{notices:#?}");
    assert!(matches!(notices.last(), Some(Notice::ShuttingDown)), "{notices:#?}");
    let text = text.ended();
    assert_eq!((text.code, &*text.errors), (Some(0), ""));
    let reloaded = Notice::Reloaded.to_string();
    let others = |line: &String| *line != reloaded;
    let told: Vec<_> = notices.iter().map(ToString::to_string).filter(others).collect();
    assert_eq!(text.lines.into_iter().filter(others).collect::<Vec<_>>(), told);
    let down = format!("session {}/{} down, user anna: ", session.ids.0, session.ids.1);
    assert!(told.iter().any(|line| line.starts_with(&down)), "{told:#?}");
}

#[test]
fn the_file_is_read_again_while_sessions_go_on() {
    let bed = Bed::new().unwrap();
    let (left, right) = (Home::new(&bed.left), Home::new(&bed.right));
    let mut server = right.serve(SERVER);
    let mut anna = connect(&left, &["--dns", "none"]);
    let (session, _) = until_up(&mut anna, &mut server);
    let berta =
        ["connect", "192.0.2.2", "--json", "--user", "berta", "--dns", "none", "--socket", "/run/b.sock"];
    assert_eq!(left.start_as(PASSWORD, &berta).ended().code, Some(14), "she is not in the file");

    // What makes no sense is refused, and the old file counts.
    right.write("/etc/ol2tp.toml", "[peer.all]\npol = \"p\"\n");
    server.signal(Signal::SIGHUP);
    server.until_error("/etc/ol2tp.toml:2:1: peer.all.pol: ");
    assert_eq!(left.start_as(PASSWORD, &berta).ended().code, Some(14));

    right.write("/etc/ol2tp.toml", &format!("{SERVER}[[user]]\nname = \"berta\"\npassword = \"sesame\"\n"));
    server.signal(Signal::SIGHUP);
    server.until(|notice| matches!(notice, Notice::Reloaded).then_some(()));
    left.start_as(PASSWORD, &berta).until_up();
    ping_both(left.space, &session);
    anna.stop();
    server.signal(Signal::SIGTERM);
    assert_eq!(server.ended().code, Some(0));
}
