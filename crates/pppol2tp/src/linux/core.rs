//! What exists in the driver: handles, tunnels, sessions, and how they come and go.
//!
//! Locks are taken in this order: the registry, an inbox, a session's state, a tunnel's sockets.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};
use std::{io, thread};

use l2tp_data::proc::bucket;
use l2tp_data::rules::SocketOption;
use nix::net::if_::if_nametoindex;

use super::failed;
use super::proc::{self, Told};
use super::session::Session;
use super::tunnel::Tunnel;
use super::udp::Udp;
use crate::connect;
use crate::netlink::Netlink;
use crate::user::Mode;
use crate::{DebugMask, Result, SessionInfo, Snapshot, SocketInfo, TunnelInfo};

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) struct Core {
    pub(super) netlink: Netlink,
    clamp: Once,
    registry: Mutex<Registry>,
}

/// A tunnel and its sessions, with numbers that grow from the older to the newer.
pub(super) struct Known {
    pub(super) tunnel: Arc<Tunnel>,
    pub(super) born: u64,
    pub(super) sessions: BTreeMap<u16, Arc<Session>>,
}

/// All there is.
#[derive(Default)]
pub(super) struct Registry {
    pub(super) handles: BTreeMap<u64, Arc<Udp>>,
    pub(super) tunnels: BTreeMap<u16, Known>,
    /// When tunnels ended whose ids nobody has taken since.
    ended: BTreeMap<u16, Instant>,
    births: u64,
}

/// How long the kernel may take to let go of an id.
pub(super) const CLOSING: Duration = Duration::from_millis(200);
/// How long it is that a tunnel of ours may be who has an id still; else it is another process's.
const ENDED: Duration = Duration::from_secs(1);

/// Connects; again for `patience` as long as the id is taken: the kernel ends in its own time what was closed,
/// and tells nobody when that is done.
pub(super) fn patiently<T>(patience: Duration, connect: impl Fn() -> io::Result<T>) -> io::Result<T> {
    let end = Instant::now() + patience;
    loop {
        match connect() {
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) && Instant::now() < end => {
                thread::sleep(Duration::from_millis(1));
            }
            result => return result,
        }
    }
}

impl Registry {
    pub(super) fn birth(&mut self) -> u64 {
        self.births += 1;
        self.births
    }

    /// Keeps a new tunnel.
    pub(super) fn add(&mut self, tunnel: Arc<Tunnel>) {
        self.ended.remove(&tunnel.id);
        let born = self.birth();
        self.tunnels.insert(tunnel.id, Known { tunnel, born, sessions: BTreeMap::new() });
    }

    /// Ends a tunnel from the [inside out](super): sessions, management socket, UDP socket.
    fn end(&mut self, tunnel_id: u16) {
        let Some(Known { tunnel, sessions, .. }) = self.tunnels.remove(&tunnel_id) else { return };
        sessions.values().for_each(Session::end);
        tunnel.end();
        self.ended.insert(tunnel_id, Instant::now());
    }

    /// How long to wait for an id that is taken: not for another process's, while there are tunnels that would
    /// wait too. The first tunnel may have the id of a process that has just ended.
    pub(super) fn patience(&self, tunnel_id: u16) -> Duration {
        let ours = self.ended.get(&tunnel_id).is_some_and(|ended| ended.elapsed() < ENDED);
        if ours || self.tunnels.is_empty() { CLOSING } else { Duration::ZERO }
    }
}

impl connect::Known for Known {
    fn peer_id(&self) -> u16 {
        self.tunnel.peer_id.load(Relaxed)
    }

    fn peer(&self) -> SocketAddr {
        self.tunnel.peer
    }

    fn has_session(&self, id: u16) -> bool {
        self.sessions.contains_key(&id)
    }
}

impl Core {
    pub(super) fn new() -> Result<Self> {
        let netlink = Netlink::open().map_err(|error| failed("opening rtnetlink", &error))?;
        Ok(Self { netlink, clamp: Once::new(), registry: Mutex::default() })
    }

    pub(super) fn registry(&self) -> MutexGuard<'_, Registry> {
        lock(&self.registry)
    }

    /// Says once that nobody lowers the MSS here.
    pub(super) fn no_mss_clamp(&self) {
        self.clamp.call_once(|| {
            tracing::warn!(
                target: "pppol2tp",
                "the kernel's driver does not lower the MSS of TCP: let nftables do it \
                 (tcp option maxseg size set rt mtu), or use driver = \"user\""
            );
        });
    }

    /// Ends a handle: its tunnels and their sessions die with it.
    pub(super) fn close_handle(&self, handle: &Arc<Udp>) {
        let mut registry = self.registry();
        registry.handles.remove(&handle.serial);
        let ours = |known: &Known| known.tunnel.is_of(handle);
        let ids: Vec<_> =
            registry.tunnels.iter().filter(|(_, known)| ours(known)).map(|(id, _)| *id).collect();
        ids.into_iter().for_each(|id| registry.end(id));
    }

    /// Ends a tunnel, if it has not ended yet.
    pub(super) fn end_tunnel(&self, tunnel: &Arc<Tunnel>) {
        let mut registry = self.registry();
        let is_there =
            registry.tunnels.get(&tunnel.id).is_some_and(|known| Arc::ptr_eq(&known.tunnel, tunnel));
        if is_there {
            registry.end(tunnel.id);
        }
    }

    pub(super) fn foreign_interfaces(&self) -> BTreeMap<(u16, u16), String> {
        let registry = self.registry();
        let foreign = |(tunnel, session): &(u16, u16)| {
            let known = registry.tunnels.get(tunnel).and_then(|known| known.sessions.get(session));
            known.is_some_and(|session| session.state().unit.is_none())
        };
        let told = proc::read().into_iter().filter(|(ids, _)| foreign(ids));
        told.filter_map(|(ids, told)| Some((ids, told.interface?))).collect()
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let registry = self.registry();
        let told = proc::read();
        let mut snapshot = Snapshot::default();
        for handle in registry.handles.values() {
            let counters = lock(&handle.inbox).counters.list();
            snapshot.sockets.push(SocketInfo { local: handle.local, mode: Mode::PLAIN, counters });
        }
        let mut known: Vec<_> = registry.tunnels.values().collect();
        known.sort_by_key(|known| std::cmp::Reverse(known.born));
        for Known { tunnel, sessions, .. } in known {
            snapshot.tunnels.push(TunnelInfo {
                tunnel_id: tunnel.id,
                peer_tunnel_id: tunnel.peer_id.load(Relaxed),
                local: tunnel.udp_local,
                peer: tunnel.peer,
                debug: DebugMask(tunnel.get(SocketOption::Debug).unwrap_or_default() as u32),
                references: sessions.len() + tunnel.management.load(Relaxed),
                stats: tunnel.stats(None).unwrap_or_default(),
                rx_foreign: 0,
            });
            let mut sessions: Vec<_> = sessions.values().collect();
            sessions
                .sort_by_key(|session| (bucket(session.ids.session_id), std::cmp::Reverse(session.serial)));
            snapshot.sessions.extend(sessions.iter().map(|session| info(session, &told, &self.netlink)));
        }
        snapshot
    }
}

fn info(session: &Session, told: &BTreeMap<(u16, u16), Told>, netlink: &Netlink) -> SessionInfo {
    let get = |option| session.get(option).unwrap_or_default();
    let unit = session.state().unit.clone();
    let known = told.get(&(session.ids.tunnel_id, session.ids.session_id));
    let Told { nr, ns, interface } = known.cloned().unwrap_or_default();
    let foreign = interface.filter(|_| unit.is_none());
    let mtu = match (&unit, &foreign) {
        (Some(unit), _) => Some(unit.mtu.load(Relaxed)),
        (None, Some(name)) => if_nametoindex(&**name).ok().and_then(|index| netlink.mtu(index).ok()),
        (None, None) => None,
    };
    let mtu = mtu.unwrap_or_else(|| session.tunnel.mtu());
    let mru = unit.as_ref().map_or(u16::MAX, |unit| unit.mru.load(Relaxed));
    SessionInfo {
        fast: None,
        ids: session.ids(),
        peer: session.tunnel.peer,
        bound: unit.is_some() || foreign.is_some(),
        recv_seq: get(SocketOption::RecvSeq) != 0,
        send_seq: get(SocketOption::SendSeq) != 0,
        lns_mode: get(SocketOption::LnsMode) != 0,
        reorder_timeout: get(SocketOption::ReorderTo) as u32,
        debug: DebugMask(get(SocketOption::Debug) as u32),
        mtu,
        mru: if mru == u16::MAX { mtu } else { mru },
        nr,
        ns,
        interface: unit.map(|unit| unit.name.clone()).or(foreign),
        stats: session.stats().unwrap_or_default(),
    }
}
