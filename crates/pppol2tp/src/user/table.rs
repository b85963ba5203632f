//! Tables of the data path: ids to slots, inner addresses to slots.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::net::IpAddr;

use crate::Prefix;

/// Tunnel and session ids to the slots of sessions.
#[derive(Default)]
pub(super) struct IdTable {
    slots: HashMap<u32, u32, BuildHasherDefault<SlotHasher>>,
}

/// Multiplications spread ids and addresses enough: those in the tables are our choice, no attacker's.
#[derive(Default)]
struct SlotHasher(u64);

impl Hasher for SlotHasher {
    #[inline]
    fn write_u32(&mut self, ids: u32) {
        let product = u64::from(ids).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = product ^ product >> 32;
    }

    #[inline]
    fn write_u8(&mut self, len: u8) {
        self.0 = u64::from(len);
    }

    #[inline]
    fn write_u128(&mut self, address: u128) {
        for half in [(address >> 64) as u64, address as u64] {
            let product = u128::from(self.0 ^ half).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            self.0 = product as u64 ^ (product >> 64) as u64;
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u32(self.0 as u32 ^ u32::from(byte)));
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

fn ids(tunnel: u16, session: u16) -> u32 {
    u32::from(tunnel) << 16 | u32::from(session)
}

impl IdTable {
    #[inline]
    pub(super) fn get(&self, tunnel: u16, session: u16) -> Option<u32> {
        self.slots.get(&ids(tunnel, session)).copied()
    }

    pub(super) fn insert(&mut self, tunnel: u16, session: u16, slot: u32) {
        self.slots.insert(ids(tunnel, session), slot);
    }

    /// Takes a session out, unless its ids are those of another slot by now.
    pub(super) fn remove(&mut self, tunnel: u16, session: u16, slot: u32) {
        let ids = ids(tunnel, session);
        if self.slots.get(&ids) == Some(&slot) {
            self.slots.remove(&ids);
        }
    }
}

/// Inner addresses to slots, the longest prefix first: one hash look-up for each length in use,
/// which for address pools is one.
#[derive(Default)]
pub(super) struct AddressTable {
    /// Lengths in use, the longest first, and how many prefixes have each.
    lengths: Vec<(u8, usize)>,
    slots: HashMap<(u8, u128), u32, BuildHasherDefault<SlotHasher>>,
}

/// IPv4 and IPv6 share one table: IPv4 stands in IPv6's mapped range, 96 bits down.
fn key(prefix: Prefix) -> (u8, u128) {
    let (address, len) = match prefix.address {
        IpAddr::V4(address) => (address.to_ipv6_mapped(), prefix.len.min(32) + 96),
        IpAddr::V6(address) => (address, prefix.len.min(128)),
    };
    (len, mask(address.to_bits(), len))
}

fn mask(address: u128, len: u8) -> u128 {
    address & u128::MAX.checked_shl(128 - u32::from(len)).unwrap_or(0)
}

impl AddressTable {
    /// The slot for an address (IPv4 in mapped form).
    #[inline]
    pub(super) fn get(&self, address: u128) -> Option<u32> {
        self.lengths.iter().find_map(|&(len, _)| self.slots.get(&(len, mask(address, len))).copied())
    }

    /// `false` if the prefix is another slot's.
    pub(super) fn insert(&mut self, prefix: Prefix, slot: u32) -> bool {
        let key = key(prefix);
        match self.slots.insert(key, slot) {
            Some(other) => {
                self.slots.insert(key, other);
                return other == slot;
            }
            None => match self.lengths.binary_search_by(|(len, _)| key.0.cmp(len)) {
                Ok(at) => self.lengths[at].1 += 1,
                Err(at) => self.lengths.insert(at, (key.0, 1)),
            },
        }
        true
    }

    /// Takes a slot's prefix out.
    pub(super) fn remove(&mut self, prefix: Prefix, slot: u32) {
        let key = key(prefix);
        if self.slots.get(&key) == Some(&slot) {
            self.slots.remove(&key);
            self.lengths.retain_mut(|(len, count)| {
                *count -= usize::from(*len == key.0);
                *count > 0
            });
        }
    }
}

/// The bits of an address that count, and what they have to be.
pub(super) type Pattern = (u128, u128);

/// Whether an address (IPv4 in mapped form) is in one of the prefixes.
#[inline]
pub(super) fn contains(prefixes: &[Pattern], address: u128) -> bool {
    prefixes.iter().any(|&(mask, prefix)| address & mask == prefix)
}

/// Prefixes as [`contains`] wants them.
pub(super) fn patterns<'a>(prefixes: impl IntoIterator<Item = &'a Prefix>) -> Box<[Pattern]> {
    prefixes.into_iter().map(|&prefix| key(prefix)).map(|(len, prefix)| (mask(!0, len), prefix)).collect()
}

/// Source or destination address of an inner packet, IPv4 in mapped form. `None` if it is too short
/// or neither IPv4 nor IPv6.
#[inline]
pub(super) fn inner_address(packet: &[u8], destination: bool) -> Option<u128> {
    match packet.first()? >> 4 {
        4 => {
            let at = if destination { 16 } else { 12 };
            let bytes = packet.get(at..at + 4)?.first_chunk::<4>()?;
            Some(0xffff_0000_0000 | u128::from(u32::from_be_bytes(*bytes)))
        }
        6 => {
            let at = if destination { 24 } else { 8 };
            Some(u128::from_be_bytes(*packet.get(at..at + 16)?.first_chunk::<16>()?))
        }
        _ => None,
    }
}
