//! Sessions that are bound to an interface, and the drops that take one.

mod netns {
    use std::net::SocketAddrV4;

    use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
    use netlink_packet_route::RouteNetlinkMessage;
    use netlink_packet_route::link::{InfoData, InfoKind, InfoVeth, LinkAttribute, LinkInfo, LinkMessage};
    use nix::net::if_::if_nametoindex;
    use nix::sys::socket::setsockopt;
    use nix::{setsockopt_impl, sockopt_impl};
    use pppol2tp::data::rules::PPPIOCGCHAN;
    use pppol2tp::data::stats::Tx;
    use pppol2tp::netlink::Netlink;
    use pppol2tp::user::{Config, Mode, UserDriver};
    use pppol2tp::{Driver, Errno, Interface, Prefix, SessionIds, SharedConfig, UnitConfig};
    use socket2::{Domain, Protocol, SockRef, Socket, Type};

    use crate::common::{Bed, IDS, in_netns, ipv4, message, receive, tunnel_to, udp, wire};
    use crate::step::{FRAME, HDLC};
    use crate::units::netns::{OURS, THEIRS, frame_of, framed, in_home, inner, packet};

    /// The kernel passes messages up that are as short as these (short messages).
    #[test]
    fn section_3_2_short_control_frames_go_to_the_unit() {
        in_home(|bed, unit| {
            bed.arrives(&[0xff, 3, 0xfd, 1, 2]);
            bed.arrives(&[0xfd, 3]);
            bed.arrives(&[0xff, 3, 0xfd]);
            for expected in [&[0, 0xfd, 1, 2][..], &[0, 0xfd, 3], &[0, 0xfd]] {
                assert_eq!(frame_of(unit), expected);
            }
        });
    }

    #[test]
    fn section_9_frames_that_are_not_what_they_say() {
        in_home(|bed, unit| {
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
    fn section_9_a_packet_that_is_no_ip() {
        in_home(|bed, unit| {
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
            let bed = Bed::on(socket, udp("127.0.0.1:0"), crate::common::config(), IDS);
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
            let bed = Bed::new(crate::common::config());
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

            let driver = UserDriver::new(crate::common::config()).expect("a driver");
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
                let bed = Bed::new(Config { mode, ..crate::common::config() });
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
                let bed = Bed::on(udp(address), udp(address), crate::common::config(), IDS);
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
            let bed = Bed::new(crate::common::config());
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
