//! Sequence numbers: the rows of l2tp-ktest's `seqnum.c` and what is better here than there.

use std::time::Duration;

use pppol2tp::Errno::Again;
use pppol2tp::SocketOption::{LnsMode, RecvSeq, ReorderTo, SendSeq};

use crate::common::message;
use crate::rows;
use crate::step::*;
use crate::world::run;

/// A time that no test reaches.
const LONG: i32 = 600_000;
/// The timer of rows that wait for it, in milliseconds.
const SHORT: i32 = 300;
const TIMER: Duration = Duration::from_millis(SHORT as u64);

/// Why queues differ.
const BOUND: &str = "bound of the queue";

/// A frame of 52 bytes that says its number.
fn frame(ns: u16) -> Vec<u8> {
    message(&[0xc021, ns], &[0; 48])
}

fn hdlc(ns: u16) -> Vec<u8> {
    message(&[0xff03], &frame(ns))
}

/// A message of 64 bytes with this number.
fn ns(ns: u16) -> Step {
    arrives(message(&[0x0802, 1, 10, ns, 0], &hdlc(ns)))
}

/// The frame of this number is delivered next.
fn gets(ns: u16) -> Step {
    received(S, &frame(ns))
}

/// An unsequenced message of 64 bytes.
fn plain(mark: u16) -> Step {
    arrives(message(&[2, 1, 10], &message(&[0xff03], &message(&[0xc021, mark], &[0; 52]))))
}

fn gets_plain(mark: u16) -> Step {
    received(S, &message(&[0xc021, mark], &[0; 52]))
}

/// A longer frame, for the bound in bytes.
fn big(ns: u16) -> Vec<u8> {
    message(&[0xc021, ns], &[0; 60_000])
}

const NONE: fn() -> Step = || recv(S).fails(Again);

/// What the kernel's struct has to say: delivered, errors, discards, out of sequence.
fn kernel(rx: u64, errors: u64, discards: u64, oos: u64) -> Step {
    let all = [
        ("rx_packets", rx),
        ("rx_bytes", rx * 64),
        ("rx_seq_discards", discards),
        ("rx_oos_packets", oos),
        ("rx_errors", errors),
    ];
    Step::Stats(S, 0, [1, 10], all.into_iter().filter(|(_, value)| *value != 0).collect())
}

/// S with reordering.
const REORDER: fn() -> Vec<Step> = || {
    let mut steps = SESSION();
    steps.push(set(S, ReorderTo, LONG).ok());
    steps
};

/// With a timer that the row waits for.
const TIMED: fn() -> Vec<Step> = || {
    let mut steps = SESSION();
    steps.push(set(S, ReorderTo, SHORT).ok());
    steps
};

/// Expects FFFE: two runs of six consecutive numbers re-synchronise, each inside the window.
const BEFORE_THE_WRAP: fn() -> Vec<Step> = || {
    let mut steps = SESSION();
    steps.extend([ns(0), gets(0)]);
    steps.extend((32_761..=32_766).map(ns));
    steps.push(gets(32_766));
    steps.extend((65_528..=65_533).map(ns));
    steps.push(gets(65_533));
    steps.push(NONE());
    steps
};

/// The held frames are let out when their time is up. The kernel waits for another one to come.
fn timer() -> Step {
    Step::Timer(S, TIMER).linux("timer", [Step::Quiet(S, 2 * TIMER)])
}

/// This one is delivered; the kernel holds it still, or has dropped it.
fn gets_late(ns: u16) -> Step {
    Step::Late(S, Box::new(gets(ns))).linux("timer", [])
}

/// This one is delivered; the kernel does not see that it comes before the others.
fn gets_across(ns: u16) -> Step {
    gets(ns).linux("wrap", [])
}

/// Frames that reach the bound in frames: the gap is given up.
fn sixty_four() -> Vec<Step> {
    let mut steps = vec![ns(0), gets(0)];
    steps.extend((2..=64).map(ns));
    steps.extend([NONE(), ns(65)]);
    steps.extend((2..=65).map(gets).map(|gets| gets.linux(BOUND, [])));
    steps.extend([
        NONE(),
        ns(66),
        gets(66).linux(BOUND, []),
        counted([("rx_packets", 66), ("rx_bytes", 66 * 64), ("reorder_gaps", 1)])
            .linux(BOUND, [kernel(1, 0, 0, 0)]),
    ]);
    steps
}

/// And in bytes.
fn more_than_256_kib() -> Vec<Step> {
    let mut steps = vec![ns(0), gets(0)];
    let arrives = |ns| arrives(message(&[0x0802, 1, 10, ns, 0], &big(ns)));
    steps.extend((2..=5).map(arrives));
    steps.extend([NONE(), arrives(6)]);
    steps.extend((2..=6).map(|ns| received(S, &big(ns)).linux(BOUND, [])));
    steps.push(NONE());
    steps
}

/// Every Ns once, and the first again.
fn every_ns() -> Vec<Step> {
    let mut steps = vec![set(S, SendSeq, 1).ok()];
    for ns in (0..=65_535).chain([0, 1]) {
        steps.push(send(S, &[0xc0, 0x21]).gives(Value::Number(2)));
        steps.push(wire(message(&[0x0802, 2, 20, ns, 0], &[0xff, 3, 0xc0, 0x21])));
    }
    steps
}

rows! {
    recvseq_without_a_number_lac "4.4" SESSION [
        set(S, RecvSeq, 1).ok(), plain(0), NONE(), kernel(0, 1, 1, 0),
        counted([("rx_seq_discards", 1), ("rx_errors", 1), ("rx_seq_missing", 1)]),
    ];
    recvseq_without_a_number_lns "4.4" SESSION [
        set(S, RecvSeq, 1).ok(), set(S, LnsMode, 1).ok(), plain(0), NONE(), kernel(0, 1, 1, 0),
    ];
    recvseq_with_a_number "4.4" SESSION [set(S, RecvSeq, 1).ok(), ns(0), gets(0), kernel(1, 0, 0, 0)];
    sendseq_lns_without_a_number "4.4" SESSION [
        set(S, SendSeq, 1).ok(), set(S, LnsMode, 1).ok(), plain(0), NONE(), kernel(0, 1, 1, 0),
        get(S, SendSeq).int(1),
    ];
    sendseq_lac_without_a_number "4.4" SESSION [
        set(S, SendSeq, 1).ok(), plain(0), gets_plain(0), kernel(1, 0, 0, 0), get(S, SendSeq).int(0),
    ];
    window_takes_0 "4.4" REORDER [ns(0), gets(0), kernel(1, 0, 0, 0)];
    window_takes_1 "4.4" REORDER [ns(1), gets(1), kernel(1, 0, 0, 0)];
    window_takes_32766 "4.4" REORDER [ns(32_766), gets(32_766), kernel(1, 0, 0, 0)];
    window_refuses_32767 "4.4" REORDER [
        ns(32_767), NONE(), kernel(0, 1, 0, 0), counted([("rx_errors", 1), ("rx_seq_window", 1)]),
    ];
    window_refuses_65535 "4.4" REORDER [ns(65_535), NONE(), kernel(0, 1, 0, 0)];
    window_refuses_32767_without_reordering "4.4" SESSION [ns(32_767), NONE(), kernel(0, 1, 0, 0)];
    window_refuses_65535_without_reordering "4.4" SESSION [ns(65_535), NONE(), kernel(0, 1, 0, 0)];
    reorder_0_2_1 "4.4" REORDER [
        ns(0), ns(2), gets(0), NONE(), ns(1), gets(1), gets(2), NONE(), kernel(3, 0, 0, 1),
        counted([("rx_packets", 3), ("rx_bytes", 192), ("rx_oos_packets", 1)]),
    ];
    reorder_0_2_and_3_after_the_timeout "4.4" TIMED [
        ns(0), ns(2), gets(0), timer(), gets_late(2), ns(3), gets(3),
        kernel(3, 0, 0, 0).linux("timer", [kernel(2, 1, 1, 0)]),
        counted([("rx_packets", 3), ("rx_bytes", 192), ("reorder_gaps", 1)]).linux("timer", []),
    ];
    no_reorder_0_2_1 "4.4" SESSION [
        ns(0), ns(2), ns(1), gets(0), gets(1), NONE(), kernel(2, 1, 1, 0),
        counted([
            ("rx_packets", 2), ("rx_bytes", 128), ("rx_seq_discards", 1), ("rx_errors", 1), ("rx_seq_unexpected", 1),
        ]),
    ];
    first_number_without_reordering "4.5" SESSION [
        ns(5), gets(5), ns(7), NONE(), ns(6), gets(6), kernel(2, 1, 1, 0),
    ];
    no_reorder_0_2_to_8 "4.4" SESSION [
        ns(0), ns(2), ns(3), ns(4), ns(5), ns(6), ns(7), ns(8),
        gets(0), gets(7), gets(8), NONE(), kernel(3, 5, 5, 0),
    ];

    wrap_without_reordering "4.5" BEFORE_THE_WRAP [
        ns(65_534), ns(65_535), ns(0), ns(1), gets(65_534), gets(65_535), gets(0), gets(1), kernel(7, 10, 10, 0),
    ];
    wrap_in_order "4.5" BEFORE_THE_WRAP [
        set(S, ReorderTo, LONG).ok(),
        ns(65_534), ns(65_535), ns(0), ns(1), gets(65_534), gets(65_535), gets(0), gets(1), kernel(7, 10, 10, 0),
    ];
    wrap_0_ffff_fffe_1 "4.5" BEFORE_THE_WRAP [
        set(S, ReorderTo, LONG).ok(),
        ns(0), ns(65_535), NONE(), ns(65_534), gets_across(65_534), gets_across(65_535), gets_across(0), NONE(),
        ns(1), gets_across(1), NONE(), kernel(7, 10, 10, 2).linux("wrap", [kernel(3, 10, 10, 2)]),
    ];
    wrap_1_fffe_0_ffff "4.5" BEFORE_THE_WRAP [
        set(S, ReorderTo, LONG).ok(),
        ns(1), ns(65_534), gets_across(65_534), NONE(), ns(0), NONE(), ns(65_535), gets_across(65_535),
        gets_across(0), gets_across(1), NONE(),
    ];
    wrap_skips_a_gap "4.5" BEFORE_THE_WRAP [
        set(S, ReorderTo, SHORT).ok(),
        ns(65_534), gets(65_534), ns(1), ns(0), timer(), gets_late(0), gets_late(1),
        counted([
            ("rx_packets", 6), ("rx_bytes", 384), ("rx_seq_discards", 10), ("rx_oos_packets", 1), ("rx_errors", 10),
            ("reorder_gaps", 1), ("rx_seq_unexpected", 10),
        ]).linux("timer", [kernel(4, 10, 10, 1)]),
    ];
    numbers_behind_the_wrap_are_old "4.5" BEFORE_THE_WRAP [
        ns(65_534), ns(65_535), ns(0), gets(65_534), gets(65_535), gets(0), ns(65_535), ns(65_534), NONE(),
        kernel(6, 12, 10, 0),
    ];

    duplicate_of_a_held_frame "16" REORDER [
        ns(0), gets(0), ns(2), ns(2), NONE(), kernel(1, 1, 1, 0).linux("duplicates", [kernel(1, 0, 0, 0)]),
        ns(1), gets(1), gets(2), NONE(),
        counted([
            ("rx_packets", 3), ("rx_bytes", 192), ("rx_seq_discards", 1), ("rx_oos_packets", 1), ("rx_errors", 1),
            ("rx_seq_duplicate", 1),
        ]).linux("duplicates", [kernel(3, 0, 0, 1), ns(3), NONE()]),
    ];
    duplicate_of_a_delivered_frame "16" REORDER [
        ns(0), ns(0), gets(0), NONE(), kernel(1, 1, 0, 0),
        counted([("rx_packets", 1), ("rx_bytes", 64), ("rx_errors", 1), ("rx_seq_window", 1)]),
    ];
    duplicate_without_reordering "16" SESSION [ns(0), ns(0), gets(0), NONE(), kernel(1, 1, 0, 0)];

    timer_flushes_a_quiet_link "4.5" TIMED [
        ns(0), gets(0), ns(3), ns(2), ns(5), timer(), gets_late(2), gets_late(3), gets_late(5), NONE(),
        counted([("rx_packets", 4), ("rx_bytes", 256), ("rx_oos_packets", 1), ("reorder_gaps", 2)])
            .linux("timer", [kernel(1, 0, 0, 1)]),
    ];
    timer_is_per_session "4.5" TIMED [
        connect(S2, session(1, 2, 11, 21)).ok(),
        set(S2, ReorderTo, LONG).ok(),
        arrives(message(&[0x0802, 1, 11, 0, 0], HDLC)),
        arrives(message(&[0x0802, 1, 11, 2, 0], HDLC)),
        received(S2, FRAME),
        ns(0), gets(0), ns(2), timer(), gets_late(2), recv(S2).fails(Again),
    ];
    a_frame_behind_a_skipped_gap_is_old "4.5" TIMED [
        ns(0), gets(0), ns(2), timer(), gets_late(2), ns(1), NONE().linux("timer", [gets(1), NONE()]),
        kernel(2, 1, 0, 0).linux("timer", [kernel(2, 1, 1, 1)]),
    ];
    unsequenced_behind_held_ones "16" REORDER [
        set(S, LnsMode, 1).ok(),
        ns(0), ns(2), plain(7), gets(0), NONE(), ns(1), gets(1), gets(2), gets_plain(7),
    ];
    unsequenced_behind_held_ones_waits_for_the_timer "16" TIMED [
        ns(0), gets(0), ns(2), plain(7), timer(), gets_late(2), gets_plain(7).linux("timer", []), NONE(),
    ];
    held_frames_of_a_closed_session_go_with_it "11" REORDER [
        ns(0), ns(2), gets(0), Step::Close(S),
        connect(S, session(1, 2, 10, 20)).ok(),
        set(S, ReorderTo, LONG).ok(),
        ns(1), gets(1), NONE(), kernel(1, 0, 0, 0),
    ];

    lac_starts_and_stops_sending_numbers "4.1" SESSION [
        send(S, FRAME).gives(Value::Number(10)),
        wire(message(&[2, 2, 20], HDLC)),
        ns(0), gets(0), get(S, SendSeq).int(1),
        send(S, FRAME).gives(Value::Number(10)),
        wire(message(&[0x0802, 2, 20, 0, 0], HDLC)),
        plain(7), gets_plain(7), get(S, SendSeq).int(0),
        send(S, FRAME).gives(Value::Number(10)),
        wire(message(&[2, 2, 20], HDLC)),
        ns(1), gets(1),
        send(S, FRAME).gives(Value::Number(10)),
        wire(message(&[0x0802, 2, 20, 1, 0], HDLC)),
    ];
    lac_that_requires_numbers_goes_on_sending_them "4.1" SESSION [
        set(S, RecvSeq, 1).ok(),
        ns(0), gets(0), plain(7), NONE(), get(S, SendSeq).int(1),
        send(S, FRAME).gives(Value::Number(10)),
        wire(message(&[0x0802, 2, 20, 0, 0], HDLC)),
    ];
    lns_does_not_start_sending_numbers "4.1" SESSION [
        set(S, LnsMode, 1).ok(),
        ns(0), gets(0), get(S, SendSeq).int(0),
        send(S, FRAME).gives(Value::Number(10)),
        wire(message(&[2, 2, 20], HDLC)),
    ];
    lns_does_not_stop_sending_numbers "4.1" SESSION [
        set(S, LnsMode, 1).ok(),
        set(S, SendSeq, 1).ok(),
        plain(7), NONE(), get(S, SendSeq).int(1),
        send(S, FRAME).gives(Value::Number(10)),
        wire(message(&[0x0802, 2, 20, 0, 0], HDLC)),
        counted([
            ("tx_packets", 1), ("tx_bytes", 22), ("rx_seq_discards", 1), ("rx_errors", 1), ("rx_seq_missing", 1),
        ]),
    ];
    a_number_outside_the_window_is_a_request_all_the_same "4.1" SESSION [
        ns(65_535), NONE(), get(S, SendSeq).int(1),
    ];

    sixty_four_held_frames_skip_the_gap "16" REORDER sixty_four();
    more_than_256_kib_held_skip_the_gap "16" REORDER more_than_256_kib();
    ns_wraps "5" SESSION every_ns();
}
