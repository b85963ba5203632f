//! `cargo xtask kmod`: the kernel module in `kernel/`.
//!
//! ```text
//!   target/kmod/source   kernel/ and the modules of l2tp-data beside it, and what is made of them
//!   target/kmod/uml      User-Mode Linux, built from Debian's sources in target/peers/kernel, with the module in root/
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::install;
use crate::peers::{self, KERNEL, SID, at};
use crate::process::{command, probe, root, run as execute, target};

/// Build the PPPoL2TP driver as a module of the kernel.
///
/// For the running kernel, or the one whose headers are given: pppol2tp.ko, in target/kmod. Needs those headers,
/// make, gcc, rustc 1.85 or later and the sources of Rust's core library; see docs/kernel-module.md.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The kernel's headers, or its built tree.
    #[arg(long, value_name = "DIR")]
    kernel: Option<PathBuf>,
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(clap::Subcommand)]
enum What {
    /// Build it for a User-Mode Linux of its own, and run the tests in guests on it.
    ///
    /// Unpacks Debian's kernel sources and compilers (1.9 GB) once, and builds that kernel once: some minutes.
    Test {
        /// Only the tests with one of these in their names.
        names: Vec<String>,
    },
}

/// What a module's sources are.
const SOURCES: [&str; 2] = ["kernel", "crates/l2tp-data/src"];

/// What the tests need of User-Mode Linux, and what builds it.
const CONFIG: &str = include_str!("kmod/uml.config");
const UML: &str = include_str!("kmod/uml.sh");
const MODULE: &str = include_str!("kmod/module.sh");

/// The tests in guests that the kernel's own driver passes too.
const TESTS: &[&str] = &["uml", "xl2tpd", "kl2tpd"];

/// Becomes a program of a root directory, as tests do,
const ENTER: &str = include_str!("../../interop/src/enter.sh");
/// in a directory.
const CHANGE: &str = "cd \"$1\" && shift && exec \"$@\"";

/// Builds it, or tests it.
pub(crate) fn run(args: &Args) -> Result<(), String> {
    match &args.what {
        None => build(args.kernel.as_deref()),
        Some(What::Test { names }) => {
            set_up()?;
            let names = if names.is_empty() {
                TESTS.iter().map(|&name| name.into()).collect()
            } else {
                names.clone()
            };
            let tests = format!(
                "cargo test --no-fail-fast --package interop -- --test-threads 4 {}",
                names.join(" ")
            );
            execute(command(&tests).env("OL2TP_UML", "module"))
        }
    }
}

/// Builds the module for a kernel of this machine's architecture.
fn build(kernel: Option<&Path>) -> Result<(), String> {
    let running = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let running = Path::new("/lib/modules").join(running.trim()).join("build");
    let kernel = kernel.unwrap_or(&running);
    if !kernel.join("Makefile").is_file() {
        let message = "there are no headers of a kernel: apt-get install linux-headers-amd64, or name the \
                       directory by --kernel DIR";
        return Err(format!("{}: {message}", kernel.display()));
    }
    let kernel = kernel.canonicalize().map_err(|error| at(kernel, error))?;
    let sources = copy()?.join("kernel");
    let mut make = command("make modules");
    make.arg("-C").arg(&kernel).arg(format!("M={}", sources.display()));
    execute(&mut make).map_err(|error| {
        format!("the module does not build ({error}, see above): docs/kernel-module.md says what it needs")
    })?;
    println!("{}", sources.join("pppol2tp.ko").display());
    Ok(())
}

/// Copies the sources, so that what is made of them does not lie among them.
fn copy() -> Result<PathBuf, String> {
    let copies = target().join("kmod/source");
    for source in SOURCES {
        let copy = copies.join(source);
        fs::create_dir_all(&copy).map_err(|error| at(&copy, error))?;
        // What has not changed keeps its time, and is not built again.
        let from = root().join(source).join(".");
        probe(command("cp --recursive --update --preserve=timestamps").arg(from).arg(&copy))?;
    }
    Ok(copies)
}

/// Sees to User-Mode Linux with the module, and to what its guests run.
pub(crate) fn set_up() -> Result<(), String> {
    install::namespaces()?;
    install::packages(install::PEERS)?;
    for root in [&SID, &KERNEL] {
        peers::set_up(root)?;
    }
    let uml = target().join("kmod/uml");
    // Another suite of sources, or other options, are another kernel.
    let recipe = [CONFIG, UML, &sources()?].concat();
    let stamp = uml.join("ol2tp.made");
    if !fs::read_to_string(&stamp).is_ok_and(|made| made == recipe) {
        println!("building User-Mode Linux: some minutes");
        peers::empty(&uml)?;
        fs::create_dir_all(&uml).map_err(|error| at(&uml, error))?;
        let config = uml.join("uml.config");
        fs::write(&config, CONFIG).map_err(|error| at(&config, error))?;
        execute(chroot("/host/uml").args(["sh", "-c", UML]))?;
        fs::write(&stamp, recipe).map_err(|error| at(&stamp, error))?;
    }
    copy()?;
    execute(chroot("/host/source").args(["sh", "-c", MODULE, "sh", "/host/uml"]))
}

/// Which sources of the kernel there are.
fn sources() -> Result<String, String> {
    let directory = KERNEL.directory().join("usr/src");
    let entries = fs::read_dir(&directory).map_err(|error| at(&directory, error))?;
    let sources = entries.flatten().find(|entry| entry.file_name().to_string_lossy().ends_with(".tar.xz"));
    let sources = sources.ok_or_else(|| format!("{}: no sources of Linux", directory.display()))?;
    let size = sources.metadata().map_err(|error| at(&directory, error))?.len();
    Ok(format!("{} {size}", sources.file_name().to_string_lossy()))
}

/// A command where the compilers are, which sees target/kmod as /host; what it is is to follow.
fn chroot(directory: &str) -> Command {
    let mut chroot = command("unshare --mount sh -c");
    chroot.args([ENTER, "sh"]).arg(KERNEL.directory()).arg(target().join("kmod"));
    chroot.args(["sh", "-c", CHANGE, "sh", directory]);
    chroot
}
