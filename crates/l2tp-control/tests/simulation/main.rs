//! Endpoints over networks that lose, double, delay and reorder: both ends always reach the same state.

mod goodput;
mod replay;
mod user;
mod world;

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use l2tp_control::auth::Secret;
use l2tp_control::config::Policy;
use l2tp_control::record::Secrets;
use l2tp_control::reliable::Timing;
use l2tp_control::{TunnelState, call};
use sim::network::{Conditions, Random};
use user::Stage;
use world::World;

/// What no output may have.
const SECRET: &[u8] = b"correct horse";
const PASSWORD: &[u8] = b"battery staple";

const SECOND: u64 = 1_000_000;
const LNS: &str = "192.0.2.1:1701";
const LAC: &str = "198.51.100.1:1701";
/// LACs behind one address.
const NAT: [&str; 4] = ["203.0.113.1:1701", "203.0.113.1:40001", "203.0.113.1:40002", "203.0.113.1:65535"];

/// A budget that 30 % loss in both directions does not spend: with the default of 5 it does in 1.8 % of
/// exchanges.
const TIMING: Timing = Timing { retransmissions: 40, ..Timing::DEFAULT };

/// How long users do something. All is settled a retransmission cycle later.
const ACTIVE: u64 = 60 * SECOND;

fn conditions(random: &mut Random) -> Conditions {
    let mut upto = |most: u64| random.below(most + 1) * random.below(2);
    Conditions {
        loss: upto(300) as u16,
        duplication: upto(200) as u16,
        reordering: upto(300) as u16,
        delay: upto(200_000),
        jitter: upto(100_000),
    }
}

fn policy(random: &mut Random) -> Policy {
    let authenticate = random.chance(500);
    Policy {
        secret: authenticate.then(|| Secret::new(SECRET)),
        challenge: authenticate,
        hide: random.chance(500),
        hello: random.chance(500).then(|| Duration::from_millis(100 + random.below(20_000))),
        hello_retransmissions: TIMING.retransmissions,
        sccrp_retransmissions: TIMING.retransmissions,
        receive_window: [1, 2, 4, 16, 1024][random.below(5) as usize],
        tie_breaker: random.chance(700),
        setup: Duration::from_secs(3600),
        empty: random.chance(200).then(|| Duration::from_millis(random.below(20_000))),
        timing: TIMING,
        ..Policy::default()
    }
}

/// A world whose users do so many random things.
fn run(seed: u64, addresses: &[&str], actions: u64, trace: bool, secrets: Secrets) -> (World, usize) {
    let mut random = Random::new(seed);
    let (conditions, policy) = (conditions(&mut random), policy(&mut random));
    let mut world = World::new(seed, addresses, &policy, conditions, secrets);
    world.trace = trace.then(String::new);
    let all: Vec<_> = world.hosts.iter().map(|host| host.address).collect();
    for host in &mut world.hosts {
        // The first is an LNS; who is behind a NAT cannot be called.
        let peers = match (host.address == all[0], all.len()) {
            (true, 2) => &all[1..],
            (true, _) => &[],
            _ => &all[..1],
        };
        host.user.plan(host.address, peers, actions, ACTIVE);
    }
    let calls = finish(&mut world, &policy);
    (world, calls)
}

/// Lets users do what they have planned, heals the network and checks that all is settled; then ends
/// everything, and checks that nothing is left. Returns how many calls were up.
fn finish(world: &mut World, policy: &Policy) -> usize {
    world.run_until(ACTIVE);
    world.network.set_conditions(Conditions::ideal(1000));
    world.run_until(ACTIVE + 2 * TIMING.cycle().as_micros() as u64);
    let calls = settled(world, policy);

    let now = world.now;
    world.hosts.iter_mut().for_each(|host| host.user.plan_end(now));
    world.run_until(now + 2 * TIMING.cycle().as_micros() as u64);
    empty(world);
    calls
}

/// Both ends have the same tunnels and the same sessions, and those are what their users know.
fn settled(world: &World, policy: &Policy) -> usize {
    let mut found = BTreeSet::new();
    for host in &world.hosts {
        let mut sessions = 0;
        for (id, tunnel) in &host.user.tunnels {
            let (address, peer) = tunnel.peer.expect("every tunnel is up, or gone");
            assert_eq!(host.endpoint.tunnel_state(*id), Some(TunnelState::Established));
            let other = world.hosts.iter().find(|host| host.address == address).expect("a host");
            let theirs = &other.user.tunnels.get(&peer).expect("a tunnel at both ends");
            assert_eq!(theirs.peer, Some((host.address, *id)), "crosswise");
            assert_eq!(tunnel.sessions.len(), theirs.sessions.len());
            sessions += tunnel.sessions.len();
            for (session, view) in &tunnel.sessions {
                let Stage::Up(peer_session) = view.stage else { panic!("a call hangs in {:?}", view.stage) };
                assert_eq!(host.endpoint.session_state(*id, *session), Some(call::State::Established));
                assert_eq!(host.endpoint.peer_ids(*id, *session), Some((peer, peer_session)));
                let theirs = theirs.sessions.get(&peer_session).expect("a session at both ends");
                assert_eq!((theirs.stage, theirs.call()), (Stage::Up(*session), view.call()), "crosswise");
                found.insert(view.call());
            }
            if policy.empty.is_some() {
                assert!(!tunnel.sessions.is_empty(), "an empty tunnel is closed");
            }
        }
        assert_eq!((host.endpoint.tunnels(), host.endpoint.sessions()), (host.user.tunnels.len(), sessions));
    }
    assert_eq!(found, world.calls.alive(), "no call is lost");
    found.len()
}

/// Nothing is kept, nothing is waited for.
fn empty(world: &World) {
    for host in &world.hosts {
        assert!(host.user.tunnels.is_empty());
        assert!(host.endpoint.is_empty(), "{:?}", host.endpoint);
        assert_eq!(host.endpoint.poll_timeout(), None);
    }
    assert_eq!((world.network.in_flight(), world.next()), (0, None));
}

/// Runs seeds, or those that `SIMULATION_SEEDS=A..B` says, and names those that fail. The trace of one
/// that fails is shown if it runs alone.
fn seeds(seeds: Range<u64>, addresses: &[&str], actions: u64) {
    let seeds = std::env::var("SIMULATION_SEEDS").map_or(seeds, |range| {
        let (first, end) = range.split_once("..").expect("SIMULATION_SEEDS=A..B");
        first.parse().expect("a number")..end.parse().expect("a number")
    });
    let alone = seeds.clone().count() == 1;
    let runs = |seed| std::panic::catch_unwind(|| run(seed, addresses, actions, alone, Secrets::Keep).1);
    let outcomes: Vec<_> = seeds.map(|seed| (seed, runs(seed))).collect();
    let failed: Vec<_> = outcomes.iter().filter(|(_, calls)| calls.is_err()).map(|(seed, _)| seed).collect();
    assert!(failed.is_empty(), "these fail: {failed:?}; SIMULATION_SEEDS=N..N+1 shows what happens");
    let calls: usize = outcomes.iter().flat_map(|(_, calls)| calls).sum();
    assert!(calls > 2 * outcomes.len() || alone, "{calls} calls in {} networks", outcomes.len());
}

#[test]
fn two_ends_reach_the_same_state() {
    seeds(0..700, &[LNS, LAC], 30);
}

#[test]
fn lacs_behind_one_address_reach_the_same_state_as_their_lns() {
    seeds(1000..1300, &[&[LNS], &NAT[..]].concat(), 12);
}

#[test]
fn a_seed_is_a_trace() {
    for seed in 2000..2020 {
        let trace =
            || run(seed, &[LNS, LAC], 30, true, Secrets::Keep).0.trace.take().expect("it was asked for");
        let first = trace();
        assert!(first.lines().count() > 20);
        assert!(first == trace(), "seed {seed}");
    }
}

#[test]
fn of_two_tunnels_opened_at_the_same_time_one_remains() {
    for seed in 3000..3200 {
        let mut random = Random::new(seed);
        let conditions = Conditions { delay: 1 + random.below(200_000), ..conditions(&mut random) };
        let policy = Policy { tie_breaker: true, empty: None, ..policy(&mut random) };
        let mut world = World::new(seed, &[LNS, LAC], &policy, conditions, Secrets::Keep);
        let [lns, lac] = [0, 1].map(|n| world.hosts[n].address);
        world.hosts[0].user.plan_connect(lns, lac, 1000);
        // Before the other's SCCRQ can have come.
        world.hosts[1].user.plan_connect(lac, lns, 1000 + random.below(conditions.delay));
        world.run_until(ACTIVE);
        for host in &world.hosts {
            assert_eq!(host.user.tunnels.len(), 1, "seed {seed}");
        }
        finish(&mut world, &policy);
    }
}
