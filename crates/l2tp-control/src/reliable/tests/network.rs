//! Two ends over a network that loses, doubles and reorders: everything arrives once and in order, and
//! both end idle.

use proptest::prelude::*;
use sim::network::{Conditions, Network};

use super::*;

/// One end of the tunnel and what its user sees.
struct End {
    reliable: Reliable,
    /// When the user sends each of its messages.
    script: Vec<u64>,
    said: usize,
    heard: Vec<u32>,
    /// Messages that came, ZLBs that went.
    messages_in: u32,
    peer_window: u16,
}

impl End {
    fn new(window: u16, peer_window: u16, numbers: (u16, u16), script: &[u64]) -> Self {
        let mut script = script.to_vec();
        script.sort_unstable();
        let mut reliable = Reliable::starting_at(window, numbers.0, numbers.1);
        reliable.set_peer_window(peer_window);
        Self { reliable, script, said: 0, heard: Vec::new(), messages_in: 0, peer_window }
    }

    fn next_event(&self) -> Option<u64> {
        let timer = self.reliable.next_timeout().map(|(at, _)| at.as_micros());
        timer.into_iter().chain(self.script.get(self.said).copied()).min()
    }

    fn hear(&mut self, now: u64, timing: &Timing, datagram: &[u8]) {
        let number = |at: usize| u16::from_be_bytes([datagram[at], datagram[at + 1]]);
        let message = (datagram.len() > 4).then_some(&datagram[4..]);
        self.messages_in += u32::from(message.is_some());
        let receipt = self.reliable.receive(Instant::from_micros(now), timing, number(0), number(2), message);
        assert_ne!(receipt.ack, Ack::Unsent);
        assert_ne!(receipt.arrival, Arrival::OutOfWindow, "the peer keeps to our window");
        let body = |message: &[u8]| u32::from_be_bytes(message.try_into().expect("4 bytes"));
        if receipt.arrival == Arrival::Deliver {
            self.heard.extend(message.map(body));
        }
        while let Some(message) = self.reliable.take_stored() {
            self.heard.push(body(&message));
        }
    }

    /// What the user and the timers do at `now`; what goes out.
    fn act(&mut self, now: u64, timing: &Timing) -> Vec<Vec<u8>> {
        while self.script.get(self.said).is_some_and(|&at| at <= now) {
            self.reliable.send((self.said as u32).to_be_bytes());
            self.said += 1;
        }
        let at = Instant::from_micros(now);
        self.reliable.handle_timeout(at, timing).expect("the budget is never spent");
        let mut datagrams = Vec::new();
        while let Some(Transmit { ns, nr, message }) = self.reliable.poll_transmit(at, timing) {
            datagrams.push([&ns.to_be_bytes()[..], &nr.to_be_bytes(), message.unwrap_or_default()].concat());
        }
        assert!(self.reliable.sent <= self.peer_window && self.reliable.window() <= self.peer_window);
        datagrams
    }
}

/// Runs both ends until nothing happens any more. Returns them and the time.
fn run(mut ends: [End; 2], mut network: Network<usize>, timing: &Timing) -> ([End; 2], u64) {
    let mut now = 0;
    loop {
        let ends_next = ends.iter().filter_map(End::next_event).min();
        let Some(next) = ends_next.into_iter().chain(network.next_arrival()).min() else { break };
        now = now.max(next);
        while let Some(datagram) = network.arrive(now) {
            let end = &mut ends[datagram.to];
            end.hear(now, timing, &datagram.bytes);
            end.act(now, timing)
                .into_iter()
                .for_each(|bytes| network.send(now, datagram.to, datagram.from, bytes));
        }
        for (end, address) in ends.iter_mut().zip(0..) {
            end.act(now, timing).into_iter().for_each(|bytes| network.send(now, address, 1 - address, bytes));
        }
    }
    (ends, now)
}

/// Nothing is lost or doubled, and nothing is left over.
fn check(ends: &[End; 2]) {
    for (end, other) in [(&ends[0], &ends[1]), (&ends[1], &ends[0])] {
        assert_eq!(end.said, end.script.len());
        assert_eq!(other.heard, Vec::from_iter(0..end.said as u32), "once, in order");
        assert_eq!(end.reliable.ns(), other.reliable.nr());
        assert!(end.reliable.is_idle() && end.reliable.next_timeout().is_none());
        assert!(end.reliable.queue.capacity() == 0 && end.reliable.stored.is_empty());
        assert!(end.reliable.counters.zlbs <= end.messages_in, "an ack each, and none for a ZLB");
    }
}

fn conditions() -> impl Strategy<Value = Conditions> {
    (0u16..=300, 0u16..=300, 0u16..=300, 0u64..200_000, 0u64..200_000).prop_map(
        |(loss, duplication, reordering, delay, jitter)| Conditions {
            loss,
            duplication,
            reordering,
            delay,
            jitter,
        },
    )
}

fn window() -> impl Strategy<Value = u16> {
    prop_oneof![Just(1u16), 2u16..10, Just(100), Just(32_768), 1u16..=32_768]
}

fn script() -> impl Strategy<Value = Vec<u64>> {
    prop::collection::vec(prop_oneof![Just(0u64), 0u64..3_000_000, 0u64..60_000_000], 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn everything_arrives_once_and_in_order(
        seed: u64,
        conditions in conditions(),
        windows in (window(), window()),
        numbers: (u16, u16),
        scripts in (script(), script()),
    ) {
        // A budget that 30 % loss in both directions does not spend.
        let timing = Timing { retransmissions: u8::MAX, ..TIMING };
        let ends = [
            End::new(windows.0, windows.1, numbers, &scripts.0),
            End::new(windows.1, windows.0, (numbers.1, numbers.0), &scripts.1),
        ];
        let (ends, _) = run(ends, Network::new(seed, conditions), &timing);
        check(&ends);
    }
}

/// With nothing lost, nothing is sent twice, and nobody waits for a timer of 1 s.
#[test]
fn an_ideal_network_sees_no_retransmission() {
    for (window, messages) in [(1, 50), (4, 200), (16, 1000), (32_768, 70_000)] {
        let script = vec![0; messages];
        let ends = [
            End::new(window, window, (65_000, 7), &script),
            End::new(window, window, (7, 65_000), &script[..messages / 2]),
        ];
        let (ends, now) = run(ends, Network::new(1, Conditions::ideal(10_000)), &TIMING);
        check(&ends);
        for end in &ends {
            let Counters { retransmissions, stored, duplicates, .. } = *end.reliable.counters();
            assert_eq!((retransmissions, stored, duplicates), (0, 0, 0));
        }
        // Round trips of 20 ms: full windows, and those in which the window grows.
        let trips = messages as u64 / u64::from(window) + 30;
        assert!(now <= trips * 20_000 + 50_000, "{window}: {now} µs");
    }
}

/// A peer that keeps nothing that is out of order gets everything, too, and one timeout is enough for
/// a whole lost window.
#[test]
fn a_window_that_is_lost_takes_one_timeout() {
    for keeps in [false, true] {
        let mut sender = Reliable::open(16, 16);
        assert_eq!(sender.say(ms(0), &[1; 16]).len(), 16);
        let mut receiver = Reliable::new(16);
        let mut now = ms(1000);
        let mut datagrams = sender.tick(now);
        while !sender.is_idle() {
            assert!(now < ms(1100), "no further timeout");
            now = now + Duration::from_millis(1);
            for (ns, nr, byte) in core::mem::take(&mut datagrams) {
                if keeps || ns == receiver.nr() {
                    receiver.hear(now, ns, nr, byte.expect("a message"));
                    receiver.stored();
                }
                for (ns, nr, _) in receiver.drain(now) {
                    sender.hear_zlb(now, ns, nr);
                }
            }
            if let Some((at, Timer::Ack)) = receiver.next_timeout() {
                now = now.max(at);
                for (ns, nr, _) in receiver.drain(now) {
                    sender.hear_zlb(now, ns, nr);
                }
            }
            datagrams = sender.drain(now);
        }
        assert_eq!((receiver.nr(), sender.counters.retransmissions), (16, 16));
    }
}
