//! The socket that clients connect to.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::error::{Doing, Error, Result};

/// A listening control socket. Dropping it removes its file.
#[derive(Debug)]
pub struct Listener {
    pub(super) socket: UnixListener,
    path: PathBuf,
    /// Device and inode, so that another's file is never removed.
    file: (u64, u64),
}

impl Listener {
    /// Listens at `path`, for this user alone. The file of a daemon that is no more is replaced; a
    /// missing folder is made.
    ///
    /// Errors: another daemon answers there, the file is no socket, or the place cannot be written.
    pub fn bind(path: &Path) -> Result<Self> {
        match UnixStream::connect(path) {
            Ok(_) => Err(Error::Control(format!(
                "another ol2tp is running at {}: stop it, or give --socket PATH",
                path.display()
            ))),
            Err(_) if fs::symlink_metadata(path).is_ok_and(|found| !found.file_type().is_socket()) => {
                Err(Error::Control(format!(
                    "{} is not a socket: remove it, or give --socket PATH",
                    path.display()
                )))
            }
            Err(_) => Self::replace(path).doing(|| format!("control socket {} (--socket)", path.display())),
        }
    }

    /// The file appears in one step, listening and with its mode.
    fn replace(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
        }
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(format!(".{}", std::process::id()));
        let temporary = PathBuf::from(temporary);
        remove(&temporary)?;
        let listener = Self::listen(&temporary).and_then(|(socket, file)| {
            fs::rename(&temporary, path)?;
            Ok(Self { socket, path: path.into(), file })
        });
        if listener.is_err() {
            // The first error is the one to report.
            let _ = remove(&temporary);
        }
        listener
    }

    fn listen(path: &Path) -> io::Result<(UnixListener, (u64, u64))> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.bind(&SockAddr::unix(path)?)?;
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
        socket.listen(16)?;
        socket.set_nonblocking(true)?;
        Ok((socket.into(), identity(path)?))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|file| file == self.file) {
            // Nobody is left to tell; the next daemon replaces the file.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let found = fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
