//! What keys do, one by one: each changes the settings.

use std::collections::BTreeMap;

use ol2tpd::config::{Shown, TableName, keys};

use super::settings;

/// For each key of a peer and of a connection, a value that is not its default.
const PEER: &str = "host-name = 'b'\nnetwork = '10.0.0.0/8'\nauth = ['pap']\nrechallenge = '1h'\nproxy-lcp = 'accept'\n\
    pool = 'x'\nipv6-pool = 'x'\ninterface = 'shared'\ndns = ['9.9.9.9']\nnbns = ['9.9.9.9']\n\
    sccrp-retransmissions = 0\n";
const CONNECT: &str = "host = '192.0.2.1'\nport = 17\nlocal-port = 18\nuser = 'u'\npassword = 'p'\nauth = ['pap']\n\
    default-route = true\nroutes = ['10.0.0.0/8']\ndns = 'none'\npersist = true\nbackoff = '2s'\nbackoff-cap = '3s'\n\
    calling-number = '1'\ncalled-number = '2'\n";
const BOTH: &str = "secret = 's'\nhide-avps = true\nhello = '2m'\nhello-retransmissions = 4\nsetup-time = '2m'\n\
    empty-tunnel-time = '2m'\nreceive-window = 4\nretransmit = '2s'\nretransmit-cap = '16s'\nretransmissions = 4\n\
    tie-breaker = false\nbearer-capabilities = false\nstrict = ['padding']\nlocal-address = '10.0.0.1'\nmru = 1500\nmtu = 1500\n\
    mss-clamp = false\ninterface-name = 'i'\nsend-sequence = true\nrequire-sequence = true\n\
    reorder-timeout = '10ms'\necho-interval = '1s'\necho-failures = 1\nauthentication-time = '1s'\nrestart-time = '1s'\n\
    max-configure = 1\nmax-terminate = 1\nmax-failure = 1\nsession-timeout = '1s'\nidle-timeout = '1s'\n";
const REST: &str = "driver = 'auto'\nshards = 2\nfast = 'off'\nfast-sessions = 1\ndata-checksums = false\n[control]\nsocket = '/s'\n[limits]\ntunnels = 1\ntunnels-per-source = 1\nlogins-per-source = 1\npppd-logins = 1\npppd-logins-per-source = 1\nsessions-per-tunnel = 1\nsessions = 1\nhalf-open = 1\n\
    half-open-per-source = 1\nrequests = 1\nrequests-per-source = 1\nbacklog = 1\n[pool.x]\nranges = ['10.0.0.0/24']\n\
    [ipv6-pool.x]\nprefix = 'fd00::/48'\n[hooks]\ntimeout = '1s'\n\
    [[user]]\nname = 'u'\npassword = 'p'\naddress = '10.0.0.7'\nipv6-prefix = 'fd01::/64'\nroutes = ['10.9.0.0/16']\nmax-sessions = 1\nrefuse-more = true\n\
    session-timeout = '1s'\nidle-timeout = '1s'\n[[user]]\nname = 'v'\npassword = 'p'\npool = 'x'\n";

fn view(text: &str) -> BTreeMap<(String, &'static str), Vec<Shown>> {
    let mut view = BTreeMap::<_, Vec<_>>::new();
    for table in settings(text).view() {
        let name = match table.table {
            TableName::Root => String::new(),
            TableName::One(kind) => format!("[{kind}]"),
            TableName::Named(kind, _) => format!("[{kind}.NAME]"),
            TableName::Listed(kind) => format!("[[{kind}]]"),
        };
        for (key, shown) in table.keys {
            view.entry((name.clone(), key)).or_default().push(shown);
        }
    }
    view
}

#[test]
fn every_key_has_its_effect() {
    let least = "[peer.a]\nlocal-address = '10.0.0.2'\n[[user]]\nname = 'w'\npassword = 'p'\n[connect.a]\nhost = 'h'\n";
    let plain = view(least);
    let full = view(&format!(
        "host-name = 'x'\n{REST}[peer.a]\nipv6 = true\n{PEER}{BOTH}[connect.a]\nipv6 = false\n{CONNECT}{BOTH}"
    ));
    // Those that are seen by another key, by a file, or by there being only one value.
    let unseen = [
        "inherits",
        "password",
        "password-file",
        "secret-file",
        "challenge",
        "address",
        "ip-up",
        "ip-down",
        "ipv6-up",
        "ipv6-down",
        "ppp",
        "pppd-path",
        "pppd-options",
    ];
    let mut seen = 0;
    for (table, keys) in keys() {
        for key in keys {
            let at = (table.to_owned(), key);
            let one_value = (table, key) == ("[connect.NAME]", "interface");
            if one_value
                || unseen.contains(&key)
                || table == "[accounts]"
                || table.is_empty() && !full.contains_key(&at)
            {
                continue;
            }
            let shown = full.get(&at).unwrap_or_else(|| panic!("{at:?} is in no view"));
            assert_ne!(Some(shown), plain.get(&at), "{at:?}");
            seen += 1;
        }
    }
    assert!(seen > 100, "{seen}");
}

#[test]
fn pppd_has_its_keys() {
    let pppd = "driver = 'linux'\n[peer.a]\nlocal-address = '10.0.0.2'\nppp = 'pppd'\npppd-path = '/bin/sh'\n\
                pppd-options = ['ms-dns', '10.0.0.3']\n";
    let view = view(pppd);
    let value = |key| match &view[&("[peer.NAME]".to_owned(), key)][..] {
        [Shown::Value(value)] => value.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(value("ppp"), r#""pppd""#);
    assert_eq!(value("pppd-path"), r#""/bin/sh""#);
    assert_eq!(value("pppd-options"), r#"["ms-dns","10.0.0.3"]"#);
}
