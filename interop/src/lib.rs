//! ol2tp beside other people's programs.
#![forbid(unsafe_code)]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

mod chroot;
pub mod control;
pub mod daemon;
pub mod guest;
pub mod iperf3;
pub mod kl2tpd;
pub mod l2tpns;
pub mod lan;
pub mod log;
pub mod pcap;
pub mod process;
pub mod tshark;
pub mod uml;
pub mod xl2tpd;

/// How long a step may take with a program that is not ours.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The command `ol2tp`, built now with the profile and into the directory of the test that asks.
///
/// Errors: it does not build, or the caller is not run by cargo.
pub fn ol2tp() -> io::Result<PathBuf> {
    static PROGRAM: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let program = PROGRAM.get_or_init(|| build().map_err(|error| error.to_string()));
    program.clone().map_err(io::Error::other)
}

fn build() -> io::Result<PathBuf> {
    let profile = profile()?;
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--workspace", "--bin", "ol2tp", "--target-dir"]).arg(target()?);
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    if !cargo.status()?.success() {
        return Err(io::Error::other("the command ol2tp does not build"));
    }
    Ok(profile.join("ol2tp"))
}

/// A test of the workspace's, built as [`ol2tp()`] is: by itself its package would have other features of what it
/// needs, and all of that would be built once more.
///
/// Errors: it does not build, or the caller is not run by cargo.
pub fn workspace_test(name: &str) -> io::Result<PathBuf> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["test", "--quiet", "--no-run", "--message-format", "json", "--workspace", "--test", name]);
    cargo.arg("--target-dir").arg(target()?);
    if profile()?.ends_with("release") {
        cargo.arg("--release");
    }
    let output = cargo.stderr(Stdio::inherit()).output()?;
    let executable = |line: &str| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(PathBuf::from(message.get("executable")?.as_str()?))
    };
    let found = String::from_utf8_lossy(&output.stdout).lines().find_map(executable);
    found.ok_or_else(|| io::Error::other(format!("the test {name} does not build")))
}

/// cargo's directory of the profile that the running test was built with.
fn profile() -> io::Result<PathBuf> {
    // …/target/debug/deps/test
    let test = std::env::current_exe()?;
    let profile = test.ancestors().nth(2).map(Path::to_path_buf);
    profile.ok_or_else(|| io::Error::other("a test lies in cargo's target directory"))
}

/// cargo's target directory.
fn target() -> io::Result<PathBuf> {
    let profile = profile()?;
    let target = profile.parent().map(Path::to_path_buf);
    target.ok_or_else(|| io::Error::other("a test lies in cargo's target directory"))
}

/// A directory that goes with this value.
#[derive(Debug)]
struct Directory(PathBuf);

impl Directory {
    /// A new one below cargo's `target/tmp`.
    fn new(name: &str) -> io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{name}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let directory = target()?.join("tmp").join(name);
        fs::create_dir_all(&directory)?;
        Ok(Self(directory))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Its files are small, and target/tmp is cargo's to clean.
        let _ = fs::remove_dir_all(&self.0);
    }
}
