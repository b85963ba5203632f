//! `ol2tp connect`, `disconnect` and `events`.

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use ol2tpd::control::Disconnect;

use super::EndArgs;

/// `ol2tp connect`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ol2tp connect vpn.example.com --user anna
  ol2tp connect vpn.example.com --user anna --password-file ~/.vpn --default-route --persist
  ol2tp connect 192.0.2.2 --user anna --secret-file /etc/ol2tp/secret --route 10.0.0.0/8 --dns none
  ol2tp connect -c /etc/ol2tp/ol2tp.toml office

The password comes from --password-file, else from the environment variable OL2TP_PASSWORD, else it
is asked for on the terminal. Others can see a --secret in the list of processes; --secret-file keeps
it private.
On SIGINT and SIGTERM the session ends in good order, and the interface, routes and name servers are as
they were. Each kind of failure has an exit code of its own: see `ol2tp --help`.
Needs /dev/net/tun and CAP_NET_ADMIN.")]
pub struct ConnectArgs {
    /// Name or address of the server; with -c, the NAME of a [connect.NAME] in the file
    #[arg(value_name = "HOST")]
    pub host: String,
    /// Configuration file, in place of the options up to --persist
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Who we are
    #[arg(long, value_name = "NAME", required_unless_present = "config", conflicts_with = "config")]
    pub user: Option<String>,
    /// File with the password in its first line
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    pub password_file: Option<String>,
    /// Secret shared with the server's tunnels; seen in the list of processes
    #[arg(long, value_name = "SECRET", conflicts_with_all = ["config", "secret_file"])]
    pub secret: Option<String>,
    /// File with that secret in its first line
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    pub secret_file: Option<String>,
    /// Send everything through the session
    #[arg(long, conflicts_with = "config")]
    pub default_route: bool,
    /// Send what goes to this network through the session
    #[arg(long, value_name = "PREFIX", conflicts_with = "config")]
    pub route: Vec<String>,
    /// Who is told about the server's name servers: auto, resolvconf, resolved, file, none
    /// [default: auto]
    #[arg(long, value_name = "WHO", conflicts_with = "config")]
    pub dns: Option<String>,
    /// Our UDP port [default: any]
    #[arg(long, value_name = "N", conflicts_with = "config")]
    pub local_port: Option<u16>,
    /// The server's UDP port [default: 1701]
    #[arg(long, value_name = "N", conflicts_with = "config")]
    pub port: Option<u16>,
    /// Name of the network interface; %d stands for the first free number [default: ppp%d]
    #[arg(long, visible_alias = "interface", value_name = "NAME", conflicts_with = "config")]
    pub interface_name: Option<String>,
    /// Agree on IPv4 addresses only
    #[arg(long, conflicts_with = "config")]
    pub no_ipv6: bool,
    /// How we may prove who we are, most wanted first: pap, chap, mschapv2, eap
    /// [default: mschapv2,chap,eap,pap]
    #[arg(long, value_name = "LIST", value_delimiter = ',', conflicts_with = "config")]
    pub auth: Vec<String>,
    /// Upper bound for the interface's MTU in bytes [default: what the path allows]
    #[arg(long, value_name = "BYTES", conflicts_with = "config")]
    pub mtu: Option<u16>,
    /// Connect again whenever it fails or ends
    #[arg(long, conflicts_with = "config")]
    pub persist: bool,
    /// Tell of each control message and PPP frame
    #[arg(long)]
    pub trace: bool,
    /// What every end has.
    #[command(flatten)]
    pub end: EndArgs,
}

/// `ol2tp disconnect`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").args(["tunnel", "user", "interface", "all"]).required(true))]
#[command(after_help = "\
Examples:
  ol2tp disconnect --user anna
  ol2tp disconnect --tunnel 4711 --session 12
  ol2tp disconnect --all

Returns when the peers have been told. `ol2tp show` has the ids, users and interfaces.")]
pub struct DisconnectArgs {
    /// The tunnel with this local id, with all of its sessions
    #[arg(long, value_name = "N")]
    pub tunnel: Option<u16>,
    /// Only its session with this local id
    #[arg(long, value_name = "N", requires = "tunnel")]
    pub session: Option<u16>,
    /// All sessions of a user
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// The session on a network interface
    #[arg(long, value_name = "NAME")]
    pub interface: Option<String>,
    /// Everything
    #[arg(long)]
    pub all: bool,
    /// Control socket [default: $XDG_RUNTIME_DIR/ol2tp.sock, for root /run/ol2tp/ol2tp.sock]
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
}

impl DisconnectArgs {
    /// What is asked of the daemon.
    pub fn request(&self) -> Disconnect {
        Disconnect {
            tunnel_id: self.tunnel,
            session_id: self.session,
            user: self.user.clone(),
            interface: self.interface.clone(),
            all: self.all,
        }
    }
}

/// `ol2tp events`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ol2tp events
  ol2tp events --json | jq 'select(.event == \"session_up\") | .user'

Tells what happens from now on, until the daemon ends or SIGINT comes.")]
pub struct EventsArgs {
    /// Control socket [default: $XDG_RUNTIME_DIR/ol2tp.sock, for root /run/ol2tp/ol2tp.sock]
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Print JSON lines
    #[arg(long)]
    pub json: bool,
}
