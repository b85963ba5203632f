//! The kernel's own driver, or the module, is held against the conformance tests, `crates/pppol2tp/tests/conformance/`,
//! in a guest.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use interop::lan::Lan;
use interop::uml::{self, Uml, is_module};
use interop::workspace_test;

/// How many there are at least.
const TESTS: usize = 309;
/// How long all of them may take.
const PATIENCE: Duration = Duration::from_secs(300);
/// All but those of home `user` alone.
const CHOICE: [&str; 2] = ["--skip", "user::"];

#[test]
#[allow(clippy::print_stdout)]
fn uml_kernel_passes_the_conformance_tests() {
    let program = workspace_test("conformance").expect("the tests");
    let list = Command::new(&program).args(CHOICE).arg("--list").output().expect("their names");
    let list = String::from_utf8(list.stdout).expect("text");
    let expected: BTreeSet<_> = list.lines().filter_map(|line| line.strip_suffix(": test")).collect();
    assert!(expected.len() >= TESTS, "there are only {} of {TESTS} tests", expected.len());

    let lan = Lan::new().expect("a network");
    let guest = Uml::boot(&lan, 2).expect("a guest");
    let program = guest.program(&program).expect("copied");
    let home = if is_module() { "module" } else { "linux" };
    let job =
        guest.start(&format!("OL2TP_HOME={home} exec {program} {}", CHOICE.join(" "))).expect("started");
    let (code, output) = job.wait(uml::patience(PATIENCE)).expect("an end");
    println!("{output}");
    assert_eq!(code, 0, "some failed");
    let passed = output.lines().filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... ok"));
    assert_eq!(passed.collect::<BTreeSet<_>>(), expected);
}
