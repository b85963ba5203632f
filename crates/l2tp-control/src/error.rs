//! What can be wrong, in four families: what cannot be decoded, what breaks a rule, what is legal and
//! refused, and what our caller does wrong.
//!
//! Each error has a stable name for counters and logs, a sentence, the clause it rests on, and, if the
//! peer is told, the error code that stands beside result code 2 ("general error").

use core::fmt;

use crate::wire::{Attribute, ErrorCode, MessageType, OtherAvps};

/// Anything that a peer can do wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// It cannot be decoded.
    Malformed(Malformed),
    /// It breaks a rule.
    Violation(Violation),
    /// It is legal and refused.
    Unsupported(Unsupported),
}

/// A datagram that cannot be decoded. It is dropped and counted (RFC 2661 §7.1: "a control message
/// with a malformed header should be discarded").
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Malformed {
    /// Shorter than a header.
    Short,
    /// The version is not 2: L2F, L2TPv3 or junk (§3.1).
    Version(u8),
    /// A data message (§3.1).
    NotControl,
    /// L or S is clear, or O or P is set (§3.1).
    Flags(u16),
    /// The Length is less than a header or beyond the datagram (§3.1).
    Length {
        /// The Length field.
        length: u16,
        /// Bytes of the datagram.
        datagram: u16,
    },
    /// There are bytes behind the message. Only without
    /// [`TRAILING_BYTES`](crate::wire::Leniencies::TRAILING_BYTES).
    Trailing {
        /// The Length field.
        length: u16,
        /// Bytes of the datagram.
        datagram: u16,
    },
    /// The message ends inside an AVP's header (§4.1).
    AvpHeader {
        /// Where the AVP starts, counted from the message's first byte.
        at: u16,
    },
    /// An AVP's length is less than its header or beyond the message (§4.1).
    AvpLength {
        /// Where the AVP starts, counted from the message's first byte.
        at: u16,
        /// Its length.
        length: u16,
    },
}

/// A rule that the peer broke.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Violation {
    /// The first AVP is not Message Type (§4.4.1).
    MessageTypeNotFirst,
    /// An AVP that must be in the message is missing (§6).
    MissingAvp(Attribute),
    /// An AVP's value has a wrong length (§4.4).
    AvpLength {
        /// The AVP.
        attribute: Attribute,
        /// Bytes of its value.
        length: u16,
    },
    /// An AVP's value is out of range (§4.4).
    AvpValue(Attribute),
    /// A hidden AVP stands before any Random Vector (§4.3).
    NoRandomVector(Attribute),
    /// A hidden AVP is garbage once revealed: the secrets differ (§4.3).
    Unrevealed(Attribute),
    /// An AVP is hidden that must not be (§4.4). Only without
    /// [`HIDDEN_ANYWHERE`](crate::wire::Leniencies::HIDDEN_ANYWHERE).
    HiddenForbidden(Attribute),
    /// The M bit is not what §4.4 says. Only without
    /// [`MANDATORY_BIT`](crate::wire::Leniencies::MANDATORY_BIT).
    MandatoryBit(Attribute),
    /// An AVP is there twice. Only without [`REPEATED_AVP`](crate::wire::Leniencies::REPEATED_AVP).
    RepeatedAvp(Attribute),
    /// An AVP is in a message that it does not belong to (§6). Only without
    /// [`MISPLACED_AVP`](crate::wire::Leniencies::MISPLACED_AVP).
    MisplacedAvp(Attribute),
}

/// What is legal and refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unsupported {
    /// An unknown message type with the M bit: the tunnel must be cleared (§4.4.1).
    MessageType(MessageType),
    /// An unknown AVP with the M bit: what the message is about must end (§4.1).
    Avp(Attribute),
    /// A hidden AVP with the M bit, and no secret to reveal it with (§4.3).
    NoSecret(Attribute),
}

/// What our caller does wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Misuse {
    /// A value is too long for its AVP, whose length has 10 bits (§4.1).
    ValueTooLong(Attribute),
    /// The message does not fit into the buffer, or is longer than its Length field can say.
    MessageTooLong,
    /// A string is longer than the 1000 octets that fit an AVP however it is hidden.
    StringTooLong,
    /// An AVP of our caller's is one that the table knows.
    KnownAvp(Attribute),
    /// Our caller's AVPs are longer than [`OtherAvps::MAX`](crate::wire::OtherAvps::MAX) together.
    TooManyAvps,
    /// There is no tunnel of this id, or it has ended.
    NoTunnel,
    /// There is no session of this id, or it has ended.
    NoSession,
    /// All ids are in use or lingering.
    NoIds,
    /// The policy wants the peer to prove that it knows a secret, and has none.
    NoSecret,
    /// The LAC says what the line is like, and we are the LNS.
    NotLac,
    /// The session is in another state.
    WrongState(&'static str),
}

impl From<Malformed> for Error {
    fn from(error: Malformed) -> Self {
        Self::Malformed(error)
    }
}

impl From<Violation> for Error {
    fn from(error: Violation) -> Self {
        Self::Violation(error)
    }
}

impl From<Unsupported> for Error {
    fn from(error: Unsupported) -> Self {
        Self::Unsupported(error)
    }
}

impl Error {
    /// A name that stays: for counters and logs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Malformed(error) => error.name(),
            Self::Violation(error) => error.name(),
            Self::Unsupported(error) => error.name(),
        }
    }

    /// The clause of RFC 2661 it rests on.
    pub const fn clause(&self) -> &'static str {
        match self {
            Self::Malformed(error) => error.clause(),
            Self::Violation(error) => error.clause(),
            Self::Unsupported(error) => error.clause(),
        }
    }

    /// The error code beside result code 2 that tells the peer; `None` if he is told nothing.
    pub const fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Malformed(_) => None,
            Self::Violation(error) => Some(error.code()),
            Self::Unsupported(error) => Some(error.code()),
        }
    }
}

impl Malformed {
    /// A name that stays: for counters and logs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Version(_) => "version",
            Self::NotControl => "not_control",
            Self::Flags(_) => "flags",
            Self::Length { .. } => "length",
            Self::Trailing { .. } => "trailing",
            Self::AvpHeader { .. } => "avp_header",
            Self::AvpLength { .. } => "avp_framing",
        }
    }

    /// The clause of RFC 2661 it rests on.
    pub const fn clause(&self) -> &'static str {
        match self {
            Self::AvpHeader { .. } | Self::AvpLength { .. } => "§4.1",
            _ => "§3.1",
        }
    }
}

impl Violation {
    /// A name that stays: for counters and logs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::MessageTypeNotFirst => "message_type_not_first",
            Self::MissingAvp(_) => "missing_avp",
            Self::AvpLength { .. } => "avp_length",
            Self::AvpValue(_) => "avp_value",
            Self::NoRandomVector(_) => "no_random_vector",
            Self::Unrevealed(_) => "unrevealed",
            Self::HiddenForbidden(_) => "hidden_forbidden",
            Self::MandatoryBit(_) => "mandatory_bit",
            Self::RepeatedAvp(_) => "repeated_avp",
            Self::MisplacedAvp(_) => "misplaced_avp",
        }
    }

    /// The clause of RFC 2661 it rests on.
    pub const fn clause(&self) -> &'static str {
        match self {
            Self::MessageTypeNotFirst => "§4.4.1",
            Self::NoRandomVector(_) | Self::Unrevealed(_) => "§4.3",
            Self::MissingAvp(_) | Self::RepeatedAvp(_) | Self::MisplacedAvp(_) => "§6",
            _ => "§4.4",
        }
    }

    /// The error code beside result code 2 that tells the peer.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::AvpLength { .. } => ErrorCode::LENGTH,
            _ => ErrorCode::VALUE,
        }
    }
}

impl Unsupported {
    /// A name that stays: for counters and logs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::MessageType(_) => "unknown_message_type",
            Self::Avp(_) => "unknown_avp",
            Self::NoSecret(_) => "no_secret",
        }
    }

    /// The clause of RFC 2661 it rests on.
    pub const fn clause(&self) -> &'static str {
        match self {
            Self::MessageType(_) => "§4.4.1",
            Self::Avp(_) => "§4.1",
            Self::NoSecret(_) => "§4.3",
        }
    }

    /// The error code beside result code 2 that tells the peer.
    pub const fn code(&self) -> ErrorCode {
        ErrorCode::UNKNOWN_AVP
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(error) => error.fmt(f),
            Self::Violation(error) => error.fmt(f),
            Self::Unsupported(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => f.write_str("the datagram is shorter than the header of a control message"),
            Self::Version(1) => f.write_str("the datagram is L2F (version 1), not L2TP version 2"),
            Self::Version(3) => f.write_str("the datagram is L2TP version 3, not version 2"),
            Self::Version(version) => {
                write!(f, "the datagram is of version {version}, not of L2TP version 2")
            }
            Self::NotControl => f.write_str("the datagram is a data message"),
            Self::Flags(flags) => {
                write!(f, "the flags are {flags:04x}: a control message has T, L and S set, O and P clear")
            }
            Self::Length { length, datagram } => {
                write!(f, "the header says {length} bytes, the datagram has {datagram}")
            }
            Self::Trailing { length, datagram } => {
                write!(f, "there are {} bytes behind the message", datagram.saturating_sub(*length))
            }
            Self::AvpHeader { at } => write!(f, "the message ends inside the AVP header at byte {at}"),
            Self::AvpLength { at, length } => {
                write!(f, "the AVP at byte {at} says that it is {length} bytes long")
            }
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MessageTypeNotFirst => f.write_str("the first AVP is not Message Type"),
            Self::MissingAvp(attribute) => write!(f, "{attribute} is missing"),
            Self::AvpLength { attribute, length } => {
                write!(f, "{attribute} has a value of {length} bytes, a wrong length")
            }
            Self::AvpValue(attribute) => write!(f, "{attribute} has a value that is out of range"),
            Self::NoRandomVector(attribute) => {
                write!(f, "{attribute} is hidden, and no Random Vector stands before it")
            }
            Self::Unrevealed(attribute) => {
                write!(f, "{attribute} is hidden and does not decrypt: the secrets of both sides differ")
            }
            Self::HiddenForbidden(attribute) => write!(f, "{attribute} is hidden, which it must not be"),
            Self::MandatoryBit(attribute) => write!(f, "{attribute} has the wrong M bit"),
            Self::RepeatedAvp(attribute) => write!(f, "{attribute} is there twice"),
            Self::MisplacedAvp(attribute) => write!(f, "{attribute} does not belong to this message"),
        }
    }
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MessageType(kind) => write!(f, "unknown {kind} with the M bit set"),
            Self::Avp(attribute) => write!(f, "unknown AVP with the M bit set: {attribute}"),
            Self::NoSecret(attribute) => {
                write!(f, "{attribute} is hidden, and there is no secret for this peer")
            }
        }
    }
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ValueTooLong(attribute) => {
                write!(f, "the value of {attribute} is too long: an AVP holds 1017 bytes, fewer if hidden")
            }
            Self::MessageTooLong => f.write_str("the message does not fit into the buffer"),
            Self::StringTooLong => f.write_str("a string is longer than 1000 octets"),
            Self::KnownAvp(attribute) => {
                write!(
                    f,
                    "{attribute} is no AVP of a vendor or of another document: it has a field of its own"
                )
            }
            Self::TooManyAvps => {
                write!(
                    f,
                    "AVPs of vendors and of other documents are longer than {} octets together",
                    OtherAvps::MAX
                )
            }
            Self::NoTunnel => f.write_str("there is no such tunnel"),
            Self::NoSession => f.write_str("there is no such session"),
            Self::NoIds => {
                f.write_str("all ids are in use; some are free again after a retransmission cycle")
            }
            Self::NoSecret => f.write_str("the policy has `challenge` and no secret: give it one"),
            Self::NotLac => f.write_str("only the LAC says that a call is connected, and we are its LNS"),
            Self::WrongState(state) => {
                write!(f, "the session is in the state {state}, in which that cannot be")
            }
        }
    }
}

impl std::error::Error for Error {}
impl std::error::Error for Malformed {}
impl std::error::Error for Violation {}
impl std::error::Error for Unsupported {}
impl std::error::Error for Misuse {}
