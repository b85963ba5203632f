//! The control connection's table (RFC 2661 §7.2.1), its timers and its end.

use l2tp_data::id::TunnelId;

use super::Endpoint;
use super::request::wrong_version;
use crate::Instant;
use crate::auth;
use crate::error::{Error, Violation};
use crate::event::{By, Cause, Event, PeerInfo, Reason};
use crate::tunnel::{Opener, State, Tunnel};
use crate::wire::{
    Attribute, Body, ErrorCode, Failure, Hello, Message, MessageType, OtherAvps, Scccn, Sccrp, Scope,
    StopCcn, StopResult,
};

/// The peer speaks another version of L2TP.
pub(super) const WRONG_VERSION: By =
    By::Error(Error::Violation(Violation::AvpValue(Attribute::PROTOCOL_VERSION)));

impl Endpoint {
    /// A message about the tunnel, in its turn.
    pub(super) fn control(&mut self, now: Instant, id: TunnelId, body: &Body<'_>) {
        let Some(tunnel) = self.tunnels.get(&id) else { return };
        match (tunnel.state, &body.message) {
            (_, Message::StopCcn(stop)) => {
                self.stopped(now, id, By::Peer, Cause::of_stopccn(stop), stop.assigned_tunnel_id);
            }
            (State::WaitCtlReply, Message::Sccrp(reply)) => self.sccrp(now, id, reply, OtherAvps::of(body)),
            (State::WaitCtlConn, Message::Scccn(connected)) => self.scccn(now, id, connected),
            (_, message) => self.out_of_place(now, id, message),
        }
    }

    /// §7.2.1: a message that the state has no place for.
    pub(super) fn out_of_place(&mut self, now: Instant, id: TunnelId, message: &Message<'_>) {
        let Some(tunnel) = self.tunnels.get(&id) else { return };
        let kind = message.message_type().unwrap_or(MessageType(0));
        let by = By::State { message: kind, state: tunnel.state.name() };
        let cause = Cause { message: by.to_string(), ..Cause::new(StopResult::STATE_MACHINE) };
        self.stop(now, id, by, cause);
    }

    /// A message that could not be accepted (§7.1). What is in its turn was acknowledged, so that nothing
    /// can be made good: it ends what it is about.
    pub(super) fn failed(&mut self, now: Instant, id: TunnelId, session: u16, failure: &Failure) {
        let (Some(tunnel), core) = (self.tunnels.get_mut(&id), &mut self.core) else { return };
        core.count(failure.error.name());
        tunnel.peer = tunnel.peer.or(failure.tunnel_id);
        let code = failure.error.code().unwrap_or(ErrorCode::LENGTH);
        let known = failure.message_type.filter(|kind| kind.name().is_some());
        let by = By::Error(failure.error);
        let cause = Cause::error(StopResult::GENERAL_ERROR, code, failure.error.to_string());
        match known.map(|kind| (kind, kind.scope())) {
            _ if tunnel.state == State::Closing => {}
            // It ends, whatever it says.
            Some((MessageType::STOPCCN, _)) => self.stopped(now, id, by, cause, failure.tunnel_id),
            Some((_, Scope::Session)) if tunnel.state == State::Established => {
                self.session_failed(now, id, session, failure, code);
            }
            _ => self.stop(now, id, by, cause),
        }
    }

    /// §7.2.1: wait-ctl-reply, receive SCCRP.
    fn sccrp(&mut self, now: Instant, id: TunnelId, reply: &Sccrp<'_>, others: OtherAvps) {
        let (Some(tunnel), core) = (self.tunnels.get_mut(&id), &mut self.core) else { return };
        let (path, peer) = (tunnel.path, reply.assigned_tunnel_id);
        tunnel.peer = Some(peer);
        core.opening.remove(&(path.peer, id));
        core.by_peer.insert((path.remote(), peer, id));
        let policy = tunnel.policy.clone();
        let answer = reply.challenge.zip(policy.secret.as_ref());
        if let Some(cause) = wrong_version(reply.protocol_version) {
            return self.stop(now, id, WRONG_VERSION, cause);
        }
        if !tunnel.verify(MessageType::SCCRP, reply.challenge_response)
            || reply.challenge.is_some() && answer.is_none()
        {
            return self.stop(now, id, By::Authentication, Cause::new(StopResult::NOT_AUTHORISED));
        }
        let info = PeerInfo::of_sccrp(path, reply, others);
        tunnel.reliable.set_peer_window(info.window);
        tunnel.info = Some(Box::new(info));
        let challenge_response =
            answer.map(|(challenge, secret)| auth::response(MessageType::SCCCN, secret, &challenge));
        core.send(tunnel, None, &Scccn { challenge_response }.into());
        self.established(now, id);
    }

    /// §7.2.1: wait-ctl-conn, receive SCCCN.
    fn scccn(&mut self, now: Instant, id: TunnelId, connected: &Scccn) {
        let Some(tunnel) = self.tunnels.get_mut(&id) else { return };
        if !tunnel.verify(MessageType::SCCCN, connected.challenge_response) {
            return self.stop(now, id, By::Authentication, Cause::new(StopResult::NOT_AUTHORISED));
        }
        self.core.admission.settled(tunnel.path.peer.ip());
        self.established(now, id);
    }

    /// Tells our caller, and lets the waiting calls go.
    fn established(&mut self, now: Instant, id: TunnelId) {
        self.supersede(now, id);
        let Some(tunnel) = self.tunnels.get_mut(&id) else { return };
        tunnel.state = State::Established;
        tunnel.deadline = None;
        tunnel.challenge = None;
        if let Some(mut peer) = tunnel.info.take() {
            peer.authenticated = tunnel.authenticated;
            self.core.events.push_back(Event::TunnelUp { tunnel: id, peer });
        }
        let waiting: Vec<_> = tunnel.sessions.keys().copied().collect();
        for session in waiting {
            self.request_call(now, id, session);
        }
        self.emptied(now, id);
    }

    /// The peer has given its id to a tunnel that works: others of the same id are no more. An SCCRQ alone
    /// proves nothing, since anybody can send one in the peer's name.
    fn supersede(&mut self, now: Instant, id: TunnelId) {
        let Some((remote, peer)) = self.tunnels.get(&id).and_then(|tunnel| tunnel.key()) else { return };
        let others = self.core.of_peer(remote, peer).filter(|other| *other != id);
        let open = |id: &TunnelId| self.tunnels.get(id).is_some_and(|it| it.state != State::Closing);
        let others: Vec<_> = others.filter(open).collect();
        for other in others {
            self.vanish(now, other, By::Restart, Cause::new(StopResult::CLEAR));
        }
    }

    /// §7.2.1: receive StopCCN. What still comes is acknowledged for a retransmission cycle (§5.7).
    fn stopped(
        &mut self,
        now: Instant,
        id: TunnelId,
        by: By,
        cause: Cause<StopResult>,
        peer: Option<TunnelId>,
    ) {
        self.closing(id, by, cause);
        let Some(tunnel) = self.tunnels.get_mut(&id) else { return };
        tunnel.peer = tunnel.peer.or(peer);
        tunnel.lingers = true;
        tunnel.reliable.abandon();
        tunnel.deadline = Some(now + tunnel.policy.timing.cycle());
    }

    /// Sends a StopCCN; the tunnel is gone once that is acknowledged, or given up.
    pub(super) fn stop(&mut self, now: Instant, id: TunnelId, by: By, cause: Cause<StopResult>) {
        if !self.closing(id, by, cause.clone()) {
            return;
        }
        let (Some(tunnel), core) = (self.tunnels.get_mut(&id), &mut self.core) else { return };
        tunnel.reliable.discard_unsent();
        tunnel.deadline = Some(now + tunnel.policy.timing.cycle());
        core.send(tunnel, None, &StopCcn::new(Some(id), cause.result_code()).into());
    }

    /// Forgets a tunnel without a word to the peer.
    pub(super) fn vanish(&mut self, now: Instant, id: TunnelId, by: By, cause: Cause<StopResult>) {
        self.closing(id, by, cause);
        self.remove(now, id);
    }

    /// A tunnel ends, its sessions with it, unless it has.
    fn closing(&mut self, id: TunnelId, by: By, cause: Cause<StopResult>) -> bool {
        let (Some(tunnel), core) = (self.tunnels.get_mut(&id), &mut self.core) else { return false };
        if tunnel.state == State::Closing {
            return false;
        }
        let unproven = tunnel.sessions.values().filter(|session| session.unproven).count();
        core.admission.proven(tunnel.path.peer.ip(), unproven);
        for session in tunnel.sessions.values() {
            core.sessions -= 1;
            if let Some((timer, _)) = session.setup {
                core.timers.remove(timer);
            }
        }
        tunnel.sessions = Default::default();
        tunnel.by_peer = Default::default();
        tunnel.session_ids = Default::default();
        if tunnel.state == State::WaitCtlConn {
            core.admission.settled(tunnel.path.peer.ip());
        }
        if let Opener::Peer(_) = tunnel.opener {
            core.admission.ended(tunnel.path.peer.ip());
        }
        core.opening.remove(&(tunnel.path.peer, id));
        core.open -= 1;
        tunnel.state = State::Closing;
        let stranger = tunnel.info.take().filter(|_| !tunnel.gave_way);
        let reason = Box::new(Reason { by, cause });
        core.events.push_back(Event::TunnelDown { tunnel: id, stranger, reason });
        core.touch(tunnel);
        true
    }

    /// A message for a tunnel that has ended.
    pub(super) fn ended(&mut self, now: Instant, id: TunnelId, message: &Message<'_>) {
        let Some(tunnel) = self.tunnels.get_mut(&id) else { return };
        match message {
            // Both ends have closed it at the same time.
            Message::StopCcn(stop) if !tunnel.lingers => {
                self.stopped(now, id, By::Peer, Cause::of_stopccn(stop), stop.assigned_tunnel_id);
            }
            // The answer to an SCCRQ of which our StopCCN has to tell.
            Message::Sccrp(reply) => tunnel.peer = tunnel.peer.or(Some(reply.assigned_tunnel_id)),
            _ => {}
        }
    }

    /// A tunnel whose last session has ended is closed some time later, if the policy says so.
    pub(super) fn emptied(&mut self, now: Instant, id: TunnelId) {
        let Some(tunnel) = self.tunnels.get_mut(&id) else { return };
        if tunnel.state == State::Established {
            tunnel.deadline =
                tunnel.policy.empty.filter(|_| tunnel.sessions.is_empty()).map(|time| now + time);
            self.core.touch(tunnel);
        }
    }

    pub(super) fn tunnel_timeout(&mut self, now: Instant, id: TunnelId) {
        let (Some(tunnel), core) = (self.tunnels.get_mut(&id), &mut self.core) else { return };
        let timing = tunnel.timing();
        if tunnel.reliable.handle_timeout(now, &timing).is_err() {
            if !tunnel.lives_without_hello(now) {
                return self.vanish(now, id, By::Silence, Cause::new(StopResult::CLEAR));
            }
            tunnel.reliable.retry();
        }
        if tunnel.deadline.is_some_and(|at| at <= now) {
            tunnel.deadline = None;
            let by = match tunnel.state {
                State::Closing => return self.remove(now, id),
                State::Established => By::Empty,
                State::WaitCtlReply | State::WaitCtlConn => By::SetupTime,
            };
            return self.stop(now, id, by, Cause::new(StopResult::CLEAR));
        }
        if tunnel.hello_due().is_some_and(|at| at <= now) {
            core.send(tunnel, None, &Hello {}.into());
        }
        core.touch(tunnel);
    }
}

impl Tunnel {
    /// Whether the peer has answered our challenge, if there was one.
    fn verify(&mut self, kind: MessageType, response: Option<[u8; 16]>) -> bool {
        let (Some(challenge), Some(secret)) = (&self.challenge, &self.policy.secret) else {
            return self.challenge.is_none();
        };
        self.authenticated =
            response.is_some_and(|response| auth::verify(kind, secret, challenge, &response));
        self.authenticated
    }
}
