//! `ioctl`.

use pppol2tp::Errno::*;
use pppol2tp::data::rules::{
    PPPIOCGCHAN, PPPIOCGFLAGS, PPPIOCGL2TPSTATS, PPPIOCGMRU, PPPIOCSFLAGS, PPPIOCSMRU, SIOCGIFMTU, SIOCSIFMTU,
};

use crate::common::message;
use crate::rows;
use crate::step::*;
use crate::world::run;

/// TIOCOUTQ, which no PPPoX socket has.
const UNKNOWN: u32 = 0x5411;
/// Why MTU, MRU and flags differ.
const KEPT: &str = "MTU, MRU and flags";
const IFREQ: usize = size_of::<libc::ifreq>();

/// A `struct ifreq` with an MTU.
fn ifreq(mtu: i32) -> Vec<u8> {
    let mut ifreq = vec![0; IFREQ];
    ifreq[16..20].copy_from_slice(&mtu.to_ne_bytes());
    ifreq
}

fn int(value: i32) -> Value {
    Value::Bytes(value.to_ne_bytes().into())
}

fn mtu(socket: usize, request: u32, mtu: i32) -> Call {
    ioctl_raw(socket, request, Some(&ifreq(mtu)))
}

/// PPPIOCGL2TPSTATS that asks for a session.
fn stats_of(socket: usize, session: u16) -> Call {
    let mut block = vec![0; 72];
    block[2..4].copy_from_slice(&session.to_ne_bytes());
    ioctl_raw(socket, PPPIOCGL2TPSTATS, Some(&block))
}

rows! {
    numbers_of_the_kernel "0" SESSION [
        ioctl(S, 0x8004_7453, 0).int(1460).linux_gives(KEPT, int(0)),
        ioctl(S, 0x4004_7452, 1400).int(1400),
        ioctl(S, 0x8004_745a, 9).int(0),
        mtu(S, 0x8921, 0).gives(Value::Bytes(ifreq(1460))).linux_fails(KEPT, NoDev),
        ioctl_raw(S, 0x8048_7436, Some(&[0; 71])).fails(NxIo).linux_fails("fault of statistics", Fault),
    ];

    channel_gives_an_index_and_binds "8" SESSION [
        recv(S).fails(Again),
        Step::Channel(S),
        recv(S).fails(Io),
        Step::Channel(S),
        recv(S).fails(Io),
    ];
    channels_of_two_sessions_differ "8" SESSION [
        connect(S2, session(1, 2, 11, 21)).ok(),
        Step::Channel(S),
        Step::Channel(S2),
        recv(S).fails(Io),
        recv(S2).fails(Io),
    ];
    channel_of_a_new_socket "8" NOTHING [ioctl(X, PPPIOCGCHAN, -1).fails(NotConn)];
    channel_of_a_management_socket "8" TUNNEL [
        ioctl(M, PPPIOCGCHAN, 9).fails(NotConn).linux_gives("null session", int(-1)),
        recv(M).fails(Again).linux_fails("null session", Io),
    ];
    channel_of_a_dead_session "8" SESSION [
        Step::CloseUdp(A),
        ioctl(S, PPPIOCGCHAN, -1).fails(NotConn).linux("dead sockets", [Step::Channel(S)]),
    ];
    channel_with_a_bad_pointer_does_not_bind "8" SESSION [
        ioctl_raw(S, PPPIOCGCHAN, None).fails(Inval),
        ioctl_raw(S, PPPIOCGCHAN, Some(&[0; 3])).fails(Inval),
        recv(S).fails(Again),
    ];
    the_state_comes_before_the_channels_pointer "8" NOTHING [ioctl_raw(X, PPPIOCGCHAN, None).fails(NotConn)];

    mtu_is_kept "8" SESSION [
        mtu(S, SIOCGIFMTU, 0).gives(Value::Bytes(ifreq(1460))).linux_fails(KEPT, NoDev),
        mtu(S, SIOCSIFMTU, 1234).gives(Value::Bytes(ifreq(1234))).linux_fails(KEPT, NoDev),
        mtu(S, SIOCGIFMTU, 0).gives(Value::Bytes(ifreq(1234))).linux_fails(KEPT, NoDev),
        ioctl(S, PPPIOCGMRU, 0).int(1460).linux_gives(KEPT, int(0)),
    ];
    mru_is_kept "8" SESSION [
        ioctl(S, PPPIOCGMRU, 9).int(1460).linux_gives(KEPT, int(0)),
        ioctl(S, PPPIOCSMRU, 1300).int(1300),
        ioctl(S, PPPIOCGMRU, 9).int(1300).linux_gives(KEPT, int(0)),
        mtu(S, SIOCGIFMTU, 0).gives(Value::Bytes(ifreq(1460))).linux_fails(KEPT, NoDev),
    ];
    flags_are_kept "8" SESSION [
        ioctl(S, PPPIOCGFLAGS, 5).int(0),
        ioctl(S, PPPIOCSFLAGS, 0x0055_aa00).int(0x0055_aa00),
        ioctl(S, PPPIOCGFLAGS, 5).int(0x0055_aa00).linux_gives(KEPT, int(0)),
    ];
    bad_pointers "8" SESSION [
        ioctl_raw(S, SIOCGIFMTU, None).fails(Fault),
        ioctl_raw(S, SIOCSIFMTU, None).fails(Fault),
        ioctl_raw(S, SIOCSIFMTU, Some(&[0; 20])).fails(Fault),
        ioctl_raw(S, PPPIOCGMRU, None).fails(Fault),
        ioctl_raw(S, PPPIOCSMRU, None).fails(Fault).linux_gives(KEPT, Value::Bytes(vec![])),
        ioctl_raw(S, PPPIOCSMRU, Some(&[0; 3])).fails(Fault).linux_gives(KEPT, Value::Bytes(vec![0; 3])),
        ioctl_raw(S, PPPIOCGFLAGS, None).fails(Fault),
        ioctl_raw(S, PPPIOCSFLAGS, None).fails(Fault).linux_gives(KEPT, Value::Bytes(vec![])),
        ioctl(S, PPPIOCGMRU, 0).int(1460).linux_gives(KEPT, int(0)),
        mtu(S, SIOCGIFMTU, 0).gives(Value::Bytes(ifreq(1460))).linux_fails(KEPT, NoDev),
    ];
    unknown_request "8" SESSION [
        ioctl(S, UNKNOWN, 0).fails(NoSys).linux_fails("unknown ioctl", NoTty),
        ioctl(M, UNKNOWN, 0).fails(NoSys).linux_fails("unknown ioctl", NoTty),
    ];
    management_has_statistics_only "8" TUNNEL [
        mtu(M, SIOCGIFMTU, 0).fails(NoSys).linux_fails(KEPT, NoDev),
        mtu(M, SIOCSIFMTU, 1400).fails(NoSys).linux_fails(KEPT, NoDev),
        ioctl(M, PPPIOCGMRU, 0).fails(NoSys),
        ioctl(M, PPPIOCSMRU, 1400).fails(NoSys),
        ioctl(M, PPPIOCGFLAGS, 0).fails(NoSys),
        ioctl(M, PPPIOCSFLAGS, 0).fails(NoSys),
    ];
    new_socket "8" NOTHING [
        mtu(X, SIOCGIFMTU, 0).fails(NotConn).linux_fails(KEPT, NoDev),
        mtu(X, SIOCSIFMTU, 1400).fails(NotConn).linux_fails(KEPT, NoDev),
        ioctl(X, PPPIOCGMRU, 0).fails(NotConn),
        ioctl(X, PPPIOCSMRU, 1400).fails(NotConn),
        ioctl(X, PPPIOCGFLAGS, 0).fails(NotConn),
        ioctl(X, PPPIOCSFLAGS, 0).fails(NotConn),
        stats_of(X, 0).fails(NotConn),
        ioctl(X, UNKNOWN, 0).fails(NotConn).linux_fails("unknown ioctl", NoTty),
    ];
    session_that_died "11" SESSION [
        Step::CloseUdp(A),
        mtu(S, SIOCGIFMTU, 0).fails(NotConn).linux_fails(KEPT, NoDev),
        ioctl(S, PPPIOCGMRU, 0).fails(NotConn),
        ioctl(S, PPPIOCSMRU, 1400).fails(NotConn),
        ioctl(S, PPPIOCGFLAGS, 0).fails(NotConn),
        stats_of(S, 0).fails(NotConn),
        ioctl(S, UNKNOWN, 0).fails(NotConn).linux_fails("unknown ioctl", NoTty),
    ];
    management_whose_tunnel_died "8" SESSION [
        Step::CloseUdp(A),
        stats_of(M, 0).fails(BadF).linux_fails("dead sockets", NotConn),
        stats_of(M, 10).fails(BadF).linux_fails("dead sockets", NotConn),
        ioctl(M, PPPIOCGMRU, 0).fails(BadF).linux_fails("dead sockets", NotConn),
    ];

    stats_of_a_new_session "8" SESSION [stats([])];
    stats_of_a_session "8" SESSION [
        arrives(message(&[2, 1, 10], HDLC)),
        arrives(message(&[2, 1, 10], HDLC)),
        send(S, FRAME).gives(Value::Number(10)),
        wire(message(&[2, 2, 20], HDLC)),
        stats([("tx_packets", 1), ("tx_bytes", 18), ("rx_packets", 2), ("rx_bytes", 36)]),
    ];
    a_sessions_own_struct_names_no_other "8" SESSION [
        connect(S2, session(1, 2, 11, 21)).ok(),
        arrives(message(&[2, 1, 10], HDLC)),
        Step::Stats(S, 11, [1, 10], vec![("rx_packets", 1), ("rx_bytes", 18)]),
        Step::Stats(S2, 10, [1, 11], vec![]),
    ];
    stats_of_a_tunnel_are_the_sums "8" SESSION [
        connect(S2, session(1, 2, 11, 21)).ok(),
        arrives(message(&[2, 1, 10], HDLC)),
        arrives(message(&[2, 1, 11], HDLC)),
        send(S2, FRAME).gives(Value::Number(10)),
        wire(message(&[2, 2, 21], HDLC)),
        Step::Stats(M, 0, [1, 0], vec![("tx_packets", 1), ("tx_bytes", 18), ("rx_packets", 2), ("rx_bytes", 36)]),
    ];
    stats_of_a_tunnel_keep_closed_sessions "9" SESSION [
        arrives(message(&[2, 1, 10], HDLC)),
        Step::Close(S),
        Step::Stats(M, 0, [1, 0], vec![("rx_packets", 1), ("rx_bytes", 18)]),
    ];
    a_sessions_drops_are_not_the_tunnels "9" SESSION [
        arrives(message(&[0x0202, 1, 10, 999], HDLC)),
        stats([("rx_errors", 1)]),
        Step::Stats(M, 0, [1, 0], vec![]),
    ];
    stats_of_a_session_by_its_tunnel "8" SESSION [
        connect(S2, session(1, 2, 11, 21)).ok(),
        arrives(message(&[2, 1, 11], HDLC)),
        Step::Stats(M, 10, [1, 10], vec![]),
        Step::Stats(M, 11, [1, 11], vec![("rx_packets", 1), ("rx_bytes", 18)]),
    ];
    stats_of_an_unknown_session "8" SESSION [
        stats_of(M, 11).fails(BadR),
        stats_of(M, 20).fails(BadR),
    ];
    stats_of_another_tunnels_session "8" SESSION [
        connect(M2, tunnel(3, 4).udp(B)).ok(),
        connect(S2, session(3, 4, 30, 40)).ok(),
        stats_of(M, 30).fails(BadR),
        stats_of(M2, 10).fails(BadR),
    ];
    stats_of_a_closed_session "8" SESSION [Step::Close(S), stats_of(M, 10).fails(BadR)];
    stats_with_a_bad_pointer "8" SESSION [
        ioctl_raw(S, PPPIOCGL2TPSTATS, None).fails(NxIo).linux_fails("fault of statistics", Fault),
        ioctl_raw(M, PPPIOCGL2TPSTATS, None).fails(Fault),
        ioctl_raw(M, PPPIOCGL2TPSTATS, Some(&[0; 71])).fails(Fault),
    ];
}
