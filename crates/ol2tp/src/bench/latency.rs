//! How much longer a frame takes through a tunnel than over the bare veth: at rest, and at a tenth of the
//! load that the tunnel carries.
//!
//! A round trip goes through each end twice, once each way. What an end adds is half of what the tunnel adds.

use std::fmt;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::args::BenchArgs;
use crate::bed::Bed;
use crate::demo::{self, Kind, RAMP, round};
use crate::end::this_program;
use crate::exit::{Doing, Failure, Result};
use crate::interrupt::Interrupt;
use crate::load::{Load, Path, Window, median};
use crate::output::{Progress, Table};
use crate::tunnel::{Tunnel, direct};

/// Payload of a frame that is timed: 64 bytes of an IPv4 packet.
const PAYLOAD: usize = 36;
/// Time between two of them.
const INTERVAL: Duration = Duration::from_millis(1);
/// Such a frame is lost.
const LOST: Duration = Duration::from_millis(200);

/// What was measured.
#[derive(Debug, Serialize)]
pub struct Latency {
    /// At rest, and under load.
    pub rows: Vec<Row>,
}

/// Round trips under one load in microseconds: medians of the rounds' figures.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Frames of 200 bytes a second, beside those that are timed.
    pub load_frames_s: f64,
    /// Over the bare veth: median and 99th percentile.
    pub direct_us: [f64; 2],
    /// Through the tunnel: median and 99th percentile.
    pub tunnel_us: [f64; 2],
    /// What each end adds: half of the difference.
    pub end_us: [f64; 2],
}

/// Measures both.
///
/// Errors: interrupted, or nothing comes back.
pub fn measure(args: &BenchArgs, interrupt: &Interrupt, progress: &Progress) -> Result<Latency> {
    let bed = Bed::new().doing("making two network namespaces joined by veth")?;
    let tunnel = Tunnel::start(&bed, &this_program()?, 0, &[])?;
    let ways = [("bare veth", direct(&bed)), ("tunnel", tunnel.path(&bed))];
    let window = Window { ramp: RAMP, length: args.seconds };
    progress.say("what the tunnel carries");
    let carried = demo::measure(Kind::Udp, tunnel.path(&bed), window, interrupt)?;
    let mut rows = Vec::new();
    for load_frames_s in [0.0, (carried / 10.0).round()] {
        let mut samples = [(); 2].map(|()| [Vec::new(), Vec::new()]);
        for round in 1..=args.rounds {
            for ((name, path), samples) in ways.into_iter().zip(&mut samples) {
                let load = (load_frames_s > 0.0).then(|| Load::paced(path, load_frames_s)).transpose();
                let load = load.doing("load")?;
                let times = round_trips(path, window, interrupt)?;
                drop(load);
                let [middle, late] = [median(&times), times[(times.len() - 1) * 99 / 100]];
                progress.say(format_args!(
                    "round {round} of {}: {load_frames_s} frames/s, {name}: {middle:.1} µs, p99 {late:.1} µs",
                    args.rounds
                ));
                samples[0].push(middle);
                samples[1].push(late);
            }
        }
        let [direct, through] = samples.map(|samples| samples.map(|samples| median(&samples)));
        rows.push(Row {
            load_frames_s,
            direct_us: direct.map(round),
            tunnel_us: through.map(round),
            end_us: [0, 1].map(|at| round((through[at] - direct[at]) / 2.0)),
        });
    }
    tunnel.stop()?;
    Ok(Latency { rows })
}

/// Round trips in microseconds, the shortest first.
fn round_trips(path: Path<'_>, window: Window, interrupt: &Interrupt) -> Result<Vec<f64>> {
    let any = SocketAddr::new([0, 0, 0, 0].into(), 0);
    let socket = || {
        let socket = UdpSocket::bind(any)?;
        socket.set_read_timeout(Some(LOST))?;
        Ok(socket)
    };
    let (near, far) =
        path.from.enter(socket).and_then(|near| Ok((near, path.to.enter(socket)?))).doing("sockets")?;
    let port = far.local_addr().doing("a socket")?.port();
    near.connect((path.target, port)).doing("a socket")?;
    let stop = AtomicBool::new(false);
    let mut times = thread::scope(|scope| {
        scope.spawn(|| echo(&far, &stop));
        let times = ask(&near, window, interrupt);
        stop.store(true, Relaxed);
        times
    })?;
    times.sort_by(f64::total_cmp);
    if times.is_empty() { Err(Failure::new("no frame came back")) } else { Ok(times) }
}

fn ask(socket: &UdpSocket, window: Window, interrupt: &Interrupt) -> Result<Vec<f64>> {
    let (mut times, begun) = (Vec::new(), Instant::now());
    let (mut buffer, mut number) = ([0; PAYLOAD], 0u64);
    while begun.elapsed() < window.ramp + window.length {
        number += 1;
        buffer[..8].copy_from_slice(&number.to_be_bytes());
        let sent = Instant::now();
        socket.send(&buffer).doing("sending a frame")?;
        let came = loop {
            match socket.recv(&mut buffer) {
                // An earlier one may have been late.
                Ok(_) if buffer[..8] != number.to_be_bytes() => {}
                Ok(_) => break true,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break false,
                Err(error) => return Err(error).doing("receiving a frame"),
            }
        };
        if came && begun.elapsed() > window.ramp {
            times.push(sent.elapsed().as_secs_f64() * 1e6);
        }
        interrupt.wait(INTERVAL)?;
    }
    Ok(times)
}

fn echo(socket: &UdpSocket, stop: &AtomicBool) {
    let mut buffer = [0; PAYLOAD];
    while !stop.load(Relaxed) {
        if let Ok((len, from)) = socket.recv_from(&mut buffer) {
            // The other side counts it as lost.
            let _ = socket.send_to(&buffer[..len], from);
        }
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head =
            ["round trip, µs", "frames/s beside", "veth", "p99", "tunnel", "p99", "each end adds", "p99"];
        let mut table = Table::new(head);
        for Row { load_frames_s, direct_us, tunnel_us, end_us } in &self.rows {
            let ([d, dl], [t, tl], [e, el]) = (*direct_us, *tunnel_us, *end_us);
            let [d, dl, t, tl, e, el] = [d, dl, t, tl, e, el].map(|us| format!("{us:.1}"));
            let what = if *load_frames_s > 0.0 { "under load" } else { "at rest" };
            table.row([what.into(), format!("{load_frames_s:.0}"), d, dl, t, tl, e, el]);
        }
        table.fmt(f)
    }
}
