//! `connect`.

use pppol2tp::Errno::*;

use crate::common::message;
use crate::rows;
use crate::step::*;
use crate::world::run;

const AF_INET: u16 = 2;
const PX_PROTO_OE: u32 = 0;

/// Another management socket beside M; in home `linux` in its place.
fn second(address: Address) -> Step {
    let instead = [connect(M2, address).fails(Exist), Step::Close(M), connect(M2, address).ok()];
    connect(M2, address).ok().linux("null session", instead)
}

rows! {
    management "2.2" NOTHING [connect(M, tunnel(1, 2)).ok(), there(vec![(1, 1)], vec![])];
    session_of_a_tunnel "2.1" TUNNEL [
        connect(S, session(1, 2, 10, 20)).ok(),
        there(vec![(1, 2)], vec![(1, 10)]),
    ];
    highest_ids "2.1" NOTHING [
        connect(M, tunnel(65535, 65535)).ok(),
        connect(S, session(65535, 65535, 65535, 65535)).ok(),
    ];

    empty_address "2.4" NOTHING [connect(X, tunnel(1, 2).len(0)).fails(Inval)];
    address_cut_behind_the_family "2.4" NOTHING [connect(X, tunnel(1, 2).len(2)).fails(Inval)];
    address_too_short "2.4" NOTHING [connect(X, tunnel(1, 2).len(37)).fails(Inval)];
    address_too_long "2.4" NOTHING [connect(X, tunnel(1, 2).len(39)).fails(Inval)];
    address_of_version_3 "2.4" NOTHING [connect(X, tunnel(1, 2).len(46)).fails(Inval).linux_fails("L2TPv3", NoEnt)];
    address_of_version_3_over_ipv6 "2.4" NOTHING [
        connect(X, tunnel(1, 2).len(58)).fails(Inval).linux_fails("L2TPv3", NoEnt),
    ];
    address_of_another_family "2.4" NOTHING [
        connect(X, tunnel(1, 2).family(AF_INET)).fails(Inval).linux_ok("address family"),
    ];
    address_of_another_protocol "2.4" NOTHING [connect(X, tunnel(1, 2).protocol(PX_PROTO_OE)).fails(Inval)];
    the_address_comes_before_the_state "2.4" SESSION [
        connect(S, session(1, 2, 10, 20).family(AF_INET)).fails(Inval).linux_fails("address family", Busy),
        connect(S, session(1, 2, 10, 20).protocol(PX_PROTO_OE)).fails(Inval),
        connect(S, session(1, 2, 10, 20).len(37)).fails(Inval),
    ];
    the_family_is_pppox "0" NOTHING [connect(M, tunnel(1, 2).family(24)).ok()];

    connected_management "2.1" TUNNEL [connect(M, tunnel(1, 2)).fails(Busy)];
    connected_session "2.1" SESSION [connect(S, session(1, 2, 11, 21)).fails(Busy)];
    management_does_not_become_a_session "2.1" TUNNEL [connect(M, session(1, 2, 10, 20)).fails(Busy)];
    connected_comes_before_the_ids "2.1" SESSION [
        connect(M, tunnel(0, 0)).fails(Busy).linux_fails("order of checks", Inval),
        connect(S, session(9, 9, 0, 9)).fails(Busy).linux_fails("order of checks", NoEnt),
    ];
    session_that_died "16" SESSION [
        Step::CloseUdp(A),
        connect(S, session(1, 2, 10, 20)).fails(Already).linux_fails("order of checks", NoEnt),
        connect(S, tunnel(0, 0)).fails(Already).linux_fails("order of checks", Inval),
        connect(M2, tunnel(3, 4).udp(B)).ok(),
        connect(S, session(3, 4, 10, 20)).fails(Already).linux_fails("dead sockets", Busy),
    ];
    management_whose_tunnel_died "16" TUNNEL [
        Step::CloseUdp(A),
        connect(M, tunnel(1, 2)).fails(Already).linux_fails("order of checks", BadF),
        connect(M2, tunnel(3, 4).udp(B)).ok(),
        connect(M, session(3, 4, 10, 20)).fails(Already).linux_fails("dead sockets", Busy),
    ];

    tunnel_id_0 "2.1" NOTHING [
        connect(X, tunnel(0, 2)).fails(Inval),
        connect(X, session(0, 2, 10, 20)).fails(Inval),
    ];
    tunnel_id_0_comes_before_the_descriptor "2.1" NOTHING [
        connect(X, tunnel(0, 2).fd(Fd::Negative)).fails(Inval),
    ];
    only_the_local_session_id_is_0 "2.4" TUNNEL [
        connect(X, session(1, 2, 0, 20)).fails(Inval).linux_fails("null session", Exist),
    ];
    only_the_peers_session_id_is_0 "2.4" TUNNEL [
        connect(X, session(1, 2, 10, 0)).fails(Inval).linux_ok("one session id 0"),
    ];
    one_session_id_0_comes_before_the_tunnel "2.4" NOTHING [
        connect(X, session(9, 2, 0, 20)).fails(Inval).linux_fails("one session id 0", NoEnt),
    ];

    descriptor_is_negative "2.2" NOTHING [connect(X, tunnel(1, 2).fd(Fd::Negative)).fails(BadF)];
    descriptor_is_not_open "2.2" NOTHING [connect(X, tunnel(1, 2).fd(Fd::NotOpen)).fails(BadF)];
    descriptor_is_a_file "2.2" NOTHING [connect(X, tunnel(1, 2).fd(Fd::File)).fails(NotSock)];
    descriptor_is_a_tcp_socket "2.2" NOTHING [connect(X, tunnel(1, 2).fd(Fd::Tcp)).fails(ProtoNoSupport)];
    descriptor_is_a_unix_socket "2.2" NOTHING [connect(X, tunnel(1, 2).fd(Fd::Unix)).fails(ProtoNoSupport)];
    descriptor_serves_another_encapsulation "2.4" NOTHING [
        connect(X, tunnel(1, 2).fd(Fd::Encapsulating)).fails(Busy).linux_ok("encapsulation"),
    ];
    descriptor_was_not_given_to_the_driver "2.2" NOTHING [
        connect(X, tunnel(1, 2).fd(Fd::Stranger)).fails(BadF).linux_ok("any UDP socket"),
    ];
    a_failed_descriptor_leaves_nothing "2.3" NOTHING [
        connect(M, tunnel(1, 2).fd(Fd::File)).fails(NotSock),
        there(vec![], vec![]),
        connect(M, tunnel(1, 2)).ok(),
    ];

    second_management_socket "2.1" TUNNEL [
        connect(M2, tunnel(1, 2)).ok().linux_fails("null session", Exist),
        there(vec![(1, 2)], vec![]).linux("null session", [there(vec![(1, 1)], vec![])]),
    ];
    prepared_socket_with_another_tunnel_id "2.4" TUNNEL [
        connect(M2, tunnel(3, 4)).fails(Inval).linux_fails("prepared socket", Busy),
    ];
    tunnel_id_of_another_socket "2.4" TUNNEL [connect(M2, tunnel(1, 2).udp(B)).fails(Exist)];
    a_refused_tunnel_leaves_its_socket_free "2.4" TUNNEL [
        connect(M2, tunnel(1, 2).udp(B)).fails(Exist),
        connect(M2, tunnel(3, 4).udp(B)).ok(),
        there(vec![(3, 1), (1, 1)], vec![]),
    ];
    tunnel_outlives_its_management_socket "11" TUNNEL [
        Step::Close(M),
        there(vec![(1, 0)], vec![]),
        connect(S, session(1, 2, 10, 20)).ok(),
        connect(M2, tunnel(1, 2)).ok(),
        there(vec![(1, 2)], vec![(1, 10)]),
    ];
    tunnel_id_is_free_once_its_socket_died "11" SESSION [
        Step::CloseUdp(A),
        there(vec![], vec![]),
        connect(M2, tunnel(1, 2).udp(B)).ok(),
        connect(S2, session(1, 2, 10, 20)).ok(),
        there(vec![(1, 2)], vec![(1, 10)]),
    ];
    closing_a_dead_session_leaves_its_successor "11" SESSION [
        Step::CloseUdp(A),
        connect(M2, tunnel(1, 2).udp(B)).ok(),
        connect(S2, session(1, 2, 10, 20)).ok(),
        Step::Close(S),
        Step::Close(M),
        there(vec![(1, 2)], vec![(1, 10)]),
    ];

    session_without_a_tunnel "2.1" NOTHING [connect(X, session(1, 2, 10, 20)).fails(NoEnt)];
    session_of_another_tunnel_id "2.1" TUNNEL [connect(X, session(2, 1, 10, 20)).fails(NoEnt)];
    session_of_a_dead_tunnel "2.3" TUNNEL [Step::CloseUdp(A), connect(X, session(1, 2, 10, 20)).fails(NoEnt)];
    session_id_that_is_taken "2.1" SESSION [
        connect(X, session(1, 2, 10, 21)).fails(Exist),
        there(vec![(1, 2)], vec![(1, 10)]),
    ];
    session_id_of_another_tunnel "2.1" SESSION [
        connect(M2, tunnel(3, 4).udp(B)).ok(),
        connect(S2, session(3, 4, 10, 20)).ok(),
        there(vec![(3, 2), (1, 2)], vec![(3, 10), (1, 10)]),
    ];
    session_id_is_free_once_it_is_closed "11" SESSION [
        Step::Close(S),
        connect(S2, session(1, 2, 10, 20)).ok(),
    ];
    a_sessions_descriptor_is_not_looked_at "2.1" TUNNEL [
        connect(S, session(1, 2, 10, 20).fd(Fd::File)).ok(),
        connect(S2, session(1, 2, 11, 21).udp(B)).ok(),
    ];
    several_sessions_of_one_peer_session_id "2.1" SESSION [connect(S2, session(1, 2, 11, 20)).ok()];

    peer_tunnel_id_0_is_filled_in_by_the_first_session "2.3" NOTHING [
        connect(M, tunnel(1, 0)).ok(),
        Call::SockName(M).gives(Value::Name(tunnel(1, 0))),
        connect(S, session(1, 7, 10, 20)).ok(),
        Call::SockName(M).gives(Value::Name(tunnel(1, 7))),
        connect(S2, session(1, 0, 11, 21)).ok(),
        Call::SockName(S2).gives(Value::Name(session(1, 7, 11, 21).udp(A))),
    ];
    peer_tunnel_id_0_is_filled_in_by_a_management_socket "2.3" NOTHING [
        connect(M, tunnel(1, 0)).ok(),
        second(tunnel(1, 7)),
        Call::SockName(M2).gives(Value::Name(tunnel(1, 7))),
        connect(S, session(1, 0, 10, 20)).ok(),
        Call::SockName(S).gives(Value::Name(session(1, 7, 10, 20).udp(A))),
    ];
    a_known_peer_tunnel_id_stays "2.3" TUNNEL [
        second(tunnel(1, 7)),
        Call::SockName(M2).gives(Value::Name(tunnel(1, 2))),
        connect(S, session(1, 7, 10, 20)).ok(),
        Call::SockName(S).gives(Value::Name(session(1, 2, 10, 20).udp(A))),
        send(S, FRAME).gives(Value::Number(FRAME.len())),
        wire(message(&[2, 2, 20], HDLC)),
    ];
    a_connected_udp_socket "2.2" NOTHING [
        connect(M, tunnel(1, 2).udp(CONNECTED)).ok(),
        connect(S, session(1, 2, 10, 20)).ok(),
        Step::Datagram(PEER, CONNECTED, message(&[2, 1, 10], HDLC)),
        received(S, FRAME),
        send(S, FRAME).gives(Value::Number(FRAME.len())),
        wire(message(&[2, 2, 20], HDLC)),
    ];
    the_address_of_a_connected_udp_socket_counts "5" NOTHING [
        connect(M, tunnel(1, 2).udp(CONNECTED).peer(OTHER)).ok(),
        Call::SockName(M).gives(Value::Name(tunnel(1, 2).udp(CONNECTED))),
    ];
}

pub(crate) mod netns {
    use super::*;
    use crate::world::run_in_netns as run;

    rows! {
        ipv6_peer_of_an_ipv4_socket "2.2" NOTHING [
            connect(X, tunnel(1, 2).peer(PEER6)).fails(AfNoSupport).linux_ok("peer's address"),
        ];
        ipv6 "2.3" NOTHING [
            connect(M, tunnel(1, 2).udp(V6).peer(PEER6)).ok(),
            connect(S, session(1, 2, 10, 20).peer(PEER6)).ok(),
            Step::Datagram(PEER6, V6, message(&[2, 1, 10], HDLC)),
            received(S, FRAME),
        ];
    }
}
