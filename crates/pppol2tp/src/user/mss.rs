//! Lowers the maximum segment size that TCP announces (RFC 9293 §3.7.1) to what the tunnel carries, so that
//! connections work where the ICMP messages of path MTU discovery are lost.

#[cfg(test)]
mod tests;

use super::checksum::{TCP, fold};
use super::vnet::{self, Header};

const IPV4: usize = 20;
const IPV6: usize = 40;
const FRAGMENT_OFFSET: u16 = 0x1fff;
/// So many extension headers are passed over in IPv6.
const EXTENSIONS: usize = 8;

const TCP_MIN: usize = 20;
const TCP_OFFSET: usize = 12;
const TCP_FLAGS: usize = 13;
const TCP_CHECKSUM: usize = 16;
const SYN: u8 = 0x02;

const END: u8 = 0;
const NOP: u8 = 1;
const MSS: u8 = 2;
const MSS_LEN: u8 = 4;

/// If the packet is a SYN that announces a larger segment size than an MTU of `mtu` bytes leaves, lowers
/// it. `header` says whether the checksum is there or left to the device.
#[inline]
pub(super) fn clamp(packet: &mut [u8], header: &Header, mtu: impl FnOnce() -> u16) {
    if let Some(tcp) = syn(packet) {
        let headers = if packet[0] >> 4 == 4 { IPV4 } else { IPV6 } + TCP_MIN;
        let partial = header.flags & vnet::F_NEEDS_CSUM != 0
            && (usize::from(header.csum_start), usize::from(header.csum_offset)) == (tcp, TCP_CHECKSUM);
        lower(&mut packet[tcp..], mtu().saturating_sub(headers as u16), partial);
    }
}

/// Where the TCP header of a SYN starts. Only a first fragment has one.
#[inline]
fn syn(packet: &[u8]) -> Option<usize> {
    let tcp = match packet.first()? >> 4 {
        4 => {
            let ip = packet.first_chunk::<IPV4>()?;
            let first = u16::from_be_bytes([ip[6], ip[7]]) & FRAGMENT_OFFSET == 0;
            let len = usize::from(ip[0] & 15) * 4;
            (ip[9] == TCP && first && len >= IPV4).then_some(len)?
        }
        6 => match *packet.get(6)? {
            TCP => IPV6,
            next => behind_extensions(packet, next)?,
        },
        _ => return None,
    };
    (packet.get(tcp + TCP_FLAGS)? & SYN != 0).then_some(tcp)
}

/// Where a TCP header starts behind extension headers (RFC 8200 §4).
fn behind_extensions(packet: &[u8], mut next: u8) -> Option<usize> {
    const HOP_BY_HOP: u8 = 0;
    const ROUTING: u8 = 43;
    const FRAGMENT: u8 = 44;
    const AUTHENTICATION: u8 = 51;
    const DESTINATION: u8 = 60;
    const MOBILITY: u8 = 135;
    let mut at = IPV6;
    for _ in 0..EXTENSIONS {
        let [following, len, o0, o1] = *packet.get(at..)?.first_chunk()?;
        let len = usize::from(len);
        at += match next {
            HOP_BY_HOP | ROUTING | DESTINATION | MOBILITY => 8 * (len + 1),
            AUTHENTICATION => 4 * (len + 2),
            FRAGMENT if u16::from_be_bytes([o0, o1]) >> 3 == 0 => 8,
            _ => return None,
        };
        next = following;
        if next == TCP {
            return Some(at);
        }
    }
    None
}

/// Lowers the MSS option of a TCP header to `most`, and its checksum with it unless that is `partial`.
#[cold]
fn lower(tcp: &mut [u8], most: u16, partial: bool) {
    let Some(at) = mss(tcp) else { return };
    let announced = u16::from_be_bytes([tcp[at], tcp[at + 1]]);
    if announced <= most {
        return;
    }
    tcp[at..at + 2].copy_from_slice(&most.to_be_bytes());
    if !partial {
        // RFC 1624 §3. A field at an odd place counts with its bytes swapped.
        let word = |field: u16| if at.is_multiple_of(2) { field } else { field.swap_bytes() };
        let old = u16::from_be_bytes([tcp[TCP_CHECKSUM], tcp[TCP_CHECKSUM + 1]]);
        let new = !fold(u64::from(!old) + u64::from(!word(announced)) + u64::from(word(most)));
        tcp[TCP_CHECKSUM..TCP_CHECKSUM + 2].copy_from_slice(&new.to_be_bytes());
    }
}

/// Where the value of the MSS option is.
fn mss(tcp: &[u8]) -> Option<usize> {
    let len = usize::from(*tcp.get(TCP_OFFSET)? >> 4) * 4;
    let header = tcp.get(..len)?;
    let mut at = TCP_MIN;
    loop {
        let option = header.get(at..)?;
        match *option.first()? {
            END => return None,
            NOP => at += 1,
            kind => match *option.get(1)? {
                MSS_LEN if kind == MSS => return option.get(3).map(|_| at + 2),
                len @ 2.. => at += usize::from(len),
                _ => return None,
            },
        }
    }
}
