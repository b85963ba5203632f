//! `l2tpns_load [frames] [SESSIONS [ROUNDS]] [--json]`: how fast l2tpns takes sessions beside `ol2tp serve`, in
//! turn, and what they cost; or how many frames either moves on one core.
//!
//! ```text
//!   clients ── br0 ──┬── veth0 ── ol2tp serve
//!   a core           └── veth0 ── l2tpns ── 127.0.0.1:1812 ── FreeRADIUS
//!                                 another core
//! ```
#![forbid(unsafe_code)]

mod frames;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;

use interop::PATIENCE;
use interop::l2tpns::L2tpns;
use interop::lan::{self, Host, Lan};
use nix::unistd::Pid;
use ol2tp::bench::setup::{self, Cores, PER_TUNNEL, SOURCES, Server, USER, Usage};
use ol2tp::clients::Clients;
use ol2tp::exit::{Doing, Failure, Result};
use ol2tp::interrupt::Interrupt;
use ol2tp::load::median;
use ol2tp::output::{self, Progress, Table};
use pppol2tp::user::Mode;

const SESSIONS: usize = 2000;
const ROUNDS: usize = 3;
/// The first of the clients' addresses, above those of the servers.
const FIRST_SOURCE: u8 = 200;
/// Two servers a round have addresses below them.
const MOST_ROUNDS: usize = 90;
/// As many as l2tpns has room for.
const MOST_SESSIONS: usize = 60_000;
const PORT: u16 = 1701;

/// What is to be known beside the figures.
const DIFFERENCES: &str = "\
What differs:
- Accounts: ol2tp has the user in its own memory. l2tpns asks FreeRADIUS, another process on the same core, once
  for each session; both are in its sessions a second. RADIUS accounting is off.
- Memory: ol2tp allocates a session when it comes. l2tpns has all its tables from its start.
- Threads: ol2tp has several, l2tpns one, with ten datagrams for each turn of its loop.
- Waiting: what is lost comes again when a timer is over, after 3 s in PPP and 1 s in L2TP. CPU time is what the
  work costs.
- Losses: what finds no room in a socket is sent again after such a wait. ol2tp asks for large buffers, l2tpns
  has those that every socket has.
- Settings without which l2tpns fails: allow_duplicate_users, for it ends a user's other session; max_requests of
  FreeRADIUS, which otherwise drops requests beyond 256, those of the last 5 s included.
- Limits of l2tpns: 500 tunnels unless told otherwise, 60,000 sessions. Neither it nor ol2tp throttles here.
The same: clients, network, CHAP with MD5, IPCP alone, no tunnel secret, one TUN for all sessions.";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::complain(&failure);
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let (words, numbers): (Vec<_>, Vec<_>) =
        std::env::args().skip(1).partition(|argument| matches!(&**argument, "frames" | "--json"));
    let has = |word| words.iter().any(|other| other == word);
    let mut arguments = numbers.into_iter();
    let mut number = |default, most| match arguments.next().map(|argument| argument.parse()) {
        None => Ok(default),
        Some(Ok(number)) if (1..=most).contains(&number) => Ok(number),
        Some(_) => Err(Failure::usage(format!(
            "l2tpns_load [frames] [SESSIONS [ROUNDS]] [--json]: a number from 1 to {most}"
        ))),
    };
    let (sessions, rounds) = (number(SESSIONS, MOST_SESSIONS)?, number(ROUNDS, MOST_ROUNDS)?);
    let (cores, progress) = (Cores::choose(1)?, Progress::new(false));
    progress.say("building the command");
    let program = interop::ol2tp().doing("the command")?;
    let lan = Lan::new().doing("a network")?;
    for n in 0..SOURCES {
        lan.here.run(&format!("ip address add {}/24 dev br0", source(n))).doing("a client's address")?;
    }
    if has("frames") {
        let rows = frames::measure(&program, &lan, sessions, rounds, frames::window(), &cores, &progress)?;
        drop(progress);
        if has("--json") {
            return output::json(&rows);
        }
        output::print(frames::Rows(&rows))?;
        return output::print(format_args!("\n{}", frames::DIFFERENCES));
    }
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..rounds as u8 {
        progress.say(format_args!("round {} of {rounds}", round + 1));
        // Each server is another host: what the one before has left may take a while to go.
        ours.push(ol2tp(&program, &lan, 2 + 2 * round, sessions, &cores)?);
        theirs.push(l2tpns(&lan, 3 + 2 * round, sessions, &cores)?);
    }
    drop(progress);
    let tunnels = sessions.div_ceil(PER_TUNNEL);
    let apart = if cores.apart() { "one core for servers, one for clients" } else { "one core for all" };
    output::print(format_args!(
        "{sessions} sessions in {tunnels} tunnels, {apart}; median (least to most) of {rounds} rounds"
    ))?;
    output::print(table(&ours, &theirs))?;
    output::print(format_args!("\n{DIFFERENCES}"))
}

fn ol2tp(program: &Path, lan: &Lan, host: u8, sessions: usize, cores: &Cores) -> Result<Sample> {
    let there = lan.host(host).doing("a host")?;
    let address = SocketAddr::from((lan::address(host), PORT));
    cores.server()?;
    let server = Server::start(there.space(), program, address, Mode::OFFLOAD, 1)?;
    measure(lan, &there, address, sessions, &[server.pid()], cores)
}

fn l2tpns(lan: &Lan, host: u8, sessions: usize, cores: &Cores) -> Result<Sample> {
    cores.server()?;
    let server = L2tpns::start_for_load(lan, host, (USER, USER)).doing("l2tpns")?;
    let (address, pids) = ((server.address, PORT).into(), [server.lns.pid(), server.radius.pid()]);
    measure(lan, &server.host, address, sessions, &pids, cores).map_err(|failure| {
        let said = [&server.lns, &server.radius].map(|process| process.log.text());
        Failure::new(format!("{failure}; l2tpns and FreeRADIUS said:\n{}", said.join("\n")))
    })
}

/// One round of one server.
struct Sample {
    per_second: f64,
    /// Datagrams that found no place in a socket of the server's.
    lost: f64,
    /// For each process, CPU time and memory of a session, and what it had before the first one.
    processes: Vec<(Usage, u64)>,
}

fn measure(
    lan: &Lan,
    there: &Host,
    address: SocketAddr,
    sessions: usize,
    processes: &[Pid],
    cores: &Cores,
) -> Result<Sample> {
    cores.clients()?;
    let load = setup::load(address, source, sessions);
    let sessions = load.sessions();
    let usage = || processes.iter().map(|process| Usage::of(*process)).collect::<Result<Vec<_>>>();
    let mut clients = lan.here.space().enter(|| Clients::new(load)).doing("sockets of clients")?;
    let (before, lost) = (usage()?, overflows(there)?);
    let seconds = setup::set_up(&mut clients, sessions, &Interrupt::default())?;
    let (processes, lost) = (usage()?.into_iter().zip(before), overflows(there)? - lost);
    clients.close().doing("clients")?;
    clients.run(PATIENCE, |clients| clients.tunnels() == 0).doing("clients")?;
    Ok(Sample {
        per_second: sessions as f64 / seconds,
        lost,
        processes: processes.map(|(now, then)| (now.since(then).each(sessions), then.bytes)).collect(),
    })
}

/// Where the clients are.
fn source(n: u8) -> Ipv4Addr {
    lan::address(FIRST_SOURCE + n)
}

/// Datagrams that found no place in a socket since the namespace is there.
fn overflows(host: &Host) -> Result<f64> {
    let counters = host.run("cat /proc/net/snmp").doing("counters of UDP")?;
    let mut rows = counters.lines().filter_map(|line| line.strip_prefix("Udp: ")).map(str::split_whitespace);
    let found = rows.next().zip(rows.next()).and_then(|(names, values)| {
        names.zip(values).find(|(name, _)| *name == "RcvbufErrors").and_then(|(_, value)| value.parse().ok())
    });
    found.ok_or_else(|| Failure::new("/proc/net/snmp: no RcvbufErrors"))
}

/// What a row is called, and where its figure comes from.
type Row<T> = (&'static str, fn(T) -> f64);

fn table(ours: &[Sample], theirs: &[Sample]) -> Table {
    let mut table = Table::new(["", "ol2tp", "l2tpns", "FreeRADIUS"]);
    let servers: [Row<&Sample>; 2] = [
        ("sessions a second", |sample| sample.per_second),
        ("datagrams lost at sockets", |sample| sample.lost),
    ];
    for (name, value) in servers {
        table.row([name.into(), figure(ours, value), figure(theirs, value), String::new()]);
    }
    let processes: [Row<(Usage, u64)>; 3] = [
        ("CPU time each, µs", |(each, _)| each.cpu.as_secs_f64() * 1e6),
        ("memory each, bytes", |(each, _)| each.bytes as f64),
        ("memory at the start, MB", |(_, start)| start as f64 / 1e6),
    ];
    for (name, value) in processes {
        let figure = |samples, process: usize| figure(samples, |sample| value(sample.processes[process]));
        table.row([name.into(), figure(ours, 0), figure(theirs, 0), figure(theirs, 1)]);
    }
    table
}

/// The median, and the least and the most.
fn figure<'a>(samples: &'a [Sample], value: impl Fn(&'a Sample) -> f64) -> String {
    let values: Vec<_> = samples.iter().map(value).collect();
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(0.0, f64::max);
    format!("{:.0} ({least:.0} to {most:.0})", median(&values))
}
