//! What a session costs the driver to set up and to close, everything on one core, in CPU time. Target:
//! 60 µs.
//!
//! It needs root: the sessions share an interface, in a network namespace of its own.
#![allow(missing_docs, clippy::print_stdout)]

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use nix::sched::{CloneFlags, CpuSet, sched_setaffinity, unshare};
use nix::time::ClockId;
use nix::unistd::Pid;
use pppol2tp::netlink::Netlink;
use pppol2tp::user::{Config, UserDriver};
use pppol2tp::{
    Driver, Interface, Prefix, SessionIds, SessionSocket, SharedConfig, SocketOption, TunnelConfig,
    TunnelSocket, UdpHandle, Unit, UnitConfig,
};

const SESSIONS: u16 = 10_000;
const ROUNDS: usize = 5;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Where the time went.
#[derive(Clone, Copy, Default)]
struct Costs {
    tunnel: Duration,
    session: Duration,
    options: Duration,
    pass_up: Duration,
    unit: Duration,
    drop: Duration,
    delete: Duration,
}

fn main() -> Result<()> {
    let mut core = CpuSet::new();
    core.set(0)?;
    sched_setaffinity(Pid::from_raw(0), &core)?;
    unshare(CloneFlags::CLONE_NEWNET)?;
    Netlink::open()?.set_up(1, true)?;
    let driver = UserDriver::new(Config::default())?;
    let (ours, theirs) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    let udp = driver.attach(ours)?;
    let peer = theirs.local_addr()?;
    let shared = driver.shared_interface(SharedConfig { name: "l2tp%d".into(), mtu: 1400 })?;
    let interface = shared.interface();
    for (name, tunnels) in [("one tunnel", 1), ("a tunnel each", SESSIONS)] {
        let mut rounds = (0..ROUNDS)
            .map(|_| round(&driver, &*udp, peer, &interface, tunnels))
            .collect::<Result<Vec<_>>>()?;
        rounds.sort_by_key(Costs::sum);
        let costs = rounds[ROUNDS / 2];
        let micros = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(SESSIONS);
        println!(
            "{name}: {:.1} µs a session (session {:.1}, 4 options {:.1}, pass_up {:.1}, unit {:.1}, \
             drop {:.1}), its tunnel {:.1} and {:.1}",
            micros(costs.sum()),
            micros(costs.session),
            micros(costs.options),
            micros(costs.pass_up),
            micros(costs.unit),
            micros(costs.drop),
            micros(costs.tunnel),
            micros(costs.delete),
        );
    }
    Ok(())
}

impl Costs {
    fn sum(&self) -> Duration {
        self.session + self.options + self.pass_up + self.unit + self.drop
    }
}

/// Calls `what` and adds the CPU time that it and the driver's threads took.
fn timed<T>(sum: &mut Duration, what: impl FnOnce() -> T) -> T {
    let now = || ClockId::CLOCK_PROCESS_CPUTIME_ID.now().map(Duration::from).unwrap_or_default();
    let start = now();
    let value = what();
    *sum += now() - start;
    value
}

fn round(
    driver: &UserDriver,
    udp: &dyn UdpHandle,
    peer: SocketAddr,
    interface: &str,
    tunnels: u16,
) -> Result<Costs> {
    let mut costs = Costs::default();
    let tunnels = timed(&mut costs.tunnel, || {
        let tunnel = |tunnel_id| {
            udp.tunnel(TunnelConfig {
                tunnel_id,
                peer_tunnel_id: 9,
                peer,
                local: None,
                accept_zero_id: false,
            })
        };
        (1..=tunnels).map(tunnel).collect::<pppol2tp::Result<Vec<Box<dyn TunnelSocket>>>>()
    })?;
    let mut open: Vec<(Box<dyn Unit>, Box<dyn SessionSocket>)> = Vec::with_capacity(SESSIONS.into());
    for (id, tunnel) in (1..=SESSIONS).zip(tunnels.iter().cycle()) {
        let tunnel_id = tunnel.tunnel_id();
        let ids = SessionIds { tunnel_id, session_id: id, peer_tunnel_id: 9, peer_session_id: id };
        let session = timed(&mut costs.session, || driver.session(ids))?;
        timed(&mut costs.options, || {
            session.set(SocketOption::RecvSeq, 1)?;
            session.set(SocketOption::SendSeq, 1)?;
            session.set(SocketOption::LnsMode, 1)?;
            session.set(SocketOption::ReorderTo, 0)
        })?;
        timed(&mut costs.pass_up, || session.pass_up())?;
        let address = Ipv4Addr::from_bits(0x0a40_0000 + u32::from(id));
        let interface =
            Interface::Shared { name: interface.into(), addresses: vec![Prefix::host(address.into())] };
        let config = UnitConfig { interface, mss_clamp: true, ..UnitConfig::default() };
        let unit = timed(&mut costs.unit, || session.unit(config))?;
        open.push((unit, session));
    }
    // What was left for the threads is part of it.
    timed(&mut costs.drop, || {
        drop(open);
        driver.snapshot();
    });
    timed(&mut costs.delete, || {
        tunnels.into_iter().for_each(TunnelSocket::delete);
        driver.snapshot();
    });
    Ok(costs)
}
