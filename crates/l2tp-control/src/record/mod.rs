//! Writing down what goes into an endpoint, and replaying it.
//!
//! Since an endpoint has neither clock nor randomness of its own, its inputs are all that is needed to
//! see everything again that it did. [`Recorder`] is an [`Endpoint`](super::Endpoint) that writes them
//! to a file; [`Replay`] reads them and says what went on, datagram by datagram, in words.
//!
//! # Format
//!
//! A line of JSON for each input, in the order they came in. `at` is the caller's clock in microseconds,
//! octets are hexadecimal or lists of numbers.
//!
//! ```json
//! {"do":"start","format":1,"version":"0.1.0","secrets":true,"seed":"00…","config":{…}}
//! {"do":"connect","at":1000,"path":{"socket":0,"local":null,"peer":"192.0.2.1:1701"},"policy":{…}}
//! {"do":"poll","at":1000,"calls":2}
//! {"do":"datagram","at":21000,"path":{…},"bytes":"c802…"}
//! {"do":"timeout","at":71000}
//! ```
//!
//! `poll` stands for so many calls of `poll_transmit`. The other lines are called like the methods of
//! `Endpoint` that they are for.
//!
//! # Secrets
//!
//! The secrets of tunnels are in the record, and so are passwords that a LAC passes on (RFC 2661
//! §4.4.5), because no authenticated tunnel can be replayed without. With [`Secrets::LeaveOut`] they are
//! not: then octets that they could be guessed from are zeros too, and what needs a secret fails in the
//! replay. The output of a replay never has any of them.

mod replay;
mod words;
mod write;

use std::sync::Arc;

use l2tp_data::id::{SessionId, TunnelId};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::Zeroizing;

use super::auth::Secret;
use super::config::{Config, Policy};
use super::wire::{Accm, Avps, CallErrors, CdnResult, OtherAvps, StopResult};
use super::{Cause, Connected, Path, Request};

pub use replay::{Error, Replay, Step, What};
pub use words::{AvpWords, Words};
pub use write::{Recorder, Secrets};

/// The number of the format, which changes when older records cannot be read any more.
const FORMAT: u32 = 1;

/// A line of a record. `at` is microseconds.
#[derive(Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
enum Input {
    Start {
        format: u32,
        /// Of the program that wrote it.
        version: String,
        /// Whether they are in the record.
        secrets: bool,
        #[serde(with = "hex")]
        seed: Vec<u8>,
        config: Box<Config>,
    },
    Config {
        config: Box<Config>,
    },
    SetDraining {
        draining: bool,
    },
    Datagram {
        at: u64,
        path: Path,
        #[serde(with = "hex")]
        bytes: Vec<u8>,
    },
    Timeout {
        at: u64,
    },
    Poll {
        at: u64,
        calls: u32,
    },
    Connect {
        at: u64,
        path: Path,
        policy: Arc<Policy>,
    },
    Close {
        at: u64,
        #[serde(with = "id")]
        tunnel: TunnelId,
        cause: Cause<StopResult>,
    },
    PlaceCall {
        at: u64,
        #[serde(with = "id")]
        tunnel: TunnelId,
        request: Request,
        connected: Option<Connected>,
    },
    Accept {
        at: u64,
        #[serde(with = "id")]
        tunnel: TunnelId,
        #[serde(with = "id")]
        session: SessionId,
    },
    Connected {
        #[serde(with = "id")]
        tunnel: TunnelId,
        #[serde(with = "id")]
        session: SessionId,
        connected: Connected,
    },
    HangUp {
        at: u64,
        #[serde(with = "id")]
        tunnel: TunnelId,
        #[serde(with = "id")]
        session: SessionId,
        cause: Cause<CdnResult>,
    },
    Proven {
        #[serde(with = "id")]
        tunnel: TunnelId,
        #[serde(with = "id")]
        session: SessionId,
    },
    SendLinkInfo {
        #[serde(with = "id")]
        tunnel: TunnelId,
        #[serde(with = "id")]
        session: SessionId,
        accm: Accm,
    },
    SendLineErrors {
        #[serde(with = "id")]
        tunnel: TunnelId,
        #[serde(with = "id")]
        session: SessionId,
        errors: CallErrors,
    },
    DataReceived {
        at: u64,
        #[serde(with = "id")]
        tunnel: TunnelId,
    },
    DataSent {
        at: u64,
        #[serde(with = "id")]
        tunnel: TunnelId,
    },
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(hex::text(self.octets())))
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        hex::deserialize(deserializer).map(|octets| Self::new(&Zeroizing::new(octets)))
    }
}

impl Serialize for OtherAvps {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        hex::serialize(self.octets(), serializer)
    }
}

impl<'de> Deserialize<'de> for OtherAvps {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let octets = hex::deserialize(deserializer)?;
        let mut others = Self::default();
        for avp in Avps::new(&octets) {
            let avp = avp.map_err(de::Error::custom)?;
            let push = if avp.is_mandatory() { Self::push_mandatory } else { Self::push };
            push(&mut others, avp.attribute(), avp.value).map_err(de::Error::custom)?;
        }
        Ok(others)
    }
}

/// Octets as hexadecimal digits.
mod hex {
    use std::fmt::Write;

    use super::*;

    pub(super) fn text(octets: &[u8]) -> String {
        let mut text = String::with_capacity(2 * octets.len());
        // A String takes everything.
        let _ = octets.iter().try_for_each(|octet| write!(text, "{octet:02x}"));
        text
    }

    pub(super) fn serialize<S: Serializer>(octets: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&text(octets))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digit = |digit: u8| char::from(digit).to_digit(16).map(|digit| digit as u8);
        let octet = |pair: &[u8]| match *pair {
            [high, low] => Some(digit(high)? << 4 | digit(low)?),
            _ => None,
        };
        let octets: Option<_> = text.as_bytes().chunks(2).map(octet).collect();
        octets.ok_or_else(|| de::Error::custom("octets are pairs of hexadecimal digits"))
    }
}

/// Ids as numbers.
mod id {
    use super::*;
    use crate::ids::Id;

    pub(super) fn serialize<S: Serializer>(id: &impl Id, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u16(id.get())
    }

    pub(super) fn deserialize<'de, I: Id, D: Deserializer<'de>>(deserializer: D) -> Result<I, D::Error> {
        I::new(u16::deserialize(deserializer)?).ok_or_else(|| de::Error::custom("0 is no id"))
    }
}
