//! A message without a number that comes while others are held is delivered after them; the timer
//! bounds its wait.

mod common;

use common::Path;
use l2tp_data::session::Verdict;
use l2tp_data::stats::Rx;

/// An LNS that leaves numbers to its peer, so that both kinds are taken; 2 is held.
fn path() -> Path<&'static str> {
    let mut path = Path::reordering(100_000);
    path.receive.lns_mode = true;
    path.arrive(0, Some(0), 64, "0");
    path.arrive(0, Some(2), 64, "2");
    path
}

#[test]
fn nothing_held_delivered_at_once() {
    let mut path = path();
    path.arrive(1, Some(1), 64, "1");
    let verdict = path.receive.order(None, 64, 2, Some(&mut path.queue), &path.counters);
    assert_eq!(verdict, Verdict::Deliver, "without a slot");
}

#[test]
fn waits_for_what_is_held() {
    let mut path = path();
    assert!(path.arrive(1, None, 64, "plain").is_empty());
    assert_eq!(path.arrive(2, Some(1), 64, "1"), ["1", "2", "plain"]);
    assert_eq!(path.counters.get(Rx::OosPackets), 1);
}

#[test]
fn the_timer_bounds_its_wait() {
    let mut path = path();
    path.arrive(1, None, 64, "plain");
    assert_eq!(path.timer(100_000), ["2", "plain"]);
}

#[test]
fn later_numbers_line_up_behind_it() {
    let mut path = path();
    path.arrive(1, None, 64, "plain");
    path.arrive(2, Some(3), 64, "3");
    assert_eq!(path.arrive(3, Some(1), 64, "1"), ["1", "2", "plain", "3"]);
}

#[test]
fn has_no_number_to_take_part_in_the_window() {
    let mut path = path();
    path.arrive(1, None, 64, "plain");
    path.timer(100_000);
    assert_eq!(path.receive.nr(), 3);
}
