//! The test bed by itself: ping and load over the bare veth. Needs root.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use netlink_packet_core::NLM_F_CREATE;
use netlink_packet_route::neighbour::{NeighbourAttribute, NeighbourMessage, NeighbourState};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::net::if_::if_nametoindex;
use ol2tp::bed::{Bed, LEFT, RIGHT, RIGHT6};
use ol2tp::interrupt::Interrupt;
use ol2tp::load::{Load, PAYLOAD, Path, Window};
use ol2tp::ping::{Requests, ping};
use ol2tp::tunnel::direct;
use pppol2tp::Prefix;
use pppol2tp::netlink::Netlink;

const WINDOW: Window = Window { ramp: Duration::from_millis(20), length: Duration::from_millis(100) };

fn requests(patience: u64) -> Requests {
    Requests { count: 5, interval: Duration::from_millis(2), patience: Duration::from_millis(patience) }
}

#[test]
fn every_ping_is_answered() {
    let bed = Bed::new().unwrap();
    for target in [IpAddr::V4(RIGHT), IpAddr::V6(RIGHT6)] {
        let ping = ping(&bed.left, target, requests(5000)).unwrap();
        assert!(ping.complete(), "{target}: {ping:?}");
        assert!(ping.median_us.unwrap() > 0.0);
    }
}

#[test]
fn a_ping_that_nobody_answers_is_counted_as_lost() {
    let bed = Bed::new().unwrap();
    let ping = ping(&bed.left, "192.0.2.77".parse().unwrap(), requests(50)).unwrap();
    assert_eq!((ping.sent, ping.received, ping.median_us), (5, 0, None));
    assert!(!ping.complete());
}

#[test]
fn a_ping_without_a_route_is_an_error() {
    let bed = Bed::new().unwrap();
    ping(&bed.left, "198.51.100.1".parse().unwrap(), requests(50)).unwrap_err();
}

#[test]
fn tcp_and_udp_arrive() {
    let bed = Bed::new().unwrap();
    let interrupt = Interrupt::default();
    for streams in [1, 4] {
        let load = Load::tcp(direct(&bed), streams).unwrap();
        assert!(load.measure(WINDOW, &interrupt, || Ok(())).unwrap().bytes > 1 << 20);
    }
    let load = Load::udp_flow(direct(&bed)).unwrap();
    let mut probes = 0;
    let sample = load.measure(WINDOW, &interrupt, || {
        probes += 1;
        Ok(())
    });
    let sample = sample.unwrap();
    assert!(sample.frames() > 1000, "{sample:?}");
    assert_eq!(sample.bytes % PAYLOAD as u64, 0);
    assert_eq!(probes, 2);
}

#[test]
fn flows_between_addresses_of_prefixes() {
    let bed = Bed::new().unwrap();
    let prefix = |text: &str| Prefix { address: text.parse().unwrap(), len: 24 };
    bed.left.own_prefix(prefix("198.51.100.0")).unwrap();
    let flows: Vec<_> =
        (1..=20).map(|n| (IpAddr::from([198, 51, 100, n]), IpAddr::from([198, 51, 100, n]))).collect();
    let load = Load::udp(&bed.left, &bed.left, &flows, 8).unwrap();
    let sample = load.measure(WINDOW, &Interrupt::default(), || Ok(())).unwrap();
    assert!(sample.frames() > 1000, "{sample:?}");
}

#[test]
fn frames_that_get_lost_do_not_stop_the_sender() {
    let bed = Bed::new().unwrap();
    // Frames to this neighbour's hardware address leave, and nobody takes them.
    let nobody = Ipv4Addr::new(192, 0, 2, 77);
    bed.left
        .enter(|| {
            let mut neighbour = NeighbourMessage::default();
            neighbour.header.family = AddressFamily::Inet;
            neighbour.header.ifindex = if_nametoindex("veth0")?;
            neighbour.header.state = NeighbourState::Permanent;
            neighbour.attributes.push(NeighbourAttribute::Destination(nobody.into()));
            neighbour.attributes.push(NeighbourAttribute::LinkLayerAddress(vec![2, 0, 0, 0, 0, 77]));
            Netlink::open()?.request(RouteNetlinkMessage::NewNeighbour(neighbour), NLM_F_CREATE)
        })
        .unwrap();
    let flows = [(LEFT.into(), nobody.into()), (LEFT.into(), RIGHT.into())];
    let load = Load::udp(&bed.left, &bed.right, &flows, 64).unwrap();
    // Several times what a window of lost frames takes.
    let window = Window { ramp: Duration::from_millis(500), length: Duration::from_millis(1000) };
    let sample = load.measure(window, &Interrupt::default(), || Ok(())).unwrap();
    assert!(sample.frames() > 0, "{sample:?}");
}

#[test]
fn a_target_that_does_not_answer_is_an_error() {
    let bed = Bed::new().unwrap();
    let target = "198.51.100.1".parse().unwrap();
    let path = Path { from: &bed.left, to: &bed.right, source: LEFT.into(), target };
    assert!(Load::tcp(path, 1).is_err());
}

#[test]
fn a_signal_ends_a_measurement() {
    let bed = Bed::new().unwrap();
    let interrupt = Interrupt::default();
    let load = Load::udp_flow(direct(&bed)).unwrap();
    let window = Window { ramp: Duration::ZERO, length: Duration::from_secs(600) };
    let start = Instant::now();
    load.measure(window, &interrupt, || {
        interrupt.raise();
        Ok(())
    })
    .unwrap_err();
    assert!(start.elapsed() < window.length);
}
