//! Routes of the main table.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteNextHopFlags, RouteScope,
    RouteType, RouteVia,
};
use nix::net::if_::if_indextoname;

use super::{Netlink, family};
use crate::Prefix;

/// A route.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    /// Where it leads.
    pub destination: Prefix,
    /// What becomes of packets.
    pub kind: RouteKind,
    /// The router they are sent to; of IPv4 routes it may be an IPv6 address.
    pub gateway: Option<IpAddr>,
    /// Index of the interface they leave by.
    pub index: Option<u32>,
    /// The source address they get where they have none yet.
    pub source: Option<IpAddr>,
    /// The lower, the better; 0: what the kernel gives.
    pub metric: u32,
    /// Who made it: RTPROT_*.
    pub protocol: u8,
    /// The table it is in; RT_TABLE_MAIN is 254.
    pub table: u32,
    /// Whether the gateway need not be in a network of the interface.
    pub onlink: bool,
}

/// What becomes of a route's packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RouteKind {
    /// They go on.
    Unicast,
    /// They are for this machine.
    Local,
    /// They are refused with an error.
    Unreachable,
    /// Anything else: RTN_*.
    Other(u8),
}

impl From<RouteType> for RouteKind {
    fn from(kind: RouteType) -> Self {
        match kind {
            RouteType::Unicast => Self::Unicast,
            RouteType::Local => Self::Local,
            RouteType::Unreachable => Self::Unreachable,
            other => Self::Other(other.into()),
        }
    }
}

impl From<RouteKind> for RouteType {
    fn from(kind: RouteKind) -> Self {
        match kind {
            RouteKind::Unicast => Self::Unicast,
            RouteKind::Local => Self::Local,
            RouteKind::Unreachable => Self::Unreachable,
            RouteKind::Other(kind) => kind.into(),
        }
    }
}

impl fmt::Display for Route {
    /// As `ip route` writes it: `192.0.2.1/32 via 10.0.0.1 dev eth0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            RouteKind::Unicast => {}
            RouteKind::Local => f.write_str("local ")?,
            RouteKind::Unreachable => f.write_str("unreachable ")?,
            RouteKind::Other(kind) => write!(f, "type {kind} ")?,
        }
        write!(f, "{}", self.destination)?;
        if let Some(gateway) = self.gateway {
            write!(f, " via {gateway}")?;
        }
        if let Some(index) = self.index {
            match if_indextoname(index) {
                Ok(name) => write!(f, " dev {}", name.to_string_lossy())?,
                Err(_) => write!(f, " dev number {index}")?,
            }
        }
        Ok(())
    }
}

impl Route {
    /// A route of the main table that leads nowhere yet.
    pub fn new(destination: Prefix, protocol: u8) -> Self {
        Self {
            destination,
            kind: RouteKind::Unicast,
            gateway: None,
            index: None,
            source: None,
            metric: 0,
            protocol,
            table: RouteHeader::RT_TABLE_MAIN.into(),
            onlink: false,
        }
    }

    /// What the kernel says of a route; `None` of one that is not for IP.
    pub(super) fn parse(message: &RouteMessage) -> Option<Self> {
        let RouteMessage { header, attributes, .. } = message;
        let unspecified = match header.address_family {
            netlink_packet_route::AddressFamily::Inet => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            netlink_packet_route::AddressFamily::Inet6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            _ => return None,
        };
        let destination = Prefix { address: unspecified, len: header.destination_prefix_length };
        let mut route = Self {
            kind: header.kind.into(),
            table: header.table.into(),
            onlink: header.flags.contains(RouteFlags::Onlink),
            ..Self::new(destination, header.protocol.into())
        };
        for attribute in attributes {
            route.take(attribute);
        }
        Some(route)
    }

    fn take(&mut self, attribute: &RouteAttribute) {
        match attribute {
            RouteAttribute::Destination(to) => {
                self.destination.address = ip(to).unwrap_or(self.destination.address);
            }
            RouteAttribute::Gateway(gateway) => self.gateway = ip(gateway),
            RouteAttribute::Via(RouteVia::Inet6(gateway)) => self.gateway = Some(IpAddr::V6(*gateway)),
            RouteAttribute::Oif(index) => self.index = Some(*index),
            RouteAttribute::PrefSource(source) => self.source = ip(source),
            RouteAttribute::Priority(metric) => self.metric = *metric,
            RouteAttribute::Table(table) => self.table = *table,
            // Of several next hops the first.
            RouteAttribute::MultiPath(hops) => {
                if let Some(hop) = hops.first() {
                    self.index = Some(hop.interface_index);
                    self.onlink = hop.flags.contains(RouteNextHopFlags::Onlink);
                    hop.attributes.iter().for_each(|attribute| self.take(attribute));
                }
            }
            _ => {}
        }
    }

    fn message(&self) -> RouteMessage {
        let Prefix { address, len } = self.destination.network();
        let mut message = RouteMessage::default();
        message.header = RouteHeader {
            address_family: family(address),
            destination_prefix_length: len,
            table: RouteHeader::RT_TABLE_UNSPEC,
            protocol: self.protocol.into(),
            scope: match self.kind {
                RouteKind::Unicast if self.gateway.is_none() => RouteScope::Link,
                _ => RouteScope::Universe,
            },
            kind: self.kind.into(),
            flags: if self.onlink { RouteFlags::Onlink } else { RouteFlags::empty() },
            ..RouteHeader::default()
        };
        let mut add = |attribute| message.attributes.push(attribute);
        add(RouteAttribute::Destination(address.into()));
        add(RouteAttribute::Table(self.table));
        match self.gateway {
            Some(gateway) if gateway.is_ipv4() == address.is_ipv4() => {
                add(RouteAttribute::Gateway(gateway.into()))
            }
            Some(gateway) => add(RouteAttribute::Via(gateway.into())),
            None => {}
        }
        self.index.map(RouteAttribute::Oif).map(&mut add);
        self.source.map(|source| RouteAttribute::PrefSource(source.into())).map(&mut add);
        if self.metric != 0 {
            add(RouteAttribute::Priority(self.metric));
        }
        message
    }
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(ip) => Some(IpAddr::V4(*ip)),
        RouteAddress::Inet6(ip) => Some(IpAddr::V6(*ip)),
        _ => None,
    }
}

impl Netlink {
    /// Adds a route.
    ///
    /// Errors: EEXIST if there is one with this destination and metric.
    pub fn add(&self, route: &Route) -> io::Result<()> {
        self.request(RouteNetlinkMessage::NewRoute(route.message()), NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Removes this route and no other.
    ///
    /// Errors: ESRCH if it is not there.
    pub fn remove(&self, route: &Route) -> io::Result<()> {
        self.request(RouteNetlinkMessage::DelRoute(route.message()), 0)
    }

    /// The route that packets to an address take.
    ///
    /// Errors: ENETUNREACH or EHOSTUNREACH if there is none.
    pub fn route_to(&self, address: IpAddr) -> io::Result<Route> {
        let mut message = RouteMessage::default();
        message.header.address_family = family(address);
        message.header.destination_prefix_length = Prefix::host(address).len;
        message.header.flags = RouteFlags::FibMatch;
        message.attributes.push(RouteAttribute::Destination(address.into()));
        let answers = self.query(RouteNetlinkMessage::GetRoute(message), 0)?;
        routes(&answers).next().ok_or_else(|| io::Error::other("the kernel named no route"))
    }

    /// The way that packets of ours take: destination, interface and gateway are theirs, whatever the routes say beside.
    ///
    /// Errors: the same.
    pub fn way_of(&self, to: IpAddr, from: IpAddr, mark: u32, index: Option<u32>) -> io::Result<Route> {
        let mut message = RouteMessage::default();
        message.header.address_family = family(to);
        message.header.destination_prefix_length = Prefix::host(to).len;
        message.header.source_prefix_length = Prefix::host(from).len;
        message.attributes =
            vec![RouteAttribute::Destination(to.into()), RouteAttribute::Source(from.into())];
        message.attributes.extend(index.map(RouteAttribute::Oif));
        if mark != 0 {
            message.attributes.push(RouteAttribute::Mark(mark));
        }
        let answers = self.query(RouteNetlinkMessage::GetRoute(message), 0)?;
        routes(&answers).next().ok_or_else(|| io::Error::other("the kernel named no way"))
    }

    /// All routes of the main table, of IPv6 or of IPv4, but for those that lead nowhere now.
    pub fn routes(&self, ipv6: bool) -> io::Result<Vec<Route>> {
        let any = if ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        let mut message = RouteMessage::default();
        message.header.address_family = family(any);
        message.header.table = RouteHeader::RT_TABLE_MAIN;
        let mut answers = self.query(RouteNetlinkMessage::GetRoute(message), NLM_F_DUMP)?;
        answers.retain(|answer| match answer {
            RouteNetlinkMessage::NewRoute(route) => {
                !route.header.flags.intersects(RouteFlags::Cloned | RouteFlags::Dead)
            }
            _ => false,
        });
        Ok(routes(&answers).filter(|route| route.table == RouteHeader::RT_TABLE_MAIN.into()).collect())
    }
}

fn routes(answers: &[RouteNetlinkMessage]) -> impl Iterator<Item = Route> {
    answers.iter().filter_map(|answer| match answer {
        RouteNetlinkMessage::NewRoute(route) => Route::parse(route),
        _ => None,
    })
}
