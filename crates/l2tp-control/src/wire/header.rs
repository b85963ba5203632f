//! The header of a control message (RFC 2661 §3.1): always 12 bytes, since T, L and S are set and O
//! and P are clear.

use super::be16;
use crate::error::Malformed;

const FLAG_CONTROL: u16 = 0x8000;
const FLAG_LENGTH: u16 = 0x4000;
const FLAG_SEQUENCE: u16 = 0x0800;
const FLAG_OFFSET: u16 = 0x0200;
const FLAG_PRIORITY: u16 = 0x0100;
const VERSION_MASK: u16 = 0x000f;
const VERSION: u16 = 2;
const FLAGS: u16 = FLAG_CONTROL | FLAG_LENGTH | FLAG_SEQUENCE | VERSION;

/// A control message's header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Bytes of the message, header included. The datagram may be longer.
    pub length: u16,
    /// The receiver's tunnel id; 0 in an SCCRQ.
    pub tunnel_id: u16,
    /// The receiver's session id; 0 if the message is not about a session, or he assigned none yet.
    pub session_id: u16,
    /// The message's number.
    pub ns: u16,
    /// The number that the sender expects next.
    pub nr: u16,
}

impl Header {
    /// Bytes of the header.
    pub const LEN: usize = 12;

    /// Reads the header and checks its Length against the datagram's.
    ///
    /// The version is looked at first, because the rest means something else in other versions.
    #[inline]
    pub fn parse(datagram: &[u8]) -> Result<Self, Malformed> {
        let flags = be16(datagram, 0).ok_or(Malformed::Short)?;
        if flags & VERSION_MASK != VERSION {
            return Err(Malformed::Version((flags & VERSION_MASK) as u8));
        }
        if flags & FLAG_CONTROL == 0 {
            return Err(Malformed::NotControl);
        }
        if flags & (FLAG_LENGTH | FLAG_SEQUENCE | FLAG_OFFSET | FLAG_PRIORITY) != FLAG_LENGTH | FLAG_SEQUENCE
        {
            return Err(Malformed::Flags(flags));
        }
        let fields = datagram.first_chunk::<{ Self::LEN }>().ok_or(Malformed::Short)?;
        let field = |at| u16::from_be_bytes([fields[at], fields[at + 1]]);
        let length = field(2);
        if (length as usize) < Self::LEN || length as usize > datagram.len() {
            return Err(Malformed::Length { length, datagram: capped(datagram) });
        }
        Ok(Self { length, tunnel_id: field(4), session_id: field(6), ns: field(8), nr: field(10) })
    }

    /// Whether the message is a ZLB: a header and nothing else (RFC 2661 §5.8).
    pub const fn is_zlb(&self) -> bool {
        self.length as usize == Self::LEN
    }

    /// The bytes of the header.
    #[inline]
    pub const fn bytes(&self) -> [u8; Self::LEN] {
        let [f, f2] = FLAGS.to_be_bytes();
        let [l, l2] = self.length.to_be_bytes();
        let [t, t2] = self.tunnel_id.to_be_bytes();
        let [s, s2] = self.session_id.to_be_bytes();
        let [ns, ns2] = self.ns.to_be_bytes();
        let [nr, nr2] = self.nr.to_be_bytes();
        [f, f2, l, l2, t, t2, s, s2, ns, ns2, nr, nr2]
    }

    /// A ZLB.
    pub fn zlb(tunnel_id: u16, ns: u16, nr: u16) -> [u8; Self::LEN] {
        Self { length: Self::LEN as u16, tunnel_id, session_id: 0, ns, nr }.bytes()
    }
}

/// Bytes of a datagram, for an error.
pub(super) fn capped(datagram: &[u8]) -> u16 {
    datagram.len().min(usize::from(u16::MAX)) as u16
}

/// Writes the Length into an encoded message. Shorter than a header, it is left alone.
pub(super) fn set_length(message: &mut [u8], length: u16) {
    if let Some(header) = message.first_chunk_mut::<{ Header::LEN }>() {
        header[2..4].copy_from_slice(&length.to_be_bytes());
    }
}

/// Writes Ns and Nr into an encoded message. Shorter than a header, it is left alone.
pub fn set_numbers(message: &mut [u8], ns: u16, nr: u16) {
    if let Some(header) = message.first_chunk_mut::<{ Header::LEN }>() {
        header[8..10].copy_from_slice(&ns.to_be_bytes());
        header[10..12].copy_from_slice(&nr.to_be_bytes());
    }
}

/// Writes the receiver's ids into an encoded message. Shorter than a header, it is left alone.
pub fn set_ids(message: &mut [u8], tunnel_id: u16, session_id: u16) {
    if let Some(header) = message.first_chunk_mut::<{ Header::LEN }>() {
        header[4..6].copy_from_slice(&tunnel_id.to_be_bytes());
        header[6..8].copy_from_slice(&session_id.to_be_bytes());
    }
}
