//! The writer.

use std::io::{self, Write};
use std::ops::Deref;
use std::sync::Arc;

use l2tp_data::id::{SessionId, TunnelId};

use super::{FORMAT, Input};
use crate::config::Config;
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

/// Methods of the endpoint, each with what is written before it is called.
macro_rules! recorded {
    ($($method:ident($($argument:ident: $type:ty),*) $(-> $result:ty)? = $input:expr;)*) => {
        impl<W: Write> Recorder<W> {
            $(
                #[doc = concat!("[`Endpoint::", stringify!($method), "`], which says what is to be known of it.")]
                pub fn $method(&mut self, $($argument: $type),*) $(-> $result)? {
                    self.input($input);
                    self.endpoint.$method($($argument),*)
                }
            )*
        }
    };
}

recorded! {
    set_draining(draining: bool) = Input::SetDraining { draining };
    handle_datagram(now: Instant, path: Path, datagram: &mut [u8])
        = Input::Datagram { at: now.as_micros(), path, bytes: datagram.to_vec() };
    handle_timeout(now: Instant) = Input::Timeout { at: now.as_micros() };
    connect(now: Instant, connect: Connect) -> Result<TunnelId, Misuse>
        = Input::Connect { at: now.as_micros(), path: connect.path, policy: connect.policy.clone() };
    close(now: Instant, tunnel: TunnelId, cause: Cause<StopResult>) -> Result<(), Misuse>
        = Input::Close { at: now.as_micros(), tunnel, cause: cause.clone() };
    place_call(now: Instant, tunnel: TunnelId, request: Request, connected: Option<Connected>)
        -> Result<SessionId, Misuse>
        = Input::PlaceCall { at: now.as_micros(), tunnel, request: request.clone(), connected: connected.clone() };
    accept(now: Instant, tunnel: TunnelId, session: SessionId) -> Result<(), Misuse>
        = Input::Accept { at: now.as_micros(), tunnel, session };
    connected(tunnel: TunnelId, session: SessionId, connected: Connected) -> Result<(), Misuse>
        = Input::Connected { tunnel, session, connected: connected.clone() };
    hang_up(now: Instant, tunnel: TunnelId, session: SessionId, cause: Cause<CdnResult>) -> Result<(), Misuse>
        = Input::HangUp { at: now.as_micros(), tunnel, session, cause: cause.clone() };
    proven(tunnel: TunnelId, session: SessionId) = Input::Proven { tunnel, session };
    send_link_info(tunnel: TunnelId, session: SessionId, accm: Accm) -> Result<(), Misuse>
        = Input::SendLinkInfo { tunnel, session, accm };
    send_line_errors(tunnel: TunnelId, session: SessionId, errors: CallErrors) -> Result<(), Misuse>
        = Input::SendLineErrors { tunnel, session, errors };
    data_received(now: Instant, tunnel: TunnelId) = Input::DataReceived { at: now.as_micros(), tunnel };
    data_sent(now: Instant, tunnel: TunnelId) = Input::DataSent { at: now.as_micros(), tunnel };
}

impl<W: Write> Recorder<W> {
    /// See [`Endpoint::new`].
    pub fn new(config: Config, seed: [u8; 32], out: W, secrets: Secrets) -> Self {
        let start = Input::Start {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").into(),
            secrets: secrets == Secrets::Keep,
            seed: seed.to_vec(),
            config: config.clone().into(),
        };
        let endpoint = Endpoint::new(config, seed);
        let mut recorder = Self { endpoint, out, secrets, error: None, polls: None, drained: true };
        recorder.write(start);
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
        let config = self.endpoint.config_mut();
        change(config);
        let config = config.clone().into();
        self.input(Input::Config { config });
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

    fn input(&mut self, input: Input) {
        self.write_polls();
        self.drained = false;
        self.write(input);
    }

    fn write_polls(&mut self) {
        if let Some((at, calls)) = self.polls.take() {
            self.write(Input::Poll { at: at.as_micros(), calls });
        }
    }

    fn write(&mut self, mut input: Input) {
        if self.error.is_some() {
            return;
        }
        if self.secrets == Secrets::LeaveOut {
            input.leave_out_secrets();
        }
        let written = serde_json::to_writer(&mut self.out, &input).map_err(io::Error::from);
        self.error = written.and_then(|()| self.out.write_all(b"\n")).err();
    }
}

impl Input {
    fn leave_out_secrets(&mut self) {
        match self {
            Self::Start { config, .. } | Self::Config { config } => {
                config.peers.iter_mut().for_each(|rule| Arc::make_mut(&mut rule.policy).secret = None);
            }
            Self::Connect { policy, .. } => Arc::make_mut(policy).secret = None,
            Self::Datagram { bytes, .. } => blank(bytes),
            Self::PlaceCall { connected: Some(connected), .. } | Self::Connected { connected, .. } => {
                let response = connected.proxy.as_mut().and_then(|proxy| proxy.authen_response.as_mut());
                response.into_iter().for_each(|response| response.fill(0));
            }
            _ => {}
        }
    }
}

/// Overwrites those values in a message that are secret, or that a secret can be guessed from; and what
/// stands where no AVP can be read.
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
    // What is wrong with it stays to be seen in its first octets.
    message.get_mut(at + HEADER..).unwrap_or_default().fill(0);
}
