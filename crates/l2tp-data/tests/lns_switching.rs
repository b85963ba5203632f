//! The LAC uses sequence numbers as the LNS does; the LNS decides itself (RFC 2661 §5.4).

mod common;

use common::Path;
use l2tp_data::debug::{DebugMask, Message};
use l2tp_data::stats::Rx;

fn path(lns_mode: bool, send_seq: bool) -> Path<()> {
    let mut path = Path::default();
    path.receive.lns_mode = lns_mode;
    path.send_seq.set(send_seq);
    path
}

/// Mode, whether numbers are sent, whether the message has one: whether it is delivered and whether
/// numbers are sent afterwards.
fn switches(lns_mode: bool, send_seq: bool, ns: Option<u16>, delivered: bool, afterwards: bool) {
    let mut path = path(lns_mode, send_seq);
    assert_eq!(path.arrive(0, ns, 64, ()).len(), usize::from(delivered));
    assert_eq!(path.send_seq.get(), afterwards);
    assert_eq!(path.counters.get(Rx::SeqMissing), u64::from(!delivered));
}

rows! { switches:
    lac_without_gets_none => (false, false, None, true, false);
    lac_without_gets_one_and_starts => (false, false, Some(0), true, true);
    lac_with_gets_one => (false, true, Some(0), true, true);
    lac_with_gets_none_and_stops => (false, true, None, true, false);
    lns_without_gets_none => (true, false, None, true, false);
    lns_without_gets_one_and_stays => (true, false, Some(0), true, false);
    lns_with_gets_one => (true, true, Some(0), true, true);
    lns_with_gets_none_and_drops_it => (true, true, None, false, true);
}

#[test]
fn a_lac_that_requires_numbers_does_not_stop_without_them() {
    let mut path = path(false, true);
    path.receive.recv_seq = true;
    assert!(path.arrive(0, None, 64, ()).is_empty());
    assert!(path.send_seq.get());
}

#[test]
fn a_message_outside_the_window_still_tells_the_wish() {
    let mut path = path(false, false);
    assert!(path.arrive(0, Some(40000), 64, ()).is_empty());
    assert!(path.send_seq.get());
}

#[test]
fn each_switch_is_told_once() {
    let mut path = path(false, false);
    path.counters.mask.set(DebugMask::SEQ);
    for ns in [Some(0), Some(1), None, None] {
        path.arrive(0, ns, 64, ());
    }
    let switches: Vec<Message> = path.counters.messages.take();
    let switches: Vec<&Message> =
        switches.iter().filter(|message| matches!(message, Message::LnsRequests { .. })).collect();
    assert_eq!(
        switches,
        [&Message::LnsRequests { sequence: true }, &Message::LnsRequests { sequence: false }]
    );
}
