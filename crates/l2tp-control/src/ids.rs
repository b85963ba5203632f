//! Pools of tunnel and session ids: unpredictable, unique, never 0, and free again only when the
//! last message for their previous owner can no longer arrive.
//!
//! ```text
//!  free ──take──► in use ──release──► lingering ──its time passes──► free
//! ```
//!
//! An id that cannot be guessed keeps third parties from injecting messages blindly (RFC 2661 §9), so
//! the generator is the caller's cryptographic one. A small pool is a sorted list, a large one a
//! bitmap of 8 KiB from which every free id is drawn with the same probability, in constant time.

use core::marker::PhantomData;
use core::time::Duration;
use std::collections::VecDeque;

use l2tp_data::id::{SessionId, TunnelId};
use rand_core::CryptoRng;

use super::Instant;

/// A 16-bit id that cannot be 0.
pub trait Id: Copy {
    /// The id, or `None` for zero.
    fn new(id: u16) -> Option<Self>;
    /// The id in host order.
    fn get(self) -> u16;
}

impl Id for TunnelId {
    fn new(id: u16) -> Option<Self> {
        Self::new(id)
    }

    fn get(self) -> u16 {
        self.get()
    }
}

impl Id for SessionId {
    fn new(id: u16) -> Option<Self> {
        Self::new(id)
    }

    fn get(self) -> u16 {
        self.get()
    }
}

/// The ids of one kind that one owner gives out.
#[derive(Clone, Debug)]
pub struct IdPool<I> {
    taken: Taken,
    /// Each id that lingers, below the millisecond of its end: `end << 16 | id`.
    lingering: VecDeque<u64>,
    id: PhantomData<I>,
}

impl<I> Default for IdPool<I> {
    fn default() -> Self {
        Self { taken: Taken::Few(Vec::new()), lingering: VecDeque::new(), id: PhantomData }
    }
}

impl<I: Id> IdPool<I> {
    /// How many ids there are.
    pub const SIZE: usize = 65_535;

    /// A pool from which nothing has been taken.
    pub fn new() -> Self {
        Self::default()
    }

    /// A free id, or `None` if all are in use or lingering.
    pub fn take(&mut self, now: Instant, rng: &mut impl CryptoRng) -> Option<I> {
        self.expire(now);
        let id = self.taken.draw(rng)?;
        self.taken.insert(id);
        I::new(id)
    }

    /// Gives back an id that was taken. It is free again after `linger`, but not before ids that
    /// were released earlier; with zero at once.
    pub fn release(&mut self, id: I, now: Instant, linger: Duration) {
        if linger.is_zero() {
            self.taken.remove(id.get());
            return;
        }
        let end = (now + linger).as_micros().div_ceil(1000).min(u64::MAX >> 16);
        self.lingering.push_back(end << 16 | u64::from(id.get()));
    }

    /// How many ids are not free: in use, or lingering when last looked at.
    pub fn len(&self) -> usize {
        self.taken.len()
    }

    /// Whether all ids are free.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn expire(&mut self, now: Instant) {
        while let Some(&first) = self.lingering.front()
            && first >> 16 <= now.as_micros() / 1000
        {
            self.taken.remove(first as u16);
            self.lingering.pop_front();
            if self.lingering.is_empty() {
                self.lingering = VecDeque::new();
            }
        }
    }
}

/// A list longer than this becomes a bitmap; a bitmap with a quarter of it a list.
const FEW: usize = 512;

/// A set of ids.
#[derive(Clone, Debug)]
enum Taken {
    /// In ascending order.
    Few(Vec<u16>),
    Many(Box<Bitmap>),
}

#[derive(Clone, Debug)]
struct Bitmap {
    /// A bit per id, that of id 0 set.
    words: [u64; 1024],
    count: usize,
}

impl Taken {
    fn len(&self) -> usize {
        match self {
            Self::Few(ids) => ids.len(),
            Self::Many(bitmap) => bitmap.count,
        }
    }

    /// A random id that is not in the set.
    fn draw(&self, rng: &mut impl CryptoRng) -> Option<u16> {
        match self {
            Self::Few(ids) => loop {
                let id = rng.next_u32() as u16;
                if id != 0 && ids.binary_search(&id).is_err() {
                    return Some(id);
                }
            },
            Self::Many(bitmap) => bitmap.draw(rng),
        }
    }

    fn insert(&mut self, id: u16) {
        match self {
            Self::Few(ids) => {
                if let Err(at) = ids.binary_search(&id) {
                    ids.insert(at, id);
                }
                if ids.len() > FEW {
                    *self = Self::Many(Box::new(Bitmap::new(ids)));
                }
            }
            Self::Many(bitmap) => bitmap.insert(id),
        }
    }

    fn remove(&mut self, id: u16) {
        match self {
            Self::Few(ids) => {
                if let Ok(at) = ids.binary_search(&id) {
                    ids.remove(at);
                }
            }
            Self::Many(bitmap) => {
                bitmap.remove(id);
                if bitmap.count <= FEW / 4 {
                    *self = Self::Few(bitmap.ids().collect());
                }
            }
        }
    }
}

impl Bitmap {
    fn new(ids: &[u16]) -> Self {
        let mut bitmap = Self { words: [0; 1024], count: 0 };
        bitmap.words[0] = 1;
        for &id in ids {
            bitmap.insert(id);
        }
        bitmap
    }

    fn contains(&self, id: u16) -> bool {
        self.words[usize::from(id >> 6)] & (1 << (id & 63)) != 0
    }

    fn insert(&mut self, id: u16) {
        self.count += usize::from(!self.contains(id));
        self.words[usize::from(id >> 6)] |= 1 << (id & 63);
    }

    fn remove(&mut self, id: u16) {
        if id != 0 && self.contains(id) {
            self.count -= 1;
            self.words[usize::from(id >> 6)] &= !(1 << (id & 63));
        }
    }

    /// Some guesses, which succeed unless few are free; then the n-th free id for a random n.
    fn draw(&self, rng: &mut impl CryptoRng) -> Option<u16> {
        let free = 65_535 - self.count;
        if free == 0 {
            return None;
        }
        for _ in 0..4 {
            let id = rng.next_u32() as u16;
            if !self.contains(id) {
                return Some(id);
            }
        }
        let mut n = rng.next_u32() % free as u32;
        for (word, at) in self.words.iter().zip(0u16..) {
            let zeros = word.count_zeros();
            if n < zeros {
                let bit = (0..64).filter(|bit| word & (1 << bit) == 0).nth(n as usize)?;
                return Some(at << 6 | bit);
            }
            n -= zeros;
        }
        None
    }

    fn ids(&self) -> impl Iterator<Item = u16> {
        (1..=u16::MAX).filter(|&id| self.contains(id))
    }
}

#[cfg(test)]
mod tests;
