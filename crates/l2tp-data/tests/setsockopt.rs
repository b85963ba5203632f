//! `setsockopt`: the errors in their order, the values of each option on each kind of socket.

mod common;

use l2tp_data::rules::{Errno, SOL_PPPOL2TP, Socket, SocketOption, Target, set_option};

const NEW: Socket = Socket::New;
const MANAGEMENT: Socket = Socket::Connected(Target::Management);
const SESSION: Socket = Socket::Connected(Target::Session);
const DEAD_MANAGEMENT: Socket = Socket::Dead(Target::Management);
const DEAD_SESSION: Socket = Socket::Dead(Target::Session);

const DEBUG: i32 = 1;
const RECVSEQ: i32 = 2;
const SENDSEQ: i32 = 3;
const LNSMODE: i32 = 4;
const REORDERTO: i32 = 5;

fn sets(socket: Socket, optname: i32, value: i32, expected: Result<SocketOption, Errno>) {
    let result = set_option(socket, SOL_PPPOL2TP, optname, 4, Some(value.to_ne_bytes()));
    assert_eq!(result, expected.map(|option| (option, value)));
}

fn refuses(socket: Socket, level: i32, optname: i32, optlen: i32, optval: Option<i32>, errno: Errno) {
    let result = set_option(socket, level, optname, optlen, optval.map(i32::to_ne_bytes));
    assert_eq!(result, Err(errno));
}

rows! { sets:
    management_debug => (MANAGEMENT, DEBUG, 0xf, Ok(SocketOption::Debug));
    management_recvseq => (MANAGEMENT, RECVSEQ, 1, Err(Errno::NoProtoOpt));
    management_sendseq => (MANAGEMENT, SENDSEQ, 1, Err(Errno::NoProtoOpt));
    management_lnsmode => (MANAGEMENT, LNSMODE, 1, Err(Errno::NoProtoOpt));
    management_reorderto => (MANAGEMENT, REORDERTO, 1, Err(Errno::NoProtoOpt));
    management_other => (MANAGEMENT, 6, 1, Err(Errno::NoProtoOpt));
    management_bad_value_of_an_option_it_has_not => (MANAGEMENT, RECVSEQ, 2, Err(Errno::NoProtoOpt));
    session_debug => (SESSION, DEBUG, 0xf, Ok(SocketOption::Debug));
    session_debug_any_bits => (SESSION, DEBUG, -1, Ok(SocketOption::Debug));
    session_debug_none => (SESSION, DEBUG, 0, Ok(SocketOption::Debug));
    session_recvseq_0 => (SESSION, RECVSEQ, 0, Ok(SocketOption::RecvSeq));
    session_recvseq_1 => (SESSION, RECVSEQ, 1, Ok(SocketOption::RecvSeq));
    session_recvseq_2 => (SESSION, RECVSEQ, 2, Err(Errno::Inval));
    session_recvseq_negative => (SESSION, RECVSEQ, -1, Err(Errno::Inval));
    session_sendseq_0 => (SESSION, SENDSEQ, 0, Ok(SocketOption::SendSeq));
    session_sendseq_1 => (SESSION, SENDSEQ, 1, Ok(SocketOption::SendSeq));
    session_sendseq_2 => (SESSION, SENDSEQ, 2, Err(Errno::Inval));
    session_sendseq_negative => (SESSION, SENDSEQ, -1, Err(Errno::Inval));
    session_lnsmode_0 => (SESSION, LNSMODE, 0, Ok(SocketOption::LnsMode));
    session_lnsmode_1 => (SESSION, LNSMODE, 1, Ok(SocketOption::LnsMode));
    session_lnsmode_2 => (SESSION, LNSMODE, 2, Err(Errno::Inval));
    session_lnsmode_negative => (SESSION, LNSMODE, -1, Err(Errno::Inval));
    session_reorderto_off => (SESSION, REORDERTO, 0, Ok(SocketOption::ReorderTo));
    session_reorderto_most => (SESSION, REORDERTO, i32::MAX, Ok(SocketOption::ReorderTo));
    session_reorderto_negative => (SESSION, REORDERTO, -1, Err(Errno::Inval));
    session_option_0 => (SESSION, 0, 1, Err(Errno::NoProtoOpt));
    session_option_6 => (SESSION, 6, 1, Err(Errno::NoProtoOpt));
    session_option_negative => (SESSION, -1, 1, Err(Errno::NoProtoOpt));
    not_connected => (NEW, DEBUG, 0, Err(Errno::NotConn));
    dead_session => (DEAD_SESSION, DEBUG, 0, Err(Errno::NotConn));
    dead_management => (DEAD_MANAGEMENT, DEBUG, 0, Err(Errno::BadF));
    not_connected_comes_before_the_option => (NEW, 6, 0, Err(Errno::NotConn));
    not_connected_comes_before_the_value => (NEW, RECVSEQ, 2, Err(Errno::NotConn));
}

rows! { refuses:
    level_of_udp => (SESSION, 17, DEBUG, 4, Some(0), Errno::Inval);
    level_comes_before_the_length => (SESSION, 17, DEBUG, 0, None, Errno::Inval);
    level_comes_before_the_connection => (NEW, 17, DEBUG, 4, Some(0), Errno::Inval);
    length_3 => (SESSION, 273, DEBUG, 3, Some(0), Errno::Inval);
    length_0 => (SESSION, 273, DEBUG, 0, Some(0), Errno::Inval);
    length_negative => (SESSION, 273, DEBUG, -1, Some(0), Errno::Inval);
    length_comes_before_the_fault => (SESSION, 273, DEBUG, 3, None, Errno::Inval);
    fault => (SESSION, 273, DEBUG, 4, None, Errno::Fault);
    fault_comes_before_the_connection => (NEW, 273, DEBUG, 4, None, Errno::Fault);
    fault_comes_before_the_option => (SESSION, 273, 6, 4, None, Errno::Fault);
}

#[test]
fn more_than_four_bytes_are_allowed() {
    let result = set_option(SESSION, SOL_PPPOL2TP, SENDSEQ, 8, Some(1i32.to_ne_bytes()));
    assert_eq!(result, Ok((SocketOption::SendSeq, 1)));
}
