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

mod path;

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::hint::black_box;
use std::mem;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::ops::Range;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::{Arc, Weak};

use l2tp_data::frame;
use l2tp_data::header::{Datagram, Header, Malformed};
use l2tp_data::reorder::{FRAMES as SLOTS, Reorder};
use l2tp_data::session::{self, Receive, Verdict};
use l2tp_data::stats::{Rx, Stats, Tx};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags, EpollTimeout};

use super::Mode;
use super::coalesce::Coalescer;
use super::core::Shard;
use super::deliver::{Singles, Writer, pass_up};
use super::fast::{Doing, Programs, way_up};
use super::log::{Dump, Log};
use super::paths::Paths;
use super::state::{self, Interface, Session, Sink, Tunnel, Udp, UnitState};
use super::table::{self, IdTable, Pattern};
use super::worker::{self, Commands, WAKE, at, put, take};
use super::{unfinished, vnet};
use crate::netlink::Netlink;
use crate::sys::{Received, RecvBatch};
use crate::{DebugMask, Prefix, Reason};

/// How often a socket is looked at in one go to see that there is nothing more.
const LOOKS: usize = 4;
/// How many messages one `recvmmsg` takes.
const BATCH: usize = 32;
/// The most datagrams of a message.
const DATAGRAMS: usize = 128;
/// So many sessions have room in a processor's nearest caches.
const NEAR: usize = 256;
/// So many buffers of frames that were held are kept for the next ones, of whatever session,
const SPARE: usize = 256;
/// unless they are larger than this.
const KEEP: usize = 4096;

/// Where IPv6 speaks to its neighbours from: a link-local address, or none while one is not known to be free
/// (RFC 4862 §5.4.2).
pub(super) const NEIGHBOURS: [Prefix; 2] = [
    Prefix { address: IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)), len: 10 },
    Prefix { address: IpAddr::V6(Ipv6Addr::UNSPECIFIED), len: 128 },
];

/// A session's receive half.
pub(super) struct RxSession {
    pub(super) shared: Arc<Session>,
    rx: Receive,
    held: Option<Box<Held>>,
    pub(super) unit: Option<RxUnit>,
}

/// Where a bound session's frames go.
pub(super) struct RxUnit {
    pub(super) state: Arc<UnitState>,
    /// Inner source addresses that its peer may use, unless any.
    pub(super) sources: Option<Box<[Pattern]>>,
}

/// Messages that wait for the ones before them.
struct Held {
    queue: Reorder,
    frames: [Vec<u8>; SLOTS],
    /// When a timer of the thread will look at it.
    armed: Option<u64>,
}

impl Held {
    #[cold]
    fn new() -> Box<Self> {
        Box::new(Self { queue: Reorder::new(), frames: [const { Vec::new() }; SLOTS], armed: None })
    }
}

/// The thread's state. Callers change it through its mailbox.
pub(super) struct Up {
    epoll: Epoll,
    log: Arc<Log>,
    netlink: Arc<Netlink>,
    sockets: Vec<Option<Arc<Udp>>>,
    tunnels: Vec<Option<Arc<Tunnel>>>,
    ids: IdTable,
    sessions: Vec<Option<RxSession>>,
    interfaces: Vec<Option<Arc<Interface>>>,
    batch: RecvBatch,
    coalescer: Coalescer,
    singles: Singles,
    timers: BinaryHeap<Reverse<(u64, u32)>>,
    spare: Vec<Vec<u8>>,
    /// The fast path, and the tunnels whose next messages it leaves to us for the sake of order.
    programs: Option<Arc<Programs>>,
    doing: Doing,
    /// Sockets and sessions that wait to hear that there is nothing more.
    opening: Vec<(u32, u32)>,
    paths: Paths,
    /// The other shards: an error may come to any of them.
    others: Vec<Weak<Shard>>,
    /// When a path's change was last reported.
    path_told: Option<u64>,
    /// Slots of tunnels and of their sessions.
    by_tunnel: BTreeSet<(u32, u32)>,
    /// The last look-up: ids and socket, and the session.
    last: Option<([u16; 2], u32, u32)>,
    zero_ids: usize,
}

impl Up {
    pub(super) fn new(
        epoll: Epoll,
        mode: Mode,
        log: Arc<Log>,
        netlink: Arc<Netlink>,
        programs: Option<Arc<Programs>>,
    ) -> Self {
        Self {
            epoll,
            programs,
            doing: Doing::default(),
            opening: Vec::new(),
            log,
            netlink,
            sockets: Vec::new(),
            tunnels: Vec::new(),
            ids: IdTable::default(),
            sessions: Vec::new(),
            interfaces: Vec::new(),
            batch: RecvBatch::new(if mode.batch { BATCH } else { 1 }),
            coalescer: Coalescer::new(),
            singles: Singles::new(mode),
            timers: BinaryHeap::with_capacity(1024),
            spare: Vec::with_capacity(SPARE),
            paths: Paths::default(),
            others: Vec::new(),
            path_told: None,
            by_tunnel: BTreeSet::new(),
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
            commands.run(&mut self);
            for event in &events[..count] {
                if event.data() == WAKE {
                    if !commands.woken(&mut self) {
                        return;
                    }
                } else if let Some(Some(udp)) = self.sockets.get(event.data() as usize) {
                    let udp = udp.clone();
                    if event.events().contains(EpollFlags::EPOLLERR) {
                        self.take_errors(&udp, commands);
                    }
                    self.receive(&udp, commands);
                }
            }
            self.open_ways(commands);
            self.run_timers();
        }
    }

    pub(super) fn set_others(&mut self, others: Vec<Weak<Shard>>) {
        self.others = others;
    }

    pub(super) fn add_socket(&mut self, udp: Arc<Udp>) -> nix::Result<()> {
        self.epoll.add(&udp.socket, EpollEvent::new(EpollFlags::EPOLLIN, udp.slot.into()))?;
        let slot = udp.slot;
        put(&mut self.sockets, slot, udp);
        Ok(())
    }

    pub(super) fn remove_socket(&mut self, slot: u32) {
        self.last = None;
        if let Some(udp) = take(&mut self.sockets, slot) {
            // It is registered, or the descriptor is gone: nothing is left either way.
            let _ = self.epoll.delete(udp.socket.as_fd());
        }
    }

    pub(super) fn add_tunnel(&mut self, tunnel: Arc<Tunnel>) {
        self.zero_ids += usize::from(tunnel.accept_zero_id);
        let slot = tunnel.slot;
        self.paths.add(tunnel.peer.ip(), slot, tunnel.path_mtu.load(Relaxed));
        put(&mut self.tunnels, slot, tunnel);
    }

    pub(super) fn remove_tunnel(&mut self, slot: u32) {
        self.last = None;
        if let Some(tunnel) = take(&mut self.tunnels, slot) {
            self.zero_ids -= usize::from(tunnel.accept_zero_id);
            self.paths.remove(tunnel.peer.ip(), slot);
        }
    }

    pub(super) fn add_session(&mut self, shared: Arc<Session>) {
        self.ids.insert(shared.tunnel.id, shared.ids.session_id, shared.slot);
        self.by_tunnel.insert((shared.tunnel.slot, shared.slot));
        let session = RxSession { rx: Receive::default(), held: None, unit: None, shared };
        put(&mut self.sessions, session.shared.slot, session);
    }

    pub(super) fn remove_session(&mut self, slot: u32) {
        self.last = None;
        let Some(RxSession { shared, .. }) = take(&mut self.sessions, slot) else { return };
        let received = Stats { tx: [0; Tx::COUNT], ..shared.stats() };
        state::lock(&shared.tunnel.past).add_session(&received);
        self.ids.remove(shared.tunnel.id, shared.ids.session_id, slot);
        self.by_tunnel.remove(&(shared.tunnel.slot, slot));
        if let Some(Some(udp)) = self.sockets.get(shared.tunnel.udp_slot as usize) {
            udp.passed.push_gone(&shared, &shared.told);
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
            let now = self.log.now();
            self.release(slot, now);
            self.flush(now);
        }
    }

    /// From now on a session's frames go to the owner of its UDP socket, those that wait first.
    pub(super) fn pass_up(&mut self, session: &Arc<Session>) {
        session.passes_up.store(true, SeqCst);
        let Some(Some(udp)) = self.sockets.get(session.tunnel.udp_slot as usize) else { return };
        let half = at(&mut self.sessions, session.slot).filter(|half| Arc::ptr_eq(&half.shared, session));
        // It may have ended before this came to be.
        let Some(half) = half else { return udp.passed.push_gone(session, &session.told) };
        let unit = half.unit.as_ref().map(|unit| &*unit.state);
        for frame in session.inbox.pop_all().chain(unit.into_iter().flat_map(|unit| unit.inbox.pop_all())) {
            if !udp.pass_up(session, || frame) {
                session::discard(Rx::QueueFull, &Sink { session, log: &self.log, now: self.log.now() });
            }
        }
        if let Some(unit) = unit {
            tell_of_the_dead(udp, session, unit);
        }
    }

    pub(super) fn bind(&mut self, session: &Arc<Session>, state: Arc<UnitState>) {
        if let Some(Some(udp)) = self.sockets.get(session.tunnel.udp_slot as usize) {
            tell_of_the_dead(udp, session, &state);
        }
        if let Some(session) = self.half(session) {
            let sources = match &state.sources[..] {
                [] => state.interface.shared.then(|| table::patterns(&state.addresses)),
                sources => Some(table::patterns(sources.iter().chain(&NEIGHBOURS))),
            };
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
        match timer.into_iter().chain(self.paths.next()).min() {
            None => EpollTimeout::NONE,
            Some(at) => {
                let millis = at.saturating_sub(self.log.now()).div_ceil(1000);
                EpollTimeout::try_from(millis.min(60_000) as i32).unwrap_or(EpollTimeout::ZERO)
            }
        }
    }

    fn run_timers(&mut self) {
        let Some(first) =
            self.timers.peek().map(|Reverse((at, _))| *at).into_iter().chain(self.paths.next()).min()
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
        self.follow_paths(now);
    }

    fn receive(&mut self, udp: &Arc<Udp>, commands: &Commands<Self>) {
        self.doing.clear();
        self.receive_batch(udp, commands);
        self.look_for_more(udp, commands);
    }

    /// Where the fast path waits to hear that there is nothing more of a socket, it is looked for.
    fn look_for_more(&mut self, udp: &Arc<Udp>, commands: &Commands<Self>) {
        for _ in 0..LOOKS {
            let Some(programs) = self.programs.clone().filter(|_| !self.doing.is_empty()) else { return };
            self.doing.look(|way| programs.way(way));
            if !self.receive_batch(udp, commands) {
                self.doing.settle(|way| programs.way(way));
            }
        }
    }

    /// A session's messages shall come fast as soon as none is on its way here.
    pub(super) fn open_way(&mut self, session: &Arc<Session>) {
        self.opening.extend(session.fast.number().map(|number| (session.tunnel.udp_slot, number)));
    }

    fn open_ways(&mut self, commands: &Commands<Self>) {
        while let (Some((socket, number)), Some(programs)) = (self.opening.pop(), &self.programs) {
            let Some(Some(udp)) = self.sockets.get(socket as usize) else { continue };
            let udp = udp.clone();
            self.doing.clear();
            programs.met(&mut self.doing, way_up(number));
            self.look_for_more(&udp, commands);
        }
    }

    /// `false`: there was nothing.
    fn receive_batch(&mut self, udp: &Arc<Udp>, commands: &Commands<Self>) -> bool {
        let count = match self.batch.receive(udp.fd()) {
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return false,
            Err(_) => {
                udp.counters.errors.add(1);
                return true;
            }
        };
        commands.run(self);
        if !self.sockets[udp.slot as usize].as_ref().is_some_and(|still| Arc::ptr_eq(still, udp)) {
            return true;
        }
        let now = self.log.now();
        for index in 0..count {
            let Some(message) = self.batch.message(index) else { continue };
            if message.truncated {
                udp.counters.truncated.add(1);
                continue;
            }
            let size = message.segment.unwrap_or(usize::MAX);
            if message.range.len() > size && self.sessions.len() > NEAR {
                self.fetch(message.range.clone(), size);
            }
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
        true
    }

    /// Looks at the sessions of a message's datagrams, so that their memory comes all at once: one after the
    /// other, each datagram would wait for its own.
    fn fetch(&self, range: Range<usize>, size: usize) {
        let (mut slots, mut count) = ([0; DATAGRAMS], 0);
        for datagram in self.batch.arena()[range].chunks(size).take(DATAGRAMS) {
            if let Datagram::Data(Header { tunnel_id, session_id, .. }) = Datagram::parse(datagram)
                && let Some(slot) = self.ids.get(tunnel_id, session_id)
            {
                slots[count] = slot as usize;
                count += 1;
            }
        }
        let sessions = || slots[..count].iter().filter_map(|slot| self.sessions.get(*slot)?.as_ref());
        sessions().for_each(|session| {
            black_box((session.rx.recv_seq, session.unit.is_some()));
        });
        for RxSession { shared, unit, .. } in sessions() {
            black_box((shared.mask(), shared.rx[0].get(), shared.nr.load(Relaxed)));
            if let Some(RxUnit { state, sources }) = unit {
                let first = sources.as_ref().and_then(|sources| sources.first().copied());
                black_box((state.mss_clamp, state.ipv4.load(Relaxed), first));
            }
        }
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

    /// The session of a data message on this socket.
    #[inline]
    fn find(&mut self, socket: u32, header: &Header, from: SocketAddr) -> Option<u32> {
        let ids = [header.tunnel_id, header.session_id];
        if let Some((last_ids, last_socket, found)) = self.last
            && last_ids == ids
            && last_socket == socket
        {
            return Some(found);
        }
        let tunnel = match header.tunnel_id {
            0 if self.zero_ids > 0 => {
                let mut tunnels = self.tunnels.iter().flatten();
                tunnels.find(|tunnel| tunnel.accept_zero_id && tunnel.peer == from)?.id
            }
            id => id,
        };
        let found = self.ids.get(tunnel, header.session_id)?;
        let session = at(&mut self.sessions, found)?;
        if session.shared.tunnel.udp_slot != socket {
            return None;
        }
        if header.tunnel_id != 0 {
            self.last = Some((ids, socket, found));
        }
        Some(found)
    }

    #[inline]
    fn data(&mut self, slot: u32, header: &Header, from: SocketAddr, range: Range<usize>, now: u64) {
        let held = at(&mut self.sessions, slot).and_then(|entry| entry.held.as_ref());
        if held.and_then(|held| held.queue.deadline()).is_some_and(|deadline| now >= deadline) {
            // The timer was due before this message came.
            self.release(slot, now);
        }
        let Some(entry) = at(&mut self.sessions, slot) else { return };
        let tunnel = &entry.shared.tunnel;
        if let (Some(programs), Some(number)) = (&self.programs, entry.shared.fast.number()) {
            programs.met_up(&mut self.doing, number, tunnel.slot);
        }
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
        let sends = entry.shared.send_seq.get();
        let admitted = entry.rx.admit(message.sequence, &entry.shared.send_seq, &sink);
        if let Some(programs) = self.programs.as_ref().filter(|_| sends != entry.shared.send_seq.get()) {
            entry.shared.fast.stop();
            programs.tell(tunnel.id);
        }
        if !admitted {
            return;
        }
        let payload = match message.payload(bytes) {
            Ok(payload) => payload,
            Err(malformed) => return session::discard(reason(malformed), &sink),
        };
        let Ok(stripped) = frame::strip(&bytes[payload.clone()]) else {
            return session::discard(Rx::ShortFrame, &sink);
        };
        if message.sequence.is_some() && entry.rx.reorder_timeout != 0 {
            entry.held.get_or_insert_with(Held::new);
        }
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
                    let mut buffer = self.spare.pop().unwrap_or_default();
                    buffer.clear();
                    buffer.extend_from_slice(&self.batch.arena()[frame]);
                    held.frames[usize::from(at)] = buffer;
                }
            }
            Verdict::Deliver => self.deliver(slot, range.start, frame, now),
        }
        if message.sequence.is_some() || verdict != Verdict::Deliver {
            self.release(slot, now);
        }
    }

    /// Delivers a frame of the datagram that starts at `start` in the arena.
    #[inline]
    fn deliver(&mut self, slot: u32, start: usize, range: Range<usize>, now: u64) {
        let Some(entry) = at(&mut self.sessions, slot) else { return };
        let shared = entry.shared.tunnel.peer_fast.load(Relaxed).then(|| entry.shared.clone());
        let Self { sockets, sessions, interfaces, log, batch, coalescer, singles, .. } = self;
        let mut writer = Writer { sockets, sessions, interfaces, log, now, singles };
        let bytes = &mut batch.arena_mut()[range.clone()];
        let Some((unit, frame)) = writer.classify(slot, bytes) else { return };
        let interface = &unit.state.interface;
        let packet = range.start + frame.information..range.end;
        if let Some(shared) = shared
            && let mtu = interface.mtu.load(Relaxed)
            && let Some(header) = unfinished::finish(&mut batch.arena_mut()[packet.clone()], mtu)
        {
            // It has been counted as one message; it stands for as many as it would have been cut to.
            let size = usize::from(header.gso_size);
            let more = (packet.len() - usize::from(header.hdr_len)).div_ceil(size) as u64 - 1;
            let headers = packet.start - start + usize::from(header.hdr_len);
            shared.rx[Rx::Packets as usize].add(more);
            shared.rx[Rx::Bytes as usize].add(more * headers as u64);
            coalescer.flush_interface(batch.arena(), interface.slot, &mut writer);
            return writer.write_super(batch.arena(), interface, slot, header, &batch.arena()[packet]);
        }
        if interface.merge.load(Relaxed) {
            let udp = interface.merge_udp.load(Relaxed);
            if let Some(header) = packet.start.checked_sub(vnet::LEN).filter(|header| *header >= start) {
                // Nobody reads the datagram's own headers any more.
                batch.arena_mut()[header..packet.start].copy_from_slice(&vnet::Header::default().to_bytes());
            }
            coalescer.push(batch.arena(), packet, interface.slot, slot, udp, &mut writer);
        } else {
            writer.write_single(batch.arena(), interface, slot, &batch.arena()[packet]);
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
            self.deliver_held(slot, &mut frame, now);
            if self.spare.len() < SPARE && frame.capacity() <= KEEP {
                self.spare.push(frame);
            }
        }
    }

    /// Delivers a frame that stands elsewhere, behind what the coalescer has of its interface.
    fn deliver_held(&mut self, slot: u32, bytes: &mut [u8], now: u64) {
        let Self { sockets, sessions, interfaces, log, singles, .. } = self;
        let mut writer = Writer { sockets, sessions, interfaces, log, now, singles };
        let Some((unit, frame)) = writer.classify(slot, bytes) else { return };
        let interface = &unit.state.interface;
        self.coalescer.flush_interface(self.batch.arena(), interface.slot, &mut writer);
        writer.write_single(self.batch.arena(), interface, slot, &bytes[frame.information..]);
    }

    fn flush(&mut self, now: u64) {
        let Self { sockets, sessions, interfaces, log, singles, .. } = self;
        let mut writer = Writer { sockets, sessions, interfaces, log, now, singles };
        self.coalescer.flush(self.batch.arena(), &mut writer);
        writer.submit(self.batch.arena());
    }
}

/// When the interface went, the session may not have passed up yet.
fn tell_of_the_dead(udp: &Udp, session: &Arc<Session>, unit: &UnitState) {
    if !unit.interface.alive.load(SeqCst) {
        udp.passed.push_gone(session, &unit.told);
    }
}

fn reason(malformed: Malformed) -> Rx {
    match malformed {
        Malformed::Length => Rx::BadLength,
        Malformed::Sequence => Rx::BadSequence,
        Malformed::Offset => Rx::BadOffset,
    }
}
