//! Runs a program for a limited time.

use std::fmt;
use std::io::{self, ErrorKind};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// Why a program did not do its work.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It cannot be started.
    Start(io::Error),
    /// It ended with this status.
    Status(ExitStatus),
    /// It was killed after this time.
    Limit(Duration),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(error) if error.raw_os_error() == Some(nix::libc::ENOEXEC) => {
                f.write_str("cannot be run: begin a script with #! and its interpreter, as in #!/bin/sh")
            }
            Self::Start(error) => write!(f, "cannot be run: {error}"),
            Self::Status(status) => write!(f, "failed with {status}"),
            Self::Limit(limit) => write!(f, "was not done after {limit:?}: killed"),
        }
    }
}

/// A process group that is killed unless it is let go.
pub(crate) struct Group(Option<Pid>);

impl Group {
    /// That of a child which leads it.
    pub(crate) fn of(child: &Child) -> Self {
        // Until it is waited for, its id is nobody else's.
        Self(child.id().map(|id| Pid::from_raw(id.cast_signed())))
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // What has ended need not be told.
            let _ = killpg(group, signal);
        }
    }

    /// Lets it go, as its leader has ended.
    pub(crate) fn release(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}

/// Runs a program in a process group of its own, gives it `input`, and waits for its end. After `limit`,
/// or when this future is dropped, the whole group is killed.
pub(crate) async fn run(command: &mut Command, input: &[u8], limit: Duration) -> Result<(), Failure> {
    let stdin = if input.is_empty() { Stdio::null() } else { Stdio::piped() };
    let mut child = command.stdin(stdin).process_group(0).spawn().map_err(Failure::Start)?;
    let group = Group::of(&child);
    match timeout(limit, feed(&mut child, input)).await {
        Ok(status) => {
            group.release();
            match status.map_err(Failure::Start)? {
                status if status.success() => Ok(()),
                status => Err(Failure::Status(status)),
            }
        }
        Err(_) => {
            drop(group);
            child.wait().await.map_err(Failure::Start)?;
            Err(Failure::Limit(limit))
        }
    }
}

async fn feed(child: &mut Child, input: &[u8]) -> io::Result<ExitStatus> {
    if let Some(mut stdin) = child.stdin.take() {
        match stdin.write_all(input).await {
            // It need not read.
            Err(error) if error.kind() != ErrorKind::BrokenPipe => return Err(error),
            _ => {}
        }
    }
    child.wait().await
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn shell(script: &str, input: &[u8]) -> Result<(), String> {
        let result = run(Command::new("/bin/sh").args(["-c", script]), input, Duration::from_secs(60)).await;
        result.map_err(|failure| failure.to_string())
    }

    #[tokio::test]
    async fn its_end_in_words() {
        assert_eq!(shell("exit 0", b"").await, Ok(()));
        assert_eq!(shell("exit 3", b"").await, Err("failed with exit status: 3".into()));
        assert_eq!(shell("kill -9 $$", b"").await, Err("failed with signal: 9 (SIGKILL)".into()));
        let missing = run(&mut Command::new("/no/such"), b"", Duration::from_secs(60)).await.unwrap_err();
        assert!(missing.to_string().starts_with("cannot be run: No such file"), "{missing}");
        let limit = Duration::from_millis(10);
        let endless = run(Command::new("/bin/sleep").arg("1000"), b"", limit).await.unwrap_err();
        assert_eq!(endless.to_string(), "was not done after 10ms: killed");
    }

    #[tokio::test]
    async fn input_is_read_or_not() {
        let long = vec![b'x'; 1 << 20];
        assert_eq!(shell("test $(wc -c) = 1048576", &long).await, Ok(()));
        assert_eq!(shell("exec 0<&-", &long).await, Ok(()));
        assert_eq!(shell("test $(wc -c) = 0", b"").await, Ok(()));
    }

    #[tokio::test]
    async fn a_script_without_an_interpreter_is_explained() {
        let path = std::env::temp_dir().join(format!("ol2tpd-child-{}", std::process::id()));
        // Not by this process: what other tests start may inherit the descriptor, and then it cannot be run.
        let make = format!("echo echo hello > {0} && chmod 755 {0}", path.display());
        assert_eq!(shell(&make, b"").await, Ok(()));
        let failure = run(&mut Command::new(&path), b"", Duration::from_secs(60)).await;
        std::fs::remove_file(&path).unwrap();
        let failure = failure.expect_err("the kernel refuses it").to_string();
        assert!(failure.contains("#!/bin/sh"), "{failure}");
    }
}
