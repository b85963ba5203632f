//! IPCP's options (RFC 1332, RFC 1877).
//!
//! | option | ours | the peer's |
//! |---|---|---|
//! | 3 IP-Address | always asked for; a Nak is taken if we may, or have none | what we assign, else what it has; if it has none, rejected |
//! | 129, 131 DNS; 130, 132 NBNS | DNS if wanted | what it is told, else rejected |
//! | 1 IP-Addresses (deprecated), 2 IP-Compression-Protocol (VJ), all others | – | rejected |

use core::net::Ipv4Addr;

use super::config::{Config, Ipv4};
use super::event::{Event, Why};
use super::ncp::Network;
use super::negotiation::{Answer, Context, Options};
use super::packet::Opt;
use super::protocol::Protocol;

/// Option types.
mod kind {
    pub(super) const ADDRESS: u8 = 3;
    pub(super) const DNS: [u8; 2] = [129, 131];
    pub(super) const NBNS: [u8; 2] = [130, 132];
}

const NONE: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

/// What we ask for, and what the peer was granted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Ipcp {
    wanted: Ipv4,
    /// Our address so far.
    local: Ipv4Addr,
    /// Whether we still ask for it.
    ask_local: bool,
    /// The peer's address; 0.0.0.0 if it has none.
    peer: Ipv4Addr,
    /// Whether the peer's last request had an address.
    named: bool,
    /// What we ask for as name servers; `None`: not asked.
    dns: [Option<Ipv4Addr>; 2],
}

impl Ipcp {
    pub(crate) fn new(wanted: Ipv4) -> Self {
        Self {
            wanted,
            local: wanted.local,
            ask_local: true,
            peer: wanted.peer.unwrap_or(NONE),
            named: false,
            dns: [wanted.want_dns.then_some(NONE); 2],
        }
    }

    /// What a peer that asks for this is told.
    fn told(&self, kind: u8) -> Option<Ipv4Addr> {
        let Ipv4 { dns, nbns, .. } = &self.wanted;
        let lists = [(kind::DNS, dns), (kind::NBNS, nbns)];
        let place = |kinds: [u8; 2]| kinds.iter().position(|known| *known == kind);
        lists.iter().find_map(|(kinds, servers)| servers[place(*kinds)?])
    }

    fn judge_address(&mut self, asked: Ipv4Addr, nak: &mut Vec<u8>) -> Answer {
        self.named = true;
        match self.wanted.peer {
            Some(assigned) if asked != assigned => {
                Opt { kind: kind::ADDRESS, value: &assigned.octets() }.write(nak);
                Answer::Nak
            }
            None if !usable(asked) => Answer::Reject,
            _ => {
                self.peer = asked;
                Answer::Ack
            }
        }
    }
}

/// Whether an end of a link can have this address.
const fn usable(address: Ipv4Addr) -> bool {
    !(address.is_unspecified() || address.is_broadcast() || address.is_multicast() || address.is_loopback())
}

impl Options for Ipcp {
    const PROTOCOL: Protocol = Protocol::IPCP;

    fn request(&self, _: &Config, out: &mut Vec<u8>) {
        if self.ask_local {
            Opt { kind: kind::ADDRESS, value: &self.local.octets() }.write(out);
        }
        for (kind, server) in kind::DNS.into_iter().zip(self.dns) {
            if let Some(server) = server {
                Opt { kind, value: &server.octets() }.write(out);
            }
        }
    }

    fn begin(&mut self) {
        self.named = false;
        self.peer = self.wanted.peer.unwrap_or(NONE);
    }

    fn judge(&mut self, _: &mut Context<'_>, option: Opt<'_>, nak: &mut Vec<u8>) -> Result<Answer, Why> {
        let Ok(octets) = <[u8; 4]>::try_from(option.value) else { return Ok(Answer::Reject) };
        let asked = Ipv4Addr::from(octets);
        if option.kind == kind::ADDRESS {
            return Ok(self.judge_address(asked, nak));
        }
        Ok(match self.told(option.kind) {
            Some(server) if server == asked => Answer::Ack,
            Some(server) => {
                Opt { kind: option.kind, value: &server.octets() }.write(nak);
                Answer::Nak
            }
            None => Answer::Reject,
        })
    }

    fn missing(&mut self, _: &mut Context<'_>, nak: &mut Vec<u8>) {
        if let Some(assigned) = self.wanted.peer.filter(|_| !self.named) {
            Opt { kind: kind::ADDRESS, value: &assigned.octets() }.write(nak);
        }
    }

    fn naked(&mut self, _: &mut Context<'_>, option: Opt<'_>) -> Result<(), Why> {
        let Ok(octets) = <[u8; 4]>::try_from(option.value) else { return Ok(()) };
        let offered = Ipv4Addr::from(octets);
        if option.kind == kind::ADDRESS {
            if usable(offered) && (self.wanted.accept_local || self.wanted.local.is_unspecified()) {
                self.local = offered;
            }
        } else if let Some(at) = kind::DNS.iter().position(|kind| *kind == option.kind) {
            self.dns[at] = self.dns[at].map(|_| offered);
        }
        Ok(())
    }

    fn rejected(&mut self, _: &Config, kind: u8) -> Result<(), Why> {
        if kind == kind::ADDRESS {
            self.ask_local = false;
            return self.complete();
        }
        if let Some(at) = kind::DNS.iter().position(|dns| *dns == kind) {
            self.dns[at] = None;
        }
        Ok(())
    }
}

impl Network for Ipcp {
    fn complete(&self) -> Result<(), Why> {
        if usable(self.local) { Ok(()) } else { Err(Why::NoAddress) }
    }

    fn up(&self) -> Event {
        let told = |server: &Ipv4Addr| !server.is_unspecified();
        let dns = self.dns.map(|server| server.filter(told));
        Event::Ipv4Up { local: self.local, peer: self.peer, dns }
    }

    fn down() -> Event {
        Event::Ipv4Down
    }

    fn refused(why: Why) -> Event {
        Event::Ipv4Refused(why)
    }
}
