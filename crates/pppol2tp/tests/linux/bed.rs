//! What these tests run on.

use std::fs::{self, File};
use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns, unshare};
use pppol2tp::linux::LinuxDriver;
use pppol2tp::{
    Driver, PassedUp, Reason, SessionIds, SessionSocket, TunnelConfig, TunnelSocket, UdpHandle, Unit,
};

use crate::common::{PATIENCE, tunnel_to, udp};

/// An LCP frame: Echo-Request with this identifier.
pub(crate) fn lcp(id: u8) -> Vec<u8> {
    vec![0xc0, 0x21, 9, id, 0, 8, 0, 0, 0, 0]
}

/// An IPCP frame: Configure-Request with this identifier.
pub(crate) fn ipcp(id: u8) -> Vec<u8> {
    vec![0x80, 0x21, 1, id, 0, 4]
}

/// A HELLO with this Ns.
pub(crate) fn hello(ns: u16) -> Vec<u8> {
    let mut hello = vec![0xc8, 2, 0, 20, 0, 0, 0, 0];
    hello.extend(ns.to_be_bytes());
    hello.extend([0, 1, 0x80, 8, 0, 0, 0, 0, 0, 6]);
    hello
}

pub(crate) fn driver() -> LinuxDriver {
    LinuxDriver::probe().expect("the kernel's driver")
}

/// An end: a driver with a tunnel and a session on it.
pub(crate) struct End {
    pub(crate) session: Box<dyn SessionSocket>,
    pub(crate) tunnel: Box<dyn TunnelSocket>,
    pub(crate) handle: Box<dyn UdpHandle>,
    pub(crate) driver: LinuxDriver,
}

impl End {
    /// Tunnel `id` to tunnel `peer_id` at `peer`, and a session with both ids ten times that.
    pub(crate) fn new(socket: UdpSocket, peer: SocketAddr, id: u16, peer_id: u16) -> Self {
        let driver = driver();
        let handle = driver.attach(socket).expect("attached");
        let config = TunnelConfig { peer_tunnel_id: peer_id, ..tunnel_to(peer, id) };
        let tunnel = handle.tunnel(config).expect("a tunnel");
        let session = driver.session(ids(id, peer_id)).expect("a session");
        Self { session, tunnel, handle, driver }
    }

    /// The next frame of the session.
    pub(crate) fn recv(&self) -> Vec<u8> {
        let mut buffer = [0; 2000];
        let len = self.session.recv_timeout(&mut buffer, PATIENCE).expect("alive").expect("a frame");
        buffer[..len].to_vec()
    }

    /// The next that is passed up: why, and what.
    pub(crate) fn up(&self) -> (Reason, Vec<u8>) {
        let PassedUp { reason, datagram, .. } = self.handle.recv_timeout(PATIENCE).expect("something");
        (reason, datagram)
    }

    pub(crate) fn local(&self) -> SocketAddr {
        self.handle.local_addr().expect("its address")
    }
}

/// The session of [`End::new`].
pub(crate) fn ids(id: u16, peer_id: u16) -> SessionIds {
    SessionIds { tunnel_id: id, session_id: 10 * id, peer_tunnel_id: peer_id, peer_session_id: 10 * peer_id }
}

/// Two ends on this address: tunnel 1 to 2.
pub(crate) fn pair(address: &str) -> (End, End) {
    let [left, right] = [(); 2].map(|()| udp(address));
    let [left_at, right_at] = [&left, &right].map(|socket| socket.local_addr().expect("its address"));
    (End::new(left, right_at, 1, 2), End::new(right, left_at, 2, 1))
}

/// An end on loopback, and its peer's raw socket.
pub(crate) fn raw() -> (End, UdpSocket) {
    let peer = udp("127.0.0.1:0");
    let end = End::new(udp("127.0.0.1:0"), peer.local_addr().expect("its address"), 1, 2);
    (end, peer)
}

/// Another network namespace.
pub(crate) struct Space(File);

impl Space {
    /// With a veth to this one: `10.9.0.1/24`, `fd09::1/64` here, `.2` there.
    pub(crate) fn joined() -> Self {
        let here = File::open("/proc/thread-self/ns/net").expect("this namespace");
        unshare(CloneFlags::CLONE_NEWNET).expect("a namespace");
        let there = Self(File::open("/proc/thread-self/ns/net").expect("that namespace"));
        ip("link set lo up");
        setns(&here, CloneFlags::CLONE_NEWNET).expect("back");
        let path = format!("/proc/{}/fd/{}", std::process::id(), std::os::fd::AsRawFd::as_raw_fd(&there.0));
        ip(&format!("link add veth0 type veth peer name veth0 netns {path}"));
        set_up(1);
        there.enter(|| set_up(2));
        there
    }

    /// Does something in there.
    pub(crate) fn enter<R>(&self, f: impl FnOnce() -> R) -> R {
        let here = File::open("/proc/thread-self/ns/net").expect("this namespace");
        setns(&self.0, CloneFlags::CLONE_NEWNET).expect("there");
        let result = f();
        setns(here, CloneFlags::CLONE_NEWNET).expect("back");
        result
    }
}

fn set_up(host: u8) {
    ip(&format!("address add 10.9.0.{host}/24 dev veth0"));
    ip(&format!("address add fd09::{host}/64 dev veth0 nodad"));
    ip("link set veth0 up");
}

/// Runs ip(8).
pub(crate) fn ip(line: &str) -> String {
    run("ip", line)
}

/// Runs a program; its arguments are separated by spaces.
pub(crate) fn run(program: &str, line: &str) -> String {
    let output = Command::new(program).args(line.split(' ')).output().expect("it is there");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{program} {line}: {said}");
    said
}

/// Waits until something is so. For what the kernel does in its own time and tells nobody of.
pub(crate) fn until(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// What the kernel knows of tunnels and sessions.
pub(crate) fn known() -> Vec<String> {
    let text = fs::read_to_string("/proc/thread-self/net/pppol2tp").expect("the kernel's text");
    text.lines().skip(6).map(String::from).filter(|line| line.contains(" '")).collect()
}

/// Names of PPP interfaces.
pub(crate) fn interfaces() -> Vec<String> {
    let text = ip("-o link show");
    let names = text.lines().filter_map(|line| line.split(": ").nth(1));
    names.filter(|name| !name.starts_with("lo") && !name.starts_with("veth")).map(String::from).collect()
}

/// Two units with addresses 10.8.0.1 and .2 and fd08::1 and ::2, up.
pub(crate) fn units(left: &End, right: &End, there: &Space) -> (Box<dyn Unit>, Box<dyn Unit>) {
    let unit = |end: &End, host: u8, peer: u8| {
        let unit = end.session.unit(pppol2tp::UnitConfig::default()).expect("a unit");
        unit.set_up(true).expect("up");
        for net in ["10.8.0.", "fd08::"] {
            let [address, peer] =
                [host, peer].map(|host| format!("{net}{host}").parse().expect("an address"));
            unit.add_address(pppol2tp::Prefix::host(address), Some(peer)).expect("an address");
        }
        unit
    };
    (unit(left, 1, 2), there.enter(|| unit(right, 2, 1)))
}
