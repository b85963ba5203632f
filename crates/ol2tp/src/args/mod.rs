//! The command line.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use ol2tpd::config::DriverKind;
use ol2tpd::control::What;
use pppol2tp::DebugMask;
use pppol2tp::user::{Fast, Mode};

mod client;
mod serve;
mod value;

pub use client::{ConnectArgs, DisconnectArgs, EventsArgs};
pub use serve::ServeArgs;
pub use value::{Assignment, Ids, Rate};

use value::{debug_mask, driver, duration, fast, mode, seconds, shards};

const EXIT_CODES: &str = "\
Exit codes:
  0    done; `serve`, `connect` or `static` ended by SIGINT or SIGTERM
  1    failed while running
  2    wrong arguments, or a configuration that makes no sense
  3    cannot run here: a permission or a device is missing
  10   connect: the host's name has no address
  11   connect: the peer does not answer
  12   connect: tunnel authentication failed, the secret is wrong or missing
  13   connect: the peer refused the tunnel or the call, or PPP could not agree
  14   connect: user name or password is wrong
  15   connect: no address was to be had
  16   connect: it was up, and the peer stopped answering
  17   connect: it was up, and the peer ended it
  18   connect: something on this machine: an interface, a route, a name server
  130  `demo` or `bench` ended by SIGINT or SIGTERM; `connect` while it asked for the password";

/// PPP over L2TP (RFC 2661).
#[derive(Debug, Parser)]
#[command(name = "ol2tp", version, about, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Says more on standard error; twice: everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Which messages appear on standard error, for example `warn,ol2tpd=debug`
    #[arg(long, global = true, value_name = "FILTER", conflicts_with = "verbose")]
    pub log: Option<String>,
}

/// Commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs an L2TP server: takes tunnels and calls, gives each session its address
    Serve(ServeArgs),
    /// Connects to an L2TP server, until SIGINT or SIGTERM
    Connect(ConnectArgs),
    /// Ends tunnels or sessions of a running ol2tp
    Disconnect(DisconnectArgs),
    /// Follows what happens in a running ol2tp
    Events(EventsArgs),
    /// Says what a configuration file means, or all that is wrong with it
    Check(CheckArgs),
    /// Runs a tunnel with one session and no control protocol, until SIGINT or SIGTERM
    Static(StaticArgs),
    /// Shows tunnels, sessions, users and counters of a running ol2tp
    Show(ShowArgs),
    /// Sets socket options of a running ol2tp
    Set(SetArgs),
    /// Shows a client and a server at work in two network namespaces, with measurements
    Demo(DemoArgs),
    /// Measures what this machine can do
    Bench(BenchArgs),
    /// Replays a record of the control protocol and says what went on, message by message
    Replay(ReplayArgs),
    /// One end of `bench sessions`
    #[command(hide = true)]
    Shared(SharedArgs),
}

/// `ol2tp static`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ol2tp static --local 192.0.2.1:1701 --peer 192.0.2.2:1701 --tunnel 1:2 --session 10:20 \\
      --address 10.0.0.1 --peer-address 10.0.0.2
  ol2tp static --local [2001:db8::1]:1701 --peer [2001:db8::2]:1701 --tunnel 1:1 --session 1:1 \\
      --interface office --send-seq --recv-seq --lns --reorder-timeout 100ms --debug control,seq

The peer has to be told the same numbers the other way round. It can be ol2tp or Linux
(ip l2tp add tunnel/session … encap udp, with pppd on the session).
Needs /dev/net/tun and CAP_NET_ADMIN.")]
pub struct StaticArgs {
    /// Address and UDP port of this end
    #[arg(long, value_name = "ADDR:PORT")]
    pub local: SocketAddr,
    /// Address and UDP port of the peer
    #[arg(long, value_name = "ADDR:PORT")]
    pub peer: SocketAddr,
    /// Tunnel ids, 1 to 65535: this end's and the peer's
    #[arg(long, value_name = "LOCAL:PEER")]
    pub tunnel: Ids,
    /// Session ids, 1 to 65535: this end's and the peer's
    #[arg(long, value_name = "LOCAL:PEER")]
    pub session: Ids,
    /// Name of the network interface; %d stands for the first free number
    #[arg(long, value_name = "NAME", default_value = "ppp%d")]
    pub interface: String,
    /// Address of the interface; once each for IPv4 and IPv6
    #[arg(long, value_name = "IP", requires = "peer_address")]
    pub address: Vec<IpAddr>,
    /// Address at the other end of the interface; one for each --address
    #[arg(long, value_name = "IP", requires = "address")]
    pub peer_address: Vec<IpAddr>,
    /// Upper bound for the interface's MTU in bytes [default: what the path allows]
    #[arg(long, value_name = "BYTES")]
    pub mtu: Option<u16>,
    /// Send sequence numbers
    #[arg(long)]
    pub send_seq: bool,
    /// Drop data messages without sequence numbers
    #[arg(long)]
    pub recv_seq: bool,
    /// Act as LNS: decide whether sequence numbers are used (a LAC follows)
    #[arg(long)]
    pub lns: bool,
    /// The peer's driver has a fast path (`ol2tp` with --fast), which matters where the link to it is virtual
    #[arg(long)]
    pub peer_fast: bool,
    /// How long a gap in the sequence numbers is waited for; 0: no reordering
    #[arg(long, value_name = "DURATION", default_value = "0", value_parser = duration)]
    pub reorder_timeout: Duration,
    /// Debug messages: a list of control, seq, data
    #[arg(long, value_name = "LIST", default_value = "none", value_parser = debug_mask)]
    pub debug: DebugMask,
    /// Debug messages a second at the most, or `off` for no limit
    #[arg(long, value_name = "N|off", default_value = "500")]
    pub debug_rate: Rate,
    /// What every end has.
    #[command(flatten)]
    pub end: EndArgs,
}

/// What every end of a tunnel has.
#[derive(Debug, Args)]
pub struct EndArgs {
    /// Offloads to use: offload, no-uso, no-tso, no-vnet, no-gso, no-gro, no-udp, no-ring, batch, plain
    #[arg(long, value_name = "NAME", default_value = "offload", value_parser = mode)]
    pub mode: Mode,
    /// Pairs of threads, over which the tunnels are spread by the peer's address: 1 to 64 [default: 1]
    #[arg(long, value_name = "N", value_parser = shards)]
    pub shards: Option<usize>,
    /// Whether the kernel moves the frames of plain sessions by itself, by programs in eBPF: auto, on, off [default: auto]
    #[arg(long, value_name = "NAME", value_parser = fast)]
    pub fast: Option<Fast>,
    /// Data messages that go fast over IPv4 have no UDP checksum
    #[arg(long)]
    pub no_data_checksums: bool,
    /// Which driver moves the frames: user, linux (the kernel's), auto (the kernel's where it works) [default: user]
    #[arg(long, value_name = "NAME", value_parser = driver)]
    pub driver: Option<DriverKind>,
    /// Control socket [default: $XDG_RUNTIME_DIR/ol2tp.sock, for root /run/ol2tp/ol2tp.sock]
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Print events as JSON lines
    #[arg(long)]
    pub json: bool,
    /// Standard input is a Unix socket with the control API; run until it ends
    #[arg(long, hide = true)]
    pub controlled: bool,
}

/// `ol2tp show`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ol2tp show
  ol2tp show users
  ol2tp show pools
  ol2tp show sessions --long
  ol2tp show sessions --json | jq '.sessions[].stats.rx_errors'
  ol2tp show proc --socket /run/office.sock")]
pub struct ShowArgs {
    /// What to show [default: tunnels, sessions and sockets]
    pub what: Option<ShowWhat>,
    /// Control socket [default: $XDG_RUNTIME_DIR/ol2tp.sock, for root /run/ol2tp/ol2tp.sock]
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Every option, state and counter instead of a table
    #[arg(short, long)]
    pub long: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What `ol2tp show` shows.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum ShowWhat {
    /// Tunnels, newest first
    Tunnels,
    /// Sessions
    Sessions,
    /// UDP sockets and their offloads
    Sockets,
    /// Users with their sessions
    Users,
    /// Address pools, and how much of them is taken
    Pools,
    /// The text of /proc/net/pppol2tp
    Proc,
}

impl From<ShowWhat> for What {
    fn from(what: ShowWhat) -> Self {
        match what {
            ShowWhat::Tunnels => Self::Tunnels,
            ShowWhat::Sessions => Self::Sessions,
            ShowWhat::Sockets => Self::Sockets,
            ShowWhat::Users => Self::Users,
            ShowWhat::Pools => Self::Pools,
            ShowWhat::Proc => Self::Proc,
        }
    }
}

/// `ol2tp set`.
#[derive(Debug, Args)]
#[command(after_help = "\
Options:
  debug=LIST              messages: none, or a list of control, seq, data
  recv-seq=on|off         drop data messages without sequence numbers
  send-seq=on|off         send sequence numbers
  lns=on|off              act as LNS
  reorder-timeout=TIME    how long a gap is waited for, in whole ms; 0: no reordering

A tunnel (no --session) has `debug` only.

Examples:
  ol2tp set --tunnel 1 debug=control
  ol2tp set --tunnel 1 --session 10 send-seq=on reorder-timeout=100ms")]
pub struct SetArgs {
    /// Control socket [default: $XDG_RUNTIME_DIR/ol2tp.sock, for root /run/ol2tp/ol2tp.sock]
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Local tunnel id
    #[arg(long, value_name = "N")]
    pub tunnel: u16,
    /// Local session id
    #[arg(long, value_name = "N")]
    pub session: Option<u16>,
    /// Socket options, for example `send-seq=on`
    #[arg(required = true, value_name = "OPTION=VALUE")]
    pub options: Vec<Assignment>,
}

/// `ol2tp demo`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ol2tp demo
  ol2tp demo --json --rounds 3 --seconds 0.5

Runs as root, or as any user where user namespaces are allowed and /dev/net/tun may be opened.
Nothing of it is to be seen outside its namespaces, and all of it goes when it ends.")]
pub struct DemoArgs {
    /// How often each load is measured; the median counts
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub rounds: u16,
    /// How long each time
    #[arg(long, default_value = "0.8", value_parser = seconds)]
    pub seconds: Duration,
    /// Offloads the tunnel uses: offload, no-uso, no-tso, no-vnet, no-gso, no-gro, no-udp, no-ring, batch, plain
    #[arg(long, value_name = "NAME", default_value = "offload", value_parser = mode)]
    pub mode: Mode,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// `ol2tp bench`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ol2tp bench
  ol2tp bench loads --rounds 9
  ol2tp bench sessions --sessions 10000 --json")]
pub struct BenchArgs {
    /// What to measure [default: all but drivers]
    pub what: Option<BenchWhat>,
    /// How often each load is measured; the median counts
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub rounds: u16,
    /// How long each time
    #[arg(long, default_value = "1", value_parser = seconds)]
    pub seconds: Duration,
    /// How long sessions are watched that do nothing but answer LCP's echoes, which come every 30 s
    #[arg(long, default_value = "40", value_parser = seconds)]
    pub idle: Duration,
    /// Sessions on the shared interface
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u16).range(1..=65_000))]
    pub sessions: u16,
    /// Shards of the server that `frames` measures, which has a core for each if there are as many
    #[arg(long, value_name = "N", default_value = "1", value_parser = shards)]
    pub shards: usize,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// What `ol2tp bench` measures.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum BenchWhat {
    /// Nanoseconds per frame of the rules alone
    Rules,
    /// The driver with each set of offloads, beside the bare link
    Modes,
    /// TCP and UDP, each direction, with sequence numbers, over IPv6 and on a shared interface, beside the bare link
    Loads,
    /// Many sessions on one shared interface, beside one
    Sessions,
    /// Frames of several lengths through a server on one core, each way
    Frames,
    /// How much later frames arrive than over the bare link, at rest and under some load
    Latency,
    /// The fast path and the ordinary way, beside the bare link; with super-packets whole and cut (needs ethtool)
    Fast,
    /// The kernel's own driver and the one in user space, by its ordinary way and by its fast path, beside the bare link
    Drivers,
}

/// `ol2tp replay`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ol2tp replay lns.record | less
  ol2tp replay lns.record --json | jq 'select(.message.message == \"StopCCN\")'

A record has all that went into an endpoint: what it does is found out anew. Each line starts with the
time in seconds of the clock then, and
  <  a datagram that came, with its AVPs
  >  a datagram that was sent
  @  a timer
  #  what the endpoint was told to do
  *  what the endpoint told
Secrets and passwords are in the record, unless it was made without, and never in the output.")]
pub struct ReplayArgs {
    /// The record
    pub file: PathBuf,
    /// Print JSON, a line each
    #[arg(long)]
    pub json: bool,
}

/// `ol2tp check`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ol2tp check /etc/ol2tp/ol2tp.toml
  ol2tp check /etc/ol2tp/ol2tp.toml --json | jq '.problems[].message'

Prints the file with all defaults and all that is inherited, but without secrets. What is wrong goes to
standard error as FILE:LINE:COLUMN: KEY: what, all at once; the exit code is 1 then.")]
pub struct CheckArgs {
    /// The file
    pub file: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `ol2tp shared`.
#[derive(Debug, Args)]
pub struct SharedArgs {
    /// Address and UDP port of this end.
    #[arg(long)]
    pub local: SocketAddr,
    /// Address and UDP port of the peer.
    #[arg(long)]
    pub peer: SocketAddr,
    /// How many sessions.
    #[arg(long)]
    pub sessions: u16,
    /// The /16 with the addresses at the other end.
    #[arg(long)]
    pub network: std::net::Ipv4Addr,
    /// The peer's driver has a fast path.
    #[arg(long)]
    pub peer_fast: bool,
    /// What every end has.
    #[command(flatten)]
    pub end: EndArgs,
}
