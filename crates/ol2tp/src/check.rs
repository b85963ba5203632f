//! `ol2tp check`: what a configuration file means.

use std::io::{self, Write};

use ol2tpd::config::{Dial, Loaded, Peer, Problems, Settings, Severity};
use ppp::Method;
use serde_json::json;

use crate::args::CheckArgs;
use crate::exit::{Failure, Result};
use crate::output;

/// Prints what the file means, with every default; warnings go to standard error.
///
/// Errors: the file makes no sense; all that is wrong with it is on standard error.
pub fn run(args: &CheckArgs) -> Result<()> {
    let (settings, problems) = match Settings::load(&args.file) {
        Ok(Loaded { settings, warnings }) => (Some(settings), warnings),
        Err(problems) => (None, problems),
    };
    if args.json {
        let settings = settings.as_ref().map(Settings::json);
        output::json(&json!({ "settings": settings, "problems": problems }))?;
    } else {
        // Without a prefix: editors look for the file's name where a line begins.
        let _ = problems.0.iter().try_for_each(|problem| writeln!(io::stderr(), "{problem}"));
        if let Some(settings) = &settings {
            output::print(text(settings).trim_end())?;
        }
    }
    match settings {
        Some(_) => Ok(()),
        None => Err(Failure::new(format!("{}: {}", args.file.display(), count(&problems)))),
    }
}

fn text(settings: &Settings) -> String {
    let ranges = settings.pools.values().flatten();
    let addresses = ranges.fold(0u64, |sum, range| sum.saturating_add(range.size()));
    let summary = [
        some(settings.peers.len(), "peer", "peers"),
        format!("{} in pools", some(addresses, "IPv4 address", "IPv4 addresses")),
        some(settings.users.len(), "user", "users"),
        some(settings.connect.len(), "connection to dial", "connections to dial"),
    ];
    let mut text = format!("# {}\n", summary.join(", "));
    text.extend(settings.peers.iter().map(|peer| format!("# {}: {}\n", peer.name, who(peer))));
    text.extend(settings.connect.iter().map(|dial| format!("# {}: {}\n", dial.name, whither(dial))));
    text.extend(settings.view().into_iter().map(|table| format!("\n{table}")));
    text
}

/// A peer in a few words.
fn who(peer: &Peer) -> String {
    let Peer { host_name, network, policy, profile, .. } = peer;
    let name = if &**host_name == "*" { "any host".into() } else { format!("hosts named {host_name}") };
    let from = network.map_or("anywhere".into(), |network| format!("{}/{}", network.address, network.bits));
    let secret = match (&policy.secret, policy.challenge) {
        (None, _) => "no secret",
        (Some(_), true) => "have to know the secret",
        (Some(_), false) => "need not know the secret",
    };
    let pppd = profile.pppd.is_some();
    let auth = match &*profile.ppp.require {
        [] => "users need not log in".into(),
        required => format!("users log in {}by {}", if pppd { "to pppd " } else { "" }, methods(required)),
    };
    let ipv4 = match (profile.local_address, &profile.pool) {
        (None, _) => "no IPv4".into(),
        (Some(_), None) if pppd => "IPv4 for users with an address in pppd's secrets".into(),
        (Some(_), None) => "IPv4 for users with an address of their own".into(),
        (Some(_), Some(pool)) => format!("IPv4 out of pool {pool}"),
    };
    let ipv6 = match (profile.ipv6, &profile.ipv6_pool) {
        (false, _) => "no IPv6".into(),
        (true, None) => "IPv6 for users with a prefix of their own".into(),
        (true, Some(pool)) => format!("IPv6 out of pool {pool}"),
    };
    format!("{name} from {from}, {secret}; {auth}; {ipv4}, {ipv6}")
}

/// A connection in a few words.
fn whither(dial: &Dial) -> String {
    let ppp = &dial.profile.ppp;
    let user = ppp.credentials.as_ref().map_or("nobody", |credentials| &*credentials.name);
    let routes = match (dial.default_route, dial.routes.len()) {
        (true, _) => "everything goes through it".into(),
        (false, 0) => "only its peer is reached through it".into(),
        (false, routes) => format!("{} through it", some(routes, "network goes", "networks go")),
    };
    let again = if dial.persist.is_some() { "; set up again when it ends" } else { "" };
    format!("to {} port {} as {user}, by {}; {routes}{again}", dial.host, dial.port, methods(&ppp.accept))
}

fn methods(methods: &[Method]) -> String {
    let names: Vec<_> = methods.iter().map(ToString::to_string).collect();
    names.join(", ")
}

fn count(problems: &Problems) -> String {
    let of = |severity| problems.0.iter().filter(|problem| problem.severity == severity).count();
    let errors = some(of(Severity::Error), "error", "errors");
    match of(Severity::Warning) {
        0 => errors,
        warnings => format!("{errors}, {}", some(warnings, "warning", "warnings")),
    }
}

fn some(number: impl TryInto<u64>, one: &str, many: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    format!("{number} {}", if number == 1 { one } else { many })
}
