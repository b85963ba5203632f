//! A session's network comes and goes: addresses, routes, name servers, router advertisements, scripts, and
//! who is told.

use std::future::{pending, poll_fn};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::OwnedFd;
use std::task::{Context, Poll, Waker};

use l2tp_control::wire::CdnResult;
use l2tp_control::{Cause, Instant};
use ppp::Phase;
use ppp::config::InterfaceId;
use pppol2tp::{Prefix, SharedConfig};
use tokio::io::unix::AsyncFd;
use tracing::{info, warn};

use super::ending::Ending;
use super::key::Key;
use super::network::{self, Network, Shared};
use super::sessions::Session;
use super::tunnels::{Tunnel, text};
use super::{Reactor, resolvers};
use crate::accounts::{Record, RecordKind, TerminateCause, Traffic};
use crate::advert::{self, Advertisement, Advertiser};
use crate::config::{InterfaceChoice, Range};
use crate::error::{Doing, Result};
use crate::hooks::{Facts, Hook};
use crate::notice::{Failed, Notice, Step};
use crate::serve::readable;

/// MTU of a shared interface unless the profile says otherwise: what fits 1500 bytes with IPv6, UDP, the
/// longest L2TP header and PPP's protocol in front.
const SHARED_MTU: u16 = 1438;

/// Our interface identifier on shared interfaces.
pub(super) const SHARED_ID: InterfaceId = match InterfaceId::new(1) {
    Some(id) => id,
    None => unreachable!(),
};

/// Sends router advertisements, and hears solicitations and those of others.
pub(super) struct Router {
    pub(super) advertiser: Advertiser,
    ready: AsyncFd<OwnedFd>,
}

impl Router {
    pub(super) fn new(advertiser: Advertiser) -> Result<Self> {
        let fd = advertiser.poll_fd().try_clone_to_owned().doing(|| "router advertisements".into())?;
        Ok(Self { advertiser, ready: readable(fd)? })
    }
}

/// Waits for a router solicitation or advertisement.
pub(super) async fn solicited(router: Option<&Router>) {
    match router {
        // An error is one of the descriptor, which reading it tells.
        Some(router) => drop(router.ready.readable().await),
        None => pending().await,
    }
}

impl Reactor<'_> {
    /// Makes the shared interfaces that are not there (any more), with their addresses and the routes to the
    /// pools of their profiles. What a session has beyond that is routed when it comes.
    pub(super) fn share_interfaces(&mut self) -> Result<()> {
        for peer in self.settings.peers.clone() {
            let InterfaceChoice::Shared { name } = &peer.profile.interface else { continue };
            let doing = || format!("shared interface {name}");
            if self.shared.get(name).is_none_or(|shared| !shared.interface.is_alive()) {
                let mtu = peer.profile.mtu.unwrap_or(SHARED_MTU);
                self.shared.remove(name);
                let interface = self.driver.shared_interface(SharedConfig { name: name.clone(), mtu });
                let shared = Shared { interface: interface.doing(doing)?, routed: Vec::new() };
                self.shared.insert(name.clone(), shared);
            }
            let pools = peer.profile.pool.iter().filter_map(|pool| self.settings.pools.get(pool));
            let ipv6 = peer.profile.ipv6_pool.iter().filter_map(|pool| self.settings.ipv6_pools.get(pool));
            let wanted = pools.flatten().flat_map(prefixes).chain(ipv6.copied());
            let wanted: Vec<_> = wanted
                .filter(|prefix| !self.shared.values().any(|shared| shared.routed.contains(prefix)))
                .collect();
            let Some(shared) = self.shared.get_mut(name) else { continue };
            if let Some(local) = peer.profile.local_address {
                shared.interface.add_address(Prefix::host(local.into())).doing(doing)?;
            }
            if peer.profile.ipv6 {
                advert::prepare_router(&shared.interface.interface())?;
                let local = SHARED_ID.link_local().into();
                shared.interface.add_address(Prefix { address: local, len: 64 }).doing(doing)?;
            }
            for prefix in wanted {
                shared.interface.add_route(prefix).doing(doing)?;
                shared.routed.push(prefix);
            }
        }
        Ok(())
    }

    /// A network protocol is open: binds the interface, if it is the first, and configures it.
    pub(super) fn network_up(
        &mut self,
        now: Instant,
        key: Key,
        local: IpAddr,
        remote: IpAddr,
        dns: Vec<IpAddr>,
    ) {
        if let Some(dial) = self.sessions.get(&key).and_then(|session| session.dial) {
            self.dial_step(dial, Step::Configure);
        }
        let shared = self.sessions.get(&key).and_then(|session| match &session.profile.interface {
            InterfaceChoice::Shared { name } => self.shared.get(name),
            InterfaceChoice::PerSession { .. } => None,
        });
        if shared.is_some_and(|shared| !shared.interface.is_alive())
            && let Err(error) = self.share_interfaces()
        {
            warn!("{error}");
        }
        let Some(session) = self.sessions.get_mut(&key) else { return };
        if session.ups.may_be_told(now).is_none() {
            // Each costs us more than it costs the peer.
            let why = "it negotiates its network anew all the time".into();
            let ending = Ending { cause: TerminateCause::USER_ERROR, failure: Failed::Ended, why };
            return self.hang_up_because(now, key, Cause::new(CdnResult::ADMINISTRATIVE), ending);
        }
        let first = session.up.is_none();
        let dial = session.dial.map(|dial| self.dials.config(dial));
        let bound = match first {
            true => network::bind(session, dial, &self.netlink, &self.shared, now),
            false => network::renew(session),
        };
        let opened = bound
            .and_then(|()| network::open(session, dial, &self.netlink, &self.shared, local, remote, &dns));
        if let Err(error) = opened {
            if local.is_ipv6() && !first {
                // What is up already is of use without it.
                return warn!("session {key}: there is no IPv6: {error}");
            }
            return self.fails_here(now, key, "the interface cannot be set up", &error);
        }
        let Some(up) = &session.up else { return };
        if let Some(dial) = dial.filter(|_| !dns.is_empty()) {
            resolvers::set(&self.names, dial, up);
        }
        let notice = Notice::SessionUp {
            tunnel_id: key.tunnel_id(),
            session_id: key.session_id(),
            user: session.user().map(text),
            interface: up.interface.clone(),
            mtu: up.mtu(),
            local,
            remote,
            dns,
        };
        if let (IpAddr::V6(peer), Some(prefix), Some(router)) =
            (remote, session.prefix(), &mut self.advertiser)
        {
            let link = advert::Link { index: up.index, peer: up.shared.then_some(peer) };
            let dns = session.profile.dns.iter().filter_map(|ip| match ip {
                IpAddr::V6(ip) => Some(*ip),
                IpAddr::V4(_) => None,
            });
            let advertisement = Advertisement::new(Some(prefix), Some(up.mtu()), &dns.collect::<Vec<_>>());
            router.advertiser.add(now, session.serial, link, advertisement);
        }
        if first && session.grant.is_some() {
            self.aaa.account(start_record(session));
        }
        let hook = if local.is_ipv4() { Hook::IpUp } else { Hook::Ipv6Up };
        self.scripts.run(
            session.serial,
            hook,
            &facts(key, session, key.tunnel().and_then(|id| self.tunnels.get(&id))),
        );
        let dial = session.dial;
        self.begin_host(now, key, local);
        self.notice(notice);
        if let Some(dial) = dial {
            self.dial_up(dial);
        }
    }

    /// A network protocol is not open any more. If that is because the link ends, all goes with the call.
    pub(super) fn network_down(&mut self, key: Key, ipv4: bool) {
        let Some(mut session) = self.sessions.remove(&key) else { return };
        let why = match session.link.as_ref().map(|link| link.phase()) {
            Some(Phase::Establish | Phase::Authenticate) => Some("the link is negotiated anew"),
            Some(Phase::Network) => Some("the peer closed it"),
            Some(Phase::Dead | Phase::Terminate) | None => None,
        };
        if let Some(why) = why {
            self.network_closed(key, &session, ipv4, why);
            if let Some(up) = &mut session.up {
                network::close(up, ipv4, &self.netlink);
                if let Some(dial) = session.dial {
                    resolvers::set(&self.names, self.dials.config(dial), up);
                }
            }
        }
        self.sessions.insert(key, session);
    }

    /// Tells those who have to know that a network protocol is not open any more, if it was.
    pub(super) fn network_closed(&mut self, key: Key, session: &Session, ipv4: bool, why: &str) {
        let Some(up) = session.up.as_ref().filter(|up| up.network(ipv4).is_some()) else { return };
        if let Some(router) = self.advertiser.as_mut().filter(|_| !ipv4) {
            router.advertiser.remove(session.serial);
        }
        let traffic = session.traffic();
        let facts = Facts {
            reason: why.into(),
            connect_time: self.clock.now().since(up.since),
            bytes_in: traffic.rx_bytes,
            bytes_out: traffic.tx_bytes,
            ..facts(key, session, key.tunnel().and_then(|id| self.tunnels.get(&id)))
        };
        self.scripts.run(session.serial, if ipv4 { Hook::IpDown } else { Hook::Ipv6Down }, &facts);
    }

    /// Waits until routes around a connection of ours may have changed.
    pub(super) async fn rerouted(&self) -> Key {
        poll_fn(|cx| {
            let ups = self.dials.open().flat_map(|tunnel| self.sessions.range(Key::all_of(tunnel)));
            let mut clients =
                ups.filter_map(|(key, session)| Some((key, session.up.as_ref()?.client.as_ref()?)));
            let ready = clients.find(|(_, (_, ready))| ready.poll_read_ready(cx).is_ready());
            ready.map_or(Poll::Pending, |(key, _)| Poll::Ready(*key))
        })
        .await
    }

    /// Answers router solicitations, and takes what advertisements tell.
    pub(super) fn solicited(&mut self) {
        let now = self.clock.now();
        let mut heard = Vec::new();
        let Some(Router { advertiser, ready }) = &mut self.advertiser else { return };
        let ready = ready.poll_read_ready(&mut Context::from_waker(Waker::noop()));
        if advertiser.handle_readable(now, &mut heard)
            && let Poll::Ready(Ok(mut guard)) = ready
        {
            guard.clear_ready();
        }
        for (index, advertisement) in &heard {
            self.advertised(now, *index, advertisement);
        }
    }

    /// Keeps a tunnel's own packets out of the tunnel, whatever has changed.
    pub(super) fn follow_routes(&mut self, key: Key) {
        let up = self.sessions.get_mut(&key).and_then(|session| session.up.as_mut());
        let Some((client, ready)) = up.and_then(|up| up.client.as_mut()) else { return };
        // All of them are taken now; what comes later makes it readable again.
        if let Poll::Ready(Ok(mut guard)) = ready.poll_read_ready(&mut Context::from_waker(Waker::noop())) {
            guard.clear_ready();
        }
        match client.follow() {
            Ok(None) => {}
            Ok(Some(moved)) => info!("{moved}"),
            Err(error) => warn!("{error}"),
        }
    }
}

/// What the scripts of a session are told.
fn facts(key: Key, session: &Session, tunnel: Option<&Tunnel>) -> Facts {
    let Some(up) = &session.up else { return Facts::default() };
    let v4 = |address: fn(&Network) -> IpAddr| match up.network(true).map(address) {
        Some(IpAddr::V4(address)) => Some(address),
        _ => None,
    };
    let v6 = |address: fn(&Network) -> IpAddr| match up.network(false).map(address) {
        Some(IpAddr::V6(address)) => Some(address),
        _ => None,
    };
    let octets = |octets: &Option<Box<[u8]>>| octets.as_deref().unwrap_or_default().to_vec();
    Facts {
        interface: up.interface.clone(),
        local: v4(|network| network.local),
        remote: v4(|network| network.remote),
        local6: v6(|network| network.local),
        remote6: v6(|network| network.remote),
        prefix: session.prefix(),
        dns: up.networks().flat_map(|network| network.dns.iter().copied()).collect(),
        tunnel_id: key.tunnel_id(),
        session_id: key.session_id(),
        peer: Some(session.peer.ip()),
        peer_name: tunnel.map(|tunnel| tunnel.peer.host_name.clone()).unwrap_or_default(),
        user: session.user().unwrap_or_default().to_vec(),
        user_is_peer: session.dial.is_none(),
        calling_number: octets(&session.calling),
        called_number: octets(&session.called),
        profile: session.profile.name.to_string(),
        speed: session.speed.into(),
        ..Facts::default()
    }
}

fn start_record(session: &Session) -> Record {
    Record {
        session: session.serial,
        user: session.user.clone().unwrap_or_default(),
        kind: RecordKind::Start,
        address: session.ipv4.as_ref().map(|lease| lease.address()),
        ipv6_prefix: session.prefix(),
        time: std::time::Duration::ZERO,
        traffic: Traffic::default(),
    }
}

/// The fewest prefixes that make up a range.
fn prefixes(range: &Range) -> Vec<Prefix> {
    let (mut first, last) = (u64::from(range.first().to_bits()), u64::from(range.last().to_bits()));
    let mut prefixes = Vec::new();
    while first <= last {
        let aligned = first.trailing_zeros().min(32);
        let fits = (last - first + 1).ilog2();
        let bits = aligned.min(fits);
        prefixes.push(Prefix { address: Ipv4Addr::from_bits(first as u32).into(), len: (32 - bits) as u8 });
        first += 1 << bits;
    }
    prefixes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_the_fewest_prefixes() {
        let rows: [(&str, &[&str]); 5] = [
            ("10.0.0.0-10.0.0.255", &["10.0.0.0/24"]),
            ("10.0.0.1-10.0.0.6", &["10.0.0.1/32", "10.0.0.2/31", "10.0.0.4/31", "10.0.0.6/32"]),
            ("0.0.0.0-255.255.255.255", &["0.0.0.0/0"]),
            ("255.255.255.255-255.255.255.255", &["255.255.255.255/32"]),
            ("10.0.0.255-10.0.1.0", &["10.0.0.255/32", "10.0.1.0/32"]),
        ];
        for (range, expected) in rows {
            let range: Range = range.parse().unwrap();
            let found: Vec<_> = prefixes(&range).iter().map(Prefix::to_string).collect();
            assert_eq!(found, expected);
        }
    }
}
