//! What a program says, line by line, for those who wait for some of it.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// All lines so far. Clones are the same log.
#[derive(Clone, Debug, Default)]
pub struct Log {
    shared: Arc<(Mutex<Said>, Condvar)>,
}

#[derive(Debug, Default)]
struct Said {
    lines: Vec<String>,
    closed: bool,
}

impl Log {
    /// Reads all of it. Returns when there is no more.
    pub fn read(&self, from: impl Read) {
        for line in BufReader::new(from).split(b'\n') {
            // A pseudo-terminal whose other side is gone fails.
            let Ok(line) = line else { break };
            let line = String::from_utf8_lossy(&line);
            self.said().lines.push(line.trim_end_matches('\r').into());
            self.shared.1.notify_all();
        }
        self.said().closed = true;
        self.shared.1.notify_all();
    }

    /// The first line, from now or before, that is wanted.
    ///
    /// Errors: there is none for so long, or none will come.
    pub fn find<T>(&self, patience: Duration, wanted: impl FnMut(&str) -> Option<T>) -> io::Result<T> {
        self.find_from(0, patience, wanted)
    }

    /// The first wanted line that is not among the first `start`.
    ///
    /// Errors: those of [`find`](Self::find).
    pub fn find_from<T>(
        &self,
        start: usize,
        patience: Duration,
        mut wanted: impl FnMut(&str) -> Option<T>,
    ) -> io::Result<T> {
        let end = Instant::now() + patience;
        let (mut said, mut next) = (self.said(), start);
        loop {
            if let Some(found) = said.lines.iter().skip(next).find_map(|line| wanted(line)) {
                return Ok(found);
            }
            next = next.max(said.lines.len());
            let left = end.saturating_duration_since(Instant::now());
            if said.closed || left.is_zero() {
                let why = if said.closed { "it ended".into() } else { format!("{patience:?} passed") };
                let text = said.lines.join("\n");
                return Err(io::Error::other(format!("{why} without what it should say; it said:\n{text}")));
            }
            said = self.shared.1.wait_timeout(said, left).expect("nobody panics with the log").0;
        }
    }

    /// Waits for its end.
    ///
    /// Errors: it goes on for longer than `patience`.
    pub fn closed(&self, patience: Duration) -> io::Result<()> {
        let wait = self.shared.1.wait_timeout_while(self.said(), patience, |said| !said.closed);
        let (said, _) = wait.expect("nobody panics with the log");
        if said.closed {
            return Ok(());
        }
        Err(io::Error::other(format!("it goes on after {patience:?}; it said:\n{}", said.lines.join("\n"))))
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.said().lines.len()
    }

    /// Whether nothing was said.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of it so far.
    pub fn text(&self) -> String {
        self.said().lines.join("\n")
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.shared.0.lock().expect("nobody panics with the log")
    }
}

/// For [`Log::find`]: lines that contain this.
pub fn with(part: &str) -> impl FnMut(&str) -> Option<String> {
    move |line| line.contains(part).then(|| line.to_owned())
}
