//! Many L2TP clients in one thread, without interfaces: what a server is loaded with.
//!
//! ```text
//!  Endpoint (LAC) ─┬─ control messages ─► one of the sockets ─(some are lost)─► server
//!  Link × sessions ┴─ data messages ────►
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant as StdInstant};

use l2tp_control::auth;
use l2tp_control::config::Policy;
use l2tp_control::timers::{TimerId, Timers};
use l2tp_control::wire::{Message, StopResult};
use l2tp_control::{Cause, Connect, Connected, Endpoint, Event, Incoming, Instant, Path, Proxy, Request};
use l2tp_data::frame;
use l2tp_data::header::{self, Datagram};
use l2tp_data::id::{SessionId, TunnelId};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use ppp::config::{Credentials, Ipv4, Network};
use ppp::{Link, Secret};

/// Datagrams that are received before others have their turn.
const TURN: usize = 64;
/// The largest datagram.
const LARGEST: usize = 2048;

/// What the clients are.
#[derive(Clone, Debug)]
pub struct Load {
    /// The server.
    pub server: SocketAddr,
    /// Addresses that tunnels come from, in turn.
    pub sources: Vec<IpAddr>,
    /// How many tunnels.
    pub tunnels: usize,
    /// How many of them may be being opened at a time.
    pub opening: usize,
    /// How many sessions each of them has.
    pub sessions_per_tunnel: usize,
    /// The user's name.
    pub user: String,
    /// The user's password.
    pub password: String,
    /// The tunnels' secret.
    pub secret: Option<String>,
    /// What a LAC has already negotiated with its callers, who say nothing more then.
    pub proxy: Option<Proxy>,
}

impl Load {
    /// How many sessions in all.
    pub fn sessions(&self) -> usize {
        self.tunnels * self.sessions_per_tunnel
    }
}

type Ids = (TunnelId, SessionId);

/// A session of ours.
struct Session {
    link: Option<Box<Link>>,
    timer: TimerId,
    path: Path,
    /// The ids that the server assigned.
    peer: (u16, u16),
    address: Option<Ipv4Addr>,
}

/// How data messages of a session reach the server.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    /// Which of the sockets.
    pub socket: usize,
    /// The tunnel's id and the session's, as the server assigned them.
    pub ids: (u16, u16),
    /// The session's inner address.
    pub address: Ipv4Addr,
}

/// The clients.
pub struct Clients {
    load: Load,
    endpoint: Endpoint,
    sockets: Vec<UdpSocket>,
    sessions: BTreeMap<Ids, Session>,
    touched: Vec<Ids>,
    timers: Timers<Ids>,
    config: Arc<ppp::Config>,
    policy: Arc<Policy>,
    paths: BTreeMap<TunnelId, Path>,
    start: StdInstant,
    /// Tunnels begun, and those of them that are neither up nor over.
    begun: usize,
    opening: BTreeSet<TunnelId>,
    /// Sessions that have an address now.
    pub up: usize,
    /// Sessions and tunnels that have ended, with the reason of the last one.
    pub failed: usize,
    /// Why the last one of them has.
    pub why: String,
    buffer: Box<[u8]>,
    frame: Vec<u8>,
}

impl Clients {
    /// Clients that do nothing yet.
    ///
    /// Errors: a source address is not this machine's.
    pub fn new(load: Load) -> io::Result<Self> {
        let sockets = load.sources.iter().map(|source| {
            let socket = UdpSocket::bind((*source, 0))?;
            socket.set_nonblocking(true)?;
            // The server is quick, and this thread does other things in between.
            socket2::SockRef::from(&socket).set_recv_buffer_size(4 << 20)?;
            Ok(socket)
        });
        let sockets = sockets.collect::<io::Result<Vec<_>>>()?;
        let credentials =
            Credentials { name: load.user.as_str().into(), password: Secret::new(load.password.as_bytes()) };
        let config = ppp::Config { credentials: Some(credentials), ..ppp::Config::default() };
        Ok(Self {
            endpoint: Endpoint::new(l2tp_control::config::Config::default(), [7; 32]),
            sockets,
            sessions: BTreeMap::new(),
            touched: Vec::new(),
            timers: Timers::new(),
            config: Arc::new(config),
            policy: Arc::new(Policy {
                tie_breaker: false,
                secret: load.secret.as_ref().map(|secret| auth::Secret::new(secret.as_bytes())),
                ..Policy::default()
            }),
            paths: BTreeMap::new(),
            start: StdInstant::now(),
            begun: 0,
            opening: BTreeSet::new(),
            up: 0,
            failed: 0,
            why: String::new(),
            buffer: vec![0; LARGEST.max(Message::MAX)].into(),
            frame: Vec::new(),
            load,
        })
    }

    /// Addresses that the sessions have.
    pub fn addresses(&self) -> Vec<Ipv4Addr> {
        self.ways().map(|way| way.address).collect()
    }

    /// The ways of the sessions that are up.
    pub fn ways(&self) -> impl Iterator<Item = Way> {
        self.sessions.values().filter_map(|session| {
            let socket = session.path.socket as usize;
            Some(Way { socket, ids: session.peer, address: session.address? })
        })
    }

    /// The sockets, which do not block.
    pub fn sockets(&self) -> &[UdpSocket] {
        &self.sockets
    }

    /// The server.
    pub fn server(&self) -> SocketAddr {
        self.load.server
    }

    /// Tunnels that are not over.
    pub fn tunnels(&self) -> usize {
        self.endpoint.tunnels()
    }

    /// Opens what is to be opened and works until `done` says so. `false`: not within `patience`.
    pub fn run(&mut self, patience: Duration, mut done: impl FnMut(&Self) -> bool) -> io::Result<bool> {
        let end = StdInstant::now() + patience;
        loop {
            let now = self.now();
            while self.begun < self.load.tunnels && self.opening.len() < self.load.opening {
                self.open(now);
            }
            self.pump(now)?;
            if done(self) {
                return Ok(true);
            }
            if StdInstant::now() >= end {
                return Ok(false);
            }
            self.receive(end)?;
            self.time_passes()?;
        }
    }

    /// Closes all tunnels; [`run`](Self::run) until there are none.
    pub fn close(&mut self) -> io::Result<()> {
        let now = self.now();
        self.begun = self.load.tunnels;
        for tunnel in self.paths.keys().copied().collect::<Vec<_>>() {
            // It may be over already.
            let _ = self.endpoint.close(now, tunnel, Cause::new(StopResult::CLEAR));
        }
        self.pump(now)
    }

    fn now(&self) -> Instant {
        Instant::from_micros(1 + self.start.elapsed().as_micros() as u64)
    }

    fn open(&mut self, now: Instant) {
        let socket = self.begun % self.sockets.len();
        self.begun += 1;
        let path = Path { socket: socket as u32, local: None, peer: self.load.server };
        match self.endpoint.connect(now, Connect { path, policy: self.policy.clone() }) {
            Ok(tunnel) => {
                self.opening.insert(tunnel);
                self.paths.insert(tunnel, path);
            }
            Err(error) => self.fail(error.to_string()),
        }
    }

    fn fail(&mut self, why: String) {
        self.failed += 1;
        self.why = why;
    }

    /// Waits for datagrams and takes them.
    fn receive(&mut self, end: StdInstant) -> io::Result<()> {
        let next = [self.endpoint.poll_timeout(), self.timers.next()].into_iter().flatten().min();
        let left = end.saturating_duration_since(StdInstant::now());
        let wait = next.map_or(left, |next| next.since(self.now()).min(left));
        let wait = wait.as_millis().min(1000) as u16;
        let mut ready: Vec<_> =
            self.sockets.iter().map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN)).collect();
        poll(&mut ready, PollTimeout::from(wait))?;
        let ready: Vec<_> = ready.iter().map(|fd| fd.any().unwrap_or(false)).collect();
        for socket in (0..self.sockets.len()).filter(|socket| ready[*socket]) {
            for _ in 0..TURN {
                let mut buffer = std::mem::take(&mut self.buffer);
                let received = self.sockets[socket].recv_from(&mut buffer);
                let result = match received {
                    Ok((len, peer)) => {
                        self.datagram(Path { socket: socket as u32, local: None, peer }, &mut buffer[..len])
                    }
                    Err(error) => Err(error),
                };
                self.buffer = buffer;
                match result {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    // The server was not there when something was sent.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                    result => result?,
                }
            }
        }
        Ok(())
    }

    fn datagram(&mut self, path: Path, datagram: &mut [u8]) -> io::Result<()> {
        let now = self.now();
        match Datagram::parse(datagram) {
            Datagram::Control => self.endpoint.handle_datagram(now, path, datagram),
            Datagram::Data(header) => {
                let ids = TunnelId::new(header.tunnel_id).zip(SessionId::new(header.session_id));
                let Some(ids) = ids else { return Ok(()) };
                let Ok(message) = header.message(datagram) else { return Ok(()) };
                let Ok(payload) = message.payload(datagram) else { return Ok(()) };
                let payload = &datagram[payload];
                let Ok(range) = frame::strip(payload) else { return Ok(()) };
                if let Some(link) = self.sessions.get_mut(&ids).and_then(|session| session.link.as_mut()) {
                    link.handle_frame(now, &payload[range]);
                    self.touched.push(ids);
                }
            }
            _ => {}
        }
        self.pump(now)
    }

    fn time_passes(&mut self) -> io::Result<()> {
        let now = self.now();
        if self.endpoint.poll_timeout().is_some_and(|at| at <= now) {
            self.endpoint.handle_timeout(now);
            self.pump(now)?;
        }
        while let Some((_, ids)) = self.timers.expire(now) {
            if let Some(link) = self.sessions.get_mut(&ids).and_then(|session| session.link.as_mut()) {
                link.handle_timeout(now);
                self.touched.push(ids);
            }
            self.pump(now)?;
        }
        Ok(())
    }

    fn pump(&mut self, now: Instant) -> io::Result<()> {
        let mut out = vec![0; Message::MAX];
        loop {
            while let Some(transmit) = self.endpoint.poll_transmit(now, &mut out) {
                self.send(transmit.path, &out[..transmit.len])?;
            }
            if let Some(event) = self.endpoint.poll_event() {
                self.control_event(now, event);
            } else if let Some(ids) = self.touched.pop() {
                self.drain(now, ids)?;
            } else {
                return Ok(());
            }
        }
    }

    fn send(&mut self, path: Path, datagram: &[u8]) -> io::Result<()> {
        match self.sockets[path.socket as usize].send_to(datagram, path.peer) {
            // It will be sent again.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::ConnectionRefused) =>
            {
                Ok(())
            }
            sent => sent.map(drop),
        }
    }

    fn control_event(&mut self, now: Instant, event: Event) {
        match event {
            Event::TunnelUp { tunnel, .. } => {
                self.opening.remove(&tunnel);
                for _ in 0..self.load.sessions_per_tunnel {
                    let request = Request::Incoming(Incoming::default());
                    let proxy = self.load.proxy.clone().map(Box::new);
                    let connected = Connected { proxy, ..Connected::default() };
                    let placed = self.endpoint.place_call(now, tunnel, request, Some(connected));
                    let (Ok(session), Some(path)) = (placed, self.paths.get(&tunnel)) else {
                        self.fail("a call could not be placed".into());
                        continue;
                    };
                    let ids = (tunnel, session);
                    let timer = self.timers.insert(ids);
                    let session = Session { link: None, timer, path: *path, peer: (0, 0), address: None };
                    self.sessions.insert(ids, session);
                }
            }
            Event::CallUp { tunnel, session, .. } => {
                let peer = self.endpoint.peer_ids(tunnel, session);
                let seed = self.link_seed(tunnel, session);
                let (Some((theirs, other)), Some(entry)) = (peer, self.sessions.get_mut(&(tunnel, session)))
                else {
                    return;
                };
                entry.peer = (theirs.get(), other.get());
                if self.load.proxy.is_some() {
                    return;
                }
                let mut link = Box::new(Link::new(self.config.clone(), seed));
                link.open(now);
                entry.link = Some(link);
                self.touched.push((tunnel, session));
            }
            Event::CallDown { tunnel, session, reason } => {
                self.end((tunnel, session));
                self.fail(reason.to_string());
            }
            Event::TunnelDown { tunnel, reason, .. } => {
                let ids: Vec<_> = self.sessions.keys().filter(|ids| ids.0 == tunnel).copied().collect();
                self.opening.remove(&tunnel);
                ids.into_iter().for_each(|ids| self.end(ids));
                self.paths.remove(&tunnel);
                self.fail(reason.to_string());
            }
            _ => {}
        }
    }

    /// Links differ, and are the same each time.
    fn link_seed(&self, tunnel: TunnelId, session: SessionId) -> [u8; 32] {
        let mut seed = [3; 32];
        seed[..2].copy_from_slice(&tunnel.get().to_be_bytes());
        seed[2..4].copy_from_slice(&session.get().to_be_bytes());
        seed
    }

    fn end(&mut self, ids: Ids) {
        if let Some(session) = self.sessions.remove(&ids) {
            self.timers.remove(session.timer);
            self.up -= usize::from(session.address.is_some());
        }
    }

    fn drain(&mut self, now: Instant, ids: Ids) -> io::Result<()> {
        let mut frame = std::mem::take(&mut self.frame);
        let mut datagram = Vec::with_capacity(header::MAX + 64);
        while let Some(session) = self.sessions.get_mut(&ids)
            && let Some(link) = &mut session.link
        {
            if link.poll_transmit(&mut frame) {
                let mut head = [0; header::MAX];
                let len = header::write(session.peer.0, session.peer.1, None, &mut head);
                datagram.clear();
                datagram.extend_from_slice(&head[..len]);
                datagram.extend_from_slice(&frame);
                let path = session.path;
                self.send(path, &datagram)?;
                continue;
            }
            match link.poll_event() {
                Some(ppp::Event::Network { .. }) => {
                    link.network(now, Network { ipv4: Some(Ipv4::default()), ipv6: None });
                }
                Some(ppp::Event::Ipv4Up { local, .. }) => {
                    session.address = Some(local);
                    self.up += 1;
                }
                Some(ppp::Event::Ipv4Down) => {
                    session.address = None;
                    self.up -= 1;
                }
                Some(ppp::Event::Down(reason)) => {
                    let cause = Cause::new(l2tp_control::wire::CdnResult::CARRIER_LOST);
                    // It may be over already.
                    let _ = self.endpoint.hang_up(now, ids.0, ids.1, cause);
                    self.why = reason.to_string();
                }
                Some(_) => {}
                None => {
                    let next = link.poll_timeout().map(|(at, _)| at);
                    self.timers.arm(session.timer, next);
                    break;
                }
            }
        }
        self.frame = frame;
        Ok(())
    }
}
