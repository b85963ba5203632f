//! The Length field trims padding behind the message, and may not claim more than is there.

mod common;

use common::Form;
use l2tp_data::header::{Datagram, Malformed, Message};

fn message(datagram: &[u8]) -> Result<Message, Malformed> {
    match Datagram::parse(datagram) {
        Datagram::Data(header) => header.message(datagram),
        other => panic!("{other:?}"),
    }
}

#[test]
fn padding_behind_the_length_is_cut_off() {
    for form in Form::all(&[0xc0, 0x21, 1, 2]).into_iter().filter(|form| form.length) {
        let exact = form.encode();
        let mut padded = exact.clone();
        padded.extend([0; 20]);
        let message = message(&padded).unwrap();
        assert_eq!(message.len, exact.len(), "{form:?}");
        assert_eq!(message.payload(&padded), Ok(form.header_len()..exact.len()), "{form:?}");
    }
}

#[test]
fn without_the_length_everything_belongs_to_the_frame() {
    let mut datagram = Form { payload: vec![0xc0, 0x21], ..Form::default() }.encode();
    datagram.extend([0; 20]);
    assert_eq!(message(&datagram).unwrap().payload(&datagram), Ok(6..28));
}

#[test]
fn one_byte_more_than_is_there_is_malformed() {
    let mut datagram = Form { length: true, payload: vec![0xc0, 0x21], ..Form::default() }.encode();
    datagram[3] += 1;
    assert_eq!(message(&datagram), Err(Malformed::Length));
}

#[test]
fn offset_padding_may_not_reach_into_what_was_cut_off() {
    let mut datagram = Form { length: true, offset: Some(4), payload: vec![], ..Form::default() }.encode();
    datagram[3] -= 1;
    assert_eq!(message(&datagram).unwrap().payload(&datagram), Err(Malformed::Offset));
}
