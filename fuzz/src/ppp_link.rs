//! Two live links, and somebody between them who alters, keeps, repeats and invents frames.
//!
//! The first two bytes say how the links are configured (`config`). The other bytes are a list of steps;
//! the lower four bits of a step's first byte say which, the others are its parameter. The lowest of
//! those is always the end that it is about.
//!
//! | step | bytes that follow | meaning |
//! |---|---|---|
//! | 0, 1 | | what the other end has sent first arrives, and is kept |
//! | 2 | | all that is under way arrives, and all answers |
//! | 3 | | what was sent first is lost |
//! | 4 | | what was kept arrives again |
//! | 5 | where, what | what was kept arrives altered |
//! | 6 | | time passes (parameter: how much) |
//! | 7 | | the next timer |
//! | 8 | length, bytes | a frame as it is |
//! | 9 | protocol, code, Identifier, length, bytes | a packet with a header that is right |
//! | 10 | code, length, options | an answer to the end's last Configure-Request |
//! | 11 | protocol, Identifier, count, options | a Configure-Request of options that exist |
//! | 12 | what | a command: close, lower layer down, data, a verdict, a network |
//! | 13 | | what the end has sent last comes back |

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use ppp::config::{Credentials, Ipv4, Ipv6, Network, Proxy, ProxyPolicy};
use ppp::packet::{Opt, Packet, code};
use ppp::{Config, Event, Instant, Link, Method, Phase, Protocol, RejectCode, Request, Verdict};

use super::input::Input;

const TIMES: [u64; 8] = [1, 50, 1000, 2999, 3000, 12_001, 30_000, 200_000];
const PROTOCOLS: [Protocol; 8] = [
    Protocol::LCP,
    Protocol::PAP,
    Protocol::CHAP,
    Protocol::EAP,
    Protocol::IPCP,
    Protocol::IPV6CP,
    Protocol::CCP,
    Protocol(0x1234),
];

/// More than one step may make an end send or tell.
const MANY: usize = 80;

struct End {
    link: Link,
    config: Arc<Config>,
    network: Network,
    flying: VecDeque<Vec<u8>>,
    last: Vec<u8>,
    /// Our last Configure-Request of each protocol.
    requests: Vec<Vec<u8>>,
    asked: Option<Box<Request>>,
    /// Whether the peer has been accepted since LCP came up.
    accepted: bool,
    up: [bool; 2],
    down: bool,
}

struct Scene {
    now: Instant,
    ends: [End; 2],
    kept: Vec<u8>,
    /// Whether callers answer at once.
    prompt: bool,
}

/// No input makes a link panic, send or tell without end, wait for what is past, send what is no packet,
/// tell of what is not, ask again before it was answered, let in who
/// was not accepted, or stay when it has been closed.
pub fn ppp_link(data: &[u8]) {
    let mut input = Input(data);
    let (Some(first), Some(second)) = (input.u8(), input.u8()) else { return };
    let mut scene = Scene {
        now: Instant::from_micros(1),
        ends: [end(1, config(first, false), client()), end(2, config(second, true), lns())],
        kept: Vec::new(),
        prompt: first & 128 == 0,
    };
    for at in [0, 1] {
        scene.act(at, |link, now| match (at, second & 128 != 0) {
            (1, true) => link.open_with_proxy(now, &proxy(first)),
            _ => link.open(now),
        });
    }
    while scene.step(&mut input).is_some() {}
    scene.end();
}

/// Bits 0 to 3: the methods that the peer must prove itself with (never one at a client without bit 4);
/// bit 5: we have no password; bit 6: passive, or with options.
fn config(bits: u8, server: bool) -> Config {
    let chosen = Method::ALL.into_iter().enumerate().filter(|(at, _)| bits & (1 << at) != 0);
    let require =
        if server || bits & 16 != 0 { chosen.map(|(_, method)| method).collect() } else { Vec::new() };
    let credentials = Credentials { name: "user".into(), password: "pass".into() };
    Config {
        require,
        credentials: (bits & 32 == 0).then_some(credentials),
        rechallenge: server.then_some(Duration::from_secs(50)),
        passive: server && bits & 64 != 0,
        pfc: bits & 64 != 0,
        mru: if bits & 64 != 0 { 1400 } else { 1500 },
        proxy: if bits & 1 != 0 { ProxyPolicy::Accept } else { ProxyPolicy::RenegotiateOnMismatch },
        ..Config::default()
    }
}

fn client() -> Network {
    Network { ipv4: Some(Ipv4::default()), ipv6: Some(Ipv6::default()) }
}

fn lns() -> Network {
    let ipv4 = Ipv4 {
        local: [10, 0, 0, 1].into(),
        accept_local: false,
        peer: Some([10, 0, 0, 2].into()),
        dns: [Some([10, 0, 0, 53].into()), None],
        nbns: [None, Some([10, 0, 0, 54].into())],
        want_dns: false,
    };
    Network { ipv4: Some(ipv4), ipv6: Some(Ipv6::default()) }
}

fn proxy(bits: u8) -> Proxy {
    let mut sent = Vec::new();
    let method = Method::ALL[usize::from(bits & 3)];
    Opt { kind: 3, value: method.option() }.write(&mut sent);
    Proxy {
        last_sent_lcp: Some(sent),
        last_received_lcp: Some(vec![1, 4, 5, bits, 5, 6, 1, 2, 3, 4]),
        authen_type: Some(2 + u16::from(method == Method::Pap)),
        authen_name: Some(b"user".to_vec()),
        authen_challenge: Some(vec![1; 16]),
        authen_id: Some(bits),
        authen_response: Some(vec![2; if method == Method::MsChapV2 { 49 } else { 16 }].into()),
        ..Proxy::default()
    }
}

fn end(seed: u8, config: Config, network: Network) -> End {
    let config = Arc::new(config);
    End {
        link: Link::new(config.clone(), [seed; 32]),
        config,
        network,
        flying: VecDeque::new(),
        last: Vec::new(),
        requests: vec![Vec::new(); PROTOCOLS.len()],
        asked: None,
        accepted: false,
        up: [false; 2],
        down: false,
    }
}

impl Scene {
    fn step(&mut self, input: &mut Input<'_>) -> Option<()> {
        let first = input.u8()?;
        let (at, parameter) = (usize::from(first >> 4 & 1), first >> 5);
        match first & 15 {
            0 | 1 => {
                self.kept = self.ends[1 - at].flying.pop_front()?;
                self.hear(at, &self.kept.clone());
            }
            2 => self.settle(),
            3 => drop(self.ends[1 - at].flying.pop_front()),
            4 => self.hear(at, &self.kept.clone()),
            5 => {
                let (place, what) = (input.u8()?, input.u8()?);
                let mut frame = self.kept.clone();
                let len = frame.len().max(1);
                if let Some(byte) = frame.get_mut(usize::from(place) % len) {
                    *byte ^= what;
                }
                self.hear(at, &frame);
            }
            6 => self.pass(Duration::from_millis(TIMES[usize::from(parameter)])),
            7 => {
                let next = self.ends.iter().filter_map(|end| end.link.poll_timeout()).min()?;
                self.pass(next.0.since(self.now));
            }
            8 => {
                let len = input.u8()?;
                self.hear(at, input.bytes(len.into()));
            }
            9 => {
                let (protocol, code, id, len) = (input.u8()?, input.u8()?, input.u8()?, input.u8()?);
                let packet = Packet { code, id, data: input.bytes(len.into()) };
                self.hear(at, &packet.frame(PROTOCOLS[usize::from(protocol & 7)]));
            }
            10 => {
                let (code, len) = (input.u8()?, input.u8()?);
                let protocol = [0, 4, 5, 6][usize::from(parameter & 3)];
                let request = self.ends[at].requests[protocol].clone();
                let Some(packet) = request.get(2..).and_then(Packet::parse) else { return Some(()) };
                let options = input.bytes(len.into());
                let data = if options.is_empty() { packet.data } else { options };
                let answer = Packet { code: 2 + code % 3, data, ..packet };
                self.hear(at, &answer.frame(PROTOCOLS[protocol]));
            }
            11 => {
                let (protocol, id, count) = (input.u8()?, input.u8()?, input.u8()?);
                let mut data = Vec::new();
                for _ in 0..count & 7 {
                    option(input)?.write(&mut data);
                }
                let request = Packet { code: code::CONFIGURE_REQUEST, id, data: &data };
                self.hear(
                    at,
                    &request
                        .frame([Protocol::LCP, Protocol::IPCP, Protocol::IPV6CP][usize::from(protocol % 3)]),
                );
            }
            12 => self.command(at, parameter, input.u8()?),
            13 => self.hear(at, &self.ends[at].last.clone()),
            _ => {}
        }
        Some(())
    }

    fn command(&mut self, at: usize, command: u8, what: u8) {
        match command {
            0 => self.act(at, |link, now| link.close(now, "enough")),
            1 => self.act(at, |link, _| link.lower_down()),
            2 => self.act(at, Link::data_received),
            3 => {
                let network = Network {
                    ipv4: (what & 1 != 0).then(Ipv4::default),
                    ipv6: (what & 2 != 0).then(Ipv6::default),
                };
                self.act(at, |link, now| link.network(now, network));
            }
            4 => {
                self.ends[at].asked = None;
                let (message, code) = ("words".into(), RejectCode(what.into()));
                let verdict = match what & 3 {
                    0 => Verdict::Accept {
                        message,
                        authenticator_response: (what & 4 != 0).then_some([what; 20]),
                    },
                    1 => Verdict::Reject { message, code, retry: what & 4 != 0 },
                    2 => Verdict::EapMd5,
                    _ => Verdict::EapContinue { packet: [1, what, 0, 5, what].into() },
                };
                self.decide(at, verdict);
            }
            _ => self.answer(at),
        }
    }

    /// The account decides, if it was asked.
    fn answer(&mut self, at: usize) {
        if let Some(request) = self.ends[at].asked.take() {
            let verdict = request.verify(b"pass");
            self.decide(at, verdict);
        }
    }

    fn decide(&mut self, at: usize, verdict: Verdict) {
        self.ends[at].accepted |= matches!(verdict, Verdict::Accept { .. });
        self.act(at, |link, now| link.authenticated(now, verdict));
    }

    /// All that is under way arrives, and what it leads to, for a while.
    fn settle(&mut self) {
        for turn in 0..60 {
            let at = turn % 2;
            while let Some(frame) = self.ends[1 - at].flying.pop_front() {
                self.hear(at, &frame);
            }
        }
    }

    fn hear(&mut self, at: usize, frame: &[u8]) {
        self.act(at, |link, now| link.handle_frame(now, frame));
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        for _ in 0..200 {
            let due = |end: &End| end.link.poll_timeout().map(|(at, _)| at);
            let Some(at) = self.ends.iter().filter_map(due).min().filter(|at| *at <= end) else {
                self.now = end;
                return;
            };
            self.now = at.max(self.now);
            for at in [0, 1] {
                self.act(at, Link::handle_timeout);
                assert!(due(&self.ends[at]).is_none_or(|next| next > self.now), "what is due is done");
            }
        }
        panic!("timers without end");
    }

    fn act(&mut self, at: usize, action: impl FnOnce(&mut Link, Instant)) {
        let now = self.now;
        action(&mut self.ends[at].link, now);
        self.ends[at].drain();
        if self.prompt {
            self.answer(at);
        }
        let network = self.ends[at].network;
        if self.prompt && self.ends[at].link.phase() == Phase::Network {
            self.ends[at].link.network(now, network);
            self.ends[at].drain();
        }
    }

    /// Whatever was, a link that is closed comes to its end, and a dead one stays dead.
    fn end(&mut self) {
        for at in [0, 1] {
            self.act(at, |link, now| link.close(now, "the end"));
        }
        self.pass(Duration::from_secs(1000));
        for end in &mut self.ends {
            assert!(end.down && end.link.phase() == Phase::Dead && end.link.poll_timeout().is_none());
            end.link.handle_frame(self.now, &[0xc0, 0x21, 5, 1, 0, 4]);
            end.flying.clear();
            end.drain();
            assert!(end.flying.is_empty());
        }
    }
}

/// An option that some protocol has, most of the time of the right length.
fn option<'a>(input: &mut Input<'a>) -> Option<Opt<'a>> {
    const KINDS: [(u8, usize); 16] = [
        (1, 2),
        (2, 4),
        (3, 2),
        (3, 3),
        (5, 4),
        (7, 0),
        (8, 0),
        (17, 2),
        (3, 4),
        (129, 4),
        (131, 4),
        (130, 4),
        (2, 4),
        (1, 8),
        (1, 8),
        (19, 7),
    ];
    let which = input.u8()?;
    let (kind, len) = KINDS[usize::from(which & 15)];
    Some(Opt { kind, value: input.bytes(len + usize::from(which >> 7)) })
}

impl End {
    fn drain(&mut self) {
        let mut frame = Vec::new();
        let mut count = 0;
        while self.link.poll_transmit(&mut frame) {
            let packet = Packet::parse(&frame[2..]).expect("a whole packet");
            assert_eq!(frame.len(), 2 + 4 + packet.data.len());
            let protocol = PROTOCOLS.iter().position(|known| known.0.to_be_bytes() == frame[..2]);
            let protocol = protocol.expect("a protocol that links speak");
            if packet.code == code::CONFIGURE_REQUEST {
                self.requests[protocol].clone_from(&frame);
            }
            self.last.clone_from(&frame);
            self.flying.push_back(frame.clone());
            self.flying.truncate(MANY);
            count += 1;
            assert!(count <= MANY, "frames without end");
        }
        while let Some(event) = self.link.poll_event() {
            self.note(event);
            count += 1;
            assert!(count <= 2 * MANY, "events without end");
        }
    }

    fn note(&mut self, event: Event) {
        assert!(!self.down, "nothing follows Down, not {event:?}");
        let _ = event.to_string();
        match event {
            Event::LcpUp { .. } => self.accepted = false,
            Event::Network { .. } => {
                assert!(self.accepted || self.config.require.is_empty(), "let in unproved")
            }
            Event::Authenticate(request) => {
                assert_eq!(self.asked.replace(request), None, "asked again before the answer");
            }
            Event::Ipv4Up { local, .. } => {
                assert!(!std::mem::replace(&mut self.up[0], true) && !local.is_unspecified());
            }
            Event::Ipv6Up { .. } => assert!(!std::mem::replace(&mut self.up[1], true)),
            Event::Ipv4Down => assert!(std::mem::take(&mut self.up[0])),
            Event::Ipv6Down => assert!(std::mem::take(&mut self.up[1])),
            Event::Down(_) => {
                assert_eq!(self.up, [false; 2], "up after the end");
                self.down = true;
            }
            _ => {}
        }
    }
}
