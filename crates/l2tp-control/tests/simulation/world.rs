//! Hosts on a network, on a virtual clock.
//!
//! ```text
//!   User ── commands ─► Endpoint ── datagrams ─► Network ─► Endpoint ...
//!     ▲                    │
//!     └────── events ──────┘          whatever comes first in time goes next
//! ```

use std::fmt::Write;
use std::net::SocketAddr;

use l2tp_control::config::{Config, PeerRule, Policy};
use l2tp_control::record::{Recorder, Secrets};
use l2tp_control::wire::{Header, Message, MessageType};
use l2tp_control::{Event, Instant, Path};
use sim::network::{Conditions, Network};

use crate::user::{Calls, User};

/// An endpoint whose inputs are recorded.
pub(crate) type Side = Recorder<Vec<u8>>;

/// A host, and who uses it.
pub(crate) struct Host {
    pub(crate) address: SocketAddr,
    pub(crate) endpoint: Side,
    pub(crate) user: User,
    /// What the endpoint has sent and told.
    pub(crate) sent: Vec<(u64, Path, Vec<u8>)>,
    pub(crate) told: Vec<(u64, Event)>,
}

/// All of it.
pub(crate) struct World {
    pub(crate) now: u64,
    pub(crate) network: Network<SocketAddr>,
    pub(crate) hosts: Vec<Host>,
    pub(crate) calls: Calls,
    /// Everything that went over the network or to a user, in words.
    pub(crate) trace: Option<String>,
    buffer: Box<[u8]>,
}

pub(crate) fn path(peer: SocketAddr) -> Path {
    Path { socket: 0, local: None, peer }
}

/// A datagram as the trace has it.
fn words(datagram: &[u8]) -> String {
    let header = Header::parse(datagram).expect("what is sent is sound");
    let kind = datagram.get(18..20).map(|kind| MessageType(u16::from_be_bytes([kind[0], kind[1]])));
    let kind = kind.map_or("ZLB".into(), |kind| kind.to_string());
    let Header { tunnel_id, session_id, ns, nr, .. } = header;
    format!("{kind} {tunnel_id}/{session_id} Ns {ns} Nr {nr} {datagram:02x?}")
}

impl World {
    /// Hosts at these addresses, all with the same policy. The seed is for everything.
    pub(crate) fn new(
        seed: u64,
        addresses: &[&str],
        policy: &Policy,
        conditions: Conditions,
        secrets: Secrets,
    ) -> Self {
        let host = |(n, address): (u64, &&str)| {
            let peers = vec![PeerRule::anyone(policy.clone())];
            let config = Config { host_name: address.to_string().into(), peers, ..Config::default() };
            let mut endpoint_seed = [n as u8; 32];
            endpoint_seed[..8].copy_from_slice(&seed.to_le_bytes());
            Host {
                address: address.parse().expect("an address"),
                endpoint: Recorder::new(config, endpoint_seed, Vec::new(), secrets),
                user: User::new(seed << 8 | n, n as usize, policy),
                sent: Vec::new(),
                told: Vec::new(),
            }
        };
        Self {
            now: 1,
            network: Network::new(seed, conditions),
            hosts: (0..).zip(addresses).map(host).collect(),
            calls: Calls::default(),
            trace: None,
            buffer: vec![0; Message::MAX].into(),
        }
    }

    /// Lets time pass until `end`.
    pub(crate) fn run_until(&mut self, end: u64) {
        while let Some(next) = self.next().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.step();
        }
        self.now = end;
    }

    /// When something happens next.
    pub(crate) fn next(&self) -> Option<u64> {
        let timers =
            self.hosts.iter().filter_map(|host| host.endpoint.poll_timeout()).map(Instant::as_micros);
        let users = self.hosts.iter().filter_map(|host| host.user.next());
        timers.chain(users).chain(self.network.next_arrival()).min()
    }

    /// What happens now.
    fn step(&mut self) {
        let now = Instant::from_micros(self.now);
        if let Some(mut datagram) = self.network.arrive(self.now) {
            self.note(|| format!("{} ► {} {}", datagram.from, datagram.to, words(&datagram.bytes)));
            let to = self.hosts.iter().position(|host| host.address == datagram.to).expect("a host");
            self.hosts[to].endpoint.handle_datagram(now, path(datagram.from), &mut datagram.bytes);
            self.drain(to);
        }
        for n in 0..self.hosts.len() {
            if self.hosts[n].endpoint.poll_timeout().is_some_and(|at| at <= now) {
                self.hosts[n].endpoint.handle_timeout(now);
                self.drain(n);
            }
            if self.hosts[n].user.next().is_some_and(|at| at <= self.now) {
                let Host { endpoint, user, .. } = &mut self.hosts[n];
                if let Some(done) = user.act(self.now, endpoint, &mut self.calls) {
                    self.note(|| format!("{n}: {done}"));
                }
                self.drain(n);
            }
        }
    }

    /// Sends what a host has to send, and tells its user what has happened.
    pub(crate) fn drain(&mut self, n: usize) {
        let (now, from) = (Instant::from_micros(self.now), self.hosts[n].address);
        while let Some(transmit) = self.hosts[n].endpoint.poll_transmit(now, &mut self.buffer) {
            let bytes = self.buffer[..transmit.len].to_vec();
            self.note(|| format!("{from} ─ {} {}", transmit.path.peer, words(&bytes)));
            self.hosts[n].sent.push((self.now, transmit.path, bytes.clone()));
            self.network.send(self.now, from, transmit.path.peer, bytes);
        }
        while let Some(event) = self.hosts[n].endpoint.poll_event() {
            self.note(|| format!("{n}: {event:?}"));
            self.hosts[n].told.push((self.now, event.clone()));
            self.hosts[n].user.hear(self.now, event, &mut self.calls);
        }
    }

    fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            writeln!(trace, "{:12} {}", self.now, line()).expect("a String takes it");
        }
    }
}

/// A test that fails shows its trace, if it has one.
impl Drop for World {
    #[allow(clippy::print_stderr)]
    fn drop(&mut self) {
        if let Some(trace) = self.trace.as_ref().filter(|_| std::thread::panicking()) {
            eprintln!("{trace}");
        }
    }
}
