//! The end that lets the peer in, or does not.
//!
//! ```text
//!                  ┌──────── re-challenge ─────────┐
//!                  ▼                               │
//!  new ──────► Asking ──Response──► Checking ──► Accepted
//!                ▲ │                  │  │
//!                │ │                  │  └───────► Refused
//!                │ └── time is up ────┼──────────────▲
//!                └── retry, next EAP ─┘
//! ```
//!
//! A *question* is a Challenge or an EAP Request (PAP has none), a *Response* also an
//! Authenticate-Request. A Response has the question's Identifier; one to an Identifier that has been
//! answered is *repeated* (with PAP all are).
//!
//! | state | Response | repeated Response | verdict | restart timer | time is up |
//! |---|---|---|---|---|---|
//! | Asking | `Authenticate` → Checking | the answer again | – | the question again | → Refused |
//! | Checking | – | – | answer → Accepted or Refused; next question → Asking | | answer → Refused |
//! | Accepted | – | the answer again | – | Challenge → Asking | |
//! | Refused | – | the answer again | – | | |
//!
//! A dash: nothing happens, and a packet is counted. Where nothing stands, no timer runs. In Accepted
//! the restart timer is that of the re-challenge (RFC 1994 §2), which only CHAP has. A Response that
//! refuses our MD5-Challenge (EAP's Nak) leads from Asking to Refused without a verdict.

use l2tp_data::time::Instant;

use super::mschap::{self, Failure};
use super::request::{Proof, RejectCode, Request, Verdict};
use super::{Context, Outcome, Useless, chap, eap, pap};
use crate::config::Method;
use crate::event::{By, Timer};
use crate::packet::Packet;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Asking,
    Checking,
    Accepted,
    Refused,
}

/// The end that verifies the peer.
#[derive(Debug)]
pub(super) struct Authenticator {
    method: Method,
    state: State,
    /// Whether the peer has been let in once: what follows is a re-challenge.
    proved: bool,
    /// What a Response must have, or an answer has, as its Identifier.
    id: u8,
    /// Our challenge, if that is what we ask with.
    challenge: Option<[u8; 16]>,
    /// The peer's name, once it has given one.
    name: Option<Box<[u8]>>,
    /// The last question or answer.
    sent: Box<[u8]>,
    /// Whether it has to be transmitted.
    due: bool,
    timer: Option<Instant>,
    deadline: Option<Instant>,
}

impl Authenticator {
    /// Asks the peer to prove itself.
    pub(super) fn new(context: &mut Context<'_>, method: Method) -> Self {
        let [id] = context.random();
        let mut authenticator = Self::begin(context, method, id, State::Asking);
        match method {
            Method::Pap => {}
            Method::ChapMd5 | Method::MsChapV2 => authenticator.challenge(context),
            Method::Eap => authenticator.ask(context, eap::typed(eap::REQUEST, id, eap::IDENTITY, &[])),
        }
        authenticator
    }

    /// Waits for the verdict on a proof that somebody else has asked for.
    pub(super) fn with_proof(context: &Context<'_>, request: &Request) -> Self {
        let (method, id) = match &request.proof {
            Proof::Pap { id, .. } => (Method::Pap, *id),
            Proof::ChapMd5 { id, .. } => (Method::ChapMd5, *id),
            Proof::MsChapV2 { id, .. } => (Method::MsChapV2, *id),
            Proof::EapMd5 { id, .. } => (Method::Eap, *id),
            Proof::Eap { packet } => (Method::Eap, packet.get(1).copied().unwrap_or_default()),
        };
        let mut authenticator = Self::begin(context, method, id, State::Checking);
        authenticator.name = Some(request.name.clone());
        authenticator
    }

    fn begin(context: &Context<'_>, method: Method, id: u8, state: State) -> Self {
        Self {
            method,
            state,
            proved: false,
            id,
            challenge: None,
            name: None,
            sent: Box::default(),
            due: false,
            timer: None,
            deadline: Some(context.deadline()),
        }
    }

    pub(super) const fn method(&self) -> Method {
        self.method
    }

    pub(super) fn is_done(&self) -> bool {
        self.proved && self.state != State::Refused
    }

    pub(super) fn name(&self) -> Option<&[u8]> {
        self.name.as_deref()
    }

    /// Whether our challenge is somewhere in there.
    pub(super) fn is_reflected(&self, data: &[u8]) -> bool {
        self.challenge
            .is_some_and(|challenge| data.windows(challenge.len()).any(|window| window == challenge))
    }

    /// A Response, or an Authenticate-Request.
    pub(super) fn handle(
        &mut self,
        context: &mut Context<'_>,
        packet: Packet<'_>,
    ) -> Result<Option<Outcome>, Useless> {
        let fits = self.method == Method::Pap || packet.id == self.id;
        match self.state {
            State::Asking if fits => return self.response(context, packet),
            State::Checking => {
                // The answer goes to the last of a peer's Authenticate-Requests (RFC 1334 §2.2.1).
                if self.method == Method::Pap {
                    self.id = packet.id;
                }
                return Err(Useless::Stray);
            }
            _ => {}
        }
        match self.sent.get_mut(1) {
            Some(id) if *id == packet.id || self.method == Method::Pap => {
                *id = packet.id;
                self.due = true;
                Ok(None)
            }
            _ => Err(Useless::Stray),
        }
    }

    fn response(
        &mut self,
        context: &mut Context<'_>,
        packet: Packet<'_>,
    ) -> Result<Option<Outcome>, Useless> {
        if self.challenge.is_some() && self.method == Method::Eap && packet.data.first() == Some(&eap::NAK) {
            return Ok(Some(self.refuse_nak(context, &packet.data[1..])));
        }
        let read = match self.method {
            Method::Pap => pap_response(packet),
            Method::ChapMd5 | Method::MsChapV2 => self.chap_response(packet),
            Method::Eap => self.eap_response(packet),
        };
        let (name, proof) = read.ok_or(Useless::Malformed)?;
        let name = Box::from(name);
        self.id = packet.id;
        if self.proved && self.name.as_ref() != Some(&name) {
            return Ok(Some(self.refuse(context, "challenged again, the peer gives another name")));
        }
        self.name = Some(name);
        Ok(Some(self.check(proof)))
    }

    fn chap_response<'a>(&self, packet: Packet<'a>) -> Option<(&'a [u8], Proof)> {
        let (value, name) = chap::parse_valued(packet.data)?;
        let (id, challenge) = (packet.id, self.challenge?);
        let proof = if self.method == Method::ChapMd5 {
            Proof::ChapMd5 { id, challenge: challenge.into(), response: value.try_into().ok()? }
        } else {
            let (peer_challenge, nt_response) = chap::parse_ms_value(value)?;
            Proof::MsChapV2 { id, challenge, peer_challenge, nt_response }
        };
        Some((name, proof))
    }

    /// What an EAP Response says; the first one is the Identity.
    fn eap_response<'a>(&'a self, packet: Packet<'a>) -> Option<(&'a [u8], Proof)> {
        let (&kind, type_data) = packet.data.split_first()?;
        let name = match &self.name {
            Some(name) => name,
            None if kind == eap::IDENTITY && type_data.len() <= 255 => type_data,
            None => return None,
        };
        let proof = match self.challenge {
            Some(challenge) if kind == eap::MD5_CHALLENGE => {
                let response = eap::parse_md5_challenge(type_data)?.try_into().ok()?;
                Proof::EapMd5 { id: packet.id, challenge, response }
            }
            Some(_) => return None,
            None => Proof::Eap { packet: packet.bytes().into() },
        };
        Some((name, proof))
    }

    /// Refuses a peer that does not want MD5-Challenge (RFC 3748 §5.3.1).
    fn refuse_nak(&mut self, context: &mut Context<'_>, wanted: &[u8]) -> Outcome {
        let wanted: Vec<_> = wanted.iter().take(8).map(|kind| eap::type_name(*kind)).collect();
        let wanted = if wanted.is_empty() { "nothing".into() } else { wanted.join(" or ") };
        self.refuse(
            context,
            &format!("of EAP only MD5-Challenge is done here, the peer offers {wanted} instead"),
        )
    }

    /// The account's answer. If nothing was asked, nothing happens.
    pub(super) fn verdict(&mut self, context: &mut Context<'_>, verdict: Verdict) -> Option<Outcome> {
        if self.state != State::Checking {
            return None;
        }
        match verdict {
            Verdict::Accept { message, authenticator_response } => {
                let message = match (self.method, authenticator_response) {
                    (Method::MsChapV2, Some(response)) => mschap::success_message(&response, &message),
                    (Method::MsChapV2, None) => {
                        let why = "accepted, but without the authenticator response that MS-CHAPv2 needs: \
                                   see whether the account server does MS-CHAPv2";
                        return Some(self.refuse(context, why));
                    }
                    _ => message.into(),
                };
                self.accept(context, &message)
            }
            Verdict::Reject { message, code, retry: true } if self.method == Method::MsChapV2 => {
                self.retry_ms(context, code, &message);
                None
            }
            Verdict::Reject { message, retry: true, .. } if self.method == Method::Pap => {
                self.answer(pap::answer(pap::NAK, self.id, &message), State::Asking);
                self.deadline = Some(context.deadline());
                None
            }
            Verdict::Reject { message, code, .. } => Some(self.reject(context, code, &message)),
            Verdict::EapMd5 if self.method == Method::Eap => {
                self.challenge(context);
                None
            }
            Verdict::EapContinue { packet } if self.method == Method::Eap && eap::is_request(&packet) => {
                self.ask(context, packet);
                None
            }
            Verdict::EapMd5 | Verdict::EapContinue { .. } => Some(
                self.refuse(context, "the account server answered with what is no EAP Request for this peer"),
            ),
        }
    }

    /// The restart timer, or the time for all.
    pub(super) fn handle_timeout(&mut self, context: &mut Context<'_>) -> Option<Outcome> {
        let passed = |at: Option<Instant>| at.is_some_and(|at| at <= context.now);
        if passed(self.deadline) {
            let time = context.config.authentication_time;
            if self.state == State::Checking {
                let why = format!(
                    "no verdict on name and password within {time:?}: see why accounts do not answer"
                );
                return Some(self.refuse(context, &why));
            }
            let wanted = match self.method {
                Method::Pap => "sent no Authenticate-Request",
                Method::ChapMd5 | Method::MsChapV2 => "did not answer the Challenge",
                Method::Eap => "did not answer the EAP Request",
            };
            self.rest(State::Refused);
            return Some(failed(&format!("the peer {wanted} within {time:?}")));
        }
        if passed(self.timer) {
            match self.state {
                State::Asking => {
                    self.due = true;
                    self.timer = Some(context.restart());
                }
                _ => {
                    self.deadline = Some(context.deadline());
                    self.challenge(context);
                }
            }
        }
        None
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub(super) fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        let timer = self.timer.map(|at| (at, Timer::PeerAuth));
        let deadline = self.deadline.map(|at| (at, Timer::Authentication));
        [timer, deadline].into_iter().flatten().min()
    }

    /// Writes the frame that has to be transmitted.
    pub(super) fn poll_transmit(&mut self, out: &mut Vec<u8>) -> bool {
        super::transmit(&mut self.due, self.method, &self.sent, out)
    }

    /// Asks with a new challenge, which has a new Identifier (RFC 1994 §4.1, RFC 3748 §4.1).
    fn challenge(&mut self, context: &mut Context<'_>) {
        let challenge = context.random();
        self.challenge = Some(challenge);
        let (id, name) = (self.id.wrapping_add(1), context.config.name.as_bytes());
        let question = if self.method == Method::Eap {
            eap::md5_challenge(eap::REQUEST, id, &challenge, name)
        } else {
            chap::valued(chap::CHALLENGE, id, &challenge, name)
        };
        self.ask(context, question);
    }

    fn ask(&mut self, context: &Context<'_>, question: Box<[u8]>) {
        self.id = question[1];
        self.sent = question;
        self.due = true;
        self.state = State::Asking;
        self.timer = Some(context.restart());
    }

    fn check(&mut self, proof: Proof) -> Outcome {
        self.state = State::Checking;
        self.timer = None;
        let name = self.name.clone().unwrap_or_default();
        Outcome::Authenticate(Box::new(Request { name, proof }))
    }

    fn accept(&mut self, context: &Context<'_>, message: &str) -> Option<Outcome> {
        let answer = match self.method {
            Method::Pap => pap::answer(pap::ACK, self.id, message),
            Method::ChapMd5 | Method::MsChapV2 => chap::answer(chap::SUCCESS, self.id, message),
            Method::Eap => eap::answer(eap::SUCCESS, self.id),
        };
        self.answer(answer, State::Accepted);
        if matches!(self.method, Method::ChapMd5 | Method::MsChapV2) {
            self.timer = context.config.rechallenge.map(|time| context.now + time);
        }
        (!core::mem::replace(&mut self.proved, true)).then_some(Outcome::PeerAuthenticated)
    }

    fn refuse(&mut self, context: &mut Context<'_>, why: &str) -> Outcome {
        self.reject(context, RejectCode::AUTHENTICATION_FAILURE, "");
        failed(why)
    }

    fn reject(&mut self, context: &mut Context<'_>, code: RejectCode, message: &str) -> Outcome {
        let answer = match self.method {
            Method::Pap => pap::answer(pap::NAK, self.id, message),
            Method::ChapMd5 => chap::answer(chap::FAILURE, self.id, message),
            Method::MsChapV2 => {
                let text = Failure::format(code, false, &context.random(), message);
                chap::answer(chap::FAILURE, self.id, &text)
            }
            Method::Eap => eap::answer(eap::FAILURE, self.id),
        };
        self.answer(answer, State::Refused);
        failed(message)
    }

    /// A Failure with the challenge for another try, which has the next Identifier. No short timer runs:
    /// a human may have to type (RFC 2759 §6).
    fn retry_ms(&mut self, context: &mut Context<'_>, code: RejectCode, message: &str) {
        let challenge = context.random();
        let text = Failure::format(code, true, &challenge, message);
        self.answer(chap::answer(chap::FAILURE, self.id, &text), State::Asking);
        self.challenge = Some(challenge);
        self.id = self.id.wrapping_add(1);
        self.deadline = Some(context.deadline());
    }

    fn answer(&mut self, answer: Box<[u8]>, state: State) {
        self.sent = answer;
        self.due = true;
        self.rest(state);
    }

    fn rest(&mut self, state: State) {
        self.state = state;
        self.timer = None;
        self.deadline = None;
    }
}

fn failed(why: &str) -> Outcome {
    Outcome::Failed { by: By::Us, message: why.into() }
}

fn pap_response(packet: Packet<'_>) -> Option<(&[u8], Proof)> {
    let (name, password) = pap::parse_request(packet.data)?;
    Some((name, Proof::Pap { id: packet.id, password: password.into() }))
}
