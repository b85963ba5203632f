//! Tunnel authentication (RFC 2661 §5.1.1).

use core::fmt;

use md5::{Digest, Md5};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::wire::MessageType;

/// A secret shared with a peer. It is wiped from memory when dropped, and never printed.
#[derive(Clone)]
pub struct Secret(Zeroizing<Box<[u8]>>);

impl Secret {
    /// The secret of these octets.
    pub fn new(octets: &[u8]) -> Self {
        Self(Zeroizing::new(octets.into()))
    }

    pub(crate) fn octets(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// The Challenge Response that a message of this type, SCCRP or SCCCN, carries: MD5 over the type's
/// low octet, the secret and the peer's challenge (RFC 2661 §4.4.3).
pub fn response(message_type: MessageType, secret: &Secret, challenge: &[u8]) -> [u8; 16] {
    let hash = Md5::new().chain_update([message_type.0 as u8]);
    hash.chain_update(secret.octets()).chain_update(challenge).finalize().into()
}

/// Whether the response that came in a message of this type answers our challenge. Takes the same time
/// wherever the first difference is.
pub fn verify(message_type: MessageType, secret: &Secret, challenge: &[u8], received: &[u8; 16]) -> bool {
    response(message_type, secret, challenge).ct_eq(received).into()
}
