//! A LAC's data may come before its ICCN, because the network turns datagrams round: what it says is heard.

use std::net::UdpSocket;
use std::sync::Arc;
use std::time::{Duration, Instant as StdInstant};

use l2tp_control::config::{Config, Policy};
use l2tp_control::wire::Message;
use l2tp_control::{Connect, Connected, Endpoint, Event, Incoming, Instant, Path, Request};
use l2tp_data::frame;
use l2tp_data::header::{self, Datagram};
use ol2tp::bed::{Bed, LEFT, RIGHT};
use ol2tpd::control::Report;

use crate::home::Home;
use crate::vpn::serve;

/// LCP Configure-Request 7 with a Magic-Number, and what acknowledges it.
const REQUEST: [u8; 12] = [0xc0, 0x21, 1, 7, 0, 10, 5, 6, 1, 2, 3, 4];
const ACK: [u8; 12] = [0xc0, 0x21, 2, 7, 0, 10, 5, 6, 1, 2, 3, 4];

/// A LAC that says what it is told to, when it is told to.
struct Lac {
    end: Endpoint,
    socket: UdpSocket,
    path: Path,
    start: StdInstant,
}

impl Lac {
    fn new(bed: &Bed) -> Self {
        let socket = bed.left.enter(|| UdpSocket::bind((LEFT, 0))).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let path = Path { socket: 0, local: None, peer: (RIGHT, 1701).into() };
        let mut end = Endpoint::new(Config::default(), [7; 32]);
        let connect = Connect { path, policy: Arc::new(Policy { tie_breaker: false, ..Policy::default() }) };
        let now = Instant::from_micros(1);
        let tunnel = end.connect(now, connect).unwrap();
        end.place_call(now, tunnel, Request::Incoming(Incoming::default()), None).unwrap();
        Self { end, socket, path, start: StdInstant::now() }
    }

    /// Sends what there is and takes a datagram, until the control connection tells of something wanted.
    fn until<T>(&mut self, mut wanted: impl FnMut(Told<'_>) -> Option<T>) -> T {
        let mut buffer = vec![0; Message::MAX];
        loop {
            let now = Instant::from_micros(1 + self.start.elapsed().as_micros() as u64);
            self.end.handle_timeout(now);
            while let Some(transmit) = self.end.poll_transmit(now, &mut buffer) {
                self.socket.send_to(&buffer[..transmit.len], transmit.path.peer).unwrap();
            }
            if let Some(event) = self.end.poll_event() {
                if let Some(found) = wanted(Told::Event(event)) {
                    return found;
                }
                continue;
            }
            assert!(self.start.elapsed() < Duration::from_secs(60), "nothing came");
            let Ok((len, _)) = self.socket.recv_from(&mut buffer) else { continue };
            let datagram = &mut buffer[..len];
            match Datagram::parse(datagram) {
                Datagram::Control => self.end.handle_datagram(now, self.path, datagram),
                Datagram::Data(header) => {
                    let payload = header.message(datagram).unwrap().payload(datagram).unwrap();
                    let payload = &datagram[payload];
                    if let Some(found) = wanted(Told::Frame(&payload[frame::strip(payload).unwrap()])) {
                        return found;
                    }
                }
                _ => panic!("neither control nor data"),
            }
        }
    }
}

enum Told<'a> {
    Event(Event),
    Frame(&'a [u8]),
}

#[test]
fn what_comes_before_the_iccn_is_answered_after_it() {
    let bed = Bed::new().unwrap();
    let right = Home::new(&bed.right);
    let _server = serve(&right, &[]);
    let mut lac = Lac::new(&bed);
    let (tunnel, session) = lac.until(|told| match told {
        Told::Event(Event::CallAccepted { tunnel, session }) => Some((tunnel, session)),
        _ => None,
    });
    let (theirs, other) = lac.end.peer_ids(tunnel, session).unwrap();
    let mut datagram = [0; header::MAX];
    let len = header::write(theirs.get(), other.get(), None, &mut datagram);
    let datagram = [&datagram[..len], &REQUEST].concat();
    // Twice, as if it came again: one answer is enough.
    for _ in 0..2 {
        lac.socket.send_to(&datagram, lac.path.peer).unwrap();
    }
    let received = || {
        let report: Report = serde_json::from_str(&right.output(&["show", "sessions", "--json"])).unwrap();
        let stats = report.sessions.unwrap().remove(0).stats;
        stats.iter().any(|(name, count)| name == "rx_packets" && *count == 2)
    };
    while !received() {
        assert!(lac.start.elapsed() < Duration::from_secs(60), "the server does not count the frames");
    }

    lac.end.connected(tunnel, session, Connected::default()).unwrap();
    // It is not sent again: what answers it answers what came early.
    lac.until(|told| match told {
        Told::Frame(frame) => (frame == ACK).then_some(()),
        Told::Event(_) => None,
    });
}
