//! Addresses, routes and state of interfaces, through rtnetlink, one request at a time.

use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Mutex;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkBuffer, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, CacheInfo};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use crate::Prefix;

mod notices;
mod route;

pub use notices::{Notice, Notices};
pub use route::{Route, RouteKind};

/// An rtnetlink socket, bound to the network namespace of the thread that opened it.
pub struct Netlink {
    /// The socket, and the sequence number of its last request.
    socket: Mutex<(Socket, u32)>,
}

/// An address of an interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Address {
    /// The address, and how much of it is the network's.
    pub prefix: Prefix,
    /// Whether someone has given it for good.
    pub permanent: bool,
    /// Whether new connections shall not leave from it.
    pub deprecated: bool,
}

impl Address {
    fn parse(message: &AddressMessage) -> Option<Self> {
        let attributes = &message.attributes;
        let address = attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Address(ip) => Some(*ip),
            _ => None,
        })?;
        let has = |flag| {
            attributes
                .iter()
                .any(|attribute| matches!(attribute, AddressAttribute::Flags(flags) if flags.contains(flag)))
        };
        Some(Self {
            prefix: Prefix { address, len: message.header.prefix_len },
            permanent: has(AddressFlags::Permanent),
            deprecated: has(AddressFlags::Deprecated),
        })
    }
}

fn family(address: IpAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

/// The messages of a datagram.
fn messages(mut datagram: &[u8]) -> impl Iterator<Item = NetlinkMessage<RouteNetlinkMessage>> {
    std::iter::from_fn(move || {
        let len = NetlinkBuffer::new_checked(datagram).ok()?.length() as usize;
        let message = &datagram[..len];
        datagram = datagram.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some(NetlinkMessage::deserialize(message).ok())
    })
    .flatten()
}

impl Netlink {
    /// Opens a socket in the network namespace of this thread.
    pub fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        // Not on kernels before 4.20, which dump all there is.
        let _ = socket.set_netlink_get_strict_chk(true);
        Ok(Self { socket: Mutex::new((socket, 0)) })
    }

    /// Sends a request and waits until the kernel has done it.
    pub fn request(&self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        self.query(message, flags).map(drop)
    }

    /// Sends a request and waits for the kernel's answers; those that cannot be understood are left out.
    pub fn query(&self, message: RouteNetlinkMessage, flags: u16) -> io::Result<Vec<RouteNetlinkMessage>> {
        let mut lock = self.socket.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (socket, sequence) = &mut *lock;
        *sequence = sequence.wrapping_add(1);
        let mut request = NetlinkMessage::from(message);
        request.header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
        request.header.sequence_number = *sequence;
        request.finalize();
        let mut bytes = vec![0; request.buffer_len()];
        request.serialize(&mut bytes);
        socket.send(&bytes, 0)?;
        let mut answers = Vec::new();
        loop {
            let (datagram, _) = socket.recv_from_full()?;
            for message in messages(&datagram) {
                match message.payload {
                    // Left over from a request whose answers could not be read.
                    _ if message.header.sequence_number != *sequence => {}
                    NetlinkPayload::Error(error) if error.code.is_some() => return Err(error.to_io()),
                    NetlinkPayload::Error(_) | NetlinkPayload::Done(_) => return Ok(answers),
                    NetlinkPayload::InnerMessage(answer) => answers.push(answer),
                    _ => {}
                }
            }
        }
    }

    fn link(&self, index: u32, change: impl FnOnce(&mut LinkMessage)) -> io::Result<()> {
        let mut link = LinkMessage::default();
        link.header.index = index;
        change(&mut link);
        self.request(RouteNetlinkMessage::SetLink(link), 0)
    }

    /// Sets an interface up or down.
    pub fn set_up(&self, index: u32, up: bool) -> io::Result<()> {
        self.link(index, |link| {
            link.header.change_mask = LinkFlags::Up;
            link.header.flags = if up { LinkFlags::Up } else { LinkFlags::empty() };
        })
    }

    /// Sets an interface's MTU in bytes.
    pub fn set_mtu(&self, index: u32, mtu: u16) -> io::Result<()> {
        self.link(index, |link| link.attributes.push(LinkAttribute::Mtu(mtu.into())))
    }

    /// An interface's MTU in bytes.
    pub fn mtu(&self, index: u32) -> io::Result<u16> {
        let mut link = LinkMessage::default();
        link.header.index = index;
        let answers = self.query(RouteNetlinkMessage::GetLink(link), 0)?;
        let attributes = answers.into_iter().flat_map(|answer| match answer {
            RouteNetlinkMessage::NewLink(link) => link.attributes,
            _ => Vec::new(),
        });
        let mut mtus = attributes.filter_map(|attribute| match attribute {
            LinkAttribute::Mtu(mtu) => Some(mtu.try_into().unwrap_or(u16::MAX)),
            _ => None,
        });
        mtus.next().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Sets how many packets an interface queues.
    pub fn set_queue_len(&self, index: u32, packets: u32) -> io::Result<()> {
        self.link(index, |link| link.attributes.push(LinkAttribute::TxQueueLen(packets)))
    }

    /// Gives an interface an address; `peer` is the other end of a point-to-point link.
    pub fn add_address(&self, index: u32, address: Prefix, peer: Option<IpAddr>) -> io::Result<()> {
        let mut message = address_message(index, address, peer);
        if address.address.is_ipv6() {
            // A point-to-point link has nobody to ask, and the address is wanted now.
            message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
        }
        self.request(RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_REPLACE)
    }

    /// Gives an interface an IPv6 address and no route, or a new time to one that it has: for so many seconds it is
    /// valid, for no more of them preferred; `u32::MAX`: for ever.
    pub fn add_address_for(
        &self,
        index: u32,
        address: Ipv6Addr,
        valid: u32,
        preferred: u32,
    ) -> io::Result<()> {
        let mut message = address_message(index, Prefix::host(address.into()), None);
        let flags = AddressFlags::Nodad | AddressFlags::Noprefixroute;
        message.attributes.push(AddressAttribute::Flags(flags));
        let mut times = CacheInfo::default();
        (times.ifa_valid, times.ifa_preferred) = (valid, preferred);
        message.attributes.push(AddressAttribute::CacheInfo(times));
        self.request(RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_REPLACE)
    }

    /// The IPv6 addresses of an interface.
    pub fn ipv6_addresses(&self, index: u32) -> io::Result<Vec<Address>> {
        let mut message = AddressMessage::default();
        message.header.family = AddressFamily::Inet6;
        message.header.index = index;
        let answers = self.query(RouteNetlinkMessage::GetAddress(message), NLM_F_DUMP)?;
        let addresses = answers.iter().filter_map(|answer| match answer {
            RouteNetlinkMessage::NewAddress(message) if message.header.index == index => {
                Address::parse(message)
            }
            _ => None,
        });
        Ok(addresses.collect())
    }

    /// Takes an address from an interface, given as it was added.
    ///
    /// Errors: EADDRNOTAVAIL if it is not there.
    pub fn remove_address(&self, index: u32, address: Prefix, peer: Option<IpAddr>) -> io::Result<()> {
        self.request(RouteNetlinkMessage::DelAddress(address_message(index, address, peer)), 0)
    }

    /// Routes a prefix to an interface.
    pub fn add_route(&self, index: u32, prefix: Prefix) -> io::Result<()> {
        let prefix = prefix.network();
        let mut message = RouteMessage::default();
        message.header = RouteHeader {
            address_family: family(prefix.address),
            destination_prefix_length: prefix.len,
            table: RouteHeader::RT_TABLE_MAIN,
            protocol: RouteProtocol::Static,
            scope: RouteScope::Link,
            kind: RouteType::Unicast,
            ..RouteHeader::default()
        };
        message.attributes.push(RouteAttribute::Destination(RouteAddress::from(prefix.address)));
        message.attributes.push(RouteAttribute::Oif(index));
        self.request(RouteNetlinkMessage::NewRoute(message), NLM_F_CREATE | NLM_F_REPLACE)
    }
}

fn address_message(index: u32, address: Prefix, peer: Option<IpAddr>) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = family(address.address);
    message.header.index = index;
    message.header.prefix_len = match peer {
        Some(peer) => Prefix::host(peer).len,
        None => address.len,
    };
    message.attributes.push(AddressAttribute::Local(address.address));
    message.attributes.push(AddressAttribute::Address(peer.unwrap_or(address.address)));
    message
}
