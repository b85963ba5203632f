//! The thread *down*: interfaces → UDP sockets. It owns the transmit half of every session.
//!
//! ```text
//!  interface ─► read, one packet behind the other, each behind room for its headers
//!                 │ own: its session │ shared: session by inner destination
//!                 ▼
//!            checksum completed, or super-packet split in place ─► L2TP and PPP headers in front
//!                 ▼
//!            runs of equal size ─► sendmmsg, a run a message (UDP GSO)
//! ```

use std::fmt::Display;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::thread;
use std::time::Duration;

use l2tp_data::frame::{IPV4, IPV6};
use l2tp_data::header::{ADDRESS_CONTROL, LONG, MAX, SHORT};
use l2tp_data::session::Transmit;
use l2tp_data::stats::{Count, Rx, Stats, Tx};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags, EpollTimeout};

use super::Mode;
use super::fast::{Doing, Programs, way_down};
use super::log::{Dump, Log};
use super::mss;
use super::reads::Reads;
use super::runs::{Frames, MAX_FRAMES, OLD_MAX_FRAMES, Runs};
use super::split::{self, Segments};
use super::state::{self, Counter, Interface, Session, Udp, UnitState};
use super::table::{AddressTable, inner_address};
use super::vnet;
use super::worker::{self, Commands, WAKE, at, put, take};
use crate::sys::{MESSAGES, Outgoing, SendBatch};
use crate::{DebugMask, Prefix};

/// A batch ends after so many packets,
const PACKETS: usize = MAX_FRAMES as usize;
/// or so many bytes.
const BYTES: usize = 256 * 1024;
/// What a batch may need beyond [`BYTES`]: the last super-packet and the headers of its segments.
const SLACK: usize = 320 * 1024;
/// How often an interface is looked at in one go to see that there is nothing more.
const LOOKS: usize = 4;
/// A batch of at least so many packets,
const BUSY: usize = 2;
/// of at most so many bytes each, which ended for want of more, lets the thread rest
const SMALL: usize = 600;
/// so long: what gathers meanwhile shares a message, as when a network card holds back its interrupts.
const REST: Duration = Duration::from_micros(50);
/// How long a full socket buffer is waited for, in milliseconds.
const PATIENCE: u16 = 100;
/// How often a message is sent again: an error may be ICMP's word on an earlier one.
const RETRIES: u32 = 2;
/// What is said of a packet that is dropped for its contents.
const MALFORMED: &str = "the interface's packet is no IP packet, or contradicts itself";
/// Bytes of the PPP protocol field that we send.
const PROTOCOL: usize = 2;
/// Headers in front of a packet, without and with sequence numbers.
const ROOM: [usize; 2] = [SHORT + ADDRESS_CONTROL.len() + PROTOCOL, LONG + ADDRESS_CONTROL.len() + PROTOCOL];

/// An interface that is read.
struct Source {
    shared: Arc<Interface>,
    /// Whose packets they are.
    owner: Owner,
    /// Room left for the next packet's headers: the last one's.
    room: usize,
    /// How many packets the last batch had, if they were small: the next may have as many.
    expected: usize,
}

enum Owner {
    /// One session's, if it is bound still.
    Session(Option<u32>),
    /// By inner destination. The last look-up stands beside the table.
    Shared { table: AddressTable, last: Option<(u128, u32)>, unrouted: Arc<Counter> },
}

/// A session's transmit half.
pub(super) struct TxSession {
    shared: Arc<Session>,
    udp: Arc<Udp>,
    tx: Transmit,
    unit: Option<Arc<UnitState>>,
}

/// The thread's state. Callers change it through its mailbox.
pub(super) struct Down {
    epoll: Epoll,
    log: Arc<Log>,
    packets: usize,
    sources: Vec<Option<Source>>,
    sessions: Vec<Option<TxSession>>,
    arena: Box<[u8]>,
    reads: Option<Reads>,
    /// The fast path, and the flows of an interface whose next packets it leaves to us for the sake of order.
    programs: Option<Arc<Programs>>,
    doing: Doing,
    runs: Runs,
    sender: SendBatch,
}

impl Down {
    pub(super) fn new(epoll: Epoll, mode: Mode, log: Arc<Log>, programs: Option<Arc<Programs>>) -> Self {
        Self {
            epoll,
            programs,
            doing: Doing::default(),
            log,
            packets: if mode.batch { PACKETS } else { 1 },
            sources: Vec::new(),
            sessions: Vec::new(),
            arena: vec![0; BYTES + SLACK].into(),
            // What is wrong with io_uring is said where it writes.
            reads: if mode.ring { Reads::new().ok() } else { None },
            runs: Runs::new(),
            sender: SendBatch::new(MESSAGES),
        }
    }

    pub(super) fn run(mut self, commands: &Commands<Self>) {
        let mut events = [EpollEvent::empty(); 64];
        loop {
            let count = match worker::wait(&self.epoll, &mut events, EpollTimeout::NONE) {
                Ok(count) => count,
                Err(Errno::EINTR) => 0,
                Err(error) => return tracing::error!(target: "pppol2tp", "sending ends: epoll: {error}"),
            };
            commands.run(&mut self);
            let mut rest = count > 0;
            for event in &events[..count] {
                if event.data() == WAKE {
                    rest = false;
                    if !commands.woken(&mut self) {
                        return;
                    }
                } else if event.events().contains(EpollFlags::EPOLLIN) {
                    rest &= self.drain_all(event.data() as u32);
                } else if self.is_lost(event.data() as u32) {
                    self.lost(event.data() as u32);
                }
            }
            if rest {
                thread::sleep(REST);
            }
        }
    }

    pub(super) fn add_interface(
        &mut self,
        interface: Arc<Interface>,
        unrouted: Arc<Counter>,
    ) -> nix::Result<()> {
        self.epoll.add(&interface.tun, EpollEvent::new(EpollFlags::EPOLLIN, interface.slot.into()))?;
        let owner = if interface.shared {
            Owner::Shared { table: AddressTable::default(), last: None, unrouted }
        } else {
            Owner::Session(None)
        };
        let slot = interface.slot;
        put(&mut self.sources, slot, Source { shared: interface, owner, room: ROOM[0], expected: 0 });
        Ok(())
    }

    pub(super) fn remove_interface(&mut self, slot: u32) {
        if let Some(source) = take(&mut self.sources, slot) {
            // It is registered, or was lost before: nothing is left either way.
            let _ = self.epoll.delete(source.shared.tun.as_fd());
        }
    }

    pub(super) fn add_session(&mut self, shared: Arc<Session>, udp: Arc<Udp>, tx: Transmit) {
        let slot = shared.slot;
        put(&mut self.sessions, slot, TxSession { shared, udp, tx, unit: None });
    }

    pub(super) fn remove_session(&mut self, slot: u32) {
        self.unbind_slot(slot);
        let Some(TxSession { shared, .. }) = take(&mut self.sessions, slot) else { return };
        let sent = Stats { rx: [0; Rx::COUNT], ..shared.stats() };
        state::lock(&shared.tunnel.past).add_session(&sent);
    }

    /// Parts with a session's half, which is bound to nothing, and sends nothing any more here.
    pub(super) fn give_away(&mut self, session: &Arc<Session>) -> Option<TxSession> {
        self.unbind(session);
        half(&mut self.sessions, session)?;
        take(&mut self.sessions, session.slot)
    }

    /// Goes on with one that another shard had, on a socket of this one.
    pub(super) fn take_over(&mut self, half: TxSession, udp: Arc<Udp>) {
        put(&mut self.sessions, half.shared.slot, TxSession { udp, ..half });
    }

    /// A tunnel's sessions learn the peer's tunnel id.
    pub(super) fn set_peer_id(&mut self, tunnel: u32, id: u16) {
        let sessions = self.sessions.iter_mut().flatten();
        sessions
            .filter(|session| session.shared.tunnel.slot == tunnel)
            .for_each(|session| session.tx.tunnel_id = id);
    }

    /// `Err`: an inner address that another session of the interface has.
    pub(super) fn bind(&mut self, session: &Arc<Session>, unit: Arc<UnitState>) -> Result<(), Prefix> {
        let slot = session.slot;
        if half(&mut self.sessions, session).is_none() {
            return Ok(());
        }
        if let Some(source) = at(&mut self.sources, unit.interface.slot) {
            match &mut source.owner {
                Owner::Session(session) => *session = Some(slot),
                Owner::Shared { table, last, .. } => {
                    *last = None;
                    for (index, &prefix) in unit.addresses.iter().enumerate() {
                        if !table.insert(prefix, slot) {
                            unit.addresses[..index].iter().for_each(|&prefix| table.remove(prefix, slot));
                            return Err(prefix);
                        }
                    }
                }
            }
        }
        if let Some(session) = at(&mut self.sessions, slot) {
            session.unit = Some(unit);
        }
        Ok(())
    }

    pub(super) fn unbind(&mut self, session: &Arc<Session>) {
        if half(&mut self.sessions, session).is_some() {
            self.unbind_slot(session.slot);
        }
    }

    fn unbind_slot(&mut self, slot: u32) {
        let Some(unit) = at(&mut self.sessions, slot).and_then(|session| session.unit.take()) else { return };
        if let Some(source) = at(&mut self.sources, unit.interface.slot) {
            match &mut source.owner {
                Owner::Session(session) => *session = None,
                Owner::Shared { table, last, .. } => {
                    *last = None;
                    unit.addresses.iter().for_each(|&prefix| table.remove(prefix, slot));
                }
            }
        }
    }

    /// Sends a frame of a caller's, which starts with its protocol.
    pub(super) fn send_frame(&mut self, session: &Arc<Session>, frame: &[u8]) {
        let Some(session) = half(&mut self.sessions, session) else { return };
        let mut header = [0; MAX];
        let used = session.tx.header(session.shared.send_seq.get(), &mut header);
        session.shared.ns.store(session.tx.ns(), Relaxed);
        let size = used + frame.len();
        self.arena[..used].copy_from_slice(&header[..used]);
        self.arena[used..size].copy_from_slice(frame);
        if session.shared.mask().has(DebugMask::DATA) {
            let ns = (used == MAX).then(|| session.tx.ns().wrapping_sub(1));
            debug_sent(&self.log, &session.shared, 1, &self.arena[..size], ns);
        }
        self.runs.push(single(&session.shared, 0, size), 1);
        self.send();
    }

    /// Reads a batch of an interface's packets and sends them, and tells the fast path when there is no more. Returns
    /// whether to rest before the next, as far as this interface goes.
    fn drain_all(&mut self, slot: u32) -> bool {
        self.doing.clear();
        let rest = self.drain(slot);
        self.look_for_more(slot) && rest
    }

    /// Where the fast path waits to hear that there is nothing more of an interface, it is looked for. Returns whether
    /// there was nothing.
    fn look_for_more(&mut self, slot: u32) -> bool {
        let Some(programs) = self.programs.clone().filter(|_| !self.doing.is_empty()) else { return true };
        for _ in 0..LOOKS {
            self.doing.look(|way| programs.way(way));
            let mut end = 0;
            let (count, _) = self.read_one(slot, &mut end);
            if count == 0 {
                self.doing.settle(|way| programs.way(way));
                return true;
            }
            self.send();
            self.drain(slot);
        }
        false
    }

    /// A session's packets shall go fast as soon as none is on its way here.
    pub(super) fn open_way(&mut self, session: &Arc<Session>) {
        let Some(half) = half(&mut self.sessions, session) else { return };
        let interface = half.unit.as_ref().map(|unit| unit.interface.slot);
        if let (Some(slot), Some(number), Some(programs)) = (interface, session.fast.number(), &self.programs)
        {
            self.doing.clear();
            programs.met(&mut self.doing, way_down(number));
            self.look_for_more(slot);
        }
    }

    /// Reads a batch of an interface's packets and sends them. Returns whether to rest before the next,
    /// as far as this interface goes.
    fn drain(&mut self, slot: u32) -> bool {
        let expected = at(&mut self.sources, slot).map_or(0, |source| source.expected).min(self.packets);
        let (mut end, mut count, mut more) = (0, 0, true);
        while more && count < self.packets && end < BYTES {
            let wanted = expected.saturating_sub(count);
            let read;
            (read, more) = match self.reads.take_if(|_| wanted > 1) {
                Some(reads) => self.read_many(slot, reads, wanted, &mut end),
                None => self.read_one(slot, &mut end),
            };
            count += read;
        }
        self.send();
        let small = end <= count * SMALL;
        if let Some(source) = at(&mut self.sources, slot) {
            source.expected = if small { count } else { 0 };
        }
        small && (BUSY..self.packets).contains(&count)
    }

    /// Reads a packet, whose frames start at `end` and move it. Returns how many it read, and whether there may be more.
    fn read_one(&mut self, slot: u32, end: &mut usize) -> (usize, bool) {
        let Some(source) = at(&mut self.sources, slot) else { return (0, false) };
        let vnet = if source.shared.vnet { vnet::LEN } else { 0 };
        let (start, room) = (*end, source.room);
        match (&source.shared.tun).read(&mut self.arena[start + room - vnet..]) {
            Ok(len) if len > vnet => *end = self.packet(slot, start, room, len - vnet),
            Ok(_) => {}
            Err(error) => {
                if !matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EINTR)) {
                    self.lost(slot);
                }
                return (0, false);
            }
        }
        (1, true)
    }

    /// The same for packets that are thought to be small: many a system call, and each copied.
    fn read_many(&mut self, slot: u32, mut reads: Reads, wanted: usize, end: &mut usize) -> (usize, bool) {
        let Some(source) = at(&mut self.sources, slot) else {
            self.reads = Some(reads);
            return (0, false);
        };
        let vnet = if source.shared.vnet { vnet::LEN } else { 0 };
        let (caught, able) = reads.read(&source.shared.tun, wanted);
        let mut count = 0;
        for packet in reads.packets(&caught) {
            count += 1;
            if *end >= BYTES {
                self.send();
                *end = 0;
            }
            let Some(source) = at(&mut self.sources, slot) else { break };
            let (start, room) = (*end, source.room);
            if packet.len() > vnet {
                self.arena[start + room - vnet..][..packet.len()].copy_from_slice(packet);
                *end = self.packet(slot, start, room, packet.len() - vnet);
            }
        }
        match (able, caught.error) {
            (Err(error), _) => tracing::info!(target: "pppol2tp", "no reads by io_uring: {error}"),
            (_, Some(libc::EOPNOTSUPP)) => tracing::info!(target: "pppol2tp", "no reads by io_uring"),
            (_, error) => {
                self.reads = Some(reads);
                if error.is_some() {
                    self.lost(slot);
                }
            }
        }
        (count, caught.all || self.reads.is_none())
    }

    /// Makes frames of the packet of `len` bytes that stands behind `room` bytes at `start`.
    /// Returns where they end.
    fn packet(&mut self, slot: u32, start: usize, room: usize, len: usize) -> usize {
        let Some(source) = at(&mut self.sources, slot) else { return start };
        let packet = &self.arena[start + room..start + room + len];
        let session = match &mut source.owner {
            Owner::Session(session) => *session,
            Owner::Shared { table, last, unrouted } => {
                let session = inner_address(packet, true).and_then(|address| match *last {
                    Some((known, session)) if known == address => Some(session),
                    _ => table.get(address).inspect(|&session| *last = Some((address, session))),
                });
                if session.is_none() {
                    unrouted.add(1);
                }
                session
            }
        };
        let Some(session) = session.and_then(|session| at(&mut self.sessions, session)) else { return start };
        let shared = &*session.shared;
        if let (Some(programs), Some(number)) = (&self.programs, shared.fast.number()) {
            programs.met_down(&mut self.doing, number, packet);
        }
        let protocol = match packet[0] >> 4 {
            4 => IPV4,
            6 => IPV6,
            _ => {
                drop_frames(shared, Tx::Malformed, 1, &self.log, MALFORMED);
                return start;
            }
        };
        if session.unit.as_ref().is_some_and(|unit| !unit.lets_pass(protocol == IPV6)) {
            return start;
        }
        let send_seq = shared.send_seq.get();
        let vnet = if source.shared.vnet {
            let at = start + room - vnet::LEN;
            let bytes = self.arena[at..at + vnet::LEN].first_chunk().copied();
            vnet::Header::parse(&bytes.unwrap_or_default())
        } else {
            vnet::Header::default()
        };
        let needed = ROOM[usize::from(send_seq)];
        if needed != room {
            // Sequence numbers were switched: this packet moves, the next ones are read in place.
            self.arena.copy_within(start + room..start + room + len, start + needed);
            source.room = needed;
        }
        let at = start + needed;
        if let Some(unit) = session.unit.as_ref().filter(|unit| unit.mss_clamp) {
            mss::clamp(&mut self.arena[at..at + len], &vnet, || unit.mtu(&shared.tunnel));
        }
        let tx = &mut session.tx;
        let mut write = |out: &mut [u8]| {
            let mut header = [0; MAX];
            let used = tx.header(send_seq, &mut header);
            out[..used].copy_from_slice(&header[..used]);
            out[used..used + PROTOCOL].copy_from_slice(&protocol.to_be_bytes());
        };
        let frames = if vnet.gso_type == vnet::GSO_NONE {
            let done = split::complete(&mut self.arena[at..at + len], &vnet);
            done.map(|()| {
                write(&mut self.arena[start..at]);
                single(shared, start, needed + len)
            })
        } else {
            let done = split::split(&mut self.arena, at, len, needed, &vnet, |_, out| write(out));
            done.map(|Segments { count, size, last }| Frames {
                count,
                size,
                last,
                ..single(shared, start, 0)
            })
        };
        shared.ns.store(session.tx.ns(), Relaxed);
        let Ok(frames) = frames else {
            drop_frames(shared, Tx::Malformed, 1, &self.log, MALFORMED);
            return start;
        };
        if shared.mask().has(DebugMask::DATA) {
            let ns = send_seq.then(|| session.tx.ns().wrapping_sub(frames.count as u16));
            debug_sent(&self.log, shared, frames.count, &self.arena[start..start + frames.size], ns);
        }
        self.runs.push(frames, session.udp.segments.load(Relaxed));
        start + (frames.count - 1) * frames.size + frames.last
    }

    /// Sends the runs of this batch, in order.
    fn send(&mut self) {
        let Self { runs, sessions, sender, arena, log, .. } = self;
        let path = |session: u32| {
            let entry = sessions.get(session as usize).and_then(Option::as_ref);
            entry.map(|entry| (&*entry.udp, &*entry.shared.tunnel))
        };
        let count = |session: u32, frames: u64, bytes: u64, error: Option<&io::Error>| {
            let Some(Some(entry)) = sessions.get(session as usize) else { return };
            match error {
                None => {
                    entry.shared.add(Tx::Packets, frames);
                    entry.shared.add(Tx::Bytes, bytes);
                }
                Some(error) => drop_frames(&entry.shared, reason(error), frames, log, error),
            }
        };
        let count_run = |run: usize, error: Option<&io::Error>| {
            runs.groups(run).iter().for_each(|group| count(group.session, group.frames, group.bytes, error));
        };
        let (mut next, mut tries, mut stuck) = (0, 0, None);
        while let Some(run) = runs.get().get(next) {
            // All of a batch's sessions are there still: commands run between batches.
            let Some((udp, tunnel)) = path(run.session) else { break };
            let same_socket = runs.get()[next..].iter().map_while(|run| {
                let (other, tunnel) = path(run.session)?;
                (other.slot == udp.slot).then(|| Outgoing {
                    bytes: &arena[run.start..run.end],
                    segment: if run.count > 1 { run.size as u16 } else { 0 },
                    destination: &tunnel.destination,
                })
            });
            let error = match sender.send(udp.fd(), same_socket) {
                Ok(sent) => {
                    (next..next + sent).for_each(|run| count_run(run, None));
                    (next, tries) = (next + sent, 0);
                    continue;
                }
                Err(error) => error,
            };
            match error.raw_os_error() {
                Some(libc::EINTR) => {}
                Some(libc::EAGAIN) if stuck != Some(udp.slot) && writable(udp) => {}
                Some(libc::EAGAIN) => {
                    // Waited for once a batch, not once a message.
                    stuck = Some(udp.slot);
                    count_run(next, Some(&error));
                    next += 1;
                }
                Some(code @ (libc::EIO | libc::EINVAL | libc::EOPNOTSUPP | libc::EMSGSIZE))
                    if run.count > 1 =>
                {
                    // EINVAL and EMSGSIZE speak of datagrams larger than the path, too.
                    let fits = run.size + 48 <= usize::from(tunnel.path_mtu.load(Relaxed));
                    if code == libc::EINVAL && fits && run.count > usize::from(OLD_MAX_FRAMES) {
                        udp.segments.store(OLD_MAX_FRAMES, Relaxed);
                    } else if code != libc::EMSGSIZE && (fits || code != libc::EINVAL) {
                        udp.segments.store(1, Relaxed);
                        tracing::info!(target: "pppol2tp", "{}: no UDP segmentation offload: {error}", udp.local);
                    }
                    let frames = arena[run.start..run.end].chunks(run.size);
                    let owners =
                        runs.groups(next).iter().flat_map(|group| (0..group.frames).map(|_| group.session));
                    for (bytes, session) in frames.zip(owners) {
                        let sent = send_one(
                            sender,
                            udp,
                            Outgoing { bytes, segment: 0, destination: &tunnel.destination },
                        );
                        count(session, 1, bytes.len() as u64, sent.err().as_ref());
                    }
                    next += 1;
                }
                _ if tries < RETRIES => tries += 1,
                _ => {
                    count_run(next, Some(&error));
                    (next, tries) = (next + 1, 0);
                }
            }
        }
        runs.clear();
    }

    /// Whether the interface in this slot has gone: by now the slot may be another's.
    fn is_lost(&mut self, slot: u32) -> bool {
        at(&mut self.sources, slot).is_some_and(|source| {
            let mut fds = [PollFd::new(source.shared.tun.as_fd(), PollFlags::empty())];
            poll(&mut fds, PollTimeout::ZERO).is_ok_and(|lost| lost > 0)
        })
    }

    /// An interface that has gone: nothing more comes from it, its units are told.
    fn lost(&mut self, slot: u32) {
        let Some(source) = at(&mut self.sources, slot) else { return };
        let interface = source.shared.clone();
        interface.alive.store(false, SeqCst);
        // It is registered; only its device is gone.
        let _ = self.epoll.delete(interface.tun.as_fd());
        tracing::warn!(target: "pppol2tp", "{}: the interface has gone; close its units", interface.name);
        for session in self.sessions.iter().flatten() {
            if let Some(unit) = session.unit.as_ref().filter(|unit| unit.interface.slot == slot) {
                unit.close();
                session.udp.passed.push_gone(&session.shared, &unit.told);
            }
        }
    }
}

/// A session's half. `None` once it has ended: its slot may be another's by now.
fn half<'a>(sessions: &'a mut [Option<TxSession>], session: &Arc<Session>) -> Option<&'a mut TxSession> {
    at(sessions, session.slot).filter(|half| Arc::ptr_eq(&half.shared, session))
}

/// One frame as [`Runs`] takes it.
fn single(session: &Session, start: usize, size: usize) -> Frames {
    Frames { tunnel: session.tunnel.slot, session: session.slot, start, count: 1, size, last: size }
}

/// Sends one message, again if ICMP's word on an earlier one comes first.
fn send_one(sender: &mut SendBatch, udp: &Udp, message: Outgoing<'_>) -> io::Result<()> {
    let mut tries = 0;
    loop {
        match sender.send(udp.fd(), std::iter::once(message.clone())) {
            Ok(_) => return Ok(()),
            Err(error) if tries == RETRIES => return Err(error),
            Err(error) if error.raw_os_error() == Some(libc::EAGAIN) && !writable(udp) => return Err(error),
            Err(_) => tries += 1,
        }
    }
}

/// Waits for room in a socket's buffer.
fn writable(udp: &Udp) -> bool {
    let mut fds = [PollFd::new(udp.fd(), PollFlags::POLLOUT)];
    poll(&mut fds, PollTimeout::from(PATIENCE)).is_ok_and(|ready| ready > 0)
}

fn reason(error: &io::Error) -> Tx {
    match error.raw_os_error() {
        Some(libc::EMSGSIZE) => Tx::TooBig,
        Some(libc::ENOBUFS | libc::ENOMEM | libc::EAGAIN) => Tx::NoBuffers,
        _ => Tx::Refused,
    }
}

/// Says that frames are sent: how many, the first one, and its Ns if it has one.
#[cold]
fn debug_sent(log: &Log, session: &Session, count: usize, first: &[u8], ns: Option<u16>) {
    let (len, dump) = (first.len(), Dump(first, 32));
    match ns {
        Some(ns) => log.debug(log.now(), session, format_args!("send {count} × {len} bytes, ns={ns}:{dump}")),
        None => log.debug(log.now(), session, format_args!("send {count} × {len} bytes:{dump}")),
    }
}

/// Counts frames that were not sent.
#[cold]
fn drop_frames(session: &Session, reason: Tx, frames: u64, log: &Log, why: impl Display) {
    session.add(reason, frames);
    session.add(Tx::Errors, frames);
    log.dropped(session, format_args!("{}: {why}", reason.name()));
}
