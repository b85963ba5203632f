//! Code-Reject and Protocol-Reject (RFC 1661 §5.6, §5.7), both ways.

mod common;

use common::*;
use ppp::config::{Ipv4, Ipv6, Network};
use ppp::packet::Packet;
use ppp::{Config, Event, Method, Phase, Protocol, Reason, Why};

const LCP: Protocol = Protocol::LCP;

#[test]
fn an_unknown_code_is_rejected_in_every_state() {
    let (bench, _) = Bench::open(Config::default());
    for mut bench in [bench, Bench::lcp(Config::default(), &[])] {
        for code in [0, 14, 255] {
            let packet = Packet { code, id: 3, data: b"what?" };
            let reject = bench.hear(LCP, code, 3, b"what?").pop().unwrap();
            assert_eq!((reject.code, reject.data), (CODE_REJECT, packet.bytes()));
        }
        assert_eq!(bench.link.counters().rejected, 3);
    }
}

#[test]
fn network_protocols_have_fewer_codes() {
    let (mut bench, _) = Bench::ipcp(Ipv4::default());
    for code in [PROTOCOL_REJECT, ECHO_REQUEST, IDENTIFICATION] {
        let reject = bench.hear(Protocol::IPCP, code, 3, &[0; 4]).pop().unwrap();
        assert_eq!((reject.protocol, reject.code), (Protocol::IPCP, CODE_REJECT));
    }
}

#[test]
fn a_rejected_packet_is_cut_to_fit() {
    let mut bench = Bench::lcp(Config::default(), &[]);
    assert_eq!(bench.hear(LCP, 77, 3, &[1; 3000]).pop().unwrap().frame().len(), 2 + 1500);
    let mut bench = Bench::lcp(Config::default(), &[(1, &600u16.to_be_bytes())]);
    bench.link.network(bench.now, Network { ipv4: Some(Ipv4::default()), ipv6: None });
    bench.sent();
    let rejected = bench.hear(Protocol::CCP, 1, 3, &[1; 3000]).pop().unwrap();
    assert_eq!((rejected.code, rejected.frame().len()), (PROTOCOL_REJECT, 2 + 600));
}

#[test]
fn a_peer_that_does_not_know_echoes_is_alive() {
    let mut bench = Bench::lcp(Config::default(), &[]);
    bench.told();
    for _ in 0..10 {
        let asked = bench.pass(seconds(30)).pop().unwrap();
        let packet = Packet { code: asked.code, id: asked.id, data: &asked.data };
        assert_eq!(bench.hear(LCP, CODE_REJECT, 1, &packet.bytes()), []);
    }
    assert_eq!(bench.told(), []);
}

#[test]
fn a_peer_that_does_not_know_configure_requests_does_not_do_ppp() {
    let (mut bench, request) = Bench::open(Config::default());
    let packet = Packet { code: request.code, id: request.id, data: &request.data };
    bench.hear(LCP, CODE_REJECT, 1, &packet.bytes());
    let reason = Reason::Negotiation { protocol: LCP, why: Why::Rejected };
    assert_eq!(bench.told(), [Event::Down(reason)]);
}

#[test]
fn an_open_link_whose_lcp_is_rejected_is_terminated() {
    for code in [PROTOCOL_REJECT, CODE_REJECT] {
        let mut bench = Bench::lcp(Config::default(), &[]);
        bench.told();
        let data: &[u8] = if code == CODE_REJECT { &[1, 1, 0, 4] } else { &[0xc0, 0x21, 1, 1, 0, 4] };
        let farewell = bench.hear(LCP, code, 1, data);
        assert_eq!(farewell[0].code, TERMINATE_REQUEST);
        assert_eq!(bench.link.phase(), Phase::Terminate);
        bench.pass(seconds(6));
        let reason = Reason::Negotiation { protocol: LCP, why: Why::Rejected };
        assert_eq!(bench.told(), [Event::Down(reason)]);
    }
}

#[test]
fn a_peer_that_rejects_every_network_protocol_is_put_out() {
    let both = Network { ipv4: Some(Ipv4::default()), ipv6: Some(Ipv6::default()) };
    let (mut bench, requests) = Bench::network(both);
    assert_eq!(bench.hear(LCP, PROTOCOL_REJECT, 1, &requests[0].frame()), []);
    let farewell = bench.hear(LCP, PROTOCOL_REJECT, 2, &requests[1].frame());
    assert_eq!((farewell[0].code, &*farewell[0].data), (TERMINATE_REQUEST, &b"no network protocol"[..]));
    assert_eq!(bench.told(), [Event::Ipv4Refused(Why::Rejected), Event::Ipv6Refused(Why::Rejected)]);
}

#[test]
fn an_open_network_protocol_that_is_rejected_goes_down() {
    let both = Network { ipv4: Some(Ipv4::default()), ipv6: Some(Ipv6::default()) };
    let (mut bench, requests) = Bench::network(both);
    bench.agree(&requests[1], &[(1, &[0, 0, 0, 0, 0, 0, 0, 2])]);
    bench.told();
    bench.hear(LCP, PROTOCOL_REJECT, 2, &requests[1].frame());
    assert_eq!(bench.told(), [Event::Ipv6Down]);
    bench.pass(seconds(6));
    assert_eq!(bench.told(), [Event::Ipv6Refused(Why::Rejected)]);
}

#[test]
fn a_method_that_was_agreed_on_and_is_rejected_ends_the_link() {
    let mut bench = Bench::lcp(Config { require: vec![Method::ChapMd5], ..Config::default() }, &[]);
    bench.told();
    let farewell = bench.hear(LCP, PROTOCOL_REJECT, 1, &[0xc2, 0x23, 1, 1, 0, 4]);
    assert_eq!(farewell[0].code, TERMINATE_REQUEST);
    bench.pass(seconds(6));
    let reason = Reason::Negotiation { protocol: Protocol::CHAP, why: Why::Rejected };
    assert_eq!(bench.told(), [Event::Down(reason)]);
}

#[test]
fn a_reject_of_what_we_do_not_send_means_nothing() {
    let (mut bench, _) = Bench::ipcp(Ipv4::default());
    for protocol in [Protocol::CCP, Protocol::IPV6CP, Protocol::PAP, Protocol(0x1234)] {
        let data = [&protocol.0.to_be_bytes()[..], &[1, 1, 0, 4]].concat();
        assert_eq!(bench.hear(LCP, PROTOCOL_REJECT, 1, &data), []);
    }
    assert_eq!((bench.told(), bench.link.phase()), (vec![], Phase::Network));
}

#[test]
fn before_lcp_is_open_no_protocol_is_rejected() {
    let (mut bench, _) = Bench::open(Config::default());
    assert_eq!(bench.hear(LCP, PROTOCOL_REJECT, 1, &[0xc0, 0x21, 1, 1, 0, 4]), []);
    assert_eq!(bench.hear(Protocol::CCP, CONFIGURE_REQUEST, 1, &[]), []);
    assert_eq!(bench.link.counters().discarded, 2);
}

#[test]
fn a_network_protocol_that_we_do_not_want_is_rejected() {
    let (mut bench, _) = Bench::ipcp(Ipv4::default());
    let reject = bench.hear(Protocol::IPV6CP, CONFIGURE_REQUEST, 1, &[]).pop().unwrap();
    assert_eq!((reject.code, reject.data), (PROTOCOL_REJECT, vec![0x80, 0x57, 1, 1, 0, 4]));
}
