//! The command: what it is told, and what it does between two network namespaces.

mod cli;
mod netns_bed;
mod netns_command;
mod replay;
