use std::collections::{BTreeMap, BTreeSet};

use chacha20::ChaCha12Rng;
use proptest::prelude::*;
use rand_core::SeedableRng;

use super::*;

const LINGER: Duration = Duration::from_secs(31);
const START: Instant = Instant::from_micros(1_700_000_000_000_000);

fn rng(seed: u8) -> ChaCha12Rng {
    ChaCha12Rng::from_seed([seed; 32])
}

fn take_all(pool: &mut IdPool<SessionId>, now: Instant, rng: &mut ChaCha12Rng) -> Vec<u16> {
    core::iter::from_fn(|| pool.take(now, rng)).map(SessionId::get).collect()
}

#[test]
fn every_id_is_given_out_once_and_then_none() {
    let mut pool = IdPool::new();
    let ids = take_all(&mut pool, START, &mut rng(1));
    assert_eq!(BTreeSet::from_iter(ids.iter().copied()), BTreeSet::from_iter(1..=u16::MAX));
    assert_eq!((ids.len(), pool.len()), (IdPool::<SessionId>::SIZE, 65_535));
    assert_eq!(pool.take(START, &mut rng(2)), None);
}

#[test]
fn a_released_id_is_free_after_its_linger_time() {
    let mut pool = IdPool::new();
    let mut rng = rng(1);
    take_all(&mut pool, START, &mut rng);
    let id = TunnelId::new(77).expect("not 0");
    let mut pool = IdPool { taken: pool.taken, lingering: pool.lingering, id: PhantomData };
    pool.release(id, START, LINGER);
    let free = START + LINGER;
    assert_eq!(pool.take(Instant::from_micros(free.as_micros() - 1), &mut rng), None);
    assert_eq!(pool.take(free, &mut rng), Some(id));
    assert_eq!(pool.take(free, &mut rng), None);
}

#[test]
fn an_id_without_linger_is_free_at_once() {
    let mut pool = IdPool::new();
    let mut rng = rng(1);
    take_all(&mut pool, START, &mut rng);
    let ids = [1, 1000, 65_535].map(|id| SessionId::new(id).expect("not 0"));
    for id in ids {
        pool.release(id, START, Duration::ZERO);
    }
    assert_eq!(BTreeSet::from_iter(take_all(&mut pool, START, &mut rng)), BTreeSet::from([1, 1000, 65_535]));
}

#[test]
fn a_part_of_a_millisecond_is_a_millisecond() {
    let mut pool = IdPool::new();
    let id: SessionId = pool.take(START, &mut rng(1)).expect("a free id");
    pool.release(id, START, Duration::from_micros(1));
    for (micros, len) in [(999, 1), (1000, 0)] {
        pool.expire(START + Duration::from_micros(micros));
        assert_eq!(pool.len(), len);
    }
}

#[test]
fn a_pool_that_is_little_used_is_small() {
    assert!(size_of::<IdPool<SessionId>>() <= 64, "{}", size_of::<IdPool<SessionId>>());
    let mut pool = IdPool::<SessionId>::new();
    let mut rng = rng(1);
    let id = pool.take(START, &mut rng).expect("a free id");
    let Taken::Few(ids) = &pool.taken else { panic!("one id is not many") };
    assert!(ids.capacity() <= 4 && pool.lingering.capacity() == 0);
    pool.release(id, START, LINGER);
    pool.expire(START + LINGER);
    assert_eq!((pool.len(), pool.lingering.capacity()), (0, 0));
}

#[test]
fn a_bitmap_becomes_a_list_again() {
    let mut pool = IdPool::<SessionId>::new();
    let mut rng = rng(1);
    let ids = Vec::from_iter((0..2 * FEW).map(|_| pool.take(START, &mut rng).expect("a free id")));
    assert!(matches!(pool.taken, Taken::Many(_)));
    for id in &ids[FEW / 4..] {
        pool.release(*id, START, Duration::ZERO);
    }
    let kept = BTreeSet::from_iter(ids[..FEW / 4].iter().map(|id| id.get()));
    let Taken::Few(list) = &pool.taken else { panic!("few are a list") };
    assert_eq!(*list, Vec::from_iter(kept));
}

#[test]
fn the_seed_decides_and_neighbours_tell_nothing() {
    let first = |seed| {
        let (mut pool, mut rng) = (IdPool::<SessionId>::new(), rng(seed));
        Vec::from_iter((0..2000).map(|_| pool.take(START, &mut rng).expect("a free id").get()))
    };
    let ids = first(1);
    assert_eq!(ids, first(1));
    assert_ne!(ids, first(2));
    // Steps from one id to the next are spread over all 16 values of their upper four bits.
    let mut steps = [0; 16];
    for pair in ids.windows(2) {
        steps[usize::from(pair[1].wrapping_sub(pair[0]) >> 12)] += 1;
    }
    assert!(steps.iter().all(|&count| (80..175).contains(&count)), "{steps:?}");
}

#[test]
fn the_last_free_ids_are_equally_likely() {
    let free = [1u16, 64, 65, 127, 20_000, 65_535];
    let mut counts = BTreeMap::new();
    let mut rng = rng(3);
    let mut bitmap = Bitmap::new(&Vec::from_iter(1..=u16::MAX));
    free.iter().for_each(|&id| bitmap.remove(id));
    for _ in 0..6000 {
        *counts.entry(bitmap.draw(&mut rng).expect("six are free")).or_insert(0) += 1;
    }
    assert_eq!(Vec::from_iter(counts.keys().copied()), free);
    assert!(counts.values().all(|&count| (850..1150).contains(&count)), "{counts:?}");
}

#[derive(Clone, Debug)]
enum Step {
    Take(u16),
    Release(u16, u64),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1u16..300).prop_map(Step::Take),
        2 => ((1u16..300), (0u64..3)).prop_map(|(count, seconds)| Step::Release(count, seconds * 10)),
        1 => (0u64..20).prop_map(Step::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// No id is given out that is in use or lingers; nothing else is held back.
    #[test]
    fn ids_are_unique_among_those_in_use_and_lingering(
        seed: u8,
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let mut rng = rng(seed);
        let mut pool = IdPool::<SessionId>::new();
        let mut in_use = Vec::new();
        let mut lingering: Vec<(Instant, u16)> = Vec::new();
        let mut now = START;
        for step in steps {
            match step {
                Step::Take(count) => {
                    for _ in 0..count {
                        let id = pool.take(now, &mut rng).expect("at most 18000 are in use").get();
                        // One that was released before it and lingers still keeps it back.
                        while lingering.first().is_some_and(|&(end, _)| end <= now) {
                            lingering.remove(0);
                        }
                        prop_assert!(!in_use.contains(&id) && !lingering.iter().any(|held| held.1 == id));
                        in_use.push(id);
                    }
                    prop_assert_eq!(pool.len(), in_use.len() + lingering.len());
                }
                Step::Release(count, seconds) => {
                    for id in in_use.split_off(in_use.len().saturating_sub(count.into())) {
                        let linger = Duration::from_secs(seconds);
                        pool.release(SessionId::new(id).expect("not 0"), now, linger);
                        if seconds > 0 {
                            lingering.push((now + linger, id));
                        }
                    }
                }
                Step::Pass(seconds) => now = now + Duration::from_secs(seconds),
            }
        }
    }
}
