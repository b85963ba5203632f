//! Name servers that a client is told of by router advertisements (RFC 8106): IPv6's own way, as IPCP's is
//! IPv4's. The kernel checks the advertisements and passes their options on, one at a time. What a server has told
//! counts until it takes it back or the session ends; when its time is up, until another one wants its place.

use std::future::pending;
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::{AsFd, OwnedFd};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use l2tp_control::Instant;
use pppol2tp::netlink::{RouterOption, RouterOptions};
use tokio::io::unix::AsyncFd;
use tracing::warn;

use super::Reactor;
use super::network::Up;
use super::sessions::Session;
use crate::advert::message;
use crate::config::Dial;
use crate::error::{Doing, Result};
use crate::serve::readable;

/// Tells of options of router advertisements.
pub(super) struct Resolvers {
    options: RouterOptions,
    ready: AsyncFd<OwnedFd>,
}

impl Resolvers {
    fn watch() -> Result<Self> {
        let doing = || "listening for name servers of router advertisements".into();
        let options = RouterOptions::open().doing(doing)?;
        let fd = options.as_fd().try_clone_to_owned().doing(doing)?;
        Ok(Self { options, ready: readable(fd)? })
    }

    fn take(&mut self) -> Vec<RouterOption> {
        let ready = self.ready.poll_read_ready(&mut Context::from_waker(Waker::noop()));
        let mut taken = Vec::new();
        // Whatever cannot be read is told again.
        while let Ok(Some(option)) = self.options.recv() {
            taken.push(option);
        }
        if let Poll::Ready(Ok(mut guard)) = ready {
            guard.clear_ready();
        }
        taken
    }
}

/// Waits until an option has come.
pub(super) async fn told(resolvers: Option<&Resolvers>) {
    match resolvers {
        // An error is one of the descriptor, which reading it tells.
        Some(resolvers) => drop(resolvers.ready.readable().await),
        None => pending().await,
    }
}

/// The name servers that a session's router advertisements have told of, and until when they are good.
#[derive(Default)]
pub(super) struct Advertised(Vec<(Ipv6Addr, Instant)>);

impl Advertised {
    fn servers(&self) -> impl Iterator<Item = IpAddr> {
        self.0.iter().map(|(server, _)| (*server).into())
    }

    /// Takes what an option tells, and returns whether there are others now. Where all places are taken, new ones
    /// get those of servers whose time is up (RFC 8106 §5.3.1).
    fn take(&mut self, now: Instant, lifetime: u32, told: impl Iterator<Item = Ipv6Addr>) -> bool {
        let before: Vec<_> = self.servers().collect();
        let until = now + Duration::from_secs(lifetime.into());
        for server in told {
            let known = self.0.iter_mut().find(|(known, _)| *known == server);
            match known {
                _ if lifetime == 0 => self.0.retain(|(known, _)| *known != server),
                Some((_, good)) => *good = until,
                None => {
                    let over = self.0.iter().position(|(_, good)| *good <= now);
                    if let Some(over) = over.filter(|_| self.0.len() >= message::RESOLVERS) {
                        self.0.remove(over);
                    }
                    if self.0.len() < message::RESOLVERS {
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

impl Reactor<'_> {
    /// For connections of ours.
    pub(super) fn watch_resolvers(&mut self) {
        if self.resolvers.is_none() {
            match Resolvers::watch() {
                Ok(resolvers) => self.resolvers = Some(resolvers),
                Err(error) => warn!("{error}"),
            }
        }
    }

    pub(super) fn resolvers_advertised(&mut self) {
        let now = self.clock.now();
        let options = self.resolvers.as_mut().map(Resolvers::take).unwrap_or_default();
        for RouterOption { interface, bytes } in options {
            let Some((lifetime, servers)) = message::resolvers(&bytes) else { continue };
            // Where pppd does PPP, resolvers are its scripts' affair.
            let ours = |session: &&mut Session| session.dial.is_some() && session.profile.pppd.is_none();
            let ours = self.sessions.values_mut().filter(ours);
            let mut ups = ours.filter_map(|session| Some((session.dial?, session.up.as_mut()?)));
            let Some((dial, up)) = ups.find(|(_, up)| up.index == interface) else { continue };
            if up.advertised.take(now, lifetime, servers) {
                set(&self.names, self.dials.config(dial), up);
            }
        }
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
    fn options_of_an_advertisement_are_told_one_at_a_time() {
        let mut advertised = Advertised::default();
        let mut take = |seconds: u64, lifetime, servers: &[u16], expected: &[u16]| {
            let before: Vec<_> = advertised.servers().collect();
            let now = Instant::from_micros(1 + seconds * 1_000_000);
            let changed = advertised.take(now, lifetime, servers.iter().copied().map(server));
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
