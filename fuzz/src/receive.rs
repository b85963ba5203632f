//! The whole receive path, step by step beside the reference model.
//!
//! The bytes are a list of events. Bits 0–2 of an event's first byte say which, the others are its
//! parameter:
//!
//! | event | bytes that follow | meaning |
//! |---|---|---|
//! | 0 | options, timeout in ms | sets a session's options (parameter: which session) |
//! | 1, 2 | quarters of a millisecond | time passes; with 1 the timers run |
//! | 3 | length, bytes | a datagram as it is (parameter: from whom) |
//! | 4 | distance from nr, frame | a data message with a number |
//! | 5 | frame | a data message without |
//! | 6 | distance from nr in 16 bits, frame | a data message with any number |
//! | 7 | distance from nr, count and 4 KiB units | 1 to 4 data messages in a row, as large as that, or 5 to 16 small ones |
//!
//! The parameter of 4 to 7: tunnel, session, L, O, P.

use std::net::{Ipv4Addr, SocketAddr};

use l2tp_data::header::Datagram;
use l2tp_data::stats::Rx;
use sim::model::{Options, Outcome, Reason, Session, Socket, Tunnel};

use super::input::Input;
use super::path::Path;

const TUNNELS: [u16; 2] = [1, 0xfffe];
const SESSIONS: [u16; 2] = [7, 0x1234];

fn peer(index: u8) -> SocketAddr {
    (Ipv4Addr::new(192, 0, 2, index & 1), 1701).into()
}

/// Frames with and without FF 03, and what is none.
const FRAMES: [&[u8]; 8] = [
    &[0xff, 0x03, 0xc0, 0x21, 1, 1, 0, 4],
    &[0xc0, 0x21, 1, 1, 0, 4],
    &[0x21, 0x45],
    &[0xff, 0x05],
    &[0xff, 0x03],
    &[0x3d],
    &[],
    &[0xff, 0x03, 0x3d],
];

/// The driver: rules and tables, as a home puts them together.
#[derive(Default)]
struct Home {
    sessions: [[Path<Vec<u8>>; 2]; 2],
    foreign: [u64; 2],
}

/// What became of a datagram, as far as both sides can say it.
#[derive(PartialEq, Debug)]
enum Seen {
    PassedUp(Reason),
    Foreign,
    Delivered(Vec<Vec<u8>>),
}

impl Home {
    fn datagram(&mut self, now: u64, from: SocketAddr, datagram: &[u8]) -> Seen {
        let header = match Datagram::parse(datagram) {
            Datagram::Control => return Seen::PassedUp(Reason::Control),
            Datagram::Short => return Seen::PassedUp(Reason::Short),
            Datagram::Version(_) => return Seen::PassedUp(Reason::Version),
            Datagram::Data(header) => header,
        };
        let tunnel = match header.tunnel_id {
            // The second tunnel takes its peer's messages with tunnel id 0.
            0 => (from == peer(1)).then_some(1),
            id => TUNNELS.iter().position(|tunnel| *tunnel == id),
        };
        let session = SESSIONS.iter().position(|session| *session == header.session_id);
        let (Some(tunnel), Some(session)) = (tunnel, session) else {
            return Seen::PassedUp(Reason::UnknownSession);
        };
        if from != peer(tunnel as u8) {
            self.foreign[tunnel] += 1;
            return Seen::Foreign;
        }
        Seen::Delivered(self.sessions[tunnel][session].datagram(now, &header, datagram))
    }
}

struct Both {
    now: u64,
    home: Home,
    model: Socket,
}

impl Both {
    fn new() -> Self {
        let tunnel = |index: usize| Tunnel {
            id: TUNNELS[index],
            peer: peer(index as u8),
            accept_zero_id: index == 1,
            sessions: SESSIONS.map(|id| (id, Session::new(Options::default()))).into(),
            rx_foreign: 0,
        };
        let model = Socket { tunnels: vec![tunnel(0), tunnel(1)] };
        Self { now: 0, home: Home::default(), model }
    }

    fn session(&mut self, tunnel: usize, session: usize) -> (&mut Path<Vec<u8>>, &mut Session<Vec<u8>>) {
        (&mut self.home.sessions[tunnel][session], &mut self.model.tunnels[tunnel].sessions[session].1)
    }

    /// Both do the next event and agree on the session it names; `None` at the end of the bytes.
    fn event(&mut self, input: &mut Input<'_>) -> Option<()> {
        let byte = input.u8()?;
        let parameter = byte >> 3;
        let (tunnel, session) = (usize::from(parameter & 1), usize::from(parameter >> 1 & 1));
        let nr = self.session(tunnel, session).0.receive.nr();
        let near = |byte: u8| nr.wrapping_add_signed(i16::from(byte as i8));
        match byte & 7 {
            0 => self.options(tunnel, session, input.u8()?, input.u8()?),
            1 => {
                self.now += u64::from(input.u8()?) * 250;
                self.timers();
            }
            2 => self.now += u64::from(input.u8()?) * 250,
            3 => {
                let len = usize::from(input.u8()?);
                self.datagram(peer(parameter), input.bytes(len));
            }
            4 => {
                let ns = near(input.u8()?);
                self.message(parameter, Some(ns), frame(input.u8()?));
            }
            5 => self.message(parameter, None, frame(input.u8()?)),
            6 => {
                let ns = nr.wrapping_add(input.u16()?);
                self.message(parameter, Some(ns), frame(input.u8()?));
            }
            _ => {
                let first = near(input.u8()?);
                let size = input.u8()?;
                let (more, units) = (u16::from(size >> 4), usize::from(size & 15));
                let mut frame = vec![0x3d; if more < 4 { units * 4096 } else { 0 }];
                frame.extend([0x21, 0x45]);
                for ahead in 0..=more {
                    self.message(parameter, Some(first.wrapping_add(ahead)), frame.clone());
                }
            }
        }
        self.compare(tunnel, session);
        Some(())
    }

    fn options(&mut self, tunnel: usize, session: usize, bits: u8, timeout: u8) {
        let now = self.now;
        let (path, model) = self.session(tunnel, session);
        let options = Options {
            recv_seq: bits & 1 != 0,
            send_seq: bits & 2 != 0,
            lns_mode: bits & 4 != 0,
            reorder_timeout: u64::from(timeout) * 1000,
        };
        path.receive.recv_seq = options.recv_seq;
        path.receive.lns_mode = options.lns_mode;
        path.send_seq.set(options.send_seq);
        let flushed = path.set_reorder_timeout(now, options.reorder_timeout);
        let mut expected = model.set_options(options);
        expected.extend(model.timer(now));
        assert_eq!(flushed, expected);
    }

    fn timers(&mut self) {
        let now = self.now;
        for tunnel in 0..2 {
            for session in 0..2 {
                let (path, model) = self.session(tunnel, session);
                assert_eq!(path.timer(now), model.timer(now));
            }
        }
    }

    fn message(&mut self, parameter: u8, ns: Option<u16>, frame: Vec<u8>) {
        let (length, offset, priority) = (parameter & 4 != 0, parameter & 8 != 0, parameter & 16 != 0);
        let bit = |is: bool, flag: u16| if is { flag } else { 0 };
        let flags =
            2 | bit(length, 0x4000) | bit(ns.is_some(), 0x0800) | bit(offset, 0x0200) | bit(priority, 0x0100);
        let ids = [TUNNELS[usize::from(parameter & 1)], SESSIONS[usize::from(parameter >> 1 & 1)]];
        let numbers = ns.map(|ns| [ns, 0xaaaa]);
        // One byte of offset padding, which is the first of these two.
        let padding: &[u8] = if offset { &[0, 1, 0xee] } else { &[] };
        let header = 6 + if length { 2 } else { 0 } + if ns.is_some() { 4 } else { 0 };
        let whole = (header + padding.len() + frame.len()) as u16;
        let words = [Some(flags), length.then_some(whole), Some(ids[0]), Some(ids[1])];
        let words = words.into_iter().flatten().chain(numbers.into_iter().flatten());
        let mut datagram: Vec<u8> = words.flat_map(u16::to_be_bytes).collect();
        datagram.extend(padding);
        datagram.extend(frame);
        if length {
            datagram.extend([0; 3]);
        }
        self.datagram(peer(parameter & 1), &datagram);
    }

    fn datagram(&mut self, from: SocketAddr, datagram: &[u8]) {
        let seen = self.home.datagram(self.now, from, datagram);
        let expected = match self.model.datagram(self.now, from, datagram) {
            Outcome::PassedUp(reason) => Seen::PassedUp(reason),
            Outcome::Foreign { .. } => Seen::Foreign,
            Outcome::Session { step, .. } => Seen::Delivered(step.delivered),
        };
        assert_eq!(seen, expected);
    }

    /// Both have the session in the same state, every counter included.
    fn compare(&mut self, tunnel: usize, session: usize) {
        assert_eq!(self.home.foreign[tunnel], self.model.tunnels[tunnel].rx_foreign);
        let (path, model) = self.session(tunnel, session);
        assert_eq!(path.receive.nr(), model.nr());
        assert_eq!(path.queue.len(), model.held());
        assert_eq!(path.queue.deadline(), model.expiry());
        assert_eq!(path.send_seq.get(), model.options().send_seq);
        for rx in Rx::ALL {
            assert_eq!(path.counters.get(*rx), model.count(rx.name()), "{}", rx.name());
        }
    }
}

/// One of [`FRAMES`] with some bytes behind it.
fn frame(byte: u8) -> Vec<u8> {
    let mut frame = FRAMES[usize::from(byte & 7)].to_vec();
    if !matches!(byte & 7, 4..=6) {
        frame.extend((0..byte >> 3).map(|n| n.wrapping_mul(37)));
    }
    frame
}

/// Runs a list of events through the driver's rules and the reference model, which have to agree.
pub fn receive(data: &[u8]) {
    let mut input = Input(data);
    let mut both = Both::new();
    while both.event(&mut input).is_some() {}
    for tunnel in 0..2 {
        for session in 0..2 {
            both.compare(tunnel, session);
        }
    }
}
