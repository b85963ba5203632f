//! What waits for the owner of a UDP handle: control messages, then the frames of sessions that pass up,
//! then all the rest.
//!
//! Most of it waits in the kernel. Read is what has to be: datagrams, to know what they are; of frames, a
//! few at a time. So no flood of datagrams or of one session's frames takes another's place.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{self, Read};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;

use l2tp_data::header::Datagram;
use nix::sys::epoll::EpollEvent;

use super::session::Session;
use super::tunnel::Tunnel;
use super::udp::Udp;
use super::watch::Watch;
use crate::sys::RecvBatch;
use crate::{PassedUp, Reason};

/// How many control messages wait here at the most, how many frames, and how many others.
pub(super) const CONTROL: usize = 4096;
const QUEUED: usize = 4096;
const OTHER: usize = 256;
/// How many datagrams a system call reads, how many sources have their turn at once, and how many frames of
/// each are read then.
const BATCH: usize = 16;
const TURN: usize = 16;
const FRAMES: usize = 4;
/// How many are read of a channel or unit that ends: as many as the kernel keeps.
const REST: usize = 32;
/// How often reading may bring nothing for the owner, only errors, before it is given up for now.
const ROUNDS: usize = 64;
/// The shortest data message that the kernel takes.
const SHORTEST: usize = 14;
/// Room for any frame.
const FRAME: usize = 65536;

/// What a UDP handle counts.
#[derive(Default)]
pub(super) struct Counters {
    control: u64,
    control_dropped: u64,
    short: u64,
    version: u64,
    unknown_session: u64,
    frames: u64,
    frames_dropped: u64,
    other_dropped: u64,
    errors: u64,
}

impl Counters {
    pub(super) fn list(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("rx_control", self.control),
            ("rx_control_dropped", self.control_dropped),
            ("rx_short", self.short),
            ("rx_version", self.version),
            ("rx_unknown_session", self.unknown_session),
            ("rx_frames", self.frames),
            ("rx_frames_dropped", self.frames_dropped),
            ("rx_passed_up_dropped", self.other_dropped),
            ("icmp_errors", self.errors),
        ]
    }
}

/// The queues, and the sessions that pass up.
pub(super) struct Inbox {
    pub(super) counters: Counters,
    control: VecDeque<PassedUp>,
    /// With the serial numbers of their sessions.
    frames: VecDeque<(u64, PassedUp)>,
    other: VecDeque<PassedUp>,
    sessions: BTreeMap<u64, Arc<Session>>,
    pub(super) tunnels: BTreeMap<u16, Arc<Tunnel>>,
    pub(super) dont_fragment: Option<bool>,
    batch: RecvBatch,
}

/// The token of a session's channel, or of its unit.
pub(super) fn token(session: u64, unit: bool) -> u64 {
    session << 1 | u64::from(unit)
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self {
            counters: Counters::default(),
            control: VecDeque::new(),
            frames: VecDeque::new(),
            other: VecDeque::new(),
            sessions: BTreeMap::new(),
            tunnels: BTreeMap::new(),
            dont_fragment: None,
            batch: RecvBatch::new(BATCH),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.control.is_empty() && self.frames.is_empty() && self.other.is_empty()
    }

    /// The next one; reads on where nothing of a kind waits.
    pub(super) fn next(&mut self, udp: &Udp) -> Option<PassedUp> {
        for _ in 0..ROUNDS {
            let mut read = self.control.is_empty() && self.read_datagrams(udp);
            if let Some(control) = self.control.pop_front() {
                return Some(control);
            }
            read |= self.frames.is_empty() && self.read_frames(&udp.sources);
            let frame = self.frames.pop_front().map(|(_, frame)| frame);
            let next = frame.or_else(|| self.other.pop_front());
            // What was read may have been nothing for the owner, and there may be more.
            if next.is_some() || !read {
                return next;
            }
        }
        None
    }

    /// Reads some datagrams of the sockets that have any: whether any had a turn.
    fn read_datagrams(&mut self, udp: &Udp) -> bool {
        let mut events = [EpollEvent::empty(); TURN];
        let events = udp.datagrams.ready(&mut events);
        for event in events {
            let tunnel = self.tunnels.get(&(event.data() as u16)).cloned();
            match tunnel {
                Some(tunnel) => drop(tunnel.with_udp(|socket| self.read(udp, socket, true))),
                None => drop(self.read(udp, &udp.listener, false)),
            }
        }
        !events.is_empty()
    }

    /// Reads some datagrams of a socket: whether there may be more. `served` says that the kernel takes the
    /// data messages of its sessions.
    fn read(&mut self, udp: &Udp, socket: &UdpSocket, served: bool) -> bool {
        let count = match self.batch.receive(socket.as_fd()) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            Err(_) => {
                // ICMP's word on a message that was sent.
                self.counters.errors += 1;
                return true;
            }
        };
        for index in 0..count {
            let Some(message) = self.batch.message(index) else { continue };
            if udp.only.is_some_and(|only| only != message.from) {
                continue;
            }
            let datagram = self.batch.arena()[message.range].to_vec();
            let short = served && datagram.len() < SHORTEST;
            let (reason, counter) = match Datagram::parse(&datagram) {
                Datagram::Control => (Reason::Control, &mut self.counters.control),
                Datagram::Version(_) => (Reason::Version, &mut self.counters.version),
                Datagram::Data(_) if !short => (Reason::UnknownSession, &mut self.counters.unknown_session),
                Datagram::Data(_) | Datagram::Short => (Reason::Short, &mut self.counters.short),
            };
            *counter += 1;
            let (queue, limit, dropped) = match reason {
                Reason::Control => (&mut self.control, CONTROL, &mut self.counters.control_dropped),
                _ => (&mut self.other, OTHER, &mut self.counters.other_dropped),
            };
            if queue.len() < limit {
                queue.push_back(PassedUp { datagram, from: message.from, local: message.local, reason });
            } else {
                *dropped += 1;
            }
        }
        true
    }

    /// Reads all datagrams of a socket, but for those that there may be no room for: they wait there.
    pub(super) fn drain(&mut self, udp: &Udp, socket: &UdpSocket, served: bool) {
        for _ in 0..CONTROL {
            if self.control.len() + BATCH > CONTROL || !self.read(udp, socket, served) {
                break;
            }
        }
    }

    /// Reads all datagrams of a tunnel's new socket and of the listener, in the order that [`udp`](super::udp)
    /// gives the reasons for.
    pub(super) fn drain_both(&mut self, udp: &Udp, socket: &UdpSocket, peer: SocketAddr) {
        let before = [self.control.len(), self.other.len()];
        self.drain(udp, socket, true);
        let aside = [(&mut self.control, before[0]), (&mut self.other, before[1])].map(|(queue, before)| {
            let new = queue.split_off(before).into_iter();
            let (of_peer, of_others): (Vec<_>, Vec<_>) = new.partition(|datagram| datagram.from == peer);
            queue.extend(of_others);
            of_peer
        });
        self.drain(udp, &udp.listener, false);
        for (queue, aside) in [&mut self.control, &mut self.other].into_iter().zip(aside) {
            queue.extend(aside);
        }
        self.drain(udp, socket, true);
    }

    /// Reads some frames of the sessions that have any: whether any had a turn.
    fn read_frames(&mut self, sources: &Watch) -> bool {
        let mut events = [EpollEvent::empty(); TURN];
        let events = sources.ready(&mut events);
        for event in events {
            let (serial, unit) = (event.data() >> 1, event.data() & 1 != 0);
            if let Some(session) = self.sessions.get(&serial).cloned() {
                self.read_source(&session, unit, FRAMES, sources);
            }
        }
        !events.is_empty()
    }

    /// Reads frames of a session's channel or unit; its end is told once.
    fn read_source(&mut self, session: &Arc<Session>, unit: bool, most: usize, sources: &Watch) {
        let state = session.state();
        let Some(file) = state.source(unit) else { return };
        for _ in 0..most {
            match read(file) {
                Source::Frame(frame) => self.push_frame(session, frame),
                Source::Empty => return,
                Source::End => {
                    sources.remove(file);
                    return self.push_gone(session);
                }
            }
        }
    }

    pub(super) fn push_frame(&mut self, session: &Session, frame: Vec<u8>) {
        if self.frames.len() >= QUEUED {
            return self.counters.frames_dropped += 1;
        }
        self.counters.frames += 1;
        self.push(session, Reason::Frame(session.ids()), frame);
    }

    fn push_gone(&mut self, session: &Session) {
        self.push(session, Reason::Gone(session.ids()), Vec::new());
    }

    fn push(&mut self, session: &Session, reason: Reason, datagram: Vec<u8>) {
        let tunnel = &session.tunnel;
        let passed_up = PassedUp { datagram, from: tunnel.peer, local: tunnel.local, reason };
        self.frames.push_back((session.serial, passed_up));
    }

    /// From now on a session passes up.
    pub(super) fn add(&mut self, session: &Arc<Session>) {
        self.sessions.insert(session.serial, session.clone());
    }

    /// A session ends with its tunnel: reads the rest of its frames, and says so.
    pub(super) fn end(&mut self, session: &Arc<Session>, sources: &Watch) {
        if self.sessions.remove(&session.serial).is_some() {
            for unit in [false, true] {
                self.read_source(session, unit, REST, sources);
            }
            self.push_gone(session);
        }
    }

    /// Its owner has closed a session: nothing comes of it any more.
    pub(super) fn forget(&mut self, session: &Session) {
        if self.sessions.remove(&session.serial).is_some() {
            self.frames.retain(|(serial, _)| *serial != session.serial);
        }
    }
}

/// What reading a descriptor of `/dev/ppp` gives.
pub(super) enum Source {
    /// A frame, starting with its protocol.
    Frame(Vec<u8>),
    Empty,
    /// The channel, or the unit, has gone.
    End,
}

pub(super) fn read(mut file: &File) -> Source {
    in_buffer(|buffer| match file.read(buffer) {
        Ok(len @ 1..) => Source::Frame(buffer[..len].to_vec()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Source::Empty,
        Ok(0) | Err(_) => Source::End,
    })
}

/// Reads a frame into a buffer that the thread keeps.
pub(super) fn in_buffer<R>(read: impl FnOnce(&mut [u8]) -> R) -> R {
    thread_local! {
        static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; FRAME].into());
    }
    BUFFER.with_borrow_mut(|buffer| read(buffer))
}
