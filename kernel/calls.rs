//! The calls of the socket interface: `connect`, names, options, ioctls, and what may be sent.

use core::ffi::c_void;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use core::slice;

use crate::id::{SessionId, TunnelId};
use crate::rules::{
    self, Accepted, Action, Connect, Descriptor, Errno, SOCKADDR_IN6_LEN, SockAddr, Socket, Target, Tunnel,
    TunnelState, View,
};

unsafe extern "C" {
    fn glue_descriptor(view: *const c_void, fd: i32, tunnel: u16) -> u32;
    fn glue_tunnel(view: *const c_void, tunnel: u16, peer_tunnel: *mut u16) -> bool;
    fn glue_has_session(view: *const c_void, tunnel: u16, session: u16) -> bool;
}

/// An address: `struct ol2tp_address`.
#[repr(C)]
#[derive(Clone, Copy)]
#[cfg_attr(test, derive(Default))]
pub struct Address {
    /// In network order; the first four of an IPv4 address.
    ip: [u8; 16],
    port: u16,
    ipv6: bool,
    flow: u32,
    scope: u32,
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        let (flow, scope) = match address {
            SocketAddr::V6(address) => (address.flowinfo(), address.scope_id()),
            SocketAddr::V4(_) => (0, 0),
        };
        let mut ip = [0; 16];
        match address.ip() {
            IpAddr::V4(v4) => ip[..4].copy_from_slice(&v4.octets()),
            IpAddr::V6(v6) => ip = v6.octets(),
        }
        Self { ip, port: address.port(), ipv6: address.is_ipv6(), flow, scope }
    }
}

impl From<&Address> for SocketAddr {
    fn from(address: &Address) -> Self {
        if address.ipv6 {
            SocketAddrV6::new(Ipv6Addr::from(address.ip), address.port, address.flow, address.scope).into()
        } else {
            let [a, b, c, d, ..] = address.ip;
            (Ipv4Addr::new(a, b, c, d), address.port).into()
        }
    }
}

/// A `connect` that the rules allow: `struct ol2tp_connect`.
#[repr(C)]
#[cfg_attr(test, derive(Default))]
pub struct Request {
    pub(crate) peer: Address,
    pub(crate) fd: i32,
    pub(crate) tunnel: u16,
    /// 0: a management socket.
    pub(crate) session: u16,
    pub(crate) peer_tunnel: u16,
    pub(crate) peer_session: u16,
    pub(crate) existing: bool,
}

/// A socket's state, by `enum ol2tp_socket`.
fn socket(state: u32) -> Socket {
    match state {
        0 => Socket::New,
        1 => Socket::Connected(Target::Management),
        2 => Socket::Connected(Target::Session),
        3 => Socket::Dead(Target::Management),
        4 => Socket::Dead(Target::Session),
        _ => Socket::Closed,
    }
}

fn code<T>(result: Result<T, Errno>) -> i32 {
    result.err().map_or(0, |errno| -(errno as i32))
}

/// The socket that connects, and what the C side knows.
struct Here {
    view: *const c_void,
    socket: Socket,
}

impl View for Here {
    fn socket(&self) -> Socket {
        self.socket
    }

    fn descriptor(&self, fd: i32, tunnel: TunnelId) -> Descriptor {
        // SAFETY: the view is the C side's own.
        match unsafe { glue_descriptor(self.view, fd, tunnel.get()) } {
            0 => Descriptor::Bad,
            1 => Descriptor::NotSocket,
            2 => Descriptor::NotUdp,
            3 => Descriptor::NotInet,
            4 => Descriptor::Foreign,
            5 => Descriptor::ThisTunnel,
            6 => Descriptor::OtherTunnel,
            _ => Descriptor::Plain,
        }
    }

    fn tunnel(&self, tunnel: TunnelId) -> Option<Tunnel> {
        let mut peer_tunnel = 0;
        // SAFETY: as above.
        let there = unsafe { glue_tunnel(self.view, tunnel.get(), &raw mut peer_tunnel) };
        there.then_some(Tunnel { state: TunnelState::Open, peer_tunnel })
    }

    fn has_session(&self, tunnel: TunnelId, session: SessionId) -> bool {
        // SAFETY: as above.
        unsafe { glue_has_session(self.view, tunnel.get(), session.get()) }
    }
}

/// Decides on a `connect`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ol2tp_connect(
    view: *const c_void,
    state: u32,
    address: *const u8,
    len: u32,
    out: *mut Request,
) -> i32 {
    // SAFETY: the caller's.
    let (address, out) = unsafe { (slice::from_raw_parts(address, len as usize), &mut *out) };
    let here = Here { view, socket: socket(state) };
    let decided = SockAddr::decode(address).and_then(|asked| {
        let accepted = rules::connect(&asked.request, &here)?;
        Ok((asked, accepted))
    });
    code(decided.map(|(asked, accepted)| {
        (out.peer, out.fd) = (asked.peer.into(), asked.request.fd);
        match accepted {
            Accepted::Management { tunnel, existing, peer_tunnel } => {
                (out.tunnel, out.existing, out.peer_tunnel) = (tunnel.get(), existing, peer_tunnel);
                (out.session, out.peer_session) = (0, 0);
            }
            Accepted::Session { tunnel, session, peer_tunnel, peer_session } => {
                (out.tunnel, out.existing, out.peer_tunnel) = (tunnel.get(), true, peer_tunnel);
                (out.session, out.peer_session) = (session.get(), peer_session.get());
            }
        }
    }))
}

/// Writes a socket's name: how many bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ol2tp_name(request: *const Request, pid: i32, out: *mut u8) -> u32 {
    // SAFETY: the caller's; `out` has room for the longest.
    let (request, out) = unsafe { (&*request, &mut *out.cast::<[u8; SOCKADDR_IN6_LEN]>()) };
    let &Request { ref peer, fd, tunnel, session, peer_tunnel, peer_session, .. } = request;
    let ids =
        Connect { fd, s_tunnel: tunnel, s_session: session, d_tunnel: peer_tunnel, d_session: peer_session };
    SockAddr { pid, peer: peer.into(), request: ids }.encode(out) as u32
}

/// Whether `sendmsg` may send.
#[unsafe(no_mangle)]
pub extern "C" fn ol2tp_may_send(state: u32) -> i32 {
    code(socket(state).may_send())
}

/// Whether options and ioctls have something to act on.
#[unsafe(no_mangle)]
pub extern "C" fn ol2tp_target(state: u32) -> i32 {
    code(socket(state).target())
}

/// Decides on a `setsockopt`: the option's number, or an error. `value` is null if it cannot be read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ol2tp_set_option(
    state: u32,
    level: i32,
    name: i32,
    len: i32,
    value: *const i32,
) -> i32 {
    // SAFETY: the caller's.
    let value = unsafe { value.as_ref() }.map(|value| value.to_ne_bytes());
    match rules::set_option(socket(state), level, name, len, value) {
        Ok((option, _)) => option as i32,
        Err(errno) => -(errno as i32),
    }
}

/// Decides on a `getsockopt`: the option's number, or an error. `len` is what there is room for, null if that
/// cannot be read, and becomes how many bytes to write.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ol2tp_get_option(state: u32, level: i32, name: i32, len: *mut i32) -> i32 {
    // SAFETY: the caller's.
    let room = unsafe { len.as_mut() };
    match rules::get_option(socket(state), level, name, room.as_deref().copied()) {
        Ok((option, bytes)) => {
            if let Some(room) = room {
                *room = bytes as i32;
            }
            option as i32
        }
        Err(errno) => -(errno as i32),
    }
}

/// Decides on an ioctl: an action, or an error. `argument` is null if it cannot be read, and becomes what the
/// action has: a value, or a session id; `fault` becomes the error of an answer that cannot be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ol2tp_ioctl(
    view: *const c_void,
    state: u32,
    tunnel: u16,
    request: u32,
    argument: *mut i32,
    fault: *mut i32,
) -> i32 {
    // SAFETY: the caller's.
    let (argument, fault) = unsafe { (argument.as_mut(), &mut *fault) };
    // SAFETY: the view is the C side's own.
    let has_session = |session: SessionId| unsafe { glue_has_session(view, tunnel, session.get()) };
    let action = match rules::ioctl(socket(state), request, argument.as_deref().copied(), has_session) {
        Ok(action) => action,
        Err(errno) => return -(errno as i32),
    };
    *fault = -(action.fault() as i32);
    let keep = |value| {
        if let Some(argument) = argument {
            *argument = value;
        }
    };
    match action {
        Action::Channel => 0,
        Action::GetMtu => 1,
        Action::SetMtu(mtu) => {
            keep(mtu);
            2
        }
        Action::GetMru => 3,
        Action::SetMru(mru) => {
            keep(mru);
            4
        }
        Action::GetFlags => 5,
        Action::SetFlags(flags) => {
            keep(flags);
            6
        }
        Action::Stats => 7,
        Action::TunnelStats => 8,
        Action::StatsOf(session) => {
            keep(session.get().into());
            9
        }
    }
}
