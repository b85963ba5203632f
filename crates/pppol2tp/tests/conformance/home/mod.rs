//! The homes of the driver, as the rows see them: `user`, emulated sockets of [`UserDriver`], `linux`, the
//! sockets of the kernel that the tests run on, and `module`, the same where the kernel's driver is the module in
//! `kernel/`. OL2TP_HOME says which.
//!
//! [`UserDriver`]: pppol2tp::user::UserDriver

mod linux;
#[allow(unsafe_code)]
mod sys;
mod user;

use std::fmt::Debug;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::BorrowedFd;
use std::time::Duration;

use pppol2tp::{Errno, Reason};

pub(crate) use linux::Linux;
pub(crate) use user::User;

/// Where the module is as the kernel's own driver, by the names of `docs/driver.md`; else it is as home `user`.
pub(crate) const AS_THE_KERNELS: [&str; 8] = [
    "any UDP socket",
    "compression and multilink",
    "drops of interfaces",
    "encapsulation",
    "named drops",
    "other network protocols",
    "SOL_SOCKET",
    "unknown ioctl",
];

#[derive(PartialEq, Eq)]
enum Which {
    User,
    Linux,
    Module,
}

/// The home that is asked for.
///
/// # Panics
/// If OL2TP_HOME is none of them, and set.
fn which() -> Which {
    match std::env::var("OL2TP_HOME").as_deref() {
        Ok("user") | Err(_) => Which::User,
        Ok("linux") => Which::Linux,
        Ok("module") => Which::Module,
        Ok(other) => panic!("OL2TP_HOME={other}: there are user, linux and module"),
    }
}

/// Whether the rows run against a driver in the kernel.
pub(crate) fn is_linux() -> bool {
    which() != Which::User
}

/// Whether that is the module.
pub(crate) fn is_module() -> bool {
    which() == Which::Module
}

/// Whether what differs under this name does so here.
pub(crate) fn differs(why: &str) -> bool {
    match which() {
        Which::User => false,
        Which::Linux => true,
        Which::Module => AS_THE_KERNELS.contains(&why),
    }
}

/// What a home is tested for is not what the other is.
///
/// # Panics
/// If the homes do not differ, or this one is not as it is said to be.
pub(crate) fn differ<T: PartialEq + Debug>(is: T, user: T, linux: T) {
    differ_if(is_linux(), is, user, linux);
}

/// The same where not every driver in the kernel differs.
///
/// # Panics
/// As [`differ`].
pub(crate) fn differ_if<T: PartialEq + Debug>(differs: bool, is: T, user: T, linux: T) {
    assert_ne!(user, linux, "this is no difference");
    assert_eq!(is, if differs { linux } else { user });
}

/// A driver.
pub(crate) trait Home {
    /// `socket(AF_PPPOX, SOCK_DGRAM, PX_PROTO_OL2TP)`.
    fn socket(&self) -> Box<dyn PppoxSocket>;

    /// Gives it a UDP socket.
    fn attach(&self, socket: UdpSocket) -> Box<dyn Udp>;

    /// Whose `connect` it is, as `getsockname` tells.
    fn pid(&self) -> i32;

    /// Waits until what was asked of it has been done, counting included.
    fn sync(&self);

    /// The counters of a session.
    fn session(&self, id: u16) -> Option<Vec<(&'static str, u64)>>;

    /// The counters of the UDP socket with this address.
    fn socket_counters(&self, local: SocketAddr) -> Option<Vec<(&'static str, u64)>>;

    /// Messages to a tunnel from others than its peer.
    fn foreign(&self, tunnel: u16) -> Option<u64>;

    /// Tunnels with their references, newest first.
    fn tunnels(&self) -> Vec<(u16, usize)>;

    /// Tunnel and session ids of sessions, in the same order.
    fn sessions(&self) -> Vec<(u16, u16)>;
}

/// The owner's side of a UDP socket. Dropping it closes it.
pub(crate) trait Udp {
    /// Connects it, where data messages go nowhere else: whether they do.
    fn connect(&self, peer: SocketAddr) -> bool;

    /// What is passed up next, if anything comes in time.
    fn recv(&self, timeout: Duration) -> Option<(Reason, Vec<u8>)>;
}

/// A PPPoX socket. Dropping it closes it. Memory is as [`pppol2tp::user::PppoxSocket`] has it.
pub(crate) trait PppoxSocket {
    fn connect(&mut self, address: &[u8]) -> Result<(), Errno>;
    fn setsockopt(&self, level: i32, name: i32, value: Option<&[u8]>) -> Result<(), Errno>;
    fn getsockopt(&self, level: i32, name: i32, value: Option<&mut [u8]>) -> Result<usize, Errno>;
    fn ioctl(&mut self, request: u32, memory: Option<&mut [u8]>) -> Result<(), Errno>;
    fn getsockname(&self) -> Result<Vec<u8>, Errno>;
    fn getpeername(&self) -> Result<Vec<u8>, Errno>;
    fn send(&self, frame: &[u8]) -> Result<usize, Errno>;
    fn recv(&self, buffer: &mut [u8]) -> Result<(usize, bool), Errno>;
    fn readable(&self, timeout: Duration) -> Result<bool, Errno>;
    fn bind(&self) -> Result<(), Errno>;
    fn listen(&self) -> Result<(), Errno>;
    fn accept(&self) -> Result<(), Errno>;
    fn shutdown(&self) -> Result<(), Errno>;
}

/// Whether a descriptor is readable in time.
fn readable(fd: BorrowedFd<'_>, timeout: Duration) -> nix::Result<bool> {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let timeout = PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX);
    poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], timeout).map(|ready| ready > 0)
}
