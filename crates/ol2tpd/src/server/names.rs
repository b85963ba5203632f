//! The machine's name servers: a task, because programs are run for them, that the reactor only talks to.
//!
//! Peers can change their minds as often as they like. So of each interface only the latest wish waits, and it
//! rests for a second before the next is fulfilled.

use std::collections::BTreeMap;
use std::future::pending;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::warn;

use crate::config::DnsMode;
use crate::notice::Notice;
use crate::resolver::{Paths, Resolver};

/// How long an interface rests.
const REST: Duration = Duration::from_secs(1);
/// How long taking everything back may last.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(PartialEq, Eq, Debug)]
enum Job {
    Set { mode: DnsMode, servers: Vec<IpAddr>, all: bool },
    Unset,
}

/// What waits: interfaces in the order of their wishes.
#[derive(Default)]
struct Queue {
    jobs: Vec<(String, Job)>,
    /// Interfaces that rest, and until when.
    resting: BTreeMap<String, Instant>,
    closed: bool,
}

enum Next {
    Job(String, Job),
    /// None before then, if any.
    Wait(Option<Instant>),
    End,
}

impl Queue {
    fn put(&mut self, interface: &str, job: Job) {
        self.jobs.retain(|(other, _)| other != interface);
        self.jobs.push((interface.into(), job));
    }

    /// What is to be done now. At the end nobody rests.
    fn next(&mut self, now: Instant) -> Next {
        self.resting.retain(|_, until| *until > now);
        let ready = |interface: &String| self.closed || !self.resting.contains_key(interface);
        match self.jobs.iter().position(|(interface, _)| ready(interface)) {
            Some(at) => {
                let (interface, job) = self.jobs.remove(at);
                self.resting.insert(interface.clone(), now + REST);
                Next::Job(interface, job)
            }
            None if self.closed => Next::End,
            None => {
                Next::Wait(self.jobs.iter().filter_map(|(name, _)| self.resting.get(name)).min().copied())
            }
        }
    }
}

#[derive(Default)]
struct Work {
    queue: Mutex<Queue>,
    changed: Notify,
}

impl Work {
    fn change<T>(&self, change: impl FnOnce(&mut Queue) -> T) -> T {
        // No change can panic halfway.
        change(&mut self.queue.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The way to the task, and what it tells.
pub(super) struct Names {
    work: Arc<Work>,
    task: JoinHandle<()>,
}

impl Names {
    /// Takes back what a killed run left behind, and waits for jobs.
    pub(super) fn start(told: mpsc::UnboundedSender<Notice>) -> Self {
        let work = Arc::new(Work::default());
        Self { task: tokio::spawn(run(Arc::clone(&work), told)), work }
    }

    /// Takes these name servers into use; `all`: for every name.
    pub(super) fn set(&self, mode: DnsMode, interface: &str, servers: &[IpAddr], all: bool) {
        self.put(interface, Job::Set { mode, servers: servers.into(), all });
    }

    /// Takes back what was set for an interface.
    pub(super) fn unset(&self, interface: &str) {
        self.put(interface, Job::Unset);
    }

    fn put(&self, interface: &str, job: Job) {
        self.work.change(|queue| queue.put(interface, job));
        self.work.changed.notify_one();
    }

    /// Takes everything back.
    pub(super) async fn close(self) {
        self.work.change(|queue| queue.closed = true);
        self.work.changed.notify_one();
        if timeout(PATIENCE, self.task).await.is_err() {
            warn!(
                "the name servers are still being taken back after {PATIENCE:?}: the next run completes that"
            );
        }
    }
}

async fn run(work: Arc<Work>, told: mpsc::UnboundedSender<Notice>) {
    let mut resolver = Resolver::open(Paths::default()).await;
    loop {
        let (interface, job) = match work.change(|queue| queue.next(Instant::now())) {
            Next::Job(interface, job) => (interface, job),
            Next::Wait(until) => {
                let rested = async {
                    match until {
                        Some(until) => sleep_until(until).await,
                        None => pending().await,
                    }
                };
                tokio::select! {
                    () = work.changed.notified() => {}
                    () = rested => {}
                }
                continue;
            }
            Next::End => break,
        };
        match job {
            Job::Set { mode, servers, all } => match resolver.set(mode, &interface, &servers, all).await {
                Ok(DnsMode::None) => {}
                Ok(way) => {
                    let by = way.name().into();
                    // The daemon may have ended meanwhile.
                    let _ = told.send(Notice::NameServers { interface, servers, by });
                }
                Err(error) => warn!("{error}"),
            },
            Job::Unset => {
                if let Err(error) = resolver.unset(&interface).await {
                    warn!("{error}");
                }
            }
        }
    }
    resolver.close().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(n: u8) -> Job {
        Job::Set { mode: DnsMode::File, servers: vec![[10, 0, 0, n].into()], all: false }
    }

    #[test]
    fn the_latest_wish_of_an_interface_counts_and_each_rests() {
        let (mut queue, start) = (Queue::default(), Instant::now());
        let next = |queue: &mut Queue, after: Duration| match queue.next(start + after) {
            Next::Job(interface, job) => Some((interface, job)),
            Next::Wait(_) | Next::End => None,
        };
        for n in 0..100 {
            queue.put("ppp0", set(n));
            queue.put("ppp1", Job::Unset);
        }
        assert_eq!(queue.jobs.len(), 2);
        assert_eq!(next(&mut queue, Duration::ZERO), Some(("ppp0".into(), set(99))));
        queue.put("ppp0", set(1));
        queue.put("ppp0", Job::Unset);
        assert_eq!(next(&mut queue, Duration::ZERO), Some(("ppp1".into(), Job::Unset)), "others go on");
        assert_eq!(next(&mut queue, REST / 2), None);
        assert!(matches!(queue.next(start + REST / 2), Next::Wait(Some(until)) if until == start + REST));
        assert_eq!(next(&mut queue, REST), Some(("ppp0".into(), Job::Unset)));
        queue.put("ppp0", set(2));
        queue.closed = true;
        assert_eq!(next(&mut queue, REST), Some(("ppp0".into(), set(2))), "the end does not wait");
        assert!(matches!(queue.next(start + REST), Next::End));
    }
}
