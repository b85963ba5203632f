//! Every truncation of every form of the header is noticed where it happens, and none panics.

mod common;

use common::Form;
use l2tp_data::header::{Datagram, Malformed};

/// Where the parser has to stop in a datagram of `len` bytes of which the form's header needs more.
#[derive(PartialEq, Debug)]
enum Stop {
    Short,
    At(Malformed),
    Payload(usize),
}

fn expected(form: &Form, len: usize) -> Stop {
    let ids = if form.length { 8 } else { 6 };
    let numbers = ids + if form.sequence.is_some() { 4 } else { 0 };
    match len {
        _ if len < ids => Stop::Short,
        // The Length field still names the whole message.
        _ if form.length && len < form.header_len() + form.payload.len() => Stop::At(Malformed::Length),
        _ if len < numbers => Stop::At(Malformed::Sequence),
        _ if len < form.header_len() => Stop::At(Malformed::Offset),
        _ => Stop::Payload(len - form.header_len()),
    }
}

fn actual(datagram: &[u8]) -> Stop {
    let header = match Datagram::parse(datagram) {
        Datagram::Short => return Stop::Short,
        Datagram::Data(header) => header,
        other => panic!("{other:?}"),
    };
    match header.message(datagram).and_then(|message| message.payload(datagram)) {
        Ok(payload) => Stop::Payload(datagram[payload].len()),
        Err(malformed) => Stop::At(malformed),
    }
}

#[test]
fn a_truncated_datagram_stops_at_the_field_that_is_missing() {
    for form in Form::all(&[0xff, 0x03, 0xc0, 0x21, 0x01]) {
        let whole = form.encode();
        for len in 0..=whole.len() {
            assert_eq!(actual(&whole[..len]), expected(&form, len), "{form:?}, {len} bytes");
        }
    }
}

#[test]
fn a_length_that_ends_inside_the_header_stops_at_the_field_it_cuts() {
    for form in Form::all(&[0xff, 0x03, 0xc0, 0x21, 0x01]).into_iter().filter(|form| form.length) {
        let mut datagram = form.encode();
        for len in 0..=datagram.len() {
            datagram[2..4].copy_from_slice(&(len as u16).to_be_bytes());
            let numbers = if form.sequence.is_some() { 12 } else { 8 };
            let expected = match len {
                0..8 => Stop::At(Malformed::Length),
                _ if len < numbers => Stop::At(Malformed::Sequence),
                _ if len < form.header_len() => Stop::At(Malformed::Offset),
                _ => Stop::Payload(len - form.header_len()),
            };
            assert_eq!(actual(&datagram), expected, "{form:?}, Length {len}");
        }
    }
}

#[test]
fn an_offset_beyond_the_end_is_malformed_up_to_the_largest() {
    let mut datagram = Form { offset: Some(0), payload: vec![0; 4], ..Form::default() }.encode();
    for (offset, expected) in
        [(4, Stop::Payload(0)), (5, Stop::At(Malformed::Offset)), (0xffff, Stop::At(Malformed::Offset))]
    {
        datagram[6..8].copy_from_slice(&u16::to_be_bytes(offset));
        assert_eq!(actual(&datagram), expected, "offset {offset}");
    }
}
