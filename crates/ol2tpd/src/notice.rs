//! What happens, for people and programs that watch: the event stream, and the progress of `connect`.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

/// Something that has happened. Ids are those that we assigned.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Notice {
    /// The daemon has begun, with this driver.
    Driver {
        /// Its name: `user` or `linux`.
        name: String,
        /// Why it is that one.
        why: String,
    },
    /// Peers can open tunnels here.
    Listening {
        /// The UDP socket's address.
        local: SocketAddr,
    },
    /// A connection of ours has begun a step.
    Step {
        /// Its name.
        connection: String,
        /// The step.
        step: Step,
        /// What is done, for people.
        text: String,
    },
    /// A connection of ours could not be made, or was lost.
    Failed {
        /// Its name.
        connection: String,
        /// The step it was in.
        step: Step,
        /// Which kind of failure it is.
        failure: Failed,
        /// Why, and what to do.
        why: String,
        /// Seconds until the next try; `None`: it was the last.
        retry: Option<f64>,
    },
    /// A tunnel is established.
    TunnelUp {
        /// Our tunnel id.
        tunnel_id: u16,
        /// The peer's.
        peer_tunnel_id: u16,
        /// Where the peer is.
        peer: SocketAddr,
        /// Its Host Name.
        host_name: String,
        /// Its Vendor Name.
        vendor_name: String,
        /// Whether it has proved that it knows the secret.
        authenticated: bool,
    },
    /// A tunnel has ended, with all of its sessions.
    TunnelDown {
        /// Our tunnel id.
        tunnel_id: u16,
        /// Where the peer was.
        peer: Option<SocketAddr>,
        /// Why.
        why: String,
    },
    /// A call is connected; PPP begins.
    CallUp {
        /// Our tunnel id.
        tunnel_id: u16,
        /// Our session id.
        session_id: u16,
        /// The peer's session id.
        peer_session_id: u16,
    },
    /// The peer has words for its user: with its consent to his password, or as a notification.
    Says {
        /// Our tunnel id.
        tunnel_id: u16,
        /// Our session id.
        session_id: u16,
        /// The words.
        text: String,
    },
    /// Network frames can flow.
    SessionUp {
        /// Our tunnel id.
        tunnel_id: u16,
        /// Our session id.
        session_id: u16,
        /// The user: who is at the other end, if the peer said, or who we are to the peer.
        user: Option<String>,
        /// The interface.
        interface: String,
        /// Its MTU in bytes.
        mtu: u16,
        /// Our address.
        local: IpAddr,
        /// The address at the other end.
        remote: IpAddr,
        /// Name servers that the peer told us of.
        dns: Vec<IpAddr>,
    },
    /// A session of ours has got an address by router advertisements, or the time of one is up.
    Addresses {
        /// Our tunnel id.
        tunnel_id: u16,
        /// Our session id.
        session_id: u16,
        /// The interface.
        interface: String,
        /// All addresses that it has by them now.
        addresses: Vec<IpAddr>,
    },
    /// This machine's resolver has been told of a session's name servers; it takes that back at its end.
    NameServers {
        /// The session's interface.
        interface: String,
        /// The name servers.
        servers: Vec<IpAddr>,
        /// In which way: `resolved`, `resolvconf` or `file`.
        by: String,
    },
    /// Something on this machine is hardly as it is wanted.
    Hint {
        /// What, and what to do.
        text: String,
    },
    /// How long the server took to answer, of a session of ours.
    RoundTrip {
        /// Our tunnel id.
        tunnel_id: u16,
        /// Our session id.
        session_id: u16,
        /// Microseconds.
        microseconds: u64,
    },
    /// A call has ended, whether or not it was ever up.
    SessionDown {
        /// Our tunnel id.
        tunnel_id: u16,
        /// Our session id.
        session_id: u16,
        /// The user, as in [`SessionUp`](Self::SessionUp).
        user: Option<String>,
        /// Why.
        why: String,
        /// Seconds since it was placed or offered.
        seconds: f64,
        /// Bytes received.
        rx_bytes: u64,
        /// Bytes sent.
        tx_bytes: u64,
    },
    /// A control message or PPP frame, if they are traced.
    Message {
        /// Whether we sent it.
        sent: bool,
        /// What it is, in words.
        text: String,
    },
    /// The configuration was read again.
    Reloaded,
    /// All tunnels are being closed.
    ShuttingDown,
    /// The reader of this stream was too slow.
    Missed {
        /// How many notices it missed.
        missed: u64,
    },
}

/// What a connection does, in this order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Looking up the host's addresses.
    Resolve,
    /// Opening the tunnel: SCCRQ, SCCRP, SCCCN.
    Tunnel,
    /// Placing the call: ICRQ, ICRP, ICCN.
    Call,
    /// Negotiating the link: LCP.
    Link,
    /// Proving who we are: PAP, CHAP, MS-CHAPv2, EAP.
    Authentication,
    /// Agreeing on addresses: IPCP, IPV6CP.
    Network,
    /// Addresses, routes and name servers of the interface.
    Configure,
    /// Up.
    Up,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "looking up the host",
            Self::Tunnel => "opening the tunnel",
            Self::Call => "placing the call",
            Self::Link => "negotiating the link (LCP)",
            Self::Authentication => "authenticating",
            Self::Network => "agreeing on addresses",
            Self::Configure => "configuring the interface",
            Self::Up => "being connected",
        })
    }
}

/// Kinds of failure, each with an exit code of `ol2tp connect`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failed {
    /// The host's name has no address.
    Resolve,
    /// The peer does not answer.
    Silence,
    /// Tunnel authentication failed: wrong or missing secret.
    Secret,
    /// The peer refused the tunnel or the call, or PPP could not agree.
    Refused,
    /// Name or password is wrong.
    Password,
    /// No address was to be had.
    Address,
    /// It was up, and the peer stopped answering.
    Lost,
    /// It was up, and the peer ended it.
    Ended,
    /// Something on this machine: a permission, an interface, a route.
    Local,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Driver { name, why } => write!(f, "driver {name}: {why}"),
            Self::Listening { local } => write!(f, "listening on {local}"),
            Self::Step { connection, text, .. } => write!(f, "{connection}: {text}"),
            Self::Failed { connection, step, why, retry, .. } => {
                write!(f, "{connection}: failed while {step}: {why}")?;
                match retry {
                    Some(seconds) => write!(f, "; next try in {seconds:.0} s"),
                    None => Ok(()),
                }
            }
            Self::TunnelUp { tunnel_id, peer, host_name, authenticated, .. } => {
                let proved = if *authenticated { ", authenticated" } else { "" };
                write!(f, "tunnel {tunnel_id} up, to {host_name} at {peer}{proved}")
            }
            Self::TunnelDown { tunnel_id, why, .. } => write!(f, "tunnel {tunnel_id} down: {why}"),
            Self::CallUp { tunnel_id, session_id, .. } => {
                write!(f, "session {tunnel_id}/{session_id} connected, PPP begins")
            }
            Self::Says { tunnel_id, session_id, text } => {
                write!(f, "session {tunnel_id}/{session_id}: the peer says \"{text}\"")
            }
            Self::SessionUp { tunnel_id, session_id, user, interface, mtu, local, remote, .. } => {
                write!(f, "session {tunnel_id}/{session_id} up")?;
                if let Some(user) = user {
                    write!(f, ", user {user}")?;
                }
                write!(f, ", {interface} {local} to {remote}, MTU {mtu}")
            }
            Self::Addresses { interface, addresses, .. } => {
                write!(f, "addresses of {interface} by router advertisements: {}", words(addresses))
            }
            Self::NameServers { interface, servers, by } => {
                write!(f, "name servers of {interface} are in use: {} (by {by})", words(servers))
            }
            Self::Hint { text } => f.write_str(text),
            Self::RoundTrip { tunnel_id, session_id, microseconds } => {
                write!(f, "session {tunnel_id}/{session_id}: the peer answered after {microseconds} µs")
            }
            Self::SessionDown { tunnel_id, session_id, user, why, seconds, rx_bytes, tx_bytes } => {
                write!(f, "session {tunnel_id}/{session_id} down")?;
                if let Some(user) = user {
                    write!(f, ", user {user}")?;
                }
                write!(f, ": {why}; {seconds:.0} s, {rx_bytes} bytes in, {tx_bytes} bytes out")
            }
            Self::Message { sent, text } => write!(f, "{} {text}", if *sent { '>' } else { '<' }),
            Self::Reloaded => f.write_str("configuration read again"),
            Self::ShuttingDown => f.write_str("closing all tunnels"),
            Self::Missed { missed } => write!(f, "{missed} events were missed: the reader was too slow"),
        }
    }
}

/// Addresses one behind the other.
fn words(addresses: &[IpAddr]) -> String {
    let words: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    if words.is_empty() { "none".into() } else { words.join(" ") }
}
