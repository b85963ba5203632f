//! Nanoseconds per frame of the rules, without sockets, interfaces or copies.

use std::cell::Cell;
use std::fmt;
use std::hint::black_box;
use std::time::{Duration, Instant};

use l2tp_data::debug::{DebugMask, Message};
use l2tp_data::frame::{self, Class, Frame};
use l2tp_data::header::{self, Datagram};
use l2tp_data::reorder::Reorder;
use l2tp_data::session::{self, Receive, SendSeq, Sink, Transmit, Verdict};
use l2tp_data::stats::{Count, Rx};
use serde::Serialize;

use crate::demo::round;
use crate::exit::Result;
use crate::interrupt::Interrupt;
use crate::load::median;
use crate::output::Table;

const TUNNEL: u16 = 7;
/// REORDERTO in microseconds.
const REORDER_TIMEOUT: u64 = 100_000;
/// Sessions that frames are for in turn.
pub const SESSIONS: u16 = 256;
/// Time of one sample.
const SAMPLE: Duration = Duration::from_millis(50);
const SAMPLES: usize = 9;
/// Frames between two looks at the clock.
const FRAMES: usize = 1 << 16;

/// Nanoseconds per frame: medians.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Rules {
    /// Header, session, verdict, class.
    pub receive_ns: f64,
    /// The same with sequence numbers and reordering; one frame in eight comes late.
    pub sequenced_ns: f64,
    /// Header of a frame.
    pub transmit_ns: f64,
}

/// Measures all.
///
/// Errors: interrupted.
pub fn measure(interrupt: &Interrupt) -> Result<Rules> {
    let receive = |sessions, sequenced, ns: fn(u16) -> u16| {
        let (mut end, mut stream) = (Endpoint::new(sessions, sequenced), Stream::new(sessions, sequenced));
        nanoseconds(interrupt, |_| end.receive(black_box(stream.next(ns))))
    };
    let (mut end, mut out) = (Endpoint::new(SESSIONS, false), [0; header::MAX]);
    Ok(Rules {
        receive_ns: receive(SESSIONS, false, in_order)?,
        sequenced_ns: receive(1, true, late)?,
        transmit_ns: nanoseconds(interrupt, |n| {
            end.transmit(1 + n as u16 % SESSIONS, false, black_box(&mut out))
        })?,
    })
}

fn nanoseconds(interrupt: &Interrupt, mut frame: impl FnMut(usize) -> usize) -> Result<f64> {
    let mut samples = Vec::with_capacity(SAMPLES);
    for _ in 0..SAMPLES {
        interrupt.check()?;
        let (start, mut done) = (Instant::now(), 0);
        while start.elapsed() < SAMPLE {
            for n in 0..FRAMES {
                black_box(frame(n));
            }
            done += FRAMES;
        }
        samples.push(start.elapsed().as_nanos() as f64 / done as f64);
    }
    Ok(round(median(&samples)))
}

/// Counts without being shared.
#[derive(Default)]
struct Counters([Cell<u64>; Rx::COUNT]);

impl Count<Rx> for Counters {
    fn add(&self, counter: Rx, n: u64) {
        let cell = &self.0[counter as usize];
        cell.set(cell.get() + n);
    }
}

impl Sink for Counters {
    fn mask(&self) -> DebugMask {
        DebugMask::default()
    }

    fn debug(&self, _: Message) {}
}

struct Session {
    receive: Receive,
    transmit: Transmit,
    send_seq: SendSeq,
    queue: Option<Box<Reorder>>,
    counters: Counters,
}

/// Sessions 1 to n of a tunnel, behind a direct table as the driver keeps them.
pub struct Endpoint {
    by_id: Box<[u16]>,
    sessions: Vec<Session>,
    now: u64,
}

impl Endpoint {
    /// Sessions that reorder or do not.
    pub fn new(sessions: u16, reorder: bool) -> Self {
        let mut by_id = vec![0; 1 << 16].into_boxed_slice();
        let session = |id| {
            by_id[usize::from(id)] = id;
            let mut receive = Receive::default();
            receive.reorder_timeout = if reorder { REORDER_TIMEOUT } else { 0 };
            Session {
                receive,
                transmit: Transmit::new(TUNNEL, id),
                send_seq: SendSeq::default(),
                queue: reorder.then(Box::default),
                counters: Counters::default(),
            }
        };
        let sessions = (1..=sessions).map(session).collect();
        Self { by_id, sessions, now: 0 }
    }

    /// The way of a received datagram: header, session, sequence rules, class. How many network
    /// frames came out, those that it released included.
    #[inline]
    pub fn receive(&mut self, datagram: &[u8]) -> usize {
        self.now += 1;
        let Datagram::Data(header) = Datagram::parse(datagram) else { return 0 };
        let session = match self.by_id[usize::from(header.session_id)].checked_sub(1) {
            Some(index) if header.tunnel_id == TUNNEL => &mut self.sessions[usize::from(index)],
            _ => return 0,
        };
        let Session { receive, send_seq, queue, counters, .. } = session;
        let Ok(message) = header.message(datagram) else {
            session::discard(Rx::BadLength, counters);
            return 0;
        };
        let verdict =
            receive.accept(message.sequence, message.len, self.now, queue.as_deref_mut(), send_seq, counters);
        let mut delivered = 0;
        if verdict == Verdict::Deliver {
            delivered += usize::from(is_network(&message, datagram));
        }
        if let Some(queue) = queue {
            while receive.release(self.now, queue, counters).is_some() {
                delivered += 1;
            }
        }
        delivered
    }

    /// The header of the next frame that a session sends: how many bytes.
    #[inline]
    pub fn transmit(&mut self, session: u16, send_seq: bool, out: &mut [u8; header::MAX]) -> usize {
        self.sessions[usize::from(session) - 1].transmit.header(send_seq, out)
    }

    /// A counter, summed over the sessions.
    pub fn count(&self, counter: Rx) -> u64 {
        self.sessions.iter().map(|session| session.counters.0[counter as usize].get()).sum()
    }
}

#[inline]
fn is_network(message: &header::Message, datagram: &[u8]) -> bool {
    let Ok(payload) = message.payload(datagram) else { return false };
    let payload = &datagram[payload];
    let Ok(range) = frame::strip(payload) else { return false };
    matches!(Frame::parse(&payload[range]), Ok(Frame { class: Class::Ipv4 | Class::Ipv6, .. }))
}

/// Data messages, each with an IPv4 packet of 64 bytes, without end.
pub struct Stream {
    datagrams: Vec<Vec<u8>>,
    sequenced: bool,
    next: usize,
}

impl Stream {
    /// Messages for the sessions 1 to `sessions` in turn, with or without Ns.
    pub fn new(sessions: u16, sequenced: bool) -> Self {
        let datagram = |n| {
            let mut header = [0; header::MAX];
            let len = header::write(TUNNEL, 1 + n % sessions, sequenced.then_some(0), &mut header);
            let mut datagram = header[..len].to_vec();
            datagram.extend([0x00, 0x21, 0x45]);
            datagram.resize(len + 2 + 64, 0);
            datagram
        };
        Self { datagrams: (0..SESSIONS).map(datagram).collect(), sequenced, next: 0 }
    }

    /// The next datagram. `ns` maps its place in the stream to its number.
    #[inline]
    pub fn next(&mut self, ns: impl Fn(u16) -> u16) -> &[u8] {
        let datagram = &mut self.datagrams[self.next % usize::from(SESSIONS)];
        if self.sequenced {
            datagram[header::SHORT..header::SHORT + 2].copy_from_slice(&ns(self.next as u16).to_be_bytes());
        }
        self.next += 1;
        datagram
    }
}

/// Numbers in order.
pub fn in_order(place: u16) -> u16 {
    place
}

/// In each eight numbers, the second and third are swapped.
pub fn late(place: u16) -> u16 {
    match place % 8 {
        1 => place + 1,
        2 => place - 1,
        _ => place,
    }
}

impl fmt::Display for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(["rules", "ns per frame"]);
        for (name, ns) in [
            ("receive: header, session, verdict, class", self.receive_ns),
            ("receive, sequenced, reordering", self.sequenced_ns),
            ("transmit: header", self.transmit_ns),
        ] {
            table.row([name.into(), format!("{ns:.1}")]);
        }
        table.fmt(f)
    }
}
