//! Small packets and super-packets that an interface has at once leave whole, and in their order.

mod common;

mod netns {
    use std::net::{IpAddr, Ipv4Addr, UdpSocket};

    use nix::sys::socket::setsockopt;
    use nix::sys::socket::sockopt::{RcvBufForce, UdpGsoSegment};
    use pppol2tp::netlink::Netlink;
    use pppol2tp::user::{Config, Mode};
    use pppol2tp::{Prefix, UnitConfig};

    use crate::common::{Bed, config, in_netns, wire};

    const OURS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    const THEIRS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
    /// The batches grow from round to round until they are as long as they can be.
    const ROUNDS: u32 = 40;
    /// Small packets before and after the super-packets.
    const SMALL: u32 = 70;
    /// Super-packets: more than an arena takes at once.
    const LARGE: u32 = 12;
    /// Datagrams of a super-packet, and bytes of each.
    const PARTS: usize = 50;
    const PART: usize = 1200;
    /// What stands before the payload: L2TP, FF 03, the protocol, IPv4, UDP.
    const HEADERS: usize = 6 + 4 + 20 + 8;

    /// The payload of a datagram: its number, and as many bytes of it as it shall have.
    fn payload(number: u32, length: usize) -> Vec<u8> {
        let mut payload = number.to_be_bytes().to_vec();
        payload.resize(length, number as u8);
        payload
    }

    fn mixed(mode: Mode) {
        in_netns(move || {
            let bed = Bed::new(Config { mode, ..config() });
            setsockopt(&bed.peer, RcvBufForce, &(16 << 20)).expect("room for a round");
            let unit = bed.session.unit(UnitConfig::default()).expect("a unit");
            let netlink = Netlink::open().expect("rtnetlink");
            netlink.set_up(unit.index(), true).expect("up");
            netlink.add_address(unit.index(), Prefix::host(OURS), None).expect("an address");
            netlink.add_route(unit.index(), Prefix::host(THEIRS)).expect("a route");
            let [apart, merged] = [(); 2].map(|()| {
                let socket = UdpSocket::bind((OURS, 0)).expect("a socket");
                socket.connect((THEIRS, 9)).expect("a route");
                socket
            });
            setsockopt(&merged, UdpGsoSegment, &(PART as i32)).expect("UDP_SEGMENT");

            let mut number = 0;
            for round in 0..ROUNDS {
                let small = (0..SMALL).map(|n| (4 + (n * 7 + round) as usize % 300, 1));
                let all = small.clone().chain((0..LARGE).map(|_| (PART, PARTS))).chain(small);
                let mut messages = Vec::new();
                for (length, count) in all {
                    messages.push((number..).take(count).map(|n| payload(n, length)).collect::<Vec<_>>());
                    number += count as u32;
                }
                let ready = messages.iter().map(|datagrams| (datagrams.len(), datagrams.concat()));
                for (count, bytes) in ready.collect::<Vec<_>>() {
                    let socket = if count > 1 { &merged } else { &apart };
                    socket.send(&bytes).expect("sent");
                }
                for datagram in messages.concat() {
                    let arrived = wire(&bed.peer);
                    assert!(arrived.get(HEADERS..) == Some(&datagram), "round {round}: {arrived:02x?}");
                }
            }
        });
    }

    #[test]
    fn read_many_a_system_call() {
        mixed(Mode::OFFLOAD);
    }

    #[test]
    fn read_one_by_one() {
        mixed(Mode { ring: false, ..Mode::OFFLOAD });
    }
}
