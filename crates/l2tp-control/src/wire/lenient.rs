//! What is forgiven to peers, by name. Each can be switched off.

use core::fmt;
use core::ops::{BitOr, BitOrAssign, Sub};

/// A set of leniencies: those that are granted, or those that a message made use of.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
pub struct Leniencies(u16);

macro_rules! leniencies {
    ($($(#[$doc:meta])* $bit:literal $const:ident $name:literal,)*) => {
        impl Leniencies {
            $($(#[$doc])* pub const $const: Self = Self(1 << $bit);)*

            /// Each one with its name.
            pub const NAMES: &'static [(Self, &'static str)] = &[$((Self::$const, $name)),*];

            /// All of them.
            pub const LIBERAL: Self = Self($(1 << $bit |)* 0);
        }
    };
}

leniencies! {
    /// Bytes behind the Length of the header are ignored: padding of short frames, buffers that are
    /// sent whole.
    0 TRAILING_BYTES "trailing_bytes",
    /// Zeros behind the last AVP, inside the Length, are ignored: the same, one layer up.
    1 PADDING "padding",
    /// A value of fixed length may have bytes behind it, which are ignored. Cisco: six bytes behind
    /// the Challenge Response.
    2 LONG_VALUE "long_value",
    /// Result and error codes in the wrong byte order are turned round: those whose lower byte alone
    /// is zero. Apple.
    3 SWAPPED_RESULT "swapped_result",
    /// A Result Code of three bytes is read as one of two. No peer is known; an end is an end.
    4 RESULT_LENGTH "result_length",
    /// A connect speed may be a decimal number in ASCII, of another length than four. Cisco AS5300.
    5 ASCII_SPEED "ascii_speed",
    /// (Tx) Connect Speed and Framing Type may be missing in ICCN and OCCN, and are then 0. Cisco.
    6 MISSING_SPEED "missing_speed",
    /// The M bit of an AVP that is known has no effect. Huawei; Windows 98 and NT on Physical
    /// Channel ID.
    7 MANDATORY_BIT "mandatory_bit",
    /// An AVP that must not be hidden may be. No peer is known; what can be revealed can be read.
    8 HIDDEN_ANYWHERE "hidden_anywhere",
    /// An AVP that does not belong to the message is ignored. mpd5: in SCCCN.
    9 MISPLACED_AVP "misplaced_avp",
    /// Of an AVP that is there twice the first counts. No peer is known; no reason to end a call.
    10 REPEATED_AVP "repeated_avp",
    /// Reserved fields inside a value may be other than 0. No peer is known; RFC 2661 §7 leaves them
    /// to extensions.
    11 RESERVED_FIELD "reserved_field",
}

impl Leniencies {
    /// None of them.
    pub const STRICT: Self = Self(0);

    /// Whether all of `other` are in here.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl Default for Leniencies {
    fn default() -> Self {
        Self::LIBERAL
    }
}

impl BitOr for Leniencies {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Leniencies {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl Sub for Leniencies {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl fmt::Display for Leniencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut glue = "";
        for (leniency, name) in Self::NAMES {
            if self.contains(*leniency) {
                write!(f, "{glue}{name}")?;
                glue = ", ";
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Leniencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Leniencies({self})")
    }
}
