//! Many writes in one system call, by io_uring.
//!
//! The descriptors do not block, so the kernel makes each write before the call returns, in order.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use io_uring::{IoUring, opcode, types};

/// The most writes of a call.
pub(crate) const WRITES: usize = 64;

/// A ring for writes. Only the thread that has made it can use it.
pub(crate) struct Ring(IoUring);

impl Ring {
    /// A ring.
    ///
    /// Errors: the kernel has no io_uring, one from before Linux 6.1, or lets nobody use it.
    pub(crate) fn new() -> io::Result<Self> {
        let ring = IoUring::builder().setup_single_issuer().setup_defer_taskrun().build(WRITES as u32);
        ring.map(Self)
    }

    /// Makes the writes, at most [`WRITES`], in order. `done` is told of each that was made: which, and
    /// the error if it failed.
    ///
    /// Errors: those of which `done` was not told are not made; the ring is of no use any more.
    pub(crate) fn write<'a>(
        &mut self,
        writes: impl Iterator<Item = (BorrowedFd<'a>, &'a [u8])>,
        mut done: impl FnMut(usize, Option<io::Error>),
    ) -> io::Result<()> {
        let mut count = 0;
        for (fd, bytes) in writes.take(WRITES) {
            let write = opcode::Write::new(types::Fd(fd.as_raw_fd()), bytes.as_ptr(), bytes.len() as u32);
            // SAFETY: the borrows keep descriptor and bytes until this returns, and that is when all writes are
            // made, or, after an error, the ring is not entered any more.
            let pushed = unsafe { self.0.submission().push(&write.build().user_data(count)) };
            pushed.map_err(io::Error::other)?;
            count += 1;
        }
        let mut made = 0;
        while made < count {
            match self.0.submit_and_wait((count - made) as usize) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for result in self.0.completion() {
                let failed = (result.result() < 0).then(|| io::Error::from_raw_os_error(-result.result()));
                done(result.user_data() as usize, failed);
                made += 1;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn writes_are_made_in_order_and_errors_are_told() {
        let mut ring = Ring::new().expect("io_uring, which a container may forbid");
        let (mut reader, writer) = io::pipe().expect("a pipe");
        let (closed, pipe) = io::pipe().expect("a pipe");
        drop(closed);
        for round in 0..3u8 {
            let bytes: Vec<_> = (0..WRITES as u8).map(|n| [n, round]).collect();
            let mut failed = Vec::new();
            let writes = bytes.iter().map(|bytes| match bytes[0] {
                7 => (pipe.as_fd(), &bytes[..]),
                _ => (writer.as_fd(), &bytes[..]),
            });
            let told = |n, error: Option<io::Error>| failed.extend(error.map(|error| (n, error.kind())));
            ring.write(writes, told).expect("written");
            assert_eq!(failed, [(7, io::ErrorKind::BrokenPipe)]);
            let mut read = [[0; 2]; WRITES - 1];
            reader.read_exact(read.as_flattened_mut()).expect("what was written");
            assert!(read.iter().eq(bytes.iter().filter(|bytes| bytes[0] != 7)));
        }
    }
}
