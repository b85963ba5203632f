//! Raw frames: `sendmsg`, `recvmsg`, `poll`, names, and the calls that there are not.

use std::time::Duration;

use pppol2tp::Errno::*;
use pppol2tp::SocketOption::*;

use crate::common::message;
use crate::rows;
use crate::step::*;
use crate::world::run;

fn sends(frame: &[u8]) -> Step {
    send(S, frame).gives(Value::Number(frame.len()))
}

rows! {
    send_adds_the_header_and_ff03 "5" SESSION [
        sends(FRAME),
        wire(message(&[0x0002, 2, 20], HDLC)),
    ];
    send_with_numbers "5" SESSION [
        set(S, SendSeq, 1).ok(),
        sends(FRAME),
        sends(FRAME),
        wire(message(&[0x0802, 2, 20, 0, 0], HDLC)),
        wire(message(&[0x0802, 2, 20, 1, 0], HDLC)),
    ];
    send_keeps_counting_when_numbers_were_off "5" SESSION [
        set(S, SendSeq, 1).ok(),
        sends(FRAME),
        wire(message(&[0x0802, 2, 20, 0, 0], HDLC)),
        set(S, SendSeq, 0).ok(),
        sends(FRAME),
        wire(message(&[0x0002, 2, 20], HDLC)),
        set(S, SendSeq, 1).ok(),
        sends(FRAME),
        wire(message(&[0x0802, 2, 20, 1, 0], HDLC)),
    ];
    send_with_peer_tunnel_id_0_until_it_is_known "2.3" NOTHING [
        connect(M, tunnel(1, 0)).ok(),
        connect(S, session(1, 0, 10, 20)).ok(),
        set(S, SendSeq, 1).ok(),
        sends(FRAME),
        wire(message(&[0x0802, 0, 20, 0, 0], HDLC)),
        connect(S2, session(1, 7, 11, 21)).ok(),
        sends(FRAME),
        wire(message(&[0x0802, 7, 20, 1, 0], HDLC)),
        Call::SockName(S).gives(Value::Name(session(1, 7, 10, 20).udp(A))),
    ];
    send_goes_to_the_tunnels_peer "5" SESSION [
        connect(M2, tunnel(3, 4).udp(B).peer(OTHER)).ok(),
        connect(S2, session(3, 4, 30, 40).peer(PEER)).ok(),
        send(S2, FRAME).gives(Value::Number(10)),
        Step::Wire(OTHER, message(&[0x0002, 4, 40], HDLC)),
    ];
    send_counts_the_l2tp_message "5" SESSION [
        sends(FRAME),
        wire(message(&[0x0002, 2, 20], HDLC)),
        set(S, SendSeq, 1).ok(),
        sends(FRAME),
        wire(message(&[0x0802, 2, 20, 0, 0], HDLC)),
        stats([("tx_packets", 2), ("tx_bytes", 18 + 22)]),
        counted([("tx_packets", 2), ("tx_bytes", 18 + 22)]),
    ];
    send_on_a_new_socket "5" NOTHING [send(X, FRAME).fails(NotConn)];
    send_on_a_management_socket "16" TUNNEL [
        send(M, FRAME).fails(OpNotSupp).linux(
            "null session",
            [send(M, FRAME).gives(Value::Number(10)), wire(message(&[2, 2, 0], HDLC))],
        ),
    ];
    send_on_a_dead_session "11" SESSION [
        Step::CloseUdp(A),
        send(S, FRAME).fails(NotConn).linux_fails("dead sockets", BadF),
    ];
    send_on_a_dead_management_socket "5" TUNNEL [
        Step::CloseUdp(A),
        send(M, FRAME).fails(NotConn).linux_fails("dead sockets", BadF),
    ];
    send_while_bound "5" SESSION [
        Step::Channel(S),
        sends(FRAME),
        wire(message(&[0x0002, 2, 20], HDLC)),
    ];
    send_the_longest_frame "5" SESSION [
        sends(&[0xc0; 65_000]),
        wire(message(&[0x0002, 2, 20], &[&[0xff, 3][..], &[0xc0; 65_000]].concat())),
    ];
    send_too_long_a_frame "5" SESSION [
        send(S, &[0xc0; 65_536]).fails(MsgSize).linux(
            "too long a frame",
            [send(S, &[0xc0; 65_536]).gives(Value::Number(65_536)), stats([("tx_errors", 1)])],
        ),
    ];

    recv_takes_ff03_off "3.2" SESSION [
        arrives(message(&[2, 1, 10], HDLC)),
        received(S, FRAME),
        recv(S).fails(Again),
    ];
    recv_keeps_the_order "6" SESSION [
        arrives(message(&[2, 1, 10], &[0xc0, 0x21, 1, 0, 0, 0, 0, 0])),
        arrives(message(&[2, 1, 10], &[0xc0, 0x21, 2, 0, 0, 0, 0, 0, 2])),
        arrives(message(&[2, 1, 10], &[0xc0, 0x21, 3, 0, 0, 0, 0, 0])),
        received(S, &[0xc0, 0x21, 1, 0, 0, 0, 0, 0]),
        received(S, &[0xc0, 0x21, 2, 0, 0, 0, 0, 0, 2]),
        received(S, &[0xc0, 0x21, 3, 0, 0, 0, 0, 0]),
    ];
    recv_of_each_session "6" SESSION [
        connect(S2, session(1, 2, 11, 21)).ok(),
        arrives(message(&[2, 1, 11], &[0xc0, 0x21, 11, 0, 0, 0, 0, 0])),
        arrives(message(&[2, 1, 10], &[0xc0, 0x21, 10, 0, 0, 0, 0, 0])),
        received(S, &[0xc0, 0x21, 10, 0, 0, 0, 0, 0]),
        received(S2, &[0xc0, 0x21, 11, 0, 0, 0, 0, 0]),
        recv(S).fails(Again),
        recv(S2).fails(Again),
    ];
    recv_cuts_and_says_so "6" SESSION [
        arrives(message(&[2, 1, 10], HDLC)),
        arrives(message(&[2, 1, 10], HDLC)),
        Call::Recv(S, 4).gives(Value::Frame(FRAME[..4].to_vec(), true)),
        Call::Recv(S, FRAME.len()).gives(Value::Frame(FRAME.to_vec(), false)),
        recv(S).fails(Again),
    ];
    recv_while_bound "6" SESSION [
        arrives(message(&[2, 1, 10], HDLC)),
        Step::Channel(S),
        recv(S).fails(Io),
    ];
    recv_on_a_new_socket "6" NOTHING [recv(X).fails(Again)];
    recv_on_a_management_socket "6" TUNNEL [recv(M).fails(Again)];

    poll_tells_of_frames "6" SESSION [
        Step::Readable(S, false),
        arrives(message(&[2, 1, 10], HDLC)),
        Step::Readable(S, true),
        received(S, FRAME),
        Step::Readable(S, false),
    ];
    poll_tells_of_death "11" SESSION [
        Step::Readable(S, false),
        Step::CloseUdp(A),
        Step::Readable(S, true).linux("dead sockets", [Step::Quiet(S, Duration::from_millis(300))]),
    ];

    name_of_a_new_socket "6" NOTHING [
        Call::SockName(X).fails(NotConn),
        Call::PeerName(X).fails(NotConn),
    ];
    name_of_a_management_socket "6" TUNNEL [
        Call::SockName(M).gives(Value::Name(tunnel(1, 2))),
        Call::PeerName(M).gives(Value::Name(tunnel(1, 2))),
    ];
    name_of_a_session "6" SESSION [
        Call::SockName(S).gives(Value::Name(session(1, 2, 10, 20).udp(A))),
        Call::PeerName(S).gives(Value::Name(session(1, 2, 10, 20).udp(A))),
    ];
    name_while_bound "6" SESSION [
        Step::Channel(S),
        Call::SockName(S).gives(Value::Name(session(1, 2, 10, 20).udp(A))),
    ];
    name_of_a_dead_session "6" SESSION [
        Step::CloseUdp(A),
        Call::SockName(S).fails(NotConn).linux_fails("dead sockets", BadF),
        Call::PeerName(S).fails(NotConn).linux_fails("dead sockets", BadF),
    ];

    calls_that_a_new_socket_has_not "6" NOTHING [
        Call::Bind(X).fails(OpNotSupp),
        Call::Listen(X).fails(OpNotSupp),
        Call::Accept(X).fails(OpNotSupp),
        Call::Shutdown(X).fails(OpNotSupp),
    ];
    calls_that_a_session_has_not "6" SESSION [
        Call::Bind(S).fails(OpNotSupp),
        Call::Listen(S).fails(OpNotSupp),
        Call::Accept(S).fails(OpNotSupp),
        Call::Shutdown(S).fails(OpNotSupp),
        recv(S).fails(Again),
    ];
}

pub(crate) mod netns {
    use super::*;
    use crate::world::run_in_netns as run;

    rows! {
        name_over_ipv6 "6" NOTHING [
            connect(M, tunnel(1, 2).udp(V6).peer(PEER6)).ok(),
            connect(S, session(1, 2, 10, 20)).ok(),
            Call::SockName(S).gives(Value::Name(session(1, 2, 10, 20).udp(V6).peer(PEER6))),
        ];
    }
}
