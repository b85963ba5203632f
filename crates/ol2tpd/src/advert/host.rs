//! What a host has of the advertisements on a session's link. No clock and no socket of its own.
//!
//! It solicits (RFC 4861 §6.3.7):
//!
//! | what happens | the next solicitation |
//! |---|---|
//! | the link is up | at once |
//! | one of the first two is sent | 4 s later |
//! | one cannot be sent: the link's address is not ready | 0.1 s later, for 12 s in all |
//! | the third is sent, or an advertisement comes | none |
//!
//! It has an address of each prefix that is for addresses (RFC 4862 §5.5.3):
//!
//! | a prefix option | what becomes of it |
//! |---|---|
//! | without the A flag, not of 64 bits, preferred for longer than valid; link-local, multicast or `::/64` | nothing |
//! | new, and valid for no time, or there are as many addresses as may be, or its network is another's, now or when it was last looked at | nothing |
//! | new | an address |
//! | known | valid for the new time, if that is longer than the rest or than two hours; else for the rest, but two hours at the most; preferred as it says |
//!
//! Whether prefixes are on-link is not asked.

use std::collections::VecDeque;
use std::io;
use std::net::Ipv6Addr;
use std::time::Duration;

use l2tp_data::time::Instant;
use pppol2tp::Prefix;

use super::message::PrefixInformation;

/// MAX_RTR_SOLICITATIONS.
const SOLICITATIONS: u8 = 3;
/// RTR_SOLICITATION_INTERVAL.
const INTERVAL: Duration = Duration::from_secs(4);
/// After a solicitation that could not be sent.
const AGAIN: Duration = Duration::from_millis(100);
/// The most addresses of a link.
pub const ADDRESSES: usize = 4;
/// How many networks that are others' are remembered.
const REFUSED: usize = 16;
/// What a prefix may always be shortened to.
const TWO_HOURS: Duration = Duration::from_secs(7200);
/// Advertisements that are heard one behind the other; of more only one a second is.
const BURST: Duration = Duration::from_secs(8);
const EACH: Duration = Duration::from_secs(1);

/// A host on a session's link.
#[derive(Debug)]
pub struct Host {
    /// The second half of its addresses.
    id: u64,
    asks: Option<Asks>,
    /// Networks that were not free, the last ones: nobody has them looked up again and again.
    refused: VecDeque<Ipv6Addr>,
    /// Each address, and until when it is valid; `None`: for ever.
    addresses: Vec<(Ipv6Addr, Option<Instant>)>,
    /// When there would have been a second for each advertisement so far.
    paced: Instant,
}

#[derive(Debug)]
struct Asks {
    due: Instant,
    left: u8,
    until: Instant,
}

/// An address, and for how many seconds it is valid and preferred; `u32::MAX`: for ever.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lifetimes {
    /// The address.
    pub address: Ipv6Addr,
    /// How long it is valid.
    pub valid: u32,
    /// How long it is preferred, which is no longer.
    pub preferred: u32,
}

impl Host {
    /// The link is up, and this is its link-local address.
    pub fn new(now: Instant, link_local: Ipv6Addr) -> Self {
        let asks = Asks { due: now, left: SOLICITATIONS, until: now + INTERVAL * u32::from(SOLICITATIONS) };
        Self {
            id: link_local.to_bits() as u64,
            asks: Some(asks),
            refused: VecDeque::new(),
            addresses: Vec::new(),
            paced: now,
        }
    }

    /// Its addresses.
    pub fn addresses(&self) -> impl Iterator<Item = Ipv6Addr> {
        self.addresses.iter().map(|(address, _)| *address)
    }

    /// An advertisement has come: whether it is to be looked at. Whoever sends many is not heard.
    pub fn hears(&mut self, now: Instant) -> bool {
        self.asks = None;
        let paced = self.paced.max(now) + EACH;
        let heard = paced <= now + BURST;
        if heard {
            self.paced = paced;
        }
        heard
    }

    /// Takes the prefixes of an advertisement; `is_free` says whether nobody else has that network. Returns
    /// addresses that are new or whose times are.
    pub fn take(
        &mut self,
        now: Instant,
        prefixes: &[PrefixInformation],
        mut is_free: impl FnMut(Prefix) -> bool,
    ) -> Vec<Lifetimes> {
        let mut told = Vec::new();
        for prefix in prefixes.iter().filter(|prefix| is_for_addresses(prefix)) {
            let half = prefix.prefix.to_bits() >> 64 << 64;
            let address = Ipv6Addr::from_bits(half | u128::from(self.id));
            let known = self.addresses.iter_mut().find(|(known, _)| *known == address);
            let until = match known {
                Some((_, until)) => {
                    *until = prolonged(now, *until, prefix.valid);
                    *until
                }
                None => {
                    let network = Prefix { address: Ipv6Addr::from_bits(half).into(), len: 64 };
                    let refused = |known: &VecDeque<_>| known.contains(&Ipv6Addr::from_bits(half));
                    if prefix.valid == 0 || self.addresses.len() >= ADDRESSES || refused(&self.refused) {
                        continue;
                    }
                    if !is_free(network) {
                        self.refused.push_back(Ipv6Addr::from_bits(half));
                        if self.refused.len() > REFUSED {
                            self.refused.pop_front();
                        }
                        continue;
                    }
                    let until = end(now, prefix.valid);
                    self.addresses.push((address, until));
                    until
                }
            };
            let valid = until.map_or(u32::MAX, |until| {
                until.since(now).as_millis().div_ceil(1000).min((u32::MAX - 1).into()) as u32
            });
            told.push(Lifetimes { address, valid, preferred: prefix.preferred.min(valid) });
        }
        told
    }

    /// It could not be given an address.
    pub fn forget(&mut self, address: Ipv6Addr) {
        self.addresses.retain(|(known, _)| *known != address);
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let ends = self.addresses.iter().filter_map(|(_, until)| *until);
        ends.chain(self.asks.as_ref().map(|asks| asks.due)).min()
    }

    /// Solicits, if that is due, and returns the addresses whose time is up.
    pub fn handle_timeout(
        &mut self,
        now: Instant,
        solicit: impl FnOnce() -> io::Result<()>,
    ) -> Vec<Ipv6Addr> {
        if let Some(asks) = self.asks.as_mut().filter(|asks| asks.due <= now) {
            match solicit() {
                Ok(()) => (asks.left, asks.due) = (asks.left - 1, now + INTERVAL),
                Err(_) => asks.due = now + AGAIN,
            }
        }
        if self.asks.as_ref().is_some_and(|asks| asks.left == 0 || asks.due > asks.until) {
            self.asks = None;
        }
        let over = |until: &Option<Instant>| until.is_some_and(|until| until <= now);
        let ended = self.addresses.extract_if(.., |(_, until)| over(until));
        ended.map(|(address, _)| address).collect()
    }
}

/// Whether a host makes itself an address of a prefix (RFC 4862 §5.5.3 a to d).
fn is_for_addresses(prefix: &PrefixInformation) -> bool {
    let PrefixInformation { prefix, len, autonomous, valid, preferred, .. } = *prefix;
    // The first 64 bits of `::`, of `::1` and of IPv4 addresses are zero.
    let nobodys = prefix.is_unicast_link_local() || prefix.is_multicast() || prefix.to_bits() >> 64 == 0;
    autonomous && len == 64 && preferred <= valid && !nobodys
}

/// §5.5.3 e: nobody can end an address at once, or shorten the time of one that has little left.
fn prolonged(now: Instant, until: Option<Instant>, valid: u32) -> Option<Instant> {
    let floor = now + TWO_HOURS;
    let ignored = until.map_or(floor, |until| until.min(floor));
    end(now, valid).map(|end| end.max(ignored))
}

fn end(now: Instant, valid: u32) -> Option<Instant> {
    (valid != u32::MAX).then(|| now + Duration::from_secs(valid.into()))
}

#[cfg(test)]
mod tests;
