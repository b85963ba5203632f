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
use pppol2tp::Prefix;
use pppol2tp::user::Mode;
use serde::Serialize;

use crate::bed::Space;
use crate::clients::{Clients, Load};
use crate::demo::round;
use crate::end::{resident, this_program};
use crate::exit::{Doing, Failure, Result};
use crate::interrupt::Interrupt;
use crate::output::{Progress, Table};
use crate::tunnel::ORDINARY;

const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1701);
/// The server's inner address.
pub(super) const LOCAL: Ipv4Addr = Ipv4Addr::new(10, 63, 0, 1);
/// What it takes the clients' inner addresses from.
pub(super) const POOL: Prefix = Prefix { address: IpAddr::V4(Ipv4Addr::new(10, 64, 0, 0)), len: 15 };
/// The first of those that is a host's.
pub(super) const FIRST: Ipv4Addr = Ipv4Addr::new(10, 64, 0, 1);
/// The clients' name, and their password.
pub const USER: &str = "load";
/// Addresses that tunnels come from: a server takes so many a second from each.
pub const SOURCES: u8 = 16;
/// Sessions of a tunnel.
pub const PER_TUNNEL: usize = 100;
/// Tunnels that are being opened at a time.
const OPENING: usize = 32;
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
    let cores = Cores::choose(1)?;
    cores.server()?;
    let server = Server::start(&space, &this_program()?, SERVER, Mode::OFFLOAD, 1)?;
    cores.clients()?;
    let load = load(SERVER, |n| Ipv4Addr::new(127, 0, 0, 2 + n), sessions);
    let (sessions, tunnels) = (load.sessions(), load.tunnels);
    let mut clients = space.enter(|| Clients::new(load)).doing("sockets of clients")?;
    progress.say(format_args!("setting up {sessions} sessions in {tunnels} tunnels"));
    let before = Usage::of(server.pid())?;
    let seconds = set_up(&mut clients, sessions, interrupt)?;
    let each = Usage::of(server.pid())?.since(before).each(sessions);
    progress.say(format_args!("{sessions} sessions rest"));
    let (rested, started) = (Usage::of(server.pid())?, Instant::now());
    clients.run(idle, |_| interrupt.check().is_err()).doing("clients")?;
    interrupt.check()?;
    let idle_seconds = started.elapsed().as_secs_f64();
    let idle_percent = 100.0 * Usage::of(server.pid())?.since(rested).cpu.as_secs_f64() / idle_seconds;
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
        cpu_us: round(each.cpu.as_secs_f64() * 1e6),
        bytes: each.bytes,
        idle_percent: round(idle_percent),
        idle_seconds: round(idle_seconds),
        pinned: cores.apart(),
    })
}

/// What a server is loaded with: tunnels of 100 sessions each, from 16 addresses in turn, by the user
/// [`USER`].
pub fn load(server: SocketAddr, source: impl Fn(u8) -> Ipv4Addr, sessions: usize) -> Load {
    Load {
        server,
        sources: (0..SOURCES).map(|n| source(n).into()).collect(),
        tunnels: sessions.div_ceil(PER_TUNNEL),
        opening: OPENING,
        sessions_per_tunnel: PER_TUNNEL.min(sessions),
        user: USER.into(),
        password: USER.into(),
        secret: None,
        proxy: None,
    }
}

/// Sets all of the clients' sessions up. Returns the seconds from the first SCCRQ to the last IPCP.
///
/// Errors: interrupted, or not all of them come up.
pub fn set_up(clients: &mut Clients, sessions: usize, interrupt: &Interrupt) -> Result<f64> {
    let start = Instant::now();
    let done = |clients: &Clients| clients.up == sessions || clients.failed > 0 || interrupt.check().is_err();
    let all = clients.run(PATIENCE, done);
    let seconds = start.elapsed().as_secs_f64();
    interrupt.check()?;
    if !all.doing("clients")? || clients.up != sessions {
        return Err(Failure::new(format!(
            "{} of {sessions} sessions are up after {seconds:.0} s; {} failed, the last one: {}",
            clients.up, clients.failed, clients.why
        )));
    }
    Ok(seconds)
}

/// Cores for the server and another for the clients, if there are two. This thread has all of them again
/// when this value is dropped.
#[derive(Debug)]
pub struct Cores {
    all: CpuSet,
    server: CpuSet,
    clients: CpuSet,
}

impl Cores {
    /// The first that this process may use: one for the clients, and the ones before it for a server with so many
    /// shards, or as many as there are.
    pub fn choose(shards: usize) -> Result<Self> {
        let all = sched_getaffinity(Pid::from_raw(0)).doing("asking for this process's cores")?;
        let usable: Vec<_> = (0..CpuSet::count()).filter(|core| all.is_set(*core).unwrap_or(false)).collect();
        let last = usable.len().checked_sub(1).ok_or_else(|| Failure::new("this process has no core"))?;
        let set = |cores: &[usize]| {
            let mut set = CpuSet::new();
            cores.iter().try_for_each(|core| set.set(*core)).map(|()| set).doing("choosing cores")
        };
        let clients = last.min(shards);
        Ok(Self { all, server: set(&usable[..clients.max(1)])?, clients: set(&usable[clients..=clients])? })
    }

    /// Whether they are not the same.
    pub fn apart(&self) -> bool {
        self.server != self.clients
    }

    /// Puts this thread, and all that it starts from now on, on the server's cores.
    pub fn server(&self) -> Result<()> {
        pin(&self.server)
    }

    /// Puts this thread, and all that it starts from now on, on the clients' core.
    pub fn clients(&self) -> Result<()> {
        pin(&self.clients)
    }
}

impl Drop for Cores {
    fn drop(&mut self) {
        // These were its cores before.
        let _ = sched_setaffinity(Pid::from_raw(0), &self.all);
    }
}

fn pin(cores: &CpuSet) -> Result<()> {
    sched_setaffinity(Pid::from_raw(0), cores).doing("choosing a core")
}

/// What a process has used.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// CPU time of all its threads.
    pub cpu: Duration,
    /// Bytes of memory that it has resident.
    pub bytes: u64,
}

impl Usage {
    /// What this process has used until now.
    pub fn of(process: Pid) -> Result<Self> {
        let cpu = clock_getcpuclockid(process).and_then(clock_gettime).doing("CPU clock of a process")?;
        Ok(Self { cpu: cpu.into(), bytes: resident(process)? })
    }

    /// What it has used in addition.
    pub fn since(self, before: Self) -> Self {
        Self { cpu: self.cpu - before.cpu, bytes: self.bytes.saturating_sub(before.bytes) }
    }

    /// Its share for each of so many.
    pub fn each(self, count: usize) -> Self {
        Self { cpu: self.cpu.div_f64(count as f64), bytes: self.bytes / count as u64 }
    }
}

/// `ol2tp serve` with a shared interface, CHAP and the user [`USER`], as a child. Its frames go the ordinary way.
pub struct Server {
    child: Child,
    control: Option<Client>,
}

impl Server {
    /// Starts it with these offloads and as many shards. Returns once it listens.
    ///
    /// Errors: it does not start.
    pub fn start(
        space: &Space,
        program: &Path,
        listen: SocketAddr,
        mode: Mode,
        shards: usize,
    ) -> Result<Self> {
        let (ours, theirs) = UnixStream::pair().doing("socket pair")?;
        let start = || {
            Command::new(program)
                .args(["serve", "--controlled", "--log", "warn", "--interface", "shared", "--auth", "chap"])
                .args(["--listen", &listen.to_string(), "--user", &format!("{USER}:{USER}")])
                .args(["--pool", &format!("{}/{}", POOL.address, POOL.len)])
                .args(["--local-address", &LOCAL.to_string(), "--mode", mode.name()])
                .args(["--shards", &shards.to_string()])
                .args(ORDINARY)
                .stdin(Stdio::from(OwnedFd::from(theirs)))
                .stdout(Stdio::null())
                .spawn()
        };
        let child = space.enter(start).doing(format_args!("starting {}", program.display()))?;
        let mut control = Client::new(ours);
        let answer = control.show(What::Sockets);
        let server = Self { child, control: Some(control) };
        answer?;
        Ok(server)
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
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
