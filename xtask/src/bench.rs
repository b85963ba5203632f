//! `cargo xtask bench`: what this machine can do.

use crate::process::{command, run as execute};

/// What this machine can do: the rules by criterion, then `ol2tp bench`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Arguments for `ol2tp bench`.
    #[arg(last = true)]
    args: Vec<String>,
}

/// Runs both.
pub(crate) fn run(args: &Args) -> Result<(), String> {
    execute(&mut command("cargo bench --package ol2tp-bench"))?;
    execute(command("cargo run --release --package ol2tp -- bench").args(&args.args))
}
