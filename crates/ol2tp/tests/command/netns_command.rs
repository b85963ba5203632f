//! The command at work between two network namespaces. Needs root and /dev/net/tun.

use std::io::{BufRead, BufReader, Read};
use std::net::{IpAddr, UdpSocket};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use nix::net::if_::if_nametoindex;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ol2tp::bed::{Bed, LEFT, RIGHT, Space};
use ol2tp::ping::{Ping, Requests, ping};
use ol2tp::tunnel::Tunnel;
use pppol2tp::netlink::Netlink;
use pppol2tp::user::{Fast, FastPath};
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_ol2tp");

fn run(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn pings(bed: &Bed, target: IpAddr) -> Ping {
    let requests =
        Requests { count: 5, interval: Duration::from_millis(2), patience: Duration::from_secs(5) };
    ping(&bed.left, target, requests).unwrap()
}

/// `ol2tp static` as a user starts it, with a control socket in a folder of its own.
struct Static {
    child: Child,
    output: BufReader<ChildStdout>,
    folder: PathBuf,
}

impl Static {
    fn start(space: &Space, test: &str, more: &[&str]) -> Self {
        let folder = std::env::temp_dir().join(format!("ol2tp-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let socket = folder.join("ol2tp.sock");
        let mut child = space
            .enter(|| {
                Command::new(PROGRAM)
                    .args(["static", "--local", &format!("{LEFT}:1701"), "--peer", &format!("{RIGHT}:1701")])
                    .args(["--tunnel", "1:2", "--session", "10:20", "--socket"])
                    .arg(&socket)
                    .args(more)
                    .stdout(Stdio::piped())
                    .stderr(Stdio::piped())
                    .spawn()
            })
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output, folder }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line
    }

    fn socket(&self) -> String {
        self.folder.join("ol2tp.sock").to_str().unwrap().into()
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    /// Exit code, the rest of standard output, and standard error.
    fn wait(&mut self) -> (Option<i32>, String, String) {
        let (mut output, mut errors) = (String::new(), String::new());
        self.output.read_to_string(&mut output).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        (self.child.wait().unwrap().code(), output, errors)
    }
}

impl Drop for Static {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn has_interface(space: &Space, name: &str) -> bool {
    space.enter(|| Ok(if_nametoindex(name).is_ok())).unwrap()
}

#[test]
fn static_says_that_it_is_up_and_a_signal_ends_it_with_0() {
    let bed = Bed::new().unwrap();
    for (signal, more) in [(Signal::SIGTERM, &["--json"][..]), (Signal::SIGINT, &["--interface", "office"])] {
        let mut end = Static::start(&bed.left, "up", more);
        let line = end.line();
        let interface = if more == ["--json"] {
            let up: Value = serde_json::from_str(&line).unwrap();
            assert_eq!(up, json!({"event": "up", "interface": "ppp0", "mtu": 1458}));
            "ppp0"
        } else {
            assert_eq!(line, "office is up, MTU 1458\n");
            "office"
        };
        assert!(has_interface(&bed.left, interface));
        assert!(Path::new(&end.socket()).exists());
        end.signal(signal);
        assert_eq!(end.wait(), (Some(0), String::new(), String::new()), "{signal}");
        assert!(!has_interface(&bed.left, interface));
        assert!(!Path::new(&end.socket()).exists());
    }
}

#[test]
fn static_stops_silently_while_it_receives() {
    let bed = Bed::new().unwrap();
    let mut end = Static::start(&bed.left, "traffic", &["--json"]);
    end.line();
    let peer = bed.right.enter(|| UdpSocket::bind((RIGHT, 1701))).unwrap();
    peer.connect((LEFT, 1701)).unwrap();
    // A data message of the session, with what the driver looks at of an IPv4 packet.
    let message = [&[0, 2, 0, 1, 0, 10, 0xff, 3, 0, 0x21, 0x45][..], &[0; 19]].concat();
    // Until the port is closed.
    let flood = thread::spawn(move || while peer.send(&message).is_ok() {});
    let received = || {
        let output = run(&["show", "sessions", "--json", "--socket", &end.socket()]);
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        report["sessions"][0]["stats"]["rx_packets"].as_u64().unwrap()
    };
    while received() < 10_000 {
        assert!(!flood.is_finished());
    }
    end.signal(Signal::SIGTERM);
    assert_eq!(end.wait(), (Some(0), String::new(), String::new()));
    flood.join().unwrap();
}

#[test]
fn show_and_set_a_running_session() {
    let bed = Bed::new().unwrap();
    let more = ["--json", "--lns", "--recv-seq", "--reorder-timeout", "100ms", "--debug", "control,seq"];
    let mut end = Static::start(&bed.left, "show", &more);
    end.line();
    let socket = end.socket();
    let show = |what: &str| -> Value {
        let output = run(&["show", what, "--json", "--socket", &socket]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let session = show("sessions")["sessions"][0].clone();
    for (key, value) in [
        ("tunnel_id", json!(1)),
        ("session_id", json!(10)),
        ("peer_tunnel_id", json!(2)),
        ("peer_session_id", json!(20)),
        ("interface", json!("ppp0")),
        ("bound", json!(true)),
        ("recv_seq", json!(true)),
        ("send_seq", json!(false)),
        ("lns_mode", json!(true)),
        ("reorder_timeout", json!(100)),
        ("debug", json!(6)),
    ] {
        assert_eq!(session[key], value, "{key}");
    }

    let set = |options: &[&str]| run(&[&["set", "--socket", &socket, "--tunnel", "1"], options].concat());
    let done = set(&["--session", "10", "send-seq=on", "lns=off", "debug=none", "reorder-timeout=1s"]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    assert!(set(&["debug=control,seq,data"]).status.success());
    let session = show("sessions")["sessions"][0].clone();
    assert_eq!(
        [&session["send_seq"], &session["lns_mode"], &session["debug"], &session["reorder_timeout"]],
        [&json!(true), &json!(false), &json!(0), &json!(1000)]
    );
    assert_eq!(show("tunnels")["tunnels"][0]["debug"], 14);

    for (options, named) in
        [(&["send-seq=on"][..], "ENOPROTOOPT"), (&["--session", "11", "send-seq=on"], "no session 11")]
    {
        let refused = set(options);
        assert_eq!(refused.status.code(), Some(1));
        assert!(text(&refused.stderr).contains(named), "{}", text(&refused.stderr));
    }

    let proc = text(&run(&["show", "proc", "--socket", &socket]).stdout);
    assert!(proc.starts_with("PPPoL2TP driver info, V1.0\n"), "{proc}");
    assert!(proc.contains("SESSION 'sess 1/10' C0000202/1701 0001/000A -> 0002/0014 3 Y"), "{proc}");
    let all = text(&run(&["show", "--long", "--socket", &socket]).stdout);
    let tables = text(&run(&["show", "--socket", &socket]).stdout);
    for row in
        ["TUNNEL  PEER ", "1/10     -     ppp0 ", "192.0.2.1:1701  offload  vnet tso uso gso gro batch"]
    {
        assert!(tables.lines().any(|line| line.starts_with(row)), "{row}: {tables}");
    }
    for named in ["TUNNEL 1", "SESSION 1/10", "SOCKET 192.0.2.1:1701", "rx_seq_discards", "interface ppp0"] {
        assert!(all.contains(named), "{named}: {all}");
    }
}

#[test]
fn a_second_daemon_on_the_same_control_socket_is_refused() {
    let bed = Bed::new().unwrap();
    let mut first = Static::start(&bed.left, "same", &["--json"]);
    first.line();
    let mut second = Static::start(&bed.right, "same", &["--json"]);
    let (code, output, errors) = second.wait();
    assert_eq!((code, output.as_str()), (Some(1), ""));
    assert!(errors.contains("another ol2tp is running"), "{errors}");
    assert!(run(&["show", "--socket", &first.socket()]).status.success());
}

#[test]
fn an_interface_that_is_deleted_ends_static_with_1() {
    let bed = Bed::new().unwrap();
    let mut end = Static::start(&bed.left, "deleted", &["--json"]);
    end.line();
    bed.left
        .enter(|| {
            let mut link = netlink_packet_route::link::LinkMessage::default();
            link.header.index = if_nametoindex("ppp0")?;
            Netlink::open()?.request(netlink_packet_route::RouteNetlinkMessage::DelLink(link), 0)
        })
        .unwrap();
    let (code, _, errors) = end.wait();
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("interface ppp0 has gone") && errors.contains("start it again"), "{errors}");
    assert!(!Path::new(&end.socket()).exists());
}

#[test]
fn what_the_system_refuses_is_named() {
    let bed = Bed::new().unwrap();
    for (more, named) in [
        // The right namespace has another address.
        (&["--json"][..], "192.0.2.1:1701 (--local)"),
        (&["--interface", "a-name-that-is-too-long-for-linux"], "a-name-that-is-too-long-for-linux"),
    ] {
        let space = if more == ["--json"] { &bed.right } else { &bed.left };
        let mut end = Static::start(space, "refused", more);
        let (code, output, errors) = end.wait();
        assert_eq!((code, output.as_str()), (Some(1), ""), "{errors}");
        assert!(errors.contains(named), "{errors}");
    }
}

#[test]
fn without_permission_it_says_what_is_missing() {
    const NOBODY: u32 = 65534;
    // Its own folder may be closed to others.
    let folder = std::env::temp_dir().join(format!("ol2tp-nobody-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let program = folder.join("ol2tp");
    std::fs::copy(PROGRAM, &program).unwrap();
    let output = Command::new(&program)
        .args(["static", "--local", "127.0.0.1:1701", "--peer", "127.0.0.1:1702"])
        .args(["--tunnel", "1:2", "--session", "10:20", "--socket", "/nonexistent/ol2tp.sock"])
        .current_dir("/")
        .uid(NOBODY)
        .gid(NOBODY)
        .output();
    std::fs::remove_dir_all(&folder).unwrap();
    let output = output.unwrap();
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{errors}");
    assert!(errors.contains("/dev/net/tun") || errors.contains("CAP_NET_ADMIN"), "{errors}");
    assert!(errors.contains("as root"), "{errors}");
}

#[test]
fn two_ends_with_sequence_numbers_and_debug_messages() {
    let bed = Bed::new().unwrap();
    let mut tunnel = Tunnel::start(&bed, Path::new(PROGRAM), 0, &["--send-seq", "--recv-seq"]).unwrap();
    for target in tunnel.targets() {
        assert!(pings(&bed, target).complete(), "{target}");
    }
    assert_eq!(tunnel.errors().unwrap(), Vec::<String>::new());
    tunnel.stop().unwrap();
}

#[test]
fn demo_works() {
    let output = run(&["demo", "--json", "--rounds", "1", "--seconds", "0.1"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["driver"], "user");
    assert_eq!(report["result"], "ok");
    let messages: Vec<_> = report["ladder"].as_array().unwrap().iter().collect();
    for (by_client, message) in [
        (true, "SCCRQ"),
        (false, "SCCRP"),
        (true, "SCCCN"),
        (true, "ICRQ"),
        (false, "ICRP"),
        (true, "ICCN"),
        (true, "LCP Configure-Request"),
        (false, "LCP Configure-Ack"),
        (false, "CHAP Challenge"),
        (true, "CHAP Response"),
        (false, "CHAP Success"),
        (true, "IPCP Configure-Request"),
        (false, "IPCP Configure-Ack"),
        (true, "IPV6CP Configure-Request"),
        (false, "IPV6CP Configure-Ack"),
    ] {
        let found = messages.iter().any(|rung| {
            rung["by_client"] == by_client && rung["text"].as_str().unwrap().starts_with(message)
        });
        assert!(found, "{message}: {report}");
    }
    for ping in ["ping", "ping6"] {
        assert_eq!(report[ping]["sent"], 20);
        assert_eq!(report[ping]["received"], 20);
    }
    for load in ["tcp", "tcp4"] {
        for way in ["direct_gbit_s", "tunnel_gbit_s", "plain_gbit_s", "fast_gbit_s"] {
            assert!(report[load][way].as_f64().unwrap() > 0.0, "{load} {way}: {report}");
        }
    }
    assert_eq!(report["fast"], "on");
    assert!(report["udp_small"]["tunnel_frames_s"].as_f64().unwrap() > 0.0, "{report}");
}

#[test]
fn demo_draws_the_ladder() {
    let output = run(&["demo", "--rounds", "1", "--seconds", "0.05"]);
    let text = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let mut lines = text.lines();
    assert!(lines.next().unwrap().starts_with("client 192.0.2.1 "), "{text}");
    let ladder: Vec<_> = lines.take_while(|line| line.starts_with('│')).collect();
    assert!(ladder[0].starts_with("│ SCCRQ  host name "), "{text}");
    assert!(ladder[1].starts_with("│ ◄─") && ladder[1].contains(" SCCRP  host name "), "{text}");
    assert!(ladder.iter().any(|rung| rung.contains(" IPCP Configure-Ack ")), "{text}");
    assert!(text.ends_with("result: ok\n"), "{text}");
}

/// Starts a demo and waits until it is in its first round.
fn demo() -> (Child, impl BufRead) {
    let mut child = Command::new(PROGRAM)
        .args(["demo", "--rounds", "1000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("round 1") {
        line.clear();
        assert!(errors.read_line(&mut line).unwrap() > 0, "the demo has ended");
    }
    (child, errors)
}

#[test]
fn an_interrupted_demo_leaves_nothing() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let (mut child, mut errors) = demo();
        kill(Pid::from_raw(child.id().cast_signed()), signal).unwrap();
        // Standard error ends when the last of its processes has ended.
        let mut rest = String::new();
        errors.read_to_string(&mut rest).unwrap();
        assert!(rest.contains("interrupted"), "{rest}");
        assert_eq!(child.wait().unwrap().code(), Some(130));
    }
}

#[test]
fn a_killed_demo_leaves_nothing() {
    let (mut child, mut errors) = demo();
    child.kill().unwrap();
    child.wait().unwrap();
    let mut rest = String::new();
    errors.read_to_string(&mut rest).unwrap();
}

#[test]
fn loads_are_measured_beside_the_veth() {
    let output = run(&["bench", "loads", "--rounds", "1", "--seconds", "0.3", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = report["loads"]["rows"].as_array().unwrap();
    let (tcp, tcp4, udp) = ("TCP, 1 stream", "TCP, 4 streams", "UDP, 200 bytes");
    let mut expected = Vec::new();
    let fully = if FastPath::open(Fast::On, 1).is_ok() { &["base", "fast"][..] } else { &["base"] };
    for (tunnel, direction) in fully.iter().flat_map(|t| ["there", "back", "both"].map(|way| (*t, way))) {
        expected.extend([tcp, tcp4, udp].map(|load| [tunnel, load, direction]));
    }
    for tunnel in ["sequenced", "reordering", "IPv6 outside", "IPv6 inside", "shared"] {
        expected.extend([tcp, udp].map(|load| [tunnel, load, "there"]));
    }
    let names: Vec<_> = rows
        .iter()
        .map(|row| ["tunnel", "load", "direction"].map(|key| row[key].as_str().unwrap()))
        .collect();
    assert_eq!(names, expected, "{report}");
    for row in rows {
        // By the fast path a process has nothing to do.
        let keys = if row["tunnel"] == "fast" { 2 } else { 4 };
        for key in &["direct", "through", "left_us", "right_us"][..keys] {
            assert!(row[key].as_f64().unwrap() > 0.0, "{key}: {row}");
        }
        assert!(row["of_direct"][0].as_f64().unwrap() > 0.0, "{row}");
        let of_base = &row["of_base"];
        assert_eq!(of_base.is_null(), row["tunnel"] == "base", "{row}");
        assert!(of_base.is_null() || of_base[0].as_f64().unwrap() > 0.0, "{row}");
    }
}

#[test]
fn many_sessions_share_an_interface() {
    let arguments = ["bench", "sessions", "--sessions", "300", "--rounds", "1", "--seconds", "0.3", "--json"];
    let output = run(&arguments);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = &report["sessions"]["rows"];
    assert_eq!([&rows[0]["sessions"], &rows[1]["sessions"]], [1, 300]);
    assert!(rows[1]["frames_s"].as_f64().unwrap() > 0.0, "{report}");
}

#[test]
fn frames_are_counted_each_way() {
    let arguments = ["bench", "frames", "--sessions", "3", "--rounds", "1", "--seconds", "0.2", "--json"];
    let output = run(&arguments);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = report["frames"]["rows"].as_array().unwrap();
    let mut expected = Vec::new();
    for sessions in [1, 3] {
        for (way, kind) in [
            ("from UDP", "apart"),
            ("from UDP", "merged"),
            ("to UDP", "apart"),
            ("to UDP", "merged"),
            ("both", "apart"),
        ] {
            expected.extend([64, 200, 1400].map(|length| (way, kind, sessions, length)));
        }
    }
    assert_eq!(rows.len(), expected.len(), "{report}");
    for (row, (way, kind, sessions, length)) in rows.iter().zip(expected) {
        assert_eq!((&row["way"], &row["kind"]), (&way.into(), &kind.into()), "{report}");
        assert_eq!((&row["sessions"], &row["length"]), (&sessions.into(), &length.into()), "{report}");
        assert!(row["frames_s"].as_f64().unwrap() > 0.0 && row["cpu_us"].as_f64().unwrap() > 0.0, "{report}");
        let bare = [&row["bare_frames_s"], &row["of_bare"][0]];
        assert!(
            bare.iter().all(|bare| bare.as_f64().map(|bare| bare > 0.0) == (way != "both").then_some(true)),
            "{row}"
        );
    }
}

#[test]
fn frames_are_timed_at_rest_and_under_load() {
    let output = run(&["bench", "latency", "--rounds", "1", "--seconds", "0.3", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = report["latency"]["rows"].as_array().unwrap();
    let loads = rows.iter().map(|row| (row["load_frames_s"].as_f64().unwrap() > 0.0, &row["direction"]));
    let (there, back) = (&"there".into(), &"back".into());
    let expected = [(false, there), (false, back), (true, there), (true, back)];
    assert_eq!(loads.collect::<Vec<_>>(), expected, "{report}");
    let times = rows.iter().flat_map(|row| [&row["direct_us"], &row["tunnel_us"]]);
    times.for_each(|times| {
        let [median, late] = [0, 1].map(|at| times[at].as_f64().unwrap());
        assert!(0.0 < median && median <= late, "{report}");
    });
}
