//! The driver's error: the kernel's errno, and a sentence that says what was wrong and what to do.

use std::{fmt, io};

use crate::Errno;

/// Result of the driver's calls.
pub type Result<T> = std::result::Result<T, Error>;

/// An errno with its explanation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Error {
    errno: Errno,
    message: String,
}

impl Error {
    /// An error with a sentence for people.
    pub fn new(errno: Errno, message: impl Into<String>) -> Self {
        Self { errno, message: message.into() }
    }

    /// What the kernel's driver would return.
    pub fn errno(&self) -> Errno {
        self.errno
    }

    /// A failed system call: what was being done, and the system's own words.
    pub(crate) fn system(doing: impl fmt::Display, error: &io::Error) -> Self {
        let errno = match error.raw_os_error() {
            Some(libc::EMSGSIZE) => Errno::MsgSize,
            Some(libc::ENOMEM | libc::ENOBUFS) => Errno::NoMem,
            Some(libc::EBUSY) => Errno::Busy,
            Some(libc::EAGAIN) => Errno::Again,
            Some(libc::EINVAL) => Errno::Inval,
            Some(libc::ENODEV) => Errno::NoDev,
            Some(libc::EBADF) => Errno::BadF,
            _ => Errno::Io,
        };
        Self::new(errno, format!("{doing}: {error}"))
    }
}

impl From<Errno> for Error {
    fn from(errno: Errno) -> Self {
        Self::new(errno, errno.explanation())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.errno)
    }
}

impl std::error::Error for Error {}
