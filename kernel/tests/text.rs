//! `/proc/net/pppol2tp`, statistics, and lines of the log.

use core::fmt::Write;
use core::ptr::null;
use std::string::String;

use super::*;
use crate::Counters;
use crate::data::State;
use crate::stats::{IOC_STATS_LEN, Rx, Tx};
use crate::text::*;

fn counters(tx: [u64; 3], rx: [u64; 3]) -> Counters {
    let mut counters = Counters::default();
    for (counter, n) in [Tx::Packets, Tx::Bytes, Tx::Errors].into_iter().zip(tx) {
        counters.tx[counter as usize] = n;
    }
    for (counter, n) in [Rx::Packets, Rx::Bytes, Rx::Errors].into_iter().zip(rx) {
        counters.rx[counter as usize] = n;
    }
    counters
}

fn shown() -> Shown {
    Shown {
        stats: counters([1, 20, 3], [4, 50, 6]),
        peer: "192.0.2.1:1701".parse::<core::net::SocketAddr>().expect("an address").into(),
        state: State { nr: 7, ns: 8, recv_seq: 1, send_seq: 0, lns_mode: 1, reorder_timeout: 100 },
        debug: 0xf,
        references: 2,
        ids: [1, 5, 2, 6],
        mtu: 1460,
        mru: 1460,
        bound: true,
        interface: c"ppp0".as_ptr(),
    }
}

/// What a function writes.
fn text(write: impl FnOnce(*mut c_void)) -> String {
    let text = Text::default();
    write((&raw const text).cast_mut().cast());
    text.into_inner()
}

#[test]
fn the_heading_has_six_lines() {
    let heading = text(|to| ol2tp_proc_heading(to));
    assert_eq!(heading.lines().count(), 6);
    assert!(heading.starts_with("PPPoL2TP driver info, V1.0\n"));
}

#[test]
fn a_tunnel() {
    // SAFETY: both are ours.
    let tunnel = text(|to| unsafe { ol2tp_proc_tunnel(to, &shown()) });
    assert_eq!(tunnel, "\nTUNNEL 'tunl 1', Y 2\n 0000000f 1/20/3 4/50/6\n");
}

#[test]
fn a_session() {
    let show = |shown: Shown| {
        // SAFETY: both are ours.
        text(|to| unsafe { ol2tp_proc_session(to, &raw const shown) })
    };
    let bound = "  SESSION 'sess 1/5' C0000201/1701 0001/0005 -> 0002/0006 3 Y\n   \
                 1460/1460/R/-/LNS 0000000f 100\n   7/8 1/20/3 4/50/6\n   interface ppp0\n";
    assert_eq!(show(shown()), bound);
    let connected = show(Shown { bound: false, interface: null(), ..shown() });
    assert_eq!(connected, bound.replace("3 Y", "1 Y").replace("   interface ppp0\n", ""));
}

#[test]
fn a_bucket_is_one_of_16() {
    assert_eq!((ol2tp_bucket(0), ol2tp_bucket(1)), (0, 6));
    assert!((0..=u16::MAX).all(|id| ol2tp_bucket(id) < 16));
}

#[test]
fn statistics_are_the_kernels_struct() {
    let mut out = [0xff; IOC_STATS_LEN];
    let counters = counters([1, 20, 3], [4, 50, 6]);
    // SAFETY: both are ours.
    unsafe { ol2tp_ioc_stats(1, 5, &raw const counters, &raw mut out) };
    let words: [u64; 9] =
        core::array::from_fn(|i| u64::from_ne_bytes(core::array::from_fn(|at| out[8 * i + at])));
    let ids = u64::from_ne_bytes({
        let mut bytes = [0; 8];
        bytes[..2].copy_from_slice(&1u16.to_ne_bytes());
        bytes[2..4].copy_from_slice(&5u16.to_ne_bytes());
        bytes
    });
    assert_eq!(words, [ids, 1, 20, 3, 4, 50, 0, 0, 6]);
}

#[test]
fn a_tunnel_counts_what_its_sessions_sent_and_delivered() {
    let mut tunnel = counters([1, 1, 1], [1, 1, 1]);
    // SAFETY: both are ours.
    unsafe { ol2tp_add_session(&raw mut tunnel, &counters([1, 20, 3], [4, 50, 6])) };
    let expected = counters([2, 21, 4], [5, 51, 1]);
    assert_eq!((tunnel.tx, tunnel.rx), (expected.tx, expected.rx));
}

#[test]
fn a_long_line_is_cut() {
    let mut line = Line::new();
    write!(line, "{:>200}", "end").expect("what is too long is cut");
    assert_eq!(line.bytes(), [b' '; 120]);
}
