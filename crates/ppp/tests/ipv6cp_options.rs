//! IPV6CP's options (RFC 5072): the rows of the table of `src/ipv6cp.rs`.

mod common;

use common::*;
use ppp::config::{InterfaceId, Ipv6, Network};
use ppp::{Event, Protocol};

const IPV6CP: Protocol = Protocol::IPV6CP;
const ID: u8 = 1;
const COMPRESSION: u8 = 2;

const OURS: [u8; 8] = [0, 0, 0, 0, 0, 0, 0, 1];
const THEIRS: [u8; 8] = [0, 0, 0, 0, 0, 0, 0, 2];

fn id(octets: [u8; 8]) -> Option<InterfaceId> {
    InterfaceId::new(u64::from_be_bytes(octets))
}

fn up(local: [u8; 8], peer: [u8; 8]) -> Event {
    Event::Ipv6Up { local: id(local).unwrap(), peer: id(peer).unwrap() }
}

fn bench(local: Option<[u8; 8]>, peer: Option<[u8; 8]>) -> (Bench, Sent) {
    let ipv6 = Ipv6 { local: local.and_then(id), peer: peer.and_then(id) };
    let (bench, mut requests) = Bench::network(Network { ipv4: None, ipv6: Some(ipv6) });
    (bench, requests.pop().unwrap())
}

/// The identifier in the only option of a packet.
fn told(sent: &Sent) -> [u8; 8] {
    sent.option(ID).expect("an identifier").try_into().expect("of 8 octets")
}

#[test]
fn both_ends_have_their_own() {
    let (mut bench, request) = bench(Some(OURS), None);
    assert_eq!(request.data, opts(&[(ID, &OURS)]));
    bench.agree(&request, &[(ID, &THEIRS)]);
    assert_eq!(bench.told(), [up(OURS, THEIRS)]);
}

#[test]
fn ours_is_random_if_it_is_not_configured() {
    let (mut bench, request) = bench(None, None);
    let ours = told(&request);
    assert!(ours != [0; 8] && ours[0] & 2 == 0, "not zero, and not said to be universal: {ours:x?}");
    bench.agree(&request, &[(ID, &THEIRS)]);
    assert_eq!(bench.told(), [up(ours, THEIRS)]);
}

#[test]
fn the_peer_gets_what_we_assign() {
    let (mut bench, request) = bench(Some(OURS), Some(THEIRS));
    for (number, asked) in [[0; 8], [7; 8], OURS].into_iter().enumerate() {
        let answer = bench.ask(IPV6CP, number as u8, &[(ID, &asked)]);
        assert_eq!((answer.code, told(&answer)), (CONFIGURE_NAK, THEIRS));
    }
    bench.agree(&request, &[(ID, &THEIRS)]);
    assert_eq!(bench.told(), [up(OURS, THEIRS)]);
}

#[test]
fn zero_and_our_own_are_naked_with_another() {
    for asked in [[0; 8], OURS] {
        let (mut bench, _) = bench(Some(OURS), None);
        let answer = bench.ask(IPV6CP, 1, &[(ID, &asked)]);
        assert_eq!(answer.code, CONFIGURE_NAK);
        assert!(![[0; 8], OURS].contains(&told(&answer)));
    }
}

#[test]
fn a_peer_that_says_nothing_of_one_is_told_one() {
    let (mut bench, request) = bench(Some(OURS), None);
    let mut last = [0; 8];
    for number in 1..=5 {
        let answer = bench.ask(IPV6CP, number, &[]);
        assert_eq!(answer.code, CONFIGURE_NAK);
        last = told(&answer);
    }
    assert_eq!(bench.ask(IPV6CP, 6, &[]).code, CONFIGURE_ACK);
    bench.hear(IPV6CP, CONFIGURE_ACK, request.id, &request.data);
    assert_eq!(bench.told(), [up(OURS, last)]);
}

#[test]
fn what_the_peer_wants_us_to_have_is_taken_if_ours_is_random() {
    for (local, taken) in [(None, true), (Some(OURS), false)] {
        let (mut bench, request) = bench(local, None);
        let nak = opts(&[(ID, &[5; 8])]);
        let next = bench.hear(IPV6CP, CONFIGURE_NAK, request.id, &nak).pop().unwrap();
        assert_eq!(told(&next) == [5; 8], taken);
        let nak = opts(&[(ID, &[0; 8])]);
        let again = bench.hear(IPV6CP, CONFIGURE_NAK, next.id, &nak).pop().unwrap();
        assert_eq!(told(&again), told(&next), "zero is none");
    }
}

#[test]
fn a_peer_that_does_not_want_to_know_ours_is_obeyed() {
    let (mut bench, request) = bench(Some(OURS), None);
    let next = bench.hear(IPV6CP, CONFIGURE_REJECT, request.id, &request.data).pop().unwrap();
    assert_eq!(next.data, []);
    bench.agree(&next, &[(ID, &THEIRS)]);
    assert_eq!(bench.told(), [up(OURS, THEIRS)]);
}

#[test]
fn compression_and_what_has_a_wrong_length_are_rejected() {
    let (mut bench, _) = bench(Some(OURS), None);
    let asked: &[(u8, &[u8])] = &[(COMPRESSION, &[0, 0x4f]), (ID, &[1; 7])];
    let answer = bench.ask(IPV6CP, 1, asked);
    assert_eq!((answer.code, answer.data), (CONFIGURE_REJECT, opts(asked)));
}

#[test]
fn an_identifier_prints_as_the_end_of_its_address() {
    let id = id([0, 1, 0x20, 3, 0, 0, 0xab, 0xcd]).unwrap();
    assert_eq!(
        (id.to_string(), id.link_local().to_string()),
        ("1:2003:0:abcd".into(), "fe80::1:2003:0:abcd".into())
    );
}
