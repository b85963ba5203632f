//! What the user of an MS-CHAPv2 peer reads when it is refused (RFC 2759 §6).

mod auth_ends;

use auth_ends::{End, failed, frame};
use ppp::{By, Method, RejectCode, Verdict};

const CHALLENGE: &str = "C=0123456789ABCDEF0123456789ABCDEF";

#[test]
fn each_code_has_its_words() {
    for (message, words) in [
        (
            "E=646 R=0 {C} V=3 M=Night",
            "the account may not log on at this time (error 646); the peer says \"Night\"",
        ),
        ("E=647 R=0 {C} V=3 M=", "the account is disabled (error 647)"),
        (
            "E=648 R=0 {C} V=3 M=",
            "the password has expired: have it changed, which is not done over PPP (error 648)",
        ),
        ("E=649 R=0 {C} V=3", "the account has no permission to dial in (error 649)"),
        ("E=691 R=1 {C} V=3 M=", "name or password is wrong (error 691)"),
        ("E=709 R=0 V=3", "the password could not be changed (error 709)"),
        ("E=742 R=0", "error 742"),
        ("E=4294967295 M=?", "error 4294967295; the peer says \"?\""),
        ("R=0 M=no code", "the peer says \"no code\""),
        ("Access denied", "the peer says \"Access denied\""),
        ("", ""),
    ] {
        let mut peer = End::peer(Method::MsChapV2);
        peer.receive(&frame(Method::MsChapV2, 1, 1, &[&[16][..], &[1; 16]].concat()));
        peer.sent();
        let failure = message.replace("{C}", CHALLENGE);
        let outcome = peer.receive(&frame(Method::MsChapV2, 4, 1, failure.as_bytes()));
        assert_eq!(outcome, failed(By::Peer, words), "{failure}");
    }
}

#[test]
fn a_code_that_we_send_is_read() {
    let mut authenticator = End::authenticator(Method::MsChapV2);
    let mut peer = End::peer(Method::MsChapV2);
    peer.receive(&authenticator.sent());
    authenticator.receive(&peer.sent());
    let message = "Call us".into();
    let code = RejectCode::ACCOUNT_DISABLED;
    let outcome = authenticator.verdict(Verdict::Reject { message, code, retry: false });
    assert_eq!(outcome, failed(By::Us, "Call us"));
    let words = "the account is disabled (error 647); the peer says \"Call us\"";
    assert_eq!(peer.receive(&authenticator.sent()), failed(By::Peer, words));
}
