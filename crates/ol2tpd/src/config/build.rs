//! Settings out of a document: all but peers and dials.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nix::unistd;
use ppp::Secret;
use pppol2tp::Prefix;
use pppol2tp::user::{Fast, MAX_SHARDS};

use super::document::{Node, Value};
use super::net::Range;
use super::peers;
use super::problem::{Place, Problem, Severity, nearest};
use super::secrets;
use super::section::Section;
use super::settings::{DriverKind, Hooks, Limits, PppdLogins, Profile, Settings, User};
use super::value::{self, Read};
use crate::accounts::{ChapSecrets, Grant};

/// The longest time that a session can be given.
const YEAR: Duration = Duration::from_secs(366 * 86_400);

/// All of a document. What is wrong is noted by its reader; the rest is as if it were not there.
pub(super) fn settings(root: Section<'_>) -> Settings {
    let host_name = root.get("host-name", value::name).unwrap_or_else(system_name);
    let driver = root.get("driver", value::choice(&DriverKind::NAMES)).unwrap_or_default();
    let shards = root.get("shards", value::number(1..=MAX_SHARDS)).unwrap_or(1);
    let fast = root.get("fast", value::choice(&Fast::NAMES)).unwrap_or_default();
    let fast_sessions = root.get("fast-sessions", value::number(1..=1_000_000)).unwrap_or(FAST_SESSIONS);
    let data_checksums = root.get("data-checksums", value::boolean).unwrap_or(true);
    let listen = listen(&root);
    let control = root.table("control", "[control]");
    let control_socket = control.get("socket", value::text).map(|path| root.reader.path(&path));
    control.finish();
    let (limits, pppd_logins) = limits(root.table("limits", "[limits]"));
    let pools = Pools::read(&root);
    let accounts = root.table("accounts", "[accounts]");
    let ppp_name = accounts.get("name", value::name).unwrap_or_else(|| host_name.clone());
    let users = users(&root, accounts, &ppp_name, &pools);
    let hooks = hooks(root.table("hooks", "[hooks]"));
    let peers = peers::peers(&root, &ppp_name, &pools);
    let connect = peers::dials(&root);

    let ours: HashMap<_, _> =
        peers.iter().filter_map(|peer| Some((peer.profile.local_address?, peer))).collect();
    for Account { user, place, .. } in &users {
        if let Some(peer) = user.grant.address.and_then(|address| ours.get(&address)) {
            let message = format!("the address is our own, the local-address of peer `{}`", peer.name);
            root.reader.error(*place, "user.address", message);
        }
    }
    let wants_proof = |profile: &Profile| profile.pppd.is_none() && !profile.ppp.require.is_empty();
    let proof_wanted = peers.iter().any(|peer| wants_proof(&peer.profile));
    if users.is_empty() && proof_wanted {
        root.missing("user", "nobody could log in");
    }
    if peers.is_empty() && connect.is_empty() {
        let message = "there is nothing to do: add a [peer.NAME] to serve, or a [connect.NAME] to dial";
        root.reader.warn(root.place(), "", message);
    }
    let mut used = HashSet::new();
    for peer in &peers {
        used.extend(peer.profile.pool.as_deref().map(|name| ("pool", name)));
        used.extend(peer.profile.ipv6_pool.as_deref().map(|name| ("ipv6-pool", name)));
    }
    let named = users.iter().filter_map(|account| account.user.grant.pool.as_deref());
    used.extend(named.map(|name| ("pool", name)));
    for (kind, name, place) in &pools.places {
        if !used.contains(&(kind, name)) {
            root.reader.warn(
                *place,
                format!("{kind}.{name}"),
                "no peer and no user takes addresses out of it",
            );
        }
    }
    secrets::guard_document(&root);

    let Pools { ipv4, ipv6, .. } = pools;
    let settings = Settings {
        host_name: host_name.into(),
        driver,
        shards,
        fast,
        fast_sessions,
        data_checksums,
        listen: if listen.is_empty() && !peers.is_empty() { everywhere() } else { listen },
        control_socket,
        limits,
        pppd_logins,
        peers,
        pools: ipv4
            .into_iter()
            .map(|(name, ranges)| (name, ranges.iter().map(|r| r.range).collect()))
            .collect(),
        ipv6_pools: ipv6,
        users: users.into_iter().map(|account| Arc::new(account.user)).collect(),
        hooks,
        connect,
    };
    match (driver, settings.not_for_linux(), settings.not_for_user()) {
        (DriverKind::Linux, Some(why), _) => {
            root.error(
                "driver",
                format!("{why}: write `interface = \"per-session\"`, or `driver = \"user\"`"),
            );
        }
        (DriverKind::User, _, Some(why)) => {
            root.error("driver", format!("{why}: write `driver = \"linux\"`, or `ppp = \"own\"`"));
        }
        (DriverKind::Auto, Some(linux), Some(user)) => {
            root.error("driver", format!("no driver can do both: {user}; {linux}"));
        }
        _ => {}
    }
    if driver == DriverKind::Linux {
        settings.ignored_by_linux().into_iter().for_each(|text| root.warn("driver", text));
    }
    root.finish();
    settings
}

/// The name of this machine.
fn system_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if name.trim().is_empty() { "ol2tp".into() } else { name.trim().into() }
}

/// Each family's every address, at L2TP's port.
fn everywhere() -> Vec<SocketAddr> {
    vec![(Ipv4Addr::UNSPECIFIED, value::PORT).into(), (Ipv6Addr::UNSPECIFIED, value::PORT).into()]
}

fn listen(root: &Section<'_>) -> Vec<SocketAddr> {
    let mut addresses = Vec::new();
    for section in root.tables("listen", "[[listen]]") {
        if let Some(address) = section.required("address", value::listen) {
            if addresses.contains(&address) {
                section.error("address", format!("{address} is there already"));
            }
            addresses.push(address);
        }
        section.finish();
    }
    addresses
}

/// Calls from one source whose users have not proved yet who they are.
const LOGINS: usize = 4096;
/// For how many sessions the fast path has room, if nothing else is said.
const FAST_SESSIONS: u32 = 4096;

fn limits(section: Section<'_>) -> (Limits, PppdLogins) {
    let (default, pppd) = (Limits::default(), PppdLogins::default());
    let number = |key, most: usize, default| section.get(key, value::number(1..=most)).unwrap_or(default);
    let ids = usize::from(u16::MAX);
    let limits = Limits {
        tunnels: number("tunnels", ids, default.tunnels),
        tunnels_per_source: number("tunnels-per-source", ids, default.tunnels_per_source),
        sessions_per_tunnel: number("sessions-per-tunnel", ids, default.sessions_per_tunnel),
        sessions: number("sessions", 100_000_000, default.sessions),
        unproven_calls_per_source: Some(number("logins-per-source", ids, LOGINS)),
        half_open: number("half-open", ids, default.half_open),
        half_open_per_source: number("half-open-per-source", ids, default.half_open_per_source),
        requests_per_source: number("requests-per-source", 1_000_000, default.requests_per_source as usize)
            as u32,
        requests: number("requests", 1_000_000, default.requests as usize) as u32,
        backlog: number("backlog", 1_000_000, default.backlog),
    };
    let pppd_logins = PppdLogins {
        all: number("pppd-logins", ids, pppd.all),
        per_source: number("pppd-logins-per-source", ids, pppd.per_source),
    };
    section.finish();
    (limits, pppd_logins)
}

/// A range of a pool, as it stands in the file.
#[derive(Debug)]
struct Written {
    range: Range,
    place: Place,
    /// From this address to that one, not a prefix.
    exact: bool,
}

/// The pools, and where they stand.
#[derive(Debug)]
pub(super) struct Pools {
    ipv4: BTreeMap<String, Vec<Written>>,
    ipv6: BTreeMap<String, Prefix>,
    /// Kind and name of each.
    places: Vec<(&'static str, String, Place)>,
}

impl Pools {
    fn read(root: &Section<'_>) -> Self {
        let mut pools = Self { ipv4: BTreeMap::new(), ipv6: BTreeMap::new(), places: Vec::new() };
        for (name, section) in root.named("pool", "[pool.NAME]") {
            pools.places.push(("pool", name.into(), section.place()));
            pools
                .ipv4
                .insert(name.into(), section.required("ranges", value::list(range)).unwrap_or_default());
            section.finish();
        }
        pools.find_overlaps(root);
        let mut seen: Vec<(Prefix, &str)> = Vec::new();
        for (name, section) in root.named("ipv6-pool", "[ipv6-pool.NAME]") {
            pools.places.push(("ipv6-pool", name.into(), section.place()));
            if let Some(prefix) = section.required("prefix", ipv6_prefix) {
                if let Some((other, theirs)) = seen.iter().find(|(other, _)| other.overlaps(prefix)) {
                    section
                        .error("prefix", format!("{prefix} overlaps with {other} of ipv6-pool `{theirs}`"));
                }
                seen.push((prefix, name));
                pools.ipv6.insert(name.into(), prefix);
            }
            section.finish();
        }
        pools
    }

    fn find_overlaps(&self, root: &Section<'_>) {
        let pools = self.ipv4.iter();
        let mut all: Vec<_> =
            pools.flat_map(|(name, ranges)| ranges.iter().map(move |r| (r, name))).collect();
        all.sort_by_key(|(written, _)| (written.range, written.place));
        let mut widest: Option<(&Written, &String)> = None;
        for (written, name) in all {
            if let Some((before, theirs)) = widest
                && before.range.overlaps(&written.range)
            {
                let message = format!("{} overlaps with {} of pool `{theirs}`", written.range, before.range);
                root.reader.error(written.place, format!("pool.{name}.ranges"), message);
            }
            if widest.is_none_or(|(before, _)| before.range.last() < written.range.last()) {
                widest = Some((written, name));
            }
        }
    }

    /// A pool that a key names.
    pub(super) fn named(&self, section: &Section<'_>, key: &'static str) -> Option<String> {
        let name = section.get(key, value::text)?;
        let (what, known): (_, Vec<_>) = match key {
            "ipv6-pool" => ("ipv6-pool", self.ipv6.keys().collect()),
            _ => ("pool", self.ipv4.keys().collect()),
        };
        if known.contains(&&name) {
            return Some(name);
        }
        let suggestion = nearest(&name, known.into_iter().map(String::as_str));
        section.mistaken(key, format!("there is no [{what}.{name}]"), suggestion);
        None
    }

    /// Warns of an address of ours that a pool names as one for peers.
    pub(super) fn check_ours(&self, section: &Section<'_>, key: &'static str, ours: Ipv4Addr) {
        for (name, ranges) in &self.ipv4 {
            for written in ranges.iter().filter(|written| written.exact && written.range.contains(ours)) {
                let range = written.range;
                section
                    .warn(key, format!("{ours} is inside of {range} of pool `{name}`; no peer will get it"));
            }
        }
    }
}

fn range(node: &Node) -> Read<Written> {
    let range: Range = value::parsed(node)?;
    let exact = matches!(&node.value, Value::String(text) if !text.contains('/'));
    let host =
        |address: Ipv4Addr| !(address.is_unspecified() || address.is_loopback() || address >= MULTICAST);
    if host(range.first()) && host(range.last()) {
        Ok(Written { range, place: node.place, exact })
    } else {
        value::wrong(node, format!("{range} has addresses that no host can have"))
    }
}

const MULTICAST: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 0);

/// An IPv6 prefix that has room for a network of 64 bits.
fn ipv6_prefix(node: &Node) -> Read<Prefix> {
    let prefix: Prefix = value::parsed(node)?;
    match prefix.address {
        IpAddr::V6(ip) if ip.is_unspecified() || ip.is_multicast() || ip.is_unicast_link_local() => {
            value::wrong(node, format!("{prefix} has addresses that no host can have"))
        }
        IpAddr::V6(_) if prefix.len <= 64 => Ok(prefix),
        _ => value::wrong(
            node,
            format!("{prefix} has no /64, which a session needs; write for example 2001:db8::/48"),
        ),
    }
}

/// An account and where it stands.
#[derive(Debug)]
struct Account {
    user: User,
    place: Place,
}

fn users(root: &Section<'_>, accounts: Section<'_>, ppp_name: &str, pools: &Pools) -> Vec<Account> {
    let mut users: Vec<Account> = Vec::new();
    let mut names: HashMap<Box<[u8]>, Place> = HashMap::new();
    let (mut addresses, mut prefixes) = (HashMap::new(), HashMap::new());
    for section in root.tables("user", "[[user]]") {
        let name = section.required("name", value::name).unwrap_or_default();
        let password = secrets::secret(&section, "password", "password-file");
        if !section.has("password") && !section.has("password-file") {
            section.missing("password", "write it, or `password-file`");
        }
        let grant = grant(&section, pools);
        if let Some(address) = grant.address
            && let Some(other) = addresses.insert(address, name.clone())
        {
            section.error("address", format!("{address} is the address of user `{other}` already"));
        }
        if let Some(prefix) = grant.ipv6_prefix
            && let Some(other) = prefixes.insert(prefix, name.clone())
        {
            section.error("ipv6-prefix", format!("{prefix} is the prefix of user `{other}` already"));
        }
        let user = User {
            name: name.as_bytes().into(),
            password: Secret::new(&password.unwrap_or_default()),
            grant,
        };
        if !name.is_empty() && names.insert(user.name.clone(), section.place()).is_some() {
            section.error("name", format!("there is a user `{name}` already"));
        }
        users.push(Account { user, place: section.place_of("address") });
        section.finish();
    }
    for account in chap_secrets(&accounts, ppp_name, pools).into_iter().flatten() {
        let name = String::from_utf8_lossy(&account.user.name).into_owned();
        match names.get(&account.user.name) {
            None => {
                if let Some(address) = account.user.grant.address
                    && let Some(other) = addresses.insert(address, name.clone())
                {
                    let message = format!(
                        "`{name}` has {address}, as `{other}` has: one session at a time can have it"
                    );
                    accounts.warn("chap-secrets", message);
                }
                users.push(account);
            }
            Some(_) => {
                let message = format!("user `{name}` is in chap-secrets too; [[user]] counts");
                accounts.warn("chap-secrets", message);
            }
        }
    }
    accounts.finish();
    users
}

fn grant(section: &Section<'_>, pools: &Pools) -> Grant {
    let grant = Grant {
        address: section.get("address", value::ipv4),
        pool: pools.named(section, "pool"),
        ipv6_prefix: section.get("ipv6-prefix", network64),
        routes: section.get("routes", value::list(value::parsed)).unwrap_or_default(),
        max_sessions: section.get("max-sessions", value::number(1..=u32::MAX)),
        refuse_more: section.get("refuse-more", value::boolean).unwrap_or(false),
        session_timeout: section.get("session-timeout", value::duration(Duration::from_secs(1)..=YEAR)),
        idle_timeout: section.get("idle-timeout", value::duration(Duration::from_secs(1)..=YEAR)),
    };
    let fixed = [
        ("address", grant.address.is_some()),
        ("ipv6-prefix", grant.ipv6_prefix.is_some()),
        ("routes", !grant.routes.is_empty()),
    ];
    for (key, _) in fixed.iter().filter(|(_, fixed)| *fixed) {
        if grant.max_sessions.is_some_and(|most| most > 1) {
            section.error(
                "max-sessions",
                format!("only one session at a time can have the `{key}`; leave out one"),
            );
        }
    }
    if grant.address.is_some() && grant.pool.is_some() {
        section
            .error("pool", "the address does not come out of a pool, it is `address`; leave out one of them");
    }
    grant
}

/// An IPv6 network of exactly 64 bits.
fn network64(node: &Node) -> Read<Prefix> {
    match ipv6_prefix(node)? {
        prefix if prefix.len == 64 => Ok(prefix),
        prefix => value::wrong(node, format!("{prefix} is no /64, which is what a session has")),
    }
}

fn chap_secrets(section: &Section<'_>, ours: &str, pools: &Pools) -> Option<Vec<Account>> {
    let path = section.reader.path(&section.get("chap-secrets", value::text)?);
    let text = match secrets::octets(&path) {
        Ok(text) => text,
        Err(error) => {
            section.error("chap-secrets", format!("{}: {error}", path.display()));
            return None;
        }
    };
    if secrets::readable_by_others(&path) {
        section.warn("chap-secrets", secrets::others(&path));
    }
    let note = |line, message, suggestion| {
        let place = Place::At { line, column: 1 };
        let (file, key) = (Some(path.clone()), String::new());
        section.reader.note(Problem { file, place, severity: Severity::Error, key, message, suggestion });
    };
    let read = ChapSecrets::parse(&text, ours.as_bytes());
    for fault in read.faults {
        note(fault.line, fault.message, None);
    }
    if read.users.is_empty() {
        let message = format!("{} has no line for the server `{ours}` or `*`", path.display());
        section.warn("chap-secrets", message);
    }
    let mut accounts = Vec::new();
    for (line, user) in read.users {
        if let Some(pool) = &user.grant.pool
            && !pools.ipv4.contains_key(pool)
        {
            let suggestion = nearest(pool, pools.ipv4.keys().map(String::as_str));
            note(line, format!("there is no [pool.{pool}]"), suggestion);
        }
        accounts.push(Account { user, place: section.place_of("chap-secrets") });
    }
    Some(accounts)
}

fn hooks(section: Section<'_>) -> Hooks {
    let script = |key| {
        let path = section.reader.path(&section.get(key, value::text)?);
        check_script(&section, key, &path);
        // A script is run in another folder than the daemon.
        Some(std::path::absolute(&path).unwrap_or(path))
    };
    let time = Duration::from_secs(1)..=Duration::from_secs(3600);
    let hooks = Hooks {
        ip_up: script("ip-up"),
        ip_down: script("ip-down"),
        ipv6_up: script("ipv6-up"),
        ipv6_down: script("ipv6-down"),
        timeout: section.get("timeout", value::duration(time)).unwrap_or(Hooks::default().timeout),
    };
    section.finish();
    hooks
}

/// Whether this process's user may execute a file, by its mode alone: that root may do more is given up.
fn may_execute(file: &fs::Metadata) -> bool {
    let groups = unistd::getgroups().unwrap_or_default();
    let is_in =
        |group: u32| group == unistd::getegid().as_raw() || groups.iter().any(|gid| gid.as_raw() == group);
    let bit = if file.uid() == unistd::geteuid().as_raw() {
        0o100
    } else if is_in(file.gid()) {
        0o010
    } else {
        0o001
    };
    file.mode() & bit != 0
}

fn check_script(section: &Section<'_>, key: &'static str, path: &PathBuf) {
    let name = path.display();
    match fs::metadata(path) {
        Err(error) => section.error(key, format!("{name}: {error}")),
        Ok(file) if !file.is_file() => section.error(key, format!("{name} is no file")),
        Ok(file) if file.mode() & 0o111 == 0 => {
            section.error(key, format!("{name} cannot be executed; chmod +x {name}"));
        }
        Ok(file) if !may_execute(&file) => {
            let message = format!(
                "{name} cannot be executed by the user that ol2tp runs as; give it to him (a daemon of root's has \
                 no right to the files of others)"
            );
            section.error(key, message);
        }
        Ok(file) if file.mode() & 0o002 != 0 => {
            section.error(key, format!("everybody on this machine can change {name}; chmod o-w {name}"));
        }
        Ok(_) => {}
    }
}
