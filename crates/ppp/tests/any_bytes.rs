//! No byte string makes a link panic, in any phase, nor a list of them.

mod common;

use common::*;
use ppp::config::{Ipv4, Ipv6, Network};
use ppp::packet::Packet;
use ppp::{Config, Event, Method, Phase, Protocol};
use proptest::prelude::*;

/// A link in this phase.
fn link(phase: Phase) -> Bench {
    let both = Network { ipv4: Some(Ipv4::default()), ipv6: Some(Ipv6::default()) };
    match phase {
        Phase::Dead => Bench::new(Config::default()),
        Phase::Establish => Bench::open(Config { require: Method::ALL.to_vec(), ..Config::default() }).0,
        Phase::Authenticate => {
            let config = Config { require: vec![Method::Eap], ..client("user", "pass") };
            Bench::lcp(config, &[(3, Method::MsChapV2.option())])
        }
        Phase::Network => Bench::network(both).0,
        Phase::Terminate => {
            let mut bench = Bench::network(both).0;
            bench.link.close(bench.now, "enough");
            bench.sent();
            bench
        }
    }
}

fn phase() -> impl Strategy<Value = Phase> {
    let phases = [Phase::Dead, Phase::Establish, Phase::Authenticate, Phase::Network, Phase::Terminate];
    prop::sample::select(phases.to_vec())
}

/// Any frame; or a packet of a protocol that is spoken, whose header is right.
fn frame() -> impl Strategy<Value = Vec<u8>> {
    let spoken = [
        Protocol::LCP,
        Protocol::PAP,
        Protocol::CHAP,
        Protocol::EAP,
        Protocol::IPCP,
        Protocol::IPV6CP,
        Protocol::CCP,
    ];
    let data = prop::collection::vec(any::<u8>(), 0..80);
    let packet = (prop::sample::select(spoken.to_vec()), 0u8..16, any::<u8>(), data);
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..2000),
        packet.prop_map(|(protocol, code, id, data)| Packet { code, id, data: &data }.frame(protocol)),
    ]
}

proptest! {
    #[test]
    fn whatever_comes_is_counted_and_survived(
        phase in phase(),
        frames in prop::collection::vec((frame(), 0u64..4), 0..40),
    ) {
        let mut bench = link(phase);
        let before = bench.link.counters().received;
        bench.told();
        for (frame, time) in &frames {
            // `hear_frame` and `pass` see to it that what is sent is whole, and that what is due is done.
            bench.hear_frame(frame);
            bench.pass(seconds(*time));
        }
        prop_assert_eq!(bench.link.counters().received - before, frames.len() as u32);
        let events = bench.told();
        let down = events.iter().position(|event| matches!(event, Event::Down(_)));
        prop_assert!(down.is_none_or(|at| at + 1 == events.len()), "{:?}", events);
    }
}
