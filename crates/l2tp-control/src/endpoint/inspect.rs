//! What a replay tells beside events and datagrams.

use l2tp_data::id::TunnelId;

use super::request::plain;
use super::{Endpoint, Owner};
use crate::auth::Secret;
use crate::reliable;
use crate::tunnel::{State, Tunnel};
use crate::wire::{Attribute, Header};
use crate::{Instant, Path};

impl Endpoint {
    /// The secret that a message from or to a peer is hidden with.
    pub(crate) fn secret(&self, path: &Path, received: bool, message: &[u8]) -> Option<Secret> {
        let (core, id) = (&self.core, TunnelId::new(Header::parse(message).ok()?.tunnel_id));
        let policy = match (id, received) {
            (Some(id), true) => self.tunnels.get(&id)?.policy.clone(),
            (Some(id), false) => self.tunnels.get(&core.of_peer(path.remote(), id).next()?)?.policy.clone(),
            (None, true) => {
                let rule =
                    core.rule(plain(message, Attribute::HOST_NAME).unwrap_or_default(), path.peer.ip());
                core.config.peers[rule?].policy.clone()
            }
            // Nothing is hidden from who is not known.
            (None, false) => return None,
        };
        policy.secret.clone()
    }

    /// What is due, in words, earliest first.
    pub(crate) fn due(&self, now: Instant) -> Vec<String> {
        let mut due: Vec<_> = self.core.timers.due(now).flat_map(|owner| self.due_of(owner, now)).collect();
        due.sort();
        due.into_iter().map(|(_, words)| words).collect()
    }

    fn due_of(&self, owner: Owner, now: Instant) -> Vec<(Instant, String)> {
        let mut due: Vec<(Instant, String)> = match owner {
            Owner::Tunnel(id) => {
                let Some(tunnel) = self.tunnels.get(&id) else { return Vec::new() };
                tunnel.timers().map(|(at, what)| (at, format!("tunnel {}: {what}", id.get()))).collect()
            }
            Owner::Session(id, session) => {
                let entry = self.tunnels.get(&id).and_then(|tunnel| tunnel.sessions.get(&session));
                let setup = entry.and_then(|entry| entry.setup).map(|(_, at)| at);
                let words =
                    |at| (at, format!("tunnel {} session {}: end of set-up", id.get(), session.get()));
                setup.into_iter().map(words).collect()
            }
        };
        due.retain(|(at, _)| *at <= now);
        due
    }
}

impl Tunnel {
    fn timers(&self) -> impl Iterator<Item = (Instant, &'static str)> {
        let delivery = self.reliable.next_timeout().map(|(at, timer)| match timer {
            reliable::Timer::Retransmission => (at, "no acknowledgement has come"),
            reliable::Timer::Ack => (at, "an acknowledgement is owed"),
        });
        let end = match self.state {
            State::WaitCtlReply | State::WaitCtlConn => "end of set-up",
            State::Established => "it has no session",
            State::Closing => "end of closing",
        };
        let deadline = self.deadline.map(|at| (at, end));
        let hello = self.hello_due().map(|at| (at, "nothing has come, HELLO"));
        [delivery, deadline, hello].into_iter().flatten()
    }
}
