//! How the command ends.

use std::{fmt, io};

/// Exit codes, as `--help` lists them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Code {
    /// Done.
    Ok = 0,
    /// Failed while running.
    Failed = 1,
    /// The arguments make no sense.
    Usage = 2,
    /// Cannot run here: a permission or a device is missing.
    Cannot = 3,
    /// Interrupted by SIGINT or SIGTERM (demo and bench; `static` ends with 0).
    Interrupted = 130,
}

/// A command that failed: its exit code, and a sentence that says what was wrong and what to do.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub code: Code,
    message: String,
}

/// Result of commands.
pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// A failure while running.
    pub fn new(message: impl Into<String>) -> Self {
        Self { code: Code::Failed, message: message.into() }
    }

    /// Something is missing on this machine or for this user.
    pub fn cannot(message: impl Into<String>) -> Self {
        Self { code: Code::Cannot, message: message.into() }
    }

    /// Arguments that contradict each other.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { code: Code::Usage, message: message.into() }
    }

    /// A signal came.
    pub fn interrupted() -> Self {
        Self { code: Code::Interrupted, message: "interrupted; everything has been removed".into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<ol2tpd::Error> for Failure {
    fn from(error: ol2tpd::Error) -> Self {
        Self::new(error.to_string())
    }
}

/// Says what was being done when a system call failed.
pub trait Doing<T> {
    /// Adds it to the error.
    fn doing(self, what: impl fmt::Display) -> Result<T>;
}

impl<T, E: Into<io::Error>> Doing<T> for std::result::Result<T, E> {
    fn doing(self, what: impl fmt::Display) -> Result<T> {
        self.map_err(|error| Failure::new(format!("{what}: {}", error.into())))
    }
}
