//! What the paths to peers carry, as ICMP and the kernel say: interfaces follow.

use std::net::IpAddr;
use std::sync::Weak;
use std::sync::atomic::Ordering::Relaxed;

use super::super::state::{Tunnel, Udp};
use super::super::worker::{Commands, at};
use super::Up;
use crate::sys;

/// How many errors of a socket are looked at in one go,
const ERRORS: usize = 64;
/// and how many paths: messages come in between.
const PATHS: usize = 16;
/// How often a changed path is reported, in microseconds.
const REPORT: u64 = 1_000_000;
/// An interface's MTU is not lowered below this while it runs: IPv6 would leave it for good
/// (RFC 8200 §5).
const IPV6_MIN_MTU: u16 = 1280;

impl Up {
    /// Takes what ICMP and the kernel said about messages sent.
    pub(super) fn take_errors(&mut self, udp: &Udp, commands: &Commands<Self>) {
        // Both are there only to be reported; `send` meets the same errors.
        let _ = udp.socket.take_error();
        for _ in 0..ERRORS {
            let Ok(Some(error)) = sys::take_error(udp.fd()) else { return };
            udp.counters.errors.add(1);
            if let (libc::EMSGSIZE, Some(to)) = (error.errno, error.to) {
                commands.run(self);
                self.too_big(to.ip());
                for other in self.others.iter().filter_map(Weak::upgrade) {
                    other.up.tell(move |up| up.too_big(to.ip()));
                }
            }
        }
    }

    fn too_big(&mut self, peer: IpAddr) {
        self.paths.too_big(peer, self.log.now());
    }

    /// Follows the paths that are to be asked for now.
    pub(super) fn follow_paths(&mut self, now: u64) {
        for _ in 0..PATHS {
            let Some((peer, tunnels)) = self.paths.take(now) else { return };
            self.follow_path(peer, tunnels, now);
        }
    }

    /// Sets the MTU of the interfaces of a peer's tunnels to what the path carries now.
    fn follow_path(&mut self, peer: IpAddr, tunnels: Vec<u32>, now: u64) {
        // Most take the same way: the kernel is asked once for all of them.
        let mut last = None;
        for slot in tunnels {
            let Some(tunnel) = at(&mut self.tunnels, slot).map(|tunnel| tunnel.clone()) else { continue };
            let before = tunnel.mtu();
            let mut to = tunnel.peer;
            to.set_port(0);
            let way = (tunnel.udp_slot, tunnel.local, to);
            match last {
                Some((known, mtu)) if known == way => tunnel.path_mtu.store(mtu, Relaxed),
                _ => tunnel.learn_path_mtu(),
            }
            let carried = tunnel.path_mtu.load(Relaxed);
            last = Some((way, carried));
            self.paths.learned(peer, carried, now);
            if tunnel.mtu() != before {
                if let Some(programs) = &self.programs {
                    programs.tell(tunnel.id);
                }
                self.path_changed(&tunnel, before, now);
            }
        }
    }

    fn path_changed(&mut self, tunnel: &Tunnel, before: u16, now: u64) {
        let path = tunnel.mtu();
        for &(_, slot) in self.by_tunnel.range((tunnel.slot, 0)..=(tunnel.slot, u32::MAX)) {
            let session = self.sessions.get(slot as usize).and_then(Option::as_ref);
            let unit = session.and_then(|session| session.unit.as_ref()).map(|unit| &unit.state);
            let Some(unit) = unit.filter(|unit| !unit.interface.shared) else { continue };
            let mtu = unit.wanted_mtu(path.max(before.min(IPV6_MIN_MTU)));
            let interface = &unit.interface;
            match self.netlink.set_mtu(interface.index, mtu) {
                Ok(()) => interface.mtu.store(mtu, Relaxed),
                Err(error) => {
                    tracing::warn!(target: "pppol2tp", "{}: MTU {mtu} not set: {error}", interface.name);
                }
            }
        }
        if self.path_told.is_none_or(|told| now - told >= REPORT) {
            self.path_told = Some(now);
            tracing::info!(target: "pppol2tp", "{tunnel}: the path to {} carries {path} bytes of a packet, before {before}", tunnel.peer);
        }
    }
}
