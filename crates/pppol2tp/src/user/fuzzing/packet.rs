//! IP packets built field by field, with checksums and segmentation by their definitions.

use super::super::vnet::{self, Header};

pub(crate) const FIN: u8 = 0x01;
pub(crate) const PSH: u8 = 0x08;
pub(crate) const ACK: u8 = 0x10;
pub(crate) const CWR: u8 = 0x80;

/// A TCP or UDP packet.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) ipv6: bool,
    pub(crate) udp: bool,
    /// The last bytes of the addresses.
    pub(crate) hosts: [u8; 2],
    pub(crate) ports: [u16; 2],
    /// TOS or traffic class.
    pub(crate) class: u8,
    /// TTL or hop limit.
    pub(crate) ttl: u8,
    pub(crate) flow_label: u16,
    pub(crate) id: u16,
    /// IPv4's flags and fragment offset.
    pub(crate) fragment: u16,
    /// Words of IPv4 options, or IPv6 extension headers of 8 bytes.
    pub(crate) extra: u8,
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) window: u16,
    pub(crate) urgent: u16,
    pub(crate) flags: u8,
    /// The four bits in front of the flags.
    pub(crate) reserved: u8,
    /// TCP options: whole words.
    pub(crate) options: Vec<u8>,
    pub(crate) payload: Vec<u8>,
}

impl Default for Packet {
    fn default() -> Self {
        Self {
            ipv6: false,
            udp: false,
            hosts: [1, 2],
            ports: [40_000, 5201],
            class: 0,
            ttl: 64,
            flow_label: 0,
            id: 1,
            fragment: 0x4000,
            extra: 0,
            seq: 1,
            ack: 1,
            window: 500,
            urgent: 0,
            flags: ACK,
            reserved: 0,
            options: Vec::new(),
            payload: vec![0; 100],
        }
    }
}

impl Packet {
    /// Its bytes, with whole checksums.
    pub(crate) fn build(&self) -> Vec<u8> {
        let transport = self.transport();
        let len = transport.len();
        self.build_around(transport, |pseudo, transport| {
            let checksum = checksum(&[pseudo, &(len as u32).to_be_bytes(), transport]);
            if self.udp && checksum == 0 { 0xffff } else { checksum }
        })
    }

    /// Its bytes as the kernel hands out what it leaves to the device, and the header in front.
    pub(crate) fn build_partial(&self, gso_size: u16) -> (Header, Vec<u8>) {
        let len = self.transport().len();
        let bytes = self
            .build_around(self.transport(), |pseudo, _| !checksum(&[pseudo, &(len as u32).to_be_bytes()]));
        let gso_type = match (self.udp, self.ipv6) {
            _ if gso_size == 0 => vnet::GSO_NONE,
            (true, _) => vnet::GSO_UDP_L4,
            (false, false) => vnet::GSO_TCPV4,
            (false, true) => vnet::GSO_TCPV6,
        };
        let ecn = if !self.udp && self.flags & CWR != 0 { vnet::GSO_ECN } else { 0 };
        let header = Header {
            flags: vnet::F_NEEDS_CSUM,
            gso_type: gso_type | ecn,
            hdr_len: (bytes.len() - self.payload.len()) as u16,
            gso_size,
            csum_start: (bytes.len() - len) as u16,
            csum_offset: self.checksum_offset() as u16,
        };
        (header, bytes)
    }

    /// The packets of a super-packet.
    pub(crate) fn segments(&self, gso_size: u16) -> Vec<Self> {
        let chunks: Vec<&[u8]> = match self.payload.len() {
            0 => vec![&[]],
            _ => self.payload.chunks(usize::from(gso_size)).collect(),
        };
        let count = chunks.len();
        let segment = |(i, chunk): (usize, &[u8])| {
            let mut segment = Self {
                id: self.id.wrapping_add(i as u16),
                seq: self.seq.wrapping_add(i as u32 * u32::from(gso_size)),
                payload: chunk.to_vec(),
                ..self.clone()
            };
            if i > 0 {
                segment.flags &= !CWR;
            }
            if i + 1 < count {
                segment.flags &= !(FIN | PSH);
            }
            segment
        };
        chunks.into_iter().enumerate().map(segment).collect()
    }

    fn checksum_offset(&self) -> usize {
        if self.udp { 6 } else { 16 }
    }

    fn protocol(&self) -> u8 {
        if self.udp { 17 } else { 6 }
    }

    fn addresses(&self) -> Vec<u8> {
        let prefix: &[u8] = if self.ipv6 { &[0xfd; 15] } else { &[10, 0, 0] };
        self.hosts.map(|host| [prefix, &[host]].concat()).concat()
    }

    /// Transport header and payload, the checksum 0.
    fn transport(&self) -> Vec<u8> {
        let mut bytes = self.ports.map(u16::to_be_bytes).concat();
        if self.udp {
            bytes.extend((8 + self.payload.len() as u16).to_be_bytes());
            bytes.extend([0, 0]);
        } else {
            bytes.extend(self.seq.to_be_bytes());
            bytes.extend(self.ack.to_be_bytes());
            bytes.extend([(5 + self.options.len() as u8 / 4) << 4 | self.reserved, self.flags]);
            bytes.extend([self.window, 0, self.urgent].map(u16::to_be_bytes).concat());
            bytes.extend(&self.options);
        }
        bytes.extend(&self.payload);
        bytes
    }

    /// Puts the IP header in front and the checksum in that `checksum_of` makes of the pseudo-header
    /// without length, and the rest.
    fn build_around(&self, mut transport: Vec<u8>, checksum_of: impl Fn(&[u8], &[u8]) -> u16) -> Vec<u8> {
        let addresses = self.addresses();
        let pseudo = [&addresses[..], &[0, self.protocol()]].concat();
        let sum = checksum_of(&pseudo, &transport);
        transport[self.checksum_offset()..][..2].copy_from_slice(&sum.to_be_bytes());
        let mut ip = Vec::new();
        if self.ipv6 {
            let extensions = 8 * usize::from(self.extra);
            ip.extend([0x60 | self.class >> 4, self.class << 4]);
            ip.extend(self.flow_label.to_be_bytes());
            ip.extend(((transport.len() + extensions) as u16).to_be_bytes());
            ip.extend([if self.extra > 0 { 60 } else { self.protocol() }, self.ttl]);
            ip.extend(addresses);
            for left in (0..self.extra).rev() {
                let next = if left > 0 { 60 } else { self.protocol() };
                ip.extend([next, 0, 1, 4, 0, 0, 0, 0]);
            }
        } else {
            let header = 20 + 4 * usize::from(self.extra);
            ip.extend([0x45 + self.extra, self.class]);
            ip.extend(((transport.len() + header) as u16).to_be_bytes());
            ip.extend([self.id, self.fragment].map(u16::to_be_bytes).concat());
            ip.extend([self.ttl, self.protocol(), 0, 0]);
            ip.extend(addresses);
            ip.resize(header, 1);
            let sum = checksum(&[&ip]);
            ip[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        ip.extend(transport);
        ip
    }
}

/// The Internet checksum by its definition, of pieces of which all but the last are even.
pub(crate) fn checksum(pieces: &[&[u8]]) -> u16 {
    let bytes = pieces.concat();
    let words = bytes.chunks(2).map(|pair| u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
    let sum = words.fold(0u32, |sum, word| {
        let sum = sum + u32::from(word);
        (sum & 0xffff) + (sum >> 16)
    });
    !(sum as u16)
}
