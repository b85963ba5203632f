//! Nanoseconds per frame of the rules, without sockets, interfaces or copies.

use std::cell::Cell;
use std::fmt;
use std::hint::black_box;
use std::time::{Duration, Instant};

use l2tp_data::debug::{DebugMask, Message};
use l2tp_data::frame::{self, Class, Frame};
use l2tp_data::header::{self, Datagram};
use l2tp_data::reorder::Reorder;
use l2tp_data::session::{Receive, SendSeq, Sink, Transmit, Verdict};
use l2tp_data::stats::{Count, Rx};
use serde::Serialize;

use crate::demo::round;
use crate::exit::Result;
use crate::interrupt::Interrupt;
use crate::load::median;
use crate::output::Table;

const TUNNEL: u16 = 7;
/// Sessions that frames are for in turn.
const SESSIONS: usize = 256;
/// Frames of the unsequenced input.
const FRAMES: usize = 1024;
/// Time of one sample.
const SAMPLE: Duration = Duration::from_millis(50);
const SAMPLES: usize = 9;

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
    let mut receiver = Receiver::new(0);
    let frames = Receiver::frames();
    let receive_ns = nanoseconds(interrupt, FRAMES, || receiver.run(&frames))?;
    let mut receiver = Receiver::new(100_000);
    let mut late = Late::new();
    let sequenced_ns = nanoseconds(interrupt, Late::RUN, || receiver.run(late.run()))?;
    let mut sender = Sender::new();
    let transmit_ns = nanoseconds(interrupt, FRAMES, || sender.run(FRAMES))?;
    Ok(Rules {
        receive_ns: round(receive_ns),
        sequenced_ns: round(sequenced_ns),
        transmit_ns: round(transmit_ns),
    })
}

fn nanoseconds(interrupt: &Interrupt, frames: usize, mut work: impl FnMut() -> usize) -> Result<f64> {
    let mut samples = Vec::with_capacity(SAMPLES);
    for _ in 0..SAMPLES {
        interrupt.check()?;
        let (start, mut done) = (Instant::now(), 0);
        while start.elapsed() < SAMPLE {
            for _ in 0..64 {
                black_box(work());
            }
            done += 64 * frames;
        }
        samples.push(start.elapsed().as_nanos() as f64 / done as f64);
    }
    Ok(median(&samples))
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
    send_seq: SendSeq,
    counters: Counters,
    queue: Option<Box<Reorder>>,
}

/// Sessions behind a direct table, as the driver keeps them.
pub struct Receiver {
    table: Vec<u16>,
    sessions: Vec<Session>,
    now: u64,
}

impl Receiver {
    /// Sessions that reorder if `reorder_timeout` (microseconds) is not 0.
    pub fn new(reorder_timeout: u64) -> Self {
        let mut table = vec![u16::MAX; 1 << 16];
        for session in 0..SESSIONS {
            table[session + 1] = session as u16;
        }
        let session = |_| {
            let mut receive = Receive::default();
            receive.reorder_timeout = reorder_timeout;
            let queue = (reorder_timeout != 0).then(Box::default);
            Session { receive, send_seq: SendSeq::new(false), counters: Counters::default(), queue }
        };
        Self { table, sessions: (0..SESSIONS).map(session).collect(), now: 0 }
    }

    /// Data messages with small IPv4 packets for all sessions in turn.
    pub fn frames() -> Vec<Vec<u8>> {
        (0..FRAMES).map(|n| message((n % SESSIONS) as u16 + 1, None)).collect()
    }

    /// Takes the messages and returns how many network frames came out.
    pub fn run(&mut self, messages: &[Vec<u8>]) -> usize {
        messages.iter().map(|datagram| self.receive(black_box(datagram))).sum()
    }

    /// How many frames the sessions have delivered, and how many they have dropped.
    pub fn counts(&self) -> (u64, u64) {
        let sum = |rx: Rx| self.sessions.iter().map(|session| session.counters.0[rx as usize].get()).sum();
        (sum(Rx::Packets), sum(Rx::Errors))
    }

    #[inline]
    fn receive(&mut self, datagram: &[u8]) -> usize {
        self.now += 1;
        let Datagram::Data(header) = Datagram::parse(datagram) else { return 0 };
        if header.tunnel_id != TUNNEL {
            return 0;
        }
        let index = self.table[usize::from(header.session_id)];
        let Some(session) = self.sessions.get_mut(usize::from(index)) else { return 0 };
        let Ok(message) = header.message(datagram) else { return 0 };
        let Session { receive, send_seq, counters, queue } = session;
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
}

#[inline]
fn is_network(message: &header::Message, datagram: &[u8]) -> bool {
    let Ok(payload) = message.payload(datagram) else { return false };
    let payload = &datagram[payload];
    let Ok(range) = frame::strip(payload) else { return false };
    matches!(Frame::parse(&payload[range]), Ok(Frame { class: Class::Ipv4 | Class::Ipv6, .. }))
}

fn message(session_id: u16, ns: Option<u16>) -> Vec<u8> {
    let mut head = [0; header::MAX];
    let len = header::write(TUNNEL, session_id, ns, &mut head);
    let mut message = head[..len].to_vec();
    message.extend([0x00, 0x21, 0x45]);
    message.resize(len + 66, 0);
    message
}

/// Runs of sequenced messages of one session; in each eight the second and third are swapped.
pub struct Late {
    messages: Vec<Vec<u8>>,
    ns: u16,
}

impl Default for Late {
    fn default() -> Self {
        Self::new()
    }
}

impl Late {
    /// Messages of a run.
    pub const RUN: usize = 64;

    /// Starts at Ns 0.
    pub fn new() -> Self {
        Self { messages: vec![message(1, Some(0)); Self::RUN], ns: 0 }
    }

    /// The next run.
    pub fn run(&mut self) -> &[Vec<u8>] {
        for (n, message) in self.messages.iter_mut().enumerate() {
            let position = match n % 8 {
                1 => n + 1,
                2 => n - 1,
                _ => n,
            };
            let ns = self.ns.wrapping_add(position as u16);
            message[header::SHORT..header::SHORT + 2].copy_from_slice(&ns.to_be_bytes());
        }
        self.ns = self.ns.wrapping_add(Self::RUN as u16);
        &self.messages
    }
}

/// Sessions that send.
pub struct Sender {
    sessions: Vec<Transmit>,
}

impl Default for Sender {
    fn default() -> Self {
        Self::new()
    }
}

impl Sender {
    /// All with sequence numbers off.
    pub fn new() -> Self {
        Self { sessions: (0..SESSIONS).map(|n| Transmit::new(TUNNEL, n as u16 + 1)).collect() }
    }

    /// Writes headers for the sessions in turn and returns how many bytes they have.
    pub fn run(&mut self, frames: usize) -> usize {
        let mut out = [0; header::MAX];
        let mut bytes = 0;
        for n in 0..frames {
            bytes += self.sessions[n % SESSIONS].header(false, black_box(&mut out));
        }
        bytes
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
