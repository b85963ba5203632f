//! Two links, a network between them, and callers that say yes to whoever knows the password.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use ppp::config::{InterfaceId, Ipv4, Ipv6, Network};
use ppp::{Config, Event, Instant, Link, Reason, Verdict};
use sim::network::{self, Conditions};

/// What an end has in the end.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Agreed {
    pub ipv4: Option<(Ipv4Addr, Ipv4Addr)>,
    pub dns: [Option<Ipv4Addr>; 2],
    pub ipv6: Option<(InterfaceId, InterfaceId)>,
    pub peer_name: Option<Box<[u8]>>,
    pub down: Option<Reason>,
}

pub struct End {
    pub link: Link,
    pub network: Network,
    /// The password of whoever comes.
    pub password: Vec<u8>,
    /// Whether it answers at all.
    pub decides: bool,
    pub events: Vec<Event>,
    pub agreed: Agreed,
}

pub struct Pair {
    pub ends: [End; 2],
    pub wire: network::Network<usize>,
    pub now: u64,
}

impl Pair {
    /// A client, which takes what it gets, and a server, which assigns 10.0.0.2.
    pub fn new(client: Config, server: Config) -> Self {
        Self::with(client, server, 1, Conditions::ideal(1000))
    }

    pub fn with(client: Config, server: Config, seed: u64, conditions: Conditions) -> Self {
        let end = |config, network, seed: [u8; 32]| End {
            link: Link::new(Arc::new(config), seed),
            network,
            password: b"pass".to_vec(),
            decides: true,
            events: Vec::new(),
            agreed: Agreed::default(),
        };
        let assigns = Ipv4 {
            local: [10, 0, 0, 1].into(),
            accept_local: false,
            peer: Some([10, 0, 0, 2].into()),
            dns: [Some([10, 0, 0, 53].into()), None],
            nbns: [None; 2],
            want_dns: false,
        };
        let accepts = Network { ipv4: Some(Ipv4::default()), ipv6: Some(Ipv6::default()) };
        let [a, b] = [1, 2].map(|end| {
            let mut seeds = network::Random::new(seed * 2 + end);
            std::array::from_fn(|_| seeds.next() as u8)
        });
        let ends = [
            end(client, accepts, a),
            end(server, Network { ipv4: Some(assigns), ipv6: Some(Ipv6::default()) }, b),
        ];
        Self { ends, wire: network::Network::new(seed, conditions), now: 1_000_000 }
    }

    pub fn instant(&self) -> Instant {
        Instant::from_micros(self.now)
    }

    /// Opens both ends.
    pub fn open(&mut self) {
        for at in [0, 1] {
            self.act(at, Link::open);
        }
    }

    /// Does something with an end.
    pub fn act(&mut self, at: usize, action: impl FnOnce(&mut Link, Instant)) {
        let now = self.instant();
        action(&mut self.ends[at].link, now);
        self.drain(at);
    }

    /// Time passes.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time.as_micros() as u64;
        while let Some(at) = self.next().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.step();
        }
        self.now = end;
    }

    /// Opens both ends and lets them talk for a while.
    pub fn run(client: Config, server: Config, time: Duration) -> Self {
        let mut pair = Self::new(client, server);
        pair.open();
        pair.pass(time);
        pair
    }

    /// The client's events and the server's.
    pub fn events(&self) -> [&[Event]; 2] {
        [&self.ends[0].events, &self.ends[1].events]
    }

    pub fn agreed(&self) -> [&Agreed; 2] {
        [&self.ends[0].agreed, &self.ends[1].agreed]
    }

    /// Both are up, and each has the same to say of both.
    pub fn assert_up(&self) {
        let [a, b] = self.agreed();
        let up = a.down.is_none() && b.down.is_none() && a.ipv4.is_some() && a.ipv6.is_some();
        assert!(up && self.alike(), "{a:?}\n{b:?}");
    }

    /// Each end has what the other one says.
    pub fn alike(&self) -> bool {
        let [a, b] = self.agreed();
        a.ipv4 == b.ipv4.map(|(local, peer)| (peer, local))
            && a.ipv6 == b.ipv6.map(|(local, peer)| (peer, local))
    }

    fn next(&self) -> Option<u64> {
        let timers = self.ends.iter().filter_map(|end| Some(end.link.poll_timeout()?.0.as_micros()));
        timers.chain(self.wire.next_arrival()).min()
    }

    fn step(&mut self) {
        let now = self.instant();
        while let Some(datagram) = self.wire.arrive(self.now) {
            self.ends[datagram.to].link.handle_frame(now, &datagram.bytes);
            self.drain(datagram.to);
        }
        for at in [0, 1] {
            if self.ends[at].link.poll_timeout().is_some_and(|(due, _)| due <= now) {
                self.ends[at].link.handle_timeout(now);
                self.drain(at);
            }
            let next = self.ends[at].link.poll_timeout();
            assert!(next.is_none_or(|(at, _)| at > now), "what is due is done: {next:?}");
        }
    }

    fn drain(&mut self, at: usize) {
        let now = self.instant();
        let mut frame = Vec::new();
        loop {
            while self.ends[at].link.poll_transmit(&mut frame) {
                self.wire.send(self.now, at, 1 - at, frame.clone());
            }
            let Some(event) = self.ends[at].link.poll_event() else { return };
            self.ends[at].note(now, &event);
            self.ends[at].events.push(event);
        }
    }
}

impl End {
    fn note(&mut self, now: Instant, event: &Event) {
        let agreed = &mut self.agreed;
        assert_eq!(agreed.down, None, "nothing follows Down, not {event:?}");
        match event {
            Event::Authenticate(request) if self.decides => {
                let verdict = match &request.name[..] {
                    b"user" | b"server" => request.verify(&self.password),
                    _ => Verdict::reject(),
                };
                self.link.authenticated(now, verdict);
            }
            Event::Network { peer_name } => {
                agreed.peer_name.clone_from(peer_name);
                self.link.network(now, self.network);
            }
            Event::Ipv4Up { local, peer, dns } => {
                assert_eq!(agreed.ipv4.replace((*local, *peer)), None, "up twice");
                agreed.dns = *dns;
            }
            Event::Ipv4Down => assert!(agreed.ipv4.take().is_some(), "down twice"),
            Event::Ipv6Up { local, peer } => {
                assert_eq!(agreed.ipv6.replace((*local, *peer)), None, "up twice");
            }
            Event::Ipv6Down => assert!(agreed.ipv6.take().is_some(), "down twice"),
            Event::Down(reason) => {
                assert_eq!((agreed.ipv4, agreed.ipv6), (None, None), "up after the end");
                agreed.down = Some(reason.clone());
            }
            _ => {}
        }
    }
}
