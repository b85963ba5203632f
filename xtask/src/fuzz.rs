//! `cargo xtask fuzz`: coverage-guided fuzzing on the stable compiler.

use std::fs;

use crate::process::{command, root, run as execute, target};

/// What libFuzzer needs of the compiler.
const FLAGS: &str = "--cfg fuzzing -Cdebug-assertions -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Fuzz a target, starting from its committed corpus; what is found is added there.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A target of fuzz/.
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
    let corpus = root().join("fuzz/corpus").join(name);
    let out = target().join("fuzz");
    // Flags apply to build scripts too unless a target is named.
    let host = host()?;
    let mut build = command("cargo build --release --package ol2tp-fuzz");
    build.args(["--bin", name, "--target", &host]).arg("--target-dir").arg(&out);
    execute(build.env("RUSTFLAGS", FLAGS).env("CARGO_PROFILE_RELEASE_LTO", "off"))?;

    let artifacts = out.join("artifacts").join(name);
    for directory in [&corpus, &artifacts] {
        fs::create_dir_all(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    }
    let mut fuzzer = command(&format!("{}/{host}/release/{name}", out.display()));
    fuzzer.arg(&corpus).arg(format!("-max_total_time={}", args.seconds));
    fuzzer.arg(format!("-artifact_prefix={}/", artifacts.display())).args(&args.args);
    execute(&mut fuzzer)
        .map_err(|error| format!("{name}: {error}; the input that did it is in {}", artifacts.display()))
}

/// The compiler's own target.
fn host() -> Result<String, String> {
    let output = command("rustc -vV").output().map_err(|error| format!("rustc: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| format!("rustc -vV names no host: {text}"))
}
