//! The rules of `l2tp-data` put together as a driver does it, around one frame and without any I/O.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};

use l2tp_data::debug::{DebugMask, Message as Debug};
use l2tp_data::frame::{self, Class, Frame};
use l2tp_data::header::{self, Datagram};
use l2tp_data::reorder::Reorder;
use l2tp_data::session::{self, Receive, SendSeq, Sink, Transmit, Verdict};
use l2tp_data::stats::{Count, Rx};

/// The tunnel id that [`Bed`]'s sessions belong to, on both sides.
pub const TUNNEL: u16 = 7;

/// REORDERTO of the sessions that reorder, in microseconds.
const REORDER_TIMEOUT: u64 = 100_000;

/// Counters of one receive half. One thread writes them, so an addition is a load and a store.
struct Counters([AtomicU64; Rx::COUNT]);

impl Count<Rx> for Counters {
    fn add(&self, counter: Rx, n: u64) {
        let counter = &self.0[counter as usize];
        counter.store(counter.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }
}

impl Sink for Counters {
    fn mask(&self) -> DebugMask {
        DebugMask::default()
    }
    fn debug(&self, _: Debug) {}
}

struct Session {
    receive: Receive,
    transmit: Transmit,
    send_seq: SendSeq,
    queue: Option<Box<Reorder>>,
    counters: Counters,
}

/// Sessions 1 to n of one tunnel, found by direct array as the driver finds them.
pub struct Bed {
    by_id: Box<[u16]>,
    sessions: Vec<Session>,
    /// The caller's clock in microseconds.
    pub now: u64,
}

impl Bed {
    /// A tunnel with `sessions` sessions that reorder or do not.
    pub fn new(sessions: u16, reorder: bool) -> Self {
        let mut by_id = vec![0; 1 << 16].into_boxed_slice();
        let sessions = (1..=sessions)
            .map(|id| {
                by_id[usize::from(id)] = id;
                let mut receive = Receive::default();
                receive.reorder_timeout = if reorder { REORDER_TIMEOUT } else { 0 };
                Session {
                    receive,
                    transmit: Transmit::new(TUNNEL, id),
                    send_seq: SendSeq::new(false),
                    queue: reorder.then(Box::default),
                    counters: Counters([const { AtomicU64::new(0) }; Rx::COUNT]),
                }
            })
            .collect();
        Self { by_id, sessions, now: 0 }
    }

    /// The way of a received datagram: header, session, sequence rules, class of the frame. Returns
    /// how many frames can go on (those released included), and what this one was.
    #[inline]
    pub fn receive(&mut self, datagram: &[u8]) -> (usize, Option<Class>) {
        let Datagram::Data(found) = Datagram::parse(datagram) else {
            return (0, None);
        };
        let session = match self.by_id[usize::from(found.session_id)].checked_sub(1) {
            Some(index) if found.tunnel_id == TUNNEL => &mut self.sessions[usize::from(index)],
            _ => return (0, None),
        };
        let Session { receive, send_seq, queue, counters, .. } = session;
        let Ok(message) = found.message(datagram) else {
            session::discard(Rx::BadLength, counters);
            return (0, None);
        };
        let verdict =
            receive.accept(message.sequence, message.len, self.now, queue.as_deref_mut(), send_seq, counters);
        let mut released = 0;
        if let Some(queue) = queue.as_deref_mut() {
            while receive.release(self.now, queue, counters).is_some() {
                released += 1;
            }
        }
        if verdict != Verdict::Deliver {
            return (released, None);
        }
        let class = message.payload(datagram).ok().and_then(|payload| {
            let payload = &datagram[payload];
            let frame = &payload[frame::strip(payload).ok()?];
            Some(Frame::parse(frame).ok()?.class)
        });
        (released + 1, class)
    }

    /// The header of the next frame that `session` sends.
    #[inline]
    pub fn transmit(&mut self, session: u16, send_seq: bool, out: &mut [u8; header::MAX]) -> usize {
        self.sessions[usize::from(session) - 1].transmit.header(send_seq, out)
    }

    /// A counter, summed over the sessions.
    pub fn count(&self, counter: Rx) -> u64 {
        self.sessions.iter().map(|session| session.counters.0[counter as usize].load(Ordering::Relaxed)).sum()
    }
}

/// As many datagrams as a driver reads at once.
pub const BATCH: usize = 64;

/// A batch of data messages, each with an IPv4 packet of 64 bytes, that never ends.
pub struct Stream {
    datagrams: Vec<Vec<u8>>,
    sequence: bool,
    next: usize,
}

impl Stream {
    /// Messages for the sessions 1 to `sessions` in turn, with or without Ns.
    pub fn new(sessions: u16, sequence: bool) -> Self {
        let datagrams = (0..BATCH as u16)
            .map(|i| {
                let mut header = [0; header::MAX];
                let len = header::write(TUNNEL, 1 + i % sessions, sequence.then_some(0), &mut header);
                let mut datagram = header[..len].to_vec();
                datagram.extend(frame::IPV4.to_be_bytes());
                datagram.push(0x45);
                datagram.resize(len + 2 + 64, 0);
                datagram
            })
            .collect();
        Self { datagrams, sequence, next: 0 }
    }

    /// The next datagram. `ns` maps its place in the stream to its number.
    #[inline]
    pub fn next(&mut self, ns: impl Fn(u16) -> u16) -> &[u8] {
        let datagram = &mut self.datagrams[self.next % BATCH];
        if self.sequence {
            datagram[6..8].copy_from_slice(&ns(self.next as u16).to_be_bytes());
        }
        self.next += 1;
        datagram
    }
}

/// Numbers in order.
pub fn in_order(place: u16) -> u16 {
    place
}

/// Numbers of which every second pair is swapped: 0 2 1 3, 4 6 5 7 …
pub fn swapped(place: u16) -> u16 {
    match place % 4 {
        1 => place + 1,
        2 => place - 1,
        _ => place,
    }
}
