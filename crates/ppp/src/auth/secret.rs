//! Passwords.

use core::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A password: wiped from memory when dropped, never printed, compared in the same time wherever the
/// first difference is.
#[derive(Clone, Default)]
pub struct Secret(Zeroizing<Box<[u8]>>);

impl Secret {
    /// The secret of these octets.
    pub fn new(octets: &[u8]) -> Self {
        Self(Zeroizing::new(octets.into()))
    }

    /// Its octets, for whoever hashes or relays them.
    pub fn octets(&self) -> &[u8] {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text.as_bytes())
    }
}

impl From<&[u8]> for Secret {
    fn from(octets: &[u8]) -> Self {
        Self::new(octets)
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_equal_by_its_octets() {
        assert_eq!(Secret::from("pass"), Secret::new(b"pass"));
        assert_ne!(Secret::from("pass"), Secret::from("past"));
        assert_ne!(Secret::from("pass"), Secret::from("passe"));
        assert_eq!(Secret::default(), Secret::from(""));
    }

    #[test]
    fn is_not_printed() {
        assert_eq!(format!("{:?}", Some(Secret::from("hush"))), "Some(Secret)");
    }
}
