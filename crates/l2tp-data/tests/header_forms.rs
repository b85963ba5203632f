//! A data message's header in every legal form: L, S, O and P in all combinations, offset padding.

mod common;

use common::Form;
use l2tp_data::header::{Datagram, Header, Sequence};

fn header(datagram: &[u8]) -> Header {
    match Datagram::parse(datagram) {
        Datagram::Data(header) => header,
        other => panic!("{other:?}"),
    }
}

#[test]
fn ids_sequence_and_payload_are_found_in_every_form() {
    for form in Form::all(&[0xff, 0x03, 0x00, 0x21, 0x45]) {
        let datagram = form.encode();
        let header = header(&datagram);
        assert_eq!((header.tunnel_id, header.session_id), (Form::TUNNEL, Form::SESSION), "{form:?}");
        let message = header.message(&datagram).unwrap();
        assert_eq!(message.sequence, form.sequence.map(|(ns, nr)| Sequence { ns, nr }), "{form:?}");
        assert_eq!(message.len, datagram.len(), "{form:?}");
        assert_eq!(message.payload(&datagram), Ok(form.header_len()..datagram.len()), "{form:?}");
    }
}

#[test]
fn the_shortest_header_is_6_bytes_and_may_stand_alone() {
    let datagram = [0x00, 0x02, 0x00, 0x01, 0x00, 0x02];
    let message = header(&datagram).message(&datagram).unwrap();
    assert_eq!(message.payload(&datagram), Ok(6..6));
}

#[test]
fn reserved_bits_have_no_effect() {
    for reserved in [0x2000u16, 0x1000, 0x0400, 0x0080, 0x0040, 0x0020, 0x0010] {
        let mut datagram = Form { payload: vec![0xc0, 0x21], ..Form::default() }.encode();
        datagram[..2].copy_from_slice(&(reserved | 2).to_be_bytes());
        let message = header(&datagram).message(&datagram).unwrap();
        assert_eq!((message.sequence, message.payload(&datagram)), (None, Ok(6..8)), "{reserved:04x}");
    }
}

#[test]
fn zero_ids_are_read_as_they_are() {
    let header = header(&[0x00, 0x02, 0, 0, 0, 0]);
    assert_eq!((header.tunnel_id, header.session_id), (0, 0));
}
