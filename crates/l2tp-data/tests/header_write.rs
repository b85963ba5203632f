//! What we send: 6 bytes of header or 10 with Ns and Nr, then FF 03; never L, O or P.

use l2tp_data::header::{self, Datagram, Sequence};
use l2tp_data::session::Transmit;

#[test]
fn without_numbers_6_bytes_and_address_control() {
    let mut out = [0; header::MAX];
    let len = header::write(0x1234, 0x5678, None, &mut out);
    assert_eq!(out[..len], [0x00, 0x02, 0x12, 0x34, 0x56, 0x78, 0xff, 0x03]);
}

#[test]
fn with_numbers_10_bytes_nr_0_and_address_control() {
    let mut out = [0xaa; header::MAX];
    let len = header::write(0x1234, 0x5678, Some(0xfffe), &mut out);
    assert_eq!(out[..len], [0x08, 0x02, 0x12, 0x34, 0x56, 0x78, 0xff, 0xfe, 0, 0, 0xff, 0x03]);
}

#[test]
fn what_is_written_is_read_back() {
    for ns in [None, Some(0), Some(0xffff)] {
        let mut out = [0; header::MAX];
        let len = header::write(7, 65535, ns, &mut out);
        let Datagram::Data(header) = Datagram::parse(&out[..len]) else { panic!("{out:x?}") };
        assert_eq!((header.tunnel_id, header.session_id), (7, 65535));
        let message = header.message(&out[..len]).unwrap();
        assert_eq!(message.sequence, ns.map(|ns| Sequence { ns, nr: 0 }));
        assert_eq!(message.payload(&out[..len]), Ok(len - 2..len));
    }
}

#[test]
fn ns_counts_only_messages_that_carry_it_and_wraps() {
    let mut transmit = Transmit::new(1, 2);
    let mut out = [0; header::MAX];
    assert_eq!(transmit.header(false, &mut out), 8);
    assert_eq!(transmit.ns(), 0);
    for ns in 0..=u16::MAX {
        assert_eq!(transmit.header(true, &mut out), 12);
        assert_eq!(out[6..8], ns.to_be_bytes());
    }
    assert_eq!(transmit.ns(), 0);
    assert_eq!(transmit.header(false, &mut out), 8);
    assert_eq!(transmit.ns(), 0);
}
