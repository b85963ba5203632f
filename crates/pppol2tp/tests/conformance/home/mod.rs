//! The homes of the driver, as the rows see them: `user`, emulated sockets of [`UserDriver`], and `linux`, the
//! sockets of the kernel that the tests run on. OL2TP_HOME says which.
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

/// Whether the rows run against the kernel's driver.
///
/// # Panics
/// If OL2TP_HOME is neither `user` nor `linux`, and set.
pub(crate) fn is_linux() -> bool {
    match std::env::var("OL2TP_HOME").as_deref() {
        Ok("linux") => true,
        Ok("user") | Err(_) => false,
        Ok(other) => panic!("OL2TP_HOME={other}: there are user and linux"),
    }
}

/// What a home is tested for is not what the other is.
///
/// # Panics
/// If the homes do not differ, or this one is not as it is said to be.
pub(crate) fn differ<T: PartialEq + Debug>(is: T, user: T, linux: T) {
    assert_ne!(user, linux, "this is no difference");
    assert_eq!(is, if is_linux() { linux } else { user });
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
