//! What pppd is told of a session: the settings in its words.

use std::fmt::Write as _;
use std::time::Duration;

use ppp::Method;
use ppp::config::{Credentials, Network};
use zeroize::Zeroizing;

use crate::config::{InterfaceChoice, Profile};
use crate::server::sessions::Session;

/// What pppd calls the methods of authentication behind `require-` and `refuse-`.
const METHODS: [(&str, Option<Method>); 5] = [
    ("pap", Some(Method::Pap)),
    ("chap", Some(Method::ChapMd5)),
    ("mschap", None),
    ("mschap-v2", Some(Method::MsChapV2)),
    ("eap", Some(Method::Eap)),
];

struct Words(Vec<String>);

impl Words {
    fn say(&mut self, words: &str) {
        self.0.extend(words.split(' ').map(str::to_owned));
    }

    fn flag(&mut self, on: bool, word: &str) {
        if on {
            self.say(word);
        }
    }

    fn option(&mut self, name: &str, value: impl ToString) {
        self.0.extend([name.to_owned(), value.to_string()]);
    }
}

/// The words of its command line.
pub(super) fn of(session: &Session, offer: &Network) -> Vec<String> {
    let ids = session.socket.as_ref().map(|socket| socket.ids());
    let (tunnel, id) = ids.map_or((0, 0), |ids| (ids.tunnel_id, ids.session_id));
    words(&session.profile, session.dial.is_some(), tunnel, id, offer)
}

fn words(profile: &Profile, client: bool, tunnel: u16, session: u16, offer: &Network) -> Vec<String> {
    let ppp = &profile.ppp;
    let mut words = Words(Vec::new());
    // /etc/ppp/options may say otherwise, and what is given here counts more.
    words.say("nodetach nopersist nodefaultroute nodefaultroute6 hide-password logfd 2");
    words.say("plugin pppol2tp.so pppol2tp 0");
    words.option("pppol2tp_tunnel_id", tunnel);
    words.option("pppol2tp_session_id", session);
    words.flag(!client, "pppol2tp_lns_mode");
    words.flag(profile.send_sequence, "pppol2tp_send_seq");
    words.flag(profile.require_sequence, "pppol2tp_recv_seq");
    if !profile.reorder_timeout.is_zero() {
        words.option("pppol2tp_reorderto", profile.reorder_timeout.as_millis());
    }
    words.option("ipparam", &profile.name);
    words.option("mru", ppp.mru);
    words.option("mtu", profile.mtu.unwrap_or(ppp.mru).min(ppp.mru));
    words.option("lcp-echo-interval", ppp.echo.map_or(0, |echo| seconds(echo.interval)));
    if let Some(echo) = ppp.echo {
        words.option("lcp-echo-failure", echo.failures);
        words.say("lcp-echo-adaptive");
    }
    words.option("lcp-restart", seconds(ppp.timing.restart));
    words.option("lcp-max-configure", ppp.timing.max_configure);
    words.option("lcp-max-terminate", ppp.timing.max_terminate);
    words.option("lcp-max-failure", ppp.timing.max_failure);
    authentication(&mut words, profile, client);
    addresses(&mut words, client, offer);
    if let InterfaceChoice::PerSession { name } = &profile.interface
        && name != "ppp%d"
    {
        words.option("ifname", name);
    }
    if let Some(limit) = profile.session_timeout {
        words.option("maxconnect", seconds(limit));
    }
    if let Some(limit) = profile.idle_timeout {
        words.option("idle", seconds(limit));
    }
    words.0
}

fn authentication(words: &mut Words, profile: &Profile, client: bool) {
    let ppp = &profile.ppp;
    if client {
        // It tells of packets: that it has sent our password it says in no other way.
        words.say("debug noauth file /proc/self/fd/1");
    } else {
        words.say(if ppp.require.is_empty() { "noauth" } else { "auth" });
        words.option("name", &ppp.name);
        if let Some(time) = ppp.rechallenge {
            words.option("chap-interval", seconds(time));
        }
    }
    for (name, method) in METHODS {
        let among = |methods: &[Method]| method.is_some_and(|method| methods.contains(&method));
        words.flag(!client && among(&ppp.require), &format!("require-{name}"));
        words.flag(client && !among(&ppp.accept), &format!("refuse-{name}"));
    }
}

fn addresses(words: &mut Words, client: bool, offer: &Network) {
    match &offer.ipv4 {
        Some(ipv4) => {
            words.flag(client, "noipdefault");
            let ours = Some(ipv4.local).filter(|ip| !ip.is_unspecified()).map(|ip| ip.to_string());
            let theirs = ipv4.peer.map(|ip| ip.to_string());
            if ours.is_some() || theirs.is_some() {
                words.say(&format!("{}:{}", ours.unwrap_or_default(), theirs.unwrap_or_default()));
            }
            ipv4.dns.iter().flatten().for_each(|ip| words.option("ms-dns", ip));
            ipv4.nbns.iter().flatten().for_each(|ip| words.option("ms-wins", ip));
        }
        None => words.say("noip"),
    }
    words.say(if offer.ipv6.is_some() { "+ipv6" } else { "noipv6" });
}

/// Whole seconds, not none.
fn seconds(time: Duration) -> u64 {
    time.as_millis().div_ceil(1000).max(1).try_into().unwrap_or(u64::MAX)
}

/// The options that only pppd may see. Each octet is written by its number, so that none is special.
pub(super) fn secrets(credentials: &Credentials) -> Zeroizing<String> {
    let (name, password) = (credentials.name.as_bytes(), credentials.password.octets());
    let mut options = Zeroizing::new(String::with_capacity(32 + 4 * (name.len() + password.len())));
    for (option, octets) in [("user", name), ("password", password)] {
        let _ = write!(options, "{option} \"");
        for octet in octets {
            let _ = write!(options, "\\{octet:03o}");
        }
        options.push_str("\"\n");
    }
    options
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Settings;

    fn settings(keys: &str) -> Settings {
        let text = format!(
            "driver = 'linux'\n[peer.a]\nlocal-address = '10.9.0.1'\n[connect.b]\nhost = 'h'\n{keys}\n\
             [[user]]\nname = 'u'\npassword = 'p'\n"
        );
        Settings::parse(Path::new("f"), &text).unwrap().settings
    }

    #[test]
    fn a_server_says_who_has_called_and_what_he_gets() {
        let settings = settings("");
        let ipv4 = ppp::config::Ipv4 {
            local: [10, 9, 0, 1].into(),
            peer: Some([10, 9, 0, 2].into()),
            dns: [Some([10, 9, 0, 3].into()), None],
            ..ppp::config::Ipv4::default()
        };
        let profile = Profile {
            send_sequence: true,
            session_timeout: Some(Duration::from_millis(1500)),
            ..(*settings.peers[0].profile).clone()
        };
        let words = words(&profile, false, 1, 2, &Network { ipv4: Some(ipv4), ipv6: None }).join(" ");
        for expected in [
            "nodetach nopersist nodefaultroute nodefaultroute6 hide-password logfd 2 plugin pppol2tp.so \
             pppol2tp 0 pppol2tp_tunnel_id 1 pppol2tp_session_id 2 pppol2tp_lns_mode pppol2tp_send_seq ipparam a mru 1400 mtu 1400",
            " auth name ",
            " require-chap require-mschap-v2 10.9.0.1:10.9.0.2 ms-dns 10.9.0.3 noipv6 maxconnect 2",
        ] {
            assert!(words.contains(expected), "{words}\n{expected}");
        }
        assert!(!words.contains("recv_seq") && !words.contains("refuse"), "{words}");
    }

    #[test]
    fn pppd_may_know_the_address() {
        let settings = settings("");
        let ipv4 = ppp::config::Ipv4 { local: [10, 9, 0, 1].into(), ..ppp::config::Ipv4::default() };
        let offer = Network { ipv4: Some(ipv4), ipv6: None };
        let words = words(&settings.peers[0].profile, false, 1, 2, &offer).join(" ");
        assert!(words.contains(" 10.9.0.1: "), "{words}");
    }

    #[test]
    fn a_client_takes_what_it_is_given_and_keeps_its_password_to_itself() {
        let settings =
            settings("user = 'n\"'\npassword = 'sesame'\nauth = ['chap']\ninterface-name = 'office'");
        let profile = &settings.connect[0].profile;
        let offer = Network { ipv4: Some(ppp::config::Ipv4::default()), ipv6: Some(Default::default()) };
        let words = words(profile, true, 1, 2, &offer).join(" ");
        let expected = " debug noauth file /proc/self/fd/1 refuse-pap refuse-mschap refuse-mschap-v2 refuse-eap noipdefault \
                        +ipv6 ifname office";
        assert!(words.contains(expected), "{words}");
        assert!(!words.contains("sesame") && !words.contains("lns_mode"), "{words}");
        let credentials = profile.ppp.credentials.as_ref().unwrap();
        assert_eq!(
            *secrets(credentials),
            "user \"\\156\\042\"\npassword \"\\163\\145\\163\\141\\155\\145\"\n"
        );
    }
}
