//! Whether this machine forwards packets, without which users of a server reach nothing but the server.

use std::fs;

use crate::config::Settings;

/// What a server's users will miss, and what to do.
pub(super) fn missing(settings: &Settings) -> Vec<String> {
    let peers = || settings.peers.iter().map(|peer| &peer.profile);
    let families = [
        ("IPv4", "net.ipv4.ip_forward", peers().any(|profile| profile.local_address.is_some())),
        ("IPv6", "net.ipv6.conf.all.forwarding", peers().any(|profile| profile.ipv6)),
    ];
    let off = |key: &str| {
        let file = format!("/proc/sys/{}", key.replace('.', "/"));
        fs::read_to_string(file).is_ok_and(|value| value.trim_end() == "0")
    };
    let missing = families.into_iter().filter(|(_, key, wanted)| *wanted && off(key));
    missing
        .map(|(family, key, _)| {
            format!(
                "this machine does not forward {family}: users reach nothing behind it unless {key} is 1 \
                 (sysctl -w {key}=1)"
            )
        })
        .collect()
}
