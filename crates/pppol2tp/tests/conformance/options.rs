//! `setsockopt` and `getsockopt`.

use pppol2tp::Errno::*;
use pppol2tp::SocketOption::*;
use pppol2tp::data::rules::SOL_PPPOL2TP;

use crate::common::message;
use crate::rows;
use crate::step::*;
use crate::world::run;

const SOL_SOCKET: i32 = 1;
const SOL_UDP: i32 = 17;
const ONE: Option<&[u8]> = Some(&1i32.to_ne_bytes());
const DEBUG: i32 = 1;
const SENDSEQ: i32 = 3;
const REORDERTO: i32 = 5;

fn int(value: i32) -> Value {
    bytes(&value.to_ne_bytes())
}

fn bytes(bytes: &[u8]) -> Value {
    Value::Bytes(bytes.to_vec())
}

rows! {
    numbers_of_the_kernel "0" SESSION [
        set_raw(S, 273, 1, Some(&15i32.to_ne_bytes())).ok(),
        set_raw(S, 273, 2, ONE).ok(),
        set_raw(S, 273, 3, ONE).ok(),
        set_raw(S, 273, 4, ONE).ok(),
        set_raw(S, 273, 5, Some(&200i32.to_ne_bytes())).ok(),
        get(S, Debug).int(15).linux_gives("DEBUG", int(0)),
        get(S, RecvSeq).int(1),
        get(S, SendSeq).int(1),
        get(S, LnsMode).int(1),
        get(S, ReorderTo).int(200),
    ];
    defaults "0" SESSION [
        get(M, Debug).int(0),
        get(S, Debug).int(0),
        get(S, RecvSeq).int(0),
        get(S, SendSeq).int(0),
        get(S, LnsMode).int(0),
        get(S, ReorderTo).int(0),
    ];

    another_level "7" SESSION [
        set_raw(S, SOL_SOCKET, SENDSEQ, ONE).fails(Inval).linux_fails("SOL_SOCKET", NoProtoOpt),
        set_raw(S, SOL_UDP, SENDSEQ, ONE).fails(Inval),
        set_raw(M, SOL_UDP, DEBUG, ONE).fails(Inval),
        get_raw(S, SOL_UDP, SENDSEQ, Some(4)).fails(Inval),
        get_raw(M, SOL_SOCKET, DEBUG, Some(4)).fails(Inval).linux_gives("SOL_SOCKET", int(0)),
        get(S, SendSeq).int(0),
    ];
    another_level_comes_first "7" NOTHING [
        set_raw(X, SOL_UDP, SENDSEQ, None).fails(Inval),
        get_raw(X, SOL_UDP, SENDSEQ, None).fails(Inval).linux_fails("order of checks", Fault),
        set_raw(X, SOL_SOCKET, SENDSEQ, None).fails(Inval).linux_fails("SOL_SOCKET", Fault),
        get_raw(X, SOL_SOCKET, SENDSEQ, None).fails(Inval).linux_fails("SOL_SOCKET", Fault),
    ];
    value_too_short "7" SESSION [
        set_raw(S, SOL_PPPOL2TP, SENDSEQ, Some(&[1, 0, 0])).fails(Inval),
        set_raw(S, SOL_PPPOL2TP, SENDSEQ, Some(&[])).fails(Inval),
        set_raw(M, SOL_PPPOL2TP, DEBUG, Some(&[1])).fails(Inval),
        get(S, SendSeq).int(0),
    ];
    value_too_short_comes_before_the_state "7" NOTHING [
        set_raw(X, SOL_PPPOL2TP, SENDSEQ, Some(&[1, 0])).fails(Inval),
    ];
    longer_value "7" SESSION [
        set_raw(S, SOL_PPPOL2TP, SENDSEQ, Some(&1u64.to_le_bytes())).ok(),
        get_raw(S, SOL_PPPOL2TP, SENDSEQ, Some(8)).int(1),
    ];
    shorter_answer "7" SESSION [
        set(S, Debug, 0x0403_0201).ok(),
        get_raw(S, SOL_PPPOL2TP, DEBUG, Some(2))
            .gives(bytes(&0x0403_0201i32.to_ne_bytes()[..2]))
            .linux_gives("DEBUG", bytes(&[0, 0])),
        set(S, ReorderTo, 0x0102 * 1000).ok(),
        get_raw(S, SOL_PPPOL2TP, REORDERTO, Some(2)).gives(bytes(&(0x0102i32 * 1000).to_ne_bytes()[..2])),
        get_raw(S, SOL_PPPOL2TP, DEBUG, Some(0)).gives(bytes(&[])),
    ];
    memory_that_cannot_be_read "7" SESSION [
        set_raw(S, SOL_PPPOL2TP, SENDSEQ, None).fails(Fault),
        set_raw(M, SOL_PPPOL2TP, DEBUG, None).fails(Fault),
        get_raw(S, SOL_PPPOL2TP, SENDSEQ, None).fails(Fault),
    ];
    memory_comes_before_the_state "7" NOTHING [
        set_raw(X, SOL_PPPOL2TP, SENDSEQ, None).fails(Fault),
        get_raw(X, SOL_PPPOL2TP, SENDSEQ, None).fails(Fault),
    ];

    not_connected "7" NOTHING [
        set(X, Debug, 1).fails(NotConn),
        get(X, Debug).fails(NotConn),
        set(X, SendSeq, 2).fails(NotConn),
        set_raw(X, SOL_PPPOL2TP, 99, ONE).fails(NotConn),
    ];
    session_that_died "11" SESSION [
        Step::CloseUdp(A),
        set(S, Debug, 1).fails(NotConn),
        get(S, Debug).fails(NotConn),
        set(S, SendSeq, 1).fails(NotConn),
        get(S, ReorderTo).fails(NotConn),
    ];
    management_whose_tunnel_died "7" TUNNEL [
        Step::CloseUdp(A),
        set(M, Debug, 1).fails(BadF).linux_fails("dead sockets", NotConn),
        get(M, Debug).fails(BadF).linux_fails("dead sockets", NotConn),
        set(M, SendSeq, 1).fails(BadF).linux_fails("dead sockets", NotConn),
    ];

    debug_of_a_tunnel "7" SESSION [
        set(M, Debug, 0xf).ok(),
        get(M, Debug).int(0xf).linux_gives("DEBUG", int(0)),
        get(S, Debug).int(0),
    ];
    debug_of_a_session "7" SESSION [
        set(S, Debug, -1).ok(),
        get(S, Debug).int(-1).linux_gives("DEBUG", int(0)),
        get(M, Debug).int(0),
    ];
    debug_is_inherited_at_connect "0" TUNNEL [
        set(M, Debug, 2).ok(),
        connect(S, session(1, 2, 10, 20)).ok(),
        set(M, Debug, 0).ok(),
        get(S, Debug).int(2).linux_gives("DEBUG", int(0)),
    ];

    recvseq "7" SESSION [
        set(S, RecvSeq, 1).ok(),
        get(S, RecvSeq).int(1),
        set(S, RecvSeq, 2).fails(Inval),
        set(S, RecvSeq, -1).fails(Inval),
        get(S, RecvSeq).int(1),
        set(S, RecvSeq, 0).ok(),
        get(S, RecvSeq).int(0),
    ];
    sendseq "7" SESSION [
        set(S, SendSeq, 1).ok(),
        get(S, SendSeq).int(1),
        set(S, SendSeq, 2).fails(Inval),
        set(S, SendSeq, -1).fails(Inval),
        get(S, SendSeq).int(1),
        set(S, SendSeq, 0).ok(),
        get(S, SendSeq).int(0),
    ];
    lnsmode "7" SESSION [
        set(S, LnsMode, 1).ok(),
        get(S, LnsMode).int(1),
        set(S, LnsMode, 2).fails(Inval),
        set(S, LnsMode, -1).fails(Inval),
        get(S, LnsMode).int(1),
        set(S, LnsMode, 0).ok(),
        get(S, LnsMode).int(0),
    ];
    reorderto "7" SESSION [
        set(S, ReorderTo, 100).ok(),
        get(S, ReorderTo).int(100),
        set(S, ReorderTo, i32::MAX).ok(),
        get(S, ReorderTo).int(i32::MAX).linux_gives("jiffies", int(0x8000_0002u32.cast_signed())),
        set(S, ReorderTo, 0).ok(),
        get(S, ReorderTo).int(0),
    ];
    negative_reorderto "16" SESSION [
        set(S, ReorderTo, 100).ok(),
        set(S, ReorderTo, -1).fails(Inval).linux_ok("negative REORDERTO"),
        set(S, ReorderTo, i32::MIN).fails(Inval).linux_ok("negative REORDERTO"),
        get(S, ReorderTo).int(100).linux_gives("negative REORDERTO", int(-20)),
    ];
    reorderto_0_lets_out_what_is_held "7" SESSION [
        set(S, ReorderTo, 60_000).ok(),
        arrives(message(&[0x0802, 1, 10, 0, 0], &[0xc0, 0x21, 0, 9])),
        arrives(message(&[0x0802, 1, 10, 3, 0], &[0xc0, 0x21, 3, 9])),
        arrives(message(&[0x0802, 1, 10, 2, 0], &[0xc0, 0x21, 2, 9])),
        received(S, &[0xc0, 0x21, 0, 9]),
        recv(S).fails(Again),
        set(S, ReorderTo, 0).ok(),
        received(S, &[0xc0, 0x21, 2, 9]).linux("REORDERTO 0", []),
        received(S, &[0xc0, 0x21, 3, 9]).linux("REORDERTO 0", []),
        recv(S).fails(Again),
    ];
    options_of_one_session_are_its_own "7" SESSION [
        connect(S2, session(1, 2, 11, 21)).ok(),
        set(S, SendSeq, 1).ok(),
        set(S, ReorderTo, 5).ok(),
        get(S2, SendSeq).int(0),
        get(S2, ReorderTo).int(0),
    ];

    management_has_no_recvseq "7" TUNNEL [
        set(M, RecvSeq, 1).fails(NoProtoOpt),
        set(M, RecvSeq, 2).fails(NoProtoOpt),
        get(M, RecvSeq).fails(NoProtoOpt),
    ];
    management_has_no_sendseq "7" TUNNEL [
        set(M, SendSeq, 1).fails(NoProtoOpt),
        set(M, SendSeq, 2).fails(NoProtoOpt),
        get(M, SendSeq).fails(NoProtoOpt),
    ];
    management_has_no_lnsmode "7" TUNNEL [
        set(M, LnsMode, 1).fails(NoProtoOpt),
        set(M, LnsMode, 2).fails(NoProtoOpt),
        get(M, LnsMode).fails(NoProtoOpt),
    ];
    management_has_no_reorderto "7" TUNNEL [
        set(M, ReorderTo, 1).fails(NoProtoOpt),
        set(M, ReorderTo, -1).fails(NoProtoOpt),
        get(M, ReorderTo).fails(NoProtoOpt),
    ];
    unknown_option "7" SESSION [
        set_raw(S, SOL_PPPOL2TP, 0, ONE).fails(NoProtoOpt),
        set_raw(S, SOL_PPPOL2TP, 6, ONE).fails(NoProtoOpt),
        set_raw(M, SOL_PPPOL2TP, 6, ONE).fails(NoProtoOpt),
        get_raw(S, SOL_PPPOL2TP, 0, Some(4)).fails(NoProtoOpt),
        get_raw(S, SOL_PPPOL2TP, 6, Some(4)).fails(NoProtoOpt),
        get_raw(M, SOL_PPPOL2TP, 6, Some(4)).fails(NoProtoOpt),
    ];
}
