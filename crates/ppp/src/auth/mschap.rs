//! The hashes of MS-CHAPv2 (RFC 2759 §8), and the messages of its Success and Failure packets (§5, §6).

use core::fmt::Write;

use des::Des;
use des::cipher::{Array, BlockCipherEncrypt, KeyInit};
use md4::{Digest, Md4};
use sha1::Sha1;
use zeroize::Zeroizing;

use super::RejectCode;

/// What both sides know of one exchange besides the password.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exchange<'a> {
    /// The authenticator's challenge.
    pub challenge: &'a [u8; 16],
    pub peer_challenge: &'a [u8; 16],
    /// The peer's name, with or without a domain.
    pub name: &'a [u8],
}

impl Exchange<'_> {
    /// ChallengeHash (§8.2).
    fn challenge_hash(&self) -> [u8; 8] {
        let hash = Sha1::new().chain_update(self.peer_challenge).chain_update(self.challenge);
        let hash: [u8; 20] = hash.chain_update(without_domain(self.name)).finalize().into();
        core::array::from_fn(|at| hash[at])
    }

    /// GenerateNTResponse (§8.1).
    pub(super) fn nt_response(&self, password: &[u8]) -> [u8; 24] {
        challenge_response(&self.challenge_hash(), &nt_password_hash(password))
    }

    /// GenerateAuthenticatorResponse (§8.7).
    pub(super) fn authenticator_response(&self, password: &[u8], nt_response: &[u8; 24]) -> [u8; 20] {
        const MAGIC1: &[u8] = b"Magic server to client signing constant";
        const MAGIC2: &[u8] = b"Pad to make it do more than one iteration";
        let hash_hash = Zeroizing::new(hash_nt_password_hash(&nt_password_hash(password)));
        let digest = Sha1::new().chain_update(*hash_hash).chain_update(nt_response).chain_update(MAGIC1);
        let digest = Zeroizing::new(<[u8; 20]>::from(digest.finalize()));
        let response = Sha1::new().chain_update(*digest).chain_update(self.challenge_hash());
        response.chain_update(MAGIC2).finalize().into()
    }
}

/// The part of `DOMAIN\name` that is hashed (RFC 2759 §4).
fn without_domain(name: &[u8]) -> &[u8] {
    name.rsplit(|octet| *octet == b'\\').next().unwrap_or(name)
}

/// NtPasswordHash (§8.3). A password that is no UTF-8 is taken for ISO 8859-1.
fn nt_password_hash(password: &[u8]) -> Zeroizing<[u8; 16]> {
    let mut hash = Md4::new();
    let mut update = |unit: u16| hash.update(unit.to_le_bytes());
    match core::str::from_utf8(password) {
        Ok(text) => text.encode_utf16().for_each(&mut update),
        Err(_) => password.iter().for_each(|octet| update(u16::from(*octet))),
    }
    Zeroizing::new(hash.finalize().into())
}

/// HashNtPasswordHash (§8.4).
fn hash_nt_password_hash(hash: &[u8; 16]) -> [u8; 16] {
    Md4::digest(hash).into()
}

/// ChallengeResponse (§8.5): three times DES, keyed with seven octets of the padded hash each.
fn challenge_response(challenge: &[u8; 8], password_hash: &[u8; 16]) -> [u8; 24] {
    let mut padded = Zeroizing::new([0; 21]);
    padded[..16].copy_from_slice(password_hash);
    let mut response = [0; 24];
    for (block, key) in response.chunks_exact_mut(8).zip(padded.chunks_exact(7)) {
        let mut encrypted = Array::from(*challenge);
        Des::new(&Array::from(*des_key(key))).encrypt_block(&mut encrypted);
        block.copy_from_slice(&encrypted);
    }
    response
}

/// Spreads seven octets over eight, seven bits each; DES does not look at the lowest ones (§8.6).
fn des_key(seven: &[u8]) -> Zeroizing<[u8; 8]> {
    let bits = Zeroizing::new(seven.iter().fold(0u64, |bits, octet| bits << 8 | u64::from(*octet)));
    Zeroizing::new(core::array::from_fn(|at| ((*bits >> (49 - 7 * at)) as u8) << 1))
}

/// The message of a Success packet (§5).
pub(super) fn success_message(authenticator_response: &[u8; 20], message: &str) -> String {
    format!("S={} M={message}", hex(authenticator_response))
}

/// The authenticator response in a Success packet's message, `M=` behind it or not.
pub(super) fn parse_success(message: &[u8]) -> Option<[u8; 20]> {
    unhex(message.strip_prefix(b"S=")?.get(..40)?)
}

/// The words in a Success packet's message: some servers (Windows NT and 98) send none.
pub(super) fn success_words(message: &[u8]) -> &[u8] {
    message.get(42..).and_then(|rest| rest.trim_ascii_start().strip_prefix(b"M=")).unwrap_or_default()
}

/// What a Failure packet's message says (§6).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Failure<'a> {
    pub code: Option<RejectCode>,
    pub retry: bool,
    /// The challenge for the next try.
    pub challenge: Option<[u8; 16]>,
    /// The words behind `M=`, or all if there is nothing of the rest.
    pub message: &'a [u8],
}

impl<'a> Failure<'a> {
    /// Takes what is there: servers leave out fields.
    pub(super) fn parse(message: &'a [u8]) -> Self {
        let mut failure = Self { code: None, retry: false, challenge: None, message };
        let mut rest = message;
        while let [key, b'=', value @ ..] = rest {
            if *key == b'M' {
                failure.message = value;
                return failure;
            }
            let end = value.iter().position(|octet| *octet == b' ').unwrap_or(value.len());
            let field = &value[..end];
            match key {
                b'E' => {
                    failure.code =
                        core::str::from_utf8(field).ok().and_then(|e| e.parse().ok()).map(RejectCode)
                }
                b'R' => failure.retry = field == b"1",
                b'C' => failure.challenge = unhex(field),
                _ => {}
            }
            rest = value[end..].trim_ascii_start();
            failure.message = rest;
        }
        failure
    }

    /// The message to send.
    pub(super) fn format(code: RejectCode, retry: bool, challenge: &[u8; 16], message: &str) -> String {
        let RejectCode(code) = code;
        format!("E={code} R={} C={} V=3 M={message}", u8::from(retry), hex(challenge))
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        let _ = write!(text, "{octet:02X}");
        text
    })
}

/// Exactly `N` octets.
fn unhex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let mut octets = [0; N];
    if digits.len() != 2 * N {
        return None;
    }
    for (octet, pair) in octets.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16);
        *octet = (digit(0)? << 4 | digit(1)?) as u8;
    }
    Some(octets)
}

#[cfg(test)]
mod tests;
