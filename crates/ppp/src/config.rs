//! What a link is told: about itself, and, once the peer is known, about the network.

use core::net::{Ipv4Addr, Ipv6Addr};
use core::num::NonZeroU64;
use core::time::Duration;
use core::{fmt, str};

use zeroize::Zeroizing;

use super::auth::Secret;
use super::protocol::Protocol;

/// The MRU that holds where none was negotiated (RFC 1661 §6.1).
pub const DEFAULT_MRU: u16 = 1500;

/// How a link negotiates LCP and authenticates. Many links share one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// The longest information field that we want to receive.
    pub mru: u16,
    /// Whether the peer is offered to compress the protocol field (RFC 1661 §6.5).
    pub pfc: bool,
    /// Whether the peer is offered to leave out FF 03 (RFC 1661 §6.6).
    pub acfc: bool,
    /// Whether we ask for a magic number, by which a looped link is noticed (RFC 1661 §6.4).
    pub magic: bool,
    /// How the peer may prove who it is, most wanted first; empty: it need not.
    pub require: Vec<Method>,
    /// How we prove who we are, most wanted first. Without [`credentials`](Self::credentials) never.
    pub accept: Vec<Method>,
    /// Who we are.
    pub credentials: Option<Credentials>,
    /// The name in our challenges.
    pub name: Box<str>,
    /// How often the peer has to prove itself again (CHAP); `None`: once.
    pub rechallenge: Option<Duration>,
    /// How a silent peer is noticed; `None`: not at all.
    pub echo: Option<Echo>,
    /// Restart timer and counters.
    pub timing: Timing,
    /// How long authentication may take, both ways together.
    pub authentication_time: Duration,
    /// Whether to wait for the peer's first Configure-Request instead of sending ours at once.
    pub passive: bool,
    /// What the LNS makes of what the LAC negotiated.
    pub proxy: ProxyPolicy,
}

impl Default for Config {
    /// Nobody has to prove anything.
    fn default() -> Self {
        Self {
            mru: DEFAULT_MRU,
            pfc: false,
            acfc: false,
            magic: true,
            require: Vec::new(),
            accept: vec![Method::MsChapV2, Method::ChapMd5, Method::Eap, Method::Pap],
            credentials: None,
            name: "ol2tp".into(),
            rechallenge: None,
            echo: Some(Echo::default()),
            timing: Timing::default(),
            authentication_time: Duration::from_secs(60),
            passive: false,
            proxy: ProxyPolicy::default(),
        }
    }
}

/// How an end proves who it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Method {
    /// The password itself (RFC 1334).
    Pap,
    /// CHAP with MD5 (RFC 1994).
    ChapMd5,
    /// Microsoft's CHAP, version 2 (RFC 2759).
    MsChapV2,
    /// EAP (RFC 3748): identity and MD5-Challenge, or whatever the server behind a relay speaks.
    Eap,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Pap, Self::ChapMd5, Self::MsChapV2, Self::Eap];

    /// The protocol that its packets belong to.
    pub const fn protocol(self) -> Protocol {
        match self {
            Self::Pap => Protocol::PAP,
            Self::ChapMd5 | Self::MsChapV2 => Protocol::CHAP,
            Self::Eap => Protocol::EAP,
        }
    }

    /// The value of LCP's Authentication-Protocol option (RFC 1661 §6.2).
    pub const fn option(self) -> &'static [u8] {
        match self {
            Self::Pap => &[0xc0, 0x23],
            Self::ChapMd5 => &[0xc2, 0x23, 5],
            Self::MsChapV2 => &[0xc2, 0x23, 0x81],
            Self::Eap => &[0xc2, 0x27],
        }
    }

    /// The method that such a value stands for.
    pub fn from_option(value: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.option() == value)
    }

    /// Its name in configuration files: `pap`, `chap`, `mschapv2`, `eap`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pap => "pap",
            Self::ChapMd5 => "chap",
            Self::MsChapV2 => "mschapv2",
            Self::Eap => "eap",
        }
    }
}

/// There is no method of that name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UnknownMethod;

impl fmt::Display for UnknownMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no such authentication method; there are pap, chap, mschapv2 and eap")
    }
}

impl core::error::Error for UnknownMethod {}

impl str::FromStr for Method {
    type Err = UnknownMethod;

    fn from_str(name: &str) -> Result<Self, UnknownMethod> {
        Self::ALL.into_iter().find(|method| method.name() == name).ok_or(UnknownMethod)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pap => "PAP",
            Self::ChapMd5 => "CHAP",
            Self::MsChapV2 => "MS-CHAPv2",
            Self::Eap => "EAP",
        })
    }
}

/// A user's name and password.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Credentials {
    /// The name.
    pub name: Box<str>,
    /// The password.
    pub password: Secret,
}

/// A peer of which nothing has come for `interval` is sent an Echo-Request, and another one each
/// `interval`; after so many unanswered ones it is silent. Whatever comes from it counts as life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Echo {
    /// Time without anything from the peer.
    pub interval: Duration,
    /// How many Echo-Requests may remain unanswered.
    pub failures: u8,
}

impl Default for Echo {
    fn default() -> Self {
        Self { interval: Duration::from_secs(30), failures: 3 }
    }
}

/// Restart timer and counters of every control protocol (RFC 1661 §4.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timing {
    /// The restart timer.
    pub restart: Duration,
    /// Configure-Requests without an answer.
    pub max_configure: u8,
    /// Terminate-Requests without an answer.
    pub max_terminate: u8,
    /// Configure-Naks, before what is still asked for is rejected.
    pub max_failure: u8,
}

impl Default for Timing {
    fn default() -> Self {
        Self { restart: Duration::from_secs(3), max_configure: 10, max_terminate: 2, max_failure: 5 }
    }
}

/// What the LNS makes of what the LAC negotiated with the peer (RFC 2661 §4.4.5).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum ProxyPolicy {
    /// It holds; if that cannot be, the link goes down.
    Accept,
    /// It holds, unless it is not what we would have agreed to.
    #[default]
    RenegotiateOnMismatch,
    /// It does not count.
    AlwaysRenegotiate,
}

/// What the LAC has negotiated with the peer (RFC 2661 §4.4.5). Options are without the header of
/// the Configure-Request that they were in.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Proxy {
    /// Options of the first Configure-Request of the peer.
    pub initial_received_lcp: Option<Vec<u8>>,
    /// Options of the Configure-Request of the LAC that the peer has acked.
    pub last_sent_lcp: Option<Vec<u8>>,
    /// Options of the Configure-Request of the peer that the LAC has acked.
    pub last_received_lcp: Option<Vec<u8>>,
    /// Proxy Authen Type: 2 CHAP, 3 PAP, 4 none.
    pub authen_type: Option<u16>,
    /// The name that the peer gave.
    pub authen_name: Option<Vec<u8>>,
    /// The challenge that the peer was sent.
    pub authen_challenge: Option<Vec<u8>>,
    /// The Identifier of that exchange.
    pub authen_id: Option<u8>,
    /// The peer's response: with PAP, the password. Wiped from memory when dropped.
    pub authen_response: Option<Zeroizing<Vec<u8>>>,
}

/// Without the response, which may be a password.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("authen_type", &self.authen_type)
            .field("authen_name", &self.authen_name)
            .field("authen_id", &self.authen_id)
            .finish_non_exhaustive()
    }
}

/// What is to be negotiated once the peer is known: the answer to `Event::Network`. What is `None` is
/// refused.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Network {
    /// IPCP.
    pub ipv4: Option<Ipv4>,
    /// IPV6CP.
    pub ipv6: Option<Ipv6>,
}

/// What IPCP negotiates (RFC 1332, RFC 1877).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ipv4 {
    /// Our address; 0.0.0.0: the peer assigns it.
    pub local: Ipv4Addr,
    /// Whether we take the address that the peer wants us to have instead.
    pub accept_local: bool,
    /// The address that we assign; `None`: the peer has its own, or none at all.
    pub peer: Option<Ipv4Addr>,
    /// The name servers that the peer is told if it asks.
    pub dns: [Option<Ipv4Addr>; 2],
    /// The NetBIOS name servers that the peer is told if it asks.
    pub nbns: [Option<Ipv4Addr>; 2],
    /// Whether we ask for name servers.
    pub want_dns: bool,
}

impl Default for Ipv4 {
    /// A client's: everything comes from the peer.
    fn default() -> Self {
        Self {
            local: Ipv4Addr::UNSPECIFIED,
            accept_local: true,
            peer: None,
            dns: [None; 2],
            nbns: [None; 2],
            want_dns: true,
        }
    }
}

/// What IPV6CP negotiates (RFC 5072).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Ipv6 {
    /// Our interface identifier; `None`: a random one, or what the peer wants us to have.
    pub local: Option<InterfaceId>,
    /// The one that we assign; `None`: the peer has its own.
    pub peer: Option<InterfaceId>,
}

/// The lower half of an IPv6 address: not zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct InterfaceId(pub NonZeroU64);

impl InterfaceId {
    /// The identifier, unless it is zero.
    pub const fn new(id: u64) -> Option<Self> {
        match NonZeroU64::new(id) {
            Some(id) => Some(Self(id)),
            None => None,
        }
    }

    /// Its value.
    pub const fn get(self) -> u64 {
        self.0.get()
    }

    /// The link-local address that ends in it.
    pub const fn link_local(self) -> Ipv6Addr {
        Ipv6Addr::from_bits((0xfe80 << 112) | self.get() as u128)
    }
}

impl fmt::Display for InterfaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d] = [48, 32, 16, 0].map(|shift| (self.get() >> shift) & 0xffff);
        write!(f, "{a:x}:{b:x}:{c:x}:{d:x}")
    }
}
