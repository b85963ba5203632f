//! What the programs and the driver share: map values, and the sums behind a checksum.
//!
//! Numbers are in the machine's order; those whose doc says *wire* stand as in a packet. All addresses have 16 bytes,
//! IPv4 ones in mapped form (`::ffff:192.0.2.1`).

/// Downwards: packets of the interface go out by the programs.
pub const DOWN: u32 = 1 << 0;
/// Upwards: data messages come in by the programs.
pub const UP: u32 = 1 << 1;
/// IPv4 packets pass (their NCP is open).
pub const IPV4: u32 = 1 << 2;
/// IPv6 packets pass.
pub const IPV6: u32 = 1 << 3;
/// TCP's SYN goes the ordinary way, where its MSS is looked at.
pub const MSS_CLAMP: u32 = 1 << 4;
/// Data messages are sent with a UDP checksum of zero.
pub const NO_CHECKSUM: u32 = 1 << 5;
/// TCP super-packets may leave by the outer interface.
pub const TCP_WHOLE: u32 = 1 << 6;
/// UDP super-packets, too.
pub const UDP_WHOLE: u32 = 1 << 7;
/// The outer header is IPv6's.
pub const OUTER6: u32 = 1 << 8;
/// Only packets from [`Session::sources`] are let in.
pub const SOURCES: u32 = 1 << 9;

/// As many patterns of inner sources a session can have here.
pub const PATTERNS: usize = 4;
/// Flows whose order is kept apart.
pub const FLOWS: u32 = 4096;
/// The way down of a session, in `WAYS`, behind those of flows.
#[inline(always)]
pub fn way_down(session: u32) -> u32 {
    FLOWS + session * 2
}

/// Its way up.
#[inline(always)]
pub fn way_up(session: u32) -> u32 {
    FLOWS + session * 2 + 1
}

/// That of a tunnel, of a driver with room for so many sessions.
#[inline(always)]
pub fn way_of_tunnel(tunnel: u32, sessions: u32) -> u32 {
    FLOWS + sessions * 2 + tunnel
}

/// Room for the longest headers: IPv6, UDP, L2TP, FF 03, and the protocol.
pub const HEADERS: usize = 58;

/// The bits of an address that count, and what they have to be (wire).
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Pattern {
    /// Which bits.
    pub mask: [u32; 4],
    /// Their values.
    pub value: [u32; 4],
}

/// A session, as the programs see it.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Session {
    /// [`DOWN`] and so on. All else is written while this is 0.
    pub flags: u32,
    /// The outer interface.
    pub outer: u32,
    /// The session's interface.
    pub inner: u32,
    /// The mark of what is sent.
    pub mark: u32,
    /// The tunnel's way, in `WAYS`.
    pub tunnel: u32,
    /// The longest packet that is sent: a longer one goes the ordinary way.
    pub mtu: u32,
    /// Ones' complement sums (wire) of what never changes of the outer IPv4 header,
    pub ip_sum: u32,
    /// of what the UDP checksum of a message sent covers: addresses, protocol, ports, L2TP's header, FF 03,
    pub down_sum: u32,
    /// and of one received: addresses, protocol and ports.
    pub up_sum: u32,
    /// Ports (wire).
    pub peer_port: u16,
    /// See [`Session::peer_port`].
    pub local_port: u16,
    /// Outer addresses (wire).
    pub peer: [u32; 4],
    /// See [`Session::peer`].
    pub local: [u32; 4],
    /// Inner sources, the unused ones as the first.
    pub sources: [Pattern; PATTERNS],
    /// Outer headers to send, without lengths, checksums and the PPP protocol.
    pub headers: [u64; 8],
}

/// Messages and bytes as the driver counts them, of one processor.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Counters {
    /// Messages received and delivered.
    pub rx_packets: u64,
    /// Their bytes, L2TP header included.
    pub rx_bytes: u64,
    /// Messages sent.
    pub tx_packets: u64,
    /// Their bytes.
    pub tx_bytes: u64,
}

/// Keeps the order where packets of one flow, session or tunnel take both ways: once one has gone the ordinary way, the
/// next ones follow it until the driver says that nothing is on that way any more.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Way {
    /// Packets that went the ordinary way.
    pub passed: u64,
    /// How many of them the driver has done with.
    pub done: u64,
}

/// Which of the [`FLOWS`] a flow is: of its addresses and ports, as sums of 32-bit words (wire).
#[inline(always)]
pub fn flow(addresses: u64, ports: u32) -> u32 {
    let mixed = (addresses ^ (addresses >> 32) ^ ports as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 52) as u32 % FLOWS
}

/// Folds a sum to 16 bits.
#[inline(always)]
pub fn fold(sum: u64) -> u16 {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    sum as u16
}
