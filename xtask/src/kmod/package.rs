//! The Debian package `ol2tp-dkms`: the module's sources, and how DKMS builds them.
//!
//! ```text
//!   packaging/ol2tp-dkms  ─┬─► /usr/src/ol2tp-VERSION          dkms.conf, kernel/, crates/
//!   kernel, crates        ─┘   /usr/lib/modprobe.d             ours in the place of l2tp_ppp
//!                              postinst: dkms builds it ──► /usr/lib/modules/RELEASE/updates/dkms
//! ```

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::{SOURCES, chroot, copy_to};
use crate::install;
use crate::peers::{Root, at, empty};
use crate::process::{command, root, run as execute, target};

/// The workspace's version is the package's.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// What installs it in a root directory, looks whether it has come and goes again, and keeps the module.
const INSTALL: &str = include_str!("install.sh");

/// Makes the package. Returns where it is.
pub(super) fn build() -> Result<PathBuf, String> {
    install::packages(&[("dpkg-deb", "dpkg")])?;
    let tree = target().join("kmod/deb");
    empty(&tree)?;
    let source = format!("usr/src/ol2tp-{VERSION}");
    copy_to(&tree.join(&source))?;
    for of_the_tests in ["tests", "Cargo.toml"] {
        let path = tree.join(&source).join(SOURCES[0]).join(of_the_tests);
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(|error| at(&path, error))?;
    }
    for (name, place, mode) in [
        ("dkms.conf", &*format!("{source}/dkms.conf"), 0o644),
        ("modprobe.conf", "usr/lib/modprobe.d/ol2tp-dkms.conf", 0o644),
        ("copyright", "usr/share/doc/ol2tp-dkms/copyright", 0o644),
        ("control", "DEBIAN/control", 0o644),
        ("postinst", "DEBIAN/postinst", 0o755),
        ("prerm", "DEBIAN/prerm", 0o755),
    ] {
        put(&root().join("packaging/ol2tp-dkms").join(name), &tree.join(place), mode)?;
    }
    let package = target().join(format!("kmod/ol2tp-dkms_{VERSION}_all.deb"));
    execute(command("dpkg-deb --root-owner-group --build").arg(&tree).arg(&package))?;
    println!("{}", package.display());
    Ok(package)
}

/// Copies a file, its version filled in.
fn put(from: &Path, to: &Path, mode: u32) -> Result<(), String> {
    let text = fs::read_to_string(from).map_err(|error| at(from, error))?;
    let directory = to.parent().unwrap_or(to);
    fs::create_dir_all(directory)
        .and_then(|()| fs::write(to, text.replace("@VERSION@", VERSION)))
        .and_then(|()| fs::set_permissions(to, Permissions::from_mode(mode)))
        .map_err(|error| at(to, error))
}

/// Installs the package in a root directory that has a kernel's headers, and removes it. Returns the module that was
/// built for that kernel.
pub(super) fn try_out(root: &Root) -> Result<PathBuf, String> {
    build()?;
    let package = format!("ol2tp-dkms_{VERSION}_all.deb");
    execute(chroot(root, "/host").args(["sh", "-c", INSTALL, "sh", &package, VERSION]))?;
    Ok(target().join("kmod/pppol2tp.ko"))
}
