//! Requests of the control API and their replies, one a row.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

use fake::{Daemon, Folder};
use ol2tpd::control::{Client, Set, What};
use serde_json::{Value, json};

mod fake;

struct Raw(BufReader<UnixStream>);

impl Raw {
    fn connect(folder: &Folder) -> Self {
        Self(BufReader::new(UnixStream::connect(folder.socket()).unwrap()))
    }

    fn ask(&mut self, line: &str) -> Value {
        self.0.get_mut().write_all(line.as_bytes()).unwrap();
        self.0.get_mut().write_all(b"\n").unwrap();
        self.reply()
    }

    fn reply(&mut self) -> Value {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

#[test]
fn show_has_the_kernels_field_names() {
    let folder = Folder::new("show");
    let daemon = Daemon::start(Some(folder.socket()));
    let mut raw = Raw::connect(&folder);

    let sessions = raw.ask(r#"{"show":"sessions"}"#);
    let session = &sessions["ok"]["sessions"][0];
    for (key, value) in [
        ("tunnel_id", json!(1)),
        ("session_id", json!(10)),
        ("peer_tunnel_id", json!(2)),
        ("peer_session_id", json!(20)),
        ("peer", json!("192.0.2.2:1701")),
        ("bound", json!(true)),
        ("interface", json!("ppp0")),
        ("mtu", json!(1458)),
        ("mru", json!(1458)),
        ("recv_seq", json!(false)),
        ("send_seq", json!(false)),
        ("lns_mode", json!(true)),
        ("reorder_timeout", json!(100)),
        ("debug", json!(2)),
        ("nr", json!(3)),
        ("ns", json!(4)),
    ] {
        assert_eq!(session[key], value, "{key}");
    }
    for key in [
        "tx_packets",
        "tx_bytes",
        "tx_errors",
        "rx_packets",
        "rx_bytes",
        "rx_seq_discards",
        "rx_oos_packets",
        "rx_errors",
    ] {
        assert_eq!(session["stats"][key], 0, "{key}");
    }
    assert!(sessions["ok"].get("tunnels").is_none());

    let tunnels = raw.ask(r#"{"show":"tunnels"}"#);
    let tunnel = &tunnels["ok"]["tunnels"][0];
    assert_eq!(tunnel["tunnel_id"], 1);
    assert_eq!(tunnel["local"], "192.0.2.1:1701");
    assert_eq!(tunnel["debug"], 2);
    assert_eq!(tunnel["stats"]["rx_foreign"], 7);

    let sockets = raw.ask(r#"{"show":"sockets"}"#);
    let socket = &sockets["ok"]["sockets"][0];
    assert_eq!(socket["mode"], "batch");
    assert_eq!(socket["offloads"], json!(["batch"]));
    assert_eq!(socket["counters"]["rx_datagrams"], 9);

    let all = raw.ask(r#"{"show":"all"}"#);
    let keys: Vec<_> = all["ok"].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["driver", "sessions", "sockets", "tunnels"]);
    daemon.stop().unwrap();
}

#[test]
fn proc_is_the_kernels_text() {
    let daemon = Daemon::start(None);
    let text = daemon.client().show(What::Proc).unwrap().proc.unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "PPPoL2TP driver info, V1.0");
    assert_eq!(
        &lines[6..],
        [
            "",
            "TUNNEL 'tunl 1', Y 2",
            " 00000002 0/0/0 0/0/0",
            "  SESSION 'sess 1/10' C0000202/1701 0001/000A -> 0002/0014 3 Y",
            "   1458/1458/-/-/LNS 00000002 100",
            "   3/4 0/0/0 0/0/0",
            "   interface ppp0",
        ]
    );
    daemon.stop().unwrap();
}

#[test]
fn set_goes_through_the_drivers_rules() {
    let daemon = Daemon::start(None);
    let mut client = daemon.client();
    let session = Set { tunnel_id: 1, session_id: Some(10), ..Set::default() };
    client
        .set(Set { send_seq: Some(1), reorder_timeout: Some(250), debug: Some(6), ..session.clone() })
        .unwrap();
    client.set(Set { tunnel_id: 1, debug: Some(8), ..Set::default() }).unwrap();
    let report = client.show(What::All).unwrap();
    let view = &report.sessions.unwrap()[0];
    assert_eq!((view.send_seq, view.reorder_timeout, view.debug), (true, 250, 6));
    assert_eq!(report.tunnels.unwrap()[0].debug, 8);

    let refused =
        client.set(Set { recv_seq: Some(1), lns_mode: Some(2), ..session }).unwrap_err().to_string();
    assert!(refused.contains("lns_mode=2"), "{refused}");
    assert!(refused.contains("recv_seq was set"), "{refused}");
    daemon.stop().unwrap();
}

#[test]
fn refusals_name_what_is_wrong() {
    let folder = Folder::new("refusals");
    let daemon = Daemon::start(Some(folder.socket()));
    let mut raw = Raw::connect(&folder);
    for (request, errno, named) in [
        ("", "EINVAL", "EOF"),
        ("{", "EINVAL", "EOF"),
        ("nonsense", "EINVAL", "line 1"),
        ("\u{0}", "EINVAL", "line 1"),
        (r#"{"reboot":"now"}"#, "EINVAL", "`reboot`"),
        (r#"{"show":"weather"}"#, "EINVAL", "`weather`"),
        (r#"{"show":"tunnels"} {"show":"proc"}"#, "EINVAL", "trailing"),
        (r#"{"set":{"tunnel_id":1,"colour":1}}"#, "EINVAL", "`colour`"),
        (r#"{"set":{"debug":1}}"#, "EINVAL", "`tunnel_id`"),
        (r#"{"set":{"tunnel_id":65536}}"#, "EINVAL", "65536"),
        (r#"{"set":{"tunnel_id":1,"debug":"on"}}"#, "EINVAL", "\"on\""),
        (r#"{"set":{"tunnel_id":9,"debug":1}}"#, "ENOENT", "tunnel 9"),
        (r#"{"set":{"tunnel_id":1,"session_id":9,"debug":1}}"#, "ENOENT", "session 9"),
        (r#"{"set":{"tunnel_id":1,"send_seq":1}}"#, "ENOPROTOOPT", "send_seq"),
        (r#"{"set":{"tunnel_id":1,"session_id":10,"send_seq":2}}"#, "EINVAL", "send_seq=2"),
        (r#"{"set":{"tunnel_id":1,"session_id":10,"reorder_timeout":-1}}"#, "EINVAL", "reorder_timeout=-1"),
    ] {
        let reply = raw.ask(request);
        assert_eq!(reply["error"]["errno"], errno, "{request}");
        let message = reply["error"]["message"].as_str().unwrap();
        assert!(message.contains(named), "{request}: {message}");
    }
    // The connection and the daemon have survived all of them.
    assert!(raw.ask(r#"{"show":"tunnels"}"#)["ok"].is_object());
    daemon.stop().unwrap();
}

#[test]
fn a_request_that_never_ends_is_refused() {
    let folder = Folder::new("long");
    let daemon = Daemon::start(Some(folder.socket()));
    let mut raw = Raw::connect(&folder);
    raw.0.get_mut().write_all(&[b' '; 64 * 1024 + 1]).unwrap();
    let reply = raw.reply();
    assert_eq!(reply["error"]["errno"], "EMSGSIZE");
    let mut rest = String::new();
    assert_eq!(raw.0.read_line(&mut rest).unwrap(), 0, "the connection is closed");

    let longest = format!("{:1$}", r#"{"show":"proc"}"#, 64 * 1024 - 1);
    assert!(Raw::connect(&folder).ask(&longest)["ok"]["proc"].is_string());
    daemon.stop().unwrap();
}

#[test]
fn many_clients_at_a_time() {
    let folder = Folder::new("clients");
    let daemon = Daemon::start(Some(folder.socket()));
    let mut clients: Vec<_> = (0..64).map(|_| Client::connect(&folder.socket()).unwrap()).collect();
    for client in &mut clients {
        assert_eq!(client.show(What::Tunnels).unwrap().tunnels.unwrap().len(), 1);
    }
    // One more waits until another has gone.
    let mut last = Client::connect(&folder.socket()).unwrap();
    clients.pop();
    assert_eq!(last.show(What::Tunnels).unwrap().tunnels.unwrap().len(), 1);
    daemon.stop().unwrap();
}
