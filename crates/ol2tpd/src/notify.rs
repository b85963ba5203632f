//! Tells the service manager how the daemon is: datagrams to the socket that NOTIFY_SOCKET names
//! (sd_notify(3)).

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use tracing::warn;

/// How long a service manager that does not read is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// The way to the service manager; without one all calls do nothing. What cannot be told is logged.
#[derive(Debug, Default)]
pub struct Notify {
    name: OsString,
    socket: Option<(UnixDatagram, SocketAddr)>,
}

impl Notify {
    /// As the environment says.
    pub fn from_environment() -> Self {
        Self::to(std::env::var_os("NOTIFY_SOCKET").as_deref())
    }

    /// To the socket with this path, or with this abstract name if it begins with `@`.
    pub fn to(name: Option<&OsStr>) -> Self {
        let Some(name) = name.filter(|name| !name.is_empty()) else { return Self::default() };
        let notify = |socket| Self { name: name.into(), socket };
        open(name.as_bytes()).map(|socket| notify(Some(socket))).unwrap_or_else(|error| {
            notify(None).cannot(&error);
            Self::default()
        })
    }

    /// Start-up is finished, or reloading is.
    pub fn ready(&self) {
        self.send("READY=1");
    }

    /// The configuration is read anew; [`ready`](Self::ready) follows.
    pub fn reloading(&self) {
        // CLOCK_MONOTONIC is always there.
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default();
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={}", now.as_micros()));
    }

    /// The daemon is about to end.
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// What the daemon does, in a line for people.
    pub fn status(&self, text: &str) {
        self.send(&format!("STATUS={}", text.replace(char::is_control, " ")));
    }

    fn send(&self, state: &str) {
        if let Some((socket, to)) = &self.socket
            && let Err(error) = socket.send_to_addr(state.as_bytes(), to)
        {
            self.cannot(&error);
        }
    }

    fn cannot(&self, error: &io::Error) {
        warn!("the service manager cannot be told (NOTIFY_SOCKET={}): {error}", self.name.display());
    }
}

fn open(name: &[u8]) -> io::Result<(UnixDatagram, SocketAddr)> {
    let to = match name {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        [b'/', ..] => SocketAddr::from_pathname(OsStr::from_bytes(name))?,
        _ => return Err(io::Error::other("neither a path nor an abstract name")),
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok((socket, to))
}
