//! Strangers cost no memory: junk, other versions, strays, and requests beyond the rates allocate
//! nothing. The one test of this file, without a harness, because the allocator that counts is the whole
//! process's.
#![allow(clippy::print_stdout)]

mod common;

use std::alloc::System;

use common::*;
use l2tp_control::config::{Config, Limits, PeerRule, Policy};
use l2tp_control::wire::{Hello, Message, MessageType, StopCcn, StopResult};
use l2tp_control::{Endpoint, Instant};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Datagrams that may come, and whether an answer to them, within the rates, costs something.
fn datagrams() -> Vec<(&'static str, Vec<u8>)> {
    let of = |theirs, message: Message<'_>| Peer { theirs, ..Peer::new(LAC, 77) }.datagram(0, message);
    let request = of(0, sccrq(77).into());
    let mut late = of(0, sccrq(77).into());
    late[9] = 1;
    let version = |version| {
        let mut other = request.clone();
        other[1] = version;
        other
    };
    vec![
        ("nothing", vec![]),
        ("a web browser", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("zeros", vec![0; 1500]),
        ("ones", vec![0xff; 1500]),
        ("L2F", version(1)),
        ("L2TP version 3", version(3)),
        ("a data message", vec![0, 2, 0, 1, 0, 1, 0xff, 3, 0xc0, 0x21]),
        ("a request cut short", request[..40].to_vec()),
        ("a request that is not the first message", late),
        ("an ack for nobody", of(1234, Message::Zlb)),
        ("an ack without a tunnel", of(0, Message::Zlb)),
        ("a hello for nobody", of(1234, Hello {}.into())),
        ("a call for nobody", of(1234, icrq(9).into())),
        ("an unknown message", of(0, Message::Unknown(MessageType(99)))),
        ("a request beyond the rate", request),
        ("an answer for nobody, beyond the rate", of(1234, sccrp(77).into())),
        (
            "an end of nothing, beyond the rate",
            of(1234, StopCcn::new(Some(tunnel_id(77)), StopResult::CLEAR.into()).into()),
        ),
    ]
}

fn main() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(1)))), 1, "the allocator does not count");

    let limits = Limits { requests_per_source: 1, ..Limits::default() };
    let peers = vec![PeerRule::anyone(Policy::default())];
    let mut end = Endpoint::new(Config { limits, peers, ..Config::default() }, [1; 32]);
    let (now, from) = (Instant::from_micros(1_000_000), path(LAC));
    let mut out = vec![0; Message::MAX];
    // What is within the rate is answered; after that all counters exist.
    for (_, mut datagram) in datagrams().into_iter().chain(datagrams()) {
        end.handle_datagram(now, from, &mut datagram);
        while end.poll_transmit(now, &mut out).is_some() {}
    }
    let tunnels = end.tunnels();
    for (what, datagram) in datagrams() {
        let mut copies = vec![datagram; 1000];
        let count = allocations(|| {
            for copy in &mut copies {
                end.handle_datagram(now, from, copy);
                assert_eq!(end.poll_transmit(now, &mut out), None);
            }
        });
        assert_eq!((count, end.tunnels()), (0, tunnels), "{what}");
    }
    println!("no allocation for junk");
}

fn allocations(run: impl FnOnce()) -> usize {
    let region = Region::new(ALLOCATOR);
    run();
    let change = region.change();
    change.allocations + change.reallocations
}
