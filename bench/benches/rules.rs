//! Nanoseconds a frame of the rules. Targets: receive 15, transmit 8, sequenced with reordering 30.
#![allow(missing_docs)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use l2tp_data::header;
use ol2tp_bench::{BATCH, Bed, Stream, in_order, swapped};

fn receive(c: &mut Criterion) {
    let mut group = c.benchmark_group("receive");
    let mut frame = |name: &str, sessions, sequence, reorder, ns: fn(u16) -> u16| {
        let mut bed = Bed::new(sessions, reorder);
        let mut stream = Stream::new(sessions, sequence);
        group.bench_function(name, |b| b.iter(|| bed.receive(black_box(stream.next(ns)))));
    };
    frame("plain", 1, false, false, in_order);
    frame("plain, a batch of sessions", BATCH as u16, false, false, in_order);
    frame("sequenced", 1, true, false, in_order);
    frame("reordering, in order", 1, true, true, in_order);
    frame("reordering, one in four late", 1, true, true, swapped);
}

fn transmit(c: &mut Criterion) {
    let mut group = c.benchmark_group("transmit");
    for (name, send_seq) in [("plain", false), ("sequenced", true)] {
        let mut bed = Bed::new(1, false);
        let mut out = [0; header::MAX];
        group.bench_function(name, |b| {
            b.iter(|| {
                let len = bed.transmit(black_box(1), send_seq, &mut out);
                black_box(&out[..len]);
            });
        });
    }
}

criterion_group!(rules, receive, transmit);
criterion_main!(rules);
