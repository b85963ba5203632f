//! `struct sockaddr_pppol2tp` and `struct sockaddr_pppol2tpin6`: packed, in host byte order but for
//! port and address, told apart by length alone.
//!
//! | bytes, IPv4 | bytes, IPv6 | field |
//! |---|---|---|
//! | 0..2 | 0..2 | family, [`AF_PPPOX`](super::AF_PPPOX) |
//! | 2..6 | 2..6 | protocol, [`PX_PROTO_OL2TP`](super::PX_PROTO_OL2TP) |
//! | 6..10 | 6..10 | process id, of no effect |
//! | 10..14 | 10..14 | descriptor of the UDP socket |
//! | 14..30 | 22..50 | the peer's `sockaddr_in`, `sockaddr_in6` |
//! | 30..38 | 14..22 | s_tunnel, s_session, d_tunnel, d_session |

use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use super::{AF_PPPOX, Connect, Errno, PX_PROTO_OL2TP};

const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

/// Bytes of `struct sockaddr_pppol2tp`.
pub const SOCKADDR_LEN: usize = 38;
/// Bytes of `struct sockaddr_pppol2tpin6`.
pub const SOCKADDR_IN6_LEN: usize = 50;

/// What `connect` is given and `getsockname` and `getpeername` return.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SockAddr {
    /// A process id, of no effect.
    pub pid: i32,
    /// The peer's address; the family of the inner `sockaddr_in` is not looked at.
    pub peer: SocketAddr,
    /// Descriptor and ids.
    pub request: Connect,
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[at..at + N]);
    field
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes(field(bytes, at))
}

impl SockAddr {
    /// Reads either form. Another length (those of L2TPv3 too), family or protocol is
    /// [`Errno::Inval`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Errno> {
        let (addr, ids) = match bytes.len() {
            SOCKADDR_LEN => (14, 30),
            SOCKADDR_IN6_LEN => (22, 14),
            _ => return Err(Errno::Inval),
        };
        if u16_at(bytes, 0) != AF_PPPOX || u32::from_ne_bytes(field(bytes, 2)) != PX_PROTO_OL2TP {
            return Err(Errno::Inval);
        }
        let port = u16::from_be_bytes(field(bytes, addr + 2));
        let peer = if bytes.len() == SOCKADDR_LEN {
            SocketAddrV4::new(Ipv4Addr::from(field::<4>(bytes, addr + 4)), port).into()
        } else {
            let flow = u32::from_be_bytes(field(bytes, addr + 4));
            let ip = Ipv6Addr::from(field::<16>(bytes, addr + 8));
            let scope = u32::from_ne_bytes(field(bytes, addr + 24));
            SocketAddrV6::new(ip, port, flow, scope).into()
        };
        Ok(Self {
            pid: i32::from_ne_bytes(field(bytes, 6)),
            peer,
            request: Connect {
                fd: i32::from_ne_bytes(field(bytes, 10)),
                s_tunnel: u16_at(bytes, ids),
                s_session: u16_at(bytes, ids + 2),
                d_tunnel: u16_at(bytes, ids + 4),
                d_session: u16_at(bytes, ids + 6),
            },
        })
    }

    /// Writes the form of the peer's address and returns how many bytes are used: [`SOCKADDR_LEN`] or
    /// [`SOCKADDR_IN6_LEN`].
    pub fn encode(&self, out: &mut [u8; SOCKADDR_IN6_LEN]) -> usize {
        let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &AF_PPPOX.to_ne_bytes());
        put(2, &PX_PROTO_OL2TP.to_ne_bytes());
        put(6, &self.pid.to_ne_bytes());
        put(10, &self.request.fd.to_ne_bytes());
        let (ids, len) = match self.peer {
            SocketAddr::V4(peer) => {
                put(14, &AF_INET.to_ne_bytes());
                put(16, &peer.port().to_be_bytes());
                put(18, &peer.ip().octets());
                put(22, &[0; 8]);
                (30, SOCKADDR_LEN)
            }
            SocketAddr::V6(peer) => {
                put(22, &AF_INET6.to_ne_bytes());
                put(24, &peer.port().to_be_bytes());
                put(26, &peer.flowinfo().to_be_bytes());
                put(30, &peer.ip().octets());
                put(46, &peer.scope_id().to_ne_bytes());
                (14, SOCKADDR_IN6_LEN)
            }
        };
        let Connect { s_tunnel, s_session, d_tunnel, d_session, .. } = self.request;
        for (index, id) in [s_tunnel, s_session, d_tunnel, d_session].into_iter().enumerate() {
            put(ids + 2 * index, &id.to_ne_bytes());
        }
        len
    }
}
