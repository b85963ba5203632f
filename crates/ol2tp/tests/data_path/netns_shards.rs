//! TCP both ways through many tunnels at once between drivers with two shards each: byte-exact, in every mode.
//!
//! ```text
//!   left   192.0.2.100 ── tunnel 1, interface ppp0 ──┐
//!          192.0.2.101 ── tunnel 2, interface ppp1 ──┼── 192.0.2.2:1701   right
//!          …                                         │
//! ```

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::thread;
use std::time::Duration;

use nix::net::if_::if_nametoindex;
use ol2tp::bed::{Bed, RIGHT, Space, VETH};
use ol2tpd::usable;
use pppol2tp::netlink::Netlink;
use pppol2tp::user::{Config, Mode, UserDriver};
use pppol2tp::{
    Driver, Prefix, SessionIds, SessionSocket, TunnelConfig, TunnelSocket, UdpHandle, Unit, UnitConfig,
};

use crate::ends::{pattern, tcp};

const TUNNELS: u8 = 6;
const BYTES: usize = 1 << 20;

/// A tunnel with its session and interface.
type Tunnel = (Box<dyn TunnelSocket>, Box<dyn SessionSocket>, Box<dyn Unit>);

/// A driver with all that was made of it.
struct End {
    driver: UserDriver,
    _udps: Vec<Box<dyn UdpHandle>>,
    _tunnels: Vec<Tunnel>,
}

/// Where a tunnel's left end is, and its right end.
fn outer(tunnel: u8) -> [SocketAddr; 2] {
    [(Ipv4Addr::new(192, 0, 2, 100 + tunnel), 1701).into(), (RIGHT, 1701).into()]
}

/// An end's address inside a tunnel: 1 is the left one's.
fn inner(tunnel: u8, end: u8) -> IpAddr {
    Ipv4Addr::new(10, 77, tunnel, end).into()
}

/// The end of this number, with sockets at these addresses, which serve the tunnels in turn.
fn end(space: &Space, number: u8, mode: Mode, at: &[SocketAddr]) -> End {
    let make = || -> pppol2tp::Result<_> {
        let driver = UserDriver::new(Config { mode, debug_rate: None, shards: 2, ..Config::default() })?;
        let udps: Vec<_> = at
            .iter()
            .map(|at| driver.attach(UdpSocket::bind(at).unwrap()))
            .collect::<pppol2tp::Result<_>>()?;
        let tunnel = |tunnel: u8| -> pppol2tp::Result<_> {
            let (id, peer) = (1 + u16::from(tunnel), outer(tunnel)[usize::from(2 - number)]);
            let config =
                TunnelConfig { tunnel_id: id, peer_tunnel_id: id, peer, local: None, accept_zero_id: false };
            let tunnel_socket = udps[usize::from(tunnel) % udps.len()].tunnel(config)?;
            let ids = SessionIds { tunnel_id: id, session_id: 1, peer_tunnel_id: id, peer_session_id: 1 };
            let session = driver.session(ids)?;
            let unit = session.unit(UnitConfig::default())?;
            unit.set_up(true)?;
            let [ours, theirs] = [number, 3 - number].map(|end| inner(tunnel, end));
            unit.add_address(Prefix::host(ours), Some(theirs))?;
            assert!(usable::wait(unit.index(), ours, theirs, Duration::from_secs(60)).unwrap());
            Ok((tunnel_socket, session, unit))
        };
        let tunnels = (0..TUNNELS).map(tunnel).collect::<pppol2tp::Result<_>>()?;
        Ok(End { driver, _udps: udps, _tunnels: tunnels })
    };
    space.enter(|| make().map_err(io::Error::other)).unwrap()
}

fn in_mode(mode: Mode) {
    let bed = Bed::new().unwrap();
    let add = || {
        let (index, netlink) = (if_nametoindex(VETH)?, Netlink::open()?);
        let address = |tunnel| Prefix { address: outer(tunnel)[0].ip(), len: 24 };
        (0..TUNNELS).try_for_each(|tunnel| netlink.add_address(index, address(tunnel), None))
    };
    bed.left.enter(add).unwrap();
    let lefts: Vec<_> = (0..TUNNELS).map(|tunnel| outer(tunnel)[0]).collect();
    let ends = [end(&bed.left, 1, mode, &lefts), end(&bed.right, 2, mode, &[outer(0)[1]])];
    let bytes = pattern(BYTES);
    thread::scope(|scope| {
        for tunnel in 0..TUNNELS {
            scope.spawn({
                let (left, right, bytes) = (&bed.left, &bed.right, &bytes);
                move || tcp(left, right, inner(tunnel, 2), bytes)
            });
        }
    });
    for end in ends {
        let snapshot = end.driver.snapshot();
        assert_eq!(snapshot.sessions.len(), usize::from(TUNNELS));
        for session in &snapshot.sessions {
            for (name, value) in session.stats.iter() {
                assert!(!name.ends_with("_errors") || value == 0, "{name} {value} of {:?}", session.ids);
                assert!(
                    !name.ends_with("_bytes") || value > BYTES as u64,
                    "{name} {value} of {:?}",
                    session.ids
                );
            }
        }
        assert!(snapshot.tunnels.iter().all(|tunnel| tunnel.rx_foreign == 0));
    }
}

#[test]
fn every_byte_comes_through_in_every_mode() {
    Mode::ALL.iter().for_each(|(_, mode)| in_mode(*mode));
}
