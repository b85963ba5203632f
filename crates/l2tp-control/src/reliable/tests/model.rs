//! Any sequence of inputs does what a simple model says: one that counts without wrapping, keeps all
//! that was ever queued, and looks at every message that has come.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Send,
    /// A message with Ns so far from our Nr and Nr so far from our oldest; or a ZLB.
    Receive {
        ns: i32,
        nr: i32,
        zlb: bool,
        len: usize,
    },
    Pass(u64),
    DiscardUnsent,
}

fn step() -> impl Strategy<Value = Step> {
    let distance = prop_oneof![
        12 => -3i32..8,
        2 => -100i32..100,
        1 => Just(32_767), 1 => Just(-32_768), 1 => -32_768i32..32_768
    ];
    let len = prop_oneof![8 => 0usize..200, 1 => 5_000usize..40_000];
    prop_oneof![
        4 => Just(Step::Send),
        8 => (distance, -2i32..6, prop::bool::weighted(0.2), len)
            .prop_map(|(ns, nr, zlb, len)| Step::Receive { ns, nr, zlb, len }),
        2 => (0u64..3_000_000).prop_map(Step::Pass),
        1 => Just(Step::DiscardUnsent),
    ]
}

#[derive(Default)]
struct Model {
    /// All that was ever queued.
    queued: Vec<u64>,
    acked: i64,
    sent: i64,
    next: i64,
    /// All that has been received and not refused.
    received: BTreeMap<i64, Vec<u8>>,
    nr: i64,
    owes_ack: bool,
}

impl Model {
    fn receive(&mut self, ns: i64, nr: i64, message: Option<&[u8]>, window: i64) -> (Receipt, Vec<Vec<u8>>) {
        let ack = match nr {
            _ if nr < self.acked => Ack::Stale,
            _ if nr == self.acked => Ack::Nothing,
            _ if nr > self.sent => Ack::Unsent,
            _ => Ack::New((nr - self.acked) as u16),
        };
        if let Ack::New(_) = ack {
            self.acked = nr;
            self.next = self.next.max(nr);
        }
        let mut delivered = Vec::new();
        let Some(message) = message else { return (Receipt { arrival: Arrival::Zlb, ack }, delivered) };
        let waiting: usize = self.received.range(self.nr..).map(|(_, message)| message.len() + 64).sum();
        let arrival = if ns < self.nr || self.received.contains_key(&ns) {
            self.owes_ack = true;
            Arrival::Duplicate
        } else if ns == self.nr {
            self.owes_ack = true;
            self.received.insert(ns, message.to_vec());
            while let Some(message) = self.received.get(&self.nr) {
                delivered.push(message.clone());
                self.nr += 1;
            }
            Arrival::Deliver
        } else if ns >= self.nr + window {
            Arrival::OutOfWindow
        } else if waiting + message.len() + 64 > 32 * 1024 {
            Arrival::NoRoom
        } else {
            self.received.insert(ns, message.to_vec());
            Arrival::Stored
        };
        (Receipt { arrival, ack }, delivered)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn any_input_does_what_the_model_says(
        first_ns: u16,
        first_nr: u16,
        window in prop_oneof![1u16..10, Just(100), Just(32_768)],
        peer_window in prop_oneof![1u16..10, Just(100), Just(32_768)],
        steps in prop::collection::vec(step(), 0..200),
    ) {
        let timing = Timing { retransmissions: u8::MAX, ..TIMING };
        let mut reliable = Reliable::starting_at(window, first_ns, first_nr);
        reliable.set_peer_window(peer_window);
        let mut model = Model::default();
        let mut now = 0;
        let mut count = 0u64;
        for step in steps {
            let at = Instant::from_micros(now);
            match step {
                Step::Send => {
                    model.queued.push(count);
                    reliable.send(count.to_be_bytes());
                    count += 1;
                }
                Step::Receive { ns, nr, zlb, len } => {
                    let mut message = vec![0; len];
                    message.extend(count.to_be_bytes());
                    count += 1;
                    let message = (!zlb).then_some(&message[..]);
                    let (ns, nr) = (model.nr + i64::from(ns), model.acked + i64::from(nr));
                    let window = i64::from(window.max(4));
                    let (expected, delivered) = model.receive(ns, nr, message, window);
                    let (ns, nr) = (first_nr.wrapping_add(ns as u16), first_ns.wrapping_add(nr as u16));
                    let receipt = reliable.receive(at, &timing, ns, nr, message);
                    prop_assert_eq!(receipt, expected);
                    let now = message.filter(|_| receipt.arrival == Arrival::Deliver).map(<[u8]>::to_vec);
                    let stored = core::iter::from_fn(|| reliable.take_stored()).map(Vec::from);
                    let taken = Vec::from_iter(now.into_iter().chain(stored));
                    prop_assert_eq!(taken, delivered);
                }
                Step::Pass(passed) => {
                    now += passed;
                    let at = Instant::from_micros(now);
                    if reliable.retransmit_at <= at {
                        model.next = model.acked;
                    }
                    prop_assert_eq!(reliable.handle_timeout(at, &timing), Ok(()));
                }
                Step::DiscardUnsent => {
                    model.queued.truncate(model.sent as usize);
                    reliable.discard_unsent();
                }
            }
            let at = Instant::from_micros(now);
            let window = i64::from(reliable.window());
            prop_assert!((1..=i64::from(peer_window)).contains(&window));
            while let Some(Transmit { ns, nr, message }) = reliable.poll_transmit(at, &timing) {
                prop_assert_eq!(nr, first_nr.wrapping_add(model.nr as u16));
                if let Some(message) = message {
                    prop_assert_eq!(ns, first_ns.wrapping_add(model.next as u16));
                    prop_assert_eq!(message, model.queued[model.next as usize].to_be_bytes());
                    model.next += 1;
                    model.sent = model.sent.max(model.next);
                } else {
                    prop_assert!(model.owes_ack, "a ZLB that nobody asked for");
                    prop_assert_eq!(ns, first_ns.wrapping_add(model.sent as u16));
                }
                model.owes_ack = false;
                prop_assert!(model.next <= model.acked + window);
            }
            let unsent = model.queued.len() as i64 - model.next;
            prop_assert!(unsent == 0 || model.next == model.acked + window, "it could send and does not");
            let armed = |timer: Instant| timer != NEVER;
            prop_assert_eq!(armed(reliable.retransmit_at), model.acked < model.next);
            prop_assert_eq!(armed(reliable.ack_at), model.owes_ack);
            prop_assert!(!armed(reliable.ack_at) || reliable.ack_at <= at + TIMING.ack_delay);
            prop_assert_eq!(reliable.backlog() as i64, model.queued.len() as i64 - model.acked);
        }
    }
}
