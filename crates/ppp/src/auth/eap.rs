//! The packets of EAP (RFC 3748 §4, §5).
//!
//! ```text
//!  Request, Response  Type (1) ─ Type-Data
//!  Success, Failure   nothing
//!  MD5-Challenge      Value-Size (1) ─ Value ─ Name
//! ```

use super::{capped, length_prefixed};
use crate::packet::{HEADER, Packet};

pub(super) const REQUEST: u8 = 1;
pub(super) const RESPONSE: u8 = 2;
pub(super) const SUCCESS: u8 = 3;
pub(super) const FAILURE: u8 = 4;

pub(super) const IDENTITY: u8 = 1;
pub(super) const NOTIFICATION: u8 = 2;
pub(super) const NAK: u8 = 3;
pub(super) const MD5_CHALLENGE: u8 = 4;

/// A Request or Response.
pub(super) fn typed(code: u8, id: u8, kind: u8, type_data: &[u8]) -> Box<[u8]> {
    let data = [&[kind], type_data].concat();
    Packet { code, id, data: &data }.bytes().into()
}

/// Whether the packet is a Response that tells the peer's Identity.
pub(super) fn is_identity(packet: &[u8]) -> bool {
    matches!(Packet::parse(packet), Some(Packet { code: RESPONSE, data: [IDENTITY, ..], .. }))
}

/// Whether the packet is a Request and nothing more.
pub(super) fn is_request(packet: &[u8]) -> bool {
    Packet::parse(packet)
        .is_some_and(|request| request.code == REQUEST && HEADER + request.data.len() == packet.len())
}

/// An MD5-Challenge, Request or Response.
pub(super) fn md5_challenge(code: u8, id: u8, value: &[u8], name: &[u8]) -> Box<[u8]> {
    let type_data = [&[value.len() as u8], value, capped(name)].concat();
    typed(code, id, MD5_CHALLENGE, &type_data)
}

/// The value, at least one octet, of an MD5-Challenge.
pub(super) fn parse_md5_challenge(type_data: &[u8]) -> Option<&[u8]> {
    length_prefixed(type_data).map(|(value, _name)| value).filter(|value| !value.is_empty())
}

/// A Success or Failure.
pub(super) fn answer(code: u8, id: u8) -> Box<[u8]> {
    Packet { code, id, data: &[] }.bytes().into()
}

/// The name of an EAP type, for words.
pub(super) fn type_name(kind: u8) -> String {
    let name = match kind {
        MD5_CHALLENGE => "MD5-Challenge",
        5 => "OTP",
        6 => "GTC",
        13 => "TLS",
        18 => "SIM",
        21 => "TTLS",
        23 => "AKA",
        25 => "PEAP",
        26 => "MS-CHAPv2",
        _ => return format!("type {kind}"),
    };
    name.into()
}
