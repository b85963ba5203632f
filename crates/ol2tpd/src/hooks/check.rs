//! Whether scripts can be run, told before one has to be.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::config::Hooks;
use crate::error::{Doing, Result};

/// Whether each script has an absolute path, is there, and may be run and not be written by anybody.
///
/// Errors: the first that does not, with what to do about it.
pub fn check(hooks: &Hooks) -> Result<()> {
    for (key, program) in [
        ("ip-up", &hooks.ip_up),
        ("ip-down", &hooks.ip_down),
        ("ipv6-up", &hooks.ipv6_up),
        ("ipv6-down", &hooks.ipv6_down),
    ] {
        if let Some(program) = program {
            runnable(program).doing(|| format!("hooks.{key}: {}", program.display()))?;
        }
    }
    Ok(())
}

fn runnable(program: &Path) -> io::Result<()> {
    if !program.is_absolute() {
        return Err(io::Error::other("give its path from / on"));
    }
    let found = fs::metadata(program)?;
    if !found.is_file() {
        return Err(io::Error::other("is no file; give the path of a script or program"));
    }
    if found.permissions().mode() & 0o111 == 0 {
        return Err(io::Error::other("is not executable: chmod +x it"));
    }
    if found.permissions().mode() & 0o002 != 0 {
        return Err(io::Error::other("may be written by anybody: chmod o-w it"));
    }
    Ok(())
}
