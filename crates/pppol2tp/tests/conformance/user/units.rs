//! Sessions that are bound to an interface, and the drops that take one.

mod netns {
    use std::net::{SocketAddrV4, UdpSocket};

    use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
    use netlink_packet_route::RouteNetlinkMessage;
    use netlink_packet_route::link::{InfoData, InfoKind, InfoVeth, LinkAttribute, LinkInfo, LinkMessage};
    use nix::net::if_::if_nametoindex;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use nix::sys::socket::setsockopt;
    use nix::{setsockopt_impl, sockopt_impl};
    use pppol2tp::data::rules::PPPIOCGCHAN;
    use pppol2tp::data::stats::Tx;
    use pppol2tp::netlink::Netlink;
    use pppol2tp::user::{Config, Mode, UserDriver};
    use pppol2tp::{
        Driver, Errno, Interface, Prefix, SessionIds, SharedConfig, SocketOption, Unit, UnitConfig,
    };
    use socket2::{Domain, Protocol, SockRef, Socket, Type};

    use crate::common::{Bed, IDS, PATIENCE, in_netns, ipv4, message, receive, tunnel_to, udp, wire};
    use crate::step::{FRAME, HDLC};

    /// Our end of the inner link, and the other.
    const OURS: SocketAddrV4 = SocketAddrV4::new(std::net::Ipv4Addr::new(10, 0, 0, 1), 7000);
    const THEIRS: SocketAddrV4 = SocketAddrV4::new(std::net::Ipv4Addr::new(10, 0, 0, 2), 7001);

    fn up(bed: &Bed) -> Box<dyn Unit> {
        let unit = bed.session.unit(UnitConfig::default()).expect("a unit");
        let ours = Prefix::host((*OURS.ip()).into());
        unit.add_address(ours, Some((*THEIRS.ip()).into())).expect("an address");
        unit.set_up(true).expect("up");
        unit
    }

    /// Runs a test in every mode of the data path, on an interface that is up.
    fn in_every_mode(test: impl Fn(&Bed, &dyn Unit) + Sync) {
        for (name, mode) in Mode::ALL {
            in_netns(|| {
                let bed = Bed::new(Config { mode, ..Config::default() });
                let unit = up(&bed);
                println!("mode {name}");
                test(&bed, &*unit);
            });
        }
    }

    fn frame_of(unit: &dyn Unit) -> Vec<u8> {
        let mut buffer = [0; 2000];
        let len = unit.recv_timeout(&mut buffer, PATIENCE).expect("alive").expect("a frame");
        buffer[..len].to_vec()
    }

    fn inner() -> UdpSocket {
        udp("10.0.0.1:7000")
    }

    fn packet(payload: &[u8]) -> Vec<u8> {
        ipv4(THEIRS, OURS, payload)
    }

    fn framed(before: &[u8], packet: &[u8]) -> Vec<u8> {
        [before, packet].concat()
    }

    #[test]
    fn section_3_2_network_frames_come_out_of_the_interface() {
        in_every_mode(|bed, _| {
            let inner = inner();
            bed.arrives(&framed(&[0xff, 3, 0, 0x21], &packet(b"HDLC")));
            bed.arrives(&framed(&[0, 0x21], &packet(b"ACFC")));
            bed.arrives(&framed(&[0xff, 3, 0x21], &packet(b"PFC")));
            bed.arrives(&framed(&[0x21], &packet(b"both")));
            for expected in [&b"HDLC"[..], b"ACFC", b"PFC", b"both"] {
                assert_eq!(receive(&inner).expect("a packet"), expected);
            }
            let bytes = 4 * (6 + 28) + 4 + 2 + 3 + 1 + 4 + 4 + 3 + 4;
            let stats = bed.session.stats().expect("statistics");
            assert_eq!(
                stats.iter().filter(|(name, n)| name.starts_with("rx") && *n != 0).collect::<Vec<_>>(),
                [("rx_packets", 4), ("rx_bytes", bytes)]
            );
        });
    }

    #[test]
    fn section_5_packets_of_the_interface_are_sent_as_frames() {
        in_every_mode(|bed, _| {
            inner().send_to(b"out", THEIRS).expect("sent");
            let datagram = wire(&bed.peer);
            assert_eq!(datagram[..10], message(&[2, 2, 20, 0xff03, 0x0021], &[]));
            assert_eq!(datagram[10] >> 4, 4);
            assert_eq!(datagram[10 + 28..], *b"out");
        });
    }

    #[test]
    fn section_4_1_a_bound_lac_follows_the_lns() {
        in_every_mode(|bed, unit| {
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

    /// Ns of the message that carries what is sent, IPv6's own messages not counted.
    fn numbers(bed: &Bed, inner: &UdpSocket, payload: &[u8]) -> Option<u16> {
        inner.send_to(payload, THEIRS).expect("sent");
        let datagram = wire(&bed.peer);
        assert!(datagram.ends_with(payload));
        let sequenced = datagram[0] & 8 != 0;
        sequenced.then(|| u16::from_be_bytes([datagram[6], datagram[7]]))
    }

    #[test]
    fn section_3_2_control_frames_go_to_the_unit() {
        in_every_mode(|bed, unit| {
            bed.arrives(HDLC);
            bed.arrives(FRAME);
            bed.arrives(&[0xff, 3, 0xfd, 1, 2]);
            bed.arrives(&[0xfd, 3]);
            bed.arrives(&[0xff, 3, 0xfd]);
            for expected in [FRAME, FRAME, &[0, 0xfd, 1, 2], &[0, 0xfd, 3], &[0, 0xfd]] {
                assert_eq!(frame_of(unit), expected);
            }
            assert_eq!(bed.session.recv(&mut [0; 10]).expect_err("bound").errno(), Errno::Io);
        });
    }

    #[test]
    fn section_5_control_frames_of_the_unit_are_sent() {
        in_every_mode(|bed, unit| {
            unit.send(FRAME).expect("sent");
            assert_eq!(wire(&bed.peer), message(&[2, 2, 20], HDLC));
        });
    }

    #[test]
    fn section_9_frames_that_are_not_what_they_say() {
        in_every_mode(|bed, unit| {
            bed.arrives(&framed(&[0, 0x57], &packet(b"IPv4 as IPv6")));
            bed.arrives(&[0, 0x21, 0x60, 0, 0, 0]);
            bed.arrives(&[0xff, 3, 0, 0x21]);
            bed.arrives(&[0xff, 3, 0xc0]);
            bed.arrives(HDLC);
            assert_eq!(frame_of(unit), FRAME);
            let received: Vec<_> =
                bed.counters().into_iter().filter(|(name, _)| !name.starts_with("tx")).collect();
            let bytes = (6 + 2 + 40) + 12 + 10 + 9 + 18;
            assert_eq!(
                received,
                [
                    ("rx_packets", 5),
                    ("rx_bytes", bytes),
                    ("rx_errors", 4),
                    ("rx_short_frame", 1),
                    ("rx_bad_inner", 3)
                ]
            );
        });
    }

    #[test]
    fn section_9_an_interface_that_is_down() {
        in_every_mode(|bed, unit| {
            unit.set_up(false).expect("down");
            let before = bed.counters();
            assert!(before.iter().all(|(name, _)| !name.starts_with("rx")), "{before:?}");
            bed.arrives(&framed(&[0, 0x21], &packet(b"nowhere")));
            bed.arrives(&framed(&[0, 0x21], &packet(b"nowhere")));
            let received: Vec<_> =
                bed.counters().into_iter().filter(|(name, _)| !name.starts_with("tx")).collect();
            assert_eq!(
                received,
                [("rx_packets", 2), ("rx_bytes", 2 * (6 + 2 + 28 + 7)), ("rx_interface", 2)],
                "no errors: Linux' PPP does not count them at all"
            );
        });
    }

    #[test]
    fn section_9_an_interface_that_disappears() {
        in_every_mode(|bed, unit| {
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
            let interface = bed.counters().into_iter().find(|(name, _)| *name == "rx_interface");
            assert_eq!(interface, Some(("rx_interface", 1)));
        });
    }

    #[test]
    fn section_9_a_packet_that_is_no_ip() {
        in_every_mode(|bed, unit| {
            let raw = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(libc::IPPROTO_RAW)))
                .expect("a raw socket");
            let mut packet = ipv4(OURS, THEIRS, b"version 0");
            packet[0] = 0x05;
            raw.send_to(&packet, &THEIRS.into()).expect("sent");
            unit.send(FRAME).expect("sent");
            assert_eq!(wire(&bed.peer), message(&[2, 2, 20], HDLC));
            inner().send_to(b"behind", THEIRS).expect("sent");
            assert!(wire(&bed.peer).ends_with(b"behind"));
            let counters = bed.counters();
            let errors: Vec<_> = counters
                .iter()
                .filter(|(name, _)| !name.ends_with("s") || name.ends_with("errors"))
                .collect();
            assert_eq!(errors, [&("tx_errors", 1), &("tx_malformed", 1)]);
        });
    }

    sockopt_impl!(
        /// Whether the Don't Fragment bit is set.
        MtuDiscover,
        SetOnly,
        libc::SOL_IP,
        libc::IP_MTU_DISCOVER,
        i32
    );

    #[test]
    fn section_9_a_frame_larger_than_the_path() {
        in_netns(|| {
            let lo = if_nametoindex("lo").expect("lo");
            Netlink::open().expect("rtnetlink").set_mtu(lo, 1500).expect("set");
            let socket = udp("127.0.0.1:0");
            setsockopt(&socket, MtuDiscover, &libc::IP_PMTUDISC_DO).expect("DF");
            let bed = Bed::on(socket, udp("127.0.0.1:0"), Config::default(), IDS);
            bed.session.send(&[0xc0; 1500]).expect("taken");
            bed.session.send(FRAME).expect("taken");
            assert_eq!(receive(&bed.peer).expect("the second"), message(&[2, 2, 20], HDLC));
            assert_eq!(
                bed.counters(),
                [("tx_packets", 1), ("tx_bytes", 18), ("tx_errors", 1), ("tx_too_big", 1)]
            );
            let stats = bed.tunnel.stats(None).expect("statistics");
            assert_eq!(
                stats.iter().filter(|(_, n)| *n != 0).collect::<Vec<_>>(),
                [("tx_packets", 1), ("tx_bytes", 18), ("tx_errors", 1)]
            );
        });
    }

    #[test]
    fn section_9_a_peer_that_cannot_be_reached() {
        in_netns(|| {
            let bed = Bed::new(Config::default());
            let handle = bed.driver.attach(udp("0.0.0.0:0")).expect("attached");
            let peer = "192.0.2.1:1701".parse().expect("an address");
            let _tunnel = handle.tunnel(tunnel_to(peer, 3)).expect("a tunnel");
            let ids = SessionIds { tunnel_id: 3, session_id: 30, peer_tunnel_id: 0, peer_session_id: 40 };
            let session = bed.driver.session(ids).expect("a session");
            session.send(FRAME).expect("taken");
            bed.settle();
            let stats = session.stats().expect("statistics");
            assert_eq!(
                stats.iter().filter(|(_, n)| *n != 0).collect::<Vec<_>>(),
                [("tx_errors", 1), ("tx_refused", 1)]
            );
        });
    }

    /// The frames wait for an answer to ARP that never comes, and the socket's buffer is small.
    #[test]
    fn section_9_a_socket_whose_buffer_is_full() {
        in_netns(|| {
            let netlink = Netlink::open().expect("rtnetlink");
            let mut peer = LinkMessage::default();
            peer.attributes.push(LinkAttribute::IfName("silent".into()));
            let mut link = LinkMessage::default();
            link.attributes = vec![
                LinkAttribute::IfName("outer".into()),
                LinkAttribute::LinkInfo(vec![
                    LinkInfo::Kind(InfoKind::Veth),
                    LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
                ]),
            ];
            netlink
                .request(RouteNetlinkMessage::NewLink(link), NLM_F_CREATE | NLM_F_EXCL)
                .expect("a veth pair");
            for name in ["outer", "silent"] {
                netlink.set_up(if_nametoindex(name).expect("there"), true).expect("up");
            }
            let outer = if_nametoindex("outer").expect("there");
            let ours = Prefix { address: [192, 0, 2, 1].into(), len: 24 };
            netlink.add_address(outer, ours, None).expect("an address");

            let driver = UserDriver::new(Config::default()).expect("a driver");
            let socket = udp("192.0.2.1:0");
            let shared = socket.try_clone().expect("a second descriptor");
            let handle = driver.attach(socket).expect("attached");
            SockRef::from(&shared).set_send_buffer_size(1).expect("small");
            let _tunnel =
                handle.tunnel(tunnel_to("192.0.2.2:1701".parse().expect("good"), 1)).expect("a tunnel");
            let session = driver.session(IDS).expect("a session");
            for _ in 0..5 {
                session.send(&[0xc0; 1400]).expect("taken");
            }
            driver.snapshot();
            let stats = session.stats().expect("statistics");
            let [sent, errors, no_buffers] =
                [Tx::Packets, Tx::Errors, Tx::NoBuffers].map(|counter| stats.tx(counter));
            assert_eq!((sent + errors, errors), (5, no_buffers));
            assert!(sent > 0 && errors > 0, "{sent} sent, {errors} not");
        });
    }

    #[test]
    fn section_16_an_inner_source_that_is_not_the_sessions() {
        for (name, mode) in Mode::ALL {
            in_netns(|| {
                let bed = Bed::new(Config { mode, ..Config::default() });
                let shared = SharedConfig { name: "pool".into(), mtu: 1400 };
                let shared = bed.driver.shared_interface(shared).expect("a shared interface");
                shared.add_address(Prefix::host((*OURS.ip()).into())).expect("an address");
                let addresses = vec![Prefix::host((*THEIRS.ip()).into())];
                let interface = Interface::Shared { name: shared.interface(), addresses };
                let _unit =
                    bed.session.unit(UnitConfig { interface, ..UnitConfig::default() }).expect("a unit");
                shared.add_route(Prefix { address: (*THEIRS.ip()).into(), len: 24 }).expect("a route");
                let inner = inner();
                let stranger = SocketAddrV4::new([10, 0, 0, 3].into(), 7001);
                bed.arrives(&framed(&[0, 0x21], &ipv4(stranger, OURS, b"spoofed")));
                bed.arrives(&framed(&[0, 0x21], &packet(b"mine")));
                assert_eq!(receive(&inner).expect("a packet"), b"mine", "{name}");
                assert_eq!(
                    bed.counters(),
                    [
                        ("rx_packets", 2),
                        ("rx_bytes", 2 * (6 + 2 + 28) + 7 + 4),
                        ("rx_errors", 1),
                        ("rx_spoofed", 1)
                    ]
                );
            });
        }
    }

    #[test]
    fn section_16_mtu_leaves_room_for_the_long_header() {
        in_netns(|| {
            let lo = if_nametoindex("lo").expect("lo");
            Netlink::open().expect("rtnetlink").set_mtu(lo, 1500).expect("set");
            for (address, mtu) in [("127.0.0.1:0", 1458), ("[::1]:0", 1438)] {
                let bed = Bed::on(udp(address), udp(address), Config::default(), IDS);
                let unit = bed.session.unit(UnitConfig::default()).expect("a unit");
                assert_eq!(unit.mtu(), mtu);
                unit.set_mru(1400).expect("set");
                assert_eq!(unit.mtu(), 1400);
                unit.set_mru(1492).expect("set");
                assert_eq!(unit.mtu(), mtu);
            }
        });
    }

    #[test]
    fn section_8_a_unit_takes_the_channel_of_an_emulated_socket() {
        in_netns(|| {
            let bed = Bed::new(Config::default());
            let mut socket = bed.driver.socket();
            assert_eq!(
                socket.unit(UnitConfig::default()).err().map(|error| error.errno()),
                Some(Errno::NotConn)
            );
            let address =
                crate::world::raw_session(&[1, 11, 2, 21], bed.peer.local_addr().expect("its address"));
            socket.connect(&address).expect("connected");
            let mut index = [0xff; 4];
            socket.ioctl(PPPIOCGCHAN, Some(&mut index)).expect("a channel");
            let unit = socket.unit(UnitConfig::default()).expect("a unit");
            let second = socket.unit(UnitConfig::default());
            assert_eq!(second.err().map(|error| error.errno()), Some(Errno::Busy));
            bed.sends(&message(&[2, 1, 11], HDLC));
            assert_eq!(frame_of(&*unit), FRAME);
            let mut again = [0; 4];
            socket.ioctl(PPPIOCGCHAN, Some(&mut again)).expect("a channel");
            assert_eq!(again, index);
            drop(unit);
            assert_eq!(socket.recvmsg(&mut [0; 100]).expect_err("bound").errno(), Errno::Io);
        });
    }
}
