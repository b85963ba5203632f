//! A record in words, and records that are not sound.
//!
//! The words are kept in `record.txt`. With the variable `UPDATE_SNAPSHOTS` set, the test writes them
//! anew; look at what changed.

use std::path::Path as File;
use std::sync::Arc;
use std::{env, fs};

use l2tp_control::auth::Secret;
use l2tp_control::config::{Config, PeerRule, Policy};
use l2tp_control::record::{Recorder, Replay, Secrets};
use l2tp_control::wire::{Accm, AuthenType, CallErrors, CdnResult, Message, StopResult};
use l2tp_control::{Cause, Connect, Connected, Event, Incoming, Instant, Path, Proxy, Request};
use l2tp_data::id::{SessionId, TunnelId};

type Side = Recorder<Vec<u8>>;

fn path(peer: &str) -> Path {
    Path { socket: 0, local: None, peer: peer.parse().unwrap() }
}

fn side(host_name: &str, seed: u8, policy: &Policy, secrets: Secrets) -> Side {
    let peers = vec![PeerRule::anyone(policy.clone())];
    let config = Config { host_name: host_name.into(), peers, ..Config::default() };
    Recorder::new(config, [seed; 32], Vec::new(), secrets)
}

/// Takes datagrams to and fro; what the LNS is told.
fn settle(now: Instant, lac: &mut Side, lns: &mut Side) -> Vec<Event> {
    let mut buffer = vec![0; Message::MAX];
    let mut events = Vec::new();
    loop {
        let mut quiet = true;
        while let Some(transmit) = lac.poll_transmit(now, &mut buffer) {
            lns.handle_datagram(now, path("192.0.2.1:1701"), &mut buffer[..transmit.len]);
            quiet = false;
        }
        while let Some(transmit) = lns.poll_transmit(now, &mut buffer) {
            lac.handle_datagram(now, path("192.0.2.2:1701"), &mut buffer[..transmit.len]);
            quiet = false;
        }
        events.extend(core::iter::from_fn(|| lns.poll_event()));
        if quiet {
            return events;
        }
    }
}

/// A tunnel with a call, from beginning to end, as the LNS has recorded it.
fn record(secrets: Secrets) -> Vec<u8> {
    let policy = Policy {
        secret: Some(Secret::new(b"open sesame")),
        challenge: true,
        hide: true,
        ..Policy::default()
    };
    let (mut lac, mut lns) = (side("lac", 1, &policy, secrets), side("lns", 2, &policy, secrets));
    let at = |millisecond: u64| Instant::from_micros(1_000_000 + millisecond * 1000);

    let connect = Connect { path: path("192.0.2.2:1701"), policy: Arc::new(policy) };
    let tunnel = lac.connect(at(0), connect).unwrap();
    let lns_tunnel = settle(at(0), &mut lac, &mut lns).iter().find_map(tunnel_up).expect("it is up");

    let proxy = Proxy {
        authen_type: Some(AuthenType::PAP),
        authen_name: Some(b"subscriber".to_vec()),
        authen_id: Some(1),
        authen_response: Some(b"password".to_vec()),
        ..Proxy::default()
    };
    let connected = Connected { proxy: Some(Box::new(proxy)), ..Connected::default() };
    let request = Request::Incoming(Incoming { calling: Some(b"555-1234".to_vec()), ..Incoming::default() });
    let session = lac.place_call(at(1), tunnel, request, Some(connected)).unwrap();
    let lns_session = settle(at(1), &mut lac, &mut lns).iter().find_map(call_offered).expect("it is offered");
    lns.accept(at(2), lns_tunnel, lns_session).unwrap();
    settle(at(2), &mut lac, &mut lns);

    lns.send_link_info(lns_tunnel, lns_session, Accm { send: 0, receive: u32::MAX }).unwrap();
    settle(at(3), &mut lac, &mut lns);
    lac.send_line_errors(tunnel, session, CallErrors { crc: 3, ..CallErrors::default() }).unwrap();
    settle(at(3), &mut lac, &mut lns);
    lns.accept(at(4), lns_tunnel, lns_session).unwrap_err();
    let cause = Cause { message: "bye".into(), ..Cause::new(CdnResult::ADMINISTRATIVE) };
    lns.hang_up(at(4), lns_tunnel, lns_session, cause).unwrap();
    settle(at(4), &mut lac, &mut lns);
    // Junk.
    lns.handle_datagram(at(5), path("192.0.2.3:1701"), &mut [0xc8, 3, 0, 12, 0, 0]);
    lns.poll_transmit(at(5), &mut [0; Message::MAX]);
    lac.close(at(6), tunnel, Cause::new(StopResult::SHUTTING_DOWN)).unwrap();
    settle(at(6), &mut lac, &mut lns);
    while let Some(at) = lns.poll_timeout() {
        lns.handle_timeout(at);
        settle(at, &mut lac, &mut lns);
    }
    lns.finish().expect("a Vec takes it")
}

fn tunnel_up(event: &Event) -> Option<TunnelId> {
    match event {
        Event::TunnelUp { tunnel, .. } => Some(*tunnel),
        _ => None,
    }
}

fn call_offered(event: &Event) -> Option<SessionId> {
    match event {
        Event::CallOffered { session, .. } => Some(*session),
        _ => None,
    }
}

/// The words of a record, and how it ends.
fn words(record: &[u8]) -> (String, Option<String>) {
    let mut words = String::new();
    for step in Replay::new(record) {
        match step {
            Ok(step) => words += &format!("{step}\n"),
            Err(error) => return (words, Some(error.to_string())),
        }
    }
    (words, None)
}

#[test]
fn a_call_in_words() {
    let (now, error) = words(&record(Secrets::Keep));
    assert_eq!(error, None);
    let now = now.replace(env!("CARGO_PKG_VERSION"), "VERSION");
    let file = File::new(env!("CARGO_MANIFEST_DIR")).join("tests/record.txt");
    if env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&file, &now).expect("the words can be written");
    }
    let was = fs::read_to_string(&file).unwrap_or_default();
    assert!(was == now, "{} says\n{was}\nit is\n{now}\nUPDATE_SNAPSHOTS=1 writes it", file.display());
}

#[test]
fn without_secrets_authentication_fails_in_the_replay() {
    let (words, error) = words(&record(Secrets::LeaveOut));
    assert_eq!(error, None);
    let first = words.lines().next().expect("a line");
    assert!(first.ends_with("without secrets: what needs one fails here"), "{first}");
    assert!(!words.contains(": up"), "{words}");
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    let record = String::from_utf8(record(Secrets::Keep)).unwrap();
    let start = record.lines().next().unwrap();
    let path = r#""path":{"socket":0,"local":null,"peer":"192.0.2.1:1701"}"#;
    for (line, lines) in [
        ("line 1: the record is empty", vec![]),
        (r#"line 1: the first line of a record has "do":"start""#, vec![r#"{"do":"timeout","at":1}"#.into()]),
        ("line 1: expected value at column 1", vec!["l2tp".into()]),
        (
            "line 1: the record has format 7, this ol2tp reads 1",
            vec![start.replace(r#""format":1"#, r#""format":7"#)],
        ),
        ("line 1: the seed has 32 octets", vec![start.replace("0202", "")]),
        ("line 1: octets are pairs of hexadecimal digits", vec![start.replace("0202", "0xyz")]),
        ("line 2: the record starts twice", vec![start.into(), start.into()]),
        (
            "line 3: EOF while parsing a string at column 13",
            vec![start.into(), r#"{"do":"timeout","at":1}"#.into(), r#"{"do":"timeou"#.into()],
        ),
        ("line 2: unknown variant `dance`", vec![start.into(), r#"{"do":"dance"}"#.into()]),
        ("line 2: missing field `at`", vec![start.into(), r#"{"do":"timeout"}"#.into()]),
        ("line 2: unknown field `as`", vec![start.into(), r#"{"do":"timeout","at":1,"as":2}"#.into()]),
        ("line 2: 0 is no id", vec![start.into(), r#"{"do":"data_sent","at":1,"tunnel":0}"#.into()]),
        (
            "line 2: octets are pairs of hexadecimal digits",
            vec![start.into(), format!(r#"{{"do":"datagram","at":1,{path},"bytes":"c80"}}"#)],
        ),
        (
            "line 3: it happens at 0.000001, before the line above at 0.000002",
            vec![start.into(), r#"{"do":"timeout","at":2}"#.into(), r#"{"do":"timeout","at":1}"#.into()],
        ),
    ] {
        let record = lines.join("\n");
        let (words, error) = words(record.as_bytes());
        let error = error.expect("it is not sound");
        assert!(error.starts_with(line), "{error}, not {line}");
        assert_eq!(words.lines().count(), lines.len().saturating_sub(1), "what stands before is replayed");
    }
    assert!(words(b"\xff\n").1.is_some_and(|error| error.starts_with("line 1: ")));
}
