//! From datagram to typed message and back.

use l2tp_data::id::{SessionId, TunnelId};

use super::avp::{Avp, Avps};
use super::be16;
use super::codec::{Walk, Writer};
use super::header::{Header, capped};
use super::hidden::{self, Hiding, plain};
use super::lenient::Leniencies;
use super::number::{Attribute, MessageType};
use super::table::Message;
use crate::auth::Secret;
use crate::error::{Error, Malformed, Misuse, Unsupported, Violation};

/// What stood behind a header.
#[derive(Clone, Debug)]
pub struct Body<'a> {
    /// The header.
    pub header: Header,
    /// The message.
    pub message: Message<'a>,
    /// Leniencies without which it would not have been accepted.
    pub used: Leniencies,
    /// AVPs that were ignored: unknown or malformed, and without the M bit (RFC 2661 §4.1, §7.1).
    pub ignored: u16,
    /// What was wrong with the last malformed one of them.
    pub fault: Option<Violation>,
    avps: Avps<'a>,
    revealed: bool,
}

/// Why a message was not accepted, and what is known of it all the same, so that it can be answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Failure {
    /// What is wrong.
    pub error: Error,
    /// The message's type, if that could be read.
    pub message_type: Option<MessageType>,
    /// The peer's Assigned Tunnel ID, if it could be read.
    pub tunnel_id: Option<TunnelId>,
    /// The peer's Assigned Session ID, if it could be read.
    pub session_id: Option<SessionId>,
}

impl From<Malformed> for Failure {
    fn from(error: Malformed) -> Self {
        Self { error: error.into(), message_type: None, tunnel_id: None, session_id: None }
    }
}

/// Decodes a datagram: [`Header::parse`] and [`decode_body`].
pub fn decode<'a>(
    datagram: &'a mut [u8],
    secret: Option<&Secret>,
    leniencies: Leniencies,
) -> Result<Body<'a>, Failure> {
    let header = Header::parse(datagram)?;
    decode_body(&header, datagram, secret, leniencies)
}

/// Decodes and checks what stands behind the header of the datagram it was parsed from.
///
/// Hidden AVPs are decrypted where they are: a datagram can be decoded only once. Nothing is allocated.
pub fn decode_body<'a>(
    header: &Header,
    datagram: &'a mut [u8],
    secret: Option<&Secret>,
    granted: Leniencies,
) -> Result<Body<'a>, Failure> {
    let length = usize::from(header.length);
    let trailing = datagram.len() > length;
    if trailing && !granted.contains(Leniencies::TRAILING_BYTES) {
        return Err(Malformed::Trailing { length: header.length, datagram: capped(datagram) }.into());
    }
    let avps = datagram.get_mut(Header::LEN..length).unwrap_or_default();
    if let Some(secret) = secret {
        hidden::reveal(avps, secret);
    }
    let (avps, revealed) = (Avps::new(avps), secret.is_some());
    let mut walk = Walk::new(revealed, granted);
    if trailing {
        walk.forgiving.used |= Leniencies::TRAILING_BYTES;
    }
    let message = if header.is_zlb() { Ok(Message::Zlb) } else { message(avps.clone(), &mut walk) };
    match message {
        Ok(message) => {
            let (used, ignored, fault) = (walk.forgiving.used, walk.ignored, walk.fault);
            Ok(Body { header: *header, message, used, ignored, fault, avps, revealed })
        }
        Err(error) => Err(failure(error, avps, revealed)),
    }
}

#[inline(always)]
fn message<'a>(mut avps: Avps<'a>, walk: &mut Walk) -> Result<Message<'a>, Error> {
    let first = match avps.next() {
        Some(first) => first?,
        None => return Err(Violation::MessageTypeNotFirst.into()),
    };
    let kind = walk.message_type(first)?;
    let message = Message::read(kind, avps, walk)?;
    if matches!(message, Message::Unknown(_)) && first.is_mandatory() {
        return Err(Unsupported::MessageType(kind).into());
    }
    Ok(message)
}

#[cold]
fn failure(error: Error, avps: Avps<'_>, revealed: bool) -> Failure {
    let mut failure = Failure { error, message_type: None, tunnel_id: None, session_id: None };
    for (n, (avp, value)) in in_clear(avps, revealed).enumerate() {
        match (avp.attribute(), value.and_then(|value| be16(value, 0))) {
            (Attribute::MESSAGE_TYPE, kind) if n == 0 => failure.message_type = kind.map(MessageType),
            (Attribute::ASSIGNED_TUNNEL_ID, Some(id)) => {
                failure.tunnel_id = failure.tunnel_id.or(TunnelId::new(id));
            }
            (Attribute::ASSIGNED_SESSION_ID, Some(id)) => {
                failure.session_id = failure.session_id.or(SessionId::new(id));
            }
            _ => {}
        }
    }
    failure
}

/// Each AVP with its value in clear, unless that is hidden and could not be revealed.
pub(crate) fn in_clear(avps: Avps<'_>, revealed: bool) -> impl Iterator<Item = (Avp<'_>, Option<&[u8]>)> {
    let mut random_vector = false;
    avps.map_while(Result::ok).map(move |avp| {
        random_vector |= avp.attribute() == Attribute::RANDOM_VECTOR && !avp.is_hidden();
        let value = match avp.is_hidden() {
            false => Some(avp.value),
            true if revealed && random_vector => plain(avp).map(|avp| avp.value),
            true => None,
        };
        (avp, value)
    })
}

impl<'a> Body<'a> {
    /// The AVPs that the table does not know: those of vendors, and those of other documents. In a message
    /// of a known type none of them has the M bit.
    pub fn others(&self) -> impl Iterator<Item = Avp<'a>> + use<'a> {
        let avps = in_clear(self.avps.clone(), self.revealed);
        let others = avps.filter(|(avp, _)| avp.attribute().rule().is_none() && !avp.is_reserved());
        others.filter_map(|(avp, value)| Some(avp.with(value?)))
    }
}

impl Message<'_> {
    /// Bytes in which every message fits, whatever its strings are and however they are hidden.
    pub const MAX: usize = 16 * 1024;

    /// Encodes the message for these ids of the receiver, 0 where there is none, with Ns and Nr 0
    /// ([`set_numbers`](super::set_numbers) writes them). Returns the bytes of `out` that are used.
    pub fn encode(
        &self,
        tunnel_id: u16,
        session_id: u16,
        hiding: Option<&Hiding<'_>>,
        out: &mut [u8],
    ) -> Result<usize, Misuse> {
        let (header, avps) = out.split_first_chunk_mut().ok_or(Misuse::MessageTooLong)?;
        let length = Header::LEN
            + match hiding {
                None => Writer::<false>::message(self, None, avps)?,
                hiding => Writer::<true>::message(self, hiding, avps)?,
            };
        let length16 = u16::try_from(length).map_err(|_| Misuse::MessageTooLong)?;
        *header = Header { length: length16, tunnel_id, session_id, ns: 0, nr: 0 }.bytes();
        Ok(length)
    }
}
