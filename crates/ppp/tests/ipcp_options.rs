//! IPCP's options (RFC 1332, RFC 1877): the rows of the table of `src/ipcp.rs`.

mod common;

use std::net::Ipv4Addr;

use common::*;
use ppp::config::{Ipv4, Ipv6, Network};
use ppp::{Event, Protocol, Why};

const IPCP: Protocol = Protocol::IPCP;
const ADDRESSES: u8 = 1;
const COMPRESSION: u8 = 2;
const ADDRESS: u8 = 3;
const DNS: [u8; 2] = [129, 131];
const NBNS: [u8; 2] = [130, 132];

const OURS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const THEIRS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const NONE: [u8; 4] = [0; 4];

/// An LNS that assigns an address and knows one DNS and two NBNS.
fn lns() -> Ipv4 {
    Ipv4 {
        local: OURS,
        accept_local: false,
        peer: Some(THEIRS),
        dns: [Some([10, 0, 0, 53].into()), None],
        nbns: [Some([10, 0, 0, 54].into()), Some([10, 0, 0, 55].into())],
        want_dns: false,
    }
}

fn up(local: Ipv4Addr, peer: Ipv4Addr) -> Event {
    Event::Ipv4Up { local, peer, dns: [None; 2] }
}

#[test]
fn an_lns_assigns_address_and_servers() {
    let (mut bench, request) = Bench::ipcp(lns());
    assert_eq!(request.data, opts(&[(ADDRESS, &OURS.octets())]));
    let asked = [(ADDRESS, &NONE[..]), (DNS[0], &NONE), (NBNS[0], &NONE), (NBNS[1], &NONE)];
    let told = [
        (ADDRESS, &[10, 0, 0, 2][..]),
        (DNS[0], &[10, 0, 0, 53]),
        (NBNS[0], &[10, 0, 0, 54]),
        (NBNS[1], &[10, 0, 0, 55]),
    ];
    let answer = bench.ask(IPCP, 1, &asked);
    assert_eq!((answer.code, answer.data), (CONFIGURE_NAK, opts(&told)));
    assert_eq!(bench.ask(IPCP, 2, &told).code, CONFIGURE_ACK);
    bench.hear(IPCP, CONFIGURE_ACK, request.id, &request.data);
    assert_eq!(bench.told(), [up(OURS, THEIRS)]);
}

#[test]
fn a_server_that_is_not_known_is_rejected() {
    let (mut bench, _) = Bench::ipcp(lns());
    let asked: &[(u8, &[u8])] = &[(ADDRESS, &[10, 0, 0, 2]), (DNS[0], &NONE), (DNS[1], &NONE)];
    let answer = bench.ask(IPCP, 1, asked);
    assert_eq!((answer.code, answer.data), (CONFIGURE_REJECT, opts(&[(DNS[1], &NONE)])));
}

#[test]
fn compression_and_the_deprecated_addresses_are_rejected() {
    let (mut bench, _) = Bench::ipcp(lns());
    let asked: &[(u8, &[u8])] = &[
        (ADDRESSES, &[10, 0, 0, 2, 10, 0, 0, 1]),
        (COMPRESSION, &[0, 0x2d, 15, 1]),
        (4, &[10, 0, 0, 2]),
        (ADDRESS, &[10, 0, 0, 2]),
        (ADDRESS, &[10, 0, 0, 3]),
        (DNS[0], &[1, 2, 3]),
    ];
    let answer = bench.ask(IPCP, 1, asked);
    let rejected = [&asked[..3], &asked[4..]].concat();
    assert_eq!((answer.code, answer.data), (CONFIGURE_REJECT, opts(&rejected)));
}

#[test]
fn a_peer_that_says_nothing_of_an_address_is_told_it() {
    let (mut bench, request) = Bench::ipcp(lns());
    for id in 1..=5 {
        let answer = bench.ask(IPCP, id, &[]);
        assert_eq!((answer.code, answer.data), (CONFIGURE_NAK, opts(&[(ADDRESS, &THEIRS.octets())])));
    }
    // It does not want to hear: the address is its own all the same.
    assert_eq!(bench.ask(IPCP, 6, &[]).code, CONFIGURE_ACK);
    bench.hear(IPCP, CONFIGURE_ACK, request.id, &request.data);
    assert_eq!(bench.told(), [up(OURS, THEIRS)]);
}

#[test]
fn a_peer_that_insists_on_another_address_does_not_get_it() {
    let (mut bench, _) = Bench::ipcp(lns());
    let asked: &[(u8, &[u8])] = &[(ADDRESS, &[192, 168, 1, 1])];
    for id in 1..=5 {
        assert_eq!(bench.ask(IPCP, id, asked).code, CONFIGURE_NAK);
    }
    let answer = bench.ask(IPCP, 6, asked);
    assert_eq!((answer.code, answer.data), (CONFIGURE_REJECT, opts(asked)));
}

#[test]
fn an_lns_keeps_its_own_address() {
    let (mut bench, request) = Bench::ipcp(lns());
    let nak = opts(&[(ADDRESS, &[192, 168, 1, 1])]);
    let next = bench.hear(IPCP, CONFIGURE_NAK, request.id, &nak).pop().unwrap();
    assert_eq!(next.data, request.data);
    let rejected = bench.hear(IPCP, CONFIGURE_REJECT, next.id, &next.data).pop().unwrap();
    assert_eq!(rejected.data, []);
    bench.agree(&rejected, &[(ADDRESS, &THEIRS.octets())]);
    assert_eq!(bench.told(), [up(OURS, THEIRS)]);
}

#[test]
fn a_client_takes_what_it_is_given() {
    let (mut bench, request) = Bench::ipcp(Ipv4::default());
    assert_eq!(request.data, opts(&[(ADDRESS, &NONE), (DNS[0], &NONE), (DNS[1], &NONE)]));
    let given = opts(&[(ADDRESS, &[10, 0, 0, 2]), (DNS[0], &[9; 4]), (DNS[1], &[8; 4]), (NBNS[0], &[7; 4])]);
    let next = bench.hear(IPCP, CONFIGURE_NAK, request.id, &given).pop().unwrap();
    assert_eq!(next.data, opts(&[(ADDRESS, &[10, 0, 0, 2]), (DNS[0], &[9; 4]), (DNS[1], &[8; 4])]));
    bench.agree(&next, &[(ADDRESS, &OURS.octets())]);
    let dns = [Some([9; 4].into()), Some([8; 4].into())];
    assert_eq!(bench.told(), [Event::Ipv4Up { local: THEIRS, peer: OURS, dns }]);
}

#[test]
fn a_client_may_have_an_address_of_its_own_and_take_another() {
    let wanted = Ipv4 { local: [10, 0, 0, 77].into(), want_dns: false, ..Ipv4::default() };
    for (accept_local, then) in [(true, [10, 0, 0, 2]), (false, [10, 0, 0, 77])] {
        let (mut bench, request) = Bench::ipcp(Ipv4 { accept_local, ..wanted });
        assert_eq!(request.data, opts(&[(ADDRESS, &[10, 0, 0, 77])]));
        let nak = opts(&[(ADDRESS, &[10, 0, 0, 2])]);
        let next = bench.hear(IPCP, CONFIGURE_NAK, request.id, &nak).pop().unwrap();
        assert_eq!(next.data, opts(&[(ADDRESS, &then)]));
    }
}

#[test]
fn a_client_takes_a_peer_without_an_address() {
    let (mut bench, request) = Bench::ipcp(Ipv4 { want_dns: false, ..Ipv4::default() });
    let nak = opts(&[(ADDRESS, &[10, 0, 0, 2])]);
    let next = bench.hear(IPCP, CONFIGURE_NAK, request.id, &nak).pop().unwrap();
    bench.agree(&next, &[]);
    assert_eq!(bench.told(), [up(THEIRS, Ipv4Addr::UNSPECIFIED)]);
}

#[test]
fn an_address_that_nobody_can_have_is_rejected() {
    for bad in [[0; 4], [127, 0, 0, 1], [224, 0, 0, 1], [255; 4]] {
        let (mut bench, _) = Bench::ipcp(Ipv4::default());
        let answer = bench.ask(IPCP, 1, &[(ADDRESS, &bad)]);
        assert_eq!((answer.code, answer.data), (CONFIGURE_REJECT, opts(&[(ADDRESS, &bad)])));
        assert_eq!(bench.ask(IPCP, 2, &[]).code, CONFIGURE_ACK);
    }
}

#[test]
fn an_address_that_nobody_can_have_is_not_taken() {
    let (mut bench, request) = Bench::ipcp(Ipv4 { want_dns: false, ..Ipv4::default() });
    let next = bench.hear(IPCP, CONFIGURE_NAK, request.id, &opts(&[(ADDRESS, &[127, 0, 0, 1])]));
    assert_eq!(next[0].data, opts(&[(ADDRESS, &NONE)]));
}

#[test]
fn without_an_address_there_is_no_ipv4() {
    for acks in [true, false] {
        let (mut bench, request) = Bench::ipcp(Ipv4 { want_dns: false, ..Ipv4::default() });
        bench.ask(IPCP, 1, &[(ADDRESS, &OURS.octets())]);
        let code = if acks { CONFIGURE_ACK } else { CONFIGURE_REJECT };
        let farewell = bench.hear(IPCP, code, request.id, &request.data).pop().unwrap();
        assert_eq!((farewell.code, &*farewell.data), (TERMINATE_REQUEST, &b"no address"[..]));
        bench.hear(IPCP, TERMINATE_ACK, farewell.id, &[]);
        assert_eq!(bench.told(), [Event::Ipv4Refused(Why::NoAddress)]);
    }
}

#[test]
fn a_peer_that_ends_ipcp_ends_the_link_unless_there_is_ipv6() {
    let (mut bench, request) = Bench::ipcp(lns());
    bench.agree(&request, &[(ADDRESS, &THEIRS.octets())]);
    let ack = bench.hear(IPCP, TERMINATE_REQUEST, 5, b"later").pop().unwrap();
    assert_eq!((ack.code, ack.id), (TERMINATE_ACK, 5));
    assert_eq!(bench.told(), [up(OURS, THEIRS), Event::Ipv4Down]);
    assert_eq!(bench.hear(IPCP, CONFIGURE_REQUEST, 6, &[]), [], "not while it is ending");
    let farewell = bench.pass(seconds(3)).pop().unwrap();
    assert_eq!((farewell.protocol, farewell.code), (Protocol::LCP, TERMINATE_REQUEST));
    assert_eq!(bench.told(), [Event::Ipv4Refused(Why::Terminated { message: b"later"[..].into() })]);
}

#[test]
fn a_peer_that_has_ended_ipcp_may_begin_it_again() {
    let both = Network { ipv4: Some(lns()), ipv6: Some(Ipv6::default()) };
    let (mut bench, requests) = Bench::network(both);
    bench.agree(&requests[1], &[(1, &[0, 0, 0, 0, 0, 0, 0, 2])]);
    bench.agree(&requests[0], &[(ADDRESS, &THEIRS.octets())]);
    bench.hear(IPCP, TERMINATE_REQUEST, 5, b"later");
    assert_eq!(bench.pass(seconds(3)), []);
    bench.told();
    let sent = bench.hear(IPCP, CONFIGURE_REQUEST, 6, &opts(&[(ADDRESS, &THEIRS.octets())]));
    let [request, ack] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!(ack.code, CONFIGURE_ACK);
    bench.hear(IPCP, CONFIGURE_ACK, request.id, &request.data);
    assert_eq!(bench.told(), [up(OURS, THEIRS)]);
}
