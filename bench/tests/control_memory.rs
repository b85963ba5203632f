//! What an idle tunnel with a session costs. The one test of this file, without a harness, because the
//! allocator that counts is the whole process's.
#![allow(clippy::print_stdout)]

use std::alloc::System;
use std::hint::black_box;
use std::time::Duration;

use ol2tp_bench::endpoints::Ends;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const TUNNELS: usize = 60_000;
/// Bytes that one may take.
const LIMIT: usize = 1536;

fn main() {
    assert!(in_use(|| Box::new([0u8; 1000])).1 >= 1000, "the allocator does not count");

    let (ends, bytes) = in_use(|| {
        let mut ends = Ends::new(None);
        for _ in 0..TUNNELS {
            let tunnel = ends.connect();
            ends.place(tunnel, 1);
        }
        // Timers that were armed during set-up run out.
        while ends.lac.poll_timeout().or(ends.lns.poll_timeout()).is_some() {
            ends.rest(Duration::from_secs(1));
        }
        ends
    });
    assert_eq!((ends.lac.tunnels(), ends.lns.tunnels(), ends.up), (TUNNELS, TUNNELS, TUNNELS));
    let each = bytes / (2 * TUNNELS);
    println!("{each} bytes for each of {TUNNELS} idle tunnels with a session");
    assert!(each <= LIMIT, "{LIMIT} at the most");
}

/// Bytes that what `make` makes has allocated.
fn in_use<T>(make: impl FnOnce() -> T) -> (T, usize) {
    let region = Region::new(ALLOCATOR);
    let made = black_box(make());
    let change = region.change();
    (made, change.bytes_allocated - change.bytes_deallocated)
}
