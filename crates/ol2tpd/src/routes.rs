//! Routes into a tunnel, and the way of the tunnel's own packets around it.
//!
//! ```text
//!   peer/32  via the router as it was     metric 0    } the tunnel's own packets: never through the tunnel
//!   peer/32  unreachable                  metric max  } also not between the loss of a way and the next
//!   0.0.0.0/1, 128.0.0.0/1  dev ppp0                    all else; the system's default route stays as it is
//!   the same     unreachable             metric max     what the tunnel does not take (IPv6, say) goes nowhere
//! ```
//!
//! The way to the peer is the system's, looked up when nothing leads through the tunnel yet, and again
//! whenever routes, addresses or interfaces change (a laptop moves to another network). Policy rules
//! are followed at first; afterwards only the main table is. Routes have the protocol [`PROTOCOL`], so
//! that those which a killed daemon left behind are recognised, and removed by the [next](repair); those through
//! its interface went with it.

use std::fmt;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::libc;
use pppol2tp::Prefix;
use pppol2tp::netlink::{Netlink, Notice, Notices, Route, RouteKind};
use tracing::{info, warn};

use crate::error::{Doing, Result};

/// The folder that those lock who may have routes.
pub const LOCK: &str = "/run/ol2tp/routes";

/// The protocol number of our routes (`proto` in `ip route`): IP's number of L2TP.
pub const PROTOCOL: u8 = 115;

/// All of IPv4, in two prefixes that are preferred to the default route and leave it alone.
pub const DEFAULT_V4: [Prefix; 2] = [
    Prefix { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), len: 1 },
    Prefix { address: IpAddr::V4(Ipv4Addr::new(128, 0, 0, 0)), len: 1 },
];

/// All of IPv6, likewise.
pub const DEFAULT_V6: [Prefix; 2] = [
    Prefix { address: IpAddr::V6(Ipv6Addr::UNSPECIFIED), len: 1 },
    Prefix { address: IpAddr::V6(Ipv6Addr::new(0x8000, 0, 0, 0, 0, 0, 0, 0)), len: 1 },
];

/// Whether the peer of the PPP link has the very address that the tunnel's packets are sent to. An
/// interface that gets it as its peer address would swallow them: give it our address alone then.
pub fn remote_is_peer(peer: IpAddr, remote: IpAddr) -> bool {
    peer.to_canonical() == remote
}

/// The way to a tunnel's peer changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Moved {
    /// The peer.
    pub peer: IpAddr,
    /// The way now; `None`: there is none.
    pub way: Option<Route>,
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.way {
            Some(way) => write!(f, "the way to {} has changed: {way}", self.peer),
            None => write!(f, "there is no way to {} any more: waiting for one", self.peer),
        }
    }
}

/// A client's routes. Dropped: all that it added is removed, and nothing else.
pub struct Client {
    netlink: Arc<Netlink>,
    notices: Notices,
    peer: IpAddr,
    /// The tunnel's interface, once something is routed there.
    tunnel: Option<u32>,
    /// What keeps the way; `None` if the peer is this machine or the system has such a route itself.
    host: Option<Route>,
    /// What refuses packets that have no way; `None` if the peer is this machine.
    stop: Option<Route>,
    /// What keeps everything else from going past the tunnel.
    closed: Vec<Route>,
}

impl Client {
    /// Finds the way to a tunnel's peer and keeps it. To be called before the tunnel has an interface.
    ///
    /// Errors: there is no way, or CAP_NET_ADMIN is missing.
    pub fn protect(netlink: Arc<Netlink>, peer: IpAddr) -> Result<Self> {
        let peer = peer.to_canonical();
        let doing = || format!("keeping the route to {peer} outside the tunnel");
        let notices = Notices::open().doing(doing)?;
        let mut client =
            Self { netlink, notices, peer, tunnel: None, host: None, stop: None, closed: Vec::new() };
        // A link-local address is reached by its own interface, whatever else is routed.
        if !is_link_local(peer) {
            let way = client.way().doing(doing)?;
            let way = way.ok_or_else(|| io::Error::from_raw_os_error(libc::ENETUNREACH)).doing(doing)?;
            client.keep(Some(way)).doing(doing)?;
        }
        Ok(client)
    }

    /// Lets nothing go past the tunnel but its own packets: where no route leads through it, yet or at all
    /// (a server without IPv6), what the default route would take is unreachable.
    ///
    /// Errors: someone else has such a route.
    pub fn close_off(&mut self) -> Result<()> {
        for prefix in DEFAULT_V4.into_iter().chain(DEFAULT_V6) {
            let ours = Route::new(prefix, PROTOCOL);
            let route = Route { kind: RouteKind::Unreachable, metric: u32::MAX, ..ours };
            match add(&self.netlink, &route) {
                // A kernel without IPv6 lets none past.
                Err(error) if matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EOPNOTSUPP)) => {
                }
                added => {
                    added.doing(|| format!("keeping {}/{} out of other ways", prefix.address, prefix.len))?;
                    self.closed.push(route);
                }
            }
        }
        Ok(())
    }

    /// Routes prefixes through the tunnel's interface: all, or on an error none.
    ///
    /// Errors: the tunnel's own packets would go there too, or there is such a route already.
    pub fn through(&mut self, interface: &str, index: u32, prefixes: &[Prefix]) -> Result<Routes> {
        self.tunnel = Some(index);
        Routes::new(Arc::clone(&self.netlink), interface, index, self.peer, prefixes)
    }

    /// Readable when [`follow`](Self::follow) may have something to do.
    pub fn poll_fd(&self) -> BorrowedFd<'_> {
        self.notices.as_fd()
    }

    /// Looks whether the way to the peer is still the best, and takes the one that is. What keeps everything
    /// else from going past the tunnel is put back if someone has removed it: a daemon that starts may know
    /// nothing of this one, as one of a container with a `/run` of its own.
    ///
    /// Errors: the kernel refuses. The tunnel's packets do not go through the tunnel even then.
    pub fn follow(&mut self) -> Result<Option<Moved>> {
        let peer = self.peer;
        let doing = || format!("following the route to {peer}");
        let (mut concerned, mut opened) = (false, false);
        while let Some(notice) = self.notices.recv().doing(doing)? {
            opened |= match &notice {
                Notice::Route(route) => {
                    DEFAULT_V4.iter().chain(&DEFAULT_V6).any(|all| *all == route.destination)
                }
                Notice::Interface(_) => false,
                Notice::Lost => true,
            };
            concerned |= match notice {
                Notice::Route(route) => route.destination.contains(peer),
                Notice::Interface(index) => self.host.as_ref().is_none_or(|host| host.index == Some(index)),
                Notice::Lost => true,
            };
        }
        for route in self.closed.iter().filter(|_| opened) {
            add(&self.netlink, route).doing(doing)?;
        }
        if !concerned || is_link_local(peer) {
            return Ok(None);
        }
        let way = self.way().doing(doing)?;
        let before = self.host.as_ref().map(hop);
        self.keep(way.clone()).doing(doing)?;
        let moved = before != self.host.as_ref().map(hop);
        Ok(moved.then_some(Moved { peer, way }))
    }

    /// The system's route to the peer, as it is without ours and without the tunnel.
    fn way(&self) -> io::Result<Option<Route>> {
        let others = |route: &Route| {
            let usable = matches!(route.kind, RouteKind::Unicast | RouteKind::Local);
            usable && route.protocol != PROTOCOL && (route.index.is_none() || route.index != self.tunnel)
        };
        match self.netlink.route_to(self.peer) {
            Ok(route) if others(&route) => return Ok(Some(route)),
            Ok(_) => {}
            // What is unreachable says so in several ways, of which ours is one.
            Err(error) if no_way(&error) => {}
            Err(error) => return Err(error),
        }
        let routes = self.netlink.routes(self.peer.is_ipv6())?;
        let fitting =
            routes.into_iter().filter(|route| others(route) && route.destination.contains(self.peer));
        Ok(fitting.reduce(|best, next| {
            let better = |route: &Route| (route.destination.len, u32::MAX - route.metric);
            if better(&next) > better(&best) { next } else { best }
        }))
    }

    /// Makes the routes be those of this way.
    fn keep(&mut self, way: Option<Route>) -> io::Result<()> {
        let peer = Prefix::host(self.peer);
        // A local address needs no route.
        let way = way.filter(|way| way.kind == RouteKind::Unicast);
        let ours = Route::new(peer, PROTOCOL);
        if self.stop.is_none() && way.is_some() {
            self.stop = Some(Route { kind: RouteKind::Unreachable, metric: u32::MAX, ..ours.clone() });
        }
        // Where the system has one of this length, ours would be in its way.
        let host = way.filter(|way| way.destination.network() != peer).map(|way| Route {
            gateway: way.gateway,
            index: way.index,
            source: way.source,
            // The main table need not know the network of a gateway that a policy chose.
            onlink: way.onlink || (way.gateway.is_some() && way.table != ours.table),
            ..ours
        });
        if let Some(stop) = &self.stop {
            add(&self.netlink, stop)?;
        }
        if self.host != host
            && let Some(before) = self.host.take()
        {
            remove(&self.netlink, &before);
        }
        if let Some(host) = host {
            add(&self.netlink, &host)?;
            self.host = Some(host);
        }
        Ok(())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        for route in self.closed.iter().chain(&self.host).chain(&self.stop) {
            remove(&self.netlink, route);
        }
    }
}

/// Says that this daemon may have routes that stay behind if it is killed.
#[must_use]
#[derive(Debug)]
pub struct Claim(#[allow(dead_code, reason = "its end is what counts")] Flock<File>);

/// Removes the routes of [`Client`]s that were killed: what refuses packets would go on doing so. If another
/// daemon claims by the folder `lock` that they may be its own, they stay. What cannot be done is logged.
///
/// It never waits: whoever looks at the same time keeps this one from a claim, and then the caller may try again.
pub fn repair(netlink: &Netlink, lock: &Path) -> Option<Claim> {
    let repair = || {
        if let Some(folder) = lock.parent() {
            fs::create_dir_all(folder)?;
        }
        // A folder can be locked too, and leaves no file behind. Nobody else can open this one, and so lock it.
        match DirBuilder::new().mode(0o700).create(lock) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let alone = match Flock::lock(File::open(lock)?, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => lock,
            Err((file, Errno::EWOULDBLOCK)) => {
                return Flock::lock(file, FlockArg::LockSharedNonblock).map_err(|(_, errno)| errno.into());
            }
            Err((_, errno)) => return Err(errno.into()),
        };
        for ipv6 in [false, true] {
            // A kernel without IPv6 has none.
            let routes = netlink.routes(ipv6).unwrap_or_default();
            let ours = |route: &&Route| route.protocol == PROTOCOL;
            let stops = |route: &&Route| route.kind == RouteKind::Unreachable && route.metric == u32::MAX;
            for stop in routes.iter().filter(ours).filter(stops) {
                // What leads into a tunnel would have gone with its interface.
                let host = stop.destination == Prefix::host(stop.destination.address);
                let left = |route: &&Route| route.destination == stop.destination && (host || stops(route));
                for route in routes.iter().filter(ours).filter(left) {
                    info!("removing the route {route} of a run that was killed");
                    remove(netlink, route);
                }
            }
        }
        alone.relock(FlockArg::LockSharedNonblock)?;
        Ok(alone)
    };
    let claim: io::Result<_> = repair();
    claim
        .inspect_err(|error| {
            info!("{}: {error}: routes of runs that were killed are not looked for", lock.display());
        })
        .ok()
        .map(Claim)
}

/// Routes to an interface: a client's, or those that a server adds for a user's prefixes. Dropped: they are
/// removed.
#[must_use]
pub struct Routes {
    netlink: Arc<Netlink>,
    added: Vec<Route>,
}

impl Routes {
    /// Routes prefixes to a session's interface: all, or on an error none. `peer` is the tunnel's.
    ///
    /// Errors: the tunnel's own packets would go there too, or there is such a route already.
    pub fn new(
        netlink: Arc<Netlink>,
        interface: &str,
        index: u32,
        peer: IpAddr,
        prefixes: &[Prefix],
    ) -> Result<Self> {
        let mut routes = Self { netlink, added: Vec::new() };
        for prefix in prefixes {
            routes.add(interface, index, peer.to_canonical(), *prefix)?;
        }
        Ok(routes)
    }

    fn add(&mut self, interface: &str, index: u32, peer: IpAddr, prefix: Prefix) -> Result<()> {
        let route = Route { index: Some(index), ..Route::new(prefix.network(), PROTOCOL) };
        let doing = || format!("routing {}/{} to {interface}", prefix.address, prefix.len);
        let closer = || self.netlink.route_to(peer).is_ok_and(|way| way.destination.len > prefix.len);
        if prefix.contains(peer) && !closer() {
            return Err(io::Error::other(format!(
                "the tunnel's own packets to its peer {peer} would go into the tunnel again. Route less \
                 there, or add a route to {peer} outside the tunnel first (ip route add {peer} via ROUTER)"
            )))
            .doing(doing);
        }
        match self.netlink.add(&route) {
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => {
                let there =
                    existing(&self.netlink, &route).map(|there| format!(" ({there})")).unwrap_or_default();
                Err(io::Error::other(format!(
                    "there is such a route already{there}: remove it, or do without this one"
                )))
            }
            done => done,
        }
        .doing(doing)?;
        self.added.push(route);
        Ok(())
    }
}

impl Drop for Routes {
    fn drop(&mut self) {
        for route in self.added.iter().rev() {
            remove(&self.netlink, route);
        }
    }
}

/// Adds a route to a host. One of ours that a killed daemon left there, or that another one shares, is replaced.
fn add(netlink: &Netlink, route: &Route) -> io::Result<()> {
    match netlink.add(route) {
        Err(error) if error.raw_os_error() == Some(libc::EEXIST) => match existing(netlink, route) {
            Some(there) if hop(&there) == hop(route) => Ok(()),
            Some(there) if there.protocol == PROTOCOL => {
                netlink.remove(&there)?;
                netlink.add(route)
            }
            _ => Err(error),
        },
        done => done,
    }
}

fn existing(netlink: &Netlink, route: &Route) -> Option<Route> {
    let Prefix { address, .. } = route.destination;
    // IPv6 has no metric 0.
    let metric = if route.metric == 0 && address.is_ipv6() { 1024 } else { route.metric };
    let routes = netlink.routes(address.is_ipv6()).ok()?;
    routes.into_iter().find(|there| there.destination == route.destination && there.metric == metric)
}

fn remove(netlink: &Netlink, route: &Route) {
    match netlink.remove(route) {
        // It went with its interface or that one's address.
        Err(error) if !matches!(error.raw_os_error(), Some(libc::ESRCH | libc::ENODEV | libc::ENETDOWN)) => {
            warn!("the route {route} cannot be removed: {error}");
        }
        _ => {}
    }
}

/// What tells two ways to the same host apart.
fn hop(route: &Route) -> (RouteKind, Option<IpAddr>, Option<u32>, u8) {
    // IPv6 gives what leads nowhere the loopback interface.
    let index = route.index.filter(|_| route.kind != RouteKind::Unreachable);
    (route.kind, route.gateway, index, route.protocol)
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

fn no_way(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::ENETUNREACH | libc::EHOSTUNREACH | libc::EACCES | libc::EINVAL | libc::EAGAIN)
    )
}
