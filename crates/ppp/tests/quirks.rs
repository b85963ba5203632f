//! What real peers do that the RFCs do not foresee, one test each.

mod common;

use common::*;
use ppp::config::{Ipv4, Ipv6, Network};
use ppp::packet::Packet;
use ppp::{Config, Event, Method, Phase, Protocol, Reason, Why};

const MRU: u8 = 1;
const AUTHENTICATION: u8 = 3;
const MAGIC: u8 = 5;
const PFC: u8 = 7;
const ACFC: u8 = 8;
const MRRU: u8 = 17;
const ENDPOINT: u8 = 19;

const BOTH: Network = Network {
    ipv4: Some(Ipv4 {
        local: std::net::Ipv4Addr::new(10, 0, 0, 1),
        accept_local: false,
        peer: Some(std::net::Ipv4Addr::new(10, 0, 0, 2)),
        dns: [None; 2],
        nbns: [None; 2],
        want_dns: false,
    }),
    ipv6: Some(Ipv6 { local: None, peer: None }),
};

fn server() -> Config {
    Config { require: vec![Method::MsChapV2, Method::ChapMd5, Method::Pap], ..Config::default() }
}

#[test]
fn windows_tells_its_version_which_is_passed_on_and_not_answered() {
    let mut bench = Bench::lcp(Config::default(), &[(MAGIC, &[1, 2, 3, 4])]);
    bench.told();
    assert_eq!(bench.hear(Protocol::LCP, IDENTIFICATION, 2, b"\x01\x02\x03\x04MSRASV5.20"), []);
    assert_eq!(bench.told(), [Event::Identification(b"MSRASV5.20"[..].into())]);
    let remaining = [1, 2, 3, 4, 0, 0, 0, 60];
    assert_eq!(bench.hear(Protocol::LCP, TIME_REMAINING, 3, &remaining), []);
    assert_eq!(bench.told(), [Event::TimeRemaining(seconds(60))]);
}

#[test]
fn windows_asks_for_multilink_which_is_rejected_with_all_that_belongs_to_it() {
    let (mut bench, _) = Bench::open(Config::default());
    let endpoint = [1; 21];
    let asked: &[(u8, &[u8])] =
        &[(MRU, &[5, 120]), (MAGIC, &[1, 2, 3, 4]), (13, &[6]), (MRRU, &[6, 78]), (ENDPOINT, &endpoint)];
    let answer = bench.ask(Protocol::LCP, 0, asked);
    assert_eq!((answer.code, answer.data), (CONFIGURE_REJECT, opts(&asked[2..])));
    let answer = bench.ask(Protocol::LCP, 1, &asked[..2]);
    assert_eq!((answer.code, answer.data), (CONFIGURE_ACK, opts(&asked[..2])));
}

#[test]
fn windows_tries_ccp_and_mplscp_which_are_rejected_by_protocol() {
    let (mut bench, _) = Bench::network(BOTH);
    for protocol in [Protocol::CCP, Protocol::MPLSCP, Protocol::ECP] {
        let request = Packet { code: CONFIGURE_REQUEST, id: 5, data: &[18, 6, 1, 0, 0, 1] };
        let answer = bench.hear_frame(&request.frame(protocol));
        assert_eq!(answer.len(), 1);
        assert_eq!((answer[0].protocol, answer[0].code), (Protocol::LCP, PROTOCOL_REJECT));
        assert_eq!(answer[0].data, request.frame(protocol));
    }
    assert_eq!(bench.link.counters().rejected, 3);
    assert_eq!(bench.link.phase(), Phase::Network);
}

#[test]
fn windows_compresses_the_protocol_field_though_it_was_not_asked_to() {
    let (mut bench, _) = Bench::network(BOTH);
    // One byte is a protocol; that of IPv4 is 0x21.
    assert_eq!(bench.hear_frame(&[0x21, 0x45, 0, 0, 20]), []);
    assert_eq!(bench.hear_frame(&[0x57, 0x60, 0, 0, 0]), []);
    let counters = bench.link.counters();
    assert_eq!((counters.network, counters.malformed, counters.rejected), (2, 0, 0));
}

#[test]
fn windows_2000_asks_for_the_same_mru_however_often_it_is_naked() {
    let (mut bench, _) = Bench::open(Config::default());
    let asked: &[(u8, &[u8])] = &[(MRU, &[0, 64])];
    for id in 0..5 {
        let answer = bench.ask(Protocol::LCP, id, asked);
        assert_eq!((answer.code, answer.data), (CONFIGURE_NAK, opts(&[(MRU, &[0, 128])])));
    }
    let answer = bench.ask(Protocol::LCP, 5, asked);
    assert_eq!((answer.code, answer.data), (CONFIGURE_REJECT, opts(asked)));
    assert_eq!(bench.ask(Protocol::LCP, 6, &[]).code, CONFIGURE_ACK);
}

#[test]
fn windows_2000_naks_our_mru_forever_and_gets_none() {
    let (mut bench, mut request) = Bench::open(Config { mru: 1400, ..Config::default() });
    let nak = opts(&[(MRU, &[8, 0])]);
    for _ in 0..5 {
        assert_eq!(request.option(MRU), Some(&1400u16.to_be_bytes()[..]));
        let mut sent = bench.hear(Protocol::LCP, CONFIGURE_NAK, request.id, &nak);
        request = sent.pop().unwrap();
    }
    let mut sent = bench.hear(Protocol::LCP, CONFIGURE_NAK, request.id, &nak);
    let request = sent.pop().unwrap();
    assert_eq!((request.code, request.option(MRU)), (CONFIGURE_REQUEST, None));
    bench.agree(&request, &[]);
    assert!(matches!(bench.told()[..], [Event::LcpUp { .. }, Event::Network { .. }]));
}

#[test]
fn windows_98_has_no_name_in_its_response() {
    let mut bench = Bench::lcp(Config { require: vec![Method::ChapMd5], ..Config::default() }, &[]);
    bench.told();
    let response = [&[16][..], &[9; 16]].concat();
    // The challenge was sent while LCP came up; any Identifier is tried.
    for id in 0..=255 {
        bench.hear(Protocol::CHAP, 2, id, &response);
    }
    let [Event::Authenticate(request)] = &bench.told()[..] else { panic!("no proof") };
    assert_eq!(*request.name, []);
}

#[test]
fn apple_asks_for_nothing_at_all() {
    let (mut bench, request) = Bench::open(Config::default());
    let answer = bench.ask(Protocol::LCP, 1, &[]);
    assert_eq!((answer.code, answer.data), (CONFIGURE_ACK, vec![]));
    bench.hear(Protocol::LCP, CONFIGURE_ACK, request.id, &request.data);
    assert!(matches!(bench.told()[..], [Event::LcpUp { peer_mru: 1500, .. }, Event::Network { .. }]));
}

#[test]
fn apple_rejects_ipv6cp_and_goes_on_with_ipv4() {
    let (mut bench, requests) = Bench::network(BOTH);
    let [ipcp, ipv6cp] = &requests[..] else { panic!("{requests:?}") };
    assert_eq!(bench.hear(Protocol::LCP, PROTOCOL_REJECT, 9, &ipv6cp.frame()), []);
    bench.agree(ipcp, &[(3, &[10, 0, 0, 2])]);
    let [refused, up] = &bench.told()[..] else { panic!("two events") };
    assert_eq!(*refused, Event::Ipv6Refused(Why::Rejected));
    let (local, peer) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
    assert_eq!(*up, Event::Ipv4Up { local, peer, dns: [None; 2] });
    assert_eq!(bench.pass(seconds(20)), []);
    assert_eq!(bench.link.phase(), Phase::Network);
}

#[test]
fn apple_rejects_the_name_servers_that_we_ask_for() {
    let (mut bench, request) = Bench::ipcp(Ipv4::default());
    let rejected = opts(&[(129, &[0; 4]), (131, &[0; 4])]);
    let mut sent = bench.hear(Protocol::IPCP, CONFIGURE_REJECT, request.id, &rejected);
    let request = sent.pop().unwrap();
    assert_eq!(request.data, opts(&[(3, &[0; 4])]));
    let nak = opts(&[(3, &[10, 0, 0, 9])]);
    let request = bench.hear(Protocol::IPCP, CONFIGURE_NAK, request.id, &nak).pop().unwrap();
    bench.agree(&request, &[(3, &[10, 0, 0, 1])]);
    let up = Event::Ipv4Up { local: [10, 0, 0, 9].into(), peer: [10, 0, 0, 1].into(), dns: [None; 2] };
    assert_eq!(bench.told(), [up]);
}

#[test]
fn cisco_gives_up_if_eap_is_offered_so_it_never_has_to_be() {
    let (mut bench, mut request) = Bench::open(server());
    assert_eq!(request.option(AUTHENTICATION), Some(Method::MsChapV2.option()));
    for expected in [Some(Method::ChapMd5), Some(Method::Pap), None] {
        let rejected = opts(&[(AUTHENTICATION, request.option(AUTHENTICATION).unwrap())]);
        let mut sent = bench.hear(Protocol::LCP, CONFIGURE_REJECT, request.id, &rejected);
        let next = sent.pop().unwrap();
        let asked = next.option(AUTHENTICATION).and_then(Method::from_option);
        assert_eq!(asked, expected);
        request = next;
    }
    assert_eq!((request.code, &request.data[..]), (TERMINATE_REQUEST, &b"authentication required"[..]));
    bench.hear(Protocol::LCP, TERMINATE_ACK, request.id, &[]);
    let reason = Reason::Negotiation { protocol: Protocol::LCP, why: Why::NoMethod };
    assert_eq!(bench.told(), [Event::Down(reason)]);
}

#[test]
fn cisco_wants_an_mru_of_1500() {
    let (mut bench, request) = Bench::open(Config { mru: 1400, ..Config::default() });
    let rejected = opts(&[(MRU, &1400u16.to_be_bytes())]);
    let mut sent = bench.hear(Protocol::LCP, CONFIGURE_REJECT, request.id, &rejected);
    assert_eq!(sent.pop().unwrap().option(MRU), None);
    let answer = bench.ask(Protocol::LCP, 1, &[(MRU, &1500u16.to_be_bytes())]);
    assert_eq!(answer.code, CONFIGURE_ACK);
}

#[test]
fn mikrotik_acks_pap_without_any_words() {
    let config = client("user", "pass");
    let mut bench = Bench::lcp(config, &[(AUTHENTICATION, Method::Pap.option())]);
    let request = bench.pass(seconds(3)).pop().expect("an Authenticate-Request again");
    assert_eq!(
        (request.protocol, request.code, &request.data[..]),
        (Protocol::PAP, 1, &b"\x04user\x04pass"[..])
    );
    bench.told();
    assert_eq!(bench.hear(Protocol::PAP, 2, request.id, &[]), []);
    assert_eq!(bench.told(), [Event::Authenticated, Event::Network { peer_name: None }]);
}

#[test]
fn mikrotik_negotiates_mppe_until_it_is_rejected() {
    let (mut bench, _) = Bench::network(BOTH);
    let stateless_128 = opts(&[(18, &[1, 0, 0, 0x40])]);
    let answer = bench.hear(Protocol::CCP, CONFIGURE_REQUEST, 1, &stateless_128);
    assert_eq!(answer[0].code, PROTOCOL_REJECT);
    assert_eq!(answer[0].data[..2], Protocol::CCP.0.to_be_bytes());
    assert_eq!(bench.link.phase(), Phase::Network);
}

#[test]
fn juniper_as_lns_negotiates_lcp_anew_behind_the_lac() {
    let mut bench = Bench::lcp(client("user", "pass"), &[(AUTHENTICATION, Method::Pap.option())]);
    bench.told();
    let sent = bench.hear(Protocol::LCP, CONFIGURE_REQUEST, 77, &opts(&[(AUTHENTICATION, &[0xc2, 0x23, 5])]));
    let [request, ack] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!([request.code, ack.code], [CONFIGURE_REQUEST, CONFIGURE_ACK]);
    assert_eq!(bench.link.phase(), Phase::Establish);
    bench.hear(Protocol::LCP, CONFIGURE_ACK, request.id, &request.data);
    let up = Event::LcpUp { peer_mru: 1500, local_auth: Some(Method::ChapMd5), peer_auth: None };
    assert_eq!(bench.told(), [up]);
    let challenge = [&[4][..], b"abcdlns"].concat();
    assert_eq!(bench.hear(Protocol::CHAP, 1, 1, &challenge)[0].code, 2);
}

#[test]
fn netgear_challenges_though_pap_was_agreed_on() {
    let mut bench = Bench::lcp(client("user", "pass"), &[(AUTHENTICATION, Method::Pap.option())]);
    bench.told();
    let challenge = [&[4][..], b"abcdnetgear"].concat();
    assert_eq!(bench.hear(Protocol::CHAP, 1, 1, &challenge), []);
    assert_eq!(bench.link.counters().discarded, 1);
    let request = bench.pass(seconds(3)).pop().unwrap();
    assert_eq!((request.protocol, request.code), (Protocol::PAP, 1));
    bench.hear(Protocol::PAP, 2, request.id, b"\x02ok");
    assert_eq!(
        bench.told(),
        [Event::Authenticated, Event::Says("ok".into()), Event::Network { peer_name: None }]
    );
}

#[test]
fn routertester_naks_options_that_have_no_value() {
    let (mut bench, request) = Bench::open(Config { pfc: true, acfc: true, ..Config::default() });
    assert_eq!((request.option(PFC), request.option(ACFC)), (Some(&[][..]), Some(&[][..])));
    let mut sent = bench.hear(Protocol::LCP, CONFIGURE_NAK, request.id, &opts(&[(PFC, &[]), (ACFC, &[])]));
    let request = sent.pop().unwrap();
    assert_eq!((request.option(PFC), request.option(ACFC)), (None, None));
    assert_ne!(request.option(MAGIC), None);
}
