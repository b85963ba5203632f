//! What peers in the field do.

mod auth_ends;

use auth_ends::{End, NAME, PASSWORD, authenticated, config, failed, frame, request, talk};
use ppp::auth::Outcome;
use ppp::{By, Config, Method, Proof, Verdict};

/// MikroTik: an Ack that ends with its header, without Msg-Length.
#[test]
fn a_short_authenticate_ack_is_one() {
    for data in [&[][..], &[0], &[5, b'h', b'i'], &[2, b'h', b'i', b'!']] {
        let mut peer = End::peer(Method::Pap);
        let id = peer.sent()[3];
        let words = if data.len() > 1 { "hi" } else { "" };
        assert_eq!(peer.receive(&frame(Method::Pap, 2, id, data)), authenticated(words));
    }
}

/// Netgear DM602: begins CHAP after PAP was agreed on.
#[test]
fn another_protocol_than_agreed_is_ignored_and_counted() {
    let mut peer = End::peer(Method::Pap);
    let id = peer.sent()[3];
    for code in 1..=4 {
        assert_eq!(peer.receive(&frame(Method::ChapMd5, code, id, &[1, 1, b's'])), None);
        assert_eq!(peer.receive(&frame(Method::Eap, code, id, &[1])), None);
    }
    assert_eq!(peer.ignored(), [0, 0, 8]);
    assert!(peer.is_silent());
    assert_eq!(peer.receive(&frame(Method::Pap, 2, id, &[0])), authenticated(""));

    let mut authenticator = End::authenticator(Method::Pap);
    for code in 1..=4 {
        assert_eq!(authenticator.receive(&frame(Method::ChapMd5, code, 1, &[1, b'a', 1, b'b'])), None);
    }
    assert_eq!(authenticator.ignored(), [0, 0, 4]);
    request(authenticator.receive(&frame(Method::Pap, 1, 1, &[1, b'a', 1, b'b'])));
}

/// The protocol was agreed on, for the other direction.
#[test]
fn nobody_has_to_prove_what_was_not_asked_for() {
    let mut peer = End::peer(Method::ChapMd5);
    assert_eq!(peer.receive(&frame(Method::ChapMd5, 2, 1, &[1, 1])), None);
    let mut authenticator = End::authenticator(Method::ChapMd5);
    authenticator.sent();
    assert_eq!(authenticator.receive(&frame(Method::ChapMd5, 1, 1, &[1, 1])), None);
    assert_eq!([peer.ignored(), authenticator.ignored()], [[0, 0, 1]; 2]);
    assert!(peer.is_silent() && authenticator.is_silent());
}

/// Windows 98 and NT: no `M=` in a Success, and an empty name in their Challenges.
#[test]
fn a_success_without_words_is_one() {
    let mut authenticator =
        End::new(1, Config { name: "".into(), ..Config::default() }, None, Some(Method::MsChapV2));
    let mut peer = End::peer(Method::MsChapV2);
    let challenge = authenticator.sent();
    assert_eq!(challenge.len(), 23);
    peer.receive(&challenge);
    let response = request(authenticator.receive(&peer.sent()));
    authenticator.verdict(response.verify(PASSWORD.as_bytes()));
    let mut success = authenticator.sent();
    success.truncate(6 + 42);
    success[5] = 4 + 42;
    assert_eq!(peer.receive(&success), authenticated(""));
}

/// Windows: the domain is part of the name, and not of the hash.
#[test]
fn a_domain_goes_with_the_name() {
    let mut authenticator = End::authenticator(Method::MsChapV2);
    let mut peer = End::new(2, config("WORK\\alice", PASSWORD), Some(Method::MsChapV2), None);
    talk(&mut authenticator, &mut peer, PASSWORD);
    assert!(authenticator.auth.is_done() && peer.auth.is_done());
    assert_eq!(authenticator.auth.peer_name(), Some(&b"WORK\\alice"[..]));
}

/// An account server that knows nothing of MS-CHAPv2 cannot answer for us.
#[test]
fn an_acceptance_that_proves_nothing_is_a_refusal() {
    let mut authenticator = End::authenticator(Method::MsChapV2);
    let mut peer = End::peer(Method::MsChapV2);
    peer.receive(&authenticator.sent());
    request(authenticator.receive(&peer.sent()));
    let words = "accepted, but without the authenticator response that MS-CHAPv2 needs: \
                 see whether the account server does MS-CHAPv2";
    assert_eq!(authenticator.verdict(Verdict::accept()), failed(By::Us, words));
    let told = peer.receive(&authenticator.sent());
    assert_eq!(told, failed(By::Peer, "name or password is wrong (error 691)"));
}

/// MS-CHAPv2's change of passwords (code 7, RFC 2759 §7) is not done.
#[test]
fn a_changed_password_is_not_taken() {
    let mut authenticator = End::authenticator(Method::MsChapV2);
    let id = authenticator.sent()[3];
    assert_eq!(authenticator.receive(&frame(Method::MsChapV2, 7, id, &[0; 582])), None);
    assert_eq!(authenticator.ignored(), [0, 0, 1]);
}

/// A peer that knows no secret, but hopes that we answer our own Challenge.
#[test]
fn our_own_challenge_is_not_answered() {
    for method in [Method::ChapMd5, Method::MsChapV2] {
        let mut end = End::new(1, config(NAME, PASSWORD), Some(method), Some(method));
        let mut challenge = end.sent();
        assert_eq!(end.receive(&challenge), None);
        challenge[3] = challenge[3].wrapping_add(1);
        assert_eq!(end.receive(&challenge), None);
        assert_eq!(end.ignored(), [0, 2, 0]);
        assert!(end.is_silent());
    }
}

#[test]
fn a_challenge_may_have_any_length_with_md5() {
    let mut peer = End::peer(Method::ChapMd5);
    for length in [1, 8, 255] {
        let data = [&[length][..], &vec![length; usize::from(length)], b"server"].concat();
        peer.receive(&frame(Method::ChapMd5, 1, length, &data));
        let response = peer.sent()[7..23].try_into().unwrap();
        let challenge = data[1..=usize::from(length)].into();
        let proof = Proof::ChapMd5 { id: length, challenge, response };
        let request = ppp::Request { name: Box::default(), proof };
        assert_eq!(request.verify(PASSWORD.as_bytes()), Verdict::accept());
    }
}

#[test]
fn what_is_malformed_is_ignored_and_counted() {
    let long = [&[16][..], &[0; 16], &[b'n'; 256]].concat();
    let cases: &[(Method, bool, u8, &[u8])] = &[
        (Method::Pap, true, 1, &[]),
        (Method::Pap, true, 1, &[1]),
        (Method::Pap, true, 1, &[1, b'a']),
        (Method::Pap, true, 1, &[1, b'a', 1]),
        (Method::Pap, false, 4, &[]),
        (Method::ChapMd5, true, 2, &[]),
        (Method::ChapMd5, true, 2, &[0]),
        (Method::ChapMd5, true, 2, &[15; 16]),
        (Method::ChapMd5, true, 2, &[16; 16]),
        (Method::ChapMd5, true, 2, &long),
        (Method::MsChapV2, true, 2, &[16; 17]),
        (Method::MsChapV2, true, 2, &[49; 49]),
        (Method::MsChapV2, true, 2, &[50; 51]),
        (Method::ChapMd5, false, 1, &[]),
        (Method::ChapMd5, false, 1, &[0, b's']),
        (Method::ChapMd5, false, 1, &[9; 9]),
        (Method::ChapMd5, false, 5, &[]),
        (Method::MsChapV2, false, 1, &[8; 9]),
        (Method::MsChapV2, false, 1, &[17; 18]),
        (Method::Eap, true, 2, &[]),
        (Method::Eap, true, 2, &[4, 1, 1]),
        (Method::Eap, true, 2, &[1; 257]),
        (Method::Eap, false, 1, &[]),
        (Method::Eap, false, 1, &[4]),
        (Method::Eap, false, 1, &[4, 0]),
        (Method::Eap, false, 1, &[4, 2, 0]),
        (Method::Eap, false, 5, &[]),
    ];
    for &(method, authenticator, code, data) in cases {
        let mut end = if authenticator { End::authenticator(method) } else { End::peer(method) };
        let id = end.drain().first().map_or(0, |frame| frame[3]);
        assert_eq!(end.receive(&frame(method, code, id, data)), None);
        assert_eq!(end.ignored(), [1, 0, 0], "{method}, code {code}, {data:?}");
        assert!(end.is_silent());
    }
    let mut end = End::peer(Method::ChapMd5);
    for short in [&[0xc2, 0x23][..], &[0xc2, 0x23, 1, 1, 0], &[0xc2, 0x23, 1, 1, 0, 9, 1, 1]] {
        assert_eq!(end.receive(short), None);
    }
    assert_eq!(end.ignored(), [3, 0, 0]);
}

#[test]
fn words_of_a_peer_are_made_fit_to_print() {
    let long = "ä".repeat(200);
    for (message, words) in [
        (&b"\x1b[31mred\x07\r\n"[..], "[31mred"),
        (b"two\nlines", "two lines"),
        (b"\xff\xfe", "\u{fffd}\u{fffd}"),
        (long.as_bytes(), &(long[..254].to_owned() + "\u{fffd}")),
    ] {
        let mut peer = End::peer(Method::ChapMd5);
        peer.receive(&frame(Method::ChapMd5, 1, 1, &[1, 1]));
        let outcome = peer.receive(&frame(Method::ChapMd5, 3, 1, message));
        assert_eq!(outcome, Some(Outcome::Authenticated(words.into())));
    }
}
