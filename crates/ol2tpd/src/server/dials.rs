//! Connections of ours.
//!
//! ```text
//!            ┌──────────────── next address ◄──┐ silence
//!  begin ─► Resolving ─► Opening (tunnel) ─────┴► Open (call, link, network) ─► up
//!    ▲          │               │                  │                             │
//!    │          └───────────────┴──────────────────┴──────── failed ◄─ Ending ◄──┘
//!    └─ Waiting: twice as long each time, and a jitter ◄─ persist ─┴─► Finished
//!
//!  Ending, with a pppd that goes on: it may know why its call has ended, and it has the interface's name
//! ```

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use l2tp_control::timers::{TimerId, Timers};
use l2tp_control::wire::StopResult;
use l2tp_control::{Cause, Connect, Incoming, Instant, Path, Request};
use l2tp_data::id::TunnelId;
use rand_core::Rng;
use tokio::net::lookup_host;
use tokio::sync::mpsc;
use tracing::debug;

use super::ending::Ending;
use super::key::Key;
use super::{Outcome, Owner, Reactor};
use crate::accounts::TerminateCause;
use crate::config::{Backoff, Dial, Settings};
use crate::notice::{Failed, Notice, Step};
use crate::routes;

/// All connections of ours.
pub(super) struct Dials {
    entries: Vec<Entry>,
    resolved: mpsc::UnboundedSender<Resolved>,
}

struct Entry {
    config: Dial,
    timer: TimerId,
    state: State,
    /// Whether anyone here wants it to be up.
    wanted: bool,
    step: Step,
    /// Tries since it was up.
    tries: u32,
    /// Lookups, so that the answer to an earlier one does not count.
    lookups: u32,
    /// Addresses that were not tried yet.
    addresses: VecDeque<SocketAddr>,
    /// What became of the one before.
    before: Option<(Failed, String)>,
}

enum State {
    Resolving,
    Opening(TunnelId),
    Open(TunnelId),
    /// The session with this serial number has ended for this reason, but its pppd has not.
    Ending(u64, Box<Ending>),
    Waiting(Instant),
    Finished(Outcome),
}

/// The addresses of a host, or why there are none.
pub(super) struct Resolved {
    dial: usize,
    lookup: u32,
    addresses: io::Result<Vec<SocketAddr>>,
}

impl Dials {
    pub(super) fn new(
        settings: &Settings,
        timers: &mut Timers<Owner>,
        resolved: mpsc::UnboundedSender<Resolved>,
    ) -> Self {
        let mut dials = Self { entries: Vec::new(), resolved };
        for config in &settings.connect {
            dials.add(config.clone(), timers);
        }
        dials
    }

    fn add(&mut self, config: Dial, timers: &mut Timers<Owner>) -> usize {
        let dial = self.entries.len();
        self.entries.push(Entry {
            config,
            timer: timers.insert(Owner::Dial(dial)),
            state: State::Finished(Outcome::Stopped),
            wanted: false,
            step: Step::Resolve,
            tries: 0,
            lookups: 0,
            addresses: VecDeque::new(),
            before: None,
        });
        dial
    }

    /// The name of the connection that has opened a tunnel.
    pub(super) fn name(&self, tunnel: TunnelId) -> Option<&str> {
        let opened =
            |entry: &&Entry| matches!(entry.state, State::Opening(id) | State::Open(id) if id == tunnel);
        self.entries.iter().find(opened).map(|entry| &*entry.config.name)
    }

    pub(super) fn config(&self, dial: usize) -> &Dial {
        &self.entries[dial].config
    }

    /// Which connection is opening a tunnel.
    fn opener(&self, tunnel: TunnelId) -> Option<usize> {
        self.entries.iter().position(|entry| matches!(entry.state, State::Opening(id) if id == tunnel))
    }

    /// Whether a tunnel that is being opened has a secret.
    pub(super) fn has_secret(&self, tunnel: TunnelId) -> bool {
        self.opener(tunnel).is_some_and(|dial| self.config(dial).policy.secret.is_some())
    }

    /// Tunnels that are being opened.
    pub(super) fn opening(&self) -> impl Iterator<Item = TunnelId> {
        self.entries.iter().filter_map(|entry| match entry.state {
            State::Opening(tunnel) => Some(tunnel),
            _ => None,
        })
    }

    /// Tunnels that are open.
    pub(super) fn open(&self) -> impl Iterator<Item = TunnelId> {
        self.entries.iter().filter_map(|entry| match entry.state {
            State::Open(tunnel) => Some(tunnel),
            _ => None,
        })
    }

    /// How they have ended, once all have: the last one counts.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        let mut outcome = None;
        for entry in &self.entries {
            let State::Finished(ended) = &entry.state else { return None };
            outcome = Some(ended.clone());
        }
        outcome
    }
}

impl Entry {
    /// Nobody here wants it any more.
    fn stop(&mut self) {
        self.wanted = false;
        if let State::Waiting(_) | State::Resolving = self.state {
            self.state = State::Finished(Outcome::Stopped);
        }
    }
}

impl Reactor<'_> {
    pub(super) fn begin_dials(&mut self) {
        for dial in 0..self.dials.entries.len() {
            self.begin_dial(dial);
        }
    }

    /// Connections that are new are begun, those that are gone are ended, those that wait or have failed try
    /// again now; the others follow the new settings at the next try.
    pub(super) fn adopt_dials(&mut self) {
        for dial in 0..self.dials.entries.len() {
            let name = &self.dials.config(dial).name;
            if !self.settings.connect.iter().any(|config| config.name == *name) {
                self.finish_dial(dial);
            }
        }
        for config in self.settings.connect.clone() {
            let same = |entry: &Entry| entry.config.name == config.name;
            let dial = match self.dials.entries.iter().position(same) {
                Some(dial) => dial,
                None => self.dials.add(config.clone(), &mut self.timers),
            };
            let entry = &mut self.dials.entries[dial];
            entry.config = config;
            if let State::Waiting(_) | State::Finished(_) = entry.state {
                entry.tries = 0;
                self.begin_dial(dial);
            }
        }
    }

    /// The daemon ends: sessions end as all do.
    pub(super) fn stop_dials(&mut self) {
        for entry in &mut self.dials.entries {
            entry.stop();
        }
    }

    /// Ends connections that have no tunnel that is up: those that wait, look a name up or open a tunnel. Whether
    /// there were any.
    pub(super) fn stop_waiting_dials(&mut self) -> bool {
        let waits = |entry: &Entry| !matches!(entry.state, State::Open(_) | State::Finished(_));
        let waiting: Vec<_> =
            (0..self.dials.entries.len()).filter(|dial| waits(&self.dials.entries[*dial])).collect();
        waiting.iter().for_each(|dial| self.finish_dial(*dial));
        !waiting.is_empty()
    }

    /// Ends a connection for good.
    fn finish_dial(&mut self, dial: usize) {
        let now = self.clock.now();
        let entry = &mut self.dials.entries[dial];
        entry.stop();
        if let State::Opening(tunnel) | State::Open(tunnel) = entry.state {
            self.close_tunnel(now, tunnel, Cause::new(StopResult::CLEAR));
        }
    }

    fn begin_dial(&mut self, dial: usize) {
        self.watch_addresses();
        if self.claim.is_none() {
            self.claim = routes::repair(&self.netlink, routes::LOCK.as_ref());
        }
        let entry = &mut self.dials.entries[dial];
        entry.state = State::Resolving;
        entry.wanted = true;
        entry.lookups += 1;
        let (host, port, lookup) = (entry.config.host.clone(), entry.config.port, entry.lookups);
        let resolved = self.dials.resolved.clone();
        tokio::spawn(async move {
            let addresses = lookup_host((host, port)).await.map(Iterator::collect);
            // A daemon that has ended does not want to know.
            let _ = resolved.send(Resolved { dial, lookup, addresses });
        });
        self.dial_step(dial, Step::Resolve);
    }

    pub(super) fn resolved(&mut self, resolved: Resolved) {
        let Resolved { dial, lookup, addresses } = resolved;
        let now = self.clock.now();
        let entry = &mut self.dials.entries[dial];
        if entry.lookups != lookup || !matches!(entry.state, State::Resolving) {
            return;
        }
        let host = entry.config.host.clone();
        match addresses {
            Ok(addresses) if !addresses.is_empty() => {
                (entry.addresses, entry.before) = (addresses.into(), None);
                self.open_next(now, dial);
            }
            Ok(_) => self.dial_failed(now, dial, Failed::Resolve, format!("{host} has no address")),
            Err(error) => {
                let why = format!("{host}: {error}; check the name and this machine's name servers");
                self.dial_failed(now, dial, Failed::Resolve, why);
            }
        }
    }

    /// Opens a tunnel to the next of the host's addresses.
    fn open_next(&mut self, now: Instant, dial: usize) {
        let entry = &mut self.dials.entries[dial];
        let Some(peer) = entry.addresses.pop_front() else { return };
        let (policy, port) = (entry.config.policy.clone(), entry.config.local_port);
        let opened = self.sockets.towards(&*self.driver, peer, port).map_err(|error| error.to_string());
        let opened = opened.and_then(|socket| {
            let connect = Connect { path: Path { socket, local: None, peer }, policy };
            self.endpoint.connect(now, connect).map_err(|misuse| misuse.to_string())
        });
        match opened {
            Ok(tunnel) => {
                self.dials.entries[dial].state = State::Opening(tunnel);
                self.dial_step_text(dial, Step::Tunnel, format!("opening the tunnel to {peer}"));
            }
            Err(why) => self.dial_next(now, dial, Failed::Local, why),
        }
    }

    /// An address is of no use: the next one may be. That nobody answers at one says more than that another
    /// cannot be reached from here.
    fn dial_next(&mut self, now: Instant, dial: usize, failure: Failed, why: String) {
        let entry = &mut self.dials.entries[dial];
        let (failure, why) = match entry.before.take() {
            Some(before) if failure == Failed::Local => before,
            _ => (failure, why),
        };
        if entry.addresses.is_empty() {
            return self.dial_failed(now, dial, failure, why);
        }
        debug!("the next address: {why}");
        entry.before = Some((failure, why));
        self.open_next(now, dial);
    }

    pub(super) fn dial_tunnel_up(&mut self, now: Instant, tunnel: TunnelId) {
        let Some(dial) = self.dials.opener(tunnel) else { return };
        let Some(entry) = self.tunnels.get(&tunnel) else { return };
        let peer = entry.peer.path.peer;
        self.dials.entries[dial].state = State::Open(tunnel);
        self.dial_step(dial, Step::Call);
        let Dial { calling_number, called_number, profile, .. } = self.dials.config(dial);
        let number = |number: &Option<Box<str>>| number.as_ref().map(|number| number.as_bytes().to_vec());
        let (calling, called, profile) = (number(calling_number), number(called_number), profile.clone());
        let call = Incoming { calling: calling.clone(), called: called.clone(), ..Incoming::default() };
        match self.endpoint.place_call(now, tunnel, Request::Incoming(call), None) {
            Ok(session) => {
                let key = Key::new(tunnel, session);
                self.new_session(now, key, profile, peer, Some(dial), calling, called);
            }
            Err(misuse) => {
                self.close_tunnel(now, tunnel, Cause::new(StopResult::CLEAR));
                self.dial_failed(now, dial, Failed::Local, misuse.to_string());
            }
        }
    }

    /// A tunnel has ended. If it was open, its session has ended before.
    pub(super) fn dial_tunnel_down(&mut self, now: Instant, tunnel: TunnelId, ending: &Ending) {
        let Some(dial) = self.dials.opener(tunnel) else { return };
        match ending.failure {
            Failed::Silence => self.dial_next(now, dial, Failed::Silence, ending.why.clone()),
            failure => self.dial_failed(now, dial, failure, ending.why.clone()),
        }
    }

    /// The session has ended, and its tunnel is of no use any more. `pppd`: its serial number, if its pppd goes on.
    pub(super) fn dial_session_down(
        &mut self,
        now: Instant,
        dial: usize,
        ending: &Ending,
        was_up: bool,
        pppd: Option<u64>,
    ) {
        let entry = &self.dials.entries[dial];
        let State::Open(tunnel) = entry.state else { return };
        let failure = match ending.failure {
            Failed::Silence if was_up => Failed::Lost,
            Failed::Refused | Failed::Address if was_up => Failed::Ended,
            // The end of the link may be heard before that of the call, which says more.
            Failed::Ended if !was_up && entry.step == Step::Network => Failed::Address,
            Failed::Ended if !was_up => Failed::Refused,
            failure => failure,
        };
        let cause = Cause::new(StopResult::CLEAR);
        if let Failed::Lost | Failed::Silence = failure {
            // Nobody hears it; but if the peer is there after all, it shall know.
            let _ = self.endpoint.close(now, tunnel, cause);
        } else {
            self.close_tunnel(now, tunnel, cause);
        }
        let entry = &mut self.dials.entries[dial];
        let limits = [TerminateCause::SESSION_TIMEOUT, TerminateCause::IDLE_TIMEOUT];
        // A limit of ours is no failure, unless the connection is to persist.
        entry.wanted &= !limits.contains(&ending.cause) || entry.config.persist.is_some();
        match pppd {
            Some(session) => {
                entry.state = State::Ending(session, Box::new(Ending { failure, ..ending.clone() }))
            }
            None => self.dial_failed(now, dial, failure, ending.why.clone()),
        }
    }

    /// The pppd of a session has ended. If the call ended before, only pppd knows that it was for the password.
    /// `proving`: it waited for the peer's verdict.
    pub(super) fn dial_pppd_ended(&mut self, now: Instant, session: u64, its: Ending, proving: bool) {
        let ended = |entry: &Entry| matches!(entry.state, State::Ending(ended, ..) if ended == session);
        let Some(dial) = self.dials.entries.iter().position(ended) else { return };
        let State::Ending(_, call) = &self.dials.entries[dial].state else { return };
        let ending = match (its.failure, call.failure) {
            (Failed::Password, _) => its,
            (_, Failed::Refused) if proving => call.clone().while_authenticating(),
            _ => (**call).clone(),
        };
        self.dial_failed(now, dial, ending.failure, ending.why);
    }

    /// A step failed, or the connection was lost: waits for the next try, or gives up.
    fn dial_failed(&mut self, now: Instant, dial: usize, failure: Failed, why: String) {
        let jitter = self.rng.next_u32();
        let entry = &mut self.dials.entries[dial];
        if !entry.wanted {
            entry.state = State::Finished(Outcome::Stopped);
            return;
        }
        let wait = entry.config.persist.map(|backoff| pause(backoff, entry.tries, failure, jitter));
        entry.tries = entry.tries.saturating_add(1);
        entry.state = match wait {
            Some(wait) => State::Waiting(now + wait),
            None => State::Finished(Outcome::Failed { failure, why: why.clone() }),
        };
        self.timers.arm(entry.timer, wait.map(|wait| now + wait));
        let (connection, step) = (entry.config.name.to_string(), entry.step);
        let retry = wait.map(|wait| wait.as_secs_f64());
        self.notice(Notice::Failed { connection, step, failure, why, retry });
    }

    pub(super) fn dial_timeout(&mut self, now: Instant, dial: usize) {
        let State::Waiting(until) = self.dials.entries[dial].state else { return };
        if until <= now {
            self.begin_dial(dial);
        } else {
            self.timers.arm(self.dials.entries[dial].timer, Some(until));
        }
    }

    /// The session is up: the next failure is the first again.
    pub(super) fn dial_up(&mut self, dial: usize) {
        self.dials.entries[dial].tries = 0;
        self.dial_step(dial, Step::Up);
    }

    pub(super) fn dial_step(&mut self, dial: usize, step: Step) {
        let host = &self.dials.config(dial).host;
        let text = match step {
            Step::Resolve => format!("looking up {host}"),
            Step::Up => "connected".into(),
            step => step.to_string(),
        };
        self.dial_step_text(dial, step, text);
    }

    fn dial_step_text(&mut self, dial: usize, step: Step, text: String) {
        let entry = &mut self.dials.entries[dial];
        entry.step = step;
        let connection = entry.config.name.to_string();
        self.notice(Notice::Step { connection, step, text });
    }

    /// Ends a connection's session by the wish of someone here.
    pub(super) fn hang_up_dial(&mut self, dial: usize, key: Key) {
        let now = self.clock.now();
        self.dials.entries[dial].stop();
        self.close_link(now, key, TerminateCause::ADMIN_RESET, "disconnected");
    }
}

/// How long to wait after so many tries: between three quarters and five quarters of the nominal time, so
/// that those who were cut off together do not come back together. A wrong password is not tried often:
/// some servers lock the account.
fn pause(backoff: Backoff, tries: u32, failure: Failed, random: u32) -> Duration {
    let nominal = match failure {
        Failed::Password | Failed::Secret => backoff.most,
        _ => backoff.first.saturating_mul(1 << tries.min(20)).min(backoff.most),
    };
    nominal.mul_f64(0.75 + f64::from(random) / f64::from(u32::MAX) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit_and_differ() {
        let backoff = Backoff { first: Duration::from_secs(2), most: Duration::from_secs(60) };
        let middle = |tries, failure| pause(backoff, tries, failure, u32::MAX / 2).as_secs_f64().round();
        let nominal: Vec<_> = (0..8).map(|tries| middle(tries, Failed::Silence)).collect();
        assert_eq!(nominal, [2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]);
        assert_eq!(middle(0, Failed::Password), 60.0);
        assert_eq!(middle(u32::MAX, Failed::Lost), 60.0);
        assert_eq!(pause(backoff, 0, Failed::Lost, 0), Duration::from_millis(1500));
        assert_eq!(pause(backoff, 0, Failed::Lost, u32::MAX), Duration::from_millis(2500));
    }
}
