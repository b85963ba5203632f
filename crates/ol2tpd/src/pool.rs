//! Addresses for sessions: an IPv4 address, or an IPv6 prefix of 64 bits.
//!
//! ```text
//!            take                   give
//!   fresh ─────────► taken ─────────────────► free ──take──► taken
//!                      ▲                       │   by the user who had it last,
//!   reserved ──────────┘                       │   or the one free for the longest time
//!             take_fixed                       └─ only when nothing is fresh
//! ```
//!
//! A user gets the address he had last, if it is free; fresh addresses go before used ones, so that it
//! is free for long. What was never taken costs no memory. Nothing is searched: taking and giving cost
//! the same however many addresses there are.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::sync::Arc;

use pppol2tp::Prefix;

use crate::config::Settings;

/// The pools of both families.
#[derive(Debug)]
pub struct Pools {
    /// IPv4 addresses.
    pub ipv4: AddressPools<Ipv4Addr>,
    /// IPv6 prefixes of 64 bits, by their first address.
    pub ipv6: AddressPools<Ipv6Addr>,
}

impl Pools {
    /// The pools of the settings. Our own addresses are nobody's; those that accounts name are theirs.
    pub fn new(settings: &Settings) -> Self {
        let mut pools = Self { ipv4: AddressPools::default(), ipv6: AddressPools::default() };
        pools.reload(settings);
        pools
    }

    /// Pools that have changed. What is taken remains so.
    pub fn reload(&mut self, settings: &Settings) {
        let profiles = settings.peers.iter().map(|peer| &peer.profile);
        let ours = profiles.filter_map(|profile| profile.local_address);
        let theirs = settings.users.iter().filter_map(|user| user.grant.address);
        let ranges = settings.pools.iter().map(|(name, ranges)| {
            let ranges = ranges.iter().map(|range| range.first().index()..=range.last().index());
            (name.as_str(), ranges.collect())
        });
        self.ipv4.reload(ranges, ours.chain(theirs).map(Address::index).collect());

        let prefixes = settings.users.iter().filter_map(|user| user.grant.ipv6_prefix);
        let ranges =
            settings.ipv6_pools.iter().map(|(name, prefix)| (name.as_str(), vec![networks(*prefix)]));
        self.ipv6.reload(ranges, prefixes.map(|prefix| *networks(prefix).start()).collect());
    }
}

/// The networks of 64 bits in an IPv6 prefix, as [`Address::index`] numbers them.
fn networks(prefix: Prefix) -> RangeInclusive<u64> {
    let first = match prefix.address {
        IpAddr::V6(address) => address.index(),
        IpAddr::V4(_) => unreachable!("the settings take IPv6 prefixes only"),
    };
    first..=first | u64::MAX.checked_shr(prefix.len.into()).unwrap_or(0)
}

/// What pools are made of.
pub trait Address: Copy + fmt::Display {
    /// Its number.
    fn index(self) -> u64;

    /// The one of that number.
    fn from_index(index: u64) -> Self;
}

impl Address for Ipv4Addr {
    fn index(self) -> u64 {
        self.to_bits().into()
    }

    fn from_index(index: u64) -> Self {
        Self::from_bits(index as u32)
    }
}

/// The network of 64 bits that the address is in.
impl Address for Ipv6Addr {
    fn index(self) -> u64 {
        (self.to_bits() >> 64) as u64
    }

    fn from_index(index: u64) -> Self {
        Self::from_bits(u128::from(index) << 64)
    }
}

/// An address that is taken. It must go back by [`AddressPools::give`]; dropped, it is lost until the
/// daemon ends.
#[derive(PartialEq, Eq, Debug)]
#[must_use]
pub struct Lease<A>(A);

impl<A: Address> Lease<A> {
    /// The address.
    pub fn address(&self) -> A {
        self.0
    }
}

/// Why there is no address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Error {
    /// Nobody defines it.
    NoSuchPool {
        /// Its name.
        pool: String,
    },
    /// All are taken.
    Exhausted {
        /// The pool's name.
        pool: String,
        /// How many it has.
        size: u64,
    },
    /// A fixed address is taken already.
    InUse {
        /// The address.
        address: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchPool { pool } => {
                write!(f, "there is no pool `{pool}`; define it, or give the account another one")
            }
            Self::Exhausted { pool, size } => {
                write!(f, "pool `{pool}` is exhausted: all of its {size} are in use; make it larger")
            }
            Self::InUse { address } => {
                write!(f, "{address} is fixed, and another session has it; end that one first")
            }
        }
    }
}

impl std::error::Error for Error {}

/// How many addresses of a pool are kept for those who had them last.
const REMEMBERED: usize = 1 << 16;

/// The pools of one family.
#[derive(Debug)]
pub struct AddressPools<A> {
    names: BTreeMap<Box<str>, usize>,
    pools: Vec<Pool>,
    /// Which pool an address belongs to: the last of a range and its pool, by the first.
    owners: BTreeMap<u64, (u64, usize)>,
    /// In no pool: given by `take_fixed` only.
    reserved: BTreeSet<u64>,
    /// What has ever been taken.
    slots: HashMap<u64, Slot>,
    /// The last address of each user; that address' slot names him.
    users: HashMap<Arc<[u8]>, u64>,
    /// Counts what was given back, to know what came first.
    gifts: u64,
    address: std::marker::PhantomData<A>,
}

type Bounds = (u64, u64);

#[derive(Debug)]
struct Pool {
    size: u64,
    taken: u64,
    /// First and last of each range, and what of it may not have been taken yet.
    ranges: Vec<(Bounds, RangeInclusive<u64>)>,
    /// The first range of which something may be left.
    at: usize,
    /// What was given back, the oldest first.
    free: BTreeMap<u64, u64>,
}

#[derive(Debug)]
struct Slot {
    /// When it was given back; `None`: it is taken.
    free: Option<u64>,
    /// Who had it last; empty: nobody in particular.
    user: Arc<[u8]>,
}

impl<A> Default for AddressPools<A> {
    fn default() -> Self {
        Self {
            names: BTreeMap::new(),
            pools: Vec::new(),
            owners: BTreeMap::new(),
            reserved: BTreeSet::new(),
            slots: HashMap::new(),
            users: HashMap::new(),
            gifts: 0,
            address: std::marker::PhantomData,
        }
    }
}

impl<A: Address> AddressPools<A> {
    /// An address out of the pool: the one that this user had last, a fresh one, or the one that has
    /// been free for the longest time; that one too if so many are free already that a large pool would
    /// otherwise be remembered whole. A user without a name is nobody in particular.
    ///
    /// # Errors
    ///
    /// There is no such pool, or none of it is free.
    pub fn take(&mut self, pool: &str, user: &[u8]) -> Result<Lease<A>, Error> {
        let Some(&at) = self.names.get(pool) else { return Err(Error::NoSuchPool { pool: pool.into() }) };
        let index = self.last_of(user, at).or_else(|| {
            let fresh = (self.pools[at].free.len() < REMEMBERED).then(|| self.fresh(at)).flatten();
            fresh.or_else(|| self.pools[at].free.first_key_value().map(|(_, oldest)| *oldest))
        });
        match index {
            Some(index) => Ok(self.hand_out(index, user)),
            None => Err(Error::Exhausted { pool: pool.into(), size: self.pools[at].size }),
        }
    }

    /// This very address, inside of a pool or not.
    ///
    /// # Errors
    ///
    /// It is taken.
    pub fn take_fixed(&mut self, address: A) -> Result<Lease<A>, Error> {
        let index = address.index();
        match self.slots.get(&index) {
            Some(Slot { free: None, .. }) => Err(Error::InUse { address: address.to_string() }),
            _ => Ok(self.hand_out(index, &[])),
        }
    }

    /// Takes an address back.
    pub fn give(&mut self, lease: Lease<A>) {
        let index = lease.0.index();
        let Some(at) = self.pool_of(index) else { return self.forget(index) };
        let Some(slot) = self.slots.get_mut(&index) else { return };
        self.gifts += 1;
        slot.free = Some(self.gifts);
        self.pools[at].taken -= 1;
        self.pools[at].free.insert(self.gifts, index);
    }

    /// Each pool's name, how many of it are taken, and how many it has.
    pub fn usage(&self) -> impl Iterator<Item = (&str, u64, u64)> {
        self.names.iter().map(|(name, at)| (&**name, self.pools[*at].taken, self.pools[*at].size))
    }

    /// The user's last address, if it is in this pool and free.
    fn last_of(&self, user: &[u8], at: usize) -> Option<u64> {
        let index = *self.users.get(user)?;
        let free = self.slots.get(&index)?.free?;
        self.pools[at].free.contains_key(&free).then_some(index)
    }

    /// An address that was never taken. Each is looked at once.
    fn fresh(&mut self, at: usize) -> Option<u64> {
        let Self { pools, reserved, slots, .. } = self;
        let pool = &mut pools[at];
        loop {
            let (_, rest) = pool.ranges.get_mut(pool.at)?;
            let fresh = rest.find(|index| !reserved.contains(index) && !slots.contains_key(index));
            if fresh.is_some() {
                return fresh;
            }
            pool.at += 1;
        }
    }

    /// Takes what is fresh, free or reserved.
    fn hand_out(&mut self, index: u64, user: &[u8]) -> Lease<A> {
        let free = self.slots.get(&index).and_then(|slot| slot.free);
        self.forget(index);
        if let Some(at) = self.pool_of(index) {
            self.pools[at].taken += 1;
            if let Some(free) = free {
                self.pools[at].free.remove(&free);
            }
        }
        let user: Arc<[u8]> = user.into();
        if !user.is_empty() {
            self.users.insert(user.clone(), index);
        }
        self.slots.insert(index, Slot { free: None, user });
        Lease(A::from_index(index))
    }

    /// Nobody has had it.
    fn forget(&mut self, index: u64) {
        if let Some(slot) = self.slots.remove(&index)
            && self.users.get(&slot.user) == Some(&index)
        {
            self.users.remove(&slot.user);
        }
    }

    /// Other pools, other reservations; what is taken remains so. The ranges do not overlap.
    fn reload<'a>(
        &mut self,
        ranges: impl Iterator<Item = (&'a str, Vec<RangeInclusive<u64>>)>,
        reserved: BTreeSet<u64>,
    ) {
        // Ranges that remain are not gone through again.
        let gone_through: HashMap<_, _> = self.pools.drain(..).flat_map(|pool| pool.ranges).collect();
        self.names.clear();
        self.owners.clear();
        for (at, (name, ranges)) in ranges.enumerate() {
            let ranges: Vec<_> = ranges
                .into_iter()
                .map(|range| {
                    let bounds = range.clone().into_inner();
                    (bounds, gone_through.get(&bounds).cloned().unwrap_or(range))
                })
                .collect();
            let sizes = ranges.iter().map(|((first, last), _)| (last - first).saturating_add(1));
            let size = sizes.fold(0u64, u64::saturating_add);
            self.names.insert(name.into(), at);
            self.owners.extend(ranges.iter().map(|((first, last), _)| (*first, (*last, at))));
            self.pools.push(Pool { size, taken: 0, ranges, at: 0, free: BTreeMap::new() });
        }
        for at in reserved.iter().filter_map(|index| owner(&self.owners, *index)) {
            self.pools[at].size -= 1;
        }
        let before = std::mem::replace(&mut self.reserved, reserved);
        for index in before.difference(&self.reserved) {
            if let Entry::Vacant(slot) = self.slots.entry(*index) {
                self.gifts += 1;
                slot.insert(Slot { free: Some(self.gifts), user: Arc::default() });
            }
        }

        let slots: Vec<_> = self.slots.iter().map(|(index, slot)| (*index, slot.free)).collect();
        for (index, free) in slots {
            match (self.pool_of(index), free) {
                (Some(at), None) => self.pools[at].taken += 1,
                (Some(at), Some(free)) => _ = self.pools[at].free.insert(free, index),
                (None, None) => {}
                (None, Some(_)) => self.forget(index),
            }
        }
    }

    /// The pool that an address goes back to.
    fn pool_of(&self, index: u64) -> Option<usize> {
        if self.reserved.contains(&index) { None } else { owner(&self.owners, index) }
    }
}

/// The pool whose range an address is in.
fn owner(owners: &BTreeMap<u64, (u64, usize)>, index: u64) -> Option<usize> {
    let (_, (last, at)) = owners.range(..=index).next_back()?;
    (index <= *last).then_some(*at)
}

#[cfg(test)]
mod tests;
