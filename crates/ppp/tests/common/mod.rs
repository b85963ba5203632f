//! Links on a virtual clock: one against frames made by hand, and two against each other.

#![allow(dead_code, unreachable_pub)]

pub mod pair;

use std::sync::Arc;
use std::time::Duration;

use ppp::config::{Credentials, Ipv4, Network};
use ppp::packet::{Opt, Packet};
use ppp::{Config, Event, Instant, Link, Protocol};

pub use ppp::packet::code::*;

/// A packet that a link has sent, or is sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sent {
    pub protocol: Protocol,
    pub code: u8,
    pub id: u8,
    pub data: Vec<u8>,
}

impl Sent {
    pub fn parse(frame: &[u8]) -> Self {
        let (protocol, packet) = frame.split_first_chunk().expect("a frame has a protocol");
        let packet = Packet::parse(packet).expect("a link sends whole packets");
        let protocol = Protocol(u16::from_be_bytes(*protocol));
        Self { protocol, code: packet.code, id: packet.id, data: packet.data.to_vec() }
    }

    pub fn frame(&self) -> Vec<u8> {
        Packet { code: self.code, id: self.id, data: &self.data }.frame(self.protocol)
    }

    /// The value of an option, if this is a list of options that has it.
    pub fn option(&self, kind: u8) -> Option<&[u8]> {
        ppp::packet::options(&self.data)?.find(|option| option.kind == kind).map(|option| option.value)
    }
}

/// The options `[(type, value), …]`.
pub fn opts(options: &[(u8, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    options.iter().for_each(|&(kind, value)| Opt { kind, value }.write(&mut out));
    out
}

/// One link, and a peer made by hand.
pub struct Bench {
    pub link: Link,
    pub now: Instant,
    pub events: Vec<Event>,
}

impl Bench {
    /// A link that is not open.
    pub fn new(config: Config) -> Self {
        let link = Link::new(Arc::new(config), [7; 32]);
        Self { link, now: Instant::from_micros(1_000_000), events: Vec::new() }
    }

    /// A link that has been opened, and its first Configure-Request.
    pub fn open(config: Config) -> (Self, Sent) {
        let mut bench = Self::new(config);
        bench.link.open(bench.now);
        let request = bench.sent().pop().expect("a Configure-Request");
        assert_eq!((request.protocol, request.code), (Protocol::LCP, CONFIGURE_REQUEST));
        (bench, request)
    }

    /// A link whose LCP is open, the peer having asked for these options.
    pub fn lcp(config: Config, options: &[(u8, &[u8])]) -> Self {
        let (mut bench, request) = Self::open(config);
        bench.agree(&request, options);
        assert!(matches!(bench.events[..], [Event::LcpUp { .. }, ..]), "{:?}", bench.events);
        bench
    }

    /// A link in the network phase, to which nothing has been said yet, and the Configure-Requests of
    /// its network protocols.
    pub fn network(network: Network) -> (Self, Vec<Sent>) {
        let mut bench = Self::lcp(Config::default(), &[]);
        bench.events.clear();
        bench.link.network(bench.now, network);
        let requests = bench.sent();
        (bench, requests)
    }

    /// A link that does IPCP only, and its first Configure-Request.
    pub fn ipcp(ipv4: Ipv4) -> (Self, Sent) {
        let (bench, mut requests) = Self::network(Network { ipv4: Some(ipv4), ipv6: None });
        (bench, requests.pop().expect("a Configure-Request"))
    }

    /// The peer acks this request and has its own, with these options, acked.
    pub fn agree(&mut self, request: &Sent, options: &[(u8, &[u8])]) -> Vec<Sent> {
        let mut sent = self.hear(request.protocol, CONFIGURE_ACK, request.id, &request.data);
        sent.extend(self.hear(request.protocol, CONFIGURE_REQUEST, 1, &opts(options)));
        assert_eq!(sent[0].code, CONFIGURE_ACK, "{sent:?}");
        sent.split_off(1)
    }

    /// What the link answers to a packet.
    pub fn hear(&mut self, protocol: Protocol, code: u8, id: u8, data: &[u8]) -> Vec<Sent> {
        self.hear_frame(&Packet { code, id, data }.frame(protocol))
    }

    /// What the link answers to a frame.
    pub fn hear_frame(&mut self, frame: &[u8]) -> Vec<Sent> {
        self.link.handle_frame(self.now, frame);
        self.sent()
    }

    /// What the link answers to a Configure-Request with these options.
    pub fn ask(&mut self, protocol: Protocol, id: u8, options: &[(u8, &[u8])]) -> Sent {
        let mut sent = self.hear(protocol, CONFIGURE_REQUEST, id, &opts(options));
        assert!(!sent.is_empty(), "no answer to {options:?}");
        let answer = sent.swap_remove(sent.len() - 1);
        assert_eq!(answer.id, id);
        answer
    }

    /// What the link has sent.
    pub fn sent(&mut self) -> Vec<Sent> {
        let (mut frames, mut frame) = (Vec::new(), Vec::new());
        while self.link.poll_transmit(&mut frame) {
            frames.push(Sent::parse(&frame));
        }
        self.events.extend(std::iter::from_fn(|| self.link.poll_event()));
        assert!(self.link.poll_timeout().is_none_or(|(at, _)| at > self.now), "what is due is done");
        frames
    }

    /// Time passes; what the link has sent meanwhile.
    pub fn pass(&mut self, time: Duration) -> Vec<Sent> {
        let end = self.now + time;
        let mut sent = Vec::new();
        while let Some((at, _)) = self.link.poll_timeout().filter(|(at, _)| *at <= end) {
            self.now = at;
            self.link.handle_timeout(at);
            sent.extend(self.sent());
        }
        self.now = end;
        sent
    }

    /// What has happened since this was asked last.
    pub fn told(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }
}

/// The LCP config of an end that is known as `name`.
pub fn client(name: &str, password: &str) -> Config {
    let credentials = Credentials { name: name.into(), password: password.into() };
    Config { credentials: Some(credentials), ..Config::default() }
}

pub const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
