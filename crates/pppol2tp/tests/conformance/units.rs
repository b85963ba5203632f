//! Sessions that are bound to an interface, in every home.

pub(crate) mod netns {
    use std::fmt::Debug;
    use std::net::{IpAddr, SocketAddr, SocketAddrV4, UdpSocket};
    use std::thread;
    use std::time::Instant;

    use netlink_packet_route::RouteNetlinkMessage;
    use netlink_packet_route::link::LinkMessage;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use pppol2tp::linux::LinuxDriver;
    use pppol2tp::netlink::Netlink;
    use pppol2tp::user::{Config, Mode, UserDriver};
    use pppol2tp::{Driver, Errno, Networks, Prefix, SocketOption, Unit, UnitConfig};

    use crate::common::{Bed, IDS, PATIENCE, in_netns, ipv4, message, receive, udp, wire};
    use crate::home::{self, differ_if, is_linux};
    use crate::step::{FIELDS, FRAME, HDLC};

    /// Our end of the inner link, and the other.
    pub(crate) const OURS: SocketAddrV4 = SocketAddrV4::new(std::net::Ipv4Addr::new(10, 0, 0, 1), 7000);
    pub(crate) const THEIRS: SocketAddrV4 = SocketAddrV4::new(std::net::Ipv4Addr::new(10, 0, 0, 2), 7001);

    /// Runs a test in the home, in every mode of its data path, on an interface that is up.
    pub(crate) fn in_home(test: impl Fn(&Bed<dyn Driver>, &dyn Unit) + Sync) {
        with_driver(&Mode::ALL, |driver| {
            let bed = Bed::of(driver, udp("127.0.0.1:0"), udp("127.0.0.1:0"), IDS);
            let unit = up(&bed, UnitConfig::default());
            test(&bed, &*unit);
        });
    }

    /// Gives a test a driver of the home in a namespace: of home `user` in each of these modes.
    pub(crate) fn with_driver(modes: &[(&str, Mode)], test: impl Fn(Box<dyn Driver>) + Sync) {
        if is_linux() {
            return in_netns(|| test(Box::new(LinuxDriver::probe().expect("the kernel's driver"))));
        }
        for &(name, mode) in modes {
            println!("mode {name}");
            let config = Config { mode, ..crate::common::config() };
            in_netns(|| test(Box::new(UserDriver::new(config).expect("a driver"))));
        }
    }

    /// A unit of the bed's session, with an interface that is up.
    pub(crate) fn up(bed: &Bed<dyn Driver>, config: UnitConfig) -> Box<dyn Unit> {
        let unit = bed.session.unit(config).expect("a unit");
        unit.add_address(Prefix::host((*OURS.ip()).into()), Some((*THEIRS.ip()).into())).expect("an address");
        unit.set_up(true).expect("up");
        unit
    }

    /// Says why the homes differ: under a name of `docs/driver.md`, which the test of differences looks for.
    fn differs<T: PartialEq + Debug>(why: &str, is: T, user: T, linux: T) {
        differ_if(home::differs(why), is, user, linux);
    }

    pub(crate) fn frame_of(unit: &dyn Unit) -> Vec<u8> {
        let mut buffer = [0; 2000];
        let len = unit.recv_timeout(&mut buffer, PATIENCE).expect("alive").expect("a frame");
        buffer[..len].to_vec()
    }

    /// What waits at a unit.
    pub(crate) fn frames_of(unit: &dyn Unit) -> Vec<Vec<u8>> {
        let mut buffer = [0; 100];
        let frame = || unit.recv(&mut buffer).expect("alive").map(|len| buffer[..len].to_vec());
        std::iter::from_fn(frame).collect()
    }

    pub(crate) fn inner() -> UdpSocket {
        udp("10.0.0.1:7000")
    }

    pub(crate) fn packet(payload: &[u8]) -> Vec<u8> {
        ipv4(THEIRS, OURS, payload)
    }

    pub(crate) fn framed(before: &[u8], packet: &[u8]) -> Vec<u8> {
        [before, packet].concat()
    }

    /// What was received, counter by counter.
    fn received(bed: &Bed<dyn Driver>) -> Vec<(&'static str, u64)> {
        bed.counters().into_iter().filter(|(name, _)| name.starts_with("rx")).collect()
    }

    #[test]
    fn section_3_2_network_frames_come_out_of_the_interface() {
        in_home(|bed, _| {
            let inner = inner();
            bed.arrives(&framed(&[0xff, 3, 0, 0x21], &packet(b"HDLC")));
            bed.arrives(&framed(&[0, 0x21], &packet(b"ACFC")));
            bed.arrives(&framed(&[0xff, 3, 0x21], &packet(b"PFC")));
            bed.arrives(&framed(&[0x21], &packet(b"both")));
            for expected in [&b"HDLC"[..], b"ACFC", b"PFC", b"both"] {
                assert_eq!(receive(&inner).expect("a packet"), expected);
            }
            let bytes = 4 * (6 + 28) + 4 + 2 + 3 + 1 + 4 + 4 + 3 + 4;
            assert_eq!(received(bed), [("rx_packets", 4), ("rx_bytes", bytes)]);
        });
    }

    #[test]
    fn section_5_packets_of_the_interface_are_sent_as_frames() {
        in_home(|bed, _| {
            inner().send_to(b"out", THEIRS).expect("sent");
            let datagram = wire(&bed.peer);
            assert_eq!(datagram[..10], message(&[2, 2, 20, 0xff03, 0x0021], &[]));
            assert_eq!(datagram[10] >> 4, 4);
            assert_eq!(datagram[10 + 28..], *b"out");
        });
    }

    #[test]
    fn section_4_1_a_bound_lac_follows_the_lns() {
        in_home(|bed, unit| {
            let inner = inner();
            bed.sends(&message(&[0x0802, 1, 10, 0, 0], HDLC));
            assert_eq!(frame_of(unit), FRAME);
            bed.session.set(SocketOption::SendSeq, 1).expect("set");
            let first = numbers(bed, &inner, b"one");
            assert_eq!(numbers(bed, &inner, b"two"), first.map(|ns| ns + 1));
            bed.arrives(HDLC);
            assert_eq!(frame_of(unit), FRAME);
            assert_eq!(numbers(bed, &inner, b"three"), None);
        });
    }

    #[test]
    fn section_3_2_control_frames_go_to_the_unit() {
        in_home(|bed, unit| {
            bed.arrives(HDLC);
            bed.arrives(FRAME);
            bed.arrives(&[0xff, 3, 0x4b, 1, 2, 3, 4, 5]);
            bed.arrives(&[0x4b, 1, 2, 3, 4, 5, 6, 7]);
            for expected in [FRAME, FRAME, &[0, 0x4b, 1, 2, 3, 4, 5], &[0, 0x4b, 1, 2, 3, 4, 5, 6, 7]] {
                assert_eq!(frame_of(unit), expected);
            }
            assert_eq!(bed.session.recv(&mut [0; 10]).expect_err("bound").errno(), Errno::Io);
        });
    }

    /// A frame of each of these protocols arrives: they are counted alike, whoever gets them.
    fn frames_arrive(bed: &Bed<dyn Driver>, protocols: &[u16]) -> Vec<Vec<u8>> {
        let frames: Vec<_> = protocols.iter().map(|protocol| message(&[*protocol], &[0; 8])).collect();
        frames.iter().for_each(|frame| bed.arrives(frame));
        let count = protocols.len() as u64;
        assert_eq!(received(bed), [("rx_packets", count), ("rx_bytes", count * (6 + 2 + 8))]);
        frames
    }

    #[test]
    fn section_3_2_other_network_protocols() {
        in_home(|bed, unit| {
            // IPX, AppleTalk, MPLS to one and to many.
            let frames = frames_arrive(bed, &[0x2b, 0x29, 0x281, 0x283]);
            differs("other network protocols", frames_of(unit), frames, vec![]);
        });
    }

    #[test]
    fn section_3_2_compressed_headers_and_fragments() {
        in_home(|bed, unit| {
            // Van Jacobson's, compressed and not; multilink.
            let frames = frames_arrive(bed, &[0x2d, 0x2f, 0x3d]);
            differs("compression and multilink", frames_of(unit), frames, vec![]);
        });
    }

    #[test]
    fn section_3_2_a_packet_of_the_other_ip_version() {
        in_home(|bed, _| {
            bed.arrives(&framed(&[0, 0x57], &packet(b"IPv4 as IPv6")));
            let delivered = [("rx_packets", 1), ("rx_bytes", 6 + 2 + 28 + 12)];
            let mut dropped = [&delivered[..], &[("rx_errors", 1), ("rx_bad_inner", 1)]].concat();
            if home::differs("named drops") {
                dropped.retain(|(name, _)| FIELDS.contains(name));
            }
            differs("inner version", received(bed), dropped, delivered.into());
        });
    }

    #[test]
    fn section_5_control_frames_of_the_unit_are_sent() {
        in_home(|bed, unit| {
            unit.send(FRAME).expect("sent");
            assert_eq!(wire(&bed.peer), message(&[2, 2, 20], HDLC));
        });
    }

    #[test]
    fn section_9_an_interface_that_is_down() {
        in_home(|bed, unit| {
            unit.set_up(false).expect("down");
            bed.arrives(&framed(&[0, 0x21], &packet(b"nowhere")));
            bed.arrives(&framed(&[0, 0x21], &packet(b"nowhere")));
            let delivered = [("rx_packets", 2), ("rx_bytes", 2 * (6 + 2 + 28 + 7))];
            let dropped = [&delivered[..], &[("rx_interface", 2)]].concat();
            differs("drops of interfaces", received(bed), dropped, delivered.into());
        });
    }

    #[test]
    fn section_9_an_interface_that_disappears() {
        in_home(|bed, unit| {
            let mut link = LinkMessage::default();
            link.header.index = unit.index();
            Netlink::open()
                .expect("rtnetlink")
                .request(RouteNetlinkMessage::DelLink(link), 0)
                .expect("deleted");
            let mut fds = [PollFd::new(unit.poll_fd().expect("a descriptor"), PollFlags::POLLIN)];
            assert_eq!(poll(&mut fds, PollTimeout::try_from(PATIENCE).expect("short")), Ok(1));
            assert!(!unit.is_alive());
            assert!(bed.session.is_alive());
            bed.arrives(&framed(&[0, 0x21], &packet(b"nowhere")));
            let delivered = [("rx_packets", 1), ("rx_bytes", 6 + 2 + 28 + 7)];
            let dropped = [&delivered[..], &[("rx_errors", 1), ("rx_interface", 1)]].concat();
            differs("drops of interfaces", received(bed), dropped, delivered.into());
        });
    }

    #[test]
    fn section_8_only_open_network_protocols_come_in() {
        in_home(|bed, unit| {
            let inner = inner();
            let ipv6 = Networks { ipv4: false, ipv6: true };
            unit.let_pass(ipv6).expect("set");
            bed.arrives(&framed(&[0, 0x21], &packet(b"closed")));
            bed.settle();
            unit.let_pass(Networks::ALL).expect("set");
            bed.arrives(&framed(&[0, 0x21], &packet(b"open")));
            assert_eq!(receive(&inner).expect("a packet"), b"open");
            let delivered = [("rx_packets", 2), ("rx_bytes", 2 * (6 + 2 + 28) + 6 + 4)];
            let dropped = [&delivered[..], &[("rx_interface", 1)]].concat();
            differs("drops of interfaces", received(bed), dropped, delivered.into());
        });
    }

    #[test]
    fn section_8_only_open_network_protocols_go_out() {
        in_home(|bed, unit| {
            let [ours, theirs] = ["fd08::1", "fd08::2"].map(|ip| ip.parse::<IpAddr>().expect("an address"));
            unit.add_address(Prefix::host(ours), Some(theirs)).expect("an address");
            let (ipv4, ipv6) = (inner(), udp("[fd08::1]:7000"));
            let sends = |is_ipv6: bool, payload: &[u8]| {
                let (socket, to): (_, SocketAddr) =
                    if is_ipv6 { (&ipv6, (theirs, 7001).into()) } else { (&ipv4, THEIRS.into()) };
                // The kernel has the route to an IPv6 peer a little later.
                let end = Instant::now() + PATIENCE;
                while let Err(error) = socket.send_to(payload, to) {
                    assert!(Instant::now() < end, "{error}");
                    thread::yield_now();
                }
            };
            for open in [true, false] {
                unit.let_pass(Networks { ipv4: !open, ipv6: open }).expect("set");
                sends(!open, b"closed");
                sends(open, b"open");
                loop {
                    let datagram = receive(&bed.peer).expect("what is sent behind it");
                    assert!(!datagram.ends_with(b"closed"), "IPv6 is open: {open}");
                    if datagram.ends_with(b"open") {
                        break;
                    }
                }
            }
        });
    }

    /// Ns of the message that carries what is sent, IPv6's own messages not counted.
    fn numbers(bed: &Bed<dyn Driver>, inner: &UdpSocket, payload: &[u8]) -> Option<u16> {
        inner.send_to(payload, THEIRS).expect("sent");
        let datagram = wire(&bed.peer);
        assert!(datagram.ends_with(payload));
        let sequenced = datagram[0] & 8 != 0;
        sequenced.then(|| u16::from_be_bytes([datagram[6], datagram[7]]))
    }

    #[test]
    fn section_8_one_unit_at_a_time() {
        in_home(|bed, unit| {
            let second = bed.session.unit(UnitConfig::default());
            assert_eq!(second.err().map(|error| error.errno()), Some(Errno::Busy));
            assert!(bed.driver.snapshot().sessions[0].bound && unit.is_alive());
        });
    }
}
