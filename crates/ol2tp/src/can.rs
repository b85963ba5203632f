//! What this machine and this user allow, and how to become able.

use std::fs::{self, OpenOptions};
use std::io::ErrorKind;

use nix::sched::{CloneFlags, unshare};

use crate::exit::{Failure, Result};

const CAP_NET_ADMIN: u32 = 12;
const CAP_SYS_ADMIN: u32 = 21;

const TUN: &str = "/dev/net/tun";

/// An error if no interface can be made here.
pub fn make_interfaces() -> Result<()> {
    open_tun()?;
    if has(CAP_NET_ADMIN) {
        return Ok(());
    }
    Err(Failure::cannot(
        "making a network interface needs CAP_NET_ADMIN: run this command as root, or give it the \
         capability (setcap cap_net_admin,cap_net_raw+ep, AmbientCapabilities=CAP_NET_ADMIN, --cap-add NET_ADMIN)",
    ))
}

/// Becomes able to make network namespaces and interfaces: as root at once, else in a user
/// namespace. To be called before any thread is started.
pub fn make_namespaces() -> Result<()> {
    if !(has(CAP_NET_ADMIN) && has(CAP_SYS_ADMIN)) {
        become_root_of_a_namespace()?;
    }
    open_tun()
}

fn open_tun() -> Result<()> {
    let Err(error) = OpenOptions::new().read(true).write(true).open(TUN) else { return Ok(()) };
    Err(Failure::cannot(match error.kind() {
        ErrorKind::NotFound => format!(
            "{TUN} is missing: load the module (modprobe tun), make the node \
             (mkdir -p /dev/net && mknod {TUN} c 10 200), or give it to the container (--device {TUN})"
        ),
        ErrorKind::PermissionDenied => {
            format!("{TUN} may not be opened by this user: run as root, or allow it (chmod 0666 {TUN})")
        }
        _ => format!("{TUN} cannot be opened: {error}; is the kernel built with CONFIG_TUN?"),
    }))
}

fn become_root_of_a_namespace() -> Result<()> {
    let (user, group) = (nix::unistd::geteuid(), nix::unistd::getegid());
    unshare(CloneFlags::CLONE_NEWUSER).map_err(|error| {
        Failure::cannot(format!(
            "this user may not make network namespaces, and no user namespace either ({error}): run as \
             root, or allow user namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone)"
        ))
    })?;
    for (file, text) in [
        ("/proc/self/setgroups", "deny".into()),
        ("/proc/self/uid_map", format!("0 {user} 1")),
        ("/proc/self/gid_map", format!("0 {group} 1")),
    ] {
        fs::write(file, text).map_err(|error| {
            Failure::cannot(format!(
                "a user namespace was made but is of no use: writing {file}: {error}. Run as root, or allow \
                 it (sysctl kernel.apparmor_restrict_unprivileged_userns=0)"
            ))
        })?;
    }
    Ok(())
}

/// Whether this process has a capability now.
fn has(capability: u32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    effective
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & (1 << capability) != 0)
}
