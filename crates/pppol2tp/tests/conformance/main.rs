//! The driver behaves as its specification says: one test per row, each named by its section.
//!
//! The rows go through the driver's socket interface and real datagrams, so that every home of the
//! driver can be held against them. Rows that need an interface run in a network namespace of their
//! own; they are in modules called `netns`, and need root and /dev/net/tun.

#[path = "../common/mod.rs"]
mod common;
mod world;

mod connect;
mod frames;
mod headers;
mod ioctls;
mod options;
mod pass_up;
mod sequence;

/// Writes one `#[test]` per row: its name, the section, what is there before, and the steps.
macro_rules! rows {
    ($($name:ident $section:literal $from:ident [$($step:expr),* $(,)?];)*) => {
        $(
            #[test]
            fn $name() {
                crate::world::run($section, $from, &[$($step),*]);
            }
        )*
    };
}
use rows;
