//! The values of AVPs: their types, and how those are read and written.

use core::fmt;
use core::ops::{Deref, RangeInclusive};

use l2tp_data::id::{SessionId, TunnelId};

use super::be16;
use super::lenient::Leniencies;
use super::number::{AuthenType, Bearer, CauseCode, CdnResult, Direction, ErrorCode, Framing, StopResult};

/// What an AVP's value is read into and written from.
pub(crate) trait Value<'a>: Sized {
    /// Lengths it may have on the wire.
    const LEN: RangeInclusive<usize>;

    /// What stands for it when a leniency lets it be missing.
    const MISSING: Option<Self> = None;

    /// Reads a value whose length is within [`LEN`](Self::LEN).
    fn read(value: &'a [u8], forgiving: &mut Forgiving) -> Result<Self, Bad>;

    /// Bytes it takes on the wire.
    fn len(&self) -> usize {
        *Self::LEN.end()
    }

    /// Writes it; `out` has [`len`](Self::len) bytes.
    fn write(&self, out: &mut [u8]);
}

/// What is wrong with a value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bad {
    /// Its length.
    Length,
    /// Something else.
    Value,
}

/// The leniencies that are granted, and those that were made use of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Forgiving {
    pub(crate) granted: Leniencies,
    pub(crate) used: Leniencies,
}

impl Forgiving {
    /// Makes use of a leniency; `None` if it is not granted.
    pub(crate) fn forgive(&mut self, leniency: Leniencies) -> Option<()> {
        self.granted.contains(leniency).then(|| self.used |= leniency)
    }
}

/// The first bytes of a value.
#[inline]
fn chunk<const N: usize>(value: &[u8]) -> Result<&[u8; N], Bad> {
    value.first_chunk().ok_or(Bad::Length)
}

/// Copies a string into as many bytes. Most strings are short, and a call takes longer than they do.
#[inline(always)]
fn copy(out: &mut [u8], string: &[u8]) {
    let copied = match string.len() {
        4..8 => ends::<4>(out, string),
        8..16 => ends::<8>(out, string),
        16..=32 => ends::<16>(out, string),
        _ => None,
    };
    if copied.is_none() {
        out.copy_from_slice(string);
    }
}

/// Copies the first and the last `N` bytes, which may overlap.
#[inline(always)]
fn ends<const N: usize>(out: &mut [u8], string: &[u8]) -> Option<()> {
    *out.first_chunk_mut::<N>()? = *string.first_chunk()?;
    *out.last_chunk_mut::<N>()? = *string.last_chunk()?;
    Some(())
}

/// The longest value.
pub(crate) const MAX: usize = super::avp::MAX - super::avp::HEADER;

macro_rules! octets {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name<'a>(pub &'a [u8]);

        impl Deref for $name<'_> {
            type Target = [u8];

            fn deref(&self) -> &[u8] {
                self.0
            }
        }

        impl<'a> From<&'a [u8]> for $name<'a> {
            fn from(octets: &'a [u8]) -> Self {
                Self(octets)
            }
        }

        impl<'a> From<&'a str> for $name<'a> {
            fn from(text: &'a str) -> Self {
                Self(text.as_bytes())
            }
        }

        impl<'a> Value<'a> for $name<'a> {
            const LEN: RangeInclusive<usize> = 0..=MAX;

            fn read(value: &'a [u8], _: &mut Forgiving) -> Result<Self, Bad> {
                Ok(Self(value))
            }

            fn len(&self) -> usize {
                self.0.len()
            }

            #[inline(always)]
            fn write(&self, out: &mut [u8]) {
                copy(out, self.0);
            }
        }

        impl fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

octets! {
    /// Octets that are often text and may be anything. Displayed with escapes.
    Octets
}

octets! {
    /// Octets that may be a password. Displayed as their number only.
    Private
}

impl fmt::Display for Octets<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in self.0.utf8_chunks() {
            for char in part.valid().chars() {
                if char.is_control() || char == '\\' {
                    write!(f, "{}", char.escape_default())?;
                } else {
                    write!(f, "{char}")?;
                }
            }
            write!(f, "{}", part.invalid().escape_ascii())?;
        }
        Ok(())
    }
}

impl fmt::Display for Private<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({} octets)", self.0.len())
    }
}

macro_rules! integers {
    ($($name:ty: $int:ty, $missing:expr, $read:expr, $write:expr;)*) => {
        $(impl<'a> Value<'a> for $name {
            const LEN: RangeInclusive<usize> = size_of::<$int>()..=size_of::<$int>();
            const MISSING: Option<Self> = $missing;

            #[inline]
            fn read(value: &'a [u8], _: &mut Forgiving) -> Result<Self, Bad> {
                $read(<$int>::from_be_bytes(*chunk(value)?)).ok_or(Bad::Value)
            }

            #[inline]
            fn write(&self, out: &mut [u8]) {
                let int: $int = $write(*self);
                out.copy_from_slice(&int.to_be_bytes());
            }
        })*
    };
}

integers! {
    u16: u16, None, Some, |int| int;
    u32: u32, None, Some, |int| int;
    u64: u64, None, Some, |int| int;
    Framing: u32, Some(Framing::NONE), |bits| Some(Framing(bits)), |bits: Framing| bits.0;
    Bearer: u32, None, |bits| Some(Bearer(bits)), |bits: Bearer| bits.0;
    AuthenType: u16, None, |number| Some(AuthenType(number)), |number: AuthenType| number.0;
    TunnelId: u16, None, TunnelId::new, TunnelId::get;
    SessionId: u16, None, SessionId::new, SessionId::get;
    Option<TunnelId>: u16, None, |id| Some(TunnelId::new(id)), |id: Self| id.map_or(0, TunnelId::get);
    Option<SessionId>: u16, None, |id| Some(SessionId::new(id)), |id: Self| id.map_or(0, SessionId::get);
}

impl<'a> Value<'a> for () {
    const LEN: RangeInclusive<usize> = 0..=0;

    fn read(_: &'a [u8], _: &mut Forgiving) -> Result<Self, Bad> {
        Ok(())
    }

    fn write(&self, _: &mut [u8]) {}
}

impl<'a> Value<'a> for [u8; 16] {
    const LEN: RangeInclusive<usize> = 16..=16;

    fn read(value: &'a [u8], _: &mut Forgiving) -> Result<Self, Bad> {
        chunk(value).copied()
    }

    fn write(&self, out: &mut [u8]) {
        out.copy_from_slice(self);
    }
}

/// The version of L2TP (RFC 2661 §4.4.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProtocolVersion {
    /// 1.
    pub version: u8,
    /// 0.
    pub revision: u8,
}

impl ProtocolVersion {
    /// That of RFC 2661.
    pub const V1_0: Self = Self { version: 1, revision: 0 };
}

impl<'a> Value<'a> for ProtocolVersion {
    const LEN: RangeInclusive<usize> = 2..=2;

    fn read(value: &'a [u8], _: &mut Forgiving) -> Result<Self, Bad> {
        let [version, revision] = *chunk(value)?;
        Ok(Self { version, revision })
    }

    fn write(&self, out: &mut [u8]) {
        out.copy_from_slice(&[self.version, self.revision]);
    }
}

/// A connect speed in bits per second.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Bps(pub u32);

impl<'a> Value<'a> for Bps {
    /// More than the RFC's four, for [`Leniencies::ASCII_SPEED`].
    const LEN: RangeInclusive<usize> = 1..=MAX;
    const MISSING: Option<Self> = Some(Self(0));

    #[inline]
    fn read(value: &'a [u8], forgiving: &mut Forgiving) -> Result<Self, Bad> {
        match <[u8; 4]>::try_from(value) {
            Ok(value) => Ok(Self(u32::from_be_bytes(value))),
            Err(_) => Self::read_odd(value, forgiving),
        }
    }

    fn len(&self) -> usize {
        4
    }

    #[inline]
    fn write(&self, out: &mut [u8]) {
        out.copy_from_slice(&self.0.to_be_bytes());
    }
}

impl Bps {
    #[cold]
    fn read_odd(value: &[u8], forgiving: &mut Forgiving) -> Result<Self, Bad> {
        let text = core::str::from_utf8(value).unwrap_or_default().trim_end_matches('\0');
        if let Some(bps) = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
        {
            forgiving.forgive(Leniencies::ASCII_SPEED).ok_or(Bad::Length)?;
            return Ok(Self(bps));
        }
        let bps = u32::from_be_bytes(*chunk(value)?);
        forgiving.forgive(Leniencies::LONG_VALUE).ok_or(Bad::Length)?;
        Ok(Self(bps))
    }
}

/// Why a tunnel (`C` is [`StopResult`]) or a session ([`CdnResult`]) ended (RFC 2661 §4.4.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ResultCode<'a, C> {
    /// The result.
    pub result: C,
    /// What a general error was.
    pub error: Option<ErrorCode>,
    /// Words for a human.
    pub message: Octets<'a>,
}

impl<C> From<C> for ResultCode<'_, C> {
    fn from(result: C) -> Self {
        Self { result, error: None, message: Octets(&[]) }
    }
}

impl<C: fmt::Display> fmt::Display for ResultCode<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.result.fmt(f)?;
        if let Some(error) = self.error.filter(|error| *error != ErrorCode::NONE) {
            write!(f, "; {error}")?;
        }
        let text = self.message.0.trim_ascii_end();
        let text = &text[..text.len() - text.iter().rev().take_while(|byte| **byte == 0).count()];
        if !text.is_empty() {
            write!(f, "; it says: {}", Octets(text))?;
        }
        Ok(())
    }
}

/// A code that is only possible with its bytes swapped.
fn unswapped(code: u16, forgiving: &mut Forgiving) -> u16 {
    let swapped = code != 0 && code & 0xff == 0;
    if swapped && forgiving.forgive(Leniencies::SWAPPED_RESULT).is_some() {
        return code.swap_bytes();
    }
    code
}

macro_rules! result_code {
    ($($code:ident)*) => {
        $(impl<'a> Value<'a> for ResultCode<'a, $code> {
            const LEN: RangeInclusive<usize> = 2..=MAX;

            fn read(value: &'a [u8], forgiving: &mut Forgiving) -> Result<Self, Bad> {
                if value.len() == 3 {
                    forgiving.forgive(Leniencies::RESULT_LENGTH).ok_or(Bad::Length)?;
                }
                let result = $code(unswapped(u16::from_be_bytes(*chunk(value)?), forgiving));
                let error = be16(value, 2).map(|code| ErrorCode(unswapped(code, forgiving)));
                Ok(Self { result, error, message: Octets(value.get(4..).unwrap_or_default()) })
            }

            fn len(&self) -> usize {
                match (self.error, self.message.len()) {
                    (None, 0) => 2,
                    (_, message) => 4 + message,
                }
            }

            fn write(&self, out: &mut [u8]) {
                out[..2].copy_from_slice(&self.result.0.to_be_bytes());
                if let Some(out) = out.get_mut(2..4) {
                    out.copy_from_slice(&self.error.unwrap_or(ErrorCode::NONE).0.to_be_bytes());
                }
                if let Some(out) = out.get_mut(4..) {
                    out.copy_from_slice(&self.message);
                }
            }
        })*
    };
}

result_code!(StopResult CdnResult);

/// Q.931 cause of a call's end (RFC 2661 §4.4.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Q931Cause<'a> {
    /// The cause code of ITU-T Q.931.
    pub code: u16,
    /// The Q.931 message in which it came.
    pub message: u8,
    /// Words for a human.
    pub advisory: Octets<'a>,
}

impl<'a> Value<'a> for Q931Cause<'a> {
    const LEN: RangeInclusive<usize> = 3..=MAX;

    fn read(value: &'a [u8], _: &mut Forgiving) -> Result<Self, Bad> {
        let (&[high, low, message], advisory) = value.split_first_chunk().ok_or(Bad::Length)?;
        Ok(Self { code: u16::from_be_bytes([high, low]), message, advisory: Octets(advisory) })
    }

    fn len(&self) -> usize {
        3 + self.advisory.len()
    }

    fn write(&self, out: &mut [u8]) {
        let (cause, advisory) = out.split_at_mut(3);
        cause[..2].copy_from_slice(&self.code.to_be_bytes());
        cause[2] = self.message;
        advisory.copy_from_slice(&self.advisory);
    }
}

/// Why PPP ended (RFC 3145 §2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DisconnectCause<'a> {
    /// What happened.
    pub code: CauseCode,
    /// The PPP protocol number of the control protocol it happened in, or 0.
    pub protocol: u16,
    /// At which side.
    pub direction: Direction,
    /// Words for a human.
    pub message: Octets<'a>,
}

impl fmt::Display for DisconnectCause<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.code, self.direction)?;
        if self.protocol != 0 {
            write!(f, ", protocol {:04x}", self.protocol)?;
        }
        if !self.message.is_empty() {
            write!(f, "; it says: {}", self.message)?;
        }
        Ok(())
    }
}

impl<'a> Value<'a> for DisconnectCause<'a> {
    const LEN: RangeInclusive<usize> = 5..=MAX;

    fn read(value: &'a [u8], _: &mut Forgiving) -> Result<Self, Bad> {
        let (&[code, code2, protocol, protocol2, direction], message) =
            value.split_first_chunk().ok_or(Bad::Length)?;
        Ok(Self {
            code: CauseCode(u16::from_be_bytes([code, code2])),
            protocol: u16::from_be_bytes([protocol, protocol2]),
            direction: Direction(direction),
            message: Octets(message),
        })
    }

    fn len(&self) -> usize {
        5 + self.message.len()
    }

    fn write(&self, out: &mut [u8]) {
        let (cause, message) = out.split_at_mut(5);
        cause[..2].copy_from_slice(&self.code.0.to_be_bytes());
        cause[2..4].copy_from_slice(&self.protocol.to_be_bytes());
        cause[4] = self.direction.0;
        message.copy_from_slice(&self.message);
    }
}

/// The identifier of the PPP packet that the caller authenticated with (RFC 2661 §4.4.5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProxyAuthenId(pub u8);

impl<'a> Value<'a> for ProxyAuthenId {
    const LEN: RangeInclusive<usize> = 2..=2;

    fn read(value: &'a [u8], forgiving: &mut Forgiving) -> Result<Self, Bad> {
        let &[reserved, id] = chunk(value)?;
        reserved_field(u16::from(reserved), forgiving)?;
        Ok(Self(id))
    }

    fn write(&self, out: &mut [u8]) {
        out.copy_from_slice(&[0, self.0]);
    }
}

fn reserved_field(field: u16, forgiving: &mut Forgiving) -> Result<(), Bad> {
    if field == 0 { Ok(()) } else { forgiving.forgive(Leniencies::RESERVED_FIELD).ok_or(Bad::Value) }
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident($count:literal) { $($(#[$d:meta])* $field:ident $at:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
        #[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize))]
        pub struct $name {
            $($(#[$d])* pub $field: u32,)*
        }

        impl<'a> Value<'a> for $name {
            const LEN: RangeInclusive<usize> = 2 + 4 * $count..=2 + 4 * $count;

            fn read(value: &'a [u8], forgiving: &mut Forgiving) -> Result<Self, Bad> {
                let value = chunk::<{ 2 + 4 * $count }>(value)?;
                reserved_field(u16::from_be_bytes([value[0], value[1]]), forgiving)?;
                let word = |n: usize| {
                    let at = 2 + 4 * n;
                    u32::from_be_bytes([value[at], value[at + 1], value[at + 2], value[at + 3]])
                };
                Ok(Self { $($field: word($at)),* })
            }

            fn write(&self, out: &mut [u8]) {
                out[..2].fill(0);
                $(out[2 + 4 * $at..6 + 4 * $at].copy_from_slice(&self.$field.to_be_bytes());)*
            }
        }
    };
}

words! {
    /// Errors on the LAC's line since the call began (RFC 2661 §4.4.6).
    CallErrors(6) {
        /// PPP frames with CRC errors.
        crc 0,
        /// PPP frames with framing errors.
        framing 1,
        /// Receive buffer overruns of the hardware.
        hardware_overruns 2,
        /// Buffer overruns.
        buffer_overruns 3,
        /// Timeouts.
        timeouts 4,
        /// Alignment errors.
        alignment 5,
    }
}

words! {
    /// Asynchronous control character maps, for a LAC with asynchronous framing (RFC 2661 §4.4.6).
    Accm(2) {
        /// What the LAC escapes when it sends to the peer.
        send 0,
        /// What the LAC discards when it receives from the peer.
        receive 1,
    }
}
