//! Identifiers, magic numbers and challenges, from the seed that the caller gave.

use core::convert::Infallible;

use chacha20::ChaCha8Rng;
use rand_core::{Rng, SeedableRng, TryCryptoRng, TryRng};
use zeroize::Zeroizing;

/// A cryptographic generator that takes little room between two uses: its key and how much was used.
pub(crate) struct Random {
    seed: Zeroizing<[u8; 32]>,
    used: u64,
}

impl Random {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self { seed: Zeroizing::new(seed), used: 0 }
    }

    /// A number that is not 0.
    pub(crate) fn nonzero(&mut self) -> u32 {
        self.next_u32().max(1)
    }
}

impl TryRng for Random {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.try_next_u64().map(|number| number as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        let mut rng = ChaCha8Rng::from_seed(*self.seed);
        rng.set_stream(self.used);
        self.used += 1;
        rng.fill_bytes(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Random {}
