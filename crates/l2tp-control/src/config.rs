//! What an endpoint is told about itself, about its peers, and about its limits.

use core::net::IpAddr;
use core::time::Duration;
use std::sync::Arc;

use super::auth::Secret;
use super::reliable::{MAX_WINDOW, Timing};
use super::wire::{Bearer, Framing, Leniencies, OtherAvps};

/// An endpoint's configuration.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub struct Config {
    /// Our Host Name AVP.
    pub host_name: Box<str>,
    /// Our Vendor Name AVP; not sent if empty.
    pub vendor_name: Box<str>,
    /// Our Firmware Revision AVP.
    pub firmware_revision: u16,
    /// Our Framing Capabilities AVP.
    pub framing: Framing,
    /// Our Bearer Capabilities AVP.
    pub bearer: Bearer,
    /// Who may open a tunnel to us: the first rule that fits a peer counts; who fits none is refused.
    pub peers: Vec<PeerRule>,
    /// What is refused.
    pub limits: Limits,
}

impl Default for Config {
    /// Nobody may open a tunnel.
    fn default() -> Self {
        Self {
            host_name: "ol2tp".into(),
            vendor_name: "ol2tp".into(),
            firmware_revision: 1,
            framing: Framing::ALL,
            bearer: Bearer::ALL,
            peers: Vec::new(),
            limits: Limits::default(),
        }
    }
}

/// Which peers a policy is for.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub struct PeerRule {
    /// The peer's Host Name AVP; `*` stands for any octets, `?` for one. The name tells the secret, so it
    /// cannot be hidden (RFC 2661 §4.4.3): who hides it fits only a rule for all names, and is refused if
    /// the name, once revealed, belongs to another rule.
    pub host_name: Box<str>,
    /// The network that the peer's address is in.
    pub network: Option<Network>,
    /// How to deal with it.
    pub policy: Arc<Policy>,
}

impl PeerRule {
    /// Everybody.
    pub fn anyone(policy: Policy) -> Self {
        Self { host_name: "*".into(), network: None, policy: Arc::new(policy) }
    }

    /// Whether the rule is for this peer.
    pub fn fits(&self, host_name: &[u8], address: IpAddr) -> bool {
        self.network.is_none_or(|network| network.contains(address))
            && matches(self.host_name.as_bytes(), host_name)
    }
}

/// An address with the bits that count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub struct Network {
    /// Any address in it.
    pub address: IpAddr,
    /// How many leading bits count.
    pub bits: u8,
}

impl Network {
    /// Whether the address is in the network. IPv4 in IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let same = |ours: u128, theirs: u128, width: u32| {
            let rest = width.saturating_sub(self.bits.into());
            (ours ^ theirs).checked_shr(rest).unwrap_or(0) == 0
        };
        match (self.address.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                same(ours.to_bits().into(), theirs.to_bits().into(), 32)
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => same(ours.to_bits(), theirs.to_bits(), 128),
            _ => false,
        }
    }
}

/// Whether a pattern of octets, `*` and `?` fits, without recursion.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&octet) if octet == b'?' || octet.eq_ignore_ascii_case(&text[t]) => (p, t) = (p + 1, t + 1),
            _ => match &mut star {
                Some((at, from)) => {
                    *from += 1;
                    (p, t) = (*at + 1, *from);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|octet| *octet == b'*')
}

/// How to deal with a peer.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub struct Policy {
    /// The secret shared with it. Answers its challenge, reveals its hidden AVPs.
    pub secret: Option<Secret>,
    /// Whether it has to prove that it knows the secret (RFC 2661 §5.1.1). Windows and most phones
    /// cannot. Without a secret no tunnel comes up.
    pub challenge: bool,
    /// Whether AVPs are hidden from third parties once the peer has proved that it knows the secret
    /// (RFC 2661 §4.3).
    pub hide: bool,
    /// How long nothing may go by, neither control nor data, in neither direction, before a HELLO asks
    /// for a sign of life (RFC 2661 §5.5); four times as long if only we send. `None`: never.
    pub hello: Option<Duration>,
    /// How often a HELLO is sent again before the peer is given up, unless data has come meanwhile.
    pub hello_retransmissions: u8,
    /// How often an SCCRP is sent again to a peer that acknowledges nothing, unless its SCCRQ comes again:
    /// the address may be forged, and whoever has it shall not get much for one datagram.
    pub sccrp_retransmissions: u8,
    /// Our Receive Window Size AVP, 1 to 32768.
    pub receive_window: u16,
    /// Whether an SCCRQ of ours has a Tie Breaker AVP: there shall be one tunnel, whoever opens it.
    pub tie_breaker: bool,
    /// Whether Bearer Capabilities are sent. H3C refuses them.
    pub bearer_capabilities: bool,
    /// AVPs of vendors and of other documents that our SCCRQ or SCCRP has beside those of RFC 2661.
    pub other_avps: OtherAvps,
    /// How long the peer may take from the first message to an established tunnel or session.
    pub setup: Duration,
    /// Whether the tunnel is closed when its last session has ended, after how long.
    pub empty: Option<Duration>,
    /// Retransmission.
    pub timing: Timing,
    /// What is forgiven.
    pub leniencies: Leniencies,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            secret: None,
            challenge: false,
            hide: false,
            hello: Some(Duration::from_secs(60)),
            hello_retransmissions: Timing::DEFAULT.retransmissions,
            sccrp_retransmissions: 2,
            receive_window: 16,
            tie_breaker: true,
            bearer_capabilities: true,
            other_avps: OtherAvps::default(),
            setup: Duration::from_secs(60),
            empty: None,
            timing: Timing::DEFAULT,
            leniencies: Leniencies::LIBERAL,
        }
    }
}

impl Policy {
    /// Our Receive Window Size as it is sent.
    pub(crate) fn window(&self) -> u16 {
        self.receive_window.clamp(1, MAX_WINDOW)
    }
}

/// What is refused, so that nobody can use us up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub struct Limits {
    /// Tunnels, those that are being set up included.
    pub tunnels: usize,
    /// Those that one source has opened: an IPv4 address, or an IPv6 network of 64 bits.
    pub tunnels_per_source: usize,
    /// Sessions of one tunnel.
    pub sessions_per_tunnel: usize,
    /// Sessions of all tunnels.
    pub sessions: usize,
    /// Calls that peers have begun from one source, and that nobody has
    /// [proved](super::Endpoint::proven) to be genuine; `None` for a caller that does not tell. Those of a
    /// peer that has proved that it knows the secret do not count.
    pub unproven_calls_per_source: Option<usize>,
    /// Tunnels that peers have begun to open.
    pub half_open: usize,
    /// The same from one source.
    pub half_open_per_source: usize,
    /// SCCRQs, and other messages without a tunnel that are answered, a second from one source.
    pub requests_per_source: u32,
    /// The same in all.
    pub requests: u32,
    /// Messages queued for one peer. While there are so many its requests for calls are not taken, so
    /// that it sends them again later.
    pub backlog: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            tunnels: 60_000,
            tunnels_per_source: 4096,
            sessions_per_tunnel: 60_000,
            sessions: 1_000_000,
            unproven_calls_per_source: None,
            half_open: 4096,
            half_open_per_source: 256,
            requests_per_source: 50,
            requests: 20_000,
            backlog: 4096,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_fit_patterns() {
        let rows: [(&str, &str, bool); 10] = [
            ("*", "", true),
            ("lac*", "LAC-7.example", true),
            ("lac?", "lac77", false),
            ("lac?", "lac7", true),
            ("*.example", "a.example.example", true),
            ("*.example", "a.example.org", false),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("", "x", false),
            ("***", "x", true),
        ];
        for (pattern, name, fits) in rows {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn addresses_are_in_networks() {
        let rows = [
            ("10.1.0.0", 16, "10.1.2.3", true),
            ("10.1.0.0", 16, "10.2.2.3", false),
            ("0.0.0.0", 0, "10.2.2.3", true),
            ("0.0.0.0", 0, "fd00::1", false),
            ("10.1.2.3", 32, "::ffff:10.1.2.3", true),
            ("fd00::", 8, "fd77::1", true),
            ("::", 0, "fd77::1", true),
            ("fd00::1", 128, "fd00::2", false),
        ];
        for (network, bits, address, inside) in rows {
            let network = Network { address: network.parse().unwrap(), bits };
            assert_eq!(network.contains(address.parse().unwrap()), inside, "{network:?} {address}");
        }
    }
}
