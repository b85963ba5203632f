//! The rows of the kernel's own test (l2tp-ktest, `seqnum.c`), 64-byte messages; each also through
//! the reference model.

mod common;

use common::Path;
use l2tp_data::stats::Rx;
use sim::model;

const LEN: usize = 64;
const TIMEOUT: u64 = 100_000;

#[derive(Clone, Copy, Default)]
struct Mode {
    recv_seq: bool,
    send_seq: bool,
    lns_mode: bool,
    reorder_timeout: u64,
}

/// A number (or none) at so many milliseconds.
type Packet = (u64, Option<u16>);

/// What has to come of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Counted {
    rx: u64,
    errors: u64,
    seq_discards: u64,
    oos: u64,
    gaps: u64,
    send_seq: bool,
}

fn seq(numbers: impl IntoIterator<Item = u16>) -> Vec<Packet> {
    numbers.into_iter().map(|ns| (0, Some(ns))).collect()
}

fn counts(mode: Mode, packets: impl AsRef<[Packet]>, expected: Counted) {
    let mut path = Path::reordering(mode.reorder_timeout);
    path.receive.recv_seq = mode.recv_seq;
    path.receive.lns_mode = mode.lns_mode;
    path.send_seq.set(mode.send_seq);
    let mut model = model::Session::new(model::Options {
        recv_seq: mode.recv_seq,
        send_seq: mode.send_seq,
        lns_mode: mode.lns_mode,
        reorder_timeout: mode.reorder_timeout,
    });
    for &(ms, ns) in packets.as_ref() {
        let now = ms * 1000;
        let (mut frames, mut reference) = (path.timer(now), model.timer(now));
        frames.extend(path.arrive(now, ns, LEN, ns));
        reference.extend(model.arrive(now, ns, LEN, ns).delivered);
        assert_eq!(frames, reference);
    }
    let count = |rx| path.counters.get(rx);
    let counted = Counted {
        rx: count(Rx::Packets),
        errors: count(Rx::Errors),
        seq_discards: count(Rx::SeqDiscards),
        oos: count(Rx::OosPackets),
        gaps: count(Rx::ReorderGaps),
        send_seq: path.send_seq.get(),
    };
    assert_eq!(counted, expected);
    assert_eq!(count(Rx::Bytes), expected.rx * LEN as u64);
    let reference = Counted {
        rx: model.count("rx_packets"),
        errors: model.count("rx_errors"),
        seq_discards: model.count("rx_seq_discards"),
        oos: model.count("rx_oos_packets"),
        gaps: model.count("reorder_gaps"),
        send_seq: model.options().send_seq,
    };
    assert_eq!(reference, expected, "the reference model");
}

const PLAIN: Mode = Mode { recv_seq: false, send_seq: false, lns_mode: false, reorder_timeout: 0 };
const RECV_SEQ: Mode = Mode { recv_seq: true, ..PLAIN };
const SEND_SEQ: Mode = Mode { send_seq: true, ..PLAIN };
const REORDER: Mode = Mode { reorder_timeout: TIMEOUT, ..PLAIN };
const NONE: Counted = Counted { rx: 0, errors: 0, seq_discards: 0, oos: 0, gaps: 0, send_seq: false };
const DROPPED: Counted = Counted { errors: 1, seq_discards: 1, ..NONE };
/// A LAC that has seen a number sends them too.
const LAC: Counted = Counted { send_seq: true, ..NONE };

rows! { counts:
    recv_seq_without_number_lac => (RECV_SEQ, [(0, None)], DROPPED);
    recv_seq_without_number_lns => (Mode { lns_mode: true, ..RECV_SEQ }, [(0, None)], DROPPED);
    recv_seq_with_number => (RECV_SEQ, seq([0]), Counted { rx: 1, ..LAC });
    send_seq_lns_without_number => (
        Mode { lns_mode: true, ..SEND_SEQ }, [(0, None)], Counted { send_seq: true, ..DROPPED });
    send_seq_lac_without_number_stops_sending => (SEND_SEQ, [(0, None)], Counted { rx: 1, ..NONE });
    window_accepts_0 => (REORDER, seq([0]), Counted { rx: 1, ..LAC });
    window_accepts_1 => (REORDER, seq([1]), Counted { rx: 1, ..LAC });
    window_accepts_32766 => (REORDER, seq([32766]), Counted { rx: 1, ..LAC });
    window_refuses_32767 => (REORDER, seq([32767]), Counted { errors: 1, ..LAC });
    window_refuses_65535 => (REORDER, seq([65535]), Counted { errors: 1, ..LAC });
    window_refuses_32767_without_reordering => (PLAIN, seq([32767]), Counted { errors: 1, ..LAC });
    window_refuses_65535_without_reordering => (PLAIN, seq([65535]), Counted { errors: 1, ..LAC });
    reorder_0_2_1 => (REORDER, seq([0, 2, 1]), Counted { rx: 3, oos: 1, ..LAC });
    reorder_0_2_then_3_after_the_timeout => (
        REORDER, [(0, Some(0)), (0, Some(2)), (110, Some(3))], Counted { rx: 3, gaps: 1, ..LAC });
    no_reorder_0_2_1 => (PLAIN, seq([0, 2, 1]), Counted { rx: 2, errors: 1, seq_discards: 1, ..LAC });
    no_reorder_0_2_to_8 => (
        PLAIN, seq([0, 2, 3, 4, 5, 6, 7, 8]), Counted { rx: 3, errors: 5, seq_discards: 5, ..LAC });
    no_reorder_first_lost => (PLAIN, seq([1, 2, 3]), Counted { rx: 3, ..LAC });
    no_reorder_first_late => (PLAIN, seq([1, 0, 2]), Counted { rx: 2, errors: 1, ..LAC });
    no_reorder_a_broken_run_starts_again => (
        PLAIN, seq([0, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13]),
        Counted { rx: 2, errors: 10, seq_discards: 10, ..LAC });
}
