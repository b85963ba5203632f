//! Packets that a peer's fast path has left unfinished, because nothing between it and us is a wire: the transport's checksum
//! is its pseudo-header's sum only, and TCP may come as a super-packet.

use super::checksum::{TCP, UDP, fold, pseudo_header, sum};
use super::vnet;

/// Finishes a packet, if that is left to be done. `Some`: it is a super-packet, for an interface with this header; its
/// segments are as long as `mtu` lets them.
pub(super) fn finish(packet: &mut [u8], mtu: u16) -> Option<vnet::Header> {
    let (addresses, ip, protocol, kind) = match packet.first()? >> 4 {
        4 => (12..20, usize::from(packet[0] & 0xf) * 4, *packet.get(9)?, vnet::GSO_TCPV4),
        _ => (8..40, 40, *packet.get(6)?, vnet::GSO_TCPV6),
    };
    let offset = match protocol {
        TCP => 16,
        UDP => 6,
        _ => return None,
    };
    let transport = packet.get(ip..)?;
    let field = u16::from_ne_bytes(*transport.get(offset..)?.first_chunk()?);
    let len = u16::try_from(transport.len()).ok()?;
    if field != fold(pseudo_header(packet.get(addresses)?, protocol, len)) {
        return None;
    }
    if packet.len() > usize::from(mtu) && protocol == TCP {
        let headers = ip as u16 + u16::from(*transport.get(12)? >> 4) * 4;
        return Some(vnet::Header {
            flags: vnet::F_NEEDS_CSUM,
            gso_type: kind,
            hdr_len: headers,
            gso_size: mtu.checked_sub(headers).filter(|size| *size > 0)?,
            csum_start: ip as u16,
            csum_offset: offset as u16,
        });
    }
    // The field has the pseudo-header's share already.
    let transport = packet.get_mut(ip..)?;
    let check = match !fold(sum(transport)) {
        0 if protocol == UDP => !0,
        check => check,
    };
    transport.get_mut(offset..offset + 2)?.copy_from_slice(&check.to_ne_bytes());
    None
}

#[cfg(test)]
mod tests {
    use super::super::checksum::VALID;
    use super::*;

    /// A packet of IPv4 or IPv6 with so much payload, its checksum unfinished: where its transport part begins.
    fn packet(ipv6: bool, protocol: u8, payload: usize) -> (Vec<u8>, usize) {
        let (transport, offset) = if protocol == TCP { (20, 16) } else { (8, 6) };
        let len = (transport + payload) as u16;
        let mut bytes = if ipv6 {
            [&[0x60, 0, 0, 0][..], &len.to_be_bytes(), &[protocol, 64], &[7; 32]].concat()
        } else {
            [&[0x45, 0][..], &(len + 20).to_be_bytes(), &[0, 0, 0, 0, 64, protocol, 0, 0], &[9; 8]].concat()
        };
        let ip = bytes.len();
        bytes.extend((0..len).map(|n| n as u8));
        if protocol == TCP {
            bytes[ip + 12] = 5 << 4;
        }
        let sum = fold(pseudo(&bytes, ip, protocol));
        bytes[ip + offset..ip + offset + 2].copy_from_slice(&sum.to_ne_bytes());
        (bytes, ip)
    }

    fn pseudo(bytes: &[u8], ip: usize, protocol: u8) -> u64 {
        let addresses = if ip == 40 { 8..40 } else { 12..20 };
        pseudo_header(&bytes[addresses], protocol, (bytes.len() - ip) as u16)
    }

    fn is_right(bytes: &[u8], ip: usize, protocol: u8) -> bool {
        fold(pseudo(bytes, ip, protocol) + sum(&bytes[ip..])) == VALID
    }

    #[test]
    fn an_unfinished_packet_is_finished_and_then_left_alone() {
        for (ipv6, protocol) in [(false, TCP), (false, UDP), (true, TCP), (true, UDP)] {
            for payload in [0, 1, 100, 1001] {
                let (mut bytes, ip) = packet(ipv6, protocol, payload);
                assert!(!is_right(&bytes, ip, protocol));
                assert_eq!(finish(&mut bytes, 1458), None);
                assert!(is_right(&bytes, ip, protocol), "{ipv6} {protocol} {payload}");
                let finished = bytes.clone();
                assert_eq!(finish(&mut bytes, 1458), None);
                assert_eq!(bytes, finished);
            }
        }
    }

    #[test]
    fn a_super_packet_is_told_of_and_not_touched() {
        for (ipv6, kind, ip) in [(false, vnet::GSO_TCPV4, 20), (true, vnet::GSO_TCPV6, 40)] {
            let (mut bytes, _) = packet(ipv6, TCP, 20_000);
            let before = bytes.clone();
            let header = finish(&mut bytes, 1458).expect("a super-packet");
            assert_eq!(bytes, before);
            let (flags, csum_offset) = (vnet::F_NEEDS_CSUM, 16);
            let (hdr_len, gso_size) = (ip + 20, 1458 - ip - 20);
            let expected =
                vnet::Header { flags, gso_type: kind, hdr_len, gso_size, csum_start: ip, csum_offset };
            assert_eq!(header, expected);
        }
    }

    #[test]
    fn what_is_short_or_something_else_is_left_alone() {
        let (whole, _) = packet(false, TCP, 10);
        for len in 0..40 {
            let mut bytes = whole[..len].to_vec();
            assert_eq!(finish(&mut bytes, 1458), None);
            assert_eq!(bytes, whole[..len]);
        }
        let mut icmp = whole.clone();
        icmp[9] = 1;
        let before = icmp.clone();
        assert_eq!(finish(&mut icmp, 1458), None);
        assert_eq!(icmp, before);
    }
}
