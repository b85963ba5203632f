//! Which shard has the tunnels of a peer, and how its datagrams come there.
//!
//! ```text
//!                     ┌─► socket 0 ─► up of shard 0
//!   address and port ─┤                                the peer's address says which
//!                     └─► socket 1 ─► up of shard 1
//! ```
//!
//! An address and port has a socket for each shard, a group of SO_REUSEPORT, and the kernel asks a program which of
//! them receives a datagram. It looks at the sender's address, not at the tunnel's id: so all of a peer's datagrams
//! stay in order, those that name no tunnel too (id 0); and what the kernel merges (UDP GRO), which is of one sender but
//! perhaps of several tunnels, is never for two shards.

use std::io;
use std::net::{IpAddr, UdpSocket};
use std::os::fd::AsFd;

use libc::{c_int, sock_filter};
use socket2::{SockRef, Socket};

use crate::sys;

/// Spreads addresses: Fibonacci's number of 32 bits.
const SPREAD: u32 = 0x9e37_79b1;
/// The bits above these are spread best.
const SHIFT: u32 = 16;

/// The shard, of so many, that has the tunnels of a peer.
pub(super) fn shard(peer: IpAddr, shards: usize) -> usize {
    let folded = match peer.to_canonical() {
        IpAddr::V4(ip) => ip.to_bits(),
        IpAddr::V6(ip) => {
            let bits = ip.to_bits();
            [0, 32, 64, 96].iter().fold(0, |folded, shift| folded ^ (bits >> shift) as u32)
        }
    };
    (folded.wrapping_mul(SPREAD) >> SHIFT) as usize % shards
}

// Operations of linux/filter.h.
const LOAD_BYTE: u16 = 0x30;
const LOAD_WORD: u16 = 0x20;
const GO: u16 = 0x05;
const GO_IF_EQUAL: u16 = 0x15;
const MULTIPLY: u16 = 0x24;
const RIGHT: u16 = 0x74;
const MODULO: u16 = 0x94;
const TO_X: u16 = 0x07;
const XOR_X: u16 = 0xac;
const RETURN: u16 = 0x16;

/// Where the IP header begins (SKF_NET_OFF), and the sender's address in it.
const IP: u32 = -0x10_0000_i32 as u32;
const SOURCE: u32 = IP + 12;
const SOURCE_IPV6: u32 = IP + 8;

/// The same of a datagram's sender, as the kernel runs it.
fn program(shards: u32) -> [sock_filter; 19] {
    let go = |code, k| sock_filter { code, jt: 0, jf: 0, k };
    [
        go(LOAD_BYTE, IP),
        go(RIGHT, 4),
        sock_filter { code: GO_IF_EQUAL, jt: 2, jf: 0, k: 6 },
        go(LOAD_WORD, SOURCE),
        go(GO, 10),
        go(LOAD_WORD, SOURCE_IPV6),
        go(TO_X, 0),
        go(LOAD_WORD, SOURCE_IPV6 + 4),
        go(XOR_X, 0),
        go(TO_X, 0),
        go(LOAD_WORD, SOURCE_IPV6 + 8),
        go(XOR_X, 0),
        go(TO_X, 0),
        go(LOAD_WORD, SOURCE_IPV6 + 12),
        go(XOR_X, 0),
        go(MULTIPLY, SPREAD),
        go(RIGHT, SHIFT),
        go(MODULO, shards),
        go(RETURN, 0),
    ]
}

/// Puts further sockets beside one that is bound, a socket for each shard. It stays alone where that cannot be: all its
/// tunnels are in one shard then.
pub(super) fn group(socket: UdpSocket, shards: usize) -> Vec<UdpSocket> {
    match beside(&socket, shards) {
        Ok(others) => std::iter::once(socket).chain(others).collect(),
        Err(error) => {
            let local = socket.local_addr().map_or_else(|_| "?".into(), |local| local.to_string());
            tracing::info!(target: "pppol2tp", "UDP socket {local}: one shard has all its tunnels: {error}");
            vec![socket]
        }
    }
}

/// What a socket has to be like one beside it: who may share the address, whence and whither datagrams go, and how.
const ALIKE: [(c_int, c_int); 9] = [
    (libc::SOL_SOCKET, libc::SO_BINDTOIFINDEX),
    (libc::SOL_SOCKET, libc::SO_MARK),
    (libc::SOL_IP, libc::IP_FREEBIND),
    (libc::SOL_IP, libc::IP_TRANSPARENT),
    (libc::SOL_IP, libc::IP_TOS),
    (libc::SOL_IP, libc::IP_MTU_DISCOVER),
    (libc::SOL_IPV6, libc::IPV6_V6ONLY),
    (libc::SOL_IPV6, libc::IPV6_TCLASS),
    (libc::SOL_IPV6, libc::IPV6_MTU_DISCOVER),
];

/// The sockets of the other shards. Their order is that of binding, by which the program names them.
fn beside(socket: &UdpSocket, shards: usize) -> io::Result<Vec<UdpSocket>> {
    let (local, first) = (socket.local_addr()?.into(), SockRef::from(socket));
    if first.reuse_port()? {
        return Err(io::Error::other("whoever opened it shares its port already (SO_REUSEPORT)"));
    }
    let open = || {
        let other = Socket::new(first.domain()?, first.r#type()?, first.protocol()?)?;
        for (level, name) in ALIKE {
            // An option that one of them does not have the other lacks too.
            let value = |fd| sys::get_option(fd, level, name).ok();
            if let (Some(wanted), now) = (value(socket.as_fd()), value(other.as_fd()))
                && now != Some(wanted)
            {
                sys::set_option(other.as_fd(), level, name, wanted)?;
            }
        }
        Ok::<_, io::Error>(other)
    };
    let mut others = (1..shards).map(|_| open()).collect::<io::Result<Vec<_>>>()?;
    // As long as the first shares its address with nobody, only one of another network namespace gets it.
    if others.first().is_some_and(|other| other.bind(&local).is_ok()) {
        return Err(io::Error::other("it is of another network namespace"));
    }
    let mut join = || {
        first.set_reuse_port(true)?;
        for other in &mut others {
            other.set_reuse_port(true)?;
            other.bind(&local)?;
        }
        sys::set_selector(socket.as_fd(), &program(shards as u32))
    };
    if let Err(error) = join() {
        // Alone, it shares its address with nobody.
        drop(others);
        first.set_reuse_port(false)?;
        return Err(error);
    }
    Ok(others.into_iter().map(UdpSocket::from).collect())
}

#[cfg(test)]
#[path = "select/tests.rs"]
mod tests;
