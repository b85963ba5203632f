//! The endpoint: all tunnels of one side, LAC and LNS at once.
//!
//! ```text
//!  handle_datagram ─► header ─► tunnel id 0? ─► SCCRQ ─► admission ─► a new tunnel      (request.rs)
//!                       │ ours: source ─► order ─► body ─► tunnel's table               (control.rs)
//!  commands ────────────┤                              └─► session's table              (calls.rs)
//!  handle_timeout ──────┘
//!                       └─► poll_transmit, poll_event, poll_timeout
//! ```

mod calls;
mod control;
#[cfg(feature = "record")]
mod inspect;
mod request;

use core::net::SocketAddr;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use chacha20::ChaCha12Rng;
use l2tp_data::id::{SessionId, TunnelId};
use rand_core::{Rng, SeedableRng};

use super::Instant;
use super::admission::Admission;
use super::call;
use super::config::{Config, Policy};
use super::error::Misuse;
use super::event::{By, Cause, Event, Path, Remote};
use super::ids::IdPool;
use super::reliable::{self, Arrival, Reliable};
use super::timers::Timers;
use super::tunnel::{Life, Opener, State, Tunnel, message_type};
use super::wire::{
    Body, Header, Hiding, Leniencies, Message, MessageType, OtherAvps, StopResult, decode_body, set_numbers,
};

/// Answers to strangers that wait to be sent, at most.
const REPLIES: usize = 256;

/// What [`Endpoint::poll_transmit`] has written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transmit {
    /// The way it goes.
    pub path: Path,
    /// Bytes of the buffer.
    pub len: usize,
}

/// What a timer is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Owner {
    Tunnel(TunnelId),
    Session(TunnelId, SessionId),
}

/// One side of L2TP's control protocol: all of its tunnels and sessions.
///
/// The caller has the sockets and the clock. After each call that takes `&mut self` it drains
/// [`poll_transmit`](Self::poll_transmit) and [`poll_event`](Self::poll_event), in this order, and then
/// asks [`poll_timeout`](Self::poll_timeout) when to call [`handle_timeout`](Self::handle_timeout).
/// Times never go backwards. The same calls with the same seed give the same output.
#[derive(Debug)]
pub struct Endpoint {
    tunnels: BTreeMap<TunnelId, Box<Tunnel>>,
    core: Core,
}

/// What tunnels share.
#[derive(Debug)]
struct Core {
    config: Arc<Config>,
    rng: ChaCha12Rng,
    ids: IdPool<TunnelId>,
    /// Tunnels by the peer and the id that it assigned: several, until one of them is established.
    by_peer: BTreeSet<(Remote, TunnelId, TunnelId)>,
    /// Tunnels that we are opening.
    opening: BTreeSet<(SocketAddr, TunnelId)>,
    admission: Admission,
    timers: Timers<Owner>,
    /// Tunnels that may have something to send.
    ready: VecDeque<TunnelId>,
    replies: VecDeque<(Path, Vec<u8>)>,
    events: VecDeque<Event>,
    /// Sessions of all tunnels.
    sessions: usize,
    /// Tunnels that are not closing.
    open: usize,
    counters: BTreeMap<&'static str, u64>,
    scratch: Box<[u8]>,
}

/// How a tunnel is opened.
#[derive(Clone, Debug)]
pub struct Connect {
    /// Where the peer is.
    pub path: Path,
    /// How to deal with it.
    pub policy: Arc<Policy>,
}

impl Endpoint {
    /// An endpoint without tunnels. The seed has to be unpredictable: ids and challenges come from it.
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        let mut rng = ChaCha12Rng::from_seed(seed);
        let admission = Admission::new(rng.next_u64());
        let core = Core {
            config: Arc::new(config),
            rng,
            ids: IdPool::new(),
            by_peer: BTreeSet::new(),
            opening: BTreeSet::new(),
            admission,
            timers: Timers::new(),
            ready: VecDeque::new(),
            replies: VecDeque::new(),
            events: VecDeque::new(),
            sessions: 0,
            open: 0,
            counters: BTreeMap::new(),
            scratch: vec![0; Message::MAX].into(),
        };
        Self { tunnels: BTreeMap::new(), core }
    }

    /// The configuration, to be changed while running: it is for tunnels and sessions to come.
    pub fn config_mut(&mut self) -> &mut Config {
        Arc::make_mut(&mut self.core.config)
    }

    /// Whether new tunnels and calls of peers are refused, so that the endpoint empties.
    pub fn set_draining(&mut self, draining: bool) {
        self.core.admission.draining = draining;
    }

    /// A datagram that came on `path`. Hidden AVPs are decrypted in it.
    pub fn handle_datagram(&mut self, now: Instant, path: Path, datagram: &mut [u8]) {
        let header = match Header::parse(datagram) {
            Ok(header) => header,
            Err(malformed) => return self.core.count(malformed.name()),
        };
        let Some(id) = TunnelId::new(header.tunnel_id) else {
            return self.request(now, path, &header, datagram);
        };
        if !self.tunnels.contains_key(&id) {
            return self.stray(now, path, &header, datagram);
        }
        self.receive(now, path, id, &header, datagram);
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((_, owner)) = self.core.timers.expire(now) {
            match owner {
                Owner::Tunnel(tunnel) => self.tunnel_timeout(now, tunnel),
                Owner::Session(tunnel, session) => self.session_timeout(now, tunnel, session),
            }
        }
    }

    /// Writes the next datagram to send into `out`, which has room for [`Message::MAX`] bytes.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut [u8]) -> Option<Transmit> {
        debug_assert!(out.len() >= Message::MAX, "what does not fit is lost");
        if let Some((path, reply)) = self.core.replies.pop_front() {
            out.get_mut(..reply.len())?.copy_from_slice(&reply);
            return Some(Transmit { path, len: reply.len() });
        }
        while let Some(&id) = self.core.ready.front() {
            if let Some(tunnel) = self.tunnels.get_mut(&id) {
                if let Some(transmit) = tunnel.transmit(now, out) {
                    self.core.went(tunnel, &out[..transmit.len]);
                    return Some(transmit);
                }
                tunnel.ready = false;
                self.core.arm(tunnel);
                if tunnel.is_done() {
                    self.remove(now, id);
                }
            }
            self.core.ready.pop_front();
        }
        None
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.core.events.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Instant> {
        debug_assert!(
            self.core.ready.is_empty() && self.core.replies.is_empty(),
            "drain poll_transmit first"
        );
        self.core.timers.next()
    }

    /// Opens a tunnel. [`Event::TunnelUp`] or [`Event::TunnelDown`] follows.
    ///
    /// # Errors
    ///
    /// All tunnel ids are in use, or the policy has no secret to challenge the peer with.
    pub fn connect(&mut self, now: Instant, connect: Connect) -> Result<TunnelId, Misuse> {
        let Connect { path, policy } = connect;
        if policy.challenge && policy.secret.is_none() {
            return Err(Misuse::NoSecret);
        }
        let core = &mut self.core;
        let tie = policy.tie_breaker.then(|| core.rng.next_u64());
        let mut tunnel = core.tunnel(now, path, policy, Opener::Us(tie)).ok_or(Misuse::NoIds)?;
        let id = tunnel.id;
        core.opening.insert((path.peer, id));
        core.sccrq(&mut tunnel, tie);
        self.tunnels.insert(id, tunnel);
        Ok(id)
    }

    /// Closes a tunnel and all of its sessions. [`Event::TunnelDown`] follows.
    ///
    /// # Errors
    ///
    /// There is no such tunnel.
    pub fn close(&mut self, now: Instant, id: TunnelId, cause: Cause<StopResult>) -> Result<(), Misuse> {
        let tunnel = self.tunnels.get(&id).filter(|tunnel| tunnel.state != State::Closing);
        tunnel.ok_or(Misuse::NoTunnel)?;
        self.stop(now, id, By::Us, cause);
        Ok(())
    }

    /// Data messages have come on a tunnel: its peer lives, and needs no HELLO for now. Meant for now and
    /// then, not for every packet.
    pub fn data_received(&mut self, now: Instant, id: TunnelId) {
        if let Some(tunnel) = self.tunnels.get_mut(&id) {
            tunnel.life.received = now;
        }
    }

    /// Data messages were sent on a tunnel: a HELLO can wait, though not for ever, since nobody may be
    /// listening.
    pub fn data_sent(&mut self, now: Instant, id: TunnelId) {
        if let Some(tunnel) = self.tunnels.get_mut(&id) {
            tunnel.life.sent = now;
        }
    }

    /// How many tunnels there are, closing ones included.
    pub fn tunnels(&self) -> usize {
        self.tunnels.len()
    }

    /// How many tunnels peers have begun to open.
    pub fn half_open(&self) -> usize {
        self.core.admission.half_open()
    }

    /// How many sessions there are.
    pub fn sessions(&self) -> usize {
        self.core.sessions
    }

    /// Whether nothing is left of any tunnel, neither an entry in a table nor a timer: who drains it can
    /// end.
    pub fn is_empty(&self) -> bool {
        let core = &self.core;
        let indexes = core.by_peer.is_empty() && core.opening.is_empty() && core.timers.is_empty();
        let queues = core.ready.is_empty() && core.replies.is_empty() && core.events.is_empty();
        let counts = core.open + core.sessions == 0 && core.admission.is_empty();
        self.tunnels.is_empty() && indexes && queues && counts
    }

    /// A tunnel's state.
    pub fn tunnel_state(&self, id: TunnelId) -> Option<State> {
        self.tunnels.get(&id).map(|tunnel| tunnel.state)
    }

    /// How a tunnel's peer is dealt with: the policy of the rule that fitted when it opened the tunnel, or
    /// the one that we [connected](Self::connect) with.
    pub fn policy(&self, id: TunnelId) -> Option<&Arc<Policy>> {
        self.tunnels.get(&id).map(|tunnel| &tunnel.policy)
    }

    /// Whether each end of a tunnel knows that it has all the other has said: who ends waits for that.
    pub fn is_settled(&self, id: TunnelId) -> bool {
        let settled = |tunnel: &Tunnel| tunnel.reliable.is_idle() && tunnel.reliable.next_timeout().is_none();
        self.tunnels.get(&id).is_none_or(|tunnel| settled(tunnel))
    }

    /// What a tunnel's reliable delivery has counted.
    pub fn delivery(&self, id: TunnelId) -> Option<&reliable::Counters> {
        self.tunnels.get(&id).map(|tunnel| tunnel.reliable.counters())
    }

    /// A session's state.
    pub fn session_state(&self, id: TunnelId, session: SessionId) -> Option<call::State> {
        self.tunnels.get(&id)?.sessions.get(&session).map(|session| session.state)
    }

    /// The ids that the peer assigned to a tunnel and to one of its sessions. A session of which both are
    /// known can receive data, also before [`Event::CallUp`]: the LAC may send ahead of its ICCN.
    pub fn peer_ids(&self, id: TunnelId, session: SessionId) -> Option<(TunnelId, SessionId)> {
        let tunnel = self.tunnels.get(&id)?;
        Some((tunnel.peer?, tunnel.sessions.get(&session)?.peer?))
    }

    /// What has been dropped, ignored or refused so far, and under which name.
    pub fn counters(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.core.counters.iter().map(|(name, count)| (*name, *count))
    }

    /// A message for a tunnel of ours.
    fn receive(&mut self, now: Instant, path: Path, id: TunnelId, header: &Header, datagram: &mut [u8]) {
        let (Some(tunnel), core) = (self.tunnels.get_mut(&id), &mut self.core) else { return };
        let bytes = &datagram[..header.length.into()];
        let strict = !tunnel.policy.leniencies.contains(Leniencies::TRAILING_BYTES);
        if strict && bytes.len() < datagram.len() {
            return core.count("trailing");
        }
        if path.remote() != tunnel.path.remote() && !core.follow(tunnel, path, header, bytes) {
            return core.count("foreign_source");
        }
        if tunnel.gave_way && tunnel.state != State::Established && core.is_late(path, header, bytes) {
            return core.count("late_answer");
        }
        if tunnel.state == State::WaitCtlReply {
            // RFC 2661 §8.1: addresses stay what they were at first; ours is the one that is answered.
            tunnel.path.local = tunnel.path.local.or(path.local);
        }
        let taken = !header.is_zlb() && !core.is_too_much(tunnel, bytes);
        let timing = tunnel.timing();
        let receipt = tunnel.reliable.receive(now, &timing, header.ns, header.nr, taken.then_some(bytes));
        tunnel.life.heard = now;
        core.touch(tunnel);
        if receipt.arrival != Arrival::Deliver {
            return;
        }
        self.message(now, id, header, datagram);
        while let Some(mut stored) = self.stored(id) {
            if let Ok(header) = Header::parse(&stored) {
                self.message(now, id, &header, &mut stored);
            }
        }
    }

    fn stored(&mut self, id: TunnelId) -> Option<Box<[u8]>> {
        self.tunnels.get_mut(&id)?.reliable.take_stored()
    }

    /// A message in its turn.
    fn message(&mut self, now: Instant, id: TunnelId, header: &Header, datagram: &mut [u8]) {
        let Some(tunnel) = self.tunnels.get_mut(&id) else { return };
        let policy = tunnel.policy.clone();
        match decode_body(header, datagram, policy.secret.as_ref(), policy.leniencies) {
            Ok(body) => {
                self.core.note(&body);
                self.dispatch(now, id, &body);
            }
            Err(failure) => self.failed(now, id, header.session_id, &failure),
        }
        if let Some(tunnel) = self.tunnels.get_mut(&id) {
            self.core.touch(tunnel);
        }
    }

    fn dispatch(&mut self, now: Instant, id: TunnelId, body: &Body<'_>) {
        let closing = self.tunnel_state(id) == Some(State::Closing);
        match &body.message {
            message if closing => self.ended(now, id, message),
            Message::Zlb | Message::Hello(_) => {}
            Message::Unknown(_) => self.core.count("unknown_message"),
            Message::Sccrq(_) | Message::Sccrp(_) | Message::Scccn(_) | Message::StopCcn(_) => {
                self.control(now, id, body);
            }
            _ => self.session_message(now, id, body),
        }
    }

    /// Takes a tunnel out. Its id lingers, unless the tunnel itself has.
    fn remove(&mut self, now: Instant, id: TunnelId) {
        let Some(tunnel) = self.tunnels.remove(&id) else { return };
        self.core.opening.remove(&(tunnel.path.peer, id));
        if let Some(peer) = tunnel.peer {
            self.core.by_peer.remove(&(tunnel.path.remote(), peer, id));
        }
        self.core.timers.remove(tunnel.timer);
        let linger = if tunnel.lingers { Default::default() } else { tunnel.policy.timing.cycle() };
        self.core.ids.release(id, now, linger);
    }
}

impl Core {
    fn count(&mut self, name: &'static str) {
        self.count_many(name, 1);
    }

    fn count_many(&mut self, name: &'static str, n: u64) {
        if n > 0 {
            *self.counters.entry(name).or_default() += n;
        }
    }

    /// What was forgiven and ignored in a message.
    fn note(&mut self, body: &Body<'_>) {
        let used = Leniencies::NAMES.iter().filter(|(leniency, _)| body.used.contains(*leniency));
        used.for_each(|(_, name)| self.count(name));
        self.count_many("ignored_avps", body.ignored.into());
    }

    /// Whether a message from elsewhere is the peer's first answer, from a port of its own for this tunnel
    /// (RFC 2661 §8.1): then it stays there.
    fn follow(&mut self, tunnel: &mut Tunnel, path: Path, header: &Header, message: &[u8]) -> bool {
        let first = tunnel.state == State::WaitCtlReply
            && header.ns == tunnel.reliable.nr()
            && message_type(message) == Some(MessageType::SCCRP)
            && path.peer.ip() == tunnel.path.peer.ip();
        if first {
            self.opening.remove(&(tunnel.path.peer, tunnel.id));
            self.opening.insert((path.peer, tunnel.id));
            tunnel.path = path;
        }
        first
    }

    /// Whether a message asks for an answer of a tunnel whose peer does not take our answers.
    fn is_too_much(&mut self, tunnel: &Tunnel, message: &[u8]) -> bool {
        let request = matches!(message_type(message), Some(MessageType::ICRQ | MessageType::OCRQ));
        let too_much = request && tunnel.reliable.backlog() >= self.config.limits.backlog;
        self.count_many("backlog", too_much.into());
        too_much
    }

    /// A new tunnel, not yet in the table.
    fn tunnel(
        &mut self,
        now: Instant,
        path: Path,
        policy: Arc<Policy>,
        opener: Opener,
    ) -> Option<Box<Tunnel>> {
        let id = self.ids.take(now, &mut self.rng)?;
        let state = match opener {
            Opener::Us(_) => State::WaitCtlReply,
            Opener::Peer(_) => State::WaitCtlConn,
        };
        self.open += 1;
        Some(Box::new(Tunnel {
            id,
            peer: None,
            path,
            state,
            lingers: false,
            reliable: Reliable::new(policy.window()),
            timer: self.timers.insert(Owner::Tunnel(id)),
            ready: false,
            opener,
            gave_way: false,
            sessions: BTreeMap::new(),
            by_peer: BTreeMap::new(),
            session_ids: IdPool::new(),
            serial: 0,
            deadline: Some(now + policy.setup),
            created: now,
            life: Life { heard: now, ..Life::default() },
            challenge: None,
            authenticated: false,
            info: None,
            policy,
        }))
    }

    /// After each change of a tunnel: what it may have to send is asked for.
    fn touch(&mut self, tunnel: &mut Tunnel) {
        if !tunnel.ready {
            tunnel.ready = true;
            self.ready.push_back(tunnel.id);
        }
    }

    fn arm(&mut self, tunnel: &Tunnel) {
        self.timers.arm(tunnel.timer, tunnel.next_timeout());
    }

    /// Queues a message.
    fn send(&mut self, tunnel: &mut Tunnel, session: Option<SessionId>, message: &Message<'_>) {
        self.send_with(tunnel, session, message, &OtherAvps::default());
    }

    /// Queues a message that has other AVPs as well.
    fn send_with(
        &mut self,
        tunnel: &mut Tunnel,
        session: Option<SessionId>,
        message: &Message<'_>,
        others: &OtherAvps,
    ) {
        let (mut vector, mut padding) = ([0; 16], [0; 16]);
        let secret = tunnel.policy.secret.as_ref().filter(|_| tunnel.policy.hide && tunnel.authenticated);
        let hiding = secret.map(|secret| {
            self.rng.fill_bytes(&mut vector);
            self.rng.fill_bytes(&mut padding);
            let length = usize::from(padding[0] & 15);
            Hiding { secret, random_vector: &vector, padding: &padding[..length] }
        });
        let (id, session) = (tunnel.peer.map_or(0, TunnelId::get), session.map_or(0, SessionId::get));
        let encoded = message.encode(id, session, hiding.as_ref(), &mut self.scratch);
        match encoded.and_then(|len| others.append(len, &mut self.scratch)) {
            Ok(len) => tunnel.reliable.send(&self.scratch[..len]),
            // The caller's strings were checked when they came in.
            Err(_) => self.count("not_encodable"),
        }
        self.touch(tunnel);
    }

    /// Queues an answer to a stranger, once and without keeping anything.
    fn reply(&mut self, path: Path, header: &Header, tunnel: Option<TunnelId>, message: &Message<'_>) {
        if self.replies.len() >= REPLIES {
            return self.count("unanswered");
        }
        let id = tunnel.map_or(0, TunnelId::get);
        let Ok(len) = message.encode(id, 0, None, &mut self.scratch) else { return };
        set_numbers(&mut self.scratch[..len], header.nr, header.ns.wrapping_add(1));
        self.replies.push_back((path, self.scratch[..len].to_vec()));
    }
}

impl Tunnel {
    fn transmit(&mut self, now: Instant, out: &mut [u8]) -> Option<Transmit> {
        let (path, timing) = (self.path, self.timing());
        let id = self.peer.map_or(0, TunnelId::get);
        let transmit = self.reliable.poll_transmit(now, &timing)?;
        let len = match transmit.message {
            Some(message) => {
                let out = out.get_mut(..message.len())?;
                out.copy_from_slice(message);
                set_numbers(out, transmit.ns, transmit.nr);
                if self.state == State::Closing {
                    // When the StopCCN was queued, the peer's id may not have been known.
                    out[4..6].copy_from_slice(&id.to_be_bytes());
                }
                message.len()
            }
            None => {
                *out.first_chunk_mut()? = Header::zlb(id, transmit.ns, transmit.nr);
                Header::LEN
            }
        };
        Some(Transmit { path, len })
    }
}
