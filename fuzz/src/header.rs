//! One datagram through header and framing, and back.

use l2tp_data::frame::{self, Bad, Class, Frame};
use l2tp_data::header::{self, Datagram, Sequence};
use sim::model::{self, To};

/// Parses a datagram: what is found lies inside it, the frame is the reference model's, and a header
/// written with the same ids and number is read back.
pub fn header(datagram: &[u8]) {
    let Datagram::Data(header) = Datagram::parse(datagram) else { return };
    let Ok(message) = header.message(datagram) else { return };
    assert!(message.len <= datagram.len());
    if let Ok(payload) = message.payload(datagram) {
        assert_eq!(payload.end, message.len);
        framing(&datagram[payload]);
    }

    let mut out = [0; header::MAX];
    let ns = message.sequence.map(|sequence| sequence.ns);
    let len = header::write(header.tunnel_id, header.session_id, ns, &mut out);
    let Datagram::Data(written) = Datagram::parse(&out[..len]) else { panic!("{out:02x?}") };
    assert_eq!((written.tunnel_id, written.session_id), (header.tunnel_id, header.session_id));
    let message = written.message(&out[..len]).expect("what is written is whole");
    assert_eq!(message.sequence, ns.map(|ns| Sequence { ns, nr: 0 }));
    let payload = message.payload(&out[..len]).expect("what is written is whole");
    assert_eq!(out[payload], header::ADDRESS_CONTROL);
}

fn framing(payload: &[u8]) {
    let Ok(range) = frame::strip(payload) else { return };
    let stripped = &payload[range];
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
