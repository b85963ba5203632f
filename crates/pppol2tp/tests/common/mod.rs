//! What the driver's tests share.
#![allow(dead_code, unreachable_pub)]

use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::panic::resume_unwind;
use std::thread;
use std::time::Duration;

use nix::net::if_::if_nametoindex;
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, sendto, socket,
};
use pppol2tp::netlink::Netlink;
use pppol2tp::user::{Config, Fast, FastPath, UserDriver};
use pppol2tp::{Driver, PassedUp, SessionIds, SessionSocket, TunnelConfig, TunnelSocket, UdpHandle};

/// How long a test waits for what has to come.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// The driver as it comes, with as many shards as OL2TP_SHARDS says, and with its fast path if OL2TP_FAST is set.
///
/// # Panics
/// If the former is set and no number, or there is no fast path.
pub fn config() -> Config {
    let shards =
        std::env::var("OL2TP_SHARDS").map_or(1, |shards| shards.parse().expect("OL2TP_SHARDS: a number"));
    let fast = if fast() { Fast::On } else { Fast::Off };
    Config { shards, fast: FastPath::open(fast, 64).expect("the fast path"), ..Config::default() }
}

fn fast() -> bool {
    std::env::var_os("OL2TP_FAST").is_some()
}

/// Runs a test in a network namespace of its own, whose loopback interface is up.
pub fn in_netns<R: Send>(test: impl FnOnce() -> R + Send) -> R {
    let body = || {
        unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace (needs root)");
        let lo = if_nametoindex("lo").expect("a loopback interface");
        Netlink::open().expect("rtnetlink").set_up(lo, true).expect("lo up");
        test()
    };
    thread::scope(|scope| scope.spawn(body).join().unwrap_or_else(|panic| resume_unwind(panic)))
}

/// A UDP socket that waits no longer than [`PATIENCE`].
pub fn udp(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind(address).unwrap_or_else(|error| panic!("{address}: {error}"));
    socket.set_read_timeout(Some(PATIENCE)).expect("a read timeout");
    socket
}

/// The next datagram of a socket.
pub fn receive(socket: &UdpSocket) -> Result<Vec<u8>, String> {
    let mut buffer = vec![0; 65536];
    let len = socket.recv(&mut buffer).map_err(|error| format!("nothing was sent: {error}"))?;
    buffer.truncate(len);
    Ok(buffer)
}

/// What a peer receives next, but for what IPv6 says of itself on an interface that is up.
pub fn wire(peer: &UdpSocket) -> Vec<u8> {
    loop {
        let datagram = receive(peer).expect("a datagram");
        if !datagram.windows(4).any(|bytes| bytes == [0xff, 3, 0, 0x57]) {
            return datagram;
        }
    }
}

/// A message: a header of 16-bit words in network order, and what stands behind it.
pub fn message(header: &[u16], payload: &[u8]) -> Vec<u8> {
    let header = header.iter().flat_map(|word| word.to_be_bytes());
    header.chain(payload.iter().copied()).collect()
}

/// A driver with a tunnel and a session on it, and the peer's raw socket.
///
/// ```text
///   peer ── loopback ── handle ── tunnel 1 (the peer's: 2) ── session 10 (the peer's: 20)
/// ```
pub struct Bed<D: ?Sized = UserDriver> {
    pub session: Box<dyn SessionSocket>,
    pub tunnel: Box<dyn TunnelSocket>,
    pub handle: Box<dyn UdpHandle>,
    pub peer: UdpSocket,
    pub driver: Box<D>,
}

pub const IDS: SessionIds =
    SessionIds { tunnel_id: 1, session_id: 10, peer_tunnel_id: 2, peer_session_id: 20 };

/// What makes a tunnel with this peer; the peer's id is one more.
pub fn tunnel_to(peer: SocketAddr, tunnel_id: u16) -> TunnelConfig {
    TunnelConfig { tunnel_id, peer_tunnel_id: tunnel_id + 1, peer, local: None, accept_zero_id: false }
}

impl Bed {
    pub fn new(config: Config) -> Self {
        Self::on(udp("127.0.0.1:0"), udp("127.0.0.1:0"), config, IDS)
    }

    /// On this UDP socket, with this peer.
    pub fn on(socket: UdpSocket, peer: UdpSocket, config: Config, ids: SessionIds) -> Self {
        Self::of(Box::new(UserDriver::new(config).expect("a driver")), socket, peer, ids)
    }
}

impl<D: Driver + ?Sized> Bed<D> {
    /// Of this driver.
    pub fn of(driver: Box<D>, socket: UdpSocket, peer: UdpSocket, ids: SessionIds) -> Self {
        let handle = driver.attach(socket).expect("attached");
        let tunnel = tunnel_to(peer.local_addr().expect("its address"), ids.tunnel_id);
        let tunnel = TunnelConfig { peer_tunnel_id: ids.peer_tunnel_id, ..tunnel };
        let tunnel = handle.tunnel(tunnel).expect("a tunnel");
        let session = driver.session(ids).expect("a session");
        Self { session, tunnel, handle, peer, driver }
    }

    /// The peer sends a data message of the session.
    pub fn arrives(&self, payload: &[u8]) {
        let SessionIds { tunnel_id, session_id, .. } = self.session.ids();
        self.sends(&message(&[2, tunnel_id, session_id], payload));
    }

    /// The peer sends this.
    pub fn sends(&self, datagram: &[u8]) {
        let to = self.handle.local_addr().expect("its address");
        self.peer.send_to(datagram, to).expect("sent");
    }

    /// Waits until both of the driver's threads have dealt with all there was: what is passed up.
    pub fn settle(&self) -> Vec<PassedUp> {
        let passed_up = settle(&*self.handle, &self.peer);
        self.driver.snapshot();
        passed_up
    }

    /// The session's counters that are not 0.
    pub fn counters(&self) -> Vec<(&'static str, u64)> {
        self.settle();
        let stats = self.session.stats().expect("statistics");
        stats.iter().filter(|(_, value)| *value != 0).collect()
    }
}

/// Waits until a UDP handle has passed up all that was sent to it from here: what it was.
pub fn settle(handle: &dyn UdpHandle, peer: &UdpSocket) -> Vec<PassedUp> {
    const MARKER: &[u8] = &[0xc8, 2, 0, 12, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff];
    peer.send_to(MARKER, handle.local_addr().expect("its address")).expect("sent");
    let mut passed_up = Vec::new();
    loop {
        let next = handle.recv_timeout(PATIENCE).expect("control messages are passed up");
        if next.datagram == MARKER {
            passed_up.extend(std::iter::from_fn(|| handle.recv()));
            return passed_up;
        }
        passed_up.push(next);
    }
}

/// An IPv4 packet with a UDP datagram from and to these addresses, without a UDP checksum.
pub fn ipv4(from: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) -> Vec<u8> {
    let udp_len = 8 + payload.len() as u16;
    let [from_ip, to_ip] = [from, to].map(|address| address.ip().to_bits());
    let word = |ip: u32, at: u32| (ip >> (16 - 16 * at)) as u16;
    let mut header = [
        0x4500,
        20 + udp_len,
        0,
        0,
        0x4011,
        0,
        word(from_ip, 0),
        word(from_ip, 1),
        word(to_ip, 0),
        word(to_ip, 1),
    ];
    let sum: u32 = header.iter().map(|&word| u32::from(word)).sum();
    header[5] = !((sum & 0xffff) + (sum >> 16)) as u16;
    let udp = message(&[from.port(), to.port(), udp_len, 0], payload);
    message(&header, &udp)
}

/// Says that a message of ours to this address was too large for its path.
pub fn too_big<D: Driver + ?Sized>(bed: &Bed<D>, to: SocketAddr) {
    let ours = bed.handle.local_addr().expect("its address");
    let (SocketAddr::V4(ours), SocketAddr::V4(to)) = (ours, to) else { panic!("IPv4") };
    let lost = ipv4(ours, to, &[0; 1000]);
    let words = |sum: u16| message(&[0x0304, sum, 0, 600], &lost[..28]);
    let sum: u32 = words(0).chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1])).sum();
    let packet = words(!((sum & 0xffff) + (sum >> 16)) as u16);
    let (raw, icmp) = (SockType::Raw, SockProtocol::Icmp);
    let raw = socket(AddressFamily::Inet, raw, SockFlag::SOCK_CLOEXEC, icmp).expect("a raw socket");
    let ours = SockaddrIn::from(SocketAddrV4::new(*ours.ip(), 0));
    sendto(raw.as_raw_fd(), &packet, &ours, MsgFlags::empty()).expect("sent");
    bed.settle();
}
