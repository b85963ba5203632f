//! The command `ol2tp`, and the test bed that its demo, its benchmarks and the project's tests share.
//!
//! ```text
//!   Bed:    Space left ═══ veth ═══ Space right          network namespaces without a name
//!             │                        │
//!   End:    `ol2tp connect` ─ L2TP ── `ol2tp serve`      child processes
//!             │                        │
//!   load:   sender ──────────────────► receiver          threads of this process
//! ```
#![forbid(unsafe_code)]

pub mod args;
pub mod bed;
pub mod bench;
pub mod can;
pub mod check;
pub mod clients;
pub mod commands;
pub mod connect;
pub mod daemon;
pub mod demo;
pub mod end;
pub mod exit;
pub mod flood;
pub mod interrupt;
pub mod load;
pub mod output;
pub mod password;
pub mod ping;
pub mod serve;
pub mod show;
pub mod tunnel;
pub mod units;
