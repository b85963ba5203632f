//! `cargo xtask uml -- CMD`: the command's output, errors and exit code are those of a command in a guest.

use std::env::{current_exe, var_os};
use std::process::{Command, Stdio};

#[test]
fn uml_runs_a_command() {
    let cargo = var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let test = current_exe().expect("this test");
    // …/target/debug/deps/test
    let target = test.ancestors().nth(3).expect("cargo's target directory");
    let script =
        "cat /proc/net/pppol2tp; ip -o -4 address show dev vec0; ls Cargo.toml; echo on errors >&2; exit 7";
    let mut command = Command::new(cargo);
    command.args(["run", "--quiet", "--package", "xtask", "--", "uml", "--", "sh", "-c", script]);
    let output = command.env("CARGO_TARGET_DIR", target).stdin(Stdio::null()).output().expect("cargo");
    let [said, errors] =
        [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    assert_eq!(output.status.code(), Some(7), "{said}{errors}");
    let version = if interop::uml::is_module() { "V1.0" } else { "V2.0" };
    assert!(said.starts_with(&format!("PPPoL2TP driver info, {version}\n")), "{said}");
    assert!(said.contains(" 192.0.2.2/24 ") && said.ends_with("Cargo.toml\n"), "{said}");
    assert!(errors.ends_with("on errors\n"), "{errors}");
}
