//! A data thread and the way to it: closures that it runs between two batches.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::{io, thread};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::prctl;

use crate::{Errno, Error, Result};

type Command<T> = Box<dyn FnOnce(&mut T) + Send>;

/// The epoll token that wakes a thread for its commands.
pub(super) const WAKE: u64 = u64::MAX;
/// By how much a thread's rest may be longer than it wants, in nanoseconds.
const TIMER_SLACK: u64 = 1000;
/// How many commands wait at the most.
const COMMANDS: usize = 1024;

/// Where callers leave commands for a thread. The thread ends when this is dropped.
pub(super) struct Mailbox<T> {
    commands: Option<SyncSender<Command<T>>>,
    wake: Arc<EventFd>,
}

/// A thread's side of its mailbox.
pub(super) struct Commands<T> {
    commands: Receiver<Command<T>>,
    wake: Arc<EventFd>,
}

/// Starts a thread that runs `body` on the value that `make` makes in it.
pub(super) fn start<T: 'static>(
    name: &str,
    make: impl FnOnce(Epoll) -> T + Send + 'static,
    body: impl FnOnce(T, Commands<T>) + Send + 'static,
) -> io::Result<Mailbox<T>> {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    let wake = Arc::new(EventFd::from_value_and_flags(0, EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?);
    epoll.add(&*wake, EpollEvent::new(EpollFlags::EPOLLIN, WAKE))?;
    let (sender, receiver) = sync_channel(COMMANDS);
    let commands = Commands { commands: receiver, wake: wake.clone() };
    thread::Builder::new().name(name.into()).spawn(move || {
        // Rests are short; by default the kernel makes them 50 µs longer. It refuses nobody.
        let _ = prctl::set_timerslack(TIMER_SLACK);
        body(make(epoll), commands);
    })?;
    Ok(Mailbox { commands: Some(sender), wake })
}

fn gone() -> Error {
    Error::new(Errno::NoDev, "the driver's thread has ended; start the driver again")
}

impl<T> Mailbox<T> {
    fn wake(&self) {
        // Fails only when the counter is at its limit, and then the thread is awake anyhow.
        let _ = self.wake.write(1);
    }

    /// Leaves a command without waiting for it.
    pub(super) fn post(&self, command: impl FnOnce(&mut T) + Send + 'static) -> Result<()> {
        let sent = self.commands.as_ref().ok_or_else(gone)?.try_send(Box::new(command));
        self.wake();
        sent.map_err(|error| match error {
            TrySendError::Full(_) => Error::new(Errno::Again, "too many frames wait to be sent; try again"),
            TrySendError::Disconnected(_) => gone(),
        })
    }

    /// Runs a command in the thread and waits for its answer.
    pub(super) fn call<R: Send + 'static>(
        &self,
        command: impl FnOnce(&mut T) -> R + Send + 'static,
    ) -> Result<R> {
        let (answer, wait) = sync_channel(1);
        let command: Command<T> = Box::new(move |value| {
            // The caller waits; should it be gone, nobody misses the answer.
            let _ = answer.send(command(value));
        });
        self.commands.as_ref().ok_or_else(gone)?.send(command).map_err(|_| gone())?;
        self.wake();
        wait.recv().map_err(|_| gone())
    }
}

impl<T> Drop for Mailbox<T> {
    fn drop(&mut self) {
        self.commands = None;
        self.wake();
    }
}

impl<T> Commands<T> {
    /// Runs what waits. `false`: the mailbox is gone, the thread shall end.
    pub(super) fn run(&self, value: &mut T) -> bool {
        let _ = self.wake.read();
        loop {
            match self.commands.try_recv() {
                Ok(command) => command(value),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }
}

/// How often a thread looks for more before it sleeps.
const LOOKS: usize = 2;

/// Waits for events. Before it sleeps it looks again and gives way to others in between: while data
/// flows, that costs less than to fall asleep and be woken, and what has gathered meanwhile makes
/// longer batches.
pub(super) fn wait(epoll: &Epoll, events: &mut [EpollEvent], timeout: EpollTimeout) -> nix::Result<usize> {
    for _ in 0..LOOKS {
        match epoll.wait(events, EpollTimeout::ZERO) {
            Ok(0) => thread::yield_now(),
            found => return found,
        }
    }
    epoll.wait(events, timeout)
}

/// Puts a value into its slot of a table, which grows as needed.
pub(super) fn put<T>(table: &mut Vec<Option<T>>, slot: u32, value: T) {
    let slot = slot as usize;
    if table.len() <= slot {
        table.resize_with(slot + 1, || None);
    }
    table[slot] = Some(value);
}

/// The value in a slot.
#[inline]
pub(super) fn at<T>(table: &mut [Option<T>], slot: u32) -> Option<&mut T> {
    table.get_mut(slot as usize)?.as_mut()
}

/// Takes a value out of its slot.
pub(super) fn take<T>(table: &mut [Option<T>], slot: u32) -> Option<T> {
    table.get_mut(slot as usize)?.take()
}
