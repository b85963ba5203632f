//! What waits for the owner of a UDP socket: control messages, then the frames of sessions that pass up,
//! then all the rest. No kind takes another's place, and no session all places of the frames.

use std::io;
use std::iter;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::{Duration, Instant};

use super::queue::Inbox;
use super::state::{FRAMES, Session};
use crate::{PassedUp, Reason};

/// Queues, by what is read first.
const CONTROL: usize = 0;
const FRAME: usize = 1;
const OTHER: usize = 2;
/// How many control messages wait at the most, and how many others.
const CONTROL_LIMIT: usize = 4096;
const OTHER_LIMIT: usize = 256;
/// How many bytes the frames of all sessions take at the most: a frame of 100 bytes of each of 65,535.
const FRAME_BYTES: usize = 16 << 20;
/// What a frame takes beside its bytes.
const OVERHEAD: usize = 128;

enum Item {
    Datagram(PassedUp),
    Frame(Arc<Session>, Box<[u8]>),
    /// As many as there are sessions and units: unbounded otherwise.
    Gone(Arc<Session>),
}

/// The queue. The thread *up* appends; of the end of an interface, others do too.
pub(super) struct PassedQueue {
    inbox: Inbox<Item, 3>,
    frame_bytes: AtomicUsize,
}

impl PassedQueue {
    pub(super) fn new() -> Self {
        Self { inbox: Inbox::new(), frame_bytes: AtomicUsize::new(0) }
    }

    /// Appends a datagram, unless too many of its kind wait.
    pub(super) fn push(&self, control: bool, datagram: impl FnOnce() -> PassedUp) -> bool {
        let (class, limit) = if control { (CONTROL, CONTROL_LIMIT) } else { (OTHER, OTHER_LIMIT) };
        self.inbox.push(class, limit, || Item::Datagram(datagram()))
    }

    /// Appends a frame, unless too many of its session wait, or too much of all.
    pub(super) fn push_frame(&self, session: &Arc<Session>, frame: impl FnOnce() -> Box<[u8]>) -> bool {
        if session.passed.load(Relaxed) >= FRAMES || self.frame_bytes.load(Relaxed) >= FRAME_BYTES {
            return false;
        }
        self.inbox.push(FRAME, usize::MAX, || {
            let frame = frame();
            session.passed.fetch_add(1, Relaxed);
            self.frame_bytes.fetch_add(frame.len() + OVERHEAD, Relaxed);
            Item::Frame(session.clone(), frame)
        })
    }

    /// Says that a session or its unit is dead, if it passes up, nobody closed it, and it was not `told`.
    pub(super) fn push_gone(&self, session: &Arc<Session>, told: &AtomicBool) {
        if session.passes_up.load(SeqCst) && !session.closed.load(Relaxed) && !told.swap(true, Relaxed) {
            self.inbox.push(FRAME, usize::MAX, || Item::Gone(session.clone()));
        }
    }

    pub(super) fn pop(&self) -> Option<PassedUp> {
        iter::from_fn(|| self.inbox.pop()).find_map(|item| self.open(item))
    }

    /// Waits for something until `timeout` has passed or the queue is closed.
    pub(super) fn pop_timeout(&self, timeout: Duration) -> Option<PassedUp> {
        let end = Instant::now() + timeout;
        let next = || self.inbox.pop_timeout(end.saturating_duration_since(Instant::now()));
        iter::from_fn(next).find_map(|item| self.open(item))
    }

    /// What the owner gets to see of it. `None` of a session that was closed meanwhile.
    fn open(&self, item: Item) -> Option<PassedUp> {
        let (session, frame, reason): (_, _, fn(_) -> _) = match item {
            Item::Datagram(passed_up) => return Some(passed_up),
            Item::Gone(session) => (session, Box::default(), Reason::Gone),
            Item::Frame(session, frame) => {
                session.passed.fetch_sub(1, Relaxed);
                self.frame_bytes.fetch_sub(frame.len() + OVERHEAD, Relaxed);
                (session, frame, Reason::Frame)
            }
        };
        let tunnel = &session.tunnel;
        (!session.closed.load(Relaxed)).then(|| PassedUp {
            datagram: frame.into(),
            from: tunnel.peer,
            local: tunnel.local,
            reason: reason(session.ids()),
        })
    }

    pub(super) fn close(&self) {
        self.inbox.close();
    }

    pub(super) fn poll_fd(&self) -> io::Result<BorrowedFd<'_>> {
        self.inbox.poll_fd()
    }
}
