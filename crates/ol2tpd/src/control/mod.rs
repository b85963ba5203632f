//! The control API: JSON lines over a Unix socket, one request a line, one reply a line.
//!
//! ```text
//!  {"show":"sessions"}                                       {"ok":{"sessions":[…]}}
//!  {"set":{"tunnel_id":1,"session_id":1,"send_seq":1}}       {"ok":{}}
//!  {"set":{"tunnel_id":9,"debug":2}}                         {"error":{"errno":"ENOENT","message":"…"}}
//!  {"disconnect":{"user":"anna"}}                            {"ok":{}}
//!  "events"                                                  {"ok":{}}, then a line for each event
//! ```
//!
//! The socket belongs to its user alone (mode 0600).

use std::path::PathBuf;

use crate::error::{Error, Result};

mod client;
mod listener;
mod message;
mod server;
mod view;

pub use client::Client;
pub use listener::Listener;
pub use message::{Disconnect, Failure, Reply, Request, Set, What};
pub use view::{
    ControlView, DriverView, PoolView, PppView, Report, SessionView, SocketView, TunnelView, UserView,
};

pub(crate) use server::{Context, Handler, Server, apply, failure};

/// Where the control socket is unless told otherwise: `/run/ol2tp/ol2tp.sock` for root, else
/// `$XDG_RUNTIME_DIR/ol2tp.sock`.
///
/// Errors: an ordinary user without `XDG_RUNTIME_DIR`.
pub fn default_path() -> Result<PathBuf> {
    if nix::unistd::geteuid().is_root() {
        return Ok("/run/ol2tp/ol2tp.sock".into());
    }
    match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(directory) if !directory.is_empty() => Ok(PathBuf::from(directory).join("ol2tp.sock")),
        _ => Err(Error::Control(
            "no place for the control socket: XDG_RUNTIME_DIR is not set; give --socket PATH".into(),
        )),
    }
}
