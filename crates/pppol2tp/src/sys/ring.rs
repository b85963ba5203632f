//! Many writes or reads in one system call, by io_uring.
//!
//! The kernel makes each before the call returns, in order, or not at all: none may wait.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use io_uring::squeue::Flags;
use io_uring::{IoUring, opcode, types};

/// The most writes or reads of a call.
pub(crate) const MANY: usize = 64;

/// A ring for writes or for reads. Only the thread that has made it can use it.
pub(crate) struct Ring(IoUring);

impl Ring {
    /// A ring.
    ///
    /// Errors: the kernel has no io_uring, one from before Linux 6.1, or lets nobody use it.
    pub(crate) fn new() -> io::Result<Self> {
        let mut builder = IoUring::builder();
        let ring =
            builder.setup_single_issuer().setup_defer_taskrun().setup_taskrun_flag().build(MANY as u32);
        ring.map(Self)
    }

    /// Makes the writes, at most [`MANY`], in order. `failed` is told of each that failed: which, and the error;
    /// `EAGAIN` and `EOPNOTSUPP`: the kernel cannot do it without waiting. Returns how many were made, those that failed included; after an error not all, and the ring is of no
    /// use any more.
    pub(crate) fn write<'a>(
        &mut self,
        writes: impl Iterator<Item = (BorrowedFd<'a>, &'a [u8])>,
        mut failed: impl FnMut(usize, io::Error),
    ) -> (usize, io::Result<()>) {
        let mut count = 0;
        for (fd, bytes) in writes.take(MANY) {
            let write = opcode::Write::new(types::Fd(fd.as_raw_fd()), bytes.as_ptr(), bytes.len() as u32);
            let write =
                write.rw_flags(libc::RWF_NOWAIT).build().user_data(count as u64).flags(Flags::SKIP_SUCCESS);
            // SAFETY: the borrows keep descriptor and bytes until this returns. RWF_NOWAIT: each write is made, or has
            // failed, when the kernel has taken it; what it has not taken after an error it never takes, because
            // the ring is not entered any more.
            if let Err(full) = unsafe { self.0.submission().push(&write) } {
                return (0, Err(io::Error::other(full)));
            }
            count += 1;
        }
        let mut made = 0;
        // The kernel says whether failures are still to be told of.
        while made < count || self.0.submission().taskrun() {
            match self.0.submit() {
                Ok(more) => made += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (made, Err(error)),
            }
            for result in self.0.completion() {
                failed(result.user_data() as usize, io::Error::from_raw_os_error(-result.result()));
            }
        }
        (made, Ok(()))
    }

    /// Reads once into each of the buffers, at most [`MANY`], in order. `done` is told of each: which, and how many
    /// bytes it got or the error; `EAGAIN`: there was nothing, `EOPNOTSUPP`: the kernel cannot do it without waiting. After an
    /// error not all were made, and the ring is of no use any more.
    pub(crate) fn read<'a>(
        &mut self,
        fd: BorrowedFd<'_>,
        buffers: impl Iterator<Item = &'a mut [u8]>,
        mut done: impl FnMut(usize, io::Result<usize>),
    ) -> io::Result<()> {
        let mut waiting = 0;
        for buffer in buffers.take(MANY) {
            let read = opcode::Read::new(types::Fd(fd.as_raw_fd()), buffer.as_mut_ptr(), buffer.len() as u32);
            let read = read.rw_flags(libc::RWF_NOWAIT).build().user_data(waiting);
            // SAFETY: the borrows keep descriptor and buffers until this returns. RWF_NOWAIT: each read is made, or has
            // failed, when the kernel has taken it; what it has not taken after an error it never takes, because
            // the ring is not entered any more.
            unsafe { self.0.submission().push(&read) }.map_err(io::Error::other)?;
            waiting += 1;
        }
        while waiting > 0 {
            let submitted = self.0.submit_and_wait(1);
            for result in self.0.completion() {
                let got = usize::try_from(result.result());
                done(
                    result.user_data() as usize,
                    got.map_err(|_| io::Error::from_raw_os_error(-result.result())),
                );
                waiting -= 1;
            }
            match submitted {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
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
            let bytes: Vec<_> = (0..MANY as u8).map(|n| [n, round]).collect();
            let mut failed = Vec::new();
            let writes = bytes.iter().map(|bytes| match bytes[0] {
                7 => (pipe.as_fd(), &bytes[..]),
                _ => (writer.as_fd(), &bytes[..]),
            });
            let (made, result) = ring.write(writes, |n, error| failed.push((n, error.kind())));
            result.expect("written");
            assert_eq!(made, MANY);
            assert_eq!(failed, [(7, io::ErrorKind::BrokenPipe)]);
            let mut read = [[0; 2]; MANY - 1];
            reader.read_exact(read.as_flattened_mut()).expect("what was written");
            assert!(read.iter().eq(bytes.iter().filter(|bytes| bytes[0] != 7)));
        }
    }

    #[test]
    fn reads_are_made_in_order_and_end_where_nothing_is() {
        use nix::fcntl::{FcntlArg, OFlag, fcntl};
        use nix::unistd::pipe2;
        let mut ring = Ring::new().expect("io_uring, which a container may forbid");
        // Each write to it is a packet, and has a page.
        let (reader, writer) = pipe2(OFlag::O_DIRECT | OFlag::O_NONBLOCK).expect("a pipe");
        fcntl(&writer, FcntlArg::F_SETPIPE_SZ(MANY as i32 * 4096)).expect("room in a pipe");
        for round in 0..3u8 {
            let there = MANY as u8 - round;
            for n in 0..there {
                nix::unistd::write(&writer, &[n, round]).expect("written");
            }
            let mut buffers = [[0; 3]; MANY];
            let mut read = Vec::new();
            ring.read(reader.as_fd(), buffers.iter_mut().map(|buffer| &mut buffer[..]), |n, got| {
                read.push((n, got.map_err(|error| error.kind())));
            })
            .expect("read");
            let all =
                (0..MANY).map(|n| (n, if n < there.into() { Ok(2) } else { Err(io::ErrorKind::WouldBlock) }));
            assert!(read.into_iter().eq(all));
            for n in 0..there {
                assert_eq!(buffers[usize::from(n)], [n, round, 0]);
            }
        }
    }
}
