//! The rules allocate nothing per frame. The one test of this file, without a harness, because the
//! allocator that counts is the whole process's.
#![allow(clippy::print_stdout)]

use std::alloc::System;
use std::hint::black_box;

use l2tp_data::header;
use l2tp_data::stats::Rx;
use ol2tp_bench::{Endpoint, Stream, in_order, late};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const FRAMES: u64 = 100_000;

fn main() {
    assert_eq!(allocations(|| drop(black_box(Box::new(1)))), 1, "the allocator does not count");

    for (sequence, reorder, ns) in [
        (false, false, in_order as fn(u16) -> u16),
        (true, false, in_order),
        (true, true, in_order),
        (true, true, late),
    ] {
        let mut end = Endpoint::new(1, reorder);
        let mut stream = Stream::new(1, sequence);
        let mut delivered = 0;
        let count = allocations(|| {
            for _ in 0..FRAMES {
                delivered += end.receive(stream.next(ns)) as u64;
            }
        });
        assert_eq!(count, 0, "receive, sequence {sequence}, reorder {reorder}");
        assert_eq!(delivered, FRAMES);
        assert_eq!(end.count(Rx::Packets), FRAMES);
        assert_eq!(end.count(Rx::Errors), 0);
    }

    let mut end = Endpoint::new(1, false);
    let count = allocations(|| {
        for send_seq in [false, true] {
            for _ in 0..FRAMES {
                black_box(end.transmit(1, send_seq, &mut [0; header::MAX]));
            }
        }
    });
    assert_eq!(count, 0, "transmit");
    println!("no allocation in {} frames", 6 * FRAMES);
}

fn allocations(run: impl FnOnce()) -> usize {
    let region = Region::new(ALLOCATOR);
    run();
    let change = region.change();
    change.allocations + change.reallocations
}
