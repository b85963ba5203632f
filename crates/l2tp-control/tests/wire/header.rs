//! The header of a control message, RFC 2661 §3.1.

use l2tp_control::error::Malformed;
use l2tp_control::wire::{self, Header, Leniencies, Message};

use super::raw::Raw;

const ZLB: [u8; 12] = [0xc8, 0x02, 0x00, 0x0c, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0];

fn with_flags(flags: u16) -> [u8; 12] {
    let mut datagram = ZLB;
    datagram[..2].copy_from_slice(&flags.to_be_bytes());
    datagram
}

#[test]
fn all_fields_are_read_and_written() {
    let header = Header { length: 12, tunnel_id: 0x1234, session_id: 0x5678, ns: 0x9abc, nr: 0xdef0 };
    assert_eq!(Header::parse(&ZLB), Ok(header));
    assert_eq!(header.bytes(), ZLB);
    assert!(header.is_zlb());
}

#[test]
fn a_zlb_is_a_header() {
    let zlb = Header::zlb(0x1234, 5, 6);
    assert_eq!(zlb, [0xc8, 0x02, 0, 12, 0x12, 0x34, 0, 0, 0, 5, 0, 6]);
    let mut datagram = zlb;
    let body = wire::decode(&mut datagram, None, Leniencies::STRICT).unwrap();
    assert_eq!((body.header.ns, body.header.nr, body.message), (5, 6, Message::Zlb));
}

#[test]
fn numbers_and_ids_are_changed_where_they_stand() {
    let mut message = Raw::new(wire::MessageType::HELLO).0;
    wire::set_numbers(&mut message, 0xabcd, 0x1234);
    wire::set_ids(&mut message, 7, 8);
    let header = Header::parse(&message).unwrap();
    assert_eq!((header.tunnel_id, header.session_id, header.ns, header.nr), (7, 8, 0xabcd, 0x1234));
    assert_eq!(message[12..], Raw::new(wire::MessageType::HELLO).0[12..]);
    let mut short = [0xff; 11];
    wire::set_numbers(&mut short, 0, 0);
    wire::set_ids(&mut short, 0, 0);
    assert_eq!(short, [0xff; 11]);
}

#[test]
fn what_is_not_a_control_message_is_dropped_under_a_name() {
    let rows: [(&str, &[u8], Malformed); 13] = [
        ("nothing", &[], Malformed::Short),
        ("one byte", &[0xc8], Malformed::Short),
        ("eleven bytes", &ZLB[..11], Malformed::Short),
        ("version 0", &with_flags(0xc800), Malformed::Version(0)),
        ("L2F", &with_flags(0xc801), Malformed::Version(1)),
        ("L2TPv3", &with_flags(0xc803), Malformed::Version(3)),
        ("a short L2F packet", &[0x00, 0x01], Malformed::Version(1)),
        ("a data message", &with_flags(0x4802), Malformed::NotControl),
        ("no Length", &with_flags(0x8802), Malformed::Flags(0x8802)),
        ("no Ns and Nr", &with_flags(0xc002), Malformed::Flags(0xc002)),
        ("Offset", &with_flags(0xca02), Malformed::Flags(0xca02)),
        ("Priority", &with_flags(0xc902), Malformed::Flags(0xc902)),
        ("junk of a port scan", b"GET / HTTP/1.0\r\n", Malformed::Version(5)),
    ];
    for (what, datagram, error) in rows {
        assert_eq!(Header::parse(datagram), Err(error), "{what}");
    }
}

#[test]
fn the_length_is_a_header_at_least_and_the_datagram_at_most() {
    for (length, ok) in [(0u16, false), (11, false), (12, true), (13, false), (0xffff, false)] {
        let mut datagram = ZLB;
        datagram[2..4].copy_from_slice(&length.to_be_bytes());
        let error = Malformed::Length { length, datagram: 12 };
        assert_eq!(Header::parse(&datagram).err(), (!ok).then_some(error), "{length}");
    }
}

#[test]
fn reserved_bits_are_ignored() {
    for bit in [0x2000, 0x1000, 0x0400, 0x0080, 0x0040, 0x0020, 0x0010] {
        assert_eq!(Header::parse(&with_flags(0xc802 | bit)), Header::parse(&ZLB), "{bit:04x}");
    }
}
