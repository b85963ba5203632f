//! Keys that make no sense together.

use super::{SOUND, told};

/// Each text, behind a sound beginning or by itself, and a part of all that is told of it.
fn check(rows: &[(&str, &[&str])]) {
    for (text, expected) in rows {
        let told = told(text);
        assert_eq!(told.len(), expected.len(), "{text}\n{told:#?}");
        for (problem, expected) in told.iter().zip(*expected) {
            assert!(problem.contains(expected), "{text}\n{problem}\n{expected}");
        }
    }
}

fn peer(keys: &str) -> String {
    SOUND.replace("[peer.a]", &format!("[peer.a]\n{keys}"))
}

fn user(keys: &str) -> String {
    format!("{SOUND}{keys}")
}

#[test]
fn secrets() {
    check(&[
        (&peer("challenge = true"), &["2:13: peer.a.challenge: a challenge needs a `secret`"]),
        (&peer("hide-avps = true"), &["2:13: peer.a.hide-avps: hiding AVPs needs a `secret`"]),
        (
            &peer("secret = 's'\nchallenge = false\nhide-avps = true"),
            &["4:13: peer.a.hide-avps: AVPs are hidden from a peer that has answered a `challenge`"],
        ),
        (
            &peer("secret = 's'\nsecret-file = '/s'"),
            &["3:15: peer.a.secret-file: `secret` and `secret-file` are both there"],
        ),
    ]);
}

#[test]
fn times() {
    check(&[
        (
            &peer("hello = 'off'\nhello-retransmissions = 3"),
            &["3:25: peer.a.hello-retransmissions: there is no HELLO"],
        ),
        (
            &peer("echo-interval = 'off'\necho-failures = 3"),
            &["3:17: peer.a.echo-failures: there is no Echo-Request"],
        ),
        (
            &peer("retransmit = '4s'\nretransmit-cap = '2s'"),
            &["3:18: peer.a.retransmit-cap: the longest wait is shorter"],
        ),
        (
            "[connect.c]\nhost = 'h'\nbackoff = '2s'",
            &["3:11: connect.c.backoff: nothing is tried again without `persist"],
        ),
        (
            "[connect.c]\nhost = 'h'\npersist = true\nbackoff = '9s'\nbackoff-cap = '2s'",
            &["5:15: connect.c.backoff-cap: the longest wait is shorter"],
        ),
    ]);
}

#[test]
fn sequence_numbers() {
    let text = peer("require-sequence = true\nsend-sequence = false");
    check(&[(&text, &["2:20: peer.a.require-sequence: a peer sends sequence numbers because we do"])]);
}

#[test]
fn network() {
    let pool = "[pool.x]\nranges = ['10.0.0.0/24']\n";
    check(&[
        (&peer("pool = 'y'"), &["2:8: peer.a.pool: there is no [pool.y]"]),
        (
            &(peer("pool = 'offfice'") + "[pool.office]\nranges = ['10.0.0.0/24']"),
            &[
                "there is no [pool.offfice]; did you mean `office`?",
                "warning: pool.office: no peer and no user",
            ],
        ),
        (&peer("ipv6-pool = 'y'"), &["2:13: peer.a.ipv6-pool: there is no [ipv6-pool.y]"]),
        (
            &format!("[peer.a]\nauth = []\npool = 'x'\n{pool}"),
            &[
                "1:7: peer.a: `local-address` is missing: it is our end",
                "2:8: warning: peer.a.auth: nobody has to prove",
            ],
        ),
        (
            &peer("ipv6-pool = 'x'\nipv6 = false").add("[ipv6-pool.x]\nprefix = 'fd00::/48'"),
            &["3:8: peer.a.ipv6: there is an `ipv6-pool`, but no IPv6"],
        ),
        (
            &peer("proxy-lcp = 'accept'"),
            &["2:13: warning: peer.a.proxy-lcp: only a LAC that answers a `challenge` is believed"],
        ),
        (&peer("secret = 's'\nproxy-lcp = 'accept'"), &[]),
        (&peer("proxy-lcp = 'renegotiate'"), &[]),
        (
            &peer("dns = ['9.9.9.9', '9.9.9.10', '9.9.9.11']"),
            &["2:7: peer.a.dns: a peer can be told 2 IPv4 resolvers"],
        ),
        (&peer("nbns = ['10.0.0.5', '10.0.0.6', '10.0.0.7']"), &["2:8: peer.a.nbns: a peer can be told 2"]),
        (
            "[peer.a]\n[[user]]\nname = 'u'\npassword = 'p'",
            &["1:7: warning: peer.a: its sessions have neither IPv4"],
        ),
    ]);
}

#[test]
fn pools_that_overlap() {
    let pools = |x: &str, y: &str| {
        let peers = "[peer.a]\nhost-name = 'a'\nlocal-address = '10.9.0.1'\npool = 'x'\n\
                     [peer.b]\nlocal-address = '10.9.0.1'\npool = 'y'\n[[user]]\nname = 'u'\npassword = 'p'\n";
        format!("{peers}[pool.x]\nranges = {x}\n[pool.y]\nranges = {y}\n")
    };
    check(&[
        (&pools("['10.0.0.0/24']", "['10.0.1.0/24']"), &[]),
        (
            &pools("['10.0.0.0/24']", "['10.0.1.0-10.0.1.9', '10.0.0.200-10.0.0.201']"),
            &["14:32: pool.y.ranges: 10.0.0.200-10.0.0.201 overlaps with 10.0.0.1-10.0.0.254 of pool `x`"],
        ),
        (
            &pools("['10.0.0.2', '10.0.0.0/24', '10.0.0.4-10.0.0.5']", "['10.0.0.254']"),
            &[
                "12:11: pool.x.ranges: 10.0.0.2-10.0.0.2 overlaps with 10.0.0.1-10.0.0.254",
                "12:38: pool.x.ranges: 10.0.0.4-10.0.0.5 overlaps",
                "14:11: pool.y.ranges: 10.0.0.254-10.0.0.254 overlaps",
            ],
        ),
    ]);
    let ipv6 = "[peer.a]\nipv6-pool = 'x'\n[peer.b]\nipv6-pool = 'y'\nhost-name = 'b'\n[[user]]\nname = 'u'\npassword = 'p'\n\
                [ipv6-pool.x]\nprefix = 'fd00::/48'\n[ipv6-pool.y]\nprefix = 'fd00:0:0:8::/64'";
    check(&[(
        ipv6,
        &[
            "3:7: warning: peer.b: it is never used: `a` comes first",
            "12:10: ipv6-pool.y.prefix: fd00:0:0:8::/64 overlaps with fd00::/48 of ipv6-pool `x`",
        ],
    )]);
}

#[test]
fn our_address_and_the_peers() {
    let text = |range: &str| format!("[pool.x]\nranges = ['{range}']\n") + &peer("pool = 'x'");
    check(&[
        (&text("10.0.0.0/24"), &[]),
        (
            &text("10.0.0.1-10.0.0.9"),
            &["5:17: warning: peer.a.local-address: 10.0.0.1 is inside of 10.0.0.1-10.0.0.9 of pool `x`"],
        ),
        (
            &user("address = '10.0.0.1'"),
            &["6:11: user.address: the address is our own, the local-address of peer `a`"],
        ),
    ]);
}

#[test]
fn users() {
    let pool = "pool = 'x'\n[pool.x]\nranges = ['10.0.0.0/24']\n";
    check(&[
        ("[peer.a]\nlocal-address = '10.0.0.1'", &["`user` is missing: nobody could log in"]),
        (
            &user("max-sessions = 2\naddress = '10.0.0.7'"),
            &["6:16: user.max-sessions: only one session at a time can have the `address`"],
        ),
        (
            &user("max-sessions = 2\nroutes = ['10.9.0.0/16']"),
            &["6:16: user.max-sessions: only one session at a time can have the `routes`"],
        ),
        (
            &user("max-sessions = 2\nipv6-prefix = 'fd00::/64'"),
            &["6:16: user.max-sessions: only one session at a time can have the `ipv6-prefix`"],
        ),
        (
            &user(&format!("address = '10.0.0.7'\n{pool}")),
            &["7:8: user.pool: the address does not come out of a pool"],
        ),
        (&user("[[user]]\nname = 'u'\npassword = 'q'"), &["7:8: user.name: there is a user `u` already"]),
        (
            &user("address = '10.0.0.7'\n[[user]]\nname = 'v'\npassword = 'q'\naddress = '10.0.0.7'"),
            &["10:11: user.address: 10.0.0.7 is the address of user `u` already"],
        ),
        (
            &user(
                "ipv6-prefix = 'fd01::/64'\n[[user]]\nname = 'v'\npassword = 'q'\nipv6-prefix = 'fd01::/64'",
            ),
            &["10:15: user.ipv6-prefix: fd01::/64 is the prefix of user `u` already"],
        ),
        (&user("[[user]]"), &["`name` is missing", "`password` is missing: write it, or `password-file`"]),
        ("[connect.c]\nhost = 'h'\nuser = 'u'", &["1:10: connect.c: `password` is missing"]),
        (
            "[connect.c]\nhost = 'h'\npassword = 'p'",
            &["1:10: connect.c: `user` is missing: whose password is it?"],
        ),
        (
            "[connect.c]\nhost = 'h'\nuser = 'u'\npassword = 'p'\nauth = []",
            &["5:8: connect.c.auth: there is a password, but no way to prove"],
        ),
    ]);
}

#[test]
fn what_is_never_used() {
    let peers = |first: &str, second: &str| {
        peer(&format!("{first}\n[peer.b]\nlocal-address = '10.0.0.1'\n{second}\n[peer.c]\n"))
    };
    let never = &["warning: peer.b: it is never used: `a` comes first and fits the same peers"][..];
    let rest = "host-name = 'c'\nlocal-address = '10.0.0.1'\n";
    let text = |first: &str, second: &str| {
        peers(first, second).replace("[peer.c]\nlocal-address = '10.0.0.1'\n", &format!("[peer.c]\n{rest}"))
    };
    for (first, second, used) in [
        ("host-name = 'a*'", "host-name = '*'", true),
        ("host-name = 'b*'", "host-name = 'b*'", false),
        ("host-name = 'b*'\nnetwork = '10.0.0.0/8'", "host-name = 'b*'", true),
        ("host-name = 'b*'\nnetwork = '10.0.0.0/8'", "host-name = 'b*'\nnetwork = '10.1.0.0/16'", false),
        ("host-name = 'b*'\nnetwork = '10.1.0.0/16'", "host-name = 'b*'\nnetwork = '10.0.0.0/8'", true),
        ("host-name = 'b*'\nnetwork = '10.1.0.0/16'", "host-name = 'b*'\nnetwork = '10.2.0.0/16'", true),
    ] {
        let told = told(&text(first, second));
        let about_b: Vec<_> = told.iter().filter(|problem| problem.contains("peer.b")).collect();
        assert_eq!(about_b.is_empty(), used, "{first} {second}: {told:#?}");
        assert!(used || about_b[0].contains(never[0]), "{told:#?}");
    }
    check(&[
        ("", &["there is nothing to do"]),
        (&user("[pool.x]\nranges = ['10.0.0.0/24']"), &["6:7: warning: pool.x: no peer and no user takes"]),
        (
            "[[listen]]\naddress = '::'\n[[listen]]\naddress = '[::]:1701'\n[connect.c]\nhost = 'h'",
            &["4:11: listen.address: [::]:1701 is there already"],
        ),
    ]);
}

/// Appends, in an expression.
trait Add {
    fn add(self, text: &str) -> String;
}

impl Add for String {
    fn add(mut self, text: &str) -> String {
        self.push_str(text);
        self
    }
}

#[test]
fn the_kernels_driver() {
    let linux = |keys: &str| format!("driver = 'linux'\n{}\n[connect.c]\nhost = 'h'\n", peer(keys));
    let ignored = |tables: &str| {
        let what = "1:10: warning: driver: the kernel's driver does not do `mss-clamp`, which is wanted for";
        format!("{what} {tables}: let nftables")
    };
    check(&[
        (&linux(""), &[&ignored("[peer.a], [connect.c]")]),
        (&linux("mss-clamp = false"), &[&ignored("[connect.c]")]),
        (&linux("").replace("'linux'", "'auto'"), &[]),
        (&(linux("mss-clamp = false") + "mss-clamp = false"), &[]),
        (
            &linux("interface = 'shared'"),
            &["1:10: driver: the sessions of peer `a` share an interface", &ignored("[peer.a], [connect.c]")],
        ),
    ]);
}

#[test]
fn pppd() {
    let pppd = |keys: &str| {
        format!("driver = 'linux'\n{}", peer(&format!("ppp = 'pppd'\npppd-path = '/bin/sh'\n{keys}")))
    };
    check(&[
        (&peer("pppd-options = ['debug']"), &["2:16: peer.a.pppd-options: nothing starts pppd"]),
        (&peer("pppd-path = '/bin/sh'"), &["2:13: peer.a.pppd-path: nothing starts pppd"]),
        (
            &peer("ppp = 'pppd'\npppd-path = '/bin/sh'"),
            &[
                "driver: [peer.a] has `ppp = \"pppd\"`, which needs the kernel's driver: write `driver = \"linux\"`",
            ],
        ),
        (
            "driver = 'auto'\n[peer.a]\nhost-name = 'h'\nlocal-address = '10.0.0.1'\nppp = 'pppd'\npppd-path = '/bin/sh'\n\
             [peer.b]\nlocal-address = '10.0.0.1'\ninterface = 'shared'\n[[user]]\nname = 'u'\npassword = 'p'",
            &["driver: no driver can do both: [peer.a] has `ppp = \"pppd\"`"],
        ),
        (&pppd(""), &[]),
        (&pppd("pppd-options = ['debug', 'ms-dns', '10.0.0.1']"), &[]),
        (
            &pppd("pppd-options = ['persist']"),
            &["5:17: peer.a.pppd-options: `persist` cannot be given to pppd here"],
        ),
        (
            &pppd("pppd-options = ['logfile', '/tmp/log', 'nolog', 'nologfd', 'show-password']"),
            &[
                "5:17: peer.a.pppd-options: `logfile` cannot be given to pppd here",
                "5:40: peer.a.pppd-options: `nolog` cannot be given to pppd here",
                "5:49: peer.a.pppd-options: `nologfd` cannot be given to pppd here",
                "5:60: peer.a.pppd-options: `show-password` cannot be given to pppd here",
            ],
        ),
        (&pppd("pppd-options = ['remotename', 'name', 'ipparam', 'mp', 'ms-dns', '10.0.0.1']"), &[]),
        (
            &pppd("pppd-options = ['remotename', 'name', 'mp']"),
            &["5:39: peer.a.pppd-options: `mp` cannot be given to pppd here"],
        ),
        (
            &pppd("pppd-options = ['pppol2tp_tunnel_id', '1', 'pppol2tp_session_id', '2']"),
            &[
                "5:17: peer.a.pppd-options: `pppol2tp_tunnel_id` cannot be given to pppd here",
                "5:44: peer.a.pppd-options: `pppol2tp_session_id` cannot be given to pppd here",
            ],
        ),
        (&pppd("pppd-options = ['']"), &["5:17: peer.a.pppd-options: it is empty"]),
        (
            &pppd("interface-name = 'vpn%d'"),
            &["5:18: peer.a.interface-name: pppd numbers its interfaces only as `ppp%d`"],
        ),
        (
            &pppd("interface = 'shared'"),
            &[
                "driver: the sessions of peer `a` share an interface",
                "5:13: peer.a.interface: pppd makes an interface for each session",
            ],
        ),
        (
            &pppd("").replace("/bin/sh", "/no/such"),
            &["4:13: peer.a.pppd-path: /no/such: No such file or directory (os error 2); install pppd"],
        ),
        (&pppd("").replace("/bin/sh", "/etc/passwd"), &["4:13: peer.a.pppd-path: /etc/passwd is no program"]),
        (
            "driver = 'linux'\n[connect.c]\nhost = 'h'\nppp = 'pppd'\npppd-path = '/bin/sh'\ndns = 'file'",
            &["6:7: connect.c.dns: pppd asks for resolvers"],
        ),
        // The accounts are pppd's.
        ("driver = 'linux'\n[peer.a]\nlocal-address = '10.0.0.1'\nppp = 'pppd'\npppd-path = '/bin/sh'", &[]),
    ]);
}
