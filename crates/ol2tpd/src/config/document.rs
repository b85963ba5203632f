//! A TOML document, or flags in the same form, with the place of every key and value.

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use zeroize::Zeroizing;

use super::problem::Place;

/// A value and where it stands.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

/// What settings are made of.
pub(super) enum Value {
    String(Zeroizing<String>),
    Integer(i64),
    Boolean(bool),
    Array(Vec<Node>),
    Table(Table),
    /// What no key wants: its type.
    Other(&'static str),
}

/// Keys and their values in the order in which they stand there.
#[derive(Debug, Default)]
pub(super) struct Table(pub(super) Vec<Entry>);

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    /// The key's.
    pub(super) place: Place,
    pub(super) node: Node,
}

impl Table {
    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.key == key)
    }
}

impl Value {
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::String(_) => "a string",
            Self::Integer(_) => "a number",
            Self::Boolean(_) => "true or false",
            Self::Array(_) => "a list",
            Self::Table(_) => "a table",
            Self::Other(name) => name,
        }
    }
}

/// Without what it says, which may be a secret.
impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.type_name())
    }
}

/// Reads a document as far as it is sound, with what is wrong in the rest.
pub(super) fn parse(text: &str) -> (Table, Vec<(Place, String)>) {
    let lines = Lines::new(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    // An error's own text has the line in it, and that may be a secret.
    let errors = errors
        .iter()
        .map(|error| (lines.place(error.span().map_or(0, |span| span.start)), error.message().to_owned()));
    let errors = errors.collect();
    (lines.table(table.into_inner()), errors)
}

/// Where the lines of a text begin.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, starts }
    }

    fn place(&self, offset: usize) -> Place {
        let line = self.starts.partition_point(|start| *start <= offset);
        let before = self.text.get(self.starts[line - 1]..offset).unwrap_or_default();
        Place::At { line: line as u32, column: before.chars().count() as u32 + 1 }
    }

    fn table(&self, table: DeTable<'_>) -> Table {
        let entry = |(key, value): (Spanned<_>, _)| Entry {
            place: self.place(key.span().start),
            key: std::borrow::Cow::into_owned(key.into_inner()),
            node: self.node(value),
        };
        let mut entries: Vec<_> = table.into_iter().map(entry).collect();
        entries.sort_by_key(|entry| entry.place);
        Table(entries)
    }

    fn node(&self, value: Spanned<DeValue<'_>>) -> Node {
        let place = self.place(value.span().start);
        let value = match value.into_inner() {
            DeValue::String(text) => Value::String(Zeroizing::new(text.into_owned())),
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => Value::Integer(number),
                Err(_) => Value::Other("a number that is far too large"),
            },
            DeValue::Boolean(value) => Value::Boolean(value),
            DeValue::Array(nodes) => Value::Array(nodes.into_iter().map(|node| self.node(node)).collect()),
            DeValue::Table(table) => Value::Table(self.table(table)),
            DeValue::Float(_) => Value::Other("a number with a fraction"),
            DeValue::Datetime(_) => Value::Other("a date"),
        };
        Node { place, value }
    }
}
