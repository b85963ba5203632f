//! `ol2tp replay`. Needs no root.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;
use std::{env, fs};

use l2tp_control::config::{Config, Policy};
use l2tp_control::record::{Recorder, Secrets};
use l2tp_control::wire::Message;
use l2tp_control::{Connect, Instant, Path};

/// A record of a tunnel whose peer says nothing, and another line.
fn record(name: &str, more: &str) -> PathBuf {
    let mut recorder = Recorder::new(Config::default(), [1; 32], Vec::new(), Secrets::Keep);
    let path = Path { socket: 0, local: None, peer: "192.0.2.1:1701".parse().unwrap() };
    let connect = Connect { path, policy: Arc::new(Policy::default()) };
    let mut now = Instant::from_micros(1);
    recorder.connect(now, connect).unwrap();
    let mut buffer = vec![0; Message::MAX];
    loop {
        while recorder.poll_transmit(now, &mut buffer).is_some() {}
        let Some(next) = recorder.poll_timeout() else { break };
        now = next;
        recorder.handle_timeout(now);
    }
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let record = String::from_utf8(recorder.finish().unwrap()).unwrap();
    fs::write(&file, record + more).unwrap();
    file
}

fn replay(file: &PathBuf, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ol2tp"));
    command.arg("replay").arg(file).args(arguments).output().unwrap()
}

#[test]
fn a_record_is_replayed_in_words_and_in_json() {
    let file = record("silence.record", "");
    let output = replay(&file, &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let words = String::from_utf8(output.stdout).unwrap();
    assert_eq!(words.matches("  SCCRQ  ").count(), 6, "{words}");
    assert!(
        words.trim_end().ends_with(
            "the peer does not answer any more (StopCCN 1: general request to clear the control connection)"
        ),
        "{words}"
    );

    let output = replay(&file, &["--json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let json = String::from_utf8(output.stdout).unwrap();
    let steps: Vec<serde_json::Value> =
        json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let sent: Vec<_> = steps.iter().filter(|step| step["what"] == "sent").collect();
    assert_eq!(sent.len(), 6);
    assert_eq!(sent[1]["at"], 1_000_001);
    assert_eq!(sent[1]["message"]["message"], "SCCRQ");
    assert_eq!(sent[1]["path"]["peer"], "192.0.2.1:1701");
    assert_eq!(sent[1]["message"]["avps"][1]["value"], "ol2tp");
}

#[test]
fn a_record_that_is_not_sound_is_refused_with_file_and_line() {
    let file = record("unsound.record", "{\"do\":\"timeout\"}\n");
    let output = replay(&file, &[]);
    let lines = fs::read_to_string(&file).unwrap().lines().count();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert_eq!(error, format!("ol2tp: {}, line {lines}: missing field `at`\n", file.display()));
    assert!(!output.stdout.is_empty(), "what stands before is shown");

    let output = replay(&"/nonexistent.record".into(), &[]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.starts_with("ol2tp: /nonexistent.record: No such file"), "{error}");
}
