//! Ranges of addresses.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use pppol2tp::Prefix;

/// IPv4 addresses one after the other, the last included.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Range {
    first: Ipv4Addr,
    last: Ipv4Addr,
}

impl Range {
    /// From the first to the last; `None` if they are the other way round.
    pub fn new(first: Ipv4Addr, last: Ipv4Addr) -> Option<Self> {
        (first <= last).then_some(Self { first, last })
    }

    /// Its lowest address.
    pub fn first(&self) -> Ipv4Addr {
        self.first
    }

    /// Its highest address.
    pub fn last(&self) -> Ipv4Addr {
        self.last
    }

    /// How many addresses it has.
    pub fn size(&self) -> u64 {
        u64::from(self.last.to_bits() - self.first.to_bits()) + 1
    }

    /// Whether the address is in it.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        (self.first..=self.last).contains(&address)
    }

    /// Whether they have an address in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

impl FromStr for Range {
    type Err = String;

    /// `10.0.0.10-10.0.0.200`, one address, or `10.0.0.0/24`, whose network and broadcast addresses are
    /// left out (not those of a /31 or /32, RFC 3021).
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no range; write 10.0.0.10-10.0.0.200 or 10.0.0.0/24");
        if let Some((first, last)) = text.split_once('-') {
            let address = |text: &str| text.trim().parse::<Ipv4Addr>().map_err(|_| wrong());
            let (first, last) = (address(first)?, address(last)?);
            return Self::new(first, last)
                .ok_or_else(|| format!("`{text}` ends before it begins; {last}-{first} is meant?"));
        }
        let prefix: Prefix = text.trim().parse()?;
        let IpAddr::V4(first) = prefix.address else { return Err(wrong()) };
        let last = first.to_bits() | u32::MAX.checked_shr(prefix.len.into()).unwrap_or(0);
        let edge = u32::from(prefix.len < 31);
        Ok(Self { first: (first.to_bits() + edge).into(), last: (last - edge).into() })
    }
}
