//! Properties of the sequence numbers: whatever nr is, order is by serial distance.

mod common;

use common::Path;
use l2tp_data::stats::Rx;
use proptest::prelude::*;
use proptest::sample::subsequence;

/// A session that has received messages and expects `nr`.
fn expecting(nr: u16, timeout: u64) -> Path<u16> {
    let mut path = Path::reordering(1);
    loop {
        let ahead = nr.wrapping_sub(path.receive.nr()).wrapping_sub(1);
        let ns = path.receive.nr().wrapping_add(ahead.min(32766));
        path.arrive(0, Some(ns), 1, ns);
        path.timer(1);
        if path.receive.nr() == nr {
            break;
        }
    }
    path.receive.reorder_timeout = timeout;
    path
}

proptest! {
    #[test]
    fn any_arrangement_within_the_queue_comes_out_in_order(
        nr: u16,
        ahead in (0u16..64).prop_flat_map(|n| Just((0..n).collect::<Vec<u16>>()).prop_shuffle()),
    ) {
        let mut path = expecting(nr, 1_000);
        let before = path.counters.get(Rx::ReorderGaps);
        let arriving = ahead.iter().map(|n| nr.wrapping_add(*n));
        let delivered: Vec<u16> = arriving.flat_map(|ns| path.arrive(1, Some(ns), 1, ns)).collect();
        let in_order: Vec<u16> = (0..ahead.len() as u16).map(|n| nr.wrapping_add(n)).collect();
        prop_assert_eq!(delivered, in_order);
        prop_assert_eq!(path.counters.get(Rx::Errors), 0);
        prop_assert_eq!(path.counters.get(Rx::ReorderGaps), before);
    }

    #[test]
    fn the_window_is_the_32767_numbers_from_nr_on(nr: u16, ns: u16) {
        let mut path = expecting(nr, 1_000);
        let before = path.counters.get(Rx::SeqWindow);
        path.arrive(1, Some(ns), 1, ns);
        let outside = ns.wrapping_sub(nr) >= 32767;
        prop_assert_eq!(path.counters.get(Rx::SeqWindow) - before, u64::from(outside));
    }

    #[test]
    fn whatever_is_lost_the_rest_comes_out_in_order_once(
        nr: u16,
        arriving in subsequence((0u16..60).collect::<Vec<_>>(), 1..60).prop_shuffle(),
        again in subsequence((0u16..60).collect::<Vec<_>>(), 0..20),
    ) {
        let mut path = expecting(nr, 1_000);
        let number = |n: u16| nr.wrapping_add(n);
        let mut delivered = Vec::new();
        for n in arriving.into_iter().chain(again) {
            delivered.extend(path.arrive(1, Some(number(n)), 1, number(n)));
        }
        delivered.extend(path.timer(1_001));
        prop_assert!(path.queue.is_empty());
        let distances: Vec<u16> = delivered.iter().map(|ns| ns.wrapping_sub(nr)).collect();
        prop_assert!(distances.is_sorted_by(|a, b| a < b), "{:?}", distances);
    }
}
