//! What a UDP socket's owner is told of what it passed up.

use crate::common::message;
use crate::step::*;
use crate::world::run;

#[test]
fn each_kind_is_counted() {
    let short = |len| arrives(message(&[2, 1, 10], &[])[..len].to_vec());
    let data = |version, tunnel, session| arrives(message(&[version, tunnel, session], HDLC));
    let counters = [("rx_control", 2), ("rx_short", 2), ("rx_version", 1), ("rx_unknown_session", 3)];
    let steps = [
        connect(M, tunnel(1, 2).udp(B)).ok(),
        connect(S, session(1, 2, 10, 20)).ok(),
        short(5),
        short(0),
        data(3, 1, 10),
        data(2, 1, 11),
        data(2, 1, 10),
        data(2, 9, 11),
        arrives(message(&[0xc802, 20, 1, 0, 3, 4], &[0x80, 8, 0, 0, 0, 0, 0, 6])),
        // The control message more is the one that this step waits for.
        Step::UdpCounted(A, counters.into()),
    ];
    run("9", NOTHING, &steps);
}
