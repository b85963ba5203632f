//! What the daemon is told: resolved and typed. A value of these types makes sense by itself.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use l2tp_control::config::PeerRule;
pub use l2tp_control::config::{Limits, Network, Policy};
use ppp::Secret;
use pppol2tp::Prefix;
use pppol2tp::user::Fast;

use super::Range;

/// All that the daemon is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Our Host Name AVP.
    pub host_name: Box<str>,
    /// Where frames go through.
    pub driver: DriverKind,
    /// How many pairs of threads the driver in user space has.
    pub shards: usize,
    /// Whether it uses its fast path.
    pub fast: Fast,
    /// For how many sessions that has room.
    pub fast_sessions: u32,
    /// Whether data messages that go by it over IPv4 have a UDP checksum.
    pub data_checksums: bool,
    /// Where peers reach us. Port 0 is any free port.
    pub listen: Vec<SocketAddr>,
    /// Where the control API is; `None`: [`crate::control::default_path`].
    pub control_socket: Option<PathBuf>,
    /// What is refused.
    pub limits: Limits,
    /// What is refused where pppd does PPP.
    pub pppd_logins: PppdLogins,
    /// Who may open a tunnel to us: the first that fits counts.
    pub peers: Vec<Peer>,
    /// IPv4 pools by name. They do not overlap.
    pub pools: BTreeMap<String, Vec<Range>>,
    /// IPv6 pools by name: a /64 out of the prefix for each session. They do not overlap.
    pub ipv6_pools: BTreeMap<String, Prefix>,
    /// Accounts, of the file and of its chap-secrets. No name is there twice.
    pub users: Vec<Arc<User>>,
    /// Scripts.
    pub hooks: Hooks,
    /// Tunnels that we open.
    pub connect: Vec<Dial>,
}

/// How many pppd may run for callers of whom nothing is known yet: peers that have not proved that they know a
/// secret, until their session has an address. Each is a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PppdLogins {
    /// In all.
    pub all: usize,
    /// Of one source: an IPv4 address or an IPv6 /64.
    pub per_source: usize,
}

impl Default for PppdLogins {
    fn default() -> Self {
        Self { all: 256, per_source: 32 }
    }
}

/// Which driver moves the frames.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum DriverKind {
    /// The kernel's, where it works, else that in user space.
    Auto,
    /// The kernel's.
    Linux,
    /// The one of this project, in user space.
    #[default]
    User,
}

impl DriverKind {
    /// All of them, by their names.
    pub const NAMES: [(&'static str, Self); 3] =
        [("auto", Self::Auto), ("linux", Self::Linux), ("user", Self::User)];
}

impl Settings {
    /// Why the kernel's driver cannot do what is wanted, if it cannot.
    pub fn not_for_linux(&self) -> Option<String> {
        let shared = |peer: &&Peer| matches!(peer.profile.interface, InterfaceChoice::Shared { .. });
        let peer = self.peers.iter().find(shared)?;
        Some(format!("the sessions of peer `{}` share an interface, which is the user driver's", peer.name))
    }

    /// What the kernel's driver ignores of what is wanted, and what to do.
    pub fn ignored_by_linux(&self) -> Vec<String> {
        // To pppd it means nothing with any driver.
        let clamped = |profile: &Profile| profile.mss_clamp && profile.pppd.is_none();
        let peers = self.peers.iter().filter(|peer| clamped(&peer.profile));
        let peers = peers.map(|peer| format!("[peer.{}]", peer.name));
        let dials = self.connect.iter().filter(|dial| clamped(&dial.profile));
        let tables: Vec<_> = peers.chain(dials.map(|dial| format!("[connect.{}]", dial.name))).collect();
        let mss_clamp = || {
            format!(
                "the kernel's driver does not do `mss-clamp`, which is wanted for {}: let nftables do it (tcp option maxseg \
                 size set rt mtu) and write `mss-clamp = false`, or use `driver = \"user\"`",
                tables.join(", ")
            )
        };
        let shards = || "the kernel's driver has no `shards`: it uses all cores by itself".to_owned();
        let checksums = || "the kernel's driver has no `data-checksums`: all messages have theirs".to_owned();
        let ignored = [
            (!tables.is_empty()).then(mss_clamp),
            (self.shards > 1).then(shards),
            (!self.data_checksums).then(checksums),
        ];
        ignored.into_iter().flatten().collect()
    }

    /// Why the driver in user space cannot do what is wanted, if it cannot.
    pub fn not_for_user(&self) -> Option<String> {
        let peers = self.peers.iter().map(|peer| (&peer.profile, "peer"));
        let mut profiles = peers.chain(self.connect.iter().map(|dial| (&dial.profile, "connect")));
        let (profile, table) = profiles.find(|(profile, _)| profile.pppd.is_some())?;
        Some(format!("[{table}.{}] has `ppp = \"pppd\"`, which needs the kernel's driver", profile.name))
    }

    /// Whether it may start programs of others: scripts, or pppd, which has scripts of its own.
    pub fn runs_programs(&self) -> bool {
        let Hooks { ip_up, ip_down, ipv6_up, ipv6_down, .. } = &self.hooks;
        [ip_up, ip_down, ipv6_up, ipv6_down].into_iter().any(Option::is_some) || self.not_for_user().is_some()
    }

    /// Whether a peer's sessions may have IPv6, and with it router advertisements of ours.
    pub fn serves_ipv6(&self) -> bool {
        self.peers.iter().any(|peer| peer.profile.ipv6)
    }

    /// Whether a connection of ours may have IPv6, and with it router advertisements of the server's.
    pub fn dials_ipv6(&self) -> bool {
        self.connect.iter().any(|dial| dial.profile.ipv6)
    }
}

/// Peers that may open a tunnel to us, and how they are dealt with.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its name in the file.
    pub name: Box<str>,
    /// The peer's Host Name AVP; `*` stands for any octets, `?` for one.
    pub host_name: Box<str>,
    /// The network that the peer's address is in.
    pub network: Option<Network>,
    /// The control connection.
    pub policy: Arc<Policy>,
    /// Its sessions.
    pub profile: Arc<Profile>,
}

impl Peer {
    /// Which peers it is for, as the control protocol takes it.
    pub fn rule(&self) -> PeerRule {
        PeerRule { host_name: self.host_name.clone(), network: self.network, policy: self.policy.clone() }
    }
}

/// How a session is set up.
#[derive(Clone, Debug)]
pub struct Profile {
    /// The name of its peer or dial.
    pub name: Box<str>,
    /// PPP.
    pub ppp: Arc<ppp::Config>,
    /// Who does it, if it is not us.
    pub pppd: Option<Pppd>,
    /// Our IPv4 address. A server that has none offers no IPv4; a client asks for it, or for any.
    pub local_address: Option<Ipv4Addr>,
    /// The IPv4 pool for peers whose account has none.
    pub pool: Option<String>,
    /// The IPv6 pool.
    pub ipv6_pool: Option<String>,
    /// Whether IPV6CP is negotiated.
    pub ipv6: bool,
    /// Resolvers that the peer is told, IPv4 by IPCP (two at the most), IPv6 by router advertisements.
    pub dns: Vec<IpAddr>,
    /// NetBIOS name servers that the peer is told; two at the most.
    pub nbns: Vec<Ipv4Addr>,
    /// The network interface.
    pub interface: InterfaceChoice,
    /// Upper bound for the interface's MTU in bytes; `None`: what the path and the peer allow.
    pub mtu: Option<u16>,
    /// Whether TCP's MSS is held down to what the MTU allows.
    pub mss_clamp: bool,
    /// Whether data messages are sent with sequence numbers; as LNS, whether the LAC shall too.
    pub send_sequence: bool,
    /// Whether data messages without are dropped; as LAC, the Sequencing Required AVP.
    pub require_sequence: bool,
    /// How long a gap in the sequence numbers is waited for; zero: no reordering.
    pub reorder_timeout: Duration,
    /// The longest a session may last.
    pub session_timeout: Option<Duration>,
    /// The longest a session may be without IP packets from the user.
    pub idle_timeout: Option<Duration>,
}

/// pppd, which does PPP in our place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pppd {
    /// The program.
    pub path: PathBuf,
    /// What it is told besides.
    pub options: Vec<String>,
}

impl Default for Pppd {
    fn default() -> Self {
        Self { path: "/usr/sbin/pppd".into(), options: Vec::new() }
    }
}

/// Which network interface a session has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum InterfaceChoice {
    /// One of its own.
    PerSession {
        /// `%d` stands for the first free number.
        name: String,
    },
    /// One with all sessions of profiles that name it.
    Shared {
        /// `%d` stands for the first free number.
        name: String,
    },
}

/// Who may log in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct User {
    /// The name; `*` is whoever has no account of his own.
    pub name: Box<[u8]>,
    /// The password.
    pub password: Secret,
    /// What a session gets.
    pub grant: crate::accounts::Grant,
}

/// Scripts to run when sessions come and go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hooks {
    /// IPv4 is up.
    pub ip_up: Option<PathBuf>,
    /// IPv4 is down.
    pub ip_down: Option<PathBuf>,
    /// IPv6 is up.
    pub ipv6_up: Option<PathBuf>,
    /// IPv6 is down.
    pub ipv6_down: Option<PathBuf>,
    /// How long a script may run before it is killed.
    pub timeout: Duration,
}

impl Default for Hooks {
    fn default() -> Self {
        Self { ip_up: None, ip_down: None, ipv6_up: None, ipv6_down: None, timeout: Duration::from_secs(30) }
    }
}

/// A tunnel with a session that we open.
#[derive(Clone, Debug)]
pub struct Dial {
    /// Its name in the file, or the host of the command line.
    pub name: Box<str>,
    /// A name to resolve each time, or an address.
    pub host: String,
    /// The peer's UDP port.
    pub port: u16,
    /// Our UDP port; `None`: any.
    pub local_port: Option<u16>,
    /// The control connection.
    pub policy: Arc<Policy>,
    /// The session; `ppp.credentials` are set if the file has them.
    pub profile: Arc<Profile>,
    /// Whether everything goes through the session.
    pub default_route: bool,
    /// What else goes through the session.
    pub routes: Vec<Prefix>,
    /// Who is told about the resolvers that the peer names.
    pub dns: DnsMode,
    /// Whether the session is set up again when it ends, and how soon.
    pub persist: Option<Backoff>,
    /// The Calling Number AVP.
    pub calling_number: Option<Box<str>>,
    /// The Called Number AVP.
    pub called_number: Option<Box<str>>,
}

/// Who is told about the resolvers that a peer names.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum DnsMode {
    /// The first of the following that is there.
    #[default]
    Auto,
    /// systemd-resolved.
    Resolved,
    /// resolvconf.
    Resolvconf,
    /// /etc/resolv.conf itself.
    File,
    /// Nobody.
    None,
}

/// Waits between tries; each is twice as long as the one before, give or take a jitter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Backoff {
    /// The first wait.
    pub first: Duration,
    /// The longest wait.
    pub most: Duration,
}
