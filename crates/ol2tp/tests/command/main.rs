//! The command: what it is told, and what it does between two network namespaces.

mod check;
mod cli;
mod home;
mod netns_all_end;
mod netns_bed;
mod netns_command;
mod netns_connect;
mod netns_driver;
mod netns_early;
mod netns_limits;
mod netns_lost;
mod netns_many;
mod netns_moves;
mod netns_proxy;
mod netns_readdressed;
mod netns_refusals;
mod netns_remote;
mod netns_renegotiates;
mod netns_restores;
mod netns_waits;
mod replay;
mod vpn;
