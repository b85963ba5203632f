//! The eyes of the other tests are open: hand-made packets pass, and each fault is seen.

use std::fs;
use std::path::PathBuf;

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

fn fault(name: &str, datagram: Vec<u8>, expected: &str) {
    let [packet] = see(name, [datagram]);
    let faults = packet.faults();
    assert!(faults.iter().any(|fault| fault.contains(expected)), "{faults:?}");
}

/// What tshark sees in a capture of these IP packets.
fn see<const N: usize>(name: &str, packets: [Vec<u8>; N]) -> [Packet; N] {
    const LINKTYPE_RAW: u32 = 101;
    let mut pcap = Vec::new();
    for word in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65535, LINKTYPE_RAW] {
        pcap.extend(u32::to_le_bytes(word));
    }
    for packet in packets {
        let len = packet.len() as u32;
        pcap.extend([0, 0, len, len].into_iter().flat_map(u32::to_le_bytes));
        pcap.extend(packet);
    }
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.pcap"));
    fs::write(&file, pcap).expect("the target directory is writable");
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
    ip(1, [10, 0, 0, 1], [10, 0, 0, 2], &icmp)
}

/// A UDP datagram with its checksum, from 192.0.2.1 to 192.0.2.2.
fn udp(payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u16 + 8).to_be_bytes();
    let port = PORT.to_be_bytes();
    let mut datagram = [&port[..], &port, &len, &[0, 0], payload].concat();
    let pseudo = [192, 0, 2, 1, 192, 0, 2, 2, 0, 17, len[0], len[1]];
    let sum = checksum(&[&pseudo, &datagram[..]].concat());
    datagram[6..8].copy_from_slice(&sum);
    ip(17, [192, 0, 2, 1], [192, 0, 2, 2], &datagram)
}

fn ip(protocol: u8, from: [u8; 4], to: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u16 + 20).to_be_bytes();
    let mut header = [&[0x45, 0, len[0], len[1], 0, 0, 0x40, 0, 64, protocol, 0, 0][..], &from, &to].concat();
    let sum = checksum(&header);
    header[10..12].copy_from_slice(&sum);
    [header, payload.to_vec()].concat()
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> [u8; 2] {
    let sum: u32 =
        bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0))).sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    (!((sum & 0xffff) + (sum >> 16)) as u16).to_be_bytes()
}
