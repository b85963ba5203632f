//! Noticing a silent peer (RFC 1661 §5.8), at no cost while it talks.
//!
//! ```text
//!  anything heard ─► quiet for an interval ─► Echo-Request ─► … as often as allowed ─► silent
//!        ▲                    │ heard               │ heard
//!        └────────────────────┴─────────────────────┘
//! ```

use l2tp_data::time::Instant;

use super::config::Echo;

/// What the keepalive wants when its time has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Due {
    Request,
    Silence,
}

/// The keepalive of an open link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Keepalive {
    /// When something was heard last, or asked since.
    since: Instant,
    /// Echo-Requests sent since something was heard.
    unanswered: u8,
}

impl Keepalive {
    pub(crate) const fn new(now: Instant) -> Self {
        Self { since: now, unanswered: 0 }
    }

    pub(crate) const fn heard(&mut self, now: Instant) {
        *self = Self::new(now);
    }

    pub(crate) fn poll_timeout(&self, echo: &Echo) -> Instant {
        self.since + echo.interval
    }

    /// What is to be done now.
    pub(crate) fn handle_timeout(&mut self, now: Instant, echo: &Echo) -> Option<Due> {
        if self.poll_timeout(echo) > now {
            return None;
        }
        if self.unanswered >= echo.failures {
            return Some(Due::Silence);
        }
        *self = Self { since: now, unanswered: self.unanswered + 1 };
        Some(Due::Request)
    }
}
