//! Management sockets.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, Weak};

use l2tp_data::rules::{self, Connect, SOL_PPPOL2TP, SockAddr, Target};

use super::core::{Core, lock};
use super::udp::Udp;
use super::{check_debug, failed, hinted, sys as ppp};
use crate::{Errno, Error, Result, SocketOption, Stats, TunnelSocket, sys};

/// Bytes of the headers that a data message takes at the most: UDP's, the long one of L2TP, FF 03, and the
/// protocol in two bytes.
const HEADERS: u16 = 8 + 10 + 4;

/// The encapsulation of an L2TP tunnel's UDP socket, `UDP_ENCAP_L2TPINUDP`.
const L2TP: i32 = 3;

/// A tunnel. The kernel's one ends when its sockets are closed.
pub(super) struct Tunnel {
    pub(super) id: u16,
    pub(super) peer_id: AtomicU16,
    pub(super) peer: SocketAddr,
    /// The address the peer reaches us at, where that is known.
    pub(super) local: Option<IpAddr>,
    /// The address of the handle.
    pub(super) udp_local: SocketAddr,
    pub(super) handle: Weak<Udp>,
    /// How many `TunnelSocket`s there are.
    pub(super) management: AtomicUsize,
    /// `None`: it has ended.
    pub(super) sockets: Mutex<Option<Sockets>>,
}

/// Closed in this order: see the [module](super).
pub(super) struct Sockets {
    management: OwnedFd,
    udp: UdpSocket,
}

impl Sockets {
    /// Makes the UDP socket an encapsulation socket of the kernel's.
    pub(super) fn connect(udp: &UdpSocket, peer: SocketAddr, id: u16, peer_id: u16) -> io::Result<OwnedFd> {
        let management = ppp::socket()?;
        let request = Connect { fd: udp.as_raw_fd(), s_tunnel: id, d_tunnel: peer_id, ..Connect::default() };
        ppp::connect(management.as_fd(), &SockAddr { pid: 0, peer, request })?;
        // Where a tunnel has the id still, or another process's has it, the kernel attaches to that, whatever
        // the descriptor is.
        match sys::get_option(udp.as_fd(), libc::SOL_UDP, libc::UDP_ENCAP)? {
            L2TP => Ok(management),
            _ => Err(io::Error::from_raw_os_error(libc::EEXIST)),
        }
    }

    pub(super) fn new(management: OwnedFd, udp: UdpSocket) -> Self {
        Self { management, udp }
    }
}

/// The kernel refuses a management socket.
pub(super) fn refused(id: u16, error: &io::Error) -> Error {
    let hint = match error.raw_os_error() {
        Some(libc::EEXIST) => "another process has a tunnel with this id: take another",
        Some(libc::EINVAL) => "the UDP socket has to be of the caller's network namespace",
        _ => "",
    };
    hinted(format_args!("connecting the management socket of tunnel {id}"), error, hint)
}

impl Tunnel {
    pub(super) fn is_of(&self, handle: &Arc<Udp>) -> bool {
        std::ptr::eq(self.handle.as_ptr(), Arc::as_ptr(handle))
    }

    fn with<R>(&self, f: impl FnOnce(&Sockets) -> Result<R>) -> Result<R> {
        match &*lock(&self.sockets) {
            Some(sockets) => f(sockets),
            None => Err(Error::new(Errno::BadF, format!("tunnel {} has ended; make it again", self.id))),
        }
    }

    /// Does something with its UDP socket, if that is still there.
    pub(super) fn with_udp<R>(&self, f: impl FnOnce(&UdpSocket) -> R) -> Option<R> {
        lock(&self.sockets).as_ref().map(|sockets| f(&sockets.udp))
    }

    /// Keeps the first id of the peer that is not 0, here and in the kernel.
    pub(super) fn learn_peer_id(&self, id: u16) -> Result<()> {
        if self.peer_id.swap(id, Relaxed) == id {
            return Ok(());
        }
        self.with(|sockets| {
            // The kernel takes the id over, and refuses a second management socket after that.
            match Sockets::connect(&sockets.udp, self.peer, self.id, id) {
                Err(error) if error.raw_os_error() != Some(libc::EEXIST) => Err(refused(self.id, &error)),
                _ => Ok(()),
            }
        })
    }

    /// The address of a session's socket.
    pub(super) fn address(
        &self,
        session_id: u16,
        peer_tunnel_id: u16,
        peer_session_id: u16,
    ) -> Result<SockAddr> {
        self.with(|sockets| {
            let request = Connect {
                fd: sockets.udp.as_raw_fd(),
                s_tunnel: self.id,
                s_session: session_id,
                d_tunnel: peer_tunnel_id,
                d_session: peer_session_id,
            };
            Ok(SockAddr { pid: 0, peer: self.peer, request })
        })
    }

    pub(super) fn get(&self, option: SocketOption) -> Result<i32> {
        self.with(|sockets| {
            rules::check(Target::Management, option, 0)?;
            sys::get_option(sockets.management.as_fd(), SOL_PPPOL2TP, option as i32)
                .map_err(|error| failed(format_args!("tunnel {}: reading {option:?}", self.id), &error))
        })
    }

    pub(super) fn stats(&self, session_id: Option<u16>) -> Result<Stats> {
        self.with(|sockets| {
            let none = |id| Error::new(Errno::BadR, format!("tunnel {} has no session {id}", self.id));
            // The kernel's 0 is the tunnel.
            let id = session_id.unwrap_or(0);
            if session_id == Some(0) {
                return Err(none(id));
            }
            ppp::stats(sockets.management.as_fd(), id).map_err(|error| match error.raw_os_error() {
                Some(libc::EBADR) => none(id),
                _ => failed(format_args!("tunnel {}: reading statistics", self.id), &error),
            })
        })
    }

    /// MTU of an interface on this path, as far as the kernel knows it now.
    pub(super) fn mtu(&self) -> u16 {
        let (ip, level, name) = if self.peer.is_ipv4() {
            (20, libc::SOL_IP, libc::IP_MTU)
        } else {
            (40, libc::SOL_IPV6, libc::IPV6_MTU)
        };
        let path = self.with_udp(|udp| sys::get_option(udp.as_fd(), level, name).ok()).flatten();
        let path = path.map_or(1500, |mtu| u16::try_from(mtu).unwrap_or(u16::MAX));
        path.saturating_sub(ip + HEADERS)
    }

    /// Closes its sockets. What has arrived for the owner of the handle is not lost.
    pub(super) fn end(&self) {
        if let Some(handle) = self.handle.upgrade() {
            handle.forget_tunnel(self);
        }
        drop(lock(&self.sockets).take());
    }
}

/// A management socket of a tunnel, as callers hold it.
pub(super) struct Socket {
    pub(super) core: Arc<Core>,
    pub(super) tunnel: Arc<Tunnel>,
}

impl TunnelSocket for Socket {
    fn tunnel_id(&self) -> u16 {
        self.tunnel.id
    }

    fn set(&self, option: SocketOption, value: i32) -> Result<()> {
        let tunnel = &self.tunnel;
        tunnel.with(|sockets| {
            rules::check(Target::Management, option, value)?;
            check_debug(option, value)?;
            sys::set_option(sockets.management.as_fd(), SOL_PPPOL2TP, option as i32, value).map_err(|error| {
                failed(format_args!("tunnel {}: setting {option:?} to {value}", tunnel.id), &error)
            })
        })
    }

    fn get(&self, option: SocketOption) -> Result<i32> {
        self.tunnel.get(option)
    }

    fn stats(&self, session_id: Option<u16>) -> Result<Stats> {
        self.tunnel.stats(session_id)
    }

    fn is_alive(&self) -> bool {
        lock(&self.tunnel.sockets).is_some()
    }

    fn delete(self: Box<Self>) {
        self.core.end_tunnel(&self.tunnel);
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.tunnel.management.fetch_sub(1, Relaxed);
    }
}
