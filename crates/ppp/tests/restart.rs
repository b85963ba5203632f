//! The restart timer, the counters (RFC 1661 §4.6), and which answer belongs to which request.

mod common;

use common::*;
use ppp::config::{Ipv4, Timing};
use ppp::{Config, Event, Phase, Protocol, Reason, Timer, Why};

const LCP: Protocol = Protocol::LCP;
const MRU: u8 = 1;
const MAGIC: u8 = 5;

fn no_answer(protocol: Protocol) -> Event {
    Event::Down(Reason::Negotiation { protocol, why: Why::NoAnswer })
}

#[test]
fn a_request_is_repeated_every_three_seconds_ten_times_in_all() {
    let (mut bench, first) = Bench::open(Config::default());
    assert_eq!(bench.link.poll_timeout(), Some((bench.now + seconds(3), Timer::Lcp)));
    let again = bench.pass(seconds(29));
    assert_eq!(again, vec![first; 9], "the same, Identifier and all");
    assert_eq!(bench.told(), []);
    assert_eq!(bench.pass(seconds(1)), []);
    assert_eq!(bench.told(), [no_answer(LCP)]);
}

#[test]
fn timer_and_counters_are_configured() {
    let timing = Timing { restart: seconds(1), max_configure: 3, max_terminate: 1, max_failure: 1 };
    let (mut bench, _) = Bench::open(Config { timing, ..Config::default() });
    assert_eq!(bench.ask(LCP, 1, &[(MRU, &[0, 1])]).code, CONFIGURE_NAK);
    assert_eq!(bench.ask(LCP, 2, &[(MRU, &[0, 1])]).code, CONFIGURE_REJECT);
    assert_eq!(bench.pass(seconds(3)).len(), 2);
    assert_eq!(bench.told(), [no_answer(LCP)]);
    let mut bench = Bench::lcp(Config { timing, ..Config::default() }, &[]);
    bench.link.close(bench.now, "");
    bench.told();
    assert_eq!(bench.pass(seconds(1)).len(), 1);
    assert_eq!(bench.told(), [Event::Down(Reason::Closed)]);
}

#[test]
fn an_answer_starts_the_counter_anew() {
    let (mut bench, request) = Bench::open(Config::default());
    bench.pass(seconds(25));
    let nak = opts(&[(MAGIC, &[1; 4])]);
    assert_eq!(bench.hear(LCP, CONFIGURE_NAK, request.id, &nak).len(), 1);
    assert_eq!(bench.pass(seconds(29)).len(), 9);
    assert_eq!(bench.told(), []);
}

#[test]
fn an_answer_to_another_request_is_none() {
    let (mut bench, request) = Bench::open(Config::default());
    for code in [CONFIGURE_ACK, CONFIGURE_NAK, CONFIGURE_REJECT] {
        assert_eq!(bench.hear(LCP, code, request.id.wrapping_add(1), &request.data), []);
    }
    assert_eq!(bench.link.counters().discarded, 3);
}

#[test]
fn an_ack_of_other_options_is_none() {
    let (mut bench, request) = Bench::open(Config::default());
    let mut other = request.data.clone();
    *other.last_mut().unwrap() ^= 1;
    for data in [&other[..], &[], &[&request.data[..], &[7, 2]].concat()] {
        bench.hear(LCP, CONFIGURE_ACK, request.id, data);
    }
    assert_eq!(bench.link.counters().malformed, 3);
    assert_eq!(bench.pass(seconds(3)).len(), 1, "it still waits");
    bench.agree(&request, &[]);
    assert!(matches!(bench.told()[0], Event::LcpUp { .. }));
}

#[test]
fn an_answer_that_comes_twice_counts_once() {
    let (mut bench, request) = Bench::open(Config::default());
    bench.hear(LCP, CONFIGURE_ACK, request.id, &request.data);
    assert_eq!(bench.hear(LCP, CONFIGURE_ACK, request.id, &request.data), [], "in Ack-Rcvd");
    bench.hear(LCP, CONFIGURE_REQUEST, 1, &[]);
    bench.told();
    assert_eq!(bench.hear(LCP, CONFIGURE_ACK, request.id, &request.data), [], "in Opened");
    assert_eq!(bench.hear(LCP, CONFIGURE_NAK, request.id, &opts(&[(MRU, &[5, 0])])), []);
    assert_eq!(bench.told(), []);
}

#[test]
fn after_an_ack_a_new_request_has_a_new_identifier() {
    let (mut bench, request) = Bench::open(Config::default());
    bench.hear(LCP, CONFIGURE_ACK, request.id, &request.data);
    let next = bench.pass(seconds(3)).pop().unwrap();
    assert_eq!((next.code, &next.data), (CONFIGURE_REQUEST, &request.data));
    assert_ne!(next.id, request.id);
}

#[test]
fn a_request_that_we_have_just_acked_is_acked_again_and_changes_nothing() {
    let mut bench = Bench::lcp(Config::default(), &[(MRU, &[5, 0])]);
    bench.told();
    let again = bench.hear(LCP, CONFIGURE_REQUEST, 1, &opts(&[(MRU, &[5, 0])]));
    assert_eq!(again.iter().map(|sent| (sent.code, sent.id)).collect::<Vec<_>>(), [(CONFIGURE_ACK, 1)]);
    assert_eq!((bench.told(), bench.link.phase()), (vec![], Phase::Network));
}

#[test]
fn another_request_or_a_late_one_negotiates_anew() {
    for (id, mru, after) in [(2, 0, 0), (1, 1, 0), (1, 0, 13)] {
        let mut bench = Bench::lcp(Config::default(), &[(MRU, &[5, 0])]);
        bench.pass(seconds(after));
        let sent = bench.hear(LCP, CONFIGURE_REQUEST, id, &opts(&[(MRU, &[5, mru])]));
        let codes: Vec<_> = sent.iter().map(|sent| sent.code).collect();
        assert_eq!(codes, [CONFIGURE_REQUEST, CONFIGURE_ACK]);
        assert_eq!(bench.link.phase(), Phase::Establish);
    }
}

#[test]
fn two_that_never_agree_part() {
    let (mut bench, _) = Bench::open(Config::default());
    let callback: &[(u8, &[u8])] = &[(13, &[6])];
    for id in 0..20 {
        assert_eq!(bench.ask(LCP, id, callback).code, CONFIGURE_REJECT);
    }
    let farewell = bench.hear(LCP, CONFIGURE_REQUEST, 20, &opts(callback)).pop().unwrap();
    assert_eq!((farewell.code, &*farewell.data), (TERMINATE_REQUEST, &b"no agreement"[..]));
    bench.pass(seconds(6));
    let reason = Reason::Negotiation { protocol: LCP, why: Why::NotConverging };
    assert_eq!(bench.told(), [Event::Down(reason)]);
}

#[test]
fn a_network_protocol_that_is_not_answered_is_given_up_and_the_link_with_the_last() {
    let (mut bench, _) = Bench::ipcp(Ipv4::default());
    assert_eq!(bench.pass(seconds(29)).len(), 9);
    let farewell = bench.pass(seconds(1)).pop().unwrap();
    assert_eq!((farewell.protocol, farewell.code), (LCP, TERMINATE_REQUEST));
    assert_eq!(bench.told(), [Event::Ipv4Refused(Why::NoAnswer)]);
    bench.pass(seconds(6));
    assert_eq!(bench.told(), [no_answer(Protocol::IPCP)]);
}

#[test]
fn a_peer_that_may_be_open_is_told_that_we_give_up() {
    let (mut bench, _) = Bench::ipcp(Ipv4::default());
    assert_eq!(bench.ask(Protocol::IPCP, 1, &[(3, &[10, 0, 0, 1])]).code, CONFIGURE_ACK);
    bench.pass(seconds(29));
    let farewell = bench.pass(seconds(1)).swap_remove(0);
    assert_eq!((farewell.protocol, farewell.code), (Protocol::IPCP, TERMINATE_REQUEST));
    bench.hear(Protocol::IPCP, TERMINATE_ACK, farewell.id, &[]);
    assert_eq!(bench.told(), [Event::Ipv4Refused(Why::NoAnswer)]);
}

#[test]
fn a_passive_link_waits_for_the_first_word() {
    let mut bench = Bench::new(Config { passive: true, ..Config::default() });
    bench.link.open(bench.now);
    assert_eq!(bench.sent(), []);
    assert_eq!(bench.pass(seconds(20)), []);
    let sent = bench.hear(LCP, CONFIGURE_REQUEST, 1, &[]);
    let codes: Vec<_> = sent.iter().map(|sent| sent.code).collect();
    assert_eq!(codes, [CONFIGURE_REQUEST, CONFIGURE_ACK]);
    bench.hear(LCP, CONFIGURE_ACK, sent[0].id, &sent[0].data);
    assert!(matches!(bench.told()[0], Event::LcpUp { .. }));
}

#[test]
fn a_passive_link_does_not_wait_forever() {
    let mut bench = Bench::new(Config { passive: true, ..Config::default() });
    bench.link.open(bench.now);
    bench.pass(seconds(29));
    assert_eq!(bench.told(), []);
    bench.pass(seconds(1));
    assert_eq!(bench.told(), [no_answer(LCP)]);
    assert_eq!(bench.link.poll_timeout(), None);
}

#[test]
fn a_passive_link_that_is_closed_is_down_at_once() {
    let mut bench = Bench::new(Config { passive: true, ..Config::default() });
    bench.link.open(bench.now);
    bench.link.close(bench.now, "");
    assert_eq!(bench.sent(), []);
    assert_eq!(bench.told(), [Event::Down(Reason::Closed)]);
}

#[test]
fn a_passive_link_waits_no_longer_for_words_that_are_no_request() {
    for code in [CONFIGURE_ACK, TERMINATE_ACK, 77] {
        let mut bench = Bench::new(Config { passive: true, ..Config::default() });
        bench.link.open(bench.now);
        bench.pass(seconds(29));
        bench.hear(LCP, code, 1, &[]);
        bench.pass(seconds(1));
        assert_eq!(bench.told(), [no_answer(LCP)], "code {code}");
    }
}

/// A peer that acks all our requests and sends none of its own: how long that goes on.
fn only_acked(bench: &mut Bench, mut request: Option<Sent>) -> std::time::Duration {
    let begun = bench.now;
    while let Some(asked) = request.filter(|_| bench.now - begun < seconds(300)) {
        bench.hear(asked.protocol, CONFIGURE_ACK, asked.id, &asked.data);
        let mut next = bench.pass(seconds(3)).into_iter();
        request = next.rfind(|sent| sent.protocol == asked.protocol && sent.code == CONFIGURE_REQUEST);
    }
    bench.now - begun
}

#[test]
fn a_peer_that_acks_and_never_asks_is_given_up() {
    let (mut bench, request) = Bench::open(Config::default());
    assert_eq!(only_acked(&mut bench, Some(request)), seconds(60));
    bench.pass(seconds(6));
    let why = Why::NotConverging;
    assert_eq!(bench.told(), [Event::Down(Reason::Negotiation { protocol: LCP, why })]);

    let (mut bench, request) = Bench::ipcp(Ipv4::default());
    assert_eq!(only_acked(&mut bench, Some(request)), seconds(60));
    bench.pass(seconds(6));
    assert_eq!(bench.told(), [Event::Ipv4Refused(Why::NotConverging)]);
}

#[test]
fn two_that_never_agree_come_to_an_end_however_patient_they_are() {
    let timing = Timing { max_failure: 255, ..Timing::default() };
    let (mut bench, _) = Bench::open(Config { timing, ..Config::default() });
    let refused = |count: &u32| {
        let answers = bench.hear(LCP, CONFIGURE_REQUEST, *count as u8, &opts(&[(77, &[])]));
        answers.iter().all(|answer| answer.code == CONFIGURE_REJECT)
    };
    assert_eq!((0..2000).take_while(refused).count(), 4 * 255);
}

#[test]
fn a_peer_that_wants_this_and_then_that_is_given_up() {
    let (mut bench, mut request) = Bench::open(Config { mru: 1400, ..Config::default() });
    let begun = bench.now;
    for (code, mru) in [(CONFIGURE_REJECT, 1400u16), (CONFIGURE_NAK, 1300)].into_iter().cycle() {
        let mru = mru.to_be_bytes();
        let wanted = if code == CONFIGURE_NAK {
            opts(&[(MRU, &mru)])
        } else {
            opts(&[(MRU, request.option(MRU).unwrap_or(&mru))])
        };
        let sent = bench.hear(LCP, code, request.id, &wanted);
        let more = bench.pass(seconds(2));
        let Some(next) = sent.into_iter().chain(more).rfind(|sent| sent.code == CONFIGURE_REQUEST) else {
            break;
        };
        assert!(bench.now - begun < seconds(300), "it goes on");
        request = next;
    }
    assert!((seconds(58)..seconds(70)).contains(&(bench.now - begun)), "{:?}", bench.now - begun);
}
