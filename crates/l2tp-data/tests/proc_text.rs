//! The text of `/proc/net/pppol2tp`, against a file.

use std::net::SocketAddr;

use l2tp_data::debug::DebugMask;
use l2tp_data::proc::{self, Session, State, Tunnel};
use l2tp_data::stats::{Rx, Stats, Tx};

fn stats(tx: [u64; 3], rx: [u64; 3]) -> Stats {
    let mut stats = Stats::default();
    for (counter, value) in [Tx::Packets, Tx::Bytes, Tx::Errors].into_iter().zip(tx) {
        stats.tx[counter as usize] = value;
    }
    for (counter, value) in [Rx::Packets, Rx::Bytes, Rx::Errors].into_iter().zip(rx) {
        stats.rx[counter as usize] = value;
    }
    stats
}

fn session<'a>(peer: &str, stats: &'a Stats) -> Session<'a> {
    Session {
        tunnel_id: 10,
        session_id: 20,
        peer_tunnel_id: 30,
        peer_session_id: 40,
        peer: peer.parse::<SocketAddr>().unwrap(),
        state: State::Connected,
        mtu: 1460,
        mru: 1460,
        recv_seq: false,
        send_seq: false,
        lns_mode: false,
        debug: DebugMask(0),
        reorder_timeout: 0,
        nr: 0,
        ns: 0,
        stats,
        interface: None,
    }
}

#[test]
fn golden_file() {
    let (none, some) = (Stats::default(), stats([1, 20, 3], [4, 50, 6]));
    let most = stats([u64::MAX; 3], [u64::MAX; 3]);
    let mut text = String::new();

    proc::header(&mut text).unwrap();
    let tunnel = Tunnel { tunnel_id: 65535, alive: true, references: 3, debug: DebugMask(0xf), stats: &some };
    proc::tunnel(&mut text, &tunnel).unwrap();
    proc::session(&mut text, &session("10.0.0.1:1701", &none)).unwrap();
    let bound = Session {
        tunnel_id: 65535,
        session_id: 65534,
        peer_tunnel_id: 1,
        peer_session_id: 2,
        state: State::Bound,
        mtu: 1458,
        mru: 1400,
        recv_seq: true,
        send_seq: true,
        lns_mode: true,
        debug: DebugMask(0xdead_beef),
        reorder_timeout: 100,
        nr: 65535,
        ns: 7,
        interface: Some("ppp0"),
        ..session("[2001:db8::1]:65535", &most)
    };
    proc::session(&mut text, &bound).unwrap();
    let tunnel = Tunnel { tunnel_id: 10, alive: false, references: 0, debug: DebugMask(0), stats: &none };
    proc::tunnel(&mut text, &tunnel).unwrap();
    let dead = Session { state: State::Dead, ..session("[::ffff:192.0.2.1]:1", &some) };
    proc::session(&mut text, &dead).unwrap();

    assert_eq!(text, include_str!("golden/proc.txt"));
}

#[test]
fn a_writer_that_fails_is_heard() {
    struct Full;
    impl std::fmt::Write for Full {
        fn write_str(&mut self, _: &str) -> std::fmt::Result {
            Err(std::fmt::Error)
        }
    }
    assert!(proc::header(&mut Full).is_err());
    assert!(proc::session(&mut Full, &session("10.0.0.1:1701", &Stats::default())).is_err());
}

#[test]
fn buckets_are_the_upper_four_bits_of_the_kernels_hash() {
    assert_eq!([0, 1, 2, 3, 65535].map(proc::bucket), [0, 6, 12, 2, 2]);
    let mut used = [0; 16];
    for id in 1..=u16::MAX {
        used[usize::from(proc::bucket(id))] += 1;
    }
    assert!(used.iter().all(|n| (4000..4200).contains(n)), "{used:?}");
}
