//! What the threads and the callers of the driver share about a UDP socket, a tunnel, a
//! session, a unit and an interface. Nothing here is locked per packet: the halves of a session are
//! the threads' own, and what they publish are atomics with one writer each.

use std::fmt;
use std::fs::File;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use l2tp_data::session::SendSeq;
use l2tp_data::stats::{Count, Rx, Stats, Tx};

use super::fast::{Path, Place, Why};
use super::log::Log;
use super::passed::PassedQueue;
use super::queue::Inbox;
use crate::sys::{self, Destination};
use crate::{DebugMask, Prefix, SessionIds};

/// A counter with one writing thread.
#[derive(Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    #[inline]
    pub(super) fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many frames a session or unit queues for its reader.
pub(super) const FRAMES: usize = 256;

/// Counters of a UDP socket; the up thread writes them.
#[derive(Default)]
pub(super) struct UdpCounters {
    pub(super) control: Counter,
    pub(super) short: Counter,
    pub(super) version: Counter,
    pub(super) unknown_session: Counter,
    pub(super) frames: Counter,
    pub(super) control_dropped: Counter,
    pub(super) frames_dropped: Counter,
    pub(super) other_dropped: Counter,
    pub(super) truncated: Counter,
    pub(super) errors: Counter,
}

/// A UDP socket that the driver reads: the only one of its address, or one of a group of as many as there are shards.
pub(super) struct Udp {
    pub(super) socket: UdpSocket,
    /// The slot is that of all sockets of its group.
    pub(super) slot: u32,
    /// The shard that reads it.
    pub(super) shard: usize,
    pub(super) local: SocketAddr,
    pub(super) connected: Option<SocketAddr>,
    /// One for the group.
    pub(super) passed: Arc<PassedQueue>,
    pub(super) counters: UdpCounters,
    /// The debug masks of all its tunnels.
    pub(super) debug: AtomicU32,
    /// How many datagrams a message may carry (`UDP_SEGMENT`).
    pub(super) segments: AtomicU16,
    /// It is an IPv6 socket; IPv4 peers have mapped addresses.
    pub(super) v6: bool,
    /// `UDP_GRO` is in use.
    pub(super) gro: bool,
}

impl Udp {
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    #[inline]
    pub(super) fn mask(&self) -> DebugMask {
        DebugMask(self.debug.load(Relaxed))
    }

    /// Passes up a frame of a session. `false`: too much waits already.
    pub(super) fn pass_up(&self, session: &Arc<Session>, frame: impl FnOnce() -> Box<[u8]>) -> bool {
        let taken = self.passed.push_frame(session, frame);
        self.counters.frames.add(1);
        self.counters.frames_dropped.add(u64::from(!taken));
        taken
    }
}

/// A tunnel.
pub(super) struct Tunnel {
    pub(super) id: u16,
    pub(super) slot: u32,
    /// The shard that receives from the peer.
    pub(super) shard: usize,
    pub(super) peer_id: AtomicU16,
    pub(super) peer: SocketAddr,
    pub(super) local: Option<IpAddr>,
    pub(super) destination: Destination,
    /// The UDP socket or its group, as long as the owner keeps it open.
    pub(super) udp: Weak<[Arc<Udp>]>,
    pub(super) udp_slot: u32,
    pub(super) udp_local: SocketAddr,
    pub(super) debug: AtomicU32,
    pub(super) rx_foreign: Counter,
    pub(super) accept_zero_id: bool,
    /// The peer takes unfinished checksums and super-packets over a virtual link.
    pub(super) peer_fast: AtomicBool,
    /// How the fast path reaches the peer, once that was looked for, or why it cannot.
    pub(super) way: Mutex<Option<Result<Path, Why>>>,
    pub(super) path_mtu: AtomicU16,
    /// Open management sockets.
    pub(super) management: AtomicUsize,
    /// Counters of sessions that are gone.
    pub(super) past: Mutex<Stats>,
    pub(super) alive: AtomicBool,
}

impl Tunnel {
    pub(super) fn mask(&self) -> DebugMask {
        DebugMask(self.debug.load(Relaxed))
    }

    /// The UDP socket that a shard sends with.
    pub(super) fn udp(&self, shard: usize) -> Option<Arc<Udp>> {
        let group = self.udp.upgrade()?;
        group.get(shard).or(group.first()).cloned()
    }

    /// MTU of an interface on this path: IP, UDP, the long L2TP header, FF 03 and the protocol
    /// taken off.
    pub(super) fn mtu(&self) -> u16 {
        let ip = if self.peer.is_ipv4() { 20 } else { 40 };
        self.path_mtu.load(Relaxed).saturating_sub(ip + 8 + 10 + 4)
    }

    /// Asks the kernel what the path to the peer carries now.
    pub(super) fn learn_path_mtu(&self) {
        let mtu = match self.udp(self.shard) {
            Some(udp) if udp.connected.is_some() => path_mtu(udp.fd(), udp.v6),
            _ => probe_path_mtu(self.local, self.peer),
        };
        if let Ok(mtu) = mtu {
            self.path_mtu.store(u16::try_from(mtu).unwrap_or(u16::MAX), Relaxed);
        }
    }
}

fn path_mtu(fd: BorrowedFd<'_>, v6: bool) -> std::io::Result<i32> {
    if v6 {
        sys::get_option(fd, libc::SOL_IPV6, libc::IPV6_MTU)
    } else {
        sys::get_option(fd, libc::SOL_IP, libc::IP_MTU)
    }
}

/// The same for a peer of an unconnected socket: a socket of its own asks the routing table.
fn probe_path_mtu(local: Option<IpAddr>, peer: SocketAddr) -> std::io::Result<i32> {
    let any = if peer.is_ipv4() { IpAddr::from([0; 4]) } else { IpAddr::from([0; 16]) };
    let socket = UdpSocket::bind((local.filter(|ip| ip.is_ipv4() == peer.is_ipv4()).unwrap_or(any), 0))?;
    socket.connect(peer)?;
    path_mtu(socket.as_fd(), peer.is_ipv6())
}

impl fmt::Display for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tunl {}", self.id)
    }
}

/// What `getsockopt` answers, beside the live flags of a session.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Options {
    pub(super) recv_seq: bool,
    pub(super) lns_mode: bool,
    pub(super) reorder_timeout: u32,
}

/// A session.
pub(super) struct Session {
    pub(super) slot: u32,
    /// As connected; the peer's tunnel id that counts is the tunnel's.
    pub(super) ids: SessionIds,
    pub(super) tunnel: Arc<Tunnel>,
    pub(super) send_seq: SendSeq,
    pub(super) debug: AtomicU32,
    /// The shard that has its transmit half: its interface's, and the tunnel's before it has one. The lock keeps
    /// the order of what callers send while the half moves.
    pub(super) transmit: Mutex<usize>,
    pub(super) nr: AtomicU16,
    pub(super) ns: AtomicU16,
    pub(super) options: Mutex<Options>,
    pub(super) rx: [Counter; Rx::COUNT],
    pub(super) tx: [Counter; Tx::COUNT],
    /// Frames received while no unit is bound.
    pub(super) inbox: Inbox<Box<[u8]>, 1>,
    /// Its frames go to the owner of the UDP socket; the thread *up* sets it.
    pub(super) passes_up: AtomicBool,
    /// How many of them wait there.
    pub(super) passed: AtomicUsize,
    /// The owner of the UDP socket was told of its death.
    pub(super) told: AtomicBool,
    /// Its own owner has closed it: nobody wants to hear of it.
    pub(super) closed: AtomicBool,
    pub(super) unit: Mutex<Option<Arc<UnitState>>>,
    /// Where its frames go fast, if they do.
    pub(super) fast: Place,
    /// A unit is bound, or is being bound.
    pub(super) bound: AtomicBool,
    pub(super) alive: AtomicBool,
}

impl Session {
    #[inline]
    pub(super) fn mask(&self) -> DebugMask {
        DebugMask(self.debug.load(Relaxed))
    }

    pub(super) fn ids(&self) -> SessionIds {
        SessionIds { peer_tunnel_id: self.tunnel.peer_id.load(Relaxed), ..self.ids }
    }

    pub(super) fn stats(&self) -> Stats {
        let (rx, tx) = (self.rx.each_ref().map(Counter::get), self.tx.each_ref().map(Counter::get));
        let mut stats = Stats { rx, tx };
        self.fast.add_to(&mut stats);
        stats
    }
}

impl Count<Tx> for Session {
    #[inline]
    fn add(&self, counter: Tx, n: u64) {
        self.tx[counter as usize].add(n);
    }
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sess {}/{}", self.ids.tunnel_id, self.ids.session_id)
    }
}

/// Receive counters and debug messages of a session at one moment, for the rules.
pub(super) struct Sink<'a> {
    pub(super) session: &'a Session,
    pub(super) log: &'a Log,
    pub(super) now: u64,
}

impl Count<Rx> for Sink<'_> {
    #[inline]
    fn add(&self, counter: Rx, n: u64) {
        self.session.rx[counter as usize].add(n);
        if counter as u8 > Rx::ReorderGaps as u8 {
            self.log.dropped(self.session, counter.name());
        }
    }
}

impl l2tp_data::session::Sink for Sink<'_> {
    #[inline]
    fn mask(&self) -> DebugMask {
        self.session.mask()
    }

    fn debug(&self, message: l2tp_data::debug::Message) {
        self.log.debug(self.now, self.session, message);
    }
}

/// A TUN interface.
pub(super) struct Interface {
    pub(super) name: String,
    pub(super) index: u32,
    pub(super) slot: u32,
    /// The shard that reads it.
    pub(super) shard: usize,
    pub(super) tun: File,
    /// Packets carry a `virtio_net_hdr`.
    pub(super) vnet: bool,
    /// The kernel takes TCP super-packets from us,
    pub(super) merge: AtomicBool,
    /// and UDP super-packets.
    pub(super) merge_udp: AtomicBool,
    pub(super) shared: bool,
    pub(super) mtu: AtomicU16,
    pub(super) alive: AtomicBool,
}

/// What binds a session to an interface.
pub(super) struct UnitState {
    pub(super) interface: Arc<Interface>,
    /// Inner addresses on a shared interface.
    pub(super) addresses: Vec<Prefix>,
    /// Inner addresses that the peer may send from; empty: those of a shared interface, or any.
    pub(super) sources: Vec<Prefix>,
    /// Bounds of the MTU: of the configuration, of the peer's MRU.
    pub(super) max_mtu: Option<u16>,
    pub(super) mru: AtomicU16,
    /// The MSS that TCP announces through it is lowered to its MTU.
    pub(super) mss_clamp: bool,
    /// Whether IPv4 and IPv6 pass.
    pub(super) ipv4: AtomicBool,
    pub(super) ipv6: AtomicBool,
    /// PPP control frames.
    pub(super) inbox: Inbox<Box<[u8]>, 1>,
    pub(super) alive: AtomicBool,
    /// The owner of the UDP socket was told of its death.
    pub(super) told: AtomicBool,
}

impl UnitState {
    /// The MTU that an own interface should have on a path that carries `path`.
    pub(super) fn wanted_mtu(&self, path: u16) -> u16 {
        path.min(self.max_mtu.unwrap_or(u16::MAX)).min(self.mru.load(Relaxed))
    }

    /// The MTU that holds for one of its session's packets.
    pub(super) fn mtu(&self, tunnel: &Tunnel) -> u16 {
        self.wanted_mtu(tunnel.mtu()).min(self.interface.mtu.load(Relaxed))
    }

    /// Whether packets of a network protocol pass.
    pub(super) fn lets_pass(&self, ipv6: bool) -> bool {
        if ipv6 { self.ipv6.load(Relaxed) } else { self.ipv4.load(Relaxed) }
    }

    pub(super) fn close(&self) {
        self.alive.store(false, Relaxed);
        self.inbox.close();
    }
}
