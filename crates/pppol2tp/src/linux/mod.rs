//! Linux' own driver: sockets of AF_PPPOX and PX_PROTO_OL2TP, and `/dev/ppp`.
//!
//! ```text
//!   peers ──► listener ─────────────────────────────┐
//!   peer ───► UDP socket of a tunnel, connected ────┤ control messages        UdpHandle
//!                  │ data messages                  ├───────────► Inbox ────► recv, poll_fd
//!                  ▼                                │
//!             kernel: l2tp ─► session ─► channel ───┤ LCP, authentication
//!                                           │       │
//!                                         unit ─────┘ NCPs
//!                                           │
//!                                       interface ◄─► network packets
//! ```
//!
//! What a session's frames are read from:
//!
//! | state | frames come from | entered by |
//! |---|---|---|
//! | raw | the session socket | `connect` |
//! | channel | `/dev/ppp` with the channel attached | `pass_up`, the end of the unit |
//! | bound | the channel, and `/dev/ppp` with the unit | `unit` |
//! | dead | nowhere | the end of the session socket, of its tunnel, of the UDP handle |
//!
//! The kernel never goes back from channel to raw, and frames that come while it goes forth would be lost
//! between its queues: so a session that passes up takes the step at once, when its peer has sent nothing.
//!
//! Closed is from the inside out, whatever the owner drops first: the channel is parted from its unit and
//! closed, then the session socket, the management socket, the UDP socket. So nothing in the kernel goes while
//! something else stands on it, and no frame comes for an interface that is on its way out. A unit alone may be
//! there for longer, connected to nothing: its interface is its owner's.
//!
//! | file | what |
//! |---|---|
//! | `core` | what exists: handles, tunnels, sessions; made and ended here |
//! | `udp`, `tunnel`, `session`, `unit` | the values that callers hold |
//! | `inbox` | what waits for the owner of a UDP handle, and all descriptors it comes from |
//! | `filter` | the inner addresses that a peer may send from, a pure function |
//! | `watch` | one descriptor for several |
//! | `probe` | whether it works here, and why not |
//! | `proc` | what only `/proc/net/pppol2tp` tells: Ns, Nr, the interface that another program has made |

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io;
use std::net::UdpSocket;
use std::sync::Arc;

use crate::{
    Driver, Errno, Error, Result, SessionIds, SessionSocket, SharedConfig, SharedInterface, Snapshot,
    SocketOption, UdpHandle,
};

mod core;
mod filter;
mod inbox;
mod probe;
mod proc;
mod session;
#[allow(unsafe_code)]
mod sys;
mod tunnel;
mod udp;
mod unit;
mod watch;

/// The kernel's driver.
///
/// It belongs to the network namespace of the thread that makes it: the kernel looks for tunnels,
/// channels and interfaces in that of whoever calls, so all calls have to come from there.
pub struct LinuxDriver {
    core: Arc<core::Core>,
}

impl LinuxDriver {
    /// Shows that the kernel's driver works here: a tunnel and a session are connected, the session's PPP
    /// channel is attached, and all is closed again.
    ///
    /// Errors: the step that the kernel refuses, in words, with what to do.
    pub fn probe() -> Result<Self> {
        probe::probe()?;
        Ok(Self { core: Arc::new(core::Core::new()?) })
    }
}

impl Driver for LinuxDriver {
    fn name(&self) -> &'static str {
        "linux"
    }

    fn attach(&self, socket: UdpSocket) -> Result<Box<dyn UdpHandle>> {
        Ok(Box::new(udp::Handle::attach(self.core.clone(), socket)?))
    }

    fn session(&self, ids: SessionIds) -> Result<Box<dyn SessionSocket>> {
        Ok(Box::new(session::Socket::connect(self.core.clone(), ids)?))
    }

    fn shared_interface(&self, config: SharedConfig) -> Result<Box<dyn SharedInterface>> {
        Err(shared(&config.name))
    }

    fn snapshot(&self) -> Snapshot {
        self.core.snapshot()
    }

    fn foreign_interfaces(&self) -> BTreeMap<(u16, u16), String> {
        self.core.foreign_interfaces()
    }
}

/// What the kernel takes and ignores is an error here: who sets it shall know.
fn check_debug(option: SocketOption, value: i32) -> Result<()> {
    if option != SocketOption::Debug || value == 0 {
        return Ok(());
    }
    let message = "the kernel's driver has no debug messages, but tracepoints (events/l2tp of tracefs); use \
                   driver = \"user\" for debug messages";
    Err(Error::new(Errno::OpNotSupp, message))
}

fn shared(name: &str) -> Error {
    let message = format!(
        "the kernel's driver has an interface per session, and no shared one ('{name}'); use interface = \
         \"per-session\", or driver = \"user\""
    );
    Error::new(Errno::OpNotSupp, message)
}

/// A failed step: what was being done, and the kernel's own words and errno.
fn failed(doing: impl Display, error: &io::Error) -> Error {
    let hint = match error.raw_os_error() {
        Some(libc::EMFILE) => {
            "raise the limit of open files (LimitNOFILE, ulimit -n): 2 a tunnel and 3 a session are needed"
        }
        _ => "",
    };
    hinted(doing, error, hint)
}

/// The same, and what to do.
fn hinted(doing: impl Display, error: &io::Error, hint: &str) -> Error {
    let number = error.raw_os_error();
    let errno = Errno::ALL.iter().copied().find(|errno| Some(*errno as i32) == number);
    let then = if hint.is_empty() { "" } else { "; " };
    Error::new(errno.unwrap_or(Errno::Io), format!("{doing}: {error}{then}{hint}"))
}
