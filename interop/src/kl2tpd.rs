//! `kl2tpd` of go-l2tp: a LAC that opens a tunnel and a session.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Its Host Name AVP.
pub const HOST_NAME: &str = "kl2tpd.test";

/// A kl2tpd without a data plane, running. It dies with the thread that has started it.
pub struct Kl2tpd {
    child: Child,
    /// All that it has said, when it has ended.
    log: Receiver<io::Result<String>>,
}

impl Kl2tpd {
    /// One that opens a tunnel with a session to `peer`.
    ///
    /// Errors: the program is not there.
    pub fn start(peer: SocketAddr) -> io::Result<Self> {
        let configuration = format!(
            "[tunnel.t1]\npeer = \"{peer}\"\nversion = \"l2tpv2\"\nencap = \"udp\"\nhost_name = \"{HOST_NAME}\"\n\
             [tunnel.t1.session.s1]\npseudowire = \"ppp\"\n"
        );
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(program()?)
            .args(["-null", "-verbose", "-config", "/dev/stdin"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| {
                io::Error::new(error.kind(), format!("setpriv: {error}: apt-get install util-linux"))
            })?;
        // The pipe is closed behind it, and holds all of it.
        child.stdin.take().expect("piped").write_all(configuration.as_bytes())?;
        let mut stderr = child.stderr.take().expect("piped");
        let (sender, log) = mpsc::channel();
        thread::spawn(move || {
            let mut said = String::new();
            let said = stderr.read_to_string(&mut said).map(|_| said);
            // Nobody may be waiting any more.
            let _ = sender.send(said);
        });
        Ok(Self { child, log })
    }

    /// Asks it to end, as a user does by Ctrl-C. It does not hear that while it connects, nor while it
    /// lingers.
    pub fn interrupt(&self) -> io::Result<()> {
        Ok(kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGINT)?)
    }

    /// Waits for its end. Returns all that it has said.
    ///
    /// Errors: it goes on for longer than `patience`, and is killed.
    pub fn wait(mut self, patience: Duration) -> io::Result<(ExitStatus, String)> {
        let log = self.log.recv_timeout(patience).map_err(|_| io::Error::other("kl2tpd does not end"))??;
        Ok((self.child.wait()?, log))
    }

    /// Kills it. Returns all that it has said.
    pub fn kill(mut self) -> io::Result<String> {
        self.child.kill()?;
        self.log.recv().map_err(io::Error::other)?
    }
}

impl Drop for Kl2tpd {
    fn drop(&mut self) {
        // Neither fails while it is ours.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where it is: on the PATH, or where `cargo xtask test` puts it.
fn program() -> io::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let own = crate::target()?.join("peers/usr/sbin");
    std::env::split_paths(&path)
        .chain([own])
        .map(|directory| directory.join("kl2tpd"))
        .find(|program| program.is_file())
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no kl2tpd here: cargo xtask test kl2tpd"))
}
