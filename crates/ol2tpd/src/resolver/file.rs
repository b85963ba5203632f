//! `/etc/resolv.conf` itself.
//!
//! ```text
//!  take ─► resolv.conf.ol2tp: what it was (a file, a link, nothing); locked ─► write … ─► restore
//!                 │ killed                                                                   │
//!                 ▼                                                                          ▼
//!          repair, at the next start: not locked any more ──────────────► as it was, unless another wrote it
//! ```
//!
//! Each step is a rename, so nobody reads half a file. Where the file is a mount of its own, as in
//! containers, it is written in place.

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::net::IpAddr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use tracing::warn;

/// How our file begins.
const MARK: &str = "# ol2tp wrote this file";
/// How the backup begins; then comes what the file was.
const BACKUP: &str = "# ol2tp's backup; the original was ";

/// What stood there before.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Original {
    Absent,
    Link(PathBuf),
    File { content: Vec<u8>, mode: u32 },
}

/// A resolv.conf that is ours until it is restored.
pub(super) struct Edited {
    path: PathBuf,
    backup: PathBuf,
    /// The lines that are no name servers.
    rest: Vec<u8>,
    original: Original,
    _lock: Flock<File>,
    written: bool,
    restored: bool,
}

impl Edited {
    /// Saves what is there.
    ///
    /// Errors: another ol2tp has done so and runs, or the folder cannot be written.
    pub(super) fn take(path: &Path) -> io::Result<Self> {
        repair(path)?;
        let original = Original::read(path)?;
        let content = match &original {
            Original::Absent => Vec::new(),
            Original::Link(_) => content_of(path)?,
            Original::File { content, .. } => content.clone(),
        };
        let backup = with_suffix(path, ".ol2tp");
        let file = match File::options().write(true).create_new(true).mode(0o644).open(&backup) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(taken(path)),
            file => file.map_err(|error| named(&backup, &error))?,
        };
        let mut lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|_| taken(path))?;
        lock.write_all(&original.described(&content))?;
        lock.sync_all()?;
        let rest = content.split_inclusive(|byte| *byte == b'\n').filter(|line| !is_server(line));
        let rest = rest.collect::<Vec<_>>().concat();
        Ok(Self { path: path.into(), backup, rest, original, _lock: lock, written: false, restored: false })
    }

    /// Makes these the only name servers. `search` and `options` stay.
    pub(super) fn write(&mut self, servers: &[IpAddr]) -> io::Result<()> {
        let mut text = format!("{MARK}. The original is in {} and comes back.\n", self.backup.display());
        for server in servers {
            text.push_str(&format!("nameserver {server}\n"));
        }
        let mut content = text.into_bytes();
        content.extend_from_slice(&self.rest);
        let mode = if let Original::File { mode, .. } = self.original { mode } else { 0o644 };
        replace(&self.path, &content, mode).map_err(|error| named(&self.path, &error))?;
        self.written = true;
        Ok(())
    }

    /// Puts back what was there, unless another has written the file meanwhile.
    pub(super) fn restore(mut self) -> io::Result<()> {
        self.put_back()
    }

    fn put_back(&mut self) -> io::Result<()> {
        self.restored = true;
        if self.written && !restore(&self.path, &self.original).map_err(|error| named(&self.path, &error))? {
            warn!("{} is not put back: another program has written it meanwhile", self.path.display());
        }
        fs::remove_file(&self.backup).map_err(|error| named(&self.backup, &error))
    }
}

impl Drop for Edited {
    fn drop(&mut self) {
        if !self.restored
            && let Err(error) = self.put_back()
        {
            warn!("{error}");
        }
    }
}

/// Puts back what a run that was killed has left; whether there was something.
pub(super) fn repair(path: &Path) -> io::Result<bool> {
    let backup = with_suffix(path, ".ol2tp");
    let file = match File::open(&backup) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        file => file.map_err(|error| named(&backup, &error))?,
    };
    let Ok(mut lock) = Flock::lock(file, FlockArg::LockExclusiveNonblock) else { return Ok(false) };
    // Its owner may have ended between our opening and locking it.
    if !fs::metadata(&backup).is_ok_and(|found| lock.metadata().is_ok_and(|ours| ours.ino() == found.ino())) {
        return Ok(false);
    }
    let mut description = Vec::new();
    lock.read_to_end(&mut description)?;
    // Killed before the backup was complete, it had not touched the file yet.
    let done = match Original::parse(&description) {
        Some(original) => restore(path, &original)?,
        None => false,
    };
    fs::remove_file(&backup)?;
    Ok(done)
}

/// Whether the file was ours; only then it is changed.
fn restore(path: &Path, original: &Original) -> io::Result<bool> {
    if !content_of(path)?.starts_with(MARK.as_bytes()) {
        return Ok(false);
    }
    match original {
        Original::Absent => fs::remove_file(path)?,
        Original::File { content, mode } => replace(path, content, *mode)?,
        Original::Link(target) => {
            let temporary = temporary(path)?;
            symlink(target, &temporary)?;
            fs::rename(&temporary, path)?;
        }
    }
    Ok(true)
}

impl Original {
    fn read(path: &Path) -> io::Result<Self> {
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::Absent),
            Ok(found) if found.is_symlink() => fs::read_link(path).map(Self::Link),
            Ok(found) => fs::read(path)
                .map(|content| Self::File { content, mode: found.permissions().mode() & 0o7777 }),
            Err(error) => Err(error),
        }
        .map_err(|error| named(path, &error))
    }

    /// The backup's bytes: a line for this, then what could be read there.
    fn described(&self, content: &[u8]) -> Vec<u8> {
        let mut bytes = BACKUP.as_bytes().to_vec();
        match self {
            Self::Absent => bytes.extend_from_slice(b"not there"),
            Self::Link(target) => {
                bytes.extend_from_slice(b"a link to ");
                bytes.extend_from_slice(target.as_os_str().as_bytes());
            }
            Self::File { mode, .. } => bytes.extend_from_slice(format!("a file of mode {mode:o}").as_bytes()),
        }
        bytes.push(b'\n');
        bytes.extend_from_slice(content);
        bytes
    }

    fn parse(described: &[u8]) -> Option<Self> {
        let described = described.strip_prefix(BACKUP.as_bytes())?;
        let end = described.iter().position(|byte| *byte == b'\n')?;
        let (what, content) = (&described[..end], &described[end + 1..]);
        if let Some(target) = what.strip_prefix(b"a link to ") {
            return Some(Self::Link(OsString::from_vec(target.to_vec()).into()));
        }
        if let Some(mode) = what.strip_prefix(b"a file of mode ") {
            let mode = u32::from_str_radix(std::str::from_utf8(mode).ok()?, 8).ok()?;
            return Some(Self::File { content: content.into(), mode });
        }
        (what == b"not there").then_some(Self::Absent)
    }
}

/// Replaces a file, and a link by a file.
fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let temporary = temporary(path)?;
    let written = (|| {
        let mut file = File::options().write(true).create_new(true).open(&temporary)?;
        file.set_permissions(Permissions::from_mode(mode))?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    })();
    if written.is_err() {
        // The first error is the one to report.
        let _ = fs::remove_file(&temporary);
    }
    match written {
        Err(error) if error.kind() == ErrorKind::ResourceBusy => fs::write(path, content),
        done => done,
    }
}

/// A name beside the file that nothing has.
fn temporary(path: &Path) -> io::Result<PathBuf> {
    let temporary = with_suffix(path, &format!(".ol2tp.{}", std::process::id()));
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(temporary),
    }
}

/// What can be read there; nothing if a link leads nowhere.
fn content_of(path: &Path) -> io::Result<Vec<u8>> {
    match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        content => content,
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

fn is_server(line: &[u8]) -> bool {
    line.strip_prefix(b"nameserver").is_some_and(|rest| rest.first().is_none_or(u8::is_ascii_whitespace))
}

fn taken(path: &Path) -> io::Error {
    io::Error::other(format!(
        "{}: another ol2tp has put its name servers there: stop it, or choose another way (dns)",
        path.display()
    ))
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
