//! What a session does with recorded arrivals.

use super::{Options, Session};

/// A data message that a driver received.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arrival {
    /// When, in microseconds.
    pub time_us: u64,
    /// Its number, if it had one.
    pub ns: Option<u16>,
    /// Bytes of the L2TP message, its header included.
    pub len: usize,
}

/// What the session did.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// Which arrivals were delivered, in this order.
    pub delivered: Vec<usize>,
    /// The session afterwards: its counters, what it still holds.
    pub session: Session<usize>,
}

/// Replays arrivals, in the order of their times, up to the moment `until`. A timer that is due when
/// a message arrives runs before it.
pub fn replay(options: Options, arrivals: &[Arrival], until: u64) -> Replayed {
    let mut session = Session::new(options);
    let mut delivered = Vec::new();
    for (index, arrival) in arrivals.iter().enumerate() {
        delivered.extend(session.timer(arrival.time_us));
        let step = session.arrive(arrival.time_us, arrival.ns, arrival.len, index);
        delivered.extend(step.delivered);
    }
    delivered.extend(session.timer(until));
    Replayed { delivered, session }
}
