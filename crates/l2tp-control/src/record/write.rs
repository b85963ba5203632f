//! The writer.

use std::io::{self, Write};
use std::ops::Deref;
use std::sync::Arc;

use l2tp_data::id::{SessionId, TunnelId};

use super::{FORMAT, Input};
use crate::config::{Config, Policy};
use crate::error::Misuse;
use crate::wire::{Accm, Attribute, Avps, CallErrors, CdnResult, Header, StopResult, avp::HEADER};
use crate::{Cause, Connect, Connected, Endpoint, Event, Instant, Path, Request, Transmit};

/// Whether secrets and passwords are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Secrets {
    /// They are: keep the record as you keep them.
    Keep,
    /// They are not: what needs them fails in the replay.
    LeaveOut,
}

/// An [`Endpoint`] that writes its inputs to `W`, which should be buffered.
///
/// An error of `W` ends the recording, not the endpoint: [`flush`](Self::flush) and
/// [`finish`](Self::finish) tell it.
#[derive(Debug)]
pub struct Recorder<W: Write> {
    endpoint: Endpoint,
    out: W,
    secrets: Secrets,
    /// That of the first write that failed.
    error: Option<io::Error>,
    /// Calls of `poll_transmit` that are not written yet.
    polls: Option<(Instant, u32)>,
    /// There was nothing to send, and nothing has happened since.
    drained: bool,
}

/// Those methods that do not change it.
impl<W: Write> Deref for Recorder<W> {
    type Target = Endpoint;

    fn deref(&self) -> &Endpoint {
        &self.endpoint
    }
}

impl<W: Write> Recorder<W> {
    /// See [`Endpoint::new`].
    pub fn new(config: Config, seed: [u8; 32], out: W, secrets: Secrets) -> Self {
        let endpoint = Endpoint::new(config.clone(), seed);
        let mut recorder = Self { endpoint, out, secrets, error: None, polls: None, drained: true };
        recorder.write(|recorder| Input::Start {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").into(),
            secrets: secrets == Secrets::Keep,
            seed: seed.to_vec(),
            config: recorder.config(config),
        });
        recorder
    }

    /// Ends the recording, and says whether all of it was written.
    ///
    /// # Errors
    ///
    /// That of the first write that failed.
    pub fn finish(mut self) -> io::Result<W> {
        self.flush()?;
        Ok(self.out)
    }

    /// Writes what has come in so far.
    ///
    /// # Errors
    ///
    /// That of the first write that failed. Nothing has been written since.
    pub fn flush(&mut self) -> io::Result<()> {
        self.write_polls();
        match &self.error {
            None => self.out.flush(),
            Some(error) => Err(io::Error::new(error.kind(), error.to_string())),
        }
    }

    /// See [`Endpoint::config_mut`].
    pub fn configure(&mut self, change: impl FnOnce(&mut Config)) {
        change(self.endpoint.config_mut());
        let config = self.endpoint.config_mut().clone();
        self.input(|recorder| Input::Config { config: recorder.config(config) });
    }

    /// See [`Endpoint::set_draining`].
    pub fn set_draining(&mut self, draining: bool) {
        self.input(|_| Input::SetDraining { draining });
        self.endpoint.set_draining(draining);
    }

    /// See [`Endpoint::handle_datagram`].
    pub fn handle_datagram(&mut self, now: Instant, path: Path, datagram: &mut [u8]) {
        self.input(|recorder| Input::Datagram { at: now, path, bytes: recorder.datagram(datagram) });
        self.endpoint.handle_datagram(now, path, datagram);
    }

    /// See [`Endpoint::handle_timeout`].
    pub fn handle_timeout(&mut self, now: Instant) {
        self.input(|_| Input::Timeout { at: now });
        self.endpoint.handle_timeout(now);
    }

    /// See [`Endpoint::poll_transmit`].
    pub fn poll_transmit(&mut self, now: Instant, out: &mut [u8]) -> Option<Transmit> {
        if self.drained {
            return None;
        }
        match &mut self.polls {
            Some((at, calls)) if *at == now => *calls += 1,
            _ => {
                self.write_polls();
                self.polls = Some((now, 1));
            }
        }
        let transmit = self.endpoint.poll_transmit(now, out);
        self.drained = transmit.is_none();
        transmit
    }

    /// See [`Endpoint::poll_event`].
    pub fn poll_event(&mut self) -> Option<Event> {
        self.endpoint.poll_event()
    }

    /// See [`Endpoint::connect`].
    ///
    /// # Errors
    ///
    /// Those.
    pub fn connect(&mut self, now: Instant, connect: Connect) -> Result<TunnelId, Misuse> {
        self.input(|recorder| Input::Connect {
            at: now,
            path: connect.path,
            policy: recorder.policy(&connect.policy),
        });
        self.endpoint.connect(now, connect)
    }

    /// See [`Endpoint::close`].
    ///
    /// # Errors
    ///
    /// Those.
    pub fn close(&mut self, now: Instant, id: TunnelId, cause: Cause<StopResult>) -> Result<(), Misuse> {
        self.input(|_| Input::Close { at: now, tunnel: id, cause: cause.clone() });
        self.endpoint.close(now, id, cause)
    }

    /// See [`Endpoint::place_call`].
    ///
    /// # Errors
    ///
    /// Those.
    pub fn place_call(
        &mut self,
        now: Instant,
        id: TunnelId,
        request: Request,
        connected: Option<Connected>,
    ) -> Result<SessionId, Misuse> {
        self.input(|recorder| Input::PlaceCall {
            at: now,
            tunnel: id,
            request: request.clone(),
            connected: connected.as_ref().map(|connected| recorder.connected_as_written(connected)),
        });
        self.endpoint.place_call(now, id, request, connected)
    }

    /// See [`Endpoint::accept`].
    ///
    /// # Errors
    ///
    /// Those.
    pub fn accept(&mut self, now: Instant, id: TunnelId, session: SessionId) -> Result<(), Misuse> {
        self.input(|_| Input::Accept { at: now, tunnel: id, session });
        self.endpoint.accept(now, id, session)
    }

    /// See [`Endpoint::connected`].
    ///
    /// # Errors
    ///
    /// Those.
    pub fn connected(
        &mut self,
        id: TunnelId,
        session: SessionId,
        connected: Connected,
    ) -> Result<(), Misuse> {
        self.input(|recorder| Input::Connected {
            tunnel: id,
            session,
            connected: recorder.connected_as_written(&connected),
        });
        self.endpoint.connected(id, session, connected)
    }

    /// See [`Endpoint::hang_up`].
    ///
    /// # Errors
    ///
    /// Those.
    pub fn hang_up(
        &mut self,
        now: Instant,
        id: TunnelId,
        session: SessionId,
        cause: Cause<CdnResult>,
    ) -> Result<(), Misuse> {
        self.input(|_| Input::HangUp { at: now, tunnel: id, session, cause: cause.clone() });
        self.endpoint.hang_up(now, id, session, cause)
    }

    /// See [`Endpoint::send_link_info`].
    ///
    /// # Errors
    ///
    /// Those.
    pub fn send_link_info(&mut self, id: TunnelId, session: SessionId, accm: Accm) -> Result<(), Misuse> {
        self.input(|_| Input::SendLinkInfo { tunnel: id, session, accm });
        self.endpoint.send_link_info(id, session, accm)
    }

    /// See [`Endpoint::send_line_errors`].
    ///
    /// # Errors
    ///
    /// Those.
    pub fn send_line_errors(
        &mut self,
        id: TunnelId,
        session: SessionId,
        errors: CallErrors,
    ) -> Result<(), Misuse> {
        self.input(|_| Input::SendLineErrors { tunnel: id, session, errors });
        self.endpoint.send_line_errors(id, session, errors)
    }

    /// See [`Endpoint::data_received`].
    pub fn data_received(&mut self, now: Instant, id: TunnelId) {
        self.input(|_| Input::DataReceived { at: now, tunnel: id });
        self.endpoint.data_received(now, id);
    }

    /// See [`Endpoint::data_sent`].
    pub fn data_sent(&mut self, now: Instant, id: TunnelId) {
        self.input(|_| Input::DataSent { at: now, tunnel: id });
        self.endpoint.data_sent(now, id);
    }

    fn input(&mut self, input: impl FnOnce(&Self) -> Input) {
        self.write_polls();
        self.drained = false;
        self.write(input);
    }

    fn write_polls(&mut self) {
        if let Some((at, calls)) = self.polls.take() {
            self.write(|_| Input::Poll { at, calls });
        }
    }

    fn write(&mut self, input: impl FnOnce(&Self) -> Input) {
        if self.error.is_none() {
            let input = input(self);
            let written = serde_json::to_writer(&mut self.out, &input).map_err(io::Error::from);
            self.error = written.and_then(|()| self.out.write_all(b"\n")).err();
        }
    }

    fn policy(&self, policy: &Arc<Policy>) -> Arc<Policy> {
        match self.secrets {
            Secrets::Keep => policy.clone(),
            Secrets::LeaveOut => Arc::new(Policy { secret: None, ..Policy::clone(policy) }),
        }
    }

    fn config(&self, mut config: Config) -> Box<Config> {
        for rule in &mut config.peers {
            rule.policy = self.policy(&rule.policy);
        }
        config.into()
    }

    fn connected_as_written(&self, connected: &Connected) -> Connected {
        let mut connected = connected.clone();
        let response = connected.proxy.as_mut().and_then(|proxy| proxy.authen_response.as_mut());
        if let Some(response) = response.filter(|_| self.secrets == Secrets::LeaveOut) {
            response.fill(0);
        }
        connected
    }

    fn datagram(&self, datagram: &[u8]) -> Vec<u8> {
        let mut bytes = datagram.to_vec();
        if self.secrets == Secrets::LeaveOut {
            blank(&mut bytes);
        }
        bytes
    }
}

/// Overwrites those values in a message that are secret, or that a secret can be guessed from.
fn blank(message: &mut [u8]) {
    let mut at = Header::LEN;
    while let Some(Ok(avp)) = message.get(at..).and_then(|rest| Avps::new(rest).next()) {
        let guessable = [Attribute::CHALLENGE_RESPONSE, Attribute::PROXY_AUTHEN_RESPONSE];
        let secret = avp.is_hidden() || guessable.contains(&avp.attribute());
        let (start, end) = (at + HEADER, at + HEADER + avp.value.len());
        if secret {
            message[start..end].fill(0);
        }
        at = end;
    }
}
