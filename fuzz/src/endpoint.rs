//! An endpoint among hostile peers and a clumsy caller.
//!
//! The bytes are a list of steps. The lower four bits of a step's first byte say which, the others are
//! its parameter:
//!
//! | step | bytes that follow | meaning |
//! |---|---|---|
//! | 0 | length, bytes | a datagram as it is (parameter: from whom) |
//! | 1 | | time passes (parameter: how much) |
//! | 2 | | we open a tunnel (parameter: to whom, tie breaker) |
//! | 3 – 7 | which | a command: close, place a call, accept, connected, hang up |
//! | 8 | which | another command (parameter: which) |
//! | 9 – 13 | link, type, deviation, values | a message of a peer, as it should be or nearly |
//! | 14 | link, type, length, bytes | a message of a peer with AVPs as they are |
//! | 15 | which, where, what | a datagram that was there, altered |
//!
//! A *link* is what a peer knows of a tunnel: ids, numbers, challenges, so that all states are reached.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use l2tp_control::auth::{self, Secret};
use l2tp_control::config::{Config, Limits, Network, PeerRule, Policy};
use l2tp_control::wire::{
    self, Accm, Avp, Bearer, Bps, CallErrors, Cdn, CdnResult, Framing, Header, Hello, Hiding, Iccn, Icrp,
    Icrq, Leniencies, Message, MessageType, Occn, Ocrp, Ocrq, Octets, OtherAvps, ProtocolVersion, ResultCode,
    Scccn, Sccrp, Sccrq, Sli, StopCcn, StopResult, Wen, set_ids, set_numbers,
};
use l2tp_control::{
    Cause, Connect, Connected, Endpoint, Event, Incoming, Instant, Outgoing, Path, Request, TunnelState,
};
use l2tp_data::id::{SessionId, TunnelId};

use super::input::Input;

/// Where peers are; the first two share an address.
const PEERS: [([u8; 4], u16); 4] =
    [([10, 0, 0, 1], 1701), ([10, 0, 0, 1], 40_001), ([10, 0, 0, 2], 1701), ([10, 7, 0, 3], 1701)];
const SECRET: &[u8] = b"secret";
const TIMES: [u64; 8] = [1, 40, 60, 1000, 2000, 9000, 35_000, 130_000];

const LIMITS: Limits = Limits {
    tunnels: 6,
    tunnels_per_source: 5,
    sessions_per_tunnel: 3,
    sessions: 8,
    unproven_calls_per_source: Some(5),
    half_open: 4,
    half_open_per_source: 3,
    requests_per_source: 20,
    requests: 50,
    backlog: 16,
};

/// More than anything may make us send or tell at once.
const MANY: usize = 1000;

pub(crate) fn path(peer: u8) -> Path {
    let (address, port) = PEERS[usize::from(peer & 3)];
    Path { socket: 0, local: None, peer: (address, port).into() }
}

fn secret() -> Secret {
    Secret::new(SECRET)
}

fn policy(authenticated: bool) -> Policy {
    Policy {
        secret: authenticated.then(secret),
        challenge: authenticated,
        hide: authenticated,
        receive_window: 6,
        empty: Some(Duration::from_secs(20)),
        ..Policy::default()
    }
}

/// Who is in 10.0.0.2/32 has to prove that it knows the secret, the others in 10/16 have not, and nobody
/// else may come.
pub(crate) fn config() -> Config {
    let rule = |address: [u8; 4], bits, authenticated| PeerRule {
        host_name: "*".into(),
        network: Some(Network { address: address.into(), bits }),
        policy: Arc::new(policy(authenticated)),
    };
    let peers = vec![rule([10, 0, 0, 2], 32, true), rule([10, 0, 0, 0], 16, false)];
    Config { peers, limits: LIMITS, ..Config::default() }
}

/// What a peer knows of a tunnel.
struct Link {
    path: Path,
    /// The endpoint's tunnel id; 0 until it told.
    ours: u16,
    theirs: u16,
    ns: u16,
    nr: u16,
    challenge: Vec<u8>,
    /// Session ids: the endpoint's, 0 until it told, and the peer's.
    calls: Vec<(u16, u16)>,
}

struct Scene {
    now: Instant,
    endpoint: Endpoint,
    links: Vec<Link>,
    /// What the caller knows: tunnels that are up or that it opened, and their sessions.
    tunnels: BTreeMap<TunnelId, BTreeSet<SessionId>>,
    /// Datagrams that were there.
    past: Vec<(Path, Vec<u8>)>,
    buffer: Vec<u8>,
}

/// No input makes an endpoint panic, send without end, wait for what is past, keep more than its limits
/// allow, tell its caller of what is not, send what a strict receiver refuses, or keep anything once all
/// is over.
pub fn endpoint(data: &[u8]) {
    let mut scene = Scene {
        now: Instant::from_micros(1),
        endpoint: Endpoint::new(config(), [7; 32]),
        links: Vec::new(),
        tunnels: BTreeMap::new(),
        past: Vec::new(),
        buffer: vec![0; Message::MAX],
    };
    let mut input = Input(data);
    while scene.step(&mut input).is_some() {}
    scene.end();
}

impl Scene {
    fn step(&mut self, input: &mut Input<'_>) -> Option<()> {
        let first = input.u8()?;
        let parameter = first >> 4;
        match first & 15 {
            0 => {
                let len = input.u8()?;
                let bytes = input.bytes(len.into()).to_vec();
                self.hear(path(parameter), bytes);
            }
            1 => self.pass(Duration::from_millis(TIMES[usize::from(parameter & 7)])),
            2 => self.connect(parameter),
            step @ 3..=8 => self.command(step, parameter, input.u8()?),
            14 => {
                let (link, kind, len) = (input.u8()?, input.u8()?, input.u8()?);
                let mut message = Vec::from([0; Header::LEN]);
                message.extend([0x80, 8, 0, 0, 0, 0, 0, kind & 31]);
                message.extend(input.bytes(len.into()));
                let header =
                    Header { length: message.len() as u16, tunnel_id: 0, session_id: 0, ns: 0, nr: 0 };
                message[..Header::LEN].copy_from_slice(&header.bytes());
                self.say(link, parameter, 0, message);
            }
            15 => {
                let (which, place, what) = (input.u8()?, input.u16()?, input.u8()?);
                let past = self.past.get(usize::from(which) % self.past.len().max(1)).cloned();
                if let Some((path, mut bytes)) = past {
                    let len = bytes.len().max(1);
                    bytes.get_mut(usize::from(place) % len).into_iter().for_each(|byte| *byte ^= what);
                    self.hear(path, bytes);
                }
            }
            _ => {
                let (link, kind, deviation) = (input.u8()?, input.u8()?, input.u8()?);
                if let Some(message) = self.message(link, kind, parameter, input) {
                    self.say(link, parameter, deviation, message);
                }
            }
        }
        Some(())
    }

    /// A datagram comes.
    fn hear(&mut self, path: Path, mut bytes: Vec<u8>) {
        self.past.push((path, bytes.clone()));
        self.endpoint.handle_datagram(self.now, path, &mut bytes);
        self.drain();
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        let mut timers = 0;
        while let Some(next) = self.endpoint.poll_timeout().filter(|next| *next <= end) {
            self.now = next;
            self.endpoint.handle_timeout(next);
            self.drain();
            timers += 1;
            assert!(timers < 100 * MANY, "timers without end");
        }
        self.now = end;
    }

    fn connect(&mut self, parameter: u8) {
        let mut policy = policy(parameter & 3 == 2);
        policy.tie_breaker = parameter & 4 != 0;
        policy.empty = None;
        let connect = Connect { path: path(parameter), policy: Arc::new(policy) };
        let id = self.endpoint.connect(self.now, connect).expect("ids are free");
        assert!(self.tunnels.insert(id, BTreeSet::new()).is_none(), "a new id");
        self.drain();
    }

    fn command(&mut self, step: u8, parameter: u8, which: u8) {
        let nth = |n: usize| self.tunnels.keys().nth(n % self.tunnels.len().max(1)).copied();
        let Some(tunnel) = nth(usize::from(which & 15)) else { return };
        let sessions = &self.tunnels[&tunnel];
        let session = sessions.iter().nth(usize::from(which >> 4) % sessions.len().max(1)).copied();
        match (step, session) {
            (3, _) => {
                let closed = self.endpoint.close(self.now, tunnel, Cause::new(StopResult::CLEAR));
                closed.expect("the tunnel is there");
            }
            (4, _) => {
                let request = match parameter & 1 {
                    0 => Request::Incoming(Incoming::default()),
                    _ => Request::Outgoing(outgoing()),
                };
                let connected = (parameter & 3 == 2).then(Connected::default);
                let placed = self.endpoint.place_call(self.now, tunnel, request, connected);
                let session = placed.expect("the tunnel is there, ids are free");
                let sessions = self.tunnels.entry(tunnel).or_default();
                assert!(sessions.insert(session), "a new id");
            }
            (_, None) => {}
            // Most of these come at the wrong time; that is for the endpoint to say.
            (5, Some(session)) => drop(self.endpoint.accept(self.now, tunnel, session)),
            (6, Some(session)) => drop(self.endpoint.connected(tunnel, session, Connected::default())),
            (7, Some(session)) => {
                let cause = Cause::new(CdnResult::ADMINISTRATIVE);
                self.endpoint.hang_up(self.now, tunnel, session, cause).expect("the session is there");
            }
            (_, Some(session)) => match parameter & 7 {
                0 => drop(self.endpoint.send_link_info(tunnel, session, Accm::default())),
                1 => drop(self.endpoint.send_line_errors(tunnel, session, CallErrors::default())),
                2 => self.endpoint.data_received(self.now, tunnel),
                3 => self.endpoint.data_sent(self.now, tunnel),
                4 => self.endpoint.set_draining(parameter & 8 != 0),
                _ => {}
            },
        }
        self.drain();
    }

    /// A message of a peer, without ids and numbers.
    fn message(&mut self, link: u8, kind: u8, parameter: u8, input: &mut Input<'_>) -> Option<Vec<u8>> {
        let values = [input.u8()?, input.u8()?];
        if matches!(kind & 15, 1) {
            self.link(parameter, values[0]);
        }
        let at = usize::from(link) % self.links.len().max(1);
        let link = self.links.get_mut(at)?;
        let tunnel = TunnelId::new(link.theirs)?;
        let call = usize::from(values[0]) % link.calls.len().max(1);
        let theirs = link.calls.get(call).map_or(0, |call| call.1);
        let session = SessionId::new(theirs).or(SessionId::new(u16::from(values[1]) + 1))?;
        let challenge = (values[1] & 1 != 0).then_some(Octets(b"challenge"));
        let secret = secret();
        let answer = |kind| (values[1] & 2 == 0).then(|| auth::response(kind, &secret, &link.challenge));
        let (host, version) = ("peer".into(), ProtocolVersion { version: 1 + values[1] / 255, revision: 0 });
        let message: Message<'_> = match kind & 15 {
            1 => Sccrq {
                tie_breaker: (values[1] & 4 != 0).then_some(u64::from(values[1] >> 3) << 59),
                receive_window_size: (values[1] & 8 != 0).then_some(values[0].into()),
                challenge,
                ..Sccrq::new(version, host, Framing::ALL, tunnel)
            }
            .into(),
            2 => Sccrp {
                receive_window_size: (values[1] & 8 != 0).then_some(values[0].into()),
                challenge,
                challenge_response: answer(MessageType::SCCRP),
                ..Sccrp::new(version, Framing::ALL, host, tunnel)
            }
            .into(),
            3 => Scccn { challenge_response: answer(MessageType::SCCCN) }.into(),
            4 => StopCcn::new(Some(tunnel), ResultCode::from(StopResult(values[0].into()))).into(),
            6 => Hello {}.into(),
            7 => Ocrq::new(session, 1, 2, 3, Bearer::ALL, Framing::ALL, "1".into()).into(),
            8 => Ocrp::new(session).into(),
            9 => Occn::new(Bps(1), Framing::ALL).into(),
            10 => Icrq::new(session, 1).into(),
            11 => Icrp::new(session).into(),
            12 => Iccn::new(Bps(1), Framing::ALL).into(),
            14 => Cdn::new(ResultCode::from(CdnResult(values[1].into())), Some(session)).into(),
            15 => Wen::new(CallErrors::default()).into(),
            0 => Sli::new(Accm::default()).into(),
            5 => Message::Zlb,
            _ => Message::Unknown(MessageType(values[0].into())),
        };
        if matches!(kind & 15, 7 | 10) && !link.calls.iter().any(|call| call.1 == session.get()) {
            link.calls.push((0, session.get()));
        }
        if matches!(kind & 15, 8 | 11)
            && let Some(call) = link.calls.get_mut(call)
        {
            call.1 = session.get();
        }
        let mut out = vec![0; Message::MAX];
        let hiding = Hiding { secret: &secret, random_vector: &[0x5a; 16], padding: &[1] };
        let hiding = (kind & 32 != 0).then_some(&hiding);
        let len = message.encode(0, 0, hiding, &mut out).expect("it fits");
        out.truncate(len);
        if kind & 64 != 0
            && let Some(byte) = out.get_mut(Header::LEN + usize::from(values[0]))
        {
            *byte ^= values[1];
        }
        Some(out)
    }

    /// A peer begins to open a tunnel.
    fn link(&mut self, peer: u8, id: u8) {
        let (path, theirs) = (path(peer), 1000 + u16::from(id & 7));
        let known = |link: &Link| link.path == path && link.theirs == theirs;
        if !self.links.iter().any(known) {
            self.links.push(Link {
                path,
                ours: 0,
                theirs,
                ns: 0,
                nr: 0,
                challenge: Vec::new(),
                calls: Vec::new(),
            });
        }
    }

    /// A peer sends a message with the ids and numbers that belong to it, or nearly.
    fn say(&mut self, link: u8, parameter: u8, deviation: u8, mut message: Vec<u8>) {
        let at = usize::from(link) % self.links.len().max(1);
        let Some(link) = self.links.get_mut(at) else { return };
        let request = message.get(19) == Some(&1);
        let call = link.calls.get(usize::from(deviation >> 5) % link.calls.len().max(1));
        let fresh = matches!(message.get(19), Some(7 | 10)) || deviation & 16 != 0;
        let session = call.filter(|_| !fresh).map_or(0, |call| call.0);
        set_ids(&mut message, if request { 0 } else { link.ours }, session);
        let near = |number: u16, bits: u8| match bits & 3 {
            0 => number,
            1 => number.wrapping_add(1),
            2 => number.wrapping_sub(1),
            _ => number.wrapping_add(u16::from(parameter) << 12),
        };
        let zlb = message.len() == Header::LEN;
        let (ns, nr) = (near(if request { 0 } else { link.ns }, deviation), near(link.nr, deviation >> 2));
        set_numbers(&mut message, ns, nr);
        if ns == link.ns && !zlb && (request || link.ours != 0) {
            link.ns = link.ns.wrapping_add(1);
        }
        let path = link.path;
        self.hear(path, message);
    }

    /// What the peers learn from what we send, and the caller from what we tell; and what always holds.
    fn drain(&mut self) {
        for count in 0.. {
            assert!(count < MANY, "datagrams without end");
            let Some(transmit) = self.endpoint.poll_transmit(self.now, &mut self.buffer) else { break };
            let bytes = self.buffer[..transmit.len].to_vec();
            if self.past.len() < 64 {
                self.past.push((transmit.path, bytes.clone()));
            }
            self.learn(transmit.path, bytes);
        }
        while let Some(event) = self.endpoint.poll_event() {
            self.told(event);
        }
        let next = self.endpoint.poll_timeout();
        assert!(next.is_none_or(|next| next >= self.now), "{next:?} is past");
        let sessions: usize = self.tunnels.values().map(BTreeSet::len).sum();
        assert_eq!(self.endpoint.sessions(), sessions, "the caller knows every session");
        assert!(self.endpoint.half_open() <= LIMITS.half_open + self.tunnels.len());
    }

    fn learn(&mut self, path: Path, mut bytes: Vec<u8>) {
        let secret = secret();
        let decoded = wire::decode(&mut bytes, Some(&secret), Leniencies::STRICT);
        let body = decoded.expect("what we send is sound");
        let header = body.header;
        assert_eq!(
            (body.ignored, body.others().count()),
            (0, 0),
            "{:?}",
            body.others().collect::<Vec<Avp<'_>>>()
        );
        if let Message::Sccrq(request) = body.message {
            let ours = request.assigned_tunnel_id.get();
            if !self.links.iter().any(|link| link.ours == ours) {
                let theirs = 2000 + self.links.len() as u16;
                let challenge = request.challenge.map_or(Vec::new(), |it| it.to_vec());
                self.links.push(Link { path, ours, theirs, ns: 0, nr: 0, challenge, calls: Vec::new() });
            }
        }
        let ours = match body.message {
            Message::Sccrq(request) => Some(request.assigned_tunnel_id.get()),
            _ => None,
        };
        let mine = |link: &&mut Link| {
            link.path == path && (link.theirs == header.tunnel_id || Some(link.ours) == ours)
        };
        let Some(link) = self.links.iter_mut().find(mine) else { return };
        if !header.is_zlb() && header.ns == link.nr {
            link.nr = link.nr.wrapping_add(1);
        }
        match body.message {
            Message::Sccrp(reply) => {
                link.ours = reply.assigned_tunnel_id.get();
                link.challenge = reply.challenge.map_or(Vec::new(), |it| it.to_vec());
            }
            Message::Icrq(Icrq { assigned_session_id: id, .. })
            | Message::Ocrq(Ocrq { assigned_session_id: id, .. }) => {
                link.calls.retain(|call| call.0 != id.get());
                link.calls.push((id.get(), 500 + link.calls.len() as u16));
            }
            Message::Icrp(Icrp { assigned_session_id: id, .. })
            | Message::Ocrp(Ocrp { assigned_session_id: id, .. }) => {
                let call = link.calls.iter_mut().find(|call| call.1 == header.session_id);
                call.into_iter().for_each(|call| call.0 = id.get());
            }
            _ => {}
        }
    }

    fn told(&mut self, event: Event) {
        match event {
            Event::TunnelUp { tunnel, .. } => drop(self.tunnels.entry(tunnel).or_default()),
            Event::TunnelDown { tunnel, stranger, .. } => {
                let known = self.tunnels.remove(&tunnel);
                assert_eq!(known.is_none(), stranger.is_some());
            }
            Event::CallOffered { tunnel, session, .. } => {
                let new = self.tunnels.get_mut(&tunnel).expect("it is up").insert(session);
                assert!(new && self.tunnels[&tunnel].len() <= LIMITS.sessions_per_tunnel);
                assert!(self.endpoint.sessions() <= LIMITS.sessions);
            }
            Event::CallDown { tunnel, session, .. } => {
                assert!(self.tunnels.get_mut(&tunnel).expect("it is up").remove(&session));
            }
            Event::CallAccepted { tunnel, session }
            | Event::CallUp { tunnel, session, .. }
            | Event::LinkInfo { tunnel, session, .. }
            | Event::LineErrors { tunnel, session, .. } => {
                assert!(self.tunnels.get(&tunnel).expect("it is up").contains(&session));
            }
        }
    }

    /// The caller closes all; the peers are silent.
    fn end(mut self) {
        for tunnel in Vec::from_iter(self.tunnels.keys().copied()) {
            let closed = self.endpoint.close(self.now, tunnel, Cause::new(StopResult::CLEAR));
            closed.expect("the tunnel is there");
            assert_eq!(self.endpoint.tunnel_state(tunnel), Some(TunnelState::Closing));
            self.drain();
        }
        self.pass(Duration::from_secs(200));
        assert!(self.endpoint.is_empty(), "{:?}", self.endpoint);
        assert_eq!(self.endpoint.poll_timeout(), None);
    }
}

fn outgoing() -> Outgoing {
    Outgoing {
        serial: None,
        minimum_bps: 1,
        maximum_bps: 2,
        bearer: Bearer::ALL,
        framing: Framing::ALL,
        called: b"1".to_vec(),
        sub_address: None,
        other_avps: OtherAvps::default(),
    }
}
