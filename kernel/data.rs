//! The data path: what a datagram is, what becomes of a message, and the header of one that is sent.

use core::ffi::c_void;
use core::slice;

use crate::debug::DebugMask;
use crate::frame::{self, Frame};
use crate::header::{self, Datagram, Malformed};
use crate::reorder::Reorder;
use crate::session::{Receive, SendSeq, Transmit, Verdict, discard};
use crate::stats::{Count, Rx, Tx};
use crate::{Counters, Here, Session};

unsafe extern "C" {
    /// Copies `n` bytes of a datagram, from `at` on. There are so many.
    fn glue_peek(skb: *const c_void, at: u32, out: *mut u8, n: u32);
}

/// A data message on its way in: `struct ol2tp_receive`.
#[repr(C)]
pub struct Received {
    pub(crate) session: *mut Session,
    /// Null where nothing is reordered.
    pub(crate) queue: *mut Reorder,
    pub(crate) counters: *mut Counters,
    pub(crate) who: *const c_void,
    pub(crate) skb: *const c_void,
    pub(crate) head: *const u8,
    pub(crate) now: u64,
    pub(crate) mask: u32,
    pub(crate) head_len: u32,
    pub(crate) len: u32,
    /// Out: where the frame is in the datagram, its length, and the slot that holds it.
    pub(crate) frame: u32,
    pub(crate) frame_len: u32,
    pub(crate) slot: u32,
}

pub(crate) const PASS_UP: i32 = 0;
pub(crate) const DATA: i32 = 1;

pub(crate) const DISCARD: i32 = 0;
pub(crate) const DELIVER: i32 = 1;
pub(crate) const HOLD: i32 = 2;

/// Whether a datagram is a data message, and for whom.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ol2tp_classify(head: *const u8, len: u32, ids: *mut [u16; 2]) -> i32 {
    // SAFETY: so many bytes are at hand.
    match Datagram::parse(unsafe { slice::from_raw_parts(head, len as usize) }) {
        Datagram::Data(header) => {
            // SAFETY: the caller's.
            unsafe { *ids = [header.tunnel_id, header.session_id] };
            DATA
        }
        Datagram::Control | Datagram::Short | Datagram::Version(_) => PASS_UP,
    }
}

/// What becomes of a data message of a session. With its receive lock held.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ol2tp_receive(call: *mut Received) -> i32 {
    // SAFETY: the caller's.
    let call = unsafe { &mut *call };
    let sink = Here { counters: call.counters, mask: DebugMask(call.mask), who: call.who };
    match receive(call, &sink) {
        Ok(Verdict::Deliver) => DELIVER,
        Ok(Verdict::Hold(slot)) => {
            call.slot = slot.into();
            HOLD
        }
        Ok(Verdict::Discard) => DISCARD,
        Err(reason) => {
            discard(reason, &sink);
            DISCARD
        }
    }
}

/// The checks of RFC 2661's header and of the frame, in the order of `docs/driver.md` §3.
fn receive(call: &mut Received, sink: &Here) -> Result<Verdict, Rx> {
    // SAFETY: so many bytes are at hand, and the session's receive half is ours by its lock.
    let (head, receive, send_seq, queue): (_, &mut Receive, &SendSeq, _) = unsafe {
        let session = call.session;
        (
            slice::from_raw_parts(call.head, call.head_len as usize),
            &mut (*session).receive,
            &(*session).send_seq,
            call.queue.as_mut(),
        )
    };
    let Datagram::Data(header) = Datagram::parse(head) else { return Ok(Verdict::Discard) };
    let malformed = |malformed| match malformed {
        Malformed::Length => Rx::BadLength,
        Malformed::Sequence => Rx::BadSequence,
        Malformed::Offset => Rx::BadOffset,
    };
    let message = header.message_of(head, call.len as usize).map_err(malformed)?;
    if !receive.admit(message.sequence, send_seq, sink) {
        return Ok(Verdict::Discard);
    }
    let payload = message.payload(head).map_err(malformed)?;
    // FF 03 and one byte more, which is all that `strip` looks at; at hand but behind a long offset.
    let looked_at = payload.start..payload.end.min(payload.start + 3);
    let mut peeked = [0; 3];
    let start = match head.get(looked_at.clone()) {
        Some(start) => start,
        None => {
            let start = &mut peeked[..looked_at.len()];
            // SAFETY: `payload` lies in the datagram.
            unsafe { glue_peek(call.skb, payload.start as u32, start.as_mut_ptr(), start.len() as u32) };
            start
        }
    };
    let skipped = frame::strip(start).map_err(|_| Rx::ShortFrame)?.start;
    call.frame = (payload.start + skipped) as u32;
    call.frame_len = (payload.len() - skipped) as u32;
    Ok(receive.order(message.sequence, message.len, call.now, queue, sink))
}

/// For whoever traces, before the datagram is cut: the message's Ns or −1, and what the session expects next. With the
/// session's receive lock held.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ol2tp_numbers(call: *const Received, nr: *mut u16) -> i32 {
    // SAFETY: as in `ol2tp_receive`.
    let (head, len) = unsafe {
        let call = &*call;
        *nr = (*call.session).receive.nr();
        (slice::from_raw_parts(call.head, call.head_len as usize), call.len as usize)
    };
    let Datagram::Data(header) = Datagram::parse(head) else { return -1 };
    let sequence = header.message_of(head, len).ok().and_then(|message| message.sequence);
    sequence.map_or(-1, |sequence| sequence.ns.into())
}

/// The slot of the next message that is due, or −1. With the session's receive lock held.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ol2tp_release(call: *const Received) -> i32 {
    // SAFETY: as in `ol2tp_receive`; there is a queue.
    let (call, receive, queue) = unsafe {
        let call = &*call;
        (call, &mut (*call.session).receive, &mut *call.queue)
    };
    let sink = Here { counters: call.counters, mask: DebugMask(call.mask), who: call.who };
    receive.release(call.now, queue, &sink).map_or(-1, i32::from)
}

/// When the first message that is held gives up waiting, in microseconds; the largest number if none is held.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ol2tp_deadline(queue: *const Reorder) -> u64 {
    // SAFETY: ours by the session's receive lock.
    unsafe { &*queue }.deadline().unwrap_or(u64::MAX)
}

/// An empty queue.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ol2tp_queue_init(queue: *mut Reorder) {
    // SAFETY: the caller's memory, of that size.
    unsafe { queue.write(Reorder::new()) };
}

/// Whether a frame for a unit, of which these are the first bytes, is what its protocol says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ol2tp_is_frame(start: *const u8, len: u32) -> bool {
    // SAFETY: so many bytes are at hand.
    Frame::parse(unsafe { slice::from_raw_parts(start, len as usize) }).is_ok()
}

/// Counts a message that was to be delivered and is dropped.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ol2tp_drop(counters: *mut Counters, bad_inner: bool) {
    let sink = Here { counters, mask: DebugMask::default(), who: core::ptr::null() };
    discard(if bad_inner { Rx::BadInner } else { Rx::QueueFull }, &sink);
}

/// A new session. The peer's tunnel id is the tunnel's, and comes with each header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ol2tp_session_init(session: *mut Session, peer_session: u16) {
    let new = Session {
        receive: Receive::default(),
        transmit: Transmit::new(0, peer_session),
        send_seq: SendSeq::new(false),
    };
    // SAFETY: the caller's memory, of that size.
    unsafe { session.write(new) };
}

/// What stands in front of the next frame, FF 03 included: how many bytes. With the session's transmit lock held.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ol2tp_header(
    session: *mut Session,
    peer_tunnel: u16,
    out: *mut [u8; header::MAX],
) -> u32 {
    // SAFETY: the transmit half is ours by its lock, the flag anybody's.
    let (transmit, send_seq, out) = unsafe { (&mut (*session).transmit, &(*session).send_seq, &mut *out) };
    transmit.tunnel_id = peer_tunnel;
    transmit.header(send_seq.get(), out) as u32
}

/// Counts a message of so many bytes that was handed to IP, or the error that IP has returned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ol2tp_sent(counters: *mut Counters, len: u32, error: i32) {
    const ENOMEM: i32 = -12;
    const EMSGSIZE: i32 = -90;
    const ENOBUFS: i32 = -105;
    let count = Here { counters, mask: DebugMask::default(), who: core::ptr::null() };
    let reason = match error {
        0 => {
            count.add(Tx::Packets, 1);
            return count.add(Tx::Bytes, len.into());
        }
        EMSGSIZE => Tx::TooBig,
        ENOMEM | ENOBUFS => Tx::NoBuffers,
        _ => Tx::Refused,
    };
    count.add(reason, 1);
    count.add(Tx::Errors, 1);
}

/// What `/proc/net/pppol2tp` and options read: numbers and switches. With both locks held.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ol2tp_session_get(session: *const Session, out: *mut State) {
    // SAFETY: both halves are ours by their locks.
    let (receive, ns, send_seq): (&Receive, _, &SendSeq) =
        unsafe { (&(*session).receive, Transmit::ns(&(*session).transmit), &(*session).send_seq) };
    let state = State {
        nr: receive.nr(),
        ns,
        recv_seq: receive.recv_seq.into(),
        send_seq: send_seq.get().into(),
        lns_mode: receive.lns_mode.into(),
        reorder_timeout: (receive.reorder_timeout / 1000) as i32,
    };
    // SAFETY: the caller's.
    unsafe { *out = state };
}

/// Sets an option that `ol2tp_set_option` has allowed. With the receive lock held.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ol2tp_session_set(session: *mut Session, option: i32, value: i32) {
    use crate::rules::SocketOption::{Debug, LnsMode, RecvSeq, ReorderTo, SendSeq as SendNumbers};
    // SAFETY: the receive half is ours by its lock.
    let (receive, send_seq) = unsafe { (&mut (*session).receive, &(*session).send_seq) };
    match crate::rules::SocketOption::from_raw(option) {
        Some(RecvSeq) => receive.recv_seq = value != 0,
        Some(SendNumbers) => send_seq.set(value != 0),
        Some(LnsMode) => receive.lns_mode = value != 0,
        Some(ReorderTo) => receive.reorder_timeout = u64::from(value as u32) * 1000,
        Some(Debug) | None => {}
    }
}

/// A session's numbers and switches: `struct ol2tp_state`.
#[repr(C)]
#[cfg_attr(test, derive(Default))]
pub struct State {
    pub(crate) nr: u16,
    pub(crate) ns: u16,
    pub(crate) recv_seq: u8,
    pub(crate) send_seq: u8,
    pub(crate) lns_mode: u8,
    pub(crate) reorder_timeout: i32,
}
