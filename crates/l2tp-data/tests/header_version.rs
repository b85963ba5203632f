//! Only version 2 is ours; control messages are told from data messages by the T bit alone.

use l2tp_data::header::Datagram;

#[test]
fn every_other_version_is_passed_up() {
    for version in (0..16).filter(|version| *version != 2) {
        for flags in [0x00, 0x40, 0x80, 0xc8, 0xff] {
            let datagram = [flags, version, 0, 1, 0, 2, 0, 0];
            assert_eq!(Datagram::parse(&datagram), Datagram::Version(version), "{flags:02x}");
        }
    }
}

#[test]
fn a_control_message_of_version_2_is_one_whatever_its_other_bits() {
    for flags in 0x80..=0xff {
        assert_eq!(Datagram::parse(&[flags, 0xf2, 0, 12, 0, 1, 0, 0]), Datagram::Control, "{flags:02x}");
    }
}

#[test]
fn fewer_than_two_bytes_have_no_version() {
    assert_eq!(Datagram::parse(&[]), Datagram::Short);
    assert_eq!(Datagram::parse(&[0x80]), Datagram::Short);
}
