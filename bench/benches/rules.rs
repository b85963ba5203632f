//! Nanoseconds a frame of the rules. Targets: receive 15, transmit 8, sequenced with reordering 30.
#![allow(missing_docs)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use l2tp_data::header;
use ol2tp_bench::{Endpoint, SESSIONS, Stream, in_order, late};

fn receive(c: &mut Criterion) {
    let mut group = c.benchmark_group("receive");
    let mut frame = |name: &str, sessions, sequence, reorder, ns: fn(u16) -> u16| {
        let mut end = Endpoint::new(sessions, reorder);
        let mut stream = Stream::new(sessions, sequence);
        group.bench_function(name, |b| b.iter(|| end.receive(black_box(stream.next(ns)))));
    };
    frame("plain", 1, false, false, in_order);
    frame("plain, 256 sessions", SESSIONS, false, false, in_order);
    frame("sequenced", 1, true, false, in_order);
    frame("reordering, in order", 1, true, true, in_order);
    frame("reordering, one in eight late", 1, true, true, late);
}

fn transmit(c: &mut Criterion) {
    let mut group = c.benchmark_group("transmit");
    for (name, send_seq) in [("plain", false), ("sequenced", true)] {
        let mut end = Endpoint::new(1, false);
        let mut out = [0; header::MAX];
        group.bench_function(name, |b| {
            b.iter(|| {
                let len = end.transmit(black_box(1), send_seq, &mut out);
                black_box(&out[..len]);
            });
        });
    }
}

criterion_group!(rules, receive, transmit);
criterion_main!(rules);
