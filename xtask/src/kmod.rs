//! `cargo xtask kmod`: the kernel module in `kernel/`.
//!
//! ```text
//!   target/kmod/RELEASE   kernel/ and the modules of l2tp-data beside it, and what is made of them for that kernel
//!   target/kmod/guest     the same for User-Mode Linux
//!   target/kmod/uml       that, built from Debian's sources in target/peers/kernel, with the module in root/
//!   target/kmod/checked   as guest, and
//!   target/kmod/debug     as uml, with what finds mistakes
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::install;
use crate::peers::{self, KERNEL, Root, SID, STOCK_SID, TRIXIE, at};
use crate::process::{command, probe, root, run as execute, target};
use crate::{qemu, uml};

mod package;

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
    /// Build it for a User-Mode Linux of its own, and run the tests in guests on it; then what gets through it and
    /// through the kernel's own driver, in turn.
    ///
    /// Unpacks Debian's kernel sources and compilers (1.9 GB) once, and builds that kernel once: some minutes.
    Test {
        /// On a kernel with KASAN, lockdep and kmemleak: another ten minutes to build it, once. Without names, the tests
        /// of the module itself and of home linux, and the conformance tests.
        #[arg(long)]
        debug: bool,
        /// Only the tests with one of these in their names.
        names: Vec<String>,
    },
    /// What gets through it and through the kernel's own driver, in turn, in that User-Mode Linux.
    Compare {
        /// Arguments for the comparison: --rounds N, --seconds S, --json.
        #[arg(last = true)]
        args: Vec<String>,
    },
    /// Make the Debian package ol2tp-dkms, which builds it wherever it is installed: in target/kmod.
    Deb,
    /// Build it for Debian's kernels, trixie's and sid's, by installing that package, and run it there, in QEMU: the conformance tests with two
    /// processors, and on trixie's what gets through it and through the kernel's own driver, in turn.
    ///
    /// Unpacks Debian's kernels, their headers and compilers, and QEMU (3 GB) once. For the comparison the guest's clock
    /// goes by instructions: its figures are the same on any machine, however busy, and mean something beside each
    /// other only.
    Stock {
        /// Arguments for the comparison: --rounds N, --seconds S, --json.
        #[arg(last = true)]
        args: Vec<String>,
    },
}

/// What a module's sources are.
const SOURCES: [&str; 2] = ["kernel", "crates/l2tp-data/src"];

/// What the tests need of User-Mode Linux, and what builds it.
const CONFIG: &str = include_str!("kmod/uml.config");
/// What finds mistakes.
const DEBUG: &str = include_str!("kmod/debug.config");
const UML: &str = include_str!("kmod/uml.sh");
const MODULE: &str = include_str!("kmod/module.sh");

/// What is traced of the tests in `qemu/kmod.sh`.
const TRACED: [&str; 7] = [
    "created: tunnel=1 session=10 peer_tunnel=2 peer_session=20",
    "pass_up: tunnel=1 len=20",
    "receive: tunnel=1 session=10 len=64 ns=2 nr=1 discard",
    "receive: tunnel=1 session=10 len=64 ns=2 nr=1 hold",
    "receive: tunnel=1 session=10 len=64 ns=1 nr=2 deliver",
    "send: tunnel=1 session=10 len=22 error=0",
    "ended: tunnel=1 session=10 peer_tunnel=2 peer_session=20",
];

/// What is built to load it.
const LOAD: &str = "cargo build --release --workspace --bin ol2tp --example kmod_load --example uml";

/// Tests of the module, and those in guests that the kernel's own driver passes too.
const TESTS: &[&str] = &["kmod", "uml", "xl2tpd", "kl2tpd"];
/// Those that close and unload in all orders, and those of every rule.
const CHECKED: &[&str] = &["kmod", "uml_kernel", "uml_runs_the_tests"];

/// A User-Mode Linux with the module.
pub(crate) struct Kernel {
    /// What the tests call it.
    name: &'static str,
    /// Where it is, in target/kmod, and the module's sources for it.
    place: &'static str,
    sources: &'static str,
    /// What it is configured with.
    config: &'static [&'static str],
}

/// The one for all tests.
pub(crate) const PLAIN: Kernel = Kernel { name: "module", place: "uml", sources: "guest", config: &[CONFIG] };
/// The one that finds mistakes.
const CHECKING: Kernel =
    Kernel { name: "debug", place: "debug", sources: "checked", config: &[CONFIG, DEBUG] };

/// Builds it, or tests it.
pub(crate) fn run(args: &Args) -> Result<(), String> {
    match &args.what {
        None => build(args.kernel.as_deref()),
        Some(What::Test { debug, names }) => {
            // With the kernel that finds mistakes a guest is busy for minutes.
            let (kernel, tests, threads) = if *debug { (CHECKING, CHECKED, 2) } else { (PLAIN, TESTS, 4) };
            install::namespaces()?;
            kernel.build()?;
            kernel.module()?;
            let all = names.is_empty();
            kernel.test(&if all { tests.join(" ") } else { names.join(" ") }, threads)?;
            // Where mistakes are looked for, nothing is fast.
            if all && !debug { load(&[]) } else { Ok(()) }
        }
        Some(What::Compare { args }) => compare(args),
        Some(What::Deb) => package::build().map(drop),
        Some(What::Stock { args }) => stock(args),
    }
}

/// Compares it with the kernel's own driver, in User-Mode Linux.
fn compare(args: &[String]) -> Result<(), String> {
    install::namespaces()?;
    PLAIN.build()?;
    PLAIN.module()?;
    load(args)
}

/// The same where it has been built.
fn load(args: &[String]) -> Result<(), String> {
    execute(&mut command(LOAD))?;
    let program = |name| target().join("release").join(name).display().to_string();
    let line = [&*program("examples/kmod_load"), &program("ol2tp"), "--modprobe", "modprobe --dirname /host"];
    let line = [&line.map(String::from), args].concat();
    execute(uml::guest("release", &line).env("OL2TP_UML", "module"))
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
    let release = kernel.join("include/config/kernel.release");
    let release = fs::read_to_string(&release).map_err(|error| at(&release, error))?;
    let sources = copy(release.trim())?.join("kernel");
    let mut make = command("make modules");
    make.arg("-C").arg(&kernel).arg(format!("M={}", sources.display()));
    execute(&mut make).map_err(|error| {
        format!("the module does not build ({error}, see above): docs/kernel-module.md says what it needs")
    })?;
    println!("{}", sources.join("pppol2tp.ko").display());
    Ok(())
}

/// Runs it on Debian's kernels.
fn stock(args: &[String]) -> Result<(), String> {
    peers::set_up(&TRIXIE)?;
    match peers::set_up(&STOCK_SID) {
        Ok(()) => drop(stock_tests(&STOCK_SID)?),
        Err(why) => println!("NOT RUN, so nothing is known of it: sid's kernel: {why}"),
    }
    let module = stock_tests(&TRIXIE)?;
    execute(&mut command(LOAD))?;
    qemu::kmod_load(&module, args).map(drop)
}

/// Builds it for the kernel of a root directory that is there, as QEMU's is, and tests it on that. Returns the module.
pub(crate) fn stock_tests(root: &Root) -> Result<PathBuf, String> {
    let module = package::try_out(root)?;
    let said = qemu::kmod_tests(root, &module, &conformance()?)?;
    let traced = |event: &&&str| said.lines().any(|line| line.trim_end() == format!("trace: {event}"));
    if let Some(missing) = TRACED.iter().find(|event| !traced(event)) {
        return Err(format!("not traced, see above: {missing}"));
    }
    Ok(module)
}

/// The conformance tests' program.
fn conformance() -> Result<PathBuf, String> {
    let test = "cargo test --quiet --no-run --message-format json --workspace --test conformance";
    let output =
        command(test).stderr(Stdio::inherit()).output().map_err(|error| format!("cargo: {error}"))?;
    let executable = |line: &str| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(PathBuf::from(message.get("executable")?.as_str()?))
    };
    let program = String::from_utf8_lossy(&output.stdout).lines().find_map(executable);
    program.ok_or_else(|| "cargo names no program of the conformance tests".into())
}

/// Copies the sources, so that what is made of them does not lie among them.
fn copy(name: &str) -> Result<PathBuf, String> {
    let copies = target().join("kmod").join(name);
    copy_to(&copies)?;
    Ok(copies)
}

fn copy_to(copies: &Path) -> Result<(), String> {
    for source in SOURCES {
        let copy = copies.join(source);
        fs::create_dir_all(&copy).map_err(|error| at(&copy, error))?;
        // What has not changed keeps its time, and is not built again.
        let from = root().join(source).join(".");
        probe(command("cp --recursive --update --preserve=timestamps").arg(from).arg(&copy))?;
    }
    Ok(())
}

impl Kernel {
    /// Sees to the kernel, and to what its guests run.
    pub(crate) fn build(&self) -> Result<(), String> {
        install::packages(install::PEERS)?;
        for root in [&SID, &KERNEL] {
            peers::set_up(root)?;
        }
        let place = target().join("kmod").join(self.place);
        // Another suite of sources, or other options, are another kernel.
        let config = self.config.concat();
        let recipe = [&config, UML, &sources()?].concat();
        let stamp = place.join("ol2tp.made");
        if !fs::read_to_string(&stamp).is_ok_and(|made| made == recipe) {
            println!("building User-Mode Linux: some minutes");
            peers::empty(&place)?;
            fs::create_dir_all(&place).map_err(|error| at(&place, error))?;
            let file = place.join("uml.config");
            fs::write(&file, config).map_err(|error| at(&file, error))?;
            execute(chroot(&KERNEL, &format!("/host/{}", self.place)).args(["sh", "-c", UML]))?;
            fs::write(&stamp, recipe).map_err(|error| at(&stamp, error))?;
        }
        Ok(())
    }

    /// Builds the module for it.
    pub(crate) fn module(&self) -> Result<(), String> {
        copy(self.sources)?;
        let mut make = chroot(&KERNEL, &format!("/host/{}", self.sources));
        execute(make.args(["sh", "-c", MODULE, "sh", &format!("/host/{}", self.place)]))
    }

    /// Runs the tests in its guests with one of these in their names.
    fn test(&self, names: &str, threads: u32) -> Result<(), String> {
        let tests =
            format!("cargo test --no-fail-fast --package interop -- --test-threads {threads} {names}");
        execute(command(&tests).env("OL2TP_UML", self.name))
    }
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

/// A command where compilers are, which sees target/kmod as /host; what it is is to follow.
fn chroot(root: &Root, directory: &str) -> Command {
    root.enter(&target().join("kmod"), directory)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// What kernel/rust.sh says of a compiler, a script of the shell.
    fn says(name: &str, compiler: &str) -> String {
        let directory = std::env::temp_dir().join(format!("ol2tp-rustc-{name}-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory");
        let rustc = directory.join("rustc");
        fs::write(&rustc, format!("#!/bin/sh\n{compiler}\n")).expect("a script");
        fs::set_permissions(&rustc, Permissions::from_mode(0o755)).expect("an executable");
        let mut script = command("sh kernel/rust.sh x86 0 out kept");
        let output = script.env("RUSTC", rustc).output().expect("a shell");
        fs::remove_dir_all(&directory).expect("it was there");
        assert!(!output.status.success());
        String::from_utf8(output.stderr).expect("text")
    }

    #[test]
    fn what_the_build_misses_is_named() {
        assert!(says("none", "exit 1").contains("apt-get install rustc rust-src"));
        let old = says("old", "echo 'rustc 1.84.1 (e71f9a9a9 2025-01-27)'");
        assert!(old.contains("is rustc 1.84.1") && old.contains("1.85 is needed"), "{old}");
        let sources = says("sources", "test $1 = --version && echo 'rustc 1.85.0' || echo /nowhere");
        assert!(
            sources.contains("/nowhere/lib/rustlib/src") && sources.contains("install rust-src"),
            "{sources}"
        );
    }
}
