//! What changes while sessions are fast: routes, interfaces, IPsec policies, and what the thread *up* tells of.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, Weak};
use std::thread;

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_XFRM};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::super::core::Core;
use super::super::state::lock;
use crate::netlink::{Notice, Notices};

/// XFRMGRP_POLICY of linux/xfrm.h.
const POLICIES: u32 = 8;

/// The way to the thread that sees to it.
pub(super) struct Watch {
    bell: EventFd,
    /// Tunnels that are not what they were; `None`: the driver ends.
    tunnels: Mutex<Option<BTreeSet<u16>>>,
}

impl Watch {
    pub(super) fn new() -> io::Result<Self> {
        let bell = EventFd::from_value_and_flags(0, EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?;
        Ok(Self { bell, tunnels: Mutex::new(Some(BTreeSet::new())) })
    }

    pub(super) fn tell(&self, tunnel: u16) {
        if let Some(tunnels) = &mut *lock(&self.tunnels) {
            tunnels.insert(tunnel);
        }
        self.ring();
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
                match poll(&mut fds, PollTimeout::NONE) {
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
