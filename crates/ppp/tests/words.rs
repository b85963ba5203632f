//! Whatever ends a link or a protocol has words, and what a peer says cannot spoil them.

use std::collections::BTreeSet;

use ppp::{By, Event, Method, Mismatch, Protocol, Reason, Why};

fn whys() -> Vec<Why> {
    vec![
        Why::NoAnswer,
        Why::NotConverging,
        Why::Rejected,
        Why::Terminated { message: Box::default() },
        Why::Terminated { message: b"later"[..].into() },
        Why::NoMethod,
        Why::NoAddress,
        Why::Loop,
        Why::NotWanted,
    ]
}

#[test]
fn every_reason_has_words_of_its_own() {
    let mismatches = [
        Mismatch::Missing,
        Mismatch::Malformed,
        Mismatch::Granted,
        Mismatch::Authentication,
        Mismatch::Asked,
    ];
    let failed =
        |by, method, message: &str| Reason::AuthenticationFailed { by, method, message: message.into() };
    let mut reasons = vec![
        Reason::Closed,
        Reason::PeerTerminated { message: Box::default() },
        Reason::PeerTerminated { message: b"bye"[..].into() },
        Reason::Silence,
        failed(By::Us, Some(Method::Pap), "no such user"),
        failed(By::Us, None, ""),
        failed(By::Peer, Some(Method::MsChapV2), ""),
        Reason::Loop,
        Reason::LowerDown,
    ];
    reasons.extend(whys().into_iter().map(|why| Reason::Negotiation { protocol: Protocol::IPCP, why }));
    reasons.extend(mismatches.map(Reason::ProxyMismatch));
    let words: BTreeSet<_> = reasons.iter().map(ToString::to_string).collect();
    assert_eq!(words.len(), reasons.len());
    assert!(words.iter().all(|words| words.len() > 10), "{words:?}");
}

#[test]
fn reasons_read_as_sentences() {
    let why = Reason::Negotiation { protocol: Protocol::LCP, why: Why::NoAnswer };
    let words = "the link is down: LCP: the peer does not answer: see whether data reaches it and comes back";
    assert_eq!(Event::Down(why).to_string(), words);
    let message = "the peer says \"wrong\"".into();
    let failed = Reason::AuthenticationFailed { by: By::Peer, method: Some(Method::ChapMd5), message };
    let words = "the peer does not take us for who we are (CHAP): the peer says \"wrong\"";
    assert_eq!(failed.to_string(), words);
}

#[test]
fn what_a_peer_says_is_printed_as_text() {
    let message: Box<[u8]> = b"\x1b[2J\nroot:\xff\""[..].into();
    for words in [
        Reason::PeerTerminated { message: message.clone() }.to_string(),
        Why::Terminated { message: message.clone() }.to_string(),
        Event::Identification(message.clone()).to_string(),
        Event::Network { peer_name: Some(message) }.to_string(),
    ] {
        assert!(words.ends_with(r#""\x1b[2J\nroot:\xff\"""#), "{words}");
    }
}

#[test]
fn methods_and_protocols_have_names() {
    for method in Method::ALL {
        assert_eq!(method.name().parse(), Ok(method));
    }
    let unknown = "mschap".parse::<Method>().unwrap_err().to_string();
    assert_eq!(unknown, "no such authentication method; there are pap, chap, mschapv2 and eap");
    assert_eq!(
        (Protocol::CCP.to_string(), Protocol(0x1234).to_string()),
        ("CCP".into(), "protocol 0x1234".into())
    );
}
