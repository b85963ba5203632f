//! Messages in words.

use std::fmt;

use l2tp_data::id::{SessionId, TunnelId};
use serde::Serialize;

use super::hex;
use crate::auth::Secret;
use crate::wire::{
    Accm, Attribute, AuthenType, Avp, Avps, Bearer, Bps, CallErrors, CdnResult, DisconnectCause, Forgiving,
    Framing, Header, Leniencies, MessageType, Octets, Private, ProtocolVersion, ProxyAuthenId, Q931Cause,
    ResultCode, StopResult, Value, decode_body, in_clear,
};

/// A control message in words. Secrets and passwords are not in it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Words {
    /// Its type, `ZLB`, or `malformed`.
    pub message: String,
    /// The receiver's tunnel id.
    pub tunnel: u16,
    /// The receiver's session id.
    pub session: u16,
    /// Its number.
    pub ns: u16,
    /// The number that its sender expects next.
    pub nr: u16,
    /// Its AVPs except the first, Message Type.
    pub avps: Vec<AvpWords>,
    /// What is wrong with it, and what is forgiven.
    pub notes: Vec<String>,
}

/// An AVP in words.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct AvpWords {
    /// What it is about.
    pub name: String,
    /// Its value, in clear if it was hidden and could be revealed.
    pub value: String,
    /// Whether the M bit is set.
    pub mandatory: bool,
    /// Whether it is hidden.
    pub hidden: bool,
}

impl Words {
    /// What a datagram says, with the secret that its AVPs are hidden with.
    pub fn of(datagram: &[u8], secret: Option<&Secret>) -> Self {
        let mut words = Self {
            message: "malformed".into(),
            tunnel: 0,
            session: 0,
            ns: 0,
            nr: 0,
            avps: Vec::new(),
            notes: Vec::new(),
        };
        let header = match Header::parse(datagram) {
            Ok(header) => header,
            Err(error) => {
                words.notes.push(error.to_string());
                return words;
            }
        };
        Header { tunnel_id: words.tunnel, session_id: words.session, ns: words.ns, nr: words.nr, .. } =
            header;
        let mut bytes = datagram.to_vec();
        let kind = match decode_body(&header, &mut bytes, secret, Leniencies::LIBERAL) {
            Ok(body) => {
                if !body.used.is_empty() {
                    words.notes.push(format!("forgiven: {}", body.used));
                }
                words.notes.extend(body.fault.map(|fault| format!("ignored: {fault}")));
                words.message = body.message.message_type().map_or("ZLB".into(), |kind| kind.to_string());
                body.message.message_type()
            }
            Err(failure) => {
                words.notes.push(failure.error.to_string());
                words.message = failure.message_type.map_or(words.message, |kind| kind.to_string());
                failure.message_type
            }
        };
        let avps = in_clear(Avps::new(&bytes[Header::LEN..header.length.into()]), secret.is_some());
        let avps = avps.filter(|(avp, _)| avp.attribute() != Attribute::MESSAGE_TYPE);
        words.avps = avps.map(|(avp, value)| AvpWords::of(kind, &avp, value)).collect();
        words
    }
}

impl AvpWords {
    /// `value`: in clear, if it is not hidden or could be revealed.
    fn of(kind: Option<MessageType>, avp: &Avp<'_>, value: Option<&[u8]>) -> Self {
        let (attribute, hidden) = (avp.attribute(), avp.is_hidden());
        // Who knows what an unknown one holds that was worth hiding?
        let value = match value.filter(|_| !hidden || attribute.rule().is_some()) {
            Some(value) => words(kind, attribute, value).unwrap_or_else(|| hex::text(value)),
            None => Private(avp.value).to_string(),
        };
        Self { name: attribute.to_string(), value, mandatory: avp.is_mandatory(), hidden }
    }
}

/// A value in words, if it can be read.
fn words(kind: Option<MessageType>, attribute: Attribute, value: &[u8]) -> Option<String> {
    Some(match attribute {
        Attribute::RESULT_CODE if kind == Some(MessageType::CDN) => {
            read::<ResultCode<'_, CdnResult>>(value)?.to_string()
        }
        Attribute::RESULT_CODE => read::<ResultCode<'_, StopResult>>(value)?.to_string(),
        Attribute::PROTOCOL_VERSION => {
            let ProtocolVersion { version, revision } = read(value)?;
            format!("{version}.{revision}")
        }
        Attribute::FRAMING_CAPABILITIES | Attribute::FRAMING_TYPE => read::<Framing>(value)?.to_string(),
        Attribute::BEARER_CAPABILITIES | Attribute::BEARER_TYPE => read::<Bearer>(value)?.to_string(),
        Attribute::FIRMWARE_REVISION | Attribute::RECEIVE_WINDOW_SIZE => read::<u16>(value)?.to_string(),
        Attribute::ASSIGNED_TUNNEL_ID => {
            read::<Option<TunnelId>>(value)?.map_or(0, TunnelId::get).to_string()
        }
        Attribute::ASSIGNED_SESSION_ID => {
            read::<Option<SessionId>>(value)?.map_or(0, SessionId::get).to_string()
        }
        Attribute::CALL_SERIAL_NUMBER
        | Attribute::MINIMUM_BPS
        | Attribute::MAXIMUM_BPS
        | Attribute::PHYSICAL_CHANNEL_ID => read::<u32>(value)?.to_string(),
        Attribute::TX_CONNECT_SPEED | Attribute::RX_CONNECT_SPEED => {
            format!("{} bit/s", read::<Bps>(value)?.0)
        }
        Attribute::HOST_NAME
        | Attribute::VENDOR_NAME
        | Attribute::CALLED_NUMBER
        | Attribute::CALLING_NUMBER
        | Attribute::SUB_ADDRESS
        | Attribute::PROXY_AUTHEN_NAME
        | Attribute::PRIVATE_GROUP_ID => Octets(value).to_string(),
        Attribute::CHALLENGE
        | Attribute::CHALLENGE_RESPONSE
        | Attribute::PROXY_AUTHEN_CHALLENGE
        | Attribute::PROXY_AUTHEN_RESPONSE
        | Attribute::RANDOM_VECTOR => Private(value).to_string(),
        Attribute::Q931_CAUSE_CODE => {
            let Q931Cause { code, message, advisory } = read(value)?;
            format!("cause {code}, message {message:#04x} {advisory}").trim_end().to_owned()
        }
        Attribute::PROXY_AUTHEN_TYPE => read::<AuthenType>(value)?.to_string(),
        Attribute::PROXY_AUTHEN_ID => read::<ProxyAuthenId>(value)?.0.to_string(),
        Attribute::CALL_ERRORS => {
            let CallErrors { crc, framing, hardware_overruns, buffer_overruns, timeouts, alignment } =
                read(value)?;
            format!(
                "CRC {crc}, framing {framing}, hardware overruns {hardware_overruns}, \
                 buffer overruns {buffer_overruns}, timeouts {timeouts}, alignment {alignment}"
            )
        }
        Attribute::ACCM => {
            let Accm { send, receive } = read(value)?;
            format!("send {send:08x}, receive {receive:08x}")
        }
        Attribute::PPP_DISCONNECT_CAUSE => read::<DisconnectCause<'_>>(value)?.to_string(),
        _ => return None,
    })
}

fn read<'a, T: Value<'a>>(value: &'a [u8]) -> Option<T> {
    let mut forgiving = Forgiving { granted: Leniencies::LIBERAL, used: Leniencies::STRICT };
    T::read(value, &mut forgiving).ok()
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { message, tunnel, session, ns, nr, avps, notes } = self;
        write!(f, "{message}")?;
        if message != "malformed" {
            write!(f, "  tunnel {tunnel} session {session} Ns {ns} Nr {nr}")?;
        }
        notes.iter().try_for_each(|note| write!(f, "\n    ! {note}"))?;
        avps.iter().try_for_each(|avp| write!(f, "\n    {avp}"))
    }
}

impl fmt::Display for AvpWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if self.hidden {
            f.write_str(", hidden")?;
        }
        if !self.value.is_empty() {
            write!(f, ": {}", self.value)?;
        }
        Ok(())
    }
}
