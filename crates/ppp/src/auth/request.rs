//! What a peer offers as proof, and what becomes of it.

use core::fmt;

use subtle::ConstantTimeEq;

use super::{Secret, eap, md5, mschap};

/// A peer that wants to be let in: its name, and the proof that it knows the password of that name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// The name it gives, at most 255 octets; may be empty.
    pub name: Box<[u8]>,
    /// What shows that it is who it says.
    pub proof: Proof,
}

/// What shows that a peer knows a password. A local account checks it with [`Request::verify`]; RADIUS
/// relays the fields.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Proof {
    /// The password itself (RFC 1334).
    Pap {
        /// The Identifier of the Authenticate-Request.
        id: u8,
        /// At most 255 octets.
        password: Secret,
    },
    /// A hash over Identifier, password and challenge (RFC 1994).
    ChapMd5 {
        /// The Identifier of Challenge and Response.
        id: u8,
        /// Our challenge.
        challenge: Box<[u8]>,
        /// The peer's answer.
        response: [u8; 16],
    },
    /// The response of RFC 2759.
    MsChapV2 {
        /// The Identifier of Challenge and Response.
        id: u8,
        /// Our challenge.
        challenge: [u8; 16],
        /// The peer's challenge for us.
        peer_challenge: [u8; 16],
        /// The peer's answer.
        nt_response: [u8; 24],
    },
    /// EAP's MD5-Challenge, hashed as CHAP does (RFC 3748 §5.4).
    EapMd5 {
        /// The Identifier of Request and Response.
        id: u8,
        /// Our challenge.
        challenge: [u8; 16],
        /// The peer's answer.
        response: [u8; 16],
    },
    /// An EAP Response: first the Identity, which a local account answers with [`Verdict::EapMd5`] and a
    /// relay (RFC 3579) with [`Verdict::EapContinue`]; then what the relay has asked for.
    Eap {
        /// The packet, from its Code on.
        packet: Box<[u8]>,
    },
}

/// The answer to a [`Request`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The peer is who it says.
    Accept {
        /// Words for the peer's user.
        message: Box<str>,
        /// How we prove that we know the password too: what MS-CHAPv2 needs.
        authenticator_response: Option<[u8; 20]>,
    },
    /// The peer is not let in.
    Reject {
        /// Words for the peer's user.
        message: Box<str>,
        /// What an MS-CHAPv2 peer is told.
        code: RejectCode,
        /// Whether it may try again, with PAP or MS-CHAPv2.
        retry: bool,
    },
    /// The next EAP Request for the peer, from its Code on.
    EapContinue {
        /// Sent as it is.
        packet: Box<[u8]>,
    },
    /// To an EAP Identity: challenge the peer with MD5; [`Proof::EapMd5`] follows.
    EapMd5,
}

/// Why an MS-CHAPv2 peer is refused (RFC 2759 §6). Prints as words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RejectCode(pub u32);

impl RejectCode {
    /// Not at this time of day.
    pub const RESTRICTED_LOGON_HOURS: Self = Self(646);
    /// The account is disabled.
    pub const ACCOUNT_DISABLED: Self = Self(647);
    /// The password has expired.
    pub const PASSWORD_EXPIRED: Self = Self(648);
    /// The account may not dial in.
    pub const NO_DIALIN_PERMISSION: Self = Self(649);
    /// Name or password is wrong.
    pub const AUTHENTICATION_FAILURE: Self = Self(691);
    /// The new password was not taken.
    pub const CHANGING_PASSWORD: Self = Self(709);
}

impl fmt::Display for RejectCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match *self {
            Self::RESTRICTED_LOGON_HOURS => "the account may not log on at this time",
            Self::ACCOUNT_DISABLED => "the account is disabled",
            Self::PASSWORD_EXPIRED => "the password has expired: have it changed, which is not done over PPP",
            Self::NO_DIALIN_PERMISSION => "the account has no permission to dial in",
            Self::AUTHENTICATION_FAILURE => "name or password is wrong",
            Self::CHANGING_PASSWORD => "the password could not be changed",
            Self(code) => return write!(f, "error {code}"),
        };
        write!(f, "{words} (error {})", self.0)
    }
}

impl Verdict {
    /// Let in.
    pub fn accept() -> Self {
        Self::Accept { message: "Welcome".into(), authenticator_response: None }
    }

    /// Refused for a wrong name or password, finally.
    pub fn reject() -> Self {
        Self::Reject {
            message: "Name or password is wrong".into(),
            code: RejectCode::AUTHENTICATION_FAILURE,
            retry: false,
        }
    }
}

impl Request {
    /// The verdict of an account that has this password. An EAP Identity is challenged, any other EAP
    /// Response refused. Takes the same time wherever the first difference is.
    pub fn verify(&self, password: &[u8]) -> Verdict {
        let proved = match &self.proof {
            Proof::Pap { password: offered, .. } => password.ct_eq(offered.octets()).into(),
            Proof::ChapMd5 { id, challenge, response } => {
                md5(*id, password, challenge).ct_eq(response).into()
            }
            Proof::EapMd5 { id, challenge, response } => md5(*id, password, challenge).ct_eq(response).into(),
            Proof::MsChapV2 { challenge, peer_challenge, nt_response, .. } => {
                let exchange = mschap::Exchange { challenge, peer_challenge, name: &self.name };
                if bool::from(exchange.nt_response(password).ct_eq(nt_response)) {
                    return Verdict::Accept {
                        message: "Welcome".into(),
                        authenticator_response: Some(exchange.authenticator_response(password, nt_response)),
                    };
                }
                false
            }
            Proof::Eap { packet } if eap::is_identity(packet) => return Verdict::EapMd5,
            Proof::Eap { .. } => false,
        };
        if proved { Verdict::accept() } else { Verdict::reject() }
    }
}
