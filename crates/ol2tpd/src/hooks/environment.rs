//! Arguments and environment of a script; the module above has the table.

use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use super::{Facts, Hook};

/// The folders that programs are searched in.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The most characters of a name.
const LONGEST: usize = 253;

/// The command of a script.
pub(super) fn command(program: &Path, hook: Hook, facts: &Facts) -> Command {
    let mut command = Command::new(program);
    let addresses = if hook.is_ipv6() {
        [facts.local6.map(IpAddr::V6), facts.remote6.map(IpAddr::V6)]
    } else {
        [facts.local.map(IpAddr::V4), facts.remote.map(IpAddr::V4)]
    };
    let [local, remote] = addresses.map(|address| address.map(|ip| ip.to_string()).unwrap_or_default());
    let speed = facts.speed.to_string();
    command.args([&facts.interface, "", &speed, &local, &remote, &facts.profile]);
    command.env_clear().envs(variables(hook, facts, &local, &remote));
    command.current_dir("/").stdout(standard_error());
    command
}

/// Standard output may be a program's that reads JSON.
fn standard_error() -> Stdio {
    io::stderr().as_fd().try_clone_to_owned().map_or_else(|_| Stdio::null(), Stdio::from)
}

/// All variables that are not empty.
fn variables(hook: Hook, facts: &Facts, local: &str, remote: &str) -> Vec<(&'static str, String)> {
    let text = str::to_owned;
    let dns = |n: usize| facts.dns.get(n).map(IpAddr::to_string).unwrap_or_default();
    let user = clean(&facts.user, false);
    let [local_name, remote_name] =
        if hook.is_ipv6() { ["LLLOCAL", "LLREMOTE"] } else { ["IPLOCAL", "IPREMOTE"] };
    let mut variables = vec![
        ("PATH", text(PATH)),
        ("HOOK", text(hook.name())),
        ("INTERFACE", facts.interface.clone()),
        ("IFNAME", facts.interface.clone()),
        ("LOCAL_ADDRESS", text(local)),
        (local_name, text(local)),
        ("REMOTE_ADDRESS", text(remote)),
        (remote_name, text(remote)),
        ("DNS1", dns(0)),
        ("DNS2", dns(1)),
        ("USEPEERDNS", text(if facts.dns.is_empty() { "" } else { "1" })),
        ("TUNNEL_ID", facts.tunnel_id.to_string()),
        ("SESSION_ID", facts.session_id.to_string()),
        ("PEER", facts.peer.map(|peer| peer.to_string()).unwrap_or_default()),
        ("PEER_NAME", clean(&facts.peer_name, false)),
        ("PEERNAME", if facts.user_is_peer { user.clone() } else { String::new() }),
        ("USER", user),
        ("CALLING_NUMBER", clean(&facts.calling_number, false)),
        ("CALLED_NUMBER", clean(&facts.called_number, false)),
        ("PROFILE", facts.profile.clone()),
        ("SPEED", facts.speed.to_string()),
    ];
    if hook.is_ipv6() {
        let prefix = facts.prefix.map(|prefix| prefix.to_string());
        variables.push(("PREFIX", prefix.unwrap_or_default()));
    }
    if hook.is_down() {
        variables.extend([
            ("REASON", clean(facts.reason.as_bytes(), true)),
            ("CONNECT_TIME", facts.connect_time.as_secs().to_string()),
            ("BYTES_IN", facts.bytes_in.to_string()),
            ("BYTES_RCVD", facts.bytes_in.to_string()),
            ("BYTES_OUT", facts.bytes_out.to_string()),
            ("BYTES_SENT", facts.bytes_out.to_string()),
        ]);
    }
    variables.retain(|(_, value)| !value.is_empty());
    variables
}

/// What the network said, without anything that a shell, `echo` or a path could take for more than text.
fn clean(name: &[u8], spaces: bool) -> String {
    let harmless = |c: char| c.is_alphanumeric() || "@._+-:,%".contains(c) || (spaces && c == ' ');
    let first = |c: char| harmless(c) && !"-. ".contains(c);
    String::from_utf8_lossy(name)
        .chars()
        .take(LONGEST)
        .enumerate()
        .map(|(n, c)| if if n == 0 { first(c) } else { harmless(c) } { c } else { '_' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn names_are_safe_unquoted() {
        for (name, cleaned) in [
            (&b"anna@example.net"[..], "anna@example.net"),
            ("jürgen".as_bytes(), "jürgen"),
            (b"OFFICE\\anna", "OFFICE_anna"),
            (b"$(reboot)", "__reboot_"),
            (b"a b\nc;d&e|f*g?h'i\"j`k", "a_b_c_d_e_f_g_h_i_j_k"),
            (b"../../etc/passwd", "_._.._etc_passwd"),
            (b"-rf", "_rf"),
            (b"\xff\0a", "__a"),
            (b"", ""),
        ] {
            assert_eq!(clean(name, false), cleaned);
        }
        assert_eq!(clean(b"no answer; sorry", true), "no answer_ sorry");
        assert_eq!(clean(&[b'x'; 10_000], false).len(), super::LONGEST);
    }
}
