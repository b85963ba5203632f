//! What a lossy network leaves of the speed of a tunnel, as a table that is kept in `goodput.txt`.
//!
//! With the variable `UPDATE_SNAPSHOTS` set, the test writes the table anew; look at what changed.

use std::collections::VecDeque;
use std::fmt::Write;
use std::path::Path as File;
use std::sync::Arc;
use std::time::Duration;
use std::{env, fs};

use l2tp_control::config::{Config, PeerRule, Policy};
use l2tp_control::wire::{CallErrors, Message};
use l2tp_control::{Connect, Connected, Endpoint, Event, Incoming, Instant, Request};
use l2tp_data::id::{SessionId, TunnelId};
use sim::network::{Conditions, Network};

use crate::world::path;
use crate::{LAC, LNS, TIMING};

/// Per mille, both ways.
const LOSS: [u16; 6] = [0, 10, 50, 100, 200, 300];
const WINDOWS: [u16; 4] = [1, 4, 16, 1024];
/// Microseconds, each way.
const DELAY: u64 = 20_000;
const SEEDS: u64 = 20;
const SESSIONS: u64 = 100;
const MESSAGES: u64 = 500;

/// A LAC and an LNS that accepts every call at once.
struct Ends {
    now: u64,
    ends: [Endpoint; 2],
    network: Network<usize>,
    events: [VecDeque<Event>; 2],
}

impl Ends {
    fn new(seed: u64, loss: u16, window: u16) -> (Self, TunnelId) {
        let policy = Policy {
            receive_window: window,
            hello: None,
            sccrp_retransmissions: TIMING.retransmissions,
            setup: Duration::from_secs(3600),
            timing: TIMING,
            ..Policy::default()
        };
        let end = |n: u8| {
            let peers = vec![PeerRule::anyone(policy.clone())];
            Endpoint::new(Config { peers, ..Config::default() }, [seed as u8 ^ n << 7; 32])
        };
        let network = Network::new(seed, Conditions { loss, ..Conditions::ideal(DELAY) });
        let mut ends = Self { now: 1, ends: [end(0), end(1)], network, events: Default::default() };
        let connect = Connect { path: path(LNS.parse().unwrap()), policy: Arc::new(policy) };
        let tunnel = ends.ends[0].connect(Instant::from_micros(1), connect).expect("ids are free");
        ends.drain();
        ends.until(|ends| ends.take(1, |event| matches!(event, Event::TunnelUp { .. })) > 0);
        (ends, tunnel)
    }

    fn until(&mut self, mut done: impl FnMut(&mut Self) -> bool) {
        while !done(self) {
            let timers = self.ends.iter().filter_map(Endpoint::poll_timeout).map(Instant::as_micros);
            let next = timers.chain(self.network.next_arrival()).min().expect("it goes on");
            self.now = self.now.max(next);
            let now = Instant::from_micros(self.now);
            while let Some(mut datagram) = self.network.arrive(self.now) {
                let from = path([LAC, LNS][datagram.from].parse().unwrap());
                self.ends[datagram.to].handle_datagram(now, from, &mut datagram.bytes);
                self.drain();
            }
            for n in 0..2 {
                self.ends[n].handle_timeout(now);
                self.drain();
            }
        }
    }

    fn drain(&mut self) {
        let now = Instant::from_micros(self.now);
        let mut buffer = [0; Message::MAX];
        for n in 0..2 {
            loop {
                while let Some(transmit) = self.ends[n].poll_transmit(now, &mut buffer) {
                    self.network.send(self.now, n, 1 - n, buffer[..transmit.len].to_vec());
                }
                let Some(event) = self.ends[n].poll_event() else { break };
                if let Event::CallOffered { tunnel, session, .. } = event {
                    self.ends[n].accept(now, tunnel, session).expect("it is offered");
                } else {
                    self.events[n].push_back(event);
                }
            }
        }
    }

    fn place(&mut self, tunnel: TunnelId) -> SessionId {
        let (now, request) = (Instant::from_micros(self.now), Request::Incoming(Incoming::default()));
        let placed = self.ends[0].place_call(now, tunnel, request, Some(Connected::default()));
        self.drain();
        placed.expect("ids are free")
    }

    /// How many such events there were since the last time.
    fn take(&mut self, end: usize, is: impl Fn(&Event) -> bool) -> u64 {
        core::mem::take(&mut self.events[end]).iter().filter(|event| is(event)).count() as u64
    }

    /// Microseconds until so many such events have come to the LNS.
    fn time(&mut self, count: u64, is: impl Fn(&Event) -> bool) -> u64 {
        let (start, mut seen) = (self.now, 0);
        self.until(|ends| {
            seen += ends.take(1, &is);
            seen == count
        });
        self.now - start
    }
}

/// How long it takes to set up [`SESSIONS`] that are placed at once.
fn sessions(seed: u64, loss: u16, window: u16) -> u64 {
    let (mut ends, tunnel) = Ends::new(seed, loss, window);
    for _ in 0..SESSIONS {
        ends.place(tunnel);
    }
    ends.time(SESSIONS, |event| matches!(event, Event::CallUp { .. }))
}

/// How long it takes to deliver [`MESSAGES`] in one direction.
fn messages(seed: u64, loss: u16, window: u16) -> u64 {
    let (mut ends, tunnel) = Ends::new(seed, loss, window);
    let session = ends.place(tunnel);
    ends.time(1, |event| matches!(event, Event::CallUp { .. }));
    for crc in 0..MESSAGES as u32 {
        let errors = CallErrors { crc, ..CallErrors::default() };
        ends.ends[0].send_line_errors(tunnel, session, errors).expect("it is up");
        ends.drain();
    }
    ends.time(MESSAGES, |event| matches!(event, Event::LineErrors { .. }))
}

fn table(count: u64, time: impl Fn(u64, u16, u16) -> u64) -> String {
    let mut table = String::from("  loss");
    for window in WINDOWS {
        write!(table, "{:>12}", format!("window {window}")).expect("a String takes it");
    }
    for loss in LOSS {
        write!(table, "\n{:>4} %", loss / 10).expect("a String takes it");
        for window in WINDOWS {
            let time: u64 = (0..SEEDS).map(|seed| time(seed, loss, window)).sum();
            // Tenths, because 30 % loss leaves little.
            let rate = count * SEEDS * 10_000_000 / time;
            write!(table, "{:>10}.{}", rate / 10, rate % 10).expect("a String takes it");
        }
    }
    table
}

#[test]
fn goodput_is_what_it_was() {
    let now = format!(
        "Delay {} ms each way, loss both ways, {SEEDS} networks each.\n\n\
         Sessions set up per second, {SESSIONS} placed at once in one tunnel\n\n{}\n\n\
         Messages delivered per second, {MESSAGES} sent at once in one direction\n\n{}\n",
        DELAY / 1000,
        table(SESSIONS, sessions),
        table(MESSAGES, messages),
    );
    let file = File::new(env!("CARGO_MANIFEST_DIR")).join("tests/simulation/goodput.txt");
    if env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&file, &now).expect("the table can be written");
    }
    let was = fs::read_to_string(&file).unwrap_or_default();
    assert!(was == now, "{} says\n{was}\nit is\n{now}\nUPDATE_SNAPSHOTS=1 writes it", file.display());
}
