//! Programs of a root directory that `cargo xtask peers` has set up.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Makes the directory fit for programs, in a mount namespace of their own, and becomes one of them.
const ENTER: &str = "set -e
root=$1 files=$2
shift 2
mount --bind /proc $root/proc
mount --bind /dev $root/dev
mount --bind $files $root/host
for place in run tmp; do mount -t tmpfs -o exec tmpfs $root/$place; done
exec env -i PATH=/usr/sbin:/usr/bin HOME=/tmp TMPDIR=/tmp chroot $root \"$@\"";

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
