//! Tells this machine's resolver of the name servers that a peer names, and takes it back.
//!
//! ```text
//!  auto ─► /etc/resolv.conf is systemd-resolved's ─► resolvectl    settings of the interface; go with it
//!       ─► there is a resolvconf                  ─► resolvconf    a record; deleted, also after a kill
//!       ─► else                                   ─► file          rewritten; put back, also after a kill
//! ```
//!
//! With `auto`, a way that fails is followed by the next. Files that tell the next run of what a killed
//! one left are `/etc/resolv.conf.ol2tp` and, for resolvconf's records, those in `/run/ol2tp/dns`. Each
//! is locked while its owner runs.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use tracing::{info, warn};

use crate::config::DnsMode;
use crate::error::{Doing, Result};

mod file;
mod tools;

use file::Edited;
use tools::{Ledger, Tools};

/// Where things are.
#[derive(Clone, Debug)]
pub struct Paths {
    /// `/etc/resolv.conf`.
    pub resolv_conf: PathBuf,
    /// Folders that `resolvectl` and `resolvconf` are looked for in.
    pub programs: Vec<PathBuf>,
    /// The folder that keeps the names of resolvconf's records.
    pub records: PathBuf,
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            resolv_conf: "/etc/resolv.conf".into(),
            programs: crate::hooks::PATH.split(':').map(PathBuf::from).collect(),
            records: "/run/ol2tp/dns".into(),
        }
    }
}

/// An interface whose name servers are in use.
struct Live {
    interface: String,
    servers: Vec<IpAddr>,
    undo: Undo,
}

enum Undo {
    Resolved,
    Resolvconf(Ledger),
    File,
}

/// The machine's resolver. Dropped, it puts the file back; what was told to programs is taken back by
/// [`unset`](Self::unset) and [`close`](Self::close) only, or by the next run.
pub struct Resolver {
    resolv_conf: PathBuf,
    tools: Tools,
    live: Vec<Live>,
    file: Option<Edited>,
}

impl Resolver {
    /// Takes back what a killed run left behind. What cannot be is logged.
    pub async fn open(paths: Paths) -> Self {
        let Paths { resolv_conf, programs, records } = paths;
        match file::repair(&resolv_conf) {
            Ok(true) => info!("{}: put back as it was before a run that was killed", resolv_conf.display()),
            Ok(false) => {}
            Err(error) => warn!("{} cannot be put back: {error}", resolv_conf.display()),
        }
        let tools = Tools { folders: programs, records };
        tools.repair().await;
        Self { resolv_conf, tools, live: Vec::new(), file: None }
    }

    /// Takes these name servers into use, in place of those this interface had before; `all` says that
    /// every name is to be asked there and nowhere else, as befits a default route. Returns the way
    /// that was taken.
    ///
    /// Errors: no server is usable, or the way that is wanted is not there or fails.
    pub async fn set(
        &mut self,
        mode: DnsMode,
        interface: &str,
        servers: &[IpAddr],
        all: bool,
    ) -> Result<DnsMode> {
        self.unset(interface).await?;
        let servers: Vec<_> = servers.iter().copied().filter(usable).collect();
        let candidates = self.candidates(mode);
        let doing = || format!("name servers of {interface}");
        if servers.is_empty() && !candidates.is_empty() {
            return Err(io::Error::other("the peer named none that can be used")).doing(doing);
        }
        for (n, &candidate) in candidates.iter().enumerate() {
            match self.try_set(candidate, interface, &servers, all).await {
                Ok(()) => return Ok(candidate),
                Err(error) if n + 1 == candidates.len() => return Err(error).doing(doing),
                Err(error) => warn!("name servers of {interface}: {error}; trying another way"),
            }
        }
        Ok(DnsMode::None)
    }

    /// Takes back the name servers of an interface, if it has some. It may be gone.
    ///
    /// Errors: they cannot be taken back.
    pub async fn unset(&mut self, interface: &str) -> Result<()> {
        let Some(at) = self.live.iter().position(|live| live.interface == interface) else { return Ok(()) };
        let live = self.live.remove(at);
        let doing = || format!("taking back the name servers of {interface}");
        match live.undo {
            Undo::Resolved => {
                self.tools.revert(interface).await;
                Ok(())
            }
            Undo::Resolvconf(ledger) => self.tools.delete(ledger).await.doing(doing),
            Undo::File => self.write_file().doing(doing),
        }
    }

    /// Takes everything back. What cannot be is logged.
    pub async fn close(mut self) {
        while let Some(live) = self.live.last() {
            let interface = live.interface.clone();
            if let Err(error) = self.unset(&interface).await {
                warn!("{error}");
            }
        }
    }

    /// The ways to try.
    fn candidates(&self, mode: DnsMode) -> Vec<DnsMode> {
        match mode {
            DnsMode::None => Vec::new(),
            DnsMode::Auto => {
                let resolved = fs::read_link(&self.resolv_conf)
                    .is_ok_and(|target| target.to_string_lossy().contains("systemd/resolve/"));
                let resolvconf = self.tools.find("resolvconf");
                // resolvectl comes under this name too.
                let alias = resolvconf.as_ref().is_some_and(|found| {
                    fs::canonicalize(found)
                        .is_ok_and(|real| real.file_name().is_some_and(|name| name == "resolvectl"))
                });
                let resolved = (resolved || alias) && self.tools.find("resolvectl").is_some();
                let mut ways = Vec::new();
                ways.extend(resolved.then_some(DnsMode::Resolved));
                ways.extend((resolvconf.is_some() && !alias).then_some(DnsMode::Resolvconf));
                ways.push(DnsMode::File);
                ways
            }
            one => vec![one],
        }
    }

    async fn try_set(
        &mut self,
        mode: DnsMode,
        interface: &str,
        servers: &[IpAddr],
        all: bool,
    ) -> io::Result<()> {
        let undo = match mode {
            DnsMode::Resolved => {
                self.tools.resolved(interface, servers, all).await?;
                Undo::Resolved
            }
            DnsMode::Resolvconf => Undo::Resolvconf(self.tools.resolvconf(interface, servers, all).await?),
            DnsMode::File | DnsMode::Auto | DnsMode::None => Undo::File,
        };
        let is_file = matches!(undo, Undo::File);
        self.live.push(Live { interface: interface.into(), servers: servers.into(), undo });
        if !is_file {
            return Ok(());
        }
        self.write_file().inspect_err(|_| {
            self.live.pop();
            // The first error is the one to report.
            let _ = self.write_file();
        })
    }

    /// Makes the file have the servers of all who use it, the latest first, or as it was if nobody does.
    fn write_file(&mut self) -> io::Result<()> {
        let users = self.live.iter().rev().filter(|live| matches!(live.undo, Undo::File));
        let servers: Vec<_> = users.flat_map(|live| live.servers.iter().copied()).collect();
        if servers.is_empty() {
            return self.file.take().map_or(Ok(()), Edited::restore);
        }
        if self.file.is_none() {
            self.file = Some(Edited::take(&self.resolv_conf)?);
        }
        match &mut self.file {
            Some(file) => file.write(&servers),
            None => Ok(()),
        }
    }
}

/// Whether an address can be a name server's.
fn usable(server: &IpAddr) -> bool {
    let broadcast = *server == IpAddr::V4(Ipv4Addr::BROADCAST);
    !(server.is_unspecified() || server.is_loopback() || server.is_multicast() || broadcast)
}
