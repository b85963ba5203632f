//! `connect`, names, `sendmsg`, options and ioctls: each error, and what is accepted.

use core::net::SocketAddr;
use core::ptr::{null, null_mut};

use super::*;
use crate::calls::*;
use crate::rules::{
    Connect, PPPIOCGCHAN, PPPIOCGFLAGS, PPPIOCGL2TPSTATS, PPPIOCGMRU, PPPIOCSFLAGS, PPPIOCSMRU, SIOCGIFMTU,
    SIOCSIFMTU, SOCKADDR_IN6_LEN, SOL_PPPOL2TP, SockAddr,
};

/// The descriptor that `connect` is given.
pub(super) const FD: i32 = 7;

/// What a descriptor is, `enum ol2tp_descriptor`.
const BAD: u32 = 0;
const NO_SOCKET: u32 = 1;
const NO_UDP: u32 = 2;
const NO_INET: u32 = 3;
const FOREIGN: u32 = 4;
const THIS: u32 = 5;
const OTHER: u32 = 6;
const PLAIN: u32 = 7;

/// The peer of tunnels here.
const PEER: &str = "192.0.2.1:1701";
const PEER6: &str = "[fe80::1%3]:1701";

/// `struct sockaddr_pppol2tp`, or that of IPv6.
fn name(peer: &str, [s_tunnel, s_session, d_tunnel, d_session]: [u16; 4]) -> ([u8; SOCKADDR_IN6_LEN], u32) {
    let mut bytes = [0; SOCKADDR_IN6_LEN];
    let request = Connect { fd: FD, s_tunnel, s_session, d_tunnel, d_session };
    let len = SockAddr { pid: 0, peer: peer.parse().expect("an address"), request }.encode(&mut bytes);
    (bytes, len as u32)
}

/// What `connect` says: an error, or local and peer's ids, and whether the tunnel is there already.
fn connects(world: &World, state: u32, name: &[u8]) -> Result<([u16; 4], bool, SocketAddr), i32> {
    let mut out = Request::default();
    // SAFETY: all of it is here.
    let rc = unsafe { ol2tp_connect(world.view(), state, name.as_ptr(), name.len() as u32, &raw mut out) };
    assert!(rc <= 0);
    if rc < 0 {
        return Err(-rc);
    }
    assert_eq!(out.fd, FD);
    Ok(([out.tunnel, out.session, out.peer_tunnel, out.peer_session], out.existing, (&out.peer).into()))
}

/// A socket in a state, with what its descriptor is, that connects: the peer's tunnel id is 11, if it is known.
fn answers(state: u32, descriptor: u32, ids: [u16; 4], expected: Result<([u16; 4], bool), i32>) {
    let world = World { descriptor, peer_tunnel: 11 };
    for peer in [PEER, PEER6] {
        let (bytes, len) = name(peer, ids);
        let expected = expected.map(|(ids, existing)| (ids, existing, peer.parse().expect("an address")));
        assert_eq!(connects(&world, state, &bytes[..len as usize]), expected);
    }
}

rows! { answers:
    connected_management => (MANAGEMENT, PLAIN, [2, 0, 0, 0], Err(EBUSY));
    connected_session => (SESSION, PLAIN, [2, 0, 0, 0], Err(EBUSY));
    dead_management => (DEAD_MANAGEMENT, PLAIN, [2, 0, 0, 0], Err(EALREADY));
    dead_session => (DEAD_SESSION, PLAIN, [2, 0, 0, 0], Err(EALREADY));
    closed => (CLOSED, PLAIN, [2, 0, 0, 0], Err(EBADF));
    no_tunnel_id => (NEW, PLAIN, [0, 0, 0, 0], Err(EINVAL));
    only_a_local_session => (NEW, PLAIN, [1, 6, 0, 0], Err(EINVAL));
    only_a_peers_session => (NEW, PLAIN, [1, 0, 0, 6], Err(EINVAL));
    no_descriptor => (NEW, BAD, [2, 0, 0, 0], Err(EBADF));
    no_socket => (NEW, NO_SOCKET, [2, 0, 0, 0], Err(ENOTSOCK));
    no_udp => (NEW, NO_UDP, [2, 0, 0, 0], Err(EPROTONOSUPPORT));
    no_inet => (NEW, NO_INET, [2, 0, 0, 0], Err(EAFNOSUPPORT));
    another_encapsulation => (NEW, FOREIGN, [2, 0, 0, 0], Err(EBUSY));
    another_tunnel => (NEW, OTHER, [2, 0, 0, 0], Err(EINVAL));
    a_taken_id => (NEW, PLAIN, [1, 0, 0, 0], Err(EEXIST));
    a_new_tunnel => (NEW, PLAIN, [2, 0, 12, 0], Ok(([2, 0, 12, 0], false)));
    the_same_tunnel => (NEW, THIS, [1, 0, 12, 0], Ok(([1, 0, 11, 0], true)));
    no_tunnel => (NEW, PLAIN, [2, 6, 0, 6], Err(ENOENT));
    a_taken_session => (NEW, PLAIN, [1, 5, 0, 6], Err(EEXIST));
    a_session => (NEW, PLAIN, [1, 6, 12, 8], Ok(([1, 6, 11, 8], true)));
}

#[test]
fn a_name_that_is_none() {
    let world = World { descriptor: PLAIN, peer_tunnel: 0 };
    let (bytes, len) = name(PEER, [2, 0, 0, 0]);
    let wrong = |at: usize| {
        let mut bytes = bytes;
        bytes[at] ^= 1;
        connects(&world, NEW, &bytes[..len as usize])
    };
    assert_eq!(wrong(0), Err(EINVAL), "family");
    assert_eq!(wrong(2), Err(EINVAL), "protocol");
    for short in [0, 1, len as usize - 1, len as usize + 1, SOCKADDR_IN6_LEN - 1] {
        assert_eq!(connects(&world, NEW, &bytes[..short]), Err(EINVAL), "{short} bytes");
    }
}

#[test]
fn the_first_peers_tunnel_id_is_kept() {
    let known_by = |peer_tunnel, descriptor, ids| {
        let (bytes, len) = name(PEER, ids);
        connects(&World { descriptor, peer_tunnel }, NEW, &bytes[..len as usize]).map(|(ids, ..)| ids[2])
    };
    assert_eq!(known_by(0, THIS, [1, 0, 12, 0]), Ok(12));
    assert_eq!(known_by(11, THIS, [1, 0, 12, 0]), Ok(11));
    assert_eq!(known_by(0, PLAIN, [1, 6, 12, 8]), Ok(12));
    assert_eq!(known_by(11, PLAIN, [1, 6, 12, 8]), Ok(11));
}

#[test]
fn a_sockets_name_is_what_connect_was_given() {
    for peer in [PEER, PEER6] {
        let (given, len) = name(peer, [2, 0, 12, 0]);
        let mut request = Request::default();
        let world = World { descriptor: PLAIN, peer_tunnel: 0 };
        // SAFETY: all of it is here; a name has room for the longest.
        let (rc, got, written) = unsafe {
            let mut got = [0; SOCKADDR_IN6_LEN];
            let rc = ol2tp_connect(world.view(), NEW, given.as_ptr(), len, &raw mut request);
            let written = ol2tp_name(&raw const request, 0, got.as_mut_ptr());
            (rc, got, written)
        };
        assert_eq!((rc, got, written), (0, given, len));
    }
}

/// What `sendmsg` says in a state, and what options and ioctls do before all else.
fn has(state: u32, may_send: i32, target: i32) {
    assert_eq!((ol2tp_may_send(state), ol2tp_target(state)), (-may_send, -target));
}

rows! { has:
    new_has_nothing => (NEW, ENOTCONN, ENOTCONN);
    management_never_sends => (MANAGEMENT, EOPNOTSUPP, 0);
    session_has_all => (SESSION, 0, 0);
    dead_management_has_nothing => (DEAD_MANAGEMENT, ENOTCONN, EBADF);
    dead_session_has_nothing => (DEAD_SESSION, ENOTCONN, ENOTCONN);
    closed_has_nothing => (CLOSED, ENOTCONN, EBADF);
    what_c_does_not_name_is_closed => (6, ENOTCONN, EBADF);
}

const DEBUG: i32 = 1;
const RECVSEQ: i32 = 2;
const LNSMODE: i32 = 4;
const REORDERTO: i32 = 5;
const SOL: i32 = SOL_PPPOL2TP;

/// A `setsockopt`: the option or an error below 0.
fn sets(state: u32, level: i32, option: i32, len: i32, value: Option<i32>, expected: i32) {
    let value = value.as_ref().map_or(null(), |value| &raw const *value);
    // SAFETY: null, or a number that is here.
    assert_eq!(unsafe { ol2tp_set_option(state, level, option, len, value) }, expected);
}

rows! { sets:
    set_another_level => (SESSION, SOL + 1, DEBUG, 4, Some(0), -EINVAL);
    set_short => (SESSION, SOL, DEBUG, 3, Some(0), -EINVAL);
    set_negative_length => (SESSION, SOL, DEBUG, -1, Some(0), -EINVAL);
    set_unreadable => (SESSION, SOL, DEBUG, 4, None, -EFAULT);
    set_on_new => (NEW, SOL, DEBUG, 4, Some(0), -ENOTCONN);
    set_on_dead_session => (DEAD_SESSION, SOL, DEBUG, 4, Some(0), -ENOTCONN);
    set_on_dead_management => (DEAD_MANAGEMENT, SOL, DEBUG, 4, Some(0), -EBADF);
    set_unknown => (SESSION, SOL, 6, 4, Some(0), -ENOPROTOOPT);
    set_of_sessions_alone => (MANAGEMENT, SOL, RECVSEQ, 4, Some(1), -ENOPROTOOPT);
    set_no_switch => (SESSION, SOL, LNSMODE, 4, Some(2), -EINVAL);
    set_negative_time => (SESSION, SOL, REORDERTO, 4, Some(-1), -EINVAL);
    set_mask_of_a_tunnel => (MANAGEMENT, SOL, DEBUG, 4, Some(-1), DEBUG);
    set_mask_of_a_session => (SESSION, SOL, DEBUG, 4, Some(15), DEBUG);
    set_switch => (SESSION, SOL, RECVSEQ, 8, Some(1), RECVSEQ);
    set_time => (SESSION, SOL, REORDERTO, 4, Some(100), REORDERTO);
}

/// A `getsockopt` with so much room: the option and how many bytes, or an error.
fn gets(state: u32, level: i32, option: i32, room: Option<i32>, expected: Result<(i32, i32), i32>) {
    let mut room = room;
    let len = room.as_mut().map_or(null_mut(), |room| &raw mut *room);
    // SAFETY: null, or a number that is here.
    let got = unsafe { ol2tp_get_option(state, level, option, len) };
    assert_eq!(if got < 0 { Err(-got) } else { Ok((got, room.expect("it was read"))) }, expected);
}

rows! { gets:
    get_another_level => (SESSION, SOL + 1, DEBUG, Some(4), Err(EINVAL));
    get_unreadable => (SESSION, SOL, DEBUG, None, Err(EFAULT));
    get_negative_length => (SESSION, SOL, DEBUG, Some(-1), Err(EINVAL));
    get_on_new => (NEW, SOL, DEBUG, Some(4), Err(ENOTCONN));
    get_on_dead_management => (DEAD_MANAGEMENT, SOL, DEBUG, Some(4), Err(EBADF));
    get_unknown => (SESSION, SOL, 0, Some(4), Err(ENOPROTOOPT));
    get_of_sessions_alone => (MANAGEMENT, SOL, REORDERTO, Some(4), Err(ENOPROTOOPT));
    get_all => (SESSION, SOL, REORDERTO, Some(8), Ok((REORDERTO, 4)));
    get_a_part => (MANAGEMENT, SOL, DEBUG, Some(2), Ok((DEBUG, 2)));
    get_nothing => (SESSION, SOL, LNSMODE, Some(0), Ok((LNSMODE, 0)));
}

/// An ioctl of a socket of tunnel 1: the action, what became of its argument, and the error if its answer cannot be
/// written; or an error.
fn controls(state: u32, request: u32, argument: Option<i32>, expected: Result<(i32, Option<i32>, i32), i32>) {
    let world = World { descriptor: PLAIN, peer_tunnel: 0 };
    let (mut argument, mut fault) = (argument, 0);
    let value = argument.as_mut().map_or(null_mut(), |value| &raw mut *value);
    // SAFETY: null, or numbers that are here.
    let got = unsafe { ol2tp_ioctl(world.view(), state, 1, request, value, &raw mut fault) };
    assert_eq!(if got < 0 { Err(-got) } else { Ok((got, argument, -fault)) }, expected);
}

rows! { controls:
    channel => (SESSION, PPPIOCGCHAN, None, Ok((0, None, EINVAL)));
    get_mtu => (SESSION, SIOCGIFMTU, Some(0), Ok((1, Some(0), EFAULT)));
    set_mtu => (SESSION, SIOCSIFMTU, Some(1400), Ok((2, Some(1400), EFAULT)));
    get_mru => (SESSION, PPPIOCGMRU, None, Ok((3, None, EFAULT)));
    set_mru => (SESSION, PPPIOCSMRU, Some(1400), Ok((4, Some(1400), EFAULT)));
    get_flags => (SESSION, PPPIOCGFLAGS, None, Ok((5, None, EFAULT)));
    set_flags => (SESSION, PPPIOCSFLAGS, Some(-1), Ok((6, Some(-1), EFAULT)));
    stats_of_the_session => (SESSION, PPPIOCGL2TPSTATS, None, Ok((7, None, ENXIO)));
    stats_of_the_tunnel => (MANAGEMENT, PPPIOCGL2TPSTATS, Some(0), Ok((8, Some(0), EFAULT)));
    stats_of_a_session => (MANAGEMENT, PPPIOCGL2TPSTATS, Some(5), Ok((9, Some(5), EFAULT)));
    stats_of_none => (MANAGEMENT, PPPIOCGL2TPSTATS, Some(6), Err(EBADR));
    stats_of_unreadable => (MANAGEMENT, PPPIOCGL2TPSTATS, None, Err(EFAULT));
    set_unreadable_mtu => (SESSION, SIOCSIFMTU, None, Err(EFAULT));
    set_unreadable_mru => (SESSION, PPPIOCSMRU, None, Err(EFAULT));
    set_unreadable_flags => (SESSION, PPPIOCSFLAGS, None, Err(EFAULT));
    no_channel_of_a_tunnel => (MANAGEMENT, PPPIOCGCHAN, None, Err(ENOTCONN));
    no_channel_of_the_dead => (DEAD_MANAGEMENT, PPPIOCGCHAN, None, Err(ENOTCONN));
    no_mru_of_a_tunnel => (MANAGEMENT, PPPIOCGMRU, None, Err(ENOSYS));
    no_such_request => (SESSION, PPPIOCGMRU + 1, None, Err(ENOSYS));
    nothing_on_new => (NEW, PPPIOCGMRU, None, Err(ENOTCONN));
    nothing_on_dead_session => (DEAD_SESSION, PPPIOCGMRU, None, Err(ENOTCONN));
    nothing_on_dead_management => (DEAD_MANAGEMENT, PPPIOCGL2TPSTATS, Some(0), Err(EBADF));
}
