//! The eyes of the other tests are open: hand-made packets pass, and each fault is seen.

use std::net::SocketAddrV4;
use std::path::PathBuf;

use interop::pcap::{self, checksum, ip};
use interop::tshark::{Packet, dissect};

const PORT: u16 = 1701;

#[test]
fn a_plain_message_has_no_fault() {
    let [packet] = see("plain", [udp(&l2tp(&[0, 2, 0, 7, 0, 9], &echo()))]);
    assert_eq!(packet.faults(), [""; 0]);
    assert_eq!(packet.sender(), "192.0.2.1");
    assert_eq!((packet.first("l2tp.tunnel"), packet.first("l2tp.session")), ("7", "9"));
    assert_eq!(packet.ns(), None);
}

#[test]
fn ns_is_read() {
    let packets =
        [[0xff, 0xff], [0, 0]].map(|[high, low]| udp(&l2tp(&[8, 2, 0, 7, 0, 9, high, low, 0, 0], &echo())));
    let packets = see("sequenced", packets);
    assert!(packets.iter().all(|packet| packet.faults().is_empty()), "{packets:?}");
    assert_eq!(packets.map(|packet| packet.ns()), [Some(0xffff), Some(0)]);
}

#[test]
fn a_wrong_outer_checksum_is_a_fault() {
    let mut datagram = udp(&l2tp(&[0, 2, 0, 7, 0, 9], &echo()));
    datagram[27] ^= 1;
    fault("outer", datagram, "udp.checksum.status");
}

#[test]
fn an_absent_outer_checksum_is_a_fault() {
    let mut datagram = udp(&l2tp(&[0, 2, 0, 7, 0, 9], &echo()));
    datagram[26..28].fill(0);
    fault("absent", datagram, "udp.checksum.status");
}

#[test]
fn a_wrong_inner_checksum_is_a_fault() {
    let mut inner = echo();
    inner[22] ^= 1;
    fault("inner", udp(&l2tp(&[0, 2, 0, 7, 0, 9], &inner)), "icmp.checksum.status");
}

#[test]
fn an_inner_packet_that_ends_early_is_a_fault() {
    let inner = echo();
    fault("short", udp(&l2tp(&[0, 2, 0, 7, 0, 9], &inner[..inner.len() - 4])), "expert information");
}

#[test]
fn a_missing_address_field_is_a_fault() {
    let message = [&[0, 2, 0, 7, 0, 9, 0, 0x21][..], &echo()].concat();
    fault("acfc", udp(&message), "ppp.address");
}

#[test]
fn another_version_is_a_fault() {
    fault("version", udp(&l2tp(&[0, 1, 0, 7, 0, 9], &echo())), "not L2TP/PPP/IP");
}

/// HELLO with Ns 1 and Nr 2.
const HELLO: [u8; 20] = [0xc8, 2, 0, 20, 0, 7, 0, 0, 0, 1, 0, 2, 0x80, 8, 0, 0, 0, 0, 0, 6];

#[test]
fn a_control_message_has_no_fault() {
    let [packet] = see("hello", [udp(&HELLO)]);
    assert_eq!(packet.control_faults(), [""; 0]);
    assert_eq!(packet.first("l2tp.avp.message_type"), "6");
}

#[test]
fn faults_of_control_messages() {
    let rows = [
        ("offset", 0, 0xca, "l2tp.offset_bit"),
        ("priority", 0, 0xc9, "l2tp.priority"),
        ("data", 0, 0x48, "l2tp.type"),
        ("length", 3, 19, "bytes long"),
        ("long-avp", 13, 9, "malformed"),
        ("short-avp", 13, 2, "expert information"),
    ];
    for (name, at, octet, expected) in rows {
        let mut datagram = HELLO;
        datagram[at] = octet;
        let [packet] = see(name, [udp(&datagram)]);
        let faults = packet.control_faults();
        assert!(faults.iter().any(|fault| fault.contains(expected)), "{name}: {faults:?}");
    }
}

fn fault(name: &str, datagram: Vec<u8>, expected: &str) {
    let [packet] = see(name, [datagram]);
    let faults = packet.faults();
    assert!(faults.iter().any(|fault| fault.contains(expected)), "{faults:?}");
}

/// What tshark sees in a capture of these IP packets.
fn see<const N: usize>(name: &str, packets: [Vec<u8>; N]) -> [Packet; N] {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.pcap"));
    pcap::write(&file, packets).expect("the target directory is writable");
    dissect(&file, PORT).expect("tshark reads it").try_into().expect("as many packets as there were")
}

fn l2tp(header: &[u8], packet: &[u8]) -> Vec<u8> {
    [header, &[0xff, 0x03, 0x00, 0x21], packet].concat()
}

/// ICMP echo reply from 10.0.0.1 to 10.0.0.2.
fn echo() -> Vec<u8> {
    let mut icmp = [&[0, 0, 0, 0, 1, 1, 0, 1][..], &[0xa5; 32]].concat();
    let sum = checksum(&icmp);
    icmp[2..4].copy_from_slice(&sum);
    ip(1, [10, 0, 0, 1].into(), [10, 0, 0, 2].into(), &icmp)
}

/// A UDP datagram with its checksum, from 192.0.2.1 to 192.0.2.2.
fn udp(payload: &[u8]) -> Vec<u8> {
    let [from, to] = [1, 2].map(|host| SocketAddrV4::new([192, 0, 2, host].into(), PORT));
    pcap::udp(from, to, payload)
}
