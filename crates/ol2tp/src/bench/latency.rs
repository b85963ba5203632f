//! How much later a frame arrives through a tunnel than over the bare veth: at rest, and at a tenth of the load that
//! the tunnel carries; there and back.
//!
//! ```text
//!   sender ─ the time, in the frame ─► left end ─► right end ─► receiver: the time now, less that in the frame
//!                                      a half       a half
//! ```
//!
//! Sender and receiver are on one machine and have one clock, the monotonic one. A frame passes both ends of the tunnel:
//! what an end adds is half of the difference between tunnel and veth, of the medians and of the 99th percentiles.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::panic::resume_unwind;
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
use crate::load::{Load, PAYLOAD as LOAD_PAYLOAD, Path, Window, median};
use crate::output::{Progress, Table};
use crate::tunnel::{ORDINARY, Tunnel, direct};

/// Payload of a frame that is timed: 64 bytes of an IPv4 packet.
const PAYLOAD: usize = 36;
/// Time between two of them.
const INTERVAL: Duration = Duration::from_millis(1);
/// How long a frame may take, at the end.
const REST: Duration = Duration::from_millis(200);

/// What was measured.
#[derive(Debug, Serialize)]
pub struct Latency {
    /// At rest and under load, there and back.
    pub rows: Vec<Row>,
}

/// Delays one way under one load in microseconds, median and 99th percentile: medians of the rounds' figures.
#[derive(Debug, Serialize)]
pub struct Row {
    /// `there`, from left to right, or `back`.
    pub direction: &'static str,
    /// Frames of 200 bytes a second the same way, beside those that are timed.
    pub load_frames_s: f64,
    /// Over the bare veth.
    pub direct_us: [f64; 2],
    /// Through the tunnel, the ordinary way.
    pub tunnel_us: [f64; 2],
    /// What each end adds: half of the difference.
    pub end_us: [f64; 2],
    /// Through a tunnel by the fast path, where the machine has it,
    pub fast_us: Option<[f64; 2]>,
    /// and what each end adds there.
    pub fast_end_us: Option<[f64; 2]>,
}

/// Measures all of them.
///
/// Errors: interrupted, or nothing arrives.
pub fn measure(args: &BenchArgs, interrupt: &Interrupt, progress: &Progress) -> Result<Latency> {
    let bed = Bed::new().doing("making two network namespaces joined by veth")?;
    let program = this_program()?;
    let tunnel = Tunnel::start(&bed, &program, 0, &ORDINARY)?;
    let fast = Tunnel::start_fast(direct(&bed), &program, 1, &[], progress)?;
    let mut ways = vec![("bare veth", direct(&bed)), ("tunnel", tunnel.path(&bed))];
    ways.extend(fast.as_ref().map(|fast| ("fast path", fast.path(&bed))));
    let window = Window { ramp: RAMP, length: args.seconds };
    progress.say("what the tunnel carries");
    let carried = demo::measure(Kind::Udp(LOAD_PAYLOAD), tunnel.path(&bed), window, interrupt)?;
    let cases = [0.0, (carried / 10.0).round()].map(|load| [(load, "there"), (load, "back")]);
    let mut rows = Vec::new();
    for (load_frames_s, direction) in cases.into_iter().flatten() {
        let mut samples = [(); 3].map(|()| [Vec::new(), Vec::new()]);
        for round in 1..=args.rounds {
            for ((name, path), samples) in ways.iter().zip(&mut samples) {
                let path = if direction == "back" { path.back() } else { *path };
                let load = (load_frames_s > 0.0).then(|| Load::paced(path, load_frames_s)).transpose();
                let load = load.doing("load")?;
                let delays = delays(path, window, interrupt)?;
                drop(load);
                let [middle, late] = [median(&delays), delays[(delays.len() - 1) * 99 / 100]];
                progress.say(format_args!(
                    "round {round} of {}: {direction}, {load_frames_s} frames/s, {name}: {middle:.1} µs, p99 {late:.1} µs",
                    args.rounds
                ));
                samples[0].push(middle);
                samples[1].push(late);
            }
        }
        let [direct, through, quick] = samples.map(|samples| samples.map(|samples| median(&samples)));
        let each = |through: [f64; 2]| [0, 1].map(|at| round((through[at] - direct[at]) / 2.0));
        let quick = fast.as_ref().map(|_| quick);
        rows.push(Row {
            direction,
            load_frames_s,
            direct_us: direct.map(round),
            tunnel_us: through.map(round),
            end_us: each(through),
            fast_us: quick.map(|us| us.map(round)),
            fast_end_us: quick.map(each),
        });
    }
    [tunnel].into_iter().chain(fast).try_for_each(Tunnel::stop)?;
    Ok(Latency { rows })
}

/// Delays in microseconds, the shortest first.
fn delays(path: Path<'_>, window: Window, interrupt: &Interrupt) -> Result<Vec<f64>> {
    let far = path.to.enter(|| {
        let socket = UdpSocket::bind(SocketAddr::new(path.target, 0))?;
        socket.set_read_timeout(Some(REST))?;
        Ok(socket)
    });
    let far = far.doing("a socket")?;
    let target = far.local_addr().doing("a socket")?;
    let near = path.from.enter(|| {
        let socket = UdpSocket::bind(SocketAddr::new(path.source, 0))?;
        socket.connect(target)?;
        Ok(socket)
    });
    let near = near.doing("a socket")?;
    let (stop, begun) = (AtomicBool::new(false), Instant::now());
    let mut delays = thread::scope(|scope| {
        let receiver = scope.spawn(|| receive(&far, begun, window.ramp, &stop));
        let sent = send(&near, begun, window, interrupt);
        stop.store(true, Relaxed);
        let delays = receiver.join().unwrap_or_else(|panic| resume_unwind(panic));
        sent.and_then(|()| delays.doing("receiving a frame"))
    })?;
    delays.sort_by(f64::total_cmp);
    if delays.is_empty() { Err(Failure::new("no frame arrived")) } else { Ok(delays) }
}

/// A frame each [`INTERVAL`], with the nanoseconds since `begun` in it.
fn send(socket: &UdpSocket, begun: Instant, window: Window, interrupt: &Interrupt) -> Result<()> {
    let mut frame = [0; PAYLOAD];
    while begun.elapsed() < window.ramp + window.length {
        frame[..8].copy_from_slice(&(begun.elapsed().as_nanos() as u64).to_be_bytes());
        socket.send(&frame).doing("sending a frame")?;
        interrupt.wait(INTERVAL)?;
    }
    Ok(())
}

/// Delays of frames that were sent after `ramp`, until it shall stop and nothing comes any more.
fn receive(socket: &UdpSocket, begun: Instant, ramp: Duration, stop: &AtomicBool) -> io::Result<Vec<f64>> {
    let (mut delays, mut frame) = (Vec::new(), [0; PAYLOAD]);
    loop {
        match socket.recv(&mut frame) {
            Ok(_) => {
                let now = begun.elapsed();
                let (time, _) = frame.split_first_chunk().unwrap_or((&[0; 8], &[]));
                let sent = Duration::from_nanos(u64::from_be_bytes(*time));
                if sent >= ramp {
                    delays.push(now.saturating_sub(sent).as_secs_f64() * 1e6);
                }
            }
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
            Err(_) if stop.load(Relaxed) => return Ok(delays),
            Err(_) => {}
        }
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = [
            "one way, µs",
            "",
            "frames/s beside",
            "veth",
            "p99",
            "tunnel",
            "p99",
            "each end adds",
            "p99",
            "fast path",
            "p99",
            "each end adds",
            "p99",
        ];
        let mut table = Table::new(head).words(2);
        for Row { direction, load_frames_s, direct_us, tunnel_us, end_us, fast_us, fast_end_us } in &self.rows
        {
            let pairs = [Some(*direct_us), Some(*tunnel_us), Some(*end_us), *fast_us, *fast_end_us];
            let words = |pair: Option<[f64; 2]>| {
                pair.map_or(["–".into(), "–".into()], |pair| pair.map(|us| format!("{us:.1}")))
            };
            let [d, t, e, f, fe] = pairs.map(words);
            let [d, dl] = d;
            let [t, tl] = t;
            let [e, el] = e;
            let [f, fl] = f;
            let [fe, fel] = fe;
            let what = if *load_frames_s > 0.0 { "under load" } else { "at rest" };
            let load = format!("{load_frames_s:.0}");
            table.row([what.into(), (*direction).into(), load, d, dl, t, tl, e, el, f, fl, fe, fel]);
        }
        table.fmt(f)
    }
}
