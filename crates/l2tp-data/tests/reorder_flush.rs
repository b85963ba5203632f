//! Setting REORDERTO to 0 delivers what is held, in order.

mod common;

use common::Path;
use l2tp_data::stats::Rx;

#[test]
fn off_flushes_in_order() {
    let mut path = Path::reordering(100_000);
    for ns in [0, 5, 3, 4, 9] {
        path.arrive(0, Some(ns), 64, ns);
    }
    assert_eq!(path.set_reorder_timeout(1, 0), [3, 4, 5, 9]);
    assert_eq!((path.receive.nr(), path.counters.get(Rx::ReorderGaps)), (10, 2));
    assert_eq!(path.counters.get(Rx::Errors), 0);
}

#[test]
fn off_orders_strictly_from_then_on() {
    let mut path = Path::reordering(100_000);
    path.arrive(0, Some(0), 64, 0);
    path.set_reorder_timeout(0, 0);
    assert!(path.arrive(1, Some(2), 64, 2).is_empty());
    assert_eq!(path.counters.get(Rx::SeqUnexpected), 1);
    assert_eq!(path.arrive(1, Some(1), 64, 1), [1]);
}

#[test]
fn another_timeout_is_for_those_that_come_after() {
    let mut path = Path::reordering(100_000);
    path.arrive(0, Some(0), 64, 0);
    path.arrive(0, Some(2), 64, 2);
    assert!(path.set_reorder_timeout(10, 1_000).is_empty());
    assert_eq!(path.queue.deadline(), Some(100_000));
    path.arrive(10, Some(4), 64, 4);
    assert_eq!(path.arrive(20, Some(1), 64, 1), [1, 2]);
    assert_eq!(path.queue.deadline(), Some(1_010));
}

#[test]
fn switched_on_while_running_keeps_the_number_expected() {
    let mut path = Path::default();
    path.arrive(0, Some(0), 64, 0);
    path.set_reorder_timeout(0, 100_000);
    assert!(path.arrive(1, Some(2), 64, 2).is_empty(), "1 is waited for");
    assert_eq!(path.arrive(2, Some(1), 64, 1), [1, 2]);
}
