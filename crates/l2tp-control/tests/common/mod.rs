//! What the tests of tunnels and calls share: two endpoints on an ideal network ([`Pair`]), and one
//! endpoint against peers made by hand ([`Bed`], [`Peer`]).

#![allow(dead_code, unused_imports, reason = "each file uses a part of it")]

mod bed;
pub(crate) mod call;
mod pair;

use std::sync::Arc;
use std::time::Duration;

use l2tp_control::config::{Config, PeerRule, Policy};
use l2tp_control::wire::{
    Attribute, Avps, Bps, Framing, Header, Iccn, Icrq, MessageType, ProtocolVersion, Sccrp, Sccrq,
};
use l2tp_control::{Connect, Event, Path};
use l2tp_data::id::{SessionId, TunnelId};

pub(crate) use bed::{Bed, Peer};
pub(crate) use pair::Pair;

/// Where ends are.
pub(crate) const LAC: &str = "192.0.2.1:1701";
/// Where ends are.
pub(crate) const LNS: &str = "192.0.2.2:1701";

/// A retransmission cycle.
pub(crate) const CYCLE: Duration = Duration::from_secs(31);

pub(crate) fn path(peer: &str) -> Path {
    Path { socket: 0, local: None, peer: peer.parse().unwrap() }
}

pub(crate) fn tunnel_id(id: u16) -> TunnelId {
    TunnelId::new(id).unwrap()
}

pub(crate) fn session_id(id: u16) -> SessionId {
    SessionId::new(id).unwrap()
}

/// Everybody may open a tunnel.
pub(crate) fn config(policy: &Policy) -> Config {
    Config { peers: vec![PeerRule::anyone(policy.clone())], ..Config::default() }
}

pub(crate) fn connect_to(peer: &str, policy: &Policy) -> Connect {
    Connect { path: path(peer), policy: Arc::new(policy.clone()) }
}

/// An SCCRQ of a peer that assigns this id.
pub(crate) fn sccrq(id: u16) -> Sccrq<'static> {
    Sccrq::new(ProtocolVersion::V1_0, "peer".into(), Framing::ALL, tunnel_id(id))
}

/// An SCCRP of a peer that assigns this id.
pub(crate) fn sccrp(id: u16) -> Sccrp<'static> {
    Sccrp::new(ProtocolVersion::V1_0, Framing::ALL, "peer".into(), tunnel_id(id))
}

/// An ICRQ of a peer that assigns this id.
pub(crate) fn icrq(id: u16) -> Icrq<'static> {
    Icrq::new(session_id(id), 1)
}

pub(crate) fn iccn() -> Iccn<'static> {
    Iccn::new(Bps(64_000), Framing::SYNC)
}

/// An event without its detail.
pub(crate) fn name(event: &Event) -> &'static str {
    match event {
        Event::TunnelUp { .. } => "tunnel up",
        Event::TunnelDown { .. } => "tunnel down",
        Event::CallOffered { .. } => "call offered",
        Event::CallAccepted { .. } => "call accepted",
        Event::CallUp { .. } => "call up",
        Event::CallDown { .. } => "call down",
        Event::LinkInfo { .. } => "link info",
        Event::LineErrors { .. } => "line errors",
    }
}

pub(crate) fn names(events: &[Event]) -> Vec<&'static str> {
    events.iter().map(name).collect()
}

/// A datagram that an endpoint has sent.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) path: Path,
    pub(crate) bytes: Vec<u8>,
}

impl Sent {
    pub(crate) fn header(&self) -> Header {
        Header::parse(&self.bytes).expect("what we send has a header")
    }

    /// The message's type; `None` of a ZLB.
    pub(crate) fn kind(&self) -> Option<MessageType> {
        let kind = self.avp(Attribute::MESSAGE_TYPE)?;
        Some(MessageType(u16::from_be_bytes([kind[0], kind[1]])))
    }

    /// An AVP's value.
    pub(crate) fn avp(&self, attribute: Attribute) -> Option<&[u8]> {
        let mut avps = Avps::new(&self.bytes[Header::LEN..]).map(|avp| avp.expect("what we send is sound"));
        avps.find(|avp| avp.attribute() == attribute).map(|avp| avp.value)
    }

    pub(crate) fn is_hidden(&self, attribute: Attribute) -> bool {
        let mut avps = Avps::new(&self.bytes[Header::LEN..]).map_while(Result::ok);
        avps.any(|avp| avp.attribute() == attribute && avp.is_hidden())
    }

    pub(crate) fn number(&self, attribute: Attribute) -> u16 {
        let value = self.avp(attribute).unwrap_or_else(|| panic!("{attribute} is missing"));
        u16::from_be_bytes([value[0], value[1]])
    }

    /// Result and error code of a StopCCN or CDN.
    pub(crate) fn result(&self) -> (u16, u16) {
        let value = self.avp(Attribute::RESULT_CODE).expect("it has a result");
        let error = value.get(2..4).map_or(0, |error| u16::from_be_bytes([error[0], error[1]]));
        (self.number(Attribute::RESULT_CODE), error)
    }

    /// What a StopCCN or CDN says to people.
    pub(crate) fn words(&self) -> String {
        let value = self.avp(Attribute::RESULT_CODE).expect("it has a result");
        String::from_utf8(value.get(4..).unwrap_or_default().to_vec()).expect("we send UTF-8")
    }
}

impl std::fmt::Debug for Sent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let header = self.header();
        match self.kind() {
            Some(kind) => write!(f, "{kind}")?,
            None => f.write_str("ZLB")?,
        }
        write!(f, " to {} ({}/{})", self.path.peer, header.tunnel_id, header.session_id)?;
        write!(f, " Ns {} Nr {}", header.ns, header.nr)
    }
}

/// The types of messages.
pub(crate) fn kinds(sent: &[Sent]) -> Vec<MessageType> {
    sent.iter().filter_map(Sent::kind).collect()
}
