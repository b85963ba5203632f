use l2tp_control::call::State;
use l2tp_control::config::Policy;
use l2tp_control::wire::{
    Attribute, Bearer, Cdn, CdnResult, Framing, Message, MessageType, Ocrp, Ocrq, Octets, OtherAvps,
    ResultCode,
};
use l2tp_control::{By, Cause, Event, Outgoing, Request};
use l2tp_data::id::{SessionId, TunnelId};

use super::{Bed, Peer, Sent, kinds, session_id};

/// An established tunnel with a hand-made peer, and one call in it. The peer's session id is 9.
pub(crate) struct Call {
    pub(crate) bed: Bed,
    pub(crate) peer: Peer,
    pub(crate) tunnel: TunnelId,
    /// The endpoint's session id.
    pub(crate) session: SessionId,
}

/// The session id that the peer assigns.
pub(crate) const THEIRS: u16 = 9;

impl Call {
    /// A tunnel that the peer has opened, and no call yet.
    pub(crate) fn idle() -> Self {
        let (mut bed, mut peer) = (Bed::new(&Policy::default()), Peer::new(super::LAC, 77));
        let tunnel = bed.opened_by(&mut peer);
        Self { bed, peer, tunnel, session: session_id(1) }
    }

    /// A call that the endpoint has placed, as LAC or as LNS. The peer has got the request.
    pub(crate) fn placed(request: Request) -> Self {
        let mut call = Self::idle();
        call.session = call.bed.end.place_call(call.bed.now, call.tunnel, request, None).unwrap();
        assert_eq!(kinds(&call.said()).len(), 1);
        call
    }

    /// A call that the peer has offered with this message.
    pub(crate) fn offered<'a>(message: impl Into<Message<'a>>) -> Self {
        let mut call = Self::idle();
        assert_eq!(kinds(&call.send(0, message)), []);
        match call.bed.events.pop_front() {
            Some(Event::CallOffered { session, .. }) => Self { session, ..call },
            event => panic!("{event:?}"),
        }
    }

    /// A message of the peer comes in. Returns the answers.
    pub(crate) fn send<'a>(&mut self, session: u16, message: impl Into<Message<'a>>) -> Vec<Sent> {
        let mut sent = self.bed.send(&mut self.peer, session, message);
        sent.extend(self.bed.ack(&mut self.peer));
        sent
    }

    /// The same, about the call.
    pub(crate) fn tell<'a>(&mut self, message: impl Into<Message<'a>>) -> Vec<Sent> {
        self.send(self.session.get(), message)
    }

    pub(crate) fn state(&self) -> Option<State> {
        self.bed.end.session_state(self.tunnel, self.session)
    }

    pub(crate) fn accept(&mut self) -> Vec<Sent> {
        self.bed.end.accept(self.bed.now, self.tunnel, self.session).unwrap();
        self.said()
    }

    pub(crate) fn connected(&mut self) -> Vec<Sent> {
        self.bed.end.connected(self.tunnel, self.session, Default::default()).unwrap();
        self.said()
    }

    pub(crate) fn hang_up(&mut self, result: CdnResult) -> Vec<Sent> {
        self.bed.end.hang_up(self.bed.now, self.tunnel, self.session, Cause::new(result)).unwrap();
        self.said()
    }

    /// What the endpoint has sent meanwhile.
    pub(crate) fn said(&mut self) -> Vec<Sent> {
        self.bed.drain();
        let mut sent = self.bed.take(&mut self.peer);
        sent.extend(self.bed.ack(&mut self.peer));
        self.bed.ack(&mut self.peer);
        sent
    }

    /// A CDN for the call went to the peer, and the call is gone.
    pub(crate) fn assert_disconnected(&mut self, sent: &[Sent], to: u16, result: (u16, u16)) {
        assert_eq!(kinds(sent), [MessageType::CDN]);
        let cdn = sent.iter().find(|sent| sent.kind().is_some()).unwrap();
        assert_eq!((cdn.header().tunnel_id, cdn.header().session_id), (77, to));
        assert_eq!(cdn.number(Attribute::ASSIGNED_SESSION_ID), self.session.get());
        assert_eq!(cdn.result(), result);
        self.assert_gone();
    }

    /// Nothing was said, and the call is gone.
    pub(crate) fn assert_cleaned_up(&mut self, sent: &[Sent]) {
        assert_eq!(kinds(sent), []);
        self.assert_gone();
    }

    fn assert_gone(&mut self) {
        assert_eq!(self.state(), None);
        match self.bed.events.pop_back() {
            Some(Event::CallDown { tunnel, session, .. }) => {
                assert_eq!((tunnel, session), (self.tunnel, self.session));
            }
            event => panic!("{event:?}"),
        }
        assert_eq!(self.bed.end.sessions(), 0);
    }

    /// Why the call has gone, which is the last event.
    pub(crate) fn why(&mut self) -> (By, CdnResult) {
        match self.bed.events.back() {
            Some(Event::CallDown { reason, .. }) => (reason.by, reason.cause.result),
            event => panic!("{event:?}"),
        }
    }
}

/// A CDN of the peer.
pub(crate) fn cdn() -> Cdn<'static> {
    let result = ResultCode { result: CdnResult::ADMINISTRATIVE, error: None, message: Octets(b"bye") };
    Cdn::new(result, Some(session_id(THEIRS)))
}

pub(crate) fn ocrq(id: u16) -> Ocrq<'static> {
    Ocrq::new(session_id(id), 1, 9600, 64_000, Bearer::DIGITAL, Framing::SYNC, "4711".into())
}

pub(crate) fn ocrp(id: u16) -> Ocrp {
    Ocrp::new(session_id(id))
}

pub(crate) fn outgoing() -> Request {
    Request::Outgoing(Outgoing {
        serial: None,
        minimum_bps: 9600,
        maximum_bps: 64_000,
        bearer: Bearer::DIGITAL,
        framing: Framing::SYNC,
        called: b"4711".into(),
        sub_address: None,
        other_avps: OtherAvps::default(),
    })
}
