//! Several management sockets of one tunnel.

use pppol2tp::SocketOption::Debug;

use crate::step::*;
use crate::world::run;

#[test]
fn debug_of_all_management_sockets_is_one() {
    let steps = [connect(M2, tunnel(1, 2)).ok(), set(M2, Debug, 6).ok(), get(M, Debug).int(6)];
    run("7", TUNNEL, &steps);
}
