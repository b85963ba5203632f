//! The system calls on PPPoX sockets whose addresses and memory no safe library lets be wrong.

use std::ffi::c_void;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use libc::{c_int, socklen_t};

fn check(result: c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// `connect` with an address of any length.
pub(crate) fn connect(fd: BorrowedFd<'_>, address: &[u8]) -> io::Result<()> {
    // SAFETY: pointer and length describe `address`, which the kernel only reads.
    check(unsafe { libc::connect(fd.as_raw_fd(), address.as_ptr().cast(), address.len() as socklen_t) })
}

/// `getsockname`, or `getpeername`.
pub(crate) fn name(fd: BorrowedFd<'_>, peer: bool) -> io::Result<Vec<u8>> {
    let call = if peer { libc::getpeername } else { libc::getsockname };
    let mut name = vec![0; size_of::<libc::sockaddr_storage>()];
    let mut len = name.len() as socklen_t;
    // SAFETY: the kernel writes at most `len` bytes, which is how long `name` is.
    check(unsafe { call(fd.as_raw_fd(), name.as_mut_ptr().cast(), &raw mut len) })?;
    name.truncate(len as usize);
    Ok(name)
}

/// `setsockopt`; `None` is a null pointer.
pub(crate) fn set(fd: BorrowedFd<'_>, level: c_int, name: c_int, value: Option<&[u8]>) -> io::Result<()> {
    let (pointer, len) =
        value.map_or((ptr::null(), size_of::<c_int>()), |value| (value.as_ptr(), value.len()));
    // SAFETY: pointer and length describe `value`, which the kernel only reads; a null pointer it refuses.
    check(unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, pointer.cast(), len as socklen_t) })
}

/// `getsockopt`: how many bytes; `None` is two null pointers.
pub(crate) fn get(
    fd: BorrowedFd<'_>,
    level: c_int,
    name: c_int,
    value: Option<&mut [u8]>,
) -> io::Result<usize> {
    let mut len = value.as_ref().map_or(0, |value| value.len() as socklen_t);
    let (value, room) =
        value.map_or((ptr::null_mut(), ptr::null_mut()), |value| (value.as_mut_ptr(), &raw mut len));
    // SAFETY: the kernel writes at most `len` bytes, which is how long `value` is; null pointers it refuses.
    check(unsafe { libc::getsockopt(fd.as_raw_fd(), level, name, value.cast(), room) })?;
    Ok(len as usize)
}

/// `recvmsg` without waiting: how many bytes, and MSG_TRUNC.
pub(crate) fn recv(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<(usize, bool)> {
    let mut vector = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: all-zero bytes are a valid `msghdr`: integers and null pointers.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    (message.msg_iov, message.msg_iovlen) = (&raw mut vector, 1);
    // SAFETY: the one vector describes `buffer`, which nothing else touches.
    let len = unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut message, libc::MSG_DONTWAIT) };
    let len = usize::try_from(len).map_err(|_| io::Error::last_os_error())?;
    Ok((len, message.msg_flags & libc::MSG_TRUNC != 0))
}

/// `ioctl`; behind the memory lies nothing that can be read or written, and `None` is a null pointer.
pub(crate) fn ioctl(fd: BorrowedFd<'_>, request: u32, memory: Option<&mut [u8]>) -> io::Result<()> {
    let Some(memory) = memory else {
        // SAFETY: the kernel refuses a null pointer.
        return check(unsafe { libc::ioctl(fd.as_raw_fd(), request as _, ptr::null_mut::<c_void>()) });
    };
    let edge = Edge::new(memory.len())?;
    // SAFETY: `edge.at` leads to as many bytes of a mapping that is nobody else's.
    unsafe { ptr::copy_nonoverlapping(memory.as_ptr(), edge.at, memory.len()) };
    // SAFETY: whatever the request reads and writes is inside the mapping, or refused by the kernel behind it.
    let result = check(unsafe { libc::ioctl(fd.as_raw_fd(), request as _, edge.at) });
    // SAFETY: as when it was written.
    unsafe { ptr::copy_nonoverlapping(edge.at, memory.as_mut_ptr(), memory.len()) };
    result
}

/// Memory at the edge of what may be touched.
struct Edge {
    mapping: *mut c_void,
    at: *mut u8,
}

const PAGE: usize = 4096;

impl Edge {
    /// This many bytes, at most a page.
    fn new(len: usize) -> io::Result<Self> {
        assert!(len <= PAGE, "{len} bytes are more than a page");
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a new mapping anywhere touches no memory that is in use.
        let mapping = unsafe {
            libc::mmap(ptr::null_mut(), 2 * PAGE, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)
        };
        if mapping == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let end = mapping.wrapping_byte_add(PAGE);
        let edge = Self { mapping, at: end.wrapping_byte_sub(len).cast() };
        // SAFETY: the second page of our own mapping, which nothing refers to.
        check(unsafe { libc::mprotect(end, PAGE, libc::PROT_NONE) }).map(|()| edge)
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        // SAFETY: our own mapping, and `at` is used no more.
        unsafe { libc::munmap(self.mapping, 2 * PAGE) };
    }
}
