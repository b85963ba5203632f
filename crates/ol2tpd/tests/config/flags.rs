//! Flags mean what a file means that says the same.

use ol2tpd::config::{ConnectFlags, Loaded, ServeFlags, Settings};
use zeroize::Zeroizing;

use super::settings;

fn secret(text: &str) -> Zeroizing<String> {
    Zeroizing::new(text.to_owned())
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}

/// What a server needs.
fn serve() -> ServeFlags {
    ServeFlags {
        users: vec![secret("u:p:q")],
        pool: texts(&["10.0.0.0/24"]),
        local_address: Some("10.0.0.1".into()),
        ..ServeFlags::default()
    }
}

fn told(loaded: Result<Loaded, ol2tpd::config::Problems>) -> String {
    loaded.map_or_else(|problems| problems, |loaded| loaded.warnings).to_string()
}

#[test]
fn serve_is_a_file() {
    let flags = ServeFlags {
        listen: texts(&["192.0.2.1", "[::1]:17"]),
        secret: Some(secret("s")),
        auth: texts(&["pap", "chap"]),
        ipv6_pool: Some("2001:db8::/48".into()),
        dns: texts(&["9.9.9.9"]),
        interface: Some("shared".into()),
        socket: Some("/run/x.sock".into()),
        ..serve()
    };
    let file = settings(
        "[control]\nsocket = '/run/x.sock'\n[[listen]]\naddress = '192.0.2.1:1701'\n[[listen]]\naddress = '[::1]:17'\n\
         [peer.default]\nsecret = 's'\nauth = ['pap', 'chap']\npool = 'default'\nipv6-pool = 'default'\n\
         local-address = '10.0.0.1'\ndns = ['9.9.9.9']\ninterface = 'shared'\n\
         [pool.default]\nranges = ['10.0.0.0/24']\n[ipv6-pool.default]\nprefix = '2001:db8::/48'\n\
         [[user]]\nname = 'u'\npassword = 'p:q'\n",
    );
    let Loaded { settings, warnings } = Settings::serve(&flags).unwrap();
    assert_eq!(warnings.0, []);
    assert_eq!(format!("{settings:#?}"), format!("{file:#?}"));
    assert_eq!(settings.users, file.users, "passwords too");
}

#[test]
fn connect_is_a_file() {
    let flags = ConnectFlags {
        host: "vpn.example".into(),
        port: Some(17),
        local_port: Some(18),
        user: Some("u".into()),
        password: Some(secret("p")),
        secret: Some(secret("s")),
        auth: texts(&["pap"]),
        default_route: true,
        routes: texts(&["10.0.0.0/8"]),
        dns: Some("none".into()),
        no_ipv6: true,
        interface_name: Some("office".into()),
        mtu: Some(1400),
        persist: true,
        ..ConnectFlags::default()
    };
    let file = settings(
        "[connect.\"vpn.example\"]\nhost = 'vpn.example'\nport = 17\nlocal-port = 18\nuser = 'u'\npassword = 'p'\n\
         secret = 's'\nauth = ['pap']\ndefault-route = true\nroutes = ['10.0.0.0/8']\ndns = 'none'\nipv6 = false\n\
         interface-name = 'office'\nmtu = 1400\npersist = true\n",
    );
    let Loaded { settings, warnings } = Settings::connect(&flags).unwrap();
    assert_eq!(warnings.0, []);
    assert_eq!(format!("{settings:#?}"), format!("{file:#?}"));
}

#[test]
fn few_flags_make_a_server() {
    let Loaded { settings, warnings } = Settings::serve(&serve()).unwrap();
    assert_eq!(warnings.0, []);
    let listen: Vec<_> = settings.listen.iter().map(ToString::to_string).collect();
    assert_eq!(listen, ["0.0.0.0:1701", "[::]:1701"]);
}

#[test]
fn a_mistake_names_its_flag_and_no_secret() {
    let rows = [
        (ServeFlags { users: vec![secret("hush")], ..serve() }, "--user: NAME:PASSWORD is needed"),
        (ServeFlags { users: vec![secret("u:")], ..serve() }, "--user: it is empty"),
        (ServeFlags { users: vec![], ..serve() }, "`--user` is missing: nobody could log in"),
        (
            ServeFlags { pool: texts(&["10.0.0.0/33"]), ..serve() },
            "--pool: `/33` is no length of a prefix; 0 to 32 are",
        ),
        (
            ServeFlags { local_address: None, ..serve() },
            "`--local-address` is missing: it is our end of each session, for example 10.0.0.1",
        ),
        (
            ServeFlags { auth: texts(&["mschap"]), ..serve() },
            "--auth: `mschap` is not one of mschapv2, chap, eap, pap; did you mean `mschapv2`?",
        ),
        (
            ServeFlags { interface: Some("share".into()), ..serve() },
            "--interface: `share` is not one of per-session, shared; did you mean `shared`?",
        ),
        (
            ServeFlags { secret: Some(secret("hush")), secret_file: Some("/x".into()), ..serve() },
            "--secret-file: `secret` and `secret-file` are both there; leave one of them out",
        ),
    ];
    for (flags, expected) in rows {
        assert_eq!(told(Settings::serve(&flags)), expected);
    }
    let flags = ConnectFlags { host: "a:1701".into(), ..ConnectFlags::default() };
    assert_eq!(told(Settings::connect(&flags)), "HOST: it is a host alone; `port` is a key of its own");
    let flags = ConnectFlags { host: "a".into(), user: Some("u".into()), ..ConnectFlags::default() };
    assert_eq!(told(Settings::connect(&flags)), "`--password` is missing: write it, or `password-file`");
}
