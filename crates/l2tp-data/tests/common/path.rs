//! A home of the receive rules with nothing around them: slots, counters and a clock that the test
//! sets. Also a part of the fuzz targets.
#![allow(dead_code)]

use std::cell::{Cell, RefCell};

use l2tp_data::debug::{DebugMask, Message};
use l2tp_data::frame;
use l2tp_data::header::{Header, Malformed, Sequence};
use l2tp_data::reorder::{FRAMES, Reorder};
use l2tp_data::session::{self, Receive, SendSeq, Sink, Verdict};
use l2tp_data::stats::{Count, Rx};

/// Counters, and messages if the mask asks for them.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) mask: Cell<DebugMask>,
    pub(crate) messages: RefCell<Vec<Message>>,
    counts: RefCell<[u64; Rx::COUNT]>,
}

impl Counters {
    pub(crate) fn get(&self, counter: Rx) -> u64 {
        self.counts.borrow()[counter as usize]
    }

    /// Names and values of those that are not zero.
    pub(crate) fn named(&self) -> Vec<(&'static str, u64)> {
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
pub(crate) struct Path<T> {
    pub(crate) receive: Receive,
    pub(crate) queue: Reorder,
    pub(crate) send_seq: SendSeq,
    pub(crate) counters: Counters,
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
    pub(crate) fn reordering(timeout: u64) -> Self {
        let mut path = Self::default();
        path.receive.reorder_timeout = timeout;
        path
    }

    /// A message of `len` bytes: what it makes deliverable.
    pub(crate) fn arrive(&mut self, now: u64, ns: Option<u16>, len: usize, item: T) -> Vec<T> {
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
    pub(crate) fn timer(&mut self, now: u64) -> Vec<T> {
        std::iter::from_fn(|| {
            let slot = self.receive.release(now, &mut self.queue, &self.counters)?;
            Some(self.slots[usize::from(slot)].take().expect("a released slot holds a frame"))
        })
        .collect()
    }

    /// Changes REORDERTO: what that releases.
    pub(crate) fn set_reorder_timeout(&mut self, now: u64, timeout: u64) -> Vec<T> {
        self.receive.reorder_timeout = timeout;
        self.timer(now)
    }
}

impl Path<Vec<u8>> {
    /// A datagram whose header has led here: the frames delivered, without FF 03.
    pub(crate) fn datagram(&mut self, now: u64, header: &Header, datagram: &[u8]) -> Vec<Vec<u8>> {
        let message = match header.message(datagram) {
            Ok(message) => message,
            Err(malformed) => return self.discard(reason(malformed)),
        };
        if !self.receive.admit(message.sequence, &self.send_seq, &self.counters) {
            return Vec::new();
        }
        let payload = match message.payload(datagram) {
            Ok(payload) => &datagram[payload],
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
