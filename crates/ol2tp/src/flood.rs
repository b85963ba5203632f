//! Frames without end, faster than a server takes them.
//!
//! ```text
//!   sessions of clients ── UDP ──► server ──► its interface     Flood::from_udp
//!   sessions of clients ◄── UDP ── server ◄── its interface     Flood::to_udp
//! ```

use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};

use l2tp_data::frame::IPV4;
use l2tp_data::header;
use nix::sys::socket::{
    MsgFlags, MultiHeaders, SockaddrIn, sendmmsg, setsockopt,
    sockopt::{UdpGroSegment, UdpGsoSegment},
};

use crate::bed::Space;
use crate::clients::Clients;

/// Bytes of a packet's headers, IPv4 and UDP.
pub const HEADERS: usize = 28;
/// Frames of a session before the next one has its turn, where they are such as can be merged.
pub const BURST: usize = 16;
/// Frames and bytes of a message, as far as the kernel takes them.
const FRAMES: usize = 64;
const BYTES: usize = 65_000;
/// Messages of a call.
const MESSAGES: usize = 16;
/// Where packets out of tunnels go: a group that nobody has joined, so that the kernel drops them when it
/// looks for their way.
const NOWHERE: Ipv4Addr = Ipv4Addr::new(239, 255, 0, 1);
/// Discard (RFC 863).
const PORT: u16 = 9;
/// The first of the flows' source ports.
const FIRST_PORT: u16 = 10_000;

/// What the frames are like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Nothing can make one packet of two: each frame is of another flow (from UDP), or the kernel hands them
    /// to the interface one by one (to UDP).
    Apart,
    /// Runs of [`BURST`] frames of a flow.
    Merged,
}

/// A thread that sends. It stops when this is dropped.
#[derive(Debug)]
pub struct Flood {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    /// The clients' sockets.
    sockets: Vec<UdpSocket>,
}

impl Flood {
    /// Packets of `length` bytes out of all sessions, in turn, to no address of the server's.
    pub fn from_udp(clients: &Clients, kind: Kind, length: usize) -> io::Result<Self> {
        let sockets = sockets(clients)?;
        let mut messages = vec![Vec::new(); sockets.len()];
        let mut segment = 0;
        for (socket, messages) in messages.iter_mut().enumerate() {
            let ways: Vec<_> = clients.ways().filter(|way| way.socket == socket).collect();
            let (turn, mut frames) = (if kind == Kind::Apart { 1 } else { BURST }, 0);
            // As many as fill a message at least: a flow comes again only in the next one.
            while !ways.is_empty() && frames < FRAMES.max(ways.len() * turn) {
                for way in &ways {
                    for _ in 0..turn {
                        let flow = if kind == Kind::Apart { frames % FRAMES } else { 0 };
                        let mut head = [0; header::MAX];
                        let used = header::write(way.ids.0, way.ids.1, None, &mut head);
                        let packet = packet(way.address, FIRST_PORT + flow as u16, length);
                        let frame = [&head[..used], &IPV4.to_be_bytes(), &packet].concat();
                        segment = frame.len();
                        append(messages, &frame);
                        frames += 1;
                    }
                }
            }
        }
        let server = Some(address(clients.server())?);
        let mut calls = Vec::new();
        for (socket, messages) in sockets.iter().zip(messages).filter(|(_, messages)| !messages.is_empty()) {
            setsockopt(socket, UdpGsoSegment, &(segment as i32))?;
            calls.push((socket.try_clone()?, messages));
        }
        Self::start(sockets, move |stop| {
            let slices = calls.iter().map(|(_, messages)| messages.iter().map(|bytes| [IoSlice::new(bytes)]));
            let slices: Vec<Vec<_>> = slices.map(Iterator::collect).collect();
            let to = [server; MESSAGES];
            let mut headers = MultiHeaders::preallocate(MESSAGES, None);
            // Turn by turn, or a tunnel's sessions would come all in one piece.
            for turn in 0.. {
                for ((socket, _), slices) in calls.iter().zip(&slices) {
                    if stop.load(Relaxed) {
                        return;
                    }
                    let slices = slices.iter().cycle().skip(turn * MESSAGES % slices.len()).take(MESSAGES);
                    // A full buffer is no error here.
                    let _ = sendmmsg(socket.as_raw_fd(), &mut headers, slices, to, [], MsgFlags::empty());
                }
            }
        })
    }

    /// Packets of `length` bytes from `server` to the addresses of all sessions, in turn. The server's interface
    /// decides whether the kernel cuts the runs before it.
    pub fn to_udp(clients: &Clients, server: &Space, length: usize) -> io::Result<Self> {
        let sockets = sockets(clients)?;
        for socket in &sockets {
            // What comes as one is dropped as one: nobody reads it.
            setsockopt(socket, UdpGroSegment, &true)?;
        }
        let mut flood = Self::to(server, &clients.addresses(), length)?;
        flood.sockets = sockets;
        Ok(flood)
    }

    /// The same to any addresses.
    pub fn to(server: &Space, addresses: &[Ipv4Addr], length: usize) -> io::Result<Self> {
        let socket = sender(server)?;
        setsockopt(&socket, UdpGsoSegment, &((length - HEADERS) as i32))?;
        let to: Vec<_> =
            addresses.iter().map(|to| Some(SockaddrIn::from(SocketAddrV4::new(*to, PORT)))).collect();
        // A call has no fewer messages for few sessions.
        let to: Vec<_> = to.iter().cycle().take(to.len().next_multiple_of(MESSAGES)).copied().collect();
        let payload = vec![0x5a; (length - HEADERS) * BURST];
        Self::start(Vec::new(), move |stop| {
            let slices = [[IoSlice::new(&payload)]; MESSAGES];
            let mut headers = MultiHeaders::preallocate(MESSAGES, None);
            for to in to.chunks(MESSAGES).cycle() {
                if stop.load(Relaxed) {
                    return;
                }
                // A full queue is no error here.
                let _ = sendmmsg(socket.as_raw_fd(), &mut headers, &slices, to, [], MsgFlags::empty());
            }
        })
    }

    fn start(sockets: Vec<UdpSocket>, work: impl FnOnce(&AtomicBool) + Send + 'static) -> io::Result<Self> {
        let stop = Arc::<AtomicBool>::default();
        let told = Arc::clone(&stop);
        let thread = thread::Builder::new().name("flood".into()).spawn(move || work(&told))?;
        Ok(Self { stop, thread: Some(thread), sockets })
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
        for socket in &self.sockets {
            // As it was before.
            let _ = setsockopt(socket, UdpGsoSegment, &0).and(setsockopt(socket, UdpGroSegment, &false));
        }
    }
}

/// Packets of `length` bytes as they come out of sessions with these addresses, one after the other, none of a flow of
/// those next to it.
pub fn packets(addresses: &[Ipv4Addr], length: usize) -> Vec<Vec<u8>> {
    let turns = addresses.iter().cycle().take(FRAMES.max(addresses.len())).enumerate();
    turns.map(|(n, address)| packet(*address, FIRST_PORT + (n % FRAMES) as u16, length)).collect()
}

/// Sends one packet of `length` bytes from `server` to a session.
pub fn send_one(server: &Space, session: Ipv4Addr, length: usize) -> io::Result<()> {
    sender(server)?.send_to(&vec![0x5a; length - HEADERS], (session, PORT)).map(drop)
}

fn sockets(clients: &Clients) -> io::Result<Vec<UdpSocket>> {
    clients.sockets().iter().map(UdpSocket::try_clone).collect()
}

fn sender(server: &Space) -> io::Result<UdpSocket> {
    server.enter(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)))
}

fn address(server: SocketAddr) -> io::Result<SockaddrIn> {
    match server {
        SocketAddr::V4(server) => Ok(server.into()),
        SocketAddr::V6(_) => Err(io::Error::other(format!("{server} is no IPv4 address"))),
    }
}

/// Appends a frame to the last message, or to a new one.
fn append(messages: &mut Vec<Vec<u8>>, frame: &[u8]) {
    let room = (BYTES / frame.len()).min(FRAMES) * frame.len();
    match messages.last_mut() {
        Some(last) if last.len() < room => last.extend_from_slice(frame),
        _ => messages.push(frame.to_vec()),
    }
}

/// An IPv4 packet with a UDP datagram to [`NOWHERE`].
fn packet(source: Ipv4Addr, port: u16, length: usize) -> Vec<u8> {
    let udp = length - HEADERS + 8;
    let [total, part] = [length, udp].map(|length| (length as u16).to_be_bytes());
    let mut packet = vec![0x5a; length];
    // Identification 0 and DF, UDP in the end; the checksums come later.
    packet[..12].copy_from_slice(&[0x45, 0, total[0], total[1], 0, 0, 0x40, 0, 64, 17, 0, 0]);
    packet[12..16].copy_from_slice(&source.octets());
    packet[16..20].copy_from_slice(&NOWHERE.octets());
    packet[20..22].copy_from_slice(&port.to_be_bytes());
    packet[22..24].copy_from_slice(&PORT.to_be_bytes());
    packet[24..28].copy_from_slice(&[part[0], part[1], 0, 0]);
    let ip = checksum(&packet[..20], 0);
    // Addresses, protocol and length are the pseudo-header.
    let transport = checksum(&packet[12..], 17 + udp as u32);
    packet[10..12].copy_from_slice(&ip);
    packet[26..28].copy_from_slice(&transport);
    packet
}

/// The Internet checksum (RFC 1071) of an even number of bytes, and of `more`.
fn checksum(bytes: &[u8], more: u32) -> [u8; 2] {
    let words = bytes.chunks_exact(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
    let mut sum = words.sum::<u32>() + more;
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    (!(sum as u16)).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_right() {
        let packet = packet(Ipv4Addr::new(10, 64, 0, 2), FIRST_PORT, 64);
        assert_eq!(checksum(&packet[..20], 0), [0; 2]);
        assert_eq!(checksum(&packet[12..], 17 + 44), [0; 2]);
    }

    #[test]
    fn messages_hold_what_the_kernel_takes() {
        let mut messages = Vec::new();
        (0..FRAMES + 1).for_each(|_| append(&mut messages, &[0; 74]));
        assert_eq!(messages.iter().map(Vec::len).collect::<Vec<_>>(), [FRAMES * 74, 74]);
        let mut messages = Vec::new();
        (0..47).for_each(|_| append(&mut messages, &[0; 1410]));
        assert_eq!(messages.iter().map(Vec::len).collect::<Vec<_>>(), [46 * 1410, 1410]);
    }
}
