//! When a session is advertised to (RFC 4861 §6.2.4, §6.2.6).
//!
//! | what happens | the next advertisement |
//! |---|---|
//! | the session begins | a second later, for the peer's interface may not be up yet: one that is solicits |
//! | one of the first two is sent | 16 s later |
//! | a later one is sent | between 200 s and 600 s later |
//! | a solicitation comes | within 0.5 s, but 3 s after the last at the earliest; or as planned, if that is sooner |

use std::time::Duration;

use l2tp_data::time::Instant;

/// Before the first.
const BEGIN: Duration = Duration::from_secs(1);
/// MAX_INITIAL_RTR_ADVERTISEMENTS.
const FIRST: u8 = 3;
/// MAX_INITIAL_RTR_ADVERT_INTERVAL.
const FIRST_INTERVAL: Duration = Duration::from_secs(16);
/// MinRtrAdvInterval and MaxRtrAdvInterval.
const INTERVAL: (Duration, Duration) = (Duration::from_secs(200), Duration::from_secs(600));
/// MAX_RA_DELAY_TIME.
const DELAY: Duration = Duration::from_millis(500);
/// MIN_DELAY_BETWEEN_RAS.
const APART: Duration = Duration::from_secs(3);

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Timing {
    due: Instant,
    last: Option<Instant>,
    /// How many of the first are still to be sent.
    first: u8,
}

impl Timing {
    pub(super) fn new(now: Instant) -> Self {
        Self { due: now + BEGIN, last: None, first: FIRST }
    }

    pub(super) fn due(&self) -> Instant {
        self.due
    }

    pub(super) fn sent(&mut self, now: Instant, random: u32) {
        self.last = Some(now);
        self.first = self.first.saturating_sub(1);
        self.due = now + if self.first > 0 { FIRST_INTERVAL } else { between(INTERVAL, random) };
    }

    pub(super) fn solicited(&mut self, now: Instant, random: u32) {
        let answer = now + between((Duration::ZERO, DELAY), random);
        let earliest = self.last.map_or(now, |last| last + APART);
        self.due = self.due.min(answer.max(earliest));
    }
}

fn between((least, most): (Duration, Duration), random: u32) -> Duration {
    least + (most - least).mul_f64(f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Instant {
        Instant::from_micros(milliseconds * 1000)
    }

    #[test]
    fn begins_a_second_later_or_when_it_is_solicited() {
        let mut timing = Timing::new(at(7));
        assert_eq!(timing.due(), at(1007));
        timing.solicited(at(8), 0);
        assert_eq!(timing.due(), at(8));
    }

    #[test]
    fn the_first_come_soon() {
        let mut timing = Timing::new(at(0));
        timing.sent(at(0), u32::MAX);
        assert_eq!(timing.due(), at(16_000));
        timing.sent(at(16_000), u32::MAX);
        assert_eq!(timing.due(), at(32_000));
    }

    #[test]
    fn later_ones_are_spread() {
        for (random, after) in [(0, 200_000), (u32::MAX, 600_000)] {
            let mut timing = Timing::new(at(0));
            (0..3).for_each(|n| timing.sent(at(n), random));
            assert_eq!(timing.due(), at(2 + after));
        }
    }

    #[test]
    fn a_solicitation_is_answered() {
        for (random, delay) in [(0, 0), (u32::MAX, 500)] {
            let mut timing = Timing::new(at(0));
            timing.sent(at(0), 0);
            timing.solicited(at(9000), random);
            assert_eq!(timing.due(), at(9000 + delay));
        }
    }

    #[test]
    fn a_flood_of_them_is_answered_once_in_three_seconds() {
        let mut timing = Timing::new(at(0));
        let mut sent = 0;
        for now in 0..10_000 {
            timing.solicited(at(now), 0);
            if timing.due() <= at(now) {
                timing.sent(at(now), 0);
                sent += 1;
            }
        }
        assert_eq!(sent, 4, "at 0, 3, 6 and 9 s");
    }

    #[test]
    fn what_is_planned_is_not_put_off() {
        let mut timing = Timing::new(at(0));
        timing.sent(at(0), 0);
        timing.solicited(at(15_900), u32::MAX);
        assert_eq!(timing.due(), at(16_000));
    }
}
