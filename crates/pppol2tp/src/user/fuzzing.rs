//! What fuzz targets and property tests of the data path have in common: bytes become packets, and
//! what the data path makes of them is held against the definitions.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, IoSlice};

use super::coalesce::{Coalescer, Output};
use super::split::{self, Bad, Segments};
use super::vnet::{self, Header};

pub mod measured;
pub(super) mod packet;
mod samples;

use packet::{ACK, Packet, checksum};
pub use samples::{Sample, samples};

/// Merges and splits what `data` describes. Panics if an invariant does not hold.
pub fn offload(data: &[u8]) {
    raw(data);
    let mut input = Input(data);
    if input.byte() & 1 == 0 {
        super_packet(&mut input);
    } else {
        let udp = input.byte() & 3 != 0;
        let steps = steps(&mut input);
        check(&steps, &coalesce(&steps, udp), udp);
    }
}

/// Opens a TUN interface as the driver does.
pub fn open_tun(name: &str, vnet: bool) -> io::Result<(File, String)> {
    crate::sys::open_tun(name, vnet)
}

/// The first bytes as a vnet header, the rest as a packet.
fn raw(data: &[u8]) {
    let Some((header, packet)) = data.split_first_chunk() else { return };
    let header = Header::parse(header);
    let _ = split::complete(&mut packet.to_vec(), &header);
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() * 3, 0xee);
    if split::split(&mut buffer, 0, packet.len(), 0, &header, |_, _| {}) == Err(Bad) {
        assert_eq!(buffer[..packet.len()], *packet, "a refused packet stays as it was");
    }
}

/// A super-packet, perhaps damaged.
fn super_packet(input: &mut Input<'_>) {
    let kind = input.byte();
    let packet = Packet {
        ipv6: kind & 1 != 0,
        udp: kind & 2 != 0,
        extra: input.byte() % 4,
        flags: input.byte(),
        options: vec![1; usize::from(input.byte() % 11) * 4],
        id: input.word(),
        seq: u32::from_be_bytes([input.byte(), input.byte(), input.byte(), input.byte()]),
        payload: vec![input.byte(); usize::from(input.word() % 5000)],
        ..Packet::default()
    };
    let gso_size = input.word() % 1500 + 1;
    let room = usize::from(input.byte() % 32);
    if kind & 4 == 0 {
        check_split(&packet, gso_size, room);
        return;
    }
    let (header, mut bytes) = packet.build_partial(gso_size);
    let mut header = header.to_bytes();
    for _ in 0..kind >> 5 {
        header[usize::from(input.byte()) % vnet::LEN] ^= input.byte();
        let place = usize::from(input.byte()) % bytes.len();
        bytes[place] ^= input.byte();
    }
    let header = Header::parse(&header);
    let _ = split::complete(&mut bytes.clone(), &header);
    let _ = split_copy(&bytes, room, &header);
}

/// Splits a copy of a super-packet. Each segment starts with `room` bytes of its number.
pub(super) fn split_copy(packet: &[u8], room: usize, header: &Header) -> Result<Vec<Vec<u8>>, Bad> {
    const BEFORE: usize = 3;
    const AFTER: usize = 5;
    let most = packet.len() / usize::from(header.gso_size).max(1) + 1;
    let at = BEFORE + room;
    let mut buffer = vec![0xee; at];
    buffer.extend(packet);
    buffer.resize(at + packet.len() + most * (room + packet.len().min(500)) + AFTER, 0xee);
    let mut next = 0;
    let Segments { count, size, last } =
        split::split(&mut buffer, at, packet.len(), room, header, |i, outer| {
            assert_eq!((i, outer.len()), (next, room), "written in order");
            outer.fill(i as u8);
            next += 1;
        })?;
    assert_eq!(next, count, "written once each");
    assert!(last <= size);
    let end = BEFORE + (count - 1) * size + last;
    assert!(buffer[..BEFORE].iter().chain(&buffer[end.max(at + packet.len())..]).all(|byte| *byte == 0xee));
    Ok(buffer[BEFORE..end].chunks(size).map(<[u8]>::to_vec).collect())
}

/// Splits a packet and holds the segments against their definition.
pub(super) fn check_split(packet: &Packet, gso_size: u16, room: usize) {
    let (header, bytes) = packet.build_partial(gso_size);
    let segments = split_copy(&bytes, room, &header).expect("a sound super-packet");
    let expected = packet.segments(gso_size);
    assert_eq!(segments.len(), expected.len());
    for (i, (segment, expected)) in segments.iter().zip(expected).enumerate() {
        assert_eq!(segment[..room], vec![i as u8; room]);
        assert_eq!(segment[room..], expected.build(), "segment {i} of {packet:?}");
    }
}

/// What is done to a coalescer.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Push { interface: u32, tag: u32, packet: Vec<u8> },
    FlushInterface(u32),
    Flush,
}

/// A write that a coalescer made.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) interface: u32,
    pub(super) tag: u32,
    /// In which step.
    pub(super) step: usize,
    /// Whose payloads it carries: places in the steps.
    pub(super) places: Vec<usize>,
    pub(super) header: Header,
    /// What follows the header.
    pub(super) bytes: Vec<u8>,
}

/// Makes the steps, and flushes at the end. `udp`: the interfaces take UDP super-packets.
pub(super) fn coalesce(steps: &[Step], udp: bool) -> Vec<Written> {
    const GAP: usize = 16;
    let mut arena = Vec::new();
    let ranges: Vec<_> = steps
        .iter()
        .enumerate()
        .map(|(place, step)| {
            let start = arena.len() + GAP;
            // Every other packet has its header already.
            arena.resize(start, if place % 2 == 0 { 0xee } else { 0 });
            if let Step::Push { packet, .. } = step {
                arena.extend(packet);
            }
            start..arena.len()
        })
        .collect();
    let base = arena.as_ptr().addr();
    let ends = ranges.iter().enumerate().map(|(place, range)| (base + range.end, place)).collect();
    let mut out = Collector { ends, step: 0, written: Vec::new() };
    let mut coalescer = Coalescer::new();
    for (step, range) in steps.iter().zip(&ranges) {
        match step {
            Step::Push { interface, tag, .. } => {
                coalescer.push(&arena, range.clone(), *interface, *tag, udp, &mut out);
            }
            Step::FlushInterface(interface) => coalescer.flush_interface(&arena, *interface, &mut out),
            Step::Flush => coalescer.flush(&arena, &mut out),
        }
        out.step += 1;
    }
    coalescer.flush(&arena, &mut out);
    out.written
}

struct Collector {
    /// Where each step's packet ends, as an address.
    ends: HashMap<usize, usize>,
    step: usize,
    written: Vec<Written>,
}

impl Output for Collector {
    fn write(&mut self, _: &[u8], interface: u32, tag: u32, packets: u32, parts: &[IoSlice<'_>]) {
        let place = |part: &IoSlice<'_>| self.ends[&(part.as_ptr().addr() + part.len())];
        let payloads = if let [_] = parts { parts } else { &parts[1..] };
        let places: Vec<_> = payloads.iter().map(place).collect();
        assert_eq!(places.len(), packets as usize);
        let (header, head) = parts[0].split_first_chunk().expect("a vnet header");
        let bytes =
            [&[head], &parts[1..].iter().map(|part| &**part).collect::<Vec<_>>()[..]].concat().concat();
        let header = Header::parse(header);
        self.written.push(Written { interface, tag, step: self.step, places, header, bytes });
    }
}

/// Checks everything that a coalescer promises.
pub(super) fn check(steps: &[Step], written: &[Written], udp: bool) {
    check_order(steps, written, udp);
    for write in written {
        let originals: Vec<_> = write
            .places
            .iter()
            .map(|place| match &steps[*place] {
                Step::Push { interface, tag, packet } => {
                    assert_eq!((*interface, *tag), (write.interface, write.tag));
                    packet
                }
                step => panic!("{step:?} became a packet"),
            })
            .collect();
        match &originals[..] {
            [single] => {
                assert_eq!(write.header, Header::default());
                assert_eq!(write.bytes, **single);
            }
            _ => check_run(write, &originals),
        }
    }
}

/// Each packet leaves once, flows keep their order, what has no flow keeps its place, and a flush
/// leaves nothing.
fn check_order(steps: &[Step], written: &[Written], udp: bool) {
    let mut position = HashMap::new();
    for (at, write) in written.iter().enumerate() {
        assert!(write.places.is_sorted());
        for place in &write.places {
            assert_eq!(position.insert(*place, at), None, "written once");
        }
    }
    let mut flows = HashMap::new();
    let mut interfaces = HashMap::<u32, (Option<usize>, Option<usize>)>::new();
    for (place, step) in steps.iter().enumerate() {
        let flushed = |at: usize, only: Option<u32>| {
            let late = |write: &&Written| write.step > at && only.is_none_or(|only| only == write.interface);
            assert!(written.iter().filter(late).all(|write| write.places[0] > at));
        };
        match step {
            Step::Flush => flushed(place, None),
            Step::FlushInterface(interface) => flushed(place, Some(*interface)),
            Step::Push { interface, tag, packet } => {
                let at = Some(position[&place]);
                let (latest, barrier) = interfaces.entry(*interface).or_default();
                assert!(at > *barrier, "overtook a packet without a flow");
                if let Some(flow) = flow(packet).filter(|flow| udp || flow[0] == 6) {
                    let before = flows.insert((*interface, *tag, flow), at);
                    assert!(before.is_none_or(|before| before <= at), "overtook its own flow");
                } else {
                    assert!(at > *latest, "a packet without a flow overtook");
                    *barrier = at;
                }
                *latest = at.max(*latest);
            }
        }
    }
    assert_eq!(position.len(), steps.iter().filter(|step| matches!(step, Step::Push { .. })).count());
}

/// A super-packet: within bounds, made of sound packets, and split into just these again.
fn check_run(write: &Written, originals: &[&Vec<u8>]) {
    assert!(originals.len() <= 64 && write.bytes.len() <= 65_535);
    assert!(originals.iter().all(|packet| is_sound(packet)), "a corrupted packet was laundered");
    let flows: HashSet<_> = originals.iter().map(|packet| flow(packet)).collect();
    assert!(flows.len() == 1 && !flows.contains(&None));
    let room = originals.len() % 20;
    let segments = split_copy(&write.bytes, room, &write.header).expect("a sound super-packet");
    assert_eq!(segments.len(), originals.len());
    for (i, (segment, original)) in segments.iter().zip(originals).enumerate() {
        let mut expected = (*original).clone();
        if i > 0 && original[0] >> 4 == 4 && original[4..6] == originals[0][4..6] {
            // A constant identification grows when the super-packet is split: harmless with DF
            // (RFC 6864 §4.1).
            assert_eq!(original[6] & 0x40, 0x40);
            let id = u16::from_be_bytes([original[4], original[5]]).wrapping_add(i as u16);
            expected[4..6].copy_from_slice(&id.to_be_bytes());
            expected[10..12].fill(0);
            let sum = checksum(&[&expected[..20]]);
            expected[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        assert_eq!(segment[room..], expected, "segment {i}");
    }
}

/// Protocol, addresses and ports of a packet that could be merged as far as IP goes.
fn flow(packet: &[u8]) -> Option<Vec<u8>> {
    let (addresses, transport) = places(packet)?;
    let number = |at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
    let plain = match transport {
        20 => number(2) as usize == packet.len() && number(6) & !0x4000 == 0,
        _ => number(4) as usize + 40 == packet.len(),
    };
    let (protocol, bytes) = (protocol(packet), &packet[transport..]);
    let fits = match protocol {
        6 => bytes.len() >= 20 && (20..=bytes.len()).contains(&(usize::from(bytes[12] >> 4) * 4)),
        17 => bytes.len() >= 8 && usize::from(number(transport + 4)) == bytes.len(),
        _ => false,
    };
    (plain && fits).then(|| [&[protocol], &packet[addresses..transport], &bytes[..4]].concat())
}

fn protocol(packet: &[u8]) -> u8 {
    packet[if packet[0] >> 4 == 4 { 9 } else { 6 }]
}

/// Where the addresses and the transport header of a plain IP header are.
fn places(packet: &[u8]) -> Option<(usize, usize)> {
    match packet.first()? {
        0x45 if packet.len() >= 20 => Some((12, 20)),
        0x60..=0x6f if packet.len() >= 40 => Some((8, 40)),
        _ => None,
    }
}

/// Whether a packet's checksums are there and right.
fn is_sound(packet: &[u8]) -> bool {
    let Some((addresses, transport)) = places(packet) else { return false };
    let protocol = protocol(packet);
    let pseudo = [&[0, protocol], &((packet.len() - transport) as u16).to_be_bytes()[..]].concat();
    let absent = protocol == 17 && packet[transport + 6..][..2] == [0; 2];
    !absent
        && (transport == 40 || checksum(&[&packet[..20]]) == 0)
        && checksum(&[&pseudo, &packet[addresses..]]) == 0
}

/// Bytes that never end: zeros follow.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or(0)
    }

    fn word(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }
}

/// Packets of some flows: mostly those that follow each other, with every reason not to be merged.
fn steps(input: &mut Input<'_>) -> Vec<Step> {
    const BUDGET: usize = 400_000;
    let flow = |i: u16| Packet {
        ipv6: i & 1 != 0,
        udp: i & 8 != 0,
        ports: [40_000 + i % 10, 5201],
        fragment: if i & 4 == 0 { 0x4000 } else { 0 },
        ..Packet::default()
    };
    let mut flows: Vec<_> = (0..16).map(flow).collect();
    let (mut steps, mut bytes) = (Vec::new(), 0);
    while !input.0.is_empty() && bytes < BUDGET {
        let (choice, twist) = (input.byte(), input.byte());
        let number = usize::from(choice & 15);
        let interface = u32::from(choice & 2 != 0);
        let tag = u32::from(choice >> 6 == 3);
        let flow = &mut flows[number];
        let mut damage = None;
        let mut once = flow.clone();
        let mut times = 1;
        match twist & 31 {
            0..6 => times = usize::from(twist >> 5) * 10 + 1,
            6 => flow.payload.resize(usize::from(input.word() % 1500), twist),
            7 => flow.seq = flow.seq.wrapping_add(u32::from(input.byte())),
            8 => flow.ack += 1,
            9 => flow.window += 1,
            10 => flow.ttl ^= 1,
            11 => flow.class ^= twist >> 5,
            12 => flow.flow_label ^= 1,
            13 => flow.id = flow.id.wrapping_add(input.word()),
            14 => flow.fragment ^= 0x4000,
            15 => flow.options = vec![1; usize::from(twist >> 5) * 4],
            16 => flow.options.iter_mut().for_each(|byte| *byte ^= 1),
            17 => flow.id = flow.id.wrapping_sub(1),
            18 => once.flags = input.byte(),
            19 => once.payload.truncate(usize::from(input.byte())),
            20 => once.fragment = input.word(),
            21 => once.extra = twist >> 5,
            22 => once.udp ^= true,
            23 => once.urgent = 1,
            24..27 => damage = Some((input.word(), input.byte())),
            27 => once.flags |= packet::PSH,
            28 => {
                let raw = input.0.split_off(..usize::from(twist >> 5).min(input.0.len())).unwrap_or_default();
                steps.push(Step::Push { interface, tag, packet: raw.to_vec() });
                continue;
            }
            29 => steps.push(Step::FlushInterface(interface)),
            30 => steps.push(Step::Flush),
            _ => once.flags = ACK | packet::FIN,
        }
        if (6..18).contains(&(twist & 31)) {
            once = flow.clone();
        }
        for _ in 0..times {
            let mut packet = once.build();
            if let Some((place, change)) = damage {
                let place = usize::from(place) % packet.len();
                packet[place] ^= change;
            }
            bytes += packet.len();
            steps.push(Step::Push { interface, tag, packet });
            once.seq = once.seq.wrapping_add(once.payload.len() as u32);
            once.id = once.id.wrapping_add(1);
        }
        (flow.seq, flow.id) = (once.seq, once.id);
    }
    steps
}
