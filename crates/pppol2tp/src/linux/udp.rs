//! The owner's side of a UDP socket: the one that is listened on, and one for each tunnel, connected to its
//! peer, at the same local address.
//!
//! Between bind and connect, a sender's datagrams come to the tunnel's socket or still to the listener: to the
//! one of a more specific address, else to either by a hash of the sender. So that nothing is lost, and all of a
//! sender comes in order:
//!
//! | step | what may wait afterwards |
//! |---|---|
//! | bind; read all of the listener | of some senders at the listener, of the others at the tunnel's socket |
//! | connect | the same, and the peer's at the tunnel's socket, all others' at the listener |
//! | read what others have sent to the tunnel's socket, leave aside what the peer has | of others, only later ones |
//! | read all of the listener | of the peer, only later ones, and those aside |
//! | take what lies aside; read all of the tunnel's socket | |

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use socket2::{Domain, Protocol, SockRef, Socket as RawSocket, Type};

use super::core::{Core, Known, Registry, lock, patiently};
use super::failed;
use super::inbox::Inbox;
use super::tunnel::{self, Sockets, Tunnel};
use super::watch::{READ, Watch};
use crate::sys::{self, Destination, Outgoing, SendBatch};
use crate::user::udp::{canonical, check};
use crate::{Errno, Error, PassedUp, Result, TunnelConfig, TunnelSocket, UdpHandle, connect};

/// What the listener's buffer should hold: a burst of control messages of thousands of peers.
const BUFFER: i32 = 4 << 20;
/// The same of a tunnel's, once it hears its peer alone: there may be thousands of tunnels. The kernel takes the data
/// messages, which do not wait there.
const BUFFER_OF_TUNNEL: i32 = 256 << 10;

/// A tunnel that is to be opened.
#[derive(Clone, Copy)]
struct Wanted {
    id: u16,
    peer: SocketAddr,
    peer_id: u16,
    /// How long its id is waited for.
    patience: Duration,
}

/// What a handle's owner and its tunnels share.
pub(super) struct Udp {
    pub(super) serial: u64,
    pub(super) local: SocketAddr,
    pub(super) listener: UdpSocket,
    /// It is an IPv6 socket.
    v6: bool,
    /// The only peer, of a socket that came connected.
    pub(super) only: Option<SocketAddr>,
    pub(super) inbox: Mutex<Inbox>,
    /// All UDP sockets, by tunnel id; 0 is the listener.
    pub(super) datagrams: Watch,
    /// Channels and units of sessions that pass up.
    pub(super) sources: Watch,
    /// Says that something waits in the inbox.
    waiting: EventFd,
    signalled: AtomicBool,
    /// All three.
    all: Watch,
}

impl Udp {
    fn new(serial: u64, listener: UdpSocket, local: SocketAddr, v6: bool) -> io::Result<Self> {
        let [datagrams, sources, all] = [Watch::new()?, Watch::new()?, Watch::new()?];
        let waiting = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?;
        datagrams.add(&listener, 0, READ)?;
        all.add(&datagrams, 0, READ)?;
        all.add(&sources, 0, READ)?;
        all.add(&waiting, 0, READ)?;
        let only = listener.peer_addr().ok().map(canonical);
        let (inbox, signalled) = (Mutex::new(Inbox::new()), AtomicBool::new(false));
        Ok(Self { serial, local, listener, v6, only, inbox, datagrams, sources, waiting, signalled, all })
    }

    /// Says whether something waits in the inbox. To be called when it has changed.
    pub(super) fn signal(&self, inbox: &Inbox) {
        let waits = !inbox.is_empty();
        if self.signalled.swap(waits, Relaxed) != waits {
            // Neither can fail: the counter goes from 0 to 1 and back.
            let _ = if waits { self.waiting.write(1).map(drop) } else { self.waiting.read().map(drop) };
        }
    }

    /// A socket that is bound beside this one, for a peer.
    ///
    /// Nobody else may bind the address: SO_REUSEPORT asks who made the sockets, which SO_REUSEADDR does not. They
    /// have it for a moment only, so that another program of the same user cannot take the port either; all of
    /// them, because any may be the one that the kernel asks.
    fn beside(&self, inbox: &Inbox, peer: SocketAddr, local: Option<IpAddr>) -> io::Result<UdpSocket> {
        let listener = SockRef::from(&self.listener);
        let kind = Type::DGRAM.nonblocking().cloexec();
        let socket = RawSocket::new(Domain::for_address(peer), kind, Some(Protocol::UDP))?;
        if peer.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        if let Some(device) = listener.device()? {
            socket.bind_device(Some(&device))?;
        }
        match listener.mark()? {
            0 => {}
            mark => socket.set_mark(mark)?,
        }
        let socket = UdpSocket::from(socket);
        prepare(&socket, peer.is_ipv6())?;
        let any = if peer.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let mut ours = [Some(self.local.ip()), local].into_iter().flatten();
        let ip = ours.find(|ip| !ip.is_unspecified() && ip.is_ipv4() == peer.is_ipv4()).unwrap_or(any);
        let address = match (ip, peer) {
            (IpAddr::V6(ip), SocketAddr::V6(peer)) if ip.is_unicast_link_local() => {
                SocketAddrV6::new(ip, self.local.port(), 0, peer.scope_id()).into()
            }
            _ => SocketAddr::new(ip, self.local.port()),
        };
        let raw = SockRef::from(&socket);
        let share = |on| {
            raw.set_reuse_port(on)?;
            listener.set_reuse_port(on)?;
            let others = inbox.tunnels.values();
            let mut set = others.filter_map(|it| it.with_udp(|udp| SockRef::from(udp).set_reuse_port(on)));
            set.try_for_each(|set| set)
        };
        let bound = share(true).and_then(|()| raw.bind(&address.into()));
        share(false)?;
        bound.map(|()| socket)
    }

    /// Opens the sockets of a tunnel. Datagrams that arrive meanwhile, from whomever, go to the inbox.
    fn open(&self, inbox: &mut Inbox, wanted: Wanted, local: Option<IpAddr>) -> Result<Sockets> {
        let socket = self.beside(inbox, wanted.peer, local).map_err(|error| {
            failed(format_args!("binding a socket for tunnel {} beside {}", wanted.id, self.local), &error)
        })?;
        self.open_bound(inbox, wanted, socket)
    }

    /// The rest of it.
    fn open_bound(&self, inbox: &mut Inbox, wanted: Wanted, socket: UdpSocket) -> Result<Sockets> {
        inbox.drain(self, &self.listener, false);
        let opened = self.serve(&socket, inbox.dont_fragment, wanted);
        // Whatever has become of it.
        inbox.drain_both(self, &socket, wanted.peer);
        set_buffer(&socket, BUFFER_OF_TUNNEL);
        self.signal(inbox);
        opened.map(|management| Sockets::new(management, socket))
    }

    /// Makes a bound socket that of a tunnel: its management socket.
    fn serve(&self, socket: &UdpSocket, whole: Option<bool>, wanted: Wanted) -> Result<OwnedFd> {
        let Wanted { id, peer, peer_id, patience } = wanted;
        socket.connect(peer).map_err(|error| {
            failed(format_args!("connecting the socket of tunnel {id} to {peer}"), &error)
        })?;
        if let Some(on) = whole {
            dont_fragment(socket, peer.is_ipv6(), on)?;
        }
        let management = patiently(patience, || Sockets::connect(socket, peer, id, peer_id))
            .map_err(|error| tunnel::refused(id, &error))?;
        let watched = self.datagrams.add(socket, id.into(), READ);
        watched.map_err(|error| failed("watching the socket of a tunnel", &error))?;
        Ok(management)
    }

    /// A tunnel ends: reads what has arrived for the owner.
    pub(super) fn forget_tunnel(&self, tunnel: &Tunnel) {
        let mut inbox = lock(&self.inbox);
        inbox.tunnels.remove(&tunnel.id);
        tunnel.with_udp(|socket| {
            self.datagrams.remove(socket);
            inbox.drain(self, socket, true);
        });
        self.signal(&inbox);
    }
}

/// Sets what is needed of a socket.
fn prepare(socket: &UdpSocket, v6: bool) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    let (fd, [level, pktinfo]) = (
        socket.as_fd(),
        match v6 {
            true => [libc::SOL_IPV6, libc::IPV6_RECVPKTINFO],
            false => [libc::SOL_IP, libc::IP_PKTINFO],
        },
    );
    sys::set_option(fd, level, pktinfo, 1)?;
    set_buffer(socket, BUFFER);
    Ok(())
}

/// Sets how many bytes may wait at a socket. Less than wanted still works.
fn set_buffer(socket: &UdpSocket, bytes: i32) {
    let set = |name| {
        // The kernel makes it twice what is asked for.
        sys::set_option(socket.as_fd(), libc::SOL_SOCKET, name, bytes / 2)
    };
    let _ = set(libc::SO_RCVBUFFORCE).or_else(|_| set(libc::SO_RCVBUF));
}

fn dont_fragment(socket: &UdpSocket, v6: bool, on: bool) -> Result<()> {
    let (level, name, values) = if v6 {
        (libc::SOL_IPV6, libc::IPV6_MTU_DISCOVER, [libc::IPV6_PMTUDISC_DONT, libc::IPV6_PMTUDISC_DO])
    } else {
        (libc::SOL_IP, libc::IP_MTU_DISCOVER, [libc::IP_PMTUDISC_DONT, libc::IP_PMTUDISC_DO])
    };
    sys::set_option(socket.as_fd(), level, name, values[usize::from(on)])
        .map_err(|error| failed("setting whether messages may be fragmented", &error))
}

/// A UDP socket as its owner holds it.
pub(super) struct Handle {
    core: Arc<Core>,
    udp: Arc<Udp>,
}

impl Handle {
    pub(super) fn attach(core: Arc<Core>, socket: UdpSocket) -> Result<Self> {
        let (local, v6) = check(&socket)?;
        let system = |error| failed("preparing the UDP socket", &error);
        prepare(&socket, v6).map_err(system)?;
        let mut registry = core.registry();
        let serial = registry.birth();
        let mut udp = Udp::new(serial, socket, local, v6).map_err(system)?;
        if let Some(peer) = udp.only {
            // The tunnel's socket could not be told from one that is connected alike.
            let listener = udp.beside(&lock(&udp.inbox), peer, None).map_err(system)?;
            udp.datagrams.add(&listener, 0, READ).map_err(system)?;
            lock(&udp.inbox).drain(&udp, &udp.listener, false);
            udp.listener = listener;
            udp.v6 = peer.is_ipv6();
            udp.signal(&lock(&udp.inbox));
        }
        let udp = Arc::new(udp);
        registry.handles.insert(serial, udp.clone());
        drop(registry);
        Ok(Self { core, udp })
    }

    fn check(&self, config: &TunnelConfig, peer: SocketAddr) -> Result<()> {
        let Self { udp, .. } = self;
        let only_v6 = udp.v6 && SockRef::from(&udp.listener).only_v6().unwrap_or(true);
        if peer.is_ipv6() != udp.v6 && (peer.is_ipv6() || only_v6) {
            let message =
                format!("{peer} is not reachable from the socket {}; use one of its family", udp.local);
            return Err(Error::new(Errno::AfNoSupport, message));
        }
        if let Some(other) = udp.only.filter(|&only| only != peer) {
            let message = format!(
                "the UDP socket is connected to {other}, the tunnel's peer is {peer}; make them the same"
            );
            return Err(Error::new(Errno::Inval, message));
        }
        if config.accept_zero_id {
            let message =
                "the kernel's driver takes no data messages with tunnel id 0; use driver = \"user\"";
            return Err(Error::new(Errno::OpNotSupp, message));
        }
        Ok(())
    }

    fn connect(&self, registry: &mut Registry, config: &TunnelConfig) -> Result<Arc<Tunnel>> {
        let Self { udp, .. } = self;
        let peer = canonical(config.peer);
        self.check(config, peer)?;
        let is_ours = |known: &Known| known.tunnel.is_of(udp);
        let (known, peer_id) = connect::tunnel(&registry.tunnels, config, peer, &is_ours)?;
        if let Some(Known { tunnel, .. }) = known {
            tunnel.learn_peer_id(peer_id)?;
            return Ok(tunnel.clone());
        }
        let mut inbox = lock(&udp.inbox);
        let id = config.tunnel_id;
        let wanted = Wanted { id, peer, peer_id, patience: registry.patience(id) };
        let sockets = udp.open(&mut inbox, wanted, config.local)?;
        let tunnel = Arc::new(Tunnel {
            id,
            peer_id: AtomicU16::new(peer_id),
            peer,
            local: config.local,
            udp_local: udp.local,
            handle: Arc::downgrade(udp),
            management: AtomicUsize::new(0),
            sockets: Mutex::new(Some(sockets)),
        });
        inbox.tunnels.insert(tunnel.id, tunnel.clone());
        drop(inbox);
        registry.add(tunnel.clone());
        Ok(tunnel)
    }
}

impl UdpHandle for Handle {
    fn tunnel(&self, config: TunnelConfig) -> Result<Box<dyn TunnelSocket>> {
        let tunnel = self.connect(&mut self.core.registry(), &config)?;
        tunnel.management.fetch_add(1, Relaxed);
        Ok(Box::new(tunnel::Socket { core: self.core.clone(), tunnel }))
    }

    fn send(&self, datagram: &[u8], to: SocketAddr, from: Option<IpAddr>) -> Result<()> {
        let Self { udp, .. } = self;
        let destination = Destination::new(Some(to), from, udp.v6);
        let message = Outgoing { bytes: datagram, segment: 0, destination: &destination };
        let sent = SendBatch::new(1).send(udp.listener.as_fd(), std::iter::once(message));
        sent.map(drop).map_err(|error| failed(format_args!("sending to {to}"), &error))
    }

    fn recv(&self) -> Option<PassedUp> {
        let Self { udp, .. } = self;
        let mut inbox = lock(&udp.inbox);
        let next = inbox.next(udp);
        udp.signal(&inbox);
        next
    }

    fn recv_timeout(&self, timeout: Duration) -> Option<PassedUp> {
        until(timeout, self.udp.all.as_fd(), || Ok(self.recv())).ok().flatten()
    }

    fn poll_fd(&self) -> Result<BorrowedFd<'_>> {
        Ok(self.udp.all.as_fd())
    }

    fn local_addr(&self) -> Result<SocketAddr> {
        Ok(self.udp.local)
    }

    fn set_dont_fragment(&self, on: bool) -> Result<()> {
        let Self { udp, .. } = self;
        let mut inbox = lock(&udp.inbox);
        inbox.dont_fragment = Some(on);
        dont_fragment(&udp.listener, udp.v6, on)?;
        for tunnel in inbox.tunnels.values() {
            tunnel.with_udp(|socket| dont_fragment(socket, tunnel.peer.is_ipv6(), on)).transpose()?;
        }
        Ok(())
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.core.close_handle(&self.udp);
    }
}

/// What `next` gives before `timeout` has passed; it is asked again when the descriptor is readable.
pub(super) fn until<T>(
    timeout: Duration,
    fd: BorrowedFd<'_>,
    mut next: impl FnMut() -> Result<Option<T>>,
) -> Result<Option<T>> {
    let end = Instant::now() + timeout;
    loop {
        let found = next()?;
        let left = end.saturating_duration_since(Instant::now());
        if found.is_some() || left.is_zero() {
            return Ok(found);
        }
        let left = PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
        // Interrupted by a signal, it is asked again.
        let _ = poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], left);
    }
}

#[cfg(test)]
mod tests {
    use super::super::inbox::CONTROL;
    use super::*;

    /// Whatever the kernel says to the management socket: here it may have no PPPoL2TP.
    #[test]
    fn what_comes_between_bind_and_connect_is_passed_up_in_order() {
        // Of so many senders, the kernel has some at either socket; the peer is among these or those.
        const SENDERS: usize = 16;
        for peer in 0..SENDERS {
            let listener = UdpSocket::bind("127.0.0.1:0").expect("a socket");
            let local = listener.local_addr().expect("its address");
            prepare(&listener, false).expect("prepared");
            let senders: Vec<_> =
                (0..SENDERS).map(|_| UdpSocket::bind("127.0.0.1:0").expect("a socket")).collect();
            let at = |index: usize| senders[index].local_addr().expect("its address");
            let udp = Udp::new(1, listener, local, false).expect("a handle");
            let send = |number: u8| {
                for sender in &senders {
                    sender.send_to(&[0xc8, 2, number], local).expect("sent");
                }
            };
            let mut inbox = lock(&udp.inbox);
            send(1);
            let socket = udp.beside(&inbox, at(peer), None).expect("bound");
            send(2);
            // Where it succeeds, the tunnel ends at once.
            let wanted = Wanted { id: 1, peer: at(peer), peer_id: 2, patience: Duration::ZERO };
            drop(udp.open_bound(&mut inbox, wanted, socket));
            send(3);
            let mut numbers = vec![Vec::new(); SENDERS];
            while let Some(up) = inbox.next(&udp) {
                let sender = (0..SENDERS).find(|&index| at(index) == up.from).expect("it is one of them");
                numbers[sender].push(up.datagram[2]);
            }
            assert_eq!(numbers, vec![[1, 2, 3]; SENDERS]);
        }
    }

    #[test]
    fn what_there_is_no_room_for_waits_in_the_kernel() {
        const MORE: usize = 40;
        let [listener, sender] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").expect("a socket"));
        let local = listener.local_addr().expect("its address");
        prepare(&listener, false).expect("prepared");
        let udp = Udp::new(1, listener, local, false).expect("a handle");
        let mut inbox = lock(&udp.inbox);
        for number in 0..CONTROL + MORE {
            let [high, low] = (number as u16).to_be_bytes();
            sender.send_to(&[0xc8, 2, high, low], local).expect("sent");
            // Odd, so that a batch would not fit in the end.
            if number % 99 == 0 {
                inbox.drain(&udp, &udp.listener, false);
            }
        }
        inbox.drain(&udp, &udp.listener, false);
        for number in 0..CONTROL + MORE {
            let up = inbox.next(&udp).expect("none is lost");
            assert_eq!(up.datagram[2..], (number as u16).to_be_bytes());
        }
        assert!(inbox.next(&udp).is_none());
    }

    #[test]
    fn nobody_else_binds_the_address_of_a_tunnel() {
        let [listener, peer] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").expect("a socket"));
        let local = listener.local_addr().expect("its address");
        let udp = Udp::new(1, listener, local, false).expect("a handle");
        let socket =
            udp.beside(&lock(&udp.inbox), peer.local_addr().expect("its address"), None).expect("bound");
        for socket in [&udp.listener, &socket].map(SockRef::from) {
            assert_eq!([socket.reuse_address().ok(), socket.reuse_port().ok()], [Some(false); 2]);
        }
        let thief = RawSocket::new(Domain::IPV4, Type::DGRAM, None).expect("a socket");
        thief.set_reuse_address(true).expect("set");
        thief.set_reuse_port(true).expect("set");
        let refused = thief.bind(&local.into()).expect_err("the port is taken");
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
    }
}
