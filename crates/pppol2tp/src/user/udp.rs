//! The owner's side of a UDP socket.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU32};
use std::time::Duration;

use l2tp_data::rules::Descriptor;
use socket2::{Domain, Protocol, SockRef, Type};

use super::core::Core;
use super::passed::PassedQueue;
use super::runs::MAX_FRAMES;
use super::state::{Udp, UdpCounters};
use super::{select, tunnel};
use crate::sys::{self, Destination, Outgoing, SendBatch};
use crate::{Errno, Error, PassedUp, Result, TunnelConfig, TunnelSocket, UdpHandle};

/// What a socket's buffers should hold: a burst of hundreds of messages of 64 KiB.
const BUFFER: i32 = 8 << 20;

/// A UDP socket that the driver reads, with those that it has put beside it.
pub(super) struct Handle {
    core: Arc<Core>,
    /// One, or as many as there are shards.
    group: Arc<[Arc<Udp>]>,
}

impl Handle {
    pub(super) fn attach(core: Arc<Core>, socket: UdpSocket) -> Result<Self> {
        let (local, v6) = check(&socket)?;
        let connected = socket.peer_addr().ok().map(canonical);
        let sockets = match core.shards.len() {
            shards if shards > 1 && connected.is_none() => select::group(socket, shards),
            _ => vec![socket],
        };
        for socket in &sockets {
            prepare(socket, v6, connected.is_some())?;
        }
        let slot = core.registry().socket_slots.get();
        let (passed, alone) = (Arc::new(PassedQueue::new()), sockets.len() == 1);
        let member = |(number, socket): (usize, UdpSocket)| {
            let on = |name, value| sys::set_option(socket.as_fd(), libc::SOL_UDP, name, value).is_ok();
            let gro = core.mode.gro && on(libc::UDP_GRO, 1);
            // Size 0 changes nothing: it asks whether the kernel knows the option.
            let gso = core.mode.gso && on(libc::UDP_SEGMENT, 0);
            Arc::new(Udp {
                slot,
                shard: if alone { slot as usize % core.shards.len() } else { number },
                local,
                connected,
                passed: passed.clone(),
                counters: UdpCounters::default(),
                debug: AtomicU32::new(0),
                segments: AtomicU16::new(if gso { MAX_FRAMES } else { 1 }),
                gro,
                v6,
                socket,
            })
        };
        let group: Arc<[_]> = sockets.into_iter().enumerate().map(member).collect();
        // Dropped, it undoes what was done.
        let handle = Self { core, group };
        let Self { core, group } = &handle;
        for udp in &**group {
            let added = udp.clone();
            core.shards[udp.shard]
                .up
                .call(move |up| up.add_socket(added))?
                .map_err(|error| Error::system("watching the UDP socket", &error.into()))?;
        }
        core.registry().sockets.insert(slot, group.clone());
        Ok(handle)
    }

    fn first(&self) -> &Udp {
        &self.group[0]
    }

    /// The one that a peer's datagrams come to.
    fn of(&self, peer: SocketAddr) -> &Udp {
        &self.group[select::shard(peer.ip(), self.group.len())]
    }
}

/// An IPv4-mapped address as IPv4.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::new(ip.into(), address.port()),
        IpAddr::V6(_) => address,
    }
}

/// What a descriptor is that the driver does not have.
pub(super) fn describe(fd: BorrowedFd<'_>) -> Descriptor {
    let socket = SockRef::from(&fd);
    let (Ok(domain), Ok(kind), Ok(protocol)) = (socket.domain(), socket.r#type(), socket.protocol()) else {
        return Descriptor::NotSocket;
    };
    if kind != Type::DGRAM || protocol != Some(Protocol::UDP) {
        return Descriptor::NotUdp;
    }
    if domain != Domain::IPV4 && domain != Domain::IPV6 {
        return Descriptor::NotInet;
    }
    match sys::get_option(fd, libc::SOL_UDP, libc::UDP_ENCAP) {
        Ok(encapsulation) if encapsulation != 0 => Descriptor::Foreign,
        _ => Descriptor::Plain,
    }
}

/// Whether it is a UDP socket that nobody else encapsulates in: its address, and whether it is IPv6.
pub(crate) fn check(socket: &UdpSocket) -> Result<(SocketAddr, bool)> {
    let system = |error| Error::system("looking at the UDP socket", &error);
    match describe(socket.as_fd()) {
        Descriptor::NotUdp => Err(Errno::ProtoNoSupport.into()),
        Descriptor::NotInet => Err(Errno::AfNoSupport.into()),
        Descriptor::Foreign => {
            let message = "the UDP socket serves another encapsulation; give the driver one of its own";
            Err(Error::new(Errno::Busy, message))
        }
        Descriptor::Plain => {
            let v6 = SockRef::from(socket).domain().map_err(system)? == Domain::IPV6;
            Ok((canonical(socket.local_addr().map_err(system)?), v6))
        }
        _ => Err(Errno::NotSock.into()),
    }
}

/// Sets what the data path needs of a socket.
fn prepare(socket: &UdpSocket, v6: bool, connected: bool) -> Result<()> {
    let system = |error| Error::system("preparing the UDP socket", &error);
    socket.set_nonblocking(true).map_err(system)?;
    let fd = socket.as_fd();
    let (level, pktinfo, errors) = if v6 {
        (libc::SOL_IPV6, libc::IPV6_RECVPKTINFO, libc::IPV6_RECVERR)
    } else {
        (libc::SOL_IP, libc::IP_PKTINFO, libc::IP_RECVERR)
    };
    if !connected {
        sys::set_option(fd, level, pktinfo, 1).map_err(system)?;
    }
    sys::set_option(fd, level, errors, 1).map_err(system)?;
    for (name, force) in [(libc::SO_RCVBUF, libc::SO_RCVBUFFORCE), (libc::SO_SNDBUF, libc::SO_SNDBUFFORCE)] {
        // The kernel reports twice what was asked for. Less than wanted still works.
        let now = sys::get_option(fd, libc::SOL_SOCKET, name).unwrap_or(0);
        if now < BUFFER && sys::set_option(fd, libc::SOL_SOCKET, force, BUFFER / 2).is_err() {
            let _ = sys::set_option(fd, libc::SOL_SOCKET, name, BUFFER / 2);
        }
    }
    Ok(())
}

impl UdpHandle for Handle {
    fn tunnel(&self, config: TunnelConfig) -> Result<Box<dyn TunnelSocket>> {
        let id = config.tunnel_id;
        let socket = tunnel::Socket::connect(self.core.clone(), &self.group, config);
        Ok(Box::new(socket.inspect_err(|error| self.core.connect_failed(format_args!("tunl {id}"), error))?))
    }

    fn send(&self, datagram: &[u8], to: SocketAddr, from: Option<IpAddr>) -> Result<()> {
        let udp = self.of(to);
        let connected = udp.connected == Some(canonical(to));
        let destination = Destination::new((!connected).then_some(to), from.filter(|_| !connected), udp.v6);
        let message = Outgoing { bytes: datagram, segment: 0, destination: &destination };
        let mut batch = SendBatch::new(1);
        let mut send = || batch.send(udp.fd(), std::iter::once(message.clone())).map(drop);
        // The first error may be ICMP's word on an earlier message.
        send().or_else(|_| send()).map_err(|error| Error::system(format!("sending to {to}"), &error))
    }

    fn recv(&self) -> Option<PassedUp> {
        self.first().passed.pop()
    }

    fn recv_timeout(&self, timeout: Duration) -> Option<PassedUp> {
        self.first().passed.pop_timeout(timeout)
    }

    fn poll_fd(&self) -> Result<BorrowedFd<'_>> {
        self.first().passed.poll_fd().map_err(|error| Error::system("making a descriptor to poll", &error))
    }

    fn local_addr(&self) -> Result<SocketAddr> {
        Ok(self.first().local)
    }

    fn set_dont_fragment(&self, on: bool) -> Result<()> {
        let (level, name, values) = if self.first().v6 {
            (libc::SOL_IPV6, libc::IPV6_MTU_DISCOVER, [libc::IPV6_PMTUDISC_DONT, libc::IPV6_PMTUDISC_DO])
        } else {
            (libc::SOL_IP, libc::IP_MTU_DISCOVER, [libc::IP_PMTUDISC_DONT, libc::IP_PMTUDISC_DO])
        };
        let set = |udp: &Arc<Udp>| sys::set_option(udp.fd(), level, name, values[usize::from(on)]);
        self.group
            .iter()
            .try_for_each(set)
            .map_err(|error| Error::system("setting whether messages may be fragmented", &error))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.core.close_socket(&self.group);
    }
}
