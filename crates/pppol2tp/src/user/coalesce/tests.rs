use proptest::collection::vec;
use proptest::prelude::*;

use super::super::fuzzing::packet::{CWR, FIN, Packet};
use super::super::fuzzing::{Step, Written, check, coalesce, offload};
use super::*;

const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const URG: u8 = 0x20;
const ECE: u8 = 0x40;

fn push(packet: &Packet) -> Step {
    Step::Push { interface: 1, tag: 7, packet: packet.build() }
}

/// Makes the steps and checks all that always has to hold.
fn run(steps: &[Step]) -> Vec<Written> {
    let written = coalesce(steps, true);
    check(steps, &written, true);
    written
}

/// Which pushes went out together.
fn groups(steps: &[Step]) -> Vec<Vec<usize>> {
    run(steps).into_iter().map(|write| write.places).collect()
}

/// A stream of `count` packets of one flow.
fn stream(first: &Packet, size: u16, count: usize) -> Vec<Packet> {
    let payload = (0..usize::from(size) * count).map(|i| (i * 31 + i / 256) as u8).collect();
    Packet { payload, ..first.clone() }.segments(size)
}

/// TCP in IPv4 and IPv6.
fn both() -> [Packet; 2] {
    [false, true].map(|ipv6| Packet {
        ipv6,
        options: vec![1, 1, 8, 10, 0, 0, 0, 9, 0, 0, 0, 5],
        ..Packet::default()
    })
}

/// TCP and UDP in IPv4 and IPv6.
fn all() -> [Packet; 4] {
    let [v4, v6] = both();
    let udp = |packet: &Packet| Packet { udp: true, ..packet.clone() };
    [udp(&v4), udp(&v6), v4, v6]
}

#[test]
fn a_stream_becomes_one_super_packet() {
    for packet in all() {
        let packets = stream(&packet, 1400, 40);
        let steps: Vec<_> = packets.iter().map(push).collect();
        let written = run(&steps);
        assert_eq!(written.len(), 1);
        let (header, bytes) =
            Packet { payload: packets.iter().flat_map(|p| p.payload.clone()).collect(), ..packet }
                .build_partial(1400);
        assert_eq!(
            (written[0].header, &written[0].bytes),
            (header, &bytes),
            "what the kernel itself would hand out"
        );
        assert_eq!((written[0].interface, written[0].tag), (1, 7));
    }
}

#[test]
fn a_run_has_64_packets_or_65535_bytes() {
    for packet in all() {
        let sizes = |size, count| {
            let steps: Vec<_> = stream(&packet, size, count).iter().map(push).collect();
            groups(&steps).iter().map(Vec::len).collect::<Vec<_>>()
        };
        assert_eq!(sizes(100, 130), [64, 64, 2]);
        assert_eq!(sizes(1448, 50), [45, 5]);
        assert_eq!(sizes(30_000, 3), [2, 1]);
    }
}

#[test]
fn a_shorter_packet_and_psh_end_the_run() {
    for packet in both() {
        let mut packets = stream(&packet, 1000, 6);
        packets[2].flags |= PSH;
        let steps: Vec<_> = packets.iter().map(push).collect();
        assert_eq!(groups(&steps), [vec![0, 1, 2], vec![3, 4, 5]]);
        let written = run(&steps);
        let flags = |write: &Written| write.bytes[usize::from(write.header.csum_start) + TCP_FLAGS];
        assert_eq!([flags(&written[0]), flags(&written[1])], [ACK | PSH, ACK]);

        let all = packets.iter().flat_map(|packet| packet.payload.clone()).take(3500).collect();
        let mut packets = Packet { payload: all, ..packet }.segments(1000);
        let mut next = packets[3].clone();
        next.seq += 500;
        next.id += 1;
        packets.push(next);
        let steps: Vec<_> = packets.iter().map(push).collect();
        assert_eq!(groups(&steps), [vec![0, 1, 2, 3], vec![4]]);
    }
}

/// The third packet differs: either it cannot join and starts a run, or it goes alone.
#[test]
fn what_is_not_merged() {
    type Change = fn(&mut Packet);
    let starts: [(&str, Change); 11] = [
        ("a gap", |packet| packet.seq += 1),
        ("a retransmission", |packet| packet.seq -= 1000),
        ("a longer one", |packet| packet.payload.resize(1001, 0)),
        ("another ack", |packet| packet.ack += 1),
        ("another window", |packet| packet.window += 1),
        ("another urgent pointer", |packet| packet.urgent = 1),
        ("another hop limit", |packet| packet.ttl -= 1),
        ("a congestion mark", |packet| packet.class = 3),
        ("other options", |packet| packet.options[7] += 1),
        ("no options", |packet| packet.options.clear()),
        ("more options", |packet| packet.options.extend([1; 4])),
    ];
    let starts_ipv4: [(&str, Change); 4] = [
        ("an identification ahead", |packet| packet.id += 1),
        ("an identification behind", |packet| packet.id -= 1),
        ("the first identification", |packet| packet.id -= 2),
        ("no DF", |packet| packet.fragment = 0),
    ];
    let alone: [(&str, Change); 10] = [
        ("SYN", |packet| packet.flags |= SYN),
        ("FIN", |packet| packet.flags |= FIN),
        ("RST", |packet| packet.flags |= RST),
        ("URG", |packet| packet.flags |= URG),
        ("ECE", |packet| packet.flags |= ECE),
        ("CWR", |packet| packet.flags |= CWR),
        ("a reserved bit", |packet| packet.reserved = 1),
        ("no ACK", |packet| packet.flags = 0),
        ("no data", |packet| packet.payload.clear()),
        ("PSH behind a gap", |packet| (packet.seq, packet.flags) = (packet.seq + 1, ACK | PSH)),
    ];
    for packet in both() {
        let check = |name: &str, change: Change, alone: bool| {
            let mut packets = stream(&packet, 1000, 4);
            change(&mut packets[2]);
            // The fourth follows the third, if that starts a run.
            let mut fourth = packets[2].clone();
            fourth.seq = fourth.seq.wrapping_add(fourth.payload.len() as u32);
            (fourth.id, fourth.flags, fourth.reserved) = (fourth.id + 1, ACK, 0);
            if alone {
                fourth.payload = vec![0; 1000];
            }
            packets[3] = fourth;
            let steps: Vec<_> = packets.iter().map(push).collect();
            let expected =
                if alone { vec![vec![0, 1], vec![2], vec![3]] } else { vec![vec![0, 1], vec![2, 3]] };
            assert_eq!(groups(&steps), expected, "{name}");
        };
        starts.iter().for_each(|(name, change)| check(name, *change, false));
        alone.iter().for_each(|(name, change)| check(name, *change, true));
        if packet.ipv6 {
            check("another flow label", |packet| packet.flow_label = 1, false);
        } else {
            starts_ipv4.iter().for_each(|(name, change)| check(name, *change, false));
        }
    }
}

/// UDP: a shorter packet ends the run, and nothing else than equal headers and a checksum is asked.
#[test]
fn what_is_not_merged_of_udp() {
    type Change = fn(&mut Packet);
    let starts: [(&str, Change); 3] = [
        ("a longer one", |packet| packet.payload.resize(1001, 0)),
        ("another hop limit", |packet| packet.ttl -= 1),
        ("a congestion mark", |packet| packet.class = 3),
    ];
    let [v4, v6, ..] = all();
    for packet in [v4, v6] {
        for (name, change) in starts {
            let mut packets = stream(&packet, 1000, 4);
            packets[2..].iter_mut().for_each(change);
            assert_eq!(groups(&packets.iter().map(push).collect::<Vec<_>>()), [[0, 1], [2, 3]], "{name}");
        }
        let mut packets = stream(&packet, 1000, 5);
        packets[1].payload.truncate(1);
        packets[2].payload.clear();
        let steps: Vec<_> = packets.iter().map(push).collect();
        assert_eq!(groups(&steps), [vec![0, 1], vec![2], vec![3, 4]], "shorter, then empty");

        let mut steps: Vec<_> = stream(&packet, 1000, 4).iter().map(push).collect();
        let Step::Push { packet, .. } = &mut steps[2] else { unreachable!() };
        let checksum = packet.len() - 1000 - UDP_HEADER + UDP_CHECKSUM;
        packet[checksum..][..2].fill(0);
        assert_eq!(groups(&steps), [vec![0, 1], vec![2], vec![3]], "no checksum");
        let Step::Push { packet, .. } = &mut steps[2] else { unreachable!() };
        packet[checksum - 1] += 1;
        assert_eq!(groups(&steps), [vec![0, 1], vec![2], vec![3]], "a wrong length");
    }
}

/// Without UDP super-packets each UDP packet goes alone, and keeps its place.
#[test]
fn an_interface_that_takes_no_udp_super_packets() {
    let [v4, v6, tcp4, tcp6] = all().map(|packet| stream(&packet, 1000, 2));
    for (udp, tcp) in [(v4, tcp4), (v6, tcp6)] {
        let steps = [&tcp[0], &udp[0], &udp[1], &tcp[1]].map(push);
        let written = coalesce(&steps, false);
        check(&steps, &written, false);
        assert_eq!(written.iter().map(|write| &write.places[..]).collect::<Vec<_>>(), [[0], [1], [2], [3]]);
    }
}

#[test]
fn another_interface_session_or_flow_is_another_run() {
    for packet in all() {
        let packets = stream(&packet, 1000, 4);
        let mut other_port = packets.clone();
        other_port.iter_mut().for_each(|packet| packet.ports[0] += 1);
        let mut other_host = packets.clone();
        other_host.iter_mut().for_each(|packet| packet.hosts[1] += 1);
        let to = |interface, tag, packet: &Packet| Step::Push { interface, tag, packet: packet.build() };
        let steps: Vec<_> = (0..4)
            .flat_map(|i| {
                let packet = &packets[i];
                [
                    to(1, 7, packet),
                    to(2, 7, packet),
                    to(1, 8, packet),
                    push(&other_port[i]),
                    push(&other_host[i]),
                ]
            })
            .collect();
        let expected: Vec<Vec<usize>> = (0..5).map(|i| vec![i, i + 5, i + 10, i + 15]).collect();
        assert_eq!(groups(&steps), expected, "flushed in the order they were opened");
    }
}

#[test]
fn an_identification_may_stay_if_df_is_set() {
    for (fragment, expected) in [(0x4000, vec![vec![0, 1, 2]]), (0, vec![vec![0], vec![1], vec![2]])] {
        let mut packets = stream(&Packet { fragment, ..Packet::default() }, 1000, 3);
        packets.iter_mut().for_each(|packet| packet.id = 77);
        assert_eq!(groups(&packets.iter().map(push).collect::<Vec<_>>()), expected);
    }
    let mut packets = stream(&Packet { id: 0xfffe, fragment: 0, ..Packet::default() }, 1000, 4);
    assert_eq!(groups(&packets.iter().map(push).collect::<Vec<_>>()), [[0, 1, 2, 3]], "across the wrap");
    packets[3].fragment = 0x8000;
    assert_eq!(
        groups(&packets.iter().map(push).collect::<Vec<_>>()),
        [vec![0, 1, 2], vec![3]],
        "reserved bit"
    );
}

/// Every byte of a packet whose change no field check notices is covered by a checksum.
#[test]
fn corruption_is_never_laundered() {
    for packet in all() {
        let packets = stream(&packet, 64, 4);
        let sound: Vec<_> = packets.iter().map(push).collect();
        let len = packets[0].build().len();
        for (victim, at, bit) in
            (0..4).flat_map(|victim| (0..len).map(move |at| (victim, at, 1u8 << (at % 8))))
        {
            let mut steps = sound.clone();
            let Step::Push { packet, .. } = &mut steps[victim] else { unreachable!() };
            packet[at] ^= bit;
            let written = run(&steps);
            let own = written.iter().find(|write| write.places.contains(&victim)).unwrap();
            assert_eq!(own.places, [victim], "byte {at} of packet {victim}");
        }
    }
}

#[test]
fn a_corrupted_first_packet_does_not_hold_up_the_next() {
    for packet in all() {
        let mut steps: Vec<_> = stream(&packet, 1000, 4).iter().map(push).collect();
        let Step::Push { packet, .. } = &mut steps[0] else { unreachable!() };
        *packet.last_mut().unwrap() ^= 1;
        assert_eq!(groups(&steps), [vec![0], vec![1, 2, 3]]);
    }
}

#[test]
fn a_wrong_header_checksum_goes_alone() {
    let mut steps: Vec<_> = stream(&Packet::default(), 1000, 3).iter().map(push).collect();
    let Step::Push { packet, .. } = &mut steps[1] else { unreachable!() };
    packet[10] ^= 0x80;
    assert_eq!(groups(&steps), [[0], [1], [2]]);
}

#[test]
fn what_has_no_flow_keeps_its_place_on_its_interface() {
    let udp = Packet { udp: true, fragment: 0x2000, ..Packet::default() }.build();
    let to = |interface, packet| Step::Push { interface, tag: 7, packet };
    let [a, b, c, d]: [Packet; 4] = stream(&Packet::default(), 1000, 4).try_into().unwrap();
    let others = [
        udp,
        Packet { extra: 1, ..a.clone() }.build(),
        Packet { ipv6: true, extra: 1, ..a.clone() }.build(),
        Packet { fragment: 0x2000, ..a.clone() }.build(),
        [a.build(), vec![0]].concat(),
        vec![0x45],
        vec![0x99; 60],
        vec![],
    ];
    for other in others {
        let steps =
            [push(&a), to(2, a.build()), push(&b), to(1, other), to(2, b.build()), push(&c), push(&d)];
        assert_eq!(groups(&steps), [vec![0, 2], vec![3], vec![1, 4], vec![5, 6]]);
    }
}

#[test]
fn eight_runs_are_open_and_the_oldest_makes_room() {
    let flow = |i| Packet { ports: [i, 80], ..Packet::default() };
    let mut steps: Vec<_> = (0..9).map(|i| push(&flow(i))).collect();
    // The first run is gone, the second is still there.
    for i in [1, 0] {
        steps.push(push(&stream(&flow(i), 100, 2)[1]));
    }
    let mut expected = vec![vec![0], vec![1, 9]];
    expected.extend((2..9).chain([10]).map(|i| vec![i]));
    assert_eq!(groups(&steps), expected);
}

#[test]
fn flushes() {
    let packets = stream(&Packet::default(), 1000, 4);
    let to = |interface, i: usize| Step::Push { interface, tag: 7, packet: packets[i].build() };
    let steps = [
        to(1, 0),
        to(2, 0),
        to(1, 1),
        to(2, 1),
        Step::FlushInterface(2),
        to(1, 2),
        to(2, 2),
        Step::Flush,
        to(1, 3),
    ];
    assert_eq!(groups(&steps), [vec![1, 3], vec![0, 2, 5], vec![6], vec![8]]);
}

struct Count(u32);

impl Output for Count {
    fn write(&mut self, _: &[u8], _: u32, _: u32, packets: u32, _: &[IoSlice<'_>]) {
        self.0 += packets;
    }
}

#[test]
fn a_place_outside_the_arena_is_nothing() {
    let packet = Packet::default().build();
    let (mut coalescer, mut count) = (Coalescer::new(), Count(0));
    for range in [0..packet.len() + 1, Range { start: 5, end: 4 }, usize::MAX..usize::MAX, 0..usize::MAX] {
        coalescer.push(&packet, range, 1, 1, true, &mut count);
    }
    assert_eq!(count.0, 0);
    // An arena that shrinks breaks the contract; still nothing panics and nothing is lost.
    coalescer.push(&packet, 0..packet.len(), 1, 1, true, &mut count);
    coalescer.flush(&[], &mut count);
    assert_eq!(count.0, 1);
}

/// Flows mixed at random, each in order.
fn mix() -> impl Strategy<Value = Vec<Step>> {
    let flow = (any::<(bool, bool, bool)>(), 1u16..1460, 0usize..80, 0u32..2, any::<u32>());
    let flows = vec(flow, 1..12);
    (flows, vec(any::<usize>(), 300), 0usize..4).prop_map(|(flows, choices, damaged)| {
        let mut queues: Vec<_> = flows
            .into_iter()
            .zip(0..)
            .map(|(((ipv6, udp, df), size, count, interface, seq), port)| {
                let first = Packet {
                    ipv6,
                    udp,
                    seq,
                    id: seq as u16,
                    fragment: if df { 0x4000 } else { 0 },
                    ports: [port, 80],
                    ..Packet::default()
                };
                let packets = stream(&first, size, count.min(60_000 / usize::from(size)));
                (interface, packets.into_iter())
            })
            .collect();
        let count = queues.len();
        let next = |choice: &usize| {
            let (interface, queue) = &mut queues[choice % count];
            let packet = queue.next()?.build();
            Some(Step::Push { interface: *interface, tag: 0, packet })
        };
        let mut steps: Vec<_> = choices.iter().filter_map(next).collect();
        for choice in &choices[..damaged] {
            let place = choice % steps.len().max(1);
            if let Some(Step::Push { packet, .. }) = steps.get_mut(place) {
                let at = choice / 7 % packet.len();
                packet[at] ^= 1 << (choice % 8);
            }
        }
        steps
    })
}

proptest! {
    #[test]
    fn split_undoes_it(ipv6: bool, udp: bool, id: u16, seq: u32, options in 0usize..=10, size in 1u16..3000, count in 1usize..100, rest in 0usize..3000) {
        let first = Packet { ipv6, udp, id, seq, options: vec![1; options * 4], ..Packet::default() };
        let len = (usize::from(size) * count).saturating_sub(rest).max(1);
        let payload = (0..len).map(|i| (i * 13 + i / 256) as u8).collect();
        let packets = Packet { payload, ..first }.segments(size);
        let steps: Vec<_> = packets.iter().map(push).collect();
        let written = run(&steps);
        let header = if ipv6 { 40 } else { 20 } + if udp { 8 } else { 20 + options * 4 };
        let full = ((65_535 - header) / usize::from(size)).min(64);
        // A last shorter packet may fit where a whole one does not.
        prop_assert!(written.len() <= packets.len().div_ceil(full));
        prop_assert!(written.iter().rev().skip(1).all(|write| write.places.len() == full));
    }

    #[test]
    fn mixed_flows(steps in mix()) {
        run(&steps);
    }

    #[test]
    fn anything(data in vec(any::<u8>(), 0..2000)) {
        offload(&data);
    }
}
