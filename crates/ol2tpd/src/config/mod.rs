//! The configuration: a TOML file, or flags, made into [`Settings`].
//!
//! ```text
//!  file ──► document ──┐                              ┌──► Settings, and warnings
//!                      ├──► sections ──► build ───────┤
//!  flags ─► the same ──┘    (keys asked for,          └──► Problems: all there are, each with
//!                            inheritance)                  file, line, column and key
//! ```
//!
//! `docs/configuration.md` describes the keys. A key that nothing asks for is unknown.

mod build;
mod document;
mod flags;
mod net;
mod peers;
mod pppd;
mod problem;
mod secrets;
mod section;
mod settings;
mod value;
mod view;

use std::path::Path;

pub use flags::{ConnectFlags, ServeFlags};
pub use net::{Prefix, Range};
pub use problem::{Place, Problem, Problems, Severity};
pub use settings::{
    Backoff, Dial, DnsMode, DriverKind, Hooks, InterfaceChoice, Limits, Network, Peer, Policy, Pppd,
    PppdLogins, Profile, Settings, User,
};
pub use value::print_duration;
pub use view::{Shown, TableName, View};

use document::Table;
use section::{Keys, Reader};

/// Settings that make sense, and what is hardly meant in them.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// Warnings only.
    pub warnings: Problems,
}

impl Settings {
    /// Reads a file. Paths in it start where it is.
    ///
    /// # Errors
    ///
    /// All that is wrong with the file, and with the files that it names.
    pub fn load(file: &Path) -> Result<Loaded, Problems> {
        let reader = Reader::new(Some(file));
        match secrets::text(file) {
            Ok(text) => Self::read(&reader, &text),
            Err(error) => {
                reader.error(Place::File {}, "", error.to_string());
                Err(reader.problems())
            }
        }
    }

    /// Reads the text of such a file.
    ///
    /// # Errors
    ///
    /// All that is wrong with it, and with the files that it names.
    pub fn parse(file: &Path, text: &str) -> Result<Loaded, Problems> {
        Self::read(&Reader::new(Some(file)), text)
    }

    fn read(reader: &Reader, text: &str) -> Result<Loaded, Problems> {
        let (table, errors) = document::parse(text);
        if errors.is_empty() {
            return Self::build(reader, &table);
        }
        for (place, message) in errors {
            reader.error(place, "", format!("this is not TOML: {message}"));
        }
        Err(reader.problems())
    }

    fn build(reader: &Reader, table: &Table) -> Result<Loaded, Problems> {
        let settings = build::settings(reader.root(table));
        let problems = reader.problems();
        if problems.fatal() { Err(problems) } else { Ok(Loaded { settings, warnings: problems }) }
    }
}

/// All keys there are, by the tables that have them: `[peer.NAME]`, `[[user]]`; those of the file itself
/// have none.
pub fn keys() -> Keys {
    let one_of_each = "[[listen]]\n[control]\n[limits]\n[pool.a]\n[ipv6-pool.a]\n[[user]]\n[accounts]\n\
                       [hooks]\n[peer.a]\n[connect.a]\n";
    let reader = Reader::new(Some(Path::new("")));
    build::settings(reader.root(&document::parse(one_of_each).0));
    reader.asked()
}
