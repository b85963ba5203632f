//! A descriptor that is readable while one of several others is.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::OnceLock;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};

/// The same for reading, or only for the end of what the descriptor belongs to.
pub(super) const READ: EpollFlags = EpollFlags::EPOLLIN;
pub(super) const END: EpollFlags = EpollFlags::empty();

/// An epoll instance.
pub(super) struct Watch(Epoll);

impl Watch {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?))
    }

    /// Watches a descriptor, whether it is watched already or not.
    pub(super) fn add(&self, fd: impl AsFd, token: u64, flags: EpollFlags) -> io::Result<()> {
        let mut event = EpollEvent::new(flags, token);
        match self.0.add(&fd, event) {
            Err(nix::Error::EEXIST) => Ok(self.0.modify(&fd, &mut event)?),
            added => Ok(added?),
        }
    }

    /// Watches it no more, if it was watched.
    pub(super) fn remove(&self, fd: impl AsFd) {
        // ENOENT says that it was not.
        let _ = self.0.delete(fd);
    }

    /// What is ready now: tokens and flags, no more than there is room for.
    pub(super) fn ready<'a>(&self, events: &'a mut [EpollEvent]) -> &'a [EpollEvent] {
        // It fails for a descriptor or memory that is no good, and neither can be.
        let count = self.0.wait(events, EpollTimeout::ZERO).unwrap_or(0);
        &events[..count]
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.0.as_fd()
    }
}

/// A descriptor that is readable for ever.
pub(super) fn always() -> io::Result<BorrowedFd<'static>> {
    static ALWAYS: OnceLock<EventFd> = OnceLock::new();
    if ALWAYS.get().is_none() {
        let _ = ALWAYS.set(EventFd::from_value_and_flags(1, EfdFlags::EFD_CLOEXEC)?);
    }
    Ok(ALWAYS.get().expect("it was just set").as_fd())
}
