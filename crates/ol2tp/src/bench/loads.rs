//! Loads through a tunnel beside the same load over the bare veth, and what single properties of a tunnel cost.
//!
//! | tunnel       | what it is                                                  | loads |
//! |--------------|-------------------------------------------------------------|-------|
//! | base         | IPv4 in IPv4, an interface of its own, no sequence numbers, the ordinary way | TCP with 1 and 4 streams, UDP; there, back, and both at once |
//! | fast         | the same by the fast path, where the machine has it          | 〃 |
//! | sequenced    | with sequence numbers, which are required                   | TCP with 1 stream, UDP; there |
//! | reordering   | the same, and frames are put into order                     | 〃 |
//! | IPv6 outside | IPv4 in IPv6                                                | 〃 |
//! | IPv6 inside  | IPv6 in IPv4                                                | 〃 |
//! | shared       | one interface for all sessions                              | 〃 |
//!
//! Left is where *there* starts. A process's CPU time has in it what the kernel does in its system calls.

use std::fmt;
use std::time::Duration;

use ol2tpd::descriptors;
use serde::Serialize;

use super::sessions::Site;
use crate::args::BenchArgs;
use crate::bed::Bed;
use crate::demo::{Kind, LOADS, RAMP, round};
use crate::end::{End, this_program};
use crate::exit::{Doing, Failure, Result};
use crate::interrupt::Interrupt;
use crate::load::{Load, Path, Sample, Share, Window, median};
use crate::output::{Progress, Table};
use crate::tunnel::{ORDINARY, Tunnel, direct, direct6};

const SEQUENCED: [&str; 3] = ["--send-seq", "--recv-seq", "--lns"];
const REORDERING: [&str; 5] = ["--send-seq", "--recv-seq", "--lns", "--reorder-timeout", "100ms"];

/// What gets through, and what it costs.
#[derive(Debug, Serialize)]
pub struct Loads {
    /// One for each load.
    pub rows: Vec<Row>,
}

/// One load: medians.
#[derive(Debug, Serialize)]
pub struct Row {
    /// What the tunnel is, a name of the module's table.
    pub tunnel: &'static str,
    /// TCP streams, or UDP.
    pub load: &'static str,
    /// `there`, `back` or `both`.
    pub direction: &'static str,
    /// `Gbit/s` or `frames/s`, in sum of both directions.
    pub unit: &'static str,
    /// Over the bare veth.
    pub direct: f64,
    /// Through the tunnel.
    pub through: f64,
    /// Of the bare veth.
    pub of_direct: Share,
    /// Of the base tunnel under the same load.
    pub of_base: Option<Share>,
    /// CPU time of the left end's process, in microseconds: of each frame of UDP, or each megabyte of TCP.
    pub left_us: f64,
    /// The same of the right end's process.
    pub right_us: f64,
}

#[derive(Clone, Copy, PartialEq)]
enum Direction {
    There,
    Back,
    Both,
}

impl Direction {
    const ALL: [Self; 3] = [Self::There, Self::Back, Self::Both];

    fn name(self) -> &'static str {
        match self {
            Self::There => "there",
            Self::Back => "back",
            Self::Both => "both",
        }
    }
}

/// A tunnel, and the veth that it goes over.
#[derive(Clone, Copy)]
struct Way<'a> {
    name: &'static str,
    through: Path<'a>,
    direct: Path<'a>,
    ends: [&'a End; 2],
    /// Under all loads in all directions.
    fully: bool,
}

/// What is measured in a row, and a sample of each round.
struct Case<'a> {
    way: Way<'a>,
    load: &'static str,
    kind: Kind,
    direction: Direction,
    direct: Vec<f64>,
    through: Vec<f64>,
    cpu_us: [Vec<f64>; 2],
}

/// Measures all loads, each over the veth and then through the tunnel, in rounds.
///
/// Errors: interrupted, or nothing arrives.
pub fn measure(args: &BenchArgs, interrupt: &Interrupt, progress: &Progress) -> Result<Loads> {
    let (program, window) = (this_program()?, Window { ramp: RAMP, length: args.seconds });
    let bed = Bed::new().doing("making two network namespaces joined by veth")?;
    let base = Tunnel::start(&bed, &program, 0, &ORDINARY)?;
    let sequenced = Tunnel::start(&bed, &program, 1, &SEQUENCED)?;
    let reordering = Tunnel::start(&bed, &program, 2, &REORDERING)?;
    let outside6 = Tunnel::start_over(direct6(&bed), &program, 3, &ORDINARY)?;
    let shared = Site::start(&program, 1, false, descriptors::raise())?;
    let fast = Tunnel::start_fast(direct(&bed), &program, 4, &[], progress)?;
    let way = |name, tunnel| Way::new(name, tunnel, &bed);
    let mut ways = vec![Way { fully: true, ..way("base", &base) }];
    ways.extend(fast.as_ref().map(|fast| Way { fully: true, ..way("fast", fast) }));
    ways.extend([
        way("sequenced", &sequenced),
        way("reordering", &reordering),
        way("IPv6 outside", &outside6),
        Way { through: base.path6(&bed), direct: direct6(&bed), ..way("IPv6 inside", &base) },
        Way {
            name: "shared",
            through: shared.path(),
            direct: direct(&shared.bed),
            ends: [&shared.left, &shared.right],
            fully: false,
        },
    ]);
    let mut cases = cases(&ways);
    for turn in 1..=args.rounds {
        for case in &mut cases {
            let said = case.measure(window, interrupt)?;
            progress.say(format_args!("round {turn} of {}: {said}", args.rounds));
        }
    }
    let rows = cases.iter().map(|case| case.row(&cases)).collect();
    [base, sequenced, reordering, outside6].into_iter().chain(fast).try_for_each(Tunnel::stop)?;
    [shared.left, shared.right].into_iter().try_for_each(End::stop)?;
    Ok(Loads { rows })
}

fn cases<'a>(ways: &[Way<'a>]) -> Vec<Case<'a>> {
    let mut cases = Vec::new();
    for way in ways {
        for direction in Direction::ALL.into_iter().take(if way.fully { 3 } else { 1 }) {
            let all = LOADS.into_iter().filter(|(_, kind)| way.fully || !matches!(kind, Kind::Tcp(4)));
            cases.extend(all.map(|(load, kind)| Case {
                way: *way,
                load,
                kind,
                direction,
                direct: Vec::new(),
                through: Vec::new(),
                cpu_us: Default::default(),
            }));
        }
    }
    cases
}

impl<'a> Way<'a> {
    fn new(name: &'static str, tunnel: &'a Tunnel, bed: &'a Bed) -> Self {
        let ends = [&tunnel.left, &tunnel.right];
        Self { name, through: tunnel.path(bed), direct: direct(bed), ends, fully: false }
    }

    fn cpu(&self) -> Result<[Duration; 2]> {
        let [left, right] = self.ends;
        Ok([left.cpu()?, right.cpu()?])
    }
}

impl Case<'_> {
    /// One round. Returns what came of it in words.
    fn measure(&mut self, window: Window, interrupt: &Interrupt) -> Result<String> {
        let direct = self.load(self.way.direct)?.measure(window, interrupt, || Ok(()))?;
        let mut cpu = Vec::new();
        let through = self.load(self.way.through)?.measure(window, interrupt, || {
            cpu.push(self.way.cpu()?);
            Ok(())
        })?;
        let (name, direction) = (self.way.name, self.direction.name());
        let [over, within] = [&direct, &through].map(|sample| self.amount(sample));
        if over == 0.0 || within == 0.0 {
            return Err(Failure::new(format!("{name}, {}, {direction}: nothing arrived", self.load)));
        }
        self.direct.push(over);
        self.through.push(within);
        if let [before, after] = cpu[..] {
            let each = if self.is_tcp() { through.bytes as f64 / 1e6 } else { through.frames() as f64 };
            for (end, samples) in self.cpu_us.iter_mut().enumerate() {
                samples.push((after[end] - before[end]).as_secs_f64() * 1e6 / each);
            }
        }
        Ok(format!("{name}, {}, {direction}: {within:.2} of {over:.2} {}", self.load, self.unit()))
    }

    fn load(&self, path: Path<'_>) -> Result<Load> {
        let one = |path| match self.kind {
            Kind::Tcp(streams) => Load::tcp(path, streams),
            Kind::Udp(payload) => Load::udp_flow_of(path, payload),
        };
        let load = match self.direction {
            Direction::There => one(path),
            Direction::Back => one(path.back()),
            Direction::Both => one(path).and_then(|there| Ok(there.beside(one(path.back())?))),
        };
        load.doing(format_args!("{}, {}", self.way.name, self.load))
    }

    fn is_tcp(&self) -> bool {
        matches!(self.kind, Kind::Tcp(_))
    }

    fn unit(&self) -> &'static str {
        if self.is_tcp() { "Gbit/s" } else { "frames/s" }
    }

    fn amount(&self, sample: &Sample) -> f64 {
        if self.is_tcp() { sample.gbit_s() } else { sample.frames_s() }
    }

    fn row(&self, all: &[Self]) -> Row {
        let same = |other: &&Self| (other.load, other.direction) == (self.load, self.direction);
        let base = all.iter().find(same).filter(|base| base.way.name != self.way.name);
        let [left_us, right_us] = self.cpu_us.each_ref().map(|samples| round(median(samples)));
        Row {
            tunnel: self.way.name,
            load: self.load,
            direction: self.direction.name(),
            unit: self.unit(),
            direct: round(median(&self.direct)),
            through: round(median(&self.through)),
            of_direct: Share::of(&self.through, &self.direct),
            of_base: base.map(|base| Share::of(&self.through, &base.through)),
            left_us,
            right_us,
        }
    }
}

impl fmt::Display for Loads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = [
            "tunnel",
            "load",
            "direction",
            "veth",
            "tunnel",
            "",
            "of the veth",
            "of base",
            "µs left",
            "µs right",
        ];
        let mut table = Table::new(head).words(3);
        for row in &self.rows {
            let amount = |value: f64| format!("{value:.*}", if row.unit == "Gbit/s" { 2 } else { 0 });
            table.row([
                row.tunnel.into(),
                row.load.into(),
                row.direction.into(),
                amount(row.direct),
                amount(row.through),
                row.unit.into(),
                row.of_direct.to_string(),
                row.of_base.map_or("–".into(), |share| share.to_string()),
                format!("{:.2}", row.left_us),
                format!("{:.2}", row.right_us),
            ]);
        }
        writeln!(f, "{table}\n")?;
        f.write_str("µs: CPU time of either end's process, each frame of UDP or megabyte of TCP")
    }
}
