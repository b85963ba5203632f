//! Proxy LCP and proxy authentication (RFC 2661 §4.4.5): what an LNS makes of it, and what a LAC tells.

mod common;

use common::pair::Pair;
use common::*;
use ppp::config::{Ipv4, Network, Proxy, ProxyPolicy};
use ppp::{By, Config, Event, Method, Mismatch, Phase, Proof, Protocol, Reason, Verdict};

const MRU: u8 = 1;
const AUTHENTICATION: u8 = 3;
const MAGIC: u8 = 5;

fn lns(proxy: ProxyPolicy) -> Config {
    Config { require: vec![Method::ChapMd5, Method::Pap], proxy, ..Config::default() }
}

/// What a LAC tells that has agreed on this method, and got no proof.
fn negotiated(method: Method) -> Proxy {
    let received = Some(opts(&[(MRU, &1400u16.to_be_bytes()), (MAGIC, &[2; 4])]));
    Proxy {
        initial_received_lcp: received.clone(),
        last_sent_lcp: Some(opts(&[(AUTHENTICATION, method.option()), (MAGIC, &[1; 4])])),
        last_received_lcp: received,
        ..Proxy::default()
    }
}

/// Likewise, and that got the password.
fn with_password(password: &[u8]) -> Proxy {
    Proxy {
        authen_type: Some(3),
        authen_name: Some(b"user".to_vec()),
        authen_id: Some(55),
        authen_response: Some(password.to_vec().into()),
        ..negotiated(Method::Pap)
    }
}

/// A link opened with what the LAC tells, and what it has sent.
fn opened(config: Config, proxy: &Proxy) -> (Bench, Vec<Sent>) {
    let mut bench = Bench::new(config);
    bench.link.open_with_proxy(bench.now, proxy);
    let sent = bench.sent();
    (bench, sent)
}

#[test]
fn what_the_lac_has_negotiated_holds() {
    for policy in [ProxyPolicy::Accept, ProxyPolicy::RenegotiateOnMismatch] {
        let (mut bench, sent) = opened(lns(policy), &negotiated(Method::ChapMd5));
        let up = Event::LcpUp { peer_mru: 1400, local_auth: None, peer_auth: Some(Method::ChapMd5) };
        assert_eq!(bench.told(), [up]);
        assert_eq!(sent.iter().map(|sent| sent.protocol).collect::<Vec<_>>(), [Protocol::CHAP]);
        let reply = bench.hear(Protocol::LCP, ECHO_REQUEST, 1, &[2; 4]);
        assert_eq!(reply[0].data, [1; 4], "the LAC's magic number is ours now");
    }
}

#[test]
fn the_password_that_the_lac_was_told_is_verified_here() {
    let (mut bench, sent) = opened(lns(ProxyPolicy::Accept), &with_password(b"pass"));
    assert_eq!(sent, []);
    let [Event::LcpUp { .. }, Event::Authenticate(request)] = &bench.told()[..] else { panic!("no proof") };
    assert_eq!((&*request.name, request.verify(b"pass")), (&b"user"[..], Verdict::accept()));
    bench.link.authenticated(bench.now, request.verify(b"pass"));
    let ack = bench.sent().pop().unwrap();
    assert_eq!((ack.protocol, ack.code, ack.id), (Protocol::PAP, 2, 55));
    let name = Some(b"user"[..].into());
    assert_eq!(bench.told(), [Event::Network { peer_name: name }]);
}

#[test]
fn a_wrong_password_that_the_lac_was_told_ends_the_link() {
    let (mut bench, _) = opened(lns(ProxyPolicy::Accept), &with_password(b"past"));
    bench.link.authenticated(bench.now, Verdict::reject());
    let sent = bench.sent();
    let [nak, farewell] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!((nak.protocol, nak.code, nak.id), (Protocol::PAP, 3, 55));
    assert_eq!((farewell.protocol, farewell.code), (Protocol::LCP, TERMINATE_REQUEST));
    bench.pass(seconds(6));
    let told = bench.told();
    assert!(matches!(told.last(), Some(Event::Down(Reason::AuthenticationFailed { by: By::Us, .. }))));
}

#[test]
fn what_the_lac_has_asked_for_and_we_do_not_is_no_agreement() {
    // The peer waits for a verdict on its password, which nobody here can give.
    let anyone = |proxy| Config { require: Vec::new(), proxy, ..Config::default() };
    let (mut bench, _) = opened(anyone(ProxyPolicy::Accept), &with_password(b"pass"));
    assert_eq!(bench.told(), [Event::Down(Reason::ProxyMismatch(Mismatch::Authentication))]);
    let (bench, sent) = opened(anyone(ProxyPolicy::RenegotiateOnMismatch), &with_password(b"pass"));
    assert_eq!((sent[0].code, sent[0].option(AUTHENTICATION)), (CONFIGURE_REQUEST, None));
    assert_eq!(bench.link.phase(), Phase::Establish);
}

#[test]
fn a_proof_that_cannot_be_read_is_asked_for_again() {
    let good = Proxy {
        authen_type: Some(2),
        authen_name: Some(b"user".to_vec()),
        authen_challenge: Some(vec![7; 16]),
        authen_id: Some(1),
        authen_response: Some(vec![8; 16].into()),
        ..negotiated(Method::ChapMd5)
    };
    assert_eq!(opened(lns(ProxyPolicy::Accept), &good).1, []);
    for bad in [
        Proxy { authen_type: Some(3), ..good.clone() },
        Proxy { authen_type: None, ..good.clone() },
        Proxy { authen_name: None, ..good.clone() },
        Proxy { authen_id: None, ..good.clone() },
        Proxy { authen_challenge: None, ..good.clone() },
        Proxy { authen_challenge: Some(vec![7; 256]), ..good.clone() },
        Proxy { authen_response: Some(vec![8; 17].into()), ..good.clone() },
        Proxy { authen_name: Some(vec![8; 256]), ..good },
    ] {
        let (mut bench, sent) = opened(lns(ProxyPolicy::Accept), &bad);
        assert_eq!((sent[0].protocol, sent[0].code), (Protocol::CHAP, 1), "{bad:?}");
        assert_eq!(bench.told().len(), 1);
    }
}

#[test]
fn what_cannot_hold_is_negotiated_anew_or_ends_the_link() {
    let good = negotiated(Method::ChapMd5);
    let ours = |options: &[(u8, &[u8])]| Proxy { last_sent_lcp: Some(opts(options)), ..good.clone() };
    let theirs = |options: &[(u8, &[u8])]| Proxy { last_received_lcp: Some(opts(options)), ..good.clone() };
    let chap = (AUTHENTICATION, Method::ChapMd5.option());
    for (proxy, mismatch) in [
        (Proxy::default(), Mismatch::Missing),
        (Proxy { last_sent_lcp: None, ..good.clone() }, Mismatch::Missing),
        (Proxy { last_received_lcp: Some(vec![1]), ..good.clone() }, Mismatch::Malformed),
        (ours(&[]), Mismatch::Authentication),
        (ours(&[(AUTHENTICATION, Method::MsChapV2.option())]), Mismatch::Authentication),
        (ours(&[(AUTHENTICATION, &[0xc2, 0x23, 0x80])]), Mismatch::Asked),
        (ours(&[chap, (17, &[6, 78])]), Mismatch::Asked),
        (theirs(&[(17, &[6, 78])]), Mismatch::Granted),
        (theirs(&[(AUTHENTICATION, Method::Pap.option())]), Mismatch::Granted),
        (theirs(&[(MRU, &[0, 1])]), Mismatch::Granted),
    ] {
        let (mut bench, sent) = opened(lns(ProxyPolicy::Accept), &proxy);
        assert_eq!(sent, []);
        assert_eq!(bench.told(), [Event::Down(Reason::ProxyMismatch(mismatch))], "{proxy:?}");

        let (bench, sent) = opened(lns(ProxyPolicy::RenegotiateOnMismatch), &proxy);
        assert_eq!((sent[0].protocol, sent[0].code), (Protocol::LCP, CONFIGURE_REQUEST));
        assert_eq!(bench.link.phase(), Phase::Establish);
    }
}

#[test]
fn an_mru_beyond_ours_is_a_mismatch_only_where_it_can_be_mended() {
    for (policy, phase) in
        [(ProxyPolicy::Accept, Phase::Authenticate), (ProxyPolicy::RenegotiateOnMismatch, Phase::Establish)]
    {
        let (bench, _) = opened(Config { mru: 1400, ..lns(policy) }, &negotiated(Method::ChapMd5));
        assert_eq!(bench.link.phase(), phase);
    }
}

#[test]
fn the_policy_may_be_to_believe_nothing() {
    let (bench, sent) = opened(lns(ProxyPolicy::AlwaysRenegotiate), &with_password(b"pass"));
    assert_eq!((sent[0].protocol, sent[0].code), (Protocol::LCP, CONFIGURE_REQUEST));
    assert_eq!(bench.link.phase(), Phase::Establish);
}

/// A LAC's link and a client's: until the LAC has the proof, and then the records.
fn lac(method: Method) -> (Pair, Proxy) {
    let lac = Config { require: vec![method], name: "lac".into(), ..Config::default() };
    let mut pair = Pair::new(client("user", "pass"), lac);
    pair.open();
    assert_eq!(pair.ends[1].link.proxy(), None);
    pair.ends[1].decides = false;
    pair.pass(seconds(1));
    let proxy = pair.ends[1].link.proxy().expect("the peer has sent its proof");
    (pair, proxy)
}

#[test]
fn a_lac_tells_what_it_sent_and_received() {
    let (_, proxy) = lac(Method::ChapMd5);
    let sent = proxy.last_sent_lcp.unwrap();
    assert_eq!(sent[..5], *opts(&[(AUTHENTICATION, Method::ChapMd5.option())]));
    let received = proxy.last_received_lcp.unwrap();
    assert_eq!(received[..2], [MAGIC, 6]);
    assert_eq!(proxy.initial_received_lcp, Some(received));
    assert_eq!((proxy.authen_type, proxy.authen_name.as_deref()), (Some(2), Some(&b"user"[..])));
    assert_eq!((proxy.authen_challenge.unwrap().len(), proxy.authen_response.unwrap().len()), (16, 16));
}

#[test]
fn what_a_lac_tells_is_enough_for_an_lns() {
    for method in [Method::Pap, Method::ChapMd5, Method::MsChapV2] {
        let (mut pair, proxy) = lac(method);
        let lns = Config { require: vec![method], name: "lns".into(), ..Config::default() };
        let lns = ppp::Link::new(lns.into(), [9; 32]);
        // The LAC only passes frames on from here: the LNS takes its place.
        pair.ends[1].link = lns;
        pair.ends[1].decides = true;
        pair.act(1, |link, now| link.open_with_proxy(now, &proxy));
        pair.pass(seconds(1));
        pair.assert_up();
        assert_eq!(pair.agreed()[1].peer_name.as_deref(), Some(&b"user"[..]));
        assert_eq!(pair.ends[0].link.counters().malformed, 0);
        let again = pair.events()[0].iter().filter(|event| matches!(event, Event::LcpUp { .. })).count();
        assert_eq!(again, 1, "{method}: the client has not noticed");
    }
}

#[test]
fn the_records_are_not_kept_longer_than_they_are_of_use() {
    let mut bench = Bench::lcp(Config::default(), &[]);
    let proxy = bench.link.proxy().expect("no proof is required");
    assert_eq!((proxy.authen_type, proxy.authen_name), (Some(4), None));
    bench.link.network(bench.now, Network { ipv4: Some(Ipv4::default()), ipv6: None });
    assert_eq!(bench.link.proxy(), None);
}

#[test]
fn the_first_request_of_the_peer_is_told_though_it_was_refused() {
    let (mut bench, request) = Bench::open(Config::default());
    let first: &[(u8, &[u8])] = &[(MRU, &[5, 0]), (17, &[6, 78])];
    bench.ask(Protocol::LCP, 1, first);
    bench.agree(&request, &first[..1]);
    let proxy = bench.link.proxy().unwrap();
    assert_eq!(proxy.initial_received_lcp, Some(opts(first)));
    assert_eq!(proxy.last_received_lcp, Some(opts(&first[..1])));
}

#[test]
fn a_request_that_is_longer_than_any_is_not_kept() {
    let (mut bench, request) = Bench::open(Config::default());
    assert_eq!(bench.hear(Protocol::LCP, CONFIGURE_REQUEST, 1, &[0; 60_000]), []);
    bench.agree(&request, &[]);
    assert_eq!(bench.link.proxy().unwrap().initial_received_lcp, Some(Vec::new()));
}

#[test]
fn a_relayed_proof_is_what_the_peer_sent() {
    let (_, proxy) = lac(Method::MsChapV2);
    let (mut bench, _) = opened(Config { require: vec![Method::MsChapV2], ..Config::default() }, &proxy);
    let told = bench.told();
    let Some(Event::Authenticate(request)) = told.last() else { panic!("{told:?}") };
    assert!(matches!(request.proof, Proof::MsChapV2 { .. }));
    assert!(matches!(request.verify(b"pass"), Verdict::Accept { authenticator_response: Some(_), .. }));
    assert!(matches!(request.verify(b"past"), Verdict::Reject { .. }));
}

#[test]
fn a_password_is_not_printed() {
    let text = format!("{:?}", with_password(b"hush"));
    assert!(!text.contains("hush") && !text.contains("104"), "{text}");
}
