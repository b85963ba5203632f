//! `cargo xtask fuzz`: coverage-guided fuzzing on the stable compiler.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::process::{command, root, run as execute, target};

/// What libFuzzer needs of the compiler.
const FLAGS: &str = "--cfg fuzzing -Cdebug-assertions -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Fuzz a target, starting from its committed corpus.
///
/// What it finds is kept in target/fuzz/; fuzz/README.md says how to commit it.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A file of fuzz/fuzz_targets/.
    target: String,
    /// How long.
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u32,
    /// Arguments for libFuzzer.
    #[arg(last = true)]
    args: Vec<String>,
}

/// Builds and runs the target.
pub(crate) fn run(args: &Args) -> Result<(), String> {
    let name = &args.target;
    let known = targets(&root().join("fuzz/fuzz_targets"))?;
    if !known.contains(name) {
        return Err(format!("there is no target {name}; there are {}", known.join(", ")));
    }
    let out = target().join("fuzz");
    // Build scripts get the flags too unless a target is named.
    let host = host()?;
    let mut build = command("cargo build --release --package ol2tp-fuzz");
    build.args(["--bin", name, "--target", &host]).arg("--target-dir").arg(&out);
    execute(build.env("RUSTFLAGS", FLAGS))?;

    let found = out.join("corpus").join(name);
    fs::create_dir_all(&found).map_err(|error| format!("{}: {error}", found.display()))?;
    let mut fuzzer = Command::new(out.join(&host).join("release").join(name));
    fuzzer.args(["-max_len=1024", "-use_value_profile=1", &format!("-max_total_time={}", args.seconds)]);
    fuzzer.arg(format!("-artifact_prefix={}/", out.display())).args(&args.args);
    fuzzer.arg(found).arg(root().join("fuzz/corpus").join(name));
    execute(&mut fuzzer)
        .map_err(|error| format!("{name}: {error}; the input that did it is in {}", out.display()))
}

/// The names of the sources in a directory.
fn targets(directory: &Path) -> Result<Vec<String>, String> {
    let entries = fs::read_dir(directory).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
    let entries = entries.map_err(|error| format!("{}: {error}", directory.display()))?;
    let names = entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<_> = names.filter_map(|name| name.strip_suffix(".rs").map(str::to_owned)).collect();
    names.sort();
    Ok(names)
}

/// The compiler's own target.
fn host() -> Result<String, String> {
    let output = command("rustc -vV").output().map_err(|error| format!("rustc: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| format!("rustc -vV names no host: {text}"))
}
