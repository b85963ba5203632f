//! LCP's options (RFC 1661 §6): the rows of the table of `src/lcp.rs`.

mod common;

use common::*;
use ppp::{Config, Event, Method, Phase, Protocol, Reason, Why};

const MRU: u8 = 1;
const ACCM: u8 = 2;
const AUTHENTICATION: u8 = 3;
const QUALITY: u8 = 4;
const MAGIC: u8 = 5;
const PFC: u8 = 7;
const ACFC: u8 = 8;
const CALLBACK: u8 = 13;

/// What a link with this config answers to a first request with this option.
fn answer(config: Config, kind: u8, value: &[u8]) -> (u8, Vec<u8>) {
    let answer = Bench::open(config).0.ask(Protocol::LCP, 1, &[(kind, value)]);
    (answer.code, answer.data)
}

fn assert_acked(kind: u8, value: &[u8]) {
    assert_eq!(answer(Config::default(), kind, value), (CONFIGURE_ACK, opts(&[(kind, value)])));
}

fn assert_rejected(kind: u8, value: &[u8]) {
    assert_eq!(answer(Config::default(), kind, value), (CONFIGURE_REJECT, opts(&[(kind, value)])));
}

/// The link's next Configure-Request after this answer to its first one.
fn next(config: Config, code: u8, options: &[(u8, &[u8])]) -> Sent {
    let (mut bench, request) = Bench::open(config);
    let sent =
        bench.hear(Protocol::LCP, code, request.id, &opts(options)).pop().expect("a Configure-Request");
    assert_eq!(sent.code, CONFIGURE_REQUEST);
    assert_ne!(sent.id, request.id, "a changed request has an Identifier of its own");
    sent
}

#[test]
fn an_mru_is_acked_if_frames_of_any_use_fit() {
    assert_acked(MRU, &128u16.to_be_bytes());
    assert_acked(MRU, &9000u16.to_be_bytes());
    let least = opts(&[(MRU, &128u16.to_be_bytes())]);
    assert_eq!(answer(Config::default(), MRU, &127u16.to_be_bytes()), (CONFIGURE_NAK, least));
}

#[test]
fn the_mru_of_the_peer_is_told() {
    let mut bench = Bench::lcp(Config::default(), &[(MRU, &1400u16.to_be_bytes())]);
    assert!(matches!(bench.told()[0], Event::LcpUp { peer_mru: 1400, .. }));
    assert_eq!(bench.link.peer_mru(), 1400);
}

#[test]
fn the_map_of_control_characters_is_acked_and_means_nothing() {
    assert_acked(ACCM, &[0, 0, 0, 0]);
    assert_acked(ACCM, &[0xff; 4]);
}

#[test]
fn compression_of_the_header_is_acked() {
    assert_acked(PFC, &[]);
    assert_acked(ACFC, &[]);
}

#[test]
fn what_is_not_done_here_is_rejected() {
    assert_rejected(QUALITY, &[0xc0, 0x25, 0, 0, 0, 100]);
    assert_rejected(CALLBACK, &[0]);
    for unknown in [0, 6, 9, 15, 23, 255] {
        assert_rejected(unknown, &[1, 2, 3]);
    }
}

#[test]
fn an_option_of_a_wrong_length_is_rejected() {
    for (kind, value) in [(MRU, &[5][..]), (ACCM, &[0; 3]), (MAGIC, &[1; 5]), (PFC, &[0]), (ACFC, &[1])] {
        assert_rejected(kind, value);
    }
}

#[test]
fn an_option_that_is_there_twice_is_rejected_once() {
    let (mut bench, _) = Bench::open(Config::default());
    let answer = bench.ask(Protocol::LCP, 1, &[(MRU, &[5, 120]), (MAGIC, &[1; 4]), (MRU, &[5, 121])]);
    assert_eq!((answer.code, answer.data), (CONFIGURE_REJECT, opts(&[(MRU, &[5, 121])])));
}

#[test]
fn rejects_come_before_naks() {
    let (mut bench, _) = Bench::open(Config::default());
    let answer = bench.ask(Protocol::LCP, 1, &[(MRU, &[0, 1]), (CALLBACK, &[6])]);
    assert_eq!((answer.code, answer.data), (CONFIGURE_REJECT, opts(&[(CALLBACK, &[6])])));
}

#[test]
fn a_request_that_is_no_list_of_options_is_not_answered() {
    let (mut bench, _) = Bench::open(Config::default());
    for bad in [&[1][..], &[1, 0], &[1, 5, 0, 0], &[7, 2, 7]] {
        assert_eq!(bench.hear(Protocol::LCP, CONFIGURE_REQUEST, 1, bad), []);
    }
    assert_eq!(bench.hear(Protocol::LCP, CONFIGURE_REQUEST, 1, &[2; 1502]), []);
    assert_eq!(bench.link.counters().malformed, 5);
}

#[test]
fn a_magic_number_of_zero_is_naked_with_another() {
    let (code, data) = answer(Config::default(), MAGIC, &[0; 4]);
    assert_eq!(code, CONFIGURE_NAK);
    assert_ne!(data, opts(&[(MAGIC, &[0; 4])]));
    assert_acked(MAGIC, &[0, 0, 0, 1]);
}

#[test]
fn we_ask_for_what_is_configured() {
    let config = Config { magic: false, ..Config::default() };
    assert_eq!(Bench::open(config.clone()).1.data, []);
    let config = Config { mru: 1400, pfc: true, acfc: true, require: vec![Method::Eap], ..config };
    let asked: &[(u8, &[u8])] =
        &[(MRU, &1400u16.to_be_bytes()), (AUTHENTICATION, &[0xc2, 0x27]), (PFC, &[]), (ACFC, &[])];
    assert_eq!(Bench::open(config).1.data, opts(asked));
}

#[test]
fn a_magic_number_is_asked_for_and_not_to_be_guessed() {
    let magic = |seed| {
        let mut link = ppp::Link::new(Config::default().into(), [seed; 32]);
        link.open(ppp::Instant::from_micros(0));
        let mut frame = Vec::new();
        assert!(link.poll_transmit(&mut frame));
        Sent::parse(&frame).option(MAGIC).map(<[u8]>::to_vec)
    };
    assert_ne!(magic(1), None);
    assert_ne!(magic(1), magic(2));
}

#[test]
fn a_naked_mru_is_taken_if_it_is_smaller() {
    let config = Config { mru: 1400, ..Config::default() };
    for (naked, asked) in [(1300u16, Some(1300u16)), (1492, Some(1400)), (100, Some(1400))] {
        let next = next(config.clone(), CONFIGURE_NAK, &[(MRU, &naked.to_be_bytes())]);
        assert_eq!(
            next.option(MRU),
            asked.as_ref().map(|mru| mru.to_be_bytes()).as_ref().map(|mru| &mru[..])
        );
    }
    // A hint that came unasked.
    let next = next(Config::default(), CONFIGURE_NAK, &[(MRU, &1480u16.to_be_bytes())]);
    assert_eq!(next.option(MRU), Some(&1480u16.to_be_bytes()[..]));
}

#[test]
fn a_naked_magic_number_is_replaced_by_another_of_ours() {
    let (mut bench, request) = Bench::open(Config::default());
    let nak = opts(&[(MAGIC, &[1, 1, 1, 1])]);
    let next = bench.hear(Protocol::LCP, CONFIGURE_NAK, request.id, &nak).pop().unwrap();
    let (old, new) = (request.option(MAGIC), next.option(MAGIC));
    assert!(new.is_some() && new != old && new != Some(&[1; 4]), "{old:?} {new:?}");
}

#[test]
fn what_is_rejected_is_not_asked_for_again() {
    let config = Config { mru: 1400, pfc: true, acfc: true, ..Config::default() };
    let (mut bench, request) = Bench::open(config);
    let next = bench.hear(Protocol::LCP, CONFIGURE_REJECT, request.id, &request.data).pop().unwrap();
    assert_eq!((next.code, next.data), (CONFIGURE_REQUEST, vec![]));
}

#[test]
fn a_reject_of_what_we_never_asked_for_is_no_answer() {
    let (mut bench, request) = Bench::open(Config::default());
    assert_eq!(bench.hear(Protocol::LCP, CONFIGURE_REJECT, request.id, &opts(&[(PFC, &[])])), []);
    assert_eq!(bench.hear(Protocol::LCP, CONFIGURE_REJECT, request.id, &[]), []);
    assert_eq!(bench.hear(Protocol::LCP, CONFIGURE_ACK, request.id, &request.data), []);
    assert_eq!(bench.link.counters().malformed, 2);
}

#[test]
fn the_method_that_the_peer_offers_instead_is_taken_if_we_require_it_too() {
    let require = vec![Method::MsChapV2, Method::Eap, Method::Pap];
    let config = Config { require, ..Config::default() };
    let asked = |offered: &[u8]| {
        let next = next(config.clone(), CONFIGURE_NAK, &[(AUTHENTICATION, offered)]);
        next.option(AUTHENTICATION).and_then(Method::from_option)
    };
    assert_eq!(asked(Method::Pap.option()), Some(Method::Pap));
    assert_eq!(asked(Method::ChapMd5.option()), Some(Method::Eap), "which is next on the list");
    assert_eq!(asked(Method::MsChapV2.option()), Some(Method::Eap), "which is what it refuses");
    assert_eq!(asked(&[]), Some(Method::Eap));
}

#[test]
fn of_several_methods_that_the_peer_offers_the_first_is_taken() {
    let config =
        Config { require: vec![Method::MsChapV2, Method::ChapMd5, Method::Pap], ..Config::default() };
    let offered = [(AUTHENTICATION, Method::Pap.option()), (AUTHENTICATION, Method::ChapMd5.option())];
    let next = next(config, CONFIGURE_NAK, &offered);
    assert_eq!(next.option(AUTHENTICATION), Some(Method::Pap.option()));
}

#[test]
fn a_method_that_we_do_not_do_is_naked_with_each_that_we_do() {
    let accept = vec![Method::MsChapV2, Method::Eap];
    let (mut bench, _) = Bench::open(Config { accept, ..client("user", "pass") });
    let mschap_v1: &[(u8, &[u8])] = &[(AUTHENTICATION, &[0xc2, 0x23, 0x80])];
    for (id, offered) in [(1, Method::MsChapV2), (2, Method::Eap), (3, Method::MsChapV2)] {
        let answer = bench.ask(Protocol::LCP, id, mschap_v1);
        assert_eq!((answer.code, answer.data), (CONFIGURE_NAK, opts(&[(AUTHENTICATION, offered.option())])));
    }
    let answer = bench.ask(Protocol::LCP, 4, &[(AUTHENTICATION, Method::Eap.option())]);
    assert_eq!(answer.code, CONFIGURE_ACK);
}

#[test]
fn without_a_password_we_refuse_to_prove_anything() {
    for method in Method::ALL {
        assert_rejected(AUTHENTICATION, method.option());
    }
}

#[test]
fn a_peer_that_refuses_every_method_is_told_so_and_put_out() {
    let config = Config { require: vec![Method::ChapMd5], ..Config::default() };
    let (mut bench, request) = Bench::open(config);
    let farewell = bench.hear(Protocol::LCP, CONFIGURE_REJECT, request.id, &request.data);
    assert_eq!((farewell[0].code, &*farewell[0].data), (TERMINATE_REQUEST, &b"authentication required"[..]));
    assert_eq!(bench.link.phase(), Phase::Terminate);
    bench.hear(Protocol::LCP, TERMINATE_ACK, farewell[0].id, &[]);
    let reason = Reason::Negotiation { protocol: Protocol::LCP, why: Why::NoMethod };
    assert_eq!(bench.told(), [Event::Down(reason)]);
}
