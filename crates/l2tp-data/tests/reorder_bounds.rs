//! The queue holds at most 64 messages and 256 KiB; when it is full, the gap is skipped.

mod common;

use common::Path;
use l2tp_data::reorder::{BYTES, FRAMES};
use l2tp_data::stats::Rx;

fn path() -> Path<u16> {
    let mut path = Path::reordering(1_000_000);
    path.arrive(0, Some(0), 64, 0);
    path
}

#[test]
fn the_64th_message_skips_the_gap() {
    let mut path = path();
    let last = 2 + FRAMES as u16 - 1;
    for ns in 2..last {
        assert!(path.arrive(0, Some(ns), 64, ns).is_empty(), "{ns}");
    }
    assert_eq!(path.queue.len(), FRAMES - 1);
    assert_eq!(path.arrive(0, Some(last), 64, last), Vec::from_iter(2..=last));
    assert_eq!((path.counters.get(Rx::ReorderGaps), path.counters.get(Rx::Errors)), (1, 0));
}

#[test]
fn only_as_many_gaps_are_skipped_as_room_needs() {
    let mut path = path();
    let numbers: Vec<u16> = (1..=FRAMES as u16).map(|n| n * 2).collect();
    let delivered: Vec<u16> = numbers.iter().flat_map(|&ns| path.arrive(0, Some(ns), 64, ns)).collect();
    assert_eq!(delivered, [2]);
    assert_eq!((path.queue.len(), path.counters.get(Rx::ReorderGaps)), (FRAMES - 1, 1));
}

#[test]
fn a_full_queue_takes_every_slot_in_turn() {
    let mut path = path();
    // One delivered for each that comes: 200 messages pass through 64 slots.
    let delivered: Vec<u16> =
        (1..=200).map(|n| n * 2).flat_map(|ns| path.arrive(0, Some(ns), 64, ns)).collect();
    assert_eq!(delivered, Vec::from_iter((1..=200 - 63).map(|n| n * 2)));
}

#[test]
fn one_byte_too_many_skips_the_gap() {
    let mut path = path();
    let len = BYTES / 4;
    for ns in 2..6 {
        assert!(path.arrive(0, Some(ns), len, ns).is_empty(), "{ns}: exactly the bound is allowed");
    }
    assert_eq!(path.arrive(0, Some(6), 1, 6), [2, 3, 4, 5, 6]);
    assert_eq!((path.counters.get(Rx::ReorderGaps), path.counters.get(Rx::Errors)), (1, 0));
}

#[test]
fn unsequenced_messages_count_too() {
    let mut path = path();
    path.receive.lns_mode = true;
    path.send_seq.set(false);
    path.arrive(0, Some(2), 64, 2);
    for n in 0..FRAMES as u16 - 2 {
        assert!(path.arrive(0, None, 64, 1000 + n).is_empty());
    }
    assert_eq!(path.arrive(0, None, 64, 2000).len(), FRAMES);
}
