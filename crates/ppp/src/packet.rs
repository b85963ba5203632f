//! The format that all control and authentication protocols share (RFC 1661 §5, §6).
//!
//! ```text
//!  frame    Protocol (2) ─ packet
//!  packet   Code (1) ─ Identifier (1) ─ Length (2, from Code) ─ data ─ padding, ignored
//!  options  Type (1) ─ Length (1, from Type) ─ value ─ the next option …
//! ```

use super::protocol::Protocol;

/// Bytes of a packet before its data.
pub const HEADER: usize = 4;

/// Codes of control packets (RFC 1661 §5; 12 and 13 are of RFC 1570).
pub mod code {
    #![allow(missing_docs)]
    pub const CONFIGURE_REQUEST: u8 = 1;
    pub const CONFIGURE_ACK: u8 = 2;
    pub const CONFIGURE_NAK: u8 = 3;
    pub const CONFIGURE_REJECT: u8 = 4;
    pub const TERMINATE_REQUEST: u8 = 5;
    pub const TERMINATE_ACK: u8 = 6;
    pub const CODE_REJECT: u8 = 7;
    pub const PROTOCOL_REJECT: u8 = 8;
    pub const ECHO_REQUEST: u8 = 9;
    pub const ECHO_REPLY: u8 = 10;
    pub const DISCARD_REQUEST: u8 = 11;
    pub const IDENTIFICATION: u8 = 12;
    pub const TIME_REMAINING: u8 = 13;
}

/// A packet that was received: its data lies inside what was received.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packet<'a> {
    /// What the packet is; which numbers there are depends on the protocol.
    pub code: u8,
    /// Matches answers with requests.
    pub id: u8,
    /// What follows the header.
    pub data: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads a packet. `None`: shorter than its header, or than its Length says.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let &[code, id, high, low, ..] = bytes else { return None };
        let length = usize::from(u16::from_be_bytes([high, low]));
        Some(Self { code, id, data: bytes.get(HEADER..length)? })
    }

    /// The packet's bytes.
    ///
    /// # Panics
    ///
    /// If the data is longer than a Length can say.
    pub fn bytes(&self) -> Vec<u8> {
        let length = u16::try_from(HEADER + self.data.len()).expect("packets are shorter than 64 KiB");
        let [high, low] = length.to_be_bytes();
        [&[self.code, self.id, high, low], self.data].concat()
    }

    /// A frame that carries the packet.
    ///
    /// # Panics
    ///
    /// If the data is longer than a Length can say.
    pub fn frame(&self, protocol: Protocol) -> Vec<u8> {
        [&protocol.0.to_be_bytes(), &*self.bytes()].concat()
    }
}

/// One configuration option (RFC 1661 §6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Opt<'a> {
    /// Its type; which numbers there are depends on the protocol.
    pub kind: u8,
    /// Its value.
    pub value: &'a [u8],
}

impl Opt<'_> {
    /// Appends the option.
    ///
    /// # Panics
    ///
    /// If the value is longer than 253 bytes.
    pub fn write(&self, out: &mut Vec<u8>) {
        let length = u8::try_from(2 + self.value.len()).expect("values of options are short");
        out.extend([self.kind, length]);
        out.extend(self.value);
    }
}

/// The options that `data` is a list of, or `None` if it is no such list.
pub fn options(data: &[u8]) -> Option<impl Iterator<Item = Opt<'_>> + Clone> {
    fn next<'a>(rest: &mut &'a [u8]) -> Option<Opt<'a>> {
        let (&[kind, length], _) = rest.split_first_chunk()?;
        let value = rest.get(2..usize::from(length))?;
        *rest = &rest[usize::from(length)..];
        Some(Opt { kind, value })
    }
    let mut rest = data;
    while next(&mut rest).is_some() {}
    let mut all = data;
    rest.is_empty().then(|| core::iter::from_fn(move || next(&mut all)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_behind_the_length_is_padding() {
        let packet = Packet::parse(&[1, 2, 0, 6, 7, 8, 9]).unwrap();
        assert_eq!(packet, Packet { code: 1, id: 2, data: &[7, 8] });
        assert_eq!(packet.frame(Protocol::LCP), [0xc0, 0x21, 1, 2, 0, 6, 7, 8]);
    }

    #[test]
    fn a_packet_is_as_long_as_it_says_and_as_its_header() {
        for short in [&[][..], &[1, 2, 0], &[1, 2, 0, 3], &[1, 2, 0, 5], &[1, 2, 0xff, 0xff, 0]] {
            assert_eq!(Packet::parse(short), None, "{short:?}");
        }
    }

    #[test]
    fn options_end_where_the_data_ends() {
        let read = |data| options(data).map(|options| options.map(|o| (o.kind, o.value.len())).collect());
        assert_eq!(read(&[]), Some(vec![]));
        assert_eq!(read(&[1, 4, 5, 220, 7, 2]), Some(vec![(1, 2), (7, 0)]));
        for bad in [&[1][..], &[1, 0], &[1, 1], &[7, 2, 1, 4, 5], &[7, 2, 0]] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }
}
