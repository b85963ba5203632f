//! Load: as much TCP or UDP as gets through, counted where it arrives.
//!
//! The sockets are made inside namespaces, the threads that use them need not be.

use std::fmt;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

use nix::sys::socket::{
    MsgFlags, MultiHeaders, SockaddrStorage, sendmmsg, setsockopt, sockopt::UdpGroSegment,
};
use serde::Serialize;
use socket2::{Domain, SockRef, Socket, Type};

use crate::bed::Space;
use crate::demo::round;
use crate::exit::Result;
use crate::interrupt::Interrupt;

/// Bytes a TCP sender or receiver moves a call.
const CHUNK: usize = 256 * 1024;
/// Payload of a UDP frame in bytes, if nothing else is said.
pub const PAYLOAD: usize = 200;
/// The longest one.
const LONGEST: usize = 1400;
/// UDP frames on their way at a time, so that no queue overflows.
const WINDOW: u64 = 512;
/// UDP frames a call at most.
const BURST: usize = 64;
/// How often a paced sender sends.
const TICK: Duration = Duration::from_micros(100);
/// Frames that have not arrived after this long are lost.
const LOST: Duration = Duration::from_millis(20);
/// How long a UDP receiver rests.
const REST: Duration = Duration::from_micros(50);
const CONNECT: Duration = Duration::from_secs(5);

/// From an address of one namespace to one of another.
#[derive(Clone, Copy, Debug)]
pub struct Path<'a> {
    /// Where the senders are.
    pub from: &'a Space,
    /// Where the receivers are.
    pub to: &'a Space,
    /// The senders' address.
    pub source: IpAddr,
    /// The receivers' address: it decides which way the load takes.
    pub target: IpAddr,
}

impl Path<'_> {
    /// The way back.
    pub fn back(self) -> Self {
        Self { from: self.to, to: self.from, source: self.target, target: self.source }
    }
}

/// What is counted and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// What is left out at the start.
    pub ramp: Duration,
    /// What is counted.
    pub length: Duration,
}

/// Senders and receivers at work. Dropping it stops them.
pub struct Load {
    /// Bytes of payload that have arrived.
    received: Arc<AtomicU64>,
    /// Payload of a UDP frame in bytes.
    payload: usize,
    stop: Arc<AtomicBool>,
    sockets: Vec<Box<dyn Fn() + Send>>,
    threads: Vec<JoinHandle<()>>,
    /// What goes at the same time.
    beside: Option<Box<Load>>,
}

/// What arrived in a time.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Bytes of payload.
    pub bytes: u64,
    /// The time.
    pub time: Duration,
    /// Bytes of a UDP frame's payload.
    pub payload: usize,
}

impl Sample {
    /// 10^9 bits of payload a second.
    pub fn gbit_s(&self) -> f64 {
        self.bytes as f64 * 8.0 / self.time.as_secs_f64() / 1e9
    }

    /// UDP frames.
    pub fn frames(&self) -> u64 {
        self.bytes / self.payload as u64
    }

    /// UDP frames a second.
    pub fn frames_s(&self) -> f64 {
        self.frames() as f64 / self.time.as_secs_f64()
    }
}

impl Load {
    fn new() -> Self {
        Self {
            received: Arc::default(),
            payload: PAYLOAD,
            stop: Arc::default(),
            sockets: Vec::new(),
            threads: Vec::new(),
            beside: None,
        }
    }

    /// Both at the same time: what arrives of either counts.
    pub fn beside(mut self, other: Self) -> Self {
        self.beside = Some(Box::new(other));
        self
    }

    /// TCP streams, as fast as they go.
    ///
    /// Errors: the target does not answer.
    pub fn tcp(path: Path<'_>, streams: usize) -> io::Result<Self> {
        let listener = path.to.enter(|| TcpListener::bind(SocketAddr::new(path.target, 0)))?;
        let address = listener.local_addr()?;
        let mut load = Self::new();
        for _ in 0..streams {
            let sender = path.from.enter(|| connect(path.source, address))?;
            let (receiver, _) = listener.accept()?;
            load.close_at_the_end(sender.try_clone()?);
            load.close_at_the_end(receiver.try_clone()?);
            let received = Arc::clone(&load.received);
            load.spawn("tcp-receive", move |_| receive_tcp(receiver, &received))?;
            load.spawn("tcp-send", move |_| send_tcp(sender))?;
        }
        Ok(load)
    }

    /// Frames of [`PAYLOAD`] bytes over flows from one address to another, `burst` frames over each
    /// in turn; never more on their way than queues hold.
    ///
    /// Errors: an address is not one of its namespace's, or more flows than descriptors.
    pub fn udp(from: &Space, to: &Space, flows: &[(IpAddr, IpAddr)], burst: usize) -> io::Result<Self> {
        Self::frames(from, to, flows, burst, PAYLOAD)
    }

    fn frames(
        from: &Space,
        to: &Space,
        flows: &[(IpAddr, IpAddr)],
        burst: usize,
        payload: usize,
    ) -> io::Result<Self> {
        let any = any_port(flows.first().map_or([0; 4].into(), |(_, target)| *target));
        let receiver = to.enter(|| UdpSocket::bind(any))?;
        SockRef::from(&receiver).set_recv_buffer_size(4 << 20)?;
        setsockopt(&receiver, UdpGroSegment, &true)?;
        receiver.set_nonblocking(true)?;
        let port = receiver.local_addr()?.port();
        let flow = |&(source, target): &(IpAddr, IpAddr)| {
            let socket = UdpSocket::bind(SocketAddr::new(source, 0))?;
            socket.connect(SocketAddr::new(target, port))?;
            Ok(socket)
        };
        let senders: Vec<_> = from.enter(|| flows.iter().map(flow).collect::<io::Result<_>>())?;

        let mut load = Self::new();
        load.payload = payload.clamp(1, LONGEST);
        let (received, payload) = (Arc::clone(&load.received), load.payload);
        let sender =
            load.spawn("udp-send", move |stop| send_udp(&senders, burst, payload, &received, stop))?;
        let received = Arc::clone(&load.received);
        load.spawn("udp-receive", move |stop| receive_udp(&receiver, payload, &received, &sender, stop))?;
        Ok(load)
    }

    /// Frames of [`PAYLOAD`] bytes over one flow.
    pub fn udp_flow(path: Path<'_>) -> io::Result<Self> {
        Self::udp_flow_of(path, PAYLOAD)
    }

    /// Frames of so many bytes over one flow.
    pub fn udp_flow_of(path: Path<'_>, payload: usize) -> io::Result<Self> {
        Self::frames(path.from, path.to, &[(path.source, path.target)], BURST, payload)
    }

    /// So many frames of [`PAYLOAD`] bytes a second over one flow, evenly. Nobody reads them: they are counted nowhere.
    pub fn paced(path: Path<'_>, frames_s: f64) -> io::Result<Self> {
        let any = any_port(path.target);
        let receiver = path.to.enter(|| UdpSocket::bind(any))?;
        let target = SocketAddr::new(path.target, receiver.local_addr()?.port());
        let sender = path.from.enter(|| {
            let socket = UdpSocket::bind(SocketAddr::new(path.source, 0))?;
            socket.connect(target)?;
            Ok(socket)
        })?;
        let mut load = Self::new();
        load.spawn("udp-paced", move |stop| {
            send_paced(&sender, frames_s, stop);
            // Until now its buffer took what came, full as it was.
            drop(receiver);
        })?;
        Ok(load)
    }

    fn close_at_the_end(&mut self, stream: TcpStream) {
        self.sockets.push(Box::new(move || {
            // The other side may have closed it already.
            let _ = stream.shutdown(Shutdown::Both);
        }));
    }

    fn spawn(&mut self, name: &str, work: impl FnOnce(&AtomicBool) + Send + 'static) -> io::Result<Thread> {
        let stop = Arc::clone(&self.stop);
        let handle = thread::Builder::new().name(name.into()).spawn(move || work(&stop))?;
        let thread = handle.thread().clone();
        self.threads.push(handle);
        Ok(thread)
    }

    fn received(&self) -> u64 {
        self.received.load(Relaxed) + self.beside.as_ref().map_or(0, |beside| beside.received())
    }

    /// Counts what arrives in a window; `probe` is called at its start and at its end.
    ///
    /// Errors: interrupted, or what `probe` says.
    pub fn measure(
        &self,
        window: Window,
        interrupt: &Interrupt,
        mut probe: impl FnMut() -> Result<()>,
    ) -> Result<Sample> {
        interrupt.wait(window.ramp)?;
        probe()?;
        let (start, before) = (Instant::now(), self.received());
        interrupt.wait(window.length)?;
        let sample = Sample { bytes: self.received() - before, time: start.elapsed(), payload: self.payload };
        probe()?;
        Ok(sample)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        for close in &self.sockets {
            close();
        }
        for thread in self.threads.drain(..) {
            thread.thread().unpark();
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}

fn connect(source: IpAddr, address: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.bind(&SocketAddr::new(source, 0).into())?;
    socket.connect_timeout(&address.into(), CONNECT)?;
    Ok(socket.into())
}

fn any_port(address: IpAddr) -> SocketAddr {
    let any = if address.is_ipv4() { IpAddr::from([0; 4]) } else { IpAddr::from([0; 16]) };
    SocketAddr::new(any, 0)
}

fn send_tcp(mut stream: TcpStream) {
    let chunk = vec![0x5a; CHUNK];
    while stream.write_all(&chunk).is_ok() {}
}

fn receive_tcp(mut stream: TcpStream, received: &AtomicU64) {
    let mut chunk = vec![0; CHUNK];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => return,
            Ok(n) => {
                received.fetch_add(n as u64, Relaxed);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

fn send_udp(sockets: &[UdpSocket], burst: usize, payload: usize, received: &AtomicU64, stop: &AtomicBool) {
    let burst = burst.clamp(1, BURST);
    let bytes = [0x5a; LONGEST];
    let frames = [[IoSlice::new(&bytes[..payload])]; BURST];
    let no_address = [None::<SockaddrStorage>; BURST];
    let mut headers = MultiHeaders::preallocate(BURST, None);
    let (mut sent, mut lost) = (0, 0);
    let arrived = || received.load(Relaxed) / payload as u64;
    for socket in sockets.iter().cycle() {
        while sent + burst as u64 > arrived() + lost + WINDOW && !stop.load(Relaxed) {
            let (start, before) = (Instant::now(), arrived());
            thread::park_timeout(LOST);
            if start.elapsed() >= LOST && arrived() == before {
                lost = sent - before;
            }
        }
        if stop.load(Relaxed) {
            return;
        }
        // Some that were taken for lost may have come after all.
        lost = lost.min(sent.saturating_sub(arrived()));
        let frames = &frames[..burst];
        match sendmmsg(socket.as_raw_fd(), &mut headers, frames, no_address, [], MsgFlags::empty()) {
            Ok(results) => sent += results.count() as u64,
            // Refused or out of buffers for now: the window opens again after `LOST`.
            Err(_) => sent += burst as u64,
        }
    }
}

fn send_paced(socket: &UdpSocket, frames_s: f64, stop: &AtomicBool) {
    let (payload, start) = ([0x5a; PAYLOAD], Instant::now());
    let mut sent = 0;
    while !stop.load(Relaxed) {
        let due = (start.elapsed().as_secs_f64() * frames_s) as u64;
        // What a pause has missed does not come all at once.
        sent = sent.max(due.saturating_sub(BURST as u64));
        while sent < due {
            // Out of buffers for now: that one is lost.
            let _ = socket.send(&payload);
            sent += 1;
        }
        thread::sleep(TICK);
    }
}

/// Waking a thread for every frame would cost more than the frame: the receiver takes what is there
/// and rests, as a network card holds back its interrupts.
fn receive_udp(socket: &UdpSocket, payload: usize, received: &AtomicU64, sender: &Thread, stop: &AtomicBool) {
    let mut buffer = vec![0; 1 << 16];
    while !stop.load(Relaxed) {
        let mut bytes = 0;
        while let Ok(n) = socket.recv(&mut buffer) {
            bytes += n as u64;
            if n == 0 || bytes >= WINDOW * payload as u64 {
                break;
            }
        }
        if bytes > 0 {
            received.fetch_add(bytes, Relaxed);
            sender.unpark();
        }
        thread::sleep(REST);
    }
}

/// The middle one; 0 of nothing.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.as_slice() {
        [] => 0.0,
        values if values.len() % 2 == 1 => values[values.len() / 2],
        values => (values[values.len() / 2 - 1] + values[values.len() / 2]) / 2.0,
    }
}

/// What one gets through for each that another does, round by round: median, least and most.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Share(pub [f64; 3]);

impl Share {
    /// Of the samples of both, in the order of the rounds.
    pub fn of(one: &[f64], other: &[f64]) -> Self {
        let shares: Vec<_> = one.iter().zip(other).map(|(one, other)| one / other).collect();
        let least = shares.iter().copied().fold(f64::INFINITY, f64::min);
        Self([median(&shares), least, shares.iter().copied().fold(0.0, f64::max)].map(round))
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self([median, least, most]) = self;
        write!(f, "{median:.2} ({least:.2} to {most:.2})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_those_of_rounds() {
        let share = Share::of(&[1.0, 3.0, 8.0], &[2.0, 4.0, 4.0]);
        assert_eq!(share, Share([0.75, 0.5, 2.0]));
        assert_eq!(share.to_string(), "0.75 (0.50 to 2.00)");
    }

    #[test]
    fn median_of_few() {
        assert_eq!(median(&[]), 0.0);
        assert_eq!(median(&[3.0]), 3.0);
        assert_eq!(median(&[3.0, 1.0]), 2.0);
        assert_eq!(median(&[9.0, 1.0, 2.0]), 2.0);
    }

    #[test]
    fn a_sample_in_its_units() {
        let sample = Sample { bytes: 250_000_000, time: Duration::from_secs(2), payload: PAYLOAD };
        assert_eq!(sample.gbit_s(), 1.0);
        assert_eq!(sample.frames(), 1_250_000);
        assert_eq!(sample.frames_s(), 625_000.0);
    }
}
