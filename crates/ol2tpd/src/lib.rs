//! The daemon, as a library; the only room with tokio.
//!
//! ```text
//!  static_session::open ──► Sockets ──► serve::run ──► until a signal, or until the interface is gone
//!                                           ▲
//!  control::Client ── JSON lines ── Unix socket
//! ```
#![forbid(unsafe_code)]

pub mod accounts;
pub mod advert;
pub mod config;
pub mod control;
pub mod descriptors;
pub mod error;
pub mod hooks;
pub mod notice;
pub mod notify;
pub mod pool;
pub mod privileges;
pub mod resolver;
pub mod routes;
pub mod serve;
pub mod server;
pub mod shared_sessions;
pub mod sockets;
pub mod static_session;
pub mod usable;

mod ignored;

pub use error::{Error, Result};
pub use notice::Notice;
pub use sockets::Sockets;
