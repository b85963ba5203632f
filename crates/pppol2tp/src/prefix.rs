//! Prefixes of addresses.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// An address with a prefix length.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Prefix {
    /// The address; bits behind the prefix may be set.
    pub address: IpAddr,
    /// Bits of the prefix.
    pub len: u8,
}

impl Prefix {
    /// One address.
    pub fn host(address: IpAddr) -> Self {
        Self { address, len: width(address) }
    }

    /// Whether an address is in it.
    pub fn contains(self, address: IpAddr) -> bool {
        self.address.is_ipv4() == address.is_ipv4() && Self { address, ..self }.network() == self.network()
    }

    /// Whether they have an address in common.
    pub fn overlaps(self, other: Self) -> bool {
        if self.len <= other.len { self.contains(other.address) } else { other.contains(self.address) }
    }

    /// The same prefix, the bits behind it clear.
    pub fn network(self) -> Self {
        let host = |bits: u32| bits.saturating_sub(self.len.into());
        let address = match self.address {
            IpAddr::V4(ip) => IpAddr::V4(ip & Ipv4Addr::from(u32::MAX.checked_shl(host(32)).unwrap_or(0))),
            IpAddr::V6(ip) => IpAddr::V6(ip & Ipv6Addr::from(u128::MAX.checked_shl(host(128)).unwrap_or(0))),
        };
        Self { address, ..self }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.len)
    }
}

impl FromStr for Prefix {
    type Err = String;

    /// A network: `10.0.0.0/8`, or an address alone for a prefix that is just this address.
    fn from_str(text: &str) -> Result<Self, String> {
        let (address, len) = text.split_once('/').map_or((text, None), |(address, len)| (address, Some(len)));
        let address: IpAddr = address
            .parse()
            .map_err(|_| format!("`{text}` is no network; write for example 10.0.0.0/8 or 2001:db8::/32"))?;
        let most = width(address);
        let len = match len {
            None => most,
            Some(len) => len
                .parse()
                .ok()
                .filter(|len| *len <= most)
                .ok_or_else(|| format!("`/{len}` is no length of a prefix; 0 to {most} are"))?,
        };
        let prefix = Self { address, len };
        let network = prefix.network();
        if network != prefix {
            return Err(format!("`{text}` has bits behind its length; the prefix is {network}"));
        }
        Ok(prefix)
    }
}

fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => Ipv4Addr::BITS as u8,
        IpAddr::V6(_) => Ipv6Addr::BITS as u8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_is_read_as_it_is_written() {
        for text in ["10.0.0.0/8", "0.0.0.0/0", "192.0.2.1/32", "2001:db8::/32", "::/0", "2001:db8::1/128"] {
            assert_eq!(prefix(text).to_string(), text);
        }
        assert_eq!(prefix("192.0.2.1"), Prefix::host([192, 0, 2, 1].into()));
        assert_eq!(prefix("2001:db8::1").len, 128);
    }

    #[test]
    fn what_is_no_network() {
        for (text, why) in [
            ("10.0.0.0/33", "`/33` is no length of a prefix; 0 to 32 are"),
            ("::/129", "`/129` is no length of a prefix; 0 to 128 are"),
            ("10.0.0.0/", "`/` is no length of a prefix; 0 to 32 are"),
            ("ten/8", "`ten/8` is no network; write for example 10.0.0.0/8 or 2001:db8::/32"),
            ("10.0.0.1/8", "`10.0.0.1/8` has bits behind its length; the prefix is 10.0.0.0/8"),
            ("2001:db8::1/64", "`2001:db8::1/64` has bits behind its length; the prefix is 2001:db8::/64"),
        ] {
            assert_eq!(text.parse::<Prefix>(), Err(why.into()));
        }
    }

    #[test]
    fn prefixes_overlap_if_one_is_in_the_other() {
        for (one, other, overlap) in [
            ("10.0.0.0/8", "10.1.0.0/16", true),
            ("10.0.0.0/8", "10.0.0.0/8", true),
            ("10.0.0.0/8", "11.0.0.0/8", false),
            ("0.0.0.0/0", "192.0.2.1/32", true),
            ("0.0.0.0/0", "2001:db8::/32", false),
            ("::/0", "10.0.0.0/8", false),
            ("2001:db8::/32", "2001:db8:0:5::/64", true),
            ("2001:db8:0:4::/64", "2001:db8:0:5::/64", false),
        ] {
            assert_eq!(prefix(one).overlaps(prefix(other)), overlap, "{one} {other}");
            assert_eq!(prefix(other).overlaps(prefix(one)), overlap, "{other} {one}");
        }
        // Bits behind the prefix do not count.
        let address = Prefix { address: "2001:db8:0:5::7".parse().unwrap(), len: 64 };
        assert!(address.overlaps(prefix("2001:db8:0:5:8000::/65")));
    }
}
