//! One interface for many sessions.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::time::Duration;

use ol2tp::bed::Space;
use pppol2tp::user::{Config, UserDriver};
use pppol2tp::{
    Driver, Errno, Interface, Prefix, SessionIds, SessionSocket, SharedConfig, SharedInterface, TunnelConfig,
    TunnelSocket, UdpHandle, Unit, UnitConfig,
};

use crate::ends::sockets;

/// A server with sessions on one interface, and a bare peer that speaks datagrams.
struct Server {
    units: Vec<Box<dyn Unit>>,
    sessions: Vec<Box<dyn SessionSocket>>,
    shared: Box<dyn SharedInterface>,
    _tunnel: Box<dyn TunnelSocket>,
    _udp: Box<dyn UdpHandle>,
    driver: UserDriver,
    space: Space,
    peer: UdpSocket,
}

fn client(session: u16) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 80, 0, 0)) + u32::from(session))
}

fn client6(session: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfd80, 0, 0, session, 0, 0, 0, 1)
}

fn addresses(session: u16) -> Vec<Prefix> {
    vec![Prefix::host(client(session).into()), Prefix { address: client6(session).into(), len: 64 }]
}

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 80, 255, 254);

fn server(sessions: u16) -> Server {
    let space = Space::new().unwrap();
    let (socket, peer) = sockets(&space, Ipv4Addr::LOCALHOST.into());
    peer.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let make = || -> pppol2tp::Result<_> {
        let driver = UserDriver::new(Config::default())?;
        let at = socket.peer_addr().unwrap();
        let udp = driver.attach(socket)?;
        let tunnel = udp.tunnel(TunnelConfig {
            tunnel_id: 1,
            peer_tunnel_id: 9,
            peer: at,
            local: None,
            accept_zero_id: false,
        })?;
        let shared = driver.shared_interface(SharedConfig { name: "l2tp%d".into(), mtu: 1400 })?;
        shared.add_address(Prefix::host(SERVER.into()))?;
        shared.add_route(Prefix { address: Ipv4Addr::new(10, 80, 0, 0).into(), len: 16 })?;
        shared.add_route(Prefix { address: client6(0).into(), len: 32 })?;
        let (mut units, mut sockets) = (Vec::new(), Vec::new());
        for id in 1..=sessions {
            let ids = SessionIds { tunnel_id: 1, session_id: id, peer_tunnel_id: 9, peer_session_id: id };
            let session = driver.session(ids)?;
            let interface = Interface::Shared { name: shared.interface(), addresses: addresses(id) };
            units.push(session.unit(UnitConfig { interface, ..UnitConfig::default() })?);
            sockets.push(session);
        }
        Ok((driver, udp, tunnel, shared, units, sockets))
    };
    let (driver, _udp, _tunnel, shared, units, sessions) =
        space.enter(|| make().map_err(io::Error::other)).unwrap();
    Server { units, sessions, shared, _tunnel, _udp, driver, space, peer }
}

/// An IPv4 UDP packet in a data message for a session.
fn message(session: u16, source: Ipv4Addr, target: Ipv4Addr, port: u16, payload: &[u8]) -> Vec<u8> {
    let len = 28 + payload.len();
    let mut ip = vec![0x45, 0, (len >> 8) as u8, len as u8, 0, 1, 0x40, 0, 64, 17, 0, 0];
    ip.extend(source.octets());
    ip.extend(target.octets());
    let sum: u32 = ip.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    let checksum = !((sum & 0xffff) + (sum >> 16)) as u16;
    ip[10..12].copy_from_slice(&checksum.to_be_bytes());
    ip.extend([0x30, 0x39]);
    ip.extend(port.to_be_bytes());
    ip.extend(((8 + payload.len()) as u16).to_be_bytes());
    ip.extend([0, 0]);
    ip.extend(payload);
    let mut message = vec![0, 2, 0, 1];
    message.extend(session.to_be_bytes());
    message.extend([0xff, 0x03, 0x00, 0x21]);
    message.extend(ip);
    message
}

/// Session id and inner destination of what the server sent.
fn decode(message: &[u8]) -> (u16, IpAddr) {
    assert_eq!(message[..4], [0, 2, 0, 9]);
    assert_eq!(message[6..9], [0xff, 0x03, 0x00]);
    let inner = &message[10..];
    let address = match message[9] {
        0x21 => IpAddr::from(<[u8; 4]>::try_from(&inner[16..20]).unwrap()),
        0x57 => IpAddr::from(<[u8; 16]>::try_from(&inner[24..40]).unwrap()),
        other => panic!("protocol {other:#x}"),
    };
    (u16::from_be_bytes([message[4], message[5]]), address)
}

/// The next message for one of the sessions' addresses (the kernel may say things of its own).
fn next(server: &Server) -> (u16, IpAddr) {
    let mut buffer = [0; 2048];
    loop {
        let len = server.peer.recv(&mut buffer).unwrap();
        let (session, address) = decode(&buffer[..len]);
        let multicast = address.is_multicast();
        if !multicast {
            return (session, address);
        }
    }
}

#[test]
fn the_inner_destination_chooses_the_session() {
    let server = server(300);
    let sender = server.space.enter(|| UdpSocket::bind((SERVER, 0))).unwrap();
    for id in [1, 2, 255, 256, 300] {
        sender.send_to(b"hello", (client(id), 5)).unwrap();
        assert_eq!(next(&server), (id, client(id).into()));
    }
    // A framed route: every address of the session's /64.
    let other = Ipv6Addr::new(0xfd80, 0, 0, 77, 0, 0, 0, 0xbeef);
    let sender = server.space.enter(|| {
        server
            .shared
            .add_address(Prefix::host(Ipv6Addr::new(0xfd80, 0, 0xffff, 0, 0, 0, 0, 1).into()))
            .unwrap();
        UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))
    });
    sender.unwrap().send_to(b"hello", (other, 5)).unwrap();
    assert_eq!(next(&server), (77, other.into()));
}

#[test]
fn a_source_that_is_not_the_sessions_is_dropped() {
    let server = server(3);
    let receiver = server.space.enter(|| UdpSocket::bind((SERVER, 0))).unwrap();
    receiver.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let port = receiver.local_addr().unwrap().port();
    server.peer.send(&message(2, client(3), SERVER, port, b"spoofed")).unwrap();
    server.peer.send(&message(2, client(2), SERVER, port, b"honest")).unwrap();
    let mut buffer = [0; 100];
    let (len, from) = receiver.recv_from(&mut buffer).unwrap();
    assert_eq!((&buffer[..len], from.ip()), (&b"honest"[..], client(2).into()));
    let stats = server.sessions[1].stats().unwrap();
    let named = |name| stats.iter().find(|(key, _)| *key == name).unwrap().1;
    assert_eq!((named("rx_spoofed"), named("rx_errors"), named("rx_packets")), (1, 1, 2));
}

#[test]
fn an_address_belongs_to_one_session_and_is_free_again_after_it() {
    let mut server = server(2);
    let ids = SessionIds { tunnel_id: 1, session_id: 50, peer_tunnel_id: 9, peer_session_id: 50 };
    let session = server.driver.session(ids).unwrap();
    let bind = |session: &dyn SessionSocket, addresses| {
        let interface = Interface::Shared { name: server.shared.interface(), addresses };
        session.unit(UnitConfig { interface, ..UnitConfig::default() })
    };
    let error = bind(&*session, addresses(1)).map(|_| ()).unwrap_err();
    assert_eq!(error.errno(), Errno::Exist);
    // The failed try left nothing behind, and the session can be bound otherwise.
    drop(bind(&*session, addresses(50)).unwrap());
    drop(server.units.remove(0));
    let unit = bind(&*session, addresses(1)).unwrap();
    let sender = server.space.enter(|| UdpSocket::bind((SERVER, 0))).unwrap();
    sender.send_to(b"hello", (client(1), 5)).unwrap();
    assert_eq!(next(&server), (50, client(1).into()));
    assert_eq!(unit.set_up(false).unwrap_err().errno(), Errno::OpNotSupp);
}

#[test]
fn closing_the_interface_tells_its_units() {
    let server = server(3);
    drop(server.shared);
    assert!(server.units.iter().all(|unit| !unit.is_alive()));
    assert!(server.sessions.iter().all(|session| session.is_alive()));
}
