//! Many packets of an interface in one system call.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use crate::sys::{MANY, Ring};

use super::vnet;

/// Room for the largest packet behind its header. Not a multiple of a page: small packets would contend for the
/// same lines of the cache.
const ROOM: usize = (1 << 16) + 128;
const _: () = assert!(ROOM >= vnet::LEN + u16::MAX as usize);

/// A ring, and room for what is read by it, of which a page each is used as long as packets are small.
pub(super) struct Reads {
    ring: Ring,
    buffers: Box<[u8]>,
}

/// What came of a call.
#[derive(Clone, Copy)]
pub(super) struct Caught {
    /// Bytes of each packet; 0: there was none.
    lengths: [usize; MANY],
    /// Something was read each time: there may be more.
    pub(super) all: bool,
    /// The interface has gone, or the kernel cannot do this: the error.
    pub(super) error: Option<i32>,
}

impl Reads {
    /// Of the thread that this is called in.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { ring: Ring::new()?, buffers: vec![0; MANY * ROOM].into() })
    }

    /// Reads up to so many packets, at most [`MANY`].
    ///
    /// Errors: the ring is of no use any more.
    pub(super) fn read(&mut self, tun: &File, wanted: usize) -> (Caught, io::Result<()>) {
        let mut caught = Caught { lengths: [0; MANY], all: true, error: None };
        let buffers = self.buffers.chunks_exact_mut(ROOM).take(wanted);
        let result = self.ring.read(tun.as_fd(), buffers, |n, read| match read {
            Ok(length) => caught.lengths[n] = length,
            Err(error) => {
                caught.all = false;
                let code = error.raw_os_error().filter(|code| ![libc::EAGAIN, libc::EINTR].contains(code));
                caught.error = caught.error.or(code);
            }
        });
        (caught, result)
    }

    /// The packets of a call, in order, behind their headers.
    pub(super) fn packets(&self, caught: &Caught) -> impl Iterator<Item = &[u8]> {
        let each = self.buffers.chunks_exact(ROOM).zip(caught.lengths);
        each.filter(|(_, length)| *length > 0).map(|(buffer, length)| &buffer[..length])
    }
}
