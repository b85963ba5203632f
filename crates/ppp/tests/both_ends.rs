//! Two links against each other, on a line that loses nothing.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::pair::Pair;
use common::{client, seconds};
use ppp::{By, Config, Event, Instant, Link, Method, Phase, Reason, Verdict};

fn server(require: &[Method]) -> Config {
    Config { require: require.to_vec(), name: "lns".into(), ..Config::default() }
}

#[test]
fn they_come_up_with_every_method_within_ten_round_trips() {
    for method in Method::ALL {
        let pair = Pair::run(client("user", "pass"), server(&[method]), Duration::from_millis(20));
        pair.assert_up();
        let [client, server] = pair.agreed();
        assert_eq!(client.ipv4, Some(([10, 0, 0, 2].into(), [10, 0, 0, 1].into())));
        assert_eq!(client.dns, [Some([10, 0, 0, 53].into()), None]);
        assert_eq!(server.peer_name.as_deref(), Some(&b"user"[..]));
        let lcp_up = Event::LcpUp { peer_mru: 1500, local_auth: Some(method), peer_auth: None };
        assert_eq!(pair.events()[0][0], lcp_up);
    }
}

#[test]
fn nobody_has_to_prove_anything() {
    let pair = Pair::run(Config::default(), server(&[]), Duration::from_millis(20));
    pair.assert_up();
    assert_eq!(pair.agreed()[1].peer_name, None);
}

#[test]
fn both_prove_who_they_are() {
    for [ours, theirs] in [
        [Method::MsChapV2, Method::ChapMd5],
        [Method::ChapMd5, Method::ChapMd5],
        [Method::Pap, Method::Eap],
        [Method::Eap, Method::Eap],
    ] {
        let ends = [
            Config { require: vec![theirs], ..client("user", "pass") },
            Config { require: vec![ours], ..client("server", "pass") },
        ];
        let [client, server] = ends;
        let pair = Pair::run(client, server, Duration::from_millis(30));
        pair.assert_up();
        let names = pair.agreed().map(|end| end.peer_name.as_deref());
        assert_eq!(names, [Some(&b"server"[..]), Some(b"user")]);
    }
}

#[test]
fn each_goes_down_its_list_until_both_know_a_method() {
    let accept = |methods: &[Method]| Config { accept: methods.to_vec(), ..client("user", "pass") };
    for (require, accepts, agreed) in [
        (&[Method::MsChapV2, Method::ChapMd5, Method::Pap][..], &[Method::Pap][..], Method::Pap),
        (&[Method::MsChapV2, Method::Eap, Method::ChapMd5], &[Method::ChapMd5, Method::Eap], Method::ChapMd5),
        (&[Method::Pap, Method::Eap], &[Method::MsChapV2, Method::ChapMd5, Method::Eap], Method::Eap),
    ] {
        let pair = Pair::run(accept(accepts), server(require), Duration::from_millis(50));
        pair.assert_up();
        let agreed = Event::LcpUp { peer_mru: 1500, local_auth: None, peer_auth: Some(agreed) };
        assert_eq!(pair.events()[1][0], agreed);
    }
}

#[test]
fn without_a_common_method_both_end_and_say_so() {
    let ours = Config { accept: vec![Method::Pap], ..client("user", "pass") };
    let pair = Pair::run(ours, server(&[Method::MsChapV2]), seconds(60));
    let [client, server] = pair.agreed();
    let why = server.down.as_ref().expect("it is down").to_string();
    assert!(why.starts_with("LCP: the peer refuses every authentication method"), "{why}");
    assert!(client.down.is_some());
}

#[test]
fn a_wrong_password_ends_the_link_with_words() {
    for method in Method::ALL {
        let pair = Pair::run(client("user", "past"), server(&[method]), seconds(1));
        for (end, by) in [(0, By::Peer), (1, By::Us)] {
            let reason = pair.agreed()[end].down.clone();
            match (end, &reason) {
                (_, Some(Reason::AuthenticationFailed { by: who, method: Some(how), .. })) => {
                    assert_eq!((*who, *how), (by, method));
                }
                // Whose Terminate-Request is first, wins: EAP's Failure has no words, but comes first too.
                _ => panic!("{method}: {reason:?}"),
            }
        }
    }
}

#[test]
fn either_end_closes_and_the_other_one_is_told_why() {
    for end in [0, 1] {
        let mut pair = Pair::run(client("user", "pass"), server(&[Method::ChapMd5]), seconds(1));
        pair.act(end, |link, now| link.close(now, "shutting down"));
        assert_eq!(pair.ends[end].link.phase(), Phase::Terminate);
        pair.pass(Duration::from_millis(5));
        assert_eq!(pair.agreed()[end].down, Some(Reason::Closed));
        let told = Reason::PeerTerminated { message: b"shutting down"[..].into() };
        assert_eq!(pair.agreed()[1 - end].down, Some(told));
    }
}

#[test]
fn a_close_that_is_not_answered_ends_after_two_tries() {
    let mut pair = Pair::run(client("user", "pass"), server(&[Method::ChapMd5]), seconds(1));
    pair.act(1, |link, _| link.lower_down());
    assert_eq!(pair.agreed()[1].down, Some(Reason::LowerDown));
    pair.act(0, |link, now| link.close(now, ""));
    pair.pass(Duration::from_millis(5_999));
    assert_eq!(pair.agreed()[0].down, None);
    pair.pass(Duration::from_millis(1));
    assert_eq!(pair.agreed()[0].down, Some(Reason::Closed));
    assert_eq!(pair.ends[0].link.poll_timeout(), None);
}

#[test]
fn the_peer_is_challenged_again_and_traffic_goes_on() {
    let server = Config { rechallenge: Some(seconds(60)), ..server(&[Method::MsChapV2]) };
    let pair = Pair::run(client("user", "pass"), server, seconds(200));
    pair.assert_up();
    let asked = |event: &&Event| matches!(event, Event::Authenticate(_));
    assert_eq!(pair.events()[1].iter().filter(asked).count(), 4);
    assert_eq!(pair.events()[1].iter().filter(|event| matches!(event, Event::Ipv4Up { .. })).count(), 1);
}

#[test]
fn a_peer_that_no_longer_knows_the_password_is_put_out() {
    let server = Config { rechallenge: Some(seconds(60)), ..server(&[Method::ChapMd5]) };
    let mut pair = Pair::run(client("user", "pass"), server, seconds(30));
    pair.assert_up();
    pair.ends[1].password = b"changed".to_vec();
    pair.pass(seconds(40));
    assert!(matches!(pair.agreed()[1].down, Some(Reason::AuthenticationFailed { by: By::Us, .. })));
}

#[test]
fn a_peer_that_negotiates_anew_has_to_prove_itself_anew() {
    let mut pair = Pair::run(client("user", "pass"), server(&[Method::ChapMd5]), seconds(1));
    let request = [0xc0, 0x21, 1, 99, 0, 4];
    pair.act(1, |link, now| link.handle_frame(now, &request));
    let events = &pair.ends[1].events;
    assert_eq!(events[events.len() - 2..], [Event::Ipv4Down, Event::Ipv6Down]);
    assert_eq!(pair.ends[1].link.phase(), Phase::Establish);
    pair.pass(seconds(5));
    pair.assert_up();
    let proofs = pair.events()[1].iter().filter(|event| matches!(event, Event::Authenticate(_))).count();
    assert_eq!(proofs, 2);
}

#[test]
fn a_verdict_is_never_taken_for_one_on_another_proof() {
    let now = Instant::from_micros(1);
    let mut link = Link::new(Arc::new(server(&[Method::Pap])), [3; 32]);
    let mut client = Link::new(Arc::new(client("user", "pass")), [4; 32]);
    let talk = |link: &mut Link, client: &mut Link| {
        let mut frame = Vec::new();
        for _ in 0..20 {
            while link.poll_transmit(&mut frame) {
                client.handle_frame(now, &frame);
            }
            while client.poll_transmit(&mut frame) {
                link.handle_frame(now, &frame);
            }
        }
        std::iter::from_fn(|| link.poll_event())
            .filter(|event| matches!(event, Event::Authenticate(_)))
            .count()
    };
    link.open(now);
    client.open(now);
    assert_eq!(talk(&mut link, &mut client), 1);
    // The peer negotiates anew before there is a verdict: it is not asked again until there is.
    link.handle_frame(now, &[0xc0, 0x21, 1, 99, 0, 4]);
    assert_eq!(talk(&mut link, &mut client), 0);
    assert_eq!(link.phase(), Phase::Authenticate);
    link.authenticated(now, Verdict::accept());
    assert_eq!(link.phase(), Phase::Authenticate, "that was about the proof before");
    client.handle_timeout(now + seconds(3));
    assert_eq!(talk(&mut link, &mut client), 1);
    link.authenticated(now, Verdict::accept());
    assert_eq!(link.phase(), Phase::Network);
}
