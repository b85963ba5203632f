//! `ppp = "pppd"`: what pppd may be told besides, and what it cannot do.

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::document::Node;
use super::section::Section;
use super::settings::{InterfaceChoice, Pppd};
use super::value::{self, Read, choice, list, text};

/// Options of pppd that are ours to give, or that would have it do what we do.
const TAKEN: [(&str, &str); 30] = [
    ("call", "write its options here"),
    ("connect", "there is no line to dial on"),
    ("connect-script", "there is no line to dial on"),
    ("defaultroute", "it is `default-route`, which keeps the tunnel's own packets out of the tunnel"),
    ("defaultroute6", "it is `default-route`, which keeps the tunnel's own packets out of the tunnel"),
    ("demand", "it is for those who dial by themselves"),
    ("detach", "pppd has to stay in the foreground"),
    ("file", "write its options here, or in /etc/ppp/options, which pppd reads"),
    ("ifname", "it is `interface-name`"),
    ("logfd", "what pppd says goes to our log"),
    ("logfile", "what pppd says goes to our log"),
    ("mp", "a session has one link"),
    ("multilink", "a session has one link"),
    ("nodetach", "it is always given"),
    ("nolog", "what pppd says goes to our log"),
    ("nologfd", "what pppd says goes to our log"),
    ("password", "everybody could read it: it is `password`, or `password-file`"),
    ("persist", "it is for those who dial by themselves: it is `persist` of [connect.NAME]"),
    ("pppol2tp", "it is always given"),
    ("pppol2tp_lns_mode", "it follows from who has called"),
    ("pppol2tp_recv_seq", "it is `require-sequence`"),
    ("pppol2tp_reorderto", "it is `reorder-timeout`"),
    ("pppol2tp_ifname", "it is `interface-name`"),
    ("pppol2tp_send_seq", "it is `send-sequence`"),
    ("pppol2tp_session_id", "it is always given"),
    ("pppol2tp_tunnel_id", "it is always given"),
    ("pty", "there is no line to dial on"),
    ("show-password", "it would be in our log"),
    ("unit", "it is `interface-name`"),
    ("updetach", "pppd has to stay in the foreground"),
];

/// Options of pppd whose value can be any word, also one that is an option's name.
const WITH_ANY_VALUE: [&str; 15] = [
    "allow-number",
    "domain",
    "endpoint",
    "init",
    "ip-down-script",
    "ip-up-script",
    "ipparam",
    "ipv6-down-script",
    "ipv6-up-script",
    "linkname",
    "name",
    "plugin",
    "remotename",
    "user",
    "welcome",
];

/// pppd, if it is to do PPP.
pub(super) fn pppd(section: &Section<'_>, interface: &InterfaceChoice) -> Option<Pppd> {
    let wanted = section.get("ppp", choice(&[("own", false), ("pppd", true)])).unwrap_or(false);
    let path = section.get("pppd-path", text).map(|path| section.reader.path(&path));
    let options = section.get("pppd-options", options);
    if !wanted {
        for key in ["pppd-path", "pppd-options"] {
            if section.has(key) {
                section.error(key, "nothing starts pppd: write `ppp = \"pppd\"`");
            }
        }
        return None;
    }
    match interface {
        InterfaceChoice::Shared { .. } => section.error(
            "interface",
            "pppd makes an interface for each session: leave it out, or write `ppp = \"own\"`",
        ),
        InterfaceChoice::PerSession { name } if name != "ppp%d" && name.contains('%') => section.error(
            "interface-name",
            "pppd numbers its interfaces only as `ppp%d`; write that, or a name without a number",
        ),
        InterfaceChoice::PerSession { .. } => {}
    }
    let default = Pppd::default();
    let pppd = Pppd { path: path.unwrap_or(default.path), options: options.unwrap_or(default.options) };
    check_program(section, &pppd.path);
    Some(pppd)
}

fn check_program(section: &Section<'_>, path: &Path) {
    let (key, name) = (if section.has("pppd-path") { "pppd-path" } else { "ppp" }, path.display());
    match fs::metadata(path) {
        Err(error) => section.error(key, format!("{name}: {error}; install pppd, or write its `pppd-path`")),
        Ok(file) if !file.is_file() || file.mode() & 0o111 == 0 => {
            section.error(key, format!("{name} is no program; write the path of pppd"));
        }
        Ok(_) => {}
    }
}

/// The words of pppd's command line.
fn options(node: &Node) -> Read<Vec<String>> {
    let is_value = Cell::new(false);
    list(|node| {
        let word = option(node, is_value.get());
        is_value.set(!is_value.get() && word.as_ref().is_ok_and(|word| WITH_ANY_VALUE.contains(&&**word)));
        word
    })(node)
}

fn option(node: &Node, is_value: bool) -> Read<String> {
    let word = text(node)?;
    if let Some((name, why)) = TAKEN.iter().find(|(name, _)| !is_value && *name == word) {
        return value::wrong(node, format!("`{name}` cannot be given to pppd here: {why}"));
    }
    if word.contains('\0') {
        return value::wrong(node, "it has an octet 0, which no argument of a program can have");
    }
    Ok(word)
}
