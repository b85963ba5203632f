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
