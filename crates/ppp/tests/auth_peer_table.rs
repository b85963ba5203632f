//! The table of the end that proves itself (`auth::peer`), a test for each row.

mod auth_ends;

use std::time::Duration;

use auth_ends::{End, NAME, PASSWORD, authenticated, failed, frame};
use ppp::auth::Outcome;
use ppp::{By, Method, Proof, Request, Timer, Verdict};

const RESTART: Duration = Duration::from_secs(3);
const MINUTE: Duration = Duration::from_secs(60);

fn challenge(method: Method, id: u8, fill: u8) -> Vec<u8> {
    frame(method, 1, id, &[&[16][..], &[fill; 16], b"server"].concat())
}

/// A peer that has answered a Challenge, and its Response.
fn answered(method: Method) -> (End, Vec<u8>) {
    let mut end = End::peer(method);
    assert_eq!(end.receive(&challenge(method, 5, 1)), None);
    let response = end.sent();
    (end, response)
}

fn done() -> (End, Vec<u8>) {
    let (mut end, response) = answered(Method::ChapMd5);
    assert_eq!(end.receive(&frame(Method::ChapMd5, 3, 5, b"Hello")), authenticated("Hello"));
    assert!(end.auth.is_done());
    (end, response)
}

/// What an account with our password says to an MS-CHAPv2 Response, as a Success's message.
fn success(response: &[u8], fill: u8) -> String {
    let proof = Proof::MsChapV2 {
        id: 0,
        challenge: [fill; 16],
        peer_challenge: response[7..23].try_into().unwrap(),
        nt_response: response[31..55].try_into().unwrap(),
    };
    match (Request { name: NAME.as_bytes().into(), proof }).verify(PASSWORD.as_bytes()) {
        Verdict::Accept { authenticator_response: Some(response), .. } => {
            response.iter().fold("S=".into(), |text, octet| format!("{text}{octet:02X}"))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn waiting_a_challenge_is_answered() {
    let (mut end, response) = answered(Method::ChapMd5);
    assert_eq!(response[..7], [0xc2, 0x23, 2, 5, 0, 26, 16]);
    assert_eq!(&response[23..], NAME.as_bytes());
    let proof =
        Proof::ChapMd5 { id: 5, challenge: [1; 16].into(), response: response[7..23].try_into().unwrap() };
    let request = Request { name: Box::default(), proof };
    assert_eq!(request.verify(PASSWORD.as_bytes()), Verdict::accept());
    assert_eq!(request.verify(b"another"), Verdict::reject());
    assert!(end.is_silent());
    assert!(!end.auth.is_done());
}

#[test]
fn waiting_success_and_failure_are_stray() {
    let mut end = End::peer(Method::ChapMd5);
    for code in [3, 4] {
        for id in 0..=255 {
            assert_eq!(end.receive(&frame(Method::ChapMd5, code, id, b"")), None);
        }
    }
    assert_eq!(end.ignored(), [0, 512, 0]);
    let mut end = End::peer(Method::Eap);
    assert_eq!(end.receive(&frame(Method::Eap, 3, 1, b"")), None, "a Success before all (RFC 3748 §4.2)");
    assert_eq!(end.ignored(), [0, 1, 0]);
    assert_eq!(end.receive(&frame(Method::Eap, 4, 1, b"")), failed(By::Peer, ""));
}

#[test]
fn waiting_ends_when_time_is_up() {
    for (method, what) in [
        (Method::ChapMd5, "sent no Challenge"),
        (Method::MsChapV2, "sent no Challenge"),
        (Method::Eap, "sent no EAP Request"),
    ] {
        let mut end = End::peer(method);
        let words = format!("the peer {what} within 60s");
        assert_eq!(end.next(), (Timer::Authentication, MINUTE, failed(By::Peer, &words)));
        assert_eq!(end.auth.poll_timeout(), None);
    }
}

#[test]
fn answered_the_last_challenge_counts() {
    let (mut end, _) = answered(Method::ChapMd5);
    end.receive(&challenge(Method::ChapMd5, 6, 2));
    assert_eq!(end.sent()[2..4], [2, 6]);
    assert_eq!(end.receive(&frame(Method::ChapMd5, 3, 5, b"")), None);
    assert_eq!(end.ignored(), [0, 1, 0]);
    assert_eq!(end.receive(&frame(Method::ChapMd5, 3, 6, b"")), authenticated(""));
}

#[test]
fn answered_the_same_challenge_gets_the_same_response() {
    for method in [Method::ChapMd5, Method::MsChapV2] {
        let (mut end, response) = answered(method);
        assert_eq!(end.receive(&challenge(method, 5, 1)), None);
        assert_eq!(end.sent(), response);
        end.receive(&challenge(method, 5, 2));
        assert_ne!(end.sent(), response, "another challenge with the same Identifier");
    }
}

#[test]
fn answered_the_response_is_repeated() {
    let (mut end, response) = answered(Method::MsChapV2);
    for _ in 0..3 {
        assert_eq!(end.next(), (Timer::LocalAuth, RESTART, None));
        assert_eq!(end.sent(), response);
    }
    let mut end = End::peer(Method::Pap);
    let first = end.sent();
    assert_eq!(end.next(), (Timer::LocalAuth, RESTART, None));
    let second = end.sent();
    assert_eq!(second[3], first[3].wrapping_add(1), "a new Identifier (RFC 1334 §2.2.1)");
    assert_eq!((&second[..3], &second[4..]), (&first[..3], &first[4..]));
    assert_eq!(end.receive(&frame(Method::Pap, 2, first[3].wrapping_sub(1), &[0])), None);
    assert_eq!(end.ignored(), [0, 1, 0]);
    assert_eq!(end.receive(&frame(Method::Pap, 2, first[3], &[0])), authenticated(""), "either will do");
}

#[test]
fn answered_eap_waits_for_the_question_again() {
    let mut end = End::peer(Method::Eap);
    end.receive(&frame(Method::Eap, 1, 9, &[1]));
    assert_eq!(end.sent(), frame(Method::Eap, 2, 9, b"\x01alice"));
    assert_eq!(end.auth.poll_timeout().map(|(_, timer)| timer), Some(Timer::Authentication));
    end.receive(&frame(Method::Eap, 1, 9, &[1]));
    assert_eq!(end.sent(), frame(Method::Eap, 2, 9, b"\x01alice"));
}

#[test]
fn answered_a_success_is_the_end() {
    let (mut end, _) = done();
    assert_eq!(end.auth.poll_timeout(), None);
    assert_eq!(end.receive(&frame(Method::ChapMd5, 3, 5, b"Hello")), None);
    assert_eq!(end.ignored(), [0, 1, 0]);
}

#[test]
fn answered_mschapv2_the_peer_has_to_prove_itself_too() {
    let (mut end, response) = answered(Method::MsChapV2);
    let right = success(&response, 1) + " M=Welcome";
    assert_eq!(end.receive(&frame(Method::MsChapV2, 3, 5, right.as_bytes())), authenticated("Welcome"));

    let words = "the peer does not prove that it knows the password (RFC 2759 §5): \
                 it may be another one than it says, or the password differs";
    let wrong = format!("S={} M=Welcome", "0".repeat(40));
    for message in [wrong.as_str(), "M=Welcome", ""] {
        let (mut end, _) = answered(Method::MsChapV2);
        let outcome = end.receive(&frame(Method::MsChapV2, 3, 5, message.as_bytes()));
        assert_eq!(outcome, failed(By::Peer, words), "{message}");
        assert!(!end.auth.is_done());
    }
}

#[test]
fn answered_a_failure_is_the_end() {
    let (mut end, _) = answered(Method::ChapMd5);
    assert_eq!(end.receive(&frame(Method::ChapMd5, 4, 6, b"No")), None, "not to our Response");
    assert_eq!(end.receive(&frame(Method::ChapMd5, 4, 5, b"No")), failed(By::Peer, "the peer says \"No\""));
    assert_eq!(end.auth.poll_timeout(), None);
    assert!(!end.auth.is_done());
}

#[test]
fn answered_ends_when_time_is_up() {
    for (method, what) in [(Method::ChapMd5, "Response"), (Method::Pap, "Authenticate-Request")] {
        let mut end = if method == Method::Pap { End::peer(method) } else { answered(method).0 };
        let last = end.now + MINUTE;
        let words = format!("the peer did not answer our {what} within 60s");
        let mut outcome = None;
        while outcome.is_none() && end.now < last {
            outcome = end.next().2;
            for frame in end.drain() {
                end.receive(&challenge(method, frame[3].wrapping_add(1), 9));
            }
        }
        assert_eq!(outcome, failed(By::Peer, &words));
        assert_eq!(end.now, last, "neither our repetitions nor the peer's Challenges prolong it");
    }
}

#[test]
fn done_another_challenge_is_answered() {
    let (mut end, _) = done();
    end.now = end.now + MINUTE;
    end.receive(&challenge(Method::ChapMd5, 6, 2));
    let response = end.sent();
    assert!(end.auth.is_done());
    assert_eq!(end.next(), (Timer::LocalAuth, RESTART, None));
    assert_eq!(end.sent(), response);
    assert_eq!(end.receive(&frame(Method::ChapMd5, 3, 6, b"")), None, "nothing new");
    assert_eq!(end.auth.poll_timeout(), None);

    end.receive(&challenge(Method::ChapMd5, 7, 3));
    end.sent();
    let last = end.now + MINUTE;
    assert_eq!(end.timeout(last), None, "a lost Success does not matter any more");
    assert!(end.auth.is_done());
    assert_eq!(end.auth.poll_timeout(), None);
}

#[test]
fn done_the_same_challenge_gets_the_same_response() {
    let (mut end, response) = done();
    end.receive(&challenge(Method::ChapMd5, 5, 1));
    assert_eq!(end.sent(), response);
    assert_eq!(end.auth.poll_timeout(), None, "and that is all");
}

#[test]
fn done_a_failure_is_the_end_with_chap_only() {
    let (mut end, _) = done();
    assert_eq!(end.receive(&frame(Method::ChapMd5, 4, 5, b"Bye")), failed(By::Peer, "the peer says \"Bye\""));
    assert!(!end.auth.is_done());

    let mut end = End::peer(Method::Pap);
    let id = end.sent()[3];
    end.receive(&frame(Method::Pap, 2, id, &[0]));
    assert_eq!(end.receive(&frame(Method::Pap, 3, id, &[0])), None);
    assert!(end.auth.is_done());

    let mut end = End::peer(Method::Eap);
    end.receive(&frame(Method::Eap, 1, 9, &[1]));
    assert_eq!(end.receive(&frame(Method::Eap, 3, 9, &[])), authenticated(""));
    assert_eq!(end.receive(&frame(Method::Eap, 4, 9, &[])), None);
    assert!(end.auth.is_done());
}

#[test]
fn failed_nothing_is_answered() {
    let (mut end, _) = answered(Method::ChapMd5);
    end.receive(&frame(Method::ChapMd5, 4, 5, b"No"));
    for code in [1, 3, 4] {
        assert_eq!(end.receive(&frame(Method::ChapMd5, code, 5, &[1, 1])), None);
    }
    assert_eq!(end.ignored(), [0, 3, 0]);
    assert!(end.is_silent());
    assert!(!end.retry(), "CHAP has no other try");
}

#[test]
fn failed_another_try_may_be_allowed() {
    let (mut end, _) = answered(Method::MsChapV2);
    let hex = "0123456789ABCDEF".repeat(2);
    let failure = format!("E=691 R=1 C={hex} V=3 M=Again");
    end.receive(&frame(Method::MsChapV2, 4, 5, failure.as_bytes()));
    end.config = auth_ends::config("bob", PASSWORD);
    assert!(end.retry());
    let response = end.sent();
    assert_eq!(response[2..4], [2, 6], "the next Identifier");
    assert!(response.ends_with(b"bob"));
    assert!(!end.retry(), "one try for one Failure");

    let failure = format!("E=691 R=0 C={hex} V=3 M=No");
    end.receive(&frame(Method::MsChapV2, 4, 6, failure.as_bytes()));
    assert!(!end.retry());
    assert!(end.is_silent());
}

#[test]
fn eap_a_notification_is_told_and_answered() {
    let mut end = End::peer(Method::Eap);
    let outcome = end.receive(&frame(Method::Eap, 1, 3, b"\x02Password expires\tsoon\r\n"));
    assert_eq!(outcome, Some(Outcome::Notification("Password expires soon".into())));
    assert_eq!(end.sent(), frame(Method::Eap, 2, 3, &[2]));
    assert_eq!(end.receive(&frame(Method::Eap, 3, 3, &[])), None, "still waiting");
}

#[test]
fn eap_another_type_is_refused_for_md5() {
    for (kind, name) in [(5, "OTP"), (13, "TLS"), (26, "MS-CHAPv2"), (254, "type 254"), (255, "type 255")] {
        let mut end = End::peer(Method::Eap);
        assert_eq!(end.receive(&frame(Method::Eap, 1, 7, &[kind, 1, 2, 3])), None);
        assert_eq!(end.sent(), frame(Method::Eap, 2, 7, &[3, 4]));
        assert_eq!(end.receive(&frame(Method::Eap, 3, 7, &[])), None, "nothing was proved");
        let words = format!("the peer asks for {name}, but of EAP only MD5-Challenge is done here");
        assert_eq!(end.receive(&frame(Method::Eap, 4, 7, &[])), failed(By::Peer, &words));
    }
}

#[test]
fn eap_a_network_packet_stands_for_a_lost_success() {
    let mut end = End::peer(Method::Eap);
    assert_eq!(end.auth.handle_network(), None, "not before an answer");
    end.receive(&frame(Method::Eap, 1, 9, &[1]));
    assert_eq!(end.auth.handle_network(), authenticated(""));
    assert!(end.auth.is_done());
    let (mut end, _) = answered(Method::MsChapV2);
    assert_eq!(end.auth.handle_network(), None, "the others ask again");
    assert!(!end.auth.is_done());
}
