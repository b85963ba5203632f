//! The text of `/proc/net/pppol2tp`: layout V1.0 with the peer's address and, for a bound session,
//! one more line with its interface.
//!
//! An IPv4 peer is eight hexadecimal digits as in the kernel's text, `0A000001/1701`; an IPv6 peer is
//! its text form (RFC 5952) in brackets, `[2001:db8::1]/1701`, without flow or scope.
//!
//! Write [`header`], then for every tunnel, newest first, [`tunnel`] and its sessions with
//! [`session`], by [`bucket`] and newest first in a bucket. Null sessions are left out.

use core::fmt::{Result, Write};
use core::net::SocketAddr;

use super::debug::DebugMask;
use super::stats::{Rx, Stats, Tx};

/// A tunnel.
#[derive(Clone, Debug)]
pub struct Tunnel<'a> {
    /// Local tunnel id.
    pub tunnel_id: u16,
    /// Whether its UDP socket is there.
    pub alive: bool,
    /// Sessions and open management sockets.
    pub references: usize,
    /// Debug mask.
    pub debug: DebugMask,
    /// Counters.
    pub stats: &'a Stats,
}

/// A session.
#[derive(Clone, Debug)]
pub struct Session<'a> {
    /// Local tunnel id.
    pub tunnel_id: u16,
    /// Local session id.
    pub session_id: u16,
    /// The peer's tunnel id.
    pub peer_tunnel_id: u16,
    /// The peer's session id.
    pub peer_session_id: u16,
    /// The peer's address.
    pub peer: SocketAddr,
    /// State of its socket.
    pub state: State,
    /// MTU in bytes.
    pub mtu: u16,
    /// MRU in bytes.
    pub mru: u16,
    /// RECVSEQ.
    pub recv_seq: bool,
    /// SENDSEQ.
    pub send_seq: bool,
    /// LNSMODE.
    pub lns_mode: bool,
    /// Debug mask.
    pub debug: DebugMask,
    /// REORDERTO in milliseconds.
    pub reorder_timeout: u32,
    /// Next Ns expected.
    pub nr: u16,
    /// Next Ns to send.
    pub ns: u16,
    /// Counters.
    pub stats: &'a Stats,
    /// The interface it is bound to.
    pub interface: Option<&'a str>,
}

/// State of a session's socket, by the kernel's numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum State {
    /// Connected.
    Connected = 1,
    /// Connected, and bound to a unit.
    Bound = 3,
    /// Its tunnel has ended.
    Dead = 16,
}

/// The bucket (0..16) of a local session id in the kernel's table of a tunnel: `hash_32(id, 4)`.
pub const fn bucket(session_id: u16) -> u8 {
    const GOLDEN_RATIO_32: u32 = 0x61C8_8647;
    ((session_id as u32).wrapping_mul(GOLDEN_RATIO_32) >> 28) as u8
}

/// Writes the six lines that explain the rest.
pub fn header(w: &mut impl Write) -> Result {
    w.write_str(
        "PPPoL2TP driver info, V1.0\n\
         TUNNEL name, user-data-ok session-count\n\
         \x20debug tx-pkts/bytes/errs rx-pkts/bytes/errs\n\
         \x20 SESSION name, addr/port src-tid/sid dest-tid/sid state user-data-ok\n\
         \x20  mtu/mru/rcvseq/sendseq/lns debug reorderto\n\
         \x20  nr/ns tx-pkts/bytes/errs rx-pkts/bytes/errs\n",
    )
}

/// Writes a tunnel's lines, an empty one first.
pub fn tunnel(w: &mut impl Write, t: &Tunnel<'_>) -> Result {
    let Tunnel { tunnel_id, references, .. } = *t;
    writeln!(w, "\nTUNNEL 'tunl {tunnel_id}', {} {references}", yes(t.alive))?;
    write!(w, " {:08x}", t.debug.0)?;
    counters(w, t.stats)
}

/// Writes a session's lines.
pub fn session(w: &mut impl Write, s: &Session<'_>) -> Result {
    write!(w, "  SESSION 'sess {}/{}' ", s.tunnel_id, s.session_id)?;
    match s.peer {
        SocketAddr::V4(peer) => write!(w, "{:08X}/{}", peer.ip().to_bits(), peer.port())?,
        SocketAddr::V6(peer) => write!(w, "[{}]/{}", peer.ip(), peer.port())?,
    }
    write!(w, " {:04X}/{:04X}", s.tunnel_id, s.session_id)?;
    write!(w, " -> {:04X}/{:04X}", s.peer_tunnel_id, s.peer_session_id)?;
    writeln!(w, " {} {}", s.state as u8, yes(s.state != State::Dead))?;

    write!(w, "   {}/{}/", s.mtu, s.mru)?;
    w.write_str(if s.recv_seq { "R/" } else { "-/" })?;
    w.write_str(if s.send_seq { "S/" } else { "-/" })?;
    w.write_str(if s.lns_mode { "LNS" } else { "LAC" })?;
    writeln!(w, " {:08x} {}", s.debug.0, s.reorder_timeout)?;

    write!(w, "   {}/{}", s.nr, s.ns)?;
    counters(w, s.stats)?;
    match s.interface {
        Some(interface) => writeln!(w, "   interface {interface}"),
        None => Ok(()),
    }
}

fn yes(is: bool) -> char {
    if is { 'Y' } else { 'N' }
}

fn counters(w: &mut impl Write, stats: &Stats) -> Result {
    let (tx, rx) = (|counter| stats.tx(counter), |counter| stats.rx(counter));
    write!(w, " {}/{}/{}", tx(Tx::Packets), tx(Tx::Bytes), tx(Tx::Errors))?;
    writeln!(w, " {}/{}/{}", rx(Rx::Packets), rx(Rx::Bytes), rx(Rx::Errors))
}
