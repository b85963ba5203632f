//! Session sockets.

use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use l2tp_data::rules::{self, Target};
use l2tp_data::session::{SendSeq, Transmit};
use l2tp_data::stats::Stats;

use super::core::Core;
use super::fast::Place;
use super::queue::Inbox;
use super::state::{Options, Session, lock};
use super::unit;
use super::up::Up;
use super::worker::Mailbox;
use crate::{Errno, Error, Result, SessionIds, SessionSocket, SocketOption, Unit, UnitConfig, connect};

/// The longest frame that fits into a datagram with its headers.
pub(crate) const MAX_FRAME: usize = 65_000;

/// A session socket.
pub(super) struct Socket {
    core: Arc<Core>,
    pub(super) session: Arc<Session>,
}

impl Socket {
    pub(super) fn connect(core: Arc<Core>, ids: SessionIds) -> Result<Self> {
        let mut registry = core.registry();
        let (known, peer_tunnel_id) = connect::session(&registry.tunnels, &ids)?;
        let tunnel = known.tunnel.clone();
        let udp = tunnel.udp(tunnel.shard).ok_or(Errno::BadF)?;
        let peer_id_was = tunnel.peer_id.load(Relaxed);
        core.learn_peer_id(&tunnel, peer_tunnel_id)?;
        let session = Arc::new(Session {
            slot: registry.session_slots.get(),
            ids,
            send_seq: SendSeq::default(),
            debug: AtomicU32::new(tunnel.mask().0),
            transmit: Mutex::new(tunnel.shard),
            nr: AtomicU16::new(0),
            ns: AtomicU16::new(0),
            options: Mutex::default(),
            rx: Default::default(),
            tx: Default::default(),
            inbox: Inbox::new(),
            passes_up: AtomicBool::new(false),
            passed: AtomicUsize::new(0),
            told: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            unit: Mutex::default(),
            fast: Place::new(core.fast.programs().ok().cloned()),
            bound: AtomicBool::new(false),
            alive: AtomicBool::new(true),
            tunnel,
        });
        let tx = Transmit::new(peer_tunnel_id, ids.peer_session_id);
        let (up_session, down_session) = (session.clone(), session.clone());
        let shard = &core.shards[session.tunnel.shard];
        shard.down.leave(move |down| down.add_session(down_session, udp, tx))?;
        shard.up.leave(move |up| up.add_session(up_session))?;
        let born = registry.birth();
        if let Some(known) = registry.tunnels.get_mut(&ids.tunnel_id) {
            known.sessions.insert(ids.session_id, (born, session.clone()));
        }
        drop(registry);
        if peer_id_was != peer_tunnel_id {
            core.refresh_tunnel(&session.tunnel);
        }
        core.control(session.mask(), &*session, "created");
        Ok(Self { core, session })
    }

    fn alive(&self) -> Result<()> {
        alive(&self.session)
    }

    fn up(&self) -> &Mailbox<Up> {
        &self.core.shards[self.session.tunnel.shard].up
    }
}

/// `ENOTCONN` once the session's tunnel or UDP socket has gone.
pub(super) fn alive(session: &Session) -> Result<()> {
    if session.alive.load(Relaxed) {
        return Ok(());
    }
    Err(Error::new(
        Errno::NotConn,
        format!("{session} has ended with its tunnel; close it and make a new one"),
    ))
}

/// Posts a caller's frame to the thread that owns the transmit half.
pub(super) fn send(core: &Core, session: &Arc<Session>, frame: &[u8]) -> Result<()> {
    alive(session)?;
    if frame.is_empty() {
        return Err(Error::new(Errno::Inval, "a frame starts with its PPP protocol; this one is empty"));
    }
    if frame.len() > MAX_FRAME {
        let message = format!("a frame of {} bytes fits into no datagram; {MAX_FRAME} do", frame.len());
        return Err(Error::new(Errno::MsgSize, message));
    }
    let (ours, frame) = (session.clone(), Box::<[u8]>::from(frame));
    let shard = lock(&session.transmit);
    core.shards[*shard].down.post(move |down| down.send_frame(&ours, &frame))
}

/// Brings the transmit half to the shard that reads the session's interface. What callers have sent before has left then.
pub(super) fn transmit_from(core: &Core, session: &Arc<Session>, shard: usize) -> Result<()> {
    let mut now = lock(&session.transmit);
    if *now == shard {
        return Ok(());
    }
    let ours = session.clone();
    let half = core.shards[*now].down.call(move |down| down.give_away(&ours))?;
    // It may have ended before this came to be.
    if let (Some(half), Some(udp)) = (half, session.tunnel.udp(shard)) {
        core.shards[shard].down.leave(move |down| down.take_over(half, udp))?;
    }
    *now = shard;
    Ok(())
}

/// Copies a frame, as far as it fits: its whole length.
pub(crate) fn copy(frame: &[u8], buffer: &mut [u8]) -> usize {
    let len = frame.len().min(buffer.len());
    buffer[..len].copy_from_slice(&frame[..len]);
    frame.len()
}

impl Socket {
    fn receive(&self, buffer: &mut [u8], frame: impl FnOnce() -> Option<Box<[u8]>>) -> Result<Option<usize>> {
        if self.session.bound.load(Relaxed) {
            let message = "a unit is bound to the session and reads its frames; ask the unit";
            return Err(Error::new(Errno::Io, message));
        }
        match frame() {
            Some(frame) => Ok(Some(copy(&frame, buffer))),
            None => self.alive().map(|()| None),
        }
    }
}

impl SessionSocket for Socket {
    fn ids(&self) -> SessionIds {
        self.session.ids()
    }

    fn set(&self, option: SocketOption, value: i32) -> Result<()> {
        self.alive()?;
        rules::check(Target::Session, option, value).map_err(|errno| {
            Error::new(errno, format!("{option:?} cannot be {value}: {}", errno.explanation()))
        })?;
        let session = &self.session;
        match option {
            SocketOption::Debug => session.debug.store(value as u32, Relaxed),
            SocketOption::SendSeq => session.send_seq.set(value != 0),
            SocketOption::RecvSeq | SocketOption::LnsMode | SocketOption::ReorderTo => {
                let mut options = lock(&session.options);
                let before = *options;
                match option {
                    SocketOption::RecvSeq => options.recv_seq = value != 0,
                    SocketOption::LnsMode => options.lns_mode = value != 0,
                    _ => options.reorder_timeout = value as u32,
                }
                let (session, options) = (session.clone(), *options);
                let command = move |up: &mut Up| up.set_options(&session, options);
                if before.reorder_timeout == 0 {
                    self.up().leave(command)?;
                } else {
                    // What it lets out of the messages held is there when the caller goes on.
                    self.up().call(command)?;
                }
            }
        }
        self.core.refresh(session);
        self.core.control(session.mask(), &**session, format_args!("set {option:?}={value}"));
        Ok(())
    }

    fn get(&self, option: SocketOption) -> Result<i32> {
        self.alive()?;
        let session = &self.session;
        let Options { recv_seq, lns_mode, reorder_timeout } = *lock(&session.options);
        let value = match option {
            SocketOption::Debug => session.mask().0 as i32,
            SocketOption::RecvSeq => recv_seq.into(),
            SocketOption::SendSeq => session.send_seq.get().into(),
            SocketOption::LnsMode => lns_mode.into(),
            SocketOption::ReorderTo => reorder_timeout as i32,
        };
        self.core.control(session.mask(), &**session, format_args!("get {option:?}={value}"));
        Ok(value)
    }

    fn stats(&self) -> Result<Stats> {
        self.alive()?;
        self.core.control(self.session.mask(), &*self.session, "get L2TP stats");
        Ok(self.session.stats())
    }

    fn send(&self, frame: &[u8]) -> Result<()> {
        send(&self.core, &self.session, frame)
    }

    fn flush(&self) -> Result<()> {
        let shard = *lock(&self.session.transmit);
        self.core.shards[shard].down.call(|_| ())
    }

    fn recv(&self, buffer: &mut [u8]) -> Result<Option<usize>> {
        self.receive(buffer, || self.session.inbox.pop())
    }

    fn recv_timeout(&self, buffer: &mut [u8], timeout: Duration) -> Result<Option<usize>> {
        self.receive(buffer, || self.session.inbox.pop_timeout(timeout))
    }

    fn poll_fd(&self) -> Result<BorrowedFd<'_>> {
        self.session.inbox.poll_fd().map_err(|error| Error::system("making a descriptor to poll", &error))
    }

    fn is_alive(&self) -> bool {
        self.session.alive.load(Relaxed)
    }

    fn pass_up(&self) -> Result<()> {
        self.alive()?;
        let session = self.session.clone();
        self.up().leave(move |up| up.pass_up(&session))?;
        self.up().wake();
        Ok(())
    }

    fn unit(&self, config: UnitConfig) -> Result<Box<dyn Unit>> {
        Ok(Box::new(unit::Bound::make(self.core.clone(), self.session.clone(), config)?))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let Self { core, session } = self;
        session.closed.store(true, Relaxed);
        let ids = session.ids;
        let mut registry = core.registry();
        if let Some(known) = registry.tunnels.get_mut(&ids.tunnel_id)
            && known.sessions.get(&ids.session_id).is_some_and(|(_, known)| Arc::ptr_eq(known, session))
        {
            known.sessions.remove(&ids.session_id);
        }
        core.end_sessions(&mut registry, [session.clone()]);
    }
}
