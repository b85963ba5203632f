//! A bare TUN interface: packets of a server's loads, written to it or read from it one by one, on the server's core.
//! That is the most that a program can do which makes a system call for each of them, if it does nothing else.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::panic::resume_unwind;
use std::thread;
use std::time::Instant;

use nix::net::if_::if_nametoindex;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use pppol2tp::Prefix;
use pppol2tp::netlink::Netlink;

use super::setup::{Cores, FIRST, LOCAL, POOL};
use crate::bed::Space;
use crate::exit::{Doing, Failure, Result};
use crate::flood::{self, Flood};
use crate::interrupt::Interrupt;
use crate::load::Window;

/// Packets between two looks at the clock.
const TURN: u64 = 64;
/// How long a read waits for a packet, in milliseconds.
const PATIENCE: u16 = 10;
/// The largest packet.
const LARGEST: usize = 1500;

/// The interface, in a namespace of its own, with the addresses and routes of a server's.
#[derive(Debug)]
pub struct BareTun {
    space: Space,
    tun: File,
}

impl BareTun {
    /// Makes it.
    pub fn new() -> Result<Self> {
        let space = Space::new().doing("making a network namespace")?;
        let make = || {
            let (tun, name) = pppol2tp::open_tun("bare%d", false)?;
            let (netlink, index) = (Netlink::open()?, if_nametoindex(name.as_str())?);
            netlink.add_address(index, Prefix::host(LOCAL.into()), None)?;
            netlink.set_up(index, true)?;
            netlink.add_route(index, POOL)?;
            Ok(tun)
        };
        let tun = space.enter(make).doing("a bare TUN interface")?;
        Ok(Self { space, tun })
    }

    /// Packets of `length` bytes a second, written as they come out of so many sessions.
    ///
    /// Errors: interrupted, or nothing gets through.
    pub fn write(
        &self,
        length: usize,
        sessions: usize,
        window: Window,
        cores: &Cores,
        interrupt: &Interrupt,
    ) -> Result<f64> {
        let packets = flood::packets(&addresses(sessions), length);
        let mut packets = packets.iter().cycle();
        let one = move || (&self.tun).write(packets.next().map_or(&[], Vec::as_slice)).map(|_| 1);
        measure(one, window, cores, interrupt)
    }

    /// The same, read as they go to so many sessions.
    pub fn read(
        &self,
        length: usize,
        sessions: usize,
        window: Window,
        cores: &Cores,
        interrupt: &Interrupt,
    ) -> Result<f64> {
        let flood = Flood::to(&self.space, &addresses(sessions), length).doing("frames")?;
        let mut buffer = [0; LARGEST];
        let one = || match (&self.tun).read(&mut buffer) {
            Ok(read) => Ok(u64::from(read == length)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                poll(&mut [PollFd::new(self.tun.as_fd(), PollFlags::POLLIN)], PollTimeout::from(PATIENCE))?;
                Ok(0)
            }
            Err(error) => Err(error),
        };
        let measured = measure(one, window, cores, interrupt);
        drop(flood);
        measured
    }
}

/// How many `one` moves a second, in a thread on the server's core.
fn measure(
    mut one: impl FnMut() -> io::Result<u64> + Send,
    window: Window,
    cores: &Cores,
    interrupt: &Interrupt,
) -> Result<f64> {
    let work = || {
        cores.server()?;
        let mut moved = |time| {
            let (start, mut moved) = (Instant::now(), 0);
            while start.elapsed() < time {
                for _ in 0..TURN {
                    moved += one()?;
                }
            }
            io::Result::Ok(moved as f64 / start.elapsed().as_secs_f64())
        };
        moved(window.ramp).and_then(|_| moved(window.length)).doing("a bare TUN interface")
    };
    let frames_s =
        thread::scope(|scope| scope.spawn(work).join().unwrap_or_else(|panic| resume_unwind(panic)))?;
    interrupt.check()?;
    if frames_s > 0.0 { Ok(frames_s) } else { Err(Failure::new("nothing came through a bare TUN interface")) }
}

/// What a server assigns.
fn addresses(sessions: usize) -> Vec<Ipv4Addr> {
    let first = u32::from(FIRST);
    (first..).take(sessions).map(Ipv4Addr::from).collect()
}
