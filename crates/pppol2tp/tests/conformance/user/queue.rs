//! The queue of a session that nobody reads.

use pppol2tp::Errno::Again;

use crate::common::message;
use crate::step::*;
use crate::world::run;

/// It is bounded, and what does not fit is counted.
#[test]
fn a_full_queue_drops_and_counts() {
    let frame = |number: u16| message(&[0xc021, number], &[0; 52]);
    let mut steps: Vec<_> = (0..260).map(|n| arrives(message(&[2, 1, 10, 0xff03], &frame(n)))).collect();
    let counters = [("rx_packets", 260), ("rx_bytes", 260 * 64), ("rx_errors", 4), ("rx_queue_full", 4)];
    steps.push(counted(counters));
    steps.extend((0..256).map(|n| received(S, &frame(n))));
    steps.push(recv(S).fails(Again));
    run("3.2", SESSION, &steps);
}
