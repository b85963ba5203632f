//! What changes while sessions are fast: routes, interfaces, IPsec policies, and what the thread *up* tells of; and when
//! sessions may begin to be.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_XFRM};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::super::core::Core;
use super::super::state::{Session, lock};
use crate::netlink::{Notice, Notices};

/// XFRMGRP_POLICY of linux/xfrm.h.
const POLICIES: u32 = 8;

/// How long a session that becomes fast waits before its threads look whether anything is on the ordinary way: what they
/// have sent may still be in another processor's queue.
const CALM: Duration = Duration::from_millis(20);

/// The way to the thread that sees to it.
pub(super) struct Watch {
    bell: EventFd,
    /// Tunnels that are not what they were; `None`: the driver ends.
    tunnels: Mutex<Option<BTreeSet<u16>>>,
    /// Sessions that are to become fast, and when.
    opening: Mutex<VecDeque<(Instant, Weak<Session>)>>,
}

impl Watch {
    pub(super) fn new() -> io::Result<Self> {
        let bell = EventFd::from_value_and_flags(0, EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?;
        Ok(Self { bell, tunnels: Mutex::new(Some(BTreeSet::new())), opening: Mutex::default() })
    }

    pub(super) fn tell(&self, tunnel: u16) {
        if let Some(tunnels) = &mut *lock(&self.tunnels) {
            tunnels.insert(tunnel);
        }
        self.ring();
    }

    /// A session shall become fast.
    pub(super) fn open(&self, session: &Arc<Session>) {
        lock(&self.opening).push_back((Instant::now() + CALM, Arc::downgrade(session)));
        self.ring();
    }

    /// The sessions whose time has come, and how long it is to the next one's.
    fn due(&self) -> (Vec<Arc<Session>>, PollTimeout) {
        let (mut opening, now) = (lock(&self.opening), Instant::now());
        let count = opening.partition_point(|(at, _)| *at <= now);
        let due = opening.drain(..count).filter_map(|(_, session)| session.upgrade()).collect();
        let next = opening.front().map(|(at, _)| at.duration_since(now) + Duration::from_millis(1));
        (due, next.map_or(PollTimeout::NONE, |next| next.try_into().unwrap_or(PollTimeout::MAX)))
    }

    pub(super) fn end(&self) {
        *lock(&self.tunnels) = None;
        self.ring();
    }

    fn ring(&self) {
        // Fails only when the counter is at its limit, and then the thread is awake anyhow.
        let _ = self.bell.write(1);
    }

    /// Starts the thread, in this one's network namespace.
    pub(super) fn start(self: &Arc<Self>, core: Weak<Core>) -> io::Result<()> {
        let mut notices = Notices::open()?;
        // A kernel without IPsec has no policies.
        let policies = policies().ok();
        let watch = self.clone();
        let run = move || {
            loop {
                let mut fds = vec![
                    PollFd::new(watch.bell.as_fd(), PollFlags::POLLIN),
                    PollFd::new(notices.as_fd(), PollFlags::POLLIN),
                ];
                if let Some(policies) = &policies {
                    fds.push(PollFd::new(policies.as_fd(), PollFlags::POLLIN));
                }
                let (due, next) = watch.due();
                if !due.is_empty() {
                    let Some(core) = core.upgrade() else { return };
                    due.iter().for_each(|session| core.open_ways(session));
                }
                match poll(&mut fds, next) {
                    Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                    Err(error) => {
                        return tracing::error!(target: "pppol2tp", "watching routes ends: poll: {error}");
                    }
                }
                let _ = watch.bell.read();
                let mut changes = Vec::new();
                while let Ok(Some(notice)) = notices.recv() {
                    changes.push(notice);
                }
                let mut all = changes.contains(&Notice::Lost);
                if let Some(policies) = &policies {
                    while policies.recv_from_full().is_ok() {
                        all = true;
                    }
                }
                let told = match &mut *lock(&watch.tunnels) {
                    Some(tunnels) => std::mem::take(tunnels),
                    None => return,
                };
                let Some(core) = core.upgrade() else { return };
                core.look_again(&told, &changes, all);
            }
        };
        thread::Builder::new().name("ol2tp-fast".into()).spawn(run).map(drop)
    }
}

fn policies() -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_XFRM)?;
    socket.bind(&SocketAddr::new(0, POLICIES))?;
    socket.set_non_blocking(true)?;
    Ok(socket)
}
