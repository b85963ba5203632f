//! A connection that cannot be made: the message and the exit code say why, and nothing is left.

use std::net::{Ipv6Addr, SocketAddr};

use ol2tp::bed::Bed;
use ol2tpd::Notice;
use ol2tpd::notice::{Failed, Step};
use socket2::{Domain, Socket, Type};

use crate::home::{Ended, Home};
use crate::vpn::{PASSWORD, USER, connect, serve};

/// What the last of its notices says of a failure.
fn failure(ended: &Ended) -> (Step, Failed, Option<f64>) {
    let failures = ended.lines.iter().rev().filter_map(|line| match serde_json::from_str(line).unwrap() {
        Notice::Failed { step, failure, retry, .. } => Some((step, failure, retry)),
        _ => None,
    });
    failures.into_iter().next().unwrap_or_else(|| panic!("no failure: {ended:#?}"))
}

fn assert_failed(ended: &Ended, code: i32, step: Step, kind: Failed, words: &[&str]) {
    assert_eq!(ended.code, Some(code), "{ended:#?}");
    assert_eq!(failure(ended), (step, kind, None), "{ended:#?}");
    for words in words {
        assert!(ended.errors.contains(words), "{words}: {ended:#?}");
    }
    let advice = ended.errors.lines().any(|line| line.starts_with("What to do: "));
    assert_eq!(advice, kind != Failed::Local, "{ended:#?}");
}

#[test]
fn a_wrong_password() {
    let bed = Bed::new().unwrap();
    let (left, right) = (Home::new(&bed.left), Home::new(&bed.right));
    let before = (left.traces(), right.traces());
    for auth in ["mschapv2", "chap", "pap", "eap"] {
        let mut server = serve(&right, &["--auth", auth]);
        let mut client = left.start_as("wrong", &["connect", "192.0.2.2", "--json", "--user", USER]);
        let ended = client.ended();
        assert_failed(
            &ended,
            14,
            Step::Authentication,
            Failed::Password,
            &["192.0.2.2: failed while authenticating: "],
        );
        assert!(!format!("{ended:?}").contains("wrong\""), "the password is not told: {ended:#?}");
        server.until_down();
        server.stop();
        assert_eq!((left.traces(), right.traces()), before, "{auth}");
    }
}

#[test]
fn an_unknown_user_gets_the_same_answer_as_a_wrong_password() {
    let bed = Bed::new().unwrap();
    let (left, right) = (Home::new(&bed.left), Home::new(&bed.right));
    let _server = serve(&right, &[]);
    let wrong = left.start_as("wrong", &["connect", "192.0.2.2", "--json", "--user", USER]).ended();
    let unknown = left.start_as(PASSWORD, &["connect", "192.0.2.2", "--json", "--user", "nobody"]).ended();
    assert_eq!((wrong.code, wrong.errors), (unknown.code, unknown.errors));
}

#[test]
fn a_wrong_secret_or_none() {
    let bed = Bed::new().unwrap();
    let (left, right) = (Home::new(&bed.left), Home::new(&bed.right));
    let before = (left.traces(), right.traces());
    for (ours, theirs) in
        [(&["--secret", "wrong"][..], &["--secret", "open"][..]), (&[], &["--secret", "open"])]
    {
        let mut server = serve(&right, theirs);
        let ended = connect(&left, ours).ended();
        assert_failed(
            &ended,
            12,
            Step::Tunnel,
            Failed::Secret,
            &["failed while opening the tunnel: ", "secret"],
        );
        server.stop();
        assert_eq!((left.traces(), right.traces()), before);
    }
}

#[test]
fn a_server_without_the_secret() {
    let bed = Bed::new().unwrap();
    let (left, right) = (Home::new(&bed.left), Home::new(&bed.right));
    let _server = serve(&right, &[]);
    let ended = connect(&left, &["--secret", "open"]).ended();
    assert_failed(&ended, 12, Step::Tunnel, Failed::Secret, &["failed while opening the tunnel: ", "secret"]);
}

#[test]
fn a_server_that_does_not_know_this_host() {
    let bed = Bed::new().unwrap();
    let (left, right) = (Home::new(&bed.left), Home::new(&bed.right));
    let file = r#"
[[listen]]
address = "192.0.2.2"
[peer.others]
host-name = "another*"
local-address = "10.64.0.1"
pool = "one"
[pool.one]
ranges = ["10.64.0.10"]
[[user]]
name = "anna"
password = "sesame"
"#;
    let _server = right.serve(file);
    let ended = connect(&left, &[]).ended();
    let words = ["failed while opening the tunnel: ", "this host is not known here"];
    assert_failed(&ended, 13, Step::Tunnel, Failed::Refused, &words);
}

#[test]
fn a_pool_without_a_free_address() {
    let bed = Bed::new().unwrap();
    let (left, right) = (Home::new(&bed.left), Home::new(&bed.right));
    let mut server = serve(&right, &[]);
    let mut clients = [1, 2].map(|n| {
        let socket = format!("/run/{n}.sock");
        let mut client = connect(&left, &["--dns", "none", "--socket", &socket]);
        client.until_up();
        client
    });
    let before = left.traces();
    let ended = connect(&left, &["--dns", "none", "--socket", "/run/3.sock"]).ended();
    assert_eq!(ended.code, Some(15), "{ended:#?}");
    assert!(ended.errors.contains("no address is free"), "{ended:#?}");
    let (_, failed, retry) = failure(&ended);
    assert_eq!((failed, retry), (Failed::Address, None));
    assert_eq!(left.traces(), before);

    // One ends, and its address is free again.
    clients[0].stop();
    server.until_down();
    connect(&left, &["--dns", "none", "--socket", "/run/3.sock"]).until_up();
}

#[test]
fn a_peer_that_does_not_answer() {
    let bed = Bed::new().unwrap();
    let left = Home::new(&bed.left);
    let before = left.traces();
    left.write(
        "/etc/ol2tp.toml",
        "[connect.office]\nhost = \"192.0.2.2\"\nuser = \"anna\"\npassword = \"sesame\"\n\
         retransmit = \"100ms\"\nretransmissions = 2\n",
    );
    let ended = left.start(&["connect", "-c", "/etc/ol2tp.toml", "office", "--json"]).ended();
    assert_failed(&ended, 11, Step::Tunnel, Failed::Silence, &["office: failed while opening the tunnel: "]);
    assert_eq!(left.traces(), before);
}

#[test]
fn a_host_without_an_address() {
    let bed = Bed::new().unwrap();
    let left = Home::new(&bed.left);
    let before = left.traces();
    // No name server is asked: the file knows no other names.
    left.write("/etc/nsswitch.conf", "hosts: files\n");
    let ended = left.start_as(PASSWORD, &["connect", "nowhere.invalid", "--json", "--user", USER]).ended();
    let words = ["nowhere.invalid: failed while looking up the host: ", "check the name"];
    assert_failed(&ended, 10, Step::Resolve, Failed::Resolve, &words);
    assert_eq!(left.traces(), before);
}

#[test]
fn an_interface_name_that_is_taken() {
    let bed = Bed::new().unwrap();
    let (left, right) = (Home::new(&bed.left), Home::new(&bed.right));
    let mut server = serve(&right, &[]);
    let before = left.traces();
    let ended = connect(&left, &["--interface", "veth0", "--dns", "none"]).ended();
    assert_failed(&ended, 18, Step::Configure, Failed::Local, &["veth0"]);
    assert_eq!(left.traces(), before);
    server.until_down();
    server.stop();
}

#[test]
fn a_server_that_refuses_what_proof_we_offer() {
    let bed = Bed::new().unwrap();
    let (left, right) = (Home::new(&bed.left), Home::new(&bed.right));
    let _server = serve(&right, &["--auth", "mschapv2"]);
    let before = left.traces();
    let ended = connect(&left, &["--auth", "pap"]).ended();
    assert_failed(&ended, 13, Step::Link, Failed::Refused, &["failed while negotiating the link (LCP): "]);
    assert_eq!(left.traces(), before);
}

#[test]
fn without_a_password_it_says_how_to_give_one() {
    let bed = Bed::new().unwrap();
    let left = Home::new(&bed.left);
    let ended = left.start(&["connect", "192.0.2.2", "--user", USER]).ended();
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    for words in ["no password for anna", "--password-file", "OL2TP_PASSWORD"] {
        assert!(ended.errors.contains(words), "{ended:#?}");
    }
}

#[test]
fn that_nobody_answers_says_more_than_that_another_address_cannot_be_tried() {
    let bed = Bed::new().unwrap();
    let left = Home::new(&bed.left);
    left.write("/etc/nsswitch.conf", "hosts: files\n");
    left.write("/etc/host.conf", "multi on\n");
    // What cannot be reached is tried last (RFC 6724 §6, rule 1): there is no route to it.
    left.write("/etc/hosts", "fd00::99 server.test\n192.0.2.99 server.test\n");
    let connection = "[connect.office]\nhost = 'server.test'\nuser = 'anna'\npassword = 'sesame'\n\
                      local-port = 5000\nretransmissions = 1\nretransmit = '100ms'\n";
    left.write("/etc/ol2tp.toml", connection);
    let taken = left.enter(|| {
        let socket = Socket::new(Domain::IPV6, Type::DGRAM, None)?;
        socket.set_only_v6(true)?;
        socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, 5000)).into())?;
        Ok(socket)
    });
    let _taken = taken.unwrap();
    let ended = left.start(&["connect", "-c", "/etc/ol2tp.toml", "office", "--json"]).ended();
    assert_failed(&ended, 11, Step::Tunnel, Failed::Silence, &["failed while opening the tunnel"]);
}
