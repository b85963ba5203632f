//! Two ends of a session, each with a driver and an interface in a namespace of its own; the UDP
//! sockets are both on the loopback of a third, or wherever the test puts them.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use ol2tp::bed::Space;
use ol2tpd::usable;
use pppol2tp::user::{Config, Mode, UserDriver};
use pppol2tp::{
    Driver, Interface, Prefix, SessionIds, SessionSocket, TunnelConfig, TunnelSocket, UdpHandle, Unit,
    UnitConfig,
};

pub(crate) const MTU: u16 = 1458;

/// One end.
pub(crate) struct End {
    pub(crate) unit: Box<dyn Unit>,
    pub(crate) session: Box<dyn SessionSocket>,
    pub(crate) tunnel: Box<dyn TunnelSocket>,
    pub(crate) udp: Box<dyn UdpHandle>,
    pub(crate) driver: UserDriver,
    pub(crate) v4: IpAddr,
    pub(crate) v6: IpAddr,
    pub(crate) space: Space,
}

pub(crate) fn v4(end: u8) -> IpAddr {
    Ipv4Addr::new(10, 77, 0, end).into()
}

pub(crate) fn v6(end: u8) -> IpAddr {
    Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, end.into()).into()
}

/// Two connected UDP sockets on the loopback of `space`.
pub(crate) fn sockets(space: &Space, address: IpAddr) -> (UdpSocket, UdpSocket) {
    let bind = || space.enter(|| UdpSocket::bind((address, 0))).unwrap();
    let (one, two) = (bind(), bind());
    one.connect(two.local_addr().unwrap()).unwrap();
    two.connect(one.local_addr().unwrap()).unwrap();
    (one, two)
}

impl End {
    /// End number 1 or 2 over a connected UDP socket. Its ids are its number, the peer's the other.
    pub(crate) fn new(number: u8, socket: UdpSocket, mode: Mode, debug_rate: Option<u32>) -> Self {
        let config = Config { mode, debug_rate, ..Config::default() };
        Self::within(Space::new().unwrap(), number, socket, config, false)
    }

    /// The same in a namespace that is there, with a peer that has a fast path or is not known to.
    pub(crate) fn within(
        space: Space,
        number: u8,
        socket: UdpSocket,
        driver: Config,
        peer_is_fast: bool,
    ) -> Self {
        let peer = socket.peer_addr().unwrap();
        let (local_id, peer_id) = (u16::from(number), u16::from(3 - number));
        let ids = SessionIds {
            tunnel_id: local_id,
            session_id: local_id,
            peer_tunnel_id: peer_id,
            peer_session_id: peer_id,
        };
        let config = TunnelConfig {
            tunnel_id: local_id,
            peer_tunnel_id: peer_id,
            peer,
            local: None,
            accept_zero_id: false,
        };
        let (driver, udp, tunnel, session, unit) = space
            .enter(|| {
                let make = || {
                    let driver = UserDriver::new(driver)?;
                    let udp = driver.attach(socket)?;
                    let tunnel = udp.tunnel(config)?;
                    if peer_is_fast {
                        tunnel.peer_has_fast_path();
                    }
                    let session = driver.session(ids)?;
                    let interface = Interface::Own { name: "ppp%d".into() };
                    let unit =
                        session.unit(UnitConfig { interface, mtu: Some(MTU), ..UnitConfig::default() })?;
                    unit.set_up(true)?;
                    for (ours, theirs) in [(v4(number), v4(3 - number)), (v6(number), v6(3 - number))] {
                        unit.add_address(Prefix::host(ours), Some(theirs))?;
                        let usable = usable::wait(unit.index(), ours, theirs, Duration::from_secs(10));
                        assert!(usable.unwrap(), "{ours} can be used");
                    }
                    Ok::<_, pppol2tp::Error>((driver, udp, tunnel, session, unit))
                };
                make().map_err(io::Error::other)
            })
            .unwrap();
        Self { unit, session, tunnel, udp, driver, v4: v4(number), v6: v6(number), space }
    }

    /// The session's counters by name, those that are not 0.
    pub(crate) fn counters(&self) -> Vec<(&'static str, u64)> {
        self.session.stats().unwrap().iter().filter(|(_, value)| *value > 0).collect()
    }

    pub(crate) fn counter(&self, name: &str) -> u64 {
        self.session.stats().unwrap().iter().find(|(key, _)| *key == name).map_or(0, |(_, value)| value)
    }

    /// Nothing was dropped or failed here.
    pub(crate) fn assert_clean(&self) {
        for name in ["rx_errors", "tx_errors", "rx_seq_discards", "rx_oos_packets"] {
            assert_eq!(self.counter(name), 0, "{name}: {:?}", self.counters());
        }
    }
}

/// Two ends with the same mode.
pub(crate) fn pair(mode: Mode) -> (End, End) {
    let middle = Space::new().unwrap();
    let (one, two) = sockets(&middle, Ipv4Addr::LOCALHOST.into());
    (End::new(1, one, mode, None), End::new(2, two, mode, None))
}

/// Bytes that tell where they belong.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// Sends `bytes` by TCP from one end to the other and back at once, and compares.
pub(crate) fn tcp_both_ways(from: &End, to: &End, address: IpAddr, bytes: &[u8]) {
    tcp(&from.space, &to.space, address, bytes);
}

/// The same between two namespaces.
pub(crate) fn tcp(from: &Space, to: &Space, address: IpAddr, bytes: &[u8]) {
    let listener = to.enter(|| TcpListener::bind((address, 0))).unwrap();
    let target: SocketAddr = listener.local_addr().unwrap();
    let exchange = |stream: TcpStream| {
        let mut reader = stream.try_clone().unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut stream = &stream;
                stream.write_all(bytes).unwrap();
                stream.shutdown(std::net::Shutdown::Write).unwrap();
            });
            let mut received = Vec::with_capacity(bytes.len());
            reader.read_to_end(&mut received).unwrap();
            assert!(received == bytes, "{} of {} bytes came, or others", received.len(), bytes.len());
        });
    };
    thread::scope(|scope| {
        // The listener's queue answers before anyone accepts, so a refusal fails here.
        let stream = from.enter(|| TcpStream::connect(target)).unwrap();
        scope.spawn(|| exchange(listener.accept().unwrap().0));
        exchange(stream);
    });
}
