//! Where the progress of a connection appears: on a terminal its last line changes, else each line stays.

use std::io::{self, IsTerminal, Write};
use std::time::Instant;

use ol2tpd::notice::Notice;
use pppol2tp::Driver;

use super::progress::{Progress, Traffic};

/// Back to the beginning of the line, which is cleared.
const AGAIN: &str = "\r\x1b[K";
/// Lines that are too long for the terminal are cut from here …
const CUT: &str = "\x1b[?7l";
/// … to here.
const WRAP: &str = "\x1b[?7h";

/// The lines of a connection, and where they go.
pub(super) struct Screen<W> {
    out: W,
    terminal: bool,
    progress: Progress,
}

impl Screen<io::Stdout> {
    /// Standard output.
    pub(super) fn new() -> Self {
        Self::on(io::stdout(), io::stdout().is_terminal())
    }
}

impl<W: Write> Screen<W> {
    fn on(out: W, terminal: bool) -> Self {
        Self { out, terminal, progress: Progress::default() }
    }

    /// Whether its last line changes.
    pub(super) fn is_live(&self) -> bool {
        self.terminal
    }

    /// Shows what a notice is worth.
    pub(super) fn told(&mut self, now: Instant, notice: &Notice) {
        let lines = self.progress.told(now, notice);
        if lines.is_empty() && !matches!(notice, Notice::Step { .. }) {
            return;
        }
        let mut text = String::new();
        for line in lines {
            text += if self.terminal { AGAIN } else { "" };
            text += &line;
            text.push('\n');
        }
        if self.terminal && self.progress.up.is_none() {
            text += &passing(&self.progress.running().unwrap_or_default());
        }
        self.write(&text);
    }

    /// Shows how the session is, if one is up.
    pub(super) fn refresh(&mut self, now: Instant, driver: &dyn Driver) {
        let Some(up) = &mut self.progress.up else { return };
        let line = up.line(now, traffic(driver, up.ids));
        self.write(&passing(&line));
    }

    /// A reader that has gone is no reason to end a session.
    fn write(&mut self, text: &str) {
        let _ = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
    }
}

/// A line that the next one takes the place of.
fn passing(line: &str) -> String {
    format!("{AGAIN}{CUT}{line}{WRAP}")
}

fn traffic(driver: &dyn Driver, ids: (u16, u16)) -> Traffic {
    let sessions = driver.snapshot().sessions;
    let session = sessions.iter().find(|session| (session.ids.tunnel_id, session.ids.session_id) == ids);
    let count = |name| {
        let mut counters = session.into_iter().flat_map(|session| session.stats.iter());
        counters.find(|(known, _)| *known == name).map_or(0, |(_, value)| value)
    };
    Traffic { rx_bytes: count("rx_bytes"), tx_bytes: count("tx_bytes") }
}

#[cfg(test)]
mod tests {
    use ol2tpd::notice::Step;

    use super::*;

    fn shown(terminal: bool) -> String {
        let now = Instant::now();
        let mut screen = Screen::on(Vec::new(), terminal);
        for (step, text) in [(Step::Resolve, "one"), (Step::Tunnel, "two"), (Step::Up, "up")] {
            screen.told(now, &Notice::Step { connection: "c".into(), step, text: text.into() });
        }
        String::from_utf8(screen.out).unwrap()
    }

    #[test]
    fn without_a_terminal_there_are_whole_lines_only() {
        let shown = shown(false);
        let lines: Vec<_> = shown.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
        assert_eq!(lines, [["✓", "one", "0.0", "ms"], ["✓", "two", "0.0", "ms"]]);
        assert!(shown.ends_with('\n') && !shown.contains('\x1b'));
    }

    #[test]
    fn on_a_terminal_the_last_line_is_what_is_going_on() {
        let shown = shown(true);
        let passing: Vec<_> = shown.split(CUT).skip(1).filter_map(|rest| rest.split(WRAP).next()).collect();
        assert_eq!(passing, ["… one", "… two", ""]);
        for (line, text) in shown.lines().zip(["one", "two"]) {
            assert!(line.rsplit(AGAIN).next().unwrap().starts_with(&format!("✓ {text}")), "{line:?}");
        }
    }
}
