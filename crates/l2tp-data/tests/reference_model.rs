//! Any sequence of messages, times and option changes does what the reference model says.

mod common;

use common::Path;
use proptest::prelude::*;
use sim::model::{Options, Session};

#[derive(Clone, Debug)]
enum Event {
    /// A message so far from nr.
    Near(i16, usize),
    /// A message of any number.
    Any(u16),
    /// A message without a number.
    Unsequenced,
    /// Time passes and the timer runs.
    Timer(u64),
    /// Time passes unnoticed.
    Pass(u64),
    Options {
        recv_seq: bool,
        send_seq: bool,
        lns_mode: bool,
        reorder_timeout: u64,
    },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        16 => (-3i16..9, prop_oneof![1usize..1500, Just(65_535)]).prop_map(|(n, len)| Event::Near(n, len)),
        4 => (-3i16..200, 1usize..1500).prop_map(|(n, len)| Event::Near(n, len)),
        1 => any::<u16>().prop_map(Event::Any),
        3 => Just(Event::Unsequenced),
        3 => (0u64..150_000).prop_map(Event::Timer),
        2 => (0u64..150_000).prop_map(Event::Pass),
        1 => (any::<bool>(), any::<bool>(), any::<bool>(), prop_oneof![Just(0), 1u64..100_000]).prop_map(
            |(recv_seq, send_seq, lns_mode, reorder_timeout)| Event::Options {
                recv_seq,
                send_seq,
                lns_mode,
                reorder_timeout
            }
        ),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn the_receive_path_does_what_the_reference_model_does(
        reorder_timeout in prop_oneof![Just(0), 1u64..100_000],
        lns_mode: bool,
        events in prop::collection::vec(event(), 0..300),
    ) {
        let mut path = Path::reordering(reorder_timeout);
        path.receive.lns_mode = lns_mode;
        let mut model = Session::new(Options { reorder_timeout, lns_mode, ..Options::default() });
        let mut now = 0;
        for (item, event) in events.into_iter().enumerate() {
            let message = match event {
                Event::Near(distance, len) => Some((Some(model.nr().wrapping_add_signed(distance)), len)),
                Event::Any(ns) => Some((Some(ns), 100)),
                Event::Unsequenced => Some((None, 100)),
                Event::Timer(passed) | Event::Pass(passed) => {
                    now += passed;
                    None
                }
                Event::Options { .. } => None,
            };
            let (delivered, expected) = match (message, event.clone()) {
                (Some((ns, len)), _) => {
                    (path.arrive(now, ns, len, item), model.arrive(now, ns, len, item).delivered)
                }
                (None, Event::Timer(_)) => (path.timer(now), model.timer(now)),
                (None, Event::Options { recv_seq, send_seq, lns_mode, reorder_timeout }) => {
                    path.receive.recv_seq = recv_seq;
                    path.receive.lns_mode = lns_mode;
                    path.send_seq.set(send_seq);
                    let options = Options { recv_seq, send_seq, lns_mode, reorder_timeout };
                    // What is due goes before the flush in both.
                    (path.set_reorder_timeout(now, reorder_timeout), {
                        let mut flushed = model.set_options(options);
                        flushed.extend(model.timer(now));
                        flushed
                    })
                }
                (None, _) => continue,
            };
            prop_assert_eq!(delivered, expected, "{:?}", event);
            prop_assert_eq!(path.counters.named(), named(&model), "{:?}", event);
            prop_assert_eq!(path.receive.nr(), model.nr());
            prop_assert_eq!(path.queue.len(), model.held());
            prop_assert_eq!(path.queue.deadline(), model.expiry());
            prop_assert_eq!(path.send_seq.get(), model.options().send_seq);
        }
    }
}

/// The model's counters in the driver's order.
fn named(model: &Session<usize>) -> Vec<(&'static str, u64)> {
    let rx = l2tp_data::stats::Rx::ALL;
    rx.iter().map(|rx| (rx.name(), model.count(rx.name()))).filter(|(_, n)| *n != 0).collect()
}
