//! How AVPs follow each other in a message (RFC 2661 §4.1).
//!
//! ```text
//!  |M|H| rsvd  |      Length       |           Vendor ID           |
//!  |         Attribute Type        |        Attribute Value ...
//! ```

use core::fmt;

use super::be16;
use super::number::Attribute;
use crate::error::Malformed;

/// Bytes of an AVP's header.
pub const HEADER: usize = 6;
/// The longest AVP: its length has 10 bits.
pub const MAX: usize = 1023;

pub(crate) const MANDATORY: u16 = 0x8000;
pub(crate) const HIDDEN: u16 = 0x4000;
pub(crate) const RESERVED: u16 = 0x3c00;
pub(crate) const LENGTH: u16 = 0x03ff;

/// One AVP as it is on the wire.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Avp<'a> {
    pub(crate) header: &'a [u8; HEADER],
    /// Its value; of a hidden one the subformat of §4.3.
    pub value: &'a [u8],
}

impl<'a> Avp<'a> {
    /// The same with another value.
    pub(crate) const fn with(self, value: &'a [u8]) -> Self {
        Self { value, ..self }
    }

    /// What it is about.
    #[inline(always)]
    pub const fn attribute(&self) -> Attribute {
        let [_, _, vendor, vendor2, number, number2] = *self.header;
        Attribute {
            vendor: u16::from_be_bytes([vendor, vendor2]),
            number: u16::from_be_bytes([number, number2]),
        }
    }

    /// M, H, the reserved bits and the length.
    #[inline(always)]
    pub(crate) const fn bits(&self) -> u16 {
        u16::from_be_bytes([self.header[0], self.header[1]])
    }

    /// Whether the M bit is set: who does not know the AVP must end what the message is about.
    pub const fn is_mandatory(&self) -> bool {
        self.bits() & MANDATORY != 0
    }

    /// Whether the H bit is set: the value is hidden (§4.3).
    pub const fn is_hidden(&self) -> bool {
        self.bits() & HIDDEN != 0
    }

    /// Whether a reserved bit is set: the AVP is then as good as unknown.
    pub const fn is_reserved(&self) -> bool {
        self.bits() & RESERVED != 0
    }
}

impl fmt::Debug for Avp<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = [(self.is_mandatory(), " M"), (self.is_hidden(), " H"), (self.is_reserved(), " reserved")];
        write!(f, "{}", self.attribute())?;
        bits.iter().filter(|(set, _)| *set).try_for_each(|(_, name)| f.write_str(name))?;
        write!(f, " {} bytes", self.value.len())
    }
}

/// Walks over AVPs. After an error there is nothing more.
#[derive(Clone, Debug)]
pub struct Avps<'a> {
    pub(crate) rest: &'a [u8],
    pub(crate) at: usize,
}

impl<'a> Avps<'a> {
    /// Those in the bytes behind a message's header.
    pub const fn new(avps: &'a [u8]) -> Self {
        Self { rest: avps, at: super::Header::LEN }
    }

    #[cold]
    fn fail(&mut self) -> Malformed {
        let at = self.at as u16;
        let error = match be16(self.rest, 0) {
            Some(word) if self.rest.len() >= HEADER => Malformed::AvpLength { at, length: word & LENGTH },
            _ => Malformed::AvpHeader { at },
        };
        self.rest = &[];
        error
    }
}

impl<'a> Iterator for Avps<'a> {
    type Item = Result<Avp<'a>, Malformed>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let Some(header) = self.rest.first_chunk::<HEADER>() else {
            return Some(Err(self.fail()));
        };
        let length = usize::from(u16::from_be_bytes([header[0], header[1]]) & LENGTH);
        let (Some(value), Some(rest)) = (self.rest.get(HEADER..length), self.rest.get(length..)) else {
            return Some(Err(self.fail()));
        };
        self.rest = rest;
        self.at += length;
        Some(Ok(Avp { header, value }))
    }
}
