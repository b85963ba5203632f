//! ol2tp beside other people's programs.
#![forbid(unsafe_code)]

pub mod tshark;
