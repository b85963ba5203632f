//! The command `ol2tp`, and the test bed that its demo, its benchmarks and the project's tests share.
//!
//! ```text
//!   Bed:    Space left ═══ veth ═══ Space right          network namespaces without a name
//!             │                        │
//!   End:    `ol2tp static` ── L2TP ── `ol2tp static`     child processes
//!             │                        │
//!   load:   sender ──────────────────► receiver          threads of this process
//! ```
#![forbid(unsafe_code)]

pub mod args;
pub mod bed;
pub mod bench;
pub mod can;
pub mod commands;
pub mod demo;
pub mod end;
pub mod exit;
pub mod interrupt;
pub mod load;
pub mod output;
pub mod ping;
pub mod tunnel;
