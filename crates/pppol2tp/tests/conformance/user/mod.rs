//! For home `user` only.

mod close;
mod counters;
mod debug;
mod management;
mod proc_text;
mod queue;
mod units;
