//! The packets of PAP (RFC 1334 §2.2).
//!
//! ```text
//!  Authenticate-Request   Peer-ID Length (1) ─ Peer-ID ─ Passwd-Length (1) ─ Password
//!  Authenticate-Ack, Nak  Msg-Length (1) ─ Message
//! ```

use zeroize::Zeroizing;

use super::{capped, length_prefixed};
use crate::packet::Packet;

pub(super) const REQUEST: u8 = 1;
pub(super) const ACK: u8 = 2;
pub(super) const NAK: u8 = 3;

/// An Authenticate-Request. Of name and password 255 octets are sent.
pub(super) fn request(id: u8, name: &[u8], password: &[u8]) -> Zeroizing<Box<[u8]>> {
    let (name, password) = (capped(name), capped(password));
    let lengths = [name, password].map(|field| field.len() as u8);
    let data = Zeroizing::new([&lengths[..1], name, &lengths[1..], password].concat());
    Zeroizing::new(Packet { code: REQUEST, id, data: &data }.bytes().into())
}

/// The name and the password of an Authenticate-Request.
pub(super) fn parse_request(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, rest) = length_prefixed(data)?;
    let (password, _) = length_prefixed(rest)?;
    Some((name, password))
}

/// An Authenticate-Ack or Nak.
pub(super) fn answer(code: u8, id: u8, message: &str) -> Box<[u8]> {
    let message = capped(message.as_bytes());
    let data = [&[message.len() as u8], message].concat();
    Packet { code, id, data: &data }.bytes().into()
}

/// The message of an Ack or Nak. Some peers (MikroTik) leave out the Msg-Length of an empty one.
pub(super) fn parse_message(data: &[u8]) -> &[u8] {
    match data {
        [] => data,
        [length, message @ ..] => &message[..message.len().min(usize::from(*length))],
    }
}
