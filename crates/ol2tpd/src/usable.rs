//! Waits until IPv6 addresses can be used: the kernel installs their routes some time after it has
//! accepted them, even without duplicate address detection. IPv4's are there at once.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket,
};

/// RTMGRP_IPV6_ROUTE: changes of IPv6 routes.
const ROUTES: u32 = 0x400;

/// Waits until packets from `own` reach `other` by the interface with that index. `false`: not
/// within `patience`.
///
/// Errors: the kernel's notices cannot be had.
pub fn wait(index: u32, own: IpAddr, other: IpAddr, patience: Duration) -> io::Result<bool> {
    let (IpAddr::V6(own), IpAddr::V6(other)) = (own, other) else { return Ok(true) };
    let end = Instant::now() + patience;
    let notices = notices()?;
    // They are asked for before the first look, so no change is missed.
    while !(leads_from(own, index, own) && leads_from(own, index, other)) {
        let left = end.saturating_duration_since(Instant::now());
        let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        if poll(&mut [PollFd::new(notices.as_fd(), PollFlags::POLLIN)], left)? == 0 {
            return Ok(false);
        }
        match recv(notices.as_raw_fd(), &mut [0; 8192], MsgFlags::MSG_DONTWAIT) {
            // Too many at once: something has changed, which is all that matters.
            Ok(_) | Err(Errno::EAGAIN | Errno::ENOBUFS) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

fn notices() -> io::Result<OwnedFd> {
    let notices =
        socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute)?;
    bind(notices.as_raw_fd(), &NetlinkAddr::new(0, ROUTES))?;
    Ok(notices)
}

/// Whether there is a route to `target`, and `own` is the address that packets to it get.
fn leads_from(own: Ipv6Addr, index: u32, target: Ipv6Addr) -> bool {
    let scope = if target.is_unicast_link_local() { index } else { 0 };
    let source = || {
        let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?;
        socket.connect(SocketAddr::V6(SocketAddrV6::new(target, 9, 0, scope)))?;
        socket.local_addr()
    };
    source().is_ok_and(|source: SocketAddr| source.ip() == IpAddr::V6(own))
}
