//! What the module's C files are answered, in user space: here is what they would tell.

extern crate std;

use core::cell::RefCell;
use core::ffi::c_void;
use core::slice;
use std::string::String;

/// Writes one test per row, which calls `run` with the row.
macro_rules! rows {
    ($run:ident: $($name:ident => ($($argument:expr),* $(,)?);)*) => {
        $(#[test] fn $name() { $run($($argument),*); })*
    };
}

mod calls;
mod data;
mod text;

/// States of a socket, `enum ol2tp_socket`.
const NEW: u32 = 0;
const MANAGEMENT: u32 = 1;
const SESSION: u32 = 2;
const DEAD_MANAGEMENT: u32 = 3;
const DEAD_SESSION: u32 = 4;
const CLOSED: u32 = 5;

/// Errors, as the kernel's headers number them.
const ENOENT: i32 = 2;
const ENXIO: i32 = 6;
const EBADF: i32 = 9;
const EFAULT: i32 = 14;
const EBUSY: i32 = 16;
const EEXIST: i32 = 17;
const EINVAL: i32 = 22;
const ENOSYS: i32 = 38;
const EBADR: i32 = 53;
const ENOTSOCK: i32 = 88;
const ENOPROTOOPT: i32 = 92;
const EPROTONOSUPPORT: i32 = 93;
const EOPNOTSUPP: i32 = 95;
const EAFNOSUPPORT: i32 = 97;
const ENOTCONN: i32 = 107;
const EALREADY: i32 = 114;

/// What exists, and what a descriptor is: a `struct pppol2tp_view`. Tunnel 1 has session 5.
struct World {
    descriptor: u32,
    peer_tunnel: u16,
}

impl World {
    fn view(&self) -> *const c_void {
        (&raw const *self).cast()
    }
}

#[unsafe(no_mangle)]
extern "C" fn glue_descriptor(view: *const c_void, fd: i32, _: u16) -> u32 {
    assert_eq!(fd, calls::FD, "what is asked for");
    // SAFETY: tests pass `World::view`.
    unsafe { (*view.cast::<World>()).descriptor }
}

#[unsafe(no_mangle)]
extern "C" fn glue_tunnel(view: *const c_void, tunnel: u16, peer_tunnel: *mut u16) -> bool {
    // SAFETY: tests pass `World::view`, the rules a place for the number.
    unsafe { *peer_tunnel = (*view.cast::<World>()).peer_tunnel };
    tunnel == 1
}

#[unsafe(no_mangle)]
extern "C" fn glue_has_session(_: *const c_void, tunnel: u16, session: u16) -> bool {
    (tunnel, session) == (1, 5)
}

/// `skb` is the datagram's first byte.
#[unsafe(no_mangle)]
extern "C" fn glue_peek(skb: *const c_void, at: u32, out: *mut u8, n: u32) {
    // SAFETY: the rules have checked that the datagram is so long.
    unsafe { skb.cast::<u8>().add(at as usize).copy_to(out, n as usize) };
}

/// A log, or a `struct seq_file`.
type Text = RefCell<String>;

fn write(to: *const c_void, text: *const u8, len: usize) {
    // SAFETY: tests pass a `Text`, the rules so many bytes.
    let (to, text) = unsafe { (&*to.cast::<Text>(), slice::from_raw_parts(text, len)) };
    to.borrow_mut().push_str(core::str::from_utf8(text).expect("text"));
}

#[unsafe(no_mangle)]
extern "C" fn glue_log(who: *const c_void, text: *const u8, len: usize) {
    write(who, text, len);
}

#[unsafe(no_mangle)]
extern "C" fn glue_write(to: *mut c_void, text: *const u8, len: usize) {
    write(to, text, len);
}
