//! The reader.

use std::collections::VecDeque;
use std::fmt;
use std::io::{BufRead, Read};

use l2tp_data::id::{SessionId, TunnelId};
use serde::{Serialize, Serializer};

use super::{FORMAT, Input, Words};
use crate::error::Misuse;
use crate::wire::Message;
use crate::{Connect, Endpoint, Event, Instant, Path, Request};

/// The longest line of a record, in octets.
const LONGEST: u64 = 16 << 20;

/// How many steps wait for their time at the most.
const UNTIMED: usize = 1000;

/// Reads a record and does all of it again. It is the iterator over what happens.
pub struct Replay<R> {
    record: R,
    line: usize,
    endpoint: Option<Endpoint>,
    at: Instant,
    steps: VecDeque<Step>,
    /// So many of the last steps have no time of their own: they get that of the next line that has one.
    untimed: usize,
    /// There is nothing more to be read.
    end: Option<Result<(), Error>>,
    buffer: Box<[u8]>,
}

/// Something that happened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Step {
    /// The line of the record that it comes from.
    pub line: usize,
    /// When, in microseconds of the caller's clock.
    #[serde(serialize_with = "micros")]
    pub at: Instant,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

fn micros<S: Serializer>(at: &Instant, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(at.as_micros())
}

/// What happened. Neither its words nor its JSON have secrets or passwords; `bytes` and `event` may.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    /// The record begins.
    Start {
        /// The version of the program that wrote it.
        version: String,
        /// Our host name.
        host_name: String,
        /// Whether secrets are in the record. If not, what needs one fails.
        secrets: bool,
    },
    /// The caller said something.
    Command {
        /// What, in words.
        words: String,
        /// What was wrong with it.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// A datagram came.
    Received {
        /// On which way.
        path: Path,
        /// In words.
        message: Words,
        /// As it is.
        #[serde(skip)]
        bytes: Vec<u8>,
    },
    /// A datagram was sent.
    Sent {
        /// On which way.
        path: Path,
        /// In words.
        message: Words,
        /// As it is.
        #[serde(skip)]
        bytes: Vec<u8>,
    },
    /// Something was due.
    Timer {
        /// In words; empty if it had been put off.
        due: Vec<String>,
    },
    /// The caller was told something.
    Event {
        /// In words.
        words: String,
        /// As it is.
        #[serde(skip)]
        event: Event,
    },
}

/// Why a record cannot be replayed further.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Error {
    /// The line that is wrong.
    pub line: usize,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for Error {}

impl<R: BufRead> Replay<R> {
    /// A replay of this record.
    pub fn new(record: R) -> Self {
        let buffer = vec![0; Message::MAX].into();
        Self {
            record,
            line: 0,
            endpoint: None,
            at: Instant::default(),
            steps: VecDeque::new(),
            untimed: 0,
            end: None,
            buffer,
        }
    }

    /// Reads a line and does what it says. Returns whether there was one.
    fn read(&mut self) -> Result<bool, String> {
        self.line += 1;
        let mut line = Vec::new();
        let read = self.record.by_ref().take(LONGEST).read_until(b'\n', &mut line);
        match read.map_err(|error| error.to_string())? as u64 {
            0 if self.endpoint.is_none() => return Err("the record is empty".into()),
            0 => return Ok(false),
            LONGEST => return Err(format!("the line is longer than {LONGEST} octets: this is no record")),
            _ => {}
        }
        let input = serde_json::from_slice(line.trim_ascii_end()).map_err(|error| {
            // The line that it knows is always the first.
            let text = printable(&error.to_string());
            let text = text.split(" at line ").next().unwrap_or_default();
            match error.column() {
                0 => text.to_owned(),
                column => format!("{text} at column {column}"),
            }
        });
        input.and_then(|input| self.input(input)).map(|()| true)
    }

    fn input(&mut self, input: Input) -> Result<(), String> {
        let Some(mut endpoint) = self.endpoint.take() else { return self.start(input) };
        let (at, known) = (input.at().map(Instant::from_micros), self.steps.len());
        if let Some(at) = at {
            if at < self.at {
                return Err(format!("it happens at {at}, before the line above at {}", self.at));
            }
            self.at = at;
            self.steps.iter_mut().rev().take(self.untimed).for_each(|step| step.at = at);
            self.untimed = 0;
        }
        let result = self.apply(&mut endpoint, input);
        while let Some(event) = endpoint.poll_event() {
            self.step(What::Event { words: printable(&event.to_string()), event });
        }
        if at.is_none() {
            self.untimed = (self.untimed + self.steps.len() - known).min(UNTIMED);
        }
        self.endpoint = Some(endpoint);
        result
    }

    fn start(&mut self, input: Input) -> Result<(), String> {
        let Input::Start { format, version, secrets, seed, config } = input else {
            return Err("the first line of a record has \"do\":\"start\"".into());
        };
        if format != FORMAT {
            return Err(format!("the record has format {format}, this ol2tp reads {FORMAT}"));
        }
        let seed = seed.try_into().map_err(|_| "the seed has 32 octets")?;
        let (version, host_name) = (printable(&version), printable(&config.host_name));
        self.step(What::Start { version, host_name, secrets });
        self.endpoint = Some(Endpoint::new(*config, seed));
        Ok(())
    }

    fn apply(&mut self, endpoint: &mut Endpoint, input: Input) -> Result<(), String> {
        let (at, mut words) = (self.at, printable(&input.words()));
        let result: Result<(), Misuse> = match input {
            Input::Start { .. } => return Err("the record starts twice".into()),
            Input::Datagram { path, mut bytes, .. } => {
                let message = Words::of(&bytes, endpoint.secret(&path, true, &bytes).as_ref());
                self.step(What::Received { path, message, bytes: bytes.clone() });
                endpoint.handle_datagram(at, path, &mut bytes);
                return Ok(());
            }
            Input::Timeout { .. } => {
                self.step(What::Timer { due: endpoint.due(at) });
                endpoint.handle_timeout(at);
                return Ok(());
            }
            Input::Poll { calls, .. } => {
                self.poll(endpoint, calls);
                return Ok(());
            }
            Input::Config { config } => {
                *endpoint.config_mut() = *config;
                Ok(())
            }
            Input::SetDraining { draining } => {
                endpoint.set_draining(draining);
                Ok(())
            }
            Input::Connect { path, policy, .. } => endpoint
                .connect(at, Connect { path, policy })
                .map(|id| words += &format!(": tunnel {}", id.get())),
            Input::Close { tunnel, cause, .. } => endpoint.close(at, tunnel, cause),
            Input::PlaceCall { tunnel, request, connected, .. } => endpoint
                .place_call(at, tunnel, request, connected)
                .map(|id| words += &format!(": session {}", id.get())),
            Input::Accept { tunnel, session, .. } => endpoint.accept(at, tunnel, session),
            Input::Connected { tunnel, session, connected } => endpoint.connected(tunnel, session, connected),
            Input::HangUp { tunnel, session, cause, .. } => endpoint.hang_up(at, tunnel, session, cause),
            Input::Proven { tunnel, session } => {
                endpoint.proven(tunnel, session);
                Ok(())
            }
            Input::SendLinkInfo { tunnel, session, accm } => endpoint.send_link_info(tunnel, session, accm),
            Input::SendLineErrors { tunnel, session, errors } => {
                endpoint.send_line_errors(tunnel, session, errors)
            }
            Input::DataReceived { tunnel, .. } => {
                endpoint.data_received(at, tunnel);
                Ok(())
            }
            Input::DataSent { tunnel, .. } => {
                endpoint.data_sent(at, tunnel);
                Ok(())
            }
        };
        self.step(What::Command { words, error: result.err().map(|misuse| misuse.to_string()) });
        Ok(())
    }

    fn poll(&mut self, endpoint: &mut Endpoint, calls: u32) {
        for _ in 0..calls {
            let Some(transmit) = endpoint.poll_transmit(self.at, &mut self.buffer) else { return };
            let bytes = self.buffer[..transmit.len].to_vec();
            let message = Words::of(&bytes, endpoint.secret(&transmit.path, false, &bytes).as_ref());
            self.step(What::Sent { path: transmit.path, message, bytes });
        }
    }

    fn step(&mut self, what: What) {
        self.steps.push_back(Step { line: self.line, at: self.at, what });
    }
}

/// A text without control characters, with which a stranger's record could steer a terminal.
fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_control() {
            printable.extend(char.escape_default());
        } else {
            printable.push(char);
        }
    }
    printable
}

/// After an error there is nothing more.
impl<R: BufRead> Iterator for Replay<R> {
    type Item = Result<Step, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.end.is_some() || self.steps.len() > self.untimed {
                let step = self.steps.pop_front().map(Ok);
                return step.or_else(|| self.end.replace(Ok(()))?.err().map(Err));
            }
            self.end = match self.read() {
                Ok(true) => None,
                Ok(false) => Some(Ok(())),
                Err(message) => Some(Err(Error { line: self.line, message })),
            };
        }
    }
}

impl Input {
    fn at(&self) -> Option<u64> {
        match self {
            Self::Datagram { at, .. }
            | Self::Timeout { at }
            | Self::Poll { at, .. }
            | Self::Connect { at, .. }
            | Self::Close { at, .. }
            | Self::PlaceCall { at, .. }
            | Self::Accept { at, .. }
            | Self::HangUp { at, .. }
            | Self::DataReceived { at, .. }
            | Self::DataSent { at, .. } => Some(*at),
            _ => None,
        }
    }

    /// A command in words.
    fn words(&self) -> String {
        let both = |tunnel: &TunnelId, session: &SessionId| {
            format!("tunnel {} session {}", tunnel.get(), session.get())
        };
        match self {
            Self::Config { .. } => "another configuration".into(),
            Self::SetDraining { draining: true } => "no new tunnels and calls".into(),
            Self::SetDraining { draining: false } => "new tunnels and calls again".into(),
            Self::Connect { path, .. } => format!("connect to {}", path.peer),
            Self::Close { tunnel, cause, .. } => format!("close tunnel {}: {cause}", tunnel.get()),
            Self::PlaceCall { tunnel, request, .. } => {
                let kind = match request {
                    Request::Incoming(_) => "incoming",
                    Request::Outgoing(_) => "outgoing",
                };
                format!("place an {kind} call in tunnel {}", tunnel.get())
            }
            Self::Accept { tunnel, session, .. } => format!("accept {}", both(tunnel, session)),
            Self::Connected { tunnel, session, .. } => format!("connected {}", both(tunnel, session)),
            Self::HangUp { tunnel, session, cause, .. } => {
                format!("hang up {}: {cause}", both(tunnel, session))
            }
            Self::Proven { tunnel, session } => format!("{} is proven", both(tunnel, session)),
            Self::SendLinkInfo { tunnel, session, .. } => format!("link info for {}", both(tunnel, session)),
            Self::SendLineErrors { tunnel, session, .. } => {
                format!("line errors of {}", both(tunnel, session))
            }
            Self::DataReceived { tunnel, .. } => format!("data came in tunnel {}", tunnel.get()),
            Self::DataSent { tunnel, .. } => format!("data was sent in tunnel {}", tunnel.get()),
            Self::Start { .. } | Self::Datagram { .. } | Self::Timeout { .. } | Self::Poll { .. } => {
                String::new()
            }
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  ", self.at)?;
        match &self.what {
            What::Start { version, host_name, secrets } => {
                write!(f, "{host_name}, recorded by ol2tp {version}")?;
                f.write_str(if *secrets { "" } else { "; without secrets: what needs one fails here" })
            }
            What::Command { words, error: None } => write!(f, "# {words}"),
            What::Command { words, error: Some(error) } => write!(f, "# {words}: {error}"),
            What::Received { path, message, .. } => write!(f, "< {}  {message}", path.peer),
            What::Sent { path, message, .. } => write!(f, "> {}  {message}", path.peer),
            What::Timer { due } if due.is_empty() => f.write_str("@ nothing is due any more"),
            What::Timer { due } => write!(f, "@ {}", due.join("; ")),
            What::Event { words, .. } => write!(f, "* {words}"),
        }
    }
}
