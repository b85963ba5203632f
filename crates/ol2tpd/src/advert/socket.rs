//! The raw ICMPv6 socket.

use std::io::{self, IoSliceMut};
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::cmsg_space;
use nix::libc::{c_int, in6_pktinfo};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn6, recvmsg, setsockopt, sockopt};
use socket2::{Domain, Protocol, SockFilter, Type};

use super::message::{HOP_LIMIT, is_solicitation};

/// Room for a solicitation; what is longer is cut and then wrong.
const LONGEST: usize = 1500;

/// Takes Router Solicitations of all interfaces, and sends.
pub(super) struct Socket {
    socket: socket2::Socket,
}

impl Socket {
    pub(super) fn open() -> io::Result<Self> {
        let socket = socket2::Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))?;
        socket.attach_filter(&solicitations_only())?;
        socket.set_nonblocking(true)?;
        socket.set_unicast_hops_v6(HOP_LIMIT.into())?;
        socket.set_multicast_hops_v6(HOP_LIMIT.into())?;
        socket.set_multicast_loop_v6(false)?;
        socket.set_recv_hoplimit_v6(true)?;
        setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        Ok(Self { socket })
    }

    pub(super) fn send(&self, packet: &[u8], to: SocketAddrV6) -> io::Result<()> {
        self.socket.send_to(packet, &to.into()).map(drop)
    }

    /// The next solicitation: the index of its interface and its source. `None` if what has come is none.
    pub(super) fn receive(&self) -> io::Result<Option<(u32, Ipv6Addr)>> {
        let mut buffer = [0; LONGEST];
        let mut control = cmsg_space!(in6_pktinfo, c_int);
        let mut slices = [IoSliceMut::new(&mut buffer)];
        let fd = self.socket.as_raw_fd();
        let received = recvmsg::<SockaddrIn6>(fd, &mut slices, Some(&mut control), MsgFlags::empty())?;
        let (mut index, mut hop_limit) = (None, None);
        for message in received.cmsgs()? {
            match message {
                ControlMessageOwned::Ipv6PacketInfo(info) => index = Some(info.ipi6_ifindex),
                ControlMessageOwned::Ipv6HopLimit(limit) => hop_limit = u8::try_from(limit).ok(),
                _ => {}
            }
        }
        let (len, source) = (received.bytes, received.address.map(|source| source.ip()));
        Ok((|| {
            let (index, hop_limit, source) = (index?, hop_limit?, source?);
            is_solicitation(&buffer[..len], source, hop_limit).then_some((index, source))
        })())
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A packet filter: those whose first byte, the type, is a Router Solicitation's.
fn solicitations_only() -> [SockFilter; 4] {
    const LOAD_BYTE: u16 = 0x30;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    [
        SockFilter::new(LOAD_BYTE, 0, 0, 0),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, 133),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
        SockFilter::new(RETURN, 0, 0, 0),
    ]
}
