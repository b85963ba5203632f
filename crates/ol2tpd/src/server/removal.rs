//! Interfaces whose sessions have ended. The kernel takes tens of milliseconds to remove one, most of them
//! waiting: a thread does that, one after the other, and when hundreds of sessions end at once, those that
//! go on do not wait for it.
//!
//! What waits is bounded by what there was: all sessions that are up may end at once. While [`ROOM`] of them
//! wait, or as many as the limit of sessions leaves no room beside, calls that want an interface of their own
//! are refused, so that nobody piles them up by logging in and out.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use tokio::time::timeout;
use tracing::{info, warn};

/// How many may wait while new ones are made: a minute or two, in which a peer calls again.
const ROOM: usize = 4096;
/// How often it is told that the daemon's end waits.
const PROGRESS: Duration = Duration::from_secs(3);

/// The thread, which starts with the first interface.
#[derive(Default)]
pub(super) struct Removal(Option<Worker>);

struct Worker {
    units: mpsc::Sender<Box<dyn Send>>,
    waiting: Arc<AtomicUsize>,
    thread: thread::JoinHandle<()>,
}

impl Removal {
    /// Removes a unit and its interface, some time later.
    pub(super) fn remove(&mut self, unit: impl Send + 'static) {
        if self.0.is_none() {
            let (units, work) = mpsc::channel();
            let waiting = Arc::new(AtomicUsize::new(0));
            let rest = Arc::clone(&waiting);
            let body = move || {
                for unit in work {
                    drop(unit);
                    rest.fetch_sub(1, Relaxed);
                }
            };
            match thread::Builder::new().name("removal".into()).spawn(body) {
                Ok(thread) => self.0 = Some(Worker { units, waiting, thread }),
                // It is removed here and now.
                Err(error) => return warn!("starting a thread that removes interfaces: {error}"),
            }
        }
        if let Some(Worker { units, waiting, .. }) = &self.0 {
            waiting.fetch_add(1, Relaxed);
            // The thread ends after its sender. A unit that it did not take is removed here.
            let _ = units.send(Box::new(unit));
        }
    }

    /// Whether a session more may have an interface of its own, beside so many and up to so many.
    pub(super) fn has_room(&self, sessions: usize, limit: usize) -> bool {
        let waiting = self.0.as_ref().map_or(0, |worker| worker.waiting.load(Relaxed));
        waiting == 0 || waiting < ROOM && sessions + waiting < limit
    }

    /// Waits until all of them have gone, and says how many there are.
    pub(super) async fn close(self) {
        if let Some(Worker { units, waiting, thread }) = self.0 {
            drop(units);
            let mut end = tokio::task::spawn_blocking(move || thread.join());
            // A thread that panicked has said so.
            while timeout(PROGRESS, &mut end).await.is_err() {
                info!("interfaces of ended sessions that are still to be removed: {}", waiting.load(Relaxed));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It takes as long to go as someone here wants.
    struct Slow(mpsc::Receiver<()>);

    impl Drop for Slow {
        fn drop(&mut self) {
            let _ = self.0.recv();
        }
    }

    #[tokio::test]
    async fn what_waits_counts_as_a_session() {
        let mut removal = Removal::default();
        assert!(removal.has_room(1, 1), "the limit itself is another's to see to");
        let (goes, slow) = mpsc::channel();
        removal.remove(Slow(slow));
        removal.remove(());
        assert!(removal.has_room(1, 4) && !removal.has_room(2, 4));
        for _ in 2..ROOM {
            removal.remove(());
        }
        assert!(!removal.has_room(0, usize::MAX));
        drop(goes);
        removal.close().await;
    }
}
