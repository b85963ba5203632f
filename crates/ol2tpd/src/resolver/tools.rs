//! The programs `resolvectl` and `resolvconf`.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};
use tokio::process::Command;
use tracing::{debug, info, warn};

use crate::descriptors;
use crate::hooks::child;

/// How long a program may take: one that asks by D-Bus for a service that hangs takes 25 s.
const LIMIT: Duration = Duration::from_secs(10);

/// Where the programs are, and where records are noted down.
pub(super) struct Tools {
    pub(super) folders: Vec<PathBuf>,
    pub(super) records: PathBuf,
}

/// A record of resolvconf's that the next run deletes if this one is killed: a file with its name,
/// locked meanwhile.
pub(super) struct Ledger {
    record: String,
    path: PathBuf,
    _lock: Flock<File>,
}

impl Tools {
    /// The first program of that name.
    pub(super) fn find(&self, name: &str) -> Option<PathBuf> {
        let executable = |path: &PathBuf| {
            fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
        };
        self.folders.iter().map(|folder| folder.join(name)).find(executable)
    }

    async fn run(&self, name: &str, arguments: &[&str], input: &str) -> io::Result<()> {
        let path = std::env::join_paths(&self.folders).map_err(io::Error::other)?;
        let program = self.find(name).ok_or_else(|| {
            let folders = path.to_string_lossy();
            io::Error::other(format!(
                "there is no {name} in {folders}: install it, or choose another way (dns)"
            ))
        })?;
        let mut command = Command::new(program);
        command.args(arguments).env_clear().env("PATH", path).stdout(Stdio::null());
        descriptors::as_begun(&mut command);
        let failed = |failure| io::Error::other(format!("{name} {}: {failure}", arguments.join(" ")));
        child::run(&mut command, input.as_bytes(), LIMIT).await.map_err(failed)
    }

    /// Gives an interface its servers at systemd-resolved.
    pub(super) async fn resolved(&self, interface: &str, servers: &[IpAddr], all: bool) -> io::Result<()> {
        let servers: Vec<_> = servers.iter().map(IpAddr::to_string).collect();
        let arguments: Vec<_> =
            ["dns", interface].into_iter().chain(servers.iter().map(String::as_str)).collect();
        self.run("resolvectl", &arguments, "").await?;
        let scope = if all { ["domain", interface, "~."] } else { ["default-route", interface, "true"] };
        self.run("resolvectl", &scope, "").await
    }

    /// Takes them back, if the interface is still there.
    pub(super) async fn revert(&self, interface: &str) {
        if let Err(error) = self.run("resolvectl", &["revert", interface], "").await {
            debug!("{error}; the settings go with the interface");
        }
    }

    /// Adds a record at resolvconf.
    pub(super) async fn resolvconf(
        &self,
        interface: &str,
        servers: &[IpAddr],
        all: bool,
    ) -> io::Result<Ledger> {
        // Debian's resolvconf puts tun* before what other interfaces have; openresolv heeds -m and -x.
        let record = format!("tun.{interface}.ol2tp");
        let ledger = Ledger::open(&self.records, &record)?;
        let lines: String = servers.iter().map(|server| format!("nameserver {server}\n")).collect();
        let arguments = ["-a", &record, "-m", "0", "-x"];
        let arguments = if all { &arguments[..] } else { &arguments[..4] };
        match self.run("resolvconf", arguments, &lines).await {
            Ok(()) => Ok(ledger),
            Err(error) => {
                ledger.close();
                Err(error)
            }
        }
    }

    /// Deletes a record.
    pub(super) async fn delete(&self, ledger: Ledger) -> io::Result<()> {
        let deleted = self.run("resolvconf", &["-d", &ledger.record], "").await;
        if deleted.is_ok() {
            ledger.close();
        }
        deleted
    }

    /// Deletes the records of runs that were killed.
    pub(super) async fn repair(&self) {
        // Without the folder there is none.
        for entry in fs::read_dir(&self.records).into_iter().flatten().flatten() {
            let record = entry.file_name().to_string_lossy().into_owned();
            // Another run has it.
            let Ok(ledger) = Ledger::open(&self.records, &record) else { continue };
            match self.delete(ledger).await {
                Ok(()) => info!("resolvconf: {record} deleted, which a killed run had left"),
                Err(error) => warn!("{record} of a killed run: {error}"),
            }
        }
    }
}

impl Ledger {
    /// Notes a record down.
    ///
    /// Errors: the file cannot be made, or another run has it.
    fn open(folder: &Path, record: &str) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
        let path = folder.join(record);
        let file = File::options().write(true).create(true).truncate(false).open(&path)?;
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| {
            io::Error::other(format!("{}: another ol2tp has it ({error})", path.display()))
        })?;
        Ok(Self { record: record.into(), path, _lock: lock })
    }

    fn close(self) {
        if let Err(error) = fs::remove_file(&self.path) {
            warn!("{}: {error}", self.path.display());
        }
    }
}
