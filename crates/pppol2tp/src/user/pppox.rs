//! The driver's sockets as the kernel's users see them: AF_PPPOX, PX_PROTO_OL2TP, with addresses,
//! options and ioctls as bytes and numbers.
//!
//! Every decision is the rules' ([`l2tp_data::rules`]); here stand the facts that they ask for, and
//! what is done once they allow it. It is the interface on which the homes of the driver are compared.

use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use l2tp_data::id::{SessionId, TunnelId};
use l2tp_data::rules::{self, Accepted, Action, Connect, Descriptor, SockAddr, Socket, Target, View};
use l2tp_data::stats::{self, IOC_STATS_LEN};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::core::{Core, Known, Registry};
use super::state::Udp;
use super::{UserDriver, session, tunnel, udp};
use crate::connect::Facts;
use crate::{
    Errno, Error, Result, SessionIds, SessionSocket, TunnelConfig, TunnelSocket, Unit, UnitConfig, sys,
};

/// MTU and MRU of a session before they are set: 1500 less the overhead that the kernel assumes.
const MTU: i32 = 1500 - 40;
/// Bytes of a `struct ifreq`, and where the MTU stands in it.
const IFREQ: usize = size_of::<libc::ifreq>();
const IFR_MTU: usize = libc::IFNAMSIZ;

/// A socket of the family AF_PPPOX and the protocol PX_PROTO_OL2TP, as the kernel's users have it.
/// Dropping it closes it.
///
/// Memory that a system call gets a pointer to is a slice here; `None` stands for a pointer that leads
/// nowhere, and a slice that is too short for one whose end leads nowhere.
pub struct PppoxSocket {
    core: Arc<Core>,
    connected: Option<Connected>,
}

enum Connected {
    Management(tunnel::Socket),
    Session(Session),
}

/// A session socket with what the kernel keeps for it and never uses.
struct Session {
    socket: session::Socket,
    /// The PPP channel's index: the socket is bound.
    channel: Option<u32>,
    mtu: i32,
    mru: i32,
    flags: i32,
}

impl UserDriver {
    /// `socket(AF_PPPOX, SOCK_DGRAM, PX_PROTO_OL2TP)`.
    pub fn socket(&self) -> PppoxSocket {
        PppoxSocket { core: self.core.clone(), connected: None }
    }
}

/// What the rules of `connect` ask.
struct Asked<'a> {
    socket: Socket,
    registry: &'a Registry,
}

impl Asked<'_> {
    fn facts(&self) -> Facts<'_, Known> {
        Facts { tunnels: &self.registry.tunnels, is_ours: None }
    }

    /// The UDP socket that was given to the driver with this descriptor, and those beside it.
    fn group(&self, fd: i32) -> Option<&Arc<[Arc<Udp>]>> {
        let is = |group: &&Arc<[Arc<Udp>]>| group.first().is_some_and(|udp| udp.socket.as_raw_fd() == fd);
        self.registry.sockets.values().find(is)
    }

    fn udp(&self, fd: i32) -> Option<&Udp> {
        self.group(fd)?.first().map(|udp| &**udp)
    }
}

impl View for Asked<'_> {
    fn socket(&self) -> Socket {
        self.socket
    }

    fn descriptor(&self, fd: i32, tunnel: TunnelId) -> Descriptor {
        let Some(udp) = self.udp(fd) else {
            let described = sys::duplicate(fd).map(|fd| udp::describe(fd.as_fd()));
            return match described.unwrap_or(Descriptor::Bad) {
                // A UDP socket that the driver was never given: it does not read that.
                Descriptor::Plain => Descriptor::Bad,
                other => other,
            };
        };
        let tunnels = &self.registry.tunnels;
        let serves = |known: &Known| known.tunnel.udp_slot == udp.slot;
        if tunnels.get(&tunnel.get()).is_some_and(serves) {
            Descriptor::ThisTunnel
        } else if tunnels.values().any(serves) {
            Descriptor::OtherTunnel
        } else {
            Descriptor::Plain
        }
    }

    fn tunnel(&self, tunnel: TunnelId) -> Option<rules::Tunnel> {
        self.facts().tunnel(tunnel)
    }

    fn has_session(&self, tunnel: TunnelId, session: SessionId) -> bool {
        self.facts().has_session(tunnel, session)
    }
}

fn refuse(call: &str) -> Error {
    Error::new(Errno::OpNotSupp, format!("a PPPoL2TP socket has no {call}: it is connected, used and closed"))
}

/// Writes an answer to the caller's memory.
fn put(memory: Option<&mut [u8]>, at: usize, bytes: &[u8], fault: Errno) -> Result<()> {
    let field = memory.and_then(|memory| memory.get_mut(at..at + bytes.len())).ok_or(fault)?;
    field.copy_from_slice(bytes);
    Ok(())
}

/// The number in the caller's memory that a request looks at.
fn number(request: u32, memory: &[u8]) -> Option<i32> {
    let at = match request {
        rules::SIOCSIFMTU if memory.len() >= IFREQ => IFR_MTU,
        rules::PPPIOCGL2TPSTATS if memory.len() >= IOC_STATS_LEN => {
            return memory[2..].first_chunk().map(|id| u16::from_ne_bytes(*id).into());
        }
        rules::SIOCSIFMTU | rules::PPPIOCGL2TPSTATS => return None,
        _ => 0,
    };
    memory[at..].first_chunk().map(|value| i32::from_ne_bytes(*value))
}

impl PppoxSocket {
    fn state(&self) -> Socket {
        let (target, alive) = match &self.connected {
            None => return Socket::New,
            Some(Connected::Management(socket)) => (Target::Management, socket.is_alive()),
            Some(Connected::Session(session)) => (Target::Session, session.socket.is_alive()),
        };
        if alive { Socket::Connected(target) } else { Socket::Dead(target) }
    }

    fn control(&self, message: impl std::fmt::Display) {
        match &self.connected {
            None => {}
            Some(Connected::Management(socket)) => {
                self.core.control(socket.tunnel.mask(), &*socket.tunnel, message);
            }
            Some(Connected::Session(Session { socket, .. })) => {
                self.core.control(socket.session.mask(), &*socket.session, message);
            }
        }
    }

    /// `connect`, with a `struct sockaddr_pppol2tp` or `sockaddr_pppol2tpin6`.
    ///
    /// The address in it is the peer's, unless the UDP socket is connected: then that one's peer counts.
    /// The descriptor is that of a UDP socket that the driver was [given](crate::Driver::attach).
    pub fn connect(&mut self, address: &[u8]) -> Result<()> {
        self.try_connect(address).inspect_err(|error| self.core.connect_failed("socket", error))
    }

    fn try_connect(&mut self, address: &[u8]) -> Result<()> {
        let SockAddr { peer, request, .. } = SockAddr::decode(address)?;
        let core = self.core.clone();
        let registry = core.registry();
        let asked = Asked { socket: self.state(), registry: &registry };
        let connected = match rules::connect(&request, &asked)? {
            Accepted::Management { tunnel, peer_tunnel, .. } => {
                let group = asked.group(request.fd).ok_or(Errno::BadF)?.clone();
                let connected = asked.udp(request.fd).and_then(|udp| udp.connected);
                let known = registry.tunnels.get(&tunnel.get()).map(|known| known.tunnel.peer);
                drop(registry);
                let config = TunnelConfig {
                    tunnel_id: tunnel.get(),
                    peer_tunnel_id: peer_tunnel,
                    peer: known.or(connected).unwrap_or(peer),
                    local: None,
                    accept_zero_id: false,
                };
                Connected::Management(tunnel::Socket::connect(core, &group, config)?)
            }
            Accepted::Session { tunnel, session, peer_tunnel, peer_session } => {
                drop(registry);
                let ids = SessionIds {
                    tunnel_id: tunnel.get(),
                    session_id: session.get(),
                    peer_tunnel_id: peer_tunnel,
                    peer_session_id: peer_session.get(),
                };
                let socket = session::Socket::connect(core, ids)?;
                Connected::Session(Session { socket, channel: None, mtu: MTU, mru: MTU, flags: 0 })
            }
        };
        self.connected = Some(connected);
        Ok(())
    }

    /// `setsockopt`.
    pub fn setsockopt(&self, level: i32, optname: i32, optval: Option<&[u8]>) -> Result<()> {
        let len = optval.map_or(size_of::<i32>(), <[u8]>::len);
        let value = optval.and_then(|value| value.first_chunk().copied());
        let len = i32::try_from(len).unwrap_or(i32::MAX);
        let (option, value) = rules::set_option(self.state(), level, optname, len, value)?;
        match &self.connected {
            Some(Connected::Management(socket)) => socket.set(option, value),
            Some(Connected::Session(session)) => session.socket.set(option, value),
            None => Err(Errno::NotConn.into()),
        }
    }

    /// `getsockopt`: how many bytes were written.
    pub fn getsockopt(&self, level: i32, optname: i32, optval: Option<&mut [u8]>) -> Result<usize> {
        let len = optval.as_ref().map(|value| i32::try_from(value.len()).unwrap_or(i32::MAX));
        let (option, len) = rules::get_option(self.state(), level, optname, len)?;
        let value = match &self.connected {
            Some(Connected::Management(socket)) => socket.get(option)?,
            Some(Connected::Session(session)) => session.socket.get(option)?,
            None => return Err(Errno::NotConn.into()),
        };
        put(optval, 0, &value.to_ne_bytes()[..len], Errno::Fault)?;
        Ok(len)
    }

    /// `ioctl`, with what the pointer leads to: an `int`, a `struct ifreq` or a `struct
    /// pppol2tp_ioc_stats`. Whether IPsec is in use cannot be known here: it is told as no.
    pub fn ioctl(&mut self, request: u32, memory: Option<&mut [u8]>) -> Result<()> {
        self.control(format_args!("ioctl {request:#x}"));
        let argument = memory.as_deref().and_then(|memory| number(request, memory));
        let has_session = |id: SessionId| match &self.connected {
            Some(Connected::Management(socket)) => {
                let registry = self.core.registry();
                registry
                    .tunnels
                    .get(&socket.tunnel.id)
                    .is_some_and(|known| known.sessions.contains_key(&id.get()))
            }
            _ => false,
        };
        let action = rules::ioctl(self.state(), request, argument, has_session)?;
        let session = match &mut self.connected {
            Some(Connected::Session(session)) => session,
            Some(Connected::Management(socket)) => {
                let id = if let Action::StatsOf(id) = action { Some(id.get()) } else { None };
                let stats = socket.stats(id)?;
                let block = stats::ioc_stats(socket.tunnel.id, id.unwrap_or(0), false, &stats);
                return put(memory, 0, &block, action.fault());
            }
            None => return Err(Errno::NotConn.into()),
        };
        let fault = action.fault();
        match action {
            Action::Channel => {
                let channel = session.index();
                put(memory, 0, &channel.to_ne_bytes(), fault)?;
                session.channel = Some(channel);
            }
            Action::GetMtu => put(memory, IFR_MTU, &session.mtu.to_ne_bytes(), fault)?,
            Action::SetMtu(mtu) => session.mtu = mtu,
            Action::GetMru => put(memory, 0, &session.mru.to_ne_bytes(), fault)?,
            Action::SetMru(mru) => session.mru = mru,
            Action::GetFlags => put(memory, 0, &session.flags.to_ne_bytes(), fault)?,
            Action::SetFlags(flags) => session.flags = flags,
            Action::Stats | Action::TunnelStats | Action::StatsOf(_) => {
                let ids = session.socket.ids();
                let stats = session.socket.stats()?;
                put(memory, 0, &stats::ioc_stats(ids.tunnel_id, ids.session_id, false, &stats), fault)?;
            }
        }
        self.control(format_args!("{action:?}"));
        Ok(())
    }

    /// `getsockname`: the tunnel's descriptor and peer, and the ids.
    pub fn getsockname(&self) -> Result<Vec<u8>> {
        self.state().target()?;
        let (tunnel, s_session, d_session) = match &self.connected {
            Some(Connected::Management(socket)) => (&socket.tunnel, 0, 0),
            Some(Connected::Session(Session { socket, .. })) => {
                let SessionIds { session_id, peer_session_id, .. } = socket.session.ids;
                (&socket.session.tunnel, session_id, peer_session_id)
            }
            None => return Err(Errno::NotConn.into()),
        };
        let d_tunnel = tunnel.peer_id.load(Relaxed);
        let fd = tunnel.udp(0).map_or(-1, |udp| udp.socket.as_raw_fd());
        let request = Connect { fd, s_tunnel: tunnel.id, s_session, d_tunnel, d_session };
        let pid = std::process::id() as i32;
        let mut bytes = [0; rules::SOCKADDR_IN6_LEN];
        let len = SockAddr { pid, peer: tunnel.peer, request }.encode(&mut bytes);
        Ok(bytes[..len].to_vec())
    }

    /// `getpeername`: the same as [`getsockname`](Self::getsockname).
    pub fn getpeername(&self) -> Result<Vec<u8>> {
        self.getsockname()
    }

    /// `sendmsg` of a PPP frame, which starts with its protocol: how many bytes.
    pub fn sendmsg(&self, frame: &[u8]) -> Result<usize> {
        self.state().may_send()?;
        match &self.connected {
            Some(Connected::Session(session)) => session.socket.send(frame).map(|()| frame.len()),
            _ => Err(Errno::NotConn.into()),
        }
    }

    /// `recvmsg` with MSG_DONTWAIT: how many bytes, and MSG_TRUNC. [`Errno::Io`] on a bound socket.
    pub fn recvmsg(&self, buffer: &mut [u8]) -> Result<(usize, bool)> {
        let frame = match &self.connected {
            Some(Connected::Session(Session { channel: Some(_), .. })) => return Err(Errno::Io.into()),
            Some(Connected::Session(session)) => session.socket.recv(buffer)?,
            _ => None,
        };
        let len = frame.ok_or(Errno::Again)?;
        Ok((len.min(buffer.len()), len > buffer.len()))
    }

    /// `poll` with POLLIN: whether a frame waits or the session has died, before `timeout` has passed.
    pub fn poll(&self, timeout: Duration) -> Result<bool> {
        let Some(Connected::Session(session)) = &self.connected else { return Ok(false) };
        let mut fds = [PollFd::new(session.socket.poll_fd()?, PollFlags::POLLIN)];
        let timeout = PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX);
        let ready = poll(&mut fds, timeout).map_err(|error| Error::system("polling", &error.into()))?;
        Ok(ready > 0)
    }

    /// What PPPIOCATTCHAN and PPPIOCCONNECT on `/dev/ppp` do with the channel: binds a unit to it.
    pub fn unit(&mut self, config: UnitConfig) -> Result<Box<dyn Unit>> {
        match &mut self.connected {
            Some(Connected::Session(session)) => {
                session.channel = Some(session.index());
                session.socket.unit(config)
            }
            _ => Err(Errno::NotConn.into()),
        }
    }

    /// `bind`, which such a socket does not have.
    pub fn bind(&self, _address: &[u8]) -> Result<()> {
        Err(refuse("bind"))
    }

    /// `listen`, which such a socket does not have.
    pub fn listen(&self, _backlog: i32) -> Result<()> {
        Err(refuse("listen"))
    }

    /// `accept`, which such a socket does not have.
    pub fn accept(&self) -> Result<Self> {
        Err(refuse("accept"))
    }

    /// `shutdown`, which such a socket does not have.
    pub fn shutdown(&self, _how: i32) -> Result<()> {
        Err(refuse("shutdown"))
    }
}

impl Session {
    /// The index of its PPP channel.
    fn index(&self) -> u32 {
        self.socket.session.slot
    }
}
