//! Management sockets.

use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use l2tp_data::rules::{self, Target};
use l2tp_data::stats::Stats;

use super::core::{Core, Known};
use super::select;
use super::state::{Counter, Tunnel, Udp};
use super::udp::canonical;
use crate::sys::Destination;
use crate::{DebugMask, Errno, Error, Result, SocketOption, TunnelConfig, TunnelSocket, connect};

/// A management socket of a tunnel.
pub(super) struct Socket {
    core: Arc<Core>,
    pub(super) tunnel: Arc<Tunnel>,
}

impl Socket {
    /// Makes the tunnel, or attaches to it if the UDP socket has it already.
    pub(super) fn connect(core: Arc<Core>, group: &Arc<[Arc<Udp>]>, config: TunnelConfig) -> Result<Self> {
        let udp = group.first().ok_or(Errno::BadF)?;
        let peer = canonical(config.peer);
        if !udp.v6 && peer.is_ipv6() {
            let message =
                format!("{peer} is not reachable from the IPv4 socket {}; use an IPv6 socket", udp.local);
            return Err(Error::new(Errno::AfNoSupport, message));
        }
        if let Some(other) = udp.connected.filter(|&connected| connected != peer) {
            let message = format!(
                "the UDP socket is connected to {other}, the tunnel's peer is {peer}; make them the same"
            );
            return Err(Error::new(Errno::Inval, message));
        }
        let mut registry = core.registry();
        let is_ours = |known: &Known| known.tunnel.udp_slot == udp.slot;
        let (known, peer_id) = connect::tunnel(&registry.tunnels, &config, peer, &is_ours)?;
        if let Some(known) = known {
            let tunnel = known.tunnel.clone();
            core.learn_peer_id(&tunnel, peer_id)?;
            tunnel.management.fetch_add(1, Relaxed);
            drop(registry);
            core.refresh_tunnel(&tunnel);
            core.control(tunnel.mask(), &tunnel, "management socket created");
            return Ok(Self { core, tunnel });
        }
        let connected = udp.connected.is_some();
        let tunnel = Arc::new(Tunnel {
            id: config.tunnel_id,
            slot: registry.tunnel_slots.get(),
            shard: group[select::shard(peer.ip(), group.len())].shard,
            peer_id: AtomicU16::new(peer_id),
            peer,
            local: config.local,
            destination: Destination::new(
                (!connected).then_some(peer),
                config.local.filter(|_| !connected),
                udp.v6,
            ),
            udp: Arc::downgrade(group),
            udp_slot: udp.slot,
            udp_local: udp.local,
            debug: AtomicU32::new(0),
            rx_foreign: Counter::default(),
            accept_zero_id: config.accept_zero_id,
            peer_fast: AtomicBool::new(false),
            way: Mutex::default(),
            path_mtu: AtomicU16::new(1500),
            management: AtomicUsize::new(1),
            past: Mutex::default(),
            alive: AtomicBool::new(true),
        });
        tunnel.learn_path_mtu();
        if let Ok(programs) = core.fast.programs() {
            programs.add_tunnel(tunnel.slot);
        }
        let added = tunnel.clone();
        core.shards[tunnel.shard].up.leave(move |up| up.add_tunnel(added))?;
        let known = Known { tunnel: tunnel.clone(), born: registry.birth(), sessions: Default::default() };
        registry.tunnels.insert(tunnel.id, known);
        drop(registry);
        Ok(Self { core, tunnel })
    }

    fn alive(&self) -> Result<()> {
        if self.is_alive() {
            return Ok(());
        }
        Err(Error::new(Errno::BadF, format!("tunnel {} has ended; make it again", self.tunnel.id)))
    }
}

impl TunnelSocket for Socket {
    fn tunnel_id(&self) -> u16 {
        self.tunnel.id
    }

    fn set(&self, option: SocketOption, value: i32) -> Result<()> {
        self.alive()?;
        rules::check(Target::Management, option, value)?;
        self.tunnel.debug.store(value as u32, Relaxed);
        self.core.refresh_tunnel(&self.tunnel);
        self.core.gather_masks(self.tunnel.udp_slot);
        self.core.control(self.tunnel.mask(), &*self.tunnel, format_args!("set debug={value:#x}"));
        Ok(())
    }

    fn get(&self, option: SocketOption) -> Result<i32> {
        self.alive()?;
        rules::check(Target::Management, option, 0)?;
        let DebugMask(mask) = self.tunnel.mask();
        self.core.control(self.tunnel.mask(), &*self.tunnel, format_args!("get debug={mask:#x}"));
        Ok(mask as i32)
    }

    fn stats(&self, session_id: Option<u16>) -> Result<Stats> {
        self.alive()?;
        self.core.control(self.tunnel.mask(), &*self.tunnel, "get L2TP stats");
        let registry = self.core.registry();
        let known = registry.tunnels.get(&self.tunnel.id).ok_or(Errno::BadF)?;
        match session_id {
            None => Ok(self.core.settled_stats(known)),
            Some(id) => match known.sessions.get(&id) {
                Some((_, session)) => Ok(session.stats()),
                None => {
                    Err(Error::new(Errno::BadR, format!("tunnel {} has no session {id}", self.tunnel.id)))
                }
            },
        }
    }

    fn is_alive(&self) -> bool {
        self.tunnel.alive.load(Relaxed)
    }

    fn delete(self: Box<Self>) {
        self.core.end_tunnel(&self.tunnel);
    }

    fn peer_has_fast_path(&self) {
        self.tunnel.peer_fast.store(true, Relaxed);
        self.core.refresh_tunnel(&self.tunnel);
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.tunnel.management.fetch_sub(1, Relaxed);
        self.core.control(self.tunnel.mask(), &*self.tunnel, "closing management socket");
    }
}
