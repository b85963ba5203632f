//! UDP sockets: those that peers come to, and those of connections of ours.

use std::future::poll_fn;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::task::{Context, Poll};

use l2tp_control::Path;
use pppol2tp::{Driver, PassedUp, UdpHandle};
use socket2::{Domain, Protocol, Socket as RawSocket, Type};
use tokio::io::unix::AsyncFd;

use crate::error::{Doing, Result};
use crate::serve::readable;

/// How much one socket may hand up before others have their turn.
const TURN: usize = 256;

/// All of them; an index is what [`Path::socket`] holds.
#[derive(Default)]
pub(super) struct Sockets {
    sockets: Vec<Socket>,
}

struct Socket {
    udp: Box<dyn UdpHandle>,
    ready: AsyncFd<OwnedFd>,
    /// The address that was asked for.
    wanted: SocketAddr,
    /// The address that it has.
    local: SocketAddr,
}

impl Sockets {
    /// Opens a socket and hands it to the driver.
    pub(super) fn open(&mut self, driver: &dyn Driver, wanted: SocketAddr) -> Result<u32> {
        let udp = driver.attach(bind(wanted)?).doing(|| format!("taking over UDP socket {wanted}"))?;
        let local = wanted;
        let local = udp.local_addr().doing(|| format!("UDP socket {local}"))?;
        let fd = udp.poll_fd().doing(|| format!("UDP socket {local}"))?;
        let fd = fd.try_clone_to_owned().doing(|| format!("UDP socket {local}"))?;
        self.sockets.push(Socket { udp, ready: readable(fd)?, wanted, local });
        Ok(self.sockets.len() as u32 - 1)
    }

    pub(super) fn len(&self) -> usize {
        self.sockets.len()
    }

    /// Closes those that were opened last.
    pub(super) fn truncate(&mut self, len: usize) {
        self.sockets.truncate(len);
    }

    /// A socket from which `peer` can be reached: one that is bound to that port already, else a new one.
    pub(super) fn towards(
        &mut self,
        driver: &dyn Driver,
        peer: SocketAddr,
        port: Option<u16>,
    ) -> Result<u32> {
        let any: SocketAddr = match peer {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, port.unwrap_or(0)).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, port.unwrap_or(0)).into(),
        };
        let fits = |socket: &Socket| {
            socket.local.is_ipv4() == any.is_ipv4()
                && socket.local.ip().is_unspecified()
                && port.is_none_or(|port| port == socket.local.port())
        };
        match self.sockets.iter().position(fits) {
            Some(index) => Ok(index as u32),
            None => self.open(driver, any),
        }
    }

    /// What the socket is bound to that was to be bound there, if there is one.
    pub(super) fn bound(&self, wanted: SocketAddr) -> Option<SocketAddr> {
        self.sockets.iter().find(|socket| socket.wanted == wanted).map(|socket| socket.local)
    }

    pub(super) fn get(&self, index: u32) -> Option<&dyn UdpHandle> {
        self.sockets.get(index as usize).map(|socket| &*socket.udp)
    }

    pub(super) fn local(&self, index: u32) -> Option<SocketAddr> {
        self.sockets.get(index as usize).map(|socket| socket.local)
    }

    /// Sends a control message. What cannot be sent is sent again by whoever waits for the answer.
    pub(super) fn send(&self, path: &Path, datagram: &[u8]) {
        let Some(udp) = self.get(path.socket) else { return };
        if let Err(error) = udp.send(datagram, path.peer, path.local) {
            tracing::debug!("sending to {}: {error}", path.peer);
        }
    }

    /// Waits until the driver hands something up, and appends it.
    pub(super) async fn receive(&self, batch: &mut Vec<(u32, PassedUp)>) {
        poll_fn(|cx| self.poll_receive(cx, batch)).await;
    }

    fn poll_receive(&self, cx: &mut Context<'_>, batch: &mut Vec<(u32, PassedUp)>) -> Poll<()> {
        for (index, socket) in self.sockets.iter().enumerate() {
            let end = batch.len() + TURN;
            while batch.len() < end {
                let Poll::Ready(Ok(mut ready)) = socket.ready.poll_read_ready(cx) else { break };
                match socket.udp.recv() {
                    Some(passed_up) => batch.push((index as u32, passed_up)),
                    None => ready.clear_ready(),
                }
            }
        }
        if batch.is_empty() { Poll::Pending } else { Poll::Ready(()) }
    }
}

/// IPv4 and IPv6 are never mixed on one socket, so that each has its own path and port.
fn bind(local: SocketAddr) -> Result<UdpSocket> {
    let socket = RawSocket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP))
        .doing(|| "UDP socket".into())?;
    if local.is_ipv6() {
        socket.set_only_v6(true).doing(|| "UDP socket".into())?;
    }
    socket.bind(&local.into()).doing(|| {
        format!(
            "binding UDP socket {local} (is another L2TP server running, or is the address not this host's?)"
        )
    })?;
    Ok(socket.into())
}
