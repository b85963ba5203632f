//! `ol2tp demo`: the main job on this machine.

mod ladder;
mod pair;

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::args::DemoArgs;
use crate::bed::{Bed, LEFT, RIGHT};
use crate::can;
use crate::end::this_program;
use crate::exit::{Doing, Failure, Result};
use crate::interrupt::Interrupt;
use crate::load::{Load, PAYLOAD, Path, Window, median};
use crate::output::{self, Progress, Table};
use crate::ping::{Ping, Requests, ping, ping_in_scope};
use crate::tunnel::{Tunnel, direct};
use pair::Pair;

/// Time that a load has to get going before it counts.
pub const RAMP: Duration = Duration::from_millis(200);

const PINGS: Requests =
    Requests { count: 20, interval: Duration::from_millis(10), patience: Duration::from_secs(2) };

/// What the demo found.
#[derive(Debug, Serialize)]
struct Report {
    driver: &'static str,
    /// `on`, or why there is no fast path here.
    fast: String,
    ladder: Vec<Rung>,
    ping: Ping,
    ping6: Ping,
    tcp: Throughput,
    tcp4: Throughput,
    udp_small: Frames,
    /// `ok`, or `failed` with the problems.
    result: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<String>,
}

/// A message between the client and the server.
#[derive(Debug, Serialize)]
struct Rung {
    /// Milliseconds since the client was started.
    at_ms: f64,
    by_client: bool,
    text: String,
}

/// 10^9 bits of TCP payload a second: medians.
#[derive(Debug, Serialize)]
struct Throughput {
    direct_gbit_s: f64,
    tunnel_gbit_s: f64,
    /// By the fast path, inside the kernel; 0 where there is none.
    fast_gbit_s: f64,
    /// Through a driver that moves one packet a system call.
    plain_gbit_s: f64,
    /// Tunnel by direct.
    ratio: f64,
    /// Fast path by direct.
    fast_ratio: f64,
}

/// UDP frames a second: medians.
#[derive(Debug, Serialize)]
struct Frames {
    payload_bytes: usize,
    direct_frames_s: f64,
    tunnel_frames_s: f64,
    fast_frames_s: f64,
    plain_frames_s: f64,
    ratio: f64,
    fast_ratio: f64,
}

/// A kind of load.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// So many streams.
    Tcp(usize),
    /// Frames with so many bytes of payload.
    Udp(usize),
}

pub(crate) const LOADS: [(&str, Kind); 3] = [
    ("TCP, 1 stream", Kind::Tcp(1)),
    ("TCP, 4 streams", Kind::Tcp(4)),
    ("UDP, 200 bytes", Kind::Udp(PAYLOAD)),
];
const WAYS: [&str; 4] = ["direct", "tunnel", "plain", "fast"];

/// Samples by load and way, one a round.
type Samples = [[Vec<f64>; WAYS.len()]; LOADS.len()];

/// Runs the demo and prints what it found.
///
/// Errors: a permission or device is missing, interrupted, or something did not work.
pub fn run(args: &DemoArgs) -> Result<()> {
    can::make_namespaces()?;
    let interrupt = Interrupt::catch()?;
    let report = demo(args, &interrupt)?;
    if args.json {
        output::json(&report)?;
    } else {
        output::print(text(&report))?;
    }
    if report.problems.is_empty() { Ok(()) } else { Err(Failure::new(report.problems.join("; "))) }
}

fn demo(args: &DemoArgs, interrupt: &Interrupt) -> Result<Report> {
    let progress = Progress::new(args.json);
    let program = this_program()?;
    progress.say("two network namespaces, a veth between them, a client and a server of L2TP");
    let bed = Bed::new().doing("making two network namespaces joined by veth")?;
    progress.clear();
    let mut ladder = Vec::new();
    if !args.json {
        output::print(ladder::head(&format!("client {LEFT}"), &format!("server {RIGHT}")))?;
    }
    let begun = Instant::now();
    let mut pair = Pair::start(&bed, &program, args.mode.name(), |by_client, text| {
        let at = begun.elapsed();
        ladder.push(Rung { at_ms: round(at.as_secs_f64() * 1000.0), by_client, text: text.into() });
        if args.json { Ok(()) } else { output::print(ladder::rung(by_client, text, at)) }
    })?;
    let plain = Tunnel::start(&bed, &program, 1, &["--mode", "plain", "--fast", "off"])?;
    let ordinary = Tunnel::start(&bed, &program, 2, &["--mode", args.mode.name(), "--fast", "off"])?;
    let fast = pair.fast()?;

    progress.say("ping through the tunnel");
    let ping4 = ping(&bed.left, pair.server4, PINGS).doing(format_args!("ping {}", pair.server4))?;
    interrupt.check()?;
    let ping6 = ping_in_scope(&bed.left, pair.server6, PINGS).doing(format_args!("ping {}", pair.server6))?;

    let window = Window { ramp: RAMP, length: args.seconds };
    // Where there is a fast path, client and server take it.
    let ways = [direct(&bed), ordinary.path(&bed), plain.path(&bed), pair.path(&bed)];
    let ways = &ways[..if fast == "on" { ways.len() } else { ways.len() - 1 }];
    let mut samples = Samples::default();
    for round in 1..=args.rounds {
        for ((name, kind), samples) in LOADS.into_iter().zip(&mut samples) {
            for ((way, &path), samples) in WAYS.into_iter().zip(ways).zip(samples.iter_mut()) {
                progress.now(format_args!("round {round} of {}: {name}, {way} …", args.rounds));
                samples.push(measure(kind, path, window, interrupt)?);
            }
            progress.say(format_args!("round {round} of {}: {name}: {}", args.rounds, latest(kind, samples)));
        }
    }

    let mut problems = pair.errors()?;
    for (name, ping) in [("ping", &ping4), ("ping6", &ping6)] {
        if !ping.complete() {
            problems.push(format!("{name}: {} of {} answered", ping.received, ping.sent));
        }
    }
    for ((name, _), ways) in LOADS.iter().zip(&samples) {
        if ways.iter().flatten().any(|sample| *sample == 0.0) {
            problems.push(format!("{name}: nothing arrived"));
        }
    }
    plain.stop()?;
    ordinary.stop()?;
    pair.stop()?;
    drop(progress);

    let [tcp, tcp4, udp] = samples.map(|ways| ways.map(|samples| median(&samples)));
    Ok(Report {
        driver: "user",
        fast,
        ladder,
        ping: ping4,
        ping6,
        tcp: throughput(tcp),
        tcp4: throughput(tcp4),
        udp_small: Frames {
            payload_bytes: PAYLOAD,
            direct_frames_s: udp[0].round(),
            tunnel_frames_s: udp[1].round(),
            plain_frames_s: udp[2].round(),
            fast_frames_s: udp[3].round(),
            ratio: round(udp[1] / udp[0]),
            fast_ratio: round(udp[3] / udp[0]),
        },
        result: if problems.is_empty() { "ok" } else { "failed" },
        problems,
    })
}

/// 10^9 bits of TCP, or UDP frames, a second.
pub(crate) fn measure(kind: Kind, path: Path<'_>, window: Window, interrupt: &Interrupt) -> Result<f64> {
    let load = match kind {
        Kind::Tcp(streams) => Load::tcp(path, streams),
        Kind::Udp(payload) => Load::udp_flow_of(path, payload),
    };
    let sample =
        load.doing(format_args!("load to {}", path.target))?.measure(window, interrupt, || Ok(()))?;
    Ok(match kind {
        Kind::Tcp(_) => sample.gbit_s(),
        Kind::Udp(_) => sample.frames_s(),
    })
}

fn throughput([direct, tunnel, plain, fast]: [f64; 4]) -> Throughput {
    Throughput {
        direct_gbit_s: round(direct),
        tunnel_gbit_s: round(tunnel),
        plain_gbit_s: round(plain),
        fast_gbit_s: round(fast),
        ratio: round(tunnel / direct),
        fast_ratio: round(fast / direct),
    }
}

/// Three digits behind the point; what cannot be a number in JSON is 0.
pub fn round(value: f64) -> f64 {
    if value.is_finite() { (value * 1000.0).round() / 1000.0 } else { 0.0 }
}

/// The last sample of each way, in one line.
fn latest(kind: Kind, samples: &[Vec<f64>]) -> String {
    let amount = |value: f64| match kind {
        Kind::Tcp(_) => format!("{value:.2}"),
        Kind::Udp(_) => format!("{:.0}", value / 1000.0),
    };
    let latest = samples.iter().map(|way| amount(way.last().copied().unwrap_or_default()));
    let list: Vec<_> = WAYS.iter().zip(latest).map(|(way, amount)| format!("{way} {amount}")).collect();
    let unit = if let Kind::Tcp(_) = kind { "Gbit/s" } else { "k/s" };
    format!("{} {unit}", list.join(", "))
}

fn text(report: &Report) -> String {
    let mut table =
        Table::new(["", "direct", "tunnel", "tunnel/direct", "fast path", "fast/direct", "one at a time"]);
    let mut row = |name: &str, values: [f64; 4], ratios: [f64; 2], digits: usize| {
        let [direct, tunnel, fast, plain] = values.map(|value| format!("{value:.digits$}"));
        let [ratio, fast_ratio] = ratios.map(|ratio| format!("{ratio:.2}"));
        let (fast, fast_ratio) =
            if report.fast == "on" { (fast, fast_ratio) } else { ("-".into(), "-".into()) };
        table.row([name.into(), direct, tunnel, ratio, fast, fast_ratio, plain]);
    };
    for (name, load) in [("TCP, 1 stream    Gbit/s", &report.tcp), ("TCP, 4 streams   Gbit/s", &report.tcp4)]
    {
        let Throughput { direct_gbit_s, tunnel_gbit_s, fast_gbit_s, plain_gbit_s, ratio, fast_ratio } = *load;
        row(name, [direct_gbit_s, tunnel_gbit_s, fast_gbit_s, plain_gbit_s], [ratio, fast_ratio], 2);
    }
    let udp = &report.udp_small;
    let frames = [udp.direct_frames_s, udp.tunnel_frames_s, udp.fast_frames_s, udp.plain_frames_s];
    row("UDP, 200 bytes   1000/s", frames.map(|frames| frames / 1000.0), [udp.ratio, udp.fast_ratio], 0);
    let fast = if report.fast == "on" { String::new() } else { format!("\nno fast path: {}", report.fast) };
    let ping = |name, ping: &Ping| {
        let median = ping.median_us.map_or(String::new(), |us| format!(", median {us:.0} µs"));
        format!("{name}  {} of {} answered{median}\n", ping.received, ping.sent)
    };
    format!(
        "{}{}\n{table}{fast}\n\nresult: {}",
        ping("ping IPv4", &report.ping),
        ping("ping IPv6", &report.ping6),
        report.result
    )
}
