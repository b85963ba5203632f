//! A data thread and the way to it: commands, which are closures that it runs between two batches, in the
//! order they came.
//!
//! A thread that has something to look at first runs the commands that were there before it: when it was
//! waiting, and *up* between receiving datagrams and looking at them. So most commands are only
//! [left](Mailbox::leave) in the mailbox: nobody is woken for them, nobody waits, and yet whatever the
//! network does later meets them done. A session is set up and closed that way.

use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
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
/// How many commands wait at the most,
const COMMANDS: usize = 1024;
/// and how many before the thread is woken in any case.
const LEFT: usize = 256;

/// Where callers leave commands for a thread. The thread ends when this is dropped.
pub(super) struct Mailbox<T> {
    commands: Option<SyncSender<Command<T>>>,
    bell: Arc<Bell>,
}

/// A thread's side of its mailbox.
pub(super) struct Commands<T> {
    commands: Receiver<Command<T>>,
    bell: Arc<Bell>,
}

/// Tells a thread that commands wait.
struct Bell {
    event: EventFd,
    /// The event is set.
    rung: AtomicBool,
    /// Commands since the thread last ran them; never less than there are.
    left: AtomicUsize,
}

impl Bell {
    fn ring(&self) {
        if !self.rung.swap(true, AcqRel) {
            // Fails only when the counter is at its limit, and then the thread is awake anyhow.
            let _ = self.event.write(1);
        }
    }

    fn clear(&self) {
        let _ = self.event.read();
        self.rung.swap(false, AcqRel);
    }
}

/// Starts a thread that runs `body` on the value that `make` makes in it.
pub(super) fn start<T: 'static>(
    name: &str,
    make: impl FnOnce(Epoll) -> T + Send + 'static,
    body: impl FnOnce(T, Commands<T>) + Send + 'static,
) -> io::Result<Mailbox<T>> {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    let event = EventFd::from_value_and_flags(0, EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?;
    let bell = Arc::new(Bell { event, rung: AtomicBool::new(false), left: AtomicUsize::new(0) });
    epoll.add(&bell.event, EpollEvent::new(EpollFlags::EPOLLIN, WAKE))?;
    let (sender, receiver) = sync_channel(COMMANDS);
    let commands = Commands { commands: receiver, bell: bell.clone() };
    thread::Builder::new().name(name.into()).spawn(move || {
        // Rests are short; by default the kernel makes them 50 µs longer. It refuses nobody.
        let _ = prctl::set_timerslack(TIMER_SLACK);
        body(make(epoll), commands);
    })?;
    Ok(Mailbox { commands: Some(sender), bell })
}

fn gone() -> Error {
    Error::new(Errno::NoDev, "the driver's thread has ended; start the driver again")
}

impl<T> Mailbox<T> {
    fn sender(&self) -> Result<&SyncSender<Command<T>>> {
        self.commands.as_ref().ok_or_else(gone)
    }

    /// Wakes the thread for the commands that were left.
    pub(super) fn wake(&self) {
        self.bell.ring();
    }

    /// Leaves a command: it is run before the thread looks at anything that comes later.
    pub(super) fn leave(&self, command: impl FnOnce(&mut T) + Send + 'static) -> Result<()> {
        self.sender()?.send(Box::new(command)).map_err(|_| gone())?;
        if self.bell.left.fetch_add(1, Release) >= LEFT {
            self.wake();
        }
        Ok(())
    }

    /// Leaves a command and wakes the thread. If too many wait, the caller waits for room: nothing is lost
    /// when very many sessions end at once.
    pub(super) fn post(&self, command: impl FnOnce(&mut T) + Send + 'static) -> Result<()> {
        self.leave(command)?;
        self.wake();
        Ok(())
    }

    /// Leaves a command of another thread, which never waits, and wakes the thread. It is lost if too many wait.
    pub(super) fn tell(&self, command: impl FnOnce(&mut T) + Send + 'static) {
        let left = self.commands.as_ref().is_some_and(|sender| sender.try_send(Box::new(command)).is_ok());
        if left {
            self.bell.left.fetch_add(1, Release);
            self.wake();
        }
    }

    /// Runs a command in the thread and waits for its answer.
    pub(super) fn call<R: Send + 'static>(
        &self,
        command: impl FnOnce(&mut T) -> R + Send + 'static,
    ) -> Result<R> {
        let (answer, wait) = sync_channel(1);
        self.leave(move |value| {
            // The caller waits; should it be gone, nobody misses the answer.
            let _ = answer.send(command(value));
        })?;
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
    /// Runs what waits after the thread was woken. `false`: the mailbox is gone, the thread shall end.
    pub(super) fn woken(&self, value: &mut T) -> bool {
        self.bell.clear();
        self.run_all(value)
    }

    /// Runs what waits, before what the thread has just got is looked at.
    #[inline]
    pub(super) fn run(&self, value: &mut T) {
        if self.bell.left.load(Acquire) > 0 {
            self.run_all(value);
        }
    }

    fn run_all(&self, value: &mut T) -> bool {
        self.bell.left.swap(0, AcqRel);
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

#[cfg(test)]
mod tests {
    use super::*;

    struct Notes {
        epoll: Epoll,
        commands: Vec<u32>,
    }

    /// A thread that looks for commands only when it is woken.
    fn thread() -> Mailbox<Notes> {
        let make = |epoll| Notes { epoll, commands: Vec::new() };
        let body = |mut notes: Notes, commands: Commands<Notes>| {
            let mut events = [EpollEvent::empty(); 1];
            while notes.epoll.wait(&mut events, EpollTimeout::NONE) == Ok(1) && commands.woken(&mut notes) {}
        };
        start("notes", make, body).expect("a thread")
    }

    fn note(number: u32) -> impl FnOnce(&mut Notes) + Send {
        move |notes| notes.commands.push(number)
    }

    #[test]
    fn commands_are_run_in_the_order_they_came() {
        let mailbox = thread();
        mailbox.leave(note(1)).expect("left");
        mailbox.leave(note(2)).expect("left");
        mailbox.post(note(3)).expect("posted");
        mailbox.leave(note(4)).expect("left");
        assert_eq!(mailbox.call(|notes| notes.commands.clone()), Ok(vec![1, 2, 3, 4]));
    }

    #[test]
    fn what_is_left_is_run_when_much_of_it_waits() {
        let mailbox = thread();
        let (sender, receiver) = sync_channel(1);
        mailbox.leave(move |_| sender.send(()).expect("awaited")).expect("left");
        for number in 1..LEFT as u32 {
            mailbox.leave(note(number)).expect("left");
        }
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty), "it was woken already");
        mailbox.leave(note(LEFT as u32)).expect("left");
        receiver.recv().expect("the first command is run");
    }

    #[test]
    fn more_than_there_is_room_for_only_takes_longer() {
        let mailbox = thread();
        let numbers = 0..10 * COMMANDS as u32;
        numbers.clone().for_each(|number| mailbox.leave(note(number)).expect("left"));
        assert_eq!(mailbox.call(|notes| notes.commands.clone()), Ok(numbers.collect()));
    }

    #[test]
    fn frames_wait_for_room() {
        let mailbox = thread();
        let (started, start) = sync_channel(0);
        let (go_on, held) = sync_channel::<()>(1);
        let hold = move |_: &mut Notes| {
            started.send(()).expect("awaited");
            held.recv().expect("sent");
        };
        mailbox.post(hold).expect("posted");
        start.recv().expect("it runs");
        let numbers = 0..10 * COMMANDS as u32;
        for number in numbers.clone() {
            if number == COMMANDS as u32 {
                go_on.send(()).expect("awaited");
            }
            mailbox.post(note(number)).unwrap_or_else(|error| panic!("frame {number}: {error}"));
        }
        assert_eq!(mailbox.call(|notes| notes.commands.clone()), Ok(numbers.collect()));
    }

    #[test]
    fn the_thread_ends_with_its_mailbox() {
        let mailbox = thread();
        let (sender, receiver) = sync_channel(1);
        mailbox.leave(move |_| sender.send(()).expect("awaited")).expect("left");
        drop(mailbox);
        assert_eq!(receiver.iter().count(), 1, "what was left is run before");
    }
}
