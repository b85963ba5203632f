//! Single keys and values that make no sense: each is named with its line and column, and what may have
//! been meant.

use proptest::prelude::*;

use super::{SOUND, told};

fn check(rows: &[(&str, &[&str])]) {
    for (text, expected) in rows {
        let told = told(&format!("{SOUND}{text}"));
        // Lines count from the row's own first.
        let lines = SOUND.lines().count();
        let expected: Vec<_> = expected
            .iter()
            .map(|problem| {
                let (line, rest) = problem.split_once(':').unwrap();
                format!("{}:{rest}", line.parse::<usize>().unwrap() + lines)
            })
            .collect();
        assert_eq!(told, expected, "{text}");
    }
}

#[test]
fn unknown_keys() {
    check(&[
        ("[limits]\ntunels = 1", &["2:1: limits.tunels: there is no such key; did you mean `tunnels`?"]),
        ("[limit]\n", &["1:2: limit: there is no such key; did you mean `limits`?"]),
        (
            "[limits]\nHALF_OPEN = 1",
            &["2:1: limits.HALF_OPEN: there is no such key; did you mean `half-open`?"],
        ),
        ("[limits]\ncolour = 1", &["2:1: limits.colour: there is no such key"]),
        (
            "[limits]\nmtu = 1400",
            &["2:1: limits.mtu: there is no such key here; it belongs in [connect.NAME] or [peer.NAME]"],
        ),
        (
            "[connect.b]\nhost = 'b'\nlcp-echo-interval = '30s'",
            &["3:1: connect.b.lcp-echo-interval: there is no such key; did you mean `echo-interval`?"],
        ),
        ("[hooks]\nip_up = '/x'", &["2:1: hooks.ip_up: there is no such key; did you mean `ip-up`?"]),
    ]);
}

#[test]
fn wrong_types() {
    check(&[
        (
            "[limits]\ntunnels = '5'",
            &["2:11: limits.tunnels: a number, without quotes, is needed here, not a string"],
        ),
        (
            "[limits]\ntunnels = 1.5",
            &["2:11: limits.tunnels: a number, without quotes, is needed here, not a number with a fraction"],
        ),
        (
            "[limits]\ntunnels = [5]",
            &["2:11: limits.tunnels: a number, without quotes, is needed here, not a list"],
        ),
        ("[control]\nsocket = 5", &["2:10: control.socket: a string is needed here, not a number"]),
        ("[control]\nsocket = ''", &["2:10: control.socket: it is empty"]),
        (
            "[pool.x]\nranges = '10.0.0.0/24'",
            &[
                "1:7: warning: pool.x: no peer and no user takes addresses out of it",
                "2:10: pool.x.ranges: a list is needed here, [ … ], not a string",
            ],
        ),
        ("[peer]\nb = 5", &["2:5: peer.b: it is a table, not a number: write [peer.NAME]"]),
        ("[listen]\naddress = '::'", &["1:1: listen: it is a list of tables: write [[listen]] for each"]),
        ("[[limits]]", &["1:1: limits: it is a table, not a list: write [limits]"]),
        ("[[connect]]", &["1:1: connect: it is a table, not a list: write [connect.NAME]"]),
    ]);
}

#[test]
fn values_out_of_range() {
    check(&[
        ("[limits]\ntunnels = 0", &["2:11: limits.tunnels: 0 cannot be: it is from 1 to 65535"]),
        ("[limits]\ntunnels = -1", &["2:11: limits.tunnels: -1 cannot be: it is from 1 to 65535"]),
        (
            "[limits]\ntunnels = 99999999999999999999",
            &[
                "2:11: limits.tunnels: a number, without quotes, is needed here, not a number that is far too large",
            ],
        ),
        ("[hooks]\ntimeout = '2h'", &["2:11: hooks.timeout: `2h` cannot be: it is from 1s to 1h"]),
        ("[hooks]\ntimeout = 30", &["2:11: hooks.timeout: a time has a unit: write for example \"30s\""]),
        (
            "[hooks]\ntimeout = 'soon'",
            &["2:11: hooks.timeout: `soon` is no time; write for example \"100ms\", \"30s\", \"5m\", \"1h\""],
        ),
    ]);
}

#[test]
fn addresses_prefixes_and_names() {
    let listen =
        "is no address to listen at; write for example 0.0.0.0:1701, 192.0.2.1, [::]:1701 or 2001:db8::1";
    check(&[
        ("[[listen]]\naddress = 'lns:1701'", &[&format!("2:11: listen.address: `lns:1701` {listen}")]),
        ("[[listen]]\n", &["1:1: listen: `address` is missing"]),
        (
            "[connect.c]\nhost = 'a b'\n[connect.d]\nhost = '192.0.2.1:1701'",
            &[
                "2:8: connect.c.host: it is neither the name of a host nor an address",
                "4:8: connect.d.host: it is a host alone; `port` is a key of its own",
            ],
        ),
        (
            "[connect.c]\nhost = 'h'\nroutes = ['10.0.0.1/8', '10.0.0.0/33', 'x', '2001:db8::/32']",
            &[
                "3:11: connect.c.routes: `10.0.0.1/8` has bits behind its length; the prefix is 10.0.0.0/8",
                "3:25: connect.c.routes: `/33` is no length of a prefix; 0 to 32 are",
                "3:40: connect.c.routes: `x` is no network; write for example 10.0.0.0/8 or 2001:db8::/32",
            ],
        ),
        (
            "[connect.c]\nhost = 'h'\ninterface-name = 'a name with spaces'",
            &[
                "3:18: connect.c.interface-name: `a name with spaces` is no name of an interface: up to 15 characters, no `/`, `:` or space; `%d` is a number",
            ],
        ),
        (
            "[connect.c]\nhost = 'h'\ndns = 'resolve'\nauth = ['mschap-v2', 'ntlm']",
            &[
                "3:7: connect.c.dns: `resolve` is not one of auto, resolved, resolvconf, file, none; did you mean `resolved`?",
                "4:9: connect.c.auth: `mschap-v2` is not one of mschapv2, chap, eap, pap; did you mean `mschapv2`?",
                "4:22: connect.c.auth: `ntlm` is not one of mschapv2, chap, eap, pap",
            ],
        ),
        (
            "[[user]]\nname = 'v'\npassword = 'p'\naddress = '224.0.0.1'\nipv6-prefix = '2001:db8::/63'",
            &[
                "4:11: user.address: 224.0.0.1 is no address of a host",
                "5:15: user.ipv6-prefix: 2001:db8::/63 is no /64, which is what a session has",
            ],
        ),
    ]);
}

#[test]
fn pools() {
    let unused = |name: &str| {
        format!(
            "1:{}: warning: {name}: no peer and no user takes addresses out of it",
            name.find('.').unwrap() + 3
        )
    };
    for (text, expected) in [
        (
            "[pool.x]\nranges = ['10.0.0.9-10.0.0.2', '10.0.0.0', 'fd00::/64']",
            vec![
                "2:11: pool.x.ranges: `10.0.0.9-10.0.0.2` ends before it begins; 10.0.0.2-10.0.0.9 is meant?",
                "2:44: pool.x.ranges: `fd00::/64` is no range; write 10.0.0.10-10.0.0.200 or 10.0.0.0/24",
            ],
        ),
        (
            "[pool.x]\nranges = ['127.0.0.0/8']",
            vec!["2:11: pool.x.ranges: 127.0.0.1-127.255.255.254 has addresses that no host can have"],
        ),
        (
            "[pool.x]\nranges = ['0.0.0.0-9.0.0.0']",
            vec!["2:11: pool.x.ranges: 0.0.0.0-9.0.0.0 has addresses that no host can have"],
        ),
        ("[pool.x]\n", vec!["1:7: pool.x: `ranges` is missing"]),
        (
            "[ipv6-pool.x]\nprefix = '2001:db8::/65'",
            vec![
                "2:10: ipv6-pool.x.prefix: 2001:db8::/65 has no /64, which a session needs; write for example 2001:db8::/48",
            ],
        ),
        (
            "[ipv6-pool.x]\nprefix = 'fe80::/10'",
            vec!["2:10: ipv6-pool.x.prefix: fe80::/10 has addresses that no host can have"],
        ),
    ] {
        let name = text[1..].split(']').next().unwrap();
        let mut expected: Vec<_> = expected.into_iter().map(str::to_owned).collect();
        expected.push(unused(name));
        expected.sort();
        let mut told = told(&format!("{text}\n{SOUND}"));
        told.sort();
        assert_eq!(told, expected, "{text}");
    }
}

#[test]
fn what_is_no_toml() {
    for (text, place) in [("a = ", "1:"), ("\n[x", "2:"), ("a = 1\na = 2", "2:1:"), ("a = 'hush", "1:")] {
        let told = told(text);
        assert!(told[0].starts_with(place), "{told:?}");
        assert!(told[0].contains("this is not TOML: "), "{told:?}");
        assert!(!told[0].contains("hush"), "{told:?}");
    }
}

#[test]
fn all_of_it_is_told_at_once_and_in_order() {
    let told =
        told("[limits]\ntunnels = 0\nsessions = 0\n[peer.a]\nmtu = 1\ncolour = 2\n[hooks]\ntimeout = 3");
    let lines: Vec<_> = told.iter().map(|problem| problem.split(':').next().unwrap()).collect();
    assert_eq!(lines, [" `user` is missing", "2", "3", "4", "5", "6", "8"], "{told:#?}");
}

proptest! {
    /// Lines of a sound file, left out, doubled, mixed and spoilt: it is told, and nothing else happens.
    #[test]
    fn no_text_does_harm(lines in prop::collection::vec((any::<prop::sample::Index>(), 0..80usize, ".?"), 0..60)) {
        let file = include_str!("../../../../docs/examples/isp-lns.toml");
        let sound: Vec<_> = file.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
        let mut text = String::new();
        for (line, at, spoilt) in lines {
            let line = line.get(&sound);
            let at = line.char_indices().nth(at).map_or(line.len(), |(at, _)| at);
            text.extend([&line[..at], &spoilt, &line[at..], "\n"]);
        }
        for problem in told(&text) {
            prop_assert!(!problem.contains('\n'), "{problem}");
        }
    }
}
