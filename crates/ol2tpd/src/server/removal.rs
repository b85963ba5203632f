//! Interfaces whose sessions have ended. The kernel takes tens of milliseconds to remove one, most of them
//! waiting: a thread does that, one after the other, and when hundreds of sessions end at once, those that
//! go on do not wait for it.

use std::sync::mpsc;
use std::thread;

use pppol2tp::Unit;
use tracing::warn;

/// The thread, which starts with the first interface.
#[derive(Default)]
pub(super) struct Removal(Option<Worker>);

struct Worker {
    units: mpsc::Sender<Box<dyn Unit>>,
    thread: thread::JoinHandle<()>,
}

impl Removal {
    /// Removes a unit and its interface, some time later.
    pub(super) fn remove(&mut self, unit: Box<dyn Unit>) {
        if self.0.is_none() {
            let (units, work) = mpsc::channel();
            let body = move || work.into_iter().for_each(drop);
            match thread::Builder::new().name("removal".into()).spawn(body) {
                Ok(thread) => self.0 = Some(Worker { units, thread }),
                // It is removed here and now.
                Err(error) => return warn!("starting a thread that removes interfaces: {error}"),
            }
        }
        if let Some(Worker { units, .. }) = &self.0 {
            // The thread ends after its sender. A unit that it did not take is removed here.
            let _ = units.send(unit);
        }
    }

    /// Waits until all of them have gone.
    pub(super) async fn close(self) {
        if let Some(Worker { units, thread }) = self.0 {
            drop(units);
            // A thread that panicked has said so.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}
