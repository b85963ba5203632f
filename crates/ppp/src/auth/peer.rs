//! The end that proves who it is.
//!
//! ```text
//!            ┌─────────── Challenge ────────────┐
//!            ▼                                  │
//!  Waiting ──► Answered ──Success──────────► Done
//!     │          ▲   └──Failure──► Failed ◄─────┘
//!     │          └────── retry ──────┘ ▲
//!     └────────── time is up ──────────┘
//! ```
//!
//! A *question* is a Challenge or an EAP Request, *Success* also an Authenticate-Ack, *Failure* also an
//! Authenticate-Nak. PAP begins in Answered: there is no question.
//!
//! | state | question | the same again | Success | Failure | restart timer | time is up |
//! |---|---|---|---|---|---|---|
//! | Waiting | Response → Answered | | – | –; EAP: → Failed | | → Failed |
//! | Answered | Response → Answered | the Response again | → Done; MS-CHAPv2: wrong or none → Failed | → Failed | the Response again; not EAP | → Failed; once proved: → Done |
//! | Done | Response → Answered | the Response again | – | → Failed; PAP, EAP: – | | |
//! | Failed | – | – | – | – | | |
//!
//! A dash: nothing happens, and a packet is counted. Where nothing stands, no timer runs. EAP's
//! Notification is answered, and a type that is not known refused with a Nak, without leaving the state.

use l2tp_data::time::Instant;
use subtle::ConstantTimeEq;

use super::mschap::{self, Exchange, Failure};
use super::{Context, Outcome, Secret, Useless, chap, eap, md5, pap, words};
use crate::config::Method;
use crate::event::{By, Timer};
use crate::packet::Packet;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Waiting,
    Answered,
    Done,
    Failed,
}

/// The challenge of MS-CHAPv2 that was answered, or after a Failure may be, and what shows that the
/// authenticator knows the password as well.
#[derive(Debug)]
struct Mutual {
    challenge: [u8; 16],
    expected: [u8; 20],
}

/// The end that proves itself to the peer.
#[derive(Debug)]
pub(super) struct Peer {
    method: Method,
    state: State,
    /// Whether the peer has taken our proof once: what follows is a re-challenge.
    proved: bool,
    /// The Identifier of what was sent last.
    id: u8,
    /// How many Identifiers before that one were used for the same.
    earlier: u8,
    /// The EAP type that was refused last.
    refused: Option<u8>,
    /// What was sent last, maybe with the password in it.
    sent: Secret,
    /// Whether it has to be transmitted.
    due: bool,
    timer: Option<Instant>,
    deadline: Option<Instant>,
    mutual: Option<Box<Mutual>>,
}

impl Peer {
    /// Waits for the peer's question; with PAP, sends the password.
    pub(super) fn new(context: &mut Context<'_>, method: Method) -> Self {
        let [id] = context.random();
        let mut peer = Self {
            method,
            state: State::Waiting,
            proved: false,
            id,
            earlier: 0,
            refused: None,
            sent: Secret::default(),
            due: false,
            timer: None,
            deadline: Some(context.deadline()),
            mutual: None,
        };
        if method == Method::Pap {
            peer.send_password(context);
        }
        peer
    }

    pub(super) const fn method(&self) -> Method {
        self.method
    }

    pub(super) fn is_done(&self) -> bool {
        self.proved && self.state != State::Failed
    }

    /// A question, or its end.
    pub(super) fn handle(
        &mut self,
        context: &mut Context<'_>,
        packet: Packet<'_>,
    ) -> Result<Option<Outcome>, Useless> {
        if self.state == State::Failed {
            return Err(Useless::Stray);
        }
        match self.method {
            Method::Pap => self.handle_pap(packet),
            Method::ChapMd5 | Method::MsChapV2 => self.handle_chap(context, packet),
            Method::Eap => self.handle_eap(context, packet),
        }
    }

    fn handle_pap(&mut self, packet: Packet<'_>) -> Result<Option<Outcome>, Useless> {
        let message = pap::parse_message(packet.data);
        match packet.code {
            pap::ACK | pap::NAK if self.state != State::Answered || !self.fits(packet) => Err(Useless::Stray),
            pap::ACK => Ok(self.done(message)),
            pap::NAK => Ok(Some(self.fail(said(message)))),
            _ => Err(Useless::Malformed),
        }
    }

    fn handle_chap(
        &mut self,
        context: &mut Context<'_>,
        packet: Packet<'_>,
    ) -> Result<Option<Outcome>, Useless> {
        match packet.code {
            chap::CHALLENGE => {
                let (value, _name) = chap::parse_valued(packet.data).ok_or(Useless::Malformed)?;
                if self.method == Method::ChapMd5 {
                    self.respond_md5(context, packet.id, value);
                } else {
                    self.respond_ms(context, packet.id, value.try_into().map_err(|_| Useless::Malformed)?);
                }
                Ok(None)
            }
            chap::SUCCESS if self.state == State::Answered && self.fits(packet) => {
                if self.method == Method::MsChapV2 && !self.is_expected(packet.data) {
                    let why = "the peer does not prove that it knows the password (RFC 2759 §5): \
                               it may be another one than it says, or the password differs";
                    return Ok(Some(self.fail(why.into())));
                }
                Ok(self.done(if self.method == Method::MsChapV2 {
                    mschap::success_words(packet.data)
                } else {
                    packet.data
                }))
            }
            chap::FAILURE if self.state != State::Waiting && self.fits(packet) => {
                if self.method == Method::MsChapV2 {
                    return Ok(Some(self.handle_ms_failure(packet.data)));
                }
                Ok(Some(self.fail(said(packet.data))))
            }
            chap::SUCCESS | chap::FAILURE => Err(Useless::Stray),
            _ => Err(Useless::Malformed),
        }
    }

    fn handle_ms_failure(&mut self, message: &[u8]) -> Outcome {
        let failure = Failure::parse(message);
        self.mutual = failure
            .challenge
            .filter(|_| failure.retry)
            .map(|challenge| Box::new(Mutual { challenge, expected: [0; 20] }));
        let said = said(failure.message);
        self.fail(match failure.code {
            Some(code) if said.is_empty() => code.to_string(),
            Some(code) => format!("{code}; {said}"),
            None => said,
        })
    }

    fn handle_eap(
        &mut self,
        context: &mut Context<'_>,
        packet: Packet<'_>,
    ) -> Result<Option<Outcome>, Useless> {
        match packet.code {
            eap::REQUEST => {
                let (&kind, type_data) = packet.data.split_first().ok_or(Useless::Malformed)?;
                self.handle_eap_request(context, packet.id, kind, type_data)
            }
            eap::SUCCESS if self.state == State::Answered => Ok(self.done(&[])),
            eap::FAILURE if self.state != State::Done => Ok(Some(self.fail(self.refused_words()))),
            eap::SUCCESS | eap::FAILURE => Err(Useless::Stray),
            _ => Err(Useless::Malformed),
        }
    }

    fn handle_eap_request(
        &mut self,
        context: &mut Context<'_>,
        id: u8,
        kind: u8,
        type_data: &[u8],
    ) -> Result<Option<Outcome>, Useless> {
        let (name, password) = context.credentials();
        let response = |data| eap::typed(eap::RESPONSE, id, kind, data);
        match kind {
            eap::IDENTITY => self.respond(context, id, &response(super::capped(name))),
            eap::MD5_CHALLENGE => {
                let challenge = eap::parse_md5_challenge(type_data).ok_or(Useless::Malformed)?;
                let hash = md5(id, password, challenge);
                self.respond(context, id, &eap::md5_challenge(eap::RESPONSE, id, &hash, name));
            }
            eap::NOTIFICATION => {
                self.send(id, &response(&[]));
                return Ok(Some(Outcome::Notification(words(type_data))));
            }
            _ => {
                self.refused = Some(kind);
                self.send(id, &eap::typed(eap::RESPONSE, id, eap::NAK, &[eap::MD5_CHALLENGE]));
            }
        }
        Ok(None)
    }

    /// Why EAP may have failed; it has no words of its own.
    fn refused_words(&self) -> String {
        let wanted = self.refused.map(eap::type_name);
        wanted.map_or_else(String::new, |name| {
            format!("the peer asks for {name}, but of EAP only MD5-Challenge is done here")
        })
    }

    /// A packet of a network protocol came: the peer has let us in, and its Success is lost.
    pub(super) fn handle_network(&mut self) -> Option<Outcome> {
        if self.method == Method::Eap && self.state == State::Answered { self.done(&[]) } else { None }
    }

    /// After a Failure: answers the challenge in it, with the next Identifier (RFC 2759 §6).
    pub(super) fn retry(&mut self, context: &mut Context<'_>) -> bool {
        let challenge = match &self.mutual {
            Some(mutual) if self.state == State::Failed => mutual.challenge,
            _ => return false,
        };
        self.respond_ms(context, self.id.wrapping_add(1), challenge);
        true
    }

    /// The restart timer, or the time for all.
    pub(super) fn handle_timeout(&mut self, context: &mut Context<'_>) -> Option<Outcome> {
        let passed = |at: Option<Instant>| at.is_some_and(|at| at <= context.now);
        if passed(self.deadline) {
            if self.proved {
                return self.done(&[]);
            }
            let awaited = match (self.state, self.method) {
                (State::Waiting, Method::Eap) => "sent no EAP Request",
                (State::Waiting, _) => "sent no Challenge",
                (_, Method::Pap) => "did not answer our Authenticate-Request",
                _ => "did not answer our Response",
            };
            let time = context.config.authentication_time;
            return Some(self.fail(format!("the peer {awaited} within {time:?}")));
        }
        if passed(self.timer) {
            if self.method == Method::Pap {
                self.id = self.id.wrapping_add(1);
                self.earlier = self.earlier.saturating_add(1);
                self.send_password(context);
            } else {
                self.due = true;
                self.timer = Some(context.restart());
            }
        }
        None
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub(super) fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        let timer = self.timer.map(|at| (at, Timer::LocalAuth));
        let deadline = self.deadline.map(|at| (at, Timer::Authentication));
        [timer, deadline].into_iter().flatten().min()
    }

    /// Writes the frame that has to be transmitted.
    pub(super) fn poll_transmit(&mut self, out: &mut Vec<u8>) -> bool {
        super::transmit(&mut self.due, self.method, self.sent.octets(), out)
    }

    fn send_password(&mut self, context: &Context<'_>) {
        let (name, password) = context.credentials();
        let request = pap::request(self.id, name, password);
        self.respond(context, self.id, &request);
    }

    fn respond_md5(&mut self, context: &Context<'_>, id: u8, challenge: &[u8]) {
        let (name, password) = context.credentials();
        let hash = md5(id, password, challenge);
        self.respond(context, id, &chap::valued(chap::RESPONSE, id, &hash, name));
    }

    fn respond_ms(&mut self, context: &mut Context<'_>, id: u8, challenge: [u8; 16]) {
        if let Some(mutual) = &self.mutual
            && mutual.challenge == challenge
            && self.id == id
        {
            // Another Peer-Challenge would not fit a Success that is on its way.
            self.due = true;
            return;
        }
        let (name, password) = context.credentials();
        let peer_challenge = context.random();
        let exchange = Exchange { challenge: &challenge, peer_challenge: &peer_challenge, name };
        let nt_response = exchange.nt_response(password);
        let expected = exchange.authenticator_response(password, &nt_response);
        self.mutual = Some(Box::new(Mutual { challenge, expected }));
        let value = chap::ms_value(&peer_challenge, &nt_response);
        self.respond(context, id, &chap::valued(chap::RESPONSE, id, &value, name));
    }

    fn respond(&mut self, context: &Context<'_>, id: u8, response: &[u8]) {
        let again = self.state == State::Done && self.sent.octets() == response;
        self.send(id, response);
        if again {
            return;
        }
        self.state = State::Answered;
        self.timer = (self.method != Method::Eap).then(|| context.restart());
        self.deadline = self.deadline.or_else(|| Some(context.deadline()));
    }

    fn send(&mut self, id: u8, packet: &[u8]) {
        self.id = id;
        self.sent = Secret::new(packet);
        self.due = true;
    }

    fn done(&mut self, message: &[u8]) -> Option<Outcome> {
        self.rest(State::Done);
        let first = !core::mem::replace(&mut self.proved, true);
        first.then(|| Outcome::Authenticated(words(message)))
    }

    fn fail(&mut self, why: String) -> Outcome {
        self.rest(State::Failed);
        Outcome::Failed { by: By::Peer, message: why.into() }
    }

    fn rest(&mut self, state: State) {
        self.state = state;
        self.timer = None;
        self.deadline = None;
        if self.method == Method::Pap {
            self.sent = Secret::default();
        }
    }

    /// Whether the packet answers what was sent.
    fn fits(&self, packet: Packet<'_>) -> bool {
        self.id.wrapping_sub(packet.id) <= self.earlier
    }

    fn is_expected(&self, message: &[u8]) -> bool {
        let received = mschap::parse_success(message);
        let expected = self.mutual.as_ref().map(|mutual| mutual.expected);
        received.zip(expected).is_some_and(|(received, expected)| received.ct_eq(&expected).into())
    }
}

/// The words of a peer for its user, as it said them.
fn said(message: &[u8]) -> String {
    match &*words(message) {
        "" => String::new(),
        message => format!("the peer says \"{message}\""),
    }
}
