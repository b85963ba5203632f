//! The receive path once more: slow, obvious, written from the driver's rules and sharing no code with
//! it, so that a mistake is not shared either.
//!
//! - [`Session`]: sequence numbers, reordering and counters of one session;
//! - [`Socket`]: what a datagram on a UDP socket is, and which session it belongs to;
//! - [`classify`]: whose a PPP frame is;
//! - [`replay`]: what a session does with recorded arrivals.
//!
//! Times are microseconds from any fixed origin. Counters have the names under which the driver
//! shows them.

mod datagram;
mod frame;
mod replay;
mod session;

pub use datagram::{Outcome, Reason, Socket, Tunnel};
pub use frame::{To, classify};
pub use replay::{Arrival, Replayed, replay};
pub use session::{BYTES_HELD, FRAMES_HELD, Options, Session, Step};
