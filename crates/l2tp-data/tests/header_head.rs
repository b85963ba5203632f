//! The first bytes of a datagram say as much of its header as all of them.

mod common;

use common::Form;
use l2tp_data::header::{Datagram, HEAD};

#[test]
fn a_header_is_read_from_its_first_bytes() {
    let mut compared = 0;
    for form in Form::all(&[0xff, 0x03, 0xc0, 0x21, 0x01]) {
        let whole = form.encode();
        for len in 0..=whole.len() {
            let datagram = &whole[..len];
            let Datagram::Data(header) = Datagram::parse(datagram) else { continue };
            let expected = header.message(datagram);
            let read = header.message_of(&datagram[..len.min(HEAD)], len);
            assert_eq!(read, expected, "{form:?}, {len} bytes");
            if let Ok(message) = expected {
                let head = message.payload(&datagram[..len.min(HEAD)]);
                assert_eq!(head, message.payload(datagram), "{form:?}, {len} bytes");
            }
            compared += 1;
        }
    }
    assert!(compared > 100, "{compared}");
}
