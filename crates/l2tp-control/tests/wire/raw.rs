//! Messages byte by byte, built without the encoder.

use l2tp_control::auth::Secret;
use l2tp_control::error::Error;
use l2tp_control::wire::{self, Attribute, Body, Failure, Leniencies, Message, MessageType};

pub(crate) const M: u16 = 0x8000;
pub(crate) const H: u16 = 0x4000;
pub(crate) const O: u16 = 0;

/// A message under construction.
#[derive(Clone)]
pub(crate) struct Raw(pub(crate) Vec<u8>);

impl Raw {
    /// A header for tunnel 1, session 2, Ns 3, Nr 4.
    pub(crate) fn empty() -> Self {
        Self(vec![0xc8, 0x02, 0, 12, 0, 1, 0, 2, 0, 3, 0, 4])
    }

    /// A header and the Message Type.
    pub(crate) fn new(message_type: MessageType) -> Self {
        Self::empty().avp(M, 0, &message_type.0.to_be_bytes())
    }

    /// A message of this type with all AVPs that must be in it.
    pub(crate) fn minimal(message_type: MessageType) -> Self {
        Self::without(message_type, None)
    }

    /// The same, without one of them.
    pub(crate) fn without(message_type: MessageType, missing: Option<Attribute>) -> Self {
        let rule = wire::MESSAGES.iter().find(|rule| rule.message_type == message_type).unwrap();
        let present = rule.must.iter().filter(|attribute| Some(**attribute) != missing);
        present.fold(Self::new(message_type), |raw, attribute| {
            let rule = attribute.rule().unwrap();
            raw.avp(if rule.mandatory { M } else { O }, attribute.number, &value(*attribute))
        })
    }

    pub(crate) fn avp(self, bits: u16, number: u16, value: &[u8]) -> Self {
        self.vendor(bits, 0, number, value)
    }

    pub(crate) fn vendor(mut self, bits: u16, vendor: u16, number: u16, value: &[u8]) -> Self {
        let length = 6 + u16::try_from(value.len()).unwrap();
        for field in [bits | length, vendor, number] {
            self.0.extend(field.to_be_bytes());
        }
        self.0.extend(value);
        self.length()
    }

    /// Bytes that are no AVP.
    pub(crate) fn junk(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self.length()
    }

    /// Bytes behind the message.
    pub(crate) fn trailing(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    fn length(mut self) -> Self {
        let length = u16::try_from(self.0.len()).unwrap();
        self.0[2..4].copy_from_slice(&length.to_be_bytes());
        self
    }

    pub(crate) fn decode_with(
        &mut self,
        secret: Option<&Secret>,
        leniencies: Leniencies,
    ) -> Result<Body<'_>, Failure> {
        wire::decode(&mut self.0, secret, leniencies)
    }

    pub(crate) fn liberal(&mut self) -> Result<Body<'_>, Failure> {
        self.decode_with(None, Leniencies::LIBERAL)
    }

    /// What a strict receiver says.
    pub(crate) fn strict(&mut self) -> Result<Body<'_>, Failure> {
        self.decode_with(None, Leniencies::STRICT)
    }

    /// The message, which must be accepted with these leniencies used and no others.
    pub(crate) fn forgiven(&mut self, used: Leniencies) -> Message<'_> {
        let body = self.liberal().expect("it is accepted");
        assert_eq!(body.used, used);
        body.message
    }

    /// Accepted with nothing to forgive and nothing to ignore.
    pub(crate) fn clean(&mut self) -> Message<'_> {
        let body = self.strict().expect("it is accepted");
        assert_eq!((body.used, body.ignored, body.fault), (Leniencies::STRICT, 0, None));
        body.message
    }

    /// Why a liberal receiver does not accept it.
    pub(crate) fn error(&mut self) -> Error {
        self.liberal().expect_err("it is not accepted").error
    }

    /// Why a strict receiver does not accept it.
    pub(crate) fn strict_error(&mut self) -> Error {
        self.strict().expect_err("it is not accepted").error
    }
}

/// A legal value of an AVP that must be in some message.
pub(crate) fn value(attribute: Attribute) -> Vec<u8> {
    match attribute {
        Attribute::PROTOCOL_VERSION => vec![1, 0],
        Attribute::HOST_NAME => b"lac".to_vec(),
        Attribute::RESULT_CODE => vec![0, 1],
        // Reserved fields are 0.
        Attribute::PROXY_AUTHEN_ID | Attribute::CALL_ERRORS | Attribute::ACCM => {
            vec![0; attribute.rule().unwrap().min]
        }
        attribute => vec![1; attribute.rule().unwrap().min],
    }
}
