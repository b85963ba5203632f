//! Many sessions on one shared interface, beside one.
//!
//! Session *n* joins 10.64.x.y on the left with 10.65.x.y on the right, x.y being *n*.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path as FilePath;
use std::time::Duration;

use ol2tpd::control::What;
use ol2tpd::descriptors;
use ol2tpd::shared_sessions::address;
use pppol2tp::Prefix;
use serde::Serialize;

use crate::args::BenchArgs;
use crate::bed::{self, Bed};
use crate::bench::modes::per_frame;
use crate::demo::{RAMP, round};
use crate::end::{End, this_program};
use crate::exit::{Doing, Failure, Result};
use crate::interrupt::Interrupt;
use crate::load::{Load, Path, Window, median};
use crate::output::{Progress, Table};
use crate::tunnel::{FAST, ORDINARY};

const LEFT: Ipv4Addr = Ipv4Addr::new(10, 64, 0, 0);
const RIGHT: Ipv4Addr = Ipv4Addr::new(10, 65, 0, 0);
/// Frames that one session sends before the next has its turn.
const BURST: usize = 16;
/// Descriptors that are not the load's.
const SPARE: u64 = 100;

/// One session, and many.
#[derive(Debug, Serialize)]
pub struct Sessions {
    /// Rows, by number of sessions.
    pub rows: Vec<Row>,
}

/// One number of sessions: medians.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Sessions that are there.
    pub sessions: u16,
    /// `ordinary` or `fast`: how the driver moves their frames.
    pub way: &'static str,
    /// Sessions that have carried frames: no more than the load had descriptors and turns for.
    pub carrying: usize,
    /// Resident memory of one end in bytes, after the load.
    pub resident_bytes: u64,
    /// TCP through one session.
    pub tcp_gbit_s: f64,
    /// UDP frames of 200 bytes.
    pub frames_s: f64,
    /// CPU time per such frame of the sending driver, in microseconds.
    pub down_us: f64,
    /// CPU time per such frame of the receiving driver, in microseconds.
    pub up_us: f64,
}

/// Measures 1 and as many sessions as are wanted, in turn.
///
/// Errors: interrupted, or something does not work.
pub fn measure(args: &BenchArgs, interrupt: &Interrupt, progress: &Progress) -> Result<Sessions> {
    let program = this_program()?;
    let window = Window { ramp: RAMP, length: args.seconds };
    let limit = descriptors::raise();
    let mut sites = Vec::new();
    for (fast, sessions) in [(false, 1), (false, args.sessions), (true, 1), (true, args.sessions)] {
        progress.say(format_args!("starting {sessions} sessions, {}", name(fast)));
        let mut site = Site::start(&program, sessions, fast, limit)?;
        let why = site.left.fast()?;
        if fast && why != "on" {
            progress.say(format_args!("no fast path here: {why}"));
            break;
        }
        sites.push(site);
    }
    for round in 1..=args.rounds {
        for site in &mut sites {
            let (sessions, way) = (site.sessions, name(site.fast));
            progress.say(format_args!("round {round} of {}: {sessions} sessions, {way}", args.rounds));
            site.measure(window, interrupt)?;
        }
    }
    Ok(Sessions { rows: sites.into_iter().map(Site::finish).collect::<Result<_>>()? })
}

fn name(fast: bool) -> &'static str {
    if fast { "fast" } else { "ordinary" }
}

/// A bed with many sessions, and what was measured in it.
pub(super) struct Site {
    pub(super) left: End,
    pub(super) right: End,
    pub(super) bed: Bed,
    sessions: u16,
    fast: bool,
    flows: Vec<(IpAddr, IpAddr)>,
    tcp: Vec<f64>,
    frames: Vec<f64>,
    down: Vec<f64>,
    up: Vec<f64>,
}

impl Site {
    pub(super) fn start(program: &FilePath, sessions: u16, fast: bool, descriptors: u64) -> Result<Self> {
        let bed = Bed::new().doing("making two network namespaces joined by veth")?;
        for (space, own) in [(&bed.left, LEFT), (&bed.right, RIGHT)] {
            space
                .own_prefix(Prefix { address: own.into(), len: 16 })
                .doing(format_args!("owning {own}/16"))?;
        }
        let end = |left: bool| {
            let (space, local, peer, network) = match left {
                true => (&bed.left, bed::LEFT, bed::RIGHT, RIGHT),
                false => (&bed.right, bed::RIGHT, bed::LEFT, LEFT),
            };
            let mut arguments = vec!["shared".to_owned()];
            for (name, value) in [
                ("--local", format!("{local}:1701")),
                ("--peer", format!("{peer}:1701")),
                ("--sessions", sessions.to_string()),
                ("--network", network.to_string()),
            ] {
                arguments.extend([name.to_owned(), value]);
            }
            let options: &[&str] = if fast { &FAST } else { &ORDINARY };
            arguments.extend(options.iter().map(|option| (*option).to_owned()));
            End::start(space, program, &arguments)
        };
        let busy = u64::from(sessions).min(descriptors.saturating_sub(SPARE)).max(1) as u16;
        let flow = |n| (address(LEFT, n).into(), address(RIGHT, n).into());
        Ok(Self {
            left: end(true)?,
            right: end(false)?,
            sessions,
            fast,
            flows: (1..=busy).map(flow).collect(),
            tcp: Vec::new(),
            frames: Vec::new(),
            down: Vec::new(),
            up: Vec::new(),
            bed,
        })
    }

    /// The way through its first session.
    pub(super) fn path(&self) -> Path<'_> {
        let [source, target] = [LEFT, RIGHT].map(|network| address(network, 1).into());
        Path { from: &self.bed.left, to: &self.bed.right, source, target }
    }

    fn measure(&mut self, window: Window, interrupt: &Interrupt) -> Result<()> {
        let Bed { left, right } = &self.bed;
        let load = Load::tcp(self.path(), 1).doing("TCP load")?;
        self.tcp.push(load.measure(window, interrupt, || Ok(()))?.gbit_s());
        drop(load);

        let load = Load::udp(left, right, &self.flows, BURST).doing("UDP load")?;
        let mut cpu: Vec<(Duration, Duration)> = Vec::new();
        let sample = load.measure(window, interrupt, || {
            cpu.push((self.left.cpu()?, self.right.cpu()?));
            Ok(())
        })?;
        self.frames.push(sample.frames_s());
        if let [before, after] = cpu[..] {
            self.down.push(per_frame(after.0 - before.0, sample));
            self.up.push(per_frame(after.1 - before.1, sample));
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Row> {
        let report = self.right.show(What::Sessions)?;
        let delivered =
            |stats: &[(String, u64)]| stats.iter().any(|(name, n)| name == "rx_packets" && *n > 0);
        let sessions = report.sessions.into_iter().flatten();
        let busy = sessions.filter(|session| delivered(&session.stats)).count();
        if busy == 0 || busy == 1 && self.flows.len() > 1 {
            return Err(Failure::new(format!(
                "only {busy} of {} sessions have delivered frames",
                self.sessions
            )));
        }
        let row = Row {
            sessions: self.sessions,
            way: name(self.fast),
            carrying: busy,
            resident_bytes: self.left.resident()?.max(self.right.resident()?),
            tcp_gbit_s: round(median(&self.tcp)),
            frames_s: median(&self.frames).round(),
            down_us: round(median(&self.down)),
            up_us: round(median(&self.up)),
        };
        self.left.stop()?;
        self.right.stop()?;
        Ok(row)
    }
}

impl fmt::Display for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new([
            "sessions",
            "way",
            "resident MB",
            "TCP Gbit/s",
            "200-byte frames 1000/s",
            "µs to UDP",
            "µs from UDP",
        ]);
        for row in &self.rows {
            table.row([
                row.sessions.to_string(),
                row.way.into(),
                format!("{:.1}", row.resident_bytes as f64 / 1e6),
                format!("{:.2}", row.tcp_gbit_s),
                format!("{:.0}", row.frames_s / 1000.0),
                format!("{:.2}", row.down_us),
                format!("{:.2}", row.up_us),
            ]);
        }
        table.fmt(f)
    }
}
