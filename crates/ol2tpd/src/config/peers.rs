//! Settings out of a document: peers that come to us, and those that we dial.

use std::net::IpAddr;
use std::time::Duration;

use l2tp_control::auth::Secret;
use l2tp_control::reliable::Timing;
use l2tp_control::wire::Leniencies;
use ppp::Method;
use ppp::config::{Config, Credentials, Echo, ProxyPolicy, Timing as PppTiming};
use pppol2tp::Prefix;

use super::build::Pools;
use super::document::{Node, Value};
use super::pppd::pppd;
use super::secrets::secret;
use super::section::{Section, inherit};
use super::settings::{Backoff, Dial, DnsMode, InterfaceChoice, Network, Peer, Policy, Profile};
use super::value::{self, Read, boolean, choice, duration, list, number, or_off, parsed, text};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const YEAR: Duration = Duration::from_secs(366 * 86_400);

/// What our peers may send in one frame, unless the file says otherwise: what Windows' clients use, which
/// fits into 1500 with IPsec around it.
const MRU: u16 = 1400;

/// How long a peer may keep a tunnel without a session, unless the file says otherwise.
const EMPTY: Duration = Duration::from_secs(60);

/// The names of authentication methods.
const METHODS: [(&str, Method); 4] = [
    (Method::MsChapV2.name(), Method::MsChapV2),
    (Method::ChapMd5.name(), Method::ChapMd5),
    (Method::Eap.name(), Method::Eap),
    (Method::Pap.name(), Method::Pap),
];

/// What becomes of proxy LCP.
pub(super) const PROXY_POLICIES: [(&str, ProxyPolicy); 3] = [
    ("accept", ProxyPolicy::Accept),
    ("renegotiate-on-mismatch", ProxyPolicy::RenegotiateOnMismatch),
    ("renegotiate", ProxyPolicy::AlwaysRenegotiate),
];

/// Who is told about resolvers.
impl DnsMode {
    /// Its name in the file.
    pub fn name(self) -> &'static str {
        DNS_MODES.iter().find(|(_, mode)| *mode == self).map_or("", |(name, _)| name)
    }
}

pub(super) const DNS_MODES: [(&str, DnsMode); 5] = [
    ("auto", DnsMode::Auto),
    ("resolved", DnsMode::Resolved),
    ("resolvconf", DnsMode::Resolvconf),
    ("file", DnsMode::File),
    ("none", DnsMode::None),
];

/// The peers, in the order in which they stand there.
pub(super) fn peers(root: &Section<'_>, ppp_name: &str, pools: &Pools) -> Vec<Peer> {
    let mut sections = root.named("peer", "[peer.NAME]");
    inherit(&mut sections);
    let mut peers: Vec<Peer> = Vec::new();
    for (name, section) in sections {
        let policy = answered(&section);
        let peer = Peer {
            name: name.into(),
            host_name: section.own("host-name", text).unwrap_or_else(|| "*".into()).into(),
            network: section.own("network", network),
            profile: served(name, &section, policy.challenge, ppp_name, pools).into(),
            policy: policy.into(),
        };
        if let Some(first) = peers.iter().find(|first| covers(first, &peer)) {
            section.reader.warn(
                section.place(),
                format!("peer.{name}"),
                format!("it is never used: `{}` comes first and fits the same peers", first.name),
            );
        }
        peers.push(peer);
        section.finish();
    }
    peers
}

/// Whether the first one fits whatever the second one fits.
fn covers(first: &Peer, second: &Peer) -> bool {
    let prefix = |peer: &Peer| peer.network.map(|Network { address, bits: len }| Prefix { address, len });
    let networks = match (prefix(first), prefix(second)) {
        (None, _) => true,
        (Some(outer), Some(inner)) => outer.len <= inner.len && outer.overlaps(inner),
        (Some(_), None) => false,
    };
    networks && (&*first.host_name == "*" || first.host_name == second.host_name)
}

fn network(node: &Node) -> Read<Network> {
    let prefix: Prefix = parsed(node)?;
    Ok(Network { address: prefix.address, bits: prefix.len })
}

/// The control connection of those who open it.
fn answered(section: &Section<'_>) -> Policy {
    let policy = policy(section, Some(EMPTY));
    let sccrp_retransmissions =
        section.get("sccrp-retransmissions", number(0..=30u8)).unwrap_or(policy.sccrp_retransmissions);
    Policy { sccrp_retransmissions, ..policy }
}

/// The control connection. `empty`: how long it is kept without a session, unless the file says otherwise.
fn policy(section: &Section<'_>, empty: Option<Duration>) -> Policy {
    let default = Policy::default();
    let secret = secret(section, "secret", "secret-file").map(|octets| Secret::new(&octets));
    let has_secret = section.has("secret") || section.has("secret-file");
    let challenge = section.get("challenge", boolean).unwrap_or(has_secret);
    let hide = section.get("hide-avps", boolean).unwrap_or(default.hide);
    if challenge && !has_secret {
        section.error("challenge", "a challenge needs a `secret` or a `secret-file`");
    }
    if hide && !has_secret {
        section.error("hide-avps", "hiding AVPs needs a `secret` or a `secret-file`");
    } else if hide && !challenge {
        section
            .error("hide-avps", "AVPs are hidden from a peer that has answered a `challenge`; switch it on");
    }
    let hello = section.get("hello", or_off(duration(SECOND..=HOUR))).unwrap_or(default.hello);
    if hello.is_none() && section.has("hello-retransmissions") {
        section.error("hello-retransmissions", "there is no HELLO to send again: `hello` is \"off\"");
    }
    let retransmissions = || number(1..=30u8);
    let timing = Timing {
        retransmit: section
            .get("retransmit", duration(100 * MS..=8 * SECOND))
            .unwrap_or(default.timing.retransmit),
        cap: section.get("retransmit-cap", duration(SECOND..=60 * SECOND)).unwrap_or(default.timing.cap),
        retransmissions: section
            .get("retransmissions", retransmissions())
            .unwrap_or(default.timing.retransmissions),
        ack_delay: default.timing.ack_delay,
    };
    if timing.cap < timing.retransmit {
        section.error("retransmit-cap", "the longest wait is shorter than the first one, `retransmit`");
    }
    Policy {
        secret,
        challenge,
        hide,
        hello,
        hello_retransmissions: section
            .get("hello-retransmissions", retransmissions())
            .unwrap_or(default.hello_retransmissions),
        receive_window: section.get("receive-window", number(1..=32_768)).unwrap_or(default.receive_window),
        tie_breaker: section.get("tie-breaker", boolean).unwrap_or(default.tie_breaker),
        bearer_capabilities: section
            .get("bearer-capabilities", boolean)
            .unwrap_or(default.bearer_capabilities),
        setup: section.get("setup-time", duration(SECOND..=HOUR)).unwrap_or(default.setup),
        empty: section.get("empty-tunnel-time", or_off(duration(Duration::ZERO..=YEAR))).unwrap_or(empty),
        timing,
        leniencies: section.get("strict", leniencies).unwrap_or(default.leniencies),
        ..default
    }
}

/// What is left of the leniencies: none if all is strict, or those that are not named.
fn leniencies(node: &Node) -> Read<Leniencies> {
    match node.value {
        Value::Boolean(true) => return Ok(Leniencies::STRICT),
        Value::Boolean(false) => return Ok(Leniencies::LIBERAL),
        _ => {}
    }
    let names: Vec<_> = Leniencies::NAMES.iter().map(|(leniency, name)| (*name, *leniency)).collect();
    let strict = list(choice(&names))(node)?;
    Ok(strict.into_iter().fold(Leniencies::LIBERAL, |left, leniency| left - leniency))
}

/// The sessions of a peer that comes to us; `proven`: it has to prove that it knows the secret.
fn served(name: &str, section: &Section<'_>, proven: bool, ppp_name: &str, pools: &Pools) -> Profile {
    let methods = section.get("auth", list(choice(&METHODS)));
    let require = methods.unwrap_or_else(|| vec![Method::MsChapV2, Method::ChapMd5]);
    if require.is_empty() {
        section.warn("auth", "nobody has to prove who he is: whoever reaches us gets in");
    }
    let proxy = section.get("proxy-lcp", choice(&PROXY_POLICIES));
    if !proven && proxy.is_some_and(|policy| policy != ProxyPolicy::AlwaysRenegotiate) {
        let message = "only a LAC that answers a `challenge` is believed: what this one has negotiated is \
                       negotiated anew; say so by \"renegotiate\"";
        section.warn("proxy-lcp", message);
    }
    let ppp = Config {
        require,
        name: ppp_name.into(),
        rechallenge: section.get("rechallenge", or_off(duration(10 * SECOND..=YEAR))).flatten(),
        proxy: proxy.unwrap_or_default(),
        ..ppp(section)
    };
    let dns = section.get("dns", list(value::address)).unwrap_or_default();
    for (family, most, v4) in [("IPv4", 2, true), ("IPv6", 3, false)] {
        if dns.iter().filter(|ip| ip.is_ipv4() == v4).count() > most {
            section.error("dns", format!("a peer can be told {most} {family} resolvers, no more"));
        }
    }
    let nbns = section.get("nbns", list(value::ipv4)).unwrap_or_default();
    if nbns.len() > 2 {
        section.error("nbns", "a peer can be told 2 name servers, no more");
    }
    let (pool, ipv6_pool) = (pools.named(section, "pool"), pools.named(section, "ipv6-pool"));
    let local_address = section.get("local-address", value::ipv4);
    match local_address {
        Some(ours) => pools.check_ours(section, "local-address", ours),
        None if section.has("pool") => {
            section.missing("local-address", "it is our end of each session, for example 10.0.0.1");
        }
        None => {}
    }
    let ipv6 = section.get("ipv6", boolean);
    if ipv6 == Some(false) && ipv6_pool.is_some() {
        section.error("ipv6", "there is an `ipv6-pool`, but no IPv6; leave out one of them");
    }
    let ipv6 = ipv6.unwrap_or(ipv6_pool.is_some());
    if !ipv6 && !section.has("local-address") && !section.has("pool") {
        section.reader.warn(
            section.place(),
            format!("peer.{name}"),
            "its sessions have neither IPv4, without a `local-address`, nor IPv6, without an `ipv6-pool`",
        );
    }
    Profile { ipv6, local_address, pool, ipv6_pool, dns, nbns, ..profile(name, section, ppp) }
}

/// The session that we dial.
fn dialled(name: &str, section: &Section<'_>) -> Profile {
    let user = section.get("user", value::name);
    let password = secret(section, "password", "password-file");
    let has_password = section.has("password") || section.has("password-file");
    match (&user, has_password) {
        (Some(_), false) => section.missing("password", "write it, or `password-file`"),
        (None, true) if !section.has("user") => section.missing("user", "whose password is it?"),
        _ => {}
    }
    let default = Config::default();
    let ppp = Config {
        accept: section.get("auth", list(choice(&METHODS))).unwrap_or(default.accept),
        credentials: user
            .zip(password)
            .map(|(name, password)| Credentials { name: name.into(), password: (&**password).into() }),
        ..ppp(section)
    };
    if ppp.accept.is_empty() && has_password {
        section.error("auth", "there is a password, but no way to prove that we know it");
    }
    if section.get("interface", text).is_some_and(|interface| interface == "shared") {
        section.error("interface", "a connection has an interface of its own: leave it out");
    }
    Profile {
        ipv6: section.get("ipv6", boolean).unwrap_or(true),
        local_address: section.get("local-address", value::ipv4),
        ..profile(name, section, ppp)
    }
}

/// What PPP does on both sides.
fn ppp(section: &Section<'_>) -> Config {
    let default = Config::default();
    let (echo, timing) = (Echo::default(), PppTiming::default());
    let interval =
        section.get("echo-interval", or_off(duration(SECOND..=HOUR))).unwrap_or(Some(echo.interval));
    if interval.is_none() && section.has("echo-failures") {
        section.error("echo-failures", "there is no Echo-Request to fail: `echo-interval` is \"off\"");
    }
    let failures = section.get("echo-failures", number(1..=255)).unwrap_or(echo.failures);
    let count = |key, default| section.get(key, number(1..=255u8)).unwrap_or(default);
    Config {
        mru: section.get("mru", number(128..=16_384)).unwrap_or(MRU),
        echo: interval.map(|interval| Echo { interval, failures }),
        timing: PppTiming {
            restart: section.get("restart-time", duration(100 * MS..=60 * SECOND)).unwrap_or(timing.restart),
            max_configure: count("max-configure", timing.max_configure),
            max_terminate: count("max-terminate", timing.max_terminate),
            max_failure: count("max-failure", timing.max_failure),
        },
        authentication_time: section
            .get("authentication-time", duration(SECOND..=HOUR))
            .unwrap_or(default.authentication_time),
        ..default
    }
}

/// What is the same on both sides.
fn profile(name: &str, section: &Section<'_>, ppp: Config) -> Profile {
    let shared =
        section.get("interface", choice(&[("per-session", false), ("shared", true)])).unwrap_or(false);
    let interface = section.get("interface-name", value::interface);
    let interface = match shared {
        false => InterfaceChoice::PerSession { name: interface.unwrap_or_else(|| "ppp%d".into()) },
        true => InterfaceChoice::Shared { name: interface.unwrap_or_else(|| "l2tp%d".into()) },
    };
    let require_sequence = section.get("require-sequence", boolean).unwrap_or(false);
    let send_sequence = section.get("send-sequence", boolean).unwrap_or(require_sequence);
    if require_sequence && !send_sequence {
        let message =
            "a peer sends sequence numbers because we do (RFC 2661 §5.4); `send-sequence` is needed";
        section.error("require-sequence", message);
    }
    let time = |key| section.get(key, or_off(duration(SECOND..=YEAR))).flatten();
    Profile {
        name: name.into(),
        ppp: ppp.into(),
        pppd: pppd(section, &interface),
        local_address: None,
        pool: None,
        ipv6_pool: None,
        ipv6: false,
        dns: Vec::new(),
        nbns: Vec::new(),
        interface,
        mtu: section.get("mtu", number(576..=16_384)),
        mss_clamp: section.get("mss-clamp", boolean).unwrap_or(true),
        send_sequence,
        require_sequence,
        reorder_timeout: section
            .get("reorder-timeout", duration(Duration::ZERO..=10 * SECOND))
            .unwrap_or_default(),
        session_timeout: time("session-timeout"),
        idle_timeout: time("idle-timeout"),
    }
}

/// What we dial, in the order in which it stands there.
pub(super) fn dials(root: &Section<'_>) -> Vec<Dial> {
    let mut sections = root.named("connect", "[connect.NAME]");
    inherit(&mut sections);
    sections.into_iter().map(|(name, section)| dial(name, section)).collect()
}

fn dial(name: &str, section: Section<'_>) -> Dial {
    let first = section.get("backoff", duration(SECOND..=HOUR)).unwrap_or(SECOND);
    let most = section.get("backoff-cap", duration(SECOND..=24 * HOUR)).unwrap_or((60 * SECOND).max(first));
    if most < first {
        section.error("backoff-cap", "the longest wait is shorter than the first one, `backoff`");
    }
    let persist = section.get("persist", boolean).unwrap_or(false);
    for key in ["backoff", "backoff-cap"] {
        if !persist && section.has(key) {
            section.error(key, "nothing is tried again without `persist = true`");
        }
    }
    let profile = dialled(name, &section);
    let dns = section.get("dns", choice(&DNS_MODES));
    if profile.pppd.is_some() && dns.is_some_and(|mode| mode != DnsMode::None) {
        section.error(
            "dns",
            "pppd asks for resolvers, and its scripts take them: put `usepeerdns` into `pppd-options`",
        );
    }
    let dial = Dial {
        name: name.into(),
        host: section.required("host", host).unwrap_or_default(),
        port: section.get("port", number(1..=65_535)).unwrap_or(value::PORT),
        local_port: section.get("local-port", number(1..=65_535)),
        policy: policy(&section, None).into(),
        profile: profile.into(),
        default_route: section.get("default-route", boolean).unwrap_or(false),
        routes: section.get("routes", list(parsed)).unwrap_or_default(),
        dns: dns.unwrap_or_default(),
        persist: persist.then_some(Backoff { first, most }),
        calling_number: section.get("calling-number", phone).map(Into::into),
        called_number: section.get("called-number", phone).map(Into::into),
    };
    section.finish();
    dial
}

/// A name to resolve, or an address.
fn host(node: &Node) -> Read<String> {
    let text = text(node)?;
    if text.parse::<IpAddr>().is_ok() {
        return Ok(text);
    }
    let label = |label: &str| {
        let sound = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
        (1..=63).contains(&label.len()) && label.chars().all(sound)
    };
    match text.strip_suffix('.').unwrap_or(&text).split('.').all(label) {
        true => Ok(text),
        false if text.contains(':') => value::wrong(node, "it is a host alone; `port` is a key of its own"),
        false => value::wrong(node, "it is neither the name of a host nor an address"),
    }
}

/// The digits of a number, or what stands for one.
fn phone(node: &Node) -> Read<String> {
    let text = text(node)?;
    if text.len() <= 128 { Ok(text) } else { value::wrong(node, "it is longer than 128 octets") }
}
