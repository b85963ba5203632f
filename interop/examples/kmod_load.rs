//! `kmod_load OL2TP [ARGUMENTS]`: what gets through the module in `kernel/` and through the kernel's own driver, which
//! are loaded in turn. Runs where both are, as `cargo xtask kmod compare` and `stock` have it.
//!
//! ```text
//!   left: ppp0 ── driver ══ UDP, veth ══ driver ── ppp0 :right
//! ```
#![forbid(unsafe_code)]

use std::fmt;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use interop::PATIENCE;
use ol2tp::bed::{Bed, Space};
use ol2tp::demo::{RAMP, round};
use ol2tp::exit::{Doing, Failure, Result};
use ol2tp::flood::Flood;
use ol2tp::interrupt::Interrupt;
use ol2tp::load::{Load, Share, Window, median};
use ol2tp::output::{self, Progress, Table};
use ol2tp::tunnel::Tunnel;
use serde::Serialize;

/// The drivers, as the kernel names them: ours first.
const DRIVERS: [&str; 2] = ["pppol2tp", "l2tp_ppp"];
/// Bytes of a small packet.
const SMALL: usize = 64;
/// How long until it is tried once more to remove a module whose sockets have been closed: the kernel tells nobody.
const AGAIN: Duration = Duration::from_millis(20);

#[derive(Parser)]
struct Arguments {
    /// The command
    program: PathBuf,
    /// What loads a driver, whose name is put behind it
    #[arg(long, default_value = "modprobe")]
    modprobe: String,
    /// How often each load is measured on each driver
    #[arg(long, default_value_t = 5)]
    rounds: u16,
    /// How long each time
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// Medians of each driver, and what ours gets through for each that the kernel's does.
#[derive(Serialize)]
struct Report {
    kmod: Vec<Row>,
    ratio: Ratio,
    /// The kernel's release.
    kernel: String,
}

#[derive(Serialize)]
struct Row {
    driver: &'static str,
    tcp_gbit_s: f64,
    frames_s: f64,
}

#[derive(Serialize)]
struct Ratio {
    tcp: Share,
    frames: Share,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = measure(&arguments)
        .and_then(|report| if arguments.json { output::json(&report) } else { output::print(report) });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::complain(&failure);
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Arguments) -> Result<Report> {
    let (interrupt, progress) = (Interrupt::catch()?, Progress::new(false));
    let window = Window { ramp: RAMP, length: Duration::from_secs_f64(arguments.seconds) };
    let mut samples = [(); DRIVERS.len()].map(|()| [(); 2].map(|()| Vec::new()));
    for driver in DRIVERS {
        unload(driver)?;
    }
    // A guest that has only just booted is busy with itself.
    sample_of(DRIVERS[0], arguments, window, &interrupt)?;
    for count in 1..=arguments.rounds {
        for (driver, samples) in DRIVERS.into_iter().zip(&mut samples) {
            let taken = sample_of(driver, arguments, window, &interrupt)?;
            let [tcp, frames] = taken;
            let rounds = arguments.rounds;
            progress.say(format_args!("round {count} of {rounds}: {driver}: {tcp:.2} Gbit/s, {frames:.0}/s"));
            for (samples, taken) in samples.iter_mut().zip(taken) {
                samples.push(taken);
            }
        }
    }
    let kmod = DRIVERS.into_iter().zip(&samples).map(|(driver, [tcp, frames])| Row {
        driver,
        tcp_gbit_s: round(median(tcp)),
        frames_s: median(frames).round(),
    });
    let [ours, theirs] = &samples;
    let [tcp, frames] = std::array::from_fn(|load| Share::of(&ours[load], &theirs[load]));
    let kernel = "/proc/sys/kernel/osrelease";
    let kernel = fs::read_to_string(kernel).doing(kernel)?.trim().to_owned();
    Ok(Report { kmod: kmod.collect(), ratio: Ratio { tcp, frames }, kernel })
}

/// Loads a driver for one sample.
fn sample_of(driver: &str, arguments: &Arguments, window: Window, interrupt: &Interrupt) -> Result<[f64; 2]> {
    let load = format!("{} {driver}", arguments.modprobe);
    sh(&load).doing(&load)?;
    let taken = sample(arguments, window, interrupt)?;
    unload(driver)?;
    Ok(taken)
}

/// TCP in Gbit/s, and small packets a second, by the driver that is loaded.
fn sample(arguments: &Arguments, window: Window, interrupt: &Interrupt) -> Result<[f64; 2]> {
    let bed = Bed::new().doing("making two network namespaces joined by veth")?;
    let tunnel = Tunnel::start(&bed, &arguments.program, 0, &["--driver", "linux"])?;
    let path = tunnel.path(&bed);

    let load = Load::tcp(path, 1).doing("TCP")?;
    let tcp = load.measure(window, interrupt, || Ok(()))?.gbit_s();
    drop(load);

    let std::net::IpAddr::V4(target) = path.target else { return Err(Failure::new("no IPv4")) };
    let flood = Flood::to(&bed.left, &[target], SMALL).doing("UDP")?;
    interrupt.wait(window.ramp)?;
    let (start, before) = (Instant::now(), packets(&bed.right, &tunnel.right.interface)?);
    interrupt.wait(window.length)?;
    let arrived = packets(&bed.right, &tunnel.right.interface)? - before;
    let frames = arrived as f64 / start.elapsed().as_secs_f64();
    drop(flood);

    tunnel.stop()?;
    if tcp == 0.0 || frames == 0.0 {
        return Err(Failure::new("nothing arrived"));
    }
    Ok([tcp, frames])
}

/// Packets that an interface has received.
fn packets(space: &Space, interface: &str) -> Result<u64> {
    let file = "/proc/thread-self/net/dev";
    let text = space.enter(|| fs::read_to_string(file)).doing(file)?;
    let counts = text.lines().find_map(|line| line.trim().strip_prefix(interface)?.strip_prefix(':'));
    let count = counts.and_then(|counts| counts.split_whitespace().nth(1)?.parse().ok());
    count.ok_or_else(|| Failure::new(format!("{file}: no {interface}:\n{text}")))
}

/// Removes a driver that may be loaded, as soon as nothing holds it.
fn unload(driver: &str) -> Result<()> {
    let start = Instant::now();
    loop {
        let modules = fs::read_to_string("/proc/modules").doing("/proc/modules")?;
        if !modules.lines().any(|line| line.split(' ').next() == Some(driver)) {
            return Ok(());
        }
        match sh(&format!("rmmod {driver}")) {
            Err(_) if start.elapsed() < PATIENCE => thread::sleep(AGAIN),
            result => result.doing(format!("rmmod {driver}"))?,
        }
    }
}

fn sh(line: &str) -> io::Result<()> {
    let output = Command::new("sh").args(["-c", line]).stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(["driver", "TCP Gbit/s", "64-byte packets 1000/s"]);
        for Row { driver, tcp_gbit_s, frames_s } in &self.kmod {
            table.row([(*driver).into(), format!("{tcp_gbit_s:.2}"), format!("{:.1}", frames_s / 1000.0)]);
        }
        let [ours, theirs] = DRIVERS;
        table.row([format!("{ours}/{theirs}"), self.ratio.tcp.to_string(), self.ratio.frames.to_string()]);
        writeln!(f, "Linux {}", self.kernel)?;
        table.fmt(f)
    }
}
