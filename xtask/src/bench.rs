//! `cargo xtask bench`: what this machine can do.
//!
//! ```text
//!   build, and fetch what parts need
//!   a part ── --json ──► bench/results/PART.json ──► docs/performance.md, README.md: between two comments
//! ```

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use clap::ValueEnum;
use serde_json::{Map, Value, json};

use crate::install;
use crate::peers::{self, BOOKWORM, Root, SID, TRIXIE};
use crate::process::{command, root, run as execute, run_reading, target};
use crate::{qemu, uml};

mod page;
mod readme;

/// What this machine can do: each part's figures to bench/results, all of them as tables to docs/performance.md, the most telling to README.md.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Only these parts [default: all, and the rules by criterion, too].
    parts: Vec<Part>,
    /// Arguments for `ol2tp bench`, but for l2tpns.
    #[arg(last = true)]
    args: Vec<String>,
}

const EXAMPLES: &str =
    "Parts beside other people's programs need root, and fetch these once. Whether that works is seen to
before anything is measured. A part that fails does not keep the others from being measured.

Examples:
  cargo xtask bench
  cargo xtask bench loads frames -- --rounds 9";

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Part {
    /// The rules alone.
    Rules,
    /// The driver with each set of offloads.
    Modes,
    /// The fast path and the ordinary way, with super-packets whole and cut. As root; needs ethtool.
    Fast,
    /// TCP and UDP, each direction, and what single properties of a tunnel cost.
    Loads,
    /// Many sessions, and how fast a server sets them up.
    Sessions,
    /// Frames through a server on one core.
    Frames,
    /// How much later frames arrive.
    Latency,
    /// Frames through l2tpns and a server of ours, in turn. As root; fetches 130 MB once.
    L2tpns,
    /// xl2tpd's own path in user space and ours, in turn, in User-Mode Linux. As root; fetches 270 MB once.
    Pty,
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

    /// Other people's programs that it needs, and to run these, root.
    fn peers(self) -> Option<&'static Root> {
        match self {
            Self::L2tpns => Some(&BOOKWORM),
            Self::Pty => Some(&SID),
            Self::Kernel => Some(&TRIXIE),
            _ => None,
        }
    }

    /// Sees to what it needs.
    fn prepare(self) -> Result<(), String> {
        if self == Self::Fast {
            return install::packages(install::ETHTOOL);
        }
        let Some(peers) = self.peers() else { return Ok(()) };
        install::namespaces().and_then(|()| peers::set_up(peers))
    }

    /// Measures: what was run, and what it reported.
    fn measure(self, args: &[String]) -> Result<(String, Value), String> {
        let name = self.name();
        let (words, release) = (args.join(" "), target().join("release"));
        let program = release.join("ol2tp").display().to_string();
        let args: Vec<_> = args.iter().cloned().chain(["--json".into()]).collect();
        match self {
            Self::Kernel => {
                let output = qemu::bench(&args)?;
                let mut report = report(&output)?;
                let kernel = output.lines().find_map(|line| line.strip_prefix("init: Linux "));
                report["kernel"] = kernel.into();
                Ok((format!("ol2tp bench drivers {words}"), report))
            }
            Self::Pty => {
                let example = release.join("examples/pty_load").display().to_string();
                let line = [vec![example, program], args].concat();
                Ok((format!("pty_load ol2tp {words}"), report(&output(&mut uml::guest("release", &line))?)?))
            }
            Self::L2tpns => {
                let example = release.join("examples/l2tpns_load");
                let mut rows = Vec::new();
                for arguments in BESIDE {
                    let mut line = command(&example.display().to_string());
                    line.arg("frames").args(arguments.split(' ')).arg("--json");
                    match report(&output(&mut line)?)? {
                        Value::Array(more) => rows.extend(more),
                        other => return Err(format!("l2tpns_load: {other}")),
                    }
                }
                let what = format!("l2tpns_load frames SESSIONS ROUNDS: {}", BESIDE.join(", "));
                Ok((what, json!({ "l2tpns": rows })))
            }
            _ => {
                let mut line = command(&program);
                line.args(["bench", &name]).args(args);
                Ok((format!("ol2tp bench {name} {words}"), report(&output(&mut line)?)?))
            }
        }
    }

    /// Measures, and writes what came of it.
    fn run(self, args: &[String]) -> Result<(), String> {
        let (what, report) = self.measure(args)?;
        let result = json!({
            "command": what.trim_end(), "date": date()?, "machine": machine()?, "kernel": kernel()?, "report": report,
        });
        let file = results().join(format!("{}.json", self.name()));
        let text = serde_json::to_string_pretty(&result).map_err(|error| error.to_string())? + "\n";
        fs::create_dir_all(results())
            .and_then(|()| fs::write(&file, text))
            .map_err(|error| at(&file, error))?;
        write_page()
    }
}

/// What is built before anything is measured.
const BUILD: &str =
    "cargo build --release --workspace --bin ol2tp --example l2tpns_load --example pty_load --example uml";
const CRITERION: &str = "cargo bench --package ol2tp-bench";

/// Runs what is wanted. What fails is told at once and in the end, and does not keep the others from running.
pub(crate) fn run(args: &Args) -> Result<(), String> {
    let parts = if args.parts.is_empty() { Part::value_variants() } else { &args.parts };
    execute(&mut command(BUILD))?;
    let mut failed = Vec::new();
    let mut failing = |name: String, result: Result<(), String>| {
        let Err(error) = result else { return true };
        eprintln!("{name}: {error}");
        failed.push(format!("{name} ({error})"));
        false
    };
    let ready: Vec<_> = parts.iter().filter(|part| failing(part.name(), part.prepare())).collect();
    for part in ready {
        failing(part.name(), part.run(&args.args));
    }
    if args.parts.is_empty() {
        failing(CRITERION.into(), execute(&mut command(CRITERION)));
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("not measured: {}", failed.join("; "))) }
}

/// Writes the tables of all results to the pages that have them.
fn write_page() -> Result<(), String> {
    let mut results = Vec::new();
    for part in Part::value_variants() {
        let file = self::results().join(format!("{}.json", part.name()));
        let Ok(text) = fs::read_to_string(&file) else { continue };
        let result: Map<String, Value> = serde_json::from_str(&text).map_err(|error| at(&file, error))?;
        results.push((part.name(), result));
    }
    for (page, tables) in
        [("docs/performance.md", page::tables(&results)), ("README.md", readme::table(&results))]
    {
        let file = root().join(page);
        let text = fs::read_to_string(&file).map_err(|error| at(&file, error))?;
        let text = page::replace(&text, &tables).ok_or_else(|| at(&file, "its two comments are missing"))?;
        fs::write(&file, text).map_err(|error| at(&file, error))?;
    }
    Ok(())
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

/// The kernel, and how its TCP avoids congestion, on which TCP's figures depend much.
fn kernel() -> Result<String, String> {
    let read = |file| fs::read_to_string(file).map_err(|error| at(file, error));
    let release = read("/proc/sys/kernel/osrelease")?;
    let congestion = read("/proc/sys/net/ipv4/tcp_congestion_control")?;
    Ok(format!("Linux {}, TCP with {}", release.trim(), congestion.trim()))
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
