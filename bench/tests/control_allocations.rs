//! Decoding and encoding control messages allocates nothing. The one test of this file, without a
//! harness, because the allocator that counts is the whole process's.
#![allow(clippy::print_stdout)]

use std::alloc::System;
use std::hint::black_box;

use l2tp_control::auth::{self, Secret};
use l2tp_control::wire::{self, Hiding, Leniencies, Message, MessageType};
use ol2tp_bench::control::{encoded, iccn, sccrq};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() {
    assert_eq!(allocations(|| drop(black_box(Box::new(1)))), 1, "the allocator does not count");

    let secret = Secret::new(b"secret");
    let hiding = Hiding { secret: &secret, random_vector: &[0x5a; 16], padding: &[1, 2, 3] };
    let mut out = vec![0; Message::MAX];
    for message in [sccrq(), iccn(), Message::Zlb] {
        for hiding in [None, Some(&hiding)] {
            let count = allocations(|| {
                let length = message.encode(1, 2, hiding, &mut out).expect("it fits");
                let decoded = wire::decode(&mut out[..length], Some(&secret), Leniencies::LIBERAL);
                let body = decoded.expect("it is sound");
                assert_eq!((body.message, body.others().count()), (message, 0));
            });
            assert_eq!(count, 0, "{message:?}");
        }
        let mut cut = encoded(&message);
        let count = allocations(|| {
            for at in 0..cut.len() {
                cut[at] ^= 0xff;
                let length = cut.len() - at % 3;
                let _ = black_box(wire::decode(&mut cut[..length], Some(&secret), Leniencies::LIBERAL));
            }
        });
        assert_eq!(count, 0, "{message:?}, damaged");
    }
    let count = allocations(|| {
        let response = auth::response(MessageType::SCCRP, &secret, b"challenge");
        assert!(auth::verify(MessageType::SCCRP, &secret, b"challenge", &response));
    });
    assert_eq!(count, 0, "authentication");
    println!("no allocation in control messages");
}

fn allocations(run: impl FnOnce()) -> usize {
    let region = Region::new(ALLOCATOR);
    run();
    let change = region.change();
    change.allocations + change.reallocations
}
