//! A message that was delivered or is held already is not delivered again.

mod common;

use common::Path;
use l2tp_data::stats::Rx;

fn path() -> Path<&'static str> {
    let mut path = Path::reordering(100_000);
    assert_eq!(path.arrive(0, Some(0), 64, "0"), ["0"]);
    path
}

#[test]
fn of_a_held_message_is_a_sequence_discard() {
    let mut path = path();
    assert!(path.arrive(1, Some(2), 64, "2").is_empty());
    assert!(path.arrive(2, Some(2), 64, "2 again").is_empty());
    assert_eq!(path.arrive(3, Some(1), 64, "1"), ["1", "2"]);
    assert_eq!(
        path.counters.named(),
        [
            ("rx_packets", 3),
            ("rx_bytes", 192),
            ("rx_seq_discards", 1),
            ("rx_oos_packets", 1),
            ("rx_errors", 1),
            ("rx_seq_duplicate", 1)
        ]
    );
}

#[test]
fn of_a_delivered_message_is_outside_the_window() {
    let mut path = path();
    assert!(path.arrive(1, Some(0), 64, "0 again").is_empty());
    assert_eq!(
        path.counters.named(),
        [("rx_packets", 1), ("rx_bytes", 64), ("rx_errors", 1), ("rx_seq_window", 1)]
    );
}

#[test]
fn of_a_held_message_does_not_prolong_its_wait() {
    let mut path = path();
    path.arrive(1, Some(2), 64, "2");
    path.arrive(90_000, Some(2), 64, "2 again");
    assert_eq!(path.queue.deadline(), Some(100_001));
    assert_eq!(path.timer(100_001), ["2"]);
}

#[test]
fn in_the_middle_of_the_queue_is_found() {
    let mut path = path();
    for ns in [9, 5, 7, 3] {
        path.arrive(1, Some(ns), 64, "held");
    }
    for ns in [3, 5, 7, 9] {
        path.arrive(2, Some(ns), 64, "again");
    }
    assert_eq!((path.queue.len(), path.counters.get(Rx::SeqDuplicate)), (4, 4));
}
