//! From the UDP socket to the interface: TCP packets that follow each other, and UDP packets of a flow,
//! become super-packets, one write for many. Only what the kernel's own GRO would merge is merged, and
//! only packets whose checksums are right, because a super-packet's checksum is made anew.
//!
//! The packets stand in the receive arena; nothing is copied but one packet's headers a run.

#[cfg(test)]
mod tests;

use std::io::IoSlice;
use std::ops::Range;

use super::checksum::{TCP, UDP, VALID, fold, pseudo_header, sum, sum_short};
use super::vnet::{self, Header};

/// How many runs can be open.
const RUNS: usize = 8;
/// Packets of a run.
const PACKETS: usize = 64;
/// Bytes of a super-packet.
const BYTES: usize = 65_535;

const IPV4: usize = 20;
const IPV6: usize = 40;
const TCP_MIN: usize = 20;
const TCP_MAX: usize = 60;
const TCP_FLAGS: usize = 13;
const TCP_CHECKSUM: usize = 16;
const UDP_HEADER: usize = 8;
const UDP_CHECKSUM: usize = 6;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;
const DONT_FRAGMENT: u16 = 0x4000;

/// Where the packets go.
pub(super) trait Output {
    /// Takes one write to an interface: `parts[0]` starts with the [`Header`]. It stands for `packets`
    /// pushed packets.
    fn write(&mut self, arena: &[u8], interface: u32, tag: u32, packets: u32, parts: &[IoSlice<'_>]);

    /// Takes one packet behind its [`Header`], `arena[whole]`. It may wait for the end of the batch, and goes
    /// before what is written later.
    fn write_whole(&mut self, arena: &[u8], interface: u32, tag: u32, whole: Range<usize>) {
        let whole = arena.get(whole).unwrap_or_default();
        self.write(arena, interface, tag, 1, &[IoSlice::new(whole)]);
    }
}

/// Merges the packets of a batch. It holds places in the arena, so the arena has to stay as it is
/// until [`flush`](Self::flush).
pub(super) struct Coalescer {
    runs: [Run; RUNS],
    /// Places in `runs`: first the open runs, oldest first, then the free ones.
    order: [u8; RUNS],
    open: usize,
}

impl Coalescer {
    pub(super) fn new() -> Self {
        Self { runs: [Run::FREE; RUNS], order: [0, 1, 2, 3, 4, 5, 6, 7], open: 0 }
    }

    /// Takes the IP packet `arena[packet]` to `interface`, which takes UDP super-packets if `udp`.
    /// Packets of different `tag`s are never merged. Packets of one flow leave in the order they came,
    /// and a packet that cannot be merged neither overtakes others of its interface nor is overtaken.
    #[inline]
    pub(super) fn push(
        &mut self,
        arena: &[u8],
        packet: Range<usize>,
        interface: u32,
        tag: u32,
        udp: bool,
        out: &mut impl Output,
    ) {
        let Some(bytes) = arena.get(packet.clone()) else { return };
        let Some(segment) = Segment::parse(bytes, udp) else {
            self.flush_interface(arena, interface, out);
            return write_single(interface, tag, arena, packet, out);
        };
        let flow = Flow { interface, tag, ports: segment.ports, addresses: segment.addresses };
        if let Some(position) = self.position(&flow) {
            let run = &mut self.runs[usize::from(self.order[position])];
            if run.fits(bytes, &segment) && run.verify_first(arena) {
                if segment.verify(bytes) {
                    if run.join(packet, &segment) == State::Ended {
                        self.close(position, arena, out);
                    }
                    return;
                }
                self.close(position, arena, out);
                return write_single(interface, tag, arena, packet, out);
            }
            self.close(position, arena, out);
        }
        if !segment.mergeable || segment.push {
            return write_single(interface, tag, arena, packet, out);
        }
        if self.open == RUNS {
            self.close(0, arena, out);
        }
        self.runs[usize::from(self.order[self.open])].start(flow, bytes, packet, &segment);
        self.open += 1;
    }

    /// Writes what is held, the oldest run first.
    #[inline]
    pub(super) fn flush(&mut self, arena: &[u8], out: &mut impl Output) {
        while self.open > 0 {
            self.close(0, arena, out);
        }
    }

    /// Writes what is held for one interface, the oldest run first.
    pub(super) fn flush_interface(&mut self, arena: &[u8], interface: u32, out: &mut impl Output) {
        let mut position = 0;
        while position < self.open {
            if self.runs[usize::from(self.order[position])].flow.interface == interface {
                self.close(position, arena, out);
            } else {
                position += 1;
            }
        }
    }

    #[inline]
    fn position(&self, flow: &Flow) -> Option<usize> {
        self.order[..self.open].iter().position(|run| self.runs[usize::from(*run)].flow == *flow)
    }

    fn close(&mut self, position: usize, arena: &[u8], out: &mut impl Output) {
        self.order[position..self.open].rotate_left(1);
        self.open -= 1;
        self.runs[usize::from(self.order[self.open])].write(arena, out);
    }
}

/// One part costs the kernel less than two: the header may stand in front of the packet already.
#[inline]
fn write_single(interface: u32, tag: u32, arena: &[u8], packet: Range<usize>, out: &mut impl Output) {
    let header = Header::default().to_bytes();
    match packet.start.checked_sub(vnet::LEN).map(|start| start..packet.end) {
        Some(whole) if arena.get(whole.clone()).is_some_and(|whole| whole.starts_with(&header)) => {
            out.write_whole(arena, interface, tag, whole);
        }
        _ => {
            let packet = arena.get(packet).unwrap_or_default();
            out.write(arena, interface, tag, 1, &[IoSlice::new(&header), IoSlice::new(packet)]);
        }
    }
}

/// What packets of one run have to have in common to be looked at further. IPv4's addresses leave
/// zeros; the version is in [`Segment::ip`].
#[derive(Clone, Copy, PartialEq, Eq)]
struct Flow {
    interface: u32,
    tag: u32,
    ports: u32,
    addresses: [u64; 4],
}

/// A TCP or UDP packet without IP options, fragments or extension headers, whose lengths are right.
struct Segment {
    ports: u32,
    addresses: [u64; 4],
    /// All other fields of the IP header that stay the same in a run.
    ip: u64,
    protocol: u8,
    /// Bytes of the IP header.
    transport: usize,
    /// Identification; always 0 in IPv6.
    id: u16,
    /// Whether it may stay the same in a run.
    atomic: bool,
    /// The sequence number, and the one of the packet that follows; always 0 in UDP.
    seq: u32,
    next: u32,
    /// Acknowledgment number, window and urgent pointer; always 0 in UDP.
    tcp: u64,
    /// Bytes of the IP header and the one behind it.
    headers: usize,
    payload: usize,
    /// Data, and in TCP no flags but ACK and PSH, in UDP a checksum.
    mergeable: bool,
    push: bool,
}

impl Segment {
    const EMPTY: Self = Self {
        ports: 0,
        addresses: [0; 4],
        ip: 0,
        protocol: 0,
        transport: 0,
        id: 0,
        atomic: false,
        seq: 0,
        next: 0,
        tcp: 0,
        headers: 0,
        payload: 0,
        mergeable: false,
        push: false,
    };

    #[inline]
    fn parse(packet: &[u8], udp: bool) -> Option<Self> {
        let segment = match packet.first()? >> 4 {
            4 => Self::parse_ipv4(packet),
            6 => Self::parse_ipv6(packet),
            _ => None,
        };
        segment.filter(|segment| udp || segment.protocol == TCP)
    }

    #[inline]
    fn parse_ipv4(packet: &[u8]) -> Option<Self> {
        let (ip, rest) = packet.split_first_chunk::<IPV4>()?;
        let [v, tos, l0, l1, i0, i1, f0, f1, ttl, protocol, _, _, addresses @ ..] = *ip;
        let fragment = u16::from_be_bytes([f0, f1]);
        let plain = v == 0x45 && fragment & !DONT_FRAGMENT == 0;
        if !plain || usize::from(u16::from_be_bytes([l0, l1])) != packet.len() {
            return None;
        }
        Some(Self {
            addresses: [u64::from_ne_bytes(addresses), 0, 0, 0],
            ip: u64::from_ne_bytes([v, tos, f0, f1, ttl, protocol, 0, 0]),
            id: u16::from_be_bytes([i0, i1]),
            atomic: fragment == DONT_FRAGMENT,
            ..Self::parse_transport(protocol, rest, IPV4)?
        })
    }

    #[inline]
    fn parse_ipv6(packet: &[u8]) -> Option<Self> {
        let (ip, rest) = packet.split_first_chunk::<IPV6>()?;
        let [v, class, f0, f1, l0, l1, next, hops, ref addresses @ ..] = *ip;
        if usize::from(u16::from_be_bytes([l0, l1])) != rest.len() {
            return None;
        }
        let mut words = [0; 4];
        for (word, bytes) in words.iter_mut().zip(addresses.as_chunks().0) {
            *word = u64::from_ne_bytes(*bytes);
        }
        Some(Self {
            addresses: words,
            ip: u64::from_ne_bytes([v, class, f0, f1, hops, next, 0, 0]),
            atomic: true,
            ..Self::parse_transport(next, rest, IPV6)?
        })
    }

    /// The fields of the TCP or UDP header; those of the IP header are the caller's.
    #[inline]
    fn parse_transport(protocol: u8, bytes: &[u8], transport: usize) -> Option<Self> {
        match protocol {
            TCP => Self::parse_tcp(bytes, transport),
            UDP => Self::parse_udp(bytes, transport),
            _ => None,
        }
    }

    #[inline]
    fn parse_tcp(tcp: &[u8], transport: usize) -> Option<Self> {
        let [p0, p1, p2, p3, s0, s1, s2, s3, a0, a1, a2, a3, offset, flags, w0, w1, _, _, u0, u1] =
            *tcp.first_chunk::<TCP_MIN>()?;
        let header = usize::from(offset >> 4) * 4;
        if header < TCP_MIN {
            return None;
        }
        let payload = tcp.len().checked_sub(header)?;
        let seq = u32::from_be_bytes([s0, s1, s2, s3]);
        Some(Self {
            ports: u32::from_ne_bytes([p0, p1, p2, p3]),
            protocol: TCP,
            transport,
            seq,
            next: seq.wrapping_add(payload as u32),
            tcp: u64::from_ne_bytes([a0, a1, a2, a3, w0, w1, u0, u1]),
            headers: transport + header,
            payload,
            mergeable: flags & !PSH == ACK && offset & 15 == 0 && payload > 0,
            push: flags & PSH != 0,
            ..Self::EMPTY
        })
    }

    #[inline]
    fn parse_udp(udp: &[u8], transport: usize) -> Option<Self> {
        let ([p0, p1, p2, p3, l0, l1, c0, c1], payload) = udp.split_first_chunk::<UDP_HEADER>()?;
        if usize::from(u16::from_be_bytes([*l0, *l1])) != udp.len() {
            return None;
        }
        Some(Self {
            ports: u32::from_ne_bytes([*p0, *p1, *p2, *p3]),
            protocol: UDP,
            transport,
            headers: transport + UDP_HEADER,
            payload: payload.len(),
            mergeable: [*c0, *c1] != [0; 2] && !payload.is_empty(),
            ..Self::EMPTY
        })
    }

    #[inline]
    fn verify(&self, packet: &[u8]) -> bool {
        verify(packet, self.protocol, self.transport)
    }
}

/// Whether the checksums of a packet that [`Segment::parse`] has taken are right.
#[inline]
fn verify(packet: &[u8], protocol: u8, transport: usize) -> bool {
    let ipv4 = transport == IPV4;
    // Addresses, header and payload stand in one piece: only the rest of the pseudo-header is added.
    let addresses = if ipv4 { 12 } else { 8 };
    let rest = pseudo_header(&[], protocol, (packet.len() - transport) as u16);
    fold(sum(&packet[addresses..]) + rest) == VALID && (!ipv4 || fold(sum_short(&packet[..IPV4])) == VALID)
}

#[derive(PartialEq, Eq)]
enum State {
    Open,
    Ended,
}

/// Packets that become one super-packet.
#[derive(Clone)]
struct Run {
    flow: Flow,
    ip: u64,
    protocol: u8,
    tcp: u64,
    transport: usize,
    headers: usize,
    /// Payload bytes of each packet but a last shorter one.
    size: usize,
    /// Bytes of the super-packet.
    len: usize,
    /// The sequence number that continues it.
    next: u32,
    id: u16,
    /// By what the identification grows from packet to packet.
    id_step: u16,
    /// Whether the first packet's checksums were found right: looked at when a second one comes.
    verified: bool,
    count: usize,
    first: (usize, usize),
    /// The super-packet's headers, behind the vnet header.
    head: [u8; vnet::LEN + IPV6 + TCP_MAX],
    /// Where the payloads are.
    pieces: [(usize, usize); PACKETS],
}

impl Run {
    const FREE: Self = Self {
        flow: Flow { interface: 0, tag: 0, ports: 0, addresses: [0; 4] },
        ip: 0,
        protocol: 0,
        tcp: 0,
        transport: 0,
        headers: 0,
        size: 0,
        len: 0,
        next: 0,
        id: 0,
        id_step: 0,
        verified: false,
        count: 0,
        first: (0, 0),
        head: [0; vnet::LEN + IPV6 + TCP_MAX],
        pieces: [(0, 0); PACKETS],
    };

    #[inline]
    fn start(&mut self, flow: Flow, bytes: &[u8], packet: Range<usize>, segment: &Segment) {
        self.flow = flow;
        self.ip = segment.ip;
        self.protocol = segment.protocol;
        self.tcp = segment.tcp;
        self.transport = segment.transport;
        self.headers = segment.headers;
        self.size = segment.payload;
        self.len = bytes.len();
        self.next = segment.next;
        self.id = segment.id;
        self.verified = false;
        self.count = 1;
        self.head[vnet::LEN..][..segment.headers].copy_from_slice(&bytes[..segment.headers]);
        self.first = (packet.start, packet.end);
        self.pieces[0] = (packet.start + segment.headers, packet.end);
    }

    /// Whether the packet continues the run, but for its checksums.
    #[inline]
    fn fits(&mut self, bytes: &[u8], segment: &Segment) -> bool {
        let grown = segment.id.wrapping_sub(self.id);
        if self.count == 1 {
            self.id_step = if segment.atomic && grown == 0 { 0 } else { 1 };
        }
        let options = (self.transport + TCP_MIN).min(self.headers)..self.headers;
        segment.mergeable
            && segment.seq == self.next
            && segment.tcp == self.tcp
            && segment.ip == self.ip
            && segment.headers == self.headers
            && segment.payload <= self.size
            && self.count < PACKETS
            && self.len + segment.payload <= BYTES
            && grown == self.id_step.wrapping_mul(self.count as u16)
            && bytes[options.clone()] == self.head[vnet::LEN..][options]
    }

    #[inline]
    fn verify_first(&mut self, arena: &[u8]) -> bool {
        let (start, end) = self.first;
        self.verified = self.verified
            || arena.get(start..end).is_some_and(|packet| verify(packet, self.protocol, self.transport));
        self.verified
    }

    #[inline]
    fn join(&mut self, packet: Range<usize>, segment: &Segment) -> State {
        self.pieces[self.count] = (packet.start + segment.headers, packet.end);
        self.count += 1;
        self.len += segment.payload;
        self.next = segment.next;
        if segment.push {
            self.head[vnet::LEN + self.transport + TCP_FLAGS] |= PSH;
        }
        if segment.push || segment.payload < self.size { State::Ended } else { State::Open }
    }

    fn write(&mut self, arena: &[u8], out: &mut impl Output) {
        let Flow { interface, tag, .. } = self.flow;
        let piece = |(start, end)| arena.get(start..end).unwrap_or_default();
        if self.count == 1 {
            return write_single(interface, tag, arena, self.first.0..self.first.1, out);
        }
        self.finish();
        let mut parts = [IoSlice::new(&[]); 1 + PACKETS];
        parts[0] = IoSlice::new(&self.head[..vnet::LEN + self.headers]);
        for (part, place) in parts[1..].iter_mut().zip(&self.pieces[..self.count]) {
            *part = IoSlice::new(piece(*place));
        }
        out.write(arena, interface, tag, self.count as u32, &parts[..=self.count]);
    }

    /// Makes the super-packet's headers of the first packet's.
    fn finish(&mut self) {
        let ipv4 = self.transport == IPV4;
        let (gso_type, checksum) = match (self.protocol, ipv4) {
            (UDP, _) => (vnet::GSO_UDP_L4, UDP_CHECKSUM),
            (_, true) => (vnet::GSO_TCPV4, TCP_CHECKSUM),
            (_, false) => (vnet::GSO_TCPV6, TCP_CHECKSUM),
        };
        let header = Header {
            flags: vnet::F_NEEDS_CSUM,
            gso_type,
            hdr_len: self.headers as u16,
            gso_size: self.size as u16,
            csum_start: self.transport as u16,
            csum_offset: checksum as u16,
        };
        let (first, head) = self.head.split_at_mut(vnet::LEN);
        first.copy_from_slice(&header.to_bytes());
        let (ip, transport) = head.split_at_mut(self.transport);
        let len = (self.len - self.transport) as u16;
        let addresses = if ipv4 {
            ip[2..4].copy_from_slice(&(self.len as u16).to_be_bytes());
            ip[10..12].fill(0);
            let checksum = !fold(sum_short(ip));
            ip[10..12].copy_from_slice(&checksum.to_ne_bytes());
            &ip[12..]
        } else {
            ip[4..6].copy_from_slice(&len.to_be_bytes());
            &ip[8..]
        };
        if self.protocol == UDP {
            transport[4..6].copy_from_slice(&len.to_be_bytes());
        }
        let pseudo = fold(pseudo_header(addresses, self.protocol, len));
        transport[checksum..][..2].copy_from_slice(&pseudo.to_ne_bytes());
    }
}
