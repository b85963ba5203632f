//! Calls: commands of our caller, messages of the peer, and the tables of [`call`](crate::call).

use l2tp_data::id::{SessionId, TunnelId};

use rand_core::Rng;

use super::{Core, Endpoint, Owner};
use crate::Instant;
use crate::call::{Ahead, Kind, Reaction, Session, State, reaction};
use crate::error::{Misuse, Violation};
use crate::event::{By, Cause, Connected, Event, Incoming, Outgoing, Reason, Request};
use crate::tunnel::{self, Tunnel};
use crate::wire::{
    Accm, Attribute, Body, CallErrors, CdnResult, ErrorCode, Failure, Icrp, Message, MessageType, Ocrp,
    OtherAvps, Sli, Wen,
};

impl Endpoint {
    /// Places a call: as LAC an incoming one, as LNS an outgoing one. It waits for its tunnel if that is
    /// being opened. [`Event::CallAccepted`] or [`Event::CallDown`] follows. A LAC that knows its line
    /// already gives `connected`, and the call is connected as soon as it is accepted.
    ///
    /// # Errors
    ///
    /// There is no such tunnel, no session id is free, a string is too long, or `connected` is given for
    /// an outgoing call.
    pub fn place_call(
        &mut self,
        now: Instant,
        id: TunnelId,
        request: Request,
        connected: Option<Connected>,
    ) -> Result<SessionId, Misuse> {
        let tunnel = self.tunnels.get_mut(&id).filter(|tunnel| tunnel.state != tunnel::State::Closing);
        let tunnel = tunnel.ok_or(Misuse::NoTunnel)?;
        let kind = match (&request, &connected) {
            (Request::Incoming(_), _) => Kind::IncomingLac,
            (Request::Outgoing(_), None) => Kind::OutgoingLns,
            (Request::Outgoing(_), Some(_)) => return Err(Misuse::NotLac),
        };
        request.check()?;
        connected.as_ref().map_or(Ok(()), Connected::check)?;
        let ahead = Ahead { request: Some(request), connected };
        let session = self.core.session(now, tunnel, kind, Some(ahead)).ok_or(Misuse::NoIds)?;
        if tunnel.state == tunnel::State::Established {
            tunnel.deadline = None;
            self.request_call(now, id, session);
        }
        Ok(session)
    }

    /// Accepts a call that the peer has offered (ICRP, OCRP).
    ///
    /// # Errors
    ///
    /// There is no such call, or it was answered before.
    pub fn accept(&mut self, now: Instant, id: TunnelId, session: SessionId) -> Result<(), Misuse> {
        let (tunnel, core) = (self.tunnels.get_mut(&id).ok_or(Misuse::NoTunnel)?, &mut self.core);
        let entry = tunnel.sessions.get_mut(&session).ok_or(Misuse::NoSession)?;
        let peer = entry.peer;
        let (state, message): (_, Message<'_>) = match (entry.kind, entry.state) {
            (Kind::IncomingLns, State::Offered) => (State::WaitConnect, Icrp::new(session).into()),
            (Kind::OutgoingLac, State::Offered) => (State::WaitCsAnswer, Ocrp::new(session).into()),
            (_, state) => return Err(Misuse::WrongState(state.name())),
        };
        entry.state = state;
        core.restart_setup(now, tunnel, session);
        core.send(tunnel, peer, &message);
        Ok(())
    }

    /// As LAC: the line is connected (ICCN, OCCN). [`Event::CallUp`] follows when that has been sent: data may
    /// flow before the peer has acknowledged it, and not before it was told, which may wait for the window.
    ///
    /// # Errors
    ///
    /// There is no such call, or it is not its turn.
    pub fn connected(
        &mut self,
        id: TunnelId,
        session: SessionId,
        connected: Connected,
    ) -> Result<(), Misuse> {
        connected.check()?;
        let tunnel = self.tunnels.get_mut(&id).ok_or(Misuse::NoTunnel)?;
        let entry = tunnel.sessions.get_mut(&session).ok_or(Misuse::NoSession)?;
        match entry.state {
            State::Accepted | State::WaitCsAnswer => {
                self.core.connect(tunnel, session, connected);
                Ok(())
            }
            State::WaitTunnel | State::WaitReply if entry.kind == Kind::IncomingLac => {
                entry.ahead.get_or_insert_default().connected = Some(connected);
                Ok(())
            }
            state => Err(Misuse::WrongState(state.name())),
        }
    }

    /// A call is genuine: whoever is at its other end has proved who he is. It does not count against
    /// [`Limits::unproven_calls_per_source`](crate::config::Limits::unproven_calls_per_source) any longer.
    pub fn proven(&mut self, id: TunnelId, session: SessionId) {
        let Some(tunnel) = self.tunnels.get_mut(&id) else { return };
        if let Some(entry) = tunnel.sessions.get_mut(&session) {
            let was_unproven = core::mem::take(&mut entry.unproven);
            self.core.admission.proven(tunnel.path.peer.ip(), was_unproven.into());
        }
    }

    /// Ends a session, or refuses a call. [`Event::CallDown`] follows.
    ///
    /// # Errors
    ///
    /// There is no such session.
    pub fn hang_up(
        &mut self,
        now: Instant,
        id: TunnelId,
        session: SessionId,
        cause: Cause<CdnResult>,
    ) -> Result<(), Misuse> {
        let tunnel = self.tunnels.get(&id).ok_or(Misuse::NoTunnel)?;
        tunnel.sessions.get(&session).ok_or(Misuse::NoSession)?;
        self.disconnect(now, id, session, Reason { by: By::Us, cause });
        Ok(())
    }

    /// As LNS: tells the LAC which characters its line escapes (SLI, RFC 2661 §6.14).
    ///
    /// # Errors
    ///
    /// There is no such established session, or we are its LAC.
    pub fn send_link_info(&mut self, id: TunnelId, session: SessionId, accm: Accm) -> Result<(), Misuse> {
        self.tell(id, session, [Kind::IncomingLns, Kind::OutgoingLns], &Sli::new(accm).into())
    }

    /// As LAC: tells the LNS of errors on the line (WEN, RFC 2661 §6.13).
    ///
    /// # Errors
    ///
    /// There is no such established session, or we are its LNS.
    pub fn send_line_errors(
        &mut self,
        id: TunnelId,
        session: SessionId,
        errors: CallErrors,
    ) -> Result<(), Misuse> {
        self.tell(id, session, [Kind::IncomingLac, Kind::OutgoingLac], &Wen::new(errors).into())
    }

    fn tell(
        &mut self,
        id: TunnelId,
        session: SessionId,
        kinds: [Kind; 2],
        message: &Message<'_>,
    ) -> Result<(), Misuse> {
        let tunnel = self.tunnels.get_mut(&id).ok_or(Misuse::NoTunnel)?;
        let entry = tunnel.sessions.get(&session).ok_or(Misuse::NoSession)?;
        if entry.state != State::Established || !kinds.contains(&entry.kind) {
            return Err(Misuse::WrongState(entry.state.name()));
        }
        let peer = entry.peer;
        self.core.send(tunnel, peer, message);
        Ok(())
    }

    /// §7.4.1, §7.5.2: wait-tunnel, tunnel-open.
    pub(super) fn request_call(&mut self, now: Instant, id: TunnelId, session: SessionId) {
        let (Some(tunnel), core) = (self.tunnels.get_mut(&id), &mut self.core) else { return };
        let Some(entry) = tunnel.sessions.get_mut(&session).filter(|entry| entry.state == State::WaitTunnel)
        else {
            return;
        };
        let Some(request) = entry.ahead.as_mut().and_then(|ahead| ahead.request.take()) else { return };
        entry.ahead.take_if(|ahead| ahead.connected.is_none());
        entry.state = State::WaitReply;
        tunnel.serial = tunnel.serial.wrapping_add(1);
        let serial = request.serial().unwrap_or(tunnel.serial);
        core.restart_setup(now, tunnel, session);
        core.send_with(tunnel, None, &request.message(session, serial), request.other_avps());
    }

    /// A message about a session, in its turn.
    pub(super) fn session_message(&mut self, now: Instant, id: TunnelId, body: &Body<'_>) {
        let (number, message) = (body.header.session_id, &body.message);
        let Some(tunnel) = self.tunnels.get_mut(&id) else { return };
        let Some(kind) = message.message_type() else { return };
        if tunnel.state != tunnel::State::Established {
            return self.out_of_place(now, id, message);
        }
        let known = match message {
            // It is about no session of ours, unless the peer has assigned its id before.
            Message::Icrq(call) => tunnel.find(0, Some(call.assigned_session_id)),
            Message::Ocrq(call) => tunnel.find(0, Some(call.assigned_session_id)),
            Message::Cdn(cdn) => tunnel.find(number, cdn.assigned_session_id),
            _ => tunnel.find(number, None),
        };
        let known = known.or_else(|| tunnel.find(number, None));
        let Some((session, entry)) = known.and_then(|id| Some((id, tunnel.sessions.get(&id)?))) else {
            return match message {
                Message::Icrq(_) | Message::Ocrq(_) => self.offered(now, id, body),
                _ => self.no_session(id, message),
            };
        };
        let by = By::State { message: kind, state: entry.state.name() };
        match (reaction(entry.kind, entry.state, kind), message) {
            (Reaction::Accept, _) => self.accepted(now, id, session, body),
            (Reaction::Ignore, _) => self.core.count("ignored_message"),
            (Reaction::CleanUp, Message::Cdn(cdn)) => {
                self.end(now, id, session, Reason { by: By::Peer, cause: Cause::of_cdn(cdn) });
            }
            (Reaction::CleanUp, _) => {
                self.end(now, id, session, Reason { by, cause: Cause::new(CdnResult::GENERAL_ERROR) });
            }
            (Reaction::Disconnect, _) => {
                let cause = Cause::error(CdnResult::GENERAL_ERROR, ErrorCode::VALUE, by.to_string());
                self.disconnect(now, id, session, Reason { by, cause });
            }
        }
    }

    /// A message about a session that could not be accepted (§7.1).
    pub(super) fn session_failed(
        &mut self,
        now: Instant,
        id: TunnelId,
        number: u16,
        failure: &Failure,
        code: ErrorCode,
    ) {
        let (Some(tunnel), core) = (self.tunnels.get_mut(&id), &mut self.core) else { return };
        let cause = Cause::error(CdnResult::GENERAL_ERROR, code, failure.error.to_string());
        let reason = Reason { by: By::Error(failure.error), cause };
        let is_cdn = failure.message_type == Some(MessageType::CDN);
        match (tunnel.find(number, failure.session_id), failure.session_id) {
            // It ends, whatever it says.
            (Some(session), _) if is_cdn => self.end(now, id, session, reason),
            (Some(session), peer) => {
                if let Some(entry) = tunnel.sessions.get_mut(&session) {
                    entry.peer = entry.peer.or(peer);
                }
                self.disconnect(now, id, session, reason);
            }
            (None, Some(peer)) if !is_cdn => core.refuse_call(tunnel, peer, &reason.cause),
            (None, _) => {}
        }
    }

    /// §7.4.2, §7.5.1: idle, receive ICRQ or OCRQ.
    fn offered(&mut self, now: Instant, id: TunnelId, body: &Body<'_>) {
        let (Some(tunnel), core) = (self.tunnels.get_mut(&id), &mut self.core) else { return };
        let (kind, peer, request) = match &body.message {
            Message::Icrq(call) => (
                Kind::IncomingLns,
                call.assigned_session_id,
                Request::Incoming(Incoming::of(call, OtherAvps::of(body))),
            ),
            Message::Ocrq(call) => (
                Kind::OutgoingLac,
                call.assigned_session_id,
                Request::Outgoing(Outgoing::of(call, OtherAvps::of(body))),
            ),
            _ => return,
        };
        let limits = &core.config.limits;
        let full = tunnel.sessions.len() >= limits.sessions_per_tunnel || core.sessions >= limits.sessions;
        let (source, unproven) = (tunnel.path.peer.ip(), !tunnel.authenticated);
        let crowded = unproven && core.admission.is_crowded(source, limits);
        let session = match (core.admission.draining, full || crowded) {
            (true, _) => Err((CdnResult::ADMINISTRATIVE, "no new calls are taken")),
            (_, true) => Err((CdnResult::NO_FACILITIES, "too many sessions")),
            _ => core
                .session(now, tunnel, kind, None)
                .ok_or((CdnResult::NO_FACILITIES, "no session id is free")),
        };
        let session = match session {
            Ok(session) => session,
            Err((result, words)) => {
                core.count("call_refused");
                return core.refuse_call(
                    tunnel,
                    peer,
                    &Cause { message: words.into(), ..Cause::new(result) },
                );
            }
        };
        tunnel.set_peer(session, peer);
        tunnel.deadline = None;
        if let Some(entry) = tunnel.sessions.get_mut(&session).filter(|_| unproven) {
            entry.unproven = true;
            core.admission.called(source);
        }
        core.events.push_back(Event::CallOffered { tunnel: id, session, request: Box::new(request) });
    }

    /// §7.4, §7.5: idle, receive anything but a request.
    fn no_session(&mut self, id: TunnelId, message: &Message<'_>) {
        let (Some(tunnel), core) = (self.tunnels.get_mut(&id), &mut self.core) else { return };
        core.count("no_session");
        let (Message::Icrp(Icrp { assigned_session_id: peer })
        | Message::Ocrp(Ocrp { assigned_session_id: peer, .. })) = message
        else {
            return;
        };
        let cause = Cause::error(CdnResult::GENERAL_ERROR, ErrorCode::SESSION_ID, "there is no such session");
        core.refuse_call(tunnel, *peer, &cause);
    }

    /// What a state waits for has come.
    fn accepted(&mut self, now: Instant, id: TunnelId, session: SessionId, body: &Body<'_>) {
        let (Some(tunnel), core) = (self.tunnels.get_mut(&id), &mut self.core) else { return };
        let connected = match &body.message {
            Message::Icrp(Icrp { assigned_session_id }) | Message::Ocrp(Ocrp { assigned_session_id, .. }) => {
                return self.replied(now, id, session, *assigned_session_id);
            }
            Message::Iccn(connected) => Connected::of_iccn(connected, OtherAvps::of(body)),
            Message::Occn(connected) => Connected::of_occn(connected, OtherAvps::of(body)),
            Message::Sli(sli) => {
                return core.events.push_back(Event::LinkInfo { tunnel: id, session, accm: sli.accm });
            }
            Message::Wen(wen) => {
                let errors = wen.call_errors;
                return core.events.push_back(Event::LineErrors { tunnel: id, session, errors });
            }
            _ => return,
        };
        core.up(tunnel, session, connected);
    }

    /// The peer takes a call.
    fn replied(&mut self, now: Instant, id: TunnelId, session: SessionId, peer: SessionId) {
        let (Some(tunnel), core) = (self.tunnels.get_mut(&id), &mut self.core) else { return };
        if tunnel.by_peer.contains_key(&peer) {
            let by = By::Error(Violation::AvpValue(Attribute::ASSIGNED_SESSION_ID).into());
            let words = "this Assigned Session ID is in use";
            let cause = Cause::error(CdnResult::GENERAL_ERROR, ErrorCode::SESSION_ID, words);
            return self.disconnect(now, id, session, Reason { by, cause });
        }
        tunnel.set_peer(session, peer);
        core.restart_setup(now, tunnel, session);
        core.events.push_back(Event::CallAccepted { tunnel: id, session });
        let Some(entry) = tunnel.sessions.get_mut(&session) else { return };
        let connected = entry.ahead.take().and_then(|ahead| ahead.connected);
        entry.state = if entry.kind == Kind::IncomingLac { State::Accepted } else { State::WaitConnect };
        if let Some(connected) = connected {
            core.connect(tunnel, session, connected);
        }
    }

    /// Sends a CDN and ends the session.
    fn disconnect(&mut self, now: Instant, id: TunnelId, session: SessionId, reason: Reason<CdnResult>) {
        let (Some(tunnel), core) = (self.tunnels.get_mut(&id), &mut self.core) else { return };
        let Some(entry) = tunnel.sessions.get(&session) else { return };
        if entry.state != State::WaitTunnel {
            let peer = entry.peer;
            core.send(tunnel, peer, &reason.cause.cdn(session).into());
        }
        self.end(now, id, session, reason);
    }

    /// Ends a session; its id lingers.
    fn end(&mut self, now: Instant, id: TunnelId, session: SessionId, reason: Reason<CdnResult>) {
        let (Some(tunnel), core) = (self.tunnels.get_mut(&id), &mut self.core) else { return };
        let Some(entry) = tunnel.sessions.remove(&session) else { return };
        if let Some(peer) = entry.peer.filter(|peer| tunnel.by_peer.get(peer) == Some(&session)) {
            tunnel.by_peer.remove(&peer);
        }
        if let Some((timer, _)) = entry.setup {
            core.timers.remove(timer);
        }
        core.sessions -= 1;
        core.admission.proven(tunnel.path.peer.ip(), entry.unproven.into());
        tunnel.session_ids.release(session, now, tunnel.policy.timing.cycle());
        core.events.push_back(Event::CallDown { tunnel: id, session, reason: Box::new(reason) });
        self.emptied(now, id);
    }

    pub(super) fn session_timeout(&mut self, now: Instant, id: TunnelId, session: SessionId) {
        let (Some(tunnel), core) = (self.tunnels.get_mut(&id), &mut self.core) else { return };
        let setup = tunnel.sessions.get(&session).and_then(|entry| entry.setup);
        match setup {
            Some((_, at)) if at <= now => {
                let cause = Cause::new(CdnResult::TIMEOUT);
                self.disconnect(now, id, session, Reason { by: By::SetupTime, cause });
            }
            Some((timer, at)) => core.timers.arm(timer, Some(at)),
            None => {}
        }
    }
}

impl Tunnel {
    /// The peer has assigned an id to a session.
    fn set_peer(&mut self, session: SessionId, peer: SessionId) {
        if let Some(entry) = self.sessions.get_mut(&session) {
            entry.peer = Some(peer);
            self.by_peer.insert(peer, session);
        }
    }
}

impl Core {
    /// A new session of a tunnel, to be set up in time.
    fn session(
        &mut self,
        now: Instant,
        tunnel: &mut Tunnel,
        kind: Kind,
        ahead: Option<Ahead>,
    ) -> Option<SessionId> {
        let session = tunnel.session_ids.take(now, &mut self.rng)?;
        let timer = self.timers.insert(Owner::Session(tunnel.id, session));
        let at = now + tunnel.policy.setup;
        self.timers.arm(timer, Some(at));
        let state = if ahead.is_some() { State::WaitTunnel } else { State::Offered };
        let (setup, ahead) = (Some((timer, at)), ahead.map(Box::new));
        let entry = Session { kind, state, unproven: false, peer: None, setup, ahead };
        tunnel.sessions.insert(session, Box::new(entry));
        self.sessions += 1;
        Some(session)
    }

    /// A step of the set-up is done: the next one has as much time.
    fn restart_setup(&mut self, now: Instant, tunnel: &mut Tunnel, session: SessionId) {
        let at = now + tunnel.policy.setup;
        if let Some(setup) = tunnel.sessions.get_mut(&session).and_then(|entry| entry.setup.as_mut()) {
            setup.1 = at;
        }
    }

    /// Queues what the LAC says of the line; the session is established, which is told [later](Self::went).
    fn connect(&mut self, tunnel: &mut Tunnel, session: SessionId, connected: Connected) {
        let Some(entry) = tunnel.sessions.get_mut(&session) else { return };
        let peer = entry.peer;
        let message: Message<'_> = match entry.kind {
            Kind::IncomingLac => connected.iccn().into(),
            _ => connected.occn().into(),
        };
        entry.state = State::Established;
        if let Some((timer, _)) = entry.setup.take() {
            self.timers.remove(timer);
        }
        self.send_with(tunnel, peer, &message, &connected.other_avps);
        if let Some(entry) = tunnel.sessions.get_mut(&session) {
            entry.ahead = Some(Box::new(Ahead { request: None, connected: Some(connected) }));
        }
    }

    /// A message is on its way. If it is the ICCN or OCCN of a session of ours, for the first time, data may
    /// follow.
    pub(super) fn went(&mut self, tunnel: &mut Tunnel, message: &[u8]) {
        if !matches!(tunnel::message_type(message), Some(MessageType::ICCN | MessageType::OCCN)) {
            return;
        }
        let number = message.get(6..8).and_then(|number| number.first_chunk()).copied();
        let peer = number.and_then(|number| SessionId::new(u16::from_be_bytes(number)));
        let Some(session) = peer.and_then(|peer| tunnel.by_peer.get(&peer).copied()) else { return };
        let entry = tunnel.sessions.get_mut(&session);
        let connected = entry.and_then(|entry| entry.ahead.take()?.connected);
        if let Some(connected) = connected {
            self.up(tunnel, session, connected);
        }
    }

    fn up(&mut self, tunnel: &mut Tunnel, session: SessionId, connected: Connected) {
        let Some(entry) = tunnel.sessions.get_mut(&session) else { return };
        entry.state = State::Established;
        if let Some((timer, _)) = entry.setup.take() {
            self.timers.remove(timer);
        }
        if let Some(peer_session) = entry.peer {
            let connected = Box::new(connected);
            self.events.push_back(Event::CallUp { tunnel: tunnel.id, session, peer_session, connected });
        }
    }

    /// A CDN for a call that has no session here, unless the peer does not take our answers. Its Assigned
    /// Session ID must not be 0 (§4.4.4), and stands for nothing.
    fn refuse_call(&mut self, tunnel: &mut Tunnel, peer: SessionId, cause: &Cause<CdnResult>) {
        if tunnel.reliable.backlog() >= self.config.limits.backlog {
            return self.count("backlog");
        }
        if let Some(any) = SessionId::new(self.rng.next_u32() as u16 | 1) {
            self.send(tunnel, Some(peer), &cause.cdn(any).into());
        }
    }
}
