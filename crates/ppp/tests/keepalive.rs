//! A silent peer is noticed, and a talking one is not bothered.

mod common;

use std::time::Duration;

use common::*;
use ppp::config::Echo;
use ppp::{Config, Event, Phase, Protocol, Reason, Timer};

const MAGIC: u8 = 5;

/// Open LCP, an Echo-Request after each 10 s of silence, three of which may remain unanswered.
fn bench() -> Bench {
    let echo = Some(Echo { interval: seconds(10), failures: 3 });
    let mut bench = Bench::lcp(Config { echo, ..Config::default() }, &[(MAGIC, &[9; 4])]);
    bench.told();
    bench
}

#[test]
fn silence_is_asked_three_times_and_then_believed() {
    let mut bench = bench();
    assert_eq!(bench.pass(seconds(9)), []);
    let asked = bench.pass(seconds(30));
    assert_eq!(asked.iter().map(|sent| sent.code).collect::<Vec<_>>(), [ECHO_REQUEST; 3]);
    assert!(asked[0].id != asked[1].id && asked[1].id != asked[2].id);
    assert_eq!(bench.told(), []);
    assert_eq!(bench.pass(seconds(1)), []);
    assert_eq!(bench.told(), [Event::Down(Reason::Silence)]);
    assert_eq!((bench.link.phase(), bench.link.poll_timeout()), (Phase::Dead, None));
}

#[test]
fn a_reply_is_life() {
    let mut bench = bench();
    for _ in 0..20 {
        let asked = bench.pass(seconds(10));
        assert_eq!(asked.len(), 1);
        assert_eq!(bench.hear(Protocol::LCP, ECHO_REPLY, asked[0].id, &[9; 4]), []);
    }
    assert_eq!(bench.told(), []);
}

#[test]
fn a_reply_to_the_last_question_tells_the_round_trip() {
    let mut bench = bench();
    assert_eq!(bench.link.round_trip(), None);
    for milliseconds in [250, 30] {
        let asked = bench.pass(seconds(10));
        let (time, before) = (Duration::from_millis(milliseconds), bench.link.round_trip());
        bench.pass(time);
        bench.hear(Protocol::LCP, ECHO_REPLY, asked[0].id.wrapping_add(1), &[9; 4]);
        assert_eq!(bench.link.round_trip(), before, "an answer to something else");
        bench.hear(Protocol::LCP, ECHO_REPLY, asked[0].id, &[9; 4]);
        assert_eq!(bench.link.round_trip(), Some(time));
        bench.hear(Protocol::LCP, ECHO_REPLY, asked[0].id, &[9; 4]);
        assert_eq!(bench.link.round_trip(), Some(time), "one answer counts");
    }
}

#[test]
fn data_is_life_and_saves_the_question() {
    let mut bench = bench();
    for _ in 0..100 {
        assert_eq!(bench.pass(seconds(9)), []);
        bench.link.data_received(bench.now);
    }
    assert_eq!(bench.link.poll_timeout(), Some((bench.now + seconds(10), Timer::Echo)));
    assert_eq!(bench.pass(seconds(10)).len(), 1);
}

#[test]
fn data_between_two_questions_starts_the_count_anew() {
    let mut bench = bench();
    assert_eq!(bench.pass(seconds(35)).len(), 3);
    bench.link.data_received(bench.now);
    assert_eq!(bench.pass(seconds(39)).len(), 3);
    assert_eq!(bench.told(), []);
}

#[test]
fn whatever_frame_comes_it_is_life() {
    let mut bench = bench();
    assert_eq!(bench.pass(seconds(9)), []);
    bench.hear_frame(&[0x80, 0xfd, 1, 1, 0, 4]);
    assert_eq!(bench.pass(seconds(9)), []);
}

#[test]
fn an_echo_request_is_answered_with_our_magic_number_and_its_data() {
    let (mut bench, request) = Bench::open(Config::default());
    let ours = request.option(MAGIC).unwrap().to_vec();
    bench.agree(&request, &[(MAGIC, &[9; 4])]);
    let reply = bench.hear(Protocol::LCP, ECHO_REQUEST, 33, b"\x09\x09\x09\x09hello");
    assert_eq!((reply[0].code, reply[0].id), (ECHO_REPLY, 33));
    assert_eq!(reply[0].data, [&ours[..], b"hello"].concat());
}

#[test]
fn a_reply_fits_the_mru_of_the_peer() {
    let mut bench = Bench::lcp(Config::default(), &[(1, &128u16.to_be_bytes())]);
    let reply = bench.hear(Protocol::LCP, ECHO_REQUEST, 1, &[9; 1000]);
    assert_eq!(reply[0].frame().len(), 2 + 128);
}

#[test]
fn without_a_magic_number_echoes_have_zero() {
    let config = Config { magic: false, ..Config::default() };
    let mut bench = Bench::lcp(config, &[]);
    assert_eq!(bench.hear(Protocol::LCP, ECHO_REQUEST, 1, &[0; 4])[0].data, [0; 4]);
    assert_eq!(bench.pass(seconds(30))[0].data, [0; 4]);
}

#[test]
fn before_lcp_is_open_nothing_is_answered() {
    let (mut bench, _) = Bench::open(Config::default());
    assert_eq!(bench.hear(Protocol::LCP, ECHO_REQUEST, 1, &[9; 4]), []);
    assert_eq!(bench.hear(Protocol::LCP, DISCARD_REQUEST, 1, &[9; 4]), []);
    assert_eq!(bench.link.counters().discarded, 2);
}

#[test]
fn without_an_echo_no_silence_is_too_long() {
    for echo in [None, Some(Echo { interval: seconds(0), failures: 3 })] {
        let mut bench = Bench::lcp(Config { echo, ..Config::default() }, &[]);
        assert_eq!(bench.link.poll_timeout(), None);
        assert_eq!(bench.pass(seconds(100_000)), []);
        assert_eq!(bench.link.phase(), Phase::Network);
    }
}

#[test]
fn what_is_to_be_discarded_is_discarded() {
    let mut bench = bench();
    assert_eq!(bench.hear(Protocol::LCP, DISCARD_REQUEST, 1, b"\x09\x09\x09\x09nothing"), []);
    assert_eq!(bench.link.counters().discarded, 0);
}
