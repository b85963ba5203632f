//! Two ends that authenticate each other, and somebody between them.
//!
//! The first byte says how (bits 0–1 and 2–3: the method of each direction), and which end has the wrong
//! password (bits 4, 5). The other bytes are a list of steps: bits 0–2 of a step's first byte say which,
//! bit 3 which end it is about, the others are its parameter.
//!
//! | step | bytes that follow | meaning |
//! |---|---|---|
//! | 0, 1 | | what the other end has sent arrives, and is kept |
//! | 2 | | what was kept arrives again |
//! | 3 | where, what | what was kept arrives altered |
//! | 4 | length, bytes | a packet as it is (parameter: protocol) |
//! | 5 | | the next timer |
//! | 6 | | the account decides |
//! | 7 | what | another verdict, a retry, or a network packet |

use std::time::Duration;

use chacha20::ChaCha8Rng;
use ppp::auth::{Auth, Context, Outcome};
use ppp::config::Credentials;
use ppp::{By, Config, Instant, Method, Protocol, RejectCode, Request, Secret, Verdict};
use rand_core::SeedableRng;

use super::input::Input;

const PASSWORD: &str = "clientPass";

/// More frames than one step makes an end send.
const MANY: usize = 4;

struct End {
    auth: Auth,
    config: Config,
    rng: ChaCha8Rng,
    now: Instant,
    /// How the peer proves itself.
    peer: Method,
    asked: Option<Box<Request>>,
    /// Whether the account, or somebody else, has accepted the peer's proof.
    accepted: bool,
    /// The last frame received.
    kept: Vec<u8>,
    sent: Vec<Vec<u8>>,
}

impl End {
    fn new(seed: u8, local: Method, peer: Method, wrong: bool) -> Self {
        let password = Secret::from(if wrong { "clientPas" } else { PASSWORD });
        let config = Config {
            credentials: Some(Credentials { name: "WORK\\alice".into(), password }),
            rechallenge: Some(Duration::from_secs(100)),
            ..Config::default()
        };
        let mut rng = ChaCha8Rng::from_seed([seed; 32]);
        let now = Instant::default();
        let auth = Auth::new(&mut Context { now, config: &config, rng: &mut rng }, Some(local), Some(peer));
        Self {
            auth,
            config,
            rng,
            now,
            peer,
            asked: None,
            accepted: false,
            kept: vec![0; 6],
            sent: Vec::new(),
        }
    }

    fn step(&mut self, step: impl FnOnce(&mut Auth, &mut Context<'_>) -> Option<Outcome>) -> bool {
        let mut context = Context { now: self.now, config: &self.config, rng: &mut self.rng };
        let outcome = step(&mut self.auth, &mut context);
        let any = outcome.is_some();
        match outcome {
            Some(Outcome::Authenticate(request)) => {
                assert_eq!(self.asked, None, "asked again before the answer");
                assert!(request.name.len() <= 255);
                self.asked = Some(request);
            }
            Some(Outcome::PeerAuthenticated) => assert!(self.accepted, "nobody said so"),
            Some(Outcome::Authenticated(message) | Outcome::Notification(message)) => printable(&message),
            Some(Outcome::Failed { by, message }) => {
                assert!(!self.auth.is_done());
                printable(&message);
                if by == By::Us {
                    self.asked = None;
                }
            }
            None => {}
        }
        let mut frame = Vec::new();
        for _ in 0..MANY {
            if self.auth.poll_transmit(&mut frame) {
                assert!((6..=600).contains(&frame.len()), "{}", frame.len());
                self.sent.push(frame.clone());
            }
        }
        assert!(!self.auth.poll_transmit(&mut frame), "a frame for ever");
        assert!(self.auth.poll_timeout().is_none_or(|(at, _)| at > self.now), "a timer for ever");
        assert!(self.accepted || !self.auth.is_done());
        any
    }

    fn receive(&mut self, frame: &[u8]) {
        let protocol = Protocol(u16::from_be_bytes([frame[0], frame[1]]));
        self.step(|auth, context| auth.handle_packet(context, protocol, &frame[2..]));
    }

    /// A verdict, asked for or not.
    fn verdict(&mut self, verdict: Verdict) {
        let asked = self.asked.take().is_some();
        self.accepted |= asked && matches!(verdict, Verdict::Accept { .. });
        let told = self.step(|auth, context| auth.verdict(context, verdict));
        assert!(asked || !told, "nothing was asked");
    }
}

fn printable(message: &str) {
    assert!(message.len() < 2000 && !message.contains(char::is_control), "{message:?}");
}

/// Whatever stands between two ends, and however their accounts behave: no panic, no frame or timer for
/// ever, never two requests at once, and nobody is let in without a verdict that says so. If the accounts
/// alone decide, nobody with the wrong password is let in.
pub fn ppp_auth(data: &[u8]) {
    let mut input = Input(data);
    let Some(how) = input.u8() else { return };
    let method = |shift: u8| Method::ALL[usize::from(how >> shift & 3)];
    let wrong = [how & 0x10 != 0, how & 0x20 != 0];
    let mut ends = [End::new(1, method(0), method(2), wrong[0]), End::new(2, method(2), method(0), wrong[1])];
    let mut honest = true;
    for end in &mut ends {
        end.step(|_, _| None);
    }
    while let Some(step) = input.u8() {
        let (at, parameter) = (usize::from(step >> 3 & 1), step >> 4);
        match step & 7 {
            0 | 1 => {
                for frame in core::mem::take(&mut ends[1 - at].sent) {
                    ends[at].receive(&frame);
                    ends[at].kept = frame;
                }
            }
            2 => {
                let frame = ends[at].kept.clone();
                ends[at].receive(&frame);
            }
            3 => {
                let mut frame = ends[at].kept.clone();
                let (Some(place), Some(value)) = (input.u8(), input.u8()) else { return };
                let place = usize::from(place) % frame.len();
                frame[place] ^= value;
                ends[at].receive(&frame);
            }
            4 => {
                let protocol = [Protocol::PAP, Protocol::CHAP, Protocol::EAP][usize::from(parameter % 3)];
                let length = input.u8().unwrap_or(0);
                let packet = input.bytes(length.into());
                ends[at].receive(&[&protocol.0.to_be_bytes(), packet].concat());
            }
            5 => {
                if let Some((next, _)) = ends[at].auth.poll_timeout() {
                    ends[at].now = next;
                    ends[at].step(Auth::handle_timeout);
                }
            }
            6 => {
                if let Some(request) = ends[at].asked.clone() {
                    let verdict = request.verify(PASSWORD.as_bytes());
                    ends[at].verdict(verdict);
                }
            }
            _ => {
                let Some(what) = input.u8() else { return };
                other(&mut ends[at], what, &mut input, &mut honest);
            }
        }
    }
    for (at, end) in ends.iter().enumerate() {
        if honest && wrong[1 - at] {
            assert!(!end.accepted && !end.auth.is_done(), "{} with the wrong password", end.peer);
        }
    }
}

/// What accounts and callers do besides.
fn other(end: &mut End, what: u8, input: &mut Input<'_>, honest: &mut bool) {
    match what % 5 {
        0 => {
            *honest = false;
            let authenticator_response = (what & 0x80 != 0).then_some([7; 20]);
            end.verdict(Verdict::Accept { message: "Hello".into(), authenticator_response });
        }
        1 => {
            let code = RejectCode(u32::from(what) + 600);
            end.verdict(Verdict::Reject { message: "No".into(), code, retry: what & 0x80 != 0 });
        }
        2 => {
            let length = input.u8().unwrap_or(0);
            let packet = input.bytes(length.into()).into();
            end.verdict(Verdict::EapContinue { packet });
        }
        3 => {
            end.step(|auth, context| {
                auth.retry(context);
                None
            });
        }
        _ => {
            end.step(|auth, _| auth.handle_network());
        }
    }
}
