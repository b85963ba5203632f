//! From phase to phase.

use l2tp_data::time::Instant;

use super::Link;
use crate::auth::{self, Auth, Outcome};
use crate::automaton::State;
use crate::echo::{Due, Keepalive};
use crate::event::{By, Event, Phase, Reason, Why};
use crate::lcp::Lcp;
use crate::negotiation::{Context, Signal};
use crate::packet::{Packet, code};
use crate::protocol::Protocol;

impl Link {
    pub(super) fn lcp_signal(&mut self, now: Instant, signal: Option<Signal>) {
        match signal {
            Some(Signal::Up) => self.established(now, None),
            Some(Signal::Down) => {
                self.leave();
                self.phase = Phase::Establish;
            }
            Some(Signal::Finished) => {
                let reason = self.reason();
                self.down(reason);
            }
            None => {}
        }
        if matches!(self.lcp.state(), State::Closing | State::Stopping) && !self.over {
            self.phase = Phase::Terminate;
        }
    }

    /// LCP is open.
    pub(super) fn established(&mut self, now: Instant, proof: Option<auth::Request>) {
        let Lcp { peer_mru, local_auth, peer_auth, .. } = self.lcp.options;
        self.phase = Phase::Authenticate;
        self.keepalive = self.echo().map(|_| Keepalive::new(now));
        self.out.tell(Event::LcpUp { peer_mru, local_auth, peer_auth });
        if local_auth.is_some() || peer_auth.is_some() {
            // Nobody gains time by negotiating the link anew.
            self.proof_until.get_or_insert(now + self.config.authentication_time);
        }
        // A verdict on what was before must not be taken for one on what comes.
        if !self.undecided {
            self.authenticate(now, proof);
        }
    }

    pub(super) fn authenticate(&mut self, now: Instant, proof: Option<auth::Request>) {
        let Lcp { local_auth, peer_auth, .. } = self.lcp.options;
        let cx = auth_context!(self, now);
        let auth = match &proof {
            Some(request) => Auth::with_proof(cx, local_auth, request),
            None => Auth::new(cx, local_auth, peer_auth),
        };
        self.auth = Some(auth);
        self.auth_outcome(now, proof.map(|request| Outcome::Authenticate(Box::new(request))));
        self.network_phase();
    }

    pub(super) fn auth_outcome(&mut self, now: Instant, outcome: Option<Outcome>) {
        let mut frame = Vec::new();
        while self.auth.as_mut().is_some_and(|auth| auth.poll_transmit(&mut frame)) {
            self.out.send_frame(core::mem::take(&mut frame));
        }
        let Lcp { local_auth, peer_auth, .. } = self.lcp.options;
        match outcome {
            Some(Outcome::Authenticate(request)) => {
                self.undecided = true;
                if let Some(records) = &mut self.records {
                    records.request = Some((*request).clone());
                }
                self.out.tell(Event::Authenticate(request));
            }
            Some(Outcome::PeerAuthenticated) => self.network_phase(),
            Some(Outcome::Authenticated(words)) => {
                self.out.tell(Event::Authenticated);
                self.says(words);
                self.network_phase();
            }
            Some(Outcome::Failed { by, message }) => {
                let method = if by == By::Us { peer_auth } else { local_auth };
                let reason = Reason::AuthenticationFailed { by, method, message };
                self.terminate(now, reason, "authentication failed");
            }
            Some(Outcome::Notification(words)) => self.says(words),
            None => {}
        }
    }

    /// Words of the peer for its user, if there are any.
    fn says(&mut self, words: Box<str>) {
        if !words.is_empty() {
            self.out.tell(Event::Says(words));
        }
    }

    fn network_phase(&mut self) {
        let Some(auth) = self.auth.as_ref().filter(|auth| auth.is_done()) else { return };
        if self.phase == Phase::Authenticate {
            self.phase = Phase::Network;
            self.proof_until = None;
            self.out.tell(Event::Network { peer_name: auth.peer_name().map(Into::into) });
        }
    }

    /// A link without any network protocol is of no use.
    pub(super) fn refused(&mut self, now: Instant, protocol: Protocol, refused: Option<Why>) {
        if let Some(why) = refused.filter(|_| self.ipcp.is_over() && self.ipv6cp.is_over()) {
            self.terminate(now, Reason::Negotiation { protocol, why }, "no network protocol");
        }
    }

    pub(super) fn keep_alive(&mut self, now: Instant) {
        let Some(echo) = self.echo().copied() else { return };
        match self.keepalive.as_mut().and_then(|keepalive| keepalive.handle_timeout(now, &echo)) {
            Some(Due::Request) => {
                let (id, magic) = (self.lcp.next_id(), self.lcp.options.magic.to_be_bytes());
                self.asked = Some((id, now));
                self.out.send(Protocol::LCP, &Packet { code: code::ECHO_REQUEST, id, data: &magic });
            }
            Some(Due::Silence) => self.down(Reason::Silence),
            None => {}
        }
    }

    /// Closes LCP, whose end is then ours.
    pub(super) fn terminate(&mut self, now: Instant, reason: Reason, why: &str) {
        if self.over || self.phase == Phase::Terminate {
            return;
        }
        self.ending = Some(reason);
        let signal = self.lcp.close(context!(self, now), why);
        self.lcp_signal(now, signal);
        // LCP that has not said anything yet has nobody to say goodbye to.
        if self.phase != Phase::Terminate {
            let reason = self.reason();
            self.down(reason);
        }
    }

    /// Why the link ends: what began its end, or else what LCP says.
    pub(super) fn reason(&mut self) -> Reason {
        self.ending.take().unwrap_or_else(|| match self.lcp.why() {
            Why::Loop => Reason::Loop,
            why => Reason::Negotiation { protocol: Protocol::LCP, why },
        })
    }

    /// LCP is no longer open, and nothing above it.
    fn leave(&mut self) {
        self.ipcp.leave(&mut self.out);
        self.ipv6cp.leave(&mut self.out);
        self.counters = self.counters();
        (self.auth, self.keepalive, self.decided) = (None, None, false);
    }

    pub(super) fn down(&mut self, reason: Reason) {
        if self.over {
            return;
        }
        self.leave();
        (self.phase, self.records, self.over) = (Phase::Dead, None, true);
        self.out.tell(Event::Down(reason));
    }
}
