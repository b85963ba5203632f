//! `docs/configuration.md` names every key and its default, and the examples make sense.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use ol2tpd::config::{Loaded, Settings, Shown, TableName, keys};

use super::folder::Folder;
use super::settings;

fn docs() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

/// The default that the manual tells for each key, by the tables that the heading names.
fn manual() -> BTreeMap<(String, String), String> {
    let page = fs::read_to_string(docs().join("configuration.md")).unwrap();
    let mut rows = BTreeMap::new();
    let mut tables: Vec<String> = Vec::new();
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            tables = heading.split('`').skip(1).step_by(2).map(str::to_owned).collect();
            if heading == "The file itself" {
                tables = vec![String::new()];
            }
        }
        let cells: Vec<_> = line.split(" | ").collect();
        let key = line.strip_prefix("| `").and_then(|line| line.split_once('`')).map(|(key, _)| key);
        if let (Some(key), [_, _, default, _]) = (key, &cells[..]) {
            for table in &tables {
                rows.insert((table.clone(), key.to_owned()), (*default).to_owned());
            }
        }
    }
    rows
}

#[test]
fn every_key_is_in_the_manual_and_no_other() {
    let written: Vec<_> = manual().into_keys().collect();
    // A key of the file itself that is a table has a heading of its own.
    let tables =
        ["listen", "control", "limits", "pool", "ipv6-pool", "user", "accounts", "hooks", "peer", "connect"];
    let mut known: Vec<_> = keys()
        .into_iter()
        .flat_map(|(table, keys)| keys.into_iter().map(move |key| (table.to_owned(), key.to_owned())))
        .filter(|(table, key)| !(table.is_empty() && tables.contains(&&**key)))
        .filter(|(_, key)| key != "user" || !key.is_empty())
        .filter(|(table, key)| !(table == "peer" || table == "connect") || key.is_empty())
        .collect();
    known.sort();
    assert_eq!(written, known);
}

#[test]
fn every_default_is_as_the_manual_says() {
    let least = "host-name = 'h'\n[peer.a]\nlocal-address = '10.0.0.1'\n[[user]]\nname = 'u'\npassword = 'p'\n[connect.c]\nhost = 'h'\n";
    let mut defaults = BTreeMap::new();
    for text in [format!("{least}persist = true\n"), least.to_owned()] {
        for view in settings(&text).view() {
            let table = match view.table {
                TableName::Root => String::new(),
                TableName::One(kind) => format!("[{kind}]"),
                TableName::Named(kind, _) => format!("[{kind}.NAME]"),
                TableName::Listed(kind) => format!("[[{kind}]]"),
            };
            for (key, shown) in view.keys {
                match shown {
                    Shown::Value(value) => {
                        _ = defaults.insert((table.clone(), key.to_owned()), format!("`{value}`"))
                    }
                    Shown::Unset => {
                        _ = defaults.entry((table.clone(), key.to_owned())).or_insert("none".into())
                    }
                    Shown::Secret => {}
                }
            }
        }
    }
    let mut compared = 0;
    for (key, written) in manual() {
        let plain = written == "none"
            || written.starts_with('`') && written.matches('`').count() == 2 && written.ends_with('`');
        if plain
            && key != (String::new(), "host-name".into())
            && key.1 != "local-address"
            && let Some(default) = defaults.get(&key)
        {
            assert_eq!(&written, default, "{key:?}");
            compared += 1;
        }
    }
    assert!(compared > 70, "{compared}");
}

#[test]
fn the_examples_make_sense() {
    let folder = Folder::new("examples");
    let secrets = ["office", "north", "south", "access"].map(|name| format!("{name}.secret"));
    let passwords = ["office", "anna", "printer", "customer-17"].map(|name| format!("{name}.password"));
    for name in secrets.iter().chain(&passwords) {
        folder.write(name, 0o600, "hush\n");
    }
    folder.write("subscribers", 0o600, "* * hush *\n");
    for name in ["client", "vpn-server", "isp-lns"] {
        let text = fs::read_to_string(docs().join(format!("examples/{name}.toml"))).unwrap();
        let Loaded { warnings, .. } = folder.load(&text).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(warnings.0, [], "{name}");
        // What is commented out makes sense as well, but for paths that are not there.
        let all: String = text.lines().map(|line| uncommented(line).to_owned() + "\n").collect();
        for problem in folder.told(&all) {
            assert!(
                problem.contains("No such file") || problem.contains("is a [[user]]"),
                "{name}: {problem}"
            );
        }
    }
    assert!(Settings::load(&docs().join("examples/client.toml")).is_err(), "its password is not there");
}

/// A line without the `# ` before a key or a table.
fn uncommented(line: &str) -> &str {
    let rest = line.strip_prefix("# ").unwrap_or(line);
    let key = rest.split_once(" = ").is_some_and(|(key, _)| {
        key.chars().all(|c| c.is_ascii_lowercase() || c == '-' || c.is_ascii_digit())
    });
    if key || rest.starts_with('[') { rest } else { line }
}
