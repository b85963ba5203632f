//! LCP's options (RFC 1661 §6).
//!
//! | option | ours | the peer's |
//! |---|---|---|
//! | 1 MRU | asked for if it is not 1500; a smaller one is taken from a Nak | acked from 128 on |
//! | 2 ACCM | – | acked: there are no asynchronous lines here |
//! | 3 Authentication-Protocol | down the list of what we require | acked if we can; Naks go down the list of what we accept |
//! | 5 Magic-Number | asked for | acked if it is neither 0 nor ours |
//! | 7 PFC, 8 ACFC | if configured; a Nak is a Reject | acked |
//! | 4 Quality-Protocol, 13 Callback, 17 MRRU, 19 Endpoint Discriminator, all others | – | rejected |

use super::config::{Config, DEFAULT_MRU, Method};
use super::event::Why;
use super::negotiation::{Answer, Context, Options};
use super::packet::Opt;
use super::protocol::Protocol;

/// Option types (RFC 1661 §6, RFC 1662 §7.1).
pub(crate) mod kind {
    pub(crate) const MRU: u8 = 1;
    pub(crate) const ACCM: u8 = 2;
    pub(crate) const AUTHENTICATION: u8 = 3;
    pub(crate) const MAGIC: u8 = 5;
    pub(crate) const PFC: u8 = 7;
    pub(crate) const ACFC: u8 = 8;
}

/// The smallest MRU that is granted.
const LEAST_MRU: u16 = 128;

/// What we ask for, and what the peer was granted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Lcp {
    /// The MRU that we ask for, or the default.
    pub(crate) mru: u16,
    /// Our magic number, or 0.
    pub(crate) magic: u32,
    pfc: bool,
    acfc: bool,
    /// How the peer has to prove who it is.
    pub(crate) peer_auth: Option<Method>,
    /// Methods that the peer has refused: a bit each.
    refused: u8,
    /// How many methods the peer was offered instead of what it wanted.
    offered: u8,
    /// Requests in a row with our own magic number.
    loops: u8,
    /// The MRU of the peer.
    pub(crate) peer_mru: u16,
    /// How the peer wants us to prove who we are.
    pub(crate) local_auth: Option<Method>,
}

impl Lcp {
    pub(crate) fn new(config: &Config, magic: u32) -> Self {
        Self {
            mru: config.mru,
            magic: if config.magic { magic } else { 0 },
            pfc: config.pfc,
            acfc: config.acfc,
            peer_auth: config.require.first().copied(),
            refused: 0,
            offered: 0,
            loops: 0,
            peer_mru: DEFAULT_MRU,
            local_auth: None,
        }
    }

    /// Our magic number has come from the peer once more: whether that is too often.
    pub(crate) const fn looped(&mut self, config: &Config) -> bool {
        self.loops = self.loops.saturating_add(1);
        self.loops >= config.timing.max_failure
    }

    /// The peer refuses the method that we require, and perhaps offers another.
    fn next_method(&mut self, config: &Config, offered: Option<Method>) -> Result<(), Why> {
        let Some(method) = self.peer_auth else { return Ok(()) };
        self.refused |= 1 << method as u8;
        let left = |method: &Method| self.refused & (1 << *method as u8) == 0;
        let mut list = config.require.iter().copied().filter(left);
        let offered = offered.filter(|method| list.clone().any(|left| left == *method));
        self.peer_auth = offered.or_else(|| list.next());
        if self.peer_auth.is_some() { Ok(()) } else { Err(Why::NoMethod) }
    }

    fn judge_authentication(&mut self, config: &Config, value: &[u8], nak: &mut Vec<u8>) -> Answer {
        let wanted = Method::from_option(value).filter(|method| config.accept.contains(method));
        if config.credentials.is_none() || config.accept.is_empty() {
            return Answer::Reject;
        }
        if wanted.is_some() {
            self.local_auth = wanted;
            return Answer::Ack;
        }
        let next = config.accept[usize::from(self.offered) % config.accept.len()];
        self.offered = self.offered.wrapping_add(1);
        Opt { kind: kind::AUTHENTICATION, value: next.option() }.write(nak);
        Answer::Nak
    }

    fn judge_magic(&mut self, cx: &mut Context<'_>, magic: u32, nak: &mut Vec<u8>) -> Result<Answer, Why> {
        if magic != 0 && magic != self.magic {
            self.loops = 0;
            return Ok(Answer::Ack);
        }
        if magic != 0 && self.looped(cx.config) {
            return Err(Why::Loop);
        }
        let other = cx.random.nonzero();
        Opt { kind: kind::MAGIC, value: &other.to_be_bytes() }.write(nak);
        Ok(Answer::Nak)
    }
}

impl Options for Lcp {
    const PROTOCOL: Protocol = Protocol::LCP;

    fn request(&self, _: &Config, out: &mut Vec<u8>) {
        if self.mru != DEFAULT_MRU {
            Opt { kind: kind::MRU, value: &self.mru.to_be_bytes() }.write(out);
        }
        if let Some(method) = self.peer_auth {
            Opt { kind: kind::AUTHENTICATION, value: method.option() }.write(out);
        }
        if self.magic != 0 {
            Opt { kind: kind::MAGIC, value: &self.magic.to_be_bytes() }.write(out);
        }
        for (asked, kind) in [(self.pfc, kind::PFC), (self.acfc, kind::ACFC)] {
            if asked {
                Opt { kind, value: &[] }.write(out);
            }
        }
    }

    fn begin(&mut self) {
        (self.peer_mru, self.local_auth) = (DEFAULT_MRU, None);
    }

    fn judge(&mut self, cx: &mut Context<'_>, option: Opt<'_>, nak: &mut Vec<u8>) -> Result<Answer, Why> {
        Ok(match (option.kind, option.value) {
            (kind::MRU, &[high, low]) => {
                let mru = u16::from_be_bytes([high, low]);
                if mru >= LEAST_MRU {
                    self.peer_mru = mru;
                    return Ok(Answer::Ack);
                }
                Opt { kind: kind::MRU, value: &LEAST_MRU.to_be_bytes() }.write(nak);
                Answer::Nak
            }
            (kind::AUTHENTICATION, value) => self.judge_authentication(cx.config, value, nak),
            (kind::MAGIC, &[a, b, c, d]) => {
                return self.judge_magic(cx, u32::from_be_bytes([a, b, c, d]), nak);
            }
            (kind::ACCM, [_, _, _, _]) | (kind::PFC | kind::ACFC, []) => Answer::Ack,
            _ => Answer::Reject,
        })
    }

    fn missing(&mut self, _: &mut Context<'_>, _: &mut Vec<u8>) {}

    fn naked(&mut self, cx: &mut Context<'_>, option: Opt<'_>) -> Result<(), Why> {
        match (option.kind, option.value) {
            (kind::MRU, &[high, low]) => {
                let mru = u16::from_be_bytes([high, low]);
                if (LEAST_MRU..self.mru).contains(&mru) {
                    self.mru = mru;
                }
            }
            (kind::AUTHENTICATION, value) => self.next_method(cx.config, Method::from_option(value))?,
            (kind::MAGIC, _) if self.magic != 0 => self.magic = cx.random.nonzero(),
            (kind::PFC | kind::ACFC, _) => self.rejected(cx.config, option.kind)?,
            _ => {}
        }
        Ok(())
    }

    fn rejected(&mut self, config: &Config, kind: u8) -> Result<(), Why> {
        match kind {
            kind::MRU => self.mru = DEFAULT_MRU,
            kind::AUTHENTICATION => self.next_method(config, None)?,
            kind::MAGIC => self.magic = 0,
            kind::PFC => self.pfc = false,
            kind::ACFC => self.acfc = false,
            _ => {}
        }
        Ok(())
    }
}
