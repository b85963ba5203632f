//! The client's half of the control API; it blocks.

use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::message::{Disconnect, Reply, Request, Set, What};
use super::view::Report;
use crate::error::{Doing, Error, Result};
use crate::notice::Notice;

/// A connection to a daemon.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
}

impl Client {
    /// Connects to the daemon whose control socket is at `path`.
    ///
    /// Errors: no daemon is there, or it is another user's.
    pub fn connect(path: &Path) -> Result<Self> {
        let stream = UnixStream::connect(path).map_err(|error| {
            let place = path.display();
            Error::Control(match error.kind() {
                ErrorKind::NotFound => format!(
                    "no ol2tp is running at {place}: start one (ol2tp static …), or give its --socket PATH"
                ),
                ErrorKind::ConnectionRefused => {
                    format!("the ol2tp that made {place} is no more: start another (ol2tp static …)")
                }
                ErrorKind::PermissionDenied => {
                    format!("{place} belongs to another user: run this command as that user")
                }
                _ => format!("control socket {place}: {error}"),
            })
        })?;
        Ok(Self::new(stream))
    }

    /// A client on a connection that is there already.
    pub fn new(stream: UnixStream) -> Self {
        Self { stream: BufReader::new(stream) }
    }

    /// Options, state and counters.
    pub fn show(&mut self, what: What) -> Result<Report> {
        self.request(&Request::Show(what))
    }

    /// Sets socket options.
    ///
    /// Errors: there is no such tunnel or session, or the driver's rules refuse.
    pub fn set(&mut self, set: Set) -> Result<()> {
        self.request(&Request::Set(set)).map(drop)
    }

    /// Ends tunnels or sessions; returns when their ends have been told to the peers.
    ///
    /// Errors: there is no such tunnel or session.
    pub fn disconnect(&mut self, what: Disconnect) -> Result<()> {
        self.request(&Request::Disconnect(what)).map(drop)
    }

    /// What happens from now on, until the daemon ends.
    pub fn events(mut self) -> Result<impl Iterator<Item = Result<Notice>>> {
        self.request(&Request::Events)?;
        Ok(self.stream.lines().map(|line| {
            let notice = line.and_then(|line| Ok(serde_json::from_str(&line)?));
            notice.doing(|| "control socket".into())
        }))
    }

    fn request(&mut self, request: &Request) -> Result<Report> {
        match self.exchange(request).doing(|| "control socket".into())? {
            Reply::Ok(report) => Ok(*report),
            Reply::Error(failure) => Err(Error::Control(failure.message)),
        }
    }

    fn exchange(&mut self, request: &Request) -> io::Result<Reply> {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        self.stream.get_mut().write_all(&line)?;
        line.clear();
        if self.stream.read_until(b'\n', &mut line)? == 0 {
            return Err(io::Error::new(ErrorKind::UnexpectedEof, "the daemon has ended"));
        }
        Ok(serde_json::from_slice(&line)?)
    }
}
