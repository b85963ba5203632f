//! The driver with each set of offloads, beside the bare veth.

use std::fmt;
use std::time::Duration;

use pppol2tp::user::Mode;
use serde::Serialize;

use crate::args::BenchArgs;
use crate::bed::Bed;
use crate::demo::{RAMP, round};
use crate::end::this_program;
use crate::exit::{Doing, Result};
use crate::interrupt::Interrupt;
use crate::load::{Load, Path, Sample, Window, median};
use crate::output::{Progress, Table};
use crate::tunnel::{Tunnel, direct};

/// The bare veth, and the tunnel in each mode.
#[derive(Debug, Serialize)]
pub struct Modes {
    /// Rows, the bare veth first.
    pub rows: Vec<Row>,
}

/// One way from left to right: medians.
#[derive(Debug, Serialize)]
pub struct Row {
    /// `direct`, or the name of a mode.
    pub mode: &'static str,
    /// TCP with one stream.
    pub tcp_gbit_s: f64,
    /// TCP with four streams.
    pub tcp4_gbit_s: f64,
    /// UDP frames of 200 bytes.
    pub frames_s: f64,
    /// CPU time per such frame of the sending driver, in microseconds.
    pub down_us: Option<f64>,
    /// CPU time per such frame of the receiving driver, in microseconds.
    pub up_us: Option<f64>,
}

/// Measures all modes.
///
/// Errors: interrupted, or a mode does not work.
pub fn measure(args: &BenchArgs, interrupt: &Interrupt, progress: &Progress) -> Result<Modes> {
    let program = this_program()?;
    let bed = Bed::new().doing("making two network namespaces joined by veth")?;
    let window = Window { ramp: RAMP, length: args.seconds };
    progress.say("bare veth");
    let mut rows = vec![row("direct", direct(&bed), None, args.rounds, window, interrupt)?];
    for (name, _) in Mode::ALL {
        progress.say(format_args!("mode {name}"));
        let tunnel = Tunnel::start(&bed, &program, 0, &["--mode", name, "--fast", "off"])?;
        let path = tunnel.path(&bed);
        rows.push(row(name, path, Some(&tunnel), args.rounds, window, interrupt)?);
        tunnel.stop()?;
    }
    Ok(Modes { rows })
}

fn row(
    mode: &'static str,
    path: Path<'_>,
    tunnel: Option<&Tunnel>,
    rounds: u16,
    window: Window,
    interrupt: &Interrupt,
) -> Result<Row> {
    let (mut tcp, mut tcp4, mut frames, mut down, mut up) = (vec![], vec![], vec![], vec![], vec![]);
    for _ in 0..rounds {
        for (streams, samples) in [(1, &mut tcp), (4, &mut tcp4)] {
            let load = Load::tcp(path, streams).doing("TCP load")?;
            samples.push(load.measure(window, interrupt, || Ok(()))?.gbit_s());
        }
        let load = Load::udp_flow(path).doing("UDP load")?;
        let mut cpu = Vec::new();
        let sample = load.measure(window, interrupt, || {
            if let Some(tunnel) = tunnel {
                cpu.push((tunnel.left.cpu()?, tunnel.right.cpu()?));
            }
            Ok(())
        })?;
        frames.push(sample.frames_s());
        if let [before, after] = cpu[..] {
            down.push(per_frame(after.0 - before.0, sample));
            up.push(per_frame(after.1 - before.1, sample));
        }
    }
    let micros = |samples: &[f64]| tunnel.map(|_| round(median(samples)));
    Ok(Row {
        mode,
        tcp_gbit_s: round(median(&tcp)),
        tcp4_gbit_s: round(median(&tcp4)),
        frames_s: median(&frames).round(),
        down_us: micros(&down),
        up_us: micros(&up),
    })
}

/// Microseconds of CPU time per frame.
pub fn per_frame(cpu: Duration, sample: Sample) -> f64 {
    cpu.as_secs_f64() * 1e6 / sample.frames().max(1) as f64
}

impl fmt::Display for Modes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new([
            "mode",
            "TCP Gbit/s",
            "4 streams",
            "200-byte frames 1000/s",
            "µs to UDP",
            "µs from UDP",
        ]);
        for row in &self.rows {
            let micros = |us: Option<f64>| us.map_or("–".into(), |us| format!("{us:.2}"));
            table.row([
                row.mode.into(),
                format!("{:.2}", row.tcp_gbit_s),
                format!("{:.2}", row.tcp4_gbit_s),
                format!("{:.0}", row.frames_s / 1000.0),
                micros(row.down_us),
                micros(row.up_us),
            ]);
        }
        table.fmt(f)
    }
}
