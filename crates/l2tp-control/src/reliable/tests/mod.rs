//! `rows`: the table of the module, row by row. `scenes`: whole exchanges. `model`: any input against
//! a simple model. `network`: two ends over a bad network.

mod model;
mod network;
mod rows;
mod scenes;

use super::*;

const TIMING: Timing = Timing::DEFAULT;

const fn ms(ms: u64) -> Instant {
    Instant::from_micros(ms * 1000)
}

/// A transmission: Ns, Nr and the message's only byte, which a ZLB does not have.
type Sent = (u16, u16, Option<u8>);

impl Reliable {
    /// As if this many messages had been sent, and received, and acked before.
    fn starting_at(window: u16, ns: u16, nr: u16) -> Self {
        Self { una: ns, nr, ..Self::new(window) }
    }

    /// One end whose window is open: slow start is over.
    fn open(window: u16, peer_window: u16) -> Self {
        let mut reliable = Self::new(window);
        reliable.set_peer_window(peer_window);
        for _ in 0..peer_window {
            reliable.window.acked();
        }
        reliable
    }

    /// Everything that goes out at `now`.
    fn drain(&mut self, now: Instant) -> Vec<Sent> {
        let mut sent = Vec::new();
        while let Some(Transmit { ns, nr, message }) = self.poll_transmit(now, &TIMING) {
            sent.push((ns, nr, message.map(|message| message[0])));
        }
        sent
    }

    /// Queues a message for each byte, and sends what may go.
    fn say(&mut self, now: Instant, messages: &[u8]) -> Vec<Sent> {
        messages.iter().for_each(|&byte| self.send([byte]));
        self.drain(now)
    }

    /// A message from the peer.
    fn hear(&mut self, now: Instant, ns: u16, nr: u16, byte: u8) -> Receipt {
        self.receive(now, &TIMING, ns, nr, Some(&[byte]))
    }

    fn hear_zlb(&mut self, now: Instant, ns: u16, nr: u16) -> Receipt {
        self.receive(now, &TIMING, ns, nr, None)
    }

    /// The bytes of the stored messages that can be delivered.
    fn stored(&mut self) -> Vec<u8> {
        core::iter::from_fn(|| self.take_stored()).map(|message| message[0]).collect()
    }

    /// Lets the timer run at `now`, and sends what may go.
    fn tick(&mut self, now: Instant) -> Vec<Sent> {
        assert_eq!(self.handle_timeout(now, &TIMING), Ok(()));
        self.drain(now)
    }
}
