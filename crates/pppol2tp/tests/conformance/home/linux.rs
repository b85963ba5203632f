//! The kernel's driver.

use std::fs;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::socket::{Backlog, MsgFlags, Shutdown, SockaddrIn, accept, bind, listen, send, shutdown};
use nix::unistd::gettid;
use pppol2tp::data::rules::{AF_PPPOX, PX_PROTO_OL2TP};
use pppol2tp::{Errno, Reason};
use socket2::{Domain, Protocol, Socket, Type};

use super::{Home, PppoxSocket, Udp, is_module, readable, sys};
use crate::common::PATIENCE;

/// The driver of the network namespace that the thread is in.
pub(crate) struct Linux;

impl Linux {
    /// What the kernel says of its tunnels and sessions.
    fn proc() -> String {
        fs::read_to_string("/proc/thread-self/net/pppol2tp").expect("modprobe l2tp_ppp")
    }

    /// The numbers in the names of tunnels or sessions, and the rest of the line.
    fn named(kind: &str) -> Vec<(Vec<u16>, String)> {
        let text = Self::proc();
        let lines = text.lines().filter_map(|line| line.trim_start().strip_prefix(kind)?.split_once('\''));
        let number = |number: &str| number.parse().expect("an id");
        lines.map(|(name, rest)| (name.split('/').map(number).collect(), rest.to_owned())).collect()
    }
}

impl Home for Linux {
    fn socket(&self) -> Box<dyn PppoxSocket> {
        let protocol = Protocol::from(PX_PROTO_OL2TP.cast_signed());
        let socket = Socket::new(Domain::from(i32::from(AF_PPPOX)), Type::DGRAM, Some(protocol));
        Box::new(Kernels(Some(socket.expect("modprobe l2tp_ppp"))))
    }

    fn attach(&self, socket: UdpSocket) -> Box<dyn Udp> {
        Box::new(Attached(Some(socket)))
    }

    fn pid(&self) -> i32 {
        gettid().as_raw()
    }

    fn sync(&self) {}

    fn session(&self, _: u16) -> Option<Vec<(&'static str, u64)>> {
        None
    }

    fn socket_counters(&self, _: SocketAddr) -> Option<Vec<(&'static str, u64)>> {
        None
    }

    fn foreign(&self, _: u16) -> Option<u64> {
        None
    }

    fn tunnels(&self) -> Vec<(u16, usize)> {
        let references = |rest: &str| rest.rsplit(' ').next()?.parse().ok();
        let tunnels = Self::named("TUNNEL 'tunl ").into_iter();
        tunnels.map(|(ids, rest)| (ids[0], references(&rest).expect("a count"))).collect()
    }

    fn sessions(&self) -> Vec<(u16, u16)> {
        Self::named("SESSION 'sess ").into_iter().map(|(ids, _)| (ids[0], ids[1])).collect()
    }
}

/// A UDP socket.
struct Attached(Option<UdpSocket>);

impl Attached {
    fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_ref().expect("it is open").as_fd()
    }
}

impl Udp for Attached {
    fn connect(&self, peer: SocketAddr) -> bool {
        // The module sends to the peer of the tunnel's address, and hears everybody.
        !is_module() && self.0.as_ref().expect("it is open").connect(peer).is_ok()
    }

    fn recv(&self, timeout: Duration) -> Option<(Reason, Vec<u8>)> {
        if !readable(self.fd(), timeout).expect("poll") {
            return None;
        }
        let mut datagram = vec![0; 65536];
        let len = self.0.as_ref().expect("it is open").recv(&mut datagram).expect("it is there");
        datagram.truncate(len);
        Some((reason(&datagram), datagram))
    }
}

/// The kernel does not say why: this is what can be seen.
fn reason(datagram: &[u8]) -> Reason {
    match datagram {
        [] | [_] => Reason::Short,
        [_, version, ..] if version & 0xf != 2 => Reason::Version,
        [flags, ..] if flags & 0x80 != 0 => Reason::Control,
        [flags, ..] if datagram.len() < if flags & 0x40 != 0 { 8 } else { 6 } => Reason::Short,
        _ => Reason::UnknownSession,
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        let mut encapsulation = [0; 4];
        let serves = sys::get(self.fd(), libc::SOL_UDP, libc::UDP_ENCAP, Some(&mut encapsulation)).is_ok()
            && encapsulation != [0; 4];
        let before = Linux.tunnels().len();
        close(self.0.take(), || serves && Linux.tunnels().len() == before);
    }
}

/// Closes a socket, and waits until the kernel has ended what it held: it does so afterwards, and tells nobody.
fn close(socket: impl Sized, holds: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    drop(socket);
    while holds() && Instant::now() < end {
        thread::yield_now();
    }
}

/// A PPPoX socket.
struct Kernels(Option<Socket>);

impl Kernels {
    fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_ref().expect("it is open").as_fd()
    }
}

impl Drop for Kernels {
    fn drop(&mut self) {
        let (lives, before) = (self.getsockname().is_ok(), Linux.tunnels());
        close(self.0.take(), || lives && Linux.tunnels() == before);
    }
}

fn errno(error: impl Into<io::Error>) -> Errno {
    let error = error.into();
    let known = Errno::ALL.iter().find(|&&errno| Some(errno as i32) == error.raw_os_error());
    *known.unwrap_or_else(|| panic!("an error that the driver does not have: {error}"))
}

impl PppoxSocket for Kernels {
    fn connect(&mut self, address: &[u8]) -> Result<(), Errno> {
        sys::connect(self.fd(), address).map_err(errno)
    }
    fn setsockopt(&self, level: i32, name: i32, value: Option<&[u8]>) -> Result<(), Errno> {
        sys::set(self.fd(), level, name, value).map_err(errno)
    }
    fn getsockopt(&self, level: i32, name: i32, value: Option<&mut [u8]>) -> Result<usize, Errno> {
        sys::get(self.fd(), level, name, value).map_err(errno)
    }
    fn ioctl(&mut self, request: u32, memory: Option<&mut [u8]>) -> Result<(), Errno> {
        sys::ioctl(self.fd(), request, memory).map_err(errno)
    }
    fn getsockname(&self) -> Result<Vec<u8>, Errno> {
        sys::name(self.fd(), false).map_err(errno)
    }
    fn getpeername(&self) -> Result<Vec<u8>, Errno> {
        sys::name(self.fd(), true).map_err(errno)
    }
    fn send(&self, frame: &[u8]) -> Result<usize, Errno> {
        send(self.fd().as_raw_fd(), frame, MsgFlags::empty()).map_err(errno)
    }
    fn recv(&self, buffer: &mut [u8]) -> Result<(usize, bool), Errno> {
        sys::recv(self.fd(), buffer).map_err(errno)
    }
    fn readable(&self, timeout: Duration) -> Result<bool, Errno> {
        readable(self.fd(), timeout).map_err(errno)
    }
    fn bind(&self) -> Result<(), Errno> {
        bind(self.fd().as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)).map_err(errno)
    }
    fn listen(&self) -> Result<(), Errno> {
        listen(&self.fd(), Backlog::new(1).expect("small")).map_err(errno)
    }
    fn accept(&self) -> Result<(), Errno> {
        accept(self.fd().as_raw_fd()).map(drop).map_err(errno)
    }
    fn shutdown(&self) -> Result<(), Errno> {
        shutdown(self.fd().as_raw_fd(), Shutdown::Read).map_err(errno)
    }
}
