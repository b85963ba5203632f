//! `docs/control.md`: each line of JSON is what it is said to be, and no event is left out.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use ol2tpd::Notice;
use ol2tpd::control::{Reply, Request};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The lines of JSON under a heading.
fn lines(heading: &str) -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/control.md");
    let page = fs::read_to_string(page).unwrap();
    let part = page.split("\n## ").find(|part| part.starts_with(heading)).unwrap();
    let blocks = part.split("```json\n").skip(1);
    blocks.flat_map(|block| block.split("```").next().unwrap().lines().map(str::to_owned)).collect()
}

/// What a line means; written again, it is the same line.
fn read<T: DeserializeOwned + Serialize>(line: &str) -> T {
    let value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    assert_eq!(serde_json::to_string(&value).unwrap(), line);
    value
}

#[test]
fn requests_and_replies() {
    let requests: Vec<Request> = lines("Requests").iter().map(|line| read(line)).collect();
    let kinds: BTreeSet<_> = requests
        .iter()
        .map(|request| match request {
            Request::Show(_) => "show",
            Request::Set(_) => "set",
            Request::Disconnect(_) => "disconnect",
            Request::Events => "events",
        })
        .collect();
    assert_eq!(kinds.len(), 4);
    let replies: Vec<Reply> = lines("Replies").iter().map(|line| read(line)).collect();
    assert!(!replies.is_empty());
}

#[test]
fn events() {
    let told = lines("Events").into_iter().map(|line| {
        read::<Notice>(&line);
        let (_, event) = line.split_once("\"event\":\"").unwrap();
        event.split('"').next().unwrap().to_owned()
    });
    assert_eq!(told.collect::<BTreeSet<_>>(), all());
}

/// The names of all events, as the decoder tells them when it does not know one.
fn all() -> BTreeSet<String> {
    let unknown = serde_json::from_str::<Notice>("{\"event\":\"?\"}").unwrap_err().to_string();
    let names: BTreeSet<_> = unknown.split('`').skip(3).step_by(2).map(str::to_owned).collect();
    assert!(names.contains("session_up"), "{unknown}");
    names
}
