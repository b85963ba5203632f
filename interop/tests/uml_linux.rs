//! Our driver's home `linux` on Linux' PPPoL2TP: the tests `crates/pppol2tp/tests/linux/` in a guest.

use std::time::Duration;

use interop::lan::Lan;
use interop::uml::{self, Uml, is_module};
use interop::workspace_test;

/// How many tests there are at least.
const TESTS: usize = 66;
/// How long all of them may take.
const PATIENCE: Duration = Duration::from_secs(300);

#[test]
#[allow(clippy::print_stdout)]
fn uml_runs_the_tests_of_home_linux() {
    let program = workspace_test("linux").expect("the tests");
    let lan = Lan::new().expect("a network");
    let guest = Uml::boot(&lan, 2).expect("a guest");
    let program = guest.program(&program).expect("copied");
    let home = if is_module() { "module" } else { "linux" };
    let job = guest.start(&format!("OL2TP_HOME={home} exec {program}")).expect("started");
    let (code, output) = job.wait(uml::patience(PATIENCE)).expect("an end");
    println!("{output}");
    assert_eq!(code, 0, "some failed");
    let passed = output.lines().filter(|line| line.starts_with("test ") && line.contains(" ... ok")).count();
    assert!(passed >= TESTS, "{passed} tests passed, of {TESTS}");
}
