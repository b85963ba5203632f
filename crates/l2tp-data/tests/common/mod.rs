//! A home of the receive rules with nothing around them: slots, counters and a clock that the test
//! sets. Also part of the fuzz targets.
#![allow(dead_code, unreachable_pub)]

use std::cell::{Cell, RefCell};
use std::ops::Range;

use l2tp_data::debug::{DebugMask, Message};
use l2tp_data::frame;
use l2tp_data::header::{Header, Malformed, Sequence};
use l2tp_data::reorder::{FRAMES, Reorder};
use l2tp_data::session::{self, Receive, SendSeq, Sink, Verdict};
use l2tp_data::stats::{Count, Rx};

/// Writes one `#[test]` per row, which calls `run` with the row.
#[macro_export]
macro_rules! rows {
    ($run:ident: $($name:ident => ($($argument:expr),* $(,)?);)*) => {
        $(#[test] fn $name() { $run($($argument),*); })*
    };
}

/// Counters, and messages if the mask asks for them.
#[derive(Debug, Default)]
pub struct Counters {
    pub mask: Cell<DebugMask>,
    pub messages: RefCell<Vec<Message>>,
    counts: RefCell<[u64; Rx::COUNT]>,
}

impl Counters {
    pub fn get(&self, counter: Rx) -> u64 {
        self.counts.borrow()[counter as usize]
    }

    /// Names and values of those that are not zero.
    pub fn named(&self) -> Vec<(&'static str, u64)> {
        Rx::ALL.iter().map(|&rx| (rx.name(), self.get(rx))).filter(|(_, n)| *n != 0).collect()
    }
}

impl Count<Rx> for Counters {
    fn add(&self, counter: Rx, n: u64) {
        self.counts.borrow_mut()[counter as usize] += n;
    }
}

impl Sink for Counters {
    fn mask(&self) -> DebugMask {
        self.mask.get()
    }

    fn debug(&self, message: Message) {
        self.messages.borrow_mut().push(message);
    }
}

/// One session's receive half. `T` is whatever stands for a frame.
#[derive(Debug)]
pub struct Path<T> {
    pub receive: Receive,
    pub queue: Reorder,
    pub send_seq: SendSeq,
    pub counters: Counters,
    slots: [Option<T>; FRAMES],
}

impl<T> Default for Path<T> {
    fn default() -> Self {
        Self {
            receive: Receive::default(),
            queue: Reorder::new(),
            send_seq: SendSeq::default(),
            counters: Counters::default(),
            slots: std::array::from_fn(|_| None),
        }
    }
}

impl<T> Path<T> {
    /// A session that reorders, waiting so many microseconds.
    pub fn reordering(timeout: u64) -> Self {
        let mut path = Self::default();
        path.receive.reorder_timeout = timeout;
        path
    }

    /// A message of `len` bytes: what it makes deliverable.
    pub fn arrive(&mut self, now: u64, ns: Option<u16>, len: usize, item: T) -> Vec<T> {
        let sequence = ns.map(|ns| Sequence { ns, nr: 0 });
        if !self.receive.admit(sequence, &self.send_seq, &self.counters) {
            return Vec::new();
        }
        self.order(now, sequence, len, item)
    }

    fn order(&mut self, now: u64, sequence: Option<Sequence>, len: usize, item: T) -> Vec<T> {
        let mut delivered = Vec::new();
        match self.receive.order(sequence, len, now, Some(&mut self.queue), &self.counters) {
            Verdict::Deliver => delivered.push(item),
            Verdict::Hold(slot) => {
                let taken = self.slots[usize::from(slot)].replace(item);
                assert!(taken.is_none(), "slot {slot} was given twice");
            }
            Verdict::Discard => {}
        }
        delivered.extend(self.timer(now));
        delivered
    }

    /// What is due at `now`.
    pub fn timer(&mut self, now: u64) -> Vec<T> {
        std::iter::from_fn(|| {
            let slot = self.receive.release(now, &mut self.queue, &self.counters)?;
            Some(self.slots[usize::from(slot)].take().expect("a released slot holds a frame"))
        })
        .collect()
    }

    /// Changes REORDERTO: what that releases.
    pub fn set_reorder_timeout(&mut self, now: u64, timeout: u64) -> Vec<T> {
        self.receive.reorder_timeout = timeout;
        self.timer(now)
    }
}

impl Path<Vec<u8>> {
    /// A datagram whose header has led here: the frames delivered, without FF 03.
    pub fn datagram(&mut self, now: u64, header: &Header, datagram: &[u8]) -> Vec<Vec<u8>> {
        let message = match header.message(datagram) {
            Ok(message) => message,
            Err(malformed) => return self.discard(reason(malformed)),
        };
        if !self.receive.admit(message.sequence, &self.send_seq, &self.counters) {
            return Vec::new();
        }
        let payload = match message.payload(datagram) {
            Ok(Range { start, end }) => &datagram[start..end],
            Err(malformed) => return self.discard(reason(malformed)),
        };
        match frame::strip(payload) {
            Ok(frame) => self.order(now, message.sequence, message.len, payload[frame].to_vec()),
            Err(_) => self.discard(Rx::ShortFrame),
        }
    }

    fn discard(&self, reason: Rx) -> Vec<Vec<u8>> {
        session::discard(reason, &self.counters);
        Vec::new()
    }
}

fn reason(malformed: Malformed) -> Rx {
    match malformed {
        Malformed::Length => Rx::BadLength,
        Malformed::Sequence => Rx::BadSequence,
        Malformed::Offset => Rx::BadOffset,
    }
}

/// The parts of a data message, for tests that build every form of it.
#[derive(Clone, Debug, Default)]
pub struct Form {
    pub length: bool,
    pub sequence: Option<(u16, u16)>,
    pub offset: Option<u16>,
    pub priority: bool,
    pub payload: Vec<u8>,
}

impl Form {
    pub const TUNNEL: u16 = 0x1122;
    pub const SESSION: u16 = 0x3344;

    /// All 16 combinations of L, S, O and P, with 0 and 5 bytes of offset padding.
    pub fn all(payload: &[u8]) -> Vec<Self> {
        let mut forms = Vec::new();
        for bits in 0..16u8 {
            for pad in [0, 5] {
                let form = Self {
                    length: bits & 1 != 0,
                    sequence: (bits & 2 != 0).then_some((0x5566, 0x7788)),
                    offset: (bits & 4 != 0).then_some(pad),
                    priority: bits & 8 != 0,
                    payload: payload.to_vec(),
                };
                if form.offset.is_some() || pad == 0 {
                    forms.push(form);
                }
            }
        }
        forms
    }

    /// Bytes of the header, offset padding included.
    pub fn header_len(&self) -> usize {
        let length = if self.length { 2 } else { 0 };
        let sequence = if self.sequence.is_some() { 4 } else { 0 };
        let offset = self.offset.map_or(0, |pad| 2 + usize::from(pad));
        6 + length + sequence + offset
    }

    /// The datagram.
    pub fn encode(&self) -> Vec<u8> {
        let bit = |is: bool, flag: u16| if is { flag } else { 0 };
        let flags = 2
            | bit(self.length, 0x4000)
            | bit(self.sequence.is_some(), 0x0800)
            | bit(self.offset.is_some(), 0x0200)
            | bit(self.priority, 0x0100);
        let mut words = vec![flags];
        if self.length {
            words.push((self.header_len() + self.payload.len()) as u16);
        }
        words.extend([Self::TUNNEL, Self::SESSION]);
        words.extend(self.sequence.into_iter().flat_map(|(ns, nr)| [ns, nr]));
        words.extend(self.offset);
        let mut bytes: Vec<u8> = words.into_iter().flat_map(u16::to_be_bytes).collect();
        bytes.extend(std::iter::repeat_n(0xee, usize::from(self.offset.unwrap_or(0))));
        bytes.extend(&self.payload);
        bytes
    }
}
