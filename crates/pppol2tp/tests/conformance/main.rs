//! The driver behaves as `docs/driver.md` says: one test per row, each with its section there.
//!
//! The rows are data. They go through the driver's socket interface and real datagrams, so that every home of
//! the driver is held against them; OL2TP_HOME says which (`home`). Where a home differs, the row says so, and
//! so does `docs/driver.md`. What is for home `user` only has `user` in its path. What needs an interface runs in
//! a network namespace of its own, has `netns` in its path, and needs root and /dev/net/tun.

// A failure's output says where in a test it was.
#![allow(clippy::print_stdout)]
#![deny(unsafe_code)]

#[path = "../common/mod.rs"]
mod common;
mod home;
mod step;
mod world;

mod close;
mod connect;
mod differences;
mod frames;
mod headers;
mod interface;
mod ioctls;
mod options;
mod pass_up;
mod sequence;
mod units;
mod user;

/// Writes one `#[test]` per row: its name, the section, what is there before, and the steps. It takes
/// the `run` that is in scope.
macro_rules! rows {
    ($($name:ident $section:literal $from:ident $steps:expr;)*) => {
        $(
            #[test]
            fn $name() {
                run($section, $from, &Vec::from($steps));
            }
        )*

        /// The steps of all rows here.
        pub(crate) fn steps() -> Vec<crate::step::Step> {
            [$($from(), Vec::from($steps)),*].concat()
        }
    };
}
use rows;
