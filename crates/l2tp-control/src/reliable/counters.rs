//! What a tunnel's reliable delivery counts.

use super::{Ack, Arrival};

macro_rules! counters {
    ($($(#[$doc:meta])* $field:ident,)*) => {
        /// Counts since the tunnel's start, modulo 2^32.
        #[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
        pub struct Counters {
            $($(#[$doc])* pub $field: u32,)*
        }

        impl Counters {
            /// All of them with their names.
            pub fn named(&self) -> impl Iterator<Item = (&'static str, u32)> {
                [$((stringify!($field), self.$field)),*].into_iter()
            }

            /// Adds those of another tunnel.
            pub fn add(&mut self, other: &Self) {
                $(self.$field = self.$field.wrapping_add(other.$field);)*
            }
        }
    };
}

counters! {
    /// Messages sent again.
    retransmissions,
    /// ZLBs sent.
    zlbs,
    /// Messages that came ahead of a gap and were stored.
    stored,
    /// Messages that came again.
    duplicates,
    /// Messages dropped because too much was stored.
    no_room,
    /// Messages dropped because they were ahead of our window.
    out_of_window,
    /// Messages whose Nr was older than one before.
    stale_nr,
    /// Messages whose Nr acked what was never sent.
    unsent_nr,
}

impl Counters {
    pub(super) fn count(&mut self, arrival: Arrival, ack: Ack) {
        let arrival = match arrival {
            Arrival::Zlb | Arrival::Deliver => None,
            Arrival::Stored => Some(&mut self.stored),
            Arrival::Duplicate => Some(&mut self.duplicates),
            Arrival::NoRoom => Some(&mut self.no_room),
            Arrival::OutOfWindow => Some(&mut self.out_of_window),
        };
        let ack = match ack {
            Ack::Nothing | Ack::New(_) => None,
            Ack::Stale => Some(&mut self.stale_nr),
            Ack::Unsent => Some(&mut self.unsent_nr),
        };
        for counter in arrival.into_iter().chain(ack) {
            *counter = counter.wrapping_add(1);
        }
    }
}
