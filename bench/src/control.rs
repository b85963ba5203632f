//! Control messages to decode and encode.

use l2tp_control::wire::{
    AuthenType, Bearer, Bps, Framing, Iccn, Message, Octets, Private, ProtocolVersion, ProxyAuthenId, Sccrq,
};
use l2tp_data::id::TunnelId;

/// An SCCRQ with every AVP that it may have.
pub fn sccrq() -> Message<'static> {
    Sccrq {
        protocol_version: ProtocolVersion::V1_0,
        host_name: "lac1.access.example.net".into(),
        framing_capabilities: Framing::ALL,
        assigned_tunnel_id: TunnelId::new(0x1234).expect("not zero"),
        bearer_capabilities: Some(Bearer::ALL),
        receive_window_size: Some(16),
        challenge: Some(Octets(&[0x5a; 16])),
        tie_breaker: Some(0x0123_4567_89ab_cdef),
        firmware_revision: Some(1),
        vendor_name: Some("ol2tp".into()),
    }
    .into()
}

/// An ICCN with the caller's authentication, which is worth hiding.
pub fn iccn() -> Message<'static> {
    Iccn {
        proxy_authen_type: Some(AuthenType::PAP),
        proxy_authen_name: Some("subscriber@example.net".into()),
        proxy_authen_id: Some(ProxyAuthenId(1)),
        proxy_authen_response: Some(Private(b"password")),
        ..Iccn::new(Bps(100_000_000), Framing::SYNC)
    }
    .into()
}

/// The bytes of a message.
pub fn encoded(message: &Message<'_>) -> Vec<u8> {
    let mut out = vec![0; Message::MAX];
    let length = message.encode(1, 0, None, &mut out).expect("it fits");
    out.truncate(length);
    out
}
