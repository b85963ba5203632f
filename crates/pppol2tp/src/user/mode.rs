//! Which of the kernel's offloads the data path uses. Each can be switched off, so that every
//! fallback is testable; what a machine lacks is switched off while running.

/// A set of offloads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mode {
    /// TUN carries a `virtio_net_hdr`: partial checksums and super-packets.
    pub vnet: bool,
    /// TUN hands out TCP super-packets.
    pub tso: bool,
    /// TUN hands out and takes UDP super-packets.
    pub uso: bool,
    /// UDP sends runs of equal size in one message (`UDP_SEGMENT`).
    pub gso: bool,
    /// UDP receives runs of equal size in one message (`UDP_GRO`).
    pub gro: bool,
    /// Many messages a system call (`sendmmsg`, `recvmmsg`).
    pub batch: bool,
    /// Many writes to interfaces, and reads of small packets, a system call (io_uring).
    pub ring: bool,
}

impl Mode {
    /// Everything.
    pub const OFFLOAD: Self =
        Self { vnet: true, tso: true, uso: true, gso: true, gro: true, batch: true, ring: true };
    /// Many messages a call, one packet a message.
    pub const BATCH: Self =
        Self { vnet: false, tso: false, uso: false, gso: false, gro: false, batch: true, ring: false };
    /// One packet a system call.
    pub const PLAIN: Self = Self { batch: false, ..Self::BATCH };

    /// Every mode that tests and benchmarks go through, with its name.
    pub const ALL: [(&'static str, Self); 10] = [
        ("offload", Self::OFFLOAD),
        ("no-uso", Self { uso: false, ..Self::OFFLOAD }),
        ("no-tso", Self { tso: false, uso: false, ..Self::OFFLOAD }),
        ("no-vnet", Self { vnet: false, tso: false, uso: false, ..Self::OFFLOAD }),
        ("no-gso", Self { gso: false, ..Self::OFFLOAD }),
        ("no-gro", Self { gro: false, ..Self::OFFLOAD }),
        ("no-udp", Self { gso: false, gro: false, ..Self::OFFLOAD }),
        ("no-ring", Self { ring: false, ..Self::OFFLOAD }),
        ("batch", Self::BATCH),
        ("plain", Self::PLAIN),
    ];

    /// The name of a mode in [`ALL`](Self::ALL), `"other"` for the rest.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, mode)| *mode == self).map_or("other", |(name, _)| name)
    }

    /// A mode by its name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, mode)| *mode)
    }
}
