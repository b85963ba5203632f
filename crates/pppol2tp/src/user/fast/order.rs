//! The order of flows and tunnels whose packets take both ways.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};

use pppol2tp_bpf::layout::{Way, flow, way_down, way_up};

use super::Programs;
use crate::sys::Shared;

/// The counts of a flow or a tunnel.
pub(in super::super) struct Counts<'a> {
    passed: &'a AtomicU64,
    done: &'a AtomicU64,
}

impl<'a> Counts<'a> {
    pub(super) fn of(map: &'a Shared, number: u32) -> Self {
        let at = number as usize * size_of::<Way>();
        Self { passed: map.u64(at), done: map.u64(at + 8) }
    }

    /// As if a packet had taken the ordinary way.
    pub(super) fn pass(&self) {
        self.passed.fetch_add(1, AcqRel);
    }

    fn is_free(&self) -> bool {
        self.passed.load(Acquire) == self.done.load(Acquire)
    }

    /// Says that nothing is on the way.
    pub(super) fn settle(&self) {
        self.done.store(self.passed.load(Acquire), Release);
    }
}

/// What a thread is about to have done with: flows of an interface, or tunnels of a socket.
#[derive(Default)]
pub(in super::super) struct Doing {
    /// Numbers of ways, and what they had counted before the thread looked for more.
    ways: Vec<(u32, u64)>,
}

impl Doing {
    pub(in super::super) fn is_empty(&self) -> bool {
        self.ways.is_empty()
    }

    /// Forgets them: they take the ordinary way until one of their packets comes along it again.
    pub(in super::super) fn clear(&mut self) {
        self.ways.clear();
    }

    /// A packet of a way came along the ordinary one.
    fn met(&mut self, number: u32, counts: &Counts<'_>) {
        if !counts.is_free() && !self.ways.iter().any(|(known, _)| *known == number) {
            self.ways.push((number, 0));
        }
    }

    /// Before the thread looks for more.
    pub(in super::super) fn look<'a>(&mut self, counts: impl Fn(u32) -> Counts<'a>) {
        for (number, seen) in &mut self.ways {
            *seen = counts(*number).passed.load(Acquire);
        }
    }

    /// There was nothing more, and all that there was is done.
    pub(in super::super) fn settle<'a>(&mut self, counts: impl Fn(u32) -> Counts<'a>) {
        for (number, seen) in self.ways.drain(..) {
            counts(number).done.store(seen, Release);
        }
    }
}

/// The flow of a packet, as the programs number it. `None`: they never let it pass because of others.
pub(in super::super) fn flow_of(packet: &[u8]) -> Option<u32> {
    let word = |at: usize| Some(u64::from(u32::from_ne_bytes(*packet.get(at..)?.first_chunk()?)));
    let sum = |at: usize| Some(word(at)? + word(at + 4)? + word(at + 8)? + word(at + 12)?);
    let mapped = u64::from(0xffff_u32.to_be());
    let (source, destination, transport, protocol) = match packet.first()? >> 4 {
        4 => (mapped + word(12)?, mapped + word(16)?, 20, packet.get(9)?),
        _ => (sum(8)?, sum(24)?, 40, packet.get(6)?),
    };
    let ports = if matches!(protocol, 6 | 17) { word(transport)? as u32 } else { 0 };
    Some(flow(source | destination << 32, ports))
}

impl Programs {
    /// A packet of a session came down the ordinary way.
    pub(in super::super) fn met_down(&self, doing: &mut Doing, session: u32, packet: &[u8]) {
        if let Some(flow) = flow_of(packet) {
            self.met(doing, flow);
        }
        self.met(doing, way_down(session));
    }

    /// A message of a session came up the ordinary way.
    pub(in super::super) fn met_up(&self, doing: &mut Doing, session: u32, tunnel: u32) {
        self.met(doing, way_up(session));
        self.met(doing, self.tunnel_way(tunnel));
    }

    /// Something came along the ordinary way.
    pub(in super::super) fn met(&self, doing: &mut Doing, way: u32) {
        doing.met(way, &self.way(way));
    }
}
