//! What the data path does with super-packets, for whoever counts what a frame costs there.

use std::hint::black_box;
use std::io::IoSlice;
use std::ops::Range;

use super::super::coalesce::{Coalescer, Output};
use super::super::runs::{Frames, Runs};
use super::super::split;
use super::super::vnet::Header;
use super::packet::Packet;

/// Frames of a super-packet.
pub const FRAMES: usize = 44;
const PAYLOAD: u16 = 1448;
/// Room for the headers in front of each.
const ROOM: usize = 10;

/// A TCP super-packet, its segments, and what handles both. No call but [`new`](Self::new) allocates.
pub struct SuperPacket {
    header: Header,
    /// What splitting changes of the super-packet.
    headers: Vec<u8>,
    len: usize,
    buffer: Vec<u8>,
    arena: Vec<u8>,
    segments: Vec<Range<usize>>,
    coalescer: Coalescer,
    runs: Runs,
}

/// Counts the packets that leave in super-packets.
struct Merged(usize);

impl Output for Merged {
    fn write(&mut self, _: &[u8], _: u32, _: u32, packets: u32, parts: &[IoSlice<'_>]) {
        black_box(parts);
        self.0 += if packets > 1 { packets as usize } else { 0 };
    }
}

impl Default for SuperPacket {
    fn default() -> Self {
        Self::new()
    }
}

impl SuperPacket {
    /// As TCP makes it, with time stamps.
    pub fn new() -> Self {
        let payload = vec![0x5a; FRAMES * usize::from(PAYLOAD)];
        let packet = Packet { options: vec![1; 12], payload, ..Packet::default() };
        let (header, bytes) = packet.build_partial(PAYLOAD);
        let mut buffer = [&[0; ROOM][..], &bytes].concat();
        buffer.resize(2 * buffer.len(), 0);
        let (mut arena, mut segments) = (Vec::new(), Vec::new());
        for segment in packet.segments(PAYLOAD) {
            let start = arena.len() + ROOM;
            arena.resize(start, 0);
            arena.extend(segment.build());
            segments.push(start..arena.len());
        }
        Self {
            header,
            headers: bytes[..bytes.len() - packet.payload.len()].into(),
            len: bytes.len(),
            buffer,
            arena,
            segments,
            coalescer: Coalescer::new(),
            runs: Runs::new(),
        }
    }

    /// Splits it: into how many frames.
    pub fn split(&mut self) -> usize {
        self.buffer[ROOM..][..self.headers.len()].copy_from_slice(&self.headers);
        let segments = split::split(&mut self.buffer, ROOM, self.len, ROOM, &self.header, |_, room| {
            black_box(room);
        });
        segments.map_or(0, |segments| segments.count)
    }

    /// Merges its segments: how many left in super-packets.
    pub fn coalesce(&mut self) -> usize {
        let mut merged = Merged(0);
        for segment in &self.segments {
            self.coalescer.push(&self.arena, segment.clone(), 0, 0, true, &mut merged);
        }
        self.coalescer.flush(&self.arena, &mut merged);
        merged.0
    }

    /// Makes a run of as many small frames: how many it has.
    pub fn run(&mut self) -> usize {
        const SIZE: usize = 100;
        self.runs.clear();
        for i in 0..FRAMES {
            let frame = Frames { tunnel: 0, session: 0, start: i * SIZE, count: 1, size: SIZE, last: SIZE };
            self.runs.push(black_box(frame), 128);
        }
        self.runs.get().first().map_or(0, |run| run.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_frames_go_the_way_that_is_counted() {
        let mut packet = SuperPacket::new();
        for _ in 0..2 {
            assert_eq!([packet.split(), packet.coalesce(), packet.run()], [FRAMES; 3]);
        }
    }
}
