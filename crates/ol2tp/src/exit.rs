//! How the command ends.

use std::{fmt, io};

use ol2tpd::notice::Failed;

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
    /// `connect`: the host's name has no address.
    Resolve = 10,
    /// `connect`: the peer does not answer.
    Silence = 11,
    /// `connect`: wrong or missing secret.
    Secret = 12,
    /// `connect`: the peer refused, or PPP could not agree.
    Refused = 13,
    /// `connect`: wrong name or password.
    Password = 14,
    /// `connect`: no address was to be had.
    Address = 15,
    /// `connect`: it was up, and the peer stopped answering.
    Lost = 16,
    /// `connect`: it was up, and the peer ended it.
    Ended = 17,
    /// `connect`: something on this machine.
    Local = 18,
    /// Interrupted by SIGINT or SIGTERM (demo and bench; `serve`, `connect` and `static` end with 0).
    Interrupted = 130,
}

impl From<Failed> for Code {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Resolve => Self::Resolve,
            Failed::Silence => Self::Silence,
            Failed::Secret => Self::Secret,
            Failed::Refused => Self::Refused,
            Failed::Password => Self::Password,
            Failed::Address => Self::Address,
            Failed::Lost => Self::Lost,
            Failed::Ended => Self::Ended,
            Failed::Local => Self::Local,
        }
    }
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
    /// A failure with an exit code of its own.
    pub fn of(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// A failure while running.
    pub fn new(message: impl Into<String>) -> Self {
        Self::of(Code::Failed, message)
    }

    /// Something is missing on this machine or for this user.
    pub fn cannot(message: impl Into<String>) -> Self {
        Self::of(Code::Cannot, message)
    }

    /// Arguments that contradict each other.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::of(Code::Usage, message)
    }

    /// A signal came.
    pub fn interrupted() -> Self {
        Self::of(Code::Interrupted, "interrupted; everything has been removed")
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
