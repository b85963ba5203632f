//! The driver in user space: UDP sockets on one side, TUN interfaces on the other, two threads
//! between them, or several such pairs: shards.
//!
//! | file | what |
//! |---|---|
//! | `core` | what exists: sockets, tunnels, sessions, interfaces; made and ended here |
//! | `udp`, `tunnel`, `session`, `unit` | the values that callers hold |
//! | `pppox` | the same values as AF_PPPOX sockets: addresses, options and ioctls as bytes |
//! | `up`, `down` | the threads: UDP → interface, interface → UDP |
//! | `deliver` | where `up` leaves what it has received |
//! | `coalesce`, `split`, `runs`, `checksum`, `vnet` | super-packets, as pure functions |
//! | `mss` | the segment size that TCP announces, a pure function |
//! | `fast` | what the kernel moves by itself, by programs in eBPF |
//! | `unfinished` | what a peer's fast path leaves to be done, a pure function
//! | `select` | which shard has a peer's tunnels, and the sockets of an address |
//! | `state`, `queue`, `passed`, `table`, `worker`, `log` | what they share |

use std::net::UdpSocket;
use std::sync::Arc;

use crate::{Driver, Result, SessionIds, SessionSocket, SharedConfig, SharedInterface, Snapshot, UdpHandle};

mod checksum;
mod coalesce;
mod core;
mod deliver;
mod down;
mod fast;
#[doc(hidden)]
pub mod fuzzing;
mod log;
mod mode;
mod mss;
mod passed;
mod paths;
mod pppox;
mod queue;
mod reads;
mod runs;
mod select;
pub(crate) mod session;
mod split;
mod state;
mod table;
pub(crate) mod tunnel;
pub(crate) mod udp;
mod unfinished;
mod unit;
mod up;
mod vnet;
mod worker;

pub use fast::{Fast, FastPath};
pub use mode::Mode;
pub use pppox::PppoxSocket;

/// How a [`UserDriver`] works.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which offloads it may use; what the machine lacks is found out and switched off.
    pub mode: Mode,
    /// Debug messages a second at the most; `None`: no limit.
    pub debug_rate: Option<u32>,
    /// How many pairs of threads, 1 to [`MAX_SHARDS`]. All tunnels of a peer's address are in one of them, and a shared
    /// interface is read by one.
    pub shards: usize,
    /// How the kernel moves the frames of plain sessions by itself.
    pub fast: FastPath,
    /// Whether data messages that it sends so have a UDP checksum. Over IPv6 they have one anyhow; RFC 2661 §8.1 leaves
    /// IPv4's to the operator. Messages that threads send always have theirs.
    pub data_checksums: bool,
}

/// As many pairs of threads a driver has at the most.
pub const MAX_SHARDS: usize = 64;

impl Default for Config {
    fn default() -> Self {
        Self {
            mode: Mode::OFFLOAD,
            debug_rate: Some(500),
            shards: 1,
            fast: FastPath::default(),
            data_checksums: true,
        }
    }
}

/// The driver in user space.
///
/// It belongs to the network namespace of the thread that starts it: interfaces have to be made
/// from there. UDP sockets may come from any namespace. Its threads end with the last value that
/// it handed out.
pub struct UserDriver {
    core: Arc<core::Core>,
}

impl UserDriver {
    /// Starts the driver's threads.
    ///
    /// Errors: [`Errno::Inval`](crate::Errno::Inval) if there cannot be so many shards.
    pub fn new(config: Config) -> Result<Self> {
        let core = Arc::new(core::Core::start(config)?);
        if let Ok(programs) = core.fast.programs() {
            let watched = programs.watch(Arc::downgrade(&core));
            watched.map_err(|error| crate::Error::system("watching for changes of routes", &error))?;
        }
        Ok(Self { core })
    }
}

impl Drop for core::Core {
    fn drop(&mut self) {
        if let Ok(programs) = self.fast.programs() {
            programs.end();
        }
    }
}

impl Driver for UserDriver {
    fn name(&self) -> &'static str {
        "user"
    }

    fn attach(&self, socket: UdpSocket) -> Result<Box<dyn UdpHandle>> {
        Ok(Box::new(udp::Handle::attach(self.core.clone(), socket)?))
    }

    fn session(&self, ids: SessionIds) -> Result<Box<dyn SessionSocket>> {
        let SessionIds { tunnel_id, session_id, .. } = ids;
        let name = format_args!("sess {tunnel_id}/{session_id}");
        let socket = session::Socket::connect(self.core.clone(), ids);
        Ok(Box::new(socket.inspect_err(|error| self.core.connect_failed(name, error))?))
    }

    fn shared_interface(&self, config: SharedConfig) -> Result<Box<dyn SharedInterface>> {
        Ok(Box::new(unit::Shared::make(self.core.clone(), &config)?))
    }

    fn fast(&self) -> std::result::Result<(), String> {
        self.core.fast.programs().map(drop).map_err(str::to_owned)
    }

    fn snapshot(&self) -> Snapshot {
        self.core.snapshot()
    }
}
