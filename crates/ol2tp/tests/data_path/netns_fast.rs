//! The fast path: two ends with a veth between them, each in a namespace of its own.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use aya::programs::SchedClassifier;
use aya::programs::tc::TcAttachType;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::{UdpGroSegment, UdpGsoSegment};
use nix::unistd::Pid;
use ol2tp::bed::{Bed, LEFT, LEFT6, RIGHT, RIGHT6, Space, VETH};
use pppol2tp::user::{Config, Fast, FastPath};
use pppol2tp::{DebugMask, Driver, Networks, SessionIds, SocketOption, UnitConfig};

use crate::ends::{End, pattern, tcp, tcp_both_ways};

const PATIENCE: Duration = Duration::from_secs(10);

fn config(fast: Fast) -> Config {
    Config { fast: FastPath::open(fast, 16).expect("the fast path"), ..Config::default() }
}

/// Two ends over IPv4 or IPv6, which take each other for fast or not.
fn ends(ipv6: bool, fast: [Fast; 2], known: bool) -> (End, End) {
    let Bed { left, right } = Bed::new().expect("a bed");
    let [here, there]: [IpAddr; 2] =
        if ipv6 { [LEFT6.into(), RIGHT6.into()] } else { [LEFT.into(), RIGHT.into()] };
    let (one, two) = (bind(&left, here, there), bind(&right, there, here));
    let [first, second] = fast;
    (End::within(left, 1, one, config(first), known), End::within(right, 2, two, config(second), known))
}

/// A socket for the tunnel to another namespace.
fn bind(space: &Space, ours: IpAddr, theirs: IpAddr) -> UdpSocket {
    let socket = space.enter(|| UdpSocket::bind((ours, 1701))).expect("a socket");
    socket.connect((theirs, 1701)).expect("connected");
    socket
}

/// Two ends that are, and know of each other.
fn fast_pair(ipv6: bool) -> (End, End) {
    let (one, two) = ends(ipv6, [Fast::On; 2], true);
    for end in [&one, &two] {
        assert_eq!(fast(end), Ok(()));
    }
    (one, two)
}

/// Whether all frames of an end's session go fast, and why not.
fn fast(end: &End) -> Result<(), String> {
    end.driver.snapshot().sessions[0].fast.clone().expect("a driver with a fast path")
}

/// Packets that the interface of an end has received and sent by way of the driver.
fn ordinary(end: &End) -> [u64; 2] {
    let name = end.unit.interface();
    let table = end.space.enter(|| std::fs::read_to_string("/proc/thread-self/net/dev")).expect("a table");
    let line =
        table.lines().find_map(|line| line.trim().strip_prefix(&format!("{name}:"))).expect("its line");
    let fields: Vec<u64> = line.split_whitespace().map(|field| field.parse().expect("a number")).collect();
    [fields[1], fields[9]]
}

fn until(what: &str, done: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "{what}");
        thread::yield_now();
    }
}

/// A sender and a receiver at the inner addresses of two ends.
fn udp(from: &End, to: &End, ipv6: bool) -> (UdpSocket, UdpSocket) {
    let [source, target] = if ipv6 { [from.v6, to.v6] } else { [from.v4, to.v4] };
    let receiver = to.space.enter(|| UdpSocket::bind((target, 0))).expect("a receiver");
    receiver.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let sender = from.space.enter(|| UdpSocket::bind((source, 0))).expect("a sender");
    sender.connect(receiver.local_addr().expect("its address")).expect("connected");
    (sender, receiver)
}

#[test]
fn all_that_is_sent_arrives_and_most_of_it_fast() {
    let bytes = pattern(32 << 20);
    for outer6 in [false, true] {
        let (one, two) = fast_pair(outer6);
        for address in [two.v4, two.v6] {
            tcp_both_ways(&one, &two, address, &bytes);
        }
        for end in [&one, &two] {
            end.assert_clean();
            let [received, sent] = ordinary(end);
            // Some segments do not fit into super-packets of equal ones.
            assert!(
                received + sent < end.counter("tx_packets") / 8,
                "{received} {sent} {:?}",
                end.counters()
            );
        }
        // What one has sent, the other has received: no more was lost than TCP has sent again.
        assert!(two.counter("rx_bytes") >= 2 * bytes.len() as u64);
        assert_eq!(one.counter("tx_packets"), two.counter("rx_packets"));
        assert_eq!(one.counter("tx_bytes"), two.counter("rx_bytes"));
        assert_eq!(one.counter("rx_bytes"), two.counter("tx_bytes"));
    }
}

#[test]
fn counters_are_those_of_the_ordinary_way() {
    let counted = |fast: bool, ipv6: bool| {
        let (one, two) = if fast { fast_pair(false) } else { ends(false, [Fast::Off; 2], false) };
        let before = [ordinary(&one), ordinary(&two)];
        let start = [one.counter("tx_packets"), two.counter("rx_packets")];
        let bytes = [one.counter("tx_bytes"), two.counter("rx_bytes")];
        let (sender, receiver) = udp(&one, &two, ipv6);
        let mut buffer = [0; 2000];
        for size in (1..=1400).step_by(7) {
            sender.send(&pattern(size)).expect("sent");
            let len = receiver.recv(&mut buffer).expect("received");
            assert_eq!(buffer[..len], pattern(size));
        }
        if fast {
            assert_eq!(
                [ordinary(&one)[1], ordinary(&two)[0]],
                [before[0][1], before[1][0]],
                "no packet went the ordinary way"
            );
        }
        let packets = [one.counter("tx_packets") - start[0], two.counter("rx_packets") - start[1]];
        let bytes = [one.counter("tx_bytes") - bytes[0], two.counter("rx_bytes") - bytes[1]];
        (packets, bytes)
    };
    for ipv6 in [false, true] {
        let fast = counted(true, ipv6);
        assert_eq!(fast.0, [200, 200]);
        assert_eq!(fast, counted(false, ipv6));
    }
}

#[test]
fn super_packets_of_udp_reach_plain_and_joining_sockets() {
    let (one, two) = fast_pair(false);
    for ipv6 in [false, true] {
        for gro in [false, true] {
            let (sender, receiver) = udp(&one, &two, ipv6);
            setsockopt(&sender, UdpGsoSegment, &1200).expect("GSO");
            setsockopt(&receiver, UdpGroSegment, &gro).expect("GRO");
            let mut sent = Vec::new();
            for round in 0..50u8 {
                let burst = vec![round; 1200 * 10 + 300];
                sender.send(&burst).expect("sent");
                sent.extend(burst);
                let mut received: Vec<u8> = Vec::new();
                let mut buffer = vec![0; 65536];
                while received.len() < 12_300 {
                    let len = receiver.recv(&mut buffer).expect("received");
                    assert!(gro || len <= 1200, "{len}");
                    received.extend(&buffer[..len]);
                }
                assert!(received.iter().all(|byte| *byte == round) && received.len() == 12_300);
            }
        }
    }
}

#[test]
fn an_end_without_it_gets_and_sends_whole_packets() {
    let bytes = pattern(8 << 20);
    for knows in [false, true] {
        // Where one is taken for fast that is not, or has a session that is not, its driver finishes what comes.
        let (one, two) = ends(false, [Fast::On, Fast::Off], knows);
        if !knows {
            let why = fast(&one).expect_err("a virtual link");
            assert!(why.contains("virtual"), "{why}");
        }
        for address in [two.v4, two.v6] {
            tcp_both_ways(&one, &two, address, &bytes);
        }
        let (sender, receiver) = udp(&one, &two, false);
        sender.send(b"hello").expect("sent");
        let mut buffer = [0; 100];
        assert_eq!(receiver.recv(&mut buffer).expect("received"), 5);
        one.assert_clean();
        two.assert_clean();
    }
}

#[test]
fn ways_change_under_traffic_and_nothing_is_lost_or_overtaken() {
    // Of two processors each has a queue of its own for what comes, and neither waits for the other.
    let mut first = CpuSet::new();
    first.set(0).expect("a processor");
    sched_setaffinity(Pid::from_raw(0), &first).expect("a thread on one processor");
    let (one, two) = fast_pair(false);
    let bytes = pattern(48 << 20);
    let (sender, receiver) = udp(&one, &two, false);
    let running = AtomicBool::new(true);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut number = 0u64;
            let mut buffer = [0; 64];
            while running.load(Relaxed) {
                // One for one, and bursts of some: none may be overtaken.
                for _ in 0..8 {
                    sender.send(&number.to_be_bytes()).expect("sent");
                    number += 1;
                }
                let received = (0..8).map(|_| {
                    let len = receiver.recv(&mut buffer).expect("nothing is lost");
                    u64::from_be_bytes(*buffer[..len].first_chunk().expect("a number"))
                });
                assert_eq!(received.collect::<Vec<_>>(), (number - 8..number).collect::<Vec<_>>());
            }
        });
        let transfer = scope.spawn(|| tcp(&one.space, &two.space, two.v4, &bytes));
        let mut rounds = 0;
        while !transfer.is_finished() || rounds < 20 {
            // As an administrator would: the LNS wants numbers, then not; someone looks, then not.
            for (option, value) in [(SocketOption::Debug, DebugMask::DATA.0 as i32), (SocketOption::Debug, 0)]
            {
                one.session.set(option, value).expect("set");
            }
            for value in [1, 0] {
                one.session.set(SocketOption::SendSeq, value).expect("set");
                two.session.set(SocketOption::SendSeq, value).expect("set");
            }
            rounds += 1;
        }
        running.store(false, Relaxed);
    });
    one.assert_clean();
    two.assert_clean();
    until("fast again", || fast(&one) == Ok(()) && fast(&two) == Ok(()));
}

#[test]
fn a_policy_of_ipsec_has_frames_go_the_ordinary_way() {
    let (one, two) = fast_pair(false);
    let ip = |arguments: &str| {
        let run = || Command::new("ip").args(arguments.split(' ')).stdin(Stdio::null()).status();
        assert!(one.space.enter(run).expect("ip").success(), "ip {arguments}");
    };
    // It lets all pass: what counts is that there is one.
    ip("xfrm policy add src 0.0.0.0/0 dst 192.0.2.2/32 proto udp dir out action allow");
    until("it is seen", || fast(&one).is_err());
    assert!(fast(&one).is_err_and(|why| why.contains("IPsec")));
    assert_eq!(fast(&two), Ok(()), "the other end has none");
    let before = ordinary(&one)[1];
    tcp_both_ways(&one, &two, two.v4, &pattern(1 << 20));
    assert!(ordinary(&one)[1] > before);
    ip("xfrm policy del src 0.0.0.0/0 dst 192.0.2.2/32 proto udp dir out");
    until("it is gone", || fast(&one) == Ok(()));
    tcp_both_ways(&one, &two, two.v4, &pattern(1 << 20));
}

#[test]
fn a_network_that_may_not_pass_does_not() {
    let (one, two) = fast_pair(false);
    two.unit.let_pass(Networks { ipv4: false, ipv6: true }).expect("set");
    let (sender, receiver) = udp(&one, &two, false);
    let (sender6, receiver6) = udp(&one, &two, true);
    let mut buffer = [0; 100];
    sender.send(b"no").expect("sent");
    sender6.send(b"yes").expect("sent");
    assert_eq!(receiver6.recv(&mut buffer).expect("received"), 3);
    until("it is counted", || two.counter("rx_interface") == 1);
    two.unit.let_pass(Networks::ALL).expect("set");
    sender.send(b"now").expect("sent");
    assert_eq!(receiver.recv(&mut buffer).expect("received"), 3);
}

#[test]
fn places_of_ended_sessions_are_used_again() {
    let (one, _two) = fast_pair(false);
    let makes_a_fast_one = || {
        let ids = SessionIds { tunnel_id: 1, session_id: 7, peer_tunnel_id: 2, peer_session_id: 7 };
        let session = one.driver.session(ids).expect("a session");
        let make = || session.unit(UnitConfig::default()).map_err(io::Error::other);
        let _unit = one.space.enter(make).expect("a unit");
        let sessions = one.driver.snapshot().sessions;
        sessions.iter().any(|session| session.ids.session_id == 7 && session.fast == Some(Ok(())))
    };
    // There is room for 16. What has just ended may still be looked at by a program.
    for _ in 0..40 {
        makes_a_fast_one();
    }
    until("there is room again", makes_a_fast_one);
}

/// Programs on an interface, in a namespace.
fn programs(space: &Space, interface: &str) -> usize {
    let ways = [TcAttachType::Ingress, TcAttachType::Egress];
    let count = |way| SchedClassifier::query_tcx(interface, way).map(|(_, programs)| programs.len());
    let all = || ways.into_iter().map(count).sum::<Result<usize, _>>().map_err(io::Error::other);
    space.enter(all).expect("programs")
}

#[test]
fn a_session_that_ends_leaves_nothing_and_so_does_a_driver() {
    let (one, two) = fast_pair(false);
    assert_eq!(programs(&one.space, VETH), 1);
    assert_eq!(programs(&one.space, &one.unit.interface()), 1);
    let End { unit, session, tunnel, udp, driver, space, .. } = one;
    drop(unit);
    assert_eq!(driver.snapshot().sessions[0].fast, Some(Err("it is bound to no interface".into())));
    drop((session, tunnel, udp));
    drop(driver);
    until("no program is left", || programs(&space, VETH) == 0);
    drop(two);
}

#[test]
fn a_killed_process_leaves_nothing() {
    let Bed { left, right: _right } = Bed::new().expect("a bed");
    let address = |ip: IpAddr| SocketAddr::new(ip, 1701).to_string();
    let arguments = ["static", "--local", &address(LEFT.into()), "--peer", &address(RIGHT.into())];
    let more = ["--tunnel", "1:2", "--session", "1:2", "--interface", "ppp7", "--fast", "on"];
    let start = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ol2tp"));
        command.args(arguments).args(more).arg("--socket").arg(socket()).stdin(Stdio::null()).spawn()
    };
    let mut child = left.enter(start).expect("started");
    until("it is fast", || programs(&left, VETH) == 1);
    child.kill().expect("killed");
    child.wait().expect("it has ended");
    until("no program is left", || programs(&left, VETH) == 0);
}

fn socket() -> std::path::PathBuf {
    std::env::temp_dir().join(format!("ol2tp-fast-{}.sock", std::process::id()))
}
