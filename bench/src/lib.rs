//! What benchmarks and allocation tests measure: the rules of `l2tp-data` put together as a driver does it,
//! and the control protocol, both without any I/O.
#![forbid(unsafe_code)]

pub mod control;
pub mod endpoints;

pub use ol2tp::bench::rules::*;
