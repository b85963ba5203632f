//! What `show` tells. Keys are the kernel's field names.

use std::net::IpAddr;

use pppol2tp::{Driver, SessionInfo, SocketInfo, TunnelInfo};
use serde::{Deserialize, Serialize};

use super::message::What;

/// What was asked for.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// The driver, with its sockets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<DriverView>,
    /// Tunnels, newest first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tunnels: Option<Vec<TunnelView>>,
    /// Sessions, tunnel by tunnel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions: Option<Vec<SessionView>>,
    /// UDP sockets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sockets: Option<Vec<SocketView>>,
    /// Users, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<Vec<UserView>>,
    /// Address pools, by family and name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pools: Option<Vec<PoolView>>,
    /// The text of `/proc/net/pppol2tp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proc: Option<String>,
}

/// Which driver moves the frames.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DriverView {
    /// `user` or `linux`.
    pub name: String,
    /// Why it is that one.
    pub why: String,
}

/// What the control connection knows of a tunnel.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ControlView {
    /// Its state, by the RFC's name.
    pub state: String,
    /// The peer's Host Name.
    pub host_name: String,
    /// The peer's Vendor Name.
    pub vendor_name: String,
    /// The profile that is used for the peer.
    pub profile: String,
    /// Whether the peer has proved that it knows the secret.
    pub authenticated: bool,
    /// Seconds since it was established.
    pub seconds: u64,
    /// Control messages that were sent again.
    pub retransmissions: u64,
}

/// What PPP knows of a session.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct PppView {
    /// The phase, by the name of RFC 1661 §3.2.
    pub phase: String,
    /// The user: who is at the other end, if the peer said, or who we are to the peer.
    pub user: Option<String>,
    /// Our addresses.
    pub local: Vec<IpAddr>,
    /// The addresses at the other end.
    pub remote: Vec<IpAddr>,
    /// Calling Number.
    pub calling: Option<String>,
    /// Called Number.
    pub called: Option<String>,
    /// Seconds since the call was offered or placed.
    pub seconds: u64,
    /// Microseconds that the peer took to answer the last LCP echo that it has answered: one is sent when
    /// nothing else comes from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round_trip_us: Option<u64>,
}

/// A user.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct UserView {
    /// The name.
    pub user: String,
    /// Sessions, as tunnel and session id.
    pub sessions: Vec<(u16, u16)>,
    /// Addresses.
    pub addresses: Vec<IpAddr>,
    /// Bytes received of all of them.
    pub rx_bytes: u64,
    /// Bytes sent to all of them.
    pub tx_bytes: u64,
}

/// A pool of addresses, or of prefixes of 64 bits.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct PoolView {
    /// Its name.
    pub name: String,
    /// Whether it is of IPv6.
    pub ipv6: bool,
    /// How many sessions have one.
    pub taken: u64,
    /// How many there are.
    pub size: u64,
}

/// A tunnel.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TunnelView {
    /// Local tunnel id.
    pub tunnel_id: u16,
    /// Peer's tunnel id; 0 while not known.
    pub peer_tunnel_id: u16,
    /// Address of the UDP socket.
    pub local: String,
    /// The peer's address.
    pub peer: String,
    /// Debug mask.
    pub debug: u32,
    /// Sessions and open management sockets.
    pub references: usize,
    /// The control connection, unless the tunnel is static.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<ControlView>,
    /// Counters over all its sessions, past ones included, and `rx_foreign`.
    #[serde(with = "counters")]
    pub stats: Vec<(String, u64)>,
}

/// A session.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SessionView {
    /// Local tunnel id.
    pub tunnel_id: u16,
    /// Local session id.
    pub session_id: u16,
    /// Peer's tunnel id.
    pub peer_tunnel_id: u16,
    /// Peer's session id.
    pub peer_session_id: u16,
    /// The peer's address.
    pub peer: String,
    /// Whether a PPP unit is bound.
    pub bound: bool,
    /// The unit's interface.
    pub interface: Option<String>,
    /// The fast path: `on`, or why not all frames take it; missing where the driver has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fast: Option<String>,
    /// MTU of the interface.
    pub mtu: u16,
    /// The peer's MRU, or the MTU.
    pub mru: u16,
    /// RECVSEQ.
    pub recv_seq: bool,
    /// SENDSEQ.
    pub send_seq: bool,
    /// LNSMODE.
    pub lns_mode: bool,
    /// REORDERTO in milliseconds.
    pub reorder_timeout: u32,
    /// Debug mask.
    pub debug: u32,
    /// Next Ns expected.
    pub nr: u16,
    /// Next Ns to send.
    pub ns: u16,
    /// PPP, unless the session is static.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ppp: Option<PppView>,
    /// Counters.
    #[serde(with = "counters")]
    pub stats: Vec<(String, u64)>,
}

/// A UDP socket.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SocketView {
    /// Its address.
    pub local: String,
    /// Name of the set of offloads in use now.
    pub mode: String,
    /// Those offloads.
    pub offloads: Vec<String>,
    /// Counters.
    #[serde(with = "counters")]
    pub counters: Vec<(String, u64)>,
}

impl Report {
    /// What a driver knows, and why it is that one.
    pub(crate) fn new(what: What, driver: &dyn Driver, why: &str) -> Self {
        let snapshot = driver.snapshot();
        let mut report = Self::default();
        if matches!(what, What::All | What::Tunnels) {
            report.tunnels = Some(snapshot.tunnels.iter().map(TunnelView::from).collect());
        }
        if matches!(what, What::All | What::Sessions) {
            report.sessions = Some(snapshot.sessions.iter().map(SessionView::from).collect());
        }
        if matches!(what, What::All | What::Sockets) {
            report.sockets = Some(snapshot.sockets.iter().map(SocketView::from).collect());
            report.driver = Some(DriverView { name: driver.name().into(), why: why.into() });
        }
        if what == What::Proc {
            report.proc = Some(snapshot.proc().to_string());
        }
        report
    }
}

impl From<&TunnelInfo> for TunnelView {
    fn from(tunnel: &TunnelInfo) -> Self {
        let mut stats = owned(tunnel.stats.iter());
        stats.push(("rx_foreign".into(), tunnel.rx_foreign));
        Self {
            tunnel_id: tunnel.tunnel_id,
            peer_tunnel_id: tunnel.peer_tunnel_id,
            local: tunnel.local.to_string(),
            peer: tunnel.peer.to_string(),
            debug: tunnel.debug.0,
            references: tunnel.references,
            control: None,
            stats,
        }
    }
}

impl From<&SessionInfo> for SessionView {
    fn from(session: &SessionInfo) -> Self {
        Self {
            tunnel_id: session.ids.tunnel_id,
            session_id: session.ids.session_id,
            peer_tunnel_id: session.ids.peer_tunnel_id,
            peer_session_id: session.ids.peer_session_id,
            peer: session.peer.to_string(),
            bound: session.bound,
            interface: session.interface.clone(),
            fast: session.fast.as_ref().map(|fast| match fast {
                Ok(()) => "on".into(),
                Err(why) => why.clone(),
            }),
            mtu: session.mtu,
            mru: session.mru,
            recv_seq: session.recv_seq,
            send_seq: session.send_seq,
            lns_mode: session.lns_mode,
            reorder_timeout: session.reorder_timeout,
            debug: session.debug.0,
            nr: session.nr,
            ns: session.ns,
            ppp: None,
            stats: owned(session.stats.iter()),
        }
    }
}

impl From<&SocketInfo> for SocketView {
    fn from(socket: &SocketInfo) -> Self {
        let mode = socket.mode;
        let offloads = [
            ("vnet", mode.vnet),
            ("tso", mode.tso),
            ("uso", mode.uso),
            ("gso", mode.gso),
            ("gro", mode.gro),
            ("batch", mode.batch),
        ];
        Self {
            local: socket.local.to_string(),
            mode: mode.name().into(),
            offloads: offloads.into_iter().filter(|(_, on)| *on).map(|(name, _)| name.into()).collect(),
            counters: owned(socket.counters.iter().copied()),
        }
    }
}

fn owned(counters: impl Iterator<Item = (&'static str, u64)>) -> Vec<(String, u64)> {
    counters.map(|(name, value)| (name.into(), value)).collect()
}

/// Counters as an object whose keys keep their order.
mod counters {
    use std::fmt;

    use serde::de::{MapAccess, Visitor};
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(counters: &[(String, u64)], out: S) -> Result<S::Ok, S::Error> {
        out.collect_map(counters.iter().map(|(name, value)| (name, value)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<(String, u64)>, D::Error> {
        struct Counters;
        impl<'de> Visitor<'de> for Counters {
            type Value = Vec<(String, u64)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of counters")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut counters = Vec::new();
                while let Some(counter) = map.next_entry()? {
                    counters.push(counter);
                }
                Ok(counters)
            }
        }
        input.deserialize_map(Counters)
    }
}
