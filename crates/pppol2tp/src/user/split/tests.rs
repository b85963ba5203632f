use proptest::collection::vec;
use proptest::prelude::*;

use super::super::checksum::{VALID, pseudo_header};
use super::super::fuzzing::packet::{ACK, CWR, FIN, PSH, Packet};
use super::super::fuzzing::{check_split, split_copy};
use super::*;

const ALL_FLAGS: u8 = ACK | CWR | FIN | PSH;

fn payload(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 256) as u8).collect()
}

fn super_packet() -> Packet {
    Packet { payload: payload(3500), ..Packet::default() }
}

/// The fields of segment `i`, as numbers.
fn field(segment: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([segment[at], segment[at + 1]])
}

#[test]
fn tcp_in_ipv4_by_hand() {
    let packet = Packet { id: 0xffff, seq: u32::MAX - 999, flags: ALL_FLAGS, ..super_packet() };
    let (header, bytes) = packet.build_partial(1448);
    assert_eq!(header.gso_type, vnet::GSO_TCPV4 | vnet::GSO_ECN);
    let segments = split_copy(&bytes, 16, &header).unwrap();
    let lengths: Vec<_> = segments.iter().map(Vec::len).collect();
    assert_eq!(lengths, [16 + 1488, 16 + 1488, 16 + 40 + 604]);
    let inner: Vec<_> = segments.iter().map(|segment| &segment[16..]).collect();
    assert_eq!([0, 1, 2].map(|i| field(inner[i], 2)), [1488, 1488, 644], "total length");
    assert_eq!([0, 1, 2].map(|i| field(inner[i], 4)), [0xffff, 0, 1], "identification");
    let seq = |i: usize| inner[i][24..28].iter().fold(0, |seq, byte| seq << 8 | u32::from(*byte));
    assert_eq!([0, 1, 2].map(seq), [u32::MAX - 999, 448, 1896]);
    assert_eq!([0, 1, 2].map(|i| inner[i][33]), [ACK | CWR, ACK, ACK | FIN | PSH]);
}

#[test]
fn udp_in_ipv6_by_hand() {
    let (header, bytes) = Packet { ipv6: true, udp: true, ..super_packet() }.build_partial(1200);
    let segments = split_copy(&bytes, 0, &header).unwrap();
    assert_eq!(segments.iter().map(|segment| field(segment, 4)).collect::<Vec<_>>(), [1208, 1208, 1108]);
    assert_eq!(segments.iter().map(|segment| field(segment, 44)).collect::<Vec<_>>(), [1208, 1208, 1108]);
}

#[test]
fn every_kind_with_options_and_extension_headers() {
    for (ipv6, udp, extra) in [false, true].iter().flat_map(|ipv6| {
        [false, true].iter().flat_map(move |udp| [0, 1, 3].map(|extra| (*ipv6, *udp, extra)))
    }) {
        let packet = Packet { ipv6, udp, extra, options: vec![1; 12], flags: ALL_FLAGS, ..super_packet() };
        for gso_size in [1, 500, 1448, 3499, 3500, 3501, u16::MAX] {
            for room in [0, 10, 16] {
                check_split(&packet, gso_size, room);
            }
        }
    }
}

#[test]
fn without_payload_it_is_one_segment() {
    check_split(&Packet { payload: vec![], ..super_packet() }, 1448, 12);
    check_split(&Packet { udp: true, payload: vec![], ..super_packet() }, 1448, 12);
}

#[test]
fn the_longest() {
    check_split(&Packet { payload: payload(65_495), ..Packet::default() }, 1448, 16);
    check_split(&Packet { udp: true, payload: payload(65_507), ..Packet::default() }, 1472, 16);
    check_split(&Packet { ipv6: true, payload: payload(65_475), ..Packet::default() }, 1428, 16);
}

/// A UDP checksum that comes out as 0 is sent as 0xffff (RFC 768).
#[test]
fn udp_never_sends_zero() {
    let packet = |a: u16| Packet { udp: true, payload: a.to_be_bytes().to_vec(), ..Packet::default() };
    let zero = (0..=u16::MAX).find(|a| field(&packet(*a).build(), 26) == 0xffff).unwrap();
    let (header, mut bytes) = packet(zero).build_partial(0);
    complete(&mut bytes, &header).unwrap();
    assert_eq!(field(&bytes, 26), 0xffff);
    check_split(&Packet { payload: [zero, zero].map(u16::to_be_bytes).concat(), ..packet(0) }, 2, 0);
    let (header, bytes) =
        Packet { payload: [zero, zero].map(u16::to_be_bytes).concat(), ..packet(0) }.build_partial(2);
    assert_eq!(field(&split_copy(&bytes, 0, &header).unwrap()[0], 26), 0xffff);
}

/// Where no checksum is left to the device, the one that is there is whole: right or wrong, so are
/// the segments'.
#[test]
fn whole_checksums() {
    for (ipv6, udp) in [(false, false), (false, true), (true, false), (true, true)] {
        let packet = Packet { ipv6, udp, ..super_packet() };
        let mut header = packet.build_partial(1000).0;
        header.flags = 0;
        let mut bytes = packet.build();
        let expected: Vec<_> = packet.segments(1000).iter().map(Packet::build).collect();
        assert_eq!(split_copy(&bytes, 0, &header).unwrap(), expected);
        *bytes.last_mut().unwrap() ^= 1;
        let (transport, addresses) = if ipv6 { (40, 8) } else { (20, 12) };
        for segment in split_copy(&bytes, 0, &header).unwrap() {
            let covered = (segment.len() - transport) as u16;
            let protocol = if udp { UDP } else { TCP };
            let all =
                pseudo_header(&segment[addresses..transport], protocol, covered) + sum(&segment[transport..]);
            assert_ne!(fold(all), VALID, "laundered");
        }
    }
}

#[test]
fn contradictions_are_refused() {
    let tcp = super_packet();
    let udp = Packet { udp: true, ..super_packet() };
    let tcp6 = Packet { ipv6: true, ..super_packet() };
    let short = Packet { payload: vec![0; 8], ..Packet::default() };
    let udp_short = Packet { udp: true, ..short.clone() };
    let tcp6_short = Packet { ipv6: true, ..short.clone() };
    type Change = fn(&mut Header, &mut Vec<u8>);
    let cases: [(&str, &Packet, Change); 26] = [
        ("gso_size 0", &tcp, |header, _| header.gso_size = 0),
        ("no gso_type", &tcp, |header, _| header.gso_type = vnet::GSO_NONE),
        ("unknown gso_type", &tcp, |header, _| header.gso_type = 3),
        ("TCP in IPv4, not IPv6", &tcp, |header, _| header.gso_type = vnet::GSO_TCPV6),
        ("TCP in IPv6, not IPv4", &tcp6, |header, _| header.gso_type = vnet::GSO_TCPV4),
        ("UDP, not TCP", &udp, |header, _| header.gso_type = vnet::GSO_TCPV4),
        ("TCP, not UDP", &tcp, |header, _| header.gso_type = vnet::GSO_UDP_L4),
        ("UDP under TCP's number", &udp, |_, bytes| bytes[9] = TCP),
        ("csum_start in the payload", &tcp, |header, _| header.csum_start += 4),
        ("csum_start in the IP header", &tcp6, |header, _| header.csum_start -= 4),
        ("csum_offset of UDP", &tcp, |header, _| header.csum_offset = 6),
        ("version 5", &tcp, |_, bytes| bytes[0] = 0x55),
        ("IHL 0, and all else as if", &udp_short, |header, bytes| {
            (bytes[0], bytes[5], header.csum_start) = (0x40, 36, 0);
        }),
        ("IHL beyond the packet, and all else as if", &short, |header, bytes| {
            (bytes[0], header.csum_start) = (0x4f, 60);
            bytes.drain(40..);
            bytes[3] = 40;
        }),
        ("total length too small", &tcp, |_, bytes| bytes.push(0)),
        ("total length too large", &tcp, |_, bytes| bytes.truncate(100)),
        ("a fragment", &tcp, |_, bytes| bytes[7] = 1),
        ("more fragments", &tcp, |_, bytes| bytes[6] |= 0x20),
        ("data offset 4", &tcp, |_, bytes| bytes[32] = 0x40),
        ("data offset beyond the packet", &short, |_, bytes| bytes[32] = 0xf0),
        ("payload length of IPv6", &tcp6, |_, bytes| bytes[5] ^= 1),
        ("extension header beyond the packet", &tcp6_short, |header, bytes| {
            (bytes[6], bytes[40], bytes[41], header.csum_start) = (0, TCP, 0xff, 40 + 2048);
        }),
        ("no end of extension headers", &tcp6_short, |_, bytes| bytes[6..].fill(0)),
        ("an IPv6 fragment header", &tcp6, |_, bytes| bytes[6] = 44),
        ("UDP length", &udp, |_, bytes| bytes[25] ^= 1),
        ("no checksum at all", &udp, |header, bytes| {
            header.flags = 0;
            bytes[26..28].fill(0);
        }),
    ];
    for (name, packet, change) in cases {
        let (mut header, mut bytes) = packet.build_partial(1000);
        assert!(split_copy(&bytes, 10, &header).is_ok(), "{name}: sound before");
        change(&mut header, &mut bytes);
        assert_eq!(split_copy(&bytes, 10, &header), Err(Bad), "{name}");
    }
    let (header, bytes) = tcp.build_partial(1000);
    for len in 0..40 {
        assert_eq!(split_copy(&bytes[..len], 0, &header), Err(Bad), "{len} bytes");
    }
}

#[test]
fn places_outside_the_buffer_are_refused() {
    let (header, bytes) = super_packet().build_partial(1000);
    let len = bytes.len();
    // Four segments: three more headers and rooms.
    let needed = 13 + len + 3 * (10 + 40);
    let mut buffer = [&[0; 13], &bytes[..]].concat();
    buffer.resize(needed - 1, 0);
    let before = buffer.clone();
    for (at, len, room) in
        [(13, len, 10), (9, len, 10), (usize::MAX, len, 10), (13, usize::MAX, 10), (13, len, usize::MAX)]
    {
        assert_eq!(split(&mut buffer, at, len, room, &header, |_, _| panic!()), Err(Bad));
    }
    assert_eq!(buffer, before);
    buffer.push(0);
    let done = split(&mut buffer, 13, len, 10, &header, |_, _| {});
    assert_eq!(done, Ok(Segments { count: 4, size: 1050, last: 550 }));
}

#[test]
fn complete_writes_what_the_definition_says() {
    for (ipv6, udp) in [(false, false), (false, true), (true, false), (true, true)] {
        let packet = Packet { ipv6, udp, payload: payload(333), ..Packet::default() };
        let (header, mut bytes) = packet.build_partial(0);
        assert_ne!(bytes, packet.build());
        complete(&mut bytes, &header).unwrap();
        assert_eq!(bytes, packet.build());
        let mut untouched = bytes.clone();
        complete(&mut untouched, &Header::default()).unwrap();
        assert_eq!(untouched, bytes);
    }
}

#[test]
fn complete_refuses_places_outside_the_packet() {
    let (header, mut bytes) = Packet::default().build_partial(0);
    for (start, offset) in [(20, 119), (141, 0), (u16::MAX, u16::MAX), (139, 0), (140, 0)] {
        let header = Header { csum_start: start, csum_offset: offset, ..header };
        assert_eq!(complete(&mut bytes, &header), Err(Bad), "{start} {offset}");
    }
}

fn any_packet() -> impl Strategy<Value = Packet> {
    let ip = (any::<bool>(), any::<bool>(), any::<[u8; 5]>(), any::<u16>(), 0u8..6);
    let tcp = (any::<u32>(), any::<u32>(), any::<[u16; 4]>(), any::<u8>(), 0usize..=10);
    (ip, tcp, 0usize..65_300, any::<u8>()).prop_map(|(ip, tcp, len, seed)| {
        let (ipv6, udp, [host, peer, class, ttl, df], id, extra) = ip;
        let (seq, ack, [port, peer_port, window, urgent], flags, options) = tcp;
        Packet {
            ipv6,
            udp,
            hosts: [host, peer],
            ports: [port, peer_port],
            class,
            ttl,
            flow_label: id,
            id,
            fragment: u16::from(df) << 14 & 0x4000,
            extra,
            seq,
            ack,
            window,
            urgent,
            flags,
            reserved: class & 15,
            options: vec![seed; options * 4],
            payload: payload(len + usize::from(seed)).split_off(usize::from(seed)),
        }
    })
}

proptest! {
    #[test]
    fn as_naive_segmentation(packet in any_packet(), gso_size in 500u16..3000, room in 0usize..40) {
        check_split(&packet, gso_size, room);
    }

    #[test]
    fn hostile_bytes(
        mut bytes in vec(any::<u8>(), 0..200),
        header: [u8; vnet::LEN],
        version in prop_oneof![Just(None), (0x45..0x48u8).prop_map(Some), Just(Some(0x60))],
        place in (0usize..200, 0usize..200, 0usize..50),
    ) {
        let header = Header::parse(&header);
        if let (Some(version), Some(first)) = (version, bytes.first_mut()) {
            *first = version;
        }
        let (at, len, room) = place;
        let before = bytes.clone();
        if split(&mut bytes, at, len, room, &header, |_, _| {}) == Err(Bad) {
            prop_assert_eq!(&bytes, &before);
        }
        let _ = complete(&mut bytes, &header);
    }
}
