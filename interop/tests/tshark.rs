//! tshark decodes what we send as L2TP/PPP/IP, without a warning and with right checksums.
//!
//! ```text
//!   ol2tp static ── veth0 ═══ veth0 ── ol2tp static      offloads of the veth off:
//!                     └ dumpcap                          one packet, one datagram
//! ```

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

use interop::tshark::{Capture, Packet, dissect};
use ol2tp::bed::{self, Bed, Space};
use ol2tp::end::End;
use ol2tp::ping::{Requests, ping};

const VETH: &str = "veth0";
const PORT: u16 = 1701;
/// Local tunnel and session ids.
const LEFT: (u16, u16) = (1, 10);
const RIGHT: (u16, u16) = (2, 20);
/// Inner addresses: left, right.
const INNER: [(IpAddr, IpAddr); 2] = [
    (IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2))),
    (
        IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1)),
        IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2)),
    ),
];
const PINGS: Requests =
    Requests { count: 5, interval: Duration::from_millis(10), patience: Duration::from_secs(5) };
/// Bytes of a TCP transfer.
const TRANSFER: usize = 1 << 20;

const OUTER4: (IpAddr, IpAddr) = (IpAddr::V4(bed::LEFT), IpAddr::V4(bed::RIGHT));
const OUTER6: (IpAddr, IpAddr) = (IpAddr::V6(bed::LEFT6), IpAddr::V6(bed::RIGHT6));

#[test]
fn netns_plain_over_ipv4() {
    plain(OUTER4);
}

#[test]
fn netns_plain_over_ipv6() {
    plain(OUTER6);
}

#[test]
fn netns_sequenced_over_ipv4() {
    sequenced(OUTER4);
}

#[test]
fn netns_sequenced_over_ipv6() {
    sequenced(OUTER6);
}

#[test]
fn netns_fast_over_ipv4() {
    fast(OUTER4, "fast", &[], GOOD);
}

#[test]
fn netns_fast_over_ipv6() {
    fast(OUTER6, "fast", &[], GOOD);
}

#[test]
fn netns_fast_without_checksums() {
    fast(OUTER4, "fast-zero", &["--no-data-checksums"], ABSENT);
    // Over IPv6 there is one.
    fast(OUTER6, "fast-zero", &["--no-data-checksums"], GOOD);
}

/// What tshark says of a checksum.
const GOOD: &str = "1";
const ABSENT: &str = "3";

/// The fault of a packet whose outer UDP checksum is zero.
fn absent() -> String {
    format!("udp.checksum.status is {:?}", [ABSENT])
}

/// By the fast path; the veth has no offloads, so the kernel cuts and finishes on the way to it what that has left.
fn fast(outer: (IpAddr, IpAddr), name: &str, options: &[&str], status: &str) {
    let options = [&["--fast", "on", "--peer-fast"], options].concat();
    for sent in exchange(outer, name, &options) {
        // What the fast path does not take has a checksum in any case.
        let so = sent.iter().filter(|packet| packet.first("udp.checksum.status") == status).count();
        assert!(so > sent.len() / 2, "{so} of {} packets", sent.len());
    }
}

fn plain(outer: (IpAddr, IpAddr)) {
    for packet in exchange(outer, "plain", &[]).concat() {
        assert_eq!(packet.first("l2tp.seq_bit"), "0", "{packet:?}");
    }
}

fn sequenced(outer: (IpAddr, IpAddr)) {
    for packets in exchange(outer, "sequenced", &["--send-seq"]) {
        for (place, packet) in packets.iter().enumerate() {
            assert_eq!(packet.ns(), Some(place as u16), "Ns counts up by one from 0: {packet:?}");
            assert_eq!(packet.first("l2tp.Nr"), "0", "{packet:?}");
        }
    }
}

/// Pings and moves data through a tunnel over IPv4 and IPv6. Returns what each side sent, in order;
/// what is wrong with any packet has been found by then.
fn exchange(outer: (IpAddr, IpAddr), name: &str, options: &[&str]) -> [Vec<Packet>; 2] {
    let program = interop::ol2tp().expect("the command");
    let family = if outer.0.is_ipv4() { 4 } else { 6 };
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{family}.pcapng"));

    let bed = Bed::new().expect("root and /dev/net/tun make two network namespaces");
    for space in [&bed.left, &bed.right] {
        space.enter(offloads_off).expect("ethtool");
    }
    let capture = bed.left.enter(|| Capture::start(VETH, PORT, &file)).expect("dumpcap");
    let ends = [(&bed.left, LEFT, RIGHT, false), (&bed.right, RIGHT, LEFT, true)];
    let mut ends = ends.map(|(space, local, peer, swap)| {
        let arguments = arguments(outer, local, peer, swap, options);
        End::start(space, &program, &arguments).expect("ol2tp static")
    });
    if options.contains(&"--fast") {
        let fast = ends.each_mut().map(|end| end.fast().expect("ol2tp show"));
        assert_eq!(fast, ["on", "on"]);
    }
    for (left, right) in INNER {
        let echoes = ping(&bed.left, right, PINGS).expect("raw sockets");
        assert!(echoes.complete(), "{right}: {echoes:?}");
        transfer(&bed.left, &bed.right, right).expect("a TCP transfer to the right");
        transfer(&bed.right, &bed.left, left).expect("a TCP transfer to the left");
    }
    for end in ends {
        end.stop().expect("ol2tp static ends well");
    }
    bed.left.enter(|| capture.stop(outer.1)).expect("a whole capture");

    let packets = dissect(&file, PORT).expect("tshark reads the capture");
    let wanted = |fault: &String| !options.contains(&"--no-data-checksums") || *fault != absent();
    let faults = |packet: &Packet| packet.faults().into_iter().filter(wanted).collect::<Vec<_>>();
    let faulty: Vec<_> = packets.iter().map(|packet| (faults(packet), packet)).collect();
    let faulty: Vec<_> = faulty.iter().filter(|(faults, _)| !faults.is_empty()).collect();
    assert!(faulty.is_empty(), "{} of {} packets: {:#?}", faulty.len(), packets.len(), faulty.first());
    [(outer.0, RIGHT), (outer.1, LEFT)].map(|(sender, receiver)| {
        let sent = packets.iter().filter(|packet| packet.sender() == sender.to_string());
        let sent: Vec<_> = sent.cloned().collect();
        complete(&sent, receiver);
        sent
    })
}

/// What one side sent goes to the right session and holds all that was moved.
fn complete(sent: &[Packet], (tunnel, session): (u16, u16)) {
    for packet in sent {
        assert_eq!(packet.first("l2tp.tunnel"), tunnel.to_string(), "{packet:?}");
        assert_eq!(packet.first("l2tp.session"), session.to_string(), "{packet:?}");
        assert_eq!(packet.first("l2tp.length_bit"), "0", "{packet:?}");
    }
    let count = |way| sent.iter().filter(|packet| packet.first("frame.protocols").contains(way)).count();
    let segments = TRANSFER / 1460;
    for (way, least) in [
        (":ppp:ip:icmp", usize::from(PINGS.count)),
        (":ppp:ipv6:icmpv6", usize::from(PINGS.count)),
        (":ppp:ip:tcp", segments),
        (":ppp:ipv6:tcp", segments),
    ] {
        assert!(count(way) >= least, "{} packets {way}, not {least}", count(way));
    }
}

fn arguments(
    outer: (IpAddr, IpAddr),
    local: (u16, u16),
    peer: (u16, u16),
    swap: bool,
    options: &[&str],
) -> Vec<String> {
    let order = |(left, right): (IpAddr, IpAddr)| if swap { (right, left) } else { (left, right) };
    let (here, there) = order(outer);
    let mut arguments = vec![
        "static".into(),
        format!("--local={}", SocketAddr::new(here, PORT)),
        format!("--peer={}", SocketAddr::new(there, PORT)),
        format!("--tunnel={}:{}", local.0, peer.0),
        format!("--session={}:{}", local.1, peer.1),
    ];
    for (here, there) in INNER.map(order) {
        arguments.extend([format!("--address={here}"), format!("--peer-address={there}")]);
    }
    arguments.extend(options.iter().map(|&option| option.to_owned()));
    arguments
}

fn offloads_off() -> io::Result<()> {
    let features = "tx off rx off tso off gso off gro off tx-udp-segmentation off";
    let output = Command::new("ethtool").args(["-K", VETH]).args(features.split(' ')).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()))
}

/// Moves [`TRANSFER`] bytes to `target`, where they have to arrive as they were.
fn transfer(from: &Space, to: &Space, target: IpAddr) -> io::Result<()> {
    let data: Vec<u8> = (0..TRANSFER).map(|n| (n % 251) as u8).collect();
    let listener = to.enter(|| TcpListener::bind((target, 0)))?;
    let mut sender = from.enter(|| TcpStream::connect(listener.local_addr()?))?;
    let (mut receiver, _) = listener.accept()?;
    receiver.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut received = Vec::new();
    thread::scope(|scope| {
        let sent = scope.spawn(|| {
            sender.write_all(&data)?;
            sender.shutdown(Shutdown::Write)
        });
        receiver.read_to_end(&mut received)?;
        sent.join().expect("sending does not panic")
    })?;
    drop(receiver);
    // The other side's end: every packet is on the wire.
    sender.read_to_end(&mut Vec::new())?;
    if received == data { Ok(()) } else { Err(io::Error::other("what arrived is not what was sent")) }
}
