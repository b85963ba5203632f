//! What exists in a driver: sockets, tunnels, sessions and interfaces, and how they come and go.
//!
//! The registry is locked by callers only; the data threads never touch it, so a caller may hold it
//! while it waits for them.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, MutexGuard, Weak};

use l2tp_data::proc::bucket;
use l2tp_data::stats::Stats;

use super::down::Down;
use super::fast::{self, FastPath, Programs};
use super::log::Log;
use super::state::{Counter, Interface, Session, Tunnel, Udp, UdpCounters, lock};
use super::up::Up;
use super::worker::{self, Mailbox};
use super::{Config, MAX_SHARDS, Mode};
use crate::connect;
use crate::netlink::{Netlink, Notice};
use crate::{DebugMask, Errno, Error, Result, SessionInfo, Snapshot, SocketInfo, TunnelInfo};

/// A driver's threads and what they work on.
pub(super) struct Core {
    pub(super) mode: Mode,
    pub(super) log: Arc<Log>,
    pub(super) netlink: Arc<Netlink>,
    pub(super) shards: Vec<Arc<Shard>>,
    pub(super) fast: FastPath,
    data_checksums: bool,
    registry: Mutex<Registry>,
}

/// A pair of threads: *up* has the receive halves of the sessions of its tunnels, *down* the transmit halves of those of
/// its interfaces.
pub(super) struct Shard {
    pub(super) up: Mailbox<Up>,
    pub(super) down: Mailbox<Down>,
}

impl Shard {
    fn start(
        number: usize,
        of: usize,
        mode: Mode,
        log: &Arc<Log>,
        netlink: &Arc<Netlink>,
        programs: Option<&Arc<Programs>>,
    ) -> io::Result<Self> {
        let name = |way| if of == 1 { format!("ol2tp-{way}") } else { format!("ol2tp-{way}-{number}") };
        let (up_log, up_netlink, down_log) = (log.clone(), netlink.clone(), log.clone());
        let (up_programs, down_programs) = (programs.cloned(), programs.cloned());
        let up = worker::start(
            &name("up"),
            move |epoll| Up::new(epoll, mode, up_log, up_netlink, up_programs),
            |up: Up, commands| up.run(&commands),
        )?;
        let down = worker::start(
            &name("down"),
            move |epoll| Down::new(epoll, mode, down_log, down_programs),
            |down: Down, commands| down.run(&commands),
        )?;
        Ok(Self { up, down })
    }
}

/// Numbers of table entries, the lowest free one first.
#[derive(Default)]
pub(super) struct Slots {
    free: Vec<u32>,
    next: u32,
}

impl Slots {
    pub(super) fn get(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            self.next += 1;
            self.next - 1
        })
    }

    pub(super) fn put(&mut self, slot: u32) {
        self.free.push(slot);
    }
}

/// A tunnel and its sessions, with numbers that grow from the older to the newer.
pub(super) struct Known {
    pub(super) tunnel: Arc<Tunnel>,
    pub(super) born: u64,
    pub(super) sessions: BTreeMap<u16, (u64, Arc<Session>)>,
}

/// All there is.
#[derive(Default)]
pub(super) struct Registry {
    /// UDP sockets, each alone or as a group, by their slots.
    pub(super) sockets: BTreeMap<u32, Arc<[Arc<Udp>]>>,
    pub(super) tunnels: BTreeMap<u16, Known>,
    pub(super) shared: BTreeMap<String, Arc<Interface>>,
    pub(super) births: u64,
    pub(super) socket_slots: Slots,
    pub(super) tunnel_slots: Slots,
    pub(super) session_slots: Slots,
    pub(super) interface_slots: Slots,
}

impl Registry {
    pub(super) fn birth(&mut self) -> u64 {
        self.births += 1;
        self.births
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
    pub(super) fn start(config: Config) -> Result<Self> {
        let system = |error| Error::system("starting the driver", &error);
        let Config { mode, debug_rate, shards: count, fast, data_checksums } = config;
        if !(1..=MAX_SHARDS).contains(&count) {
            let message = format!("the driver has 1 to {MAX_SHARDS} shards, not {count}");
            return Err(Error::new(Errno::Inval, message));
        }
        let log = Arc::new(Log::new(debug_rate));
        let netlink = Arc::new(Netlink::open().map_err(system)?);
        let ways = fast.programs().ok();
        let start = |number| Shard::start(number, count, mode, &log, &netlink, ways).map(Arc::new);
        let shards: Vec<_> = (0..count).map(start).collect::<io::Result<_>>().map_err(system)?;
        for shard in &shards {
            let others = shards.iter().filter(|other| !Arc::ptr_eq(other, shard));
            let others: Vec<Weak<_>> = others.map(Arc::downgrade).collect();
            shard.up.leave(move |up| up.set_others(others))?;
        }
        Ok(Self { mode, log, netlink, shards, fast, data_checksums, registry: Mutex::default() })
    }

    /// Tells the fast path what a session is like now.
    pub(super) fn refresh(&self, session: &Arc<Session>) {
        if self.fast.programs().is_err() {
            return;
        }
        let unit = lock(&session.unit).clone();
        // Programs know nothing of one that is bound to nothing.
        let Some(unit) = unit else { return };
        let wanted = || {
            let way = lock(&session.tunnel.way).get_or_insert_with(|| self.way(&session.tunnel)).clone()?;
            let programs = self.fast.programs()?;
            let tunnel_way = programs.tunnel_way(session.tunnel.slot);
            fast::entry(session, &unit, &way, tunnel_way, self.data_checksums)
        };
        if session.fast.set(fast::ids(session), wanted())
            && let Ok(programs) = self.fast.programs()
        {
            programs.open_later(session);
        }
    }

    /// Has the threads see to it that a session becomes fast.
    pub(super) fn open_ways(&self, session: &Arc<Session>) {
        let (up, down) = (session.clone(), session.clone());
        let transmit = *lock(&session.transmit);
        // Errors say that the thread is gone, and all frames with it.
        let _ = self.shards[session.tunnel.shard].up.post(move |threads| threads.open_way(&up));
        let _ = self.shards[transmit].down.post(move |threads| threads.open_way(&down));
    }

    /// How the fast path reaches a tunnel's peer.
    fn way(&self, tunnel: &Tunnel) -> std::result::Result<fast::Path, fast::Why> {
        if !self.fast.programs().is_ok_and(|programs| programs.has_tunnel(tunnel.slot)) {
            return Err("there are as many tunnels as the fast path has room for".into());
        }
        let udp = tunnel.udp(tunnel.shard).ok_or("its UDP socket is closed")?;
        fast::path(&self.netlink, tunnel, &udp)
    }

    /// Looks again at tunnels of which something has been told, and at those whose way to the peer may be another one now.
    pub(super) fn look_again(&self, told: &BTreeSet<u16>, changes: &[Notice], all: bool) {
        let Ok(programs) = self.fast.programs() else { return };
        let ours = |index: &u32| programs.is_outer(*index);
        let relevant: Vec<_> = changes
            .iter()
            .filter(|notice| !matches!(notice, Notice::Interface(index) if !ours(index)))
            .collect();
        if relevant.is_empty() && told.is_empty() && !all {
            return;
        }
        let concerns = |tunnel: &Tunnel| {
            relevant.iter().any(|notice| match notice {
                Notice::Route(route) => route.destination.contains(tunnel.peer.ip()),
                Notice::Interface(_) | Notice::Lost => true,
            })
        };
        let looked_at = |tunnel: &Tunnel| all || told.contains(&tunnel.id) || concerns(tunnel);
        let tunnels: Vec<_> = {
            let registry = self.registry();
            let tunnels = registry.tunnels.values().map(|known| &known.tunnel);
            tunnels.filter(|tunnel| looked_at(tunnel)).cloned().collect()
        };
        for tunnel in tunnels {
            let before = lock(&tunnel.way).clone();
            let now = before.as_ref().map(|_| self.way(&tunnel));
            if now != before || told.contains(&tunnel.id) {
                *lock(&tunnel.way) = now;
                self.refresh_tunnel(&tunnel);
            }
        }
    }

    /// The same for all sessions of a tunnel.
    pub(super) fn refresh_tunnel(&self, tunnel: &Arc<Tunnel>) {
        if self.fast.programs().is_err() {
            return;
        }
        let sessions: Vec<_> = match self.registry().tunnels.get(&tunnel.id) {
            Some(known) if Arc::ptr_eq(&known.tunnel, tunnel) => {
                known.sessions.values().map(|(_, session)| session.clone()).collect()
            }
            _ => return,
        };
        sessions.iter().for_each(|session| self.refresh(session));
    }

    pub(super) fn registry(&self) -> MutexGuard<'_, Registry> {
        lock(&self.registry)
    }

    /// A CONTROL message of an object, if its mask has that.
    pub(super) fn control(
        &self,
        mask: DebugMask,
        object: impl std::fmt::Display,
        message: impl std::fmt::Display,
    ) {
        if mask.has(DebugMask::CONTROL) {
            self.log.debug(self.log.now(), object, message);
        }
    }

    /// A failed connect is told whatever the masks are.
    pub(super) fn connect_failed(&self, object: impl std::fmt::Display, error: &Error) {
        self.log.debug(self.log.now(), object, format_args!("connect failed: {error}"));
    }

    /// What a UDP socket passes up is told under the masks of all its tunnels.
    pub(super) fn gather_masks(&self, socket: u32) {
        let registry = self.registry();
        let ours = registry.tunnels.values().filter(|known| known.tunnel.udp_slot == socket);
        let mask = ours.fold(0, |mask, known| mask | known.tunnel.mask().0);
        let group = registry.sockets.get(&socket);
        group.into_iter().flat_map(|group| &**group).for_each(|udp| udp.debug.store(mask, Relaxed));
    }

    /// Takes over the peer's tunnel id that a `connect` was accepted with.
    pub(super) fn learn_peer_id(&self, tunnel: &Tunnel, id: u16) -> Result<()> {
        if tunnel.peer_id.swap(id, Relaxed) != id {
            let slot = tunnel.slot;
            // Any of them may have sessions of it.
            self.shards
                .iter()
                .try_for_each(|shard| shard.down.leave(move |down| down.set_peer_id(slot, id)))?;
        }
        Ok(())
    }

    /// Waits until the threads have done all that was left for them before.
    fn settle(&self) {
        for shard in &self.shards {
            // Errors say that a thread is gone, and nothing is left for it.
            let _ = shard.up.call(|_| ());
            let _ = shard.down.call(|_| ());
        }
    }

    /// Ends a UDP socket, or a group of them: its tunnels and their sessions die with it.
    pub(super) fn close_socket(&self, group: &[Arc<Udp>]) {
        let Some(slot) = group.first().map(|udp| udp.slot) else { return };
        // First of all: what still comes for its sessions is nobody's, and no drop to tell of.
        let remove = |udp: &Arc<Udp>| self.shards[udp.shard].up.call(move |up| up.remove_socket(slot));
        let gone = group.iter().map(remove).fold(Ok(()), Result::and);
        group.iter().for_each(|udp| udp.passed.close());
        let tunnels: Vec<_> = {
            let mut registry = self.registry();
            registry.sockets.remove(&slot);
            let ours = registry.tunnels.values().filter(|known| known.tunnel.udp_slot == slot);
            ours.map(|known| known.tunnel.clone()).collect()
        };
        tunnels.iter().for_each(|tunnel| self.end_tunnel(tunnel));
        // The threads have let go of it: it is closed.
        self.settle();
        if gone.is_ok() {
            self.registry().socket_slots.put(slot);
        }
    }

    /// Ends a tunnel: its sessions die, its id is free again.
    pub(super) fn end_tunnel(&self, tunnel: &Arc<Tunnel>) {
        let mut registry = self.registry();
        let known = match registry.tunnels.get(&tunnel.id) {
            Some(known) if Arc::ptr_eq(&known.tunnel, tunnel) => registry.tunnels.remove(&tunnel.id),
            _ => None,
        };
        let Some(known) = known else { return };
        tunnel.alive.store(false, Relaxed);
        self.control(tunnel.mask(), tunnel, "closing all sessions");
        self.end_sessions(&mut registry, known.sessions.into_values().map(|(_, session)| session));
        let slot = tunnel.slot;
        let up = &self.shards[tunnel.shard].up;
        if up.leave(move |up| up.remove_tunnel(slot)).is_ok() {
            registry.tunnel_slots.put(slot);
        }
        // Those that pass up are told there.
        up.wake();
        drop(registry);
        if tunnel.mask() != DebugMask::default() {
            self.gather_masks(tunnel.udp_slot);
        }
    }

    /// Ends sessions that the registry does not have any more: whoever waits for them is woken. Their
    /// slots are free: what comes to be in them is told to the threads after this.
    pub(super) fn end_sessions(
        &self,
        registry: &mut Registry,
        sessions: impl IntoIterator<Item = Arc<Session>>,
    ) {
        for session in sessions.into_iter().filter(|session| session.alive.swap(false, Relaxed)) {
            let slot = session.slot;
            let up = self.shards[session.tunnel.shard].up.leave(move |up| up.remove_session(slot));
            let down =
                self.shards[*lock(&session.transmit)].down.leave(move |down| down.remove_session(slot));
            if up.is_ok() && down.is_ok() {
                registry.session_slots.put(slot);
            }
            self.control(session.mask(), &*session, "closing session");
            session.fast.stop();
            session.inbox.close();
            if let Some(unit) = &*lock(&session.unit) {
                unit.close();
            }
        }
    }

    /// A tunnel's counters, after all that was left for the threads.
    pub(super) fn settled_stats(&self, known: &Known) -> Stats {
        self.settle();
        self.tunnel_stats(known)
    }

    /// A tunnel's counters: of its sessions and of those it had.
    fn tunnel_stats(&self, known: &Known) -> Stats {
        let mut stats = *lock(&known.tunnel.past);
        known.sessions.values().for_each(|(_, session)| stats.add_session(&session.stats()));
        stats
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let registry = self.registry();
        self.settle();
        let mut known: Vec<_> = registry.tunnels.values().collect();
        known.sort_by_key(|known| std::cmp::Reverse(known.born));
        let mut snapshot = Snapshot::default();
        snapshot.sockets.extend(registry.sockets.values().filter_map(|group| self.socket_info(group)));
        for known in known {
            snapshot.tunnels.push(self.tunnel_info(known));
            let mut sessions: Vec<_> = known.sessions.values().collect();
            sessions
                .sort_by_key(|(born, session)| (bucket(session.ids.session_id), std::cmp::Reverse(*born)));
            snapshot.sessions.extend(sessions.iter().map(|(_, session)| session_info(session)));
        }
        snapshot
    }

    fn socket_info(&self, group: &[Arc<Udp>]) -> Option<SocketInfo> {
        let first = group.first()?;
        let sum = |counter: fn(&UdpCounters) -> &Counter| {
            group.iter().map(|udp| counter(&udp.counters).get()).sum()
        };
        let gso = group.iter().all(|udp| udp.segments.load(Relaxed) > 1);
        Some(SocketInfo {
            local: first.local,
            mode: Mode { gso, gro: first.gro, ..self.mode },
            counters: vec![
                ("rx_control", sum(|counters| &counters.control)),
                ("rx_control_dropped", sum(|counters| &counters.control_dropped)),
                ("rx_short", sum(|counters| &counters.short)),
                ("rx_version", sum(|counters| &counters.version)),
                ("rx_unknown_session", sum(|counters| &counters.unknown_session)),
                ("rx_frames", sum(|counters| &counters.frames)),
                ("rx_frames_dropped", sum(|counters| &counters.frames_dropped)),
                ("rx_passed_up_dropped", sum(|counters| &counters.other_dropped)),
                ("rx_truncated", sum(|counters| &counters.truncated)),
                ("icmp_errors", sum(|counters| &counters.errors)),
            ],
        })
    }

    fn tunnel_info(&self, known: &Known) -> TunnelInfo {
        let tunnel = &known.tunnel;
        TunnelInfo {
            tunnel_id: tunnel.id,
            peer_tunnel_id: tunnel.peer_id.load(Relaxed),
            local: tunnel.udp_local,
            peer: tunnel.peer,
            debug: tunnel.mask(),
            references: known.sessions.len() + tunnel.management.load(Relaxed),
            stats: self.tunnel_stats(known),
            rx_foreign: tunnel.rx_foreign.get(),
        }
    }
}

fn session_info(session: &Session) -> SessionInfo {
    let options = *lock(&session.options);
    let unit = lock(&session.unit).clone();
    let mtu = match &unit {
        Some(unit) => unit.interface.mtu.load(Relaxed),
        None => session.tunnel.mtu(),
    };
    let mru = unit.as_ref().map_or(u16::MAX, |unit| unit.mru.load(Relaxed));
    SessionInfo {
        ids: session.ids(),
        peer: session.tunnel.peer,
        bound: unit.is_some(),
        recv_seq: options.recv_seq,
        send_seq: session.send_seq.get(),
        lns_mode: options.lns_mode,
        reorder_timeout: options.reorder_timeout,
        debug: session.mask(),
        mtu,
        mru: if mru == u16::MAX { mtu } else { mru },
        nr: session.nr.load(Relaxed),
        ns: session.ns.load(Relaxed),
        fast: Some(match &unit {
            None => Err("it is bound to no interface".into()),
            Some(_) => session.fast.why().map_or(Ok(()), Err),
        }),
        interface: unit.map(|unit| unit.interface.name.clone()),
        stats: session.stats(),
    }
}
