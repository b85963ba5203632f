//! Whatever offloads are in use: the bytes are the same, the order is kept, nothing is dropped.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use ol2tp::bed::Space;
use pppol2tp::SocketOption;
use pppol2tp::user::Mode;

use crate::ends::{End, pair, pattern, sockets, tcp_both_ways};

const TCP: usize = 8 << 20;

/// Datagrams of many sizes, some of them fragmented, keep content and order.
fn udp_in_order(from: &End, to: &End, source: IpAddr, target: IpAddr) {
    let sizes = [1usize, 64, 200, 200, 200, 1200, 1400, 1400, 31, 3000, 200, 1430];
    let bytes = pattern(4096);
    let receiver = to.space.enter(|| UdpSocket::bind((target, 0))).unwrap();
    let sender = from.space.enter(|| UdpSocket::bind((source, 0))).unwrap();
    receiver.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    sender.connect(receiver.local_addr().unwrap()).unwrap();
    let mut buffer = [0; 4096];
    for round in 0..40u8 {
        for size in sizes {
            sender.send(&[&[round][..], &bytes[..size]].concat()).unwrap();
        }
        for size in sizes {
            let len = receiver.recv(&mut buffer).unwrap();
            assert_eq!((buffer[0], len), (round, size + 1));
            assert_eq!(buffer[1..len], bytes[..size]);
        }
    }
}

fn all_kinds(one: &End, two: &End) {
    let bytes = pattern(TCP);
    for (target, back) in [(two.v4, one.v4), (two.v6, one.v6)] {
        tcp_both_ways(one, two, target, &bytes);
        udp_in_order(one, two, back, target);
        udp_in_order(two, one, target, back);
    }
    one.assert_clean();
    two.assert_clean();
    let (sent, received) = (one.session.stats().unwrap(), two.session.stats().unwrap());
    assert_eq!(sent.tx(l2tp_data::stats::Tx::Packets), received.rx(l2tp_data::stats::Rx::Packets));
    assert_eq!(sent.tx(l2tp_data::stats::Tx::Bytes), received.rx(l2tp_data::stats::Rx::Bytes));
}

macro_rules! modes {
    ($($test:ident: $mode:literal,)*) => { $(
        #[test]
        fn $test() {
            let (one, two) = pair(Mode::by_name($mode).unwrap());
            all_kinds(&one, &two);
        }
    )*
        #[test]
        fn every_mode_has_a_test() {
            assert_eq!(Mode::ALL.map(|(name, _)| name), [$($mode),*]);
        }
    };
}

modes! {
    offload: "offload",
    no_uso: "no-uso",
    no_tso: "no-tso",
    no_vnet: "no-vnet",
    no_gso: "no-gso",
    no_gro: "no-gro",
    no_udp: "no-udp",
    no_ring: "no-ring",
    batch: "batch",
    plain: "plain",
}

#[test]
fn ends_of_different_modes() {
    let middle = Space::new().unwrap();
    let (one, two) = sockets(&middle, IpAddr::from([127, 0, 0, 1]));
    let (one, two) = (End::new(1, one, Mode::OFFLOAD, None), End::new(2, two, Mode::PLAIN, None));
    all_kinds(&one, &two);
}

#[test]
fn over_ipv6() {
    let middle = Space::new().unwrap();
    let (one, two) = sockets(&middle, IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]));
    let (one, two) = (End::new(1, one, Mode::OFFLOAD, None), End::new(2, two, Mode::OFFLOAD, None));
    all_kinds(&one, &two);
}

#[test]
fn with_sequence_numbers_and_reordering() {
    let (one, two) = pair(Mode::OFFLOAD);
    for end in [&one, &two] {
        end.session.set(SocketOption::LnsMode, 1).unwrap();
        end.session.set(SocketOption::SendSeq, 1).unwrap();
        end.session.set(SocketOption::RecvSeq, 1).unwrap();
        end.session.set(SocketOption::ReorderTo, 100).unwrap();
    }
    all_kinds(&one, &two);
}

/// Numbers switched on and off under traffic: frames of both kinds in one stream, none lost.
#[test]
fn sequence_numbers_switched_while_data_flows() {
    let (one, two) = pair(Mode::OFFLOAD);
    // The LNS switches, the LAC follows.
    one.session.set(SocketOption::LnsMode, 1).unwrap();
    let bytes = pattern(16 << 20);
    let mut switched = 0;
    let (here, there) = (SocketAddr::new(one.v4, 0), SocketAddr::new(two.v4, 9));
    let keepalive = one.space.enter(|| UdpSocket::bind(here)).unwrap();
    std::thread::scope(|scope| {
        let transfer = scope.spawn(|| tcp_both_ways(&two, &one, one.v4, &bytes));
        // What is under way while the LNS switches is dropped (an LNS that sends numbers
        // wants them), so TCP gets time to recover in between.
        let (mut on, mut next, mut alive) = (0, 500, Instant::now());
        while !transfer.is_finished() {
            // The LAC learns of the switch from the LNS's next frame. One that has nothing left to
            // say but acknowledgements would wait for it forever: PPP's echoes are missing here.
            if alive.elapsed() > Duration::from_millis(10) {
                alive = Instant::now();
                // Refused once the LAC's end has said that nobody listens.
                let _ = keepalive.send_to(&[0], there);
            }
            if one.counter("rx_packets") >= next {
                on ^= 1;
                one.session.set(SocketOption::SendSeq, on).unwrap();
                next = one.counter("rx_packets") + 1000;
                switched += 1;
            }
            std::thread::yield_now();
        }
    });
    assert!(one.counter("rx_packets") > 1000 && two.counter("rx_packets") > 1000);
    assert!(switched >= 3, "switched {switched} times while data flowed");
}
