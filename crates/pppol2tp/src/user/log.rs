//! What the driver says through `tracing`: debug messages under the masks, and drops. Both are
//! rate-limited, because the network can cause any number of them.

use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// The driver's clock and its two rate limits. Nothing here is touched per packet unless a mask asks
/// for it or a packet is dropped.
pub(super) struct Log {
    origin: Instant,
    rate: Option<u32>,
    second: AtomicU64,
    emitted: AtomicU32,
    suppressed: AtomicU64,
    drop_second: AtomicU64,
    drops: AtomicU64,
}

const SECOND: u64 = 1_000_000;

impl Log {
    pub(super) fn new(rate: Option<u32>) -> Self {
        Self {
            origin: Instant::now(),
            rate,
            second: AtomicU64::new(0),
            emitted: AtomicU32::new(0),
            suppressed: AtomicU64::new(0),
            drop_second: AtomicU64::new(u64::MAX),
            drops: AtomicU64::new(0),
        }
    }

    /// Microseconds since the driver started.
    pub(super) fn now(&self) -> u64 {
        self.origin.elapsed().as_micros() as u64
    }

    /// A debug message of an object. `at` is the time of what it speaks of.
    #[cold]
    pub(super) fn debug(&self, at: u64, object: impl fmt::Display, message: impl fmt::Display) {
        if let Some(rate) = self.rate {
            let second = self.now() / SECOND;
            if self.second.swap(second, Relaxed) != second {
                self.emitted.store(0, Relaxed);
                let suppressed = self.suppressed.swap(0, Relaxed);
                if suppressed > 0 {
                    tracing::debug!(target: "pppol2tp", "{suppressed} messages suppressed (limit: {rate} a second)");
                }
            }
            if self.emitted.fetch_add(1, Relaxed) >= rate {
                self.suppressed.fetch_add(1, Relaxed);
                return;
            }
        }
        tracing::debug!(target: "pppol2tp", at_us = at, "{object}: {message}");
    }

    /// Says that something was dropped, once a second at the most; the counters have the rest.
    #[cold]
    pub(super) fn dropped(&self, object: impl fmt::Display, reason: impl fmt::Display) {
        let drops = self.drops.fetch_add(1, Relaxed) + 1;
        let second = self.now() / SECOND;
        if self.drop_second.swap(second, Relaxed) != second {
            self.drops.store(0, Relaxed);
            tracing::warn!(target: "pppol2tp", "{drops} dropped since the last report, the latest: {object} ({reason})");
        }
    }
}

/// The first bytes of a message in hexadecimal.
pub(super) struct Dump<'a>(pub(super) &'a [u8], pub(super) usize);

impl fmt::Display for Dump<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(self.1).try_for_each(|byte| write!(f, " {byte:02x}"))
    }
}
