//! What a LAC says of its caller is believed if the LAC has proved who it is.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use l2tp_control::Proxy;
use l2tp_control::wire::AuthenType;
use ol2tp::bed::{Bed, LEFT, RIGHT};
use ol2tp::clients::{Clients, Load};
use ol2tpd::Notice;
use ol2tpd::control::Report;

use crate::home::Home;
use crate::vpn::{PASSWORD, USER};

/// A server that has the secret, but does not ask every LAC to prove that it knows it.
const SERVER: &str = r#"
[[listen]]
address = "192.0.2.2"
[peer.known]
network = "192.0.2.1/32"
SECRET
auth = ["pap"]
proxy-lcp = "accept"
local-address = "10.64.0.1"
pool = "one"
[pool.one]
ranges = ["10.64.0.10-10.64.0.10"]
[[user]]
name = "anna"
password = "sesame"
"#;

/// A caller whose password the LAC was told.
fn proxy() -> Proxy {
    let options = [1, 4, 5, 120, 5, 6, 2, 2, 2, 2];
    Proxy {
        initial_received_lcp: Some(options.to_vec()),
        last_sent_lcp: Some(vec![3, 4, 0xc0, 0x23, 5, 6, 1, 1, 1, 1]),
        last_received_lcp: Some(options.to_vec()),
        authen_type: Some(AuthenType(3)),
        authen_name: Some(USER.into()),
        authen_challenge: None,
        authen_id: Some(7),
        authen_response: Some(Vec::from(PASSWORD).into()),
    }
}

/// Who the server thinks the caller is, and the phase of the link, once the call is up.
fn called(secret: Option<&str>) -> (Option<String>, String) {
    let bed = Bed::new().unwrap();
    let home = Home::new(&bed.right);
    let line = secret.map(|secret| format!("secret = \"{secret}\"")).unwrap_or_default();
    let mut server = home.serve(&SERVER.replace("SECRET", &line));
    let load = Load {
        server: (RIGHT, 1701).into(),
        sources: vec![LEFT.into()],
        tunnels: 1,
        opening: 1,
        sessions_per_tunnel: 1,
        user: USER.into(),
        password: PASSWORD.into(),
        secret: secret.map(Into::into),
        proxy: Some(proxy()),
    };
    let mut lac = bed.left.enter(|| Clients::new(load)).unwrap();
    let called = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            server.until(|notice| matches!(notice, Notice::CallUp { .. }).then_some(()));
            called.store(true, Relaxed);
        });
        assert!(lac.run(Duration::from_secs(60), |_| called.load(Relaxed)).unwrap());
    });
    let report: Report = serde_json::from_str(&home.output(&["show", "sessions", "--json"])).unwrap();
    let ppp = report.sessions.unwrap().remove(0).ppp.unwrap();
    (ppp.user, ppp.phase)
}

#[test]
fn of_one_that_knows_the_secret() {
    assert_eq!(called(Some("between us")), (Some(USER.into()), "network".into()));
}

#[test]
fn not_of_a_stranger() {
    assert_eq!(called(None), (None, "establish".into()));
}
