//! A network that loses, doubles, delays and reorders datagrams, on a virtual clock.
//!
//! ```text
//!  send(now, from, to) ─► loss? ─► duplication? ─► delay + jitter, in order ─┐
//!                                       └─ reordering? held back, overtaken ─┤
//!  arrive(now) ◄──────────────── in flight, by time of arrival ◄─────────────┘
//! ```
//!
//! Times are microseconds since the caller's zero. The same seed and the same calls give the same
//! network.

use std::collections::BTreeMap;

/// A small generator for simulations (SplitMix64).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator of the sequence that belongs to `seed`.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub const fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// `true` in so many cases of 1000.
    pub const fn chance(&mut self, per_mille: u16) -> bool {
        self.below(1000) < per_mille as u64
    }
}

/// What a link does to datagrams. Chances are per mille of the datagrams.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Conditions {
    /// Chance to be lost.
    pub loss: u16,
    /// Chance to arrive twice.
    pub duplication: u16,
    /// Chance to be held back for up to three times the longest delay, so that others overtake it.
    pub reordering: u16,
    /// Every datagram's delay.
    pub delay: u64,
    /// The most that comes on top of it, by chance, order kept.
    pub jitter: u64,
}

impl Conditions {
    /// Delay, nothing else.
    pub const fn ideal(delay: u64) -> Self {
        Self { loss: 0, duplication: 0, reordering: 0, delay, jitter: 0 }
    }

    /// Nothing arrives.
    pub const fn cut() -> Self {
        Self { loss: 1000, ..Self::ideal(0) }
    }
}

/// One datagram that has arrived.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Datagram<A> {
    /// Who sent it.
    pub from: A,
    /// Whom it is for.
    pub to: A,
    /// What it carries.
    pub bytes: Vec<u8>,
}

/// What has become of the datagrams so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Given to the network.
    pub sent: u64,
    /// Lost on the way.
    pub lost: u64,
    /// Second copies made.
    pub duplicated: u64,
    /// Held back.
    pub held_back: u64,
    /// Arrived, copies included.
    pub arrived: u64,
}

/// A way from one address to another.
#[derive(Clone, Copy, Debug)]
struct Link {
    conditions: Conditions,
    /// When the last datagram that keeps the order arrives.
    last: u64,
}

/// The network between any number of addresses.
#[derive(Clone, Debug)]
pub struct Network<A> {
    random: Random,
    conditions: Conditions,
    links: BTreeMap<(A, A), Link>,
    /// By time of arrival, then by order of sending.
    flying: BTreeMap<(u64, u64), Datagram<A>>,
    count: u64,
    tally: Tally,
}

impl<A: Copy + Ord> Network<A> {
    /// A network whose links all have these conditions.
    pub const fn new(seed: u64, conditions: Conditions) -> Self {
        Self {
            random: Random::new(seed),
            conditions,
            links: BTreeMap::new(),
            flying: BTreeMap::new(),
            count: 0,
            tally: Tally { sent: 0, lost: 0, duplicated: 0, held_back: 0, arrived: 0 },
        }
    }

    /// Changes every link. What is in flight arrives as it would have.
    pub fn set_conditions(&mut self, conditions: Conditions) {
        self.conditions = conditions;
        for link in self.links.values_mut() {
            link.conditions = conditions;
        }
    }

    /// Changes the way from one address to another, this direction only.
    pub fn set_link(&mut self, from: A, to: A, conditions: Conditions) {
        self.links.entry((from, to)).or_insert(Link { conditions, last: 0 }).conditions = conditions;
    }

    /// Puts a datagram on its way.
    pub fn send(&mut self, now: u64, from: A, to: A, bytes: Vec<u8>) {
        self.tally.sent += 1;
        let conditions = self.links.get(&(from, to)).map_or(self.conditions, |link| link.conditions);
        if self.random.chance(conditions.loss) {
            self.tally.lost += 1;
            return;
        }
        if self.random.chance(conditions.duplication) {
            self.tally.duplicated += 1;
            self.launch(now, conditions, Datagram { from, to, bytes: bytes.clone() });
        }
        self.launch(now, conditions, Datagram { from, to, bytes });
    }

    /// When the next datagram arrives.
    pub fn next_arrival(&self) -> Option<u64> {
        self.flying.first_key_value().map(|(&(at, _), _)| at)
    }

    /// The next datagram that has arrived by `now`.
    pub fn arrive(&mut self, now: u64) -> Option<Datagram<A>> {
        let next = self.flying.first_entry()?;
        if next.key().0 > now {
            return None;
        }
        self.tally.arrived += 1;
        Some(next.remove())
    }

    /// How many datagrams are in flight.
    pub fn in_flight(&self) -> usize {
        self.flying.len()
    }

    /// What has become of the datagrams so far.
    pub const fn tally(&self) -> Tally {
        self.tally
    }

    fn launch(&mut self, now: u64, conditions: Conditions, datagram: Datagram<A>) {
        let Conditions { reordering, delay, jitter, .. } = conditions;
        let mut arrival = now + delay + self.random.below(jitter + 1);
        if self.random.chance(reordering) {
            self.tally.held_back += 1;
            arrival += 1 + self.random.below(3 * (delay + jitter) + 1);
        } else {
            let ends = (datagram.from, datagram.to);
            let link = self.links.entry(ends).or_insert(Link { conditions, last: 0 });
            arrival = arrival.max(link.last);
            link.last = arrival;
        }
        self.count += 1;
        self.flying.insert((arrival, self.count), datagram);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends `count` numbered datagrams, one a millisecond, and returns numbers and times of arrival.
    fn run(seed: u64, conditions: Conditions, count: u32) -> (Vec<(u32, u64)>, Tally) {
        let mut network = Network::new(seed, conditions);
        for n in 0..count {
            network.send(u64::from(n) * 1000, 'a', 'b', n.to_be_bytes().to_vec());
        }
        let mut arrived = Vec::new();
        while let Some(at) = network.next_arrival() {
            assert_eq!(network.arrive(at - 1), None, "nothing arrives before its time");
            let datagram = network.arrive(at).expect("it has arrived");
            assert_eq!((datagram.from, datagram.to), ('a', 'b'));
            arrived.push((u32::from_be_bytes(datagram.bytes.try_into().expect("4 bytes")), at));
        }
        (arrived, network.tally())
    }

    #[test]
    fn an_ideal_network_delays_and_does_nothing_else() {
        let (arrived, tally) = run(1, Conditions::ideal(5_000), 100);
        assert_eq!(arrived, Vec::from_iter((0..100).map(|n| (n, u64::from(n) * 1000 + 5_000))));
        assert_eq!(tally, Tally { sent: 100, arrived: 100, ..Tally::default() });
    }

    #[test]
    fn what_is_sent_at_once_arrives_in_order() {
        let mut network = Network::new(1, Conditions::ideal(0));
        for n in 0..50 {
            network.send(7, n, 50, vec![n]);
        }
        assert_eq!(network.in_flight(), 50);
        let from = Vec::from_iter(core::iter::from_fn(|| network.arrive(7)).map(|datagram| datagram.from));
        assert_eq!(from, Vec::from_iter(0..50));
    }

    #[test]
    fn jitter_keeps_the_order() {
        let (arrived, _) = run(2, Conditions { jitter: 20_000, ..Conditions::ideal(1_000) }, 1000);
        assert!(arrived.is_sorted());
        let delays = arrived.iter().map(|&(n, at)| at - u64::from(n) * 1000);
        assert!(delays.clone().all(|delay| (1_000..=21_000).contains(&delay)));
        assert!(delays.max() > Some(15_000));
    }

    #[test]
    fn the_chances_are_as_given() {
        let conditions =
            Conditions { loss: 300, duplication: 100, reordering: 200, ..Conditions::ideal(10_000) };
        let (arrived, tally) = run(3, conditions, 10_000);
        assert!((2_800..3_200).contains(&tally.lost), "{tally:?}");
        assert!((600..800).contains(&tally.duplicated), "of those not lost: {tally:?}");
        assert!((1_400..1_700).contains(&tally.held_back), "of all copies: {tally:?}");
        assert_eq!(tally.arrived, tally.sent - tally.lost + tally.duplicated);
        assert!(!arrived.is_sorted_by_key(|&(n, _)| n), "some overtake others");
        assert!(arrived.iter().all(|&(n, at)| at - u64::from(n) * 1000 <= 40_001));
    }

    #[test]
    fn a_seed_is_a_network() {
        let conditions =
            Conditions { loss: 100, duplication: 100, reordering: 100, delay: 1_000, jitter: 1_000 };
        assert_eq!(run(4, conditions, 500), run(4, conditions, 500));
        assert_ne!(run(4, conditions, 500), run(5, conditions, 500));
    }

    #[test]
    fn a_link_can_be_cut_in_one_direction_and_mended() {
        let mut network = Network::new(1, Conditions::ideal(10));
        network.set_link('a', 'b', Conditions::cut());
        network.send(0, 'a', 'b', vec![1]);
        network.send(0, 'b', 'a', vec![2]);
        assert_eq!(network.arrive(10).map(|datagram| datagram.bytes), Some(vec![2]));
        assert_eq!(network.next_arrival(), None);
        network.set_conditions(Conditions::ideal(20));
        network.send(10, 'a', 'b', vec![3]);
        assert_eq!(network.next_arrival(), Some(30));
    }
}
