//! A home of the driver with everything around it on which a row runs.
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
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::socket::setsockopt;
use nix::{setsockopt_impl, sockopt_impl};
use pppol2tp::data::rules::{Connect, PPPIOCGCHAN, PPPIOCGL2TPSTATS, SOCKADDR_IN6_LEN, SockAddr};
use pppol2tp::data::stats::IOC_STATS_LEN;
use pppol2tp::user::Mode;
use pppol2tp::{Errno, Reason};

use crate::common::{PATIENCE, in_netns, message, receive, udp};
use crate::home::{self, Home, Linux, PppoxSocket, User};
use crate::step::*;

/// Runs a row in the home that is asked for: in `user` with and without offloads, in `linux` in a network
/// namespace of its own.
pub(crate) fn run(section: &str, from: fn() -> Vec<Step>, steps: &[Step]) {
    if home::is_linux() {
        in_netns(|| run_on("linux", Linux, section, from, steps));
    } else {
        for mode in [Mode::OFFLOAD, Mode::PLAIN] {
            run_on(mode.name(), User::new(mode), section, from, steps);
        }
    }
}

/// The same in a network namespace in any home.
pub(crate) fn run_in_netns(section: &str, from: fn() -> Vec<Step>, steps: &[Step]) {
    in_netns(|| run(section, from, steps));
}

fn run_on(name: &str, home: impl Home + 'static, section: &str, from: fn() -> Vec<Step>, steps: &[Step]) {
    let mut world = World::new(home);
    for (number, step) in from().iter().chain(steps).enumerate() {
        world.step(step).unwrap_or_else(|problem| {
            panic!("§{section}, {name}, step {number}, {step:?}:\n{problem}");
        });
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

struct Udp {
    handle: Option<Box<dyn home::Udp>>,
    address: SocketAddr,
    fd: i32,
    /// The raw socket that it is connected to.
    peer: Option<usize>,
    passed_up: Vec<(Reason, Vec<u8>)>,
}

struct World {
    home: Box<dyn Home>,
    sockets: Vec<Option<Box<dyn PppoxSocket>>>,
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

fn not_0(counters: Vec<(&'static str, u64)>) -> Vec<(&'static str, u64)> {
    counters.into_iter().filter(|(_, value)| *value != 0).collect()
}

impl World {
    fn new(home: impl Home + 'static) -> Self {
        Self {
            home: Box::new(home),
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

    fn socket(&mut self, at: usize) -> &mut dyn PppoxSocket {
        self.sockets.resize_with(self.sockets.len().max(at + 1), || None);
        &mut **self.sockets[at].get_or_insert_with(|| self.home.socket())
    }

    fn raw(&mut self, at: usize) -> &UdpSocket {
        self.raw[at].get_or_insert_with(|| udp(if at == PEER6 { "[::1]:0" } else { "127.0.0.1:0" }))
    }

    fn udp(&mut self, at: usize) -> &mut Udp {
        if self.udp.get(at).is_none_or(Option::is_none) {
            let socket = udp(if at == V6 { "[::1]:0" } else { "127.0.0.1:0" });
            let peer = (at == CONNECTED).then_some(PEER);
            if let Some(peer) = peer {
                let peer = self.raw(peer).local_addr().expect("its address");
                socket.connect(peer).expect("connected");
            }
            let (fd, address) = (socket.as_raw_fd(), socket.local_addr().expect("its address"));
            let handle = Some(self.home.attach(socket));
            self.udp.resize_with(self.udp.len().max(at + 1), || None);
            self.udp[at] = Some(Udp { handle, address, fd, peer, passed_up: Vec::new() });
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
        let len = SockAddr { pid: self.home.pid(), peer, request }.encode(&mut bytes);
        bytes[0..2].copy_from_slice(&address.family.to_ne_bytes());
        bytes[2..6].copy_from_slice(&address.protocol.to_ne_bytes());
        let mut bytes = bytes[..len].to_vec();
        bytes.resize(address.len.unwrap_or(len), 0);
        bytes
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Differs(_, instead, why) if home::differs(why) => {
                return instead.iter().try_for_each(|step| self.step(step));
            }
            Step::Differs(step, ..) => return self.step(step),
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
                let udp = self.udp[*at].as_mut().ok_or("there is none")?;
                udp.handle = None;
                // The kernel ends what the socket held afterwards, and tells nobody.
                let (fd, end) = (udp.fd.to_ne_bytes(), Instant::now() + PATIENCE);
                let lives =
                    |socket: &dyn PppoxSocket| socket.getsockname().is_ok_and(|name| name[10..14] == fd);
                while self.sockets.iter().flatten().any(|socket| lives(&**socket)) && Instant::now() < end {
                    thread::yield_now();
                }
                Ok(())
            }
            Step::Timer(at, timer) => {
                let ready = self.socket(*at).readable(PATIENCE).map_err(|errno| errno.to_string())?;
                let waited = self.since.elapsed();
                self.home.sync();
                if ready && waited >= *timer { Ok(()) } else { Err(format!("{ready} after {waited:?}")) }
            }
            Step::Late(at, step) => {
                self.socket(*at).readable(PATIENCE).map_err(|errno| errno.to_string())?;
                self.step(step)
            }
            Step::Quiet(at, time) => {
                let ready = self.socket(*at).readable(*time).map_err(|errno| errno.to_string())?;
                equal(&ready, &false)
            }
            Step::Readable(at, expected) => {
                let readable =
                    self.socket(*at).readable(Duration::ZERO).map_err(|errno| errno.to_string())?;
                equal(&readable, expected)
            }
            Step::PassedUp(at, expected) => {
                let mut passed_up = std::mem::take(&mut self.udp(*at).passed_up);
                passed_up.sort_by_key(|(reason, _)| *reason != Reason::Control);
                equal(&passed_up, expected)
            }
            Step::Stats(at, session, ids, fields) => {
                self.home.sync();
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
                equal(&not_0(FIELDS.into_iter().zip(values).collect()), fields)
            }
            Step::Counted(expected) => {
                self.home.sync();
                let counters = self.home.session(10).ok_or("no such session")?;
                equal(&not_0(counters), expected)
            }
            Step::UdpCounted(at, expected) => {
                let address = self.udp(*at).address;
                let counters = self.home.socket_counters(address).ok_or("no such socket")?;
                equal(&not_0(counters), expected)
            }
            Step::Foreign(tunnel, expected) => {
                equal(&self.home.foreign(*tunnel).ok_or("no such tunnel")?, expected)
            }
            Step::There(tunnels, sessions) => {
                equal(&self.home.tunnels(), tunnels)?;
                equal(&self.home.sessions(), sessions)
            }
            Step::Differs(..) | Step::Datagram(..) | Step::Wire(..) => Ok(()),
        }
    }

    /// Waits until the driver has dealt with every datagram so far: a control message behind them is
    /// passed up.
    fn settle(&mut self) -> Result<(), String> {
        for (from, to) in std::mem::take(&mut self.sent) {
            self.markers += 1;
            let marker = message(&[0xc802, 12, 0, 0, self.markers, 0xffff], &[]);
            let address = self.udp(to).address;
            // A connected socket hears nobody else.
            let from = self.udp(to).peer.unwrap_or(from);
            self.raw(from).send_to(&marker, address).map_err(|error| error.to_string())?;
            let Udp { handle: Some(handle), passed_up, .. } = self.udp(to) else { continue };
            let mut found = false;
            while let Some(next) = handle.recv(if found { Duration::ZERO } else { PATIENCE }) {
                if next.1 == marker {
                    found = true;
                } else {
                    passed_up.push(next);
                }
            }
            if !found {
                return Err("the driver does not pass up control messages any more".into());
            }
        }
        Ok(())
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
        match call {
            Call::Connect(at, address) => {
                self.connect_udp(*address);
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
            Call::Send(at, frame) => self.socket(*at).send(frame).map(Value::Number),
            Call::Recv(at, room) => {
                let mut buffer = vec![0; *room];
                let received = self.socket(*at).recv(&mut buffer);
                received.map(|(len, truncated)| Value::Frame(buffer[..len].to_vec(), truncated))
            }
            Call::Bind(at) => self.socket(*at).bind().map(nothing),
            Call::Listen(at) => self.socket(*at).listen().map(nothing),
            Call::Accept(at) => self.socket(*at).accept().map(nothing),
            Call::Shutdown(at) => self.socket(*at).shutdown().map(nothing),
        }
    }

    /// Connects the UDP socket of a management socket's address to the peer in it, if the home is such a one.
    fn connect_udp(&mut self, address: Address) {
        let Address { fd: Fd::Udp(at), ids: [_, 0, _, 0], peer: from, .. } = address else { return };
        let peer = self.raw(from).local_addr().expect("its address");
        let udp = self.udp(at);
        if at != OPEN && udp.peer.is_none() && udp.handle.as_ref().is_some_and(|handle| handle.connect(peer))
        {
            udp.peer = Some(from);
        }
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

/// A session's `sockaddr` with these ids, for what does not run on a [`World`].
pub(crate) fn raw_session(ids: &[u16; 4], peer: SocketAddr) -> Vec<u8> {
    let [s_tunnel, s_session, d_tunnel, d_session] = *ids;
    let request = Connect { fd: -1, s_tunnel, s_session, d_tunnel, d_session };
    let mut bytes = [0; SOCKADDR_IN6_LEN];
    let len = SockAddr { pid: 0, peer, request }.encode(&mut bytes);
    bytes[..len].to_vec()
}
