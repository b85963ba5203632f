//! How long a session may last, by the clock and without traffic; its timer.

use std::time::Duration;

use l2tp_control::Instant;
use l2tp_data::stats::{Rx, Tx};

use super::Reactor;
use super::ending::Ending;
use super::key::Key;
use super::sessions::Session;
use crate::accounts::TerminateCause;
use crate::notice::Failed;

/// How often a session that may be idle only so long is looked at in that time.
const IDLE_LOOKS: u32 = 8;

/// What the counters told when they were last looked at.
pub(super) struct Activity {
    /// When that was.
    looked: Instant,
    /// Frames received.
    received: u64,
    /// Frames sent.
    sent: u64,
    /// Packets of network protocols that the user at this end or the other has sent.
    packets: u64,
    /// When there were more of them than before.
    busy: Instant,
}

impl Activity {
    pub(super) fn new(now: Instant) -> Self {
        Self { looked: now, received: 0, sent: 0, packets: 0, busy: now }
    }
}

impl Reactor<'_> {
    pub(super) fn arm(&mut self, key: Key) {
        let Some(session) = self.sessions.get(&key) else { return };
        let link = session.link.as_ref().and_then(|link| link.poll_timeout()).map(|(at, _)| at);
        let host = session.up.as_ref().and_then(|up| up.host.as_ref()?.poll_timeout());
        self.timers.arm(session.timer, link.into_iter().chain(host).chain(session.next_look()).min());
    }

    pub(super) fn session_timeout(&mut self, now: Instant, key: Key) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        // A tunnel whose sessions hear of their peers needs no HELLO, nor their links an echo.
        let (received, sent) = session.look(now);
        if let Some(tunnel) = key.tunnel() {
            if sent {
                self.endpoint.data_sent(now, tunnel);
            }
            if received {
                self.endpoint.data_received(now, tunnel);
                if let Some(link) = &mut session.link {
                    link.data_received(now);
                }
            }
        }
        if let Some(link) = &mut session.link {
            link.handle_timeout(now);
            self.touched.push(key);
        }
        if let Some(ending) = session.limit(now) {
            let why = ending.why.clone();
            session.ending = Some(Box::new(ending));
            match (&mut session.link, &mut session.pppd) {
                (Some(link), _) => link.close(now, &why),
                (None, Some(pppd)) => pppd.stop(),
                (None, None) => {}
            }
        }
        self.host_timeout(now, key);
        self.arm(key);
    }
}

impl Session {
    /// Looks at the counters: whether something was received and sent since they were last looked at.
    fn look(&mut self, now: Instant) -> (bool, bool) {
        self.activity.looked = now;
        let stats = self.socket.as_ref().and_then(|socket| socket.stats().ok());
        let Some(stats) = stats else { return (false, false) };
        let link = self.link.as_ref().map(|link| link.counters()).unwrap_or_default();
        // Whoever sends something to the user's address from elsewhere does not make him busy.
        let packets = match self.dial {
            Some(_) => stats.tx(Tx::Packets).saturating_sub(link.transmitted.into()),
            None => stats.rx(Rx::Packets).saturating_sub(link.received.into()),
        };
        // The link may have counted a frame already that is not counted here yet, or the other way round.
        if packets > self.activity.packets {
            (self.activity.packets, self.activity.busy) = (packets, now);
        }
        let received = std::mem::replace(&mut self.activity.received, stats.rx(Rx::Packets));
        let sent = std::mem::replace(&mut self.activity.sent, stats.tx(Tx::Packets));
        (stats.rx(Rx::Packets) > received, stats.tx(Tx::Packets) > sent)
    }

    /// How long the session may last, and how long without IP traffic. pppd sees to them itself.
    fn limits(&self) -> (Option<Duration>, Option<Duration>) {
        if self.profile.pppd.is_some() {
            return (None, None);
        }
        let grant = self.grant.as_deref();
        let session = grant.and_then(|grant| grant.session_timeout).or(self.profile.session_timeout);
        let idle = grant.and_then(|grant| grant.idle_timeout).or(self.profile.idle_timeout);
        (session, idle)
    }

    /// When pppd has to have come up: it would let a peer negotiate for ever.
    fn login_until(&self) -> Option<Instant> {
        let logs_in = self.pppd.is_some() && self.up.is_none();
        logs_in.then(|| self.since + self.profile.ppp.authentication_time)
    }

    /// When to look whether a limit is reached. That of idleness is looked at more often: traffic counts
    /// from the look that finds it.
    fn next_look(&self) -> Option<Instant> {
        if self.ending.is_some() {
            return None;
        }
        let Some(up) = &self.up else { return self.login_until() };
        let (session, idle) = self.limits();
        let idle = idle.map(|time| {
            let often = (time / IDLE_LOOKS).max(Duration::from_secs(1));
            (up.since.max(self.activity.busy) + time).min(up.since.max(self.activity.looked) + often)
        });
        session.map(|time| up.since + time).into_iter().chain(idle).min()
    }

    /// The limit that is reached, and how it ends the session.
    fn limit(&self, now: Instant) -> Option<Ending> {
        if self.ending.is_some() {
            return None;
        }
        let over = |at: Instant| at <= now;
        let Some(up) = &self.up else {
            let why = "pppd has no addresses in time (authentication-time)".into();
            let (cause, failure) = (TerminateCause::USER_ERROR, Failed::Silence);
            return self.login_until().is_some_and(over).then_some(Ending { cause, failure, why });
        };
        let (session, idle) = self.limits();
        if session.is_some_and(|time| over(up.since + time)) {
            return Some(Ending::here(TerminateCause::SESSION_TIMEOUT, "its time is up (session-timeout)"));
        }
        idle.is_some_and(|time| over(up.since.max(self.activity.busy) + time))
            .then(|| Ending::here(TerminateCause::IDLE_TIMEOUT, "it was idle (idle-timeout)"))
    }
}
