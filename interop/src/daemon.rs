//! `ol2tp serve` or `ol2tp connect`, running in a namespace.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::Command;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::Signal;
use ol2tp::exit::Code;
use ol2tpd::Notice;
use ol2tpd::control::{Client, Report, What};

use crate::lan::Host;
use crate::process::Process;
use crate::{Directory, PATIENCE};

/// The command, running. It is killed when this value is dropped.
#[derive(Debug)]
pub struct Daemon<'a> {
    host: &'a Host,
    process: Process,
    socket: PathBuf,
    /// What there was before it.
    before: BTreeSet<String>,
    /// The mount namespace with /etc and /run that it has for itself.
    mounts: File,
    _files: Directory,
}

/// What /etc/resolv.conf says at first.
const RESOLV_CONF: &str = "nameserver 192.0.2.53\n";

/// A mount namespace whose /run is empty, and /etc but for resolv.conf: what a client writes there is its own.
fn private_mounts(host: &Host) -> io::Result<File> {
    host.enter(|| {
        unshare(CloneFlags::CLONE_NEWNS)?;
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
        for folder in ["/etc", "/run"] {
            mount(Some("tmpfs"), folder, Some("tmpfs"), MsFlags::empty(), none)?;
        }
        fs::write("/etc/resolv.conf", RESOLV_CONF)?;
        File::open("/proc/thread-self/ns/mnt")
    })
}

impl<'a> Daemon<'a> {
    /// Starts the command with these arguments. What stands in `file` is at `FILE` in the arguments.
    ///
    /// Errors: it does not build or start.
    pub fn start(host: &'a Host, arguments: &[&str], file: &str) -> io::Result<Self> {
        let files = Directory::new("ol2tp")?;
        let (path, socket) = (files.path().join("file"), files.path().join("socket"));
        // It may have secrets.
        let private = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        private?.write_all(file.as_bytes())?;
        let mounts = private_mounts(host)?;
        // Its mounts are those behind this process's descriptor.
        let descriptor = format!("/proc/{}/fd/{}", std::process::id(), mounts.as_raw_fd());
        let mut command = Command::new("nsenter");
        command.arg(format!("--mount={descriptor}")).arg(crate::ol2tp()?);
        command.args(arguments.iter().map(|argument| argument.replace("FILE", &path.to_string_lossy())));
        command.arg("--json").arg("--socket").arg(&socket);
        let before = host.state()?;
        Ok(Self { host, process: host.start(arguments[0], &command)?, socket, before, mounts, _files: files })
    }

    /// Starts a server. Returns when it listens.
    ///
    /// Errors: those of [`start`](Self::start), or it does not listen.
    pub fn serve(host: &'a Host, configuration: &str) -> io::Result<Self> {
        Self::start(host, &["serve", "-c", "FILE"], configuration)?.listening()
    }

    /// Waits until it listens.
    pub fn listening(self) -> io::Result<Self> {
        self.told(|notice| matches!(notice, Notice::Listening { .. }).then_some(()))?;
        Ok(self)
    }

    /// The first notice, from now or before, that is wanted.
    ///
    /// Errors: there is none for 60 s; the error has all that it said.
    pub fn told<T>(&self, wanted: impl FnMut(&Notice) -> Option<T>) -> io::Result<T> {
        self.told_from(0, wanted)
    }

    /// The first wanted notice behind a [`mark`](Self::mark).
    ///
    /// Errors: those of [`told`](Self::told).
    pub fn told_from<T>(&self, mark: usize, mut wanted: impl FnMut(&Notice) -> Option<T>) -> io::Result<T> {
        // Standard error is among it.
        let notice = |line: &str| serde_json::from_str(line).ok();
        self.process.log.find_from(mark, PATIENCE, |line| wanted(&notice(line)?))
    }

    /// What was told until now lies before it.
    pub fn mark(&self) -> usize {
        self.process.log.len()
    }

    /// All that it said.
    pub fn text(&self) -> String {
        self.process.log.text()
    }

    /// Tunnels, sessions and users.
    pub fn show(&self) -> io::Result<Report> {
        let report = Client::connect(&self.socket).and_then(|mut client| client.show(What::All));
        report.map_err(io::Error::other)
    }

    /// Asks it to end, as a user does by Ctrl-C.
    pub fn interrupt(&self) -> io::Result<()> {
        self.process.signal(Signal::SIGINT)
    }

    /// Waits for its end.
    ///
    /// Errors: it goes on, ends with another exit code or without words that fit it, or leaves something behind.
    pub fn ends(self, code: Code) -> io::Result<()> {
        let status = self.process.wait(PATIENCE)?;
        if status.code() != Some(code as i32) {
            return Err(io::Error::other(format!("{status}, not {code:?}:\n{}", self.text())));
        }
        let words = match code {
            Code::Ok => &[][..],
            Code::Secret => &[": failed while opening the tunnel: ", "What to do: ", "secret"],
            Code::Password => &[": failed while authenticating: ", "What to do: ", "password"],
            Code::Address => &[": failed while ", "What to do: ", "address"],
            Code::Lost => &[": the connection was lost: ", "What to do: "],
            Code::Ended => &[": the connection has ended: ", "What to do: "],
            _ => &["What to do: "],
        };
        if let Some(missing) = words.iter().find(|words| !self.text().contains(**words)) {
            return Err(io::Error::other(format!("{code:?} without `{missing}`:\n{}", self.text())));
        }
        self.clean()
    }

    /// Asks it to end, and waits.
    ///
    /// Errors: it does not end well, or leaves something behind.
    pub fn stop(self) -> io::Result<()> {
        self.interrupt()?;
        self.ends(Code::Ok)
    }

    /// Kills it, which gives it no occasion to clean up.
    ///
    /// Errors: something of it stays.
    pub fn kill(self) -> io::Result<()> {
        self.process.signal(Signal::SIGKILL)?;
        self.process.wait(PATIENCE)?;
        self.clean()
    }

    /// What its /etc/resolv.conf says.
    pub fn resolv_conf(&self) -> io::Result<String> {
        self.host.enter(|| {
            unshare(CloneFlags::CLONE_FS)?;
            setns(&self.mounts, CloneFlags::CLONE_NEWNS)?;
            fs::read_to_string("/etc/resolv.conf")
        })
    }

    /// Nothing of it is left.
    fn clean(&self) -> io::Result<()> {
        let resolv_conf = self.resolv_conf()?;
        if resolv_conf != RESOLV_CONF {
            return Err(io::Error::other(format!("/etc/resolv.conf is left as {resolv_conf:?}")));
        }
        let (left, before) = (self.host.state()?, &self.before);
        if left == *before {
            return Ok(());
        }
        let left: Vec<_> = left.symmetric_difference(before).collect();
        Err(io::Error::other(format!("something is left or lost: {left:#?}\n{}", self.text())))
    }
}
