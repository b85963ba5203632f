//! Whose a PPP frame is.

/// Where a frame goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum To {
    /// To the interface, as an IPv4 packet.
    Ipv4,
    /// To the interface, as an IPv6 packet.
    Ipv6,
    /// To whoever runs PPP.
    Control,
}

/// Protocol number, information field and receiver of a frame whose FF 03 is off, or the name of the
/// counter for a frame that is none.
pub fn classify(frame: &[u8]) -> Result<(u16, &[u8], To), &'static str> {
    let first = *frame.first().ok_or("rx_short_frame")?;
    // The last byte of a protocol number is odd, all others are even (RFC 1661 §2).
    let (protocol, information) = if first % 2 == 1 {
        (u16::from(first), &frame[1..])
    } else {
        let second = *frame.get(1).ok_or("rx_short_frame")?;
        (u16::from(first) * 256 + u16::from(second), &frame[2..])
    };
    let version = information.first().map_or(0, |byte| byte / 16);
    match protocol {
        0x0021 if version == 4 => Ok((protocol, information, To::Ipv4)),
        0x0057 if version == 6 => Ok((protocol, information, To::Ipv6)),
        0x0021 | 0x0057 => Err("rx_bad_inner"),
        _ => Ok((protocol, information, To::Control)),
    }
}
