//! Control messages, and back.

use l2tp_control::auth::Secret;
use l2tp_control::wire::{self, Body, Failure, Header, Hiding, Leniencies, Message};

use super::input::Input;

/// Any bytes are decoded without panic; without a leniency no more than with all of them; and what is
/// decoded is encoded, hidden or not, so that a strict receiver reads the same.
///
/// The first byte says whether there is a secret and whether the rest are AVPs or a whole datagram.
pub fn avp(data: &[u8]) {
    let mut input = Input(data);
    let Some(mode) = input.u8() else { return };
    let secret = Secret::new(b"secret");
    let known = (mode & 1 != 0).then_some(&secret);
    let datagram = if mode & 2 != 0 { with_header(input.0) } else { input.0.to_vec() };

    let (mut first, mut second) = (datagram.clone(), datagram);
    let liberal = wire::decode(&mut first, known, Leniencies::LIBERAL);
    let strict = wire::decode(&mut second, known, Leniencies::STRICT);
    compare(&liberal, &strict);
    for body in [liberal, strict].into_iter().flatten() {
        for avp in body.others() {
            assert!(avp.attribute().rule().is_none() || avp.is_reserved(), "{avp:?}");
        }
        round_trip(&body.message, &secret);
    }
}

fn with_header(avps: &[u8]) -> Vec<u8> {
    let avps = &avps[..avps.len().min(usize::from(u16::MAX) - Header::LEN)];
    let length = (Header::LEN + avps.len()) as u16;
    let header = Header { length, tunnel_id: 1, session_id: 2, ns: 3, nr: 4 };
    [&header.bytes()[..], avps].concat()
}

type Decoded<'a> = Result<Body<'a>, Failure>;

fn compare(liberal: &Decoded<'_>, strict: &Decoded<'_>) {
    match (liberal, strict) {
        (Ok(liberal), Ok(strict)) => {
            assert_eq!(strict.used, Leniencies::STRICT);
            if liberal.used.is_empty() {
                assert_eq!(liberal.message, strict.message);
            }
        }
        (Ok(liberal), Err(failure)) => assert!(!liberal.used.is_empty(), "{failure:?}"),
        (Err(failure), Ok(_)) => panic!("{failure:?} in liberal mode only"),
        (Err(_), Err(_)) => {}
    }
}

fn round_trip(message: &Message<'_>, secret: &Secret) {
    let mut out = [0; Message::MAX];
    let length = message.encode(1, 2, None, &mut out).expect("what was read can be sent");
    reads_the_same(message, &mut out[..length], None);
    let hiding = Hiding { secret, random_vector: &[0x5a; 16], padding: &[1, 2, 3] };
    if let Ok(length) = message.encode(1, 2, Some(&hiding), &mut out) {
        reads_the_same(message, &mut out[..length], Some(secret));
    }
}

fn reads_the_same(message: &Message<'_>, sent: &mut [u8], secret: Option<&Secret>) {
    let body = wire::decode(sent, secret, Leniencies::STRICT).expect("what is sent is sound");
    assert_eq!((body.header.tunnel_id, body.header.session_id), (1, 2));
    assert_eq!(body.message, *message);
    assert_eq!((body.used, body.ignored, body.fault), (Leniencies::STRICT, 0, None));
}
