//! A PPP frame inside a data message: Address and Control present or absent (ACFC), protocol of one
//! or two bytes (PFC), and whether it belongs to the network or to whoever runs PPP
//! (RFC 1661 §2, RFC 1662 §3.1, RFC 2661 §5.3).

use core::ops::Range;

use super::header::ADDRESS_CONTROL;

/// PPP protocol number of IPv4 (RFC 1332).
pub const IPV4: u16 = 0x0021;
/// PPP protocol number of IPv6 (RFC 5072).
pub const IPV6: u16 = 0x0057;

/// Who a frame is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// An IPv4 packet, for the interface.
    Ipv4,
    /// An IPv6 packet, for the interface.
    Ipv6,
    /// Everything else (LCP, authentication, NCPs, unknown protocols), for whoever runs PPP.
    Control,
}

/// A frame that has a protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame {
    /// The protocol number, of two bytes even where the peer compressed it.
    pub protocol: u16,
    /// Where the information field starts in the bytes that were parsed.
    pub information: usize,
    /// Who it is for.
    pub class: Class,
}

/// Why a frame is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bad {
    /// Fewer than two bytes, or no protocol behind FF 03.
    Short,
    /// The protocol says IPv4 or IPv6, the first byte of the packet says otherwise.
    InnerVersion,
}

/// Where the frame stands in `payload` once FF 03, if it is there, has been taken off. Fewer than
/// two bytes, or nothing behind FF 03, are no frame.
#[inline]
pub fn strip(payload: &[u8]) -> Result<Range<usize>, Bad> {
    match payload {
        [] | [_] => Err(Bad::Short),
        [a, c, rest @ ..] if [*a, *c] == ADDRESS_CONTROL => {
            if rest.is_empty() {
                Err(Bad::Short)
            } else {
                Ok(2..payload.len())
            }
        }
        _ => Ok(0..payload.len()),
    }
}

impl Frame {
    /// Reads the protocol of a frame without FF 03 and decides who it is for.
    #[inline]
    pub fn parse(frame: &[u8]) -> Result<Self, Bad> {
        let (protocol, information) = match frame {
            // An odd first byte is a whole protocol number: PFC (RFC 1661 §6.5).
            [low, ..] if low & 1 == 1 => (u16::from(*low), 1),
            [high, low, ..] => (u16::from_be_bytes([*high, *low]), 2),
            _ => return Err(Bad::Short),
        };
        let version = frame.get(information).map(|byte| byte >> 4);
        let class = match (protocol, version) {
            (IPV4, Some(4)) => Class::Ipv4,
            (IPV6, Some(6)) => Class::Ipv6,
            (IPV4 | IPV6, _) => return Err(Bad::InnerVersion),
            _ => Class::Control,
        };
        Ok(Self { protocol, information, class })
    }
}
