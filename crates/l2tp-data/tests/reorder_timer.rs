//! On a quiet link the timer skips the gap: what is held is delivered in order, only what is missing
//! is lost.

mod common;

use common::Path;
use l2tp_data::stats::Rx;

const TIMEOUT: u64 = 100_000;

fn holding(numbers: &[(u64, u16)]) -> Path<u16> {
    let mut path = Path::reordering(TIMEOUT);
    path.arrive(0, Some(0), 64, 0);
    for &(now, ns) in numbers {
        assert!(path.arrive(now, Some(ns), 64, ns).is_empty(), "{ns} is held");
    }
    path
}

#[test]
fn nothing_is_released_before_the_deadline() {
    let mut path = holding(&[(10, 2), (20, 3)]);
    assert_eq!(path.queue.deadline(), Some(TIMEOUT + 10));
    assert!(path.timer(TIMEOUT + 9).is_empty());
    assert_eq!(path.queue.len(), 2);
}

#[test]
fn the_deadline_skips_the_gap_and_delivers_what_follows_it() {
    let mut path = holding(&[(10, 2), (20, 3)]);
    assert_eq!(path.timer(TIMEOUT + 10), [2, 3]);
    assert_eq!(path.receive.nr(), 4);
    assert_eq!(path.queue.deadline(), None);
    assert_eq!(path.counters.named(), [("rx_packets", 3), ("rx_bytes", 192), ("reorder_gaps", 1)]);
}

#[test]
fn each_gap_waits_for_its_own_deadline() {
    let mut path = holding(&[(10, 2), (20, 4)]);
    assert_eq!(path.timer(TIMEOUT + 10), [2]);
    assert_eq!(path.queue.deadline(), Some(TIMEOUT + 20));
    assert_eq!(path.timer(TIMEOUT + 20), [4]);
    assert_eq!(path.counters.get(Rx::ReorderGaps), 2);
}

#[test]
fn a_late_timer_skips_every_gap_that_is_due() {
    let mut path = holding(&[(10, 2), (20, 4), (TIMEOUT, 6)]);
    assert_eq!(path.timer(TIMEOUT + 50), [2, 4]);
    assert_eq!(path.queue.len(), 1);
}

#[test]
fn what_arrives_after_its_gap_was_skipped_is_too_late() {
    let mut path = holding(&[(10, 2)]);
    path.timer(TIMEOUT + 10);
    assert!(path.arrive(TIMEOUT + 11, Some(1), 64, 1).is_empty());
    assert_eq!(path.counters.get(Rx::SeqWindow), 1);
}

#[test]
fn the_missing_message_in_time_leaves_no_deadline() {
    let mut path = holding(&[(10, 2), (20, 3)]);
    assert_eq!(path.arrive(30, Some(1), 64, 1), [1, 2, 3]);
    assert_eq!(path.queue.deadline(), None);
    assert_eq!(path.counters.get(Rx::ReorderGaps), 0);
}
