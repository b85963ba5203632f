//! Replays the corpora.

use std::path::Path;
use std::{fs, panic};

/// Runs a target on every file of its corpus and says which files it fails on.
fn replays(name: &str) {
    let (_, target) = ol2tp_fuzz::TARGETS.iter().find(|(known, _)| *known == name).expect("a target");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 10, "{} has {} files", folder.display(), files.len());
    let fails = |file: &std::path::PathBuf| {
        let bytes = fs::read(file).unwrap();
        panic::catch_unwind(|| target(&bytes)).is_err()
    };
    let failed: Vec<_> = files.iter().filter(|file| fails(file)).collect();
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn advert() {
    replays("advert");
}

#[test]
fn avp() {
    replays("avp");
}

#[test]
fn control_datagram() {
    replays("control_datagram");
}

#[test]
fn endpoint() {
    replays("endpoint");
}

#[test]
fn header() {
    replays("header");
}

#[test]
fn offload() {
    replays("offload");
}

#[test]
fn ppp_auth() {
    replays("ppp_auth");
}

#[test]
fn ppp_link() {
    replays("ppp_link");
}

#[test]
fn receive() {
    replays("receive");
}

#[test]
fn sockaddr() {
    replays("sockaddr");
}

#[test]
fn every_target_has_a_corpus_and_every_corpus_a_target() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut corpora: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    corpora.sort();
    let mut targets = ol2tp_fuzz::TARGETS.map(|(name, _)| name);
    targets.sort_unstable();
    assert_eq!(corpora, targets);
}
