//! Sequence numbers wrap from FFFF to 0, with and without reordering.

mod common;

use common::Path;
use l2tp_data::stats::Rx;

/// A session that expects FFFE. The window (32767 numbers) makes that a journey with one gap.
fn at_fffe(timeout: u64) -> Path<u16> {
    let mut path = Path::reordering(1);
    for ns in [32766, 65532, 65533] {
        path.arrive(0, Some(ns), 64, ns);
        path.timer(1);
    }
    assert_eq!(path.receive.nr(), 0xfffe);
    path.set_reorder_timeout(1, timeout);
    path
}

fn delivers(timeout: u64, arriving: &[u16], expected: &[u16], dropped: u64) {
    let mut path = at_fffe(timeout);
    let delivered: Vec<u16> = arriving.iter().flat_map(|&ns| path.arrive(1, Some(ns), 64, ns)).collect();
    assert_eq!(delivered, expected);
    assert_eq!(path.counters.get(Rx::Errors), dropped);
    assert_eq!(path.counters.get(Rx::ReorderGaps), 1, "only that of the journey");
}

rows! { delivers:
    in_order => (0, &[0xfffe, 0xffff, 0, 1], &[0xfffe, 0xffff, 0, 1], 0);
    in_order_with_reordering => (100_000, &[0xfffe, 0xffff, 0, 1], &[0xfffe, 0xffff, 0, 1], 0);
    reversed => (100_000, &[1, 0, 0xffff, 0xfffe], &[0xfffe, 0xffff, 0, 1], 0);
    zero_before_ffff => (100_000, &[0, 0xffff, 0xfffe, 1], &[0xfffe, 0xffff, 0, 1], 0);
    shuffled => (100_000, &[0xffff, 1, 0xfffe, 0], &[0xfffe, 0xffff, 0, 1], 0);
    old_ones_behind_the_wrap => (100_000, &[0xfffe, 0xffff, 0, 0xfffe, 0xffff, 1], &[0xfffe, 0xffff, 0, 1], 2);
    a_run_across_the_wrap_resynchronises => (
        0, &[0xffff, 0, 1, 2, 3, 4, 5], &[4, 5], 5);
}
