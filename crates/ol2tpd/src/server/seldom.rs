//! What anybody on the network can have us tell: once a second it is told.

use std::time::Duration;

use l2tp_control::Instant;

/// Whether something may be told, and how often it was not.
#[derive(Default)]
pub(super) struct Seldom {
    quiet_until: Instant,
    untold: u64,
}

impl Seldom {
    /// Returns how many others were not told since the last one, if this one may be.
    pub(super) fn may_be_told(&mut self, now: Instant) -> Option<u64> {
        if now < self.quiet_until {
            self.untold += 1;
            return None;
        }
        self.quiet_until = now + Duration::from_secs(1);
        Some(std::mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_a_second_is_told() {
        let mut seldom = Seldom::default();
        let told = [0, 1, 999_999, 1_000_000, 1_000_001, 2_000_000, 5_000_000]
            .map(|time| seldom.may_be_told(Instant::from_micros(time)));
        assert_eq!(told, [Some(0), None, None, Some(2), None, Some(1), Some(0)]);
    }
}
