//! Options of Router Advertisements that the kernel leaves to programs: resolvers (RFC 8106).
//!
//! ```text
//!  nlmsghdr (16)   length (4) ─ type (2) ─ flags (2) ─ sequence (4) ─ port (4)
//!  nduseroptmsg    family (1) ─ (1) ─ length of the options (2) ─ interface (4) ─ ICMP type (1) ─ code (1) ─ (6)
//!  the option, as it came
//! ```

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

/// RTNLGRP_ND_USEROPT as a bit.
const GROUP: u32 = 1 << 19;
const RTM_NEWNDUSEROPT: u16 = 68;
const HEADER: usize = 16;
const MESSAGE: usize = 16;
const ROUTER_ADVERTISEMENT: u8 = 134;

/// An option that has come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RouterOption {
    /// The index of the interface that it came in at.
    pub interface: u32,
    /// The option, from its type on.
    pub bytes: Vec<u8>,
}

/// Options from the moment it was opened on, of that thread's network namespace, on interfaces that heed Router
/// Advertisements. Its descriptor is readable while there are some.
pub struct RouterOptions {
    socket: Socket,
    waiting: VecDeque<RouterOption>,
}

impl RouterOptions {
    /// Begins to listen.
    pub fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind(&SocketAddr::new(0, GROUP))?;
        socket.set_non_blocking(true)?;
        Ok(Self { socket, waiting: VecDeque::new() })
    }

    /// The next option; `None` if there is none now.
    pub fn recv(&mut self) -> io::Result<Option<RouterOption>> {
        while self.waiting.is_empty() {
            match self.socket.recv_from_full() {
                Ok((datagram, _)) => self.waiting.extend(parse(&datagram)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                // Routers say all of it again.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.waiting.pop_front())
    }
}

impl AsFd for RouterOptions {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The options of a datagram's messages.
fn parse(mut datagram: &[u8]) -> Vec<RouterOption> {
    let mut options = Vec::new();
    while let Some(&[a, b, c, d, e, f]) = datagram.first_chunk() {
        let (len, kind) = (u32::from_ne_bytes([a, b, c, d]) as usize, u16::from_ne_bytes([e, f]));
        let Some(message) = datagram.get(HEADER..len).filter(|_| len >= HEADER) else { break };
        if kind == RTM_NEWNDUSEROPT
            && let Some(&[_, _, l, m, a, b, c, d, ROUTER_ADVERTISEMENT]) = message.first_chunk()
            && let Some(option) =
                message[MESSAGE.min(message.len())..].get(..u16::from_ne_bytes([l, m]).into())
        {
            options.push(RouterOption { interface: u32::from_ne_bytes([a, b, c, d]), bytes: option.into() });
        }
        datagram = datagram.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, icmp: u8, option: &[u8], said: u16) -> Vec<u8> {
        let len = (HEADER + MESSAGE + option.len()) as u32;
        let mut bytes = [&len.to_ne_bytes()[..], &kind.to_ne_bytes(), &[0; 10]].concat();
        bytes.extend([10, 0]);
        bytes.extend(said.to_ne_bytes());
        bytes.extend(7u32.to_ne_bytes());
        bytes.extend([icmp, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend(option);
        bytes
    }

    #[test]
    fn options_of_router_advertisements_are_taken_and_nothing_else() {
        let option = [25, 3, 0, 0, 0, 0, 7, 8];
        let good = || message(RTM_NEWNDUSEROPT, ROUTER_ADVERTISEMENT, &option, 8);
        let expected = [RouterOption { interface: 7, bytes: option.into() }];
        assert_eq!(parse(&good()), expected);
        let others = [
            message(RTM_NEWNDUSEROPT, 135, &option, 8),
            message(RTM_NEWNDUSEROPT, ROUTER_ADVERTISEMENT, &option, 9),
            message(16, ROUTER_ADVERTISEMENT, &option, 8),
        ];
        for other in others {
            assert_eq!(parse(&other), []);
            assert_eq!(parse(&[other, good()].concat()), expected);
        }
    }

    #[test]
    fn what_is_cut_short_is_no_option() {
        let whole = message(RTM_NEWNDUSEROPT, ROUTER_ADVERTISEMENT, &[25, 1, 0, 0, 0, 0, 0, 0], 8);
        for len in 0..whole.len() {
            assert_eq!(parse(&whole[..len]), [], "{len}");
            // A message that says itself that it is short.
            let mut short = whole[..len].to_vec();
            if let Some(said) = short.first_chunk_mut::<4>() {
                *said = (len as u32).to_ne_bytes();
            }
            assert_eq!(parse(&short), [], "{len}");
        }
    }
}
