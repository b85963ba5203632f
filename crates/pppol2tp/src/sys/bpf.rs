//! Memory that the kernel's BPF programs share with us.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, AtomicU64};

use pppol2tp_bpf::layout::{Counters, Session};

/// A value of a map: the kernel copies it as bytes.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Value<T>(pub(crate) T);

// SAFETY: integers and arrays of them in C's layout, without padding (a test of the layout says so).
unsafe impl aya::Pod for Value<Session> {}
// SAFETY: the same.
unsafe impl aya::Pod for Value<Counters> {}

/// A map that both sides look at: an array with BPF_F_MMAPABLE.
pub(crate) struct Shared {
    at: NonNull<u8>,
    len: usize,
}

// SAFETY: the memory is only accessed by atomics.
unsafe impl Send for Shared {}
// SAFETY: the same.
unsafe impl Sync for Shared {}

impl Shared {
    /// Maps the first `len` bytes of a map.
    pub(crate) fn new(map: BorrowedFd<'_>, len: usize) -> io::Result<Self> {
        let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
        // SAFETY: the kernel chooses a free place; nothing that is there changes.
        let at = unsafe { libc::mmap(ptr::null_mut(), len, access, kind, map.as_raw_fd(), 0) };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let at = NonNull::new(at.cast()).ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Self { at, len })
    }

    fn place(&self, offset: usize, size: usize) -> NonNull<u8> {
        assert!(offset.is_multiple_of(size) && offset + size <= self.len, "within the map");
        // SAFETY: within the mapping, as has just been said.
        unsafe { self.at.add(offset) }
    }

    /// The number at so many bytes.
    pub(crate) fn u32(&self, offset: usize) -> &AtomicU32 {
        // SAFETY: within the mapping, which lives as long as `self`, and aligned.
        unsafe { AtomicU32::from_ptr(self.place(offset, 4).cast().as_ptr()) }
    }

    /// See [`Shared::u32`].
    pub(crate) fn u64(&self, offset: usize) -> &AtomicU64 {
        // SAFETY: within the mapping, which lives as long as `self`, and aligned.
        unsafe { AtomicU64::from_ptr(self.place(offset, 8).cast().as_ptr()) }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: it was mapped so, and nobody has a reference into it any more.
        let _ = unsafe { libc::munmap(self.at.as_ptr().cast(), self.len) };
    }
}
