//! Runs scripts: in order within a session, a few sessions at a time.
//!
//! ```text
//!   job ─► queue of its session ─► ready sessions, first come first served ─► running, at most 16
//!                ▲                                                               │
//!                └───────────────── more of that session to run ◄────────────────┘
//! ```
//!
//! A `down` removes the `up` that still waits, so a session has at most one of each kind in its queue.

use std::collections::{HashMap, VecDeque};

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{debug, warn};

use super::child;
use super::{Hook, Job};
use crate::descriptors;

/// How many scripts run at a time.
const AT_ONCE: usize = 16;

/// Sessions with something to run. One that is running has its queue here, empty or not.
#[derive(Default)]
struct Sessions {
    queues: HashMap<u64, VecDeque<Job>>,
    ready: VecDeque<u64>,
    running: JoinSet<u64>,
}

/// Runs all that comes, until the senders are gone and everything has been run.
pub(super) async fn work(mut jobs: mpsc::UnboundedReceiver<(u64, Job)>) {
    let mut sessions = Sessions::default();
    loop {
        sessions.start();
        tokio::select! {
            Some((session, job)) = jobs.recv() => sessions.queue(session, job),
            Some(ended) = sessions.running.join_next() => {
                // A task ends by returning: it has nothing that panics, and is cancelled with all this.
                sessions.ready.extend(ended);
            }
            else => return,
        }
    }
}

impl Sessions {
    fn queue(&mut self, session: u64, job: Job) {
        let queue = self.queues.entry(session).or_insert_with(|| {
            self.ready.push_back(session);
            VecDeque::new()
        });
        match queue.iter().position(|earlier| earlier.hook.ends_with(job.hook)) {
            Some(up) => drop(queue.remove(up)),
            None => queue.push_back(job),
        }
    }

    fn start(&mut self) {
        while self.running.len() < AT_ONCE
            && let Some(session) = self.ready.pop_front()
        {
            match self.queues.get_mut(&session).and_then(VecDeque::pop_front) {
                Some(job) => drop(self.running.spawn(async move {
                    run(job).await;
                    session
                })),
                None => drop(self.queues.remove(&session)),
            }
        }
    }
}

impl Hook {
    /// Whether `down` undoes this.
    fn ends_with(self, down: Self) -> bool {
        matches!((self, down), (Self::IpUp, Self::IpDown) | (Self::Ipv6Up, Self::Ipv6Down))
    }
}

async fn run(Job { hook, mut command, limit }: Job) {
    descriptors::as_begun(&mut command);
    let result = child::run(&mut command, &[], limit).await;
    let program = command.as_std().get_program().display();
    match result {
        Ok(()) => debug!("{}: {program} is done", hook.name()),
        Err(failure) => warn!("{}: {program} {failure}", hook.name()),
    }
}
