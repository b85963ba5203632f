//! What a row is made of, and the driver with everything around it on which it runs.
//!
//! ```text
//!   PEER ─┐                      ┌─ A ─┐            ┌─ M   management socket of tunnel 1
//!   OTHER ┴── loopback, raw ─────┤  B  ├── driver ──┤
//!             datagrams          └─ …  ┘            └─ S   session 10 of tunnel 1, and others
//! ```

use std::fs::File;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use nix::sys::socket::setsockopt;
use nix::{setsockopt_impl, sockopt_impl};
use pppol2tp::data::rules::{
    AF_PPPOX, Connect, PPPIOCGCHAN, PPPIOCGL2TPSTATS, PX_PROTO_OL2TP, SOCKADDR_IN6_LEN, SOL_PPPOL2TP,
    SockAddr,
};
use pppol2tp::data::stats::IOC_STATS_LEN;
use pppol2tp::user::{Config, Mode, PppoxSocket, UserDriver};
use pppol2tp::{Driver, Errno, Reason, SocketOption, UdpHandle};

use crate::common::{PATIENCE, in_netns, message, receive, udp};

/// PPPoX sockets of a row.
pub(crate) const M: usize = 0;
pub(crate) const S: usize = 1;
pub(crate) const M2: usize = 2;
pub(crate) const S2: usize = 3;
pub(crate) const X: usize = 4;

/// UDP sockets that the driver has: two of IPv4, one of IPv6, one of IPv4 that is connected to PEER.
pub(crate) const A: usize = 0;
pub(crate) const B: usize = 1;
pub(crate) const V6: usize = 2;
pub(crate) const CONNECTED: usize = 3;

/// Raw UDP sockets at the other end.
pub(crate) const PEER: usize = 0;
pub(crate) const OTHER: usize = 1;
pub(crate) const PEER6: usize = 2;

/// What a descriptor in a `sockaddr` stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fd {
    /// A UDP socket that the driver has.
    Udp(usize),
    Negative,
    NotOpen,
    File,
    Tcp,
    Unix,
    /// A UDP socket with UDP_ENCAP set.
    Encapsulating,
    /// A UDP socket that the driver was not given.
    Stranger,
}

/// A `sockaddr`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Address {
    fd: Fd,
    ids: [u16; 4],
    peer: usize,
    family: u16,
    protocol: u32,
    len: Option<usize>,
}

/// A management socket's: local and peer's tunnel id.
pub(crate) fn tunnel(local: u16, peer: u16) -> Address {
    let ids = [local, 0, peer, 0];
    Address { fd: Fd::Udp(A), ids, peer: PEER, family: AF_PPPOX, protocol: PX_PROTO_OL2TP, len: None }
}

/// A session's: local and peer's tunnel id, local and peer's session id.
pub(crate) fn session(local_tunnel: u16, peer_tunnel: u16, local: u16, peer: u16) -> Address {
    Address { fd: Fd::Negative, ids: [local_tunnel, local, peer_tunnel, peer], ..tunnel(0, 0) }
}

impl Address {
    pub(crate) fn fd(self, fd: Fd) -> Self {
        Self { fd, ..self }
    }
    pub(crate) fn udp(self, udp: usize) -> Self {
        self.fd(Fd::Udp(udp))
    }
    pub(crate) fn peer(self, peer: usize) -> Self {
        Self { peer, ..self }
    }
    pub(crate) fn family(self, family: u16) -> Self {
        Self { family, ..self }
    }
    pub(crate) fn protocol(self, protocol: u32) -> Self {
        Self { protocol, ..self }
    }
    /// Cut, or lengthened by zeros.
    pub(crate) fn len(self, len: usize) -> Self {
        Self { len: Some(len), ..self }
    }
}

/// A system call on a PPPoX socket.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    Connect(usize, Address),
    Set(usize, i32, i32, Option<Vec<u8>>),
    Get(usize, i32, i32, Option<usize>),
    Ioctl(usize, u32, Option<Vec<u8>>),
    SockName(usize),
    PeerName(usize),
    Send(usize, Vec<u8>),
    Recv(usize, usize),
    Bind(usize),
    Listen(usize),
    Accept(usize),
    Shutdown(usize),
}

/// What a call gives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Value {
    Nothing,
    Number(usize),
    Bytes(Vec<u8>),
    /// A frame, and MSG_TRUNC.
    Frame(Vec<u8>, bool),
    Name(Address),
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Call(Call, Result<Value, Errno>),
    /// PPPIOCGCHAN gives an index, the same each time and to no other socket.
    Channel(usize),
    /// Closes a PPPoX socket.
    Close(usize),
    /// Drops a UDP handle.
    CloseUdp(usize),
    /// A datagram of a raw socket to a UDP socket.
    Datagram(usize, usize, Vec<u8>),
    /// The next datagram that a raw socket receives.
    Wire(usize, Vec<u8>),
    /// Frames are there, but only so long after the datagrams since the last step of another kind.
    Timer(usize, Duration),
    /// The socket polls readable, or not.
    Readable(usize, bool),
    /// What a UDP handle passed up since this was asked last, control messages first here.
    PassedUp(usize, Vec<(Reason, Vec<u8>)>),
    /// PPPIOCGL2TPSTATS with this session id in the struct: the ids in the answer, and the fields
    /// that are not 0.
    Stats(usize, u16, [u16; 2], Vec<(&'static str, u64)>),
    /// The counters of a session that are not 0.
    Counted(u16, Vec<(&'static str, u64)>),
    /// The counters of a UDP socket that are not 0.
    UdpCounted(usize, Vec<(&'static str, u64)>),
    /// The tunnel's count of messages from others than its peer.
    Foreign(u16, u64),
    /// Tunnel ids with their references, and session ids that are there.
    There(Vec<(u16, usize)>, Vec<(u16, u16)>),
}

impl Call {
    pub(crate) fn ok(self) -> Step {
        Step::Call(self, Ok(Value::Nothing))
    }
    pub(crate) fn gives(self, value: Value) -> Step {
        Step::Call(self, Ok(value))
    }
    pub(crate) fn fails(self, errno: Errno) -> Step {
        Step::Call(self, Err(errno))
    }
    /// Gives an `int`.
    pub(crate) fn int(self, value: i32) -> Step {
        self.gives(Value::Bytes(value.to_ne_bytes().to_vec()))
    }
}

pub(crate) fn connect(socket: usize, address: Address) -> Call {
    Call::Connect(socket, address)
}
pub(crate) fn set(socket: usize, option: SocketOption, value: i32) -> Call {
    set_raw(socket, SOL_PPPOL2TP, option as i32, Some(&value.to_ne_bytes()))
}
pub(crate) fn set_raw(socket: usize, level: i32, option: i32, value: Option<&[u8]>) -> Call {
    Call::Set(socket, level, option, value.map(<[u8]>::to_vec))
}
pub(crate) fn get(socket: usize, option: SocketOption) -> Call {
    get_raw(socket, SOL_PPPOL2TP, option as i32, Some(4))
}
pub(crate) fn get_raw(socket: usize, level: i32, option: i32, room: Option<usize>) -> Call {
    Call::Get(socket, level, option, room)
}
/// An ioctl whose argument is an `int`.
pub(crate) fn ioctl(socket: usize, request: u32, value: i32) -> Call {
    ioctl_raw(socket, request, Some(&value.to_ne_bytes()))
}
pub(crate) fn ioctl_raw(socket: usize, request: u32, memory: Option<&[u8]>) -> Call {
    Call::Ioctl(socket, request, memory.map(<[u8]>::to_vec))
}
pub(crate) fn send(socket: usize, frame: &[u8]) -> Call {
    Call::Send(socket, frame.to_vec())
}
pub(crate) fn recv(socket: usize) -> Call {
    Call::Recv(socket, 65536)
}
/// The next frame is this.
pub(crate) fn received(socket: usize, frame: &[u8]) -> Step {
    recv(socket).gives(Value::Frame(frame.to_vec(), false))
}
/// From PEER to A.
pub(crate) fn arrives(datagram: Vec<u8>) -> Step {
    Step::Datagram(PEER, A, datagram)
}
/// PEER receives it.
pub(crate) fn wire(datagram: Vec<u8>) -> Step {
    Step::Wire(PEER, datagram)
}
/// A passed it up.
pub(crate) fn passed_up<const N: usize>(datagrams: [(Reason, Vec<u8>); N]) -> Step {
    Step::PassedUp(A, datagrams.into())
}
/// Counters of S, by PPPIOCGL2TPSTATS.
pub(crate) fn stats<const N: usize>(fields: [(&'static str, u64); N]) -> Step {
    Step::Stats(S, 0, [1, 10], fields.into())
}
/// Counters of session 10, all of them.
pub(crate) fn counted<const N: usize>(counters: [(&'static str, u64); N]) -> Step {
    Step::Counted(10, counters.into())
}

/// Nothing is there yet.
pub(crate) const NOTHING: fn() -> Vec<Step> = Vec::new;
/// M is tunnel 1's; the peer calls it 2.
pub(crate) const TUNNEL: fn() -> Vec<Step> = || vec![connect(M, tunnel(1, 2)).ok()];
/// And S is session 10's of it; the peer calls it 20.
pub(crate) const SESSION: fn() -> Vec<Step> =
    || vec![connect(M, tunnel(1, 2)).ok(), connect(S, session(1, 2, 10, 20)).ok()];

/// An LCP echo request.
pub(crate) const FRAME: &[u8] = &[0xc0, 0x21, 9, 1, 0, 8, 1, 2, 3, 4];
/// The same behind FF 03.
pub(crate) const HDLC: &[u8] = &[0xff, 3, 0xc0, 0x21, 9, 1, 0, 8, 1, 2, 3, 4];

/// Runs a row, with and without offloads.
pub(crate) fn run(section: &str, from: fn() -> Vec<Step>, steps: &[Step]) {
    for mode in [Mode::OFFLOAD, Mode::PLAIN] {
        let mut world = World::new(mode);
        for (number, step) in from().iter().chain(steps).enumerate() {
            world.step(step).unwrap_or_else(|problem| {
                panic!("§{section}, mode {}, step {number}, {step:?}:\n{problem}", mode.name())
            });
        }
    }
}

sockopt_impl!(
    /// The encapsulation that a UDP socket serves.
    UdpEncap,
    SetOnly,
    libc::SOL_UDP,
    libc::UDP_ENCAP,
    i32
);
/// `UDP_ENCAP_L2TPINUDP`.
const L2TPINUDP: i32 = 3;

/// The same in a network namespace of its own.
pub(crate) fn run_in_netns(section: &str, from: fn() -> Vec<Step>, steps: &[Step]) {
    in_netns(|| run(section, from, steps));
}

struct Udp {
    handle: Option<Box<dyn UdpHandle>>,
    address: SocketAddr,
    fd: i32,
    passed_up: Vec<(Reason, Vec<u8>)>,
}

struct World {
    driver: UserDriver,
    sockets: Vec<Option<PppoxSocket>>,
    channels: Vec<(usize, i32)>,
    udp: Vec<Option<Udp>>,
    raw: [Option<UdpSocket>; 3],
    /// Raw sockets that sent to UDP sockets, and whether the driver has taken it.
    sent: Vec<(usize, usize)>,
    since: Instant,
    markers: u16,
    /// Descriptors that addresses name.
    open: Vec<OwnedFd>,
}

fn equal<T: PartialEq + std::fmt::Debug>(is: &T, expected: &T) -> Result<(), String> {
    if is == expected { Ok(()) } else { Err(format!("      is {is:x?}\nexpected {expected:x?}")) }
}

impl World {
    fn new(mode: Mode) -> Self {
        Self {
            driver: UserDriver::new(Config { mode, ..Config::default() }).expect("a driver"),
            sockets: Vec::new(),
            channels: Vec::new(),
            udp: Vec::new(),
            raw: [const { None }; 3],
            sent: Vec::new(),
            since: Instant::now(),
            markers: 0,
            open: Vec::new(),
        }
    }

    fn socket(&mut self, at: usize) -> &mut PppoxSocket {
        self.sockets.resize_with(self.sockets.len().max(at + 1), || None);
        self.sockets[at].get_or_insert_with(|| self.driver.socket())
    }

    fn raw(&mut self, at: usize) -> &UdpSocket {
        self.raw[at].get_or_insert_with(|| udp(if at == PEER6 { "[::1]:0" } else { "127.0.0.1:0" }))
    }

    fn udp(&mut self, at: usize) -> &mut Udp {
        if self.udp.get(at).is_none_or(Option::is_none) {
            let socket = udp(if at == V6 { "[::1]:0" } else { "127.0.0.1:0" });
            if at == CONNECTED {
                let peer = self.raw(PEER).local_addr().expect("its address");
                socket.connect(peer).expect("connected");
            }
            let (fd, address) = (socket.as_raw_fd(), socket.local_addr().expect("its address"));
            let handle = Some(self.driver.attach(socket).expect("attached"));
            self.udp.resize_with(self.udp.len().max(at + 1), || None);
            self.udp[at] = Some(Udp { handle, address, fd, passed_up: Vec::new() });
        }
        self.udp[at].as_mut().expect("made just now")
    }

    fn fd(&mut self, fd: Fd) -> i32 {
        let opened: OwnedFd = match fd {
            Fd::Udp(at) => return self.udp(at).fd,
            Fd::Negative => return -1,
            Fd::NotOpen => return i32::MAX,
            Fd::File => File::open("/dev/null").expect("/dev/null").into(),
            Fd::Tcp => TcpListener::bind("127.0.0.1:0").expect("a TCP socket").into(),
            Fd::Unix => UnixDatagram::unbound().expect("a Unix socket").into(),
            Fd::Encapsulating => {
                let socket = udp("127.0.0.1:0");
                setsockopt(&socket, UdpEncap, &L2TPINUDP).expect("UDP_ENCAP");
                socket.into()
            }
            Fd::Stranger => udp("127.0.0.1:0").into(),
        };
        self.open.push(opened);
        self.open[self.open.len() - 1].as_raw_fd()
    }

    fn encode(&mut self, address: Address) -> Vec<u8> {
        let Address { fd, ids: [s_tunnel, s_session, d_tunnel, d_session], .. } = address;
        let fd = self.fd(fd);
        let peer = self.raw(address.peer).local_addr().expect("its address");
        let request = Connect { fd, s_tunnel, s_session, d_tunnel, d_session };
        let mut bytes = [0; SOCKADDR_IN6_LEN];
        let len = SockAddr { pid: std::process::id() as i32, peer, request }.encode(&mut bytes);
        bytes[0..2].copy_from_slice(&address.family.to_ne_bytes());
        bytes[2..6].copy_from_slice(&address.protocol.to_ne_bytes());
        let mut bytes = bytes[..len].to_vec();
        bytes.resize(address.len.unwrap_or(len), 0);
        bytes
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Datagram(from, to, datagram) => {
                let (to, address) = (*to, self.udp(*to).address);
                if self.sent.is_empty() {
                    self.since = Instant::now();
                }
                self.raw(*from).send_to(datagram, address).map_err(|error| error.to_string())?;
                if !self.sent.contains(&(*from, to)) {
                    self.sent.push((*from, to));
                }
                return Ok(());
            }
            Step::Wire(at, datagram) => return equal(&receive(self.raw(*at))?, datagram),
            _ => self.settle()?,
        }
        match step {
            Step::Call(call, expected) => self.expect(call, expected),
            Step::Channel(at) => {
                let index = self.channel(*at)?;
                let taken = self.channels.iter().any(|(other, known)| (other == at) != (*known == index));
                self.channels.push((*at, index));
                if taken { Err(format!("index {index}: {:?}", self.channels)) } else { Ok(()) }
            }
            Step::Close(at) => {
                self.sockets[*at] = None;
                Ok(())
            }
            Step::CloseUdp(at) => {
                self.udp[*at].as_mut().map(|udp| udp.handle.take()).ok_or("there is none")?;
                Ok(())
            }
            Step::Timer(at, timer) => {
                let ready = self.socket(*at).poll(PATIENCE).map_err(|error| error.to_string())?;
                let waited = self.since.elapsed();
                self.sync();
                if ready && waited >= *timer { Ok(()) } else { Err(format!("{ready} after {waited:?}")) }
            }
            Step::Readable(at, expected) => {
                let readable = self.socket(*at).poll(Duration::ZERO).map_err(|error| error.to_string())?;
                equal(&readable, expected)
            }
            Step::PassedUp(at, expected) => {
                let mut passed_up = std::mem::take(&mut self.udp(*at).passed_up);
                passed_up.sort_by_key(|(reason, _)| *reason != Reason::Control);
                equal(&passed_up, expected)
            }
            Step::Stats(at, session, ids, fields) => {
                self.sync();
                let mut memory = [0; IOC_STATS_LEN];
                // The struct's tunnel id is not looked at.
                memory[..2].copy_from_slice(&[0xee; 2]);
                memory[2..4].copy_from_slice(&session.to_ne_bytes());
                let call = Call::Ioctl(*at, PPPIOCGL2TPSTATS, Some(memory.to_vec()));
                let Value::Bytes(block) = self.call(&call).map_err(|errno| errno.to_string())? else {
                    return Err("no block".into());
                };
                equal(&[0, 2].map(|at| u16::from_ne_bytes([block[at], block[at + 1]])), ids)?;
                let values = block[8..]
                    .chunks_exact(8)
                    .map(|value| value.iter().rev().fold(0, |n, &b| n << 8 | u64::from(b)));
                equal(&FIELDS.into_iter().zip(values).filter(|(_, value)| *value != 0).collect(), fields)
            }
            Step::Counted(session, expected) => {
                self.sync();
                let snapshot = self.driver.snapshot();
                let found = snapshot.sessions.iter().find(|info| info.ids.session_id == *session);
                let counters = found.ok_or("no such session")?.stats.iter();
                equal(&counters.filter(|(_, value)| *value != 0).collect(), expected)
            }
            Step::UdpCounted(at, expected) => {
                let address = self.udp(*at).address;
                let snapshot = self.driver.snapshot();
                let found = snapshot.sockets.iter().find(|info| info.local == address);
                let counters = found.ok_or("no such socket")?.counters.iter();
                equal(&counters.filter(|(_, value)| *value != 0).copied().collect(), expected)
            }
            Step::Foreign(tunnel, expected) => {
                let snapshot = self.driver.snapshot();
                let found = snapshot.tunnels.iter().find(|info| info.tunnel_id == *tunnel);
                equal(&found.ok_or("no such tunnel")?.rx_foreign, expected)
            }
            Step::There(tunnels, sessions) => {
                let snapshot = self.driver.snapshot();
                equal(
                    &snapshot.tunnels.iter().map(|info| (info.tunnel_id, info.references)).collect(),
                    tunnels,
                )?;
                let ids = snapshot.sessions.iter().map(|info| (info.ids.tunnel_id, info.ids.session_id));
                equal(&ids.collect(), sessions)
            }
            Step::Datagram(..) | Step::Wire(..) => Ok(()),
        }
    }

    /// Waits until the driver has dealt with every datagram so far: a control message behind them is
    /// passed up.
    fn settle(&mut self) -> Result<(), String> {
        for (from, to) in std::mem::take(&mut self.sent) {
            self.markers += 1;
            let marker = message(&[0xc802, 12, 0, 0, self.markers, 0xffff], &[]);
            let address = self.udp(to).address;
            self.raw(from).send_to(&marker, address).map_err(|error| error.to_string())?;
            let Udp { handle: Some(handle), passed_up, .. } = self.udp(to) else { continue };
            let mut found = false;
            while let Some(next) = if found { handle.recv() } else { handle.recv_timeout(PATIENCE) } {
                if next.datagram == marker {
                    found = true;
                } else {
                    passed_up.push((next.reason, next.datagram));
                }
            }
            if !found {
                return Err("the driver does not pass up control messages any more".into());
            }
        }
        Ok(())
    }

    /// Waits until both of the driver's threads have finished what they are at, counting included: they
    /// have run a later command.
    fn sync(&self) {
        self.driver.snapshot();
    }

    fn expect(&mut self, call: &Call, expected: &Result<Value, Errno>) -> Result<(), String> {
        let is = self.call(call);
        let expected = match expected {
            Ok(Value::Name(address)) => Ok(Value::Bytes(self.encode(*address))),
            other => other.clone(),
        };
        equal(&is, &expected)
    }

    fn call(&mut self, call: &Call) -> Result<Value, Errno> {
        let nothing = |()| Value::Nothing;
        let result = match call {
            Call::Connect(at, address) => {
                let address = self.encode(*address);
                self.socket(*at).connect(&address).map(nothing)
            }
            Call::Set(at, level, option, value) => {
                self.socket(*at).setsockopt(*level, *option, value.as_deref()).map(nothing)
            }
            Call::Get(at, level, option, room) => {
                let mut memory = room.map(|room| vec![0; room]);
                let len = self.socket(*at).getsockopt(*level, *option, memory.as_deref_mut());
                len.map(|len| Value::Bytes(memory.unwrap_or_default()[..len].to_vec()))
            }
            Call::Ioctl(at, request, memory) => {
                let mut memory = memory.clone();
                let done = self.socket(*at).ioctl(*request, memory.as_deref_mut());
                done.map(|()| Value::Bytes(memory.unwrap_or_default()))
            }
            Call::SockName(at) => self.socket(*at).getsockname().map(Value::Bytes),
            Call::PeerName(at) => self.socket(*at).getpeername().map(Value::Bytes),
            Call::Send(at, frame) => self.socket(*at).sendmsg(frame).map(Value::Number),
            Call::Recv(at, room) => {
                let mut buffer = vec![0; *room];
                let received = self.socket(*at).recvmsg(&mut buffer);
                received.map(|(len, truncated)| Value::Frame(buffer[..len].to_vec(), truncated))
            }
            Call::Bind(at) => self.socket(*at).bind(&[]).map(nothing),
            Call::Listen(at) => self.socket(*at).listen(1).map(nothing),
            Call::Accept(at) => self.socket(*at).accept().map(|_| Value::Nothing),
            Call::Shutdown(at) => self.socket(*at).shutdown(0).map(nothing),
        };
        result.map_err(|error| error.errno())
    }

    fn channel(&mut self, at: usize) -> Result<i32, String> {
        match self.call(&ioctl(at, PPPIOCGCHAN, -1)) {
            Ok(Value::Bytes(index)) => match index.first_chunk().map(|index| i32::from_ne_bytes(*index)) {
                Some(index) if index >= 0 => Ok(index),
                other => Err(format!("index {other:?}")),
            },
            other => Err(format!("{other:?}")),
        }
    }
}

/// The counters of `struct pppol2tp_ioc_stats`.
const FIELDS: [&str; 8] = [
    "tx_packets",
    "tx_bytes",
    "tx_errors",
    "rx_packets",
    "rx_bytes",
    "rx_seq_discards",
    "rx_oos_packets",
    "rx_errors",
];

/// A session's `sockaddr` with these ids, for what does not run on a [`World`].
pub(crate) fn raw_session(ids: &[u16; 4], peer: SocketAddr) -> Vec<u8> {
    let [s_tunnel, s_session, d_tunnel, d_session] = *ids;
    let request = Connect { fd: -1, s_tunnel, s_session, d_tunnel, d_session };
    let mut bytes = [0; SOCKADDR_IN6_LEN];
    let len = SockAddr { pid: 0, peer, request }.encode(&mut bytes);
    bytes[..len].to_vec()
}
