//! Scripts that are run when a session's IPv4 or IPv6 comes up or goes down, as pppd runs its own.
//!
//! They are run without a shell, with `/` as their directory, no input, and what they print goes to the
//! daemon's standard error. Those of one session run one after the other, of all together 16 at a time.
//! A script that takes longer than its limit is killed with everything in its process group. A `down`
//! that comes before its `up` was begun cancels it: neither is run.
//!
//! Arguments are pppd's: interface, terminal (empty), speed, local address, remote address, name of
//! the profile. The environment holds this and nothing else; what is not known is not set:
//!
//! | variable | pppd's name | what |
//! |---|---|---|
//! | `HOOK` | | `ip-up`, `ip-down`, `ipv6-up` or `ipv6-down` |
//! | `INTERFACE` | `IFNAME` | the interface |
//! | `LOCAL_ADDRESS` | `IPLOCAL`, `LLLOCAL` | our address; in `ipv6-*` the link-local one |
//! | `REMOTE_ADDRESS` | `IPREMOTE`, `LLREMOTE` | the peer's |
//! | `PREFIX` | | in `ipv6-*`: the prefix the peer is given |
//! | `DNS1`, `DNS2` | the same, `USEPEERDNS=1` | resolvers that the peer named |
//! | `TUNNEL_ID`, `SESSION_ID` | | our ids |
//! | `PEER` | | the peer's address outside the tunnel |
//! | `PEER_NAME` | | its Host Name (RFC 2661 §4.4.3) |
//! | `USER` | `PEERNAME`, only where the peer is the user | the user of PPP's authentication |
//! | `CALLING_NUMBER`, `CALLED_NUMBER` | | the call's numbers |
//! | `PROFILE` | | the profile's or connection's name |
//! | `SPEED` | the same | bits per second, 0 if not known |
//! | `REASON` | | in `*-down`: why |
//! | `CONNECT_TIME` | the same | in `*-down`: seconds |
//! | `BYTES_IN`, `BYTES_OUT` | `BYTES_RCVD`, `BYTES_SENT` | in `*-down`: received from the peer, sent to it |
//! | `PATH` | | the system's folders |
//!
//! What the network says is safe to use unquoted: letters and digits (of any script), and
//! `@ . _ + - : , %`, the first of them no `-` or `.`; all else is `_`. In `REASON` there are also spaces.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use pppol2tp::Prefix;
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::warn;

use crate::config::Hooks;

pub(crate) mod child;
mod environment;
mod worker;

pub(crate) use environment::PATH;

/// When a script is run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hook {
    /// IPv4 is up.
    IpUp,
    /// IPv4 is down.
    IpDown,
    /// IPv6 is up.
    Ipv6Up,
    /// IPv6 is down.
    Ipv6Down,
}

impl Hook {
    /// `"ip-up"` and so on.
    pub fn name(self) -> &'static str {
        match self {
            Self::IpUp => "ip-up",
            Self::IpDown => "ip-down",
            Self::Ipv6Up => "ipv6-up",
            Self::Ipv6Down => "ipv6-down",
        }
    }

    fn is_ipv6(self) -> bool {
        matches!(self, Self::Ipv6Up | Self::Ipv6Down)
    }

    fn is_down(self) -> bool {
        matches!(self, Self::IpDown | Self::Ipv6Down)
    }
}

/// What a script is told. Names and numbers are the network's bytes.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The interface.
    pub interface: String,
    /// Our IPv4 address.
    pub local: Option<Ipv4Addr>,
    /// The peer's.
    pub remote: Option<Ipv4Addr>,
    /// Our link-local IPv6 address.
    pub local6: Option<Ipv6Addr>,
    /// The peer's.
    pub remote6: Option<Ipv6Addr>,
    /// The IPv6 prefix that the peer is given.
    pub prefix: Option<Prefix>,
    /// Resolvers that the peer named.
    pub dns: Vec<IpAddr>,
    /// Our tunnel id.
    pub tunnel_id: u16,
    /// Our session id.
    pub session_id: u16,
    /// The peer's address outside the tunnel.
    pub peer: Option<IpAddr>,
    /// Its Host Name.
    pub peer_name: Vec<u8>,
    /// The user of PPP's authentication.
    pub user: Vec<u8>,
    /// Whether the user is the peer: it proved its name to us.
    pub user_is_peer: bool,
    /// The Calling Number.
    pub calling_number: Vec<u8>,
    /// The Called Number.
    pub called_number: Vec<u8>,
    /// The profile's or connection's name.
    pub profile: String,
    /// Bits per second.
    pub speed: u64,
    /// Why it went down.
    pub reason: String,
    /// How long it was up.
    pub connect_time: Duration,
    /// Bytes received from the peer.
    pub bytes_in: u64,
    /// Bytes sent to the peer.
    pub bytes_out: u64,
}

/// A script to run.
struct Job {
    hook: Hook,
    command: Command,
    limit: Duration,
}

/// Runs the scripts.
pub struct Runner {
    hooks: Hooks,
    jobs: mpsc::UnboundedSender<(u64, Job)>,
    worker: JoinHandle<()>,
}

impl Runner {
    /// A runner that works in the tokio runtime of the caller.
    pub fn new(hooks: Hooks) -> Self {
        let (jobs, work) = mpsc::unbounded_channel();
        Self { hooks, jobs, worker: tokio::spawn(worker::work(work)) }
    }

    /// Takes other scripts from now on.
    pub fn set(&mut self, hooks: Hooks) {
        self.hooks = hooks;
    }

    /// Runs a script when its turn comes; returns at once. `session` is any number that tells sessions
    /// apart. Without a script there is nothing to do.
    pub fn run(&self, session: u64, hook: Hook, facts: &Facts) {
        let program = match hook {
            Hook::IpUp => &self.hooks.ip_up,
            Hook::IpDown => &self.hooks.ip_down,
            Hook::Ipv6Up => &self.hooks.ipv6_up,
            Hook::Ipv6Down => &self.hooks.ipv6_down,
        };
        let Some(program) = program else { return };
        let job =
            Job { hook, command: environment::command(program, hook, facts), limit: self.hooks.timeout };
        // The worker lives as long as the sender, but for the end of the runtime.
        let _ = self.jobs.send((session, job));
    }

    /// Waits for all scripts, those still to be run included, and kills what is left after `patience`.
    pub async fn finish(self, patience: Duration) {
        let Self { jobs, mut worker, .. } = self;
        drop(jobs);
        if timeout(patience, &mut worker).await.is_err() {
            warn!("scripts of sessions were still to be run or running after {patience:?}: killed");
            worker.abort();
            // Cancelled. Scripts are killed when their tasks are dropped, at the latest with the runtime.
            let _ = worker.await;
        }
    }
}
