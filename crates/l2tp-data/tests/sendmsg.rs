//! `sendmsg`: only a connected session socket sends frames.

mod common;

use l2tp_data::rules::{Errno, Socket, Target};

fn may_send(socket: Socket, expected: Result<(), Errno>) {
    assert_eq!(socket.may_send(), expected);
}

rows! { may_send:
    session => (Socket::Connected(Target::Session), Ok(()));
    management => (Socket::Connected(Target::Management), Err(Errno::OpNotSupp));
    not_connected => (Socket::New, Err(Errno::NotConn));
    dead_session => (Socket::Dead(Target::Session), Err(Errno::NotConn));
    dead_management => (Socket::Dead(Target::Management), Err(Errno::NotConn));
    closed => (Socket::Closed, Err(Errno::NotConn));
}
