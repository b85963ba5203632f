//! How fast a server takes sessions, what they cost it in memory, and what they cost while they rest.
//!
//! The server has one core, the clients ([`Clients`]) another. All of it is in one network namespace and
//! goes over its loopback interface.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;
use ol2tpd::control::{Client, What};
use serde::Serialize;

use crate::bed::Space;
use crate::clients::{Clients, Load};
use crate::demo::round;
use crate::end::{resident, this_program};
use crate::exit::{Doing, Failure, Result};
use crate::interrupt::Interrupt;
use crate::output::{Progress, Table};

const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1701);
const USER: &str = "load";
/// Addresses that tunnels come from: a server takes so many a second from each.
const SOURCES: u8 = 16;
const PER_TUNNEL: usize = 100;
/// How long all of them may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// What was measured.
#[derive(Debug, Serialize)]
pub struct Setup {
    /// Sessions that were set up: tunnel, session, LCP, CHAP, IPCP.
    pub sessions: usize,
    /// Tunnels they are in.
    pub tunnels: usize,
    /// From the first SCCRQ to the last IPCP.
    pub seconds: f64,
    /// Sessions a second.
    pub per_second: f64,
    /// The server's CPU time for each, in microseconds.
    pub cpu_us: f64,
    /// Memory that the server has in addition, for each.
    pub bytes: u64,
    /// The server's CPU time while nothing but echoes and HELLOs flow, in percent of a core.
    pub idle_percent: f64,
    /// How long that was watched.
    pub idle_seconds: f64,
    /// Whether server and clients had a core each.
    pub pinned: bool,
}

/// Sets `sessions` up, and watches them rest.
///
/// Errors: interrupted, or not all of them come up.
pub fn measure(sessions: usize, idle: Duration, interrupt: &Interrupt, progress: &Progress) -> Result<Setup> {
    let space = Space::new().doing("making a network namespace")?;
    let cores = sched_getaffinity(Pid::from_raw(0)).doing("asking for this process's cores")?;
    let mut two = (0..CpuSet::count()).filter(|core| cores.is_set(*core).unwrap_or(false)).take(2);
    let (first, second) = (two.next(), two.next());
    pin(first)?;
    let server = Server::start(&space, &this_program()?);
    pin(second.or(first))?;
    let measured = server.and_then(|server| server.measure(&space, sessions, idle, interrupt, progress));
    sched_setaffinity(Pid::from_raw(0), &cores).doing("choosing cores")?;
    Ok(Setup { pinned: second.is_some(), ..measured? })
}

/// Puts this thread, and all that it starts from now on, on one core.
fn pin(core: Option<usize>) -> Result<()> {
    let Some(core) = core else { return Ok(()) };
    let mut only = CpuSet::new();
    only.set(core).and_then(|()| sched_setaffinity(Pid::from_raw(0), &only)).doing("choosing a core")
}

/// `ol2tp serve` as a child.
struct Server {
    child: Child,
    control: Option<Client>,
}

impl Server {
    fn start(space: &Space, program: &Path) -> Result<Self> {
        let (ours, theirs) = UnixStream::pair().doing("socket pair")?;
        let start = || {
            Command::new(program)
                .args(["serve", "--controlled", "--log", "warn", "--interface", "shared", "--auth", "chap"])
                .args(["--listen", &SERVER.to_string(), "--user", &format!("{USER}:{USER}")])
                .args(["--pool", "10.64.0.0/15", "--local-address", "10.63.0.1"])
                .stdin(Stdio::from(OwnedFd::from(theirs)))
                .stdout(Stdio::null())
                .spawn()
        };
        let child = space.enter(start).doing(format_args!("starting {}", program.display()))?;
        let mut server = Self { child, control: Some(Client::new(ours)) };
        // It answers once it listens.
        server.ask()?;
        Ok(server)
    }

    fn ask(&mut self) -> Result<()> {
        if let Some(control) = &mut self.control {
            control.show(What::Sockets)?;
        }
        Ok(())
    }

    fn measure(
        self,
        space: &Space,
        sessions: usize,
        idle: Duration,
        interrupt: &Interrupt,
        progress: &Progress,
    ) -> Result<Setup> {
        let load = Load {
            server: SERVER,
            sources: (2..2 + SOURCES).map(|last| Ipv4Addr::new(127, 0, 0, last).into()).collect(),
            tunnels: sessions.div_ceil(PER_TUNNEL),
            sessions_per_tunnel: PER_TUNNEL.min(sessions),
            user: USER.into(),
            password: USER.into(),
            loss: 0,
            secret: None,
            proxy: None,
        };
        let (tunnels, per_tunnel) = (load.tunnels, load.sessions_per_tunnel);
        let sessions = tunnels * per_tunnel;
        let mut clients = space.enter(|| Clients::new(load)).doing("sockets of clients")?;
        let before = (resident(self.pid())?, self.cpu()?);
        progress.say(format_args!("setting up {sessions} sessions in {tunnels} tunnels"));
        let start = Instant::now();
        let all = clients.run(PATIENCE, |clients| clients.up == sessions || interrupt.check().is_err());
        let seconds = start.elapsed().as_secs_f64();
        interrupt.check()?;
        if !all.doing("clients")? || clients.up != sessions {
            return Err(Failure::new(format!(
                "{} of {sessions} sessions are up after {seconds:.0} s; {} failed, the last one: {}",
                clients.up, clients.failed, clients.why
            )));
        }
        let cpu = self.cpu()? - before.1;
        let bytes = resident(self.pid())?.saturating_sub(before.0) / sessions as u64;
        progress.say(format_args!("{sessions} sessions rest"));
        let (rested, started) = (self.cpu()?, Instant::now());
        clients.run(idle, |_| interrupt.check().is_err()).doing("clients")?;
        interrupt.check()?;
        let idle_seconds = started.elapsed().as_secs_f64();
        let idle_percent = 100.0 * (self.cpu()? - rested).as_secs_f64() / idle_seconds;
        if clients.up != sessions {
            return Err(Failure::new(format!("only {} of {sessions} sessions stayed up", clients.up)));
        }
        clients.close().doing("clients")?;
        clients.run(PATIENCE, |clients| clients.tunnels() == 0).doing("clients")?;
        Ok(Setup {
            sessions,
            tunnels,
            seconds: round(seconds),
            per_second: (sessions as f64 / seconds).round(),
            cpu_us: round(cpu.as_secs_f64() * 1e6 / sessions as f64),
            bytes,
            idle_percent: round(idle_percent),
            idle_seconds: round(idle_seconds),
            pinned: false,
        })
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    fn cpu(&self) -> Result<Duration> {
        let time = clock_getcpuclockid(self.pid()).and_then(clock_gettime);
        Ok(time.doing("CPU clock of the server")?.into())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.control = None;
        // It ends with its controlling connection; how is of no interest here.
        let _ = self.child.wait();
    }
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(["set-up of sessions", ""]);
        let cores = if self.pinned { "a core each" } else { "one core for both" };
        for (name, value) in [
            ("sessions", format!("{} in {} tunnels, {cores}", self.sessions, self.tunnels)),
            ("sessions a second", format!("{:.0}", self.per_second)),
            ("CPU time each", format!("{:.0} µs", self.cpu_us)),
            ("memory each", format!("{} bytes", self.bytes)),
            ("at rest", format!("{:.1} % of a core over {:.0} s", self.idle_percent, self.idle_seconds)),
        ] {
            table.row([name.to_owned(), value]);
        }
        table.fmt(f)
    }
}
