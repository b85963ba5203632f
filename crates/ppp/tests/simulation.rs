//! Two links on a line that loses, doubles, holds back and reorders: whatever it does, in the end both
//! are up and agree, or both are down.

mod common;

use std::time::Duration;

use common::pair::Pair;
use common::{client, seconds};
use ppp::{Config, Event, Method};
use sim::network::{Conditions, Random};

const SEEDS: u64 = 300;

/// Long enough for every budget of retransmissions, and for echoes to notice who is gone.
const LONG: Duration = seconds(400);

fn conditions(loss: u16) -> Conditions {
    Conditions { loss, duplication: 100, reordering: 100, delay: 20_000, jitter: 200_000 }
}

/// A pair whose authentication depends on the seed.
fn pair(seed: u64, conditions: Conditions) -> Pair {
    let mut random = Random::new(seed);
    // Some methods, never without PAP, so that both lists have one in common.
    let mut methods = || {
        let mut methods = Method::ALL.to_vec();
        methods.rotate_left(random.below(4) as usize);
        methods.retain(|method| *method == Method::Pap || random.chance(500));
        methods
    };
    let require = if seed.is_multiple_of(2) { methods() } else { Vec::new() };
    let ours = Config { accept: methods(), require, ..client("user", "pass") };
    let theirs = Config { accept: methods(), require: methods(), ..client("server", "pass") };
    Pair::with(ours, theirs, seed, conditions)
}

/// Both up and alike, or both down; whether up. An end that had to give up IPv4 or IPv6 alone has said
/// so twice, which may be lost too: then it has at least told its caller.
fn agreed(pair: &Pair, seed: u64) -> bool {
    let [a, b] = pair.agreed();
    assert_eq!(a.down.is_some(), b.down.is_some(), "seed {seed}: {a:?}\n{b:?}");
    let refused = |event: &Event| matches!(event, Event::Ipv4Refused(_) | Event::Ipv6Refused(_));
    let given_up = pair.ends.iter().any(|end| end.events.iter().any(refused));
    assert!(pair.alike() || given_up, "seed {seed}: {a:?}\n{b:?}");
    if a.down.is_none() {
        assert!(a.ipv4.is_some() || a.ipv6.is_some(), "seed {seed}: up in vain: {a:?}\n{b:?}");
    }
    a.down.is_none()
}

#[test]
fn on_a_line_that_loses_nothing_all_come_up_whatever_else_it_does() {
    for seed in 0..SEEDS {
        let mut pair = pair(seed, conditions(0));
        pair.open();
        pair.pass(LONG);
        assert!(agreed(&pair, seed), "seed {seed}: {:?}", pair.agreed());
        pair.assert_up();
    }
}

#[test]
fn with_every_twentieth_frame_lost_all_come_up_and_few_twice() {
    let mut ups = 0;
    for seed in 0..SEEDS {
        let mut pair = pair(seed, conditions(50));
        pair.open();
        pair.pass(LONG);
        assert!(agreed(&pair, seed), "seed {seed}: {:?}", pair.agreed());
        pair.assert_up();
        let up = |event: &&Event| matches!(event, Event::LcpUp { .. });
        ups += pair.events().into_iter().flatten().filter(up).count() as u64;
    }
    assert!(ups < 2 * SEEDS * 21 / 20, "LCP came up {ups} times at {} ends", 2 * SEEDS);
}

#[test]
fn with_every_second_frame_lost_both_ends_still_agree() {
    let mut up = 0;
    for seed in 0..SEEDS {
        let mut pair = pair(seed, conditions(500));
        pair.open();
        pair.pass(LONG);
        // What is under way is finished on a good line.
        pair.wire.set_conditions(conditions(0));
        pair.pass(LONG);
        up += u64::from(agreed(&pair, seed));
    }
    assert!((SEEDS / 10..SEEDS).contains(&up), "{up} of {SEEDS} came up");
}

#[test]
fn a_cut_is_noticed_by_both_ends_whenever_it_comes() {
    for seed in 0..SEEDS {
        let mut pair = pair(seed, conditions(50));
        pair.open();
        pair.pass(Duration::from_millis(1 + seed * 37));
        pair.wire.set_conditions(Conditions::cut());
        pair.pass(LONG);
        assert!(!agreed(&pair, seed), "seed {seed}");
    }
}

#[test]
fn a_close_ends_both_whenever_it_comes() {
    for seed in 0..SEEDS {
        let mut pair = pair(seed, conditions(100));
        pair.open();
        pair.pass(Duration::from_millis(1 + seed * 37));
        pair.act((seed % 2) as usize, |link, now| link.close(now, "enough"));
        pair.pass(LONG);
        assert!(!agreed(&pair, seed), "seed {seed}");
    }
}

#[test]
fn a_renegotiation_in_the_middle_ends_as_the_first_one() {
    for seed in 0..SEEDS {
        let mut pair = pair(seed, conditions(50));
        pair.open();
        pair.pass(seconds(60 + seed % 30));
        let empty_request = [0xc0, 0x21, 1, 200, 0, 4];
        pair.act((seed % 2) as usize, |link, now| link.handle_frame(now, &empty_request));
        pair.pass(LONG);
        assert!(agreed(&pair, seed), "seed {seed}: {:?}", pair.agreed());
        pair.assert_up();
    }
}
