//! Super-packets to compare the data path with the kernel by.

use super::packet::{ACK, PSH, Packet};
use super::{Step, coalesce, split_copy};

/// A write to a TUN interface with a vnet header, and the packets that a kernel which forwards it
/// to an interface without offloads has to send there.
pub struct Sample {
    /// What is special about it.
    pub name: String,
    /// Vnet header and packet.
    pub written: Vec<u8>,
    /// The packets that follow, one hop further.
    pub forwarded: Vec<Vec<u8>>,
}

/// Super-packets of every kind with what `split` makes of them, and super-packets that the
/// coalescer has made with what they were made of. All go from host 1 to host 2.
pub fn samples() -> Vec<Sample> {
    let payload = |len: usize| (0..len).map(|i| (i * 7 + i / 256) as u8).collect::<Vec<u8>>();
    let options = vec![1, 1, 8, 10, 0, 0, 0, 9, 0, 0, 0, 5];
    let base = Packet { id: 0xfffe, seq: u32::MAX - 2000, options, ..Packet::default() };
    let hop = |packet: &Packet| Packet { ttl: packet.ttl - 1, ..packet.clone() };
    let mut samples = Vec::new();
    for (ipv6, udp) in [(false, false), (false, true), (true, false), (true, true)] {
        let base = Packet { ipv6, udp, ..base.clone() };
        let kinds = [
            ("plain", Packet { payload: payload(5000), ..base.clone() }, 1400),
            ("a last of equal size", Packet { payload: payload(4200), ..base.clone() }, 1400),
            ("small segments", Packet { payload: payload(2000), ..base.clone() }, 64),
            ("odd segments", Packet { payload: payload(2000), ..base.clone() }, 333),
            ("64 KB", Packet { payload: payload(65_000), ..base.clone() }, 1400),
            ("all flags", Packet { flags: 0xff, urgent: 3, payload: payload(3000), ..base.clone() }, 1000),
            ("options", Packet { extra: 2, payload: payload(3000), ..base.clone() }, 1000),
            ("no DF", Packet { fragment: 0, payload: payload(3000), ..base.clone() }, 1000),
            ("class", Packet { class: 0xb9, flow_label: 77, payload: payload(3000), ..base.clone() }, 1000),
        ];
        for (name, packet, gso_size) in kinds {
            let name =
                format!("{name}, IPv{}, {}", if ipv6 { 6 } else { 4 }, if udp { "UDP" } else { "TCP" });
            let (header, bytes) = packet.build_partial(gso_size);
            let written = [&header.to_bytes()[..], &bytes].concat();
            let (header, bytes) = hop(&packet).build_partial(gso_size);
            let forwarded = split_copy(&bytes, 0, &header).expect("a sound super-packet");
            samples.push(Sample { name, written, forwarded });
        }
    }
    for (ipv6, udp) in [(false, false), (false, true), (true, false), (true, true)] {
        let all = Packet { ipv6, udp, flags: ACK | PSH, payload: payload(50_000), ..base.clone() };
        let packets = all.segments(1400);
        let push = |packet: &Packet| Step::Push { interface: 1, tag: 1, packet: packet.build() };
        let [write] = &coalesce(&packets.iter().map(push).collect::<Vec<_>>(), true)[..] else {
            panic!("all packets of a flow in one write");
        };
        samples.push(Sample {
            name: format!("merged, IPv{}, {}", if ipv6 { 6 } else { 4 }, if udp { "UDP" } else { "TCP" }),
            written: [&write.header.to_bytes()[..], &write.bytes].concat(),
            forwarded: packets.iter().map(|packet| hop(packet).build()).collect(),
        });
    }
    samples
}
