//! Tables of the data path: ids to slots, inner addresses to slots.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::Prefix;

/// Ids of 16 bits to slots, in pages of 256 that exist where ids do: two loads a look-up.
pub(super) struct IdTable {
    pages: Box<[Option<Box<[u32; 256]>>; 256]>,
}

const NONE: u32 = u32::MAX;

impl IdTable {
    pub(super) fn new() -> Self {
        Self { pages: Box::new([const { None }; 256]) }
    }

    #[inline]
    pub(super) fn get(&self, id: u16) -> Option<u32> {
        let slot = self.pages[usize::from(id >> 8)].as_ref()?[usize::from(id & 255)];
        (slot != NONE).then_some(slot)
    }

    pub(super) fn insert(&mut self, id: u16, slot: u32) {
        let page = self.pages[usize::from(id >> 8)].get_or_insert_with(|| Box::new([NONE; 256]));
        page[usize::from(id & 255)] = slot;
    }

    /// Takes an id out, unless it leads to another slot by now.
    pub(super) fn remove(&mut self, id: u16, slot: u32) {
        let page = &mut self.pages[usize::from(id >> 8)];
        if let Some(entries) = page {
            let entry = &mut entries[usize::from(id & 255)];
            if *entry == slot {
                *entry = NONE;
            }
            if entries.iter().all(|&slot| slot == NONE) {
                *page = None;
            }
        }
    }
}

/// Inner addresses to slots, the longest prefix first: one hash look-up for each length in use,
/// which for address pools is one.
#[derive(Default)]
pub(super) struct AddressTable {
    /// Lengths in use, the longest first, and how many prefixes have each.
    lengths: Vec<(u8, usize)>,
    slots: HashMap<(u8, u128), u32>,
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

/// Whether an address (IPv4 in mapped form) is in one of the prefixes.
pub(super) fn contains(prefixes: &[(u8, u128)], address: u128) -> bool {
    prefixes.iter().any(|&(len, prefix)| mask(address, len) == prefix)
}

/// Prefixes as [`contains`] wants them.
pub(super) fn keys(prefixes: &[Prefix]) -> Box<[(u8, u128)]> {
    prefixes.iter().map(|&prefix| key(prefix)).collect()
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
