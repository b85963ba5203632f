//! Nothing is allocated per packet: not by either thread of either end, in any mode.

#[path = "data_path/ends.rs"]
#[allow(dead_code, reason = "shared with the other data path tests")]
mod ends;

use std::alloc::System;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;

use pppol2tp::SocketOption;
use pppol2tp::user::Mode;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const WARM: u64 = 8 << 20;
const MEASURED: u64 = 64 << 20;

/// Allocations while TCP flows through a pair of ends, and frames that flowed.
fn allocations(mode: Mode, sequenced: bool) -> (usize, u64) {
    let (one, two) = ends::pair(mode);
    if sequenced {
        one.session.set(SocketOption::LnsMode, 1).unwrap();
        one.session.set(SocketOption::SendSeq, 1).unwrap();
        two.session.set(SocketOption::ReorderTo, 100).unwrap();
    }
    let listener = two.space.enter(|| TcpListener::bind((two.v4, 0))).unwrap();
    let address = listener.local_addr().unwrap();
    let mut sender = one.space.enter(|| TcpStream::connect(address)).unwrap();
    let mut receiver = listener.accept().unwrap().0;
    let (received, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let (mut out, mut into) = (vec![7; 1 << 17], vec![0; 1 << 17]);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Relaxed) {
                sender.write_all(&out).unwrap();
            }
            sender.shutdown(std::net::Shutdown::Write).unwrap();
            out.clear();
        });
        let mut until = |bytes: u64| {
            while received.load(Relaxed) < bytes {
                let len = receiver.read(&mut into).unwrap();
                received.fetch_add(len as u64, Relaxed);
            }
        };
        until(WARM);
        let frames = two.session.stats().unwrap().rx(l2tp_data::stats::Rx::Packets);
        let region = Region::new(ALLOCATOR);
        until(WARM + MEASURED);
        let change = region.change();
        let frames = two.session.stats().unwrap().rx(l2tp_data::stats::Rx::Packets) - frames;
        stop.store(true, Relaxed);
        while receiver.read(&mut into).unwrap() > 0 {}
        (change.allocations + change.reallocations, frames)
    })
}

/// One test: the allocator counts for the whole process.
#[test]
fn netns_no_allocation_per_packet_in_any_mode() {
    for (name, mode) in Mode::ALL {
        for sequenced in [false, true] {
            let (allocations, frames) = allocations(mode, sequenced);
            assert!(frames > 10_000, "{name}: {frames} frames");
            assert_eq!(allocations, 0, "mode {name}, sequenced: {sequenced}, {frames} frames");
        }
    }
}
