//! What an L2TP *data message* means: one set of rules for every home of the PPPoL2TP driver.
//!
//! ```text
//!  datagram ─► header::Datagram ─► Control / not ours      → the owner of the UDP socket
//!                    │ Data
//!                    ▼
//!              session table (the caller's)
//!                    ▼
//!              session::Receive ─► Deliver │ Hold (reorder) │ Discard(reason)
//!                    ▼
//!              frame::Frame ─► IPv4, IPv6 → interface │ Control → whoever runs PPP
//! ```
//!
//! Everything here is a decision or a layout. Sockets, buffers, clocks, tables and counters belong
//! to the caller; time is a `u64` of microseconds from any fixed origin, or a [`time::Instant`].
//!
//! Modules name each other by `super::`, never by `crate::`, so that a kernel module can include
//! them unchanged.
#![no_std]
#![forbid(unsafe_code)]

pub mod debug;
pub mod frame;
pub mod header;
pub mod id;
pub mod proc;
pub mod reorder;
pub mod rules;
pub mod session;
pub mod stats;
pub mod time;
