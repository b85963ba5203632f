//! What appears on standard output and standard error.

use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal, Write};

use serde::Serialize;
use tracing_subscriber::EnvFilter;

use crate::exit::{Doing, Failure, Result};

/// Sends log messages to standard error: warnings, and what happens in a server. The driver's debug
/// messages, which its masks switch, appear unless a filter hides them.
pub fn log(verbose: u8, filter: Option<&str>) -> Result<()> {
    let filter = filter.unwrap_or(match verbose {
        0 => "warn,notice=info,pppol2tp=trace",
        1 => "info,ol2tp=debug,ol2tpd=debug,pppol2tp=trace",
        _ => "trace",
    });
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        Failure::usage(format!("--log {filter}: {error}; write for example warn,ol2tpd=debug"))
    })?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    // The journal of systemd has a clock of its own.
    if std::env::var_os("JOURNAL_STREAM").is_some() {
        log.without_time().init()
    } else {
        log.init()
    }
    Ok(())
}

/// Says on standard error why the command failed.
pub fn complain(what: &dyn Display) {
    // If nobody reads it, the exit code still tells.
    let _ = writeln!(io::stderr(), "ol2tp: {what}");
}

/// Prints a line on standard output. A reader that has gone is no error.
pub fn print(what: impl Display) -> Result<()> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{what}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result.doing("standard output"),
    }
}

/// Prints a value as one line of JSON.
pub fn json(value: &impl Serialize) -> Result<()> {
    let line = serde_json::to_string(value).map_err(io::Error::from).doing("JSON")?;
    print(line)
}

/// What is being done now, on standard error: one line that changes on a terminal, else a line each.
#[derive(Debug)]
pub struct Progress {
    terminal: bool,
    quiet: bool,
}

impl Progress {
    /// Without a terminal, `quiet` says nothing at all.
    pub fn new(quiet: bool) -> Self {
        let terminal = io::stderr().is_terminal();
        Self { terminal, quiet: quiet && !terminal }
    }

    /// Says what is going on now; on a terminal only, because it will soon be past.
    pub fn now(&self, what: impl Display) {
        if self.terminal {
            self.say(what);
        }
    }

    /// Says what is going on, or what came of it.
    pub fn say(&self, what: impl Display) {
        let mut out = io::stderr().lock();
        // Progress that nobody sees is not worth an error.
        let _ = match (self.terminal, self.quiet) {
            (true, _) => write!(out, "\r\x1b[K{what}").and_then(|()| out.flush()),
            (false, false) => writeln!(out, "{what}"),
            (false, true) => Ok(()),
        };
    }
}

impl Progress {
    /// Takes the line away: something else is to be printed.
    pub fn clear(&self) {
        if self.terminal {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// A table whose columns are as wide as they have to be. The first ones, with words, are aligned left,
/// the others, with numbers, right.
#[derive(Clone, Debug)]
pub struct Table {
    words: usize,
    rows: Vec<Vec<String>>,
}

impl Default for Table {
    fn default() -> Self {
        Self { words: 1, rows: Vec::new() }
    }
}

impl Table {
    /// A table with its first row.
    pub fn new<const N: usize>(head: [&str; N]) -> Self {
        Self { rows: vec![head.map(String::from).to_vec()], ..Self::default() }
    }

    /// How many columns are words, one unless this is called.
    pub fn words(self, words: usize) -> Self {
        Self { words, ..self }
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.to_vec());
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let cell_width =
            |row: &Vec<String>, column| row.get(column).map_or(0, |cell: &String| cell.chars().count());
        let width = |column| self.rows.iter().map(|row| cell_width(row, column)).max().unwrap_or(0);
        let widths: Vec<_> = (0..columns).map(width).collect();
        for (n, row) in self.rows.iter().enumerate() {
            if n > 0 {
                writeln!(f)?;
            }
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let gap = if column == 0 { "" } else { "  " };
                match column {
                    _ if column >= self.words => write!(f, "{gap}{cell:>width$}")?,
                    _ if column + 1 == row.len() => write!(f, "{gap}{cell}")?,
                    _ => write!(f, "{gap}{cell:<width$}")?,
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new(["what", "n"]);
        table.row(["a".into(), "1000".into()]);
        table.row(["µs".into(), "1".into()]);
        assert_eq!(table.to_string(), "what     n\na     1000\nµs       1");
        let mut table = Table::new(["who", "where", "n"]).words(2);
        table.row(["anna".into(), "".into(), "1000".into()]);
        assert_eq!(table.to_string(), "who   where     n\nanna         1000");
    }
}
