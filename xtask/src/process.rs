//! Running other programs from the root of the workspace, in sight.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The workspace's root.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace")
}

/// Where cargo builds to.
pub(crate) fn target() -> PathBuf {
    root().join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// A program and its arguments, separated by spaces.
pub(crate) fn command(line: &str) -> Command {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().expect("a program"));
    command.args(words).current_dir(root());
    command
}

/// Shows and runs a command.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    show(command);
    let status = command.status().map_err(|error| cannot_start(command, &error))?;
    if status.success() { Ok(()) } else { Err(status.to_string()) }
}

/// Shows and runs a command; `line` sees every line of its standard output, which is passed on.
pub(crate) fn run_reading(command: &mut Command, mut line: impl FnMut(&str)) -> Result<(), String> {
    show(command);
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(|error| cannot_start(command, &error))?;
    let stdout = child.stdout.take().expect("piped");
    for bytes in BufReader::new(stdout).split(b'\n') {
        let bytes = bytes.map_err(|error| format!("reading its output: {error}"))?;
        let text = String::from_utf8_lossy(&bytes);
        println!("{text}");
        line(&text);
    }
    let status = child.wait().map_err(|error| format!("waiting for it: {error}"))?;
    if status.success() { Ok(()) } else { Err(status.to_string()) }
}

/// Whether a command can be started and succeeds; its output is not shown, its complaint is the
/// error.
pub(crate) fn probe(command: &mut Command) -> Result<(), String> {
    output(command).map(drop)
}

/// What a command says that succeeds; its complaint is the error.
pub(crate) fn output(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| cannot_start(command, &error))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; "))
}

fn show(command: &Command) {
    let words: Vec<_> = std::iter::once(command.get_program()).chain(command.get_args()).collect();
    let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    println!("$ {}", words.join(" "));
}

fn cannot_start(command: &Command, error: &std::io::Error) -> String {
    format!("{}: {error}", command.get_program().to_string_lossy())
}
