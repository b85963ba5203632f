//! Both ends, for each method.

mod auth_ends;

use std::time::Duration;

use auth_ends::{End, Ends, NAME, PASSWORD, authenticated, config, failed, request, talk};
use ppp::auth::Outcome;
use ppp::{By, Config, Method, Proof, RejectCode, Request, Verdict};

fn pair(method: Method, password: &str) -> (End, End, Ends) {
    let mut authenticator = End::authenticator(method);
    let mut peer = End::new(2, config(NAME, password), Some(method), None);
    let ends = talk(&mut authenticator, &mut peer, PASSWORD);
    (authenticator, peer, ends)
}

#[test]
fn the_right_password_is_accepted() {
    for method in Method::ALL {
        let (authenticator, peer, ends) = pair(method, PASSWORD);
        let words = if method == Method::Eap { "" } else { "Welcome" };
        assert_eq!(ends.authenticator, [Outcome::PeerAuthenticated], "{method}");
        assert_eq!(ends.peer, Vec::from_iter(authenticated(words)), "{method}");
        for end in [authenticator, peer] {
            assert!(end.auth.is_done(), "{method}");
            assert_eq!(end.auth.poll_timeout(), None, "{method}");
            assert_eq!(end.ignored(), [0; 3], "{method}");
        }
    }
}

#[test]
fn a_wrong_password_is_refused() {
    for (method, words) in [
        (Method::Pap, "the peer says \"Name or password is wrong\""),
        (Method::ChapMd5, "the peer says \"Name or password is wrong\""),
        (
            Method::MsChapV2,
            "name or password is wrong (error 691); the peer says \"Name or password is wrong\"",
        ),
        (Method::Eap, ""),
    ] {
        for password in ["clientPas", "clientPass ", "ClientPass", ""] {
            let (authenticator, peer, ends) = pair(method, password);
            let ours = failed(By::Us, "Name or password is wrong");
            assert_eq!(ends.authenticator, Vec::from_iter(ours), "{method}");
            assert_eq!(ends.peer, Vec::from_iter(failed(By::Peer, words)), "{method}");
            assert!(!authenticator.auth.is_done());
            assert!(!peer.auth.is_done());
        }
    }
}

#[test]
fn empty_names_and_passwords_are_as_good_as_others() {
    for method in Method::ALL {
        let mut authenticator =
            End::new(1, Config { name: "".into(), ..Config::default() }, None, Some(method));
        let mut peer = End::new(2, config("", ""), Some(method), None);
        let ends = talk(&mut authenticator, &mut peer, "");
        assert_eq!(ends.authenticator, [Outcome::PeerAuthenticated], "{method}");
        assert_eq!(authenticator.auth.peer_name(), Some(&b""[..]));
        assert!(peer.auth.is_done(), "{method}");
    }
}

#[test]
fn names_and_passwords_are_any_octets_up_to_255() {
    let name = "ü\\".repeat(85);
    let password = "\u{1d11e}\u{7f}é€ä".repeat(21) + "...";
    assert_eq!((name.len(), password.len()), (255, 255));
    for method in Method::ALL {
        let mut authenticator = End::authenticator(method);
        let mut peer = End::new(2, config(&name, &password), Some(method), None);
        talk(&mut authenticator, &mut peer, &password);
        assert_eq!(authenticator.auth.peer_name(), Some(name.as_bytes()), "{method}");
        assert!(authenticator.auth.is_done() && peer.auth.is_done(), "{method}");
    }
}

#[test]
fn each_end_may_prove_itself_to_the_other() {
    for theirs in Method::ALL {
        for ours in Method::ALL {
            let mut a = End::new(1, config("a", PASSWORD), Some(ours), Some(theirs));
            let mut b = End::new(2, config("b", PASSWORD), Some(theirs), Some(ours));
            loop {
                let frames = [a.drain(), b.drain()];
                if frames.iter().all(Vec::is_empty) {
                    break;
                }
                for (frames, end) in frames.into_iter().zip([&mut b, &mut a]) {
                    for frame in frames {
                        if let Some(Outcome::Authenticate(request)) = end.receive(&frame) {
                            end.verdict(request.verify(PASSWORD.as_bytes()));
                        }
                    }
                }
            }
            assert!(a.auth.is_done() && b.auth.is_done(), "{ours}, {theirs}");
            assert_eq!(a.auth.peer_name(), Some(&b"b"[..]));
            assert_eq!(b.auth.peer_name(), Some(&b"a"[..]));
            assert_eq!([a.ignored(), b.ignored()], [[0; 3]; 2], "{ours}, {theirs}");
        }
    }
}

#[test]
fn a_re_challenge_changes_nothing() {
    for method in [Method::ChapMd5, Method::MsChapV2] {
        let (mut authenticator, mut peer, _) = pair(method, PASSWORD);
        // The timer of the first re-challenge starts with the Success.
        assert_eq!(authenticator.auth.poll_timeout(), None);
        let rechallenge = Some(Duration::from_secs(300));
        authenticator = End::new(1, Config { rechallenge, ..Config::default() }, None, Some(method));
        talk(&mut authenticator, &mut peer, PASSWORD);
        for _ in 0..3 {
            assert_eq!(authenticator.next().2, None);
            peer.now = authenticator.now;
            assert_eq!(talk(&mut authenticator, &mut peer, PASSWORD), Ends::default());
            assert!(authenticator.auth.is_done() && peer.auth.is_done());
        }
        authenticator.next();
        let refused = talk(&mut authenticator, &mut peer, "changed meanwhile");
        assert_eq!(refused.authenticator, Vec::from_iter(failed(By::Us, "Name or password is wrong")));
        assert_eq!(refused.peer.len(), 1);
    }
}

/// A wrong password, and the right one in the second try.
#[test]
fn mschapv2_may_try_again() {
    let mut authenticator = End::authenticator(Method::MsChapV2);
    let mut peer = End::new(2, config(NAME, "mistyped"), Some(Method::MsChapV2), None);
    peer.receive(&authenticator.sent());
    let wrong = request(authenticator.receive(&peer.sent()));
    let Verdict::Reject { message, code, .. } = wrong.verify(PASSWORD.as_bytes()) else {
        panic!("it is wrong")
    };
    assert_eq!(authenticator.verdict(Verdict::Reject { message, code, retry: true }), None);
    assert!(matches!(peer.receive(&authenticator.sent()), Some(Outcome::Failed { .. })));
    peer.config = config(NAME, PASSWORD);
    assert!(peer.retry());
    let ends = talk(&mut authenticator, &mut peer, PASSWORD);
    assert_eq!(ends.authenticator, [Outcome::PeerAuthenticated]);
    assert_eq!(ends.peer, Vec::from_iter(authenticated("Welcome")));
}

#[test]
fn pap_may_try_again() {
    let mut authenticator = End::authenticator(Method::Pap);
    let mut first = End::new(2, config(NAME, "mistyped"), Some(Method::Pap), None);
    request(authenticator.receive(&first.sent()));
    let code = RejectCode::AUTHENTICATION_FAILURE;
    assert_eq!(authenticator.verdict(Verdict::Reject { message: "".into(), code, retry: true }), None);
    assert_eq!(first.receive(&authenticator.sent()), failed(By::Peer, ""));
    let mut second = End::peer(Method::Pap);
    let ends = talk(&mut authenticator, &mut second, PASSWORD);
    assert_eq!(ends.authenticator, [Outcome::PeerAuthenticated]);
}

#[test]
fn the_answer_goes_to_the_last_authenticate_request() {
    let mut authenticator = End::authenticator(Method::Pap);
    let mut peer = End::peer(Method::Pap);
    request(authenticator.receive(&peer.sent()));
    peer.next();
    let last = peer.sent();
    assert_eq!(authenticator.receive(&last), None);
    authenticator.verdict(Verdict::accept());
    let ack = authenticator.sent();
    assert_eq!(ack[3], last[3]);
    assert_eq!(peer.receive(&ack), authenticated("Welcome"));
}

/// The digest was computed with another implementation.
#[test]
fn the_hash_is_over_identifier_password_and_challenge() {
    let challenge: [u8; 16] = core::array::from_fn(|at| at as u8);
    let response = 0x8216_4366_5b43_0359_e52a_c524_d29c_8f95_u128.to_be_bytes();
    let verify = |proof| Request { name: Box::default(), proof }.verify(b"secret");
    let accepted = Verdict::accept();
    assert_eq!(verify(Proof::ChapMd5 { id: 7, challenge: challenge.into(), response }), accepted);
    assert_eq!(verify(Proof::EapMd5 { id: 7, challenge, response }), accepted);
    assert_eq!(verify(Proof::EapMd5 { id: 8, challenge, response }), Verdict::reject());
}

#[test]
fn what_is_printed_has_no_password() {
    let mut authenticator = End::authenticator(Method::Pap);
    let mut peer = End::new(2, config(NAME, "hush, hush"), Some(Method::Pap), None);
    let request = request(authenticator.receive(&peer.sent()));
    peer.next();
    for text in [format!("{request:?}"), format!("{:?}", peer.auth), format!("{:?}", authenticator.auth)] {
        assert!(!text.contains("hush") && !text.contains("104, 117, 115, 104"), "{text}");
    }
}

#[test]
fn the_challenges_and_identifiers_are_those_of_the_seed() {
    let frames = |seed| End::new(seed, Config::default(), None, Some(Method::MsChapV2)).sent();
    assert_eq!(frames(1), frames(1));
    assert_ne!(frames(1)[7..23], frames(2)[7..23]);
}
