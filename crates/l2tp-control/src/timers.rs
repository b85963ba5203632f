//! Deadlines of many owners, without a scan over them.
//!
//! ```text
//!  owner's deadline   2 s ─► 60 s ─► 1 s ─► 61 s      what Tunnel::next_timeout says
//!  its entry          2 s ──────────► 1 s ─────────►  moved only when the deadline is earlier
//!                                      └ expires: the owner says 61 s, the entry is put back there
//! ```
//!
//! An owner has at most one entry, so the heap never outgrows the owners, and putting a deadline off,
//! which is what nearly every message does, costs nothing. Call [`Timers::arm`] after each change;
//! when [`Timers::expire`] yields an owner, let it do what is due by its own deadline and arm it
//! again. [`Timers::next`] is therefore never too late and sometimes too early.

use super::Instant;

/// An owner's place, from [`Timers::insert`] until [`Timers::remove`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct TimerId(u32);

/// The entries of all owners.
#[derive(Clone, Debug)]
pub struct Timers<K> {
    /// A binary heap, earliest first, ties by place.
    heap: Vec<(Instant, TimerId)>,
    slots: Vec<Slot<K>>,
    free: Vec<TimerId>,
}

#[derive(Clone, Copy, Debug)]
struct Slot<K> {
    owner: K,
    /// Index into the heap, or [`UNARMED`].
    at: u32,
}

const UNARMED: u32 = u32::MAX;

impl<K> Default for Timers<K> {
    fn default() -> Self {
        Self { heap: Vec::new(), slots: Vec::new(), free: Vec::new() }
    }
}

impl<K: Copy> Timers<K> {
    /// No owners.
    pub fn new() -> Self {
        Self::default()
    }

    /// A place for `owner`, without a deadline.
    pub fn insert(&mut self, owner: K) -> TimerId {
        let slot = Slot { owner, at: UNARMED };
        if let Some(timer) = self.free.pop() {
            self.slots[timer.0 as usize] = slot;
            return timer;
        }
        let timer = TimerId(u32::try_from(self.slots.len()).expect("owners have 16-bit ids"));
        self.slots.push(slot);
        timer
    }

    /// Gives the place up.
    pub fn remove(&mut self, timer: TimerId) {
        let at = self.slots[timer.0 as usize].at;
        if at != UNARMED {
            self.take(at as usize);
        }
        self.free.push(timer);
    }

    /// Takes note of an owner's deadline.
    pub fn arm(&mut self, timer: TimerId, deadline: Option<Instant>) {
        let Some(deadline) = deadline else { return };
        let at = match self.slots[timer.0 as usize].at {
            UNARMED => {
                self.heap.push((deadline, timer));
                self.heap.len() - 1
            }
            at if deadline < self.heap[at as usize].0 => {
                self.heap[at as usize].0 = deadline;
                at as usize
            }
            _ => return,
        };
        self.rise(at);
    }

    /// When to call [`expire`](Self::expire): no owner has an earlier deadline.
    pub fn next(&self) -> Option<Instant> {
        self.heap.first().map(|&(deadline, _)| deadline)
    }

    /// The next owner whose entry is due, and its place. The entry is gone: arm the owner again.
    pub fn expire(&mut self, now: Instant) -> Option<(TimerId, K)> {
        let &(deadline, timer) = self.heap.first()?;
        if deadline > now {
            return None;
        }
        self.take(0);
        Some((timer, self.slots[timer.0 as usize].owner))
    }

    /// The owners whose entries are due, in no order; they stay.
    #[cfg(feature = "record")]
    pub(crate) fn due(&self, now: Instant) -> impl Iterator<Item = K> + '_ {
        let mut next = vec![0];
        core::iter::from_fn(move || {
            loop {
                let at: usize = next.pop()?;
                // What stands below an entry in the heap is not earlier.
                if let Some((_, timer)) = self.heap.get(at).filter(|(deadline, _)| *deadline <= now) {
                    next.extend([2 * at + 1, 2 * at + 2]);
                    return Some(self.slots[timer.0 as usize].owner);
                }
            }
        })
    }

    /// How many owners there are.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether there is no owner.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn take(&mut self, at: usize) {
        let (_, timer) = self.heap.swap_remove(at);
        self.slots[timer.0 as usize].at = UNARMED;
        if at < self.heap.len() {
            self.sink(at);
            self.rise(at);
        }
    }

    /// Moves an entry up to where it belongs.
    fn rise(&mut self, mut at: usize) {
        while at > 0 && self.heap[at] < self.heap[(at - 1) / 2] {
            self.heap.swap(at, (at - 1) / 2);
            self.settle(at);
            at = (at - 1) / 2;
        }
        self.settle(at);
    }

    /// Moves an entry down to where it belongs.
    fn sink(&mut self, mut at: usize) {
        loop {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            if left >= self.heap.len() {
                break;
            }
            let child =
                if self.heap.get(right).is_some_and(|right| *right < self.heap[left]) { right } else { left };
            if self.heap[at] <= self.heap[child] {
                break;
            }
            self.heap.swap(at, child);
            self.settle(at);
            at = child;
        }
        self.settle(at);
    }

    fn settle(&mut self, at: usize) {
        let (_, timer) = self.heap[at];
        self.slots[timer.0 as usize].at = at as u32;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const fn at(micros: u64) -> Option<Instant> {
        Some(Instant::from_micros(micros))
    }

    #[test]
    fn owners_expire_in_order_of_their_deadlines() {
        let mut timers = Timers::new();
        for (owner, deadline) in [('c', 30), ('a', 10), ('b', 20)] {
            let timer = timers.insert(owner);
            timers.arm(timer, at(deadline));
        }
        let now = Instant::from_micros(25);
        let owners = Vec::from_iter(core::iter::from_fn(|| timers.expire(now)).map(|(_, owner)| owner));
        assert_eq!(owners, ['a', 'b']);
        assert_eq!((timers.next(), timers.len()), (at(30), 3));
    }

    #[test]
    fn only_an_earlier_deadline_moves_the_entry() {
        let mut timers = Timers::new();
        let timer = timers.insert(());
        for (deadline, entry) in [(at(50), at(50)), (at(90), at(50)), (None, at(50)), (at(40), at(40))] {
            timers.arm(timer, deadline);
            assert_eq!((timers.next(), timers.heap.len()), (entry, 1));
        }
    }

    #[test]
    fn a_place_is_used_again_and_starts_unarmed() {
        let mut timers = Timers::new();
        let first = timers.insert(1);
        timers.arm(first, at(10));
        timers.remove(first);
        assert!(timers.is_empty());
        assert_eq!((timers.insert(2), timers.next()), (first, None));
    }

    #[test]
    fn a_removal_may_move_the_last_entry_up() {
        let mut timers = Timers::new();
        // In this order they stand in the heap: 5, the last, takes the place of 11, below 10.
        let deadlines = [1, 10, 2, 11, 12, 3, 4, 13, 14, 15, 16, 5];
        let places = deadlines.map(|deadline| {
            let timer = timers.insert(deadline);
            timers.arm(timer, at(deadline));
            timer
        });
        timers.remove(places[3]);
        let now = Instant::from_micros(99);
        let order = Vec::from_iter(core::iter::from_fn(|| timers.expire(now)).map(|(_, owner)| owner));
        assert_eq!(order, [1, 2, 3, 4, 5, 10, 12, 13, 14, 15, 16]);
    }

    #[test]
    fn nothing_grows_when_deadlines_move_to_and_fro() {
        let mut timers = Timers::new();
        let places = Vec::from_iter((0..100u16).map(|owner| timers.insert(owner)));
        for round in 0..1000u64 {
            for &timer in &places {
                timers.arm(timer, at(1_000_000 + round));
                timers.arm(timer, at(round));
            }
            while let Some((timer, _)) = timers.expire(Instant::from_micros(round)) {
                timers.arm(timer, at(1_000_000 + round));
            }
        }
        assert_eq!((timers.heap.len(), timers.slots.len(), timers.free.len()), (100, 100, 0));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert,
        Remove(usize),
        Deadline(usize, Option<u64>),
        Pass(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            2 => Just(Step::Insert),
            1 => any::<usize>().prop_map(Step::Remove),
            8 => (any::<usize>(), prop::option::of(0u64..1000)).prop_map(|(n, d)| Step::Deadline(n, d)),
            3 => (0u64..300).prop_map(Step::Pass),
        ]
    }

    proptest! {
        /// Each owner acts exactly when its own last deadline passes, and never otherwise.
        #[test]
        fn every_owner_acts_at_its_deadline(steps in prop::collection::vec(step(), 0..200)) {
            let mut timers = Timers::new();
            // By owner: its place and its deadline.
            let mut owners: BTreeMap<u32, (TimerId, Option<Instant>)> = BTreeMap::new();
            let (mut now, mut count) = (0, 0);
            for step in steps {
                let nth = |n: usize| owners.keys().nth(n % owners.len().max(1)).copied();
                match step {
                    Step::Insert => {
                        owners.insert(count, (timers.insert(count), None));
                        count += 1;
                    }
                    Step::Remove(n) => {
                        if let Some((timer, _)) = nth(n).and_then(|owner| owners.remove(&owner)) {
                            timers.remove(timer);
                        }
                    }
                    Step::Deadline(n, passed) => {
                        if let Some(owner) = nth(n).and_then(|owner| owners.get_mut(&owner)) {
                            owner.1 = passed.and_then(|passed| at(now + passed));
                            timers.arm(owner.0, owner.1);
                        }
                    }
                    Step::Pass(passed) => {
                        now += passed;
                        let now = Instant::from_micros(now);
                        let due = |deadline: Option<Instant>| deadline.is_some_and(|at| at <= now);
                        let expected = owners.iter().filter(|(_, owner)| due(owner.1)).count();
                        let mut acted = 0;
                        while let Some((timer, owner)) = timers.expire(now) {
                            let owner = owners.get_mut(&owner).expect("a removed owner expired");
                            prop_assert_eq!(owner.0, timer);
                            if due(owner.1) {
                                owner.1 = None;
                                acted += 1;
                            }
                            timers.arm(timer, owner.1);
                        }
                        prop_assert_eq!(acted, expected);
                    }
                }
                let earliest = owners.values().filter_map(|owner| owner.1).min();
                let in_time = |earliest| timers.next().is_some_and(|next| next <= earliest);
                prop_assert!(earliest.is_none_or(in_time));
                prop_assert!(timers.heap.len() <= timers.len() && timers.len() == owners.len());
            }
        }
    }
}
