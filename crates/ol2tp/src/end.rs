//! One end of a tunnel: this command, running in a namespace as a child process.

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

impl End {
    /// Starts `program arguments… --json --controlled` in a namespace and waits until frames can flow.
    ///
    /// Errors: the child failed; it has said why on standard error.
    pub fn start(space: &Space, program: &Path, arguments: &[String]) -> Result<Self> {
        let (ours, theirs) = UnixStream::pair().doing("socket pair")?;
        let mut child = space
            .enter(|| {
                Command::new(program)
                    .args(arguments)
                    .args(["--json", "--controlled"])
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
        let mut end = Self { child, output, control, interface: String::new(), mtu: 0 };
        let mut line = String::new();
        end.output.read_line(&mut line).doing("reading from a child")?;
        let up: Up = serde_json::from_str(&line).map_err(|_| {
            let command = arguments.join(" ");
            Failure::new(format!("one end did not start, see above ({} {command})", program.display()))
        })?;
        (end.interface, end.mtu) = (up.interface, up.mtu);
        Ok(end)
    }

    /// Options, state and counters.
    pub fn show(&mut self, what: What) -> Result<Report> {
        match &mut self.control {
            Some(control) => Ok(control.show(what)?),
            None => Err(Failure::new("the child has ended")),
        }
    }

    /// CPU time that its threads have used.
    pub fn cpu(&self) -> Result<Duration> {
        let time = clock_getcpuclockid(self.pid()).and_then(clock_gettime);
        Ok(time.doing("CPU clock of a child")?.into())
    }

    /// Bytes of memory that it has resident.
    pub fn resident(&self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(&path).doing(&path)?;
        let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
        let kib: Option<u64> = kib.and_then(|kib| kib.trim().parse().ok());
        kib.map(|kib| kib * 1024).ok_or_else(|| Failure::new(format!("{path}: no VmRSS")))
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
