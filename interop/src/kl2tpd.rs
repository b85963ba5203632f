//! `kl2tpd` of go-l2tp: a LAC that opens a tunnel and a session.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::lan::{Host, Lan};
use crate::log::with;
use crate::process::Process;
use crate::uml::{Job, Uml};
use crate::{PATIENCE, chroot, xl2tpd};

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
        let program = command()?;
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(program.get_program())
            .args(program.get_args())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| {
                io::Error::new(error.kind(), format!("setpriv: {error}: apt-get install util-linux"))
            })?;
        // The pipe is closed behind it, and holds all of it.
        child.stdin.take().expect("piped").write_all(configuration(peer, &[""]).as_bytes())?;
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

/// The same in a namespace.
///
/// Errors: the program is not there.
pub fn start_on(host: &Host, peer: SocketAddr) -> io::Result<Process> {
    let mut process = host.start("kl2tpd", &command()?)?;
    process.write(&configuration(peer, &[""]))?;
    process.close();
    Ok(process)
}

/// The program, which reads its configuration from standard input.
fn command() -> io::Result<Command> {
    let mut command = Command::new(chroot::root("sid")?.join("usr/sbin/kl2tpd"));
    command.args(["-null", "-verbose", "-config", "/dev/stdin"]);
    Ok(command)
}

/// A tunnel, with a session for each of these lines.
fn configuration(peer: SocketAddr, sessions: &[&str]) -> String {
    let tunnel = format!(
        "[tunnel.t1]\npeer = \"{peer}\"\nversion = \"l2tpv2\"\nencap = \"udp\"\nhost_name = \"{HOST_NAME}\"\n\
         tid = {TUNNEL}\n"
    );
    let session =
        |(n, line): (usize, &&str)| format!("[tunnel.t1.session.s{n}]\npseudowire = \"ppp\"\n{line}\n");
    tunnel + &sessions.iter().enumerate().map(session).collect::<String>()
}

/// Its tunnel id.
const TUNNEL: u16 = 7;

/// A kl2tpd in a guest, with pppd on the kernel's PPPoL2TP. It wants to make its tunnel there by netlink,
/// which the kernel of Debian's User-Mode Linux lacks (`CONFIG_L2TP_V3`); so that is done for it, on its
/// socket, before its SCCRQ comes through.
#[derive(Debug)]
pub struct WithPppd<'a> {
    guest: &'a Uml,
    /// What it says.
    pub kl2tpd: Job<'a>,
    /// What its pppd says.
    pub pppd: Job<'a>,
}

impl<'a> WithPppd<'a> {
    /// One that opens a tunnel to `peer` with so many sessions, each with a pppd of its own, which answers CHAP and
    /// MS-CHAPv2.
    pub fn start(
        lan: &Lan,
        guest: &'a Uml,
        peer: SocketAddr,
        user: (&str, &str),
        sessions: usize,
    ) -> io::Result<Self> {
        let (user, password) = user;
        guest.file("tunnel.pl", include_str!("tunnel.pl"))?;
        let pppd = format!("noauth debug mtu 1400 mru 1400 user {user} logfile /run/pppd.log\n");
        guest.file("pppd", &pppd)?;
        let sessions = vec!["pppd_args = \"/host/pppd\""; sessions];
        guest.file("kl2tpd.toml", &configuration(peer, &sessions))?;
        guest.file("chap-secrets", &format!("\"{user}\" * \"{password}\" *\n"))?;
        guest.run("install -m 600 /host/chap-secrets /etc/ppp && : >/run/pppd.log")?;

        lan.part(guest.host, true)?;
        let kl2tpd = guest.start("exec kl2tpd -null -verbose -config /host/kl2tpd.toml")?;
        kl2tpd.find(PATIENCE, with("isRetransmit"))?;
        let tunnel = guest.start(&format!("exec perl /host/tunnel.pl $(pgrep -x kl2tpd) {TUNNEL}"))?;
        tunnel.find(PATIENCE, |line| (line == format!("tunnel {TUNNEL}")).then_some(()))?;
        lan.part(guest.host, false)?;
        Ok(Self { guest, kl2tpd, pppd: guest.start("exec tail -n +1 -f /run/pppd.log")? })
    }

    /// Waits for IPCP. Returns the inner addresses: its own and the peer's.
    pub fn up(&self) -> io::Result<(Ipv4Addr, Ipv4Addr)> {
        xl2tpd::up(&self.pppd, 0)
    }

    /// Waits until its pppd has ended.
    pub fn gone(&self) -> io::Result<()> {
        xl2tpd::gone(self.guest)
    }
}
