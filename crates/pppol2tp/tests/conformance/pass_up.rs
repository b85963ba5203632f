//! What goes to the owner of the UDP socket, and what does not.

use pppol2tp::Errno::Again;
use pppol2tp::Reason::{Control, Short, UnknownSession, Version};
use pppol2tp::SocketOption::RecvSeq;

use crate::common::message;
use crate::rows;
use crate::step::*;
use crate::world::run;

fn sccrq() -> Vec<u8> {
    message(&[0xc802, 20, 0, 0, 0, 0], &[0x80, 8, 0, 0, 0, 0, 0, 1])
}

fn hello() -> Vec<u8> {
    message(&[0xc802, 20, 1, 0, 3, 4], &[0x80, 8, 0, 0, 0, 0, 0, 6])
}

/// A data message for these ids.
fn data(tunnel: u16, session: u16) -> Vec<u8> {
    message(&[2, tunnel, session], HDLC)
}

/// An unchanged message of this many bytes.
fn cut(len: usize) -> Vec<u8> {
    data(1, 10)[..len].to_vec()
}

/// A data message but for its version.
fn version(version: u16) -> Vec<u8> {
    message(&[version, 1, 10], HDLC)
}

rows! {
    control_message_without_a_tunnel "3.1" NOTHING [
        arrives(sccrq()),
        passed_up([(Control, sccrq())]),
    ];
    control_message_of_a_tunnel "3.1" SESSION [arrives(hello()), passed_up([(Control, hello())])];
    control_message_with_a_sessions_ids "3.1" SESSION [
        arrives(message(&[0xc802, 12, 1, 10, 0, 0], &[])),
        passed_up([(Control, message(&[0xc802, 12, 1, 10, 0, 0], &[]))]),
        counted([]),
    ];
    control_message_of_2_bytes "3.1" SESSION [
        arrives(vec![0xc8, 0x02]),
        passed_up([(Control, vec![0xc8, 0x02])]),
    ];
    control_messages_keep_their_order "16" SESSION [
        arrives(hello()),
        arrives(sccrq()),
        arrives(data(1, 10)),
        arrives(hello()),
        passed_up([(Control, hello()), (Control, sccrq()), (Control, hello())]),
        received(S, FRAME),
    ];
    control_message_of_a_stranger "3.1" SESSION [
        Step::Datagram(OTHER, A, hello()),
        passed_up([(Control, hello())]).linux("connected socket", [passed_up([])]),
        foreign(1, 0),
    ];

    unknown_session "3.1" SESSION [
        arrives(data(1, 11)),
        passed_up([(UnknownSession, data(1, 11))]),
        counted([]),
    ];
    unknown_tunnel "3.3" SESSION [arrives(data(9, 10)), passed_up([(UnknownSession, data(9, 10))])];
    no_tunnel_at_all "3.1" NOTHING [arrives(data(1, 10)), passed_up([(UnknownSession, data(1, 10))])];
    tunnel_id_0 "3.3" SESSION [arrives(data(0, 10)), passed_up([(UnknownSession, data(0, 10))])];
    session_id_0 "3.3" SESSION [
        arrives(data(1, 0)),
        passed_up([(UnknownSession, data(1, 0))]).linux("null session", [passed_up([]), received(M, FRAME)]),
    ];
    the_peers_ids "3.1" SESSION [arrives(data(2, 20)), passed_up([(UnknownSession, data(2, 20))])];
    tunnel_of_another_socket "3.1" SESSION [
        connect(M2, tunnel(3, 4).udp(B)).ok(),
        connect(S2, session(3, 4, 30, 40)).ok(),
        arrives(data(3, 30)),
        passed_up([(UnknownSession, data(3, 30))])
            .linux("any socket's tunnels", [passed_up([]), received(S2, FRAME)]),
        Step::Datagram(PEER, B, data(3, 30)),
        received(S2, FRAME),
        Step::PassedUp(B, vec![]),
    ];
    session_of_another_tunnel "3.3" SESSION [
        connect(M2, tunnel(3, 4).udp(B)).ok(),
        connect(S2, session(3, 4, 30, 40)).ok(),
        arrives(data(1, 30)),
        passed_up([(UnknownSession, data(1, 30))]),
    ];
    session_that_was_closed "3.1" SESSION [
        arrives(data(1, 10)),
        received(S, FRAME),
        Step::Close(S),
        arrives(data(1, 10)),
        passed_up([(UnknownSession, data(1, 10))]),
    ];
    unknown_session_of_a_stranger "3.1" SESSION [
        Step::Datagram(OTHER, A, data(1, 11)),
        passed_up([(UnknownSession, data(1, 11))]).linux("connected socket", [passed_up([])]),
        foreign(1, 0),
    ];
    malformed_for_an_unknown_session "3.1" SESSION [
        arrives(message(&[0x4002, 99, 1, 11], &[])),
        passed_up([(UnknownSession, message(&[0x4002, 99, 1, 11], &[]))]),
    ];

    empty_datagram "3.1" SESSION [arrives(cut(0)), passed_up([(Short, cut(0))])];
    datagram_of_1_byte "3.1" SESSION [arrives(cut(1)), passed_up([(Short, cut(1))])];
    datagram_of_2_bytes "3.1" SESSION [arrives(cut(2)), passed_up([(Short, cut(2))])];
    datagram_of_3_bytes "3.1" SESSION [arrives(cut(3)), passed_up([(Short, cut(3))])];
    datagram_of_4_bytes "3.1" SESSION [arrives(cut(4)), passed_up([(Short, cut(4))])];
    datagram_of_5_bytes "3.1" SESSION [arrives(cut(5)), passed_up([(Short, cut(5))])];
    length_without_the_session_id "3.1" SESSION [
        arrives(message(&[0x4002, 7, 1], &[0])),
        passed_up([(Short, message(&[0x4002, 7, 1], &[0]))]),
    ];

    version_0 "16" SESSION [arrives(version(0)), passed_up([(Version, version(0))])];
    version_1 "16" SESSION [arrives(version(1)), passed_up([(Version, version(1))])];
    version_3 "16" SESSION [arrives(version(3)), passed_up([(Version, version(3))])];
    version_15 "16" SESSION [arrives(version(15)), passed_up([(Version, version(15))])];
    control_message_of_version_3 "16" SESSION [
        arrives(message(&[0xc803, 12, 0, 0, 0, 0], &[])),
        passed_up([(Version, message(&[0xc803, 12, 0, 0, 0, 0], &[]))]),
    ];
    other_kinds_keep_their_order "16" SESSION [
        arrives(cut(5)),
        arrives(data(1, 11)),
        arrives(version(3)),
        passed_up([(Short, cut(5)), (UnknownSession, data(1, 11)), (Version, version(3))]),
    ];

    a_sessions_messages_are_never_passed_up "3.1" SESSION [
        set(S, RecvSeq, 1).ok(),
        arrives(data(1, 10)),
        arrives(message(&[0x0802, 1, 10, 0, 0], HDLC)),
        arrives(message(&[0x4002, 99, 1, 10], HDLC)),
        passed_up([]),
    ];
    message_of_a_stranger "16" SESSION [
        Step::Datagram(OTHER, A, data(1, 10)),
        Step::Datagram(OTHER, A, message(&[0x0802, 1, 10, 5, 0], HDLC)),
        Step::Datagram(OTHER, A, message(&[0x4002, 99, 1, 10], HDLC)),
        passed_up([]),
        foreign(1, 3),
        counted([]),
        stats([]),
        get(S, pppol2tp::SocketOption::SendSeq).int(0),
        arrives(data(1, 10)),
        received(S, FRAME),
        foreign(1, 3),
    ];

    udp_socket_that_is_not_connected "5" NOTHING [
        connect(M, tunnel(1, 2).udp(OPEN)).ok(),
        connect(S, session(1, 2, 10, 20)).ok(),
        Step::Datagram(OTHER, OPEN, hello()),
        Step::Datagram(OTHER, OPEN, data(1, 11)),
        Step::PassedUp(OPEN, vec![(Control, hello()), (UnknownSession, data(1, 11))]),
        Step::Datagram(OTHER, OPEN, data(1, 10)),
        recv(S).fails(Again).linux("sender", [received(S, FRAME)]),
        Step::Datagram(PEER, OPEN, data(1, 10)),
        received(S, FRAME),
        send(S, FRAME).gives(Value::Number(10)),
        wire(message(&[2, 2, 20], HDLC)).linux("connected socket", [stats([
            ("tx_errors", 1), ("rx_packets", 2), ("rx_bytes", 36),
        ])]),
    ];

}
