//! ICMP echo over IPv4 and IPv6 (RFC 792, RFC 4443 §4).

use std::io::{self, ErrorKind, Read};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use serde::Serialize;
use socket2::{Domain, Protocol, Socket, Type};

use crate::bed::Space;

/// Bytes behind the ICMP header, as ping(8) sends them.
const PAYLOAD: usize = 56;
const HEADER: usize = 8;

/// What became of the requests.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Ping {
    /// Requests sent.
    pub sent: u16,
    /// Requests answered; a second answer does not count.
    pub received: u16,
    /// Median round trip in microseconds, if any was answered.
    pub median_us: Option<f64>,
}

impl Ping {
    /// Whether every request was answered.
    pub fn complete(&self) -> bool {
        self.sent > 0 && self.received == self.sent
    }
}

/// How to ping.
#[derive(Clone, Copy, Debug)]
pub struct Requests {
    /// How many.
    pub count: u16,
    /// Time between two.
    pub interval: Duration,
    /// How long the last answers are waited for.
    pub patience: Duration,
}

/// Sends echo requests from a namespace and counts the answers.
///
/// Errors: raw sockets are forbidden, or there is no route to `target`.
pub fn ping(from: &Space, target: IpAddr, requests: Requests) -> io::Result<Ping> {
    ping_in_scope(from, SocketAddr::new(target, 0), requests)
}

/// The same to an address that may need its scope to be unique (RFC 4007); its port does not count.
///
/// Errors: the same.
pub fn ping_in_scope(from: &Space, target: SocketAddr, requests: Requests) -> io::Result<Ping> {
    let (scoped, target) = (target, target.ip());
    let socket = from.enter(|| {
        let (domain, protocol) = match target {
            IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
            IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
        };
        let socket = Socket::new(domain, Type::RAW, Some(protocol))?;
        socket.connect(&scoped.into())?;
        Ok(socket)
    })?;
    let id = std::process::id() as u16;
    let start = Instant::now();
    let mut sent_at = Vec::with_capacity(requests.count.into());
    let mut round_trips: Vec<Option<Duration>> = vec![None; requests.count.into()];
    for sequence in 0..requests.count {
        sent_at.push(Instant::now());
        socket.send(&request(target, id, sequence))?;
        let last = sequence + 1 == requests.count;
        let until = if last {
            Instant::now() + requests.patience
        } else {
            start + requests.interval * u32::from(sequence + 1)
        };
        while round_trips.iter().any(Option::is_none) || !last {
            let Some(answered) = answer(&socket, target, id, until)? else { break };
            let at = sent_at.get(usize::from(answered)).map(Instant::elapsed);
            if let (Some(at), Some(trip @ None)) = (at, round_trips.get_mut(usize::from(answered))) {
                *trip = Some(at);
            }
        }
    }
    let mut trips: Vec<_> = round_trips.into_iter().flatten().collect();
    trips.sort_unstable();
    let median_us = trips.get(trips.len() / 2).map(|trip| trip.as_nanos() as f64 / 1000.0);
    Ok(Ping { sent: requests.count, received: trips.len() as u16, median_us })
}

fn request(target: IpAddr, id: u16, sequence: u16) -> Vec<u8> {
    let kind = if target.is_ipv4() { 8 } else { 128 };
    let mut message = vec![kind, 0, 0, 0];
    message.extend(id.to_be_bytes());
    message.extend(sequence.to_be_bytes());
    message.extend((0..PAYLOAD).map(|n| n as u8));
    if target.is_ipv4() {
        // Over IPv6 the kernel does it.
        let sum = checksum(&message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    message
}

/// The sequence number of the next whole answer; `None` if none has come until then.
fn answer(mut socket: &Socket, target: IpAddr, id: u16, until: Instant) -> io::Result<Option<u16>> {
    let mut buffer = [0; 1500];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        // What is less than a microsecond would be no limit at all.
        socket.set_read_timeout(Some(left.max(Duration::from_micros(1))))?;
        let len = match socket.read(&mut buffer) {
            Ok(len) => len,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => continue,
            Err(error) => return Err(error),
        };
        // A raw IPv4 socket receives the IP header too.
        let (start, kind) = if target.is_ipv4() { (usize::from(buffer[0] & 15) * 4, 0) } else { (0, 129) };
        let Some(message) = buffer[..len].get(start..) else { continue };
        let expected = (0..PAYLOAD).map(|n| n as u8);
        if let [k, 0, _, _, i1, i2, s1, s2, payload @ ..] = message
            && *k == kind
            && message.len() == HEADER + PAYLOAD
            && [*i1, *i2] == id.to_be_bytes()
            && payload.iter().copied().eq(expected)
        {
            return Ok(Some(u16::from_be_bytes([*s1, *s2])));
        }
    }
}

/// The Internet checksum (RFC 1071).
fn checksum(message: &[u8]) -> u16 {
    let words = message.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_of_rfc_1071() {
        // RFC 1071 §3: the sum of these bytes is ddf2.
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
        assert_eq!(checksum(&[1]), !0x0100);
    }

    #[test]
    fn a_request_sums_to_nothing() {
        let message = request("192.0.2.1".parse().unwrap(), 0x1234, 7);
        assert_eq!(checksum(&message), 0);
        assert_eq!(&message[4..8], [0x12, 0x34, 0, 7]);
    }
}
