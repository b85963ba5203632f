//! The rules of `l2tp-data` put together as a driver does it, around one frame and without any I/O.
#![forbid(unsafe_code)]

pub use ol2tp::bench::rules::*;
