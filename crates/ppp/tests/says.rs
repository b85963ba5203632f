//! The words of a peer for its user are told, whatever protocol they come in.

mod common;

use common::*;
use ppp::{Event, Protocol};

/// Authentication-Protocol.
const AUTH: u8 = 3;
/// Codes of PAP, CHAP and EAP.
const ACK: u8 = 2;
const CHALLENGE: u8 = 1;
const SUCCESS: u8 = 3;
const EAP_REQUEST: u8 = 1;
const NOTIFICATION: u8 = 2;

/// A client that has to prove itself by a method, and has its words.
fn bench(method: &[u8]) -> Bench {
    let mut bench = Bench::lcp(client("anna", "sesame"), &[(AUTH, method)]);
    bench.told();
    bench
}

fn said(bench: &mut Bench) -> Vec<String> {
    let told = bench.told().into_iter();
    let says = told.filter_map(|event| match event {
        Event::Says(words) => Some(words.into()),
        _ => None,
    });
    says.collect()
}

#[test]
fn an_ack_of_pap() {
    let (mut bench, request) = Bench::open(client("anna", "sesame"));
    let sent = bench.agree(&request, &[(AUTH, &[0xc0, 0x23])]);
    let asked = sent.iter().find(|sent| sent.protocol == Protocol::PAP).expect("an Authenticate-Request");
    bench.hear(Protocol::PAP, ACK, asked.id, b"\x07Welcome");
    assert_eq!(said(&mut bench), ["Welcome"]);
}

#[test]
fn a_success_of_chap_if_it_has_words() {
    for (message, words) in [(&b"Welcome back"[..], &["Welcome back"][..]), (b"", &[])] {
        let mut bench = bench(&[0xc2, 0x23, 5]);
        let challenge = [&[16][..], &[7; 16], b"server"].concat();
        bench.hear(Protocol::CHAP, CHALLENGE, 9, &challenge);
        bench.hear(Protocol::CHAP, SUCCESS, 9, message);
        assert_eq!(said(&mut bench), words, "{message:?}");
    }
}

#[test]
fn a_notification_of_eap_without_what_could_steer_a_terminal() {
    let mut bench = bench(&[0xc2, 0x27]);
    let notification = [&[NOTIFICATION][..], b"Password expires \x1b[2Jsoon\n"].concat();
    let answer = bench.hear(Protocol::EAP, EAP_REQUEST, 5, &notification);
    assert_eq!((answer[0].code, &*answer[0].data), (2, &[NOTIFICATION][..]));
    assert_eq!(said(&mut bench), ["Password expires  [2Jsoon"]);
}
