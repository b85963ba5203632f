//! Gives up every privilege that the daemon does not need once it is set up.
//!
//! | kept | for |
//! |---|---|
//! | `CAP_NET_ADMIN` | interfaces, addresses, routes, and the files under `/proc/sys/net` |
//! | `CAP_NET_BIND_SERVICE` | UDP ports below 1024, where a connection asks for one |
//! | `CAP_NET_RAW`, with scripts or pppd only | `iptables`, `ping` and `arping` in them |
//!
//! The bounding set is cut to these too, so that no program started from here has more, not even as
//! root. Where no scripts are run, `no_new_privs` is set besides; a script may need a program that is
//! set-user-id (`sendmail`). Scripts of a daemon that is not root get what is kept as ambient
//! capabilities. Raw sockets are opened, and the programs of the fast path loaded, before all this.
//!
//! pppd can do with these: its secrets, its database and its locks are root's own files.
//!
//! What root may do by owning files stays: reading the configuration anew, writing `/etc/resolv.conf`.

use std::fmt;
use std::fs;
use std::io;

use caps::{CapSet, Capability, CapsHashSet};
use nix::sys::prctl;

use crate::error::{Doing, Result};

/// What is left, for the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kept {
    /// Capabilities, in the order of their numbers.
    pub capabilities: Vec<Capability>,
    /// Whether the bounding set is cut: without CAP_SETPCAP it cannot be.
    pub bounded: bool,
    /// Whether programs that are set-user-id get nothing by that.
    pub no_new_privileges: bool,
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("privileges dropped, but for")?;
        for (n, capability) in self.capabilities.iter().enumerate() {
            write!(f, "{} {capability}", if n == 0 { "" } else { "," })?;
        }
        if !self.bounded {
            f.write_str("; the bounding set stays as it was, because CAP_SETPCAP is missing")?;
        }
        Ok(())
    }
}

/// Drops privileges for good. To be called while the process has a single thread: each has its own.
/// `scripts` says whether any may be run, or pppd, which runs its own.
///
/// Errors: CAP_NET_ADMIN is missing, there are more threads, or the kernel refuses.
pub fn drop(scripts: bool) -> Result<Kept> {
    let doing = || "dropping privileges".to_owned();
    let threads = fs::read_dir("/proc/self/task").doing(doing)?.count();
    if threads != 1 {
        let words = format!("{threads} threads run already, of which only this one would drop them");
        return Err(io::Error::other(words)).doing(doing);
    }
    drop_in_thread(scripts)
}

/// Drops the privileges of this thread and of those that it starts.
///
/// Errors: CAP_NET_ADMIN is missing, or the kernel refuses.
pub fn drop_in_thread(scripts: bool) -> Result<Kept> {
    try_drop(scripts).doing(|| "dropping privileges".into())
}

fn try_drop(scripts: bool) -> io::Result<Kept> {
    let mut wanted = CapsHashSet::from([Capability::CAP_NET_ADMIN, Capability::CAP_NET_BIND_SERVICE]);
    if scripts {
        wanted.insert(Capability::CAP_NET_RAW);
    }
    let permitted = caps::read(None, CapSet::Permitted).map_err(io::Error::other)?;
    if !permitted.contains(&Capability::CAP_NET_ADMIN) {
        return Err(io::Error::other(
            "CAP_NET_ADMIN is missing: run as root, or give it (AmbientCapabilities=CAP_NET_ADMIN in the unit, \
             setcap cap_net_admin,cap_net_raw+ep, --cap-add NET_ADMIN)",
        ));
    }
    let keep: CapsHashSet = wanted.intersection(&permitted).copied().collect();
    let bounded = bound(&keep)?;
    let inherited = if scripts { keep.clone() } else { CapsHashSet::new() };
    // What is permitted has to hold what is effective at each step, and ambient what is inheritable.
    set(CapSet::Ambient, &CapsHashSet::new())?;
    set(CapSet::Effective, &keep)?;
    set(CapSet::Inheritable, &inherited)?;
    set(CapSet::Permitted, &keep)?;
    set(CapSet::Ambient, &inherited)?;
    if !scripts {
        prctl::set_no_new_privs()?;
    }
    let mut capabilities: Vec<_> = keep.into_iter().collect();
    capabilities.sort_by_key(Capability::index);
    Ok(Kept { capabilities, bounded, no_new_privileges: prctl::get_no_new_privs()? })
}

fn set(which: CapSet, value: &CapsHashSet) -> io::Result<()> {
    caps::set(None, which, value).map_err(io::Error::other)
}

/// Cuts the bounding set; whether that is possible.
fn bound(keep: &CapsHashSet) -> io::Result<bool> {
    let bounding = caps::read(None, CapSet::Bounding).map_err(io::Error::other)?;
    let excess: CapsHashSet = bounding.difference(keep).copied().collect();
    let may = caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP).map_err(io::Error::other)?;
    if may {
        for capability in &excess {
            caps::drop(None, CapSet::Bounding, *capability).map_err(io::Error::other)?;
        }
    }
    Ok(may || excess.is_empty())
}
