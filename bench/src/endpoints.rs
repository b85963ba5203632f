//! A LAC and an LNS in one thread, with nothing between them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use l2tp_control::config::{Config, Limits, PeerRule, Policy};
use l2tp_control::wire::Message;
use l2tp_control::{Connect, Connected, Endpoint, Event, Incoming, Instant, Path, Request};
use l2tp_data::id::TunnelId;

/// Longer than an ack waits.
pub const ACK: Duration = Duration::from_millis(100);

/// Both ends. The LNS accepts every call at once.
pub struct Ends {
    /// Microseconds.
    pub now: u64,
    /// The LAC, which opens tunnels and places calls.
    pub lac: Endpoint,
    /// The LNS.
    pub lns: Endpoint,
    /// Sessions that are established at the LNS.
    pub up: usize,
    /// Datagrams that the LAC has sent.
    pub sent: u64,
    policy: Arc<Policy>,
    buffer: Box<[u8]>,
}

const LAC: Path = path([10, 0, 0, 1]);
const LNS: Path = path([10, 0, 0, 2]);

const fn path(address: [u8; 4]) -> Path {
    let [a, b, c, d] = address;
    let address = std::net::IpAddr::V4(std::net::Ipv4Addr::new(a, b, c, d));
    Path { socket: 0, local: None, peer: SocketAddr::new(address, 1701) }
}

impl Ends {
    /// Ends without limits, of which the LAC sends a HELLO after this time.
    pub fn new(hello: Option<Duration>) -> Self {
        let end = |hello, seed| {
            let policy = Policy { hello, ..Policy::default() };
            let limits = Limits {
                tunnels_per_source: usize::MAX,
                half_open_per_source: usize::MAX,
                half_open: usize::MAX,
                requests_per_source: u32::MAX,
                requests: u32::MAX,
                ..Limits::default()
            };
            let peers = vec![PeerRule::anyone(policy)];
            Endpoint::new(Config { peers, limits, ..Config::default() }, [seed; 32])
        };
        let policy = Arc::new(Policy { hello, ..Policy::default() });
        let buffer = vec![0; Message::MAX].into();
        Self { now: 1, lac: end(hello, 1), lns: end(None, 2), up: 0, sent: 0, policy, buffer }
    }

    /// Opens a tunnel.
    pub fn connect(&mut self) -> TunnelId {
        let connect = Connect { path: LNS, policy: self.policy.clone() };
        let id = self.lac.connect(Instant::from_micros(self.now), connect).expect("ids are free");
        self.settle();
        id
    }

    /// Places so many calls in a tunnel.
    pub fn place(&mut self, tunnel: TunnelId, calls: usize) {
        let now = Instant::from_micros(self.now);
        for _ in 0..calls {
            let request = Request::Incoming(Incoming {
                calling: Some(b"5551234".to_vec()),
                called: Some(b"5554321".to_vec()),
                ..Incoming::default()
            });
            let placed = self.lac.place_call(now, tunnel, request, Some(Connected::default()));
            placed.expect("ids are free");
            self.settle();
        }
    }

    /// Lets time pass: for acks that wait for something to ride on, or for timers that are not needed
    /// any more.
    pub fn rest(&mut self, time: Duration) {
        self.now += time.as_micros() as u64;
        self.lns.handle_timeout(Instant::from_micros(self.now));
        self.tick();
    }

    /// The LAC's timers, and what follows.
    pub fn tick(&mut self) {
        self.lac.handle_timeout(Instant::from_micros(self.now));
        self.settle();
    }

    /// Takes datagrams to and fro until there are none.
    fn settle(&mut self) {
        let now = Instant::from_micros(self.now);
        loop {
            while let Some(transmit) = self.lac.poll_transmit(now, &mut self.buffer) {
                self.lns.handle_datagram(now, LAC, &mut self.buffer[..transmit.len]);
                self.sent += 1;
            }
            while self.lac.poll_event().is_some() {}
            while let Some(event) = self.lns.poll_event() {
                match event {
                    Event::CallOffered { tunnel, session, .. } => {
                        self.lns.accept(now, tunnel, session).expect("it is offered");
                    }
                    Event::CallUp { .. } => self.up += 1,
                    _ => {}
                }
            }
            let mut quiet = true;
            while let Some(transmit) = self.lns.poll_transmit(now, &mut self.buffer) {
                self.lac.handle_datagram(now, LNS, &mut self.buffer[..transmit.len]);
                quiet = false;
            }
            if quiet {
                return;
            }
        }
    }
}
