//! Whatever the peer sends, in whatever order: nothing panics, and nobody gets in without a verdict.

mod auth_ends;

use auth_ends::{End, PASSWORD, config};
use ppp::auth::Outcome;
use ppp::{By, Method, RejectCode, Verdict};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    /// Any bytes.
    Junk(Method, Vec<u8>),
    /// A packet with the Identifier of the last frame, more or less.
    Packet {
        method: Method,
        code: u8,
        offset: u8,
        data: Vec<u8>,
    },
    /// The last frame, altered, comes back.
    Reflected {
        at: prop::sample::Index,
        to: u8,
    },
    Time,
    Verdict(Verdict),
    Retry,
}

fn method() -> impl Strategy<Value = Method> {
    prop::sample::select(&Method::ALL[..])
}

fn verdict() -> impl Strategy<Value = Verdict> {
    let code = RejectCode::AUTHENTICATION_FAILURE;
    prop_oneof![
        "\\PC{0,300}".prop_map(|message| Verdict::Accept {
            message: message.into(),
            authenticator_response: Some([1; 20])
        }),
        ("\\PC{0,300}", any::<bool>()).prop_map(move |(message, retry)| Verdict::Reject {
            message: message.into(),
            code,
            retry
        }),
        any::<Vec<u8>>().prop_map(|packet| Verdict::EapContinue { packet: packet.into() }),
        Just(Verdict::EapContinue { packet: [1, 9, 0, 5, 13].into() }),
        Just(Verdict::EapMd5),
    ]
}

/// Data that gets further than most: values of the right sizes.
fn data() -> impl Strategy<Value = Vec<u8>> {
    let bytes = |size| prop::collection::vec(any::<u8>(), size);
    prop_oneof![
        bytes(0..20),
        bytes(250..600),
        (prop::sample::select(vec![16u8, 49]), bytes(50..80))
            .prop_map(|(size, rest)| [vec![size], rest].concat()),
        (0..5u8, bytes(0..30)).prop_map(|(kind, rest)| [vec![kind, 16], rest].concat()),
        "[ESRCM]=[0-9A-F]{0,40} [EM]=[0-9]{0,12} (C=[0-9A-F]{32})? R=1".prop_map(String::into_bytes),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (method(), prop::collection::vec(any::<u8>(), 0..40))
            .prop_map(|(method, bytes)| Step::Junk(method, bytes)),
        (method(), 0..6u8, 0..3u8, data()).prop_map(|(method, code, offset, data)| Step::Packet {
            method,
            code,
            offset,
            data
        }),
        (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, to)| Step::Reflected { at, to }),
        Just(Step::Time),
        verdict().prop_map(Step::Verdict),
        Just(Step::Retry),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn any_steps(
        local in prop::option::of(method()),
        peer in prop::option::of(method()),
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let mut end = End::new(1, config("alice", PASSWORD), local, peer);
        let (mut last, mut asked, mut accepted) = (vec![0; 4], false, false);
        for step in steps {
            for frame in end.drain() {
                prop_assert!(frame.len() < 600);
                last = frame;
            }
            if let Step::Retry = step {
                end.retry();
                continue;
            }
            let outcome = match step {
                Step::Junk(method, bytes) => {
                    end.receive(&[&method.protocol().0.to_be_bytes(), &*bytes].concat())
                }
                Step::Packet { method, code, offset, data } => {
                    end.receive(&auth_ends::frame(method, code, last[3].wrapping_add(offset), &data))
                }
                Step::Reflected { at, to } => {
                    let mut frame = last.clone();
                    let at = at.index(frame.len());
                    frame[at] = to;
                    end.receive(&frame)
                }
                Step::Time => end.auth.poll_timeout().and_then(|(at, _)| end.timeout(at)),
                Step::Verdict(verdict) => {
                    let was = core::mem::take(&mut asked);
                    accepted |= was && matches!(verdict, Verdict::Accept { .. });
                    let outcome = end.verdict(verdict);
                    prop_assert!(was || outcome.is_none());
                    outcome
                }
                Step::Retry => unreachable!("it is above"),
            };
            prop_assert!(end.auth.poll_timeout().is_none_or(|(at, _)| at > end.now));
            match outcome {
                Some(Outcome::Authenticate(request)) => {
                    prop_assert!(!asked, "one request, one verdict");
                    prop_assert!(request.name.len() <= 255);
                    asked = true;
                }
                Some(Outcome::Failed { by, message }) => {
                    asked &= by == By::Peer;
                    prop_assert!(message.len() < 2000);
                }
                _ => {}
            }
            prop_assert!(accepted || peer.is_none() || !end.auth.is_done());
        }
    }
}
