//! IPV6CP's options (RFC 5072).
//!
//! | option | ours | the peer's |
//! |---|---|---|
//! | 1 Interface-Identifier | always asked for; a Nak is taken if ours is random | what we assign, else what it has, unless that is 0 or ours |
//! | 2 IPv6-Compression-Protocol, all others | – | rejected |

use super::config::{Config, InterfaceId, Ipv6};
use super::event::{Event, Why};
use super::ncp::Network;
use super::negotiation::{Answer, Context, Options};
use super::packet::Opt;
use super::protocol::Protocol;
use super::random::Random;

const INTERFACE_ID: u8 = 1;

/// What we ask for, and what the peer was granted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Ipv6cp {
    wanted: Ipv6,
    /// Our identifier so far.
    local: InterfaceId,
    /// Whether we still ask for it.
    ask_local: bool,
    /// What the peer has, or is told to have.
    peer: InterfaceId,
    /// Whether the peer's last request had an identifier.
    named: bool,
}

impl Ipv6cp {
    pub(crate) fn new(wanted: Ipv6, random: &mut Random) -> Self {
        let local = wanted.local.unwrap_or_else(|| unlike(wanted.peer, random));
        let peer = wanted.peer.unwrap_or_else(|| unlike(Some(local), random));
        Self { wanted, local, ask_local: true, peer, named: false }
    }

    fn suggest(&mut self, random: &mut Random, nak: &mut Vec<u8>) {
        self.peer = self.wanted.peer.unwrap_or_else(|| unlike(Some(self.local), random));
        Opt { kind: INTERFACE_ID, value: &self.peer.get().to_be_bytes() }.write(nak);
    }
}

/// A random identifier (RFC 5072 §4.1): not of a manufacturer, so the "u" bit is clear.
fn unlike(other: Option<InterfaceId>, random: &mut Random) -> InterfaceId {
    const UNIVERSAL: u64 = 2 << 56;
    loop {
        let id = (u64::from(random.nonzero()) << 32 | u64::from(random.nonzero())) & !UNIVERSAL;
        if let Some(id) = InterfaceId::new(id).filter(|id| Some(*id) != other) {
            return id;
        }
    }
}

impl Options for Ipv6cp {
    const PROTOCOL: Protocol = Protocol::IPV6CP;

    fn request(&self, _: &Config, out: &mut Vec<u8>) {
        if self.ask_local {
            Opt { kind: INTERFACE_ID, value: &self.local.get().to_be_bytes() }.write(out);
        }
    }

    fn begin(&mut self) {
        self.named = false;
    }

    fn judge(&mut self, cx: &mut Context<'_>, option: Opt<'_>, nak: &mut Vec<u8>) -> Result<Answer, Why> {
        let octets = match (option.kind, <[u8; 8]>::try_from(option.value)) {
            (INTERFACE_ID, Ok(octets)) => octets,
            _ => return Ok(Answer::Reject),
        };
        self.named = true;
        let asked = InterfaceId::new(u64::from_be_bytes(octets));
        let fits = match self.wanted.peer {
            Some(assigned) => asked == Some(assigned),
            None => asked != Some(self.local),
        };
        Ok(match asked {
            Some(asked) if fits => {
                self.peer = asked;
                Answer::Ack
            }
            _ => {
                self.suggest(cx.random, nak);
                Answer::Nak
            }
        })
    }

    fn missing(&mut self, cx: &mut Context<'_>, nak: &mut Vec<u8>) {
        if !self.named {
            self.suggest(cx.random, nak);
        }
    }

    fn naked(&mut self, _: &mut Context<'_>, option: Opt<'_>) -> Result<(), Why> {
        let octets = <[u8; 8]>::try_from(option.value).ok().filter(|_| option.kind == INTERFACE_ID);
        let offered = octets.and_then(|octets| InterfaceId::new(u64::from_be_bytes(octets)));
        if let Some(offered) = offered.filter(|offered| self.wanted.local.is_none() && *offered != self.peer)
        {
            self.local = offered;
        }
        Ok(())
    }

    fn rejected(&mut self, _: &Config, _: u8) -> Result<(), Why> {
        self.ask_local = false;
        Ok(())
    }
}

impl Network for Ipv6cp {
    fn complete(&self) -> Result<(), Why> {
        Ok(())
    }

    fn up(&self) -> Event {
        Event::Ipv6Up { local: self.local, peer: self.peer }
    }

    fn down() -> Event {
        Event::Ipv6Down
    }

    fn refused(why: Why) -> Event {
        Event::Ipv6Refused(why)
    }
}
