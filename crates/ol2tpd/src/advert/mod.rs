//! IPv6 addresses on a session: IPV6CP agrees on interface identifiers only, prefixes come by Router
//! Advertisements (RFC 5072 §5, RFC 4861).
//!
//! ```text
//!   server                                                      client
//!   add_address(fe80::ours/64) by prepare_router                add_address(fe80::theirs/64) by prepare_host
//!        │                                                           │
//!   Advertiser ◄──────────── Router Solicitation ────────────────── Host
//!        └────── Router Advertisement: a /64 of its own, MTU, DNS ──► prefix::theirs/128
//! ```
//!
//! **Server.** One raw socket serves all interfaces. Each session has a /64 of its own, so it is
//! advertised as RFC 8273 has it: not on-link, for addresses by SLAAC. On an interface of the session's
//! own advertisements go to all nodes. **On a shared interface** frames go straight to the TUN and the
//! destination finds the session, so there they go to the peer's link-local address alone: the unit needs
//! that address, with length 128, among its `Interface::Shared { addresses }`. It is then also the only
//! one besides the prefix that the peer may send from, which tells whose solicitation has come. Interface
//! identifiers have to be unique on a shared interface, where one of ours is the same for all sessions.
//!
//! **Client.** The kernel is told to ignore advertisements, for it would route whatever prefix a server calls
//! on-link to the session, and so capture hosts of our own networks. A [`Host`] takes addresses from them, whose
//! second half is that of the link-local address. Nothing is routed: that is [`routes`](crate::routes)' affair.
//! The [`Advertiser`]'s socket hears them.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use l2tp_data::time::Instant;
use tracing::{debug, warn};

use crate::error::{Doing, Result};

pub mod host;
mod interface;
pub mod message;
mod socket;
mod timing;

pub use host::Host;
pub use interface::{deafen, prepare_host, prepare_router};
pub use message::Advertisement;

use socket::{Received, Socket};
use timing::Timing;

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
/// How many datagrams are looked at before others have their turn.
const TURN: usize = 256;
/// Between two reports of what cannot be sent.
const QUIET: Duration = Duration::from_secs(1);

/// Where a session's peer is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Link {
    /// The index of the interface.
    pub index: u32,
    /// On a shared interface the peer's link-local address.
    pub peer: Option<Ipv6Addr>,
}

struct Session {
    link: Link,
    advertisement: Advertisement,
    timing: Timing,
}

/// Advertises prefixes to sessions, and hears what others advertise. One mutation, then
/// [`poll_timeout`](Self::poll_timeout).
pub struct Advertiser {
    socket: Socket,
    sessions: BTreeMap<u64, Session>,
    links: BTreeMap<(u32, Option<Ipv6Addr>), u64>,
    due: BTreeSet<(Instant, u64)>,
    random: u64,
    quiet_until: Instant,
}

impl Advertiser {
    /// Opens the socket, in the network namespace of this thread.
    ///
    /// Errors: CAP_NET_RAW is missing, or the kernel has no IPv6.
    pub fn open() -> Result<Self> {
        let socket =
            Socket::open().doing(|| "socket for router advertisements (needs CAP_NET_RAW)".into())?;
        Ok(Self {
            socket,
            sessions: BTreeMap::new(),
            links: BTreeMap::new(),
            due: BTreeSet::new(),
            random: RandomState::new().hash_one(0),
            quiet_until: Instant::default(),
        })
    }

    /// Advertises to a session, soon and then from time to time. `session` is any number that tells
    /// sessions apart; what it was told before is replaced.
    pub fn add(&mut self, now: Instant, session: u64, link: Link, advertisement: Advertisement) {
        self.forget(session);
        let timing = Timing::new(now);
        self.due.insert((timing.due(), session));
        self.links.insert((link.index, link.peer), session);
        self.sessions.insert(session, Session { link, advertisement, timing });
    }

    /// Ends it, and tells the peer that the prefix is no more (RFC 4861 §6.2.5). The interface may be gone.
    pub fn remove(&mut self, session: u64) {
        if let Some(Session { link, advertisement, .. }) = self.forget(session)
            && let Err(error) = self.send(link, &advertisement.last())
        {
            debug!("session {session} is not told of the end of its prefix: {error}");
        }
    }

    fn forget(&mut self, session: u64) -> Option<Session> {
        let known = self.sessions.remove(&session)?;
        self.due.remove(&(known.timing.due(), session));
        let link = (known.link.index, known.link.peer);
        if self.links.get(&link) == Some(&session) {
            self.links.remove(&link);
        }
        Some(known)
    }

    /// A descriptor that is readable when there are solicitations or advertisements.
    pub fn poll_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Takes what has come; whether nothing is left. Solicitations of nobody we know are passed over;
    /// advertisements are `heard`, each with the index of the interface that it came in at.
    pub fn handle_readable(&mut self, now: Instant, heard: &mut Vec<(u32, Advertisement)>) -> bool {
        for _ in 0..TURN {
            match self.socket.receive() {
                Ok(Some(Received { index, advertisement: Some(advertisement), .. })) => {
                    heard.push((index, advertisement));
                }
                Ok(Some(Received { index, source, .. })) => self.solicited(now, index, source),
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(error) => {
                    self.report(now, &format!("router solicitations and advertisements: {error}"));
                    return true;
                }
            }
        }
        false
    }

    fn solicited(&mut self, now: Instant, index: u32, source: Ipv6Addr) {
        let links = &self.links;
        let Some(&id) = links.get(&(index, None)).or_else(|| links.get(&(index, Some(source)))) else {
            return;
        };
        let random = self.random();
        let Some(session) = self.sessions.get_mut(&id) else { return };
        self.due.remove(&(session.timing.due(), id));
        session.timing.solicited(now, random);
        self.due.insert((session.timing.due(), id));
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Sends what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(&(due, id)) = self.due.first()
            && due <= now
        {
            self.due.pop_first();
            let random = self.random();
            let Some(session) = self.sessions.get_mut(&id) else { continue };
            session.timing.sent(now, random);
            self.due.insert((session.timing.due(), id));
            let (link, packet) = (session.link, session.advertisement.build());
            if let Err(error) = self.send_bytes(link, &packet) {
                self.report(now, &format!("router advertisement to session {id}: {error}"));
            }
        }
    }

    /// Asks the router at an interface to advertise (RFC 4861 §6.3.7).
    ///
    /// Errors: the interface has no address yet, or has gone.
    pub fn solicit(&self, index: u32) -> io::Result<()> {
        self.socket.send(&message::solicitation(), SocketAddrV6::new(ALL_ROUTERS, 0, 0, index))
    }

    fn send(&self, link: Link, advertisement: &Advertisement) -> io::Result<()> {
        self.send_bytes(link, &advertisement.build())
    }

    fn send_bytes(&self, link: Link, packet: &[u8]) -> io::Result<()> {
        let to = link.peer.unwrap_or(ALL_NODES);
        self.socket.send(packet, SocketAddrV6::new(to, 0, 0, link.index))
    }

    fn report(&mut self, now: Instant, what: &str) {
        if now >= self.quiet_until {
            warn!("{what}");
            self.quiet_until = now + QUIET;
        }
    }

    /// Spreads sessions in time (splitmix64); nothing else depends on it.
    fn random(&mut self) -> u32 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ self.random >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        ((mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb) >> 32) as u32
    }
}
