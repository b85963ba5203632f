//! What the kernel tells of changes to routes, addresses and interfaces.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use netlink_packet_core::NetlinkPayload;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use super::{Route, messages};

// RTMGRP_*
const LINK: u32 = 0x1;
const IPV4_ADDRESS: u32 = 0x10;
const IPV4_ROUTE: u32 = 0x40;
const IPV6_ADDRESS: u32 = 0x100;
const IPV6_ROUTE: u32 = 0x400;

/// Something has changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Notice {
    /// A route has come or gone.
    Route(Route),
    /// An interface or one of its addresses has; its index. The kernel removes routes without a word then.
    Interface(u32),
    /// There were more changes than the kernel keeps.
    Lost,
}

/// Changes from the moment it was opened on, of that thread's network namespace. Its descriptor is
/// readable while there are some.
pub struct Notices {
    socket: Socket,
    waiting: VecDeque<Notice>,
}

impl Notices {
    /// Begins to listen.
    pub fn open() -> io::Result<Self> {
        Self::of(LINK | IPV4_ADDRESS | IPV4_ROUTE | IPV6_ADDRESS | IPV6_ROUTE)
    }

    /// Begins to listen for changes of interfaces and addresses only.
    pub fn of_interfaces() -> io::Result<Self> {
        Self::of(LINK | IPV4_ADDRESS | IPV6_ADDRESS)
    }

    /// Begins to listen for changes of addresses only.
    pub fn of_addresses() -> io::Result<Self> {
        Self::of(IPV4_ADDRESS | IPV6_ADDRESS)
    }

    fn of(groups: u32) -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind(&SocketAddr::new(0, groups))?;
        socket.set_non_blocking(true)?;
        Ok(Self { socket, waiting: VecDeque::new() })
    }

    /// The next change; `None` if there is none now.
    pub fn recv(&mut self) -> io::Result<Option<Notice>> {
        loop {
            if let Some(notice) = self.waiting.pop_front() {
                return Ok(Some(notice));
            }
            match self.socket.recv_from_full() {
                Ok((datagram, _)) => {
                    self.waiting.extend(messages(&datagram).filter_map(|message| match message.payload {
                        NetlinkPayload::InnerMessage(message) => notice(message),
                        _ => None,
                    }))
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => return Ok(Some(Notice::Lost)),
                Err(error) => return Err(error),
            }
        }
    }
}

impl AsFd for Notices {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn notice(message: RouteNetlinkMessage) -> Option<Notice> {
    match message {
        RouteNetlinkMessage::NewRoute(route) | RouteNetlinkMessage::DelRoute(route) => {
            Route::parse(&route).map(Notice::Route)
        }
        RouteNetlinkMessage::NewLink(link) | RouteNetlinkMessage::DelLink(link) => {
            Some(Notice::Interface(link.header.index))
        }
        RouteNetlinkMessage::NewAddress(address) | RouteNetlinkMessage::DelAddress(address) => {
            Some(Notice::Interface(address.header.index))
        }
        _ => None,
    }
}
