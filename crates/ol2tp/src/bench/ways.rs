//! Ways from left to right, in turn: the bare veth and tunnels.

use std::fmt;

use serde::Serialize;

use crate::args::BenchArgs;
use crate::demo::{self, Kind, RAMP, round};
use crate::exit::{Failure, Result};
use crate::interrupt::Interrupt;
use crate::load::{PAYLOAD, Path, Share, Window, median};
use crate::output::{Progress, Table};

const LOADS: [(&str, Kind); 4] = [
    ("TCP, 1 stream", Kind::Tcp(1)),
    ("TCP, 4 streams", Kind::Tcp(4)),
    ("UDP, 200 bytes", Kind::Udp(PAYLOAD)),
    ("UDP, 64 bytes", Kind::Udp(64)),
];

/// What gets through each way, and how that compares.
#[derive(Debug, Serialize)]
pub struct Ways {
    /// One for each way.
    pub rows: Vec<Row>,
    /// One for each pair that is compared.
    pub ratios: Vec<Ratio>,
}

/// One way from left to right: medians.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Its name.
    pub way: &'static str,
    /// TCP with one stream.
    pub tcp_gbit_s: f64,
    /// TCP with four streams.
    pub tcp4_gbit_s: f64,
    /// UDP frames of 200 bytes.
    pub frames_s: f64,
    /// UDP frames of 64 bytes.
    pub frames64_s: f64,
}

/// What one way gets through for each that another does.
#[derive(Debug, Serialize)]
pub struct Ratio {
    /// The one.
    pub way: &'static str,
    /// The other.
    pub to: &'static str,
    /// TCP with one stream.
    pub tcp: Share,
    /// TCP with four streams.
    pub tcp4: Share,
    /// UDP frames of 200 bytes.
    pub frames: Share,
    /// UDP frames of 64 bytes.
    pub frames64: Share,
}

/// Measures each load on all ways, then the next one, in rounds. `compared`: pairs of ways.
///
/// Errors: interrupted, or nothing arrives.
pub fn measure<const WAYS: usize>(
    ways: [(&'static str, Path<'_>); WAYS],
    compared: &[(&'static str, &'static str)],
    args: &BenchArgs,
    interrupt: &Interrupt,
    progress: &Progress,
) -> Result<Ways> {
    let window = Window { ramp: RAMP, length: args.seconds };
    let mut samples = [(); WAYS].map(|()| [(); LOADS.len()].map(|()| Vec::new()));
    for round in 1..=args.rounds {
        for (column, (name, kind)) in LOADS.into_iter().enumerate() {
            for ((way, path), samples) in ways.into_iter().zip(&mut samples) {
                let sample = demo::measure(kind, path, window, interrupt)?;
                if sample == 0.0 {
                    return Err(Failure::new(format!("{name}, {way}: nothing arrived")));
                }
                progress.say(format_args!("round {round} of {}: {name}, {way}: {sample:.2}", args.rounds));
                samples[column].push(sample);
            }
        }
    }
    let rows = ways.iter().zip(&samples).map(|((way, _), columns)| {
        let [tcp, tcp4, frames, frames64] = columns.each_ref().map(|samples| median(samples));
        Row {
            way,
            tcp_gbit_s: round(tcp),
            tcp4_gbit_s: round(tcp4),
            frames_s: frames.round(),
            frames64_s: frames64.round(),
        }
    });
    let of = |name| ways.iter().zip(&samples).find(|((way, _), _)| *way == name).map(|(_, samples)| samples);
    let ratios = compared.iter().filter_map(|&(way, to)| {
        let (ours, theirs) = (of(way)?, of(to)?);
        let [tcp, tcp4, frames, frames64] =
            std::array::from_fn(|column| Share::of(&ours[column], &theirs[column]));
        Some(Ratio { way, to, tcp, tcp4, frames, frames64 })
    });
    Ok(Ways { rows: rows.collect(), ratios: ratios.collect() })
}

impl fmt::Display for Ways {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(["way", "TCP Gbit/s", "4 streams", "200-byte frames 1000/s", "64-byte"]);
        for row in &self.rows {
            table.row([
                row.way.into(),
                format!("{:.2}", row.tcp_gbit_s),
                format!("{:.2}", row.tcp4_gbit_s),
                format!("{:.1}", row.frames_s / 1000.0),
                format!("{:.1}", row.frames64_s / 1000.0),
            ]);
        }
        for Ratio { way, to, tcp, tcp4, frames, frames64 } in &self.ratios {
            let [tcp, tcp4, frames, frames64] = [tcp, tcp4, frames, frames64].map(Share::to_string);
            table.row([format!("{way} / {to}"), tcp, tcp4, frames, frames64]);
        }
        table.fmt(f)
    }
}
