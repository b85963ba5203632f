//! Which packet counts in which phase: the table of `src/link.rs`.

mod common;

use common::*;
use ppp::config::{Ipv4, Ipv6, Network};
use ppp::packet::Packet;
use ppp::{Config, Event, Instant, Link, Method, Phase, Protocol, Reason, Verdict};

const OTHERS: [Protocol; 6] =
    [Protocol::PAP, Protocol::CHAP, Protocol::EAP, Protocol::IPCP, Protocol::IPV6CP, Protocol::CCP];
const PASSING: [Protocol; 2] = [Protocol::IPV4, Protocol::IPV6];

fn request(protocol: Protocol) -> Vec<u8> {
    Packet { code: CONFIGURE_REQUEST, id: 1, data: &[] }.frame(protocol)
}

/// Nothing is answered to these protocols, and all are counted as discarded.
fn assert_discards(bench: &mut Bench, protocols: &[Protocol]) {
    for protocol in protocols {
        let before = bench.link.counters().discarded;
        assert_eq!(bench.hear_frame(&request(*protocol)), [], "{protocol}");
        assert_eq!(bench.link.counters().discarded, before + 1, "{protocol}");
    }
}

#[test]
fn dead_before_it_is_opened() {
    let mut bench = Bench::new(Config::default());
    assert_discards(&mut bench, &OTHERS);
    assert_discards(&mut bench, &[Protocol::LCP]);
    assert_eq!((bench.link.phase(), bench.link.poll_timeout()), (Phase::Dead, None));
}

#[test]
fn establish() {
    let (mut bench, _) = Bench::open(Config::default());
    assert_discards(&mut bench, &OTHERS);
    assert_eq!(bench.link.phase(), Phase::Establish);
}

#[test]
fn authenticate() {
    let mut bench = Bench::lcp(Config { require: vec![Method::ChapMd5], ..Config::default() }, &[]);
    assert_discards(
        &mut bench,
        &[Protocol::PAP, Protocol::EAP, Protocol::IPCP, Protocol::IPV6CP, Protocol::CCP],
    );
    assert_eq!(bench.link.phase(), Phase::Authenticate);
    assert_eq!(bench.hear(Protocol::LCP, ECHO_REQUEST, 1, &[0; 4])[0].code, ECHO_REPLY);
}

#[test]
fn network_before_it_is_known_what_to_negotiate() {
    let mut bench = Bench::lcp(Config::default(), &[]);
    assert_eq!(bench.link.phase(), Phase::Network);
    assert_discards(&mut bench, &OTHERS);
}

#[test]
fn network() {
    let both = Network { ipv4: Some(Ipv4::default()), ipv6: Some(Ipv6::default()) };
    let (mut bench, _) = Bench::network(both);
    assert_discards(&mut bench, &[Protocol::PAP, Protocol::CHAP, Protocol::EAP]);
    assert_eq!(bench.hear_frame(&request(Protocol::IPCP))[0].code, CONFIGURE_ACK);
    assert_eq!(bench.hear_frame(&request(Protocol::CCP))[0].code, PROTOCOL_REJECT);
}

#[test]
fn terminate() {
    let (mut bench, _) = Bench::ipcp(Ipv4::default());
    bench.link.close(bench.now, "enough");
    bench.sent();
    assert_discards(&mut bench, &OTHERS);
    assert_eq!(bench.hear_frame(&request(Protocol::LCP)), []);
    assert_eq!(bench.link.phase(), Phase::Terminate);
    assert_eq!(bench.hear(Protocol::LCP, TERMINATE_REQUEST, 9, &[])[0].code, TERMINATE_ACK);
}

#[test]
fn dead_once_it_is_down() {
    let (mut bench, _) = Bench::ipcp(Ipv4::default());
    bench.link.lower_down();
    bench.sent();
    assert_eq!(bench.told(), [Event::Down(Reason::LowerDown)]);
    assert_discards(&mut bench, &OTHERS);
    bench.link.open(bench.now);
    bench.link.open_with_proxy(bench.now, &Default::default());
    bench.link.close(bench.now, "");
    bench.link.lower_down();
    bench.link.network(bench.now, Network::default());
    bench.link.authenticated(bench.now, Verdict::accept());
    bench.link.handle_timeout(bench.now);
    assert_eq!((bench.sent(), bench.told(), bench.link.poll_timeout()), (vec![], vec![], None));
}

#[test]
fn network_packets_are_counted_and_never_rejected() {
    let (mut bench, _) = Bench::ipcp(Ipv4::default());
    assert_eq!(bench.hear_frame(&[0, 0x21, 0x45, 0, 0, 20]), []);
    assert_eq!(bench.hear_frame(&[0, 0x57, 0x60, 0, 0, 0]), []);
    assert_eq!(bench.link.counters().network, 2);
    for protocol in PASSING {
        // Not of the version that its protocol says.
        assert_eq!(bench.hear_frame(&[&protocol.0.to_be_bytes()[..], &[0x10]].concat()), []);
    }
    assert_eq!(bench.hear_frame(&[]), []);
    assert_eq!(bench.hear_frame(&[0xc0]), []);
    assert_eq!(bench.hear_frame(&[0xc0, 0x21, 1, 1]), []);
    assert_eq!(bench.link.counters().malformed, 5);
}

#[test]
fn a_link_that_was_never_opened_can_be_closed() {
    for close in
        [|link: &mut Link| link.lower_down(), |link: &mut Link| link.close(Instant::from_micros(1), "")]
    {
        let mut bench = Bench::new(Config::default());
        close(&mut bench.link);
        assert_eq!(bench.sent(), []);
        assert!(matches!(bench.told()[..], [Event::Down(Reason::LowerDown | Reason::Closed)]));
    }
}

#[test]
fn nothing_to_negotiate_ends_the_link() {
    let (mut bench, sent) = Bench::network(Network::default());
    assert_eq!(sent[0].code, TERMINATE_REQUEST);
    bench.pass(seconds(6));
    assert!(matches!(bench.told()[..], [Event::Down(Reason::Negotiation { .. })]));
}

#[test]
fn the_reason_is_what_began_the_end() {
    let (mut bench, _) = Bench::ipcp(Ipv4::default());
    bench.link.close(bench.now, "enough");
    bench.sent();
    bench.link.lower_down();
    bench.sent();
    assert_eq!(bench.told(), [Event::Down(Reason::Closed)]);
}

#[test]
fn a_peer_that_terminates_while_lcp_is_negotiated_is_believed() {
    let (mut bench, _) = Bench::open(Config::default());
    let sent = bench.hear(Protocol::LCP, TERMINATE_REQUEST, 4, b"No network protocols running");
    assert_eq!((sent.len(), sent[0].code, sent[0].id), (1, TERMINATE_ACK, 4));
    let message = b"No network protocols running"[..].into();
    assert_eq!(bench.told(), [Event::Down(Reason::PeerTerminated { message })]);
}

#[test]
fn who_does_not_fetch_frames_loses_them_and_no_memory() {
    let mut bench = Bench::lcp(Config::default(), &[]);
    for id in 0..200 {
        let echo = Packet { code: ECHO_REQUEST, id, data: &[0; 100] };
        bench.link.handle_frame(bench.now, &echo.frame(Protocol::LCP));
    }
    assert_eq!((bench.sent().len(), bench.link.counters().overrun), (64, 136));
}

#[test]
fn authentication_has_its_time_once_however_often_the_link_is_negotiated_anew() {
    let mut bench = Bench::lcp(Config { require: vec![Method::ChapMd5], ..Config::default() }, &[]);
    let begun = bench.now;
    while bench.link.phase() != Phase::Dead && bench.now - begun < seconds(200) {
        bench.pass(seconds(5));
        // Whoever asks for the link anew has it, without a word on who he is.
        let sent = bench.hear(Protocol::LCP, CONFIGURE_REQUEST, 9, &[]);
        if let Some(request) = sent.iter().find(|sent| sent.code == CONFIGURE_REQUEST) {
            bench.hear(Protocol::LCP, CONFIGURE_ACK, request.id, &request.data);
        }
    }
    let down = bench.told().pop();
    let Some(Event::Down(Reason::AuthenticationFailed { message, .. })) = down else { panic!("{down:?}") };
    assert_eq!(&*message, "the link was negotiated anew until its time was up");
    // Its time, and that of its Terminate-Requests.
    assert!((seconds(60)..seconds(75)).contains(&(bench.now - begun)), "{:?}", bench.now - begun);
}
