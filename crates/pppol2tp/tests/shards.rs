//! A driver with two shards: both carry tunnels, and each session's frames stay whole and in order, while others come
//! and go and halves move from shard to shard. Needs root and /dev/net/tun.
//!
//! ```text
//!   peers 127.0.0.10, .11, … ── one UDP address ── tunnel 1, 2, … ─┬─ session 1 ── "pool", which all share
//!                                                                  └─ session 2 ── an interface of its own
//! ```

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use common::{PATIENCE, in_netns, ipv4, message, receive, tunnel_to, udp};
use pppol2tp::data::stats::{Rx, Tx};
use pppol2tp::user::{Config, Mode, UserDriver};
use pppol2tp::{
    Driver, Interface, Prefix, SessionIds, SessionSocket, SharedConfig, SharedInterface, SocketOption,
    TunnelSocket, UdpHandle, Unit, UnitConfig,
};

const PEERS: u8 = 12;
/// Frames on their way at once: they have room in any queue.
const WINDOW: u32 = 32;
const ROUNDS: u32 = 20;
const PORT: u16 = 5000;
/// Sessions of a tunnel.
const POOLED: u16 = 1;
const OWN: u16 = 2;
const PASSING: u16 = 3;

/// A peer's tunnel and its sessions.
struct Peer {
    number: u8,
    socket: UdpSocket,
    _tunnel: Box<dyn TunnelSocket>,
    _sessions: [Box<dyn SessionSocket>; 2],
    _units: [Box<dyn Unit>; 2],
}

/// The inner addresses of a peer's sessions, and ours on the interfaces.
fn theirs(session: u16, number: u8) -> Ipv4Addr {
    if session == POOLED { Ipv4Addr::new(10, 9, 0, number) } else { Ipv4Addr::new(10, 8, number, 2) }
}

fn ours(session: u16, number: u8) -> Ipv4Addr {
    if session == POOLED { Ipv4Addr::new(10, 9, 255, 1) } else { Ipv4Addr::new(10, 8, number, 1) }
}

fn ids(tunnel_id: u16, session_id: u16) -> SessionIds {
    SessionIds { tunnel_id, session_id, peer_tunnel_id: tunnel_id + 1, peer_session_id: session_id }
}

/// Bytes of a datagram that tell whose they are, and the which of them it is.
fn payload(number: u8, session: u16, count: u32) -> Vec<u8> {
    let mut bytes = [&[number, session as u8][..], &count.to_be_bytes()].concat();
    bytes.extend((0..200 + count % 700).map(|n| (n ^ count) as u8 ^ number));
    bytes
}

impl Peer {
    fn new(number: u8, driver: &UserDriver, handle: &dyn UdpHandle, shared: &dyn SharedInterface) -> Self {
        let socket = udp(&format!("127.0.0.{number}:0"));
        let tunnel_id = number.into();
        let tunnel = handle.tunnel(tunnel_to(socket.local_addr().unwrap(), tunnel_id)).unwrap();
        let sessions = [POOLED, OWN].map(|id| driver.session(ids(tunnel_id, id)).unwrap());
        let pooled = vec![Prefix::host(theirs(POOLED, number).into())];
        let interfaces = [
            Interface::Shared { name: shared.interface(), addresses: pooled },
            Interface::Own { name: "ppp%d".into() },
        ];
        let mut interfaces = interfaces.into_iter();
        let units = sessions.each_ref().map(|session| {
            session
                .unit(UnitConfig { interface: interfaces.next().unwrap(), ..UnitConfig::default() })
                .unwrap()
        });
        units[1].set_up(true).unwrap();
        let inner = [ours(OWN, number), theirs(OWN, number)];
        units[1].add_address(Prefix::host(inner[0].into()), Some(inner[1].into())).unwrap();
        Self { number, socket, _tunnel: tunnel, _sessions: sessions, _units: units }
    }

    /// Sends a packet into the tunnel.
    fn sends(&self, to: SocketAddr, session: u16, count: u32) {
        let from = SocketAddrV4::new(theirs(session, self.number), PORT);
        let target = SocketAddrV4::new(ours(session, self.number), PORT);
        let packet = ipv4(from, target, &payload(self.number, session, count));
        let frame = [&[0xff, 3, 0, 0x21][..], &packet].concat();
        self.socket.send_to(&message(&[2, self.number.into(), session], &frame), to).unwrap();
    }

    /// The next packet that comes out of the tunnel for a session of ours: which one, and what it carries.
    fn receives(&self) -> (u16, Vec<u8>) {
        loop {
            let datagram = receive(&self.socket).unwrap();
            let word = |at: usize| u16::from_be_bytes([datagram[at], datagram[at + 1]]);
            assert_eq!((word(0), word(2)), (2, u16::from(self.number) + 1));
            // IPv6 speaks of itself on an interface that is up; a session that comes and goes is no concern here.
            if word(4) != PASSING && datagram[6..10] == [0xff, 3, 0, 0x21] {
                return (word(4), datagram[10 + 28..].into());
            }
        }
    }
}

/// What the threads of the driver have read and written, by their names.
fn traffic() -> BTreeMap<String, [u64; 2]> {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    let of = |task: fs::DirEntry| {
        let name = fs::read_to_string(task.path().join("comm")).ok()?.trim().to_owned();
        let counts = fs::read_to_string(task.path().join("io")).ok()?;
        let count = |key: &str| counts.lines().find_map(|line| line.strip_prefix(key)?.trim().parse().ok());
        name.starts_with("ol2tp-").then_some(())?;
        Some((name, [count("rchar:")?, count("wchar:")?]))
    };
    tasks.filter_map(of).collect()
}

/// The threads that have read, or else written, at least so many bytes since.
fn busy(before: &BTreeMap<String, [u64; 2]>, wrote: bool, bytes: u64) -> Vec<String> {
    let side = usize::from(wrote);
    let grown = |(name, now): &(String, [u64; 2])| now[side] - before[name][side] >= bytes;
    traffic().into_iter().filter(grown).map(|(name, _)| name).collect()
}

/// Packets of all peers and sessions, out of the tunnels and into them: a window of each, then the next.
fn both_ways(peers: &[Peer], to: SocketAddr, inner: &UdpSocket, rounds: u32) {
    let mut received: BTreeMap<_, u32> = BTreeMap::new();
    for round in 0..rounds {
        for count in (0..WINDOW).map(|n| round * WINDOW + n) {
            for peer in peers {
                [POOLED, OWN].iter().for_each(|session| peer.sends(to, *session, count));
            }
            for _ in 0..2 * peers.len() {
                let bytes = receive(inner).unwrap();
                let of = (bytes[0], u16::from(bytes[1]));
                let expected = received.entry(of).or_default();
                assert_eq!(bytes, payload(of.0, of.1, *expected), "the next one of {of:?}");
                *expected += 1;
            }
        }
        for count in 0..WINDOW {
            for peer in peers {
                for session in [POOLED, OWN] {
                    let to = SocketAddr::from((theirs(session, peer.number), PORT));
                    inner.send_to(&payload(peer.number, session, count), to).unwrap();
                }
            }
        }
        for peer in peers {
            let mut counts = BTreeMap::from([(POOLED, 0), (OWN, 0)]);
            for _ in 0..2 * WINDOW {
                let (session, bytes) = peer.receives();
                let count = counts.get_mut(&session).unwrap();
                assert_eq!(bytes, payload(peer.number, session, *count), "the next one of {session}");
                *count += 1;
            }
        }
    }
    assert!(received.len() == 2 * peers.len() && received.values().all(|count| *count == rounds * WINDOW));
}

/// Sessions that come, get an interface and go, in every tunnel, until told to stop: how many there were.
fn come_and_go(driver: &UserDriver, shared: &dyn SharedInterface, stop: &AtomicBool) -> u32 {
    let mut gone = 0;
    while !stop.load(Relaxed) || gone == 0 {
        for number in 0..PEERS {
            let session = driver.session(ids((10 + number).into(), PASSING)).unwrap();
            let interface = if gone % 2 == 0 {
                Interface::Own { name: "ppp%d".into() }
            } else {
                let addresses = vec![Prefix::host(Ipv4Addr::new(10, 9, 1, number).into())];
                Interface::Shared { name: shared.interface(), addresses }
            };
            drop(session.unit(UnitConfig { interface, ..UnitConfig::default() }).unwrap());
            session.flush().unwrap();
        }
        gone += 1;
    }
    gone
}

/// Frames that a caller sends while the transmit half moves come in order, and so do their numbers.
fn moves(driver: &UserDriver, peers: &[Peer], shared: &dyn SharedInterface) {
    const FRAMES: u16 = 100;
    for peer in peers {
        let session = driver.session(ids(peer.number.into(), PASSING)).unwrap();
        session.set(SocketOption::SendSeq, 1).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                for count in 0..FRAMES {
                    session.send(&[&[0xc0, 0x21][..], &count.to_be_bytes()].concat()).unwrap();
                }
            });
            for round in 0..6 {
                let own = Interface::Own { name: "ppp%d".into() };
                let addresses = vec![Prefix::host(Ipv4Addr::new(10, 9, 2, 1).into())];
                let shared = Interface::Shared { name: shared.interface(), addresses };
                let interface = if round % 2 == 0 { shared } else { own };
                drop(session.unit(UnitConfig { interface, ..UnitConfig::default() }).unwrap());
            }
        });
        session.flush().unwrap();
        for count in 0..FRAMES {
            let datagram = loop {
                let datagram = receive(&peer.socket).unwrap();
                if datagram.ends_with(&count.to_be_bytes()) && datagram[4..6] == PASSING.to_be_bytes() {
                    break datagram;
                }
                assert_ne!(
                    datagram[10..].get(..4),
                    Some(&[0xff, 3, 0xc0, 0x21][..]),
                    "frame {count} is next"
                );
            };
            assert_eq!(datagram[6..8], count.to_be_bytes(), "Ns");
        }
        assert_eq!(session.stats().unwrap().tx(Tx::Packets), u64::from(FRAMES));
    }
}

#[test]
fn netns_both_shards_carry_and_nothing_is_lost_or_out_of_order() {
    in_netns(|| {
        // What an interface is given is written, and counted so.
        let mode = Mode::by_name("no-ring").unwrap();
        let driver = UserDriver::new(Config { mode, shards: 2, ..Config::default() }).unwrap();
        let handle = driver.attach(udp("0.0.0.0:1701")).unwrap();
        let to = SocketAddr::from(([127, 0, 0, 1], 1701));
        let shared = driver.shared_interface(SharedConfig { name: "pool".into(), mtu: 1400 }).unwrap();
        shared.add_address(Prefix { address: ours(POOLED, 0).into(), len: 16 }).unwrap();
        let peers: Vec<_> = (0..PEERS).map(|n| Peer::new(10 + n, &driver, &*handle, &*shared)).collect();
        let inner = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT)).unwrap();
        inner.set_read_timeout(Some(PATIENCE)).unwrap();

        // Each peer alone: one shard receives all of it, and sends what comes from the interface of its own.
        let bytes: u64 = (0..WINDOW).map(|count| payload(0, 0, count).len() as u64).sum();
        let mut carriers = BTreeMap::new();
        for peer in &peers {
            driver.snapshot();
            let before = traffic();
            assert_eq!(before.len(), 4, "{before:?}");
            for count in 0..WINDOW {
                peer.sends(to, OWN, count);
                assert_eq!(receive(&inner).unwrap(), payload(peer.number, OWN, count));
            }
            driver.snapshot();
            let up = busy(&before, true, bytes);
            let before = traffic();
            for count in 0..WINDOW {
                inner.send_to(&payload(peer.number, OWN, count), (theirs(OWN, peer.number), PORT)).unwrap();
                assert_eq!(peer.receives(), (OWN, payload(peer.number, OWN, count)));
            }
            driver.snapshot();
            let down = busy(&before, false, bytes);
            assert!(up == ["ol2tp-up-0"] || up == ["ol2tp-up-1"], "{up:?}");
            assert_eq!(down, [up[0].replace("up", "down")]);
            *carriers.entry(up).or_insert(0) += 1;
        }
        assert!(carriers.len() == 2 && carriers.values().all(|peers| *peers > 1), "{carriers:?}");

        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let others = scope.spawn(|| come_and_go(&driver, &*shared, &stop));
            let traffic = scope.spawn(|| both_ways(&peers, to, &inner, ROUNDS)).join();
            stop.store(true, Relaxed);
            assert!(others.join().unwrap() > 0);
            traffic.unwrap();
        });
        moves(&driver, &peers, &*shared);

        let snapshot = driver.snapshot();
        let socket = &snapshot.sockets[0];
        assert_eq!((snapshot.sockets.len(), snapshot.tunnels.len()), (1, PEERS.into()));
        assert!(socket.counters.iter().all(|(_, value)| *value == 0), "{:?}", socket.counters);
        // Both sessions of each, alone and together.
        let received: u64 = snapshot.sessions.iter().map(|session| session.stats.rx(Rx::Packets)).sum();
        assert_eq!(received, u64::from(PEERS) * u64::from(WINDOW * (2 * ROUNDS + 1)));
    });
}
