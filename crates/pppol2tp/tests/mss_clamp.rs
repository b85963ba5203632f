//! TCP connections through a unit that clamps the MSS learn its MTU, whichever end opens them.

mod common;

mod netns {
    use std::fs;
    use std::io::{Read, Write};
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};
    use std::os::fd::AsFd;
    use std::sync::mpsc;
    use std::thread;

    use nix::net::if_::if_nametoindex;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use pppol2tp::netlink::Netlink;
    use pppol2tp::user::{Config, Mode, UserDriver};
    use pppol2tp::{
        Driver, Interface, Prefix, SessionIds, SessionSocket, SharedConfig, SharedInterface, TunnelSocket,
        UdpHandle, Unit, UnitConfig,
    };
    use socket2::SockRef;

    use crate::common::{PATIENCE, in_netns, tunnel_to, udp};

    /// What the unit that clamps carries,
    const MTU: u16 = 1400;
    /// and what the kernel believes of the interfaces at both ends.
    const BELIEVED: u16 = 9000;

    const ADDRESSES: [[IpAddr; 2]; 2] = [
        [IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2))],
        [
            IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1)),
            IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2)),
        ],
    ];

    /// What one end does: the segment size that its kernel uses.
    type Part = Box<dyn FnOnce() -> u32 + Send>;

    /// One end of a tunnel, in its own namespace.
    struct End {
        _unit: Box<dyn Unit>,
        _shared: Option<Box<dyn SharedInterface>>,
        _session: Box<dyn SessionSocket>,
        _tunnel: Box<dyn TunnelSocket>,
        _udp: Box<dyn UdpHandle>,
    }

    /// Joins two network namespaces by a tunnel, of which the first end clamps or none, and runs each end's
    /// part of the test in its own.
    fn joined(mode: Mode, clamp: bool, shared: bool, parts: [Part; 2]) -> [u32; 2] {
        let sockets = [udp("127.0.0.1:0"), udp("127.0.0.1:0")];
        let [one, two] = sockets.each_ref().map(|socket| socket.local_addr().expect("its address"));
        let [ours, theirs] = sockets;
        let [first, second] = parts;
        let (up, is_up) = mpsc::channel();
        let (result, has_result) = mpsc::channel();
        let (done, is_done) = mpsc::channel::<()>();
        thread::scope(|scope| {
            scope.spawn(move || {
                in_netns(move || {
                    let _end = end(ours, two, mode, clamp, shared, 0);
                    up.send(()).expect("awaited");
                    result.send(first()).expect("awaited");
                    // Both ends stay until both have what they wait for.
                    let _ = is_done.recv();
                });
            });
            in_netns(move || {
                let _end = end(theirs, one, mode, false, false, 1);
                is_up.recv_timeout(PATIENCE).expect("the first end is there");
                let second = second();
                let first = has_result.recv_timeout(PATIENCE).expect("the first end's result");
                drop(done);
                [first, second]
            })
        })
    }

    fn end(
        socket: std::net::UdpSocket,
        peer: std::net::SocketAddr,
        mode: Mode,
        mss_clamp: bool,
        shared: bool,
        number: usize,
    ) -> End {
        // With timestamps, what TCP makes of an announced MSS is 12 bytes less.
        fs::write("/proc/sys/net/ipv4/tcp_timestamps", "0").expect("switched off");
        let driver = UserDriver::new(Config { mode, ..Config::default() }).expect("a driver");
        let udp = driver.attach(socket).expect("attached");
        let tunnel = udp.tunnel(pppol2tp::TunnelConfig { peer_tunnel_id: 1, ..tunnel_to(peer, 1) });
        let tunnel = tunnel.expect("a tunnel");
        let ids = SessionIds { tunnel_id: 1, session_id: 1, peer_tunnel_id: 1, peer_session_id: 1 };
        let session = driver.session(ids).expect("a session");
        let pairs = ADDRESSES.map(|pair| (pair[number], pair[1 - number]));
        let shared = shared.then(|| {
            let config = SharedConfig { name: "pool".into(), mtu: BELIEVED };
            driver.shared_interface(config).expect("an interface")
        });
        let interface = match &shared {
            Some(shared) => Interface::Shared {
                name: shared.interface(),
                addresses: pairs.map(|(_, theirs)| Prefix::host(theirs)).to_vec(),
            },
            None => Interface::default(),
        };
        let unit = session.unit(UnitConfig { interface, mtu: Some(MTU), mss_clamp, ..UnitConfig::default() });
        let unit = unit.expect("a unit");
        let netlink = Netlink::open().expect("rtnetlink");
        let index = unit.index();
        netlink.set_up(index, true).expect("up");
        netlink.set_mtu(index, BELIEVED).expect("set");
        for (ours, theirs) in pairs {
            // The route that the kernel makes for an IPv6 peer comes a little later.
            netlink.add_address(index, Prefix::host(ours), None).expect("an address");
            netlink.add_route(index, Prefix::host(theirs)).expect("a route");
        }
        assert_eq!(if_nametoindex(unit.interface().as_str()), Ok(index));
        End { _unit: unit, _shared: shared, _session: session, _tunnel: tunnel, _udp: udp }
    }

    /// The segment size that the kernel uses, and that one chunk of data gets through.
    fn exchange(mut stream: TcpStream) -> u32 {
        let mss = SockRef::from(&stream).tcp_mss().expect("a segment size");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.write_all(&[7; 3000]).expect("sent");
        let mut received = [0; 3000];
        stream.read_exact(&mut received).expect("received");
        assert_eq!(received, [7; 3000]);
        mss
    }

    /// What both ends use after the second one has connected to the first, or the other way.
    fn segment_sizes(mode: Mode, clamp: bool, shared: bool, pair: [IpAddr; 2], opens: usize) -> [u32; 2] {
        let listens = 1 - opens;
        let (address, announced) = mpsc::channel();
        let listen: Part = Box::new(move || {
            let listener = TcpListener::bind((pair[listens], 0)).expect("listening");
            address.send(listener.local_addr().expect("its address")).expect("awaited");
            let mut fds = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
            assert_eq!(poll(&mut fds, PollTimeout::from(10_000u16)), Ok(1), "a connection");
            exchange(listener.accept().expect("a connection").0)
        });
        let open: Part = Box::new(move || {
            let to = announced.recv_timeout(PATIENCE).expect("it listens");
            exchange(TcpStream::connect_timeout(&to, PATIENCE).expect("connected"))
        });
        joined(mode, clamp, shared, if opens == 0 { [open, listen] } else { [listen, open] })
    }

    #[test]
    fn both_ends_learn_what_one_clamps() {
        for mode in [Mode::OFFLOAD, Mode::PLAIN] {
            for (pair, headers) in ADDRESSES.into_iter().zip([40, 60]) {
                for opens in [0, 1] {
                    let sizes = segment_sizes(mode, true, false, pair, opens);
                    assert_eq!(sizes, [u32::from(MTU) - headers; 2], "{pair:?}, opened by {opens}");
                }
            }
        }
    }

    #[test]
    fn sessions_of_a_shared_interface_have_their_own() {
        for (pair, headers) in ADDRESSES.into_iter().zip([40, 60]) {
            let sizes = segment_sizes(Mode::OFFLOAD, true, true, pair, 1);
            assert_eq!(sizes, [u32::from(MTU) - headers; 2], "{pair:?}");
        }
    }

    #[test]
    fn without_it_they_take_what_the_interfaces_say() {
        for (pair, headers) in ADDRESSES.into_iter().zip([40, 60]) {
            let sizes = segment_sizes(Mode::OFFLOAD, false, false, pair, 0);
            assert_eq!(sizes, [u32::from(BELIEVED) - headers; 2], "{pair:?}");
        }
    }
}
