//! The kernel's own driver and the one in user space, in turn, beside the bare veth.

use std::fmt;

use serde::Serialize;

use crate::args::BenchArgs;
use crate::bed::Bed;
use crate::demo::{self, LOADS, RAMP, round};
use crate::end::this_program;
use crate::exit::{Doing, Failure, Result};
use crate::interrupt::Interrupt;
use crate::load::{Window, median};
use crate::output::{Progress, Table};
use crate::tunnel::{Tunnel, direct};

const WAYS: [&str; 3] = ["direct", "linux", "user"];

/// The bare veth, and the tunnel with the driver in each home.
#[derive(Debug, Serialize)]
pub struct Drivers {
    /// One for each way.
    pub rows: Vec<Row>,
    /// What user space gets through for each that the kernel does: the median of the rounds' ratios, for each
    /// column.
    pub user_by_linux: [f64; LOADS.len()],
}

/// One way from left to right: medians.
#[derive(Debug, Serialize)]
pub struct Row {
    /// `direct`, or where the driver is.
    pub driver: &'static str,
    /// TCP with one stream.
    pub tcp_gbit_s: f64,
    /// TCP with four streams.
    pub tcp4_gbit_s: f64,
    /// UDP frames of 200 bytes.
    pub frames_s: f64,
}

/// Measures each load on all ways, then the next one, in rounds.
///
/// Errors: interrupted, the kernel has no PPPoL2TP, or a way does not work.
pub fn measure(args: &BenchArgs, interrupt: &Interrupt, progress: &Progress) -> Result<Drivers> {
    let program = this_program()?;
    let bed = Bed::new().doing("making two network namespaces joined by veth")?;
    let mut linux = Tunnel::start(&bed, &program, 0, &["--driver", "linux"])?;
    let mut user = Tunnel::start(&bed, &program, 1, &["--driver", "user"])?;
    let window = Window { ramp: RAMP, length: args.seconds };
    let ways = [direct(&bed), linux.path(&bed), user.path(&bed)];
    let mut samples = [(); WAYS.len()].map(|()| [(); LOADS.len()].map(|()| Vec::new()));
    for round in 1..=args.rounds {
        for (column, (name, kind)) in LOADS.into_iter().enumerate() {
            for ((way, path), samples) in WAYS.into_iter().zip(ways).zip(&mut samples) {
                let sample = demo::measure(kind, path, window, interrupt)?;
                if sample == 0.0 {
                    return Err(Failure::new(format!("{name}, {way}: nothing arrived")));
                }
                progress.say(format_args!("round {round} of {}: {name}, {way}: {sample:.2}", args.rounds));
                samples[column].push(sample);
            }
        }
    }
    let errors = [linux.errors()?, user.errors()?].concat();
    if !errors.is_empty() {
        return Err(Failure::new(format!("frames were lost: {}", errors.join(", "))));
    }
    linux.stop()?;
    user.stop()?;

    let rows = WAYS.into_iter().zip(&samples).map(|(driver, columns)| {
        let [tcp, tcp4, frames] = columns.each_ref().map(|samples| median(samples));
        Row { driver, tcp_gbit_s: round(tcp), tcp4_gbit_s: round(tcp4), frames_s: frames.round() }
    });
    let [_, linux, user] = &samples;
    let ratio = |column: usize| {
        let ratios: Vec<_> =
            user[column].iter().zip(&linux[column]).map(|(user, linux)| user / linux).collect();
        round(median(&ratios))
    };
    Ok(Drivers { rows: rows.collect(), user_by_linux: std::array::from_fn(ratio) })
}

impl fmt::Display for Drivers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(["driver", "TCP Gbit/s", "4 streams", "200-byte frames 1000/s"]);
        for row in &self.rows {
            table.row([
                row.driver.into(),
                format!("{:.2}", row.tcp_gbit_s),
                format!("{:.2}", row.tcp4_gbit_s),
                format!("{:.1}", row.frames_s / 1000.0),
            ]);
        }
        let [tcp, tcp4, frames] = self.user_by_linux.map(|ratio| format!("{ratio:.2}"));
        table.row(["user/linux".into(), tcp, tcp4, frames]);
        table.fmt(f)
    }
}
