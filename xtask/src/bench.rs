//! `cargo xtask bench`: what this machine can do.
//!
//! ```text
//!   a part ── --json ──► bench/results/PART.json ──► docs/performance.md, between two comments
//! ```

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use clap::ValueEnum;
use serde_json::{Map, Value, json};

use crate::peers::{self, BOOKWORM};
use crate::process::{command, root, run as execute, run_reading};
use crate::qemu;

mod page;

/// What this machine can do: each part's figures to bench/results, all of them as tables to docs/performance.md.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only this part [default: all but l2tpns and kernel, and the rules by criterion, too].
    part: Option<Part>,
    /// All parts: as root; fetches l2tpns, and Debian's kernel.
    #[arg(long, conflicts_with = "part")]
    all: bool,
    /// Arguments for `ol2tp bench`.
    #[arg(last = true)]
    args: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Part {
    /// The rules alone.
    Rules,
    /// The driver with each set of offloads.
    Modes,
    /// Sequence numbers.
    Sequence,
    /// Many sessions, and how fast a server sets them up.
    Sessions,
    /// Frames through a server on one core.
    Frames,
    /// How much longer frames take.
    Latency,
    /// Frames through l2tpns and a server of ours, in turn. As root.
    L2tpns,
    /// `ol2tp bench drivers` on Debian's kernel in QEMU: the kernel's own driver and the one in user space, in
    /// turn. Emulated, so only ratios mean something. As root; fetches 160 MB once.
    Kernel,
}

/// Sessions that frames are spread over beside l2tpns, and how often each load is measured.
const BESIDE: [&str; 3] = ["1 5", "100 5", "10000 5"];

impl Part {
    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().into())
    }

    /// Measures: what was run, and what it reported.
    fn measure(self, args: &[String]) -> Result<(String, Value), String> {
        let name = self.name();
        match self {
            Self::Kernel => {
                let args = [args, &["--json".into()]].concat();
                Ok((format!("ol2tp bench drivers {}", args.join(" ")), report(&qemu::bench(&args)?)?))
            }
            Self::L2tpns => {
                peers::set_up(&BOOKWORM)?;
                let example = "cargo run --release --package interop --example l2tpns_load -- frames";
                let mut rows = Vec::new();
                for arguments in BESIDE {
                    match report(&output(&mut command(&format!("{example} {arguments} --json")))?)? {
                        Value::Array(more) => rows.extend(more),
                        other => return Err(format!("l2tpns_load: {other}")),
                    }
                }
                Ok((format!("{example} SESSIONS ROUNDS: {}", BESIDE.join(", ")), json!({ "l2tpns": rows })))
            }
            _ => {
                let mut line =
                    command(&format!("cargo run --release --package ol2tp -- bench {name} --json"));
                let what = ["ol2tp bench", &name].into_iter().chain(args.iter().map(String::as_str));
                Ok((what.collect::<Vec<_>>().join(" "), report(&output(line.args(args))?)?))
            }
        }
    }
}

/// Runs what is wanted.
pub(crate) fn run(args: &Args) -> Result<(), String> {
    let parts: Vec<_> = match args.part {
        Some(part) => vec![part],
        None => {
            execute(&mut command("cargo bench --package ol2tp-bench"))?;
            let other = |part: &&Part| args.all || !matches!(part, Part::L2tpns | Part::Kernel);
            Part::value_variants().iter().filter(other).copied().collect()
        }
    };
    for part in parts {
        let (what, report) = part.measure(&args.args)?;
        let result = json!({
            "command": what, "date": date()?, "machine": machine()?, "kernel": kernel()?, "report": report,
        });
        let file = results().join(format!("{}.json", part.name()));
        let text = serde_json::to_string_pretty(&result).map_err(|error| error.to_string())? + "\n";
        fs::create_dir_all(results())
            .and_then(|()| fs::write(&file, text))
            .map_err(|error| at(&file, error))?;
    }
    write_page()
}

/// Writes the tables of all results.
fn write_page() -> Result<(), String> {
    let mut results = Vec::new();
    for part in Part::value_variants() {
        let file = self::results().join(format!("{}.json", part.name()));
        let Ok(text) = fs::read_to_string(&file) else { continue };
        let result: Map<String, Value> = serde_json::from_str(&text).map_err(|error| at(&file, error))?;
        results.push((part.name(), result));
    }
    let file = root().join("docs/performance.md");
    let text = fs::read_to_string(&file).map_err(|error| at(&file, error))?;
    let text = page::replace(&text, &page::tables(&results))
        .ok_or_else(|| at(&file, "its two comments are missing"))?;
    fs::write(&file, text).map_err(|error| at(&file, error))
}

fn results() -> PathBuf {
    root().join("bench/results")
}

/// Runs a command: its standard output.
fn output(command: &mut Command) -> Result<String, String> {
    let mut text = String::new();
    run_reading(command, |line| text += &format!("{line}\n"))?;
    Ok(text)
}

/// What stands in a command's output as JSON, from the first line that begins so.
fn report(output: &str) -> Result<Value, String> {
    let begins = |line: &str| line.starts_with(['{', '[']);
    let text: Vec<_> = output.lines().skip_while(|line| !begins(line)).collect();
    let text = text.join("\n");
    let first = serde_json::Deserializer::from_str(&text).into_iter().next();
    first.ok_or("no JSON in its output")?.map_err(|error| error.to_string())
}

fn date() -> Result<String, String> {
    let mut text = String::new();
    run_reading(&mut command("date --utc +%F"), |line| text = line.into())?;
    Ok(text)
}

fn machine() -> Result<String, String> {
    let text = fs::read_to_string("/proc/cpuinfo").map_err(|error| at("/proc/cpuinfo", error))?;
    let models = text.lines().filter_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let models: Vec<_> = models.map(|(_, model)| model).collect();
    Ok(format!("{} × {}", models.len(), models.first().unwrap_or(&"?")))
}

fn kernel() -> Result<String, String> {
    let file = "/proc/sys/kernel/osrelease";
    fs::read_to_string(file).map(|text| format!("Linux {}", text.trim())).map_err(|error| at(file, error))
}

fn at(file: impl AsRef<std::path::Path>, error: impl std::fmt::Display) -> String {
    format!("{}: {error}", file.as_ref().display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_stands_behind_other_lines() {
        assert_eq!(report("booting\r\n{\r\n\"a\": [1]\r\n}\r\ninit: exit code 0\n"), Ok(json!({ "a": [1] })));
        assert_eq!(report("nothing"), Err("no JSON in its output".into()));
    }
}
