//! The driver behaves as `docs/driver.md` says: one test per row, each with its section there.
//!
//! The rows go through the driver's socket interface and real datagrams, so that every home of the
//! driver can be held against them. Rows that need an interface run in a network namespace of their
//! own; they are in modules called `netns`, and need root and /dev/net/tun.

// A failure's output says where in a test it was.
#![allow(clippy::print_stdout)]

#[path = "../common/mod.rs"]
mod common;
mod world;

mod close;
mod connect;
mod debug;
mod frames;
mod headers;
mod ioctls;
mod options;
mod pass_up;
mod proc_text;
mod sequence;
mod units;

/// Writes one `#[test]` per row: its name, the section, what is there before, and the steps. It takes
/// the `run` that is in scope.
macro_rules! rows {
    ($($name:ident $section:literal $from:ident [$($step:expr),* $(,)?];)*) => {
        $(
            #[test]
            fn $name() {
                run($section, $from, &[$($step),*]);
            }
        )*
    };
}
use rows;
