//! The header in front of every packet of a TUN interface with `IFF_VNET_HDR`
//! (`struct virtio_net_hdr` of `linux/virtio_net.h`).

/// Bytes of the header.
pub(super) const LEN: usize = 10;

/// The checksum field at `csum_start + csum_offset` holds the pseudo-header's sum only.
pub(super) const F_NEEDS_CSUM: u8 = 1;

/// `gso_type`: a single packet.
pub(super) const GSO_NONE: u8 = 0;
/// `gso_type`: a TCP super-packet in IPv4.
pub(super) const GSO_TCPV4: u8 = 1;
/// `gso_type`: a TCP super-packet in IPv6.
pub(super) const GSO_TCPV6: u8 = 4;
/// `gso_type`: a UDP super-packet, each segment with a UDP header of its own.
pub(super) const GSO_UDP_L4: u8 = 5;
/// Added to `gso_type`: TCP's CWR flag is set.
pub(super) const GSO_ECN: u8 = 0x80;

/// The header's fields.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Header {
    pub(super) flags: u8,
    pub(super) gso_type: u8,
    /// Bytes of the packet's headers: a hint.
    pub(super) hdr_len: u16,
    /// Payload bytes of each segment but the last.
    pub(super) gso_size: u16,
    /// Where the checksum's coverage starts: at the transport header.
    pub(super) csum_start: u16,
    /// Where the checksum field is, from there.
    pub(super) csum_offset: u16,
}

impl Header {
    /// Reads it; every value is legal here.
    #[inline]
    pub(super) fn parse(bytes: &[u8; LEN]) -> Self {
        let [flags, gso_type, a, b, c, d, e, f, g, h] = *bytes;
        Self {
            flags,
            gso_type,
            hdr_len: u16::from_ne_bytes([a, b]),
            gso_size: u16::from_ne_bytes([c, d]),
            csum_start: u16::from_ne_bytes([e, f]),
            csum_offset: u16::from_ne_bytes([g, h]),
        }
    }

    /// Its bytes.
    #[inline]
    pub(super) fn to_bytes(self) -> [u8; LEN] {
        let [a, b] = self.hdr_len.to_ne_bytes();
        let [c, d] = self.gso_size.to_ne_bytes();
        let [e, f] = self.csum_start.to_ne_bytes();
        let [g, h] = self.csum_offset.to_ne_bytes();
        [self.flags, self.gso_type, a, b, c, d, e, f, g, h]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_stand_where_the_kernel_has_them() {
        let header = Header {
            flags: F_NEEDS_CSUM,
            gso_type: GSO_TCPV4 | GSO_ECN,
            hdr_len: 52,
            gso_size: 1448,
            csum_start: 20,
            csum_offset: 16,
        };
        let mut expected = vec![1, 0x81];
        [52u16, 1448, 20, 16].iter().for_each(|field| expected.extend(field.to_ne_bytes()));
        assert_eq!(header.to_bytes()[..], expected);
    }

    proptest! {
        #[test]
        fn bytes_survive_a_round_trip(bytes: [u8; LEN]) {
            prop_assert_eq!(Header::parse(&bytes).to_bytes(), bytes);
        }
    }
}
