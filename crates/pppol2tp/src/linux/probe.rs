//! Whether the kernel's driver works here, and why not.

use std::fs::File;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use l2tp_data::rules::{Connect, SockAddr};

use super::tunnel::{Sockets, refused};
use super::{failed, hinted, sys as ppp};
use crate::{Errno, Error, Result};

/// How many tunnel ids are tried.
const IDS: u16 = 16;

/// Opens `/dev/ppp`.
pub(super) fn device() -> Result<File> {
    let open = File::options().read(true).write(true).custom_flags(libc::O_NONBLOCK).open("/dev/ppp");
    open.map_err(|error| {
        let hint = match error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => "run as root or with CAP_NET_ADMIN and access to the device",
            Some(libc::ENXIO | libc::ENODEV) => "the kernel has no PPP: modprobe ppp_generic",
            Some(libc::ENOENT) => {
                "modprobe ppp_generic, give the container the device, or mknod /dev/ppp c 108 0"
            }
            _ => return failed("opening /dev/ppp", &error),
        };
        hinted("opening /dev/ppp", &error, hint)
    })
}

fn socket() -> Result<OwnedFd> {
    ppp::socket().map_err(|error| {
        let hint = match error.raw_os_error() {
            Some(libc::EAFNOSUPPORT | libc::EPROTONOSUPPORT | libc::EPROTOTYPE | libc::ESOCKTNOSUPPORT) => {
                "the kernel has no PPPoL2TP: modprobe l2tp_ppp"
            }
            Some(libc::EPERM | libc::EACCES) => "run as root or with CAP_NET_ADMIN",
            _ => return failed("opening a PPPoL2TP socket (AF_PPPOX)", &error),
        };
        hinted("opening a PPPoL2TP socket (AF_PPPOX)", &error, hint)
    })
}

/// Connects a tunnel and a session on a UDP socket of our own, attaches the session's channel, and closes
/// all of it.
pub(super) fn probe() -> Result<()> {
    // Sockets first: that has the kernel load its modules, which may make /dev/ppp too.
    let session = socket()?;
    let channel = device()?;
    // Loopback may be down in a new namespace.
    let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
        .or_else(|_| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)))
        .map_err(|error| failed("opening a UDP socket", &error))?;
    let peer = udp.local_addr().map_err(|error| failed("opening a UDP socket", &error))?;
    // An id that nobody has: a port is one socket's, so those who probe at once do not try the same first.
    let mut last = Err(Error::from(Errno::Exist));
    for id in (0..IDS).map(|n| peer.port().wrapping_sub(n).max(1)) {
        last = Sockets::connect(&udp, peer, id, 1)
            .map(|management| (id, management))
            .map_err(|error| refused(id, &error));
        if !last.as_ref().is_err_and(|error| error.errno() == Errno::Exist) {
            break;
        }
    }
    let (id, management) = last?;
    let request = Connect { fd: udp.as_raw_fd(), s_tunnel: id, s_session: 1, d_tunnel: 1, d_session: 1 };
    ppp::connect(session.as_fd(), &SockAddr { pid: 0, peer, request })
        .map_err(|error| failed("connecting a session socket", &error))?;
    let index = ppp::number(session.as_fd(), ppp::GCHAN, 0)
        .map_err(|error| failed("asking for a PPP channel (PPPIOCGCHAN)", &error))?;
    ppp::number(channel.as_fd(), ppp::ATTCHAN, index)
        .map_err(|error| failed("attaching a PPP channel (PPPIOCATTCHAN)", &error))?;
    // From the inside out.
    drop(channel);
    drop(session);
    drop(management);
    drop(udp);
    Ok(())
}
