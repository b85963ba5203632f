//! Name servers that a client is told of by router advertisements (RFC 8106): IPv6's own way, as IPCP's is
//! IPv4's. What a server has told counts until it takes it back or the session ends; when its time is up, until another one wants its place.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use l2tp_control::Instant;

use super::network::Up;
use crate::advert::message::Resolvers;
use crate::config::Dial;

/// The most that are taken.
const RESOLVERS: usize = 3;

/// The name servers that a session's router advertisements have told of, and until when they are good.
#[derive(Default)]
pub(super) struct Advertised(Vec<(Ipv6Addr, Instant)>);

impl Advertised {
    fn servers(&self) -> impl Iterator<Item = IpAddr> {
        self.0.iter().map(|(server, _)| (*server).into())
    }

    /// Takes what an advertisement tells, and returns whether there are others now. Where all places are taken, new
    /// ones get those of servers whose time is up (RFC 8106 §5.3.1).
    pub(super) fn take(&mut self, now: Instant, told: &[Resolvers]) -> bool {
        let before: Vec<_> = self.servers().collect();
        let each = told.iter().flat_map(|told| told.servers.iter().map(|server| (*server, told.lifetime)));
        for (server, lifetime) in each {
            let until = now + Duration::from_secs(lifetime.into());
            let known = self.0.iter_mut().find(|(known, _)| *known == server);
            match known {
                _ if lifetime == 0 => self.0.retain(|(known, _)| *known != server),
                Some((_, good)) => *good = until,
                None => {
                    let over = self.0.iter().position(|(_, good)| *good <= now);
                    if let Some(over) = over.filter(|_| self.0.len() >= RESOLVERS) {
                        self.0.remove(over);
                    }
                    if self.0.len() < RESOLVERS {
                        self.0.push((server, until));
                    }
                }
            }
        }
        !self.servers().eq(before)
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// Tells this machine's resolver of all name servers that a session has.
pub(super) fn set(names: &super::names::Names, dial: &Dial, up: &Up) {
    let servers: Vec<_> =
        up.networks().flat_map(|network| &network.dns).copied().chain(up.advertised.servers()).collect();
    match servers.is_empty() {
        true => names.unset(&up.interface),
        false => names.set(dial.dns, &up.interface, &servers, dial.default_route),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFETIME: u32 = 1800;

    fn server(n: u16) -> Ipv6Addr {
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, n)
    }

    #[test]
    fn servers_come_and_go_as_advertisements_say() {
        let mut advertised = Advertised::default();
        let mut take = |seconds: u64, lifetime, servers: &[u16], expected: &[u16]| {
            let before: Vec<_> = advertised.servers().collect();
            let now = Instant::from_micros(1 + seconds * 1_000_000);
            let servers = servers.iter().copied().map(server).collect();
            let changed = advertised.take(now, &[Resolvers { servers, lifetime }]);
            let now: Vec<_> = advertised.servers().collect();
            assert_eq!(changed, now != before);
            assert_eq!(now, expected.iter().map(|n| IpAddr::V6(server(*n))).collect::<Vec<_>>());
            changed
        };
        assert!(take(0, LIFETIME, &[1], &[1]));
        assert!(take(0, LIFETIME, &[2], &[1, 2]));
        // The next advertisement changes nothing.
        assert!(!take(600, LIFETIME, &[1], &[1, 2]));
        assert!(!take(600, LIFETIME, &[2], &[1, 2]));
        assert!(take(600, LIFETIME, &[3, 4], &[1, 2, 3]));
        assert!(!take(700, LIFETIME, &[5], &[1, 2, 3]));
        assert!(take(700, 0, &[2], &[1, 3]));
        assert!(take(700, u32::MAX, &[6], &[1, 3, 6]));
        // Their time is up, and one's place is wanted.
        assert!(!take(3000, 0, &[], &[1, 3, 6]));
        assert!(take(3000, LIFETIME, &[7], &[3, 6, 7]));
        assert!(take(3000, LIFETIME, &[8], &[6, 7, 8]));
        assert!(!take(4_000_000, 0, &[9], &[6, 7, 8]));
        assert!(take(5_000_000_000, LIFETIME, &[9], &[7, 8, 9]));
    }
}
