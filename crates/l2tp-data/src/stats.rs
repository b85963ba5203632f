//! Counters: the kernel's fields (`struct pppol2tp_ioc_stats`) and one more per reason for which a
//! frame is dropped.
//!
//! The rules count through [`Count`], so every home counts alike; where the numbers are kept is the
//! caller's affair.

macro_rules! counters {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $key:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// All of them, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The name under which it is shown.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $key,)* }
            }
        }
    };
}

counters! {
    /// What a receive half counts.
    Rx {
        /// Frames delivered.
        Packets = "rx_packets",
        /// Bytes of the messages delivered, L2TP header included, UDP header not.
        Bytes = "rx_bytes",
        /// Dropped for their sequence number, or for having none.
        SeqDiscards = "rx_seq_discards",
        /// Put in order: a frame with a higher number had come before.
        OosPackets = "rx_oos_packets",
        /// Every frame dropped, for whatever reason.
        Errors = "rx_errors",
        /// Gaps skipped by the timer or by a full queue, with reordering.
        ReorderGaps = "reorder_gaps",
        /// No Ns where sequence numbers are required.
        SeqMissing = "rx_seq_missing",
        /// Ns is not the next one, without reordering.
        SeqUnexpected = "rx_seq_unexpected",
        /// Ns of a frame that is still held.
        SeqDuplicate = "rx_seq_duplicate",
        /// Ns outside the receive window: old, or too far ahead.
        SeqWindow = "rx_seq_window",
        /// The Length field contradicts the datagram.
        BadLength = "rx_bad_length",
        /// Ns and Nr are missing though the S bit is set.
        BadSequence = "rx_bad_sequence",
        /// The offset leads beyond the end.
        BadOffset = "rx_bad_offset",
        /// No room for a PPP protocol.
        ShortFrame = "rx_short_frame",
        /// A frame marked as IPv4 or IPv6 that is not.
        BadInner = "rx_bad_inner",
        /// Inner source address is not one of the session's (shared interface).
        Spoofed = "rx_spoofed",
        /// Nobody read the session's or unit's queue in time.
        QueueFull = "rx_queue_full",
        /// The interface is down, gone or refused the packet.
        Interface = "rx_interface",
    }
}

counters! {
    /// What a transmit half counts.
    Tx {
        /// Messages handed to IP.
        Packets = "tx_packets",
        /// Their bytes, L2TP header included, UDP header not.
        Bytes = "tx_bytes",
        /// Messages that could not be sent, for whatever reason.
        Errors = "tx_errors",
        /// EMSGSIZE: larger than the path allows.
        TooBig = "tx_too_big",
        /// ENOBUFS, ENOMEM, or a socket buffer that stays full.
        NoBuffers = "tx_no_buffers",
        /// Refused for another reason (unreachable, forbidden, refused by the peer).
        Refused = "tx_refused",
        /// A packet of the interface that could not be made into frames.
        Malformed = "tx_malformed",
    }
}

/// Where a half's counters are kept.
pub trait Count<C> {
    /// Adds `n` to a counter.
    fn add(&self, counter: C, n: u64);
}

/// A session's counters at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stats {
    /// By [`Rx`].
    pub rx: [u64; Rx::COUNT],
    /// By [`Tx`].
    pub tx: [u64; Tx::COUNT],
}

impl Default for Stats {
    fn default() -> Self {
        Self { rx: [0; Rx::COUNT], tx: [0; Tx::COUNT] }
    }
}

impl Stats {
    /// One receive counter.
    pub fn rx(&self, counter: Rx) -> u64 {
        self.rx[counter as usize]
    }

    /// One transmit counter.
    pub fn tx(&self, counter: Tx) -> u64 {
        self.tx[counter as usize]
    }

    /// Names and values, transmit first, as the kernel's struct has them.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let tx = Tx::ALL.iter().map(|&c| (c.name(), self.tx(c)));
        tx.chain(Rx::ALL.iter().map(|&c| (c.name(), self.rx(c))))
    }

    /// Adds to a tunnel's counters what the driver counts on both: messages sent, failed and
    /// delivered. What a session drops is counted on the session alone.
    pub fn add_session(&mut self, session: &Self) {
        for counter in [Rx::Packets, Rx::Bytes] {
            self.rx[counter as usize] += session.rx(counter);
        }
        for counter in [Tx::Packets, Tx::Bytes, Tx::Errors] {
            self.tx[counter as usize] += session.tx(counter);
        }
    }
}

/// `struct pppol2tp_ioc_stats` as PPPIOCGL2TPSTATS fills it: 72 bytes, native byte order.
pub const IOC_STATS_LEN: usize = 72;

/// Encodes the kernel's struct.
pub fn ioc_stats(tunnel_id: u16, session_id: u16, using_ipsec: bool, stats: &Stats) -> [u8; IOC_STATS_LEN] {
    let mut out = [0; IOC_STATS_LEN];
    out[0..2].copy_from_slice(&tunnel_id.to_ne_bytes());
    out[2..4].copy_from_slice(&session_id.to_ne_bytes());
    // A bit field of 32 bits: its first bit is the lowest on little-endian machines only.
    let flag = if cfg!(target_endian = "big") { 0x8000_0000u32 } else { 1 };
    out[4..8].copy_from_slice(&(if using_ipsec { flag } else { 0 }).to_ne_bytes());
    let fields = [
        stats.tx(Tx::Packets),
        stats.tx(Tx::Bytes),
        stats.tx(Tx::Errors),
        stats.rx(Rx::Packets),
        stats.rx(Rx::Bytes),
        stats.rx(Rx::SeqDiscards),
        stats.rx(Rx::OosPackets),
        stats.rx(Rx::Errors),
    ];
    for (slot, value) in out[8..].chunks_exact_mut(8).zip(fields) {
        slot.copy_from_slice(&value.to_ne_bytes());
    }
    out
}
