//! What a datagram is, what becomes of a message, and what is sent: each verdict, and what it counts.

use core::mem::MaybeUninit;
use core::ptr::null_mut;
use std::boxed::Box;
use std::vec::Vec;

use super::*;
use crate::data::*;
use crate::reorder::Reorder;
use crate::stats::{Rx, Tx};
use crate::{Counters, Session};

/// What a datagram is: its ids, if it is a data message.
fn is(datagram: &[u8], expected: Option<[u16; 2]>) {
    let mut ids = [0; 2];
    // SAFETY: all of it is here.
    let class = unsafe { ol2tp_classify(datagram.as_ptr(), datagram.len() as u32, &raw mut ids) };
    assert_eq!((class == DATA).then_some(ids), expected);
}

rows! { is:
    control => (&[0xc8, 2, 0, 12, 0, 1, 0, 0, 0, 0, 0, 0], None);
    empty => (&[], None);
    short => (&[0, 2, 0, 1, 0], None);
    short_with_length => (&[0x40, 2, 0, 7, 0, 1, 0], None);
    version_3 => (&[0, 3, 0, 1, 0, 5], None);
    data => (&[0, 2, 0, 1, 0, 5], Some([1, 5]));
    data_with_length => (&[0x40, 2, 0, 8, 0, 1, 0, 5], Some([1, 5]));
}

/// A session, with its queue.
struct Here {
    session: Session,
    queue: Option<Box<Reorder>>,
    counters: Counters,
    log: Text,
    mask: u32,
    now: u64,
    /// How many bytes of a datagram are at hand.
    head: u32,
}

const RECVSEQ: i32 = 2;
const SENDSEQ: i32 = 3;
const LNSMODE: i32 = 4;
const REORDERTO: i32 = 5;
/// The mask of messages on sequence numbers.
const SEQ: u32 = 4;

impl Here {
    /// A session whose options have been set.
    fn new(options: &[(i32, i32)]) -> Self {
        let mut session = MaybeUninit::uninit();
        // SAFETY: the place is a session's, and is one behind this.
        let mut session = unsafe {
            ol2tp_session_init(session.as_mut_ptr(), 0x0708);
            session.assume_init()
        };
        for &(option, value) in options {
            // SAFETY: it is ours.
            unsafe { ol2tp_session_set(&raw mut session, option, value) };
        }
        let queue = options.iter().any(|&(option, _)| option == REORDERTO).then(|| {
            let mut queue = Box::new_uninit();
            // SAFETY: the place is a queue's, and is one behind this.
            unsafe {
                ol2tp_queue_init(queue.as_mut_ptr());
                queue.assume_init()
            }
        });
        Self {
            session,
            queue,
            counters: Counters::default(),
            log: Text::default(),
            mask: 0,
            now: 0,
            head: u32::MAX,
        }
    }

    fn call(&mut self, datagram: &[u8]) -> Received {
        Received {
            session: &raw mut self.session,
            queue: self.queue.as_mut().map_or(null_mut(), |queue| &raw mut **queue),
            counters: &raw mut self.counters,
            who: (&raw const self.log).cast(),
            skb: datagram.as_ptr().cast(),
            head: datagram.as_ptr(),
            now: self.now,
            mask: self.mask,
            head_len: self.head.min(datagram.len() as u32),
            len: datagram.len() as u32,
            frame: 0,
            frame_len: 0,
            slot: 0,
        }
    }

    /// What becomes of a message: the frame, or the slot that holds it, or nothing.
    fn receive(&mut self, datagram: &[u8]) -> Became {
        let mut call = self.call(datagram);
        // SAFETY: all of it is here.
        match unsafe { ol2tp_receive(&raw mut call) } {
            DISCARD => Became::Discarded,
            DELIVER => {
                let (frame, len) = (call.frame as usize, call.frame_len as usize);
                Became::Delivered(datagram[frame..frame + len].into())
            }
            HOLD => Became::Held(call.slot),
            other => panic!("no verdict: {other}"),
        }
    }

    /// The slots that are due.
    fn release(&mut self) -> Vec<i32> {
        let call = self.call(&[]);
        // SAFETY: all of it is here.
        let next = || Some(unsafe { ol2tp_release(&raw const call) }).filter(|&slot| slot >= 0);
        core::iter::from_fn(next).collect()
    }

    fn deadline(&self) -> u64 {
        // SAFETY: it is ours.
        unsafe { ol2tp_deadline(&raw const **self.queue.as_ref().expect("a queue")) }
    }

    fn state(&self) -> State {
        let mut state = State::default();
        // SAFETY: both are ours.
        unsafe { ol2tp_session_get(&raw const self.session, &raw mut state) };
        state
    }

    fn header(&mut self) -> Vec<u8> {
        let mut header = [0; 12];
        // SAFETY: both are ours.
        let len = unsafe { ol2tp_header(&raw mut self.session, 0x0506, &raw mut header) };
        header[..len as usize].into()
    }
}

#[derive(PartialEq, Debug)]
enum Became {
    Delivered(Vec<u8>),
    Held(u32),
    Discarded,
}

/// A frame of LCP.
const LCP: [u8; 5] = [0xc0, 0x21, 1, 2, 3];

/// A message with these flags, and a frame behind what they announce.
fn message(flags: u8, between: &[u8], frame: &[u8]) -> Vec<u8> {
    [&[flags, 2], between, frame].concat()
}

/// A message with a number.
fn numbered(ns: u8) -> Vec<u8> {
    message(0x08, &[0, 1, 0, 5, 0, ns, 0, 0], &LCP)
}

/// A message without one.
fn plain() -> Vec<u8> {
    message(0, &[0, 1, 0, 5], &LCP)
}

/// What a session with these options does with a message that it has not had before: it delivers this, or counts
/// that.
fn becomes(options: &[(i32, i32)], datagram: &[u8], expected: Result<&[u8], &[Rx]>) {
    let mut here = Here::new(options);
    let became = here.receive(datagram);
    let mut counted = [0; Rx::COUNT];
    match expected {
        Ok(frame) => {
            assert_eq!(became, Became::Delivered(frame.into()));
            counted[Rx::Packets as usize] = 1;
            counted[Rx::Bytes as usize] = datagram.len() as u64;
        }
        Err(reasons) => {
            assert_eq!(became, Became::Discarded);
            for &reason in reasons {
                counted[reason as usize] = 1;
            }
        }
    }
    assert_eq!(here.counters.rx, counted);
}

rows! { becomes:
    delivered => (&[], &plain(), Ok(&LCP));
    without_ff_03 => (&[], &message(0, &[0, 1, 0, 5, 0xff, 3], &LCP), Ok(&LCP));
    behind_a_length => (&[], &message(0x40, &[0, 13, 0, 1, 0, 5], &LCP), Ok(&LCP));
    behind_an_offset => (&[], &message(0x02, &[0, 1, 0, 5, 0, 2, 9, 9], &LCP), Ok(&LCP));
    the_first_number => (&[], &numbered(0), Ok(&LCP));
    length_beyond_the_end => (&[], &message(0x40, &[0, 14, 0, 1, 0, 5], &LCP), Err(&[Rx::BadLength, Rx::Errors]));
    length_inside_the_header => (&[], &message(0x40, &[0, 7, 0, 1, 0, 5], &LCP), Err(&[Rx::BadLength, Rx::Errors]));
    no_room_for_numbers => (&[], &message(0x08, &[0, 1, 0, 5, 0, 0], &[]), Err(&[Rx::BadSequence, Rx::Errors]));
    offset_beyond_the_end => (&[], &message(0x02, &[0, 1, 0, 5, 0, 9], &LCP), Err(&[Rx::BadOffset, Rx::Errors]));
    no_room_for_an_offset => (&[], &message(0x02, &[0, 1, 0, 5], &[0]), Err(&[Rx::BadOffset, Rx::Errors]));
    no_frame => (&[], &message(0, &[0, 1, 0, 5], &[]), Err(&[Rx::ShortFrame, Rx::Errors]));
    half_a_protocol => (&[], &message(0, &[0, 1, 0, 5], &[0xc0]), Err(&[Rx::ShortFrame, Rx::Errors]));
    nothing_behind_ff_03 => (&[], &message(0, &[0, 1, 0, 5], &[0xff, 3]), Err(&[Rx::ShortFrame, Rx::Errors]));
    no_number_where_one_must_be =>
        (&[(RECVSEQ, 1)], &plain(), Err(&[Rx::SeqMissing, Rx::SeqDiscards, Rx::Errors]));
    no_number_for_an_lns_that_sends =>
        (&[(LNSMODE, 1), (SENDSEQ, 1)], &plain(), Err(&[Rx::SeqMissing, Rx::SeqDiscards, Rx::Errors]));
    the_first_number_whatever_it_is => (&[], &numbered(7), Ok(&LCP));
    an_old_number =>
        (&[], &message(0x08, &[0, 1, 0, 5, 0xff, 0xff, 0, 0], &LCP), Err(&[Rx::SeqWindow, Rx::Errors]));
}

#[test]
fn another_number_than_the_next_is_dropped() {
    let mut here = Here::new(&[]);
    here.receive(&numbered(0));
    assert_eq!(here.receive(&numbered(2)), Became::Discarded);
    let counted =
        [Rx::SeqUnexpected, Rx::SeqDiscards, Rx::Errors].map(|reason| here.counters.rx[reason as usize]);
    assert_eq!(counted, [1; 3]);
}

#[test]
fn a_frame_may_lie_beyond_what_is_at_hand() {
    let mut here = Here::new(&[]);
    here.head = 14;
    let offset = [&[0, 1, 0, 5, 0, 9][..], &[0; 9]].concat();
    for (frame, expected) in [
        (&[0xff, 3, 0xc0, 0x21, 9][..], Became::Delivered([0xc0, 0x21, 9].into())),
        (&[0xc0, 0x21], Became::Delivered([0xc0, 0x21].into())),
        (&[0xff, 3], Became::Discarded),
        (&[], Became::Discarded),
    ] {
        assert_eq!(here.receive(&message(0x02, &offset, frame)), expected);
    }
}

#[test]
fn the_lns_switches_numbers() {
    let mut here = Here::new(&[]);
    here.mask = SEQ;
    assert_eq!(here.header(), [0, 2, 5, 6, 7, 8, 0xff, 3]);
    here.receive(&numbered(0));
    assert_eq!(here.header(), [8, 2, 5, 6, 7, 8, 0, 0, 0, 0, 0xff, 3]);
    assert_eq!(here.header()[6..8], [0, 1]);
    here.receive(&plain());
    assert_eq!(here.header(), [0, 2, 5, 6, 7, 8, 0xff, 3]);
    assert_eq!((here.state().nr, here.state().ns), (1, 2));
    let said =
        "LNS requested to enable seq numbersrecv data ns=0, session nr=0LNS requested to disable seq numbers";
    assert_eq!(here.log.borrow().as_str(), said);
}

#[test]
fn what_is_early_is_held() {
    let mut here = Here::new(&[(REORDERTO, 100)]);
    assert_eq!(here.deadline(), u64::MAX);
    assert_eq!(here.receive(&numbered(4)), Became::Delivered(LCP.into()), "the first defines nr");
    assert_eq!(here.receive(&numbered(7)), Became::Held(0));
    here.now = 5;
    assert_eq!(here.receive(&numbered(6)), Became::Held(1));
    assert_eq!(here.deadline(), 100_005, "of the head");
    assert_eq!(here.receive(&numbered(6)), Became::Discarded);
    assert_eq!(here.counters.rx[Rx::SeqDuplicate as usize], 1);
    assert_eq!(here.release(), []);
    assert_eq!(here.receive(&plain()), Became::Held(2));
    assert_eq!(here.receive(&numbered(5)), Became::Delivered(LCP.into()));
    assert_eq!(here.release(), [1, 0, 2]);
    assert_eq!((here.state().nr, here.deadline()), (8, u64::MAX));
}

#[test]
fn what_does_not_come_is_given_up() {
    let mut here = Here::new(&[(REORDERTO, 100)]);
    here.receive(&numbered(0));
    assert_eq!(here.receive(&numbered(2)), Became::Held(0));
    here.now = here.deadline() - 1;
    assert_eq!(here.release(), []);
    here.now += 1;
    assert_eq!(here.release(), [0]);
    assert_eq!(here.counters.rx[Rx::ReorderGaps as usize], 1);
    assert_eq!(here.state().nr, 3);
}

#[test]
fn a_full_queue_gives_up_its_gap() {
    let mut here = Here::new(&[(REORDERTO, 1000)]);
    here.receive(&numbered(0));
    let held: Vec<_> = (2..66).map(|ns| here.receive(&numbered(ns))).collect();
    assert_eq!(held, (0..64).map(Became::Held).collect::<Vec<_>>());
    assert_eq!(here.release(), (0..64).collect::<Vec<_>>());
}

/// What is traced of a message: its number, and the one expected behind it.
fn traced(datagram: &[u8], expected: (i32, u16)) {
    let mut here = Here::new(&[]);
    here.receive(&numbered(0));
    here.receive(datagram);
    let (call, mut nr) = (here.call(datagram), 0);
    // SAFETY: all of it is here.
    assert_eq!((unsafe { ol2tp_numbers(&raw const call, &raw mut nr) }, nr), expected);
}

rows! { traced:
    traced_with_a_number => (&numbered(1), (1, 2));
    traced_out_of_order => (&numbered(7), (7, 1));
    traced_without => (&plain(), (-1, 1));
    traced_though_malformed => (&message(0x08, &[0, 1, 0, 5], &[]), (-1, 1));
}

#[test]
fn options_are_read_as_they_were_set() {
    let here = Here::new(&[(RECVSEQ, 1), (SENDSEQ, 1), (LNSMODE, 1), (REORDERTO, i32::MAX), (1, 15), (9, 9)]);
    let State { recv_seq, send_seq, lns_mode, reorder_timeout, .. } = here.state();
    assert_eq!([recv_seq, send_seq, lns_mode], [1; 3]);
    assert_eq!(reorder_timeout, i32::MAX);
}

/// The first bytes of a frame for a unit.
fn frame(start: &[u8], expected: bool) {
    // SAFETY: all of it is here.
    assert_eq!(unsafe { ol2tp_is_frame(start.as_ptr(), start.len() as u32) }, expected);
}

rows! { frame:
    ipv4 => (&[0, 0x21, 0x45], true);
    compressed_ipv4 => (&[0x21, 0x45, 0], true);
    ipv6 => (&[0, 0x57, 0x60], true);
    lcp => (&[0xc0, 0x21, 1], true);
    ipv4_that_is_ipv6 => (&[0, 0x21, 0x60], false);
    ipv6_that_is_ipv4 => (&[0, 0x57, 0x45], false);
    ipv4_without_a_packet => (&[0, 0x21], false);
    no_protocol => (&[0], false);
    nothing => (&[], false);
}

/// What a message counts that was delivered in vain.
fn dropped(bad_inner: bool, reason: Rx) {
    let mut counters = Counters::default();
    // SAFETY: they are ours.
    unsafe { ol2tp_drop(&raw mut counters, bad_inner) };
    let mut expected = [0; Rx::COUNT];
    (expected[reason as usize], expected[Rx::Errors as usize]) = (1, 1);
    assert_eq!(counters.rx, expected);
}

rows! { dropped:
    dropped_for_what_is_in_it => (true, Rx::BadInner);
    dropped_where_nobody_reads => (false, Rx::QueueFull);
}

/// What a message of 60 bytes counts that IP answers so.
fn sent(error: i32, expected: &[(Tx, u64)]) {
    let mut counters = Counters::default();
    // SAFETY: they are ours.
    unsafe { ol2tp_sent(&raw mut counters, 60, error) };
    let mut tx = [0; Tx::COUNT];
    for &(counter, n) in expected {
        tx[counter as usize] = n;
    }
    assert_eq!(counters.tx, tx);
}

rows! { sent:
    sent_well => (0, &[(Tx::Packets, 1), (Tx::Bytes, 60)]);
    sent_too_much => (-90, &[(Tx::TooBig, 1), (Tx::Errors, 1)]);
    sent_without_memory => (-12, &[(Tx::NoBuffers, 1), (Tx::Errors, 1)]);
    sent_into_a_full_queue => (-105, &[(Tx::NoBuffers, 1), (Tx::Errors, 1)]);
    sent_without_a_route => (-101, &[(Tx::Refused, 1), (Tx::Errors, 1)]);
}
