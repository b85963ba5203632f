//! PPP framing: FF 03 present or absent (ACFC), protocol of two bytes or one (PFC), class.

mod common;

use l2tp_data::frame::{self, Bad, Class, Frame};

/// A payload: the frame's protocol, information field and class, or why it is none.
fn parses(payload: &[u8], expected: Result<(u16, &[u8], Class), Bad>) {
    let result = frame::strip(payload).and_then(|range| {
        let stripped = &payload[range];
        let Frame { protocol, information, class } = Frame::parse(stripped)?;
        Ok((protocol, &stripped[information..], class))
    });
    assert_eq!(result, expected, "{payload:02x?}");
}

rows! { parses:
    ff03_and_two_bytes_of_protocol => (&[0xff, 3, 0, 0x21, 0x45, 9], Ok((0x21, &[0x45, 9], Class::Ipv4)));
    acfc => (&[0, 0x21, 0x45], Ok((0x21, &[0x45], Class::Ipv4)));
    pfc => (&[0xff, 3, 0x21, 0x45], Ok((0x21, &[0x45], Class::Ipv4)));
    acfc_and_pfc => (&[0x21, 0x45], Ok((0x21, &[0x45], Class::Ipv4)));
    ipv6 => (&[0xff, 3, 0, 0x57, 0x60], Ok((0x57, &[0x60], Class::Ipv6)));
    ipv6_with_acfc_and_pfc => (&[0x57, 0x6f], Ok((0x57, &[0x6f], Class::Ipv6)));
    lcp => (&[0xff, 3, 0xc0, 0x21, 1], Ok((0xc021, &[1], Class::Control)));
    lcp_with_acfc => (&[0xc0, 0x21, 1, 1, 0, 4], Ok((0xc021, &[1, 1, 0, 4], Class::Control)));
    ipcp => (&[0x80, 0x21, 1], Ok((0x8021, &[1], Class::Control)));
    unknown_protocol => (&[0x12, 0x35], Ok((0x1235, &[], Class::Control)));
    even_protocol_is_for_ppp_to_reject => (&[0x12, 0x34, 5], Ok((0x1234, &[5], Class::Control)));
    ff_without_03_is_a_protocol => (&[0xff, 0x05], Ok((0xff, &[0x05], Class::Control)));
    ff03_is_taken_off_once => (&[0xff, 3, 0xff, 3], Ok((0xff, &[3], Class::Control)));
    one_byte_frame_behind_ff03 => (&[0xff, 3, 0x3d], Ok((0x3d, &[], Class::Control)));
    half_a_protocol_behind_ff03 => (&[0xff, 3, 0xc0], Err(Bad::Short));
    nothing_behind_ff03 => (&[0xff, 3], Err(Bad::Short));
    one_byte => (&[0x21], Err(Bad::Short));
    nothing => (&[], Err(Bad::Short));
    ipv4_that_says_6 => (&[0, 0x21, 0x60], Err(Bad::InnerVersion));
    ipv6_that_says_4 => (&[0, 0x57, 0x45], Err(Bad::InnerVersion));
    ipv4_that_is_empty => (&[0, 0x21], Err(Bad::InnerVersion));
}
