//! `ol2tp check`. Needs no root.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder with both files and their secret, in which the command is run.
fn folder(test: &str) -> PathBuf {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/command/check");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("check-{test}"));
    fs::create_dir_all(&folder).unwrap();
    for name in ["good.toml", "bad.toml"] {
        fs::copy(golden.join(name), folder.join(name)).unwrap();
    }
    fs::write(folder.join("secret"), "hush\n").unwrap();
    fs::set_permissions(folder.join("secret"), fs::Permissions::from_mode(0o600)).unwrap();
    folder
}

fn check(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ol2tp"));
    command.arg("check").args(arguments).current_dir(folder).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn a_good_file_is_told_with_every_default_and_without_its_secrets() {
    let folder = folder("good");
    let output = check(&folder, &["good.toml"]);
    assert_eq!(text(&output.stdout), include_str!("check/good.txt"));
    assert_eq!(text(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));

    let output = check(&folder, &["good.toml", "--json"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(!text(&output.stdout).contains("hush"));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["problems"], serde_json::json!([]));
    let settings = &json["settings"];
    assert_eq!(settings["host-name"], "lns.example");
    assert_eq!(settings["limits"]["half-open-per-source"], 16);
    assert_eq!(settings["peer"][0]["name"], "north");
    assert_eq!(settings["peer"][0]["secret"], "(not shown)");
    assert_eq!(settings["peer"][1]["secret"], serde_json::Value::Null);
    assert_eq!(settings["user"][0]["address"], "10.9.9.9");
}

#[test]
fn all_that_is_wrong_with_a_bad_file_is_told() {
    let folder = folder("bad");
    let output = check(&folder, &["bad.toml"]);
    assert_eq!(text(&output.stderr), include_str!("check/bad.txt"));
    assert_eq!(text(&output.stdout), "");
    assert_eq!(output.status.code(), Some(1));

    let output = check(&folder, &["bad.toml", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["settings"], serde_json::Value::Null);
    let first = serde_json::json!({
        "file": "bad.toml", "line": 1, "column": 1, "severity": "error", "key": "host_name",
        "message": "there is no such key", "suggestion": "host-name",
    });
    assert!(json["problems"].as_array().unwrap().contains(&first), "{json}");
}

#[test]
fn a_file_that_is_not_there() {
    let output = check(Path::new("/"), &["nonexistent.toml"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        text(&output.stderr),
        "nonexistent.toml: No such file or directory (os error 2)\nol2tp: nonexistent.toml: 1 error\n"
    );
}

#[test]
fn help_has_examples() {
    let output = check(Path::new("/"), &["--help"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("Examples:\n  ol2tp check"), "{output:?}");
}
