//! What is read: `/proc/net/pppol2tp`, statistics, and lines of the log.

use core::ffi::{CStr, c_char, c_void};
use core::fmt::{self, Write};

use crate::calls::Address;
use crate::data::State;
use crate::debug::DebugMask;
use crate::proc::{self, bucket};
use crate::stats::{self, IOC_STATS_LEN, Rx, Tx};
use crate::{Counters, proc::State as SocketState};

unsafe extern "C" {
    fn glue_write(to: *mut c_void, text: *const u8, len: usize);
}

/// A line of the log.
pub(crate) struct Line {
    bytes: [u8; 120],
    len: usize,
}

impl Line {
    pub(crate) fn new() -> Self {
        Self { bytes: [0; 120], len: 0 }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for (to, from) in self.bytes[self.len..].iter_mut().zip(text.bytes()) {
            *to = from;
            self.len += 1;
        }
        Ok(())
    }
}

/// A `struct seq_file`.
struct Seq(*mut c_void);

impl Write for Seq {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // SAFETY: pointer and length are the text's; the file is the C side's.
        unsafe { glue_write(self.0, text.as_ptr(), text.len()) };
        Ok(())
    }
}

/// A tunnel or a session in the text: `struct ol2tp_shown`.
#[repr(C)]
pub struct Shown {
    pub(crate) stats: Counters,
    pub(crate) peer: Address,
    pub(crate) state: State,
    pub(crate) debug: u32,
    pub(crate) references: u32,
    pub(crate) ids: [u16; 4],
    pub(crate) mtu: u16,
    pub(crate) mru: u16,
    pub(crate) bound: bool,
    pub(crate) interface: *const c_char,
}

/// Writes the heading.
#[unsafe(no_mangle)]
pub extern "C" fn ol2tp_proc_heading(to: *mut c_void) {
    // `Seq` never fails: the file notes by itself that it is full.
    let _ = proc::header(&mut Seq(to));
}

/// Writes a tunnel.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ol2tp_proc_tunnel(to: *mut c_void, shown: *const Shown) {
    // SAFETY: the caller's.
    let shown = unsafe { &*shown };
    let tunnel = proc::Tunnel {
        tunnel_id: shown.ids[0],
        alive: true,
        references: shown.references as usize,
        debug: DebugMask(shown.debug),
        stats: &shown.stats.stats(),
    };
    let _ = proc::tunnel(&mut Seq(to), &tunnel);
}

/// Writes a session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ol2tp_proc_session(to: *mut c_void, shown: *const Shown) {
    // SAFETY: the caller's; the interface's name ends with 0 if there is one.
    let (shown, interface) = unsafe {
        let shown = &*shown;
        (shown, (!shown.interface.is_null()).then(|| CStr::from_ptr(shown.interface)))
    };
    let [tunnel_id, session_id, peer_tunnel_id, peer_session_id] = shown.ids;
    let session = proc::Session {
        tunnel_id,
        session_id,
        peer_tunnel_id,
        peer_session_id,
        peer: (&shown.peer).into(),
        state: if shown.bound { SocketState::Bound } else { SocketState::Connected },
        mtu: shown.mtu,
        mru: shown.mru,
        recv_seq: shown.state.recv_seq != 0,
        send_seq: shown.state.send_seq != 0,
        lns_mode: shown.state.lns_mode != 0,
        debug: DebugMask(shown.debug),
        reorder_timeout: shown.state.reorder_timeout as u32,
        nr: shown.state.nr,
        ns: shown.state.ns,
        stats: &shown.stats.stats(),
        interface: interface.and_then(|name| name.to_str().ok()),
    };
    let _ = proc::session(&mut Seq(to), &session);
}

/// In which of 16 places of the text a session stands.
#[unsafe(no_mangle)]
pub extern "C" fn ol2tp_bucket(session: u16) -> u32 {
    bucket(session).into()
}

/// `struct pppol2tp_ioc_stats`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ol2tp_ioc_stats(
    tunnel: u16,
    session: u16,
    counters: *const Counters,
    out: *mut [u8; IOC_STATS_LEN],
) {
    // SAFETY: the caller's.
    unsafe { *out = stats::ioc_stats(tunnel, session, false, &(*counters).stats()) };
}

/// Adds to a tunnel's counters those of a session of its.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ol2tp_add_session(tunnel: *mut Counters, session: *const Counters) {
    // SAFETY: the caller's.
    let (tunnel, session) = unsafe { (&mut *tunnel, &*session) };
    let mut sum = tunnel.stats();
    sum.add_session(&session.stats());
    let (rx, tx): ([u64; Rx::COUNT], [u64; Tx::COUNT]) = (sum.rx, sum.tx);
    (tunnel.rx, tunnel.tx) = (rx, tx);
}
