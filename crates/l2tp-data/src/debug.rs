//! The debug mask of tunnels and sessions and the messages that it switches on.

use core::fmt;

/// `PPPOL2TP_MSG_*`: which categories of messages are emitted. 0, the default, emits none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DebugMask(pub u32);

impl DebugMask {
    /// `PPPOL2TP_MSG_DEBUG`: reserved; nothing uses it.
    pub const DEBUG: Self = Self(1);
    /// `PPPOL2TP_MSG_CONTROL`: sockets, options, statistics.
    pub const CONTROL: Self = Self(2);
    /// `PPPOL2TP_MSG_SEQ`: sequence numbers.
    pub const SEQ: Self = Self(4);
    /// `PPPOL2TP_MSG_DATA`: every data message.
    pub const DATA: Self = Self(8);
    /// The four categories with the names that commands use.
    pub const NAMES: [(&'static str, Self); 4] =
        [("debug", Self::DEBUG), ("control", Self::CONTROL), ("seq", Self::SEQ), ("data", Self::DATA)];

    /// Whether one of `categories` is switched on.
    #[inline]
    pub const fn has(self, categories: Self) -> bool {
        self.0 & categories.0 != 0
    }
}

/// What the receive rules have to say about one data message. All are of category
/// [`SEQ`](DebugMask::SEQ).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Message {
    /// A sequenced message came while `nr` was expected.
    Received {
        /// Its number.
        ns: u16,
        /// The number expected.
        nr: u16,
    },
    /// It was put in front of held messages.
    Inserted {
        /// Its number.
        ns: u16,
    },
    /// It waits for the messages before it.
    Holding {
        /// Its number.
        ns: u16,
        /// The number expected.
        nr: u16,
        /// How many wait now, this one included.
        held: usize,
    },
    /// It was dropped.
    Discarded {
        /// Its number, if it has one.
        ns: Option<u16>,
        /// The number expected.
        nr: u16,
        /// Why.
        reason: &'static str,
    },
    /// The messages before `ns` are given up.
    Skipped {
        /// The number that was expected.
        nr: u16,
        /// The number that goes on.
        ns: u16,
    },
    /// The LNS switched the use of sequence numbers.
    LnsRequests {
        /// On or off.
        sequence: bool,
    },
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Received { ns, nr } => write!(f, "recv data ns={ns}, session nr={nr}"),
            Self::Inserted { ns } => write!(f, "pkt ns={ns} inserted before later ones"),
            Self::Holding { ns, nr, held } => {
                write!(f, "holding pkt ns={ns}, expecting nr={nr}, {held} held")
            }
            Self::Discarded { ns: Some(ns), nr, reason } => {
                write!(f, "pkt ns={ns} discarded, expecting nr={nr}: {reason}")
            }
            Self::Discarded { ns: None, nr, reason } => {
                write!(f, "pkt without ns discarded, expecting nr={nr}: {reason}")
            }
            Self::Skipped { nr, ns } => write!(f, "gap skipped, nr {nr} updated to {ns}"),
            Self::LnsRequests { sequence: true } => f.write_str("LNS requested to enable seq numbers"),
            Self::LnsRequests { sequence: false } => f.write_str("LNS requested to disable seq numbers"),
        }
    }
}
