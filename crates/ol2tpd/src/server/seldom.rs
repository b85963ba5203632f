//! What anybody on the network can have us do or tell: some of it at once, and then once a second.

use std::time::Duration;

use l2tp_control::Instant;

/// Whether something may be done or told, and how often it was not.
pub(super) struct Seldom {
    /// How often it may be at once.
    burst: u32,
    /// How often of that it still may.
    left: u32,
    /// When it may be once more.
    next: Instant,
    untold: u64,
}

impl Default for Seldom {
    fn default() -> Self {
        Self::after(1)
    }
}

impl Seldom {
    /// So often, and then once a second. What was not used up comes back at that rate.
    pub(super) fn after(burst: u32) -> Self {
        Self { burst, left: burst, next: Instant::default(), untold: 0 }
    }

    /// Returns how many others were not told since the last one, if this one may be.
    pub(super) fn may_be_told(&mut self, now: Instant) -> Option<u64> {
        const SECOND: Duration = Duration::from_secs(1);
        if now >= self.next {
            let more = now.since(self.next).as_secs().saturating_add(1);
            self.left =
                u32::try_from(more).map_or(self.burst, |more| self.burst.min(self.left.saturating_add(more)));
            self.next = now + SECOND;
        }
        if self.left == 0 {
            self.untold += 1;
            return None;
        }
        self.left -= 1;
        Some(std::mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told<const N: usize>(mut seldom: Seldom, times: [u64; N]) -> [Option<u64>; N] {
        times.map(|time| seldom.may_be_told(Instant::from_micros(time)))
    }

    #[test]
    fn one_a_second_is_told() {
        let times = [0, 1, 999_999, 1_000_000, 1_000_001, 2_000_000, 5_000_000, 5_000_001];
        assert_eq!(
            told(Seldom::default(), times),
            [Some(0), None, None, Some(2), None, Some(1), Some(0), None]
        );
    }

    #[test]
    fn some_are_told_at_once() {
        let times =
            [7, 8, 9, 10, 1_000_010, 1_000_011, 3_000_011, 3_000_012, 60_000_000, 60_000_000, 60_000_000];
        let [now, later] = [Some(0), None];
        assert_eq!(
            told(Seldom::after(2), times),
            [now, now, later, later, Some(2), later, Some(1), now, now, now, later]
        );
    }
}
