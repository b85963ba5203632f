//! What a row is made of: steps, and what they expect.

use std::time::Duration;

use pppol2tp::data::rules::{AF_PPPOX, PX_PROTO_OL2TP, SOL_PPPOL2TP};
use pppol2tp::{Errno, Reason, SocketOption};

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
/// Of IPv4, and not connected in home `linux` either.
pub(crate) const OPEN: usize = 4;

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
    pub(crate) fd: Fd,
    pub(crate) ids: [u16; 4],
    pub(crate) peer: usize,
    pub(crate) family: u16,
    pub(crate) protocol: u32,
    pub(crate) len: Option<usize>,
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
    /// The same, once the socket is readable: what a timer lets out comes one by one, and whoever waits is woken by the first.
    Late(usize, Box<Step>),
    /// Nothing becomes readable for so long.
    Quiet(usize, Duration),
    /// The socket polls readable, or not.
    Readable(usize, bool),
    /// What a UDP handle passed up since this was asked last, control messages first here.
    PassedUp(usize, Vec<(Reason, Vec<u8>)>),
    /// PPPIOCGL2TPSTATS with this session id in the struct: the ids in the answer, and the fields
    /// that are not 0.
    Stats(usize, u16, [u16; 2], Vec<(&'static str, u64)>),
    /// The counters of session 10 that are not 0.
    Counted(Vec<(&'static str, u64)>),
    /// The counters of a UDP socket that are not 0.
    UdpCounted(usize, Vec<(&'static str, u64)>),
    /// The tunnel's count of messages from others than its peer.
    Foreign(u16, u64),
    /// Tunnel ids with their references, and session ids that are there.
    There(Vec<(u16, usize)>, Vec<(u16, u16)>),
    /// The first in home `user`, the others in home `linux`, and under which name `docs/driver.md` says why.
    Differs(Box<Step>, Vec<Step>, &'static str),
}

impl Step {
    /// What takes its place in home `linux`, and why.
    pub(crate) fn linux<const N: usize>(self, why: &'static str, instead: [Step; N]) -> Step {
        Step::Differs(Box::new(self), instead.into(), why)
    }
    /// The call gives something else in home `linux`.
    fn instead(self, why: &'static str, result: Result<Value, Errno>) -> Step {
        let Step::Call(call, _) = &self else { panic!("{self:?} is no call") };
        let instead = Step::Call(call.clone(), result);
        self.linux(why, [instead])
    }
    /// The call succeeds in home `linux`.
    pub(crate) fn linux_ok(self, why: &'static str) -> Step {
        self.instead(why, Ok(Value::Nothing))
    }
    /// The call gives this in home `linux`.
    pub(crate) fn linux_gives(self, why: &'static str, value: Value) -> Step {
        self.instead(why, Ok(value))
    }
    /// The call fails in home `linux`.
    pub(crate) fn linux_fails(self, why: &'static str, errno: Errno) -> Step {
        self.instead(why, Err(errno))
    }
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
/// Counters of session 10, all of them; of those, the kernel has eight.
pub(crate) fn counted<const N: usize>(counters: [(&'static str, u64); N]) -> Step {
    let fields = counters.iter().filter(|(name, _)| FIELDS.contains(name)).copied().collect();
    Step::Counted(counters.into()).linux("named drops", [Step::Stats(S, 0, [1, 10], fields)])
}
/// Messages for sessions of a tunnel from others than its peer, which the kernel does not count.
pub(crate) fn foreign(tunnel: u16, count: u64) -> Step {
    Step::Foreign(tunnel, count).linux("named drops", [])
}

/// Tunnels with their references, newest first, and sessions. The kernel goes by ids, and counts its reader.
pub(crate) fn there(tunnels: Vec<(u16, usize)>, sessions: Vec<(u16, u16)>) -> Step {
    let mut kernels: Vec<_> = tunnels.iter().map(|&(id, references)| (id, references + 1)).collect();
    let mut sorted = sessions.clone();
    kernels.sort();
    sorted.sort();
    Step::There(tunnels, sessions).linux("order and counts", [Step::There(kernels, sorted)])
}

/// Nothing is there yet.
pub(crate) const NOTHING: fn() -> Vec<Step> = Vec::new;
/// M is tunnel 1's; the peer calls it 2.
pub(crate) const TUNNEL: fn() -> Vec<Step> = || vec![connect(M, tunnel(1, 2)).ok()];
/// And S is session 10's of it; the peer calls it 20.
pub(crate) const SESSION: fn() -> Vec<Step> =
    || vec![connect(M, tunnel(1, 2)).ok(), connect(S, session(1, 2, 10, 20)).ok()];

/// The counters of `struct pppol2tp_ioc_stats`.
pub(crate) const FIELDS: [&str; 8] = [
    "tx_packets",
    "tx_bytes",
    "tx_errors",
    "rx_packets",
    "rx_bytes",
    "rx_seq_discards",
    "rx_oos_packets",
    "rx_errors",
];

/// An LCP echo request.
pub(crate) const FRAME: &[u8] = &[0xc0, 0x21, 9, 1, 0, 8, 1, 2, 3, 4];
/// The same behind FF 03.
pub(crate) const HDLC: &[u8] = &[0xff, 3, 0xc0, 0x21, 9, 1, 0, 8, 1, 2, 3, 4];
