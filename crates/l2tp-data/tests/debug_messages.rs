//! The messages of category SEQ: which are emitted, and only if the mask asks for them.

mod common;

use common::Path;
use l2tp_data::debug::DebugMask;

fn messages(mask: DebugMask, timeout: u64, arriving: &[u16]) -> Vec<String> {
    let mut path = Path::reordering(timeout);
    path.receive.lns_mode = true;
    path.counters.mask.set(mask);
    for &ns in arriving {
        path.arrive(0, Some(ns), 64, ());
    }
    path.timer(timeout);
    path.counters.messages.take().iter().map(ToString::to_string).collect()
}

#[test]
fn other_categories_emit_none() {
    let mask = DebugMask(!DebugMask::SEQ.0);
    assert!(messages(mask, 10, &[0, 2, 1, 1, 9]).is_empty());
}

#[test]
fn in_order() {
    assert_eq!(messages(DebugMask::SEQ, 0, &[0]), ["recv data ns=0, session nr=0"]);
}

#[test]
fn held_and_skipped() {
    assert_eq!(
        messages(DebugMask::SEQ, 10, &[0, 2]),
        [
            "recv data ns=0, session nr=0",
            "recv data ns=2, session nr=1",
            "holding pkt ns=2, expecting nr=1, 1 held",
            "gap skipped, nr 1 updated to 2"
        ]
    );
}

#[test]
fn inserted() {
    assert_eq!(
        messages(DebugMask::SEQ, 10, &[0, 3, 2, 1])[3..],
        [
            "recv data ns=2, session nr=1",
            "pkt ns=2 inserted before later ones",
            "holding pkt ns=2, expecting nr=1, 2 held",
            "recv data ns=1, session nr=1",
            "pkt ns=1 inserted before later ones"
        ]
    );
}

#[test]
fn discarded() {
    assert_eq!(
        messages(DebugMask::SEQ, 0, &[0, 2])[2..],
        ["pkt ns=2 discarded, expecting nr=1: rx_seq_unexpected"]
    );
}

#[test]
fn names_are_the_bits_of_the_kernel() {
    let names: Vec<(&str, u32)> = DebugMask::NAMES.iter().map(|(name, mask)| (*name, mask.0)).collect();
    assert_eq!(names, [("debug", 1), ("control", 2), ("seq", 4), ("data", 8)]);
}
