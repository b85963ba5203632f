//! The fast path: the kernel itself moves the frames of plain sessions, by programs of `pppol2tp-bpf`.
//!
//! ```text
//!                       ┌────────── ordinary way: the threads up and down ──────────┐
//!   outer interface ────┤                                                           ├──── interface of the session
//!                       └─► up: known, plain, its way free ─► headers off ──────────┘
//!                           down: headers on, to the neighbour ◄─────────────────────
//! ```
//!
//! It stands beside the ordinary way, never in its place: what a program does not take, the threads get as ever.
//!
//! | a session | goes |
//! |---|---|
//! | with sequence numbers, or RECVSEQ | the ordinary way |
//! | under debug mask DATA, its own or its tunnel's | the ordinary way |
//! | whose peer is reached by something that is no Ethernet, or under an IPsec policy | the ordinary way |
//! | over a virtual link to a peer that is not known to have this | down: the ordinary way, because over such a link checksums are left unfinished and super-packets whole, for the next who sends them on |
//! | else | fast |
//!
//! **Order.** Where packets of one flow take both ways (one is too long, say), the programs let all that follow take the
//! ordinary one until that is empty: they count those (`passed`), and the threads write the count that they saw before
//! they found nothing more to do (`done`).

use std::collections::btree_map::Entry::Vacant;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use aya::maps::lpm_trie::{Key, LpmTrie};
use aya::maps::{Array, HashMap, Map, MapData, PerCpuArray, PerCpuValues};
use aya::programs::tc::{SchedClassifierLink, TcAttachOptions, TcAttachType};
use aya::programs::{LinkOrder, SchedClassifier};
use aya::{Ebpf, EbpfLoader};
use l2tp_data::stats::{Rx, Stats, Tx};
use nix::net::if_::if_indextoname;
use pppol2tp_bpf::OBJECT;
use pppol2tp_bpf::layout::{Counters, DOWN, Session as Entry, UP, Way, way_of_tunnel};

use self::watch::Watch;
use super::core::Core;
use super::state::{Session, lock};
use crate::sys::{Shared, Value};
use crate::{Error, Prefix, Result};

mod entry;
mod link;
mod order;
mod policy;
mod watch;

pub(super) use entry::{Bound, entry, ids};
pub(super) use link::{Path, path};
pub(super) use order::Doing;
pub(super) use pppol2tp_bpf::layout::{way_down, way_up};

/// How long an entry rests before another session gets it: by then no program looks at it any more.
const REST: Duration = Duration::from_millis(100);
/// No entry.
const NONE: u32 = u32::MAX;
/// What stands for an interface that sessions share.
const MANY: u32 = u32::MAX;

/// Whether sessions use the fast path.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Fast {
    /// Where it works.
    #[default]
    Auto,
    /// It has to work; but single sessions may have reasons not to.
    On,
    /// Never.
    Off,
}

impl Fast {
    /// All of them, by their names.
    pub const NAMES: [(&'static str, Self); 3] = [("auto", Self::Auto), ("on", Self::On), ("off", Self::Off)];
}

/// The fast path of a driver, or why it has none.
#[derive(Clone)]
pub struct FastPath(std::result::Result<Arc<Programs>, Arc<str>>);

impl Default for FastPath {
    /// None.
    fn default() -> Self {
        Self(Err("it is not asked for".into()))
    }
}

impl FastPath {
    /// Loads the programs, if that is wanted, with room for so many sessions: each takes 400 bytes. This is what needs
    /// CAP_BPF and CAP_NET_ADMIN; CAP_BPF can be dropped afterwards.
    ///
    /// Errors: it has to work, and does not.
    pub fn open(wanted: Fast, sessions: u32) -> Result<Self> {
        match wanted {
            Fast::Off => Ok(Self(Err("it is switched off".into()))),
            Fast::On => Programs::load(sessions).map(|programs| Self(Ok(Arc::new(programs)))),
            Fast::Auto => {
                let loaded = Programs::load(sessions).map(Arc::new);
                Ok(Self(loaded.map_err(|error| error.to_string().into())))
            }
        }
    }

    pub(super) fn programs(&self) -> std::result::Result<&Arc<Programs>, &str> {
        self.0.as_ref().map_err(|why| &**why)
    }
}

impl fmt::Debug for FastPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Ok(_) => f.write_str("FastPath"),
            Err(why) => write!(f, "FastPath: none: {why}"),
        }
    }
}

/// Why a session's frames take the ordinary way.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Why(pub(super) String);

impl<T: Into<String>> From<T> for Why {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The programs and their maps.
pub(super) struct Programs {
    maps: Mutex<Maps>,
    sessions: Shared,
    ways: Shared,
    watch: Arc<Watch>,
    /// How many sessions, and tunnels, there is room for.
    room: u32,
}

/// What is changed when sessions come and go.
struct Maps {
    ebpf: Ebpf,
    sessions: Array<MapData, Value<Entry>>,
    counters: PerCpuArray<MapData, Value<Counters>>,
    ids: HashMap<MapData, u32, u32>,
    interfaces: HashMap<MapData, u32, u32>,
    addresses: HashMap<MapData, [u32; 5], u32>,
    prefixes: LpmTrie<MapData, [u32; 5], u32>,
    /// Entries that were never used begin here; those that were rest.
    fresh: u32,
    resting: VecDeque<(Instant, u32)>,
    known: BTreeMap<u32, Known>,
    /// The programs on outer interfaces, by index, and on those of sessions.
    outer: BTreeMap<u32, SchedClassifierLink>,
    inner: BTreeMap<u32, SchedClassifierLink>,
}

/// What stands in the maps for an entry.
struct Known {
    entry: Entry,
    ids: u32,
    bound: Option<Bound>,
}

fn system(doing: &str, error: impl std::error::Error) -> Error {
    let mut text = format!("{doing}: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    Error::new(crate::Errno::Io, text)
}

fn map<T: TryFrom<Map, Error = aya::maps::MapError>>(ebpf: &mut Ebpf, name: &str) -> Result<T> {
    let map = ebpf.take_map(name).ok_or_else(|| Error::new(crate::Errno::Io, format!("no map {name}")))?;
    T::try_from(map).map_err(|error| system(name, error))
}

impl Programs {
    /// Loads them, for so many sessions.
    ///
    /// Errors: the kernel has no BPF or does not let us use it; or it refuses the programs.
    pub(super) fn load(room: u32) -> Result<Self> {
        let mut loader = EbpfLoader::new();
        for name in ["SESSIONS", "COUNTERS", "IDS", "INTERFACES"] {
            loader.map_max_entries(name, room);
        }
        let ways = way_of_tunnel(room, room);
        loader.map_max_entries("WAYS", ways);
        // A session may have several addresses.
        for name in ["ADDRESSES", "PREFIXES"] {
            loader.map_max_entries(name, room.saturating_mul(4));
        }
        let mut ebpf = loader.load(OBJECT).map_err(|error| system("loading the fast path", error))?;
        for name in ["down", "up"] {
            let program: &mut SchedClassifier = program(&mut ebpf, name)?;
            program.load().map_err(|error| system(&format!("loading the program '{name}'"), error))?;
        }
        let shared = |ebpf: &Ebpf, name: &str, count: u32, size: usize| match ebpf.map(name) {
            Some(Map::Array(map)) => Shared::new(map.fd().as_fd(), count as usize * size)
                .map_err(|error| Error::system(format!("mapping {name}"), &error)),
            _ => Err(Error::new(crate::Errno::Io, format!("no map {name}"))),
        };
        let sessions = shared(&ebpf, "SESSIONS", room, size_of::<Entry>())?;
        let ways = shared(&ebpf, "WAYS", ways, size_of::<Way>())?;
        let maps = Maps {
            sessions: map(&mut ebpf, "SESSIONS")?,
            counters: map(&mut ebpf, "COUNTERS")?,
            ids: map(&mut ebpf, "IDS")?,
            interfaces: map(&mut ebpf, "INTERFACES")?,
            addresses: map(&mut ebpf, "ADDRESSES")?,
            prefixes: map(&mut ebpf, "PREFIXES")?,
            fresh: 0,
            resting: VecDeque::new(),
            known: BTreeMap::new(),
            outer: BTreeMap::new(),
            inner: BTreeMap::new(),
            ebpf,
        };
        let watch = Arc::new(Watch::new().map_err(|error| Error::system("watching for changes", &error))?);
        Ok(Self { maps: Mutex::new(maps), sessions, ways, watch, room })
    }

    /// What is known of a tunnel's way to its peer, or whether numbers are sent, is not so any more.
    pub(super) fn tell(&self, tunnel: u16) {
        self.watch.tell(tunnel);
    }

    /// A session waits for its ways to be free.
    pub(super) fn open_later(&self, session: &Arc<Session>) {
        self.watch.open(session);
    }

    /// The flags of an entry, which the programs look at first.
    fn flags(&self, number: u32) -> &AtomicU32 {
        self.sessions.u32(number as usize * size_of::<Entry>() + std::mem::offset_of!(Entry, flags))
    }
}

fn program<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut SchedClassifier> {
    let program = ebpf.program_mut(name).and_then(|program| program.try_into().ok());
    program.ok_or_else(|| Error::new(crate::Errno::Io, format!("no program {name}")))
}

/// Puts a program on an interface, for as long as the link lives.
fn attach(
    ebpf: &mut Ebpf,
    name: &str,
    index: u32,
    way: TcAttachType,
) -> std::result::Result<SchedClassifierLink, Why> {
    let interface = if_indextoname(index).map_err(|error| format!("interface {index}: {error}"))?;
    let interface = interface.to_string_lossy();
    let failed = |error: &dyn std::error::Error| {
        let cause = error.source().map_or_else(|| error.to_string(), |cause| cause.to_string());
        Why(format!("the kernel takes no program (tcx, Linux 6.6) on {interface}: {cause}"))
    };
    let program = program(ebpf, name).map_err(|error| failed(&error))?;
    let options = TcAttachOptions::TcxOrder(LinkOrder::first());
    let link = program.attach_with_options(&interface, way, options).map_err(|error| failed(&error))?;
    program.take_link(link).map_err(|error| failed(&error))
}

/// A session's place in it.
pub(super) struct Place {
    programs: Option<Arc<Programs>>,
    number: AtomicU32,
    why: Mutex<Why>,
}

impl Place {
    /// A place that nothing stands in yet.
    pub(super) fn new(programs: Option<Arc<Programs>>) -> Self {
        Self { programs, number: AtomicU32::new(NONE), why: Mutex::default() }
    }

    /// Its number, if it has ever had fast frames: the programs want to hear of those that are not.
    #[inline]
    pub(super) fn number(&self) -> Option<u32> {
        Some(self.number.load(Relaxed)).filter(|number| *number != NONE)
    }

    /// Why not all frames go fast. `None`: they do.
    pub(super) fn why(&self) -> Option<String> {
        let Why(why) = &*lock(&self.why);
        (!why.is_empty()).then(|| why.clone())
    }

    /// Lets the programs have the session's frames, or takes them back. `true`: they wait for the threads to say that
    /// nothing is on the ordinary way any more.
    pub(super) fn set(
        &self,
        ids: u32,
        wanted: std::result::Result<(Entry, Bound, Option<Why>), Why>,
    ) -> bool {
        let Some(programs) = &self.programs else { return false };
        let set = wanted
            .and_then(|(entry, bound, half)| Ok((programs.set(&self.number, ids, entry, bound)?, half)));
        let (waits, why) = match set {
            Ok((waits, half)) => (waits, half.unwrap_or_default()),
            Err(why) => {
                programs.stop(self.number.load(Relaxed));
                (false, why)
            }
        };
        *lock(&self.why) = why;
        waits
    }

    /// Takes the session's frames back for good.
    pub(super) fn stop(&self) {
        if let Some(programs) = &self.programs {
            programs.stop(self.number.load(Relaxed));
        }
    }

    /// What the programs have counted.
    pub(super) fn add_to(&self, stats: &mut Stats) {
        let number = self.number.load(Acquire);
        let Some(programs) = self.programs.as_ref().filter(|_| number != NONE) else { return };
        let Ok(all) = lock(&programs.maps).counters.get(&number, 0) else { return };
        for Value(counters) in all.iter() {
            stats.rx[Rx::Packets as usize] += counters.rx_packets;
            stats.rx[Rx::Bytes as usize] += counters.rx_bytes;
            stats.tx[Tx::Packets as usize] += counters.tx_packets;
            stats.tx[Tx::Bytes as usize] += counters.tx_bytes;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(programs) = &self.programs {
            programs.give_back(self.number.load(Relaxed));
        }
    }
}

impl Programs {
    fn set(&self, place: &AtomicU32, ids: u32, entry: Entry, bound: Bound) -> std::result::Result<bool, Why> {
        let maps = &mut *lock(&self.maps);
        let number = match place.load(Relaxed) {
            NONE => maps.take(self.room)?,
            number => number,
        };
        place.store(number, Release);
        let refused = |error: aya::maps::MapError| Why(format!("the kernel takes no session more: {error}"));
        let flags = self.flags(number);
        let same = |known: &Known| {
            let before = Entry { flags: entry.flags, ..known.entry };
            before == entry && known.ids == ids && known.bound.as_ref() == Some(&bound)
        };
        if let Some(known) = maps.known.get_mut(&number).filter(|known| same(known)) {
            known.entry = entry;
            let waits = self.wait(number, flags.load(Acquire), entry.flags);
            flags.store(entry.flags, Release);
            return Ok(waits);
        }
        flags.store(0, Release);
        let known = maps.known.remove(&number);
        if known.is_none() {
            // Nothing is on its way yet.
            [way_down(number), way_up(number)].iter().for_each(|way| self.way(*way).settle());
        }
        let waits = known.is_some() && self.wait(number, 0, entry.flags);
        if known.as_ref().is_some_and(|known| known.bound.as_ref() != Some(&bound)) {
            maps.unbind(known.as_ref().and_then(|known| known.bound.as_ref()), number);
        }
        let silent = Entry { flags: 0, ..entry };
        let written = maps.write(number, ids, &silent, &bound).map_err(refused);
        let known = Known { entry, ids, bound: Some(bound) };
        let attached = written.and_then(|()| maps.attach(entry.outer, entry.inner));
        // Also what was written in part is taken away again.
        maps.known.insert(number, known);
        attached?;
        flags.store(entry.flags, Release);
        Ok(waits)
    }

    /// What was ordinary and shall be fast waits until nothing is on the ordinary way: whether there is something.
    fn wait(&self, number: u32, before: u32, flags: u32) -> bool {
        let begins = flags & !before;
        for (flag, way) in [(DOWN, way_down(number)), (UP, way_up(number))] {
            if begins & flag != 0 {
                self.way(way).pass();
            }
        }
        begins & (DOWN | UP) != 0
    }

    fn stop(&self, number: u32) {
        if number != NONE {
            self.flags(number).store(0, Release);
        }
    }

    /// Takes away what stands for a session.
    fn give_back(&self, number: u32) {
        if number == NONE {
            return;
        }
        self.stop(number);
        let maps = &mut *lock(&self.maps);
        if let Some(Known { ids, bound, .. }) = maps.known.remove(&number) {
            if maps.ids.get(&ids, 0).is_ok_and(|known| known == number) {
                // It is there.
                let _ = maps.ids.remove(&ids);
            }
            maps.unbind(bound.as_ref(), number);
        }
        maps.resting.push_back((Instant::now(), number));
    }

    /// Has changes of routes, interfaces and policies looked at, in this thread's network namespace.
    pub(super) fn watch(&self, core: Weak<Core>) -> std::io::Result<()> {
        self.watch.start(core)
    }

    /// Whether a program is on this outer interface.
    pub(super) fn is_outer(&self, index: u32) -> bool {
        lock(&self.maps).outer.contains_key(&index)
    }

    /// Ends that.
    pub(super) fn end(&self) {
        self.watch.end();
    }

    /// An interface has no session any more.
    pub(super) fn forget_interface(&self, index: u32) {
        let maps = &mut *lock(&self.maps);
        // Neither is there if no session was fast.
        let _ = maps.interfaces.remove(&index);
        maps.inner.remove(&index);
    }

    /// A session is bound to nothing any more.
    pub(super) fn unbind(&self, place: &Place) {
        let number = place.number.load(Relaxed);
        self.stop(number);
        let maps = &mut *lock(&self.maps);
        if let Some(bound) = maps.known.get_mut(&number).and_then(|known| known.bound.take()) {
            maps.unbind(Some(&bound), number);
        }
    }

    /// Whether there is room for a tunnel of this number.
    pub(super) fn has_tunnel(&self, slot: u32) -> bool {
        slot < self.room
    }

    /// A tunnel begins with nothing on its way.
    pub(super) fn add_tunnel(&self, slot: u32) {
        if self.has_tunnel(slot) {
            self.way(self.tunnel_way(slot)).settle();
        }
    }

    /// The number of a tunnel's way.
    pub(super) fn tunnel_way(&self, slot: u32) -> u32 {
        way_of_tunnel(slot, self.room)
    }

    /// A way's counts.
    pub(super) fn way(&self, number: u32) -> order::Counts<'_> {
        order::Counts::of(&self.ways, number)
    }
}

impl Maps {
    /// An entry that no program looks at.
    fn take(&mut self, room: u32) -> std::result::Result<u32, Why> {
        let rested = self.resting.front().is_some_and(|(since, _)| since.elapsed() >= REST);
        let number = match rested.then(|| self.resting.pop_front()).flatten() {
            Some((_, number)) => {
                let processors = aya::util::nr_cpus().map_err(|(_, error)| error.to_string())?;
                let none = PerCpuValues::try_from(vec![Value(Counters::default()); processors]);
                let none = none.map_err(|error| error.to_string())?;
                self.counters.set(number, none, 0).map_err(|error| error.to_string())?;
                number
            }
            None if self.fresh < room => {
                self.fresh += 1;
                self.fresh - 1
            }
            None => return Err(format!("there are {room} fast sessions already").into()),
        };
        Ok(number)
    }

    fn write(
        &mut self,
        number: u32,
        ids: u32,
        entry: &Entry,
        bound: &Bound,
    ) -> std::result::Result<(), aya::maps::MapError> {
        self.sessions.set(number, Value(*entry), 0)?;
        self.ids.insert(ids, number, 0)?;
        match bound {
            Bound::Own(index) => self.interfaces.insert(index, number, 0),
            Bound::Shared(index, prefixes) => {
                for prefix in prefixes {
                    let (bits, address) = key(*index, *prefix);
                    if bits == 160 {
                        self.addresses.insert(address, number, 0)?;
                    } else {
                        self.prefixes.insert(&Key::new(bits, address), number, 0)?;
                    }
                }
                self.interfaces.insert(index, MANY, 0)
            }
        }
    }

    /// Sees to the programs on both interfaces.
    fn attach(&mut self, outer: u32, inner: u32) -> std::result::Result<(), Why> {
        let Self { ebpf, outer: outers, inner: inners, .. } = self;
        if let Vacant(free) = inners.entry(inner) {
            free.insert(attach(ebpf, "down", inner, TcAttachType::Egress)?);
        }
        if let Vacant(free) = outers.entry(outer) {
            free.insert(attach(ebpf, "up", outer, TcAttachType::Ingress)?);
        }
        Ok(())
    }

    fn unbind(&mut self, bound: Option<&Bound>, number: u32) {
        match bound {
            None => {}
            Some(Bound::Own(index)) => {
                // They are there, unless attaching failed.
                let _ = self.interfaces.remove(index);
                self.inner.remove(index);
            }
            Some(Bound::Shared(index, prefixes)) => {
                for prefix in prefixes {
                    let (bits, address) = key(*index, *prefix);
                    // Another session may have it by now.
                    if bits == 160 && self.addresses.get(&address, 0).is_ok_and(|known| known == number) {
                        let _ = self.addresses.remove(&address);
                    } else if self.prefixes.get(&Key::new(bits, address), 0).is_ok_and(|k| k == number) {
                        let _ = self.prefixes.remove(&Key::new(bits, address));
                    }
                }
            }
        }
    }
}

/// An interface and a prefix as the maps have them: how many bits count.
fn key(interface: u32, prefix: Prefix) -> (u32, [u32; 5]) {
    let prefix = prefix.network();
    let (len, address) = match prefix.address {
        IpAddr::V4(_) => (u32::from(prefix.len) + 96, entry::words(prefix.address)),
        IpAddr::V6(_) => (u32::from(prefix.len), entry::words(prefix.address)),
    };
    let [a, b, c, d] = address;
    (len + 32, [interface, a, b, c, d])
}
