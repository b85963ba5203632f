//! The L2TP control connection of RFC 2661, both roles, as a pure state machine.
//!
//! An [`Endpoint`] has neither sockets nor a clock: its caller gives it datagrams and the time, and takes
//! datagrams and events from it.
//!
//! ```
//! use std::time::Duration;
//!
//! use l2tp_control::config::{Config, Policy};
//! use l2tp_control::wire::Message;
//! use l2tp_control::{Connect, Endpoint, Instant, Path};
//!
//! let seed = [7; 32]; // To be taken from the operating system's generator.
//! let now = Instant::from_micros(0);
//! let mut lac = Endpoint::new(Config::default(), seed);
//! let path = Path { socket: 0, local: None, peer: "192.0.2.1:1701".parse().unwrap() };
//! let tunnel = lac.connect(now, Connect { path, policy: Policy::default().into() })?;
//!
//! let mut buffer = vec![0; Message::MAX];
//! while let Some(transmit) = lac.poll_transmit(now, &mut buffer) {
//!     // Here `buffer[..transmit.len]` goes to `transmit.path.peer`: the SCCRQ.
//!     assert_eq!(transmit.path, path);
//! }
//! while let Some(event) = lac.poll_event() {
//!     println!("{event}");
//! }
//! // It waits for a datagram, or until the SCCRQ goes again.
//! assert_eq!(lac.poll_timeout(), Some(now + Duration::from_secs(1)));
//! # Ok::<(), l2tp_control::error::Misuse>(())
//! ```

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
pub mod timers;
mod tunnel;
pub mod wire;

pub use endpoint::{Connect, Endpoint, Transmit};
pub use event::{
    By, Cause, Connected, Event, Incoming, Outgoing, Path, PeerInfo, PppCause, Proxy, Q931, Reason, Request,
};
pub use l2tp_data::time::Instant;
pub use tunnel::State as TunnelState;
