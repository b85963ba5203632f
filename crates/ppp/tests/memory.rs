//! What a link costs when it is up and idle. The one test of this file, without a harness, because the
//! allocator that counts is the whole process's.
#![allow(clippy::print_stdout)]

mod common;

use std::alloc::System;

use common::pair::Pair;
use common::{client, seconds};
use ppp::{Config, Link, Method};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes of a link that is up, heap included.
const MOST: usize = 1536;

fn main() {
    for method in Method::ALL {
        let lns = Config { require: vec![method], ..Config::default() };
        let mut pair = Pair::run(client("user", "pass"), lns, seconds(100));
        pair.assert_up();
        for (at, end) in ["client", "server"].into_iter().enumerate() {
            let seed = Link::new(Config::default().into(), [0; 32]);
            let region = Region::new(ALLOCATOR);
            drop(std::mem::replace(&mut pair.ends[at].link, seed));
            let heap = region.change().bytes_deallocated;
            let all = heap + size_of::<Link>();
            println!("{method}, {end}: {all} bytes, of which {heap} on the heap");
            assert!(all <= MOST, "more than {MOST}");
        }
    }
}
