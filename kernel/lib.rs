//! The rules of the kernel module: what the C files of this directory ask, and the answers of `l2tp-data`, whose
//! modules are included here unchanged.
//!
//! The C side owns sockets, buffers, locks, timers and memory; `rules.h` is this file seen from there. Every
//! `unsafe` here is a pointer of the C side's: valid for the call, aligned, and, if it is mutable, nobody else's
//! meanwhile, because the C side holds the lock that `rules.h` names.
#![no_std]
#![allow(clippy::missing_safety_doc)]

#[path = "../crates/l2tp-data/src/debug.rs"]
#[allow(dead_code)]
mod debug;
#[path = "../crates/l2tp-data/src/frame.rs"]
#[allow(dead_code)]
mod frame;
#[path = "../crates/l2tp-data/src/header.rs"]
#[allow(dead_code)]
mod header;
#[path = "../crates/l2tp-data/src/id.rs"]
#[allow(dead_code)]
mod id;
#[path = "../crates/l2tp-data/src/proc.rs"]
#[allow(dead_code)]
mod proc;
#[path = "../crates/l2tp-data/src/reorder.rs"]
#[allow(dead_code)]
mod reorder;
#[path = "../crates/l2tp-data/src/rules/mod.rs"]
#[allow(dead_code, unused_imports)]
mod rules;
#[path = "../crates/l2tp-data/src/session.rs"]
#[allow(dead_code)]
mod session;
#[path = "../crates/l2tp-data/src/stats.rs"]
#[allow(dead_code)]
mod stats;

mod calls;
mod data;
#[cfg(test)]
mod tests;
mod text;

use core::ffi::c_void;

use debug::{DebugMask, Message};
use reorder::Reorder;
use session::{Receive, SendSeq, Sink, Transmit};
use stats::{Count, Rx, Stats, Tx};

unsafe extern "C" {
    fn glue_log(who: *const c_void, text: *const u8, len: usize);
    #[cfg(not(test))]
    fn glue_panic(file: *const u8, len: usize, line: u32) -> !;
}

/// A session's state: `struct ol2tp_session`. Its halves have a lock each.
pub struct Session {
    receive: Receive,
    transmit: Transmit,
    send_seq: SendSeq,
}

/// The counters of one CPU: `struct ol2tp_counters`.
#[repr(C)]
#[cfg_attr(test, derive(Default))]
pub struct Counters {
    rx: [u64; Rx::COUNT],
    tx: [u64; Tx::COUNT],
}

// What rules.h says of sizes and numbers.
const _: () = {
    assert!(size_of::<Session>() <= 8 * 8 && align_of::<Session>() <= 8);
    assert!(size_of::<Reorder>() <= 200 * 8 && align_of::<Reorder>() <= 8);
    assert!(reorder::FRAMES == 64 && header::MAX == 12 && header::HEAD == 14);
    assert!(Rx::COUNT == 18 && Tx::COUNT == 7);
    assert!(Rx::BadInner as u8 == 14 && Rx::QueueFull as u8 == 16);
    assert!(rules::SOCKADDR_IN6_LEN == 50 && stats::IOC_STATS_LEN == 72);
};

impl Counters {
    fn stats(&self) -> Stats {
        Stats { rx: self.rx, tx: self.tx }
    }
}

/// Where a session counts, on this CPU, and who it is in the log.
struct Here {
    counters: *mut Counters,
    mask: DebugMask,
    who: *const c_void,
}

impl Count<Rx> for Here {
    #[inline]
    fn add(&self, counter: Rx, n: u64) {
        // SAFETY: this CPU's counters, which only it writes, with bottom halves off.
        unsafe { (*self.counters).rx[counter as usize] += n };
    }
}

impl Count<Tx> for Here {
    #[inline]
    fn add(&self, counter: Tx, n: u64) {
        // SAFETY: as above.
        unsafe { (*self.counters).tx[counter as usize] += n };
    }
}

impl Sink for Here {
    #[inline]
    fn mask(&self) -> DebugMask {
        self.mask
    }

    #[cold]
    fn debug(&self, message: Message) {
        let mut line = text::Line::new();
        // A message that is too long is cut.
        let _ = core::fmt::write(&mut line, format_args!("{message}"));
        // SAFETY: pointer and length are the line's.
        unsafe { glue_log(self.who, line.bytes().as_ptr(), line.bytes().len()) };
    }
}

#[cfg(not(test))]
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    let (file, line) = info.location().map_or(("", 0), |location| (location.file(), location.line()));
    // SAFETY: pointer and length are the name's.
    unsafe { glue_panic(file.as_ptr(), file.len(), line) }
}
