//! The Internet checksum (RFC 1071).
//!
//! Sums are of 16-bit words in the machine's own byte order, which does not change the result
//! (RFC 1071 §2 (B)): a folded sum goes into a packet as it stands in memory.

#[cfg(test)]
mod tests;

/// IPv4's protocol and IPv6's next header of TCP.
pub(super) const TCP: u8 = 6;
/// IPv4's protocol and IPv6's next header of UDP.
pub(super) const UDP: u8 = 17;

/// What [`fold`] makes of a packet's sum with its checksum included, if that is right.
pub(super) const VALID: u16 = 0xffff;

const LANES: usize = 8;
const WIDTH: usize = LANES * size_of::<u32>();

/// The sum of up to 1 MiB; a last odd byte counts as if a zero followed.
#[inline]
pub(super) fn sum(bytes: &[u8]) -> u64 {
    let (chunks, rest) = bytes.as_chunks::<WIDTH>();
    // Two wrapping sums in each lane, of whole words and of their upper halves: the sum of the
    // lower halves follows from them. Three vector operations for 16 bytes, where widening needs four.
    let (mut whole, mut upper) = ([0u32; LANES], [0u32; LANES]);
    for chunk in chunks {
        for (lane, word) in chunk.as_chunks().0.iter().enumerate() {
            let word = u32::from_ne_bytes(*word);
            whole[lane] = whole[lane].wrapping_add(word);
            upper[lane] = upper[lane].wrapping_add(word >> 16);
        }
    }
    let lanes = whole.iter().zip(&upper).map(|(whole, upper)| {
        let lower = whole.wrapping_sub(upper << 16);
        u64::from(lower) + u64::from(*upper)
    });
    lanes.sum::<u64>() + sum_short(rest)
}

/// [`sum`], faster for less than 64 bytes.
#[inline]
pub(super) fn sum_short(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks();
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    words.iter().chain([&last]).map(|word| u64::from(u32::from_ne_bytes(*word))).sum()
}

/// A header field's share in a sum.
#[inline]
pub(super) fn word(field: u16) -> u64 {
    u64::from(field.to_be())
}

/// The sum of the pseudo-header of IPv4 (8 bytes of addresses, RFC 9293 §3.1) or IPv6 (32 bytes,
/// RFC 8200 §8.1). `len`: bytes of transport header and payload.
#[inline]
pub(super) fn pseudo_header(addresses: &[u8], protocol: u8, len: u16) -> u64 {
    sum_short(addresses) + word(u16::from(protocol)) + word(len)
}

/// Folds a sum to 16 bits with end-around carry; 0 only if every word was 0.
#[inline]
pub(super) fn fold(sum: u64) -> u16 {
    let sum = (sum >> 32) + (sum & 0xffff_ffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    ((sum >> 16) + sum) as u16
}
