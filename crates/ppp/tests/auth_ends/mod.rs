//! One end or two, with a clock that stands still until it is moved.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

use std::time::Duration;

use chacha20::ChaCha8Rng;
use ppp::auth::{Auth, Context, Outcome, Request, Secret, Verdict};
use ppp::config::Credentials;
use ppp::{By, Config, Instant, Method, Protocol, Timer};
use rand_core::SeedableRng;

pub const NAME: &str = "alice";
pub const PASSWORD: &str = "clientPass";

pub struct End {
    pub auth: Auth,
    pub config: Config,
    pub now: Instant,
    rng: ChaCha8Rng,
}

/// The defaults, and who we are.
pub fn config(name: &str, password: &str) -> Config {
    let credentials = Credentials { name: name.into(), password: Secret::from(password) };
    Config { credentials: Some(credentials), ..Config::default() }
}

impl End {
    pub fn new(seed: u8, config: Config, local: Option<Method>, peer: Option<Method>) -> Self {
        let mut rng = ChaCha8Rng::from_seed([seed; 32]);
        let now = Instant::from_micros(1_000_000);
        let auth = Auth::new(&mut Context { now, config: &config, rng: &mut rng }, local, peer);
        Self { auth, config, now, rng }
    }

    /// The end that wants to know who the peer is.
    pub fn authenticator(method: Method) -> Self {
        Self::new(1, Config::default(), None, Some(method))
    }

    /// The end that proves itself.
    pub fn peer(method: Method) -> Self {
        Self::new(2, config(NAME, PASSWORD), Some(method), None)
    }

    fn step<T>(&mut self, step: impl FnOnce(&mut Auth, &mut Context<'_>) -> T) -> T {
        let mut context = Context { now: self.now, config: &self.config, rng: &mut self.rng };
        step(&mut self.auth, &mut context)
    }

    /// Begins again with a proof from elsewhere.
    pub fn resume(&mut self, request: &Request) {
        self.auth = self.step(|_, context| Auth::with_proof(context, None, request));
    }

    pub fn receive(&mut self, frame: &[u8]) -> Option<Outcome> {
        let protocol = Protocol(u16::from_be_bytes([frame[0], frame[1]]));
        self.step(|auth, context| auth.handle_packet(context, protocol, &frame[2..]))
    }

    pub fn verdict(&mut self, verdict: Verdict) -> Option<Outcome> {
        self.step(|auth, context| auth.verdict(context, verdict))
    }

    pub fn retry(&mut self) -> bool {
        self.step(Auth::retry)
    }

    /// Runs what is due at `now`.
    pub fn timeout(&mut self, now: Instant) -> Option<Outcome> {
        self.now = self.now.max(now);
        self.step(Auth::handle_timeout)
    }

    /// The next timer: moves the clock there, says which it was and what came of it.
    pub fn next(&mut self) -> (Timer, Duration, Option<Outcome>) {
        let (at, timer) = self.auth.poll_timeout().expect("a timer runs");
        let time = at.since(self.now);
        (timer, time, self.timeout(at))
    }

    /// The one frame to send.
    pub fn sent(&mut self) -> Vec<u8> {
        let frames = self.drain();
        assert_eq!(frames.len(), 1, "{frames:x?}");
        frames.into_iter().next().expect("there is one")
    }

    /// All frames to send.
    pub fn drain(&mut self) -> Vec<Vec<u8>> {
        let mut out = vec![0xee];
        core::iter::from_fn(|| self.auth.poll_transmit(&mut out).then(|| out.clone())).collect()
    }

    pub fn is_silent(&mut self) -> bool {
        self.drain().is_empty()
    }

    /// Malformed, stray and foreign frames so far.
    pub fn ignored(&self) -> [u32; 3] {
        let ignored = self.auth.ignored();
        [ignored.malformed, ignored.stray, ignored.foreign]
    }
}

/// A frame of PAP, CHAP or EAP.
pub fn frame(method: Method, code: u8, id: u8, data: &[u8]) -> Vec<u8> {
    ppp::packet::Packet { code, id, data }.frame(method.protocol())
}

/// The request in an outcome.
pub fn request(outcome: Option<Outcome>) -> Request {
    match outcome {
        Some(Outcome::Authenticate(request)) => *request,
        other => panic!("no request: {other:?}"),
    }
}

pub fn failed(by: By, message: &str) -> Option<Outcome> {
    Some(Outcome::Failed { by, message: message.into() })
}

pub fn authenticated(message: &str) -> Option<Outcome> {
    Some(Outcome::Authenticated(message.into()))
}

/// What each of two ends has come to.
#[derive(PartialEq, Debug, Default)]
pub struct Ends {
    pub authenticator: Vec<Outcome>,
    pub peer: Vec<Outcome>,
}

/// Lets the two talk until both are silent; `password` is that of every account.
pub fn talk(authenticator: &mut End, peer: &mut End, password: &str) -> Ends {
    let mut ends = Ends::default();
    loop {
        let (to_peer, to_authenticator) = (authenticator.drain(), peer.drain());
        if to_peer.is_empty() && to_authenticator.is_empty() {
            return ends;
        }
        for frame in to_authenticator {
            let mut outcome = authenticator.receive(&frame);
            if let Some(Outcome::Authenticate(request)) = outcome {
                outcome = authenticator.verdict(request.verify(password.as_bytes()));
            }
            ends.authenticator.extend(outcome);
        }
        for frame in to_peer {
            ends.peer.extend(peer.receive(&frame));
        }
    }
}
