//! `instructions NAME FRAMES` takes so many frames one way and nothing else, so that `cargo xtask instructions`
//! can count what a frame costs. Without arguments it names the ways.
#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::process::ExitCode;

use l2tp_data::header;
use ol2tp_bench::{Endpoint, SESSIONS, Stream, in_order, late};
use pppol2tp::user::fuzzing::measured::SuperPacket;

/// A way, and what takes a frame or some more along it.
type Way = (&'static str, fn() -> Box<dyn FnMut() -> usize>);

const WAYS: [Way; 9] = [
    ("receive", || receive(SESSIONS, false, false, in_order)),
    ("receive-sequenced", || receive(1, true, false, in_order)),
    ("receive-reordering", || receive(1, true, true, in_order)),
    ("receive-reordering-late", || receive(1, true, true, late)),
    ("transmit", || transmit(false)),
    ("transmit-sequenced", || transmit(true)),
    ("split", || super_packet(SuperPacket::split)),
    ("run", || super_packet(SuperPacket::run)),
    ("coalesce", || super_packet(SuperPacket::coalesce)),
];

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if arguments.is_empty() {
        WAYS.iter().for_each(|(name, _)| println!("{name}"));
        return ExitCode::SUCCESS;
    }
    let [name, frames] = &arguments[..] else { return ExitCode::FAILURE };
    let way = WAYS.iter().find(|(known, _)| known == name);
    let (Some((_, way)), Ok(frames)) = (way, frames.parse()) else { return ExitCode::FAILURE };
    let (mut take, mut taken) = (way(), 0);
    while taken < frames {
        taken += take();
    }
    if taken == frames { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn receive(sessions: u16, sequenced: bool, reorder: bool, ns: fn(u16) -> u16) -> Box<dyn FnMut() -> usize> {
    let (mut end, mut stream) = (Endpoint::new(sessions, reorder), Stream::new(sessions, sequenced));
    Box::new(move || end.receive(black_box(stream.next(ns))))
}

fn transmit(send_seq: bool) -> Box<dyn FnMut() -> usize> {
    let (mut end, mut out) = (Endpoint::new(1, false), [0; header::MAX]);
    Box::new(move || {
        let len = end.transmit(black_box(1), send_seq, &mut out);
        black_box(&out[..len]);
        1
    })
}

fn super_packet(take: fn(&mut SuperPacket) -> usize) -> Box<dyn FnMut() -> usize> {
    let mut packet = SuperPacket::new();
    Box::new(move || take(&mut packet))
}
