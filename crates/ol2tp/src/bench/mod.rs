//! `ol2tp bench`: what this machine can do.

use serde::Serialize;

use crate::args::{BenchArgs, BenchWhat};
use crate::can;
use crate::exit::Result;
use crate::interrupt::Interrupt;
use crate::output::{self, Progress};

pub mod bare;
pub mod drivers;
pub mod fast;
pub mod frames;
pub mod latency;
pub mod loads;
pub mod modes;
pub mod rules;
pub mod sessions;
pub mod setup;
pub mod ways;

/// What was measured.
#[derive(Debug, Default, Serialize)]
struct Report {
    #[serde(skip_serializing_if = "Option::is_none")]
    rules: Option<rules::Rules>,
    #[serde(skip_serializing_if = "Option::is_none")]
    modes: Option<modes::Modes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    loads: Option<loads::Loads>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sessions: Option<sessions::Sessions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    setup: Option<setup::Setup>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frames: Option<frames::Frames>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency: Option<latency::Latency>,
    #[serde(skip_serializing_if = "Option::is_none")]
    drivers: Option<ways::Ways>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fast: Option<ways::Ways>,
}

/// Measures and prints.
///
/// Errors: a permission or device is missing (not for the rules), interrupted, or something does not
/// work.
pub fn run(args: &BenchArgs) -> Result<()> {
    let wanted = |what| args.what.is_none_or(|only| only == what);
    // Few kernels can, or there is more to install.
    let only = |what| args.what == Some(what);
    if args.what != Some(BenchWhat::Rules) {
        can::make_namespaces()?;
    }
    let interrupt = Interrupt::catch()?;
    let progress = Progress::new(args.json);
    let mut report = Report::default();
    if wanted(BenchWhat::Rules) {
        progress.say("rules");
        report.rules = Some(rules::measure(&interrupt)?);
    }
    if wanted(BenchWhat::Modes) {
        report.modes = Some(modes::measure(args, &interrupt, &progress)?);
    }
    if wanted(BenchWhat::Loads) {
        report.loads = Some(loads::measure(args, &interrupt, &progress)?);
    }
    if wanted(BenchWhat::Sessions) {
        report.sessions = Some(sessions::measure(args, &interrupt, &progress)?);
        let sessions = usize::from(args.sessions);
        report.setup = Some(setup::measure(sessions, args.idle, &interrupt, &progress)?);
    }
    if wanted(BenchWhat::Frames) {
        report.frames = Some(frames::measure(args, &interrupt, &progress)?);
    }
    if wanted(BenchWhat::Latency) {
        report.latency = Some(latency::measure(args, &interrupt, &progress)?);
    }
    if only(BenchWhat::Fast) {
        report.fast = Some(fast::measure(args, &interrupt, &progress)?);
    }
    if only(BenchWhat::Drivers) {
        report.drivers = Some(drivers::measure(args, &interrupt, &progress)?);
    }
    drop(progress);
    if args.json {
        return output::json(&report);
    }
    let tables = [
        report.rules.map(|rules| rules.to_string()),
        report.modes.map(|modes| modes.to_string()),
        report.loads.map(|loads| loads.to_string()),
        report.sessions.map(|sessions| sessions.to_string()),
        report.setup.map(|setup| setup.to_string()),
        report.frames.map(|frames| frames.to_string()),
        report.latency.map(|latency| latency.to_string()),
        report.fast.map(|fast| fast.to_string()),
        report.drivers.map(|drivers| drivers.to_string()),
    ];
    output::print(tables.into_iter().flatten().collect::<Vec<_>>().join("\n\n"))
}
