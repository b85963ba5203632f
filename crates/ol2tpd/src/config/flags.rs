//! Flags made into the document that would say the same, so that both mean the same.

use std::path::PathBuf;

use zeroize::Zeroizing;

use super::document::{Entry, Node, Table, Value};
use super::problem::{Place, Problems};
use super::section::Reader;
use super::{Loaded, Settings};

/// The flags of `ol2tp serve` that stand for a file. The texts are as in the file.
#[derive(Clone, Default)]
pub struct ServeFlags {
    /// `--listen`.
    pub listen: Vec<String>,
    /// `--secret`.
    pub secret: Option<Zeroizing<String>>,
    /// `--secret-file`.
    pub secret_file: Option<String>,
    /// `--user`: name, colon, password.
    pub users: Vec<Zeroizing<String>>,
    /// `--chap-secrets`.
    pub chap_secrets: Option<String>,
    /// `--auth`.
    pub auth: Vec<String>,
    /// `--pool`.
    pub pool: Vec<String>,
    /// `--ipv6-pool`.
    pub ipv6_pool: Option<String>,
    /// `--local-address`.
    pub local_address: Option<String>,
    /// `--dns`.
    pub dns: Vec<String>,
    /// `--interface`.
    pub interface: Option<String>,
    /// `--socket`.
    pub socket: Option<PathBuf>,
}

/// The flags of `ol2tp connect` that stand for a file. The texts are as in the file.
#[derive(Clone, Default)]
pub struct ConnectFlags {
    /// The host.
    pub host: String,
    /// `--port`.
    pub port: Option<u16>,
    /// `--local-port`.
    pub local_port: Option<u16>,
    /// `--user`.
    pub user: Option<String>,
    /// What was asked for, if `--password-file` is not there.
    pub password: Option<Zeroizing<String>>,
    /// `--password-file`.
    pub password_file: Option<String>,
    /// `--secret`.
    pub secret: Option<Zeroizing<String>>,
    /// `--secret-file`.
    pub secret_file: Option<String>,
    /// `--auth`.
    pub auth: Vec<String>,
    /// `--default-route`.
    pub default_route: bool,
    /// `--route`.
    pub routes: Vec<String>,
    /// `--dns`.
    pub dns: Option<String>,
    /// `--no-ipv6`.
    pub no_ipv6: bool,
    /// `--interface-name`.
    pub interface_name: Option<String>,
    /// `--mtu`.
    pub mtu: Option<u16>,
    /// `--persist`.
    pub persist: bool,
    /// `--socket`.
    pub socket: Option<PathBuf>,
}

impl Settings {
    /// A server out of flags: one peer, which is anybody, with one pool.
    ///
    /// # Errors
    ///
    /// All that is wrong with them.
    pub fn serve(flags: &ServeFlags) -> Result<Loaded, Problems> {
        const NAME: &str = "default";
        let reader = Reader::new(None);
        let user = |user: &Zeroizing<String>| {
            let (name, password) = user.split_once(':').unwrap_or_else(|| {
                reader.error(Place::Flag { flag: "--user" }, "", "NAME:PASSWORD is needed");
                ("NAME", "PASSWORD")
            });
            let (name, password) = (text("--user", name), text("--user", password));
            table("--user", [("name", Some(name)), ("password", Some(password))])
        };
        let users = flags.users.iter().map(user).collect();
        let listen = flags.listen.iter();
        let listen = listen.map(|address| table("--listen", [("address", Some(text("--listen", address)))]));
        let pool = (!flags.pool.is_empty()).then(|| {
            table("--pool", [(NAME, Some(table("--pool", [("ranges", texts("--pool", &flags.pool))])))])
        });
        let ipv6_pool = flags.ipv6_pool.as_ref().map(|prefix| {
            let prefix = Some(text("--ipv6-pool", prefix));
            table("--ipv6-pool", [(NAME, Some(table("--ipv6-pool", [("prefix", prefix)])))])
        });
        let peer = table(
            "",
            [
                ("secret", optional("--secret", flags.secret.as_deref())),
                ("secret-file", optional("--secret-file", flags.secret_file.as_ref())),
                ("auth", texts("--auth", &flags.auth)),
                ("pool", pool.is_some().then(|| text("--pool", NAME))),
                ("ipv6-pool", ipv6_pool.is_some().then(|| text("--ipv6-pool", NAME))),
                ("local-address", optional("--local-address", flags.local_address.as_ref())),
                ("dns", texts("--dns", &flags.dns)),
                ("interface", optional("--interface", flags.interface.as_ref())),
            ],
        );
        let chap_secrets = optional("--chap-secrets", flags.chap_secrets.as_ref());
        let document = entries([
            ("listen", array("--listen", listen.collect())),
            ("control", control(flags.socket.as_ref())),
            ("pool", pool),
            ("ipv6-pool", ipv6_pool),
            ("user", array("--user", users)),
            ("accounts", Some(table("--chap-secrets", [("chap-secrets", chap_secrets)]))),
            ("peer", Some(table("", [(NAME, Some(peer))]))),
        ]);
        Self::build(&reader, &document)
    }

    /// A client out of flags: one dial, named as the host.
    ///
    /// # Errors
    ///
    /// All that is wrong with them.
    pub fn connect(flags: &ConnectFlags) -> Result<Loaded, Problems> {
        let dial = table(
            "",
            [
                ("host", Some(text("HOST", &flags.host))),
                ("port", flags.port.map(|port| number("--port", port))),
                ("local-port", flags.local_port.map(|port| number("--local-port", port))),
                ("user", optional("--user", flags.user.as_ref())),
                ("password", optional("--password", flags.password.as_deref())),
                ("password-file", optional("--password-file", flags.password_file.as_ref())),
                ("secret", optional("--secret", flags.secret.as_deref())),
                ("secret-file", optional("--secret-file", flags.secret_file.as_ref())),
                ("auth", texts("--auth", &flags.auth)),
                ("default-route", flags.default_route.then(|| boolean("--default-route", true))),
                ("routes", texts("--route", &flags.routes)),
                ("dns", optional("--dns", flags.dns.as_ref())),
                ("ipv6", flags.no_ipv6.then(|| boolean("--no-ipv6", false))),
                ("interface-name", optional("--interface-name", flags.interface_name.as_ref())),
                ("mtu", flags.mtu.map(|mtu| number("--mtu", mtu))),
                ("persist", flags.persist.then(|| boolean("--persist", true))),
            ],
        );
        let document = entries([
            ("control", control(flags.socket.as_ref())),
            ("connect", Some(table("", [(flags.host.as_str(), Some(dial))]))),
        ]);
        Self::build(&Reader::new(None), &document)
    }
}

fn control(socket: Option<&PathBuf>) -> Option<Node> {
    let socket = socket?.to_string_lossy();
    Some(table("--socket", [("socket", Some(text("--socket", &socket)))]))
}

fn node(flag: &'static str, value: Value) -> Node {
    let place = if flag.is_empty() { Place::File {} } else { Place::Flag { flag } };
    Node { place, value }
}

fn text(flag: &'static str, text: &str) -> Node {
    node(flag, Value::String(Zeroizing::new(text.to_owned())))
}

fn optional(flag: &'static str, value: Option<&String>) -> Option<Node> {
    value.map(|value| text(flag, value))
}

fn texts(flag: &'static str, values: &[String]) -> Option<Node> {
    array(flag, values.iter().map(|value| text(flag, value)).collect())
}

fn array(flag: &'static str, nodes: Vec<Node>) -> Option<Node> {
    (!nodes.is_empty()).then(|| node(flag, Value::Array(nodes)))
}

fn number(flag: &'static str, number: u16) -> Node {
    node(flag, Value::Integer(number.into()))
}

fn boolean(flag: &'static str, value: bool) -> Node {
    node(flag, Value::Boolean(value))
}

fn table<'a>(flag: &'static str, keys: impl IntoIterator<Item = (&'a str, Option<Node>)>) -> Node {
    node(flag, Value::Table(entries(keys)))
}

fn entries<'a>(keys: impl IntoIterator<Item = (&'a str, Option<Node>)>) -> Table {
    let entry = |(key, node): (&str, Option<Node>)| {
        let node = node?;
        Some(Entry { key: key.to_owned(), place: node.place, node })
    };
    Table(keys.into_iter().filter_map(entry).collect())
}
