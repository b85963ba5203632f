//! `uml WORKSPACE COMMAND...`: runs a command in a guest, beside a network namespace. Its standard
//! input, output and error are the caller's, and so is its exit code.
//!
//! ```text
//!   here, a network namespace ── br0 192.0.2.1 ──── 192.0.2.2 vec0 ── the guest
//!                      caller ◄── two TCP connections ──► relay.pl, which becomes the command
//! ```
//!
//! The guest sees the workspace and cargo's target directory, read-only.
#![forbid(unsafe_code)]
#![allow(clippy::print_stderr)]

use std::env::{args, current_exe};
use std::fs;
use std::io::{self, ErrorKind, IsTerminal, Read, Write};
use std::net::{Shutdown, TcpListener};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use interop::PATIENCE;
use interop::lan::{HERE, Lan};
use interop::log::with;
use interop::uml::Uml;
use nix::sched::{CloneFlags, unshare};

/// Connects to the caller and becomes the command.
const RELAY: &str = include_str!("relay.pl");
/// What it says on the console when it has connected.
const READY: &str = "relay: connected";
/// Where the guest sees the workspace and cargo's target directory.
const PLACES: [&str; 2] = ["/home/workspace", "/home/target"];
/// Which host of the network the guest is.
const GUEST: u8 = 2;
/// As long as it takes.
const FOREVER: Duration = Duration::from_secs(u32::MAX as u64);

fn main() -> ExitCode {
    let words: Vec<_> = args().skip(1).collect();
    let result = match words.split_first() {
        Some((workspace, command)) if !command.is_empty() => run(Path::new(workspace), command),
        _ => Err(io::Error::other("no command: cargo xtask uml --help")),
    };
    result.unwrap_or_else(|error| {
        eprintln!("uml: {error}");
        ExitCode::FAILURE
    })
}

fn run(workspace: &Path, command: &[String]) -> io::Result<ExitCode> {
    // …/target/debug/examples/uml
    let program = current_exe()?;
    let target =
        program.ancestors().nth(3).ok_or_else(|| io::Error::other("it lies in cargo's directory"))?;
    let outside = [workspace, target];
    show(&target.join("peers/sid/home"), outside)?;

    let lan = Lan::new()?;
    let guest = Uml::boot(&lan, GUEST)?;
    let relay = guest.file("relay.pl", RELAY)?;
    let listener = lan.here.enter(|| TcpListener::bind((HERE, 0)))?;
    let terminal = Terminal::raw()?;
    let words: Vec<_> = command.iter().map(|word| quoted(&inside(word, outside))).collect();
    let port = listener.local_addr()?.port();
    let size = terminal.as_ref().map_or("", |terminal| &terminal.size);
    let job = guest.start(&format!(
        "cd {} && exec perl {relay} {HERE} {port} '{size}' {}",
        PLACES[0],
        words.join(" ")
    ))?;
    job.find(PATIENCE, with(READY))?;
    let (data, errors) = (listener.accept()?.0, listener.accept()?.0);
    let stdin = data.try_clone()?;
    // It may wait for the caller still when the command has ended.
    thread::spawn(move || pass_on(io::stdin(), &stdin).and_then(|()| stdin.shutdown(Shutdown::Write)));
    let errors = thread::spawn(move || pass_on(errors, io::stderr()));
    pass_on(data, io::stdout())?;
    errors.join().expect("it does not panic")?;
    drop(terminal);
    let (code, said) = job.wait(FOREVER)?;
    said.lines().filter(|line| *line != READY).for_each(|line| eprintln!("{line}"));
    Ok(u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Lets guests see directories, in a mount namespace of this process's own.
fn show(home: &Path, outside: [&Path; 2]) -> io::Result<()> {
    if !home.is_dir() {
        let missing = format!("no {}: cargo xtask peers", home.display());
        return Err(io::Error::new(ErrorKind::NotFound, missing));
    }
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(&["--make-rprivate"], [Path::new("/")])?;
    mount(&["--types", "tmpfs", "tmpfs"], [home])?;
    for (outside, inside) in outside.into_iter().zip(PLACES) {
        let inside = home.join(Path::new(inside).file_name().expect("a name"));
        fs::create_dir(&inside)?;
        mount(&["--bind", "--options", "ro"], [outside, &inside])?;
    }
    Ok(())
}

fn mount<const N: usize>(options: &[&str], paths: [&Path; N]) -> io::Result<()> {
    let status = Command::new("mount").args(options).args(paths).status()?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other(format!("mount {options:?} {paths:?}: {status}")))
    }
}

/// A word of the command as the guest has it: paths of the directories it sees are its own there.
fn inside(word: &str, outside: [&Path; 2]) -> String {
    // The target directory may lie in the workspace.
    let mut places = outside.into_iter().zip(PLACES).rev();
    let translated = places.find_map(|(outside, inside)| {
        let rest = Path::new(word).strip_prefix(outside).ok()?;
        Some(Path::new(inside).join(rest).display().to_string())
    });
    translated.unwrap_or_else(|| word.to_owned())
}

/// The caller's terminal, raw: what is typed goes to the guest's. It is as it was when this value is dropped.
struct Terminal {
    /// Rows and columns.
    size: String,
    before: String,
}

impl Terminal {
    /// None if the caller's input is no terminal.
    fn raw() -> io::Result<Option<Self>> {
        if !io::stdin().is_terminal() {
            return Ok(None);
        }
        let terminal = Self { size: stty("size")?, before: stty("-g")? };
        stty("raw -echo")?;
        Ok(Some(terminal))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It is gone if this fails.
        let _ = stty(&self.before);
    }
}

fn stty(arguments: &str) -> io::Result<String> {
    let mut stty = Command::new("stty");
    let output = stty.args(arguments.split(' ')).stdin(Stdio::inherit()).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// One word for the shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Copies at once what comes, to its end.
fn pass_on(mut from: impl Read, mut to: impl Write) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(len) => to.write_all(&buffer[..len]).and_then(|()| to.flush())?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
