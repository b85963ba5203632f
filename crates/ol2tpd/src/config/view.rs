//! Settings in the words of the file, with every default: what a file means.

use std::fmt;
use std::time::Duration;

use l2tp_control::wire::Leniencies;
use serde_json::{Map, Value, json};

use pppol2tp::user::Fast;

use super::peers::{DNS_MODES, PROXY_POLICIES};
use super::settings::{
    Dial, DriverKind, InterfaceChoice, Limits, Policy, Pppd, PppdLogins, Profile, Settings, User,
};
use super::value::print_duration;

/// A table of the file.
#[derive(Clone, PartialEq, Debug)]
pub struct View {
    /// Which one.
    pub table: TableName,
    /// Its keys, in the order of the manual.
    pub keys: Vec<(&'static str, Shown)>,
}

/// Which table of the file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TableName {
    /// The file itself.
    Root,
    /// For example `[limits]`.
    One(&'static str),
    /// For example `[peer.office]`.
    Named(&'static str, String),
    /// For example `[[user]]`.
    Listed(&'static str),
}

/// What is told of a key.
#[derive(Clone, PartialEq, Debug)]
pub enum Shown {
    /// Its value.
    Value(Value),
    /// There is a value, which is nobody's business.
    Secret,
    /// There is none.
    Unset,
}

impl Settings {
    /// All tables, in the order of the manual.
    pub fn view(&self) -> Vec<View> {
        let one = |name, keys| View { table: TableName::One(name), keys };
        let root = vec![
            ("host-name", value(&*self.host_name)),
            ("driver", value(name_of(&DriverKind::NAMES, &self.driver))),
            ("shards", value(self.shards)),
            ("fast", value(name_of(&Fast::NAMES, &self.fast))),
            ("fast-sessions", value(self.fast_sessions)),
            ("data-checksums", value(self.data_checksums)),
        ];
        let mut views = vec![View { table: TableName::Root, keys: root }];
        for address in &self.listen {
            let keys = vec![("address", value(address.to_string()))];
            views.push(View { table: TableName::Listed("listen"), keys });
        }
        let socket = self.control_socket.as_ref().map(|path| path.to_string_lossy());
        views.push(one("control", vec![("socket", optional(socket))]));
        views.push(one("limits", limits(&self.limits, &self.pppd_logins)));
        for (name, ranges) in &self.pools {
            let ranges: Vec<_> = ranges.iter().map(ToString::to_string).collect();
            let table = TableName::Named("pool", name.clone());
            views.push(View { table, keys: vec![("ranges", value(ranges))] });
        }
        for (name, prefix) in &self.ipv6_pools {
            let table = TableName::Named("ipv6-pool", name.clone());
            views.push(View { table, keys: vec![("prefix", value(prefix.to_string()))] });
        }
        let listed = |user| View { table: TableName::Listed("user"), keys: user_keys(user) };
        views.extend(self.users.iter().map(|user| listed(user)));
        let hooks = &self.hooks;
        let path =
            |path: &Option<std::path::PathBuf>| optional(path.as_ref().map(|path| path.to_string_lossy()));
        views.push(one(
            "hooks",
            vec![
                ("ip-up", path(&hooks.ip_up)),
                ("ip-down", path(&hooks.ip_down)),
                ("ipv6-up", path(&hooks.ipv6_up)),
                ("ipv6-down", path(&hooks.ipv6_down)),
                ("timeout", time(hooks.timeout)),
            ],
        ));
        for peer in &self.peers {
            let network = peer.network.map(|network| format!("{}/{}", network.address, network.bits));
            let mut keys = vec![("host-name", value(&*peer.host_name)), ("network", optional(network))];
            keys.push(("sccrp-retransmissions", value(peer.policy.sccrp_retransmissions)));
            keys.extend(policy(&peer.policy));
            keys.extend(served(&peer.profile));
            keys.extend(profile(&peer.profile));
            views.push(View { table: TableName::Named("peer", peer.name.to_string()), keys });
        }
        for dial in &self.connect {
            let mut keys = dialled(dial);
            keys.extend(policy(&dial.policy));
            keys.extend(profile(&dial.profile));
            views.push(View { table: TableName::Named("connect", dial.name.to_string()), keys });
        }
        views
    }

    /// The same for programs: one object; tables of which there may be several are in lists, in their
    /// order.
    pub fn json(&self) -> Value {
        let mut root = Map::new();
        for View { table, keys } in self.view() {
            let mut keys: Map<_, _> =
                keys.into_iter().map(|(key, shown)| (key.into(), shown.into())).collect();
            let kind = match table {
                TableName::Root => {
                    root.append(&mut keys);
                    continue;
                }
                TableName::One(kind) => {
                    root.insert(kind.into(), keys.into());
                    continue;
                }
                TableName::Named(kind, name) => {
                    keys.insert("name".into(), name.into());
                    kind
                }
                TableName::Listed(kind) => kind,
            };
            if let Value::Array(list) = root.entry(kind).or_insert_with(|| json!([])) {
                list.push(keys.into());
            }
        }
        root.into()
    }
}

impl From<Shown> for Value {
    fn from(shown: Shown) -> Self {
        match shown {
            Shown::Value(value) => value,
            Shown::Secret => "(not shown)".into(),
            Shown::Unset => Self::Null,
        }
    }
}

fn value(value: impl Into<Value>) -> Shown {
    Shown::Value(value.into())
}

fn optional<T: Into<Value>>(option: Option<T>) -> Shown {
    option.map_or(Shown::Unset, value)
}

fn texts<T: ToString>(texts: &[T]) -> Shown {
    value(texts.iter().map(T::to_string).collect::<Vec<_>>())
}

fn time(time: Duration) -> Shown {
    value(print_duration(time))
}

fn or_off(option: Option<Duration>) -> Shown {
    option.map_or(value("off"), time)
}

fn secret(there: bool) -> Shown {
    if there { Shown::Secret } else { Shown::Unset }
}

fn name_of<T: PartialEq>(names: &[(&'static str, T)], value: &T) -> &'static str {
    names.iter().find(|(_, known)| known == value).map_or("", |(name, _)| name)
}

fn limits(limits: &Limits, pppd: &PppdLogins) -> Vec<(&'static str, Shown)> {
    vec![
        ("tunnels", value(limits.tunnels)),
        ("tunnels-per-source", value(limits.tunnels_per_source)),
        ("sessions-per-tunnel", value(limits.sessions_per_tunnel)),
        ("sessions", value(limits.sessions)),
        ("logins-per-source", optional(limits.unproven_calls_per_source)),
        ("pppd-logins", value(pppd.all)),
        ("pppd-logins-per-source", value(pppd.per_source)),
        ("half-open", value(limits.half_open)),
        ("half-open-per-source", value(limits.half_open_per_source)),
        ("requests", value(limits.requests)),
        ("requests-per-source", value(limits.requests_per_source)),
        ("backlog", value(limits.backlog)),
    ]
}

fn user_keys(user: &User) -> Vec<(&'static str, Shown)> {
    let grant = &user.grant;
    vec![
        ("name", value(String::from_utf8_lossy(&user.name))),
        ("password", Shown::Secret),
        ("address", optional(grant.address.map(|ip| ip.to_string()))),
        ("ipv6-prefix", optional(grant.ipv6_prefix.map(|prefix| prefix.to_string()))),
        ("pool", optional(grant.pool.as_deref())),
        ("routes", texts(&grant.routes)),
        ("max-sessions", optional(grant.most_sessions())),
        ("refuse-more", value(grant.refuse_more)),
        ("session-timeout", grant.session_timeout.map_or(Shown::Unset, time)),
        ("idle-timeout", grant.idle_timeout.map_or(Shown::Unset, time)),
    ]
}

fn policy(policy: &Policy) -> Vec<(&'static str, Shown)> {
    let granted = |leniency: &Leniencies| policy.leniencies.contains(*leniency);
    let strict = Leniencies::NAMES.iter().filter(|(leniency, _)| !granted(leniency));
    vec![
        ("secret", secret(policy.secret.is_some())),
        ("challenge", value(policy.challenge)),
        ("hide-avps", value(policy.hide)),
        ("hello", or_off(policy.hello)),
        (
            "hello-retransmissions",
            match policy.hello {
                Some(_) => value(policy.hello_retransmissions),
                None => Shown::Unset,
            },
        ),
        ("setup-time", time(policy.setup)),
        ("empty-tunnel-time", or_off(policy.empty)),
        ("receive-window", value(policy.receive_window)),
        ("retransmit", time(policy.timing.retransmit)),
        ("retransmit-cap", time(policy.timing.cap)),
        ("retransmissions", value(policy.timing.retransmissions)),
        ("tie-breaker", value(policy.tie_breaker)),
        ("bearer-capabilities", value(policy.bearer_capabilities)),
        ("strict", value(strict.map(|(_, name)| *name).collect::<Vec<_>>())),
    ]
}

fn served(profile: &Profile) -> Vec<(&'static str, Shown)> {
    let ppp = &profile.ppp;
    vec![
        ("auth", value(ppp.require.iter().map(|method| method.name()).collect::<Vec<_>>())),
        ("rechallenge", or_off(ppp.rechallenge)),
        ("proxy-lcp", value(name_of(&PROXY_POLICIES, &ppp.proxy))),
        ("pool", optional(profile.pool.as_deref())),
        ("ipv6-pool", optional(profile.ipv6_pool.as_deref())),
        ("dns", texts(&profile.dns)),
        ("nbns", texts(&profile.nbns)),
    ]
}

fn dialled(dial: &Dial) -> Vec<(&'static str, Shown)> {
    let ppp = &dial.profile.ppp;
    vec![
        ("host", value(&*dial.host)),
        ("port", value(dial.port)),
        ("local-port", optional(dial.local_port)),
        ("user", optional(ppp.credentials.as_ref().map(|credentials| &*credentials.name))),
        ("password", secret(ppp.credentials.is_some())),
        ("auth", value(ppp.accept.iter().map(|method| method.name()).collect::<Vec<_>>())),
        ("default-route", value(dial.default_route)),
        ("routes", texts(&dial.routes)),
        ("dns", value(name_of(&DNS_MODES, &dial.dns))),
        ("persist", value(dial.persist.is_some())),
        ("backoff", dial.persist.map_or(Shown::Unset, |backoff| time(backoff.first))),
        ("backoff-cap", dial.persist.map_or(Shown::Unset, |backoff| time(backoff.most))),
        ("calling-number", optional(dial.calling_number.as_deref())),
        ("called-number", optional(dial.called_number.as_deref())),
    ]
}

fn profile(profile: &Profile) -> Vec<(&'static str, Shown)> {
    let ppp = &profile.ppp;
    let (interface, name) = match &profile.interface {
        InterfaceChoice::PerSession { name } => ("per-session", name),
        InterfaceChoice::Shared { name } => ("shared", name),
    };
    let (path, options) = match &profile.pppd {
        Some(Pppd { path, options }) => (value(path.to_string_lossy()), value(options.clone())),
        None => (Shown::Unset, Shown::Unset),
    };
    vec![
        ("ppp", value(if profile.pppd.is_some() { "pppd" } else { "own" })),
        ("pppd-path", path),
        ("pppd-options", options),
        ("local-address", optional(profile.local_address.map(|ip| ip.to_string()))),
        ("ipv6", value(profile.ipv6)),
        ("mru", value(ppp.mru)),
        ("echo-interval", or_off(ppp.echo.map(|echo| echo.interval))),
        ("echo-failures", optional(ppp.echo.map(|echo| echo.failures))),
        ("authentication-time", time(ppp.authentication_time)),
        ("restart-time", time(ppp.timing.restart)),
        ("max-configure", value(ppp.timing.max_configure)),
        ("max-terminate", value(ppp.timing.max_terminate)),
        ("max-failure", value(ppp.timing.max_failure)),
        ("interface", value(interface)),
        ("interface-name", value(&**name)),
        ("mtu", optional(profile.mtu)),
        ("mss-clamp", value(profile.mss_clamp)),
        ("send-sequence", value(profile.send_sequence)),
        ("require-sequence", value(profile.require_sequence)),
        ("reorder-timeout", time(profile.reorder_timeout)),
        ("session-timeout", or_off(profile.session_timeout)),
        ("idle-timeout", or_off(profile.idle_timeout)),
    ]
}

/// The text of a file that means the same, but for secrets.
impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        match &self.table {
            TableName::Root => {}
            TableName::One(kind) => writeln!(f, "[{kind}]")?,
            TableName::Named(kind, name) if name.chars().all(bare) => writeln!(f, "[{kind}.{name}]")?,
            TableName::Named(kind, name) => writeln!(f, "[{kind}.{}]", json!(name))?,
            TableName::Listed(kind) => writeln!(f, "[[{kind}]]")?,
        }
        for (key, shown) in &self.keys {
            match shown {
                // What JSON has for strings, numbers and lists is TOML as well.
                Shown::Value(value) => writeln!(f, "{key} = {value}")?,
                Shown::Secret => writeln!(f, "# {key}: there, not shown")?,
                Shown::Unset => writeln!(f, "# {key}: none")?,
            }
        }
        Ok(())
    }
}
