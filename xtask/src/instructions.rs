//! `cargo xtask instructions`: what a frame costs, in instructions, which unlike time are the same everywhere.
//!
//! ```text
//!   target/release/instructions WAY FRAMES ── callgrind ──► instructions of the whole process
//!   (of twice as many frames − of as many) / frames    =    instructions per frame
//! ```
//!
//! They depend on the compiler: the one that the counts were recorded with is used.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::install;
use crate::process::{command, root, run as execute, target};

/// Count the instructions that a frame takes, by valgrind, and compare with bench/instructions.toml.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write bench/instructions.toml anew, with the compiler that cargo uses here.
    #[arg(long)]
    record: bool,
}

/// What may be added to a count.
const TOLERANCE: f64 = 0.05;
/// A multiple of the frames that each way takes in one go.
const FRAMES: u64 = 44 * 256;
const RECORD: &str = "cargo xtask instructions --record";

/// What was recorded.
#[derive(Debug, PartialEq)]
struct Record {
    rust: String,
    host: String,
    /// Instructions per frame of each way.
    counts: Vec<(String, f64)>,
}

/// Counts, and compares or records.
pub(crate) fn run(args: &Args) -> Result<(), String> {
    if !args.record {
        comparable()?;
        tools()?;
        println!("{}", compare()?);
        return Ok(());
    }
    install::packages(install::VALGRIND)?;
    let record = Record { rust: rustc("release")?, host: rustc("host")?, counts: count("cargo")? };
    fs::write(file(), record.text()).map_err(|error| format!("{}: {error}", file().display()))
}

/// Errors: the counts are of other processors.
pub(crate) fn comparable() -> Result<(), String> {
    let (record, host) = (read()?, rustc("host")?);
    if record.host == host { Ok(()) } else { Err(format!("recorded on {}, this is {host}", record.host)) }
}

/// Sees to the compiler that the counts were recorded with, and to valgrind.
pub(crate) fn tools() -> Result<(), String> {
    install::toolchain(&read()?.rust)?;
    install::packages(install::VALGRIND)
}

/// Counts and compares. Returns what there is to say about it.
///
/// Errors: a way takes more instructions than recorded, or it cannot be counted.
pub(crate) fn compare() -> Result<String, String> {
    let record = read()?;
    let counts = count(&format!("rustup run {} cargo", record.rust))?;
    judge(&record, &counts)
}

fn judge(record: &Record, counts: &[(String, f64)]) -> Result<String, String> {
    let mut wrong = Vec::new();
    let mut most = f64::NEG_INFINITY;
    for (way, count) in counts {
        let Some((_, before)) = record.counts.iter().find(|(known, _)| known == way) else {
            wrong.push(format!("{way} is not recorded"));
            continue;
        };
        let change = count / before - 1.0;
        most = most.max(change);
        if *count > before * (1.0 + TOLERANCE) {
            wrong.push(format!("{way} takes {count:.1} instead of {before:.1} ({:+.1} %)", change * 100.0));
        }
    }
    if wrong.is_empty() {
        let rust = &record.rust;
        return Ok(format!("{} counts by Rust {rust}, at most {:+.1} %", counts.len(), most * 100.0));
    }
    Err(format!("instructions per frame: {}; if that is what it costs, {RECORD}", wrong.join(", ")))
}

/// Builds the program and counts each of its ways.
fn count(cargo: &str) -> Result<Vec<(String, f64)>, String> {
    execute(&mut command(&format!("{cargo} build --release --package ol2tp-bench --bin instructions")))?;
    let program = target().join("release/instructions");
    let ways = output(&mut Command::new(&program))?;
    ways.lines()
        .map(|way| {
            let [one, two] = [FRAMES, 2 * FRAMES].map(|frames| instructions(&program, way, frames));
            let count = (two? - one?) as f64 / FRAMES as f64;
            println!("{way:<26}{count:>8.1}");
            Ok((way.to_owned(), count))
        })
        .collect()
}

/// Instructions of one run. The stack starts behind the environment, so there is little of it.
fn instructions(program: &Path, way: &str, frames: u64) -> Result<u64, String> {
    let out = target().join("callgrind.out");
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--quiet", "--tool=callgrind"]).arg(format!("--callgrind-out-file={}", out.display()));
    valgrind.arg(program).args([way, &frames.to_string()]);
    valgrind.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    output(&mut valgrind)?;
    let text = fs::read_to_string(&out).map_err(|error| format!("{}: {error}", out.display()))?;
    let totals = text.lines().find_map(|line| line.strip_prefix("totals: "));
    totals.and_then(|count| count.trim().parse().ok()).ok_or_else(|| format!("{}: no totals", out.display()))
}

fn output(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{name}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim()))
}

/// A line of `rustc -vV`.
fn rustc(field: &str) -> Result<String, String> {
    let text = output(&mut command("rustc -vV"))?;
    let value = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(": "));
    value.map(str::to_owned).ok_or_else(|| format!("rustc -vV names no {field}: {text}"))
}

fn file() -> PathBuf {
    root().join("bench/instructions.toml")
}

fn read() -> Result<Record, String> {
    let text = fs::read_to_string(file()).map_err(|error| format!("{}: {error}", file().display()))?;
    Record::parse(&text).ok_or_else(|| format!("{}: not as {RECORD} writes it", file().display()))
}

impl Record {
    fn text(&self) -> String {
        let Self { rust, host, counts } = self;
        let mut text = format!(
            "# Instructions per frame, by callgrind; written by {RECORD}.\nrust = \"{rust}\"\nhost = \"{host}\"\n\n[frame]\n"
        );
        counts.iter().for_each(|(way, count)| text += &format!("{way} = {count:.1}\n"));
        text
    }

    fn parse(text: &str) -> Option<Self> {
        let (head, counts) = text.split_once("[frame]\n")?;
        let value = |name: &str| {
            let line = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = \""));
            line?.strip_suffix('"').map(str::to_owned)
        };
        let count = |line: &str| {
            let (way, count) = line.split_once(" = ")?;
            Some((way.to_owned(), count.parse().ok()?))
        };
        let counts = counts.lines().map(count).collect::<Option<_>>()?;
        Some(Self { rust: value("rust")?, host: value("host")?, counts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let counts = vec![("receive".into(), 100.0), ("transmit".into(), 20.0)];
        Record { rust: "1.95.0".into(), host: "x86_64-unknown-linux-gnu".into(), counts }
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        assert_eq!(Record::parse(&record().text()), Some(record()));
        assert_eq!(Record::parse("rust = \"1.95.0\"\n"), None);
    }

    #[test]
    fn more_than_five_percent_fails() {
        let counts = |receive, transmit| [("receive".to_owned(), receive), ("transmit".to_owned(), transmit)];
        assert_eq!(
            judge(&record(), &counts(105.0, 10.0)).unwrap(),
            "2 counts by Rust 1.95.0, at most +5.0 %"
        );
        let error = judge(&record(), &counts(106.0, 20.0)).unwrap_err();
        assert!(error.contains("receive takes 106.0 instead of 100.0 (+6.0 %)"), "{error}");
        assert!(!error.contains("transmit"), "{error}");
        let error = judge(&record(), &[("new".to_owned(), 1.0)]).unwrap_err();
        assert!(error.contains("new is not recorded"), "{error}");
    }
}
