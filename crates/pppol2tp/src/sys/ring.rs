//! Many writes in one system call: the part of io_uring that this takes.
//!
//! ```text
//!   entries (what to write) ─ tail ─► io_uring_enter, which makes the writes ─ tail ─► results
//! ```
//!
//! The descriptors do not block, so the kernel makes each write before it returns, in order.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use libc::{c_int, c_long};

use super::check;

/// The most writes of a call.
pub(crate) const WRITES: usize = 64;

/// IORING_SETUP_SINGLE_ISSUER and IORING_SETUP_DEFER_TASKRUN: one thread uses the ring (Linux 6.1).
const FLAGS: u32 = 1 << 12 | 1 << 13;
/// IORING_FEAT_SINGLE_MMAP
const SINGLE_MMAP: u32 = 1;
/// IORING_OFF_SQES
const ENTRIES: libc::off_t = 0x1000_0000;
/// IORING_ENTER_GETEVENTS
const GET_EVENTS: u32 = 1;
/// IORING_OP_WRITE
const WRITE: u8 = 23;

/// `struct io_sqring_offsets` and `struct io_cqring_offsets`: where fields are in what is mapped.
#[repr(C)]
#[derive(Default)]
struct Offsets {
    head: u32,
    tail: u32,
    mask: u32,
    entries: u32,
    flags: u32,
    /// Of the results; of the entries the count of dropped ones.
    results: u32,
    /// Of the entries, the places in the order they are to be taken.
    array: u32,
    reserved: u32,
    address: u64,
}

/// `struct io_uring_params`
#[repr(C)]
#[derive(Default)]
struct Params {
    entries: u32,
    results: u32,
    flags: u32,
    thread: [u32; 2],
    features: u32,
    reserved: [u32; 4],
    submission: Offsets,
    completion: Offsets,
}

/// `struct io_uring_sqe`
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Entry {
    opcode: u8,
    flags: u8,
    priority: u16,
    fd: c_int,
    offset: u64,
    address: u64,
    len: u32,
    write_flags: u32,
    tag: u64,
    reserved: [u64; 3],
}

/// `struct io_uring_cqe`
#[repr(C)]
#[derive(Clone, Copy)]
struct Done {
    tag: u64,
    result: i32,
    flags: u32,
}

/// Memory shared with the kernel.
struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

impl Mapping {
    fn new(ring: &OwnedFd, len: usize, offset: libc::off_t) -> io::Result<Self> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let how = libc::MAP_SHARED | libc::MAP_POPULATE;
        // SAFETY: a new mapping at a place that the kernel chooses touches no memory of ours.
        let start = unsafe { libc::mmap(ptr::null_mut(), len, access, how, ring.as_raw_fd(), offset) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or_else(|| io::Error::other("mapped at 0"))?;
        Ok(Self { start, len })
    }

    /// The place of a field; an error if it is not inside.
    fn at<T>(&self, offset: u32, count: usize) -> io::Result<NonNull<T>> {
        let offset = offset as usize;
        if !offset.is_multiple_of(align_of::<T>()) || offset + count * size_of::<T>() > self.len {
            return Err(io::Error::other("io_uring: a field outside of what is mapped"));
        }
        // SAFETY: it is inside, as was just found.
        Ok(unsafe { self.start.add(offset) }.cast())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: it was mapped with this length, and whoever has pointers into it goes with it.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

/// A ring for writes. Only the thread that has made it can use it.
pub(crate) struct Ring {
    ring: OwnedFd,
    tail: NonNull<AtomicU32>,
    entries: NonNull<Entry>,
    array: NonNull<u32>,
    mask: u32,
    done_head: NonNull<AtomicU32>,
    done_tail: NonNull<AtomicU32>,
    results: NonNull<Done>,
    done_mask: u32,
    _mappings: [Mapping; 2],
}

// SAFETY: its pointers lead to what its own mappings hold, and nobody else has them.
unsafe impl Send for Ring {}

impl Ring {
    /// A ring.
    ///
    /// Errors: the kernel has no io_uring, an older one, or lets nobody use it.
    pub(crate) fn new() -> io::Result<Self> {
        let mut params = Params { flags: FLAGS, ..Params::default() };
        // SAFETY: the kernel reads and writes `params`, which has the size it has.
        let ring = unsafe { libc::syscall(libc::SYS_io_uring_setup, WRITES as u32, &raw mut params) };
        let ring = check(ring as c_int)?;
        // SAFETY: the kernel has just made `ring`, so nobody else owns it.
        let ring = unsafe { OwnedFd::from_raw_fd(ring) };
        let Params { entries: count, results, features, submission, completion, .. } = params;
        if features & SINGLE_MMAP == 0 || (count as usize) < WRITES {
            return Err(io::Error::other("an old io_uring"));
        }
        let [count, results] = [count as usize, results as usize];
        let array_end = submission.array as usize + count * size_of::<u32>();
        let results_end = completion.results as usize + results * size_of::<Done>();
        let rings = Mapping::new(&ring, array_end.max(results_end), 0)?;
        let entries = Mapping::new(&ring, count * size_of::<Entry>(), ENTRIES)?;
        Ok(Self {
            tail: rings.at(submission.tail, 1)?,
            entries: entries.at(0, count)?,
            array: rings.at(submission.array, count)?,
            mask: count as u32 - 1,
            done_head: rings.at(completion.head, 1)?,
            done_tail: rings.at(completion.tail, 1)?,
            results: rings.at(completion.results, results)?,
            done_mask: results as u32 - 1,
            ring,
            _mappings: [rings, entries],
        })
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
        // SAFETY: the pointers lead into the mappings, at fields that only this thread writes (`Ring::new`
        // has found them inside, and the mask keeps places inside); the kernel reads an entry only after
        // the tail has passed it, and its bytes before `io_uring_enter` returns.
        let (tail, done_tail, done_head) =
            unsafe { (self.tail.as_ref(), self.done_tail.as_ref(), self.done_head.as_ref()) };
        let start = tail.load(Relaxed);
        let mut count = 0;
        for (fd, bytes) in writes.take(WRITES) {
            let place = start.wrapping_add(count) & self.mask;
            let entry = Entry {
                opcode: WRITE,
                fd: fd.as_raw_fd(),
                address: bytes.as_ptr().addr() as u64,
                len: bytes.len() as u32,
                tag: count.into(),
                ..Entry::default()
            };
            // SAFETY: as above.
            unsafe {
                self.entries.add(place as usize).write(entry);
                self.array.add(place as usize).write(place);
            }
            count += 1;
        }
        tail.store(start.wrapping_add(count), Release);
        let (mut submitted, mut made) = (0, 0);
        while made < count {
            match self.enter(count - submitted, count - made) {
                Ok(taken) => submitted += taken,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            let (mut head, end) = (done_head.load(Relaxed), done_tail.load(Acquire));
            while head != end {
                // SAFETY: as above; the kernel has written it before it moved the tail.
                let Done { tag, result, .. } =
                    unsafe { self.results.add((head & self.done_mask) as usize).read() };
                done(tag as usize, (result < 0).then(|| io::Error::from_raw_os_error(-result)));
                head = head.wrapping_add(1);
                made += 1;
            }
            done_head.store(head, Release);
        }
        Ok(())
    }

    fn enter(&self, submit: u32, wait: u32) -> io::Result<u32> {
        let signals = ptr::null::<libc::sigset_t>();
        // SAFETY: the entries up to the tail describe bytes that `write`'s borrows keep alive.
        let taken = unsafe {
            libc::syscall(
                libc::SYS_io_uring_enter,
                c_long::from(self.ring.as_raw_fd()),
                submit,
                wait,
                GET_EVENTS,
                signals,
                0usize,
            )
        };
        check(taken as c_int).map(|taken| taken as u32)
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
