//! `getsockopt`: the errors in their order, and how much of the value is copied.

mod common;

use l2tp_data::rules::{Errno, Socket, SocketOption, Target, get_option};

const NEW: Socket = Socket::New;
const MANAGEMENT: Socket = Socket::Connected(Target::Management);
const SESSION: Socket = Socket::Connected(Target::Session);
const DEAD_MANAGEMENT: Socket = Socket::Dead(Target::Management);
const DEAD_SESSION: Socket = Socket::Dead(Target::Session);

fn gets(
    socket: Socket,
    level: i32,
    optname: i32,
    optlen: Option<i32>,
    expected: Result<(SocketOption, usize), Errno>,
) {
    assert_eq!(get_option(socket, level, optname, optlen), expected);
}

rows! { gets:
    management_debug => (MANAGEMENT, 273, 1, Some(4), Ok((SocketOption::Debug, 4)));
    management_recvseq => (MANAGEMENT, 273, 2, Some(4), Err(Errno::NoProtoOpt));
    management_sendseq => (MANAGEMENT, 273, 3, Some(4), Err(Errno::NoProtoOpt));
    management_lnsmode => (MANAGEMENT, 273, 4, Some(4), Err(Errno::NoProtoOpt));
    management_reorderto => (MANAGEMENT, 273, 5, Some(4), Err(Errno::NoProtoOpt));
    management_other => (MANAGEMENT, 273, 6, Some(4), Err(Errno::NoProtoOpt));
    session_debug => (SESSION, 273, 1, Some(4), Ok((SocketOption::Debug, 4)));
    session_recvseq => (SESSION, 273, 2, Some(4), Ok((SocketOption::RecvSeq, 4)));
    session_sendseq => (SESSION, 273, 3, Some(4), Ok((SocketOption::SendSeq, 4)));
    session_lnsmode => (SESSION, 273, 4, Some(4), Ok((SocketOption::LnsMode, 4)));
    session_reorderto => (SESSION, 273, 5, Some(4), Ok((SocketOption::ReorderTo, 4)));
    session_option_0 => (SESSION, 273, 0, Some(4), Err(Errno::NoProtoOpt));
    session_option_6 => (SESSION, 273, 6, Some(4), Err(Errno::NoProtoOpt));
    longer_buffer => (SESSION, 273, 1, Some(100), Ok((SocketOption::Debug, 4)));
    shorter_buffer => (SESSION, 273, 1, Some(2), Ok((SocketOption::Debug, 2)));
    no_buffer => (SESSION, 273, 1, Some(0), Ok((SocketOption::Debug, 0)));
    negative_length => (SESSION, 273, 1, Some(-1), Err(Errno::Inval));
    negative_length_comes_before_the_connection => (NEW, 273, 1, Some(-1), Err(Errno::Inval));
    length_unreadable => (SESSION, 273, 1, None, Err(Errno::Fault));
    fault_comes_before_the_connection => (NEW, 273, 1, None, Err(Errno::Fault));
    level_of_udp => (SESSION, 17, 1, Some(4), Err(Errno::Inval));
    level_comes_before_the_fault => (SESSION, 17, 1, None, Err(Errno::Inval));
    not_connected => (NEW, 273, 1, Some(4), Err(Errno::NotConn));
    not_connected_comes_before_the_option => (NEW, 273, 6, Some(4), Err(Errno::NotConn));
    dead_session => (DEAD_SESSION, 273, 1, Some(4), Err(Errno::NotConn));
    dead_management => (DEAD_MANAGEMENT, 273, 1, Some(4), Err(Errno::BadF));
    closed => (Socket::Closed, 273, 1, Some(4), Err(Errno::BadF));
}
