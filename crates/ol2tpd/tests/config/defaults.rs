//! What a file means that says little, and that the view of a file is a file that means the same.

use std::path::Path;
use std::time::Duration;

use ol2tpd::config::{DnsMode, InterfaceChoice, Loaded, Settings};
use ppp::Method;

use super::{SOUND, settings};

#[test]
fn a_peer_and_a_user_are_enough() {
    let settings = settings(SOUND);
    let listen: Vec<_> = settings.listen.iter().map(ToString::to_string).collect();
    assert_eq!(listen, ["0.0.0.0:1701", "[::]:1701"]);
    let peer = &settings.peers[0];
    assert_eq!((&*peer.name, &*peer.host_name, peer.network.is_none()), ("a", "*", true));
    assert!(!peer.policy.challenge && peer.policy.secret.is_none());
    assert_eq!(peer.policy.empty, Some(Duration::from_secs(60)));
    assert_eq!(peer.profile.ppp.require, [Method::MsChapV2, Method::ChapMd5]);
    assert_eq!(peer.profile.interface, InterfaceChoice::PerSession { name: "ppp%d".into() });
    assert!(!peer.profile.ipv6 && peer.profile.mss_clamp && peer.profile.mtu.is_none());
}

#[test]
fn a_host_is_enough_to_connect() {
    let settings = settings("[connect.c]\nhost = 'h'\n");
    assert_eq!(settings.listen, []);
    let dial = &settings.connect[0];
    assert_eq!((&*dial.name, &*dial.host, dial.port, dial.local_port), ("c", "h", 1701, None));
    assert_eq!((dial.default_route, dial.dns, dial.persist), (false, DnsMode::Auto, None));
    assert_eq!(dial.policy.empty, None);
    assert!(dial.profile.ppp.require.is_empty() && dial.profile.ppp.credentials.is_none());
    assert!(dial.profile.ipv6);
}

#[test]
fn a_secret_is_challenged_unless_told_otherwise() {
    let with = |keys: &str| {
        settings(&SOUND.replace("[peer.a]", &format!("[peer.a]\n{keys}"))).peers[0].policy.clone()
    };
    assert!(with("secret = 's'").challenge);
    assert!(!with("secret = 's'\nchallenge = false").challenge);
}

#[test]
fn off_is_off() {
    let text = SOUND.replace(
        "[peer.a]",
        "[peer.a]\nhello = 'off'\necho-interval = 'off'\nrechallenge = '5m'\nempty-tunnel-time = '0s'\nidle-timeout = '1d'",
    );
    let peer = settings(&text).peers.remove(0);
    assert_eq!((peer.policy.hello, peer.profile.ppp.echo), (None, None));
    assert_eq!(peer.profile.ppp.rechallenge, Some(Duration::from_secs(300)));
    assert_eq!(peer.policy.empty, Some(Duration::ZERO));
    assert_eq!(peer.profile.idle_timeout, Some(Duration::from_secs(86_400)));
}

#[test]
fn the_view_of_a_file_means_the_same() {
    let text = "host-name = \"a \\\"quoted\\\" näme\"\nshards = 4\n[limits]\ntunnels = 7\n\
        [pool.'a b']\nranges = ['10.0.0.0/24', '10.0.1.5', '10.0.2.1-10.0.2.3']\n[ipv6-pool.x]\nprefix = '2001:db8::/48'\n\
        [peer.'x.y']\nhost-name = 'x*'\nnetwork = '192.0.2.0/24'\nauth = []\nlocal-address = '10.0.0.1'\npool = 'a b'\n\
        ipv6-pool = 'x'\nhello = 'off'\nstrict = ['padding']\nrequire-sequence = true\nreorder-timeout = '50ms'\ninterface = 'shared'\n\
        dns = ['9.9.9.9', '2001:db8::9']\nnbns = ['10.0.0.3']\n\
        [connect.c]\nhost = '2001:db8::1'\nroutes = ['10.9.0.0/16']\npersist = true\nmtu = 1300\nipv6 = false\nstrict = true\n";
    let parse = |text: &str| match Settings::parse(Path::new("f"), text) {
        Ok(Loaded { settings, .. }) => settings,
        Err(problems) => panic!("{problems}\n{text}"),
    };
    let settings = parse(text);
    let view: String = settings.view().iter().map(|table| format!("{table}\n")).collect();
    assert_eq!(format!("{:#?}", parse(&view)), format!("{settings:#?}"));
}
