//! The system calls of the kernel's driver that no safe library offers: sockets of AF_PPPOX, and the
//! ioctls of these and of `/dev/ppp`.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use l2tp_data::rules::{AF_PPPOX, PX_PROTO_OL2TP, SOCKADDR_IN6_LEN, SockAddr};
use l2tp_data::stats::{Rx, Stats, Tx};
use libc::c_int;

/// An ioctl on a number.
#[derive(Clone, Copy)]
pub(super) struct Request(u32);

const PPP: u32 = b't' as u32;
/// Index of a session's PPP channel; the socket is bound from then on.
pub(super) const GCHAN: Request = Request(libc::_IOR::<c_int>(PPP, 55) as u32);
/// Makes a descriptor of `/dev/ppp` the channel's.
pub(super) const ATTCHAN: Request = Request(libc::_IOW::<c_int>(PPP, 56) as u32);
/// Parts a channel from its unit.
pub(super) const DISCONN: Request = Request(libc::_IO(PPP, 57) as u32);
/// Connects a channel to a unit.
pub(super) const CONNECT: Request = Request(libc::_IOW::<c_int>(PPP, 58) as u32);
/// Makes a unit, and the descriptor its own.
pub(super) const NEWUNIT: Request = Request(libc::_IOWR::<c_int>(PPP, 62) as u32);
/// The largest frame that a unit receives.
pub(super) const SMRU: Request = Request(libc::_IOW::<c_int>(PPP, 82) as u32);
const SNPMODE: u32 = libc::_IOW::<NpIoctl>(PPP, 75) as u32;
const SPASS: u32 = libc::_IOW::<libc::sock_fprog>(PPP, 71) as u32;
const GL2TPSTATS: u32 = libc::_IOR::<IocStats>(PPP, 54) as u32;

/// `struct npioctl`.
#[repr(C)]
struct NpIoctl {
    protocol: c_int,
    mode: c_int,
}

/// `NPMODE_PASS` and `NPMODE_DROP` of `enum NPmode`.
const PASS: c_int = 0;
const DROP: c_int = 1;

/// `struct pppol2tp_ioc_stats`.
#[repr(C, align(8))]
#[derive(Default)]
struct IocStats {
    tunnel_id: u16,
    session_id: u16,
    using_ipsec: u32,
    counters: [u64; 8],
}

fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// `socket(AF_PPPOX, SOCK_DGRAM, PX_PROTO_OL2TP)`: the kernel loads its modules if need be.
pub(super) fn socket() -> io::Result<OwnedFd> {
    let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: it takes numbers only.
    let fd = check(unsafe { libc::socket(AF_PPPOX.into(), kind, PX_PROTO_OL2TP as c_int) })?;
    // SAFETY: the kernel has just made `fd`, so nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// `connect` with a `struct sockaddr_pppol2tp` or `struct sockaddr_pppol2tpin6`.
pub(super) fn connect(fd: BorrowedFd<'_>, address: &SockAddr) -> io::Result<()> {
    let mut bytes = [0; SOCKADDR_IN6_LEN];
    let len = address.encode(&mut bytes) as libc::socklen_t;
    // SAFETY: the pointer leads to `len` bytes or more, which the kernel copies.
    check(unsafe { libc::connect(fd.as_raw_fd(), bytes.as_ptr().cast(), len) }).map(drop)
}

/// An ioctl on a number, which the kernel reads, writes, or does not look at: what it is afterwards.
pub(super) fn number(fd: BorrowedFd<'_>, request: Request, mut number: c_int) -> io::Result<c_int> {
    // SAFETY: all that are a `Request` take a pointer to an int, or no argument.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), request.0 as _, ptr::from_mut(&mut number)) })?;
    Ok(number)
}

/// Sets whether packets of a network protocol pass a unit, either way.
pub(super) fn set_np_mode(unit: BorrowedFd<'_>, protocol: u16, pass: bool) -> io::Result<()> {
    let mode = NpIoctl { protocol: protocol.into(), mode: if pass { PASS } else { DROP } };
    // SAFETY: PPPIOCSNPMODE reads the struct that the pointer leads to.
    check(unsafe { libc::ioctl(unit.as_raw_fd(), SNPMODE as _, ptr::from_ref(&mode)) }).map(drop)
}

/// Has a unit drop the network packets that a program returns 0 for.
pub(super) fn filter(unit: BorrowedFd<'_>, program: &mut [libc::sock_filter]) -> io::Result<()> {
    let len = program.len().try_into().map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    let program = libc::sock_fprog { len, filter: program.as_mut_ptr() };
    // SAFETY: PPPIOCSPASS reads the struct that the pointer leads to, and the `len` instructions behind that.
    check(unsafe { libc::ioctl(unit.as_raw_fd(), SPASS as _, ptr::from_ref(&program)) }).map(drop)
}

/// PPPIOCGL2TPSTATS: of a session; of a tunnel, or of one of its sessions.
pub(super) fn stats(fd: BorrowedFd<'_>, session_id: u16) -> io::Result<Stats> {
    let mut block = IocStats { session_id, ..IocStats::default() };
    // SAFETY: PPPIOCGL2TPSTATS reads and writes the struct that the pointer leads to.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), GL2TPSTATS as _, ptr::from_mut(&mut block)) })?;
    let [tx_packets, tx_bytes, tx_errors, packets, bytes, seq_discards, oos_packets, errors] = block.counters;
    let mut stats = Stats::default();
    for (counter, value) in [(Tx::Packets, tx_packets), (Tx::Bytes, tx_bytes), (Tx::Errors, tx_errors)] {
        stats.tx[counter as usize] = value;
    }
    for (counter, value) in [
        (Rx::Packets, packets),
        (Rx::Bytes, bytes),
        (Rx::SeqDiscards, seq_discards),
        (Rx::OosPackets, oos_packets),
        (Rx::Errors, errors),
    ] {
        stats.rx[counter as usize] = value;
    }
    Ok(stats)
}
