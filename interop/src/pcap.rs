//! Captures made by hand.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;

/// Writes a capture of IP packets.
pub fn write(file: &Path, packets: impl IntoIterator<Item = Vec<u8>>) -> io::Result<()> {
    const LINKTYPE_RAW: u32 = 101;
    let mut pcap = Vec::new();
    for word in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65535, LINKTYPE_RAW] {
        pcap.extend(u32::to_le_bytes(word));
    }
    for packet in packets {
        let len = u32::from(length(&packet, 0));
        pcap.extend([0, 0, len, len].into_iter().flat_map(u32::to_le_bytes));
        pcap.extend(packet);
    }
    fs::write(file, pcap)
}

/// An IP packet with a UDP datagram, with checksums.
pub fn udp(from: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) -> Vec<u8> {
    let len = length(payload, 8).to_be_bytes();
    let ports = [from.port(), to.port()].map(u16::to_be_bytes);
    let mut datagram = [&ports[0][..], &ports[1], &len, &[0, 0], payload].concat();
    let pseudo = [&from.ip().octets()[..], &to.ip().octets(), &[0, 17], &len].concat();
    let sum = checksum(&[&pseudo, &datagram[..]].concat());
    datagram[6..8].copy_from_slice(&sum);
    ip(17, *from.ip(), *to.ip(), &datagram)
}

/// An IP packet.
pub fn ip(protocol: u8, from: Ipv4Addr, to: Ipv4Addr, payload: &[u8]) -> Vec<u8> {
    let len = length(payload, 20).to_be_bytes();
    let start = [0x45, 0, len[0], len[1], 0, 0, 0x40, 0, 64, protocol, 0, 0];
    let mut header = [&start[..], &from.octets(), &to.octets()].concat();
    let sum = checksum(&header);
    header[10..12].copy_from_slice(&sum);
    [header, payload.to_vec()].concat()
}

/// RFC 1071.
pub fn checksum(bytes: &[u8]) -> [u8; 2] {
    let sum: u32 =
        bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0))).sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    (!((sum & 0xffff) + (sum >> 16)) as u16).to_be_bytes()
}

fn length(payload: &[u8], header: usize) -> u16 {
    u16::try_from(payload.len() + header).expect("a packet of IP")
}
