//! Frames in words, for those who watch a link. Passwords and proofs are not in them.

use core::fmt::Write;
use core::net::Ipv4Addr;

use l2tp_data::frame::Frame;

use super::config::Method;
use super::packet::{Opt, Packet, code, options};
use super::protocol::Protocol;

/// The longest text of a peer that is shown.
const TEXT: usize = 64;

/// What a frame that starts with its protocol says, in one line.
pub fn describe(frame: &[u8]) -> String {
    let Ok(Frame { protocol, information, .. }) = Frame::parse(frame) else {
        return "a frame without a protocol".into();
    };
    let protocol = Protocol(protocol);
    if let Protocol::IPV4 | Protocol::IPV6 = protocol {
        return format!("{protocol} packet");
    }
    let Some(packet) = Packet::parse(&frame[information..]) else {
        return format!("{protocol}, malformed");
    };
    let name = match protocol {
        Protocol::PAP => pap(packet.code),
        Protocol::CHAP => chap(packet.code),
        Protocol::EAP => eap(packet.code),
        _ => control(packet.code),
    };
    let mut words = match name {
        Some(name) => format!("{protocol} {name} {}", packet.id),
        None => format!("{protocol} code {} {}", packet.code, packet.id),
    };
    match (protocol, packet.code) {
        (Protocol::PAP | Protocol::CHAP | Protocol::EAP, _) => authentication(&mut words, protocol, &packet),
        (_, code::CONFIGURE_REQUEST..=code::CONFIGURE_REJECT) => list(&mut words, protocol, packet.data),
        (Protocol::LCP, code::PROTOCOL_REJECT) => {
            if let [high, low, ..] = packet.data {
                let _ = write!(words, " {}", Protocol(u16::from_be_bytes([*high, *low])));
            }
        }
        (_, code::TERMINATE_REQUEST | code::TERMINATE_ACK) => quote(&mut words, packet.data),
        (Protocol::LCP, code::IDENTIFICATION) => quote(&mut words, packet.data.get(4..).unwrap_or_default()),
        _ => {}
    }
    words
}

fn control(code: u8) -> Option<&'static str> {
    Some(match code {
        code::CONFIGURE_REQUEST => "Configure-Request",
        code::CONFIGURE_ACK => "Configure-Ack",
        code::CONFIGURE_NAK => "Configure-Nak",
        code::CONFIGURE_REJECT => "Configure-Reject",
        code::TERMINATE_REQUEST => "Terminate-Request",
        code::TERMINATE_ACK => "Terminate-Ack",
        code::CODE_REJECT => "Code-Reject",
        code::PROTOCOL_REJECT => "Protocol-Reject",
        code::ECHO_REQUEST => "Echo-Request",
        code::ECHO_REPLY => "Echo-Reply",
        code::DISCARD_REQUEST => "Discard-Request",
        code::IDENTIFICATION => "Identification",
        code::TIME_REMAINING => "Time-Remaining",
        _ => return None,
    })
}

fn pap(code: u8) -> Option<&'static str> {
    ["Authenticate-Request", "Authenticate-Ack", "Authenticate-Nak"]
        .get(usize::from(code).wrapping_sub(1))
        .copied()
}

fn chap(code: u8) -> Option<&'static str> {
    ["Challenge", "Response", "Success", "Failure"].get(usize::from(code).wrapping_sub(1)).copied()
}

fn eap(code: u8) -> Option<&'static str> {
    ["Request", "Response", "Success", "Failure"].get(usize::from(code).wrapping_sub(1)).copied()
}

/// Names and messages; never what proves.
fn authentication(words: &mut String, protocol: Protocol, packet: &Packet<'_>) {
    /// What is behind a field that starts with its length.
    fn split(data: &[u8]) -> Option<(&[u8], &[u8])> {
        let (len, rest) = data.split_first()?;
        rest.split_at_checked(usize::from(*len))
    }
    let text = match (protocol, packet.code) {
        (Protocol::PAP, 1) => split(packet.data).map(|(name, _)| name),
        (Protocol::PAP, _) => split(packet.data).map(|(message, _)| message),
        (Protocol::CHAP, 1 | 2) => split(packet.data).map(|(_, name)| name),
        (Protocol::CHAP, _) => Some(packet.data),
        _ => match packet.data {
            [1, name @ ..] => Some(name),
            [4, ..] => return words.push_str(" MD5-Challenge"),
            _ => None,
        },
    };
    quote(words, text.unwrap_or_default());
}

fn list(words: &mut String, protocol: Protocol, data: &[u8]) {
    let Some(options) = options(data) else { return words.push_str(", malformed") };
    let options: Vec<_> = options.map(|option| one(protocol, &option)).collect();
    if !options.is_empty() {
        let _ = write!(words, " [{}]", options.join(", "));
    }
}

fn one(protocol: Protocol, option: &Opt<'_>) -> String {
    let address = || match *option.value {
        [a, b, c, d] => Ipv4Addr::new(a, b, c, d).to_string(),
        _ => hex(option.value),
    };
    match (protocol, option.kind, option.value) {
        (Protocol::LCP, 1, [high, low]) => format!("MRU {}", u16::from_be_bytes([*high, *low])),
        (Protocol::LCP, 2, value) => format!("ACCM {}", hex(value)),
        (Protocol::LCP, 3, value) => match Method::from_option(value) {
            Some(method) => method.to_string(),
            None => format!("authentication {}", hex(value)),
        },
        (Protocol::LCP, 5, value) => format!("magic {}", hex(value)),
        (Protocol::LCP, 7, _) => "PFC".into(),
        (Protocol::LCP, 8, _) => "ACFC".into(),
        (Protocol::LCP, 17, _) => "MRRU".into(),
        (Protocol::LCP, 19, _) => "endpoint discriminator".into(),
        (Protocol::IPCP, 2, _) => "compression".into(),
        (Protocol::IPCP, 3, _) => address(),
        (Protocol::IPCP, 129, _) => format!("DNS {}", address()),
        (Protocol::IPCP, 131, _) => format!("DNS {}", address()),
        (Protocol::IPCP, 130 | 132, _) => format!("NBNS {}", address()),
        (Protocol::IPV6CP, 1, value) => format!("identifier {}", hex(value)),
        (_, kind, value) => format!("option {kind} {}", hex(value)),
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().take(TEXT).map(|octet| format!("{octet:02x}")).collect()
}

fn quote(words: &mut String, text: &[u8]) {
    if !text.is_empty() {
        let _ = write!(words, " \"{}\"", text[..text.len().min(TEXT)].escape_ascii());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_in_words() {
        let rows: [(&[u8], &str); 10] = [
            (&[], "a frame without a protocol"),
            (&[0xc0, 0x21, 1, 7, 0, 8, 1, 4, 5, 220], "LCP Configure-Request 7 [MRU 1500]"),
            (&[0xc0, 0x21, 1, 7, 0, 9, 3, 5, 0xc2, 0x23, 0x81], "LCP Configure-Request 7 [MS-CHAPv2]"),
            (&[0xc0, 0x21, 8, 1, 0, 6, 0x80, 0xfd], "LCP Protocol-Reject 1 CCP"),
            (&[0x80, 0x21, 3, 2, 0, 10, 3, 6, 10, 0, 0, 1], "IPCP Configure-Nak 2 [10.0.0.1]"),
            (&[0xc0, 0x23, 1, 1, 0, 10, 2, b'm', b'e', 2, b'p', b'w'], "PAP Authenticate-Request 1 \"me\""),
            (&[0xc2, 0x23, 2, 1, 0, 8, 1, 0xaa, b'm', b'e'], "CHAP Response 1 \"me\""),
            (&[0xc2, 0x23, 9, 1, 0, 4], "CHAP code 9 1"),
            (&[0xc0, 0x21, 1, 7, 0, 9], "LCP, malformed"),
            (&[0, 0x57, 0x60, 0, 0, 0, 0, 0, 58, 255], "IPv6 packet"),
        ];
        for (frame, words) in rows {
            assert_eq!(describe(frame), words);
        }
    }
}
