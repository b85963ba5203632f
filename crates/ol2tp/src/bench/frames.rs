//! Frames through a server on one core: as many as it takes, each way.
//!
//! ```text
//!   clients and sender, a core │ another core
//!                              │
//!   Flood::from_udp ─── veth ──┼──► UDP ─ server ─► interface ─► dropped
//!   dropped ◄────────── veth ──┼── UDP ◄─ server ◄─ interface
//!                              │                        ▲
//!   Flood::to_udp ─────────────┼────────────────────────┘
//! ```
//!
//! Interfaces count a super-packet as one, and its headers once. All frames being of one length, its bytes
//! tell how many there are.
//!
//! Beside each load stands what goes over a bare TUN interface, one packet at a time, in the same round
//! ([`bare`](super::bare)): the most for a program that makes a system call for each.

use std::fmt;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use l2tp_data::frame;
use l2tp_data::header::Datagram;
use nix::net::if_::if_nametoindex;
use nix::unistd::Pid;
use pppol2tp::Prefix;
use pppol2tp::netlink::Netlink;
use pppol2tp::user::Mode;
use serde::Serialize;

use crate::args::BenchArgs;
use crate::bed::{self, Bed, Space, VETH};
use crate::bench::bare::BareTun;
use crate::bench::setup::{self, Cores, SOURCES, Server, Usage};
use crate::clients::Clients;
use crate::demo::{RAMP, round};
use crate::end::this_program;
use crate::exit::{Doing, Failure, Result};
use crate::flood::{self, Flood, HEADERS, Kind};
use crate::interrupt::Interrupt;
use crate::load::{self, Share, Window, median};
use crate::output::{Progress, Table};

/// Bytes of the inner packets, IPv4 and UDP headers included.
const LENGTHS: [usize; 3] = [64, 200, 1400];
/// Bytes of Ethernet, IPv4 and UDP headers.
const OUTER: u64 = 14 + 20 + 8;
/// The first of the clients' addresses.
const FIRST_SOURCE: u8 = 100;
/// How long a frame may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// More sessions than these send no runs of frames: they would not fit into memory.
const MERGED_SESSIONS: usize = 1000;

/// A way through a server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// Out of tunnels.
    FromUdp,
    /// Into tunnels.
    ToUdp,
    /// Both at the same time.
    Both,
}

/// A load: its way, and what its frames are like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Load {
    /// Its way.
    pub way: Way,
    /// Whether frames can be merged.
    pub kind: Kind,
    /// Bytes of the inner packets.
    pub length: usize,
}

impl Load {
    /// All loads for so many sessions.
    pub fn all(sessions: usize) -> impl Iterator<Item = Self> {
        let loads = [
            (Way::FromUdp, Kind::Apart),
            (Way::FromUdp, Kind::Merged),
            (Way::ToUdp, Kind::Apart),
            (Way::ToUdp, Kind::Merged),
            (Way::Both, Kind::Apart),
        ];
        let each = |(way, kind)| LENGTHS.map(|length| Self { way, kind, length });
        let fits = move |load: &Self| {
            load.way != Way::FromUdp || load.kind == Kind::Apart || sessions <= MERGED_SESSIONS
        };
        loads.into_iter().flat_map(each).filter(fits)
    }

    /// Whether the interface has to have runs cut before it.
    pub fn cut(self) -> bool {
        self.way != Way::FromUdp && self.kind == Kind::Apart
    }

    /// Its way and its kind in words.
    pub fn words(self) -> [&'static str; 2] {
        let way = match self.way {
            Way::FromUdp => "from UDP",
            Way::ToUdp => "to UDP",
            Way::Both => "both",
        };
        [way, if self.kind == Kind::Apart { "apart" } else { "merged" }]
    }
}

/// What a server did under a load.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Frames a second.
    pub frames_s: f64,
    /// The server's CPU time for each, in microseconds.
    pub cpu_us: f64,
    /// The server's share of its core.
    pub busy: f64,
}

/// A server with clients that have set up their sessions.
pub struct Stand<'a> {
    clients: Clients,
    sessions: usize,
    there: &'a Space,
    server: Pid,
    /// The server's interface.
    interface: String,
    /// Bytes in front of a packet to UDP.
    header: usize,
}

impl<'a> Stand<'a> {
    /// Sets `sessions` up with a server in the namespace `there`, which has an interface for all of them and is
    /// reached over `veth0`. The clients are in `here`, and have their addresses already.
    ///
    /// Errors: not all of them come up, or no frame comes through.
    pub fn new(
        here: &Space,
        there: &'a Space,
        address: SocketAddr,
        server: Pid,
        source: impl Fn(u8) -> Ipv4Addr,
        sessions: usize,
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let load = setup::load(address, source, sessions);
        let sessions = load.sessions();
        let mut clients = here.enter(|| Clients::new(load)).doing("sockets of clients")?;
        setup::set_up(&mut clients, sessions, interrupt)?;
        let interface = interface(there)?;
        let mut stand = Self { clients, sessions, there, server, interface, header: 0 };
        stand.header = stand.header(interrupt)?;
        Ok(stand)
    }

    /// How many sessions there are.
    pub fn sessions(&self) -> usize {
        self.sessions
    }

    /// Counts what comes through. The caller is on the clients' core.
    ///
    /// Errors: interrupted, sessions have ended, or nothing came through.
    pub fn measure(&mut self, load: Load, window: Window, interrupt: &Interrupt) -> Result<Sample> {
        let to = || Flood::to_udp(&self.clients, self.there, load.length);
        let from = || Flood::from_udp(&self.clients, load.kind, load.length);
        let floods = match load.way {
            Way::FromUdp => from().map(|flood| vec![flood]),
            Way::ToUdp => to().map(|flood| vec![flood]),
            Way::Both => from().and_then(|flood| Ok(vec![flood, to()?])),
        };
        let floods = floods.doing("frames")?;
        interrupt.wait(window.ramp)?;
        let (start, before, used) = (Instant::now(), self.frames(load.length)?, Usage::of(self.server)?);
        interrupt.wait(window.length)?;
        let (after, used) = (self.frames(load.length)?, Usage::of(self.server)?.since(used));
        let seconds = start.elapsed().as_secs_f64();
        drop(floods);
        self.rest()?;
        let ways = [0, 1].map(|way| after[way].saturating_sub(before[way]));
        let (frames, least) = match load.way {
            Way::FromUdp => (ways[0], ways[0]),
            Way::ToUdp => (ways[1], ways[1]),
            Way::Both => (ways[0] + ways[1], ways[0].min(ways[1])),
        };
        let [way, kind] = load.words();
        if self.clients.up != self.sessions || least == 0 {
            return Err(Failure::new(format!(
                "{way}, {kind}, {} bytes: {} frames came through from UDP and {} to UDP, {} of {} sessions are up ({})",
                load.length, ways[0], ways[1], self.clients.up, self.sessions, self.clients.why
            )));
        }
        let cpu = used.cpu.as_secs_f64();
        Ok(Sample {
            frames_s: frames as f64 / seconds,
            cpu_us: cpu * 1e6 / frames as f64,
            busy: cpu / seconds,
        })
    }

    /// Closes all tunnels.
    pub fn close(mut self) -> Result<()> {
        self.clients.close().doing("clients")?;
        self.clients.run(PATIENCE, |clients| clients.tunnels() == 0).doing("clients").map(drop)
    }

    /// Answers what the server has asked meanwhile.
    pub fn rest(&mut self) -> Result<()> {
        self.clients.run(Duration::from_millis(20), |_| false).doing("clients").map(drop)
    }

    /// Frames that have come through until now, if all are of this length: from UDP, and to UDP.
    fn frames(&self, length: usize) -> Result<[u64; 2]> {
        let received = counters(self.there, &self.interface)?.received;
        let sent = counters(self.there, VETH)?.sent;
        Ok([
            received.bytes.saturating_sub(HEADERS as u64 * received.packets) / (length - HEADERS) as u64,
            sent.bytes.saturating_sub(OUTER * sent.packets) / (self.header + length) as u64,
        ])
    }

    /// Sends frames to a session until one comes: bytes of its headers.
    fn header(&mut self, interrupt: &Interrupt) -> Result<usize> {
        const LENGTH: usize = LENGTHS[1];
        let way = self.clients.ways().next().ok_or_else(|| Failure::new("no session"))?;
        let socket = self.clients.sockets()[way.socket].try_clone().doing("a client's socket")?;
        let (mut buffer, end) = ([0; 2048], Instant::now() + PATIENCE);
        while Instant::now() < end {
            flood::send_one(self.there, way.address, LENGTH).doing("a frame")?;
            interrupt.wait(Duration::from_millis(20))?;
            while let Ok(len) = socket.recv(&mut buffer) {
                let datagram = &buffer[..len];
                let Datagram::Data(header) = Datagram::parse(datagram) else { continue };
                let payload = header.message(datagram).and_then(|message| message.payload(datagram));
                let Ok(payload) = payload.map(|payload| &datagram[payload]) else { continue };
                if frame::strip(payload).is_ok_and(|frame| frame.len() == LENGTH + 2) {
                    return Ok(len - LENGTH);
                }
            }
        }
        Err(Failure::new(format!("no frame from {} came to {}", self.interface, way.address)))
    }
}

/// Packets and bytes.
struct Count {
    packets: u64,
    bytes: u64,
}

struct Counters {
    received: Count,
    sent: Count,
}

fn table(space: &Space) -> Result<String> {
    space.enter(|| fs::read_to_string("/proc/thread-self/net/dev")).doing("counters of interfaces")
}

fn counters(space: &Space, interface: &str) -> Result<Counters> {
    let table = table(space)?;
    let row = table.lines().find_map(|line| line.trim().strip_prefix(interface)?.strip_prefix(':'));
    let row: Vec<u64> = row.into_iter().flat_map(str::split_whitespace).flat_map(str::parse).collect();
    match row[..] {
        [rx_bytes, rx, _, _, _, _, _, _, tx_bytes, tx, ..] => Ok(Counters {
            received: Count { packets: rx, bytes: rx_bytes },
            sent: Count { packets: tx, bytes: tx_bytes },
        }),
        _ => Err(Failure::new(format!("no counters of {interface}"))),
    }
}

/// The interface that is neither the veth nor loopback.
fn interface(space: &Space) -> Result<String> {
    let table = table(space)?;
    let mut names = table.lines().filter_map(|line| Some(line.split_once(':')?.0.trim()));
    let name = names.find(|name| !matches!(*name, "lo" | VETH));
    name.map(String::from).ok_or_else(|| Failure::new("the server has no interface"))
}

/// What was measured.
#[derive(Debug, Serialize)]
pub struct Frames {
    /// One for each load and number of sessions.
    pub rows: Vec<Row>,
    /// Whether server and sender had a core each.
    pub pinned: bool,
}

/// One load: medians.
#[derive(Debug, Serialize)]
pub struct Row {
    /// `from UDP`, `to UDP` or `both`.
    pub way: &'static str,
    /// `apart` or `merged`.
    pub kind: &'static str,
    /// Bytes of the inner packets.
    pub length: usize,
    /// Sessions that the frames are spread over.
    pub sessions: usize,
    /// Frames a second.
    pub frames_s: f64,
    /// The server's CPU time for each, in microseconds.
    pub cpu_us: f64,
    /// The server's share of its core.
    pub busy: f64,
    /// Packets a second that go over a bare TUN interface the same way, one by one: [`BareTun`].
    pub bare_frames_s: Option<f64>,
    /// Of those.
    pub of_bare: Option<Share>,
}

impl Row {
    /// The medians of samples; `bare` are those of a bare TUN interface.
    pub fn new(load: Load, sessions: usize, samples: &[Sample], bare: Option<&[f64]>) -> Self {
        let frames: Vec<_> = samples.iter().map(|sample| sample.frames_s).collect();
        let [way, kind] = load.words();
        let median = |value: fn(&Sample) -> f64| median(&samples.iter().map(value).collect::<Vec<_>>());
        Self {
            way,
            kind,
            length: load.length,
            sessions,
            frames_s: median(|sample| sample.frames_s).round(),
            cpu_us: round(median(|sample| sample.cpu_us)),
            busy: round(median(|sample| sample.busy)),
            bare_frames_s: bare.map(|bare| load::median(bare).round()),
            of_bare: bare.map(|bare| Share::of(&frames, bare)),
        }
    }
}

/// A namespace for clients and one for a server, joined.
pub fn bed() -> Result<Bed> {
    let bed = Bed::new().doing("making two network namespaces joined by veth")?;
    let add = || {
        let index = if_nametoindex(VETH)?;
        let netlink = Netlink::open()?;
        (0..SOURCES)
            .try_for_each(|n| netlink.add_address(index, Prefix { address: source(n).into(), len: 24 }, None))
    };
    bed.left.enter(add).doing("addresses of clients")?;
    Ok(bed)
}

fn source(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, FIRST_SOURCE + n)
}

/// What goes over a bare TUN interface, for each way and length.
pub struct Bare {
    tun: BareTun,
    sessions: usize,
    samples: Vec<(Load, Vec<f64>)>,
}

impl Bare {
    /// An interface with routes to so many sessions.
    pub fn new(sessions: usize) -> Result<Self> {
        Ok(Self { tun: BareTun::new()?, sessions, samples: Vec::new() })
    }

    /// Once a round for each way and length: does nothing where frames can be merged, or come both ways.
    pub fn measure(
        &mut self,
        load: Load,
        window: Window,
        cores: &Cores,
        interrupt: &Interrupt,
    ) -> Result<()> {
        if load.kind == Kind::Merged {
            return Ok(());
        }
        let sample = match load.way {
            Way::FromUdp => self.tun.write(load.length, self.sessions, window, cores, interrupt)?,
            Way::ToUdp => self.tun.read(load.length, self.sessions, window, cores, interrupt)?,
            Way::Both => return Ok(()),
        };
        match self.samples.iter_mut().find(|(other, _)| *other == load) {
            Some((_, samples)) => samples.push(sample),
            None => self.samples.push((load, vec![sample])),
        }
        Ok(())
    }

    /// What was measured the same way with the same length.
    pub fn samples(&self, load: Load) -> Option<&[f64]> {
        let same = |(other, _): &&(Load, _)| (other.way, other.length) == (load.way, load.length);
        self.samples.iter().find(same).map(|(_, samples)| samples.as_slice())
    }
}

/// Measures all loads with 1, 100 and as many sessions as are wanted.
///
/// Errors: interrupted, or something does not work.
pub fn measure(args: &BenchArgs, interrupt: &Interrupt, progress: &Progress) -> Result<Frames> {
    let (program, cores) = (this_program()?, Cores::choose(args.shards)?);
    let window = Window { ramp: RAMP, length: args.seconds };
    let mut counts = vec![1, 100, usize::from(args.sessions)];
    counts.retain(|count| *count <= usize::from(args.sessions));
    counts.dedup();
    let mut rows = Vec::new();
    for sessions in counts {
        // What the interface of the first takes as one reaches the second one by one.
        let modes = [Mode::OFFLOAD, Mode { uso: false, ..Mode::OFFLOAD }];
        let beds = [bed()?, bed()?];
        let (mut servers, mut stands) = (Vec::new(), Vec::new());
        for (bed, mode) in beds.iter().zip(modes) {
            progress.say(format_args!("setting up {sessions} sessions"));
            let address = SocketAddr::from((bed::RIGHT, 1701));
            cores.server()?;
            let server = Server::start(&bed.right, &program, address, mode, args.shards)?;
            cores.clients()?;
            stands.push(Stand::new(
                &bed.left,
                &bed.right,
                address,
                server.pid(),
                source,
                sessions,
                interrupt,
            )?);
            servers.push(server);
        }
        let loads: Vec<_> = Load::all(sessions).collect();
        let mut samples = vec![Vec::new(); loads.len()];
        let mut bare = Bare::new(sessions)?;
        for turn in 1..=args.rounds {
            for (load, samples) in loads.iter().zip(&mut samples) {
                bare.measure(*load, window, &cores, interrupt)?;
                let stand = usize::from(load.cut());
                let sample = stands[stand].measure(*load, window, interrupt)?;
                stands[1 - stand].rest()?;
                let ([way, kind], sessions) = (load.words(), stands[stand].sessions());
                progress.say(format_args!(
                    "round {turn} of {}: {sessions} sessions, {way}, {kind}, {} bytes: {:.2} M/s, {:.0} % of a core",
                    args.rounds, load.length, sample.frames_s / 1e6, sample.busy * 100.0
                ));
                samples.push(sample);
            }
        }
        let sessions = stands[0].sessions();
        let row = |(load, samples): (&Load, &Vec<_>)| Row::new(*load, sessions, samples, bare.samples(*load));
        rows.extend(loads.iter().zip(&samples).map(row));
        stands.into_iter().try_for_each(Stand::close)?;
    }
    Ok(Frames { rows, pinned: cores.apart() })
}

impl fmt::Display for Frames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new([
            "way",
            "frames",
            "sessions",
            "bytes",
            "1000/s",
            "µs each",
            "% of a core",
            "bare TUN",
            "of it",
        ])
        .words(2);
        for row in &self.rows {
            table.row([
                row.way.into(),
                row.kind.into(),
                row.sessions.to_string(),
                row.length.to_string(),
                format!("{:.0}", row.frames_s / 1e3),
                format!("{:.2}", row.cpu_us),
                format!("{:.0}", row.busy * 100.0),
                row.bare_frames_s.map_or("–".into(), |bare| format!("{:.0}", bare / 1e3)),
                row.of_bare.map_or("–".into(), |share| share.to_string()),
            ]);
        }
        table.fmt(f)
    }
}
