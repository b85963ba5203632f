//! `cargo xtask bench`: what this machine can do.

use clap::ValueEnum;

use crate::process::{command, run as execute};
use crate::qemu;

/// What this machine can do: the rules by criterion, then `ol2tp bench`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only this, in place of both.
    what: Option<What>,
    /// Arguments for `ol2tp bench`.
    #[arg(last = true)]
    args: Vec<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    /// `ol2tp bench drivers` on Debian's kernel in QEMU: the kernel's own driver and the one in user space, in
    /// turn. Emulated, so only ratios mean something. As root; fetches 160 MB once.
    Kernel,
}

/// Runs what is wanted.
pub(crate) fn run(args: &Args) -> Result<(), String> {
    if let Some(What::Kernel) = args.what {
        return qemu::bench(&args.args);
    }
    execute(&mut command("cargo bench --package ol2tp-bench"))?;
    execute(command("cargo run --release --package ol2tp -- bench").args(&args.args))
}
