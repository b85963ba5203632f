//! Why the daemon does not start, or ends.

use std::{fmt, io};

/// Result of the daemon's calls.
pub type Result<T> = std::result::Result<T, Error>;

/// What was being done, and what came of it.
#[derive(Debug)]
pub enum Error {
    /// The driver refused.
    Driver {
        /// What was being done.
        doing: String,
        /// The driver's error.
        source: pppol2tp::Error,
    },
    /// A system call failed.
    System {
        /// What was being done.
        doing: String,
        /// The system's error.
        source: io::Error,
    },
    /// The control socket cannot be had, or nobody answers there.
    Control(String),
    /// What the daemon was running has gone.
    Gone(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Driver { doing, source } => write!(f, "{doing}: {source}"),
            Self::System { doing, source } => write!(f, "{doing}: {source}"),
            Self::Control(message) | Self::Gone(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Driver { source, .. } => Some(source),
            Self::System { source, .. } => Some(source),
            Self::Control(_) | Self::Gone(_) => None,
        }
    }
}

/// Says what was being done when something failed.
pub(crate) trait Doing<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Doing<T> for pppol2tp::Result<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| Error::Driver { doing: what(), source })
    }
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| Error::System { doing: what(), source })
    }
}
