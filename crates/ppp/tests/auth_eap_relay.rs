//! EAP between a peer and a server behind the account (RFC 3579): the authenticator carries packets.

mod auth_ends;

use std::time::Duration;

use auth_ends::{End, authenticated, failed, frame, request};
use ppp::auth::Outcome;
use ppp::{By, Method, Proof, Timer, Verdict};

/// The packet that the account is to relay.
fn relayed(outcome: Option<Outcome>) -> Box<[u8]> {
    let request = request(outcome);
    assert_eq!(&*request.name, b"alice");
    match request.proof {
        Proof::Eap { packet } => packet,
        other => panic!("{other:?}"),
    }
}

/// An authenticator that has relayed the Identity, and the Identity's Identifier.
fn identified() -> (End, u8) {
    let mut end = End::authenticator(Method::Eap);
    let question = end.sent();
    assert_eq!(question, frame(Method::Eap, 1, question[3], &[1]));
    let identity = frame(Method::Eap, 2, question[3], b"\x01alice");
    assert_eq!(*relayed(end.receive(&identity)), identity[2..]);
    (end, question[3])
}

fn go_on(packet: &[u8]) -> Verdict {
    Verdict::EapContinue { packet: packet.into() }
}

#[test]
fn packets_are_carried_as_they_are() {
    let (mut end, _) = identified();
    for id in 200..203 {
        let question = frame(Method::Eap, 1, id, &[13, id, 0, 0]);
        assert_eq!(end.verdict(go_on(&question[2..])), None);
        assert_eq!(end.sent(), question);
        assert_eq!(end.next(), (Timer::PeerAuth, Duration::from_secs(3), None));
        assert_eq!(end.sent(), question, "again");
        let answer = frame(Method::Eap, 2, id, &[13, 1, 2, 3]);
        assert_eq!(*relayed(end.receive(&answer)), answer[2..]);
        assert_eq!(end.receive(&answer), None, "once");
    }
    assert_eq!(end.verdict(Verdict::accept()), Some(Outcome::PeerAuthenticated));
    assert_eq!(end.sent(), frame(Method::Eap, 3, 202, &[]));
    assert_eq!(end.auth.peer_name(), Some(&b"alice"[..]));
}

#[test]
fn a_nak_is_the_servers_affair() {
    let (mut end, _) = identified();
    end.verdict(go_on(&[1, 7, 0, 5, 13]));
    end.sent();
    let nak = frame(Method::Eap, 2, 7, &[3, 4]);
    assert_eq!(*relayed(end.receive(&nak)), nak[2..]);
    assert_eq!(end.verdict(Verdict::reject()), failed(By::Us, "Name or password is wrong"));
    assert_eq!(end.sent(), frame(Method::Eap, 4, 7, &[]));
}

#[test]
fn the_server_may_speak_what_our_peer_knows() {
    let (mut end, _) = identified();
    let mut peer = End::peer(Method::Eap);
    end.verdict(go_on(&[1, 7, 0, 9, 4, 3, 1, 2, 3]));
    peer.receive(&end.sent());
    let answer = relayed(end.receive(&peer.sent()));
    assert_eq!(answer[..6], [2, 7, 0, 27, 4, 16]);
    let response = answer[6..22].try_into().unwrap();
    let proof = Proof::ChapMd5 { id: 7, challenge: [1, 2, 3].into(), response };
    let check = ppp::Request { name: Box::default(), proof };
    assert_eq!(check.verify(auth_ends::PASSWORD.as_bytes()), Verdict::accept());
    end.verdict(Verdict::accept());
    assert_eq!(peer.receive(&end.sent()), authenticated(""));
}

#[test]
fn what_is_no_request_is_not_sent() {
    let bad: [&[u8]; 5] = [&[], &[1, 7, 0, 4, 1], &[1, 7, 0, 6, 1], &[2, 7, 0, 5, 1], &[3, 7, 0, 4]];
    for packet in bad {
        let (mut end, id) = identified();
        let words = "the account server answered with what is no EAP Request for this peer";
        assert_eq!(end.verdict(go_on(packet)), failed(By::Us, words));
        assert_eq!(end.sent(), frame(Method::Eap, 4, id, &[]));
    }
    let mut end = End::authenticator(Method::Pap);
    end.receive(&frame(Method::Pap, 1, 1, &[1, b'a', 1, b'b']));
    assert!(matches!(end.verdict(Verdict::EapMd5), Some(Outcome::Failed { .. })));
    assert_eq!(end.sent(), frame(Method::Pap, 3, 1, &[0]));
}

#[test]
fn no_account_here_can_verify_what_is_relayed() {
    let (mut end, _) = identified();
    end.verdict(go_on(&[1, 7, 0, 5, 26]));
    end.sent();
    let request = request(end.receive(&frame(Method::Eap, 2, 7, &[26, 1])));
    assert_eq!(request.verify(b""), Verdict::reject());
}
