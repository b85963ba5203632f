//! PPP units and the interfaces that they bind sessions to.

use std::net::IpAddr;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU16};
use std::time::Duration;
use std::{fs, io, slice};

use nix::net::if_::if_nametoindex;

use super::Mode;
use super::core::{Core, Shard};
use super::queue::Inbox;
use super::session::{alive, copy, send, transmit_from};
use super::state::{Counter, Interface, Session, Tunnel, UnitState, lock};
use crate::sys;
use crate::{Errno, Error, Networks, Prefix, Result, SharedConfig, SharedInterface, Unit, UnitConfig};

/// Packets that an interface queues for us.
const QUEUE: u32 = 1000;

// TUN_F_* of linux/if_tun.h: what the kernel may hand out unfinished.
const CSUM: u32 = 0x01;
const TSO: u32 = 0x02 | 0x04 | 0x08;
const USO: u32 = 0x20 | 0x40;

/// Opens a TUN interface with what the mode wants and the kernel knows.
/// A shared one goes to the shards in turn, an own one to that of its session's tunnel.
fn open(core: &Core, name: &str, mtu: u16, own: Option<&Tunnel>) -> Result<Arc<Interface>> {
    let Mode { vnet, tso, uso, .. } = core.mode;
    let system = |error: io::Error| {
        let hint = match error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => {
                "; run as root or with CAP_NET_ADMIN and access to /dev/net/tun"
            }
            Some(libc::ENOENT | libc::ENODEV | libc::ENXIO) => {
                "; this needs /dev/net/tun: load the module 'tun', or give the container the device"
            }
            // The latter is said of one that is no TUN interface.
            Some(libc::EBUSY | libc::EINVAL) if if_nametoindex(name).is_ok() => {
                "; an interface of this name exists: take another name, or remove it"
            }
            _ => "",
        };
        let error = io::Error::new(error.kind(), format!("{error}{hint}"));
        Error::new(errno(&error), format!("making the interface '{name}': {error}"))
    };
    let (tun, name, vnet) = match sys::open_tun(name, vnet) {
        Ok((tun, name)) => (tun, name, vnet),
        Err(error) if vnet && error.raw_os_error() == Some(libc::EINVAL) => {
            let (tun, name) = sys::open_tun(name, false).map_err(system)?;
            (tun, name, false)
        }
        Err(error) => return Err(system(error)),
    };
    let mut merge_udp = false;
    if vnet {
        let offers = [(tso && uso, CSUM | TSO | USO), (tso, CSUM | TSO), (true, CSUM), (true, 0)];
        let wanted = offers.iter().filter(|(wanted, _)| *wanted);
        let mut taken = wanted.skip_while(|(_, flags)| sys::set_tun_offload(&tun, *flags).is_err());
        let (_, flags) = taken.next().ok_or_else(|| {
            Error::new(Errno::Io, format!("{name}: TUNSETOFFLOAD is refused; use the mode 'no-vnet'"))
        })?;
        // A kernel that hands them out takes them too (Linux 6.2).
        merge_udp = flags & USO != 0;
    }
    // Nobody has a use for router advertisements and duplicate address detection inside the tunnel;
    // where the file is missing, there is no IPv6.
    let _ = fs::write(format!("/proc/sys/net/ipv6/conf/{name}/accept_ra"), "0");
    let prepare = || {
        let index = if_nametoindex(name.as_str())?;
        core.netlink.set_queue_len(index, QUEUE)?;
        core.netlink.set_mtu(index, mtu)?;
        Ok(index)
    };
    let index = prepare()
        .map_err(|error: io::Error| Error::system(format!("preparing the interface '{name}'"), &error))?;
    let slot = core.registry().interface_slots.get();
    let (mtu, alive) = (AtomicU16::new(mtu), AtomicBool::new(true));
    let (merge, merge_udp) = (AtomicBool::new(vnet), AtomicBool::new(merge_udp));
    let shard = own.map_or(slot as usize % core.shards.len(), |tunnel| tunnel.shard);
    let shared = own.is_none();
    Ok(Arc::new(Interface { name, index, slot, shard, tun, vnet, merge, merge_udp, shared, mtu, alive }))
}

fn errno(error: &io::Error) -> Errno {
    match error.kind() {
        io::ErrorKind::InvalidInput => Errno::Inval,
        io::ErrorKind::ResourceBusy => Errno::Busy,
        io::ErrorKind::NotFound => Errno::NoDev,
        _ => Errno::Io,
    }
}

/// The shards whose sessions write to an interface.
fn writers<'a>(core: &'a Core, interface: &Interface) -> &'a [Arc<Shard>] {
    if interface.shared { &core.shards } else { slice::from_ref(&core.shards[interface.shard]) }
}

/// Gives an interface to the threads.
fn start(core: &Core, interface: &Arc<Interface>, unrouted: Arc<Counter>) -> Result<()> {
    for shard in writers(core, interface) {
        let up = interface.clone();
        shard.up.leave(move |threads| threads.add_interface(up))?;
    }
    let down = interface.clone();
    core.shards[interface.shard]
        .down
        .call(move |threads| threads.add_interface(down, unrouted))?
        .map_err(|error| Error::system("watching the interface", &error.into()))
}

/// Takes an interface from the threads. Its last owner's drop removes it from the system.
fn stop(core: &Core, interface: &Interface) {
    if let Ok(programs) = core.fast.programs() {
        programs.forget_interface(interface.index);
    }
    let slot = interface.slot;
    let remove = |shard: &Arc<Shard>| shard.up.call(move |threads| threads.remove_interface(slot));
    let up = writers(core, interface).iter().map(remove).fold(Ok(()), Result::and);
    let down = core.shards[interface.shard].down.call(move |threads| threads.remove_interface(slot));
    if up.is_ok() && down.is_ok() {
        core.registry().interface_slots.put(slot);
    }
}

/// A unit of a session.
pub(super) struct Bound {
    core: Arc<Core>,
    session: Arc<Session>,
    state: Arc<UnitState>,
}

impl Bound {
    pub(super) fn make(core: Arc<Core>, session: Arc<Session>, config: UnitConfig) -> Result<Self> {
        alive(&session)?;
        if session.bound.swap(true, Relaxed) {
            return Err(Error::new(Errno::Busy, format!("{session} has a unit already; close it first")));
        }
        let state =
            Self::state(&core, &session, config).inspect_err(|_| session.bound.store(false, Relaxed))?;
        // Dropped, it undoes what was done.
        let bound = Self { core, session, state };
        bound.bind().map(|()| bound)
    }

    fn state(core: &Core, session: &Session, config: UnitConfig) -> Result<Arc<UnitState>> {
        let (interface, addresses) = match config.interface {
            crate::Interface::Own { name } => {
                session.tunnel.learn_path_mtu();
                let most = config.mtu.unwrap_or(u16::MAX).min(config.mru.unwrap_or(u16::MAX));
                (open(core, &name, session.tunnel.mtu().min(most), Some(&session.tunnel))?, Vec::new())
            }
            crate::Interface::Shared { name, addresses } => match core.registry().shared.get(&name) {
                Some(interface) => (interface.clone(), addresses),
                None => {
                    let message = format!("there is no shared interface '{name}'; make it first");
                    return Err(Error::new(Errno::NoDev, message));
                }
            },
        };
        Ok(Arc::new(UnitState {
            interface,
            addresses,
            sources: config.sources,
            max_mtu: config.mtu,
            mru: AtomicU16::new(config.mru.unwrap_or(u16::MAX)),
            mss_clamp: config.mss_clamp,
            ipv4: AtomicBool::new(true),
            ipv6: AtomicBool::new(true),
            inbox: Inbox::new(),
            alive: AtomicBool::new(true),
            told: AtomicBool::new(false),
        }))
    }

    fn bind(&self) -> Result<()> {
        let Self { core, session, state } = self;
        if !state.interface.shared {
            start(core, &state.interface, Arc::default())?;
        }
        let shard = &core.shards[state.interface.shard];
        transmit_from(core, session, state.interface.shard)?;
        let (ours, unit) = (session.clone(), state.clone());
        shard.down.call(move |threads| threads.bind(&ours, unit))?.map_err(|prefix| {
            let message =
                format!("{}/{} belongs to another session of the interface", prefix.address, prefix.len);
            Error::new(Errno::Exist, message)
        })?;
        let (ours, unit) = (session.clone(), state.clone());
        core.shards[session.tunnel.shard].up.leave(move |threads| threads.bind(&ours, unit))?;
        *lock(&session.unit) = Some(state.clone());
        core.refresh(session);
        core.control(session.mask(), &**session, format_args!("bound to {}", state.interface.name));
        // They may have ended meanwhile, and have told those units that they knew of.
        if !state.interface.alive.load(Relaxed) {
            let message = format!("the interface {} has gone; make it again", state.interface.name);
            return Err(Error::new(Errno::NoDev, message));
        }
        alive(session)
    }

    fn own(&self) -> Result<&Interface> {
        let interface = &*self.state.interface;
        if interface.shared {
            let message = format!("{} is shared by many sessions; set it up itself", interface.name);
            return Err(Error::new(Errno::OpNotSupp, message));
        }
        Ok(interface)
    }

    fn receive(&self, buffer: &mut [u8], frame: Option<Box<[u8]>>) -> Result<Option<usize>> {
        match frame {
            Some(frame) => Ok(Some(copy(&frame, buffer))),
            None => alive(&self.session).map(|()| None),
        }
    }
}

impl Unit for Bound {
    fn interface(&self) -> String {
        self.state.interface.name.clone()
    }

    fn index(&self) -> u32 {
        self.state.interface.index
    }

    fn mtu(&self) -> u16 {
        self.state.interface.mtu.load(Relaxed)
    }

    fn set_mru(&self, mru: u16) -> Result<()> {
        let interface = self.own()?;
        self.state.mru.store(mru, Relaxed);
        let mtu = self.state.wanted_mtu(self.session.tunnel.mtu());
        self.core.netlink.set_mtu(interface.index, mtu).map_err(|error| {
            Error::system(format!("setting the MTU of {} to {mtu}", interface.name), &error)
        })?;
        interface.mtu.store(mtu, Relaxed);
        self.core.refresh(&self.session);
        Ok(())
    }

    fn let_pass(&self, networks: Networks) -> Result<()> {
        self.state.ipv4.store(networks.ipv4, Relaxed);
        self.state.ipv6.store(networks.ipv6, Relaxed);
        self.core.refresh(&self.session);
        Ok(())
    }

    fn send(&self, frame: &[u8]) -> Result<()> {
        send(&self.core, &self.session, frame)
    }

    fn recv(&self, buffer: &mut [u8]) -> Result<Option<usize>> {
        self.receive(buffer, self.state.inbox.pop())
    }

    fn recv_timeout(&self, buffer: &mut [u8], timeout: Duration) -> Result<Option<usize>> {
        self.receive(buffer, self.state.inbox.pop_timeout(timeout))
    }

    fn poll_fd(&self) -> Result<BorrowedFd<'_>> {
        self.state.inbox.poll_fd().map_err(|error| Error::system("making a descriptor to poll", &error))
    }

    fn is_alive(&self) -> bool {
        self.state.alive.load(Relaxed)
            && self.session.alive.load(Relaxed)
            && self.state.interface.alive.load(Relaxed)
    }

    fn set_up(&self, up: bool) -> Result<()> {
        let interface = self.own()?;
        self.core.netlink.set_up(interface.index, up).map_err(|error| {
            Error::system(format!("setting {} {}", interface.name, if up { "up" } else { "down" }), &error)
        })
    }

    fn add_address(&self, address: Prefix, peer: Option<IpAddr>) -> Result<()> {
        let interface = self.own()?;
        add_address(&self.core, interface, address, peer)
    }
}

fn add_address(core: &Core, interface: &Interface, address: Prefix, peer: Option<IpAddr>) -> Result<()> {
    core.netlink.add_address(interface.index, address, peer).map_err(|error| {
        Error::system(format!("giving {} the address {}", interface.name, address.address), &error)
    })
}

impl Drop for Bound {
    fn drop(&mut self) {
        *lock(&self.session.unit) = None;
        if let Ok(programs) = self.core.fast.programs() {
            programs.unbind(&self.session.fast);
        }
        // Nobody wants to hear of it any more.
        self.state.told.store(true, Relaxed);
        let (up, down) = (self.session.clone(), self.session.clone());
        // Errors say that the thread is gone, and the binding with it.
        let shards = &self.core.shards;
        let _ = shards[up.tunnel.shard].up.leave(move |threads| threads.unbind(&up));
        let _ = shards[self.state.interface.shard].down.leave(move |threads| threads.unbind(&down));
        if !self.state.interface.shared {
            stop(&self.core, &self.state.interface);
        }
        self.state.close();
        self.session.bound.store(false, Relaxed);
    }
}

/// An interface that many sessions share.
pub(super) struct Shared {
    core: Arc<Core>,
    interface: Arc<Interface>,
}

impl Shared {
    pub(super) fn make(core: Arc<Core>, config: &SharedConfig) -> Result<Self> {
        let interface = open(&core, &config.name, config.mtu, None)?;
        // Dropped, it undoes what was done.
        let shared = Self { core, interface };
        let Self { core, interface } = &shared;
        start(core, interface, Arc::default())?;
        core.netlink
            .set_up(interface.index, true)
            .map_err(|error| Error::system(format!("setting {} up", interface.name), &error))?;
        core.registry().shared.insert(interface.name.clone(), interface.clone());
        Ok(shared)
    }
}

impl SharedInterface for Shared {
    fn interface(&self) -> String {
        self.interface.name.clone()
    }

    fn index(&self) -> u32 {
        self.interface.index
    }

    fn is_alive(&self) -> bool {
        self.interface.alive.load(Relaxed)
    }

    fn add_address(&self, address: Prefix) -> Result<()> {
        add_address(&self.core, &self.interface, address, None)
    }

    fn add_route(&self, prefix: Prefix) -> Result<()> {
        self.core.netlink.add_route(self.interface.index, prefix).map_err(|error| {
            Error::system(
                format!("routing {}/{} to {}", prefix.address, prefix.len, self.interface.name),
                &error,
            )
        })
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.interface.alive.store(false, SeqCst);
        self.core.registry().shared.remove(&self.interface.name);
        let sessions: Vec<_> = {
            let registry = self.core.registry();
            registry
                .tunnels
                .values()
                .flat_map(|known| known.sessions.values().map(|(_, s)| s.clone()))
                .collect()
        };
        for session in sessions {
            if let Some(unit) =
                lock(&session.unit).as_ref().filter(|unit| unit.interface.slot == self.interface.slot)
            {
                unit.close();
                if let Some(udp) = session.tunnel.udp(session.tunnel.shard) {
                    udp.passed.push_gone(&session, &unit.told);
                }
            }
        }
        stop(&self.core, &self.interface);
    }
}
