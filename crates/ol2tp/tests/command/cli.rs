//! Arguments of the command, and what it says about wrong ones. Needs no root.

use std::process::{Command, Output};

fn ol2tp(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ol2tp")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

const STATIC: [&str; 9] =
    ["static", "--local", "127.0.0.1:1", "--peer", "127.0.0.1:2", "--tunnel", "1:2", "--session", "3:4"];

#[test]
fn help_has_examples_and_the_exit_codes() {
    let help = text(&ol2tp(&["--help"]).stdout);
    for code in [0, 1, 2, 3, 10, 11, 12, 13, 14, 15, 16, 17, 18, 130] {
        assert!(help.contains(&format!("\n  {code:<4} ")), "{code}: {help}");
    }
    for command in
        ["serve", "connect", "disconnect", "events", "static", "show", "set", "demo", "bench", "replay"]
    {
        assert!(help.contains(command), "{command}");
        let output = ol2tp(&[command, "--help"]);
        assert_eq!(output.status.code(), Some(0), "{command}");
        let help = text(&output.stdout);
        assert!(help.contains(&format!("Examples:\n  ol2tp {command}")), "{help}");
    }
}

#[test]
fn wrong_arguments_are_named() {
    let with = |more: &[&'static str]| [&STATIC, more].concat();
    for (arguments, named) in [
        (vec![], "Usage"),
        (vec!["sevre"], "'sevre'"),
        (vec!["serve"], "nobody could log in"),
        (vec!["serve", "--user", "anna"], "--user: NAME:PASSWORD is needed"),
        (vec!["serve", "--user", "a:b", "--pool", "10.0.0.0/24"], "`--local-address` is missing"),
        (vec!["serve", "--user", "a:b", "--listen", "here"], "--listen: "),
        (vec!["serve", "--user", "a:b", "--auth", "pap,chip"], "`chap`"),
        (vec!["serve", "--user", "a:b", "--interface", "both"], "--interface: "),
        (vec!["serve", "-c", "/nonexistent.toml"], "/nonexistent.toml: "),
        (vec!["serve", "-c", "f", "--pool", "10.0.0.0/24"], "cannot be used with"),
        (vec!["serve", "--secret", "s", "--secret-file", "f"], "cannot be used with"),
        (vec!["connect"], "<HOST>"),
        (vec!["connect", "h"], "--user <NAME>"),
        (vec!["connect", "h", "--user", "a", "-c", "f"], "cannot be used with"),
        (vec!["connect", "-c", "/nonexistent.toml", "office"], "/nonexistent.toml: "),
        (vec!["connect", "h:1701", "--user", "a", "--password-file", "/dev/null"], "HOST: "),
        (
            vec!["connect", "h", "--user", "a", "--password-file", "/nonexistent"],
            "--password-file: /nonexistent",
        ),
        (vec!["connect", "h", "--user", "a", "--route", "10.0.0.1/8", "--password-file", "f"], "--route: "),
        (vec!["connect", "h", "--user", "a", "--dns", "some", "--password-file", "f"], "--dns: "),
        (vec!["connect", "h", "--user", "a", "--mtu", "100", "--password-file", "f"], "--mtu: "),
        (vec!["connect", "h", "--user", "a", "--local-port", "0", "--password-file", "f"], "--local-port: "),
        (vec!["disconnect"], "--all"),
        (vec!["disconnect", "--session", "1"], "--tunnel <N>"),
        (vec!["disconnect", "--all", "--user", "anna"], "cannot be used with"),
        (vec!["static"], "--local <ADDR:PORT>"),
        (with(&["--tunnel", "1:2"]), "--tunnel"),
        (with(&["--mtu", "70000"]), "70000"),
        (with(&["--reorder-timeout", "5"]), "write for example 100ms or 1s"),
        (with(&["--debug", "control,noise"]), "`noise` is no category"),
        (with(&["--debug-rate", "some"]), "a number or `off`"),
        (with(&["--mode", "fast"]), "there are offload"),
        (with(&["--address", "10.0.0.1"]), "--peer-address"),
        (with(&["--address", "10.0.0.1", "--peer-address", "fd00::2"]), "go together"),
        (
            with(&["--address", "10.0.0.1", "--address", "10.0.0.3", "--peer-address", "10.0.0.2"]),
            "more than one IPv4",
        ),
        (
            vec![
                "static",
                "--local",
                "127.0.0.1:1",
                "--peer",
                "[::1]:2",
                "--tunnel",
                "1:2",
                "--session",
                "3:4",
            ],
            "both IPv4 or both IPv6",
        ),
        (vec!["static", "--local", "localhost"], "localhost"),
        (vec!["static", "--tunnel", "1"], "LOCAL:PEER"),
        (vec!["static", "--tunnel", "0:1"], "reserved"),
        (vec!["static", "--session", "1:65536"], "`65536` is not an id"),
        (vec!["show", "weather"], "[possible values: tunnels, sessions, sockets, users, pools, proc]"),
        (vec!["set", "--tunnel", "1"], "<OPTION=VALUE>"),
        (vec!["set", "send-seq=on"], "--tunnel <N>"),
        (vec!["set", "--tunnel", "1", "send-seq"], "OPTION=VALUE"),
        (vec!["set", "--tunnel", "1", "send-seq=1"], "neither on nor off"),
        (vec!["set", "--tunnel", "1", "colour=red"], "there is no option `colour`"),
        (vec!["set", "--tunnel", "1", "lns=on", "lns=off"], "given twice"),
        (vec!["demo", "--rounds", "0"], "0 is not in 1..=1000"),
        (vec!["demo", "--seconds", "-1"], "-1"),
        (vec!["bench", "--sessions", "70000"], "70000"),
        (vec!["show", "--log", "ol2tp=loud"], "--log"),
    ] {
        let output = ol2tp(&arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", text(&output.stderr));
        assert!(text(&output.stderr).contains(named), "{arguments:?}: {}", text(&output.stderr));
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_daemon_that_is_not_there() {
    for arguments in [
        &["show"][..],
        &["show", "proc", "--json"],
        &["set", "--tunnel", "1", "debug=none"],
        &["disconnect", "--all"],
        &["events"],
    ] {
        let output = ol2tp(&[arguments, &["--socket", "/nonexistent/ol2tp.sock"]].concat());
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let error = text(&output.stderr);
        assert!(error.contains("no ol2tp is running at /nonexistent/ol2tp.sock"), "{error}");
    }
}

#[test]
fn rules_are_measured_without_root() {
    let output = ol2tp(&["bench", "rules", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for key in ["receive_ns", "sequenced_ns", "transmit_ns"] {
        assert!(report["rules"][key].as_f64().unwrap() > 0.0, "{key}: {report}");
    }
}
