//! PPP protocol numbers (RFC 1661 §2).

use core::fmt;

/// A PPP protocol number, of two bytes even where it was compressed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Protocol(pub u16);

macro_rules! protocols {
    ($($value:literal $const:ident $words:literal,)*) => {
        impl Protocol {
            $(#[doc = concat!($words, ".")] pub const $const: Self = Self($value);)*

            /// The protocol's name, unless it is unknown.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($words),)*
                    _ => None,
                }
            }
        }
    };
}

protocols! {
    0x0021 IPV4 "IPv4",
    0x002d VJ_COMPRESSED "Van Jacobson compressed TCP/IP",
    0x002f VJ_UNCOMPRESSED "Van Jacobson uncompressed TCP/IP",
    0x003d MULTILINK "Multilink",
    0x0057 IPV6 "IPv6",
    0x00fd COMPRESSED "compressed datagram",
    0x8021 IPCP "IPCP",
    0x8053 ECP "ECP",
    0x8057 IPV6CP "IPV6CP",
    0x80fd CCP "CCP",
    0x8281 MPLSCP "MPLSCP",
    0xc021 LCP "LCP",
    0xc023 PAP "PAP",
    0xc025 LQR "Link Quality Report",
    0xc02b BACP "BACP",
    0xc223 CHAP "CHAP",
    0xc227 EAP "EAP",
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "protocol {:#06x}", self.0),
        }
    }
}

impl fmt::Debug for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
