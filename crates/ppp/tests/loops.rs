//! A link that hears itself ends (RFC 1661 §6.4).

mod common;

use common::*;
use ppp::{Config, Event, Protocol, Reason};

const MAGIC: u8 = 5;

#[test]
fn a_line_that_gives_back_what_it_gets_is_noticed() {
    let (mut bench, request) = Bench::open(Config::default());
    let mut flying = vec![request];
    let mut frames = 0;
    while let Some(sent) = flying.pop() {
        flying.splice(0..0, bench.hear_frame(&sent.frame()));
        frames += 1;
        assert!(frames < 100, "forever");
    }
    bench.pass(seconds(10));
    assert_eq!(bench.told(), [Event::Down(Reason::Loop)]);
}

#[test]
fn the_same_magic_number_once_is_an_accident() {
    let (mut bench, request) = Bench::open(Config::default());
    let ours = request.option(MAGIC).unwrap().to_vec();
    let answer = bench.ask(Protocol::LCP, 1, &[(MAGIC, &ours)]);
    assert_eq!(answer.code, CONFIGURE_NAK);
    assert_ne!(answer.option(MAGIC), Some(&ours[..]));
    bench.agree(&request, &[(MAGIC, &[1, 2, 3, 4])]);
    assert!(matches!(bench.told()[0], Event::LcpUp { .. }));
}

#[test]
fn echo_requests_of_our_own_are_not_answered_and_end_the_link() {
    let (mut bench, request) = Bench::open(Config::default());
    let ours = request.option(MAGIC).unwrap().to_vec();
    bench.agree(&request, &[]);
    bench.told();
    for _ in 0..4 {
        assert_eq!(bench.hear(Protocol::LCP, ECHO_REQUEST, 1, &ours), []);
    }
    let farewell = bench.hear(Protocol::LCP, ECHO_REQUEST, 1, &ours);
    assert_eq!(farewell[0].code, TERMINATE_REQUEST);
    bench.pass(seconds(6));
    assert_eq!(bench.told(), [Event::Down(Reason::Loop)]);
}
