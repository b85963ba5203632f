//! A record in words, and records that are not sound.
//!
//! The words are kept in `record.txt`. With the variable `UPDATE_SNAPSHOTS` set, the test writes them
//! anew; look at what changed.

use std::io::Read;
use std::path::Path as File;
use std::sync::Arc;
use std::{env, fs};

use l2tp_control::auth::Secret;
use l2tp_control::config::{Config, PeerRule, Policy};
use l2tp_control::record::{Recorder, Replay, Secrets, What};
use l2tp_control::wire::{
    Accm, Attribute, AuthenType, CallErrors, CdnResult, Message, OtherAvps, StopResult,
};
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
        authen_response: Some(b"password".to_vec().into()),
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

/// A record of nothing, and these lines.
fn with_lines(lines: &str) -> String {
    let start = side("lns", 2, &Policy::default(), Secrets::Keep).finish().unwrap();
    String::from_utf8(start).unwrap() + lines
}

#[test]
fn other_avps_are_in_the_record() {
    let mut others = OtherAvps::default();
    others.push(Attribute { vendor: 3561, number: 1 }, b"eth 1").unwrap();
    others.push_mandatory(Attribute::ietf(98), b"").unwrap();
    let mut side = side("lac", 1, &Policy::default(), Secrets::Keep);
    let policy = Policy { other_avps: others, ..Policy::default() };
    let now = Instant::from_micros(1);
    side.connect(now, Connect { path: path("192.0.2.2:1701"), policy: Arc::new(policy) }).unwrap();
    side.poll_transmit(now, &mut vec![0; Message::MAX]);
    let record = String::from_utf8(side.finish().unwrap()).unwrap();
    let octets = "000b0de90001657468203180060000 0062".replace(' ', "");
    assert!(record.contains(&format!(r#""other_avps":"{octets}""#)), "{record}");
    let (said, error) = words(record.as_bytes());
    assert_eq!(error, None);
    assert!(said.contains("attribute 1 of vendor 3561: 6574682031\n    attribute 98\n"), "{said}");
    for (wrong, message) in [
        ("000b0de900016574682031800600", "the message ends inside the AVP header"),
        ("80080000000000", "the AVP at byte 12 says that it is 8 bytes long"),
        ("8008000000000001", "Message Type (0) is no AVP of a vendor"),
    ] {
        let (_, error) = words(record.replace(&octets, wrong).as_bytes());
        assert!(error.as_ref().is_some_and(|error| error.contains(message)), "{error:?}");
    }
}

#[test]
fn what_has_no_time_of_its_own_has_that_of_the_next_line() {
    let record = with_lines("{\"do\":\"timeout\",\"at\":5}\n{\"do\":\"set_draining\",\"draining\":true}\n");
    let times = |record: &str| Vec::from_iter(Replay::new(record.as_bytes()).map(|step| step.unwrap().at));
    let at = Instant::from_micros;
    assert_eq!(times(&record), [at(0), at(5), at(5)]);
    let later = record.clone() + "{\"do\":\"timeout\",\"at\":9}\n";
    assert_eq!(times(&later), [at(0), at(5), at(9), at(9)]);
    // They do not wait without end.
    let many = record + &"{\"do\":\"set_draining\",\"draining\":true}\n".repeat(2000);
    let endless = std::io::BufReader::new(many.as_bytes().chain(std::io::repeat(b' ')));
    let steps = Replay::new(endless).map_while(Result::ok).take(500).count();
    assert_eq!(steps, 500);
}

#[test]
fn a_line_without_end_is_refused() {
    let start = with_lines("");
    let endless = std::io::BufReader::new(start.as_bytes().chain(std::io::repeat(b' ')));
    let error = Replay::new(endless).find_map(Result::err).unwrap().to_string();
    assert_eq!(error, "line 2: the line is longer than 16777216 octets: this is no record");
}

#[test]
fn nothing_is_sent_without_end_when_the_clock_has_ended() {
    let record = String::from_utf8(record(Secrets::Keep)).unwrap();
    let last = u64::MAX;
    let poll = format!("{{\"do\":\"poll\",\"at\":{last},\"calls\":{}}}\n", u32::MAX);
    let lines = format!("{poll}{{\"do\":\"timeout\",\"at\":{last}}}\n{poll}");
    for stop in 1..record.lines().count() {
        let begin: String = record.split_inclusive('\n').take(stop).collect();
        let record = begin + &lines;
        let steps = Replay::new(record.as_bytes()).map(Result::unwrap);
        let sent = steps.filter(|step| matches!(step.what, What::Sent { .. })).count();
        assert!(sent < 50, "{sent}, {stop}");
    }
}

#[test]
fn a_strangers_record_does_not_steer_the_terminal() {
    let lines = [
        r#"{"do":"close","at":1,"tunnel":1,"cause":{"result":1,"error":null,"message":"\u001b[2J","ppp":null,"q931":null}}"#,
        r#"{"do":"\u001b[2J"}"#,
    ];
    let (said, error) = words(with_lines(&lines.join("\n")).replace("\"lns\"", r#""\u001b[2J""#).as_bytes());
    let error = error.unwrap();
    assert!(said.contains(r"\u{1b}[2J, recorded") && said.contains(r"; \u{1b}[2J: there is"), "{said}");
    assert!(error.contains(r"unknown variant `\u{1b}[2J`"), "{error}");
    assert!(!said.contains('\u{1b}') && !error.contains('\u{1b}'));
}

#[test]
fn what_cannot_be_read_in_a_message_may_be_secret() {
    // Message Type, then an AVP that is shorter than its header.
    let broken = b"\xc8\x02\x00\x25\x00\x01\x00\x01\x00\x00\x00\x00\x80\x08\x00\x00\x00\x00\x00\x0c\
        \x00\x03\x00\x00\x00\x21hunter2trail";
    let records = [Secrets::Keep, Secrets::LeaveOut].map(|secrets| {
        let mut side = side("lns", 2, &Policy::default(), secrets);
        side.handle_datagram(Instant::from_micros(1), path("192.0.2.1:1701"), &mut broken.to_vec());
        String::from_utf8(side.finish().unwrap()).unwrap()
    });
    let hunter = "68756e74657232";
    assert_eq!(records.each_ref().map(|record| record.contains(hunter)), [true, false]);
    let [kept, left_out] = records.map(|record| words(record.as_bytes()).0);
    assert!(kept.contains("the AVP at byte 20 says that it is 3 bytes long"), "{kept}");
    assert_eq!(kept.lines().skip(1).collect::<Vec<_>>(), left_out.lines().skip(1).collect::<Vec<_>>());
}

#[test]
fn a_damaged_record_ends_in_an_error_at_the_worst() {
    let record = record(Secrets::Keep);
    let (mut whole, mut refused) = (0, 0);
    for n in 0..400usize {
        let mut damaged = record.clone();
        for k in 0..1 + n % 3 {
            let at = (n * 7919 + k * 104_729) % damaged.len();
            let digits = damaged[at..].iter().position(u8::is_ascii_digit).unwrap_or_default();
            damaged[at + digits] = b"0123456789abcdef-\"}"[(n + k) % 19];
        }
        match words(&damaged).1 {
            None => whole += 1,
            Some(error) => {
                assert!(error.starts_with("line "), "{error}");
                refused += 1;
            }
        }
    }
    assert!(whole > 50 && refused > 50, "{whole}, {refused}");
}
