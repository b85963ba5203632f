//! What goes over the control socket.

use pppol2tp::SocketOption;
use serde::{Deserialize, Serialize};

use super::view::Report;

/// A request: `{"show":"tunnels"}`, `{"set":{…}}`, `{"disconnect":{"user":"anna"}}` or `"events"`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Options, state and counters.
    Show(What),
    /// `setsockopt`.
    Set(Set),
    /// Ends tunnels or sessions.
    Disconnect(Disconnect),
    /// Turns the connection into a stream of [`Notice`](crate::Notice)s, one a line, until it ends.
    Events,
}

/// What to end: all that fits everything that is given. Nothing given is an error.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disconnect {
    /// A tunnel with all of its sessions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tunnel_id: Option<u16>,
    /// One of that tunnel's sessions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<u16>,
    /// All sessions of a user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The session on an interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// Everything.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
}

/// What to show.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Tunnels, sessions and sockets.
    All,
    /// Tunnels, newest first.
    Tunnels,
    /// Sessions, tunnel by tunnel.
    Sessions,
    /// UDP sockets with their offloads.
    Sockets,
    /// Users with their sessions.
    Users,
    /// Address pools, and how much of them is taken.
    Pools,
    /// The text of `/proc/net/pppol2tp`.
    Proc,
}

/// Socket options to set, with the kernel's values: the driver's rules check them. Without a
/// session id they are the tunnel's.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Set {
    /// The tunnel.
    pub tunnel_id: u16,
    /// One of its sessions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<u16>,
    /// Mask of debug messages: 1 debug, 2 control, 4 seq, 8 data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub debug: Option<i32>,
    /// 1: drop data messages without sequence numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recv_seq: Option<i32>,
    /// 1: send sequence numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send_seq: Option<i32>,
    /// 0: LAC, 1: LNS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lns_mode: Option<i32>,
    /// Milliseconds that a gap is waited for; 0: no reordering.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reorder_timeout: Option<i32>,
}

impl Set {
    /// The options that are given, in the order in which they are set.
    pub fn options(&self) -> impl Iterator<Item = (&'static str, SocketOption, i32)> {
        [
            ("debug", SocketOption::Debug, self.debug),
            ("recv_seq", SocketOption::RecvSeq, self.recv_seq),
            ("send_seq", SocketOption::SendSeq, self.send_seq),
            ("lns_mode", SocketOption::LnsMode, self.lns_mode),
            ("reorder_timeout", SocketOption::ReorderTo, self.reorder_timeout),
        ]
        .into_iter()
        .filter_map(|(name, option, value)| value.map(|value| (name, option, value)))
    }
}

/// A reply.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// It was done; what was asked for is in it.
    Ok(Box<Report>),
    /// It was not.
    Error(Failure),
}

/// Why a request failed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// The errno's symbol, for example `"EINVAL"`.
    pub errno: String,
    /// A sentence for people.
    pub message: String,
}
