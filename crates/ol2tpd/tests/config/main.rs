//! The configuration: what a file means, and what is told of one that makes no sense. Needs no root.

mod contradictions;
mod defaults;
mod files;
mod flags;
mod folder;
mod inheritance;
mod manual;
mod mistakes;
mod settings;

use std::path::Path;

use ol2tpd::config::{Loaded, Settings};

/// What is told of a text, a line each, without the file's name.
fn told(text: &str) -> Vec<String> {
    let problems = match Settings::parse(Path::new("f"), text) {
        Ok(Loaded { warnings, .. }) => warnings,
        Err(problems) => problems,
    };
    problems.0.iter().map(|problem| problem.to_string().trim_start_matches("f:").to_owned()).collect()
}

/// The settings of a text with which nothing is wrong.
fn settings(text: &str) -> Settings {
    match Settings::parse(Path::new("f"), text) {
        Ok(Loaded { settings, warnings }) => {
            assert_eq!(warnings.0, [], "{text}");
            settings
        }
        Err(problems) => panic!("{problems}"),
    }
}

/// Something that makes sense by itself: a peer and a user.
const SOUND: &str = "[peer.a]\nlocal-address = '10.0.0.1'\n[[user]]\nname = 'u'\npassword = 'p'\n";
