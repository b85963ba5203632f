//! What the kernel does with IPv6 on an interface: files under `/proc/sys/net/ipv6/conf`.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use nix::libc::{self, RTPROT_KERNEL};
use pppol2tp::Prefix;
use pppol2tp::netlink::{Netlink, Route};

use crate::error::{Doing, Result};

const CONF: &str = "/proc/sys/net/ipv6/conf";
/// Who made a route: the kernel, after a Router Advertisement.
const RTPROT_RA: u8 = 9;
/// No address but those it is given.
const NO_ADDRESS: (&str, &str) = ("addr_gen_mode", "1");
const NO_REDIRECTS: (&str, &str) = ("accept_redirects", "0");
const ENABLED: (&str, &str) = ("disable_ipv6", "0");
/// Nothing of what a router says; with `accept_ra` 0 it is not asked either.
const DEAF: [(&str, &str); 3] = [("accept_ra", "0"), ("autoconf", "0"), NO_REDIRECTS];

/// Makes this machine a router on an interface, and none of its hosts: it hears Router Solicitations and
/// says of itself that it is a router (RFC 4861 §6.2.2, §7.2.4). Before the interface is up; then it wants
/// our link-local address with length 64. Packets are forwarded only if `net.ipv6.conf.all.forwarding` is set.
///
/// Errors: the kernel has no IPv6, or the files cannot be written.
pub fn prepare_router(interface: &str) -> Result<()> {
    prepare(interface, &[NO_ADDRESS, ENABLED, ("accept_ra", "0"), NO_REDIRECTS, ("forwarding", "1")])
}

/// Makes this machine a host on an interface that takes nothing of Router Advertisements by itself:
/// [`Host`](super::Host) reads them. Before the interface is up; then it wants our link-local address with
/// length 64.
///
/// Errors: the kernel has no IPv6, or the files cannot be written.
pub fn prepare_host(interface: &str) -> Result<()> {
    prepare(interface, &[&[NO_ADDRESS, ENABLED][..], &DEAF].concat())
}

/// Has the kernel take nothing of Router Advertisements on an interface that someone else has made, and takes back
/// what it has taken already: addresses that it made itself, and networks on the link that nobody has given an
/// address of.
///
/// Errors: the same, or the kernel refuses.
pub fn deafen(netlink: &Netlink, index: u32, interface: &str) -> Result<()> {
    if !Path::new(CONF).join(interface).exists() {
        // A kernel without IPv6 takes nothing.
        return Ok(());
    }
    prepare(interface, &DEAF)?;
    // What has gone meanwhile need not be taken back.
    let gone = |error: &io::Error| matches!(error.raw_os_error(), Some(libc::EADDRNOTAVAIL | libc::ESRCH));
    let unless_gone =
        |taken: io::Result<()>| taken.or_else(|error| if gone(&error) { Ok(()) } else { Err(error) });
    let take_back = || {
        let (given, made): (Vec<_>, Vec<_>) =
            netlink.ipv6_addresses(index)?.into_iter().partition(|address| address.permanent);
        for address in made {
            unless_gone(netlink.remove_address(index, address.prefix, None))?;
        }
        let own = |to: Prefix| given.iter().any(|address| to.contains(address.prefix.address));
        let taken = |route: &Route| {
            let kernels = [RTPROT_KERNEL, RTPROT_RA].contains(&route.protocol);
            route.index == Some(index) && kernels && !own(route.destination)
        };
        netlink
            .routes(true)?
            .iter()
            .filter(|route| taken(route))
            .try_for_each(|route| unless_gone(netlink.remove(route)))
    };
    let done: io::Result<()> = take_back();
    done.doing(|| format!("taking back what router advertisements gave {interface}"))
}

fn prepare(interface: &str, settings: &[(&str, &str)]) -> Result<()> {
    let folder = Path::new(CONF).join(interface);
    settings.iter().try_for_each(|(key, value)| {
        let file = folder.join(key);
        set(&file, value).doing(|| format!("IPv6 on {interface}: {}", file.display()))
    })
}

fn set(file: &PathBuf, value: &str) -> io::Result<()> {
    // Writing takes a lock of the whole network's, and default values are often the wanted ones.
    if fs::read_to_string(file).is_ok_and(|now| now.trim_end() == value) {
        return Ok(());
    }
    fs::write(file, value).map_err(|error| match error.kind() {
        ErrorKind::NotFound => io::Error::other(
            "is missing: the interface has no IPv6 (an MTU below 1280, or a kernel with ipv6.disable=1); \
             do without it (ipv6 = false)",
        ),
        ErrorKind::ReadOnlyFilesystem => io::Error::other(
            "is read-only: let this container write /proc/sys/net, or do without IPv6 (ipv6 = false)",
        ),
        _ => error,
    })
}
