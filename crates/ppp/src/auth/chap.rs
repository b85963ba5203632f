//! The packets of CHAP, with MD5 or as MS-CHAPv2 (RFC 1994 §4, RFC 2759 §3, §4).
//!
//! ```text
//!  Challenge, Response  Value-Size (1) ─ Value ─ Name
//!  Success, Failure     Message
//!  MS-CHAPv2's Response Value: Peer-Challenge (16) ─ reserved (8) ─ NT-Response (24) ─ Flags (1)
//! ```

use super::{capped, length_prefixed};
use crate::packet::Packet;

pub(super) const CHALLENGE: u8 = 1;
pub(super) const RESPONSE: u8 = 2;
pub(super) const SUCCESS: u8 = 3;
pub(super) const FAILURE: u8 = 4;

/// A Challenge or Response. Of value and name 255 octets are sent.
pub(super) fn valued(code: u8, id: u8, value: &[u8], name: &[u8]) -> Box<[u8]> {
    let value = capped(value);
    let data = [&[value.len() as u8], value, capped(name)].concat();
    Packet { code, id, data: &data }.bytes().into()
}

/// The value, at least one octet, and the name, at most 255, of a Challenge or Response.
pub(super) fn parse_valued(data: &[u8]) -> Option<(&[u8], &[u8])> {
    length_prefixed(data).filter(|(value, name)| !value.is_empty() && name.len() <= 255)
}

/// A Success or Failure.
pub(super) fn answer(code: u8, id: u8, message: &str) -> Box<[u8]> {
    Packet { code, id, data: capped(message.as_bytes()) }.bytes().into()
}

/// The value of an MS-CHAPv2 Response.
pub(super) fn ms_value(peer_challenge: &[u8; 16], nt_response: &[u8; 24]) -> [u8; 49] {
    let mut value = [0; 49];
    value[..16].copy_from_slice(peer_challenge);
    value[24..48].copy_from_slice(nt_response);
    value
}

/// The Peer-Challenge and the NT-Response in the value of an MS-CHAPv2 Response.
pub(super) fn parse_ms_value(value: &[u8]) -> Option<([u8; 16], [u8; 24])> {
    let value: &[u8; 49] = value.try_into().ok()?;
    let (peer_challenge, rest) = value.split_first_chunk()?;
    let (nt_response, _) = rest[8..].split_first_chunk()?;
    Some((*peer_challenge, *nt_response))
}
