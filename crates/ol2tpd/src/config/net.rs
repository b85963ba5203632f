//! Prefixes and ranges of addresses.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// An IP network: an address whose bits behind the first `bits` are zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Prefix {
    address: IpAddr,
    bits: u8,
}

impl Prefix {
    /// The prefix of that length that the address is in; `None` if the length exceeds the address's.
    pub fn of(address: IpAddr, bits: u8) -> Option<Self> {
        let rest = width(address).checked_sub(bits)?.into();
        let address = match address {
            IpAddr::V4(ip) => IpAddr::V4((ip.to_bits() & u32::MAX.checked_shl(rest).unwrap_or(0)).into()),
            IpAddr::V6(ip) => IpAddr::V6((ip.to_bits() & u128::MAX.checked_shl(rest).unwrap_or(0)).into()),
        };
        Some(Self { address, bits })
    }

    /// Its first address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// How many leading bits count.
    pub fn bits(&self) -> u8 {
        self.bits
    }

    /// Whether the address is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4() && Self::of(address, self.bits) == Some(*self)
    }

    /// Whether they have an address in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        if self.bits <= other.bits { self.contains(other.address) } else { other.contains(self.address) }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl FromStr for Prefix {
    type Err = String;

    /// `10.0.0.0/8`, or an address alone for a prefix that is just this address.
    fn from_str(text: &str) -> Result<Self, String> {
        let (address, bits) = parse(text)?;
        let prefix = Self::of(address, bits).expect("`parse` checks the length");
        if prefix.address == address {
            Ok(prefix)
        } else {
            Err(format!("`{text}` has bits behind its length; the prefix is {prefix}"))
        }
    }
}

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
        let last = first.to_bits() | u32::MAX.checked_shr(prefix.bits.into()).unwrap_or(0);
        let edge = u32::from(prefix.bits < 31);
        Ok(Self { first: (first.to_bits() + edge).into(), last: (last - edge).into() })
    }
}

/// An address and a length that it can have.
pub(super) fn parse(text: &str) -> Result<(IpAddr, u8), String> {
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    let address: IpAddr = address
        .parse()
        .map_err(|_| format!("`{text}` is no network; write for example 10.0.0.0/8 or 2001:db8::/32"))?;
    let bits = match bits {
        None => width(address),
        Some(bits) => bits
            .parse()
            .ok()
            .filter(|bits| *bits <= width(address))
            .ok_or_else(|| format!("`/{bits}` is no length of a prefix; 0 to {} are", width(address)))?,
    };
    Ok((address, bits))
}

fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => Ipv4Addr::BITS as u8,
        IpAddr::V6(_) => Ipv6Addr::BITS as u8,
    }
}
