//! The peer answers from a port of its own for this tunnel (RFC 2661 §8.1; accel-ppp).

mod common;

use common::*;
use l2tp_control::config::Policy;
use l2tp_control::wire::{Hello, Message, MessageType, Sccrq};
use l2tp_control::{Event, TunnelState};
use l2tp_data::id::TunnelId;

const ELSEWHERE: &str = "192.0.2.2:49152";

fn dialling() -> (Bed, Peer, TunnelId) {
    let (mut bed, mut peer) = (Bed::new(&Policy::default()), Peer::new(LNS, 77));
    let tunnel = bed.dialling(&mut peer, &Policy::default());
    peer.theirs = tunnel.get();
    (bed, peer, tunnel)
}

#[test]
fn the_tunnel_follows_the_first_sccrp() {
    let (mut bed, mut peer, tunnel) = dialling();
    peer.path = path(ELSEWHERE);
    let sent = bed.send(&mut peer, 0, sccrp(77));
    assert_eq!(kinds(&sent), [MessageType::SCCCN], "the answer goes there");
    let [Event::TunnelUp { peer: info, .. }] = &bed.told()[..] else { panic!() };
    assert_eq!(info.path.peer.to_string(), ELSEWHERE);

    // And stays there.
    for address in [LNS, "192.0.2.2:49153"] {
        let mut other = Peer { theirs: peer.theirs, ns: peer.ns, nr: peer.nr, ..Peer::new(address, 77) };
        bed.send(&mut other, 0, Hello {});
    }
    assert_eq!((bed.count("foreign_source"), bed.end.tunnels()), (2, 1));
    assert_eq!(bed.send(&mut peer, 0, Hello {}).len(), 1);
    assert_eq!(bed.end.tunnel_state(tunnel), Some(TunnelState::Established));
}

#[test]
fn it_follows_nothing_else() {
    let number = |ns| move |peer: &mut Peer| peer.ns = ns;
    let plain = |_: &mut Peer| {};
    type Change = Box<dyn Fn(&mut Peer)>;
    let rows: [(&str, Change, Message<'_>, &str); 4] = [
        ("another host", Box::new(plain), sccrp(77).into(), "192.0.2.3:1701"),
        ("another message", Box::new(plain), Hello {}.into(), ELSEWHERE),
        ("an ack", Box::new(plain), Message::Zlb, ELSEWHERE),
        ("not the first message", Box::new(number(1)), sccrp(77).into(), ELSEWHERE),
    ];
    for (what, change, message, address) in rows {
        let (mut bed, mut peer, tunnel) = dialling();
        peer.path = path(address);
        change(&mut peer);
        assert_eq!(bed.send(&mut peer, 0, message), [], "{what}");
        assert_eq!((bed.count("foreign_source"), bed.told()), (1, vec![]), "{what}");
        let mut peer = Peer { theirs: tunnel.get(), nr: 1, ..Peer::new(LNS, 77) };
        assert_eq!(kinds(&bed.send(&mut peer, 0, sccrp(77))), [MessageType::SCCCN], "{what}");
    }
}

#[test]
fn a_tunnel_that_the_peer_opened_stays_where_it_is() {
    let (mut bed, mut peer) = (Bed::new(&Policy::default()), Peer::new(LAC, 77));
    bed.opened_by(&mut peer);
    peer.path = path("192.0.2.1:49152");
    assert_eq!(bed.send(&mut peer, 0, sccrp(77)), []);
    assert_eq!(bed.count("foreign_source"), 1);
}

#[test]
fn the_tie_is_with_where_the_peer_is_now() {
    // An SCCRP that was not accepted has moved the tunnel; the old address opens one of its own.
    let (mut bed, mut peer, _) = dialling();
    peer.path = path(ELSEWHERE);
    bed.send(&mut peer, 0, sccrp(77));
    let mut other = Peer::new(LNS, 5);
    assert_eq!(
        kinds(&bed.send(&mut other, 0, Sccrq { tie_breaker: Some(0), ..sccrq(5) })),
        [MessageType::SCCRP]
    );
    assert_eq!(bed.end.tunnels(), 2);
}

#[test]
fn our_own_address_is_the_one_that_was_answered() {
    let (mut bed, mut peer, _) = dialling();
    assert_eq!(peer.path.local, None, "the system has chosen it");
    let (first, second) = ("192.0.2.9".parse().unwrap(), "192.0.2.10".parse().unwrap());
    for local in [first, second] {
        peer.path.local = Some(local);
        let message = if local == first { sccrp(77).into() } else { Message::from(Hello {}) };
        let sent = bed.send(&mut peer, 0, message);
        assert!(!sent.is_empty() && sent.iter().all(|sent| sent.path.local == Some(first)), "{sent:?}");
    }
    let [Event::TunnelUp { peer: info, .. }] = &bed.told()[..] else { panic!() };
    assert_eq!(info.path.local, Some(first));
}
