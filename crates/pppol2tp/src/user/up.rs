//! The thread *up*: UDP sockets → interfaces. It owns the receive half of every session.
//!
//! ```text
//!  recvmmsg ─► datagram ─► L2TP header ─► control, short, unknown ─► inbox of the UDP handle
//!  (UDP GRO)                   │ session table
//!                              ▼
//!                         peer's address ─► S bit ─► rest of the header ─► order ─► hold │ discard
//!                                                                           │ deliver
//!                  unbound: inbox of the session ◄── unit? ◄────────────────┘
//!                                                      │ bound
//!            PPP control frame: inbox of the unit ◄────┴────► IP: coalescer ─► writev to the interface
//! ```

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{IoSlice, Write};
use std::mem;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use l2tp_data::frame::{self, Class, Frame};
use l2tp_data::header::{Datagram, Header, Malformed};
use l2tp_data::reorder::{FRAMES as SLOTS, Reorder};
use l2tp_data::session::{self, Receive, Verdict};
use l2tp_data::stats::Rx;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags, EpollTimeout};

use super::Mode;
use super::coalesce::{Coalescer, Output};
use super::log::{Dump, Log};
use super::state::{self, CONTROL, FRAMES, Interface, OTHER, Session, Sink, Tunnel, Udp, UnitState};
use super::table::{self, IdTable};
use super::vnet;
use super::worker::{self, Commands, WAKE, at, put, take};
use crate::netlink::Netlink;
use crate::sys::{self, Received, RecvBatch};
use crate::{DebugMask, PassedUp, Reason};

/// How many messages one `recvmmsg` takes.
const BATCH: usize = 32;
/// How often the path MTU is asked for again once it has fallen, in microseconds: the kernel forgets
/// what it learned after ten minutes.
const PATH_CHECK: u64 = 60_000_000;
/// An interface's MTU is not lowered below this while it runs: IPv6 would leave it for good
/// (RFC 8200 §5).
const IPV6_MIN_MTU: u16 = 1280;
/// A held frame's buffer larger than this is given back.
const KEEP: usize = 4096;

/// The thread's view of a tunnel.
struct RxTunnel {
    shared: Arc<Tunnel>,
    sessions: IdTable,
}

/// A session's receive half.
struct RxSession {
    shared: Arc<Session>,
    rx: Receive,
    held: Option<Box<Held>>,
    unit: Option<RxUnit>,
}

/// Where a bound session's frames go.
struct RxUnit {
    state: Arc<UnitState>,
    /// Inner source addresses it may use, on a shared interface.
    sources: Option<Box<[(u8, u128)]>>,
}

/// Messages that wait for the ones before them.
struct Held {
    queue: Reorder,
    frames: [Vec<u8>; SLOTS],
    /// When a timer of the thread will look at it.
    armed: Option<u64>,
}

/// The thread's state. Callers change it through its mailbox.
pub(super) struct Up {
    epoll: Epoll,
    log: Arc<Log>,
    netlink: Arc<Netlink>,
    sockets: Vec<Option<Arc<Udp>>>,
    tunnel_ids: IdTable,
    tunnels: Vec<Option<RxTunnel>>,
    sessions: Vec<Option<RxSession>>,
    interfaces: Vec<Option<Arc<Interface>>>,
    batch: RecvBatch,
    coalescer: Coalescer,
    timers: BinaryHeap<Reverse<(u64, u32)>>,
    path_check: Option<u64>,
    /// The last look-up: ids and socket, tunnel and session.
    last: Option<([u16; 2], u32, (u32, u32))>,
    zero_ids: usize,
}

impl Up {
    pub(super) fn new(epoll: Epoll, mode: Mode, log: Arc<Log>, netlink: Arc<Netlink>) -> Self {
        Self {
            epoll,
            log,
            netlink,
            sockets: Vec::new(),
            tunnel_ids: IdTable::new(),
            tunnels: Vec::new(),
            sessions: Vec::new(),
            interfaces: Vec::new(),
            batch: RecvBatch::new(if mode.batch { BATCH } else { 1 }),
            coalescer: Coalescer::new(),
            timers: BinaryHeap::with_capacity(1024),
            path_check: None,
            last: None,
            zero_ids: 0,
        }
    }

    pub(super) fn run(mut self, commands: &Commands<Self>) {
        let mut events = [EpollEvent::empty(); 64];
        loop {
            let count = match worker::wait(&self.epoll, &mut events, self.timeout()) {
                Ok(count) => count,
                Err(Errno::EINTR) => 0,
                Err(error) => return tracing::error!(target: "pppol2tp", "receiving ends: epoll: {error}"),
            };
            for event in &events[..count] {
                if event.data() == WAKE {
                    self.last = None;
                    if !commands.run(&mut self) {
                        return;
                    }
                } else if let Some(Some(udp)) = self.sockets.get(event.data() as usize) {
                    let udp = udp.clone();
                    if event.events().contains(EpollFlags::EPOLLERR) {
                        self.take_errors(&udp);
                    }
                    self.receive(&udp);
                }
            }
            self.run_timers();
        }
    }

    pub(super) fn add_socket(&mut self, udp: Arc<Udp>) -> nix::Result<()> {
        self.epoll.add(&udp.socket, EpollEvent::new(EpollFlags::EPOLLIN, udp.slot.into()))?;
        let slot = udp.slot;
        put(&mut self.sockets, slot, udp);
        Ok(())
    }

    pub(super) fn remove_socket(&mut self, slot: u32) {
        if let Some(udp) = take(&mut self.sockets, slot) {
            // It is registered, or the descriptor is gone: nothing is left either way.
            let _ = self.epoll.delete(udp.socket.as_fd());
        }
    }

    pub(super) fn add_tunnel(&mut self, tunnel: Arc<Tunnel>) {
        self.zero_ids += usize::from(tunnel.accept_zero_id);
        self.tunnel_ids.insert(tunnel.id, tunnel.slot);
        put(&mut self.tunnels, tunnel.slot, RxTunnel { shared: tunnel, sessions: IdTable::new() });
    }

    pub(super) fn remove_tunnel(&mut self, slot: u32) {
        if let Some(tunnel) = take(&mut self.tunnels, slot) {
            self.zero_ids -= usize::from(tunnel.shared.accept_zero_id);
            self.tunnel_ids.remove(tunnel.shared.id, slot);
        }
    }

    pub(super) fn add_session(&mut self, shared: Arc<Session>) {
        if let Some(tunnel) = at(&mut self.tunnels, shared.tunnel.slot) {
            tunnel.sessions.insert(shared.ids.session_id, shared.slot);
        }
        let session = RxSession { rx: Receive::default(), held: None, unit: None, shared };
        put(&mut self.sessions, session.shared.slot, session);
    }

    pub(super) fn remove_session(&mut self, slot: u32) {
        if let Some(session) = take(&mut self.sessions, slot)
            && let Some(tunnel) = at(&mut self.tunnels, session.shared.tunnel.slot)
        {
            tunnel.sessions.remove(session.shared.ids.session_id, slot);
        }
    }

    /// A session's half. `None` once it has ended: its slot may be another's by now.
    fn half(&mut self, session: &Arc<Session>) -> Option<&mut RxSession> {
        at(&mut self.sessions, session.slot).filter(|half| Arc::ptr_eq(&half.shared, session))
    }

    /// Takes over options from the caller's side. A reorder timeout of 0 lets out what is held.
    pub(super) fn set_options(&mut self, session: &Arc<Session>, options: state::Options) {
        let slot = session.slot;
        if let Some(session) = self.half(session) {
            session.rx.recv_seq = options.recv_seq;
            session.rx.lns_mode = options.lns_mode;
            session.rx.reorder_timeout = u64::from(options.reorder_timeout) * 1000;
            if options.reorder_timeout != 0 && session.held.is_none() {
                let frames = [const { Vec::new() }; SLOTS];
                session.held = Some(Box::new(Held { queue: Reorder::new(), frames, armed: None }));
            }
            let now = self.log.now();
            self.release(slot, now);
            self.flush(now);
        }
    }

    pub(super) fn bind(&mut self, session: &Arc<Session>, state: Arc<UnitState>) {
        if let Some(session) = self.half(session) {
            let sources = state.interface.shared.then(|| table::keys(&state.addresses));
            session.unit = Some(RxUnit { state, sources });
        }
    }

    pub(super) fn unbind(&mut self, session: &Arc<Session>) {
        if let Some(session) = self.half(session) {
            session.unit = None;
        }
    }

    pub(super) fn add_interface(&mut self, interface: Arc<Interface>) {
        put(&mut self.interfaces, interface.slot, interface);
    }

    pub(super) fn remove_interface(&mut self, slot: u32) {
        take(&mut self.interfaces, slot);
    }

    fn timeout(&self) -> EpollTimeout {
        let timer = self.timers.peek().map(|Reverse((deadline, _))| *deadline);
        match timer.into_iter().chain(self.path_check).min() {
            None => EpollTimeout::NONE,
            Some(at) => {
                let millis = at.saturating_sub(self.log.now()).div_ceil(1000);
                EpollTimeout::try_from(millis.min(60_000) as i32).unwrap_or(EpollTimeout::ZERO)
            }
        }
    }

    fn run_timers(&mut self) {
        let Some(first) =
            self.timers.peek().map(|Reverse((at, _))| *at).into_iter().chain(self.path_check).min()
        else {
            return;
        };
        let now = self.log.now();
        if now < first {
            return;
        }
        while let Some(&Reverse((deadline, slot))) = self.timers.peek() {
            if now < deadline {
                break;
            }
            self.timers.pop();
            let held = at(&mut self.sessions, slot).and_then(|session| session.held.as_mut());
            if let Some(held) = held.filter(|held| held.armed == Some(deadline)) {
                held.armed = None;
            }
            self.release(slot, now);
        }
        self.flush(now);
        if self.path_check.is_some_and(|at| now >= at) {
            self.path_check = None;
            for slot in 0..self.tunnels.len() {
                self.follow_path(slot as u32, now);
            }
        }
    }

    /// Takes what ICMP and the kernel said about messages sent.
    fn take_errors(&mut self, udp: &Udp) {
        // Both are there only to be reported; `send` meets the same errors.
        let _ = udp.socket.take_error();
        let mut too_big = false;
        while let Ok(Some(error)) = sys::take_error(udp.fd()) {
            udp.counters.errors.add(1);
            too_big |= error.errno == libc::EMSGSIZE;
        }
        if too_big {
            let now = self.log.now();
            for slot in 0..self.tunnels.len() {
                if at(&mut self.tunnels, slot as u32).is_some_and(|tunnel| tunnel.shared.udp_slot == udp.slot)
                {
                    self.follow_path(slot as u32, now);
                }
            }
        }
    }

    /// Sets the MTU of a tunnel's interfaces to what its path carries now.
    fn follow_path(&mut self, slot: u32, now: u64) {
        let Some(tunnel) = at(&mut self.tunnels, slot).map(|tunnel| tunnel.shared.clone()) else {
            return;
        };
        let before = tunnel.mtu();
        tunnel.learn_path_mtu();
        let path = tunnel.mtu();
        if path < before || self.path_check.is_some() {
            self.path_check = Some(now + PATH_CHECK);
        }
        if path == before {
            return;
        }
        for session in self.sessions.iter().flatten().filter(|session| session.shared.tunnel.slot == slot) {
            let Some(unit) =
                session.unit.as_ref().map(|unit| &unit.state).filter(|unit| !unit.interface.shared)
            else {
                continue;
            };
            let mtu = unit.wanted_mtu(path.max(before.min(IPV6_MIN_MTU)));
            let interface = &unit.interface;
            match self.netlink.set_mtu(interface.index, mtu) {
                Ok(()) => interface.mtu.store(mtu, Relaxed),
                Err(error) => {
                    tracing::warn!(target: "pppol2tp", "{}: MTU {mtu} not set: {error}", interface.name);
                }
            }
        }
        tracing::info!(target: "pppol2tp", "{tunnel}: the path to {} carries {path} bytes of a packet, before {before}", tunnel.peer);
    }

    fn receive(&mut self, udp: &Udp) {
        let count = match self.batch.receive(udp.fd()) {
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
            Err(_) => return udp.counters.errors.add(1),
        };
        let now = self.log.now();
        for index in 0..count {
            let Some(message) = self.batch.message(index) else { continue };
            if message.truncated {
                udp.counters.truncated.add(1);
                continue;
            }
            let size = message.segment.unwrap_or(usize::MAX);
            let Range { mut start, end } = message.range;
            loop {
                let next = start.saturating_add(size).min(end);
                self.datagram(udp, &message, start..next, now);
                start = next;
                if start == end {
                    break;
                }
            }
        }
        self.flush(now);
    }

    fn datagram(&mut self, udp: &Udp, message: &Received, range: Range<usize>, now: u64) {
        let reason = match Datagram::parse(&self.batch.arena()[range.clone()]) {
            Datagram::Data(header) => match self.find(udp.slot, &header, message.from) {
                Some(found) => return self.data(found, &header, message.from, range, now),
                None => Reason::UnknownSession,
            },
            Datagram::Control => Reason::Control,
            Datagram::Short => Reason::Short,
            Datagram::Version(_) => Reason::Version,
        };
        pass_up(udp, message, &self.batch.arena()[range], reason, &self.log, now);
    }

    /// Tunnel and session of a data message on this socket.
    #[inline]
    fn find(&mut self, socket: u32, header: &Header, from: SocketAddr) -> Option<(u32, u32)> {
        let ids = [header.tunnel_id, header.session_id];
        if let Some((last_ids, last_socket, found)) = self.last
            && last_ids == ids
            && last_socket == socket
        {
            return Some(found);
        }
        let tunnel = match header.tunnel_id {
            0 if self.zero_ids > 0 => {
                let ours = |tunnel: &RxTunnel| tunnel.shared.accept_zero_id && tunnel.shared.peer == from;
                self.tunnels.iter().position(|tunnel| tunnel.as_ref().is_some_and(ours))? as u32
            }
            id => self.tunnel_ids.get(id)?,
        };
        let entry = self.tunnels[tunnel as usize].as_ref().filter(|entry| entry.shared.udp_slot == socket)?;
        let found = (tunnel, entry.sessions.get(header.session_id)?);
        if header.tunnel_id != 0 {
            self.last = Some((ids, socket, found));
        }
        Some(found)
    }

    #[inline]
    fn data(
        &mut self,
        (tunnel, slot): (u32, u32),
        header: &Header,
        from: SocketAddr,
        range: Range<usize>,
        now: u64,
    ) {
        let held = at(&mut self.sessions, slot).and_then(|entry| entry.held.as_ref());
        if held.and_then(|held| held.queue.deadline()).is_some_and(|deadline| now >= deadline) {
            // The timer was due before this message came.
            self.release(slot, now);
        }
        let Some(tunnel) = at(&mut self.tunnels, tunnel).map(|tunnel| &tunnel.shared) else { return };
        let Some(entry) = self.sessions.get_mut(slot as usize).and_then(Option::as_mut) else { return };
        let bytes = &self.batch.arena()[range.clone()];
        if tunnel.peer != from {
            tunnel.rx_foreign.add(1);
            return self.log.dropped(tunnel, "rx_foreign");
        }
        let sink = Sink { session: &entry.shared, log: &self.log, now };
        if tunnel.mask().has(DebugMask::DATA) {
            self.log.debug(now, tunnel, format_args!("recv {} bytes:{}", bytes.len(), Dump(bytes, 16)));
        }
        let message = match header.message(bytes) {
            Ok(message) => message,
            Err(malformed) => return session::discard(reason(malformed), &sink),
        };
        if !entry.rx.admit(message.sequence, &entry.shared.send_seq, &sink) {
            return;
        }
        let payload = match message.payload(bytes) {
            Ok(payload) => payload,
            Err(malformed) => return session::discard(reason(malformed), &sink),
        };
        let Ok(stripped) = frame::strip(&bytes[payload.clone()]) else {
            return session::discard(Rx::ShortFrame, &sink);
        };
        let queue = entry.held.as_mut().map(|held| &mut held.queue);
        let verdict = entry.rx.order(message.sequence, message.len, now, queue, &sink);
        entry.shared.nr.store(entry.rx.nr(), Relaxed);
        let frame = range.start + payload.start + stripped.start..range.start + payload.start + stripped.end;
        if sink.session.mask().has(DebugMask::DATA) {
            let text = format_args!("recv {} byte data frame: {verdict:?}", message.len);
            self.log.debug(now, sink.session, text);
        }
        match verdict {
            Verdict::Discard => return,
            Verdict::Hold(at) => {
                if let Some(held) = &mut entry.held {
                    let buffer = &mut held.frames[usize::from(at)];
                    buffer.clear();
                    buffer.extend_from_slice(&self.batch.arena()[frame]);
                }
            }
            Verdict::Deliver => self.deliver(slot, frame, now),
        }
        if message.sequence.is_some() || verdict != Verdict::Deliver {
            self.release(slot, now);
        }
    }

    /// Delivers a frame that stands in the arena.
    #[inline]
    fn deliver(&mut self, slot: u32, range: Range<usize>, now: u64) {
        let arena = self.batch.arena();
        let mut writer =
            Writer { interfaces: &self.interfaces, sessions: &self.sessions, log: &self.log, now };
        let Some((unit, frame)) = writer.classify(slot, &arena[range.clone()]) else { return };
        let interface = &unit.state.interface;
        let packet = range.start + frame.information..range.end;
        if interface.merge.load(Relaxed) {
            let udp = interface.merge_udp.load(Relaxed);
            self.coalescer.push(arena, packet, interface.slot, slot, udp, &mut writer);
        } else {
            writer.write_single(interface, slot, &arena[packet]);
        }
    }

    /// Delivers what is due of the messages that a session holds, and sets its timer.
    fn release(&mut self, slot: u32, now: u64) {
        loop {
            let Some(entry) = at(&mut self.sessions, slot) else { return };
            let Some(held) = &mut entry.held else { return };
            let sink = Sink { session: &entry.shared, log: &self.log, now };
            let Some(at) = entry.rx.release(now, &mut held.queue, &sink) else {
                let due = held.queue.deadline().filter(|due| held.armed.is_none_or(|armed| *due < armed));
                if let Some(deadline) = due {
                    held.armed = Some(deadline);
                    self.timers.push(Reverse((deadline, slot)));
                }
                entry.shared.nr.store(entry.rx.nr(), Relaxed);
                return;
            };
            let mut frame = mem::take(&mut held.frames[usize::from(at)]);
            self.deliver_held(slot, &frame, now);
            if frame.capacity() > KEEP {
                frame = Vec::new();
            }
            if let Some(held) = self.sessions[slot as usize].as_mut().and_then(|entry| entry.held.as_mut()) {
                held.frames[usize::from(at)] = frame;
            }
        }
    }

    /// Delivers a frame that stands elsewhere, behind what the coalescer has of its interface.
    fn deliver_held(&mut self, slot: u32, bytes: &[u8], now: u64) {
        let mut writer =
            Writer { interfaces: &self.interfaces, sessions: &self.sessions, log: &self.log, now };
        let Some((unit, frame)) = writer.classify(slot, bytes) else { return };
        let interface = &unit.state.interface;
        self.coalescer.flush_interface(self.batch.arena(), interface.slot, &mut writer);
        writer.write_single(interface, slot, &bytes[frame.information..]);
    }

    fn flush(&mut self, now: u64) {
        let mut writer =
            Writer { interfaces: &self.interfaces, sessions: &self.sessions, log: &self.log, now };
        self.coalescer.flush(self.batch.arena(), &mut writer);
    }
}

fn reason(malformed: Malformed) -> Rx {
    match malformed {
        Malformed::Length => Rx::BadLength,
        Malformed::Sequence => Rx::BadSequence,
        Malformed::Offset => Rx::BadOffset,
    }
}

/// Leaves a datagram to the owner of the UDP socket.
fn pass_up(udp: &Udp, message: &Received, bytes: &[u8], reason: Reason, log: &Log, now: u64) {
    if udp.mask().has(DebugMask::DATA) {
        let text = format_args!("recv {} bytes, {reason:?}, passing up:{}", bytes.len(), Dump(bytes, 16));
        log.debug(now, udp.local, text);
    }
    let counters = &udp.counters;
    let (class, counter, dropped) = match reason {
        Reason::Control => (CONTROL, &counters.control, &counters.control_dropped),
        Reason::Short => (OTHER, &counters.short, &counters.other_dropped),
        Reason::Version => (OTHER, &counters.version, &counters.other_dropped),
        Reason::UnknownSession => (OTHER, &counters.unknown_session, &counters.other_dropped),
    };
    counter.add(1);
    let passed = || PassedUp { datagram: bytes.into(), from: message.from, local: message.local, reason };
    if !udp.inbox.push(class, state::UP_LIMITS[class], passed) {
        dropped.add(1);
        log.dropped(udp.local, "passed_up_dropped");
    }
}

/// Writes packets to interfaces and counts what they refuse.
struct Writer<'a> {
    interfaces: &'a [Option<Arc<Interface>>],
    sessions: &'a [Option<RxSession>],
    log: &'a Log,
    now: u64,
}

impl<'a> Writer<'a> {
    fn discard(&self, session: &Session, reason: Rx) {
        session::discard(reason, &Sink { session, log: self.log, now: self.now });
    }

    /// Hands a frame to whom it is for, unless that is the interface: then the unit, and the frame.
    #[inline]
    fn classify(&self, slot: u32, bytes: &[u8]) -> Option<(&'a RxUnit, Frame)> {
        let entry = self.sessions.get(slot as usize)?.as_ref()?;
        let session = &*entry.shared;
        let Some(unit) = &entry.unit else {
            if session.mask().has(DebugMask::DATA) {
                self.log.debug(self.now, session, "not bound, queued for its reader");
            }
            if !session.inbox.push(0, FRAMES, || bytes.into()) {
                self.discard(session, Rx::QueueFull);
            }
            return None;
        };
        match Frame::parse(bytes) {
            Ok(Frame { class: Class::Control, protocol, information }) => {
                let frame = || [&protocol.to_be_bytes(), &bytes[information..]].concat().into();
                if !unit.state.inbox.push(0, FRAMES, frame) {
                    self.discard(session, Rx::QueueFull);
                }
            }
            Ok(frame) => {
                let spoofed = |sources: &[_]| {
                    let source = table::inner_address(&bytes[frame.information..], false);
                    !source.is_some_and(|source| table::contains(sources, source))
                };
                if !unit.sources.as_deref().is_some_and(spoofed) {
                    return Some((unit, frame));
                }
                self.discard(session, Rx::Spoofed);
            }
            Err(frame::Bad::Short) => self.discard(session, Rx::ShortFrame),
            Err(frame::Bad::InnerVersion) => self.discard(session, Rx::BadInner),
        }
        None
    }
}

impl Writer<'_> {
    fn write_single(&mut self, interface: &Interface, session: u32, packet: &[u8]) {
        let parts = [IoSlice::new(&[0; vnet::LEN]), IoSlice::new(packet)];
        self.write(interface.slot, session, 1, &parts[usize::from(!interface.vnet)..]);
    }
}

impl Output for Writer<'_> {
    fn write(&mut self, interface: u32, session: u32, packets: u32, parts: &[IoSlice<'_>]) {
        if let Some(Some(interface)) = self.interfaces.get(interface as usize) {
            match (&interface.tun).write_vectored(parts) {
                Ok(_) => return,
                Err(error) if packets > 1 && error.raw_os_error() == Some(libc::EINVAL) => {
                    let udp = parts[0].get(1) == Some(&vnet::GSO_UDP_L4);
                    let (merge, kind) =
                        if udp { (&interface.merge_udp, "UDP") } else { (&interface.merge, "TCP") };
                    merge.store(false, Relaxed);
                    tracing::info!(target: "pppol2tp", "{}: takes no {kind} super-packets: {error}", interface.name);
                }
                Err(_) => {}
            }
        }
        if let Some(Some(entry)) = self.sessions.get(session as usize) {
            (0..packets).for_each(|_| self.discard(&entry.shared, Rx::Interface));
        }
    }
}
