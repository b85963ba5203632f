//! The header of an L2TP data message (RFC 2661 §3.1).
//!
//! ```text
//!   0                   1                   2                   3
//!  |T|L|x|x|S|x|O|P|x|x|x|x|  Ver  |        Length (opt)           |
//!  |           Tunnel ID           |           Session ID          |
//!  |             Ns (opt)          |             Nr (opt)          |
//!  |      Offset Size (opt)        |    Offset pad... (opt)        |
//! ```
//!
//! Parsing goes in two steps, because the driver's order of checks does: [`Datagram::parse`] reads
//! the flags and the ids, enough to find the session; [`Header::message`] and [`Message::payload`]
//! read the rest, whose errors are counted on that session. Every field is bounds-checked.

use core::ops::Range;

/// T: a control message.
pub const FLAG_CONTROL: u16 = 0x8000;
/// L: the Length field is present.
pub const FLAG_LENGTH: u16 = 0x4000;
/// S: the Ns and Nr fields are present.
pub const FLAG_SEQUENCE: u16 = 0x0800;
/// O: the Offset Size field is present.
pub const FLAG_OFFSET: u16 = 0x0200;
/// P: priority; accepted and of no effect.
pub const FLAG_PRIORITY: u16 = 0x0100;
/// The bits of the version.
pub const VERSION_MASK: u16 = 0x000f;
/// L2TP, RFC 2661.
pub const VERSION: u16 = 2;

/// Bytes of the headers that this driver sends, without and with sequence numbers.
pub const SHORT: usize = 6;
/// See [`SHORT`].
pub const LONG: usize = 10;
/// Address and Control fields of PPP in HDLC-like framing (RFC 1662 §3.1), always sent.
pub const ADDRESS_CONTROL: [u8; 2] = [0xff, 0x03];
/// The longest run of bytes in front of a frame's protocol field: [`LONG`] and FF 03.
pub const MAX: usize = LONG + ADDRESS_CONTROL.len();

/// The longest header up to and with the Offset Size field.
pub const HEAD: usize = 14;

/// What a datagram on a tunnel's UDP socket is, as far as its first bytes tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Datagram {
    /// A control message of version 2: for the owner of the UDP socket, in order.
    Control,
    /// Too short to carry the ids of a data message: passed up.
    Short,
    /// Not version 2 (L2F, L2TPv3, junk): passed up.
    Version(u8),
    /// A data message.
    Data(Header),
}

/// The part of a data message's header that finds its session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    flags: u16,
    /// The receiver's tunnel id; zero is possible and belongs to no tunnel.
    pub tunnel_id: u16,
    /// The receiver's session id; zero is possible and belongs to no session.
    pub session_id: u16,
}

/// Ns and Nr of a sequenced data message. Nr is reserved in data messages and ignored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sequence {
    /// This message's number.
    pub ns: u16,
    /// Ignored on receipt, sent as 0.
    pub nr: u16,
}

/// How a header claims more than is there. The session counts it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Malformed {
    /// Length is beyond the datagram's end or inside the header.
    Length,
    /// Ns and Nr are beyond the end.
    Sequence,
    /// The Offset Size field or the padding it names is beyond the end.
    Offset,
}

/// A data message whose Length and sequence fields have been checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Message {
    /// Ns and Nr, if the S bit is set.
    pub sequence: Option<Sequence>,
    /// Bytes of the whole message, header included, without padding behind the Length.
    pub len: usize,
    at: usize,
    offset: bool,
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    let field = bytes.get(at..at + 2)?;
    Some(u16::from_be_bytes([field[0], field[1]]))
}

impl Datagram {
    /// Looks at the flags and, for a data message, at the ids.
    #[inline]
    pub fn parse(datagram: &[u8]) -> Self {
        // Nearly all: data messages without Length.
        if let [a, b, c, d, e, f, ..] = *datagram {
            let [flags, tunnel_id, session_id] = [[a, b], [c, d], [e, f]].map(u16::from_be_bytes);
            if flags & (FLAG_CONTROL | FLAG_LENGTH | VERSION_MASK) == VERSION {
                return Self::Data(Header { flags, tunnel_id, session_id });
            }
        }
        Self::parse_other(datagram)
    }

    #[cold]
    fn parse_other(datagram: &[u8]) -> Self {
        let Some(flags) = be16(datagram, 0) else {
            return Self::Short;
        };
        if flags & VERSION_MASK != VERSION {
            return Self::Version((flags & VERSION_MASK) as u8);
        }
        if flags & FLAG_CONTROL != 0 {
            return Self::Control;
        }
        let at = if flags & FLAG_LENGTH != 0 { 4 } else { 2 };
        match (be16(datagram, at), be16(datagram, at + 2)) {
            (Some(tunnel_id), Some(session_id)) => Self::Data(Header { flags, tunnel_id, session_id }),
            _ => Self::Short,
        }
    }
}

impl Header {
    /// Reads Length, Ns and Nr. `datagram` is the one that this header was parsed from.
    #[inline]
    pub fn message(&self, datagram: &[u8]) -> Result<Message, Malformed> {
        self.message_of(datagram, datagram.len())
    }

    /// The same for a datagram of `total` bytes of which the first ones are at hand: all, or at least [`HEAD`].
    #[inline]
    pub fn message_of(&self, head: &[u8], total: usize) -> Result<Message, Malformed> {
        // Nearly all; what is not there needs no look.
        if self.flags & (FLAG_LENGTH | FLAG_SEQUENCE | FLAG_OFFSET) == 0 && total >= SHORT {
            return Ok(Message { sequence: None, len: total, at: SHORT, offset: false });
        }
        let (mut at, len) = if self.flags & FLAG_LENGTH != 0 {
            let len = be16(head, 2).ok_or(Malformed::Length)? as usize;
            (8, len)
        } else {
            (6, total)
        };
        if len > total || len < at {
            return Err(Malformed::Length);
        }
        let message = &head[..len.min(head.len())];
        let sequence = if self.flags & FLAG_SEQUENCE != 0 {
            let (Some(ns), Some(nr)) = (be16(message, at), be16(message, at + 2)) else {
                return Err(Malformed::Sequence);
            };
            at += 4;
            Some(Sequence { ns, nr })
        } else {
            None
        };
        Ok(Message { sequence, len, at, offset: self.flags & FLAG_OFFSET != 0 })
    }
}

impl Message {
    /// Where the PPP frame stands in the datagram: behind the offset padding, up to the Length. The datagram's
    /// first [`HEAD`] bytes are enough.
    #[inline]
    pub fn payload(&self, datagram: &[u8]) -> Result<Range<usize>, Malformed> {
        let mut at = self.at;
        if self.offset {
            at += 2 + be16(datagram, at).ok_or(Malformed::Offset)? as usize;
        }
        if at > self.len {
            return Err(Malformed::Offset);
        }
        Ok(at..self.len)
    }
}

/// Writes what stands in front of a PPP frame's protocol field: flags, ids, Ns and Nr if `ns` is
/// given, FF 03. Returns how many of the bytes are used: 8 or 12.
#[inline]
pub fn write(tunnel_id: u16, session_id: u16, ns: Option<u16>, out: &mut [u8; MAX]) -> usize {
    let flags = if ns.is_some() { VERSION | FLAG_SEQUENCE } else { VERSION };
    out[0..2].copy_from_slice(&flags.to_be_bytes());
    out[2..4].copy_from_slice(&tunnel_id.to_be_bytes());
    out[4..6].copy_from_slice(&session_id.to_be_bytes());
    let at = match ns {
        Some(ns) => {
            out[6..8].copy_from_slice(&ns.to_be_bytes());
            out[8..10].copy_from_slice(&[0, 0]);
            LONG
        }
        None => SHORT,
    };
    out[at..at + 2].copy_from_slice(&ADDRESS_CONTROL);
    at + 2
}
