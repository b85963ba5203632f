//! What the driver's tests share.
#![allow(dead_code, unreachable_pub)]

use std::net::UdpSocket;
use std::panic::resume_unwind;
use std::thread;
use std::time::Duration;

use nix::net::if_::if_nametoindex;
use nix::sched::{CloneFlags, unshare};
use pppol2tp::netlink::Netlink;

/// How long a test waits for what has to come.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Runs a test in a network namespace of its own, whose loopback interface is up.
pub fn in_netns<R: Send>(test: impl FnOnce() -> R + Send) -> R {
    let body = || {
        unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace (needs root)");
        let lo = if_nametoindex("lo").expect("a loopback interface");
        Netlink::open().expect("rtnetlink").set_up(lo, true).expect("lo up");
        test()
    };
    thread::scope(|scope| scope.spawn(body).join().unwrap_or_else(|panic| resume_unwind(panic)))
}

/// A UDP socket that waits no longer than [`PATIENCE`].
pub fn udp(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind(address).unwrap_or_else(|error| panic!("{address}: {error}"));
    socket.set_read_timeout(Some(PATIENCE)).expect("a read timeout");
    socket
}

/// The next datagram of a socket.
pub fn receive(socket: &UdpSocket) -> Result<Vec<u8>, String> {
    let mut buffer = vec![0; 65536];
    let len = socket.recv(&mut buffer).map_err(|error| format!("nothing was sent: {error}"))?;
    buffer.truncate(len);
    Ok(buffer)
}

/// A message: a header of 16-bit words in network order, and what stands behind it.
pub fn message(header: &[u16], payload: &[u8]) -> Vec<u8> {
    let header = header.iter().flat_map(|word| word.to_be_bytes());
    header.chain(payload.iter().copied()).collect()
}
