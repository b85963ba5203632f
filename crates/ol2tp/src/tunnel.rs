//! A tunnel between the two namespaces of a bed: an [`End`] in each.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use crate::bed::{self, Bed};
use crate::end::End;
use crate::exit::Result;
use crate::load;
use crate::output::Progress;

/// Options of ends that leave their frames to threads in user space.
pub const ORDINARY: [&str; 2] = ["--fast", "off"];
/// Options of ends that have the kernel move them if it can, and know that of each other.
pub const FAST: [&str; 3] = ["--fast", "auto", "--peer-fast"];

/// Both ends of a tunnel with one session.
#[derive(Debug)]
pub struct Tunnel {
    /// The end in the left namespace.
    pub left: End,
    /// The end in the right namespace.
    pub right: End,
    number: u8,
}

impl Tunnel {
    /// Starts both ends, over IPv4. Tunnels of one bed have different numbers, which set their ports, ids and
    /// inner addresses; `options` go to both ends.
    pub fn start(bed: &Bed, program: &Path, number: u8, options: &[&str]) -> Result<Self> {
        Self::start_over(direct(bed), program, number, options)
    }

    /// The same over this way.
    pub fn start_over(over: load::Path<'_>, program: &Path, number: u8, options: &[&str]) -> Result<Self> {
        let port = 1701 + u16::from(number);
        let end = |left: bool| {
            let load::Path { from: space, source: local, target: peer, .. } =
                if left { over } else { over.back() };
            let [local, peer] = [local, peer].map(|address| SocketAddr::new(address, port));
            let (id, peer_id) = if left { (1, 2) } else { (2, 1) };
            let mut arguments = vec!["static".to_owned()];
            for (name, value) in [
                ("--local", local.to_string()),
                ("--peer", peer.to_string()),
                ("--tunnel", format!("{id}:{peer_id}")),
                ("--session", format!("{id}:{peer_id}")),
                ("--address", inner(number, left).to_string()),
                ("--peer-address", inner(number, !left).to_string()),
                ("--address", inner6(number, left).to_string()),
                ("--peer-address", inner6(number, !left).to_string()),
            ] {
                arguments.extend([name.to_owned(), value]);
            }
            arguments.extend(options.iter().map(|option| (*option).to_owned()));
            End::start(space, program, &arguments)
        };
        Ok(Self { left: end(true)?, right: end(false)?, number })
    }

    /// Starts both ends by the fast path. `None`, and a word why: there is none here.
    pub fn start_fast(
        over: load::Path<'_>,
        program: &Path,
        number: u8,
        options: &[&str],
        progress: &Progress,
    ) -> Result<Option<Self>> {
        let mut tunnel = Self::start_over(over, program, number, &[&FAST, options].concat())?;
        let ends = [tunnel.left.fast()?, tunnel.right.fast()?];
        match ends.iter().find(|fast| *fast != "on") {
            None => Ok(Some(tunnel)),
            Some(why) => {
                progress.say(format_args!("no fast path here: {why}"));
                tunnel.stop().map(|()| None)
            }
        }
    }

    /// The way from left to right through the tunnel.
    pub fn path<'a>(&self, bed: &'a Bed) -> load::Path<'a> {
        let [source, target] = [true, false].map(|left| inner(self.number, left));
        load::Path { from: &bed.left, to: &bed.right, source, target }
    }

    /// The same by IPv6.
    pub fn path6<'a>(&self, bed: &'a Bed) -> load::Path<'a> {
        let [source, target] = [true, false].map(|left| inner6(self.number, left));
        load::Path { source, target, ..self.path(bed) }
    }

    /// The right end's inner addresses.
    pub fn targets(&self) -> [IpAddr; 2] {
        [inner(self.number, false), inner6(self.number, false)]
    }

    /// Counters of either end that tell of lost frames and are not 0, as `left rx_errors 3`.
    pub fn errors(&mut self) -> Result<Vec<String>> {
        let mut errors = self.left.errors("left")?;
        errors.extend(self.right.errors("right")?);
        Ok(errors)
    }

    /// Ends both ends in good order.
    pub fn stop(self) -> Result<()> {
        self.left.stop()?;
        self.right.stop()
    }
}

/// The way from left to right over the bare veth.
pub fn direct(bed: &Bed) -> load::Path<'_> {
    load::Path { from: &bed.left, to: &bed.right, source: bed::LEFT.into(), target: bed::RIGHT.into() }
}

/// The same by IPv6.
pub fn direct6(bed: &Bed) -> load::Path<'_> {
    load::Path { source: bed::LEFT6.into(), target: bed::RIGHT6.into(), ..direct(bed) }
}

fn inner(number: u8, left: bool) -> IpAddr {
    Ipv4Addr::new(10, 64, number, if left { 1 } else { 2 }).into()
}

fn inner6(number: u8, left: bool) -> IpAddr {
    Ipv6Addr::new(0xfd64, 0, 0, number.into(), 0, 0, 0, if left { 1 } else { 2 }).into()
}
