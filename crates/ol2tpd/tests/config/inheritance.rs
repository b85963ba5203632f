//! `inherits`.

use ol2tpd::config::Settings;

use super::{settings, told};

const USER: &str = "[[user]]\nname = 'u'\npassword = 'p'\n";

fn mtus(settings: &Settings) -> Vec<(String, Option<u16>, bool)> {
    let peers = settings.peers.iter();
    peers.map(|peer| (peer.name.to_string(), peer.profile.mtu, peer.policy.secret.is_some())).collect()
}

#[test]
fn the_nearest_table_counts_and_order_does_not_matter() {
    let settings = settings(&format!(
        "{USER}[peer.c]\ninherits = 'b'\nhost-name = 'c'\n\
         [peer.b]\ninherits = 'a'\nhost-name = 'b'\nmtu = 1300\n\
         [peer.a]\nlocal-address = '10.0.0.1'\nmtu = 1200\nsecret = 's'\n"
    ));
    let expected = [("c", Some(1300), true), ("b", Some(1300), true), ("a", Some(1200), true)];
    assert_eq!(mtus(&settings), expected.map(|(name, mtu, secret)| (name.to_owned(), mtu, secret)));
}

#[test]
fn which_peers_a_table_is_for_is_not_inherited() {
    let settings = settings(&format!(
        "{USER}[peer.b]\ninherits = 'a'\nhost-name = 'b'\n\
         [peer.a]\nlocal-address = '10.0.0.1'\nhost-name = 'a'\nnetwork = '10.0.0.0/8'\n"
    ));
    assert_eq!(&*settings.peers[0].host_name, "b");
    assert!(settings.peers[0].network.is_none());
}

#[test]
fn one_of_two_keys_takes_the_place_of_the_other() {
    let text = format!(
        "{USER}[peer.b]\ninherits = 'a'\nhost-name = 'b'\nsecret-file = '/nonexistent'\n\
         [peer.a]\nlocal-address = '10.0.0.1'\nsecret = 's'\n"
    );
    assert_eq!(
        told(&text),
        ["7:15: peer.b.secret-file: /nonexistent: No such file or directory (os error 2)"]
    );
}

#[test]
fn a_mistake_is_told_once_where_it_stands() {
    let text = format!(
        "{USER}[peer.c]\ninherits = 'a'\nhost-name = 'c'\n[peer.b]\ninherits = 'a'\nhost-name = 'b'\n\
         [peer.a]\nlocal-address = '10.0.0.1'\nmtu = 1\n"
    );
    assert_eq!(told(&text), ["12:7: peer.a.mtu: 1 cannot be: it is from 576 to 16384"]);
}

#[test]
fn connections_inherit_too() {
    let settings = settings("[connect.b]\ninherits = 'a'\nhost = 'b'\n[connect.a]\nhost = 'a'\nport = 7\n");
    let hosts: Vec<_> = settings.connect.iter().map(|dial| (&*dial.host, dial.port)).collect();
    assert_eq!(hosts, [("b", 7), ("a", 7)]);
}

#[test]
fn nothing_and_oneself_cannot_be_inherited_from() {
    let connect = |name: &str, from: &str| format!("[connect.{name}]\ninherits = '{from}'\nhost = 'h'\n");
    assert_eq!(
        told(&(connect("office", "offices") + &connect("home", "offic"))),
        [
            "2:12: connect.office.inherits: there is no `offices` to inherit from",
            "5:12: connect.home.inherits: there is no `offic` to inherit from; did you mean `office`?",
        ]
    );
    assert_eq!(
        told(&(connect("a", "b") + &connect("b", "c") + &connect("c", "b") + &connect("d", "d"))),
        [
            "5:12: connect.b.inherits: it inherits from itself, by c, b",
            "8:12: connect.c.inherits: it inherits from itself, by b, c",
            "11:12: connect.d.inherits: it inherits from itself, by d",
        ]
    );
}
