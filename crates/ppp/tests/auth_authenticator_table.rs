//! The authenticator's table (`auth::authenticator`), a test for each row.

mod auth_ends;

use std::time::Duration;

use auth_ends::{End, failed, frame, request};
use ppp::auth::Outcome;
use ppp::{By, Config, Method, Proof, RejectCode, Timer, Verdict};

const RESTART: Duration = Duration::from_secs(3);
const MINUTE: Duration = Duration::from_secs(60);

/// An authenticator, and its Challenge.
fn asking() -> (End, Vec<u8>) {
    let mut end = End::authenticator(Method::ChapMd5);
    let challenge = end.sent();
    (end, challenge)
}

/// A Response, right in form, to a Challenge.
fn response(challenge: &[u8], name: &str) -> Vec<u8> {
    frame(Method::ChapMd5, 2, challenge[3], &[&[16][..], &[7; 16], name.as_bytes()].concat())
}

fn checking() -> (End, Vec<u8>) {
    let (mut end, challenge) = asking();
    let response = response(&challenge, "alice");
    request(end.receive(&response));
    (end, response)
}

fn accepted(rechallenge: Option<Duration>) -> (End, Vec<u8>, Vec<u8>) {
    let (mut end, response) = checking();
    end.config.rechallenge = rechallenge;
    assert_eq!(end.verdict(Verdict::accept()), Some(Outcome::PeerAuthenticated));
    let success = end.sent();
    (end, response, success)
}

#[test]
fn asking_a_response_is_handed_out() {
    let (mut end, challenge) = asking();
    assert_eq!(challenge[..3], [0xc2, 0x23, 1]);
    assert_eq!(challenge[4..7], [0, 26, 16], "length and value size");
    assert_eq!(&challenge[23..], b"ol2tp");
    let request = request(end.receive(&response(&challenge, "alice")));
    assert_eq!(&*request.name, b"alice");
    let expected = Proof::ChapMd5 { id: challenge[3], challenge: challenge[7..23].into(), response: [7; 16] };
    assert_eq!(request.proof, expected);
    assert!(end.is_silent(), "the answer comes with the verdict");
    assert!(!end.auth.is_done());
    assert_eq!(end.auth.peer_name(), Some(&b"alice"[..]));
}

#[test]
fn asking_a_response_to_something_else_is_stray() {
    let (mut end, mut challenge) = asking();
    challenge[3] = challenge[3].wrapping_add(1);
    assert_eq!(end.receive(&response(&challenge, "alice")), None);
    assert_eq!(end.ignored(), [0, 1, 0]);
    assert!(end.is_silent());
}

#[test]
fn asking_a_verdict_means_nothing() {
    let (mut end, _) = asking();
    assert_eq!(end.verdict(Verdict::accept()), None);
    assert!(end.is_silent());
    assert!(!end.auth.is_done());
}

#[test]
fn asking_the_question_is_repeated_as_it_was() {
    let (mut end, challenge) = asking();
    for _ in 0..3 {
        assert_eq!(end.next(), (Timer::PeerAuth, RESTART, None));
        assert_eq!(end.sent(), challenge);
    }
}

#[test]
fn asking_ends_when_time_is_up() {
    for (method, what) in [
        (Method::Pap, "sent no Authenticate-Request"),
        (Method::ChapMd5, "did not answer the Challenge"),
        (Method::MsChapV2, "did not answer the Challenge"),
        (Method::Eap, "did not answer the EAP Request"),
    ] {
        let mut end = End::authenticator(method);
        end.drain();
        let last = end.now + MINUTE;
        assert_eq!(end.timeout(last), failed(By::Us, &format!("the peer {what} within 60s")));
        assert_eq!(end.auth.poll_timeout(), None);
        assert!(!end.auth.is_done());
    }
}

#[test]
fn asking_md5_a_nak_is_refused() {
    for (types, words) in [
        (&[13, 26, 99][..], "the peer offers TLS or MS-CHAPv2 or type 99 instead"),
        (&[], "the peer offers nothing instead"),
    ] {
        let mut end = End::authenticator(Method::Eap);
        let id = end.sent()[3];
        end.receive(&frame(Method::Eap, 2, id, b"\x01alice"));
        assert_eq!(end.verdict(Verdict::EapMd5), None);
        let question = end.sent();
        assert_eq!((question[2], question[3], question[6]), (1, id.wrapping_add(1), 4));
        let outcome = end.receive(&frame(Method::Eap, 2, question[3], &[&[3], types].concat()));
        let words = format!("of EAP only MD5-Challenge is done here, {words}");
        assert_eq!(outcome, failed(By::Us, &words));
        assert_eq!(end.sent(), frame(Method::Eap, 4, question[3], &[]), "Failure");
    }
}

#[test]
fn checking_a_repeated_response_is_not_asked_again() {
    let (mut end, response) = checking();
    assert_eq!(end.receive(&response), None);
    assert_eq!(end.ignored(), [0, 1, 0]);
    assert!(end.is_silent());
    assert_eq!(end.verdict(Verdict::accept()), Some(Outcome::PeerAuthenticated));
    end.sent();
}

#[test]
fn checking_accept_is_a_success() {
    let (mut end, response, success) = accepted(None);
    assert_eq!(success, frame(Method::ChapMd5, 3, response[3], b"Welcome"));
    assert!(end.auth.is_done());
    assert_eq!(end.auth.poll_timeout(), None);
    assert_eq!(end.verdict(Verdict::reject()), None, "one verdict for one request");
    assert!(end.auth.is_done());
}

#[test]
fn checking_reject_is_a_failure() {
    let (mut end, response) = checking();
    assert_eq!(end.verdict(Verdict::reject()), failed(By::Us, "Name or password is wrong"));
    assert_eq!(end.sent(), frame(Method::ChapMd5, 4, response[3], b"Name or password is wrong"));
    assert!(!end.auth.is_done());
    assert_eq!(end.auth.poll_timeout(), None);
}

#[test]
fn checking_the_next_question_is_asked() {
    let mut end = End::authenticator(Method::MsChapV2);
    let challenge = end.sent();
    let response = frame(Method::MsChapV2, 2, challenge[3], &[&[49], &[7; 49][..]].concat());
    request(end.receive(&response));
    let again = RejectCode::AUTHENTICATION_FAILURE;
    assert_eq!(end.verdict(Verdict::Reject { message: "Again".into(), code: again, retry: true }), None);
    let failure = end.sent();
    assert_eq!(failure[2..4], [4, challenge[3]]);
    assert!(failure[6..].starts_with(b"E=691 R=1 C="), "{failure:?}");
    assert!(failure.ends_with(b" V=3 M=Again"));
    assert_eq!(end.receive(&response), None, "it has been answered");
    assert_eq!(end.sent(), failure);
    assert_eq!(end.auth.poll_timeout(), Some((end.now + MINUTE, Timer::Authentication)));

    let next = frame(Method::MsChapV2, 2, challenge[3].wrapping_add(1), &response[6..]);
    let Proof::MsChapV2 { challenge: new, .. } = request(end.receive(&next)).proof else {
        panic!("another method")
    };
    let hex: String = new.iter().map(|octet| format!("{octet:02X}")).collect();
    assert_eq!(&failure[18..50], hex.as_bytes(), "the challenge of the Failure");
    assert_ne!(new, challenge[7..23]);
}

#[test]
fn checking_ends_when_time_is_up() {
    let (mut end, response) = checking();
    let words = "no verdict on name and password within 60s: see why accounts do not answer";
    assert_eq!(end.next(), (Timer::Authentication, MINUTE, failed(By::Us, words)));
    assert_eq!(end.sent(), frame(Method::ChapMd5, 4, response[3], b""));
    assert_eq!(end.verdict(Verdict::accept()), None, "too late");
    assert!(!end.auth.is_done());
}

#[test]
fn accepted_a_repeated_response_gets_the_same_answer() {
    let (mut end, response, success) = accepted(None);
    for _ in 0..2 {
        assert_eq!(end.receive(&response), None);
        assert_eq!(end.sent(), success);
    }
    let wrong = frame(Method::ChapMd5, 2, response[3], &[&[16], &[8; 16][..]].concat());
    assert_eq!(end.receive(&wrong), None);
    assert_eq!(end.sent(), success, "no other secret is tried (RFC 1994 §4.2)");
    assert_eq!(end.ignored(), [0; 3]);
}

#[test]
fn accepted_the_peer_is_challenged_again() {
    let (mut end, response, _) = accepted(Some(Duration::from_secs(600)));
    assert_eq!(end.next(), (Timer::PeerAuth, Duration::from_secs(600), None));
    let challenge = end.sent();
    assert_eq!(challenge[2..4], [1, response[3].wrapping_add(1)]);
    assert!(end.auth.is_done(), "until it fails");
    assert_eq!(end.receive(&response), None);
    assert_eq!(end.ignored(), [0, 1, 0], "the old one no longer counts");
    assert_eq!(end.next(), (Timer::PeerAuth, RESTART, None));
    assert_eq!(end.sent(), challenge);
    request(end.receive(&self::response(&challenge, "alice")));
    assert_eq!(end.verdict(Verdict::accept()), None, "nothing new");
    assert_eq!(end.sent()[2..4], [3, challenge[3]]);
    assert_eq!(end.next().1, Duration::from_secs(600));
}

#[test]
fn accepted_and_challenged_again_the_peer_may_fail() {
    let again = || {
        let (mut end, ..) = accepted(Some(Duration::from_secs(600)));
        end.next();
        let challenge = end.sent();
        (end, challenge)
    };
    let (mut end, challenge) = again();
    request(end.receive(&response(&challenge, "alice")));
    assert_eq!(end.verdict(Verdict::reject()), failed(By::Us, "Name or password is wrong"));
    assert!(!end.auth.is_done());

    let (mut end, challenge) = again();
    let words = "challenged again, the peer gives another name";
    assert_eq!(end.receive(&response(&challenge, "bob")), failed(By::Us, words));
    assert_eq!(end.sent()[2..4], [4, challenge[3]]);

    let (mut end, _) = again();
    let last = end.now + MINUTE;
    assert_eq!(end.timeout(last), failed(By::Us, "the peer did not answer the Challenge within 60s"));
    assert!(!end.auth.is_done());
}

#[test]
fn refused_a_repeated_response_gets_the_same_answer() {
    let (mut end, response) = checking();
    end.verdict(Verdict::reject());
    let failure = end.sent();
    assert_eq!(end.receive(&response), None);
    assert_eq!(end.sent(), failure);
}

#[test]
fn a_proof_from_elsewhere_is_answered_with_its_identifier() {
    let (mut end, response) = checking();
    let name = Box::from(&b"bob"[..]);
    let challenge = Box::from(&b"a LAC's"[..]);
    let request = ppp::Request { name, proof: Proof::ChapMd5 { id: 77, challenge, response: [1; 16] } };
    end.resume(&request);
    assert!(end.is_silent());
    assert_eq!(end.verdict(Verdict::accept()), Some(Outcome::PeerAuthenticated));
    assert_eq!(end.sent(), frame(Method::ChapMd5, 3, 77, b"Welcome"));
    assert_eq!(end.auth.peer_name(), Some(&b"bob"[..]));
    assert_eq!(end.receive(&response), None);
    assert_eq!(end.ignored(), [0, 1, 0]);
}

#[test]
fn nothing_agreed_is_done_at_once() {
    let mut end = End::new(1, Config::default(), None, None);
    assert!(end.auth.is_done());
    assert_eq!(end.auth.poll_timeout(), None);
    assert!(end.is_silent());
    assert_eq!(end.auth.peer_name(), None);
}
