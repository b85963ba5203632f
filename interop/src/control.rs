//! Our endpoint behind a UDP socket: one thread, the real clock.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use l2tp_control::config::Config;
use l2tp_control::wire::Message;
use l2tp_control::{Endpoint, Event, Instant, Path};

/// The most that a UDP datagram holds.
const DATAGRAM: usize = 65_535;

/// An endpoint with its socket and its clock.
pub struct Host {
    endpoint: Endpoint,
    socket: UdpSocket,
    zero: std::time::Instant,
    incoming: Box<[u8]>,
    outgoing: Box<[u8]>,
}

impl Host {
    /// An endpoint at this address; port 0 stands for any free one.
    pub fn bind(address: SocketAddr, config: Config) -> io::Result<Self> {
        let mut seed = [0; 32];
        File::open("/dev/urandom")?.read_exact(&mut seed)?;
        Ok(Self {
            endpoint: Endpoint::new(config, seed),
            socket: UdpSocket::bind(address)?,
            zero: std::time::Instant::now(),
            incoming: vec![0; DATAGRAM].into(),
            outgoing: vec![0; Message::MAX].into(),
        })
    }

    /// Where it is.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// The time and the endpoint, to command it. [`event`](Self::event) and [`until`](Self::until) carry out
    /// what it then wants to have done.
    pub fn command(&mut self) -> (Instant, &mut Endpoint) {
        (self.now(), &mut self.endpoint)
    }

    /// Runs until something has happened.
    ///
    /// Errors: nothing happens for so long; the socket fails.
    pub fn event(&mut self, patience: Duration) -> io::Result<Event> {
        self.run(patience, Endpoint::poll_event)
    }

    /// Runs until the endpoint is in some state. Events stay where they are.
    ///
    /// Errors: that takes longer than `patience`; the socket fails.
    pub fn until(&mut self, patience: Duration, state: impl Fn(&Endpoint) -> bool) -> io::Result<()> {
        self.run(patience, |endpoint| state(endpoint).then_some(()))
    }

    fn run<T>(
        &mut self,
        patience: Duration,
        mut awaited: impl FnMut(&mut Endpoint) -> Option<T>,
    ) -> io::Result<T> {
        let end = self.now() + patience;
        loop {
            self.transmit()?;
            if let Some(found) = awaited(&mut self.endpoint) {
                return Ok(found);
            }
            if self.now() >= end {
                return Err(io::Error::new(ErrorKind::TimedOut, format!("nothing for {patience:?}")));
            }
            let next = self.endpoint.poll_timeout().map_or(end, |timeout| timeout.min(end));
            self.receive(next)?;
            self.endpoint.handle_timeout(self.now());
        }
    }

    fn transmit(&mut self) -> io::Result<()> {
        while let Some(transmit) = self.endpoint.poll_transmit(self.now(), &mut self.outgoing) {
            self.socket.send_to(&self.outgoing[..transmit.len], transmit.path.peer)?;
        }
        Ok(())
    }

    /// Waits for one datagram.
    fn receive(&mut self, until: Instant) -> io::Result<()> {
        // A timeout of 0 would be none.
        let wait = until.since(self.now()).max(Duration::from_micros(1));
        self.socket.set_read_timeout(Some(wait))?;
        match self.socket.recv_from(&mut self.incoming) {
            Ok((length, peer)) => {
                let path = Path { socket: 0, local: None, peer };
                let datagram = &mut self.incoming[..length];
                self.endpoint.handle_datagram(Instant::from_micros(micros(self.zero)), path, datagram);
                Ok(())
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn now(&self) -> Instant {
        Instant::from_micros(micros(self.zero))
    }
}

fn micros(since: std::time::Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).expect("500,000 years are not over")
}
