//! pppd that run for callers of whom nothing is known yet. A call costs them two messages and us a process, so
//! there are few of these; one counts until its session has an address, or it has ended.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use crate::config::PppdLogins;

/// Their sources, by the serial numbers of their sessions.
#[derive(Default)]
pub(in crate::server) struct Logins(BTreeMap<u64, IpAddr>);

impl Logins {
    /// Counts one, unless there are as many as there may be.
    pub(super) fn begin(&mut self, session: u64, peer: IpAddr, limits: PppdLogins) -> bool {
        let source = source(peer);
        let of_source = || self.0.values().filter(|other| **other == source).count();
        let room = self.0.len() < limits.all && of_source() < limits.per_source;
        if room {
            self.0.insert(session, source);
        }
        room
    }

    /// The caller has proved who it is, or its pppd has ended.
    pub(super) fn end(&mut self, session: u64) {
        self.0.remove(&session);
    }
}

/// An IPv4 address, or an IPv6 network of 64 bits.
fn source(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_have_few() {
        let limits = PppdLogins { all: 3, per_source: 2 };
        let mut logins = Logins::default();
        let begin =
            |logins: &mut Logins, session, peer: &str| logins.begin(session, peer.parse().unwrap(), limits);
        assert!(begin(&mut logins, 1, "2001:db8::1") && begin(&mut logins, 2, "2001:db8::2"));
        assert!(!begin(&mut logins, 3, "2001:db8::3"), "its source has as many as it may");
        assert!(begin(&mut logins, 3, "192.0.2.1"));
        assert!(!begin(&mut logins, 4, "192.0.2.2"), "there are as many as may be");
        logins.end(4);
        assert!(!begin(&mut logins, 4, "192.0.2.2"), "it was not counted");
        logins.end(2);
        assert!(begin(&mut logins, 4, "::ffff:192.0.2.1"));
        assert!(!begin(&mut logins, 5, "192.0.2.1"));
    }
}
