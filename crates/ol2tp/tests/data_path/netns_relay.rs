//! A relay between two ends loses, doubles and delays datagrams. With reordering the receiver
//! delivers in order, and its counters are what the reference model says of the arrivals that the
//! driver recorded.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{io, thread};

use ol2tp::bed::Space;
use pppol2tp::user::{Config, UserDriver};
use pppol2tp::{DebugMask, Driver, SessionIds, SocketOption, TunnelConfig};
use sim::model::{Arrival, Options, replay};
use tracing_subscriber::fmt::MakeWriter;

const FRAMES: u16 = 4000;
const TIMEOUT_MS: u64 = 40;
const FRAME: usize = 100;

/// Collects the driver's debug messages.
#[derive(Clone, Default)]
struct Record(Arc<Mutex<Vec<u8>>>);

impl io::Write for Record {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Record {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Record {
    /// What the receiving session (2/2) recorded of arrivals.
    fn arrivals(&self) -> Vec<Arrival> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let number = |line: &str, key: &str| {
            let (_, rest) = line.split_once(key)?;
            rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u64>().ok()
        };
        let lines = text.lines().filter(|line| line.contains("sess 2/2: recv data ns="));
        let arrival = |line| {
            let ns = number(line, "recv data ns=")? as u16;
            Some(Arrival { time_us: number(line, "at_us=")?, ns: Some(ns), len: 12 + FRAME })
        };
        lines.map(|line| arrival(line).unwrap()).collect()
    }
}

/// Passes datagrams on until none has come for a second: some are lost, some doubled, some held back.
fn relay(socket: &UdpSocket, to: std::net::SocketAddr) -> [usize; 3] {
    let mut seed = 12_345u32;
    let mut held: Vec<(Instant, Vec<u8>)> = Vec::new();
    let mut done = [0; 3];
    let mut buffer = [0; 2048];
    loop {
        let next = held.iter().map(|(due, _)| *due).min();
        let wait = next.map_or(Duration::from_secs(1), |due| due.saturating_duration_since(Instant::now()));
        socket.set_read_timeout(Some(wait.max(Duration::from_micros(100)))).unwrap();
        match socket.recv(&mut buffer) {
            Ok(len) => {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let datagram = &buffer[..len];
                match (seed >> 16) % 100 {
                    0..4 => done[0] += 1,
                    4..8 => {
                        done[1] += 1;
                        socket.send_to(datagram, to).unwrap();
                        socket.send_to(datagram, to).unwrap();
                    }
                    8..16 => {
                        done[2] += 1;
                        // Beyond the reorder timeout for some of them.
                        let delay = Duration::from_micros(u64::from(seed % 60_000));
                        held.push((Instant::now() + delay, datagram.to_vec()));
                    }
                    _ => drop(socket.send_to(datagram, to).unwrap()),
                }
            }
            Err(_) if held.is_empty() => return done,
            Err(_) => {}
        }
        let now = Instant::now();
        held.retain(|(due, datagram)| {
            let wait = *due > now;
            if !wait {
                socket.send_to(datagram, to).unwrap();
            }
            wait
        });
    }
}

#[test]
fn in_order_and_as_the_model_says() {
    let record = Record::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_ansi(false);
    // The driver's threads emit: it has to be the process's subscriber; the only one in this binary.
    tracing::subscriber::set_global_default(subscriber.with_writer(record.clone()).finish()).unwrap();

    let space = Space::new().unwrap();
    let bind = || space.enter(|| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let (one, middle, two) = (bind(), bind(), bind());
    let (at_middle, at_two) = (middle.local_addr().unwrap(), two.local_addr().unwrap());
    let end = |socket: UdpSocket, id: u16| {
        let driver = space
            .enter(|| Ok(UserDriver::new(Config { debug_rate: None, ..Config::default() }).unwrap()))
            .unwrap();
        let udp = driver.attach(socket).unwrap();
        let peer_id = 3 - id;
        let config = TunnelConfig {
            tunnel_id: id,
            peer_tunnel_id: peer_id,
            peer: at_middle,
            local: None,
            accept_zero_id: false,
        };
        let tunnel = udp.tunnel(config).unwrap();
        let ids =
            SessionIds { tunnel_id: id, session_id: id, peer_tunnel_id: peer_id, peer_session_id: peer_id };
        (driver.session(ids).unwrap(), tunnel, udp, driver)
    };
    let (sender, receiver) = (end(one, 1), end(two, 2));
    sender.0.set(SocketOption::SendSeq, 1).unwrap();
    sender.0.set(SocketOption::LnsMode, 1).unwrap();
    receiver.0.set(SocketOption::ReorderTo, TIMEOUT_MS as i32).unwrap();
    receiver.0.set(SocketOption::Debug, DebugMask::SEQ.0 as i32).unwrap();

    let mut delivered = Vec::new();
    let [lost, doubled, delayed] = thread::scope(|scope| {
        let relay = scope.spawn(|| relay(&middle, at_two));
        scope.spawn(|| {
            for number in 0..FRAMES {
                let mut frame = [0xc0; FRAME];
                frame[1] = 0x21;
                frame[2..4].copy_from_slice(&number.to_be_bytes());
                // The driver's queue of frames is bounded; wait for room.
                while sender.0.send(&frame).is_err() {
                    thread::yield_now();
                }
                if number % 8 == 7 {
                    thread::park_timeout(Duration::from_millis(1));
                }
            }
        });
        let mut buffer = [0; 2048];
        // Longer than the relay waits and the timer runs.
        while let Some(len) = receiver.0.recv_timeout(&mut buffer, Duration::from_secs(3)).unwrap() {
            assert_eq!((len, &buffer[..2]), (FRAME, &[0xc0, 0x21][..]));
            delivered.push(u16::from_be_bytes([buffer[2], buffer[3]]));
        }
        relay.join().unwrap()
    });
    assert!(lost > 50 && doubled > 50 && delayed > 100, "the relay worked: {lost} {doubled} {delayed}");
    assert!(delivered.is_sorted_by(|a, b| a < b), "in order, none twice");

    let arrivals = record.arrivals();
    let options = Options { reorder_timeout: TIMEOUT_MS * 1000, send_seq: true, ..Options::default() };
    let model = replay(options, &arrivals, u64::MAX);
    let expected: Vec<u16> = model.delivered.iter().map(|&index| arrivals[index].ns.unwrap()).collect();
    assert_eq!(delivered, expected, "delivered what the model delivers");
    assert!(model.session.count("reorder_gaps") > 0 && model.session.count("rx_oos_packets") > 0);
    let mut differences = String::new();
    for (name, value) in receiver.0.stats().unwrap().iter().filter(|(name, _)| !name.starts_with("tx_")) {
        let wanted = model.session.count(name);
        if value != wanted {
            writeln!(differences, "{name}: driver {value}, model {wanted}").unwrap();
        }
    }
    assert_eq!(differences, "", "of {} arrivals", arrivals.len());
}
