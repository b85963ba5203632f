//! A relay between clients and a server, on a network that loses some of what it carries.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use nix::poll::{PollFd, PollFlags, poll};
use ol2tp::bed::Space;
use socket2::SockRef;

/// How often the relay looks whether it is still wanted, in milliseconds.
const LOOK: u16 = 50;
/// Bytes that a socket holds while the relay is busy with others.
const BUFFER: usize = 4 << 20;
const LONGEST: usize = 2048;

/// The relay's sockets.
pub(crate) struct Relay {
    /// Where clients come to.
    here: UdpSocket,
    server: SocketAddr,
    /// Each client's, at that client's address, connected to the server; and the client.
    there: Vec<(UdpSocket, SocketAddr)>,
    known: BTreeMap<SocketAddr, usize>,
    /// So many of a thousand datagrams are lost, each way.
    loss: u64,
    /// Which ones depends on it.
    seed: u64,
    pub(crate) carried: u64,
    pub(crate) lost: u64,
}

impl Relay {
    /// Listens at an address of the namespace.
    pub(crate) fn new(space: &Space, here: SocketAddr, server: SocketAddr, loss: u64) -> io::Result<Self> {
        let here = space.enter(|| bind(here))?;
        let (there, known) = (Vec::new(), BTreeMap::new());
        Ok(Self { here, server, there, known, loss, seed: 1, carried: 0, lost: 0 })
    }

    /// Carries datagrams until it is to stop.
    pub(crate) fn carry(&mut self, space: &Space, stop: &AtomicBool) -> io::Result<()> {
        // Sockets of new clients are made in the namespace.
        space.enter(|| {
            let mut buffer = [0; LONGEST];
            while !stop.load(Relaxed) {
                let all = std::iter::once(&self.here).chain(self.there.iter().map(|(socket, _)| socket));
                let mut ready: Vec<_> =
                    all.map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN)).collect();
                poll(&mut ready, LOOK)?;
                let ready: Vec<_> = ready.iter().map(|fd| fd.any().unwrap_or(true)).collect();
                for (n, _) in ready.iter().enumerate().filter(|(_, ready)| **ready) {
                    match n.checked_sub(1) {
                        None => self.carry_there(&mut buffer)?,
                        Some(client) => self.carry_back(client, &mut buffer)?,
                    }
                }
            }
            Ok(())
        })
    }

    fn carry_there(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        while let Some((len, client)) = waiting(self.here.recv_from(buffer))? {
            let at = match self.known.get(&client) {
                Some(at) => *at,
                None => {
                    let socket = bind((client.ip(), 0).into())?;
                    socket.connect(self.server)?;
                    self.there.push((socket, client));
                    self.known.insert(client, self.there.len() - 1);
                    self.there.len() - 1
                }
            };
            if !self.loses() {
                waiting(self.there[at].0.send(&buffer[..len]))?;
            }
        }
        Ok(())
    }

    fn carry_back(&mut self, client: usize, buffer: &mut [u8]) -> io::Result<()> {
        while let Some(len) = waiting(self.there[client].0.recv(buffer))? {
            if !self.loses() {
                waiting(self.here.send_to(&buffer[..len], self.there[client].1))?;
            }
        }
        Ok(())
    }

    /// Whether the network loses this one: by Marsaglia's xorshift the same ones each time.
    fn loses(&mut self) -> bool {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        let lost = self.seed % 1000 < self.loss;
        *(if lost { &mut self.lost } else { &mut self.carried }) += 1;
        lost
    }
}

fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    SockRef::from(&socket).set_recv_buffer_size(BUFFER)?;
    Ok(socket)
}

/// Nothing, if nothing is there, or the other end is not.
fn waiting<T>(done: io::Result<T>) -> io::Result<Option<T>> {
    match done {
        Ok(done) => Ok(Some(done)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::ConnectionRefused) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
