//! The PPPoL2TP driver: moves PPP frames between L2TP sessions on UDP sockets and network interfaces.
//!
//! The interface mirrors Linux' (`Documentation/networking/l2tp`), in Rust terms:
//!
//! ```text
//!   UdpSocket ──Driver::attach──► UdpHandle ──tunnel()──► TunnelSocket      management: options, statistics
//!                 control messages │  ▲                        │ by tunnel id
//!                 and all that is  ▼  │ send()                 ▼
//!                 not ours       recv()              Driver::session() ──► SessionSocket   options, statistics,
//!                                                                            │             raw PPP frames
//!                                                                          unit()
//!                                                                            ▼
//!                                  network frames ◄── interface ◄────────  Unit ───► PPP control frames
//! ```
//!
//! Dropping a value closes it, in any order; what depends on it is told ([`Errno::NotConn`] from its
//! calls, its descriptor becomes readable). The tunnel lives until its UDP handle is dropped or it is
//! [deleted](TunnelSocket::delete).
//!
//! Its homes: [`user`] is the driver in user space, [`linux`] the kernel's own; [`auto()`] takes the one that
//! works. The rules, ids, options and counters are [`l2tp_data`]'s, re-exported here as [`data`].
#![deny(unsafe_code)]

pub mod error;
pub mod linux;
pub mod netlink;
pub mod user;

mod auto;
mod connect;
mod prefix;
mod proc;
#[allow(unsafe_code)]
mod sys;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

pub use auto::auto;
pub use error::{Error, Result};
pub use l2tp_data as data;
pub use l2tp_data::debug::DebugMask;
pub use l2tp_data::rules::{Errno, SocketOption};
pub use l2tp_data::stats::Stats;
pub use prefix::Prefix;
pub use sys::{end_with_thread, limit_descriptors, open_tun};

/// Compiles the README's example.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// A home of the driver.
pub trait Driver: Send + Sync {
    /// `"user"` or `"linux"`.
    fn name(&self) -> &'static str;

    /// Takes over reading a UDP socket. It may be bound or connected; it is made non-blocking.
    fn attach(&self, socket: UdpSocket) -> Result<Box<dyn UdpHandle>>;

    /// Connects a session socket. The tunnel has to be there ([`Errno::NoEnt`]).
    fn session(&self, ids: SessionIds) -> Result<Box<dyn SessionSocket>>;

    /// Makes an interface that many sessions share; units name it by
    /// [`Interface::Shared`]. It lasts until the value is dropped.
    fn shared_interface(&self, config: SharedConfig) -> Result<Box<dyn SharedInterface>>;

    /// Everything at one moment, tunnels newest first, each tunnel's sessions in the kernel's order. What
    /// was asked of the driver before, frames to send included, has been done then.
    fn snapshot(&self) -> Snapshot;

    /// Whether sessions may have a fast path inside the kernel, by programs that the driver brings along. A peer should know:
    /// [`TunnelSocket::peer_has_fast_path`].
    ///
    /// Errors: why not.
    fn fast(&self) -> std::result::Result<(), String> {
        Err("this driver has none".into())
    }

    /// The interfaces of sessions whose PPP another program does, through a copy of their
    /// [descriptor](SessionSocket::descriptor): by local tunnel and session id.
    fn foreign_interfaces(&self) -> BTreeMap<(u16, u16), String> {
        BTreeMap::new()
    }
}

/// The owner's side of a UDP socket whose data messages the driver takes.
///
/// Dropping it is what closing the last descriptor of the kernel's tunnel socket is: its tunnels
/// and their sessions die.
pub trait UdpHandle: Send + Sync {
    /// Connects a management socket: makes a tunnel, or attaches to the one that has this id and
    /// peer already.
    fn tunnel(&self, config: TunnelConfig) -> Result<Box<dyn TunnelSocket>>;

    /// Sends a datagram (a control message) past the driver.
    fn send(&self, datagram: &[u8], to: SocketAddr, from: Option<IpAddr>) -> Result<()>;

    /// The next datagram that is not a data message of a session: control messages first, then the
    /// frames of sessions that [pass up](SessionSocket::pass_up), each kind in the order it came. `None`
    /// if there is none now. Nothing comes of a session whose socket was dropped.
    fn recv(&self) -> Option<PassedUp>;

    /// Waits for one until `timeout` has passed.
    fn recv_timeout(&self, timeout: Duration) -> Option<PassedUp>;

    /// A descriptor that is readable while [`recv`](Self::recv) has something.
    fn poll_fd(&self) -> Result<BorrowedFd<'_>>;

    /// The address the socket is bound to.
    fn local_addr(&self) -> Result<SocketAddr>;

    /// Whether messages may be fragmented on their way. Unless this is called, the socket keeps what
    /// it came with: the system's default lets the kernel fragment what a path does not carry.
    /// `true` sets DF on all, and what is too large is dropped and counted (`tx_too_big`).
    fn set_dont_fragment(&self, on: bool) -> Result<()>;
}

/// A management socket: a tunnel's options and statistics. It never carries a frame. Closing it
/// leaves the tunnel alive.
pub trait TunnelSocket: Send + Sync {
    /// The local tunnel id.
    fn tunnel_id(&self) -> u16;
    /// `setsockopt`: only [`SocketOption::Debug`], others are [`Errno::NoProtoOpt`].
    fn set(&self, option: SocketOption, value: i32) -> Result<()>;
    /// `getsockopt`.
    fn get(&self, option: SocketOption) -> Result<i32>;
    /// PPPIOCGL2TPSTATS: of the tunnel, or of one of its sessions ([`Errno::BadR`] if there is none).
    fn stats(&self, session_id: Option<u16>) -> Result<Stats>;
    /// Whether the tunnel is still there.
    fn is_alive(&self) -> bool;
    /// Ends the tunnel and its sessions while its UDP socket goes on.
    fn delete(self: Box<Self>);

    /// The peer's driver has a [fast path](Driver::fast): over a virtual link to it (a veth pair, say) packets may go with unfinished checksums,
    /// and super-packets whole.
    fn peer_has_fast_path(&self) {}
}

/// A session socket.
pub trait SessionSocket: Send + Sync {
    /// Its ids.
    fn ids(&self) -> SessionIds;
    /// `setsockopt`. Values are checked as the kernel does; REORDERTO is in milliseconds.
    fn set(&self, option: SocketOption, value: i32) -> Result<()>;
    /// `getsockopt`.
    fn get(&self, option: SocketOption) -> Result<i32>;
    /// PPPIOCGL2TPSTATS. It reads counters only, without a lock or a message to anybody: an owner of many
    /// sessions may look at `rx_packets` of each as often as it likes, to see which ones are alive.
    fn stats(&self) -> Result<Stats>;
    /// Sends a PPP frame that starts with its protocol; FF 03 and the L2TP header are added. Waits for room
    /// if very many wait to be sent.
    fn send(&self, frame: &[u8]) -> Result<()>;
    /// Waits until all frames given to [`send`](Self::send) have been handed to the UDP socket, so that
    /// what is sent there next comes after them.
    fn flush(&self) -> Result<()>;
    /// The next frame received while no unit is bound, FF 03 taken off, cut to the buffer: its whole
    /// length. `None` if there is none now; [`Errno::Io`] while a unit is bound.
    fn recv(&self, buffer: &mut [u8]) -> Result<Option<usize>>;
    /// Waits for one until `timeout` has passed.
    fn recv_timeout(&self, buffer: &mut [u8], timeout: Duration) -> Result<Option<usize>>;
    /// A descriptor that is readable while [`recv`](Self::recv) has a frame or the session is dead.
    fn poll_fd(&self) -> Result<BorrowedFd<'_>>;
    /// Whether the tunnel and its UDP socket are still there.
    fn is_alive(&self) -> bool;
    /// From now on the frames that [`recv`](Self::recv) of the session, or of its unit, would give are
    /// passed up with the datagrams of the tunnel's UDP socket, as [`Reason::Frame`]: first those that
    /// wait already, all in their order. `recv` gives none any more, and [`Reason::Gone`] tells what
    /// `poll_fd` would of a death. One descriptor serves any number of sessions so.
    fn pass_up(&self) -> Result<()>;
    /// A copy of the kernel's session socket, for another program that does PPP on it; such a session may
    /// neither pass up nor have a unit. It lives until that program, too, has closed its copy, or its tunnel
    /// ends. `None` where the kernel has none.
    fn descriptor(&self) -> Option<OwnedFd> {
        None
    }
    /// Binds a PPP unit: from now on network frames move between the session and an interface.
    fn unit(&self, config: UnitConfig) -> Result<Box<dyn Unit>>;
}

/// A PPP unit: a session bound to a network interface. The interface, if it is the unit's own, goes
/// when the unit is dropped.
pub trait Unit: Send + Sync {
    /// The interface's name as the kernel gave it.
    fn interface(&self) -> String;
    /// The interface's index.
    fn index(&self) -> u32;
    /// The interface's MTU in bytes now (`shared/`: of the shared interface).
    fn mtu(&self) -> u16;
    /// Caps the MTU at the MRU that the peer negotiated.
    fn set_mru(&self, mru: u16) -> Result<()>;
    /// Which network protocols' packets pass, in both directions; all of them until this is called. Others are
    /// dropped, as by an interface that is down. For those whose NCP is open (RFC 1661 §3.6).
    fn let_pass(&self, networks: Networks) -> Result<()>;
    /// Sends a PPP control frame that starts with its two-byte protocol.
    fn send(&self, frame: &[u8]) -> Result<()>;
    /// The next PPP control frame, starting with its two-byte protocol, cut to the buffer: its whole
    /// length. `None` if there is none now.
    fn recv(&self, buffer: &mut [u8]) -> Result<Option<usize>>;
    /// Waits for one until `timeout` has passed.
    fn recv_timeout(&self, buffer: &mut [u8], timeout: Duration) -> Result<Option<usize>>;
    /// A descriptor that is readable while [`recv`](Self::recv) has a frame or the unit is dead.
    fn poll_fd(&self) -> Result<BorrowedFd<'_>>;
    /// Whether the session and the interface are still there.
    fn is_alive(&self) -> bool;
    /// Sets an own interface up or down.
    fn set_up(&self, up: bool) -> Result<()>;
    /// Gives an own interface an address; `peer` is the other end of the link, else the prefix
    /// length counts. Set the interface up first: the kernel may else leave out the route to an IPv6
    /// peer, and even then installs it a little later.
    fn add_address(&self, address: Prefix, peer: Option<IpAddr>) -> Result<()>;
}

/// An interface that many sessions share. Inner destination addresses choose the session; inner
/// source addresses have to be the session's.
pub trait SharedInterface: Send + Sync {
    /// The interface's name.
    fn interface(&self) -> String;
    /// The interface's index.
    fn index(&self) -> u32;
    /// Whether the interface is still there.
    fn is_alive(&self) -> bool;
    /// Gives the interface an address.
    fn add_address(&self, address: Prefix) -> Result<()>;
    /// Routes a prefix to the interface, so that the sessions' addresses in it are reached.
    fn add_route(&self, prefix: Prefix) -> Result<()>;
}

/// What makes a tunnel. Raw numbers: the rules check them.
#[derive(Clone, Debug)]
pub struct TunnelConfig {
    /// The local tunnel id, in received messages.
    pub tunnel_id: u16,
    /// The peer's tunnel id, in sent messages; 0: a later connect brings it.
    pub peer_tunnel_id: u16,
    /// Where the peer sends from and receives.
    pub peer: SocketAddr,
    /// The address the peer reaches us at; sent messages leave from it. `None`: routing decides.
    pub local: Option<IpAddr>,
    /// Takes data messages with tunnel id 0 from this peer (D-Link DIR-300) as this tunnel's.
    pub accept_zero_id: bool,
}

/// The four ids of a session. Raw numbers: the rules check them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionIds {
    /// The local tunnel id.
    pub tunnel_id: u16,
    /// The local session id, in received messages.
    pub session_id: u16,
    /// The peer's tunnel id: the tunnel's, once that is known. 0: not known.
    pub peer_tunnel_id: u16,
    /// The peer's session id, in sent messages.
    pub peer_session_id: u16,
}

/// What a unit binds to.
#[derive(Clone, Debug, Default)]
pub struct UnitConfig {
    /// Its interface.
    pub interface: Interface,
    /// An upper bound for the MTU; else only the path's MTU and the MRU bound it.
    pub mtu: Option<u16>,
    /// The MRU that the peer negotiated, if it did.
    pub mru: Option<u16>,
    /// Whether TCP connections through it learn its MTU: the MSS that a SYN announces, either way, is
    /// lowered to the MTU less 40 bytes in IPv4, 60 in IPv6.
    pub mss_clamp: bool,
    /// The inner addresses that the peer may send from: packets from others are dropped (`rx_spoofed`),
    /// except those from `::` and from IPv6 link-local addresses. Empty: it may send from any; on a shared
    /// interface, from the session's own addresses and no others.
    pub sources: Vec<Prefix>,
}

/// A unit's interface.
#[derive(Clone, Debug)]
pub enum Interface {
    /// One of its own; `%d` in the name stands for the first free number.
    Own {
        /// For example `ppp%d` or `office`.
        name: String,
    },
    /// A shared one, made by [`Driver::shared_interface`].
    Shared {
        /// Its name.
        name: String,
        /// The session's inner addresses: where packets to it go, and, unless
        /// [`sources`](UnitConfig::sources) says otherwise, all it may send from.
        addresses: Vec<Prefix>,
    },
}

impl Default for Interface {
    fn default() -> Self {
        Self::Own { name: "ppp%d".into() }
    }
}

/// Network protocols.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Networks {
    /// IPv4: IPCP is open.
    pub ipv4: bool,
    /// IPv6: IPV6CP is open.
    pub ipv6: bool,
}

impl Networks {
    /// All there are.
    pub const ALL: Self = Self { ipv4: true, ipv6: true };
}

/// What makes a shared interface.
#[derive(Clone, Debug)]
pub struct SharedConfig {
    /// Its name; `%d` stands for the first free number.
    pub name: String,
    /// Its MTU in bytes.
    pub mtu: u16,
}

/// What the driver leaves to the owner of the UDP socket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PassedUp {
    /// The datagram; of [`Reason::Frame`] the PPP frame, starting with its protocol; of
    /// [`Reason::Gone`] nothing.
    pub datagram: Vec<u8>,
    /// Who sent it; of a session, the tunnel's peer.
    pub from: SocketAddr,
    /// Which of our addresses it was sent to, where the kernel said; of a session, the tunnel's.
    pub local: Option<IpAddr>,
    /// Why it is passed up.
    pub reason: Reason,
}

/// Why something is passed up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// A control message.
    Control,
    /// Too short for a data message.
    Short,
    /// Not version 2.
    Version,
    /// A data message for a tunnel or session that is not there.
    UnknownSession,
    /// A frame of a session that [passes up](SessionSocket::pass_up).
    Frame(SessionIds),
    /// A session that [passes up](SessionSocket::pass_up), or the unit that is bound to it, is dead
    /// though nobody dropped it: its tunnel or its interface has gone. What its frames were comes first.
    Gone(SessionIds),
}

/// Everything the driver knows at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// UDP sockets.
    pub sockets: Vec<SocketInfo>,
    /// Tunnels, newest first.
    pub tunnels: Vec<TunnelInfo>,
    /// Sessions, tunnel by tunnel.
    pub sessions: Vec<SessionInfo>,
}

/// A UDP socket at one moment.
#[derive(Clone, Debug)]
pub struct SocketInfo {
    /// The address it is bound to.
    pub local: SocketAddr,
    /// Which offloads of ours are in use now. Home `linux` has none: [`Mode::PLAIN`](user::Mode::PLAIN).
    pub mode: user::Mode,
    /// Names and values of its counters.
    pub counters: Vec<(&'static str, u64)>,
}

/// A tunnel at one moment.
#[derive(Clone, Debug)]
pub struct TunnelInfo {
    /// Local tunnel id.
    pub tunnel_id: u16,
    /// Peer's tunnel id; 0 while not known.
    pub peer_tunnel_id: u16,
    /// The UDP socket's address.
    pub local: SocketAddr,
    /// The peer's address.
    pub peer: SocketAddr,
    /// Debug mask.
    pub debug: DebugMask,
    /// Sessions and open management sockets: the count of the kernel's text.
    pub references: usize,
    /// Sums over all its sessions, past ones included.
    pub stats: Stats,
    /// Data messages for its sessions that came from another address: dropped.
    pub rx_foreign: u64,
}

/// A session at one moment.
#[derive(Clone, Debug)]
pub struct SessionInfo {
    /// Its ids.
    pub ids: SessionIds,
    /// The peer's address.
    pub peer: SocketAddr,
    /// Whether a unit is bound.
    pub bound: bool,
    /// RECVSEQ.
    pub recv_seq: bool,
    /// SENDSEQ.
    pub send_seq: bool,
    /// LNSMODE.
    pub lns_mode: bool,
    /// REORDERTO in milliseconds.
    pub reorder_timeout: u32,
    /// Debug mask.
    pub debug: DebugMask,
    /// MTU of the interface, or what it would be.
    pub mtu: u16,
    /// The peer's MRU, or the MTU where none was negotiated.
    pub mru: u16,
    /// Next Ns expected.
    pub nr: u16,
    /// Next Ns to send.
    pub ns: u16,
    /// The unit's interface.
    pub interface: Option<String>,
    /// Whether the kernel moves its frames by itself: `None` where the driver has no such thing. Errors: why not, or not all of them.
    pub fast: Option<std::result::Result<(), String>>,
    /// Its counters.
    pub stats: Stats,
}
