//! What router advertisements give a connection of ours: addresses and name servers.
//!
//! An address is given only out of a network that nobody else has: a server could name one of this machine's own,
//! and have its packets go to the session.

use std::cell::LazyCell;
use std::net::IpAddr;

use l2tp_control::Instant;
use pppol2tp::Prefix;
use pppol2tp::netlink::{Netlink, Route};
use tracing::warn;

use super::key::Key;
use super::network::Up;
use super::sessions::Session;
use super::{Reactor, resolvers};
use crate::advert::host::Lifetimes;
use crate::advert::{Advertisement, Host};
use crate::notice::Notice;

/// Routes of this length or a shorter one are default routes, or parts of one: the Internet's addresses are 2000::/3.
const DEFAULT: u8 = 3;

impl Reactor<'_> {
    /// IPv6 of a connection of ours is up.
    pub(super) fn begin_host(&mut self, now: Instant, key: Key, local: IpAddr) {
        let heard = self.advertiser.is_some();
        let session = self.sessions.get_mut(&key).filter(|session| heard && session.dial.is_some());
        if let (IpAddr::V6(local), Some(up)) = (local, session.and_then(|session| session.up.as_mut())) {
            up.host = Some(Host::new(now, local));
            self.arm(key);
        }
    }

    /// An advertisement has come in at an interface. What is no connection of ours has nothing of it.
    pub(super) fn advertised(&mut self, now: Instant, index: u32, told: &Advertisement) {
        let Some(key) = self.dialled(index) else { return };
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let (Some(dial), Some(up)) = (session.dial, &mut session.up) else { return };
        let Some(host) = &mut up.host else { return };
        if !host.hears(now) {
            return;
        }
        let before: Vec<_> = host.addresses().collect();
        // Read once for all prefixes that are new.
        let routes = LazyCell::new(|| self.netlink.routes(true));
        let meant = self.dials.config(dial).routes.clone();
        let mut refused = None;
        let times = host.take(now, &told.prefixes, |network| {
            // Whoever routes it there means it.
            if meant.iter().any(|prefix| prefix.len <= network.len && prefix.contains(network.address)) {
                return true;
            }
            let why = match &*routes {
                Ok(routes) => others(routes, index, network).map(|there| format!("there is {there}")),
                Err(error) => Some(format!("the routes here cannot be read: {error}")),
            };
            let is_free = why.is_none();
            refused = refused.take().or(why.map(|why| (network.address, why)));
            is_free
        });
        if let Some((address, why)) = refused {
            warn!("session {key}: no address of {address}/64, which the server advertises: {why}");
        }
        for Lifetimes { address, valid, preferred } in times {
            if let Err(error) = self.netlink.add_address_for(index, address, valid, preferred) {
                warn!("session {key}: giving interface {} address {address}: {error}", up.interface);
                host.forget(address);
            }
        }
        let changed = !host.addresses().eq(before);
        // Where pppd does PPP, resolvers are its scripts' affair.
        if session.profile.pppd.is_none() && up.advertised.take(now, &told.dns) {
            resolvers::set(&self.names, self.dials.config(dial), up);
        }
        if changed {
            self.addresses_advertised(key);
        }
        self.arm(key);
    }

    /// The session of a connection of ours that has an interface.
    fn dialled(&self, index: u32) -> Option<Key> {
        let mut sessions = self.dials.open().flat_map(|tunnel| self.sessions.range(Key::all_of(tunnel)));
        let has = |session: &Session| session.up.as_ref().is_some_and(|up| up.index == index);
        sessions.find(|(_, session)| has(session)).map(|(key, _)| *key)
    }

    /// Solicits, and takes addresses whose time is up.
    pub(super) fn host_timeout(&mut self, now: Instant, key: Key) {
        let Some(router) = &self.advertiser else { return };
        let Some(up) = self.sessions.get_mut(&key).and_then(|session| session.up.as_mut()) else { return };
        let Some(host) = &mut up.host else { return };
        let ended = host.handle_timeout(now, || router.advertiser.solicit(up.index));
        for address in &ended {
            up.take_address(&self.netlink, Prefix::host((*address).into()), None);
        }
        if !ended.is_empty() {
            self.addresses_advertised(key);
        }
    }

    fn addresses_advertised(&mut self, key: Key) {
        let Some(up) = self.sessions.get(&key).and_then(|session| session.up.as_ref()) else { return };
        let (tunnel_id, session_id, interface) = (key.tunnel_id(), key.session_id(), up.interface.clone());
        let addresses = up.advertised_addresses().collect();
        self.notice(Notice::Addresses { tunnel_id, session_id, interface, addresses });
    }
}

impl Up {
    /// Our addresses by router advertisements.
    pub(super) fn advertised_addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.host.iter().flat_map(Host::addresses).map(IpAddr::V6)
    }

    /// Takes back what advertisements have given.
    pub(super) fn forget_advertisements(&mut self, netlink: &Netlink) {
        for address in self.advertised_addresses() {
            self.take_address(netlink, Prefix::host(address), None);
        }
        self.host = None;
        self.advertised.clear();
    }
}

/// The route of another interface that an advertised network overlaps with.
fn others(routes: &[Route], index: u32, network: Prefix) -> Option<&Route> {
    routes.iter().find(|route| {
        let there = route.destination;
        route.index != Some(index) && there.len > DEFAULT && there.overlaps(network)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_that_other_interfaces_lead_to() {
        let prefix = |text: &str| text.parse::<Prefix>().unwrap();
        let route = |to: &str, index| Route { index: Some(index), ..Route::new(prefix(to), 0) };
        let network = prefix("2001:db8:0:5::/64");
        for (to, index, taken) in [
            ("2001:db8:0:5::/64", 2, true),
            ("2001:db8::/32", 2, true),
            ("2001:db8:0:5:8000::/65", 2, true),
            ("2001:db8:0:5::7/128", 2, true),
            ("2001:db8:0:5::/64", 7, false),
            ("2001:db8:0:4::/64", 2, false),
            ("2001:db8:0:4::7/128", 2, false),
            ("::/0", 2, false),
            ("::/1", 2, false),
            ("2000::/3", 2, false),
            ("2000::/4", 2, true),
        ] {
            assert_eq!(others(&[route(to, index)], 7, network).is_some(), taken, "{to} {index}");
        }
    }
}
