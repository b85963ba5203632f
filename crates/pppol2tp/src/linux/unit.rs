//! PPP units: a session's channel connected to an interface of its own.

use std::fs::{self, File};
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkMessage};
use nix::net::if_::{if_indextoname, if_nametoindex};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::core::Core;
use super::inbox::token;
use super::session::{Session, State, part, watch};
use super::udp::until;
use super::watch::{READ, Watch};
use super::{failed, filter, hinted, probe, shared, sys as ppp};
use crate::user::session::copy;
use crate::{Errno, Error, Interface, Networks, Prefix, Result, Unit, UnitConfig};

pub(super) const IP: u16 = 0x21;
pub(super) const IPV6: u16 = 0x57;
/// The other network protocols that ppp_generic takes to an interface: IPX, AppleTalk, and MPLS to one and to many.
const OTHERS: [u16; 4] = [0x2b, 0x29, 0x281, 0x283];
/// What a unit receives at least (RFC 1661 §6.1).
const MRU: u16 = 1500;

/// A unit of `/dev/ppp`; the interface goes with its descriptor.
pub(super) struct Device {
    pub(super) file: File,
    /// Its number among the PPP units.
    number: i32,
    pub(super) name: String,
    index: u32,
    pub(super) mtu: AtomicU16,
    /// Bounds of the MTU: of the configuration, of the peer's MRU.
    max_mtu: Option<u16>,
    pub(super) mru: AtomicU16,
    pub(super) watch: OnceLock<Watch>,
}

impl Device {
    /// Makes a unit that is connected to nothing.
    fn make(core: &Core, name: &str, path_mtu: u16, config: &UnitConfig) -> Result<Self> {
        let file = probe::device()?;
        let number = ppp::number(file.as_fd(), ppp::NEWUNIT, -1)
            .map_err(|error| failed("making a PPP unit (PPPIOCNEWUNIT)", &error))?;
        let system = |error: io::Error| {
            let hint = match error.raw_os_error() {
                Some(libc::EEXIST | libc::EBUSY) => "an interface of this name exists: take another name",
                Some(libc::EINVAL) => "a name has 1 to 15 bytes without '/', ':' and spaces",
                _ => "",
            };
            hinted(format_args!("making the interface '{name}'"), &error, hint)
        };
        let index = if_nametoindex(&*format!("ppp{number}")).map_err(|error| system(error.into()))?;
        if name != "ppp%d" {
            rename(core, index, name).map_err(system)?;
        }
        let name = if_indextoname(index).map_err(|error| system(error.into()))?;
        let name = name.to_string_lossy().into_owned();
        // As with the driver in user space; where the file is missing, there is no IPv6.
        let _ = fs::write(format!("/proc/sys/net/ipv6/conf/{name}/accept_ra"), "0");
        let device = Self {
            file,
            number,
            name,
            index,
            mtu: AtomicU16::new(0),
            max_mtu: config.mtu,
            mru: AtomicU16::new(config.mru.unwrap_or(u16::MAX)),
            watch: OnceLock::new(),
        };
        device.set_mtu(core, path_mtu)?;
        device.step("setting the MRU (PPPIOCSMRU)", |unit| {
            ppp::number(unit, ppp::SMRU, MRU.max(device.mtu.load(Relaxed)).into())
        })?;
        if !config.sources.is_empty() {
            let set = ppp::filter(device.file.as_fd(), &mut filter::program(&config.sources));
            set.map_err(|error| {
                let hint = match error.raw_os_error() {
                    Some(libc::ENOTTY) => "the kernel has no CONFIG_PPP_FILTER: use driver = \"user\"",
                    Some(libc::EINVAL) => "these are too many addresses: use fewer, or driver = \"user\"",
                    _ => "",
                };
                let doing = "filtering its peer's addresses (PPPIOCSPASS)";
                hinted(format_args!("{}: {doing}", device.name), &error, hint)
            })?;
        }
        // Its flags (PPPIOCSFLAGS) stay 0, as the kernel makes them: neither end compresses protocol fields,
        // TCP headers or data, and there is no multilink.
        for protocol in OTHERS {
            device.let_one_pass(protocol, false)?;
        }
        device.let_pass(Networks::ALL)?;
        Ok(device)
    }

    fn step<R>(&self, doing: &str, f: impl FnOnce(BorrowedFd<'_>) -> io::Result<R>) -> Result<R> {
        f(self.file.as_fd()).map_err(|error| failed(format_args!("{}: {doing}", self.name), &error))
    }

    fn let_pass(&self, networks: Networks) -> Result<()> {
        self.let_one_pass(IP, networks.ipv4)?;
        self.let_one_pass(IPV6, networks.ipv6)
    }

    fn let_one_pass(&self, protocol: u16, pass: bool) -> Result<()> {
        self.step("setting which packets pass (PPPIOCSNPMODE)", |unit| ppp::set_np_mode(unit, protocol, pass))
    }

    /// Sets the MTU that is right on a path that carries `path`.
    fn set_mtu(&self, core: &Core, path: u16) -> Result<()> {
        let mtu = path.min(self.max_mtu.unwrap_or(u16::MAX)).min(self.mru.load(Relaxed));
        core.netlink
            .set_mtu(self.index, mtu)
            .map_err(|error| failed(format_args!("setting the MTU of {} to {mtu}", self.name), &error))?;
        self.mtu.store(mtu, Relaxed);
        Ok(())
    }

    /// Whether the interface is there, and a channel is connected to it.
    fn is_alive(&self) -> bool {
        let mut fds = [PollFd::new(self.file.as_fd(), PollFlags::empty())];
        let ended = poll(&mut fds, PollTimeout::ZERO).is_ok_and(|count| count > 0);
        !ended
    }
}

fn rename(core: &Core, index: u32, name: &str) -> io::Result<()> {
    // The kernel keeps the old name for an empty one.
    if name.is_empty() || name.len() >= libc::IFNAMSIZ {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    let mut link = LinkMessage::default();
    link.header.index = index;
    link.attributes.push(LinkAttribute::IfName(name.into()));
    core.netlink.request(RouteNetlinkMessage::SetLink(link), 0)
}

/// A unit of a session, as callers hold it.
pub(super) struct Bound {
    core: Arc<Core>,
    session: Arc<Session>,
    device: Arc<Device>,
}

impl Bound {
    pub(super) fn make(core: Arc<Core>, session: Arc<Session>, config: UnitConfig) -> Result<Self> {
        let name = match &config.interface {
            Interface::Own { name } => name,
            Interface::Shared { name, .. } => return Err(shared(name)),
        };
        let mut state = session.alive()?;
        if state.unit.is_some() {
            let message = format!("{} has a unit already; close it first", session.name());
            return Err(Error::new(Errno::Busy, message));
        }
        session.open_channel(&mut state)?;
        let device = Arc::new(Device::make(&core, name, session.tunnel.mtu(), &config)?);
        let connected = state.channel().map_or(Err(io::ErrorKind::NotConnected.into()), |channel| {
            ppp::number(channel.as_fd(), ppp::CONNECT, device.number)
        });
        let doing = "connecting the channel to the PPP unit (PPPIOCCONNECT)";
        connected.map_err(|error| failed(format_args!("{}: {doing}", session.name()), &error))?;
        state.unit = Some(device.clone());
        drop(state);
        // Dropped, it undoes what was done.
        let bound = Self { core, session, device };
        bound.watch()?;
        if config.mss_clamp {
            bound.core.no_mss_clamp();
        }
        Ok(bound)
    }

    fn watch(&self) -> Result<()> {
        let state = self.session.state();
        let handle = self.session.tunnel.handle.upgrade();
        if let Some(handle) = handle.filter(|_| state.passes_up) {
            let watched = handle.sources.add(&self.device.file, token(self.session.serial, true), READ);
            watched
                .map_err(|error| failed(format_args!("{}: watching its frames", self.device.name), &error))?;
        }
        self.session.rewatch(&state)
    }

    /// The session's state, if this is its unit still.
    fn is_bound(&self, state: &State) -> bool {
        state.unit.as_ref().is_some_and(|unit| Arc::ptr_eq(unit, &self.device))
    }

    fn own_poll_fd(&self) -> Result<BorrowedFd<'_>> {
        let state = self.session.state();
        let watch = watch(&self.device.watch)?;
        if self.is_bound(&state) {
            self.session.rewatch(&state)?;
        } else {
            let added = super::watch::always().and_then(|always| watch.add(always, 0, READ));
            added.map_err(|error| failed("making a descriptor to poll", &error))?;
        }
        Ok(watch.as_fd())
    }
}

impl Unit for Bound {
    fn interface(&self) -> String {
        self.device.name.clone()
    }

    fn index(&self) -> u32 {
        self.device.index
    }

    fn mtu(&self) -> u16 {
        self.device.mtu.load(Relaxed)
    }

    fn set_mru(&self, mru: u16) -> Result<()> {
        self.device.mru.store(mru, Relaxed);
        self.device.set_mtu(&self.core, self.session.tunnel.mtu())
    }

    fn let_pass(&self, networks: Networks) -> Result<()> {
        self.device.let_pass(networks)
    }

    fn send(&self, frame: &[u8]) -> Result<()> {
        self.session.send(frame)
    }

    fn recv(&self, buffer: &mut [u8]) -> Result<Option<usize>> {
        let mut state = self.session.alive()?;
        if state.passes_up {
            return Ok(None);
        }
        let frame = state.next_of_unit();
        self.session.rewatch(&state)?;
        Ok(frame.map(|frame| copy(&frame, buffer)))
    }

    fn recv_timeout(&self, buffer: &mut [u8], timeout: Duration) -> Result<Option<usize>> {
        until(timeout, self.own_poll_fd()?, || self.recv(buffer))
    }

    fn poll_fd(&self) -> Result<BorrowedFd<'_>> {
        self.own_poll_fd()
    }

    fn is_alive(&self) -> bool {
        self.session.is_alive() && self.device.is_alive()
    }

    fn set_up(&self, up: bool) -> Result<()> {
        let Device { index, name, .. } = &*self.device;
        self.core.netlink.set_up(*index, up).map_err(|error| {
            failed(format_args!("setting {name} {}", if up { "up" } else { "down" }), &error)
        })
    }

    fn add_address(&self, address: Prefix, peer: Option<IpAddr>) -> Result<()> {
        let Device { index, name, .. } = &*self.device;
        self.core
            .netlink
            .add_address(*index, address, peer)
            .map_err(|error| failed(format_args!("giving {name} the address {}", address.address), &error))
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        let mut state = self.session.state();
        if !self.is_bound(&state) {
            return;
        }
        if let Some(handle) = self.session.tunnel.handle.upgrade() {
            handle.sources.remove(&self.device.file);
        }
        state.channel().into_iter().for_each(part);
        state.unit = None;
        // The only errors are that there is no memory, and who waits will see by calling.
        let _ = self.session.rewatch(&state);
    }
}
