//! What a session has while network frames can flow: its interface, addresses, routes, name servers and
//! scripts. All of it goes with [`Up`].

use std::future::{pending, poll_fn};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use l2tp_control::Cause;
use l2tp_control::Instant;
use l2tp_control::wire::{CdnResult, ErrorCode};
use ppp::config::InterfaceId;
use pppol2tp::netlink::Netlink;
use pppol2tp::{Interface, Prefix, SharedConfig, Unit, UnitConfig};
use tokio::io::unix::AsyncFd;
use tracing::{info, warn};

use super::Reactor;
use super::ending::Ending;
use super::sessions::{Key, Session};
use super::tunnels::text;
use crate::accounts::{Record, RecordKind, TerminateCause, Traffic};
use crate::advert::{self, Advertisement, Advertiser};
use crate::config::{Dial, InterfaceChoice, Range};
use crate::error::{Doing, Result};
use crate::hooks::{Facts, Hook};
use crate::notice::{Notice, Step};
use crate::routes::{self, Routes};
use crate::serve::readable;

/// MTU of a shared interface unless the profile says otherwise: what fits 1500 bytes with IPv6, UDP, the
/// longest L2TP header and PPP's protocol in front.
const SHARED_MTU: u16 = 1438;

/// Our interface identifier on shared interfaces.
pub(super) const SHARED_ID: InterfaceId = match InterfaceId::new(1) {
    Some(id) => id,
    None => unreachable!(),
};

/// Sends router advertisements, and hears solicitations.
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

/// Waits for a router solicitation.
pub(super) async fn solicited(router: Option<&Router>) {
    match router {
        // An error is one of the descriptor, which reading it tells.
        Some(router) => drop(router.ready.readable().await),
        None => pending().await,
    }
}

/// A session's network.
pub(super) struct Up {
    unit: Box<dyn Unit>,
    pub(super) interface: String,
    /// Whether it has the interface for itself.
    own: bool,
    pub(super) since: Instant,
    pub(super) local: Vec<IpAddr>,
    pub(super) remote: Vec<IpAddr>,
    /// Name servers that the peer told us of.
    dns: Vec<IpAddr>,
    /// Routes to what is behind a peer of ours.
    behind: Vec<Routes>,
    /// Routes of a connection of ours, and a descriptor that tells of changes around them.
    client: Option<(routes::Client, AsyncFd<OwnedFd>)>,
}

impl Up {
    fn of_family(addresses: &[IpAddr], ipv4: bool) -> Option<IpAddr> {
        addresses.iter().copied().find(|address| address.is_ipv4() == ipv4)
    }
}

impl Reactor<'_> {
    /// Makes the shared interfaces that are not there yet, with their addresses and routes.
    pub(super) fn share_interfaces(&mut self) -> Result<()> {
        for peer in self.settings.peers.clone() {
            let InterfaceChoice::Shared { name } = &peer.profile.interface else { continue };
            let doing = || format!("shared interface {name}");
            if !self.shared.contains_key(name) {
                let mtu = peer.profile.mtu.unwrap_or(SHARED_MTU);
                let shared = self.driver.shared_interface(SharedConfig { name: name.clone(), mtu });
                self.shared.insert(name.clone(), shared.doing(doing)?);
            }
            let shared = &self.shared[name];
            if let Some(local) = peer.profile.local_address {
                shared.add_address(Prefix::host(local.into())).doing(doing)?;
            }
            if peer.profile.ipv6 {
                let interface = shared.interface();
                advert::prepare_router(&interface)?;
                let local = SHARED_ID.link_local().into();
                shared.add_address(Prefix { address: local, len: 64 }).doing(doing)?;
            }
            let ranges = self.settings.pools.values().flatten().flat_map(prefixes);
            let prefixes = self.settings.ipv6_pools.values().copied().map(Prefix::from);
            for route in ranges.chain(prefixes) {
                shared.add_route(route).doing(doing)?;
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
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let first = session.up.is_none();
        let dial = session.dial.map(|dial| self.dials.config(dial));
        let made = if first { bind(session, dial, &self.netlink, &self.shared, now) } else { Ok(()) };
        let done = made
            .and_then(|()| configure(session, local, remote))
            .and_then(|()| route(session, dial, &self.netlink, local.is_ipv4()));
        if let Some(dial) = dial
            && let Some(up) = session.up.as_ref().filter(|_| !dns.is_empty())
        {
            self.names.set(dial.dns, &up.interface, &dns, dial.default_route);
        }
        if let Err(error) = done {
            warn!("session {key}: {error}");
            let words = "the interface cannot be set up";
            let cause = Cause::error(CdnResult::GENERAL_ERROR, ErrorCode::RESOURCES, words);
            return self.hang_up_because(
                now,
                key,
                cause,
                Ending::here(TerminateCause::NAS_ERROR, error.to_string()),
            );
        }
        let Some(up) = &mut session.up else { return };
        up.dns.extend(&dns);
        let notice = Notice::SessionUp {
            tunnel_id: key.tunnel_id(),
            session_id: key.session_id(),
            user: session.user.as_deref().map(text),
            interface: up.interface.clone(),
            mtu: up.unit.mtu(),
            local,
            remote,
            dns,
        };
        let dial = session.dial;
        if let (IpAddr::V6(peer), Some(lease), Some(router)) = (remote, &session.ipv6, &mut self.advertiser) {
            let link = advert::Link { index: up.unit.index(), peer: (!up.own).then_some(peer) };
            let prefix = Prefix { address: lease.address().into(), len: 64 };
            let dns: Vec<_> = session
                .profile
                .dns
                .iter()
                .filter_map(|ip| match ip {
                    IpAddr::V6(ip) => Some(*ip),
                    IpAddr::V4(_) => None,
                })
                .collect();
            let advertisement = Advertisement::new(Some(prefix), Some(up.unit.mtu()), &dns);
            router.advertiser.add(now, session.serial, link, advertisement);
        }
        if first && session.grant.is_some() {
            let record = start_record(session);
            self.aaa.account(record);
        }
        self.run_script(key, if local.is_ipv4() { Hook::IpUp } else { Hook::Ipv6Up });
        self.notice(notice);
        if let Some(dial) = dial {
            self.dial_up(dial);
        }
    }

    /// A network protocol is not open any more, while the link goes on.
    pub(super) fn network_down(&mut self, key: Key, ipv4: bool) {
        self.run_script(key, if ipv4 { Hook::IpDown } else { Hook::Ipv6Down });
        if let Some(up) = self.sessions.get_mut(&key).and_then(|session| session.up.as_mut()) {
            up.local.retain(|address| address.is_ipv4() != ipv4);
            up.remote.retain(|address| address.is_ipv4() != ipv4);
        }
    }

    /// The end of a session's network.
    pub(super) fn take_down(
        &mut self,
        key: Key,
        session: &Session,
        up: &Up,
        ending: &Ending,
        traffic: Traffic,
    ) {
        if let Some(router) = &mut self.advertiser {
            router.advertiser.remove(session.serial);
        }
        if session.dial.is_some() {
            self.names.unset(&up.interface);
        }
        for (ipv4, hook) in [(true, Hook::IpDown), (false, Hook::Ipv6Down)] {
            if Up::of_family(&up.local, ipv4).is_some() {
                let facts = Facts {
                    reason: ending.why.clone(),
                    connect_time: self.clock.now().since(up.since),
                    bytes_in: traffic.rx_bytes,
                    bytes_out: traffic.tx_bytes,
                    ..self.facts(key, session, up)
                };
                self.scripts.run(session.serial, hook, &facts);
            }
        }
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

    /// Answers router solicitations.
    pub(super) fn solicited(&mut self) {
        let now = self.clock.now();
        let Some(Router { advertiser, ready }) = &mut self.advertiser else { return };
        let ready = ready.poll_read_ready(&mut Context::from_waker(Waker::noop()));
        if advertiser.handle_readable(now)
            && let Poll::Ready(Ok(mut guard)) = ready
        {
            guard.clear_ready();
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

    fn run_script(&self, key: Key, hook: Hook) {
        let Some(session) = self.sessions.get(&key) else { return };
        let Some(up) = &session.up else { return };
        self.scripts.run(session.serial, hook, &self.facts(key, session, up));
    }

    fn facts(&self, key: Key, session: &Session, up: &Up) -> Facts {
        let v4 = |addresses: &[IpAddr]| match Up::of_family(addresses, true) {
            Some(IpAddr::V4(address)) => Some(address),
            _ => None,
        };
        let v6 = |addresses: &[IpAddr]| match Up::of_family(addresses, false) {
            Some(IpAddr::V6(address)) => Some(address),
            _ => None,
        };
        let octets = |octets: &Option<Box<[u8]>>| octets.as_deref().unwrap_or_default().to_vec();
        let (tunnel, _) = key.ids().unzip();
        let tunnel = tunnel.and_then(|id| self.tunnels.get(&id));
        Facts {
            interface: up.interface.clone(),
            local: v4(&up.local),
            remote: v4(&up.remote),
            local6: v6(&up.local),
            remote6: v6(&up.remote),
            prefix: session.ipv6.as_ref().map(|lease| Prefix { address: lease.address().into(), len: 64 }),
            dns: up.dns.clone(),
            tunnel_id: key.tunnel_id(),
            session_id: key.session_id(),
            peer: Some(session.peer.ip()),
            peer_name: tunnel.map(|tunnel| tunnel.peer.host_name.clone()).unwrap_or_default(),
            user: octets(&session.user),
            user_is_peer: session.dial.is_none(),
            calling_number: octets(&session.calling),
            called_number: octets(&session.called),
            profile: session.profile.name.to_string(),
            ..Facts::default()
        }
    }
}

/// Binds a session to its interface.
fn bind(
    session: &mut Session,
    dial: Option<&Dial>,
    netlink: &Arc<Netlink>,
    shared: &std::collections::BTreeMap<String, Box<dyn pppol2tp::SharedInterface>>,
    now: Instant,
) -> Result<()> {
    let profile = session.profile.clone();
    let own = matches!(profile.interface, InterfaceChoice::PerSession { .. });
    let interface = match &profile.interface {
        InterfaceChoice::PerSession { name } => Interface::Own { name: name.clone() },
        InterfaceChoice::Shared { name } => {
            let host = session.ipv4.as_ref().map(|lease| Prefix::host(lease.address().into()));
            let network =
                session.ipv6.as_ref().map(|lease| Prefix { address: lease.address().into(), len: 64 });
            let grant = session.grant.iter().flat_map(|grant| grant.routes.iter().copied().map(Prefix::from));
            let name = shared.get(name).map_or_else(|| name.clone(), |shared| shared.interface());
            let link_local = session.shared_id().map(|id| Prefix::host(id.link_local().into()));
            let own = host.into_iter().chain(network).chain(link_local);
            Interface::Shared { name, addresses: own.chain(grant).collect() }
        }
    };
    // What the peer takes; and what we take, because that is the size that our TCP announces.
    let mru = session.link.as_ref().map(|link| link.peer_mru().min(profile.ppp.mru));
    let config = UnitConfig { interface, mtu: profile.mtu, mru, mss_clamp: profile.mss_clamp };
    let Some(socket) = &session.socket else { return Ok(()) };
    // While nothing leads through the tunnel yet.
    let client = match dial.filter(|dial| dial.default_route || !dial.routes.is_empty()) {
        Some(_) => {
            let client = routes::Client::protect(netlink.clone(), session.peer.ip())?;
            let fd = client.poll_fd().try_clone_to_owned().doing(|| "watching routes".into())?;
            Some((client, readable(fd)?))
        }
        None => None,
    };
    let unit = socket.unit(config).doing(|| "making the interface".into())?;
    let interface = unit.interface();
    if own {
        if profile.ipv6 {
            let prepare = if dial.is_some() { advert::prepare_host } else { advert::prepare_router };
            prepare(&interface)?;
        }
        unit.set_up(true).doing(|| format!("setting interface {interface} up"))?;
    }
    let (local, remote, dns, behind) = Default::default();
    session.up = Some(Box::new(Up { unit, interface, own, since: now, local, remote, dns, behind, client }));
    Ok(())
}

/// Routes what is behind the other end there.
fn route(session: &mut Session, dial: Option<&Dial>, netlink: &Arc<Netlink>, ipv4: bool) -> Result<()> {
    let Some(up) = &mut session.up else { return Ok(()) };
    let of_family = |prefix: &Prefix| prefix.address.is_ipv4() == ipv4;
    let (interface, index) = (&up.interface, up.unit.index());
    if let Some(dial) = dial {
        let all = [routes::DEFAULT_V4, routes::DEFAULT_V6].concat();
        let all = all.into_iter().filter(|_| dial.default_route);
        let prefixes: Vec<_> =
            all.chain(dial.routes.iter().copied().map(Prefix::from)).filter(of_family).collect();
        return match &mut up.client {
            Some((client, _)) => client.through(interface, index, &prefixes),
            None => Ok(()),
        };
    }
    let granted = session.grant.iter().flat_map(|grant| grant.routes.iter().copied().map(Prefix::from));
    let network = session.ipv6.as_ref().map(|lease| Prefix { address: lease.address().into(), len: 64 });
    // A shared interface has routes to its pools already.
    let network = network.filter(|_| up.own);
    let prefixes: Vec<_> = granted.chain(network).filter(of_family).collect();
    up.behind.push(Routes::new(netlink.clone(), interface, index, session.peer.ip(), &prefixes)?);
    Ok(())
}

/// Gives the interface its addresses.
fn configure(session: &mut Session, local: IpAddr, remote: IpAddr) -> Result<()> {
    let Some(up) = &mut session.up else { return Ok(()) };
    if up.own {
        let (address, peer) = match local {
            // Some servers give their tunnel's own address.
            IpAddr::V4(_) => {
                let swallowed = remote.is_unspecified() || routes::remote_is_peer(session.peer.ip(), remote);
                (Prefix::host(local), (!swallowed).then_some(remote))
            }
            IpAddr::V6(_) => (Prefix { address: local, len: 64 }, None),
        };
        up.unit
            .add_address(address, peer)
            .doing(|| format!("giving interface {} address {local}", up.interface))?;
    }
    up.local.push(local);
    up.remote.push(remote);
    Ok(())
}

fn start_record(session: &Session) -> Record {
    Record {
        session: session.serial,
        user: session.user.clone().unwrap_or_default(),
        kind: RecordKind::Start,
        address: session.ipv4.as_ref().map(|lease| lease.address()),
        ipv6_prefix: session
            .ipv6
            .as_ref()
            .and_then(|lease| crate::config::Prefix::of(lease.address().into(), 64)),
        time: std::time::Duration::ZERO,
        traffic: Traffic::default(),
    }
}

impl From<crate::config::Prefix> for Prefix {
    fn from(prefix: crate::config::Prefix) -> Self {
        Self { address: prefix.address(), len: prefix.bits() }
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
            let found: Vec<_> =
                prefixes(&range).iter().map(|prefix| format!("{}/{}", prefix.address, prefix.len)).collect();
            assert_eq!(found, expected);
        }
    }
}
