//! Authentication over a network that loses, doubles and reorders frames, with accounts that take
//! their time.

mod auth_ends;

use std::time::Duration;

use auth_ends::{End, Ends, NAME, PASSWORD, authenticated, config, failed};
use ppp::auth::Outcome;
use ppp::{By, Config, Instant, Method, Verdict};
use sim::network::{Conditions, Network};

const BAD: Conditions =
    Conditions { loss: 250, duplication: 100, reordering: 100, delay: 40_000, jitter: 20_000 };

/// Runs both ends until no timer runs and nothing flies; the account answers after `thinks`.
fn run(seed: u8, method: Method, password: &str, thinks: Duration) -> (End, End, Ends) {
    let mut network = Network::new(u64::from(seed), BAD);
    let mut authenticator = End::new(seed, Config::default(), None, Some(method));
    let mut peer = End::new(seed ^ 0xff, config(NAME, password), Some(method), None);
    let mut ends = Ends::default();
    let mut verdict: Option<(Instant, Verdict)> = None;
    let mut now = authenticator.now;
    loop {
        for (name, end) in [('a', &mut authenticator), ('p', &mut peer)] {
            end.now = now;
            for frame in end.drain() {
                network.send(now.as_micros(), name, if name == 'a' { 'p' } else { 'a' }, frame);
            }
        }
        let timers = [&authenticator, &peer].map(|end| end.auth.poll_timeout().map(|(at, _)| at));
        let arrival = network.next_arrival().map(Instant::from_micros);
        let answer = verdict.as_ref().map(|(at, _)| *at);
        let Some(next) = timers.into_iter().chain([arrival, answer]).flatten().min() else {
            return (authenticator, peer, ends);
        };
        now = now.max(next);
        ends.authenticator.extend(authenticator.timeout(now));
        ends.peer.extend(peer.timeout(now));
        if let Some((_, verdict)) = verdict.take_if(|(at, _)| *at <= now) {
            ends.authenticator.extend(authenticator.verdict(verdict));
        }
        while let Some(datagram) = network.arrive(now.as_micros()) {
            if datagram.to == 'p' {
                ends.peer.extend(peer.receive(&datagram.bytes));
                continue;
            }
            match authenticator.receive(&datagram.bytes) {
                Some(Outcome::Authenticate(request)) => {
                    assert_eq!(verdict, None, "asked again before the answer");
                    verdict = Some((now + thinks, request.verify(PASSWORD.as_bytes())));
                }
                outcome => ends.authenticator.extend(outcome),
            }
        }
        // What follows authentication is all that is left of a lost EAP Success.
        if authenticator.auth.is_done() && network.in_flight() == 0 {
            ends.peer.extend(peer.auth.handle_network());
        }
    }
}

#[test]
fn who_has_the_password_gets_in() {
    for method in Method::ALL {
        for seed in 0..100 {
            for thinks in [0, 1, 7] {
                let (authenticator, peer, ends) = run(seed, method, PASSWORD, Duration::from_secs(thinks));
                let words = if method == Method::Eap { "" } else { "Welcome" };
                assert_eq!(ends.authenticator, [Outcome::PeerAuthenticated], "{method}, {seed}");
                assert_eq!(ends.peer, Vec::from_iter(authenticated(words)), "{method}, {seed}");
                assert!(authenticator.auth.is_done() && peer.auth.is_done());
            }
        }
    }
}

#[test]
fn who_has_not_does_not() {
    for method in Method::ALL {
        for seed in 0..100 {
            let (authenticator, peer, ends) = run(seed, method, "guess", Duration::from_secs(1));
            let refused = failed(By::Us, "Name or password is wrong");
            assert_eq!(ends.authenticator, Vec::from_iter(refused), "{method}, {seed}");
            assert!(matches!(ends.peer[..], [Outcome::Failed { by: By::Peer, .. }]), "{method}, {seed}");
            assert!(!authenticator.auth.is_done() && !peer.auth.is_done());
        }
    }
}
