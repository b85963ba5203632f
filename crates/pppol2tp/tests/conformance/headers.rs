//! The header of a data message in every form, and the PPP frame behind it.

use pppol2tp::Reason::UnknownSession;

use crate::common::message;
use crate::rows;
use crate::step::*;
use crate::world::run;

const L: u16 = 0x4000;
const S_: u16 = 0x0800;
const O: u16 = 0x0200;
const P: u16 = 0x0100;

/// A message with these flags, Ns and `pad` bytes of offset padding.
fn form(flags: u16, ns: u16, pad: u16) -> Vec<u8> {
    let mut rest = Vec::new();
    if flags & S_ != 0 {
        rest.extend(message(&[ns, 0x7788], &[]));
    }
    if flags & O != 0 {
        rest.extend(message(&[pad], &vec![0xee; pad.into()]));
    }
    rest.extend(HDLC);
    if flags & L != 0 {
        message(&[flags | 2, 8 + rest.len() as u16, 1, 10], &rest)
    } else {
        message(&[flags | 2, 1, 10], &rest)
    }
}

/// Frames that arrive in all forms with these flags.
fn both(flags: u16) -> [Step; 4] {
    [arrives(form(flags, 0, 0)), received(S, FRAME), arrives(form(flags, 1, 5)), received(S, FRAME)]
}

/// An unsequenced message with this behind its header arrives.
fn payload(payload: &[u8]) -> Step {
    arrives(message(&[2, 1, 10], payload))
}

/// The message is dropped for this reason, and the next one is delivered. What is shorter than 14 bytes the
/// kernel takes for no data message.
fn dropped(reason: &'static str, datagram: Vec<u8>) -> [Step; 5] {
    let count = counted([("rx_errors", 1), (reason, 1)]);
    let [count, up] = if datagram.len() < 14 {
        let up = passed_up([(UnknownSession, datagram.clone())]);
        [count.linux("short messages", [stats([])]), passed_up([]).linux("short messages", [up])]
    } else {
        [count, passed_up([])]
    };
    [arrives(datagram), count, up, payload(HDLC), received(S, FRAME)]
}

/// The message is dropped for this reason; the kernel delivers this.
fn delivered(why: &'static str, reason: &'static str, datagram: Vec<u8>, frame: &[u8]) -> [Step; 5] {
    let counters = [("rx_packets", 1), ("rx_bytes", datagram.len() as u64)];
    let count = counted([("rx_errors", 1), (reason, 1)]).linux(why, [stats(counters), received(S, frame)]);
    [arrives(datagram), count, passed_up([]), payload(HDLC), received(S, FRAME)]
}

/// The message is delivered as this frame; one that is shorter than 14 bytes the kernel takes for no data message.
fn short(payload: &[u8], frame: &[u8]) -> [Step; 2] {
    let datagram = message(&[2, 1, 10], payload);
    let up = passed_up([(UnknownSession, datagram.clone())]);
    let received = received(S, frame);
    [arrives(datagram), if payload.len() < 8 { received.linux("short messages", [up]) } else { received }]
}

rows! {
    bits_none "3.3" SESSION both(0);
    bits_l "3.3" SESSION both(L);
    bits_s "3.3" SESSION both(S_);
    bits_ls "3.3" SESSION both(L | S_);
    bits_o "3.3" SESSION both(O);
    bits_lo "3.3" SESSION both(L | O);
    bits_so "3.3" SESSION both(S_ | O);
    bits_lso "3.3" SESSION both(L | S_ | O);
    bits_p "3.3" SESSION both(P);
    bits_lp "3.3" SESSION both(L | P);
    bits_sp "3.3" SESSION both(S_ | P);
    bits_lsp "3.3" SESSION both(L | S_ | P);
    bits_op "3.3" SESSION both(O | P);
    bits_lop "3.3" SESSION both(L | O | P);
    bits_sop "3.3" SESSION both(S_ | O | P);
    bits_lsop "3.3" SESSION both(L | S_ | O | P);

    length_beyond_the_datagram "3.3" SESSION delivered("Length", "rx_bad_length", message(&[L | 2, 21, 1, 10], HDLC), FRAME);
    length_far_beyond_the_datagram "3.3" SESSION delivered("Length", "rx_bad_length", message(&[L | 2, 65535, 1, 10], HDLC), FRAME);
    length_0 "3.3" SESSION delivered("Length", "rx_bad_length", message(&[L | 2, 0, 1, 10], HDLC), FRAME);
    length_inside_the_header "3.3" SESSION delivered("Length", "rx_bad_length", message(&[L | 2, 7, 1, 10], HDLC), FRAME);
    length_leaves_no_frame "3.1" SESSION delivered("Length", "rx_short_frame", message(&[L | 2, 8, 1, 10], HDLC), FRAME);
    length_cuts_the_numbers "3.3" SESSION delivered("Length", "rx_bad_sequence", message(&[L | S_ | 2, 11, 1, 10, 0, 0], HDLC), FRAME);
    numbers_missing "3.3" SESSION dropped("rx_bad_sequence", message(&[S_ | 2, 1, 10], &[]));
    numbers_cut "3.3" SESSION dropped("rx_bad_sequence", message(&[S_ | 2, 1, 10, 0], &[0]));
    offset_missing "3.1" SESSION dropped("rx_bad_offset", message(&[O | 2, 1, 10], &[]));
    offset_cut "3.1" SESSION dropped("rx_bad_offset", message(&[O | 2, 1, 10], &[0]));
    offset_beyond_the_end_by_1 "3.1" SESSION dropped("rx_bad_offset", message(&[O | 2, 1, 10, 13], HDLC));
    offset_65535 "3.1" SESSION dropped("rx_bad_offset", message(&[O | 2, 1, 10, 65535], HDLC));
    offset_beyond_the_length "3.1" SESSION delivered("Length", "rx_bad_offset", message(&[L | O | 2, 12, 1, 10, 3], HDLC), &HDLC[3..]);
    offset_to_the_end "3.1" SESSION delivered("empty frames", "rx_short_frame", message(&[O | 2, 1, 10, 12], HDLC), &[]);
    no_payload "3.1" SESSION dropped("rx_short_frame", message(&[2, 1, 10], &[]));
    payload_of_1_byte "3.1" SESSION dropped("rx_short_frame", message(&[2, 1, 10], &[0x21]));
    payload_of_1_byte_ff "3.1" SESSION dropped("rx_short_frame", message(&[2, 1, 10], &[0xff]));
    ff03_alone "3.1" SESSION dropped("rx_short_frame", message(&[2, 1, 10], &[0xff, 3]));

    numbers_cut_are_no_request_of_the_lns "4.1" SESSION [
        arrives(message(&[S_ | 2, 1, 10, 0], &[])),
        get(S, pppol2tp::SocketOption::SendSeq).int(0),
    ];
    a_bad_offset_comes_behind_the_numbers "3.1" SESSION [
        arrives(message(&[S_ | O | 2, 1, 10, 0, 0, 99], HDLC)),
        counted([("rx_errors", 1), ("rx_bad_offset", 1)]),
        get(S, pppol2tp::SocketOption::SendSeq).int(1),
        arrives(form(S_, 0, 0)),
        received(S, FRAME),
    ];

    length_of_the_datagram "3.3" SESSION [
        arrives(message(&[L | 2, 20, 1, 10], HDLC)),
        received(S, FRAME),
        stats([("rx_packets", 1), ("rx_bytes", 20)]),
    ];
    length_trims_padding "3.3" SESSION [
        arrives(message(&[L | 2, 20, 1, 10], &[HDLC, &[0x77; 30]].concat())),
        received(S, FRAME).linux("Length", [received(S, &[FRAME, &[0x77; 30]].concat())]),
        stats([("rx_packets", 1), ("rx_bytes", 20)])
            .linux("Length", [stats([("rx_packets", 1), ("rx_bytes", 50)])]),
    ];
    offset_counts_as_header "3.1" SESSION [
        arrives(form(O, 0, 5)),
        received(S, FRAME),
        stats([("rx_packets", 1), ("rx_bytes", 6 + 7 + 12)]),
    ];
    nr_is_ignored "4.1" SESSION [
        arrives(message(&[S_ | 2, 1, 10, 0, 65535], HDLC)),
        arrives(message(&[S_ | 2, 1, 10, 1, 1], HDLC)),
        received(S, FRAME),
        received(S, FRAME),
    ];
    reserved_bits_are_ignored "3.1" SESSION [
        arrives(message(&[0x34f0 | 2, 1, 10], HDLC)),
        received(S, FRAME),
        passed_up([]),
    ];
    the_longest_datagram "3.3" SESSION [
        payload(&[&[0xff, 3][..], &[0xc0; 65_499]].concat()),
        received(S, &[0xc0; 65_499]),
        stats([("rx_packets", 1), ("rx_bytes", 65_507)]),
    ];

    with_ff03 "3.1" SESSION [payload(HDLC), received(S, FRAME)];
    without_ff03 "3.1" SESSION [payload(FRAME), received(S, FRAME)];
    ff03_once_only "3.1" SESSION [payload(&[&[0xff, 3], HDLC].concat()), received(S, HDLC)];
    ff_without_03 "3.1" SESSION [payload(&[0xff, 4, 1, 2, 3, 4, 5, 6]), received(S, &[0xff, 4, 1, 2, 3, 4, 5, 6])];
    one_byte_behind_ff03 "3.1" SESSION short(&[0xff, 3, 0x21], &[0x21]);
    one_byte_behind_ff03_and_an_offset "3.1" SESSION [
        arrives(message(&[O | 2, 1, 10, 3], &[0, 0, 0, 0xff, 3, 0x21])),
        received(S, &[0x21]),
    ];
    protocol_of_one_byte "3.3" SESSION [
        payload(&[0x21, 0x45, 0, 0, 0, 0, 0, 0]),
        received(S, &[0x21, 0x45, 0, 0, 0, 0, 0, 0]),
    ];

    datagram_of_6_bytes "3.3" SESSION dropped("rx_short_frame", message(&[2, 1, 10], &[]));
    datagram_of_7_bytes "3.3" SESSION dropped("rx_short_frame", message(&[2, 1, 10], &[0xc0]));
    datagram_of_8_bytes "3.3" SESSION short(&FRAME[..2], &FRAME[..2]);
    datagram_of_9_bytes "3.3" SESSION short(&FRAME[..3], &FRAME[..3]);
    datagram_of_10_bytes "3.3" SESSION short(&HDLC[..4], &FRAME[..2]);
    datagram_of_11_bytes "3.3" SESSION short(&HDLC[..5], &FRAME[..3]);
    datagram_of_12_bytes "3.3" SESSION short(&HDLC[..6], &FRAME[..4]);
    datagram_of_13_bytes "3.3" SESSION short(&HDLC[..7], &FRAME[..5]);
    datagram_of_14_bytes "3.3" SESSION short(&HDLC[..8], &FRAME[..6]);
    bytes_of_the_shortest_are_counted "9" SESSION [
        payload(&FRAME[..2]),
        stats([("rx_packets", 1), ("rx_bytes", 8)]).linux("short messages", [stats([])]),
    ];
}
