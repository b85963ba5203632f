//! `cargo xtask uml`: a command of this workspace on a kernel that has PPPoL2TP.

use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::install;
use crate::peers;
use crate::process::{command, probe, root, target};

/// Run a command in User-Mode Linux, whose kernel has PPP and PPPoL2TP.
///
/// Boots a guest, 192.0.2.2, beside a network namespace of its own, 192.0.2.1, and ends it with the command.
/// Input, output and exit code are the command's. The guest sees the workspace, where the command starts, and
/// cargo's target directory, both read-only; /run and /var can be written to. Programs are those of this
/// workspace and of target/peers/sid, which cargo xtask peers sets up and this does if need be.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The command and its arguments. Paths of the workspace and of cargo's target directory are translated.
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<String>,
}

const EXAMPLES: &str = "Examples:
  cargo xtask uml -- sh                            look around
  cargo xtask uml -- target/debug/ol2tp demo       the command, built before by cargo build
  cargo xtask uml -- sh -c 'cat /proc/net/pppol2tp'
  cargo xtask uml -- ping -c 1 192.0.2.1           the namespace beside the guest

The conformance tests on the kernel's driver; the runner is for this run only:
  cargo test -p pppol2tp --test conformance \\
    --config 'target.\"cfg(all())\".runner = \"cargo xtask uml -- env OL2TP_HOME=linux\"' -- --skip user::";

/// Becomes the command.
pub(crate) fn run(args: &Args) -> Result<(), String> {
    if !peers::is_set_up(&peers::SID) {
        peers::set_up(&peers::SID)?;
    }
    install::namespaces()?;
    probe(&mut command("cargo build --quiet --package interop --example uml"))?;
    let mut guest = guest("debug", &args.command);
    let error = guest.exec();
    Err(format!("{}: {error}", guest.get_program().to_string_lossy()))
}

/// What runs a command in a guest: the example `uml`, which has been built with this profile.
pub(crate) fn guest(profile: &str, words: &[String]) -> Command {
    let mut uml = Command::new(target().join(profile).join("examples/uml"));
    uml.arg(root()).args(words);
    uml
}
