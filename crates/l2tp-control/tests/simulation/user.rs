//! Who uses an endpoint: gives random commands, and holds the events against what their documentation
//! promises.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use l2tp_control::config::Policy;
use l2tp_control::wire::{Accm, AuthenType, Bearer, CallErrors, CdnResult, Framing, OtherAvps, StopResult};
use l2tp_control::{By, Cause, Connect, Connected, Event, Incoming, Instant, Outgoing, Proxy, Request};
use l2tp_data::id::{SessionId, TunnelId};
use sim::network::Random;

use crate::world::{Side, path};

const SECOND: u64 = 1_000_000;

/// What all users know together, by the Called Number of each call.
#[derive(Default)]
pub(crate) struct Calls {
    calls: BTreeMap<Vec<u8>, Call>,
    /// Tunnels that a user has closed, or that have ended since: who has them, and the id there.
    closed: BTreeSet<(SocketAddr, TunnelId)>,
}

struct Call {
    request: Request,
    connected: Option<Connected>,
    offered: bool,
    /// Somebody has hung up, or its tunnel has ended.
    pub(crate) ended: bool,
    /// SLI and WEN: how many were sent and received.
    told: [u32; 2],
    heard: [u32; 2],
}

/// A user.
pub(crate) struct User {
    random: Random,
    number: usize,
    policy: Arc<Policy>,
    /// Whom it opens tunnels to.
    pub(crate) peers: Vec<SocketAddr>,
    address: Option<SocketAddr>,
    pub(crate) tunnels: BTreeMap<TunnelId, Tunnel>,
    plan: BTreeMap<(u64, u32), Action>,
    planned: u32,
    placed: u32,
}

/// A tunnel as its user sees it.
#[derive(Default)]
pub(crate) struct Tunnel {
    /// The peer and its id, once the tunnel is up.
    pub(crate) peer: Option<(SocketAddr, TunnelId)>,
    closing: bool,
    pub(crate) sessions: BTreeMap<SessionId, Session>,
}

/// A session as its user sees it.
pub(crate) struct Session {
    call: Vec<u8>,
    lac: bool,
    pub(crate) stage: Stage,
    hung_up: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    /// We have placed it; as LAC, whether with what the line is like.
    Placed(bool),
    /// The peer has placed it.
    Offered,
    /// One side has accepted it.
    Accepted,
    Up(SessionId),
}

#[derive(Clone, Copy, Debug)]
enum Action {
    Connect,
    Place,
    /// Anything.
    Something,
    /// Answer a call, or say that it is connected.
    GoOn(TunnelId, SessionId),
    Close(TunnelId),
}

impl User {
    pub(crate) fn new(seed: u64, number: usize, policy: &Policy) -> Self {
        Self {
            random: Random::new(seed),
            number,
            policy: Arc::new(policy.clone()),
            peers: Vec::new(),
            address: None,
            tunnels: BTreeMap::new(),
            plan: BTreeMap::new(),
            planned: 0,
            placed: 0,
        }
    }

    /// Plans so many actions of all kinds within a time.
    pub(crate) fn plan(&mut self, address: SocketAddr, peers: &[SocketAddr], actions: u64, end: u64) {
        self.address = Some(address);
        self.peers = peers.to_vec();
        if !peers.is_empty() {
            let at = self.random.below(SECOND / 10);
            self.later(at, Action::Connect);
        }
        for _ in 0..actions {
            let at = self.random.below(end);
            self.later(at, Action::Something);
        }
    }

    /// Plans to open a tunnel, and to place a call at once.
    pub(crate) fn plan_connect(&mut self, address: SocketAddr, peer: SocketAddr, at: u64) {
        self.address = Some(address);
        self.peers = vec![peer];
        self.later(at, Action::Connect);
        self.later(at + 1, Action::Place);
    }

    /// Plans to close all tunnels.
    pub(crate) fn plan_end(&mut self, now: u64) {
        for id in Vec::from_iter(self.tunnels.keys().copied()) {
            let at = now + self.random.below(SECOND);
            self.later(at, Action::Close(id));
        }
    }

    fn later(&mut self, at: u64, action: Action) {
        self.planned += 1;
        self.plan.insert((at, self.planned), action);
    }

    pub(crate) fn next(&self) -> Option<u64> {
        self.plan.first_key_value().map(|(&(at, _), _)| at)
    }

    /// Does the next thing that is planned, one command at most, and says what.
    pub(crate) fn act(&mut self, now: u64, endpoint: &mut Side, calls: &mut Calls) -> Option<String> {
        let (_, action) = self.plan.pop_first()?;
        let at = Instant::from_micros(now);
        match action {
            Action::Connect => self.connect(at, endpoint),
            Action::Place => self.place(at, endpoint, calls),
            Action::Something => self.something(at, endpoint, calls),
            Action::GoOn(tunnel, session) => self.go_on(now, endpoint, calls, tunnel, session),
            Action::Close(tunnel) => self.close(at, endpoint, calls, tunnel),
        }
    }

    fn something(&mut self, now: Instant, endpoint: &mut Side, calls: &mut Calls) -> Option<String> {
        match self.random.below(20) {
            0 | 1 if self.tunnels.len() < 4 => self.connect(now, endpoint),
            0..10 => self.place(now, endpoint, calls),
            10..13 => {
                let (tunnel, session) = self.any_session(|_| true)?;
                self.hang_up(now, endpoint, calls, tunnel, session)
            }
            13 => {
                let tunnel = self.any_tunnel()?;
                self.close(now, endpoint, calls, tunnel)
            }
            14 => self.misuse(now, endpoint),
            _ => self.tell(endpoint, calls),
        }
    }

    fn connect(&mut self, now: Instant, endpoint: &mut Side) -> Option<String> {
        let n = self.random.below(self.peers.len().max(1) as u64) as usize;
        let peer = *self.peers.get(n)?;
        let connect = Connect { path: path(peer), policy: self.policy.clone() };
        let id = endpoint.connect(now, connect).expect("ids are free");
        assert!(self.tunnels.insert(id, Tunnel::default()).is_none(), "a new id");
        Some(format!("connect {peer}: {id:?}"))
    }

    fn place(&mut self, now: Instant, endpoint: &mut Side, calls: &mut Calls) -> Option<String> {
        let id = self.any_tunnel()?;
        self.placed += 1;
        let call = format!("{}-{}", self.number, self.placed).into_bytes();
        let lac = self.random.chance(500);
        let request = if lac { incoming(&call) } else { outgoing(&call) };
        let connected = (lac && self.random.chance(500)).then(|| self.connected(Some(proxy(&call))));
        let session = endpoint
            .place_call(now, id, request.clone(), connected.clone())
            .expect("the tunnel is there and ids are free");
        let stage = Stage::Placed(connected.is_some());
        let view = Session { call: call.clone(), lac, stage, hung_up: false };
        let sessions = &mut self.tunnels.get_mut(&id)?.sessions;
        assert!(sessions.insert(session, view).is_none(), "a new id");
        let ended = false;
        let (told, heard) = ([0; 2], [0; 2]);
        calls.calls.insert(call, Call { request, connected, offered: false, ended, told, heard });
        Some(format!("place a call: {id:?} {session:?}"))
    }

    fn connected(&mut self, proxy: Option<Proxy>) -> Connected {
        Connected {
            tx_bps: 1 + self.random.below(1_000_000_000) as u32,
            rx_bps: self.random.chance(500).then_some(1),
            sequencing_required: self.random.chance(500),
            proxy: proxy.map(Box::new),
            ..Connected::default()
        }
    }

    /// Answers an offered call; says that a call is connected.
    fn go_on(
        &mut self,
        now: u64,
        endpoint: &mut Side,
        calls: &mut Calls,
        id: TunnelId,
        session: SessionId,
    ) -> Option<String> {
        let at = Instant::from_micros(now);
        if self.random.chance(150) {
            return self.hang_up(at, endpoint, calls, id, session);
        }
        let connected = self.connected(None);
        // It may have ended meanwhile, or be connected already.
        let view = self.tunnels.get_mut(&id)?.sessions.get_mut(&session)?;
        match view.stage {
            Stage::Offered => {
                view.stage = Stage::Accepted;
                endpoint.accept(at, id, session).expect("it is offered");
                if view.lac {
                    let at = now + self.random.below(5 * SECOND);
                    self.later(at, Action::GoOn(id, session));
                }
                Some(format!("accept {id:?} {session:?}"))
            }
            Stage::Accepted if view.lac => {
                calls.get(&view.call).connected = Some(connected.clone());
                endpoint.connected(id, session, connected).expect("it is accepted");
                Some(format!("connected {id:?} {session:?}"))
            }
            _ => None,
        }
    }

    fn hang_up(
        &mut self,
        now: Instant,
        endpoint: &mut Side,
        calls: &mut Calls,
        id: TunnelId,
        session: SessionId,
    ) -> Option<String> {
        let view = self.tunnels.get_mut(&id)?.sessions.get_mut(&session)?;
        view.hung_up = true;
        calls.get(&view.call).ended = true;
        let cause = Cause::new(CdnResult::ADMINISTRATIVE);
        endpoint.hang_up(now, id, session, cause).expect("the session is there");
        Some(format!("hang up {id:?} {session:?}"))
    }

    fn close(
        &mut self,
        now: Instant,
        endpoint: &mut Side,
        calls: &mut Calls,
        id: TunnelId,
    ) -> Option<String> {
        let tunnel = self.tunnels.get_mut(&id)?;
        tunnel.closing = true;
        calls.closed.insert((self.address?, id));
        endpoint.close(now, id, Cause::new(StopResult::CLEAR)).expect("the tunnel is there");
        Some(format!("close {id:?}"))
    }

    /// SLI as LNS, WEN as LAC.
    fn tell(&mut self, endpoint: &mut Side, calls: &mut Calls) -> Option<String> {
        let (id, session) = self.any_session(|session| matches!(session.stage, Stage::Up(_)))?;
        let view = &self.tunnels[&id].sessions[&session];
        let told = &mut calls.get(&view.call).told[usize::from(view.lac)];
        let n = *told;
        *told += 1;
        if view.lac {
            let errors = CallErrors { crc: n, ..CallErrors::default() };
            endpoint.send_line_errors(id, session, errors).expect("it is up");
        } else {
            endpoint.send_link_info(id, session, Accm { send: n, receive: !n }).expect("it is up");
        }
        Some(format!("tell {id:?} {session:?} {n}"))
    }

    /// What must not be done has no effect but an error.
    fn misuse(&mut self, now: Instant, endpoint: &mut Side) -> Option<String> {
        let (id, session) = self.any_session(|session| matches!(session.stage, Stage::Up(_)))?;
        assert!(endpoint.accept(now, id, session).is_err());
        assert!(endpoint.connected(id, session, Connected::default()).is_err());
        let lac = self.tunnels[&id].sessions[&session].lac;
        let wrong = match lac {
            true => endpoint.send_link_info(id, session, Accm::default()),
            false => endpoint.send_line_errors(id, session, CallErrors::default()),
        };
        assert!(wrong.is_err());
        Some(format!("misuse {id:?} {session:?}"))
    }

    fn any_tunnel(&mut self) -> Option<TunnelId> {
        let open: Vec<_> = self.tunnels.keys().copied().collect();
        let n = self.random.below(open.len().max(1) as u64) as usize;
        open.get(n).copied()
    }

    fn any_session(&mut self, is: impl Fn(&Session) -> bool) -> Option<(TunnelId, SessionId)> {
        let sessions = self.tunnels.iter().flat_map(|(id, tunnel)| {
            let which = tunnel.sessions.iter().filter(|(_, session)| is(session));
            which.map(|(session, _)| (*id, *session))
        });
        let sessions: Vec<_> = sessions.collect();
        let n = self.random.below(sessions.len().max(1) as u64) as usize;
        sessions.get(n).copied()
    }

    /// Something has happened.
    pub(crate) fn hear(&mut self, now: u64, event: Event, calls: &mut Calls) {
        match event {
            Event::TunnelUp { tunnel, peer } => {
                let view = self.tunnels.entry(tunnel).or_default();
                assert!(view.peer.is_none(), "up once");
                view.peer = Some((peer.path.peer, peer.tunnel_id));
                assert_eq!(peer.authenticated, self.policy.challenge);
            }
            Event::TunnelDown { tunnel, stranger, reason } => {
                let view = self.tunnels.remove(&tunnel);
                let (one, raced) = (self.policy.tie_breaker, !calls.closed.is_empty());
                let expected = match (&view, reason.by) {
                    (Some(view), By::Us) => view.closing,
                    (Some(view), By::Empty) => self.policy.empty.is_some() && !view.closing,
                    (Some(Tunnel { peer: Some(peer), .. }), By::Peer) => calls.closed.contains(peer),
                    // Both opened it; the peer won, and closed it before it was up, or opened it twice.
                    (Some(_), By::Peer | By::Restart) => one && (raced || reason.by == By::Restart),
                    // The peer has opened it and closed it at once; or it is one with one of ours.
                    (None, By::Peer | By::Restart) => true,
                    // Its opener gave way to one that was closed before it was up.
                    (None, By::Silence) => one && raced,
                    _ => false,
                };
                assert!(expected, "{reason}");
                assert_eq!(stranger.is_some(), view.is_none(), "who has never heard of it gets to know who");
                calls.closed.extend(self.address.map(|address| (address, tunnel)));
                for session in view.iter().flat_map(|view| view.sessions.values()) {
                    calls.get(&session.call).ended = true;
                }
            }
            Event::CallOffered { tunnel, session, request } => {
                let (call, lac) = match &*request {
                    Request::Incoming(call) => (call.called.clone().unwrap_or_default(), false),
                    Request::Outgoing(call) => (call.called.clone(), true),
                };
                let known = calls.get(&call);
                assert!(!known.offered, "a call is offered once");
                known.offered = true;
                assert_eq!(without_serial(&request), without_serial(&known.request));
                let view = Session { call, lac, stage: Stage::Offered, hung_up: false };
                assert!(self.tunnel(tunnel).sessions.insert(session, view).is_none(), "a new id");
                let at = now + self.random.below(5 * SECOND);
                self.later(at, Action::GoOn(tunnel, session));
            }
            Event::CallAccepted { tunnel, session } => {
                let view = self.session(tunnel, session);
                assert!(matches!(view.stage, Stage::Placed(_)), "{:?}", view.stage);
                let knows_its_line = view.stage == Stage::Placed(true);
                view.stage = Stage::Accepted;
                if view.lac && !knows_its_line {
                    let at = now + self.random.below(5 * SECOND);
                    self.later(at, Action::GoOn(tunnel, session));
                }
            }
            Event::CallUp { tunnel, session, peer_session, connected } => {
                let view = self.session(tunnel, session);
                assert_eq!(view.stage, Stage::Accepted);
                view.stage = Stage::Up(peer_session);
                assert_eq!(calls.get(&view.call).connected.as_ref(), Some(&*connected));
            }
            Event::CallDown { tunnel, session, reason } => {
                let view = self.tunnel(tunnel).sessions.remove(&session).expect("a session of ours");
                match reason.by {
                    By::Us => assert!(view.hung_up),
                    By::Peer => assert!(calls.get(&view.call).ended, "a call was lost"),
                    _ => panic!("{reason}"),
                }
            }
            Event::LinkInfo { tunnel, session, accm } => {
                assert_eq!(accm.receive, !accm.send);
                self.told(tunnel, session, calls, true, accm.send);
            }
            Event::LineErrors { tunnel, session, errors } => {
                self.told(tunnel, session, calls, false, errors.crc);
            }
        }
    }

    /// SLI and WEN come once, in order.
    fn told(&mut self, tunnel: TunnelId, session: SessionId, calls: &mut Calls, lac: bool, n: u32) {
        let view = self.session(tunnel, session);
        assert!(view.lac == lac && matches!(view.stage, Stage::Up(_)));
        let heard = &mut calls.get(&view.call).heard[usize::from(!lac)];
        assert_eq!(n, *heard);
        *heard += 1;
    }

    fn tunnel(&mut self, tunnel: TunnelId) -> &mut Tunnel {
        self.tunnels.get_mut(&tunnel).expect("a tunnel that is up")
    }

    fn session(&mut self, tunnel: TunnelId, session: SessionId) -> &mut Session {
        self.tunnel(tunnel).sessions.get_mut(&session).expect("a session of ours")
    }
}

impl Calls {
    fn get(&mut self, call: &[u8]) -> &mut Call {
        self.calls.get_mut(call).expect("somebody has placed it")
    }

    /// Calls that nobody has ended, all of SLI and WEN received.
    pub(crate) fn alive(&self) -> BTreeSet<&[u8]> {
        let alive = self.calls.iter().filter(|(_, call)| !call.ended);
        let alive = alive.inspect(|(_, call)| assert_eq!(call.told, call.heard, "an SLI or WEN was lost"));
        alive.map(|(name, _)| &name[..]).collect()
    }
}

impl Session {
    pub(crate) fn call(&self) -> &[u8] {
        &self.call
    }
}

fn incoming(call: &[u8]) -> Request {
    Request::Incoming(Incoming { called: Some(call.to_vec()), ..Incoming::default() })
}

fn proxy(call: &[u8]) -> Proxy {
    Proxy {
        last_sent_lcp: Some(b"\x01\x04\x05\xdc".to_vec()),
        authen_type: Some(AuthenType::PAP),
        authen_name: Some(call.to_vec()),
        authen_id: Some(1),
        authen_response: Some(crate::PASSWORD.to_vec().into()),
        ..Proxy::default()
    }
}

fn outgoing(call: &[u8]) -> Request {
    Request::Outgoing(Outgoing {
        serial: None,
        minimum_bps: 1,
        maximum_bps: 2,
        bearer: Bearer::ANALOG,
        framing: Framing::ASYNC,
        called: call.to_vec(),
        sub_address: Some(b"7".to_vec()),
        other_avps: OtherAvps::default(),
    })
}

/// The endpoint numbers calls whose user does not.
fn without_serial(request: &Request) -> Request {
    match request.clone() {
        Request::Incoming(call) => Request::Incoming(Incoming { serial: None, ..call }),
        Request::Outgoing(call) => Request::Outgoing(Outgoing { serial: None, ..call }),
    }
}
