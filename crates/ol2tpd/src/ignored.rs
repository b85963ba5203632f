//! Counts what nobody takes and says so, once a second at the most.

use std::time::Duration;

use pppol2tp::Reason;
use tokio::time::{Instant, sleep_until};
use tracing::warn;

const INTERVAL: Duration = Duration::from_secs(1);

/// What a static tunnel receives and has no use for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Control,
    Short,
    Version,
    UnknownSession,
    PppControl,
}

impl Kind {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Control, "control messages (no control protocol on a static tunnel)"),
        (Self::Short, "datagrams too short for a data message"),
        (Self::Version, "datagrams that are not L2TP version 2"),
        (Self::UnknownSession, "data messages of unknown tunnels or sessions (are the ids the peer's?)"),
        (Self::PppControl, "PPP control frames (no PPP negotiation on a static session)"),
    ];
}

impl From<Reason> for Kind {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Control => Self::Control,
            Reason::Short => Self::Short,
            Reason::Version => Self::Version,
            Reason::UnknownSession => Self::UnknownSession,
            // A static session does not pass up; if one did, these were its frames.
            Reason::Frame(_) | Reason::Gone(_) => Self::PppControl,
        }
    }
}

/// The counts since the last message, and when the next one may be emitted.
#[derive(Default)]
pub(crate) struct Ignored {
    counts: [u64; Kind::ALL.len()],
    not_before: Option<Instant>,
}

impl Ignored {
    pub(crate) fn add(&mut self, kind: Kind) {
        self.counts[kind as usize] += 1;
    }

    /// Waits until there is something to say and it may be said.
    pub(crate) async fn due(&self) {
        if self.counts == [0; Kind::ALL.len()] {
            std::future::pending::<()>().await;
        }
        if let Some(not_before) = self.not_before {
            sleep_until(not_before).await;
        }
    }

    pub(crate) fn report(&mut self) {
        for (kind, what) in Kind::ALL {
            match std::mem::take(&mut self.counts[kind as usize]) {
                0 => {}
                n => warn!("ignored {n} {what}"),
            }
        }
        self.not_before = Some(Instant::now() + INTERVAL);
    }
}
