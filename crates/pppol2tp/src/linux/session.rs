//! Session sockets.

use std::collections::VecDeque;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use l2tp_data::rules::{self, SOL_PPPOL2TP, Target};
use nix::sys::socket::{MsgFlags, recv, send};

use super::core::{CLOSING, Core, lock, patiently};
use super::inbox::{Source, in_buffer, read, token};
use super::tunnel::Tunnel;
use super::udp::until;
use super::unit::{self, Bound};
use super::watch::{END, READ, Watch, always};
use super::{check_debug, failed, probe, sys as ppp};
use crate::user::session::{MAX_FRAME, copy};
use crate::{
    Errno, Error, Result, SessionIds, SessionSocket, SocketOption, Stats, Unit, UnitConfig, connect, sys,
};

/// How many frames that wait at the session socket are taken along when its channel is opened.
const WAITING: usize = 256;

/// A session.
pub(super) struct Session {
    pub(super) serial: u64,
    /// As connected; the peer's tunnel id that counts is the tunnel's.
    pub(super) ids: SessionIds,
    pub(super) tunnel: Arc<Tunnel>,
    state: Mutex<State>,
    watch: OnceLock<Watch>,
}

/// Its descriptors, and what is done with its frames.
pub(super) struct State {
    /// `None`: it is dead.
    pub(super) open: Option<Open>,
    pub(super) unit: Option<Arc<unit::Device>>,
    pub(super) passes_up: bool,
    /// Frames that came before there was a channel.
    pub(super) waiting: VecDeque<Vec<u8>>,
}

/// Closed in this order: see the [module](super).
pub(super) struct Open {
    channel: Option<File>,
    socket: OwnedFd,
}

impl State {
    /// The channel, or the unit, whose frames are passed up.
    pub(super) fn source(&self, unit: bool) -> Option<&File> {
        match unit {
            false => self.channel(),
            true => self.unit.as_ref().map(|unit| &unit.file),
        }
    }

    pub(super) fn channel(&self) -> Option<&File> {
        self.open.as_ref()?.channel.as_ref()
    }

    /// The next frame of the session itself.
    fn next(&mut self) -> Option<Vec<u8>> {
        if let Some(frame) = self.waiting.pop_front() {
            return Some(frame);
        }
        let open = self.open.as_ref()?;
        match &open.channel {
            Some(channel) => frame(channel),
            None => open.next(),
        }
    }

    /// The next frame of its unit.
    pub(super) fn next_of_unit(&mut self) -> Option<Vec<u8>> {
        self.next().or_else(|| frame(&self.unit.as_ref()?.file))
    }
}

fn frame(file: &File) -> Option<Vec<u8>> {
    match read(file) {
        Source::Frame(frame) => Some(frame),
        Source::Empty | Source::End => None,
    }
}

impl Open {
    fn next(&self) -> Option<Vec<u8>> {
        in_buffer(|buffer| {
            let len = recv(self.socket.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT).ok()?;
            Some(buffer[..len].to_vec())
        })
    }
}

impl Session {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(super) fn ids(&self) -> SessionIds {
        SessionIds { peer_tunnel_id: self.tunnel.peer_id.load(Relaxed), ..self.ids }
    }

    pub(super) fn is_alive(&self) -> bool {
        self.state().open.is_some()
    }

    /// The session's state, as long as it lives.
    ///
    /// Errors: ENOTCONN once its tunnel or its UDP handle has gone.
    pub(super) fn alive(&self) -> Result<MutexGuard<'_, State>> {
        let state = self.state();
        if state.open.is_some() {
            return Ok(state);
        }
        let message = format!("{} has ended with its tunnel; close it and make a new one", self.name());
        Err(Error::new(Errno::NotConn, message))
    }

    pub(super) fn name(&self) -> String {
        format!("sess {}/{}", self.ids.tunnel_id, self.ids.session_id)
    }

    fn with<R>(&self, doing: &str, f: impl FnOnce(BorrowedFd<'_>) -> std::io::Result<R>) -> Result<R> {
        let state = self.alive()?;
        let open = state.open.as_ref().expect("it is alive");
        f(open.socket.as_fd()).map_err(|error| failed(format_args!("{}: {doing}", self.name()), &error))
    }

    pub(super) fn get(&self, option: SocketOption) -> Result<i32> {
        let doing = format!("reading {option:?}");
        self.with(&doing, |socket| sys::get_option(socket, SOL_PPPOL2TP, option as i32))
    }

    pub(super) fn stats(&self) -> Result<Stats> {
        self.with("reading statistics", |socket| ppp::stats(socket, self.ids.session_id))
    }

    pub(super) fn send(&self, frame: &[u8]) -> Result<()> {
        if frame.is_empty() {
            return Err(Error::new(Errno::Inval, "a frame starts with its PPP protocol; this one is empty"));
        }
        if frame.len() > MAX_FRAME {
            let message = format!("a frame of {} bytes fits into no datagram; {MAX_FRAME} do", frame.len());
            return Err(Error::new(Errno::MsgSize, message));
        }
        self.with("sending", |socket| Ok(send(socket.as_raw_fd(), frame, MsgFlags::MSG_DONTWAIT).map(drop)?))
    }

    /// Goes from raw to channel, if it is raw.
    pub(super) fn open_channel(&self, state: &mut State) -> Result<()> {
        let step = |doing: &str, error| failed(format_args!("{}: {doing}", self.name()), &error);
        let Some(open) = &mut state.open else { return Ok(()) };
        if open.channel.is_some() {
            return Ok(());
        }
        let file = probe::device()?;
        while state.waiting.len() < WAITING
            && let Some(frame) = open.next()
        {
            state.waiting.push_back(frame);
        }
        let index = ppp::number(open.socket.as_fd(), ppp::GCHAN, 0)
            .map_err(|error| step("asking for its PPP channel (PPPIOCGCHAN)", error))?;
        ppp::number(file.as_fd(), ppp::ATTCHAN, index)
            .map_err(|error| step("attaching its PPP channel (PPPIOCATTCHAN)", error))?;
        open.channel = Some(file);
        Ok(())
    }

    /// Sees to what the session's and its unit's own descriptors watch. To be called when `state` has changed.
    pub(super) fn rewatch(&self, state: &State) -> Result<()> {
        let (dead, up) = (state.open.is_none(), state.passes_up);
        let waits = !up && !state.waiting.is_empty();
        let set = |watch: &Watch, fd: BorrowedFd<'_>, flags| match flags {
            Some(flags) => watch.add(fd, 0, flags).map_err(|error| failed("watching a session", &error)),
            None => {
                watch.remove(fd);
                Ok(())
            }
        };
        let always = always().map_err(|error| failed("making a descriptor to poll", &error))?;
        if let Some(watch) = self.watch.get() {
            let own = !up && state.unit.is_none();
            if let Some(open) = &state.open {
                set(watch, open.socket.as_fd(), (own && open.channel.is_none()).then_some(READ))?;
                if let Some(channel) = &open.channel {
                    set(watch, channel.as_fd(), own.then_some(READ))?;
                }
            }
            set(watch, always, (dead || own && waits).then_some(READ))?;
        }
        if let Some(unit) = &state.unit
            && let Some(watch) = unit.watch.get()
        {
            let flags = Some(if up { END } else { READ });
            set(watch, unit.file.as_fd(), flags)?;
            if let Some(channel) = state.channel() {
                set(watch, channel.as_fd(), flags)?;
            }
            set(watch, always, (dead || waits).then_some(READ))?;
        }
        Ok(())
    }

    /// Ends it because its tunnel ends.
    pub(super) fn end(self: &Arc<Self>) {
        if let Some(handle) = self.tunnel.handle.upgrade() {
            let mut inbox = lock(&handle.inbox);
            inbox.end(self, &handle.sources);
            handle.signal(&inbox);
        }
        self.close();
    }

    /// Closes its descriptors; its unit goes on without it until its owner drops that.
    fn close(&self) {
        let mut state = self.state();
        let open = state.open.take();
        state.waiting.clear();
        // The only errors are that there is no memory, and who waits will see by calling.
        let _ = self.rewatch(&state);
        if let Some(unit) = state.unit.take() {
            if let Some(handle) = self.tunnel.handle.upgrade() {
                handle.sources.remove(&unit.file);
            }
            open.as_ref().and_then(|open| open.channel.as_ref()).into_iter().for_each(part);
        }
        drop(open);
    }
}

/// Parts a channel from its unit.
pub(super) fn part(channel: &File) {
    // It fails if the interface has gone, and the connection with it.
    let _ = ppp::number(channel.as_fd(), ppp::DISCONN, 0);
}

/// A session socket as callers hold it.
pub(super) struct Socket {
    core: Arc<Core>,
    session: Arc<Session>,
}

impl Socket {
    pub(super) fn connect(core: Arc<Core>, ids: SessionIds) -> Result<Self> {
        let mut registry = core.registry();
        let (known, peer_tunnel_id) = connect::session(&registry.tunnels, &ids)?;
        let tunnel = known.tunnel.clone();
        let serial = registry.birth();
        let address = tunnel.address(ids.session_id, peer_tunnel_id, ids.peer_session_id)?;
        let socket = ppp::socket().map_err(|error| failed("opening a session socket", &error))?;
        let SessionIds { tunnel_id, session_id, .. } = ids;
        patiently(CLOSING, || ppp::connect(socket.as_fd(), &address)).map_err(|error| {
            failed(format_args!("connecting session {session_id} of tunnel {tunnel_id}"), &error)
        })?;
        tunnel.peer_id.store(peer_tunnel_id, Relaxed);
        let open = Some(Open { channel: None, socket });
        let state = State { open, unit: None, passes_up: false, waiting: VecDeque::new() };
        let session = Session { serial, ids, tunnel, state: Mutex::new(state), watch: OnceLock::new() };
        let session = Arc::new(session);
        if let Some(known) = registry.tunnels.get_mut(&tunnel_id) {
            known.sessions.insert(session_id, session.clone());
        }
        drop(registry);
        Ok(Self { core, session })
    }

    fn own_poll_fd(&self) -> Result<BorrowedFd<'_>> {
        let state = self.session.state();
        let watch = watch(&self.session.watch)?;
        self.session.rewatch(&state)?;
        Ok(watch.as_fd())
    }
}

/// A watch that is made when it is first asked for.
pub(super) fn watch(cell: &OnceLock<Watch>) -> Result<&Watch> {
    if cell.get().is_none() {
        let _ = cell.set(Watch::new().map_err(|error| failed("making a descriptor to poll", &error))?);
    }
    Ok(cell.get().expect("it was just set"))
}

impl SessionSocket for Socket {
    fn ids(&self) -> SessionIds {
        self.session.ids()
    }

    fn set(&self, option: SocketOption, value: i32) -> Result<()> {
        drop(self.session.alive()?);
        rules::check(Target::Session, option, value)?;
        check_debug(option, value)?;
        let doing = format!("setting {option:?} to {value}");
        self.session.with(&doing, |socket| sys::set_option(socket, SOL_PPPOL2TP, option as i32, value))
    }

    fn get(&self, option: SocketOption) -> Result<i32> {
        self.session.get(option)
    }

    fn stats(&self) -> Result<Stats> {
        self.session.stats()
    }

    fn send(&self, frame: &[u8]) -> Result<()> {
        self.session.send(frame)
    }

    /// The kernel has handed over what `send` was given when that returns.
    fn flush(&self) -> Result<()> {
        self.session.alive().map(drop)
    }

    fn recv(&self, buffer: &mut [u8]) -> Result<Option<usize>> {
        let mut state = self.session.alive()?;
        if state.unit.is_some() {
            return Err(Errno::Io.into());
        }
        if state.passes_up {
            return Ok(None);
        }
        let frame = state.next();
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
        self.session.is_alive()
    }

    fn pass_up(&self) -> Result<()> {
        let session = &self.session;
        // Without it, the session is dead.
        let Some(handle) = session.tunnel.handle.upgrade() else { return session.alive().map(drop) };
        let mut inbox = lock(&handle.inbox);
        let mut state = session.alive()?;
        if state.passes_up {
            return Ok(());
        }
        session.open_channel(&mut state)?;
        for (unit, file) in [false, true].into_iter().filter_map(|unit| Some((unit, state.source(unit)?))) {
            let watched = handle.sources.add(file, token(session.serial, unit), READ);
            watched
                .map_err(|error| failed(format_args!("{}: watching its frames", session.name()), &error))?;
        }
        inbox.add(session);
        state.waiting.drain(..).for_each(|frame| inbox.push_frame(session, frame));
        state.passes_up = true;
        session.rewatch(&state)?;
        handle.signal(&inbox);
        Ok(())
    }

    fn descriptor(&self) -> Option<OwnedFd> {
        self.session.alive().ok()?.open.as_ref()?.socket.try_clone().ok()
    }

    fn unit(&self, config: UnitConfig) -> Result<Box<dyn Unit>> {
        Ok(Box::new(Bound::make(self.core.clone(), self.session.clone(), config)?))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let Self { core, session } = self;
        let SessionIds { tunnel_id, session_id, .. } = session.ids;
        let mut registry = core.registry();
        if let Some(known) = registry.tunnels.get_mut(&tunnel_id)
            && known.sessions.get(&session_id).is_some_and(|known| Arc::ptr_eq(known, session))
        {
            known.sessions.remove(&session_id);
        }
        if let Some(handle) = session.tunnel.handle.upgrade() {
            let mut inbox = lock(&handle.inbox);
            inbox.forget(session);
            handle.signal(&inbox);
        }
        session.close();
    }
}
