//! `cargo xtask test`: every check, each a step with its time; all of them run even if one fails.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::builder::PossibleValuesParser;

use crate::bpf;
use crate::install;
use crate::instructions;
use crate::kmod;
use crate::peers::{self, Root};
use crate::process::{command, run as execute, run_reading};

/// All checks, in order, with a summary at the end; exit code 1 if one failed.
///
/// Installs what is missing: as root, Debian's packages by apt-get; real peers into the target directory, as
/// cargo xtask peers does; cargo-deny by cargo; Rust 1.85, and the one of bench/instructions.toml, by rustup. A check whose tools cannot be had is
/// named in the summary and fails nothing. Tests that need root and /dev/net/tun are required if CI=true,
/// and named as not run where they cannot.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Leave out the steps that take minutes or install something.
    #[arg(long)]
    quick: bool,
    /// Run only these.
    #[arg(value_name = "STEP", value_parser = PossibleValuesParser::new(STEPS.map(|step| step.name)))]
    steps: Vec<String>,
}

#[derive(Clone, Copy)]
struct Step {
    name: &'static str,
    slow: bool,
    run: fn() -> Result<Passed, Problem>,
}

/// What there is to say about a step that passed.
type Passed = String;

enum Problem {
    Failed(String),
    /// The step could not run, and why.
    Missing(String),
}

impl From<String> for Problem {
    fn from(message: String) -> Self {
        Self::Failed(message)
    }
}

const STEPS: [Step; 18] = [
    Step { name: "fmt", slow: false, run: || cargo("cargo fmt --all --check") },
    Step {
        name: "clippy",
        slow: false,
        run: || cargo("cargo clippy --workspace --all-targets -- --deny warnings"),
    },
    Step { name: "tests", slow: false, run: || tests("--workspace --exclude interop -- --skip netns") },
    Step { name: "namespaces", slow: false, run: namespaces },
    Step { name: "shards", slow: false, run: || driver(("OL2TP_SHARDS", "2")) },
    Step { name: "fast", slow: false, run: || driver(("OL2TP_FAST", "1")) },
    Step { name: "docs", slow: false, run: docs },
    Step { name: "msrv", slow: true, run: msrv },
    Step { name: "deny", slow: true, run: deny },
    Step { name: "release", slow: true, run: || cargo("cargo build --release --locked") },
    Step { name: "instructions", slow: true, run: instructions },
    Step { name: "interop", slow: true, run: interop },
    Step { name: "peers", slow: true, run: || peers(&[&peers::SID], SID) },
    Step { name: "kmod", slow: true, run: kernel_module },
    Step { name: "bpf", slow: true, run: programs },
    Step { name: "stock", slow: true, run: || stock_kernel(&peers::TRIXIE) },
    Step { name: "stock-sid", slow: true, run: || stock_kernel(&peers::STOCK_SID) },
    Step { name: "l2tpns", slow: true, run: || peers(&[&peers::SID, &peers::BOOKWORM], BOOKWORM) },
];

/// Runs the steps that were asked for and prints the summary.
pub(crate) fn run(args: &Args) -> ExitCode {
    let chosen = |step: &&Step| match args.steps.as_slice() {
        [] => !(args.quick && step.slow),
        names => names.iter().any(|name| name == step.name),
    };
    let steps: Vec<_> = STEPS.iter().filter(chosen).collect();
    let mut rows = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        println!("\n== {} ({} of {})", step.name, index + 1, steps.len());
        let start = Instant::now();
        let result = (step.run)();
        rows.push((step.name, result, start.elapsed()));
    }
    summary(&rows)
}

fn summary(rows: &[(&str, Result<Passed, Problem>, Duration)]) -> ExitCode {
    println!("\n{:<14}{:<10}{:>8}", "step", "result", "time");
    for (name, result, time) in rows {
        let (result, detail) = match result {
            Ok(detail) => ("passed", detail),
            Err(Problem::Failed(detail)) => ("FAILED", detail),
            Err(Problem::Missing(detail)) => ("NOT RUN", detail),
        };
        println!("{name:<14}{result:<10}{:>6.1} s  {detail}", time.as_secs_f64());
    }
    let failed = rows.iter().filter(|row| matches!(row.1, Err(Problem::Failed(_)))).count();
    let missing = rows.iter().filter(|row| matches!(row.1, Err(Problem::Missing(_)))).count();
    println!("\nsteps: {} passed, {failed} failed, {missing} not run", rows.len() - failed - missing);
    for (name, result, _) in rows {
        if let Err(Problem::Missing(why)) = result {
            println!("NOT RUN, so nothing is known of it: {name}: {why}");
        }
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn cargo(line: &str) -> Result<Passed, Problem> {
    execute(&mut command(line))?;
    Ok(Passed::new())
}

/// How long a step of tests may take in CI, where nobody sees that one hangs: seconds.
const LIMIT: u32 = 1200;

/// `cargo test` with these arguments; to run no test at all is a failure.
fn tests(args: &str) -> Result<Passed, Problem> {
    tests_with(&[], args)
}

/// The same with these variables.
fn tests_with(variables: &[(&str, &str)], args: &str) -> Result<Passed, Problem> {
    let limit = if ci() { format!("timeout --kill-after=10 {LIMIT}") } else { String::new() };
    let (mut passed, mut failed) = (0, 0);
    let mut command = command(&format!("{limit} cargo test --no-fail-fast {args}"));
    let result = run_reading(command.envs(variables.iter().copied()), |line| {
        if let Some((p, f)) = counts(line) {
            passed += p;
            failed += f;
        }
    });
    match result {
        Ok(()) if passed > 0 => Ok(format!("{passed} tests")),
        Ok(()) => Err(Problem::Failed("no test was run".into())),
        Err(error) => {
            // timeout(1) says so by 124.
            let error = if error.ends_with(" 124") { format!("stopped after {LIMIT} s") } else { error };
            Err(Problem::Failed(format!("{error}: {failed} tests failed, {passed} passed")))
        }
    }
}

/// The counts of `test result: ok. 12 passed; 0 failed; …`.
fn counts(line: &str) -> Option<(u32, u32)> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut counts = counts.split("; ").map(|count| count.split_once(' '));
    let (passed, _) = counts.next()??;
    let (failed, _) = counts.next()??;
    Some((passed.parse().ok()?, failed.parse().ok()?))
}

/// The tests that make network namespaces: those with `netns` in their path.
fn namespaces() -> Result<Passed, Problem> {
    require(install::namespaces())?;
    tests("--workspace --exclude interop -- netns")
}

/// The driver's tests once more, with this variable.
fn driver(variable: (&str, &str)) -> Result<Passed, Problem> {
    require(install::namespaces())?;
    let of = ["conformance", "tunnels", "pass_up", "inner_sources", "path_errors"];
    let of: String = of.iter().map(|name| format!(" --test {name}")).collect();
    tests_with(&[variable], &format!("--workspace{of}"))
}

fn interop() -> Result<Passed, Problem> {
    install::packages(install::TSHARK).map_err(Problem::Missing)?;
    require(install::namespaces())?;
    let skip: String =
        [SID, BOOKWORM, &["kmod"]].concat().iter().map(|name| format!(" --skip {name}")).collect();
    tests(&format!("--package interop --{skip}"))
}

/// What a frame costs, beside what was recorded.
fn instructions() -> Result<Passed, Problem> {
    instructions::comparable().map_err(Problem::Missing)?;
    require(instructions::tools())?;
    Ok(instructions::compare()?)
}

/// Peers of Debian sid. A test with one has its name in its path.
const SID: &[&str] = &["kl2tpd", "uml", "xl2tpd"];
/// Those of bookworm; some of sid are beside them.
const BOOKWORM: &[&str] = &["l2tpns"];

/// The tests with real peers.
fn peers(roots: &[&Root], names: &[&str]) -> Result<Passed, Problem> {
    require(install::namespaces())?;
    install::packages(install::PEERS).map_err(Problem::Missing)?;
    roots.iter().try_for_each(|root| peers::set_up(root)).map_err(Problem::Missing)?;
    // They wait most of the time.
    tests(&format!("--package interop -- --test-threads 4 {}", names.join(" ")))
}

/// The module in `kernel/` under tests of its own and some of those that the kernel's own driver passes; all of
/// them: `cargo xtask kmod test`.
fn kernel_module() -> Result<Passed, Problem> {
    require(install::namespaces())?;
    kmod::PLAIN.build().map_err(Problem::Missing)?;
    kmod::PLAIN.module()?;
    tests_with(&[("OL2TP_UML", "module")], &format!("--package interop -- {KMOD}"))
}

/// The programs that the driver has the kernel run: whether the object that is committed is what they make.
fn programs() -> Result<Passed, Problem> {
    bpf::tools().map_err(Problem::Missing)?;
    Ok(bpf::check()?)
}

/// Its package, and what that installs, on Debian's own kernel.
fn stock_kernel(root: &Root) -> Result<Passed, Problem> {
    install::packages(install::PEERS).map_err(Problem::Missing)?;
    // QEMU is trixie's.
    for root in [&peers::TRIXIE, root] {
        peers::set_up(root).map_err(Problem::Missing)?;
    }
    kmod::stock_tests(root)?;
    Ok(Passed::new())
}

/// Which tests those are.
const KMOD: &str = "--test-threads 4 kmod uml_kernel uml_runs_the uml_auto uml_serves_several xl2tpd_calls guest_calls_xl2tpd";

/// What a machine that runs CI has to have.
fn require(available: Result<(), String>) -> Result<(), Problem> {
    available.map_err(if ci() { Problem::Failed } else { Problem::Missing })
}

fn ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}

fn docs() -> Result<Passed, Problem> {
    execute(command("cargo doc --no-deps --workspace").env("RUSTDOCFLAGS", "--deny warnings"))?;
    Ok(Passed::new())
}

/// The rules, as a kernel build's compiler sees them.
fn msrv() -> Result<Passed, Problem> {
    install::toolchain("1.85").map_err(Problem::Missing)?;
    cargo("rustup run 1.85 cargo check --package l2tp-data")
}

fn deny() -> Result<Passed, Problem> {
    install::cargo_deny().map_err(Problem::Missing)?;
    cargo("cargo deny check licenses bans sources")
}

#[cfg(test)]
mod tests {
    use super::counts;

    #[test]
    fn counts_are_read_from_libtests_last_line() {
        let line = "test result: FAILED. 12 passed; 3 failed; 0 ignored; 0 measured; 1 filtered out; finished in 0.00s";
        assert_eq!(counts(line), Some((12, 3)));
        assert_eq!(counts("test header::tests::short ... ok"), None);
    }
}
