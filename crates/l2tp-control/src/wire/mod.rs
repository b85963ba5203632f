//! Control messages on the wire (RFC 2661 §3.1, §4, §6).
//!
//! ```text
//!   0                   1                   2                   3
//!  |1|1|x|x|1|x|0|0|x|x|x|x|  Ver 2|            Length             |   header, 12 bytes
//!  |           Tunnel ID           |           Session ID          |   (a ZLB is nothing else)
//!  |              Ns               |              Nr               |
//!  |M|H| rsvd  |      Length       |           Vendor ID           |   AVPs: Message Type first,
//!  |         Attribute Type        |      Attribute Value ...      |   the others in any order
//! ```
//!
//! A datagram is decoded in two steps, because the secret is found by the tunnel id: [`Header::parse`],
//! then [`decode_body`], which reveals hidden AVPs where they are, reads all AVPs in one pass and
//! checks them. The result is borrowed from the datagram; nothing is allocated. [`Message::encode`] goes
//! the other way.
//!
//! What may come of it, since the reaction differs:
//!
//! | | result |
//! |---|---|
//! | no control message, or AVPs that do not follow each other | [`Malformed`](crate::error::Malformed): dropped |
//! | an AVP with the M bit is malformed, or one that must be there is missing | [`Violation`](crate::error::Violation): ends tunnel or session, as [`MessageType::scope`] says |
//! | a message type or an AVP with the M bit is unknown | [`Unsupported`](crate::error::Unsupported): ends the tunnel; or tunnel or session |
//! | an AVP without the M bit is malformed or unknown | ignored, counted in [`Body::ignored`], readable by [`Body::others`] |
//! | a message type without the M bit is unknown | [`Message::Unknown`] |
//! | something else is wrong that peers are known for | accepted, named in [`Body::used`] |
//!
//! Beside an error stand the ids that the peer assigned ([`Failure`]), so that he can be answered.
//!
//! # The table
//!
//! Message Type is the first AVP of every message; Random Vector may be in every message and stands
//! before the AVPs that are hidden with it.
//!
#![doc = include_str!("table.md")]

pub mod avp;
mod codec;
mod header;
mod hidden;
mod lenient;
mod message;
mod number;
mod others;
mod table;
mod value;

pub use avp::{Avp, Avps};
pub use header::{Header, set_ids, set_numbers};
pub use hidden::Hiding;
pub use lenient::Leniencies;
pub use message::{Body, Failure, decode, decode_body};
pub use number::{
    Attribute, AuthenType, Bearer, CauseCode, CdnResult, Direction, ErrorCode, Framing, MessageType, Scope,
    StopResult,
};
pub use others::OtherAvps;
pub use table::{
    AVPS, Cdn, Hello, Iccn, Icrp, Icrq, MESSAGES, Message, MessageRule, Occn, Ocrp, Ocrq, Rule, Scccn, Sccrp,
    Sccrq, Sli, StopCcn, Wen,
};
pub use value::{
    Accm, Bps, CallErrors, DisconnectCause, Octets, Private, ProtocolVersion, ProxyAuthenId, Q931Cause,
    ResultCode,
};

#[cfg(feature = "record")]
pub(crate) use message::in_clear;
#[cfg(feature = "record")]
pub(crate) use value::{Forgiving, Value};

/// Two octets in network order, if they are there.
fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    let field = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_be_bytes(*field))
}
