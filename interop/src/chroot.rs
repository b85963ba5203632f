//! Programs of a root directory that `cargo xtask peers` has set up.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Becomes a program of a root directory.
const ENTER: &str = include_str!("enter.sh");

/// A program of a suite; its name and arguments are to follow. It sees `files` as `/host`. It is in a mount
/// namespace of its own, and in those that `namespaces` names as options of unshare(1).
///
/// Errors: the root directory has not been set up.
pub(crate) fn command(suite: &str, files: &Path, namespaces: &[&str]) -> io::Result<Command> {
    let mut command = Command::new("unshare");
    command.arg("--mount").args(namespaces).args(["sh", "-c", ENTER, "sh"]).arg(root(suite)?).arg(files);
    Ok(command)
}

/// A suite's root directory.
///
/// Errors: it has not been set up.
pub(crate) fn root(suite: &str) -> io::Result<PathBuf> {
    let root = crate::target()?.join("peers").join(suite);
    if root.is_dir() {
        return Ok(root);
    }
    Err(io::Error::new(io::ErrorKind::NotFound, format!("no {}: cargo xtask peers", root.display())))
}
