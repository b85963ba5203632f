use std::collections::VecDeque;
use std::time::Duration;

use l2tp_control::config::{Config, Policy};
use l2tp_control::wire::{self, Attribute, Hiding, Message, MessageType, Scccn};
use l2tp_control::{Endpoint, Event, Instant, Path};
use l2tp_data::id::{SessionId, TunnelId};

use super::{Sent, config, connect_to, icrq, kinds, path, sccrp, sccrq};

/// One endpoint, whose peers are made by hand.
pub(crate) struct Bed {
    pub(crate) now: Instant,
    pub(crate) end: Endpoint,
    pub(crate) events: VecDeque<Event>,
    /// Datagrams that no peer has taken yet.
    pub(crate) sent: Vec<Sent>,
}

/// One end of a tunnel, made by hand: it has numbers and ids, and no state.
pub(crate) struct Peer {
    /// The way to it, for the endpoint.
    pub(crate) path: Path,
    /// The tunnel id that it assigns.
    pub(crate) id: u16,
    /// The tunnel id that the endpoint assigned.
    pub(crate) theirs: u16,
    pub(crate) ns: u16,
    pub(crate) nr: u16,
}

impl Peer {
    pub(crate) fn new(address: &str, id: u16) -> Self {
        Self { path: path(address), id, theirs: 0, ns: 0, nr: 0 }
    }

    /// A message with the next number, and what acks all that has come.
    pub(crate) fn datagram<'a>(&mut self, session: u16, message: impl Into<Message<'a>>) -> Vec<u8> {
        self.hidden(session, message, None)
    }

    pub(crate) fn hidden<'a>(
        &mut self,
        session: u16,
        message: impl Into<Message<'a>>,
        hiding: Option<&Hiding<'_>>,
    ) -> Vec<u8> {
        let (message, mut bytes) = (message.into(), vec![0; Message::MAX]);
        let length = message.encode(self.theirs, session, hiding, &mut bytes).unwrap();
        bytes.truncate(length);
        wire::set_numbers(&mut bytes, self.ns, self.nr);
        if message != Message::Zlb {
            self.ns = self.ns.wrapping_add(1);
        }
        bytes
    }
}

impl Bed {
    pub(crate) fn new(policy: &Policy) -> Self {
        Self::with(config(policy))
    }

    pub(crate) fn with(config: Config) -> Self {
        let end = Endpoint::new(config, [7; 32]);
        Self { now: Instant::from_micros(1_000_000), end, events: VecDeque::new(), sent: Vec::new() }
    }

    /// Collects what the endpoint says and tells.
    pub(crate) fn drain(&mut self) {
        let mut buffer = vec![0; Message::MAX];
        while let Some(transmit) = self.end.poll_transmit(self.now, &mut buffer) {
            let bytes = buffer[..transmit.len].to_vec();
            self.sent.push(Sent { path: transmit.path, bytes });
        }
        self.events.extend(std::iter::from_fn(|| self.end.poll_event()));
    }

    /// A datagram comes in.
    pub(crate) fn give(&mut self, path: Path, mut bytes: Vec<u8>) {
        self.end.handle_datagram(self.now, path, &mut bytes);
        self.drain();
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        self.drain();
        while let Some(next) = self.end.poll_timeout().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.end.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    /// What was sent to a peer's address since it last took it. It notes the numbers and the endpoint's id.
    pub(crate) fn take(&mut self, peer: &mut Peer) -> Vec<Sent> {
        let (mine, others) = self.sent.drain(..).partition(|sent: &Sent| sent.path.peer == peer.path.peer);
        self.sent = others;
        for sent in &mine {
            if let Some(kind) = sent.kind() {
                if sent.header().ns == peer.nr {
                    peer.nr = peer.nr.wrapping_add(1);
                }
                if matches!(kind, MessageType::SCCRQ | MessageType::SCCRP) {
                    peer.theirs = sent.number(Attribute::ASSIGNED_TUNNEL_ID);
                }
            }
        }
        mine
    }

    /// A message of a peer comes in. Returns the answers to it.
    pub(crate) fn send<'a>(
        &mut self,
        peer: &mut Peer,
        session: u16,
        message: impl Into<Message<'a>>,
    ) -> Vec<Sent> {
        let bytes = peer.datagram(session, message);
        self.give(peer.path, bytes);
        self.take(peer)
    }

    /// The peer acks all that has come, and gets what had to wait for that.
    pub(crate) fn ack(&mut self, peer: &mut Peer) -> Vec<Sent> {
        self.send(peer, 0, Message::Zlb)
    }

    /// A tunnel that the peer has opened. What the endpoint told is forgotten.
    pub(crate) fn opened_by(&mut self, peer: &mut Peer) -> TunnelId {
        let id = peer.id;
        assert_eq!(kinds(&self.send(peer, 0, sccrq(id))), [MessageType::SCCRP]);
        self.send(peer, 0, Scccn { challenge_response: None });
        let up = self.events.pop_front();
        assert!(matches!(up, Some(Event::TunnelUp { .. })), "{up:?}");
        TunnelId::new(peer.theirs).unwrap()
    }

    /// A tunnel that the endpoint has opened to the peer. What the endpoint told is forgotten.
    pub(crate) fn opened_to(&mut self, peer: &mut Peer, policy: &Policy) -> TunnelId {
        let tunnel = self.dialling(peer, policy);
        let id = peer.id;
        assert_eq!(kinds(&self.send(peer, 0, sccrp(id))), [MessageType::SCCCN]);
        let up = self.events.pop_front();
        assert!(matches!(up, Some(Event::TunnelUp { .. })), "{up:?}");
        self.ack(peer);
        tunnel
    }

    /// A tunnel in wait-ctl-reply. The peer has got the SCCRQ.
    pub(crate) fn dialling(&mut self, peer: &mut Peer, policy: &Policy) -> TunnelId {
        let to = peer.path.peer.to_string();
        let tunnel = self.end.connect(self.now, connect_to(&to, policy)).unwrap();
        self.drain();
        assert_eq!(kinds(&self.take(peer)), [MessageType::SCCRQ]);
        tunnel
    }

    /// A call that the peer has offered, with this id of its own.
    pub(crate) fn offered_by(&mut self, peer: &mut Peer, id: u16) -> SessionId {
        assert_eq!(kinds(&self.send(peer, 0, icrq(id))), []);
        match self.events.pop_back() {
            Some(Event::CallOffered { session, .. }) => session,
            event => panic!("{event:?}"),
        }
    }

    /// What was told since it was last asked.
    pub(crate) fn told(&mut self) -> Vec<Event> {
        self.events.drain(..).collect()
    }

    /// What was counted under a name.
    pub(crate) fn count(&self, name: &str) -> u64 {
        self.end.counters().find(|(found, _)| *found == name).map_or(0, |(_, count)| count)
    }
}
