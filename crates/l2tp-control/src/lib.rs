//! The L2TP control connection of RFC 2661, both roles, as a pure state machine.

#![forbid(unsafe_code)]

mod admission;
pub mod auth;
pub mod call;
pub mod config;
mod convert;
mod endpoint;
pub mod error;
mod event;
pub mod ids;
#[cfg(feature = "record")]
pub mod record;
pub mod reliable;
mod time;
pub mod timers;
mod tunnel;
pub mod wire;

pub use endpoint::{Connect, Endpoint, Transmit};
pub use event::{
    By, Cause, Connected, Event, Incoming, Outgoing, Path, PeerInfo, PppCause, Proxy, Q931, Reason, Request,
};
pub use time::Instant;
pub use tunnel::State as TunnelState;
