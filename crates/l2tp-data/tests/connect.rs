//! `connect`: every error in its order, and what is accepted.

mod common;

use l2tp_data::id::{SessionId, TunnelId};
use l2tp_data::rules::{
    self, Accepted, Connect, Descriptor, Errno, Socket, Target, Tunnel, TunnelState, View,
};

/// The facts a home would tell. Tunnel 1 is there with the peer's id 11 and session 5.
#[derive(Clone, Copy)]
struct Facts {
    socket: Socket,
    descriptor: Descriptor,
    state: TunnelState,
    peer_tunnel: u16,
    several: bool,
}

const FACTS: Facts = Facts {
    socket: Socket::New,
    descriptor: Descriptor::Plain,
    state: TunnelState::Open,
    peer_tunnel: 11,
    several: false,
};

impl View for Facts {
    fn socket(&self) -> Socket {
        self.socket
    }
    fn descriptor(&self, fd: i32, _tunnel: TunnelId) -> Descriptor {
        assert_eq!(fd, FD, "the descriptor asked for");
        self.descriptor
    }
    fn tunnel(&self, tunnel: TunnelId) -> Option<Tunnel> {
        (tunnel.get() == 1).then_some(Tunnel { state: self.state, peer_tunnel: self.peer_tunnel })
    }
    fn has_session(&self, tunnel: TunnelId, session: SessionId) -> bool {
        (tunnel.get(), session.get()) == (1, 5)
    }
    fn several_tunnels_per_socket(&self) -> bool {
        self.several
    }
}

const FD: i32 = 42;

fn ids(s_tunnel: u16, s_session: u16, d_tunnel: u16, d_session: u16) -> Connect {
    Connect { fd: FD, s_tunnel, s_session, d_tunnel, d_session }
}

fn management(tunnel: u16, existing: bool, peer_tunnel: u16) -> Result<Accepted, Errno> {
    Ok(Accepted::Management { tunnel: TunnelId::new(tunnel).unwrap(), existing, peer_tunnel })
}

fn session(session: u16, peer_tunnel: u16, peer_session: u16) -> Result<Accepted, Errno> {
    Ok(Accepted::Session {
        tunnel: TunnelId::new(1).unwrap(),
        session: SessionId::new(session).unwrap(),
        peer_tunnel,
        peer_session: SessionId::new(peer_session).unwrap(),
    })
}

fn decides(facts: Facts, request: Connect, expected: Result<Accepted, Errno>) {
    assert_eq!(rules::connect(&request, &facts), expected);
}

const CONNECTED: Facts = Facts { socket: Socket::Connected(Target::Session), ..FACTS };
const DEAD: Facts = Facts { socket: Socket::Dead(Target::Session), ..FACTS };
const SEVERAL: Facts = Facts { several: true, descriptor: Descriptor::OtherTunnel, ..FACTS };
const CLOSING: Facts = Facts { state: TunnelState::Closing, ..FACTS };
const NO_SOCKET: Facts = Facts { state: TunnelState::NoSocket, ..FACTS };

const fn fd(descriptor: Descriptor) -> Facts {
    Facts { descriptor, ..FACTS }
}

rows! { decides:
    connected_management => (CONNECTED, ids(2, 0, 0, 0), Err(Errno::Busy));
    connected_session => (CONNECTED, ids(1, 6, 11, 16), Err(Errno::Busy));
    connected_comes_before_the_ids => (CONNECTED, ids(0, 0, 0, 0), Err(Errno::Busy));
    connected_management_socket => (
        Facts { socket: Socket::Connected(Target::Management), ..FACTS }, ids(1, 6, 11, 16), Err(Errno::Busy));
    dead_session => (DEAD, ids(1, 6, 11, 16), Err(Errno::Already));
    dead_comes_before_the_ids => (DEAD, ids(0, 0, 0, 0), Err(Errno::Already));
    dead_management => (
        Facts { socket: Socket::Dead(Target::Management), ..FACTS }, ids(2, 0, 0, 0), Err(Errno::Already));
    closed => (Facts { socket: Socket::Closed, ..FACTS }, ids(2, 0, 0, 0), Err(Errno::BadF));
    zero_tunnel_management => (FACTS, ids(0, 0, 0, 0), Err(Errno::Inval));
    zero_tunnel_session => (FACTS, ids(0, 6, 11, 16), Err(Errno::Inval));
    zero_tunnel_comes_before_the_descriptor => (fd(Descriptor::Bad), ids(0, 0, 0, 0), Err(Errno::Inval));
    only_local_session_zero => (FACTS, ids(1, 0, 11, 16), Err(Errno::Inval));
    only_peer_session_zero => (FACTS, ids(1, 6, 11, 0), Err(Errno::Inval));
    one_zero_comes_before_the_tunnel => (FACTS, ids(9, 6, 11, 0), Err(Errno::Inval));

    bad_descriptor => (fd(Descriptor::Bad), ids(2, 0, 0, 0), Err(Errno::BadF));
    no_socket => (fd(Descriptor::NotSocket), ids(2, 0, 0, 0), Err(Errno::NotSock));
    no_udp_socket => (fd(Descriptor::NotUdp), ids(2, 0, 0, 0), Err(Errno::ProtoNoSupport));
    no_inet_socket => (fd(Descriptor::NotInet), ids(2, 0, 0, 0), Err(Errno::AfNoSupport));
    foreign_encapsulation => (fd(Descriptor::Foreign), ids(2, 0, 0, 0), Err(Errno::Busy));
    foreign_comes_before_the_id => (fd(Descriptor::Foreign), ids(1, 0, 0, 0), Err(Errno::Busy));
    socket_of_another_id => (fd(Descriptor::OtherTunnel), ids(2, 0, 0, 0), Err(Errno::Inval));
    socket_of_another_id_comes_before_the_id => (
        fd(Descriptor::OtherTunnel), ids(1, 0, 0, 0), Err(Errno::Inval));
    closing_management => (CLOSING, ids(1, 0, 0, 0), Err(Errno::NoDev));
    closing_on_its_own_socket => (
        Facts { descriptor: Descriptor::ThisTunnel, ..CLOSING }, ids(1, 0, 0, 0), Err(Errno::NoDev));
    id_of_another_socket => (FACTS, ids(1, 0, 0, 0), Err(Errno::Exist));
    id_of_a_lost_socket => (NO_SOCKET, ids(1, 0, 77, 0), management(1, false, 77));
    new_tunnel => (FACTS, ids(2, 0, 0, 0), management(2, false, 0));
    new_tunnel_with_peer => (FACTS, ids(2, 0, 22, 0), management(2, false, 22));
    largest_id => (FACTS, ids(65535, 0, 65535, 0), management(65535, false, 65535));
    same_socket_and_id => (fd(Descriptor::ThisTunnel), ids(1, 0, 0, 0), management(1, true, 11));
    same_socket_keeps_the_peer => (fd(Descriptor::ThisTunnel), ids(1, 0, 99, 0), management(1, true, 11));
    same_socket_learns_the_peer => (
        Facts { peer_tunnel: 0, ..fd(Descriptor::ThisTunnel) }, ids(1, 0, 99, 0), management(1, true, 99));
    several_another_id => (SEVERAL, ids(2, 0, 22, 0), management(2, false, 22));
    several_id_of_another_socket => (SEVERAL, ids(1, 0, 0, 0), Err(Errno::Exist));
    several_same_id => (
        Facts { descriptor: Descriptor::ThisTunnel, ..SEVERAL }, ids(1, 0, 0, 0), management(1, true, 11));

    no_tunnel => (FACTS, ids(2, 6, 11, 16), Err(Errno::NoEnt));
    session_taken => (FACTS, ids(1, 5, 11, 16), Err(Errno::Exist));
    session_taken_comes_before_the_lost_socket => (NO_SOCKET, ids(1, 5, 11, 16), Err(Errno::Exist));
    session_taken_comes_before_closing => (CLOSING, ids(1, 5, 11, 16), Err(Errno::Exist));
    lost_socket => (NO_SOCKET, ids(1, 6, 11, 16), Err(Errno::BadF));
    closing => (CLOSING, ids(1, 6, 11, 16), Err(Errno::NoDev));
    session_ok => (FACTS, ids(1, 6, 11, 16), session(6, 11, 16));
    session_takes_the_tunnels_peer => (FACTS, ids(1, 6, 0, 16), session(6, 11, 16));
    session_keeps_the_tunnels_peer => (FACTS, ids(1, 6, 12, 16), session(6, 11, 16));
    session_brings_the_peer => (Facts { peer_tunnel: 0, ..FACTS }, ids(1, 6, 12, 16), session(6, 12, 16));
    session_without_any_peer => (Facts { peer_tunnel: 0, ..FACTS }, ids(1, 6, 0, 16), session(6, 0, 16));
    session_ignores_the_descriptor => (fd(Descriptor::Bad), ids(1, 6, 11, 16), session(6, 11, 16));
}
