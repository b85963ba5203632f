//! What is wrong with settings, and where.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

/// Where something stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(untagged)]
pub enum Place {
    /// The file as a whole.
    File {},
    /// In a file.
    At {
        /// From 1 on.
        line: u32,
        /// In characters, from 1 on.
        column: u32,
    },
    /// On the command line.
    Flag {
        /// With its dashes.
        flag: &'static str,
    },
}

/// Whether the daemon can run in spite of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It cannot.
    Error,
    /// It can, but this is hardly what was meant.
    Warning,
}

/// Something that is wrong.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub struct Problem {
    /// The file; `None`: the command line.
    pub file: Option<PathBuf>,
    /// Where it stands.
    #[serde(flatten)]
    pub place: Place,
    /// How bad it is.
    pub severity: Severity,
    /// The key with the tables around it, for example `peer.office.mtu`; may be empty.
    pub key: String,
    /// What is wrong, and what to do.
    pub message: String,
    /// What may have been meant.
    pub suggestion: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}", file.display())?;
        }
        match self.place {
            Place::At { line, column } => write!(f, ":{line}:{column}: ")?,
            Place::Flag { flag } => write!(f, "{flag}: ")?,
            Place::File {} if self.file.is_some() => write!(f, ": ")?,
            Place::File {} => {}
        }
        if self.severity == Severity::Warning {
            f.write_str("warning: ")?;
        }
        if !self.key.is_empty() && self.file.is_some() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)?;
        match &self.suggestion {
            Some(suggestion) => write!(f, "; did you mean `{suggestion}`?"),
            None => Ok(()),
        }
    }
}

/// All that is wrong, in the order in which it stands there; a line each.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize)]
#[serde(transparent)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Whether there is more than warnings.
    pub fn fatal(&self) -> bool {
        self.0.iter().any(|problem| problem.severity == Severity::Error)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.0.iter().enumerate() {
            write!(f, "{}{problem}", if n == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// The word that is most like this one, if one is.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let word = word.to_lowercase().replace('_', "-");
    let most = (word.chars().count() / 3).max(1);
    let ranked = known.into_iter().map(|known| (distance(&word, known), known));
    let (distance, known) = ranked.min_by_key(|(distance, _)| *distance)?;
    (distance <= most).then(|| known.to_owned())
}

/// How many letters have to be put in, left out, changed or swapped with the next one.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<_>, Vec<_>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = match (i, j) {
                (0, n) | (n, 0) => n,
                _ => {
                    let change = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                    let swap = if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                        rows[i - 2][j - 2] + 1
                    } else {
                        change
                    };
                    change.min(swap).min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1)
                }
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_found_if_it_is_near() {
        let known = ["mtu", "mru", "echo-interval", "secret-file", "dns"];
        for (word, nearest_word) in [
            ("mtuu", Some("mtu")),
            ("mut", Some("mtu")),
            ("MTU", Some("mtu")),
            ("echo_interval", Some("echo-interval")),
            ("ecoh-intervall", Some("echo-interval")),
            ("secretfile", Some("secret-file")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known).as_deref(), nearest_word, "{word}");
        }
        assert_eq!(nearest("mtu", []), None);
    }
}
