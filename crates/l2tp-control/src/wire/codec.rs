//! The machinery under the table: how AVPs are taken from a message and put into one, and the macro
//! that makes the messages' types out of the table.

use core::mem;

use super::avp::{Avp, Avps, HEADER, HIDDEN, LENGTH, MANDATORY};
use super::be16;
use super::hidden::{Hiding, plain};
use super::lenient::Leniencies;
use super::number::{Attribute, MessageType};
use super::table::{Message, Rule};
use super::value::{Bad, Forgiving, MAX, Value};
use crate::error::{Error, Malformed, Misuse, Unsupported, Violation};

/// What every type of message can do.
pub(crate) trait Typed<'a>: Sized {
    /// Takes the AVPs behind the Message Type.
    fn read(avps: Avps<'a>, walk: &mut Walk) -> Result<Self, Error>;

    /// Puts the AVPs, Message Type first.
    fn write<const HIDE: bool>(&self, writer: &mut Writer<'_, HIDE>) -> Result<(), Misuse>;
}

/// What a walk over a message's AVPs has found, except the values.
#[derive(Debug)]
pub(crate) struct Walk {
    /// Hidden AVPs have been revealed.
    revealed: bool,
    random_vector: bool,
    pub(crate) forgiving: Forgiving,
    /// AVPs that were ignored: unknown or malformed, and optional.
    pub(crate) ignored: u16,
    /// What was wrong with the last malformed one of them.
    pub(crate) fault: Option<Violation>,
}

// Functions that every AVP passes are inlined, so that the walk stays in registers; what is rare is not, and
// is given the parts of an `Avp`: given the whole, every `Avp` would be kept in memory for its sake.
impl Walk {
    pub(crate) fn new(revealed: bool, granted: Leniencies) -> Self {
        let forgiving = Forgiving { granted, used: Leniencies::STRICT };
        Self { revealed, random_vector: false, forgiving, ignored: 0, fault: None }
    }

    /// Gives each AVP that the IETF defined, as plain text, to `take`.
    #[inline(always)]
    pub(crate) fn each<'a>(
        &mut self,
        mut avps: Avps<'a>,
        mut take: impl FnMut(&mut Self, Avp<'a>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        loop {
            let rest = avps.rest;
            let avp = match avps.next() {
                None => return Ok(()),
                Some(Ok(avp)) => avp,
                Some(Err(error)) => return self.padding(rest, error),
            };
            let usual = avp.bits() & !(MANDATORY | LENGTH) == 0 && avp.attribute().vendor == 0;
            let avp = match usual {
                true => avp,
                false => match self.unusual(avp.header, avp.value)? {
                    Some(avp) => avp,
                    None => continue,
                },
            };
            take(self, avp)?;
        }
    }

    /// What cannot be an AVP is padding, if it is zeros.
    #[cold]
    fn padding(&mut self, rest: &[u8], error: Malformed) -> Result<(), Error> {
        let zeros = rest.iter().all(|byte| *byte == 0);
        zeros.then(|| self.forgiving.forgive(Leniencies::PADDING)).flatten().ok_or(error.into())
    }

    /// The first AVP's value, which must be a message's type.
    pub(crate) fn message_type(&mut self, first: Avp<'_>) -> Result<MessageType, Error> {
        let attribute = Attribute::MESSAGE_TYPE;
        if first.attribute() != attribute || first.is_hidden() || first.is_reserved() {
            return Err(Violation::MessageTypeNotFirst.into());
        }
        let Some(kind) = be16(first.value, 0) else {
            return Err(Violation::AvpLength { attribute, length: first.value.len() as u16 }.into());
        };
        if first.value.len() > 2 {
            let length = first.value.len() as u16;
            self.demand(Leniencies::LONG_VALUE, Violation::AvpLength { attribute, length })?;
        }
        let kind = MessageType(kind);
        if kind.name().is_some() && !first.is_mandatory() {
            self.demand(Leniencies::MANDATORY_BIT, Violation::MandatoryBit(attribute))?;
        }
        Ok(kind)
    }

    /// An AVP of a vendor, with reserved bits, or hidden.
    #[cold]
    fn unusual<'a>(&mut self, header: &'a [u8; HEADER], value: &'a [u8]) -> Result<Option<Avp<'a>>, Error> {
        let avp = Avp { header, value };
        if avp.is_reserved() || avp.attribute().rule().is_none() {
            return self.unknown(avp).map(|()| None);
        }
        let attribute = avp.attribute();
        if !self.revealed {
            return self.ignore(avp, Unsupported::NoSecret(attribute).into()).map(|()| None);
        }
        if !self.random_vector {
            return self.ignore(avp, Violation::NoRandomVector(attribute).into()).map(|()| None);
        }
        match plain(avp) {
            Some(avp) => Ok(Some(avp)),
            None => self.ignore(avp, Violation::Unrevealed(attribute).into()).map(|()| None),
        }
    }

    /// Takes an AVP into the place of its value.
    #[inline(always)]
    pub(crate) fn take<'a, T: Value<'a>>(
        &mut self,
        place: &mut Option<T>,
        avp: Avp<'a>,
        rule: &'static Rule,
    ) -> Result<(), Error> {
        let expected = if rule.mandatory { MANDATORY } else { 0 };
        let length = avp.value.len();
        if avp.bits() & !LENGTH == expected
            && place.is_none()
            && length >= rule.min
            && length <= *T::LEN.end()
            && let Ok(value) = T::read(avp.value, &mut self.forgiving)
        {
            *place = Some(value);
            return Ok(());
        }
        self.take_odd(place, avp.header, avp.value, rule)
    }

    /// Takes an AVP with something about it that has to be forgiven or refused.
    #[cold]
    fn take_odd<'a, T: Value<'a>>(
        &mut self,
        place: &mut Option<T>,
        header: &'a [u8; HEADER],
        mut value: &'a [u8],
        rule: &'static Rule,
    ) -> Result<(), Error> {
        let avp = Avp { header, value };
        let attribute = rule.attribute;
        if place.is_some() {
            return self.demand(Leniencies::REPEATED_AVP, Violation::RepeatedAvp(attribute));
        }
        if avp.is_mandatory() != rule.mandatory {
            self.demand(Leniencies::MANDATORY_BIT, Violation::MandatoryBit(attribute))?;
        }
        if avp.is_hidden() && !rule.hideable {
            self.demand(Leniencies::HIDDEN_ANYWHERE, Violation::HiddenForbidden(attribute))?;
        }
        let length = Violation::AvpLength { attribute, length: value.len() as u16 };
        if value.len() > *T::LEN.end() {
            if self.forgiving.forgive(Leniencies::LONG_VALUE).is_none() {
                return self.ignore(avp, length.into());
            }
            value = &value[..*T::LEN.end()];
        }
        if value.len() < rule.min {
            return self.ignore(avp, length.into());
        }
        match T::read(value, &mut self.forgiving) {
            Ok(value) => {
                *place = Some(value);
                Ok(())
            }
            Err(Bad::Length) => self.ignore(avp, length.into()),
            Err(Bad::Value) => self.ignore(avp, Violation::AvpValue(attribute).into()),
        }
    }

    /// An AVP that the message has no place for.
    #[cold]
    pub(crate) fn other(&mut self, header: &[u8; HEADER], value: &[u8]) -> Result<(), Error> {
        let avp = Avp { header, value };
        match avp.attribute() {
            Attribute::RANDOM_VECTOR => {
                self.random_vector = true;
                Ok(())
            }
            Attribute::MESSAGE_TYPE => {
                self.demand(Leniencies::REPEATED_AVP, Violation::RepeatedAvp(avp.attribute()))
            }
            attribute if attribute.rule().is_none() => self.unknown(avp),
            attribute => self.demand(Leniencies::MISPLACED_AVP, Violation::MisplacedAvp(attribute)),
        }
    }

    /// The value of an AVP that must be there, unless a leniency lets it be missing.
    #[inline]
    pub(crate) fn must<'a, T: Value<'a>, const N: usize>(
        &mut self,
        value: Option<T>,
        rule: &'static Rule,
        leniency: [Leniencies; N],
    ) -> Result<T, Error> {
        if let Some(value) = value {
            return Ok(value);
        }
        let forgiven = leniency.first().and_then(|leniency| self.forgiving.forgive(*leniency));
        forgiven.and(T::MISSING).ok_or(Error::Violation(Violation::MissingAvp(rule.attribute)))
    }

    fn unknown(&mut self, avp: Avp<'_>) -> Result<(), Error> {
        if avp.is_mandatory() {
            return Err(Unsupported::Avp(avp.attribute()).into());
        }
        self.ignored = self.ignored.saturating_add(1);
        Ok(())
    }

    /// Ignores an AVP for what is wrong with it, unless its M bit forbids that (RFC 2661 §7.1).
    fn ignore(&mut self, avp: Avp<'_>, error: Error) -> Result<(), Error> {
        if avp.is_mandatory() {
            return Err(error);
        }
        self.ignored = self.ignored.saturating_add(1);
        if let Error::Violation(violation) = error {
            self.fault = Some(violation);
        }
        Ok(())
    }

    fn demand(&mut self, leniency: Leniencies, violation: Violation) -> Result<(), Error> {
        self.forgiving.forgive(leniency).ok_or(Error::Violation(violation))
    }
}

/// Puts AVPs into a buffer, hidden if `HIDE`.
#[derive(Debug)]
pub(crate) struct Writer<'o, const HIDE: bool> {
    /// What is not yet written.
    out: &'o mut [u8],
    hiding: Option<&'o Hiding<'o>>,
    random_vector: bool,
}

impl<'o, const HIDE: bool> Writer<'o, HIDE> {
    /// Writes what stands behind the header. Returns its length.
    // Not inlined, so that `encode` is, and its result stays in registers.
    #[inline(never)]
    pub(crate) fn message(
        message: &Message<'_>,
        hiding: Option<&'o Hiding<'o>>,
        out: &'o mut [u8],
    ) -> Result<usize, Misuse> {
        let whole = out.len();
        let mut writer = Self { out, hiding, random_vector: false };
        message.write(&mut writer)?;
        Ok(whole - writer.out.len())
    }

    #[inline(always)]
    pub(crate) fn avp<'a, T: Value<'a>>(&mut self, rule: &'static Rule, value: &T) -> Result<(), Misuse> {
        if HIDE && rule.hideable {
            return self.hidden(rule, value);
        }
        value.write(self.room(rule.attribute, value.len(), rule.bits())?);
        Ok(())
    }

    fn hidden<'a, T: Value<'a>>(&mut self, rule: &'static Rule, value: &T) -> Result<(), Misuse> {
        let hiding = self.hiding.expect("`HIDE` comes with a `Hiding`");
        if !self.random_vector {
            self.random_vector = true;
            let vector = hiding.random_vector;
            self.room(Attribute::RANDOM_VECTOR, vector.len(), MANDATORY)?.copy_from_slice(vector);
        }
        let length = value.len();
        let out = self.room(rule.attribute, hiding.len(length), rule.bits() | HIDDEN)?;
        value.write(&mut out[2..2 + length]);
        hiding.hide(rule.attribute, out, length);
        Ok(())
    }

    /// Writes an AVP's header and gives the place of its value.
    #[inline(always)]
    fn room(&mut self, attribute: Attribute, length: usize, bits: u16) -> Result<&'o mut [u8], Misuse> {
        if length > MAX {
            return Err(Misuse::ValueTooLong(attribute));
        }
        let avp = mem::take(&mut self.out).split_at_mut_checked(HEADER + length);
        let (avp, rest) = avp.ok_or(Misuse::MessageTooLong)?;
        self.out = rest;
        let (header, value) = avp.split_first_chunk_mut::<HEADER>().ok_or(Misuse::MessageTooLong)?;
        let [bits, length] = (bits | (HEADER + length) as u16).to_be_bytes();
        let [number, number2] = attribute.number.to_be_bytes();
        *header = [bits, length, 0, 0, number, number2];
        Ok(value)
    }
}

/// Makes attributes, rules and the messages' types out of the table.
macro_rules! table {
    (
        avps {
            $($number:literal $attribute:ident $words:literal $m:tt $h:tt $min:literal..=$max:tt $clause:literal,)*
        }
        messages<$l:lifetime> {
            $($(#[$doc:meta])* $type:literal $const:ident $name:literal $message:ident$(<$a:lifetime>)? {
                $(must $must:ident: $must_type:ty = $must_avp:ident $(else $leniency:ident)?,)*
                $(may $may:ident: $may_type:ty = $may_avp:ident,)*
                $(flag $flag:ident = $flag_avp:ident,)*
            })*
        }
    ) => {
        impl Attribute {
            $(
                #[doc = concat!($words, " (", $clause, ").")]
                pub const $attribute: Self = Self::ietf($number);
            )*

            /// What the table says of it, unless it is unknown.
            pub const fn rule(self) -> Option<&'static Rule> {
                match self {
                    $(Self { vendor: 0, number: $number } => Some(&rules::$attribute),)*
                    _ => None,
                }
            }
        }

        #[allow(dead_code)]
        mod numbers {
            $(pub(super) const $attribute: u16 = $number;)*
        }

        mod rules {
            use super::{Attribute, Rule, bit, MAX};

            $(pub(super) const $attribute: Rule = Rule {
                attribute: Attribute::$attribute,
                name: $words,
                mandatory: bit(stringify!($m)),
                hideable: bit(stringify!($h)),
                min: $min,
                max: $max,
                clause: $clause,
            };)*
        }

        /// Every AVP, by number.
        pub const AVPS: &[Rule] = &[$(rules::$attribute),*];

        impl MessageType {
            $($(#[$doc])* pub const $const: Self = Self($type);)*

            /// Its abbreviation, unless it is unknown.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($type => Some($name),)*
                    _ => None,
                }
            }
        }

        /// Every message, by number.
        pub const MESSAGES: &[MessageRule] = &[$(MessageRule {
            message_type: MessageType($type),
            must: &[$(Attribute::$must_avp),*],
            may: &[$(Attribute::$may_avp,)* $(Attribute::$flag_avp),*],
        }),*];

        $(
            $(#[$doc])*
            #[derive(Clone, Copy, PartialEq, Eq, Debug)]
            pub struct $message$(<$a>)? {
                $(
                    #[doc = concat!("[`", stringify!($must_avp), "`](Attribute::", stringify!($must_avp), ")")]
                    pub $must: $must_type,
                )*
                $(
                    #[doc = concat!("[`", stringify!($may_avp), "`](Attribute::", stringify!($may_avp), ")")]
                    pub $may: Option<$may_type>,
                )*
                $(
                    #[doc = concat!("[`", stringify!($flag_avp), "`](Attribute::", stringify!($flag_avp), ")")]
                    pub $flag: bool,
                )*
            }

            impl$(<$a>)? $message$(<$a>)? {
                /// The message with what must be in it, and nothing else.
                #[allow(clippy::new_without_default)]
                pub const fn new($($must: $must_type),*) -> Self {
                    Self { $($must,)* $($may: None,)* $($flag: false,)* }
                }
            }

            impl<$l> Typed<$l> for $message$(<$a>)? {
                #[inline(always)]
                fn read(avps: Avps<$l>, walk: &mut Walk) -> Result<Self, Error> {
                    $(let mut $must: Option<$must_type> = None;)*
                    $(let mut $may: Option<$may_type> = None;)*
                    $(let mut $flag: Option<()> = None;)*
                    walk.each(avps, |walk, avp| match avp.attribute().number {
                        $(numbers::$must_avp => walk.take(&mut $must, avp, &rules::$must_avp),)*
                        $(numbers::$may_avp => walk.take(&mut $may, avp, &rules::$may_avp),)*
                        $(numbers::$flag_avp => walk.take(&mut $flag, avp, &rules::$flag_avp),)*
                        _ => walk.other(avp.header, avp.value),
                    })?;
                    Ok(Self {
                        $($must: walk.must($must, &rules::$must_avp, [$(Leniencies::$leniency)?])?,)*
                        $($may,)*
                        $($flag: $flag.is_some(),)*
                    })
                }

                #[inline(always)]
                fn write<const HIDE: bool>(&self, writer: &mut Writer<'_, HIDE>) -> Result<(), Misuse> {
                    writer.avp(&rules::MESSAGE_TYPE, &MessageType::$const.0)?;
                    $(writer.avp(&rules::$must_avp, &self.$must)?;)*
                    $(if let Some(value) = &self.$may {
                        writer.avp(&rules::$may_avp, value)?;
                    })*
                    $(if self.$flag {
                        writer.avp(&rules::$flag_avp, &())?;
                    })*
                    Ok(())
                }
            }

            impl<$l> From<$message$(<$a>)?> for Message<$l> {
                fn from(message: $message$(<$a>)?) -> Self {
                    Self::$message(message)
                }
            }
        )*

        /// A control message.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Message<$l> {
            $($(#[$doc])* $message($message$(<$a>)?),)*
            /// A message of unknown type without the M bit: to be acknowledged and ignored
            /// (RFC 2661 §4.4.1).
            Unknown(MessageType),
            /// A header and nothing else: it acknowledges and is not acknowledged (RFC 2661 §5.8).
            Zlb,
        }

        impl<$l> Message<$l> {
            /// Its type; `None` of a ZLB, which has none.
            pub const fn message_type(&self) -> Option<MessageType> {
                match self {
                    $(Self::$message(_) => Some(MessageType($type)),)*
                    Self::Unknown(kind) => Some(*kind),
                    Self::Zlb => None,
                }
            }

            /// Takes the AVPs behind the Message Type; of an unknown one there are none to take.
            #[inline(always)]
            pub(crate) fn read(kind: MessageType, avps: Avps<$l>, walk: &mut Walk) -> Result<Self, Error> {
                match kind.0 {
                    $($type => <$message$(<$a>)?>::read(avps, walk).map(Self::$message),)*
                    _ => Ok(Self::Unknown(kind)),
                }
            }

            /// Puts the AVPs, Message Type first.
            #[inline(always)]
            pub(crate) fn write<const HIDE: bool>(&self, writer: &mut Writer<'_, HIDE>) -> Result<(), Misuse> {
                match self {
                    $(Self::$message(message) => message.write(writer),)*
                    Self::Unknown(kind) => {
                        const OPTIONAL: Rule = Rule { mandatory: false, ..rules::MESSAGE_TYPE };
                        writer.avp(&OPTIONAL, &kind.0)
                    }
                    Self::Zlb => Ok(()),
                }
            }
        }
    };
}

pub(super) use table;
