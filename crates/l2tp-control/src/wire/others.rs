//! AVPs that the table does not know: those of vendors (RFC 2661 §4.1), and those of other documents.

use core::fmt;

use super::avp::{Avp, Avps, HEADER, MANDATORY};
use super::header::set_length;
use super::message::Body;
use super::number::Attribute;
use super::value::MAX;
use crate::error::Misuse;

/// AVPs that the table does not know, to be sent or as they came: those of vendors, and those of other
/// documents. Printed without their values, which may have been hidden.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct OtherAvps(Vec<u8>);

impl OtherAvps {
    /// Octets that they are at the most, with their headers.
    pub const MAX: usize = 2048;

    /// Adds one that the peer may ignore.
    ///
    /// # Errors
    ///
    /// The table knows it, its value is too long for an AVP, or all together are longer than
    /// [`MAX`](Self::MAX).
    pub fn push(&mut self, attribute: Attribute, value: &[u8]) -> Result<(), Misuse> {
        self.add(0, attribute, value)
    }

    /// Adds one with the M bit: a peer that does not know it has to end what the message is about.
    ///
    /// # Errors
    ///
    /// Those of [`push`](Self::push).
    pub fn push_mandatory(&mut self, attribute: Attribute, value: &[u8]) -> Result<(), Misuse> {
        self.add(MANDATORY, attribute, value)
    }

    /// One by one.
    pub fn iter(&self) -> impl Iterator<Item = Avp<'_>> {
        Avps::new(&self.0).map_while(Result::ok)
    }

    /// As they follow each other in a message.
    pub fn octets(&self) -> &[u8] {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those that came in a message, as far as there is room.
    pub(crate) fn of(body: &Body<'_>) -> Self {
        let mut others = Self::default();
        for avp in body.others() {
            // Without the M bit it can be left out.
            let _ = others.push(avp.attribute(), avp.value);
        }
        others
    }

    /// Puts them behind a message of `length` bytes that was encoded into `out`. Returns its new length.
    ///
    /// # Errors
    ///
    /// The message does not fit.
    pub fn append(&self, length: usize, out: &mut [u8]) -> Result<usize, Misuse> {
        let end = length + self.0.len();
        let room = out.get_mut(length..end).ok_or(Misuse::MessageTooLong)?;
        room.copy_from_slice(&self.0);
        set_length(out, u16::try_from(end).map_err(|_| Misuse::MessageTooLong)?);
        Ok(end)
    }

    fn add(&mut self, bits: u16, attribute: Attribute, value: &[u8]) -> Result<(), Misuse> {
        if attribute.rule().is_some() {
            return Err(Misuse::KnownAvp(attribute));
        }
        if value.len() > MAX {
            return Err(Misuse::ValueTooLong(attribute));
        }
        let length = HEADER + value.len();
        if self.0.len() + length > Self::MAX {
            return Err(Misuse::TooManyAvps);
        }
        for field in [bits | length as u16, attribute.vendor, attribute.number] {
            self.0.extend(field.to_be_bytes());
        }
        self.0.extend(value);
        Ok(())
    }
}

impl fmt::Debug for OtherAvps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
