//! One datagram through header and framing, and back.

use std::net::{Ipv4Addr, SocketAddr};

use l2tp_data::frame::{self, Bad, Class, Frame};
use l2tp_data::header::{self, Datagram, Header, Sequence};
use l2tp_data::stats::Rx;
use sim::model::{self, Options, Outcome, Reason, Session, Socket, To, Tunnel};

use super::path::Path;

/// A datagram is what the reference model takes it for, and so is the frame in it; a header written
/// with the same ids and number is read back.
pub fn header(datagram: &[u8]) {
    match Datagram::parse(datagram) {
        Datagram::Control => passed_up(datagram, Reason::Control),
        Datagram::Short => passed_up(datagram, Reason::Short),
        Datagram::Version(_) => passed_up(datagram, Reason::Version),
        Datagram::Data(header) => {
            message(datagram, &header);
            round_trip(datagram, &header);
        }
    }
}

const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1701);

fn passed_up(datagram: &[u8], reason: Reason) {
    assert_eq!(Socket::default().datagram(0, PEER, datagram), Outcome::PassedUp(reason));
}

/// The first message of a session that has the ids it asks for.
fn message(datagram: &[u8], header: &Header) {
    let tunnel = Tunnel {
        id: header.tunnel_id,
        peer: PEER,
        accept_zero_id: true,
        sessions: vec![(header.session_id, Session::new(Options::default()))],
        rx_foreign: 0,
    };
    let mut socket = Socket { tunnels: vec![tunnel] };
    let Outcome::Session { step, .. } = socket.datagram(0, PEER, datagram) else {
        panic!("the session is there");
    };
    let mut path = Path::default();
    assert_eq!(path.datagram(0, header, datagram), step.delivered);
    let session = &socket.tunnels[0].sessions[0].1;
    for rx in Rx::ALL {
        assert_eq!(path.counters.get(*rx), session.count(rx.name()), "{}", rx.name());
    }
    for frame in &step.delivered {
        classify(frame);
    }
}

fn classify(stripped: &[u8]) {
    let expected = model::classify(stripped);
    match Frame::parse(stripped) {
        Ok(Frame { protocol, information, class }) => {
            let to = match class {
                Class::Ipv4 => To::Ipv4,
                Class::Ipv6 => To::Ipv6,
                Class::Control => To::Control,
            };
            assert_eq!(Ok((protocol, &stripped[information..], to)), expected);
        }
        Err(Bad::Short) => assert_eq!(expected, Err("rx_short_frame")),
        Err(Bad::InnerVersion) => assert_eq!(expected, Err("rx_bad_inner")),
    }
}

fn round_trip(datagram: &[u8], header: &Header) {
    let Ok(message) = header.message(datagram) else { return };
    let mut out = [0xaa; header::MAX];
    let ns = message.sequence.map(|sequence| sequence.ns);
    let len = header::write(header.tunnel_id, header.session_id, ns, &mut out);
    let Datagram::Data(written) = Datagram::parse(&out[..len]) else { panic!("{out:02x?}") };
    assert_eq!((written.tunnel_id, written.session_id), (header.tunnel_id, header.session_id));
    let message = written.message(&out[..len]).expect("what is written is whole");
    assert_eq!(message.sequence, ns.map(|ns| Sequence { ns, nr: 0 }));
    let payload = message.payload(&out[..len]).expect("what is written is whole");
    assert_eq!(out[payload.clone()], header::ADDRESS_CONTROL);
    assert_eq!(frame::strip(&out[payload]), Err(Bad::Short), "no protocol yet");
}
