//! What a session has while network frames can flow: its interface, and for each network protocol that is
//! open addresses and routes. All of it goes with [`Up`].
//!
//! ```text
//!  IPCP or IPV6CP opens ─┬─ first ─► bind ─┬─► open ─► flows ─┬─► the call ends: dropped
//!            ▲           └─ later ─► renew ┘                  │
//!            └──── LCP or the protocol is negotiated anew ◄───┴─► close
//! ```

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use l2tp_control::Instant;
use nix::libc;
use pppol2tp::netlink::{Netlink, Route};
use pppol2tp::{Interface, Networks, Prefix, SharedInterface, Unit, UnitConfig};
use tokio::io::unix::AsyncFd;
use tracing::warn;

use super::resolvers::Advertised;
use super::sessions::Session;
use super::up::SHARED_ID;
use crate::advert::{self, Host};
use crate::config::{Dial, InterfaceChoice, Profile};
use crate::error::{Doing, Error, Result};
use crate::pool::{self, Lease, Pools};
use crate::routes::{self, Routes};
use crate::serve::readable;

/// A session's network.
pub(super) struct Up {
    /// Nothing, where pppd has it.
    unit: Option<Box<dyn Unit>>,
    pub(super) interface: String,
    pub(super) index: u32,
    /// The interface's MTU at first.
    mtu: u16,
    /// Whether other sessions have the interface, too.
    pub(super) shared: bool,
    pub(super) since: Instant,
    ipv4: Option<Network>,
    ipv6: Option<Network>,
    /// Why the interface cannot have IPv6.
    no_ipv6: Option<Error>,
    /// What listens to router advertisements while IPv6 of a connection of ours is up.
    pub(super) host: Option<Host>,
    /// Name servers of theirs.
    pub(super) advertised: Advertised,
    pub(super) client: Option<Way>,
    /// What pppd would have routed to the other end, and must not.
    kept_out: Option<Route>,
}

/// The way of a tunnel of ours around itself, and a descriptor that tells of changes around it.
pub(super) type Way = (routes::Client, AsyncFd<OwnedFd>);

/// An interface that sessions share.
pub(super) struct Shared {
    pub(super) interface: Box<dyn SharedInterface>,
    /// What is routed there for all sessions.
    pub(super) routed: Vec<Prefix>,
}

/// What a network protocol has that is open.
pub(super) struct Network {
    /// Our address.
    pub(super) local: IpAddr,
    /// The address at the other end.
    pub(super) remote: IpAddr,
    /// Name servers that the peer told us of.
    pub(super) dns: Vec<IpAddr>,
    /// What an interface of the session's own was given: our address, and the other end's.
    address: Option<(Prefix, Option<IpAddr>)>,
    /// Routes to what is behind the other end.
    _routes: Option<Routes>,
}

impl Up {
    pub(super) fn network(&self, ipv4: bool) -> Option<&Network> {
        if ipv4 { self.ipv4.as_ref() } else { self.ipv6.as_ref() }
    }

    /// The unit, if it and its interface are there for this session alone.
    fn own_unit(&self) -> Option<&dyn Unit> {
        self.unit.as_deref().filter(|_| !self.shared)
    }

    pub(super) fn mtu(&self) -> u16 {
        self.unit.as_ref().map_or(self.mtu, |unit| unit.mtu())
    }

    /// Takes back an address, given as it was added.
    pub(super) fn take_address(&self, netlink: &Netlink, local: Prefix, remote: Option<IpAddr>) {
        if let Err(error) = netlink.remove_address(self.index, local, remote)
            // The interface or the address may have been removed by someone else.
            && !matches!(error.raw_os_error(), Some(libc::ENODEV | libc::EADDRNOTAVAIL))
        {
            warn!("taking address {} from interface {}: {error}", local.address, self.interface);
        }
    }

    /// Those that are open.
    pub(super) fn networks(&self) -> impl Iterator<Item = &Network> {
        self.ipv4.iter().chain(&self.ipv6)
    }

    /// Lets packets of those pass that are open, and of one that is about to.
    fn let_pass(&self, opening: Option<IpAddr>) -> Result<()> {
        let opens = |ipv4| opening.is_some_and(|address| address.is_ipv4() == ipv4);
        let networks =
            Networks { ipv4: self.ipv4.is_some() || opens(true), ipv6: self.ipv6.is_some() || opens(false) };
        let doing = || format!("choosing what passes interface {}", self.interface);
        self.unit.as_ref().map_or(Ok(()), |unit| unit.let_pass(networks).doing(doing))
    }

    /// Removes the route to the other end that came with the address that pppd has given the interface.
    ///
    /// Errors: it is there for the second time.
    fn keep_out(&mut self, netlink: &Netlink, remote: IpAddr) -> Result<()> {
        let route =
            Route { index: Some(self.index), ..Route::new(Prefix::host(remote), libc::RTPROT_KERNEL) };
        let again = self.kept_out.replace(route).is_some();
        let removed = self.stays_out(netlink);
        if again { removed } else { Ok(()) }
    }

    /// Sees to it that what is kept out of the tunnel stays so.
    ///
    /// Errors: it was not. Each time, packets go into the tunnel for a moment.
    pub(super) fn stays_out(&self, netlink: &Netlink) -> Result<()> {
        let Some(route) = &self.kept_out else { return Ok(()) };
        let remote = route.destination.address;
        match netlink.remove(route) {
            // There is none.
            Err(_) => Ok(()),
            Ok(()) => Err(Error::Gone(format!(
                "{remote}, which the server calls its own, was routed into the tunnel once more"
            ))),
        }
    }

    fn slot(&mut self, ipv4: bool) -> &mut Option<Network> {
        if ipv4 { &mut self.ipv4 } else { &mut self.ipv6 }
    }
}

/// What a client asks for.
pub(super) fn client_offer(profile: &Profile) -> ppp::config::Network {
    let local = profile.local_address.unwrap_or(Ipv4Addr::UNSPECIFIED);
    ppp::config::Network {
        ipv4: Some(ppp::config::Ipv4 { local, ..ppp::config::Ipv4::default() }),
        ipv6: profile.ipv6.then(ppp::config::Ipv6::default),
    }
}

/// What a server gives: addresses of the account's or the pools'.
pub(super) fn server_offer(
    session: &mut Session,
    pools: &mut Pools,
) -> std::result::Result<ppp::config::Network, pool::Error> {
    let grant = session.grant.as_deref();
    let user = session.user.as_deref().unwrap_or_default();
    let profile = &*session.profile;
    if session.ipv4.is_none() && profile.local_address.is_some() {
        let fixed = grant.and_then(|grant| grant.address);
        let pool = grant.and_then(|grant| grant.pool.as_deref()).or(profile.pool.as_deref());
        session.ipv4 = match (fixed, pool) {
            (Some(address), _) => Some(pools.ipv4.take_fixed(address)?),
            (None, Some(pool)) => Some(pools.ipv4.take(pool, user)?),
            (None, None) => None,
        };
    }
    if session.ipv6.is_none() && profile.ipv6 {
        let fixed = grant.and_then(|grant| grant.ipv6_prefix).map(|prefix| prefix.address);
        session.ipv6 = match (fixed, profile.ipv6_pool.as_deref()) {
            (Some(IpAddr::V6(prefix)), _) => Some(pools.ipv6.take_fixed(prefix)?),
            (_, Some(pool)) => Some(pools.ipv6.take(pool, user)?),
            _ => None,
        };
    }
    let dns: Vec<_> = profile
        .dns
        .iter()
        .filter_map(|ip| match ip {
            IpAddr::V4(ip) => Some(*ip),
            IpAddr::V6(_) => None,
        })
        .collect();
    let two = |list: &[Ipv4Addr]| [list.first().copied(), list.get(1).copied()];
    // pppd may know an address for the peer where there is none here.
    let local = profile.local_address.filter(|_| session.ipv4.is_some() || profile.pppd.is_some());
    let ipv4 = local.map(|local| ppp::config::Ipv4 {
        local,
        accept_local: false,
        peer: session.ipv4.as_ref().map(Lease::address),
        dns: two(&dns),
        nbns: two(&profile.nbns),
        want_dns: false,
    });
    let local = session.shared_id().map(|_| SHARED_ID);
    let ipv6 = profile.ipv6.then(|| ppp::config::Ipv6 { local, peer: session.shared_id() });
    Ok(ppp::config::Network { ipv4, ipv6 })
}

/// Keeps the way of a tunnel's own packets, whatever is routed into the tunnel later.
pub(super) fn protect(netlink: &Arc<Netlink>, peer: IpAddr) -> Result<Way> {
    let client = routes::Client::protect(netlink.clone(), peer)?;
    let fd = client.poll_fd().try_clone_to_owned().doing(|| "watching routes".into())?;
    Ok((client, readable(fd)?))
}

/// Binds a session to its interface.
pub(super) fn bind(
    session: &mut Session,
    dial: Option<&Dial>,
    netlink: &Arc<Netlink>,
    shared: &BTreeMap<String, Shared>,
    now: Instant,
) -> Result<()> {
    let Some(socket) = &session.socket else { return Ok(()) };
    let mut client = match (&mut session.pppd, dial) {
        (Some(pppd), _) => pppd.way.take(),
        // While nothing leads through the tunnel yet.
        (None, Some(dial)) if dial.default_route || !dial.routes.is_empty() => {
            Some(protect(netlink, session.peer.ip())?)
        }
        _ => None,
    };
    if let (Some((client, _)), Some(true)) = (&mut client, dial.map(|dial| dial.default_route)) {
        client.close_off()?;
    }
    let doing = || "the session's interface".to_owned();
    let (unit, interface, index, mtu) = match &session.pppd {
        Some(pppd) => {
            let (index, name) =
                pppd.interface().ok_or_else(|| Error::Gone("pppd's interface has gone".into()))?;
            (None, name, index, netlink.mtu(index).doing(doing)?)
        }
        None => {
            let unit = socket.unit(unit_config(session, shared)).doing(doing)?;
            let (interface, index, mtu) = (unit.interface(), unit.index(), unit.mtu());
            (Some(unit), interface, index, mtu)
        }
    };
    let shared = matches!(session.profile.interface, InterfaceChoice::Shared { .. });
    let mut no_ipv6 = None;
    if !shared && session.profile.ipv6 {
        let prepare = if dial.is_some() { advert::prepare_host } else { advert::prepare_router };
        no_ipv6 = prepare(&interface).err();
    }
    let up = Up {
        unit,
        interface,
        index,
        mtu,
        shared,
        since: now,
        ipv4: None,
        ipv6: None,
        no_ipv6,
        host: None,
        advertised: Advertised::default(),
        client,
        kept_out: None,
    };
    up.let_pass(None)?;
    if let Some(unit) = up.own_unit() {
        unit.set_up(true).doing(|| format!("setting interface {} up", up.interface))?;
    }
    session.up = Some(Box::new(up));
    Ok(())
}

fn unit_config(session: &Session, shared: &BTreeMap<String, Shared>) -> UnitConfig {
    let profile = &session.profile;
    let host = session.ipv4.as_ref().map(|lease| Prefix::host(lease.address().into()));
    let grant = session.grant.iter().flat_map(|grant| grant.routes.iter().copied());
    // What a user may send from.
    let mut sources: Vec<_> = host.into_iter().chain(session.prefix()).chain(grant).collect();
    let interface = match &profile.interface {
        InterfaceChoice::PerSession { name } => Interface::Own { name: name.clone() },
        InterfaceChoice::Shared { name } => {
            let name = shared.get(name).map_or_else(|| name.clone(), |shared| shared.interface.interface());
            sources.extend(session.shared_id().map(|id| Prefix::host(id.link_local().into())));
            Interface::Shared { name, addresses: std::mem::take(&mut sources) }
        }
    };
    let (mtu, mru, mss_clamp) = (profile.mtu, session.link_mru(), profile.mss_clamp);
    UnitConfig { interface, mtu, mru, mss_clamp, sources }
}

/// The interface is there: its link may have been negotiated anew.
pub(super) fn renew(session: &Session) -> Result<()> {
    match (session.up.as_ref().and_then(|up| up.own_unit()), session.link_mru()) {
        (Some(unit), Some(mru)) => {
            unit.set_mru(mru).doing(|| format!("setting the interface's MRU to {mru}"))
        }
        _ => Ok(()),
    }
}

/// Gives the interface its addresses, and routes what is behind the other end there.
pub(super) fn open(
    session: &mut Session,
    dial: Option<&Dial>,
    netlink: &Arc<Netlink>,
    shared: &BTreeMap<String, Shared>,
    local: IpAddr,
    remote: IpAddr,
    dns: &[IpAddr],
) -> Result<()> {
    let ipv4 = local.is_ipv4();
    let routed = match &session.profile.interface {
        InterfaceChoice::PerSession { .. } => &[][..],
        InterfaceChoice::Shared { name } => shared.get(name).map_or(&[][..], |shared| &shared.routed),
    };
    let behind = session.grant.iter().flat_map(|grant| grant.routes.iter().copied());
    let behind: Vec<_> = behind.collect();
    let (peer, prefix) = (session.peer.ip(), session.prefix());
    let Some(up) = &mut session.up else { return Ok(()) };
    if !ipv4 && let Some(why) = up.no_ipv6.take() {
        return Err(why);
    }
    // Before the address is there, which the kernel tells the link of.
    up.let_pass(Some(local))?;
    let has_peer = ipv4 && !up.shared && is_routed(dial, netlink, up.index, peer, (local, remote));
    let address = up.own_unit().is_some().then(|| match local {
        IpAddr::V4(_) => (Prefix::host(local), has_peer.then_some(remote)),
        IpAddr::V6(_) => (Prefix { address: local, len: 64 }, None),
    });
    if ipv4 && !has_peer && up.unit.is_none() {
        up.keep_out(netlink, remote)?;
    }
    let given = match (address, up.own_unit()) {
        (Some((local, remote)), Some(unit)) => {
            let doing = || format!("giving interface {} address {}", up.interface, local.address);
            unit.add_address(local, remote).doing(doing)
        }
        _ => Ok(()),
    };
    let of_family = |prefix: &Prefix| prefix.address.is_ipv4() == ipv4;
    let (interface, index, shared) = (&up.interface, up.index, up.shared);
    let routed = given.and_then(|()| match (dial, &mut up.client) {
        (Some(dial), Some((client, _))) => {
            let all = [routes::DEFAULT_V4, routes::DEFAULT_V6].concat();
            let all = all.into_iter().filter(|_| dial.default_route);
            let prefixes = all.chain(dial.routes.iter().copied()).filter(of_family);
            client.through(interface, index, &prefixes.collect::<Vec<_>>()).map(Some)
        }
        (Some(_), None) => Ok(None),
        (None, _) => {
            let host = Some(Prefix::host(remote)).filter(|_| ipv4 && shared);
            let there = |prefix: &Prefix| routed.iter().any(|all| all.contains(prefix.address));
            let of_session = prefix.into_iter().chain(host).filter(|prefix| !there(prefix));
            let prefixes: Vec<_> = behind.into_iter().chain(of_session).filter(of_family).collect();
            Routes::new(netlink.clone(), interface, index, peer, &prefixes).map(Some)
        }
    });
    let (routes, failed) = match routed {
        Ok(routes) => (routes, None),
        Err(error) => (None, Some(error)),
    };
    *up.slot(ipv4) = Some(Network { local, remote, dns: dns.into(), address, _routes: routes });
    failed.map_or(Ok(()), |error| {
        close(up, ipv4, netlink);
        Err(error)
    })
}

/// Whether the other end's IPv4 address is routed to an interface. Not if a server names one that is another host's:
/// a warning says so.
fn is_routed(
    dial: Option<&Dial>,
    netlink: &Netlink,
    index: u32,
    peer: IpAddr,
    (local, remote): (IpAddr, IpAddr),
) -> bool {
    let taken = |address| dial.is_some_and(|dial| is_taken(dial, netlink, index, address));
    if taken(local) {
        warn!(
            "{local}, which the server gives us, is in a network that is reached without it: a host there that has \
             this address cannot be reached meanwhile"
        );
    }
    if remote.is_unspecified() || routes::remote_is_peer(peer, remote) {
        return false;
    }
    let taken = taken(remote);
    if taken {
        warn!(
            "{remote}, which the server calls its own, is in a network that is reached without it: it is not routed \
             into the tunnel (routes = [\"{remote}\"] would do that)"
        );
    }
    !taken
}

/// Whether an address that a server names is in a network that this machine has already: it could be that of
/// any host there. Whoever routes it there means it. What leads to this interface is pppd's doing.
fn is_taken(dial: &Dial, netlink: &Netlink, index: u32, address: IpAddr) -> bool {
    // Neither a default route nor a route to this host alone, which is kept.
    let network = |len: u8| (2..32).contains(&len);
    let way = || {
        let way = netlink.route_to(address).ok()?;
        if way.index != Some(index) {
            return Some(way);
        }
        let others = netlink.routes(false).ok()?.into_iter().filter(|way| way.index != Some(index));
        others.filter(|way| way.destination.contains(address)).max_by_key(|way| way.destination.len)
    };
    !dial.routes.iter().any(|prefix| prefix.contains(address))
        && way().is_some_and(|way| network(way.destination.len))
}

/// Takes back all that the session had but its interface, which can be removed later: its addresses are free.
pub(super) fn take_down(mut up: Up, netlink: &Netlink) -> Option<Box<dyn Unit>> {
    close(&mut up, true, netlink);
    close(&mut up, false, netlink);
    up.unit
}

/// Takes back what [`open`] gave, while the interface stays.
pub(super) fn close(up: &mut Up, ipv4: bool, netlink: &Netlink) {
    if !ipv4 {
        up.forget_advertisements(netlink);
    }
    let address = up.slot(ipv4).take().and_then(|network| network.address);
    if let Err(error) = up.let_pass(None) {
        warn!("{error}");
    }
    if let Some((local, remote)) = address {
        up.take_address(netlink, local, remote);
    }
}
