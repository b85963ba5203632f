//! Reading single values.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use zeroize::Zeroizing;

use super::document::{Node, Value};
use super::problem::{Place, nearest};

/// A value, or what is wrong with it.
pub(super) type Read<T> = Result<T, Vec<Wrong>>;

/// What is wrong with a value.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) place: Place,
    pub(super) message: String,
    pub(super) suggestion: Option<String>,
}

/// L2TP's UDP port (RFC 2661 §8.1).
pub(super) const PORT: u16 = 1701;

/// Says what is wrong with a value.
pub(super) fn wrong<T>(node: &Node, message: impl Into<String>) -> Read<T> {
    Err(vec![Wrong { place: node.place, message: message.into(), suggestion: None }])
}

fn needed<T>(node: &Node, what: &str) -> Read<T> {
    wrong(node, format!("{what} is needed here, not {}", node.value.type_name()))
}

/// What a user wrote, in short.
fn quote(text: &str) -> String {
    let short: String = text.chars().take(60).flat_map(char::escape_debug).collect();
    if text.chars().nth(60).is_some() { format!("`{short}…`") } else { format!("`{short}`") }
}

/// A text that is not empty.
pub(super) fn text(node: &Node) -> Read<String> {
    Ok(secret(node)?.to_string())
}

/// A name of a user or a host, which fits into any packet.
pub(super) fn name(node: &Node) -> Read<String> {
    let text = text(node)?;
    if text.len() > 255 || text.contains(char::is_control) {
        return wrong(node, "a name has up to 255 octets and no control characters");
    }
    Ok(text)
}

/// A text that is not empty, never repeated in an error.
pub(super) fn secret(node: &Node) -> Read<Zeroizing<String>> {
    match &node.value {
        Value::String(text) if text.is_empty() => wrong(node, "it is empty"),
        Value::String(text) => Ok(text.clone()),
        _ => needed(node, "a string"),
    }
}

/// `true` or `false`.
pub(super) fn boolean(node: &Node) -> Read<bool> {
    match &node.value {
        Value::Boolean(value) => Ok(*value),
        _ => needed(node, "true or false, without quotes,"),
    }
}

/// A whole number.
pub(super) fn number<T>(range: RangeInclusive<T>) -> impl Fn(&Node) -> Read<T>
where
    T: TryFrom<i64> + PartialOrd + std::fmt::Display,
{
    move |node| {
        let Value::Integer(number) = node.value else { return needed(node, "a number, without quotes,") };
        match T::try_from(number) {
            Ok(number) if range.contains(&number) => Ok(number),
            _ => wrong(node, format!("{number} cannot be: it is from {} to {}", range.start(), range.end())),
        }
    }
}

/// A time with its unit.
pub(super) fn duration(range: RangeInclusive<Duration>) -> impl Fn(&Node) -> Read<Duration> {
    move |node| {
        let text = match &node.value {
            Value::String(text) => text,
            Value::Integer(n) => {
                return wrong(node, format!("a time has a unit: write for example \"{n}s\""));
            }
            _ => return needed(node, "a time like \"30s\""),
        };
        let Some(time) = parse_duration(text) else {
            let message =
                format!("{} is no time; write for example \"100ms\", \"30s\", \"5m\", \"1h\"", quote(text));
            return wrong(node, message);
        };
        if range.contains(&time) {
            return Ok(time);
        }
        let (least, most) = (print_duration(*range.start()), print_duration(*range.end()));
        wrong(node, format!("{} cannot be: it is from {least} to {most}", quote(text)))
    }
}

const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

fn parse_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*factor).map(Duration::from_millis)
}

/// A time as the file has it: `"90s"`, in the largest unit that makes it a whole number.
pub fn print_duration(time: Duration) -> String {
    let millis = time.as_millis();
    let fits = |(_, factor): &&(&str, u64)| millis.is_multiple_of(u128::from(*factor));
    match UNITS.iter().find(fits) {
        Some((unit, factor)) if millis > 0 => format!("{}{unit}", millis / u128::from(*factor)),
        _ => format!("{}s", time.as_secs()),
    }
}

/// A value, or `"off"`.
pub(super) fn or_off<T>(read: impl Fn(&Node) -> Read<T>) -> impl Fn(&Node) -> Read<Option<T>> {
    move |node| match &node.value {
        Value::String(text) if **text == "off" => Ok(None),
        Value::Boolean(false) => wrong(node, "write \"off\" to switch it off"),
        _ => read(node).map(Some),
    }
}

/// A list; all that is wrong with its elements.
pub(super) fn list<T>(read: impl Fn(&Node) -> Read<T>) -> impl Fn(&Node) -> Read<Vec<T>> {
    move |node| {
        let Value::Array(nodes) = &node.value else {
            return wrong(node, format!("a list is needed here, [ … ], not {}", node.value.type_name()));
        };
        let (mut values, mut wrongs) = (Vec::new(), Vec::new());
        for node in nodes {
            match read(node) {
                Ok(value) => values.push(value),
                Err(more) => wrongs.extend(more),
            }
        }
        if wrongs.is_empty() { Ok(values) } else { Err(wrongs) }
    }
}

/// One of several words.
pub(super) fn choice<T: Copy>(choices: &[(&'static str, T)]) -> impl Fn(&Node) -> Read<T> {
    move |node| {
        let text = text(node)?;
        if let Some((_, value)) = choices.iter().find(|(name, _)| *name == text) {
            return Ok(*value);
        }
        let names = choices.iter().map(|(name, _)| *name);
        let message =
            format!("{} is not one of {}", quote(&text), names.clone().collect::<Vec<_>>().join(", "));
        let known = alias(&text).filter(|alias| names.clone().any(|name| name == *alias));
        let suggestion = known.map(str::to_owned).or_else(|| nearest(&text, names));
        Err(vec![Wrong { place: node.place, message, suggestion }])
    }
}

/// What knows itself what is wrong with a text.
pub(super) fn parsed<T: FromStr<Err = String>>(node: &Node) -> Read<T> {
    text(node)?.parse().or_else(|message: String| wrong(node, message))
}

/// An IPv4 or IPv6 address.
pub(super) fn address(node: &Node) -> Read<IpAddr> {
    let text = text(node)?;
    text.parse().or_else(|_| {
        wrong(node, format!("{} is no address; write for example 192.0.2.1 or 2001:db8::1", quote(&text)))
    })
}

/// An IPv4 address that a host can have.
pub(super) fn ipv4(node: &Node) -> Read<Ipv4Addr> {
    let text = text(node)?;
    match text.parse::<Ipv4Addr>() {
        Ok(ip) if ip.is_unspecified() || ip.is_broadcast() || ip.is_multicast() => {
            wrong(node, format!("{ip} is no address of a host"))
        }
        Ok(ip) => Ok(ip),
        Err(_) => wrong(node, format!("{} is no IPv4 address; write for example 192.0.2.1", quote(&text))),
    }
}

/// An address to listen at, with or without a port.
pub(super) fn listen(node: &Node) -> Read<SocketAddr> {
    let text = text(node)?;
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(address);
    }
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let ip = match bare {
        Some(bare) => bare.parse::<Ipv6Addr>().map(IpAddr::V6),
        None => text.parse::<IpAddr>(),
    };
    match ip {
        Ok(ip) => Ok((ip, PORT).into()),
        Err(_) => {
            let examples = "0.0.0.0:1701, 192.0.2.1, [::]:1701 or 2001:db8::1";
            wrong(node, format!("{} is no address to listen at; write for example {examples}", quote(&text)))
        }
    }
}

/// The name of a network interface.
pub(super) fn interface(node: &Node) -> Read<String> {
    let text = text(node)?;
    // The kernel's dev_valid_name, and its one placeholder.
    let placeholders = text.matches('%').count();
    let sound = text.len() <= 15
        && !matches!(&*text, "." | "..")
        && !text.contains(|c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control())
        && (placeholders == 0 || placeholders == 1 && text.contains("%d"));
    if sound {
        return Ok(text);
    }
    wrong(
        node,
        format!(
            "{} is no name of an interface: up to 15 characters, no `/`, `:` or space; `%d` is a number",
            quote(&text)
        ),
    )
}

/// What others call our keys and words.
pub(super) fn alias(word: &str) -> Option<&'static str> {
    const ALIASES: &[(&str, &str)] = &[
        ("ms-dns", "dns"),
        ("usepeerdns", "dns"),
        ("ms-wins", "nbns"),
        ("wins", "nbns"),
        ("local-ip", "local-address"),
        ("local ip", "local-address"),
        ("ip-range", "ranges"),
        ("ip range", "ranges"),
        ("range", "ranges"),
        ("lcp-echo-interval", "echo-interval"),
        ("lcp-echo-failure", "echo-failures"),
        ("chap-interval", "rechallenge"),
        ("idle", "idle-timeout"),
        ("maxconnect", "session-timeout"),
        ("hello-delay", "hello"),
        ("hidden", "hide-avps"),
        ("hide", "hide-avps"),
        ("defaultroute", "default-route"),
        ("lns", "host"),
        ("server", "host"),
        ("username", "user"),
        ("mschap-v2", "mschapv2"),
        ("mschap2", "mschapv2"),
        ("md5", "chap"),
        ("chap-md5", "chap"),
        ("eap-md5", "eap"),
    ];
    let word = word.to_lowercase().replace('_', "-");
    ALIASES.iter().find(|(theirs, _)| *theirs == word).map(|(_, ours)| *ours)
}
