//! The crate depends on nothing, allocates nothing and names its modules relative to each other, so
//! that a kernel module can include them.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// Names and texts of all files in `src`, comments taken off.
fn code() -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    assert!(files.len() >= 10, "{files:?}");
    files
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
            (path, code.collect::<Vec<_>>().join("\n"))
        })
        .collect()
}

#[test]
fn the_manifest_has_no_dependencies_but_those_of_tests() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let sections: Vec<&str> = manifest.lines().filter(|line| line.starts_with('[')).collect();
    assert!(sections.contains(&"[dev-dependencies]"), "{sections:?}");
    for section in sections {
        let depends = section.contains("dependencies") && section != "[dev-dependencies]";
        assert!(!depends && section != "[features]", "{section}");
    }
}

#[test]
fn it_is_no_std_without_alloc_or_unsafe() {
    let code = code();
    let (_, lib) = code.iter().find(|(path, _)| path.ends_with("lib.rs")).unwrap();
    for attribute in ["#![no_std]", "#![forbid(unsafe_code)]"] {
        assert!(lib.contains(attribute), "{attribute}");
    }
    for (path, text) in &code {
        for word in ["extern crate", "alloc::", "std::", "unsafe "] {
            assert!(!text.contains(word), "{word} in {}", path.display());
        }
    }
}

#[test]
fn modules_name_each_other_by_super() {
    for (path, text) in code() {
        assert!(!text.contains("crate::") && !text.contains("l2tp_data"), "{}", path.display());
    }
}
