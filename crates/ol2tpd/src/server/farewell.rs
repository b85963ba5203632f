//! The end of the daemon: links, then tunnels, then scripts.

use std::time::Duration;

use l2tp_control::wire::StopResult;
use l2tp_control::{Cause, Instant};
use tracing::warn;

use super::ending::Ending;
use super::{Outcome, Reactor};
use crate::accounts::TerminateCause;
use crate::notice::Notice;

/// How long the ends of links are waited for when the daemon ends, before their tunnels are closed: a peer
/// that hears of the tunnel first has no time left to hear why.
const LINKS: Duration = Duration::from_secs(1);
/// How long peers are waited for in all.
const FAREWELL: Duration = Duration::from_secs(5);
/// How long scripts are waited for then.
const SCRIPTS: Duration = Duration::from_secs(10);

/// The daemon ends.
pub(super) struct Farewell {
    /// When tunnels are closed, whichever links are not over.
    links: Instant,
    /// They are.
    closing: bool,
    /// When it ends, whoever has not answered.
    until: Instant,
    outcome: Outcome,
}

impl Farewell {
    /// When something has to be done.
    pub(super) fn next(&self) -> Instant {
        if self.closing { self.until } else { self.links }
    }
}

impl Reactor<'_> {
    /// Begins to end, or ends at once if it is told for the second time.
    pub(super) fn stop(&mut self, outcome: Outcome) {
        let now = self.clock.now();
        if let Some(farewell) = &mut self.farewell {
            (farewell.links, farewell.until) = (now, now);
            return;
        }
        self.notice(Notice::ShuttingDown);
        self.notify.stopping();
        self.endpoint.set_draining(true);
        self.stop_dials();
        for key in self.sessions.keys().copied().collect::<Vec<_>>() {
            self.close_link(now, key, TerminateCause::ADMIN_REBOOT, "this end is shut down");
        }
        self.farewell = Some(Farewell { links: now + LINKS, closing: false, until: now + FAREWELL, outcome });
        self.pump(now);
    }

    /// Closes the tunnels, once the links are over or have had their time.
    fn close_tunnels(&mut self, now: Instant) {
        let Some(farewell) = &mut self.farewell else { return };
        if farewell.closing || !self.sessions.is_empty() && now < farewell.links {
            return;
        }
        farewell.closing = true;
        // Of tunnels that are being opened there is no entry here yet.
        let closing: Vec<_> = self.tunnels.keys().copied().chain(self.dials.opening()).collect();
        for tunnel in closing {
            self.close_tunnel(now, tunnel, Cause::new(StopResult::SHUTTING_DOWN));
        }
        self.pump(now);
    }

    /// How it has ended, once it has.
    pub(super) fn outcome(&mut self, now: Instant) -> Option<Outcome> {
        if self.farewell.is_none()
            && self.settings.listen.is_empty()
            && let Some(outcome) = self.dials.outcome()
        {
            self.stop(outcome);
        }
        self.close_tunnels(now);
        let Farewell { closing: true, until, outcome, .. } = self.farewell.as_ref()? else { return None };
        self.leaving.retain(|tunnel| !self.endpoint.is_settled(*tunnel));
        if !self.leaving.is_empty() {
            if now < *until {
                return None;
            }
            warn!("not acknowledged in time: the ends of {} tunnels", self.leaving.len());
        }
        Some(outcome.clone())
    }

    /// Takes down what is still up, and waits for the scripts.
    pub(super) async fn close(mut self) {
        let now = self.clock.now();
        for key in self.sessions.keys().copied().collect::<Vec<_>>() {
            self.end_session(now, key, Ending::here(TerminateCause::ADMIN_REBOOT, "this end has ended"));
        }
        let Self { scripts, names, pppds, removal, .. } = self;
        pppds.finish().await;
        scripts.finish(SCRIPTS).await;
        removal.close().await;
        names.close().await;
    }
}
