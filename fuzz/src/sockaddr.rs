//! An address, and the numbers of socket calls, through the rules.

use l2tp_data::id::{SessionId, TunnelId};
use l2tp_data::rules::{
    self, Accepted, Action, Descriptor, SOCKADDR_IN6_LEN, SOL_PPPOL2TP, SockAddr, Socket, SocketOption,
    Target, Tunnel, TunnelState, View,
};

use super::input::Input;

/// A home whose facts are bytes.
struct Facts {
    socket: Socket,
    descriptor: Descriptor,
    tunnel: Option<Tunnel>,
    has_session: bool,
    several: bool,
}

impl View for Facts {
    fn socket(&self) -> Socket {
        self.socket
    }
    fn descriptor(&self, _fd: i32, _tunnel: TunnelId) -> Descriptor {
        self.descriptor
    }
    fn tunnel(&self, _tunnel: TunnelId) -> Option<Tunnel> {
        self.tunnel
    }
    fn has_session(&self, _tunnel: TunnelId, _session: SessionId) -> bool {
        self.has_session
    }
    fn several_tunnels_per_socket(&self) -> bool {
        self.several
    }
}

const SOCKETS: [Socket; 8] = [
    Socket::New,
    Socket::Connected(Target::Management),
    Socket::Connected(Target::Session),
    Socket::Dead(Target::Management),
    Socket::Dead(Target::Session),
    Socket::Closed,
    Socket::New,
    Socket::New,
];
const DESCRIPTORS: [Descriptor; 8] = [
    Descriptor::Bad,
    Descriptor::NotSocket,
    Descriptor::NotUdp,
    Descriptor::NotInet,
    Descriptor::Foreign,
    Descriptor::ThisTunnel,
    Descriptor::OtherTunnel,
    Descriptor::Plain,
];
const STATES: [Option<TunnelState>; 4] =
    [None, Some(TunnelState::Open), Some(TunnelState::Closing), Some(TunnelState::NoSocket)];

/// The first two bytes are the facts; an address follows, which is connected to if it is one; the
/// rest are the numbers of option and ioctl calls.
pub fn sockaddr(data: &[u8]) {
    let mut input = Input(data);
    let (Some(first), Some(second)) = (input.u8(), input.u8()) else { return };
    let state = STATES[usize::from(second >> 3 & 3)];
    let facts = Facts {
        socket: SOCKETS[usize::from(first & 7)],
        descriptor: DESCRIPTORS[usize::from(first >> 3 & 7)],
        tunnel: state.map(|state| Tunnel { state, peer_tunnel: u16::from(second >> 5) }),
        has_session: first & 0x40 != 0,
        several: first & 0x80 != 0,
    };
    // The lengths of the forms and their neighbours are tried often.
    let len = match second & 7 {
        0 => 38,
        1 => 50,
        2 => 46,
        3 => 58,
        other => usize::from(other) * 12,
    };
    let bytes = input.bytes(len);
    if let Ok(address) = SockAddr::decode(bytes) {
        assert!(matches!(bytes.len(), 38 | 50));
        let mut out = [0; SOCKADDR_IN6_LEN];
        let written = address.encode(&mut out);
        assert_eq!((written, SockAddr::decode(&out[..written])), (bytes.len(), Ok(address)));
        connect(&address, &facts);
    }
    while calls(facts.socket, &mut input).is_some() {}
}

fn connect(address: &SockAddr, facts: &Facts) {
    let request = &address.request;
    match rules::connect(request, facts) {
        Err(_) => {}
        Ok(Accepted::Management { tunnel, existing, peer_tunnel }) => {
            assert_eq!((tunnel.get(), request.s_session, request.d_session), (request.s_tunnel, 0, 0));
            assert_eq!(existing, facts.descriptor == Descriptor::ThisTunnel);
            assert!(peer_tunnel == request.d_tunnel || existing);
            assert_eq!(facts.socket, Socket::New);
        }
        Ok(Accepted::Session { tunnel, session, peer_tunnel, peer_session }) => {
            let ids = (tunnel.get(), session.get(), peer_session.get());
            assert_eq!(ids, (request.s_tunnel, request.s_session, request.d_session));
            let known = facts.tunnel.expect("a session's tunnel is there");
            let peer = if known.peer_tunnel == 0 { request.d_tunnel } else { known.peer_tunnel };
            assert_eq!(peer_tunnel, peer);
            assert!(known.state == TunnelState::Open && !facts.has_session && facts.socket == Socket::New);
        }
    }
}

fn calls(socket: Socket, input: &mut Input<'_>) -> Option<()> {
    let (level, optname, value) = (input.u8()?, i32::from(input.u8()? as i8), input.i32()?);
    let level = if level & 1 == 0 { SOL_PPPOL2TP } else { i32::from(level) };
    let optval = (value % 7 != 0).then(|| value.to_ne_bytes());
    if let Ok((option, set)) = rules::set_option(socket, level, optname, value % 9, optval) {
        assert_eq!((level, option as i32, set), (SOL_PPPOL2TP, optname, value));
        assert!(option == SocketOption::Debug || socket == Socket::Connected(Target::Session));
        assert!(option == SocketOption::Debug || set >= 0);
        assert!(matches!(option, SocketOption::Debug | SocketOption::ReorderTo) || set <= 1);
    }
    if let Ok((option, len)) = rules::get_option(socket, level, optname, optval.map(|_| value)) {
        assert!(value >= 0 && len <= 4 && option as i32 == optname);
    }
    let request = match optname & 15 {
        0 => rules::PPPIOCGL2TPSTATS,
        1 => rules::PPPIOCGCHAN,
        2 => rules::PPPIOCGMRU,
        3 => rules::PPPIOCSMRU,
        4 => rules::SIOCGIFMTU,
        5 => rules::SIOCSIFMTU,
        6 => rules::PPPIOCGFLAGS,
        7 => rules::PPPIOCSFLAGS,
        _ => value as u32,
    };
    let management = socket == Socket::Connected(Target::Management);
    match rules::ioctl(socket, request, optval.map(|_| value), |id| id.get() % 2 == 0) {
        Err(_) => {}
        Ok(Action::StatsOf(session)) => assert!(management && session.get() % 2 == 0),
        Ok(Action::TunnelStats) => assert!(management),
        Ok(_) => assert_eq!(socket, Socket::Connected(Target::Session)),
    }
    Some(())
}
