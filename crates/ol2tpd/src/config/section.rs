//! Reading the tables of a document: each key is asked for once; what is wrong is noted where it
//! stands, and so is what was not asked for.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::document::{Entry, Node, Table, Value};
use super::problem::{Place, Problem, Problems, Severity, nearest};
use super::value::{self, Read};

/// Keys by the tables that have them, as the manual calls these.
pub(super) type Keys = BTreeMap<&'static str, BTreeSet<&'static str>>;

/// Collects what is wrong with a document.
#[derive(Debug)]
pub(super) struct Reader {
    /// The document's; `None`: the command line.
    pub(super) file: Option<PathBuf>,
    /// Whether a secret stands in the document itself.
    pub(super) secrets: Cell<bool>,
    problems: RefCell<BTreeSet<Problem>>,
    asked: RefCell<Keys>,
}

impl Reader {
    pub(super) fn new(file: Option<&Path>) -> Self {
        Self {
            file: file.map(Into::into),
            secrets: Cell::new(false),
            problems: RefCell::default(),
            asked: RefCell::default(),
        }
    }

    /// Notes something; the same thing counts once.
    pub(super) fn note(&self, problem: Problem) {
        self.problems.borrow_mut().insert(problem);
    }

    /// Notes an error.
    pub(super) fn error(&self, place: Place, key: impl Into<String>, message: impl Into<String>) {
        self.problem(Severity::Error, place, key.into(), message.into(), None);
    }

    /// Notes something that is hardly meant.
    pub(super) fn warn(&self, place: Place, key: impl Into<String>, message: impl Into<String>) {
        self.problem(Severity::Warning, place, key.into(), message.into(), None);
    }

    fn problem(
        &self,
        severity: Severity,
        place: Place,
        key: String,
        message: String,
        suggestion: Option<String>,
    ) {
        self.note(Problem { file: self.file.clone(), place, severity, key, message, suggestion });
    }

    /// A path of the document: it starts where the document is.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        match self.file.as_ref().and_then(|file| file.parent()) {
            Some(base) => base.join(path),
            None => path.into(),
        }
    }

    /// What was noted, in order.
    pub(super) fn problems(&self) -> Problems {
        Problems(self.problems.borrow().iter().cloned().collect())
    }

    /// All keys that have been asked for.
    pub(super) fn asked(&self) -> Keys {
        self.asked.borrow().clone()
    }

    /// The document itself.
    pub(super) fn root<'a>(&'a self, table: &'a Table) -> Section<'a> {
        let layer = Layer { name: String::new(), place: Place::File {}, table };
        Section { reader: self, kind: "", layers: vec![layer] }
    }
}

/// A table, with those that it inherits from.
#[derive(Debug)]
pub(super) struct Section<'a> {
    pub(super) reader: &'a Reader,
    kind: &'static str,
    /// The table itself comes first; none, if it is not there.
    layers: Vec<Layer<'a>>,
}

#[derive(Clone, Debug)]
struct Layer<'a> {
    /// For example `peer.office`.
    name: String,
    place: Place,
    table: &'a Table,
}

impl Layer<'_> {
    fn key(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }
}

impl<'a> Section<'a> {
    /// The value of a key, its own or inherited; `None` if it is not there or makes no sense.
    pub(super) fn get<T>(&self, key: &'static str, read: impl Fn(&Node) -> Read<T>) -> Option<T> {
        let (layer, entry) = self.find(&[key])?;
        self.read(layer, entry, read)
    }

    /// The value of a key that is not inherited.
    pub(super) fn own<T>(&self, key: &'static str, read: impl Fn(&Node) -> Read<T>) -> Option<T> {
        self.ask(key);
        let layer = self.layers.first()?;
        self.read(layer, layer.table.get(key)?, read)
    }

    /// The value of a key that has to be there.
    pub(super) fn required<T>(&self, key: &'static str, read: impl Fn(&Node) -> Read<T>) -> Option<T> {
        if !self.has(key) {
            self.missing(key, "");
        }
        self.get(key, read)
    }

    /// Notes that a key is not there, and why it has to be.
    pub(super) fn missing(&self, key: &'static str, why: &str) {
        let dashes = if self.reader.file.is_some() { "" } else { "--" };
        let colon = if why.is_empty() { "" } else { ": " };
        let name = self.layers.first().map_or("", |layer| &layer.name);
        self.reader.error(self.place(), name, format!("`{dashes}{key}` is missing{colon}{why}"));
    }

    /// Whether a key is there, its own or inherited.
    pub(super) fn has(&self, key: &'static str) -> bool {
        self.find(&[key]).is_some()
    }

    /// The one of two keys that is there; both in the same table contradict each other.
    pub(super) fn either(&self, one: &'static str, other: &'static str) -> Option<&'static str> {
        let (layer, entry) = self.find(&[one, other])?;
        if layer.table.get(one).is_some() && layer.table.get(other).is_some() {
            self.error(other, format!("`{one}` and `{other}` are both there; leave one of them out"));
        }
        Some(if entry.key == one { one } else { other })
    }

    /// Where the table begins.
    pub(super) fn place(&self) -> Place {
        self.layers.first().map_or(Place::File {}, |layer| layer.place)
    }

    /// Where the value of a key stands, or else the table.
    pub(super) fn place_of(&self, key: &'static str) -> Place {
        self.find(&[key]).map_or(self.place(), |(_, entry)| entry.node.place)
    }

    /// Notes an error of a key's value, or of the table that lacks it.
    pub(super) fn error(&self, key: &'static str, message: impl Into<String>) {
        self.problem(Severity::Error, key, message.into(), None);
    }

    /// The same, with what may have been meant.
    pub(super) fn mistaken(&self, key: &'static str, message: String, suggestion: Option<String>) {
        self.problem(Severity::Error, key, message, suggestion);
    }

    /// Notes that a key's value is hardly meant.
    pub(super) fn warn(&self, key: &'static str, message: impl Into<String>) {
        self.problem(Severity::Warning, key, message.into(), None);
    }

    fn problem(&self, severity: Severity, key: &'static str, message: String, suggestion: Option<String>) {
        let found = self.find(&[key]);
        let layer = found.map(|(layer, _)| layer).or(self.layers.first());
        let key = layer.map_or_else(|| key.to_owned(), |layer| layer.key(key));
        let place = found.map_or(self.place(), |(_, entry)| entry.node.place);
        self.reader.problem(severity, place, key, message, suggestion);
    }

    /// The table of this name.
    pub(super) fn table(&self, key: &'static str, kind: &'static str) -> Section<'a> {
        self.ask(key);
        let layers = self.layers.first().and_then(|layer| layer.table.get(key)).and_then(|entry| {
            let table = self.as_table(key.to_owned(), &entry.node, kind)?;
            Some(Layer { name: key.to_owned(), place: entry.place, table })
        });
        Section { reader: self.reader, kind, layers: layers.into_iter().collect() }
    }

    /// The tables of an array.
    pub(super) fn tables(&self, key: &'static str, kind: &'static str) -> Vec<Section<'a>> {
        self.ask(key);
        let Some(entry) = self.layers.first().and_then(|layer| layer.table.get(key)) else {
            return Vec::new();
        };
        let Value::Array(nodes) = &entry.node.value else {
            self.error(key, format!("it is a list of tables: write {kind} for each"));
            return Vec::new();
        };
        let section = |node: &'a Node| {
            let table = self.as_table(key.to_owned(), node, kind)?;
            let layers = vec![Layer { name: key.to_owned(), place: node.place, table }];
            Some(Section { reader: self.reader, kind, layers })
        };
        nodes.iter().filter_map(section).collect()
    }

    /// The tables inside of a table, with their names, in the order in which they stand there.
    pub(super) fn named(&self, key: &'static str, kind: &'static str) -> Vec<(&'a str, Section<'a>)> {
        let outer = self.table(key, kind);
        let Some(tables) = outer.layers.first().map(|layer| layer.table) else { return Vec::new() };
        let section = |entry: &'a Entry| {
            let name = format!("{key}.{}", entry.key);
            let table = self.as_table(name.clone(), &entry.node, kind)?;
            let own = Layer { name, place: entry.place, table };
            let section = Section { reader: self.reader, kind, layers: vec![own] };
            Some((&*entry.key, section))
        };
        tables.0.iter().filter_map(section).collect()
    }

    fn as_table(&self, name: String, node: &'a Node, kind: &str) -> Option<&'a Table> {
        match &node.value {
            Value::Table(table) => Some(table),
            other => {
                let what = other.type_name();
                self.reader.error(node.place, name, format!("it is a table, not {what}: write {kind}"));
                None
            }
        }
    }

    /// Notes all keys that nobody has asked for. Has to come last.
    pub(super) fn finish(self) {
        let Some(layer) = self.layers.first() else { return };
        let asked = self.reader.asked.borrow();
        let known = asked.get(self.kind).into_iter().flatten().copied();
        for entry in &layer.table.0 {
            if known.clone().any(|key| key == entry.key) {
                continue;
            }
            let suggestion = value::alias(&entry.key)
                .filter(|alias| known.clone().any(|key| key == *alias))
                .map(str::to_owned)
                .or_else(|| nearest(&entry.key, known.clone()));
            let message = match (&suggestion, elsewhere(&entry.key)) {
                (None, Some(kinds)) => format!("there is no such key here; it belongs in {kinds}"),
                _ => "there is no such key".to_owned(),
            };
            self.reader.problem(Severity::Error, entry.place, layer.key(&entry.key), message, suggestion);
        }
    }

    fn find(&self, keys: &[&'static str]) -> Option<(&Layer<'a>, &'a Entry)> {
        keys.iter().for_each(|key| self.ask(key));
        self.layers
            .iter()
            .find_map(|layer| keys.iter().find_map(|key| layer.table.get(key)).map(|entry| (layer, entry)))
    }

    fn read<T>(&self, layer: &Layer<'_>, entry: &Entry, read: impl Fn(&Node) -> Read<T>) -> Option<T> {
        match read(&entry.node) {
            Ok(value) => Some(value),
            Err(wrongs) => {
                for wrong in wrongs {
                    let key = layer.key(&entry.key);
                    self.reader.problem(Severity::Error, wrong.place, key, wrong.message, wrong.suggestion);
                }
                None
            }
        }
    }

    fn ask(&self, key: &'static str) {
        self.reader.asked.borrow_mut().entry(self.kind).or_default().insert(key);
    }
}

/// Adds to each table those that it inherits from, nearest first. A table that is not there, and one that
/// inherits from itself, is noted.
pub(super) fn inherit<'a>(sections: &mut [(&'a str, Section<'a>)]) {
    let parent = |section: &Section<'a>| section.own("inherits", value::text);
    let parents: Vec<_> = sections.iter().map(|(_, section)| parent(section)).collect();
    let names: Vec<_> = sections.iter().map(|(name, _)| *name).collect();
    let at = |name: &str| names.iter().position(|known| *known == name);
    let own: Vec<_> = sections.iter().map(|(_, section)| section.layers[0].clone()).collect();
    for (n, (_, section)) in sections.iter_mut().enumerate() {
        let mut seen = vec![n];
        let mut next = parents[n].as_deref();
        while let Some(name) = next {
            let Some(parent) = at(name) else {
                // Noted once: by the table that says so.
                if seen.len() == 1 {
                    let others = names.iter().enumerate().filter(|(other, _)| *other != n);
                    let suggestion = nearest(name, others.map(|(_, name)| *name));
                    section.mistaken("inherits", format!("there is no `{name}` to inherit from"), suggestion);
                }
                break;
            };
            if seen.contains(&parent) {
                if parent == n {
                    let way: Vec<_> = seen[1..].iter().chain([&n]).map(|at| names[*at]).collect();
                    section.error("inherits", format!("it inherits from itself, by {}", way.join(", ")));
                }
                break;
            }
            section.layers.push(own[parent].clone());
            seen.push(parent);
            next = parents[parent].as_deref();
        }
    }
}

/// The tables that have such a key.
fn elsewhere(key: &str) -> Option<String> {
    let kinds: Vec<_> = super::keys()
        .into_iter()
        .filter(|(kind, keys)| !kind.is_empty() && keys.contains(key))
        .map(|(kind, _)| kind)
        .collect();
    (!kinds.is_empty()).then(|| kinds.join(" or "))
}
