//! Where the thread *up* leaves what it has received: with the owner of the UDP socket, with the reader of
//! a session or unit, or on an interface.

use std::io::{self, IoSlice, Write};
use std::mem;
use std::ops::Range;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use l2tp_data::frame::{self, Class, Frame};
use l2tp_data::session;
use l2tp_data::stats::Rx;
use nix::errno::Errno;

use super::Mode;
use super::coalesce::Output;
use super::log::{Dump, Log};
use super::queue::Inbox;
use super::state::{FRAMES, Interface, Session, Sink, Udp};
use super::up::{RxSession, RxUnit};
use super::{mss, table, vnet};
use crate::sys::{MANY, Received, Ring};
use crate::{DebugMask, PassedUp, Reason};

/// Leaves a datagram to the owner of the UDP socket.
pub(super) fn pass_up(udp: &Udp, message: &Received, bytes: &[u8], reason: Reason, log: &Log, now: u64) {
    if udp.mask().has(DebugMask::DATA) {
        let text = format_args!("recv {} bytes, {reason:?}, passing up:{}", bytes.len(), Dump(bytes, 16));
        log.debug(now, udp.local, text);
    }
    let counters = &udp.counters;
    let (counter, dropped) = match reason {
        Reason::Control => (&counters.control, &counters.control_dropped),
        Reason::Short => (&counters.short, &counters.other_dropped),
        Reason::Version => (&counters.version, &counters.other_dropped),
        _ => (&counters.unknown_session, &counters.other_dropped),
    };
    counter.add(1);
    let passed = || PassedUp { datagram: bytes.into(), from: message.from, local: message.local, reason };
    if !udp.passed.push(reason == Reason::Control, passed) {
        dropped.add(1);
        log.dropped(udp.local, "passed_up_dropped");
    }
}

/// Hands frames to their readers and packets to interfaces, and counts what they refuse.
pub(super) struct Writer<'a> {
    pub(super) sockets: &'a [Option<Arc<Udp>>],
    pub(super) sessions: &'a [Option<RxSession>],
    pub(super) interfaces: &'a [Option<Arc<Interface>>],
    pub(super) log: &'a Log,
    pub(super) now: u64,
    pub(super) singles: &'a mut Singles,
}

impl<'a> Writer<'a> {
    fn discard(&self, session: &Session, reason: Rx) {
        session::discard(reason, &Sink { session, log: self.log, now: self.now });
    }

    /// Leaves a frame to its reader: `inbox`'s, or the UDP socket's owner if the session passes up.
    fn queue(&self, session: &Arc<Session>, inbox: &Inbox<Box<[u8]>, 1>, frame: impl FnOnce() -> Box<[u8]>) {
        let taken = match self.sockets.get(session.tunnel.udp_slot as usize) {
            Some(Some(udp)) if session.passes_up.load(Relaxed) => udp.pass_up(session, frame),
            _ => inbox.push(0, FRAMES, frame),
        };
        if !taken {
            self.discard(session, Rx::QueueFull);
        }
    }

    /// Hands a frame to whom it is for, unless that is the interface: then the unit, and the frame, which
    /// is ready for it.
    #[inline]
    pub(super) fn classify(&self, slot: u32, bytes: &mut [u8]) -> Option<(&'a RxUnit, Frame)> {
        let entry = self.sessions.get(slot as usize)?.as_ref()?;
        let session = &entry.shared;
        let Some(unit) = &entry.unit else {
            if session.mask().has(DebugMask::DATA) {
                self.log.debug(self.now, &**session, "not bound, queued for its reader");
            }
            self.queue(session, &session.inbox, || (&*bytes).into());
            return None;
        };
        match Frame::parse(bytes) {
            Ok(Frame { class: Class::Control, protocol, information }) => {
                let frame = || [&protocol.to_be_bytes(), &bytes[information..]].concat().into();
                self.queue(session, &unit.state.inbox, frame);
            }
            Ok(frame) if !unit.state.lets_pass(frame.class == Class::Ipv6) => {
                // As for an interface that is down: no error, nor is it one to the kernel's PPP.
                session.rx[Rx::Interface as usize].add(1);
            }
            Ok(frame) => {
                let packet = &mut bytes[frame.information..];
                let spoofed = |sources: &[_]| {
                    let source = table::inner_address(packet, false);
                    !source.is_some_and(|source| table::contains(sources, source))
                };
                if unit.sources.as_deref().is_some_and(spoofed) {
                    self.discard(session, Rx::Spoofed);
                    return None;
                }
                if unit.state.mss_clamp {
                    // What comes from the network has a whole checksum.
                    mss::clamp(packet, &vnet::Header::default(), || unit.state.mtu(&session.tunnel));
                }
                return Some((unit, frame));
            }
            Err(frame::Bad::Short) => self.discard(session, Rx::ShortFrame),
            Err(frame::Bad::InnerVersion) => self.discard(session, Rx::BadInner),
        }
        None
    }
}

/// A packet that waits for the end of the batch.
struct Single {
    interface: u32,
    session: u32,
    /// Where it stands in the arena, behind its header.
    whole: Range<usize>,
}

/// Packets that are written alone, many a system call.
pub(super) struct Singles {
    ring: Option<Ring>,
    waiting: Vec<Single>,
}

impl Singles {
    /// Of the thread that this is called in.
    pub(super) fn new(mode: Mode) -> Self {
        let ring = mode.ring.then(Ring::new).and_then(|ring| {
            ring.inspect_err(|error| tracing::info!(target: "pppol2tp", "no io_uring: {error}")).ok()
        });
        Self { ring, waiting: Vec::with_capacity(MANY) }
    }
}

impl Writer<'_> {
    pub(super) fn write_single(&mut self, arena: &[u8], interface: &Interface, session: u32, packet: &[u8]) {
        let parts = [IoSlice::new(&[0; vnet::LEN]), IoSlice::new(packet)];
        self.write(arena, interface.slot, session, 1, &parts[usize::from(!interface.vnet)..]);
    }

    /// Writes a super-packet that came as one.
    pub(super) fn write_super(
        &mut self,
        arena: &[u8],
        interface: &Interface,
        session: u32,
        header: vnet::Header,
        packet: &[u8],
    ) {
        if interface.vnet {
            self.write(
                arena,
                interface.slot,
                session,
                1,
                &[IoSlice::new(&header.to_bytes()), IoSlice::new(packet)],
            );
        } else {
            self.refused(session, 1, &Errno::EOPNOTSUPP.into());
        }
    }

    /// Writes what waits.
    #[inline]
    pub(super) fn submit(&mut self, arena: &[u8]) {
        if !self.singles.waiting.is_empty() {
            self.submit_all(arena);
        }
    }

    fn submit_all(&mut self, arena: &[u8]) {
        let mut waiting = mem::take(&mut self.singles.waiting);
        let interfaces = self.interfaces;
        let at = |slot: u32| interfaces.get(slot as usize).and_then(Option::as_ref);
        waiting.retain(|single| {
            let there = at(single.interface).is_some() && arena.get(single.whole.clone()).is_some();
            if !there {
                self.refused(single.session, 1, &Errno::ENODEV.into());
            }
            there
        });
        let mut made = 0;
        if waiting.len() > 1
            && let Some(mut ring) = self.singles.ring.take()
        {
            let writes = waiting.iter().filter_map(|single| {
                Some((at(single.interface)?.tun.as_fd(), arena.get(single.whole.clone())?))
            });
            let mut unable = false;
            let (first, all) = ring.write(writes, |n, error| {
                let Some(&Single { interface, session, ref whole }) = waiting.get(n) else { return };
                match error.raw_os_error() {
                    Some(libc::EAGAIN | libc::EOPNOTSUPP) => {
                        unable = true;
                        let bytes = arena.get(whole.clone()).unwrap_or_default();
                        self.write_now(interface, session, 1, &[IoSlice::new(bytes)]);
                    }
                    _ => self.refused(session, 1, &error),
                }
            });
            made = first;
            match all {
                Ok(()) if !unable => self.singles.ring = Some(ring),
                Ok(()) => tracing::info!(target: "pppol2tp", "no writes by io_uring"),
                Err(error) => tracing::info!(target: "pppol2tp", "no writes by io_uring: {error}"),
            }
        }
        for Single { interface, session, whole } in waiting.drain(..).skip(made) {
            let bytes = arena.get(whole).unwrap_or_default();
            self.write_now(interface, session, 1, &[IoSlice::new(bytes)]);
        }
        self.singles.waiting = waiting;
    }

    fn write_now(&mut self, slot: u32, session: u32, packets: u32, parts: &[IoSlice<'_>]) {
        let Some(Some(interface)) = self.interfaces.get(slot as usize) else {
            return self.refused(session, packets, &Errno::ENODEV.into());
        };
        let mut tun = &interface.tun;
        let written = if let [whole] = parts { tun.write(whole) } else { tun.write_vectored(parts) };
        let Err(error) = written else { return };
        if packets > 1 && error.raw_os_error() == Some(libc::EINVAL) {
            let udp = parts[0].get(1) == Some(&vnet::GSO_UDP_L4);
            let (merge, kind) = if udp { (&interface.merge_udp, "UDP") } else { (&interface.merge, "TCP") };
            merge.store(false, Relaxed);
            tracing::info!(target: "pppol2tp", "{}: takes no {kind} super-packets: {error}", interface.name);
        }
        self.refused(session, packets, &error);
    }

    /// Counts packets that an interface has refused.
    #[cold]
    fn refused(&self, session: u32, packets: u32, error: &io::Error) {
        let Some(Some(entry)) = self.sessions.get(session as usize) else { return };
        if error.raw_os_error() == Some(libc::EIO) {
            // So it was set, or is not up yet: no error, nor is it one to the kernel's PPP (ppp_receive_nonmp_frame).
            entry.shared.rx[Rx::Interface as usize].add(packets.into());
        } else {
            (0..packets).for_each(|_| self.discard(&entry.shared, Rx::Interface));
        }
    }
}

impl Output for Writer<'_> {
    fn write(&mut self, arena: &[u8], interface: u32, session: u32, packets: u32, parts: &[IoSlice<'_>]) {
        self.submit(arena);
        self.write_now(interface, session, packets, parts);
    }

    #[inline]
    fn write_whole(&mut self, arena: &[u8], interface: u32, session: u32, whole: Range<usize>) {
        self.singles.waiting.push(Single { interface, session, whole });
        if self.singles.waiting.len() == MANY {
            self.submit_all(arena);
        }
    }
}
