//! PPP (RFC 1661), both sides, as a pure state machine: no socket, no clock, no randomness of its own.
//!
//! ```text
//!  open ─► Dead ─► Establish ──► Authenticate ──► Network ──► Terminate ─► Dead ─► Event::Down
//!                   LCP            PAP, CHAP,       IPCP,        LCP
//!                                  MS-CHAPv2, EAP   IPV6CP
//!
//!  frames ──────► handle_frame ──┐               ┌──► poll_transmit ─► frames
//!  clock ───────► handle_timeout ┼──►  Link  ────┼──► poll_event ────► what has happened
//!  the caller ──► open, network, ┘               └──► poll_timeout ──► when to come back
//!                 authenticated, close
//! ```
//!
//! One mutation, then drain: after each call of a method that takes `&mut self`, fetch all frames
//! ([`Link::poll_transmit`]) and all events ([`Link::poll_event`]), then ask when to come back
//! ([`Link::poll_timeout`]).
//!
//! A frame starts with its protocol; FF 03 in front of it is the driver's affair.

#![forbid(unsafe_code)]

pub mod auth;
pub mod automaton;
pub mod config;
mod echo;
mod event;
mod ipcp;
mod ipv6cp;
mod lcp;
mod link;
mod ncp;
mod negotiation;
mod output;
pub mod packet;
mod protocol;
mod proxy;
mod random;
mod words;

pub use auth::{Proof, RejectCode, Request, Secret, Verdict};
pub use config::{Config, Method};
pub use event::{By, Counters, Event, Mismatch, Phase, Reason, Timer, Why};
pub use l2tp_data::time::Instant;
pub use link::Link;
pub use protocol::Protocol;
pub use words::describe;
