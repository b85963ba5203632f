//! Hidden AVPs (RFC 2661 §4.3), in place.
//!
//! ```text
//!  value of a hidden AVP  =  | length of the original | original value | padding |  xor
//!                            | b1 (16)                | b2 (16) | ...             |
//!
//!  b1 = MD5(attribute type, secret, random vector)      bi = MD5(secret, 16 hidden bytes before)
//! ```

use md5::{Digest, Md5};

use super::avp::{Avp, HEADER, HIDDEN, LENGTH};
use super::be16;
use super::number::Attribute;
use crate::auth::Secret;

const BLOCK: usize = 16;

/// How AVPs that may be hidden are hidden when a message is encoded.
#[derive(Clone, Copy, Debug)]
pub struct Hiding<'a> {
    /// The secret shared with the peer. He must be known to have it.
    pub secret: &'a Secret,
    /// Fresh random octets, at least 16, for each message. They are sent in the clear.
    pub random_vector: &'a [u8],
    /// Random octets behind each value, to hide its length; may be empty.
    pub padding: &'a [u8],
}

impl Hiding<'_> {
    /// Bytes of a hidden value of `length` bytes.
    pub(crate) const fn len(&self, length: usize) -> usize {
        2 + length + self.padding.len()
    }

    /// Hides a value of `length` bytes that stands at `out[2..]`.
    pub(crate) fn hide(&self, attribute: Attribute, out: &mut [u8], length: usize) {
        out[..2].copy_from_slice(&(length as u16).to_be_bytes());
        out[2 + length..].copy_from_slice(self.padding);
        let mut key = first(attribute, self.secret, self.random_vector);
        for block in out.chunks_mut(BLOCK) {
            xor(block, &key);
            key = next(self.secret, block);
        }
    }
}

/// Decrypts the hidden AVPs of a message that stand behind a Random Vector, where they are. They stay
/// as long as they were: [`plain`] finds the original value. Stops where AVPs are malformed.
pub(crate) fn reveal(avps: &mut [u8], secret: &Secret) {
    let mut vector = None;
    let mut at = 0;
    while let (Some(bits), Some(vendor), Some(number)) =
        (be16(avps, at), be16(avps, at + 2), be16(avps, at + 4))
    {
        let end = at + usize::from(bits & LENGTH);
        if end < at + HEADER || end > avps.len() {
            return;
        }
        let attribute = Attribute { vendor, number };
        if bits & HIDDEN != 0 {
            let (before, value) = avps.split_at_mut(at + HEADER);
            if let Some((start, end)) = vector {
                decrypt(&mut value[..end_of(bits)], first(attribute, secret, &before[start..end]), secret);
            }
        } else if attribute == Attribute::RANDOM_VECTOR {
            vector = Some((at + HEADER, end));
        }
        at = end;
    }
}

fn end_of(bits: u16) -> usize {
    usize::from(bits & LENGTH) - HEADER
}

fn decrypt(value: &mut [u8], first: [u8; BLOCK], secret: &Secret) {
    // From the last block to the first, because each key is made of the hidden block before.
    for block in (0..value.len().div_ceil(BLOCK)).rev() {
        let (before, rest) = value.split_at_mut(block * BLOCK);
        let key = match before.last_chunk::<BLOCK>() {
            Some(before) => next(secret, before),
            None => first,
        };
        let end = rest.len().min(BLOCK);
        xor(&mut rest[..end], &key);
    }
}

/// A hidden AVP that was decrypted, with its original value; `None` if it is garbage.
pub(crate) fn plain<'a>(avp: Avp<'a>) -> Option<Avp<'a>> {
    let length = be16(avp.value, 0)?;
    let value = avp.value.get(2..2 + usize::from(length))?;
    Some(avp.with(value))
}

fn first(attribute: Attribute, secret: &Secret, random_vector: &[u8]) -> [u8; BLOCK] {
    let hash = Md5::new().chain_update(attribute.number.to_be_bytes());
    hash.chain_update(secret.octets()).chain_update(random_vector).finalize().into()
}

fn next(secret: &Secret, hidden: &[u8]) -> [u8; BLOCK] {
    Md5::new().chain_update(secret.octets()).chain_update(hidden).finalize().into()
}

fn xor(block: &mut [u8], key: &[u8; BLOCK]) {
    for (byte, key) in block.iter_mut().zip(key) {
        *byte ^= key;
    }
}
