//! Who may open a tunnel, and how many: what is looked at before anything is allocated.

use core::net::{IpAddr, Ipv6Addr};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::Instant;
use super::config::Limits;

/// Buckets that sources share by hash: a bound on memory, not on sources.
const BUCKETS: usize = 4096;

/// A source that limits are counted by: an IPv4 address, or an IPv6 network of 64 bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Source(IpAddr);

impl Source {
    pub(crate) fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
            address => address,
        })
    }
}

/// Why a peer's SCCRQ is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    /// We have too many tunnels, or too many that are half open, in all or from this source.
    Limit,
    /// We are about to end.
    Draining,
}

/// Tokens that come with time and go with requests.
#[derive(Clone, Copy, Default, Debug)]
struct Bucket {
    /// Microseconds' worth of tokens that were spent: falls with time.
    spent_until: u64,
}

impl Bucket {
    /// Takes a token of `rate` a second; a second's worth may be taken at once.
    fn take(&mut self, now: Instant, rate: u32) -> bool {
        const SECOND: u64 = 1_000_000;
        let (now, price) = (now.as_micros(), SECOND.div_ceil(u64::from(rate.max(1))));
        let until = self.spent_until.max(now);
        let allowed = rate > 0 && until - now < SECOND;
        if allowed {
            self.spent_until = until.saturating_add(price);
        }
        allowed
    }
}

/// What a source has opened and begun.
#[derive(Clone, Copy, Default, Debug)]
struct Counts {
    /// Tunnels that are not closing,
    tunnels: usize,
    /// and those of them that are half open.
    half_open: usize,
    /// Calls that are not proven.
    calls: usize,
}

/// What there is, against the limits.
#[derive(Debug)]
pub(crate) struct Admission {
    seed: u64,
    all: Bucket,
    buckets: Box<[Bucket]>,
    sources: BTreeMap<Source, Counts>,
    half_open: usize,
    pub(crate) draining: bool,
}

impl Admission {
    /// The seed keeps strangers from finding out whose bucket they share.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            all: Bucket::default(),
            buckets: vec![Bucket::default(); BUCKETS].into(),
            sources: BTreeMap::new(),
            half_open: 0,
            draining: false,
        }
    }

    /// Whether a message of a stranger is within the rates. Beyond them there is no answer: it would cost
    /// as much as a tunnel.
    pub(crate) fn rate(&mut self, now: Instant, address: IpAddr, limits: &Limits) -> bool {
        let mut hasher = DefaultHasher::new();
        (self.seed, Source::of(address)).hash(&mut hasher);
        let bucket = &mut self.buckets[hasher.finish() as usize % BUCKETS];
        bucket.take(now, limits.requests_per_source) && self.all.take(now, limits.requests)
    }

    /// Whether one more tunnel from this source is within the limits. `tunnels`: how many there are.
    pub(crate) fn check(&self, address: IpAddr, tunnels: usize, limits: &Limits) -> Result<(), Refusal> {
        if self.draining {
            return Err(Refusal::Draining);
        }
        let source = self.counts(address);
        let full = tunnels >= limits.tunnels
            || source.tunnels >= limits.tunnels_per_source
            || self.half_open >= limits.half_open
            || source.half_open >= limits.half_open_per_source;
        if full { Err(Refusal::Limit) } else { Ok(()) }
    }

    /// Whether this source has as many calls that are not proven as it may have.
    pub(crate) fn is_crowded(&self, address: IpAddr, limits: &Limits) -> bool {
        limits.unproven_calls_per_source.is_some_and(|limit| self.counts(address).calls >= limit)
    }

    fn counts(&self, address: IpAddr) -> Counts {
        self.sources.get(&Source::of(address)).copied().unwrap_or_default()
    }

    fn change(&mut self, address: IpAddr, change: impl FnOnce(&mut Counts)) {
        let source = Source::of(address);
        let counts = self.sources.entry(source).or_default();
        change(counts);
        if counts.tunnels + counts.calls == 0 {
            self.sources.remove(&source);
        }
    }

    /// A peer has begun to open a tunnel.
    pub(crate) fn opened(&mut self, address: IpAddr) {
        self.half_open += 1;
        self.change(address, |counts| {
            counts.tunnels += 1;
            counts.half_open += 1;
        });
    }

    /// It is established, or ends before.
    pub(crate) fn settled(&mut self, address: IpAddr) {
        self.half_open -= 1;
        self.change(address, |counts| counts.half_open -= 1);
    }

    /// It ends, and is settled.
    pub(crate) fn ended(&mut self, address: IpAddr) {
        self.change(address, |counts| counts.tunnels -= 1);
    }

    /// A peer has begun a call.
    pub(crate) fn called(&mut self, address: IpAddr) {
        self.change(address, |counts| counts.calls += 1);
    }

    /// So many calls are proven, or have ended before.
    pub(crate) fn proven(&mut self, address: IpAddr, calls: usize) {
        if calls > 0 {
            self.change(address, |counts| counts.calls -= calls);
        }
    }

    /// How many tunnels are half open.
    pub(crate) fn half_open(&self) -> usize {
        self.half_open
    }

    /// Whether nothing counts.
    pub(crate) fn is_empty(&self) -> bool {
        self.sources.is_empty() && self.half_open == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_rate_and_no_more() {
        let mut bucket = Bucket::default();
        let taken = |bucket: &mut Bucket, from: u64, to: u64| {
            (from..to).step_by(1000).filter(|now| bucket.take(Instant::from_micros(*now), 50)).count()
        };
        let start = 7_000_000;
        assert_eq!(taken(&mut bucket, start, start + 1000), 1);
        let burst = (0..1000).filter(|_| bucket.take(Instant::from_micros(start + 1000), 50)).count();
        assert_eq!(
            burst,
            50 - 1 + 1,
            "a second's worth at once, the first token's time has begun to come back"
        );
        let later = taken(&mut bucket, start + 1000, start + 10_001_000);
        assert!((499..=501).contains(&later), "{later} in ten seconds");
        assert!(!Bucket::default().take(Instant::from_micros(start), 0), "a rate of 0 refuses all");
        assert!(Bucket::default().take(Instant::from_micros(u64::MAX), 50), "even when time has ended");
    }

    #[test]
    fn tunnels_are_counted_by_source() {
        let half = Limits { half_open: 3, half_open_per_source: 2, tunnels: 10, ..Limits::default() };
        let all = Limits { tunnels_per_source: 2, ..half };
        let [a, b, c] = ["10.0.0.1", "fd00::1", "fd00::2"].map(|address| address.parse().unwrap());
        let mut admission = Admission::new(1);
        admission.opened(b);
        admission.opened(c);
        assert_eq!(admission.check(b, 2, &half), Err(Refusal::Limit), "one network of 64 bits");
        assert_eq!(admission.check(a, 2, &half), Ok(()));
        admission.opened(a);
        assert_eq!(admission.check(a, 3, &half), Err(Refusal::Limit), "all together");
        admission.settled(b);
        assert_eq!((admission.check(c, 2, &half), admission.half_open()), (Ok(()), 2));
        assert_eq!(admission.check(c, 2, &all), Err(Refusal::Limit), "established ones count too");
        admission.ended(b);
        assert_eq!(admission.check(c, 2, &all), Ok(()));
        assert_eq!(admission.check(c, 10, &half), Err(Refusal::Limit), "tunnels");
        admission.draining = true;
        assert_eq!(admission.check(c, 0, &half), Err(Refusal::Draining));
        for address in [a, c] {
            admission.settled(address);
            admission.ended(address);
        }
        assert!(admission.is_empty());
    }
}
