//! The machine's name servers: a task, because programs are run for them, that the reactor only talks to.

use std::net::IpAddr;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::warn;

use crate::config::DnsMode;
use crate::notice::Notice;
use crate::resolver::{Paths, Resolver};

/// How long taking everything back may last.
const PATIENCE: Duration = Duration::from_secs(10);

enum Job {
    Set { mode: DnsMode, interface: String, servers: Vec<IpAddr>, all: bool },
    Unset { interface: String },
}

/// The way to the task, and what it tells.
pub(super) struct Names {
    jobs: mpsc::UnboundedSender<Job>,
    task: JoinHandle<()>,
}

impl Names {
    /// Takes back what a killed run left behind, and waits for jobs.
    pub(super) fn start(told: mpsc::UnboundedSender<Notice>) -> Self {
        let (jobs, work) = mpsc::unbounded_channel();
        Self { jobs, task: tokio::spawn(run(work, told)) }
    }

    /// Takes these name servers into use; `all`: for every name.
    pub(super) fn set(&self, mode: DnsMode, interface: &str, servers: &[IpAddr], all: bool) {
        let (interface, servers) = (interface.to_owned(), servers.to_vec());
        // The task lives as long as this does.
        let _ = self.jobs.send(Job::Set { mode, interface, servers, all });
    }

    /// Takes back what was set for an interface.
    pub(super) fn unset(&self, interface: &str) {
        // As above.
        let _ = self.jobs.send(Job::Unset { interface: interface.to_owned() });
    }

    /// Takes everything back.
    pub(super) async fn close(self) {
        drop(self.jobs);
        if timeout(PATIENCE, self.task).await.is_err() {
            warn!(
                "the name servers are still being taken back after {PATIENCE:?}: the next run completes that"
            );
        }
    }
}

async fn run(mut jobs: mpsc::UnboundedReceiver<Job>, told: mpsc::UnboundedSender<Notice>) {
    let mut resolver = Resolver::open(Paths::default()).await;
    while let Some(job) = jobs.recv().await {
        match job {
            Job::Set { mode, interface, servers, all } => {
                match resolver.set(mode, &interface, &servers, all).await {
                    Ok(DnsMode::None) => {}
                    Ok(way) => {
                        let by = way.name().into();
                        // The daemon may have ended meanwhile.
                        let _ = told.send(Notice::NameServers { interface, servers, by });
                    }
                    Err(error) => warn!("{error}"),
                }
            }
            Job::Unset { interface } => {
                if let Err(error) = resolver.unset(&interface).await {
                    warn!("{error}");
                }
            }
        }
    }
    resolver.close().await;
}
