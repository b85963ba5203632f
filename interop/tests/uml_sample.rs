//! The program `sample/pppol2tp.c`, which uses the driver as the kernel's document says, runs on the kernel's driver.

use std::path::Path;
use std::process::Command;

use interop::PATIENCE;
use interop::lan::Lan;
use interop::uml::Uml;

/// How many steps it has.
const STEPS: usize = 55;

#[test]
#[allow(clippy::print_stdout)]
fn uml_runs_the_sample() {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pppol2tp-sample");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample/pppol2tp.c");
    let mut gcc = Command::new("gcc");
    gcc.args(["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-o"]).args([&program, &source]);
    assert!(gcc.status().expect("apt-get install gcc").success(), "it does not compile");

    let lan = Lan::new().expect("a network");
    let guest = Uml::boot(&lan, 2).expect("a guest");
    let sample = guest.program(&program).expect("copied");
    let (code, output) =
        guest.start(&format!("exec {sample}")).and_then(|job| job.wait(PATIENCE)).expect("an end");
    println!("{output}");
    let mut lines: Vec<_> = output.lines().collect();
    assert_eq!(lines.pop(), Some(&*format!("1..{STEPS}")), "the plan");
    let good =
        (1..).zip(&lines).take_while(|(step, line)| line.starts_with(&format!("ok {step} - "))).count();
    assert_eq!((good, lines.len(), code), (STEPS, STEPS, 0), "not all steps are ok");
}
