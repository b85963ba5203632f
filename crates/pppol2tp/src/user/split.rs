//! From the interface to the UDP socket: completes the checksums that the kernel left to the
//! device, and cuts super-packets into segments just as the kernel's own segmentation does.

#[cfg(test)]
mod tests;

use super::checksum::{self, TCP, UDP, fold, sum, word};
use super::vnet::{self, Header};

const FIN: u8 = 0x01;
const PSH: u8 = 0x08;
const CWR: u8 = 0x80;
/// Where TCP's flags are in its header.
const TCP_FLAGS: usize = 13;
/// Where the checksum field is in TCP's and UDP's header.
const TCP_CHECKSUM: usize = 16;
const UDP_CHECKSUM: usize = 6;
/// IPv4: fragment offset and more-fragments.
const FRAGMENT: u16 = 0x3fff;
const IPV6_LEN: usize = 40;

/// What [`split`] made: `count` segments one behind the other, their outer headers included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Segments {
    /// How many; at least one.
    pub(super) count: usize,
    /// Bytes of each but the last.
    pub(super) size: usize,
    /// Bytes of the last.
    pub(super) last: usize,
}

/// The packet contradicts itself or its [`Header`], or the segments have no room in the buffer. All
/// is as it was: drop and count it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Bad;

/// Completes the checksum of a packet that is no super-packet, if `header` asks for it.
#[inline]
pub(super) fn complete(packet: &mut [u8], header: &Header) -> Result<(), Bad> {
    if header.flags & vnet::F_NEEDS_CSUM == 0 {
        return Ok(());
    }
    let covered = packet.get_mut(usize::from(header.csum_start)..).ok_or(Bad)?;
    let checksum = !fold(sum(covered));
    let udp = usize::from(header.csum_offset) == UDP_CHECKSUM;
    let checksum = if udp { nonzero(checksum) } else { checksum };
    let field = covered.get_mut(usize::from(header.csum_offset)..).and_then(<[u8]>::first_chunk_mut);
    *field.ok_or(Bad)? = checksum.to_ne_bytes();
    Ok(())
}

/// Cuts the super-packet `buffer[at..at + len]` into segments, each with `room` bytes in front of
/// it. The first one's room ends at `at`; the others follow it without a gap, so the payload moves
/// towards the buffer's end, the last segment's first. `write` gets each segment's number, counting
/// up, and its room.
#[inline]
pub(super) fn split(
    buffer: &mut [u8],
    at: usize,
    len: usize,
    room: usize,
    header: &Header,
    mut write: impl FnMut(usize, &mut [u8]),
) -> Result<Segments, Bad> {
    let start = at.checked_sub(room).ok_or(Bad)?;
    let packet = buffer.get(at..).and_then(|packet| packet.get(..len)).ok_or(Bad)?;
    let plan = Plan::new(packet, header).ok_or(Bad)?;
    let (headers, gso_size) = (plan.headers, usize::from(header.gso_size));
    let count = (len - headers).div_ceil(gso_size).max(1);
    let final_payload = len - headers - (count - 1) * gso_size;
    let last = room + headers + final_payload;
    let size = if count == 1 { last } else { room + headers + gso_size };
    if buffer.len() - start < (count - 1) * size + last {
        return Err(Bad);
    }
    for i in (0..count).rev() {
        let payload = if i == count - 1 { final_payload } else { gso_size };
        let segment = at + i * size;
        if i > 0 {
            let from = at + headers + i * gso_size;
            buffer.copy_within(from..from + payload, segment + headers);
            buffer.copy_within(at..at + headers, segment);
        }
        plan.finish(&mut buffer[segment..segment + headers + payload], i, count);
    }
    for i in 0..count {
        let outer = start + i * size;
        write(i, &mut buffer[outer..outer + room]);
    }
    Ok(Segments { count, size, last })
}

/// What all segments of a super-packet have in common.
struct Plan {
    ipv4: bool,
    tcp: bool,
    /// Where the transport header is.
    transport: usize,
    /// Bytes of all headers.
    headers: usize,
    gso_size: u32,
    /// The identification of the first segment.
    id: u16,
    /// The sum of IPv4's header without total length, identification and checksum.
    ip: u64,
    /// The sequence number of the first segment.
    seq: u32,
    /// The sum of the pseudo-header without its length.
    pseudo: u64,
}

impl Plan {
    fn new(packet: &[u8], header: &Header) -> Option<Self> {
        let len = u16::try_from(packet.len()).ok()?;
        let version = packet.first()? >> 4;
        let (transport, protocol) = match version {
            4 => ipv4(packet, len)?,
            6 => ipv6(packet, len)?,
            _ => return None,
        };
        let tcp = match (header.gso_type & !vnet::GSO_ECN, version, protocol) {
            (vnet::GSO_TCPV4, 4, TCP) | (vnet::GSO_TCPV6, 6, TCP) => true,
            (vnet::GSO_UDP_L4, _, UDP) => false,
            _ => return None,
        };
        let covered = &packet[transport..];
        let (transport_len, checksum) = if tcp {
            (usize::from(covered.first_chunk::<20>()?[12] >> 4) * 4, TCP_CHECKSUM)
        } else {
            let fields = covered.first_chunk::<8>()?;
            if usize::from(u16::from_be_bytes([fields[4], fields[5]])) != covered.len() {
                return None;
            }
            (8, UDP_CHECKSUM)
        };
        if header.gso_size == 0 || transport_len > covered.len() || tcp && transport_len < 20 {
            return None;
        }
        let field = u16::from_ne_bytes([covered[checksum], covered[checksum + 1]]);
        let pseudo = if header.flags & vnet::F_NEEDS_CSUM == 0 {
            if field == 0 && !tcp {
                return None;
            }
            // The checksum is whole already: what the rest leaves of it is the pseudo-header. A wrong
            // one stays wrong that way, as in the kernel.
            !fold(sum(covered))
        } else {
            if (usize::from(header.csum_start), usize::from(header.csum_offset)) != (transport, checksum) {
                return None;
            }
            field
        };
        let ip = &packet[..transport];
        Some(Self {
            ipv4: version == 4,
            tcp,
            transport,
            headers: transport + transport_len,
            gso_size: u32::from(header.gso_size),
            id: u16::from_be_bytes([ip[4], ip[5]]),
            ip: checksum::sum_short(&ip[..2])
                + checksum::sum_short(&ip[6..10])
                + checksum::sum_short(&ip[12..]),
            seq: u32::from_be_bytes([covered[4], covered[5], covered[6], covered[7]]),
            pseudo: u64::from(pseudo) + u64::from(!(covered.len() as u16).to_be()),
        })
    }

    /// Makes segment `i` of `count` right, a copy of the super-packet's headers with its own payload.
    #[inline]
    fn finish(&self, packet: &mut [u8], i: usize, count: usize) {
        let len = packet.len() as u16;
        let (ip, transport) = packet.split_at_mut(self.transport);
        if self.ipv4 {
            let id = self.id.wrapping_add(i as u16);
            let checksum = !fold(self.ip + word(len) + word(id));
            ip[2..4].copy_from_slice(&len.to_be_bytes());
            ip[4..6].copy_from_slice(&id.to_be_bytes());
            ip[10..12].copy_from_slice(&checksum.to_ne_bytes());
        } else {
            ip[4..6].copy_from_slice(&(len - IPV6_LEN as u16).to_be_bytes());
        }
        let len = transport.len() as u16;
        let field = if self.tcp {
            let seq = self.seq.wrapping_add(self.gso_size.wrapping_mul(i as u32));
            transport[4..8].copy_from_slice(&seq.to_be_bytes());
            if i > 0 {
                transport[TCP_FLAGS] &= !CWR;
            }
            if i < count - 1 {
                transport[TCP_FLAGS] &= !(FIN | PSH);
            }
            TCP_CHECKSUM
        } else {
            transport[4..6].copy_from_slice(&len.to_be_bytes());
            UDP_CHECKSUM
        };
        let field = field..field + 2;
        transport[field.clone()].copy_from_slice(&fold(self.pseudo + word(len)).to_ne_bytes());
        let checksum = !fold(sum(transport));
        let checksum = if self.tcp { checksum } else { nonzero(checksum) };
        transport[field].copy_from_slice(&checksum.to_ne_bytes());
    }
}

/// Checks an IPv4 header. Returns where the transport header is, and its protocol.
fn ipv4(packet: &[u8], len: u16) -> Option<(usize, u8)> {
    let ip = packet.first_chunk::<20>()?;
    let header = usize::from(ip[0] & 15) * 4;
    let fragment = u16::from_be_bytes([ip[6], ip[7]]) & FRAGMENT != 0;
    let fits = (20..=packet.len()).contains(&header) && u16::from_be_bytes([ip[2], ip[3]]) == len;
    (fits && !fragment).then_some((header, ip[9]))
}

/// Checks an IPv6 header and passes over the extension headers a super-packet may have.
fn ipv6(packet: &[u8], len: u16) -> Option<(usize, u8)> {
    const HOP_BY_HOP: u8 = 0;
    const ROUTING: u8 = 43;
    const DESTINATION: u8 = 60;
    let ip = packet.first_chunk::<IPV6_LEN>()?;
    if u16::from_be_bytes([ip[4], ip[5]]).checked_add(IPV6_LEN as u16) != Some(len) {
        return None;
    }
    let (mut at, mut next) = (IPV6_LEN, ip[6]);
    while let HOP_BY_HOP | ROUTING | DESTINATION = next {
        let extension = packet.get(at..)?.first_chunk::<2>()?;
        next = extension[0];
        at += 8 * (1 + usize::from(extension[1]));
    }
    (at <= packet.len()).then_some((at, next))
}

/// 0xffff for 0: the same number in ones' complement, and not UDP's "no checksum".
fn nonzero(checksum: u16) -> u16 {
    if checksum == 0 { 0xffff } else { checksum }
}
