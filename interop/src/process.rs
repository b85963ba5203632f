//! A program in a network namespace: what it says, and how it ends.

use std::fmt;
use std::fs;
use std::io::{self, PipeReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{self, Signal};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use ol2tp::bed::Space;

use crate::log::Log;

/// How long a program may take to vanish that was killed.
const PATIENCE: Duration = Duration::from_secs(10);

/// A child process. It is killed when this value is dropped, and when this process dies; what holds its
/// output has to end with it.
#[derive(Debug)]
pub struct Process {
    name: String,
    pid: Pid,
    stdin: Option<ChildStdin>,
    /// What it and its children write to standard output and standard error.
    pub log: Log,
    end: Arc<End>,
}

/// How it has ended; its id may be another's then.
#[derive(Debug, Default)]
struct End {
    status: Mutex<Option<ExitStatus>>,
    ended: Condvar,
}

impl Process {
    /// Starts a program in a namespace. Errors and what a failed test prints call it `name`.
    ///
    /// Errors: it cannot be started.
    pub fn start(space: &Arc<Space>, name: &str, program: &Command) -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(program.get_program()).args(program.get_args());
        // l2tpns kills its process group when it ends.
        command.process_group(0);
        command.stdin(Stdio::piped()).stdout(writer.try_clone()?).stderr(writer);

        let (log, end) = (Log::default(), Arc::<End>::default());
        let (started, start) = mpsc::channel();
        let keeper = (Arc::clone(space), log.clone(), Arc::clone(&end));
        // The child dies with the thread that has started it, so that thread stays with it.
        thread::spawn(move || {
            let (space, log, end) = keeper;
            if let Err(error) = space.enter(|| keep(command, reader, &log, &end, &started)) {
                // Whoever started it has gone if nobody hears it.
                let _ = started.send(Err(error));
            }
        });
        let (pid, stdin) = start.recv().map_err(io::Error::other)??;
        Ok(Self { name: name.into(), pid, stdin: Some(stdin), log, end })
    }

    /// Its id, until it has ended.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Writes to its standard input.
    pub fn write(&self, text: &str) -> io::Result<()> {
        let mut stdin = self.stdin.as_ref().ok_or_else(|| self.error("its standard input is closed"))?;
        stdin.write_all(text.as_bytes())
    }

    /// Closes its standard input.
    pub fn close(&mut self) {
        self.stdin = None;
    }

    /// Sends a signal, unless it has ended.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        // It is not waited for as long as this is locked, so its id is its own.
        match *self.end.lock() {
            None => Ok(signal::kill(self.pid, signal)?),
            Some(_) => Ok(()),
        }
    }

    /// Kills its children, for a program that then ends by itself, as unshare(1) does: when it does so, a PID
    /// namespace that it made is empty.
    pub fn kill_children(&self) -> io::Result<()> {
        let end = self.end.lock();
        if end.is_some() {
            return Ok(());
        }
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.pid))?;
        let children = children.split_whitespace().filter_map(|child| child.parse().ok());
        children.map(Pid::from_raw).try_for_each(|child| Ok(signal::kill(child, Signal::SIGKILL)?))
    }

    /// Waits for its end, and for that of its output, which its children may hold.
    ///
    /// Errors: it or they go on for longer than `patience`.
    pub fn wait(&self, patience: Duration) -> io::Result<ExitStatus> {
        let Some(status) = self.end.wait(patience) else {
            let said = self.log.text();
            return Err(self.error(format_args!("it goes on after {patience:?}; it said:\n{said}")));
        };
        self.log.closed(patience).map_err(|error| self.error(error))?;
        Ok(status)
    }

    fn error(&self, what: impl fmt::Display) -> io::Error {
        io::Error::other(format!("{}: {what}", self.name))
    }
}

impl End {
    fn lock(&self) -> MutexGuard<'_, Option<ExitStatus>> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, patience: Duration) -> Option<ExitStatus> {
        let wait = self.ended.wait_timeout_while(self.lock(), patience, |status| status.is_none());
        *wait.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Drop for Process {
    #[allow(clippy::print_stderr)]
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{} said:\n{}\n", self.name, self.log.text());
        }
        // Who wants to know how it ended calls `wait`.
        let _ = self.signal(Signal::SIGKILL);
        let _ = self.wait(PATIENCE);
    }
}

/// Starts the child and stays until it has ended.
fn keep(
    mut command: Command,
    output: PipeReader,
    log: &Log,
    end: &End,
    started: &mpsc::Sender<io::Result<(Pid, ChildStdin)>>,
) -> io::Result<()> {
    let mut child = command.spawn().map_err(|error| {
        io::Error::new(error.kind(), format!("setpriv: {error}: apt-get install util-linux"))
    })?;
    // The pipe's end that it would hold.
    drop(command);
    let pid = Pid::from_raw(child.id().cast_signed());
    let stdin = child.stdin.take().expect("piped");
    let sent = started.send(Ok((pid, stdin)));
    sent.map_err(|_| io::Error::other("whoever started it has gone"))?;
    let log = log.clone();
    thread::spawn(move || log.read(output));
    waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT)?;
    let mut status = end.lock();
    *status = Some(child.wait()?);
    end.ended.notify_all();
    Ok(())
}
