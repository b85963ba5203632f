//! Bounded queues between the data threads and whoever waits for what they hand up.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use std::{io, mem};

use nix::sys::eventfd::{EfdFlags, EventFd};

/// `CLASSES` bounded queues with one reader; a lower class is read first. The reader polls, waits,
/// or watches a descriptor, which is made when it is first asked for.
pub(super) struct Inbox<T, const CLASSES: usize> {
    inner: Mutex<Inner<T, CLASSES>>,
    ready: Condvar,
    event: OnceLock<EventFd>,
}

struct Inner<T, const CLASSES: usize> {
    queues: [VecDeque<T>; CLASSES],
    closed: bool,
}

impl<T, const CLASSES: usize> Inner<T, CLASSES> {
    fn is_empty(&self) -> bool {
        self.queues.iter().all(VecDeque::is_empty)
    }
}

impl<T, const CLASSES: usize> Inbox<T, CLASSES> {
    pub(super) fn new() -> Self {
        let queues = std::array::from_fn(|_| VecDeque::new());
        let inner = Mutex::new(Inner { queues, closed: false });
        Self { inner, ready: Condvar::new(), event: OnceLock::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T, CLASSES>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends what `item` makes, unless `class` holds `limit` already or the queue is closed.
    pub(super) fn push(&self, class: usize, limit: usize, item: impl FnOnce() -> T) -> bool {
        let mut inner = self.lock();
        if inner.closed || inner.queues[class].len() >= limit {
            return false;
        }
        if inner.is_empty() {
            self.signal();
        }
        inner.queues[class].push_back(item());
        true
    }

    pub(super) fn pop(&self) -> Option<T> {
        self.take(&mut self.lock())
    }

    /// Takes all there is, and gives back the memory it took.
    pub(super) fn pop_all(&self) -> impl Iterator<Item = T> + use<T, CLASSES> {
        let mut inner = self.lock();
        let empty = std::array::from_fn(|_| VecDeque::new());
        let queues = mem::replace(&mut inner.queues, empty);
        self.unsignal(&inner);
        queues.into_iter().flatten()
    }

    fn take(&self, inner: &mut Inner<T, CLASSES>) -> Option<T> {
        let item = inner.queues.iter_mut().find_map(VecDeque::pop_front)?;
        if inner.is_empty() {
            self.unsignal(inner);
        }
        Some(item)
    }

    fn unsignal(&self, inner: &Inner<T, CLASSES>) {
        if !inner.closed
            && let Some(event) = self.event.get()
        {
            // It is non-blocking and was signalled, or never was: either is as wanted.
            let _ = event.read();
        }
    }

    /// Waits for an item until `timeout` has passed or the queue is closed.
    pub(super) fn pop_timeout(&self, timeout: Duration) -> Option<T> {
        let end = Instant::now() + timeout;
        let mut inner = self.lock();
        loop {
            if let Some(item) = self.take(&mut inner) {
                return Some(item);
            }
            let left = end.saturating_duration_since(Instant::now());
            if inner.closed || left.is_zero() {
                return None;
            }
            inner = self.ready.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Wakes the reader for good; nothing is appended any more.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.signal();
    }

    fn signal(&self) {
        self.ready.notify_all();
        if let Some(event) = self.event.get() {
            // Fails only when the counter is at its limit, and then it is readable.
            let _ = event.write(1);
        }
    }

    /// A descriptor that is readable while something is queued or the queue is closed.
    pub(super) fn poll_fd(&self) -> io::Result<BorrowedFd<'_>> {
        let inner = self.lock();
        if self.event.get().is_none() {
            let first = u32::from(inner.closed || !inner.is_empty());
            let flags = EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC;
            let _ = self.event.set(EventFd::from_value_and_flags(first, flags)?);
        }
        let event = self.event.get().ok_or(io::ErrorKind::NotFound)?;
        Ok(event.as_fd())
    }
}
