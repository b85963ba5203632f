//! Wire numbers as newtypes, so that unknown values survive; known ones have names and words.

use core::fmt;
use core::ops::{BitAnd, BitOr};

macro_rules! numbers {
    ($(#[$doc:meta])* $name:ident($int:ty) $prefix:literal { $($value:literal $const:ident $words:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
        pub struct $name(pub $int);

        impl $name {
            $(#[doc = concat!($words, ".")] pub const $const: Self = Self($value);)*

            /// Every number that has a name.
            pub const ALL: &'static [Self] = &[$(Self($value)),*];

            /// What the number stands for, unless it is unknown.
            pub const fn words(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($words),)*
                    _ => None,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, " {}"), self.0)?;
                match self.words() {
                    Some(words) => write!(f, ": {words}"),
                    None => Ok(()),
                }
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

numbers! {
    /// Result code of a StopCCN (RFC 2661 §4.4.2; 8 is of RFC 3308).
    StopResult(u16) "StopCCN" {
        1 CLEAR "general request to clear the control connection",
        2 GENERAL_ERROR "general error, the error code says which",
        3 ALREADY_EXISTS "the control connection already exists",
        4 NOT_AUTHORISED "the requester is not authorised to establish a control connection",
        5 VERSION "the protocol version of the requester is not supported, the error code is the highest that is",
        6 SHUTTING_DOWN "the requester is being shut down",
        7 STATE_MACHINE "finite state machine error",
        8 CCDS "mismatching control connection differentiated services value",
    }
}

numbers! {
    /// Result code of a CDN (RFC 2661 §4.4.2; 12 is of RFC 3308).
    CdnResult(u16) "CDN" {
        1 CARRIER_LOST "call disconnected due to loss of carrier",
        2 GENERAL_ERROR "call disconnected for the reason indicated in the error code",
        3 ADMINISTRATIVE "call disconnected for administrative reasons",
        4 NO_FACILITIES "call failed due to lack of appropriate facilities being available (temporary condition)",
        5 NO_FACILITIES_EVER "call failed due to lack of appropriate facilities being available (permanent condition)",
        6 INVALID_DESTINATION "invalid destination",
        7 NO_CARRIER "call failed due to no carrier detected",
        8 BUSY "call failed due to detection of a busy signal",
        9 NO_DIAL_TONE "call failed due to lack of a dial tone",
        10 TIMEOUT "call was not established within the time allotted by the LAC",
        11 NO_FRAMING "call was connected but no appropriate framing was detected",
        12 SDS "mismatching session differentiated services value",
    }
}

numbers! {
    /// Error code beside result code 2 (RFC 2661 §4.4.2).
    ErrorCode(u16) "error" {
        0 NONE "no general error",
        1 NO_CONTROL_CONNECTION "no control connection exists yet for this LAC-LNS pair",
        2 LENGTH "length is wrong",
        3 VALUE "one of the field values was out of range or a reserved field was not zero",
        4 RESOURCES "insufficient resources to handle this operation now",
        5 SESSION_ID "the session id is invalid in this context",
        6 VENDOR "a generic vendor-specific error occurred",
        7 TRY_ANOTHER "try another LNS",
        8 UNKNOWN_AVP "receipt of an unknown AVP with the M bit set",
    }
}

numbers! {
    /// Why PPP ended (RFC 3145).
    CauseCode(u16) "PPP disconnect cause" {
        0 NONE "no information available",
        1 ADMINISTRATIVE "administrative disconnect",
        2 NO_PROXY_LCP "link renegotiation at the LNS is disabled, and the proxy LCP AVPs it expects did not come",
        3 NORMAL "normal disconnection, LCP Terminate-Request sent or received",
        4 ENCRYPTION_REFUSED "compulsory encryption required by a PPP peer was refused by the other",
        5 LCP_TIMEOUT "LCP: finite state machine timeout",
        6 NO_LCP "LCP: no recognisable LCP packets were received",
        7 LOOP "LCP: magic number error, the link is possibly looped back",
        8 ECHO_TIMEOUT "LCP: echo request timeout",
        9 MP_DISCRIMINATOR "LCP: unexpected endpoint discriminator for an existing multilink bundle",
        10 MP_MRRU "LCP: unexpected MRRU for an existing multilink bundle",
        11 MP_SEQUENCE "LCP: unexpected short sequence number option for an existing multilink bundle",
        12 CALLBACK_REFUSED "LCP: compulsory callback required by a PPP peer was refused by the other",
        13 AUTH_TIMEOUT "authentication: finite state machine timeout",
        14 MP_NAME "authentication: unexpected name for an existing multilink bundle",
        15 AUTH_PROTOCOL "authentication: protocol unacceptable",
        16 AUTH_FAILED "authentication: bad name, password or secret",
        17 NCP_TIMEOUT "NCP: finite state machine timeout",
        18 NO_NCP "NCP: none is available, all are disabled or rejected",
        19 NCP_ADDRESSES "NCP: failed to converge on acceptable addresses",
        20 NO_ADDRESS "NCP: the user is not permitted to use any addresses",
    }
}

numbers! {
    /// Which side the [`CauseCode`] was noticed at (RFC 3145 §2).
    Direction(u8) "direction" {
        0 GLOBAL "global error",
        1 PEER "at the peer",
        2 LOCAL "at the sender",
    }
}

numbers! {
    /// How the LAC authenticated the caller (RFC 2661 §4.4.5).
    AuthenType(u16) "proxy authentication type" {
        1 TEXT "textual user name and password",
        2 CHAP "CHAP",
        3 PAP "PAP",
        4 NONE "no authentication",
        5 MSCHAP1 "MS-CHAP version 1",
        7 EAP "EAP",
    }
}

macro_rules! bits {
    ($(#[$doc:meta])* $name:ident { $($value:literal $const:ident $words:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
        #[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
        pub struct $name(pub u32);

        impl $name {
            $(#[doc = concat!($words, ".")] pub const $const: Self = Self($value);)*

            /// Every bit that has a name.
            pub const ALL: Self = Self($($value |)* 0);

            /// No bit.
            pub const NONE: Self = Self(0);

            /// Whether all bits of `other` are set here.
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }
        }

        impl BitOr for $name {
            type Output = Self;

            fn bitor(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
        }

        impl BitAnd for $name {
            type Output = Self;

            fn bitand(self, other: Self) -> Self {
                Self(self.0 & other.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut rest = self.0;
                let mut glue = "";
                $(if self.contains(Self::$const) {
                    write!(f, "{glue}{}", $words)?;
                    rest &= !$value;
                    glue = " and ";
                })*
                match (rest, self.0) {
                    (0, 0) => f.write_str("none"),
                    (0, _) => Ok(()),
                    _ => write!(f, "{glue}{rest:#x}"),
                }
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

bits! {
    /// Framing Capabilities and Framing Type (RFC 2661 §4.4.3, §4.4.4).
    Framing {
        0x1 SYNC "synchronous",
        0x2 ASYNC "asynchronous",
    }
}

bits! {
    /// Bearer Capabilities and Bearer Type (RFC 2661 §4.4.3, §4.4.4).
    Bearer {
        0x1 DIGITAL "digital",
        0x2 ANALOG "analogue",
    }
}

/// A control message's type (RFC 2661 §3.2). [`MESSAGES`](super::MESSAGES) are those that are known.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageType(pub u16);

impl fmt::Display for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "message type {}", self.0),
        }
    }
}

impl fmt::Debug for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a message, and an error in it, is about (RFC 2661 §4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// The control connection with all of its sessions.
    Tunnel,
    /// One session.
    Session,
}

impl MessageType {
    /// What a message of this type is about. Of an unknown type, the tunnel (RFC 2661 §4.4.1).
    pub const fn scope(self) -> Scope {
        match self.0 {
            7..=16 => Scope::Session,
            _ => Scope::Tunnel,
        }
    }
}

/// An AVP's kind: the vendor who defined it, 0 for the IETF, and the number he gave it
/// (RFC 2661 §4.1). The names are those of [`AVPS`](super::AVPS).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attribute {
    /// SMI network management enterprise code; 0 for the IETF.
    pub vendor: u16,
    /// The vendor's number.
    pub number: u16,
}

impl Attribute {
    /// An attribute that the IETF defined.
    pub const fn ietf(number: u16) -> Self {
        Self { vendor: 0, number }
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.vendor, self.rule()) {
            (_, Some(rule)) => write!(f, "{} ({})", rule.name, self.number),
            (0, None) => write!(f, "attribute {}", self.number),
            (vendor, None) => write!(f, "attribute {} of vendor {vendor}", self.number),
        }
    }
}

impl fmt::Debug for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
