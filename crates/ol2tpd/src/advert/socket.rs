//! The raw ICMPv6 socket.

use std::io::{self, IoSliceMut};
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::cmsg_space;
use nix::libc::{c_int, in6_pktinfo};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn6, recvmsg, setsockopt, sockopt};
use socket2::{Domain, Protocol, SockFilter, Type};

use super::message::{ADVERTISEMENT, Advertisement, HOP_LIMIT, SOLICITATION, is_solicitation};

/// Room for what comes; what is longer is cut, and what was cut within an option is wrong.
const LONGEST: usize = 1500;

/// Takes Router Solicitations and Advertisements of all interfaces, and sends.
pub(super) struct Socket {
    socket: socket2::Socket,
}

/// What has come.
pub(super) struct Received {
    /// The index of its interface.
    pub(super) index: u32,
    pub(super) source: Ipv6Addr,
    /// `None`: it is a solicitation.
    pub(super) advertisement: Option<Advertisement>,
}

impl Socket {
    pub(super) fn open() -> io::Result<Self> {
        let socket = socket2::Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))?;
        socket.attach_filter(&wanted())?;
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

    /// The next one. `None` if what has come must be ignored.
    pub(super) fn receive(&self) -> io::Result<Option<Received>> {
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
            let bytes = &buffer[..len];
            let advertisement = Advertisement::parse(bytes, source, hop_limit);
            let taken = advertisement.is_some() || is_solicitation(bytes, source, hop_limit);
            taken.then_some(Received { index, source, advertisement })
        })())
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A packet filter: those whose first byte, the type, is one of the two.
fn wanted() -> [SockFilter; 5] {
    const LOAD_BYTE: u16 = 0x30;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    [
        SockFilter::new(LOAD_BYTE, 0, 0, 0),
        SockFilter::new(JUMP_IF_EQUAL, 1, 0, SOLICITATION.into()),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, ADVERTISEMENT.into()),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
        SockFilter::new(RETURN, 0, 0, 0),
    ]
}
