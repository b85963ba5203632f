//! One end of a tunnel: this command, running in a namespace as a child process.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;
use ol2tpd::control::{Client, Report, What};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::bed::Space;
use crate::exit::{Doing, Failure, Result};

/// How long a child may take to end before it is killed.
const PATIENCE: u16 = 10_000;

/// The line that says that frames can flow.
#[derive(Clone, Debug, Deserialize)]
struct Up {
    interface: String,
    mtu: u16,
}

/// A child process. Dropping it ends it; it ends by itself when this process does.
#[derive(Debug)]
pub struct End {
    child: Child,
    output: BufReader<ChildStdout>,
    /// The child's standard input; its end is the child's.
    control: Option<Client>,
    /// The interface's name.
    pub interface: String,
    /// The interface's MTU.
    pub mtu: u16,
}

/// The executable that is running.
pub fn this_program() -> Result<PathBuf> {
    std::env::current_exe().doing("finding this program's own file")
}

/// Bytes of memory that a process has resident.
pub fn resident(pid: Pid) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).doing(&path)?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
    let kib: Option<u64> = kib.and_then(|kib| kib.trim().parse().ok());
    kib.map(|kib| kib * 1024).ok_or_else(|| Failure::new(format!("{path}: no VmRSS")))
}

impl End {
    /// Starts `ol2tp static` or `shared` and waits until frames can flow.
    ///
    /// Errors: the child failed; it has said why on standard error.
    pub fn start(space: &Space, program: &Path, arguments: &[String]) -> Result<Self> {
        let mut end = Self::spawn(space, program, arguments, &[])?;
        let up: Up = end.told()?.ok_or_else(|| {
            let command = arguments.join(" ");
            Failure::new(format!("one end did not start, see above ({} {command})", program.display()))
        })?;
        (end.interface, end.mtu) = (up.interface, up.mtu);
        Ok(end)
    }

    /// Starts `program arguments… --json --controlled` in a namespace, with more of an environment.
    ///
    /// Errors: it cannot be started.
    pub fn spawn(
        space: &Space,
        program: &Path,
        arguments: &[impl AsRef<OsStr> + Sync],
        environment: &[(&str, &str)],
    ) -> Result<Self> {
        let (ours, theirs) = UnixStream::pair().doing("socket pair")?;
        let mut child = space
            .enter(|| {
                Command::new(program)
                    .args(arguments)
                    .args(["--json", "--controlled"])
                    .envs(environment.iter().copied())
                    .stdin(Stdio::from(OwnedFd::from(theirs)))
                    .stdout(Stdio::piped())
                    // The terminal's Ctrl-C is for this process, which ends its children in good order.
                    .process_group(0)
                    .spawn()
            })
            .doing(format_args!("starting {}", program.display()))?;
        let output = child.stdout.take().map(BufReader::new);
        let output = output.ok_or_else(|| Failure::new("a child without standard output"))?;
        let control = Some(Client::new(ours));
        Ok(Self { child, output, control, interface: String::new(), mtu: 0 })
    }

    /// What it tells next; `None` if it has ended.
    ///
    /// Errors: it tells something else.
    pub fn told<T: DeserializeOwned>(&mut self) -> Result<Option<T>> {
        let mut line = String::new();
        match self.output.read_line(&mut line).doing("reading from a child")? {
            0 => Ok(None),
            _ => serde_json::from_str(&line)
                .map(Some)
                .map_err(|error| Failure::new(format!("a child told `{}`: {error}", line.trim_end()))),
        }
    }

    /// Options, state and counters.
    pub fn show(&mut self, what: What) -> Result<Report> {
        match &mut self.control {
            Some(control) => Ok(control.show(what)?),
            None => Err(Failure::new("the child has ended")),
        }
    }

    /// Whether its session takes the fast path: `on`, or why not.
    ///
    /// Errors: it does not answer.
    pub fn fast(&mut self) -> Result<String> {
        let session = self.show(What::Sessions)?.sessions.into_iter().flatten().next();
        Ok(session.and_then(|session| session.fast).unwrap_or_else(|| "there is no session".into()))
    }

    /// Counters of its sessions that tell of lost frames and are not 0, as `left rx_errors 3`.
    pub fn errors(&mut self, name: &str) -> Result<Vec<String>> {
        let sessions = self.show(What::Sessions)?.sessions.into_iter().flatten();
        let errors = sessions.flat_map(|session| session.stats).filter(|(counter, value)| {
            matches!(counter.as_str(), "rx_errors" | "tx_errors" | "rx_seq_discards") && *value > 0
        });
        Ok(errors.map(|(counter, value)| format!("{name} {counter} {value}")).collect())
    }

    /// CPU time that its threads have used.
    pub fn cpu(&self) -> Result<Duration> {
        let time = clock_getcpuclockid(self.pid()).and_then(clock_gettime);
        Ok(time.doing("CPU clock of a child")?.into())
    }

    /// Bytes of memory that it has resident.
    pub fn resident(&self) -> Result<u64> {
        resident(self.pid())
    }

    /// Its process id.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Ends it and waits: an error if it did not end well.
    pub fn stop(mut self) -> Result<()> {
        let status = self.end().doing("ending a child")?;
        if status.success() { Ok(()) } else { Err(Failure::new(format!("one end ended badly: {status}"))) }
    }

    fn end(&mut self) -> io::Result<std::process::ExitStatus> {
        self.control = None;
        // Its standard output is closed when it has ended.
        let mut closed = [PollFd::new(self.output.get_ref().as_fd(), PollFlags::empty())];
        if poll(&mut closed, PollTimeout::from(PATIENCE))? == 0 {
            self.child.kill()?;
        }
        self.child.wait()
    }
}

impl Drop for End {
    fn drop(&mut self) {
        // Who wants to know how it ended calls `stop`.
        let _ = self.end();
    }
}
