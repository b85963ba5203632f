//! `ol2tp serve`.

use std::path::PathBuf;

use clap::Args;

use super::EndArgs;

/// `ol2tp serve`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ol2tp serve -c /etc/ol2tp/ol2tp.toml
  ol2tp serve --local-address 10.0.0.1 --pool 10.0.0.0/24 --user anna:sesame --user berta:opensesame
  ol2tp serve --listen 192.0.2.1 --secret-file /etc/ol2tp/secret --auth mschapv2 --interface shared \\
      --local-address 10.0.0.1 --pool 10.0.0.10-10.0.0.200 --ipv6-pool 2001:db8::/48 \\
      --dns 9.9.9.9 --chap-secrets /etc/ppp/chap-secrets

SIGHUP reads the file again; sessions go on. SIGINT and SIGTERM end all tunnels in good order.
Others can see a --secret or a --user's password in the list of processes: --secret-file,
--chap-secrets or a configuration file keep them private.
Needs /dev/net/tun and CAP_NET_ADMIN. L2TP encrypts nothing: where the network is not trusted, put
IPsec below it.")]
pub struct ServeArgs {
    /// Configuration file, in place of the options up to --interface
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where peers reach us [default: port 1701 of all addresses]
    #[arg(long, value_name = "ADDR[:PORT]", conflicts_with = "config")]
    pub listen: Vec<String>,
    /// Secret that peers have to know; seen in the list of processes
    #[arg(long, value_name = "SECRET", conflicts_with_all = ["config", "secret_file"])]
    pub secret: Option<String>,
    /// File with that secret in its first line
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    pub secret_file: Option<String>,
    /// Who may log in; the password is seen in the list of processes
    #[arg(long, value_name = "NAME:PASSWORD", conflicts_with = "config")]
    pub user: Vec<String>,
    /// File with who may log in, as pppd has it
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    pub chap_secrets: Option<String>,
    /// How users may prove who they are, most wanted first: pap, chap, mschapv2, eap
    /// [default: mschapv2,chap]
    #[arg(long, value_name = "LIST", value_delimiter = ',', conflicts_with = "config")]
    pub auth: Vec<String>,
    /// Addresses for the other ends of sessions
    #[arg(long, value_name = "PREFIX|FIRST-LAST", conflicts_with = "config")]
    pub pool: Vec<String>,
    /// Prefix out of which each session has a /64
    #[arg(long, value_name = "PREFIX", conflicts_with = "config")]
    pub ipv6_pool: Option<String>,
    /// Our address in every session
    #[arg(long, value_name = "IP", conflicts_with = "config")]
    pub local_address: Option<String>,
    /// Name servers that users are told
    #[arg(long, value_name = "IP", conflicts_with = "config")]
    pub dns: Vec<String>,
    /// One network interface for each session, or one for all: per-session, shared
    /// [default: per-session]
    #[arg(long, value_name = "KIND", conflicts_with = "config")]
    pub interface: Option<String>,
    /// Tell of each control message and PPP frame
    #[arg(long)]
    pub trace: bool,
    /// What every end has.
    #[command(flatten)]
    pub end: EndArgs,
}
