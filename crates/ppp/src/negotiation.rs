//! What LCP, IPCP and IPV6CP have in common: the automaton, its timer and counters (RFC 1661 §4.6), the
//! packets with codes 1 to 7 (§5), and how two ends agree.
//!
//! ```text
//!  Configure-Request ─► each option: Ack │ Nak │ Reject ─► one answer; its worst option decides
//!                                     └─ too many Naks: Reject         (Max-Failure)
//!                                        too many answers but Acks: the protocol ends
//!  Ack, Nak, Reject  ─► of our last request, and the first answer to it? ─► Nak: change │ Reject: leave out
//!                                     └─ too many Naks: as Rejects
//! ```
//!
//! Three things are not in the RFC. A protocol that is negotiated for twice as long as unanswered requests would
//! take ends: a peer that acks all of ours and never sends one would keep it for ever. A repeated answer to the same request is ignored, in every state. And
//! for a while after an Ack, the same request with the same Identifier is acked again and changes
//! nothing else: our Ack was lost, or the network has doubled the request, and neither is a reason to
//! take down a link that is up.

use core::time::Duration;

use l2tp_data::time::Instant;

use super::automaton::{Action, Event, State};
use super::config::{Config, Timing};
use super::event::Why;
use super::output::Output;
use super::packet::{HEADER, Opt, Packet, code, options};
use super::protocol::Protocol;
use super::random::Random;

/// So many restart times after an Ack the same request is taken for a repetition.
const REPETITION: u32 = 4;
/// So many answers other than Ack, for each Nak that [`Timing::max_failure`] allows, end a protocol.
const REFUSALS: u16 = 4;
/// So many times as long as our requests without an answer would take, a protocol may be negotiated.
const ROUNDS: u32 = 2;
/// A longer Configure-Request has more options than there are.
pub(crate) const LONGEST: usize = 1500;

/// What a step needs of its link.
pub(crate) struct Context<'a> {
    pub now: Instant,
    pub config: &'a Config,
    /// The longest information field that the peer receives.
    pub peer_mru: u16,
    pub random: &'a mut Random,
    pub out: &'a mut Output,
}

/// How an option of the peer's Configure-Request is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    Ack,
    Nak,
    Reject,
}

/// The options of one protocol: what we ask for, and what the peer was granted.
pub(crate) trait Options {
    const PROTOCOL: Protocol;

    /// Appends the options that we ask for.
    fn request(&self, config: &Config, out: &mut Vec<u8>);

    /// A Configure-Request of the peer begins: what earlier ones said does not count.
    fn begin(&mut self);

    /// Takes an option of that request; to Nak it, appends what we want instead.
    fn judge(&mut self, cx: &mut Context<'_>, option: Opt<'_>, nak: &mut Vec<u8>) -> Result<Answer, Why>;

    /// That request was all acceptable: appends what is missing in it.
    fn missing(&mut self, cx: &mut Context<'_>, nak: &mut Vec<u8>);

    /// The peer wants another value for what we ask, or wants us to ask for it.
    fn naked(&mut self, cx: &mut Context<'_>, option: Opt<'_>) -> Result<(), Why>;

    /// The peer does not want what we ask for.
    fn rejected(&mut self, config: &Config, kind: u8) -> Result<(), Why>;
}

/// What a step has led to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Signal {
    /// The protocol is open.
    Up,
    /// It is no longer open.
    Down,
    /// It has ended.
    Finished,
}

/// A packet that led to nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Useless {
    Malformed,
    Stale,
    Rejected,
}

type Step = Result<Option<Signal>, Useless>;

/// The request of the peer that we have acked last.
struct Acked {
    id: u8,
    options: Box<[u8]>,
    until: Instant,
}

/// One protocol between two ends.
pub(crate) struct Negotiation<O> {
    pub(crate) options: O,
    state: State,
    /// The Identifier of our last Configure-Request or Terminate-Request.
    request: u8,
    /// The Identifier used last.
    id: u8,
    /// Whether our last Configure-Request waits for its answer.
    waiting: bool,
    restarts: u8,
    /// Configure-Naks sent since the last Ack.
    naks: u8,
    /// Answers other than Ack sent since the last Ack.
    refusals: u16,
    /// Configure-Naks received since the last other answer.
    naked: u8,
    deadline: Option<Instant>,
    /// When it has been negotiated for too long.
    until: Option<Instant>,
    acked: Option<Acked>,
    /// Why it ends, once it does.
    why: Option<Why>,
    /// What our Terminate-Requests say.
    farewell: Box<[u8]>,
}

impl<O: Options> Negotiation<O> {
    pub(crate) fn new(options: O, random: &mut Random) -> Self {
        let id = random.nonzero() as u8;
        Self {
            options,
            state: State::Initial,
            request: id,
            id,
            waiting: false,
            restarts: 0,
            naks: 0,
            refusals: 0,
            naked: 0,
            deadline: None,
            until: None,
            acked: None,
            why: None,
            farewell: Box::default(),
        }
    }

    /// The lower layer is up, and the link is wanted.
    pub(crate) fn open(&mut self, cx: &mut Context<'_>) {
        self.apply(cx, Event::Open, None);
        self.apply(cx, Event::Up, None);
    }

    /// Likewise, but the peer begins, and has as much time for that as our own requests would take.
    pub(crate) fn listen(&mut self, cx: &mut Context<'_>) {
        let Timing { restart, max_configure, .. } = cx.config.timing;
        self.state = State::Stopped;
        self.deadline = Some(cx.now + restart * max_configure.into());
    }

    /// Others have negotiated this: it is open.
    pub(crate) fn adopt(&mut self) {
        self.state = State::Opened;
    }

    /// The link is no longer wanted.
    pub(crate) fn close(&mut self, cx: &mut Context<'_>, why: &str) -> Option<Signal> {
        let most = usize::from(cx.peer_mru).saturating_sub(HEADER);
        self.farewell = why.as_bytes()[..why.len().min(most)].into();
        self.apply(cx, Event::Close, None)
    }

    pub(crate) const fn state(&self) -> State {
        self.state
    }

    pub(crate) fn is_open(&self) -> bool {
        self.state == State::Opened
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.deadline.into_iter().chain(self.until).min()
    }

    /// Why it has ended.
    pub(crate) fn why(&mut self) -> Why {
        self.why.take().unwrap_or(Why::NoAnswer)
    }

    /// The options of the peer's request that was acked last.
    pub(crate) fn acked(&self) -> Option<&[u8]> {
        self.acked.as_ref().map(|acked| &*acked.options)
    }

    /// The next Identifier.
    pub(crate) const fn next_id(&mut self) -> u8 {
        self.id = self.id.wrapping_add(1);
        self.id
    }

    /// The restart timer may have expired.
    pub(crate) fn handle_timeout(&mut self, cx: &mut Context<'_>) -> Option<Signal> {
        if self.until.take_if(|until| *until <= cx.now).is_some() {
            return self.fail(cx, Why::NotConverging);
        }
        self.deadline.take_if(|deadline| *deadline <= cx.now)?;
        match (self.state, self.restarts) {
            (State::Stopped, _) => Some(Signal::Finished),
            // The peer may be open already, and would not notice.
            (state, 0) if state >= State::ReqSent && self.acked.is_some() => self.fail(cx, Why::NoAnswer),
            (_, 0) => self.apply(cx, Event::TimeoutLast, None),
            (_, _) => self.apply(cx, Event::Timeout, None),
        }
    }

    /// A packet of this protocol. Codes that its layer above knows never get here.
    pub(crate) fn handle(&mut self, cx: &mut Context<'_>, packet: Packet<'_>) -> Step {
        match packet.code {
            code::CONFIGURE_REQUEST => self.requested(cx, packet),
            code::CONFIGURE_ACK | code::CONFIGURE_NAK | code::CONFIGURE_REJECT => self.answered(cx, packet),
            code::TERMINATE_REQUEST => {
                if !matches!(self.state, State::Closing | State::Stopping) {
                    self.why = Some(Why::Terminated { message: packet.data.into() });
                }
                Ok(self.apply(cx, Event::TerminateRequest, Some(packet)))
            }
            code::TERMINATE_ACK => Ok(self.apply(cx, Event::TerminateAck, None)),
            code::CODE_REJECT => match packet.data.first() {
                None => Err(Useless::Malformed),
                // Without these there is no protocol.
                Some(code::CONFIGURE_REQUEST..=code::CODE_REJECT) => Ok(self.fail(cx, Why::Rejected)),
                Some(_) => Ok(self.apply(cx, Event::RejectGood, None)),
            },
            _ => {
                let mut rejected = packet.bytes();
                rejected.truncate(usize::from(cx.peer_mru).saturating_sub(HEADER));
                let reject = Packet { code: code::CODE_REJECT, id: self.next_id(), data: &rejected };
                self.apply(cx, Event::UnknownCode, Some(reject));
                Err(Useless::Rejected)
            }
        }
    }

    /// The protocol cannot go on: because the peer does not know it (RXJ-), or because we say so.
    pub(crate) fn fail(&mut self, cx: &mut Context<'_>, why: Why) -> Option<Signal> {
        let event = if why == Why::Rejected { Event::RejectBad } else { Event::Close };
        self.farewell = why.farewell().as_bytes().into();
        self.why = Some(why);
        self.apply(cx, event, None)
    }

    /// A Configure-Request (RFC 1661 §5.1).
    fn requested(&mut self, cx: &mut Context<'_>, packet: Packet<'_>) -> Step {
        let asked =
            options(packet.data).filter(|_| packet.data.len() <= LONGEST).ok_or(Useless::Malformed)?;
        if self.repeated(cx.now, packet) {
            cx.out.send(O::PROTOCOL, &Packet { code: code::CONFIGURE_ACK, ..packet });
            return Ok(None);
        }
        if matches!(self.state, State::Initial | State::Starting | State::Closing | State::Stopping) {
            return Err(Useless::Stale);
        }
        let (code, data) = match self.judge(cx, asked) {
            Ok(answer) => answer,
            Err(why) => return Ok(self.fail(cx, why)),
        };
        let Timing { restart, max_failure, .. } = cx.config.timing;
        let (event, answer) = match code {
            None => {
                (self.naks, self.refusals) = (0, 0);
                let until = cx.now + restart * REPETITION;
                self.acked = Some(Acked { id: packet.id, options: packet.data.into(), until });
                (Event::GoodRequest, Packet { code: code::CONFIGURE_ACK, ..packet })
            }
            Some(code) => {
                self.naks = self.naks.saturating_add(u8::from(code == code::CONFIGURE_NAK));
                self.refusals = self.refusals.saturating_add(1);
                self.acked = None;
                (Event::BadRequest, Packet { code, id: packet.id, data: &data })
            }
        };
        if self.refusals > u16::from(max_failure) * REFUSALS {
            return Ok(self.fail(cx, Why::NotConverging));
        }
        Ok(self.apply(cx, event, Some(answer)))
    }

    /// Whether this is a request that we have just acked.
    fn repeated(&self, now: Instant, packet: Packet<'_>) -> bool {
        self.is_open()
            && self.acked.as_ref().is_some_and(|acked| {
                acked.id == packet.id && *acked.options == *packet.data && now <= acked.until
            })
    }

    /// The code and data of the answer to these options; `None`: all are acked.
    fn judge<'a>(
        &mut self,
        cx: &mut Context<'_>,
        asked: impl Iterator<Item = Opt<'a>>,
    ) -> Result<(Option<u8>, Vec<u8>), Why> {
        let (mut naks, mut rejects) = (Vec::new(), Vec::new());
        let patient = self.naks < cx.config.timing.max_failure;
        let mut seen = [false; 256];
        self.options.begin();
        for option in asked {
            let twice = core::mem::replace(&mut seen[usize::from(option.kind)], true);
            let answer = if twice { Answer::Reject } else { self.options.judge(cx, option, &mut naks)? };
            if answer == Answer::Reject || answer == Answer::Nak && !patient {
                option.write(&mut rejects);
            }
        }
        if !rejects.is_empty() {
            return Ok((Some(code::CONFIGURE_REJECT), rejects));
        }
        if naks.is_empty() && patient {
            self.options.missing(cx, &mut naks);
        }
        Ok(((!naks.is_empty()).then_some(code::CONFIGURE_NAK), naks))
    }

    /// An answer to our Configure-Request (RFC 1661 §5.2 to §5.4).
    fn answered(&mut self, cx: &mut Context<'_>, packet: Packet<'_>) -> Step {
        // Of several values for the same option, the first is what the peer wants most.
        let mut seen = [false; 256];
        let first = |option: &Opt<'_>| !core::mem::replace(&mut seen[usize::from(option.kind)], true);
        let told = options(packet.data).ok_or(Useless::Malformed)?.filter(first);
        if matches!(self.state, State::Closed | State::Stopped) {
            return Ok(self.apply(cx, Event::Ack, Some(packet)));
        }
        if !self.waiting || packet.id != self.request {
            return Err(Useless::Stale);
        }
        let mut ours = Vec::new();
        self.options.request(cx.config, &mut ours);
        let asked = |kind| options(&ours).is_some_and(|mut ours| ours.any(|option| option.kind == kind));
        let patient = self.naked < cx.config.timing.max_failure;
        let event = match packet.code {
            code::CONFIGURE_ACK if packet.data != ours => return Err(Useless::Malformed),
            code::CONFIGURE_ACK => Event::Ack,
            code::CONFIGURE_NAK if patient => {
                self.naked += 1;
                for option in told {
                    if let Err(why) = self.options.naked(cx, option) {
                        return Ok(self.fail(cx, why));
                    }
                }
                Event::Nak
            }
            // A Reject, or one Nak too many.
            _ => {
                let mut kinds = told.map(|option| option.kind).filter(|kind| asked(*kind)).peekable();
                if kinds.peek().is_none() {
                    return Err(Useless::Malformed);
                }
                for kind in kinds {
                    if let Err(why) = self.options.rejected(cx.config, kind) {
                        return Ok(self.fail(cx, why));
                    }
                }
                Event::Nak
            }
        };
        self.waiting = false;
        if packet.code != code::CONFIGURE_NAK {
            self.naked = 0;
        }
        Ok(self.apply(cx, event, None))
    }

    /// Does what the table says; `answer` is what it has to send, or what a Terminate-Ack is for.
    fn apply(&mut self, cx: &mut Context<'_>, event: Event, answer: Option<Packet<'_>>) -> Option<Signal> {
        let (actions, next) = self.state.on(event)?;
        let Timing { restart, max_configure, max_terminate, .. } = cx.config.timing;
        let mut signal = None;
        for action in actions {
            match action {
                Action::ThisLayerDown => signal = Some(Signal::Down),
                Action::ThisLayerUp => signal = Some(Signal::Up),
                Action::ThisLayerFinished => signal = Some(Signal::Finished),
                Action::ThisLayerStarted => {}
                Action::InitRestartCount if matches!(next, State::Closing | State::Stopping) => {
                    self.restarts = max_terminate;
                }
                Action::InitRestartCount => self.restarts = max_configure,
                Action::ZeroRestartCount => {
                    self.restarts = 0;
                    self.deadline = Some(cx.now + restart);
                }
                Action::SendRequest => {
                    // A repetition keeps its Identifier, so that the answer to either counts.
                    if event != Event::Timeout || !self.waiting {
                        self.request = self.next_id();
                    }
                    self.waiting = true;
                    let mut data = Vec::new();
                    self.options.request(cx.config, &mut data);
                    self.ask(
                        cx,
                        Packet { code: code::CONFIGURE_REQUEST, id: self.request, data: &data },
                        restart,
                    );
                }
                Action::SendTerminate => {
                    if event != Event::Timeout {
                        self.request = self.next_id();
                    }
                    self.waiting = false;
                    let farewell = core::mem::take(&mut self.farewell);
                    let request = Packet { code: code::TERMINATE_REQUEST, id: self.request, data: &farewell };
                    self.ask(cx, request, restart);
                    self.farewell = farewell;
                }
                Action::SendTerminateAck => {
                    if let Some(Packet { id, .. }) = answer {
                        cx.out.send(O::PROTOCOL, &Packet { code: code::TERMINATE_ACK, id, data: &[] });
                    }
                }
                Action::SendAck | Action::SendNak | Action::SendCodeReject | Action::SendEchoReply => {
                    if let Some(answer) = answer {
                        cx.out.send(O::PROTOCOL, &answer);
                    }
                }
            }
        }
        // A passive end goes on waiting, whatever comes but a request.
        if next == State::Opened || next <= State::Stopped && next != self.state {
            self.deadline = None;
        }
        self.until = matches!(next, State::ReqSent | State::AckRcvd | State::AckSent)
            .then(|| self.until.unwrap_or(cx.now + restart * (u32::from(max_configure) * ROUNDS)));
        self.state = next;
        signal
    }

    /// Sends what wants an answer within the restart time.
    fn ask(&mut self, cx: &mut Context<'_>, packet: Packet<'_>, restart: Duration) {
        self.restarts = self.restarts.saturating_sub(1);
        self.deadline = Some(cx.now + restart);
        cx.out.send(O::PROTOCOL, &packet);
    }
}
