//! Tunnel and session ids (RFC 2661 §3.1): 16 bits, zero is reserved.

use core::fmt;
use core::num::NonZeroU16;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $name(NonZeroU16);

        impl $name {
            /// The id, or `None` for zero, which no peer may assign.
            pub const fn new(id: u16) -> Option<Self> {
                match NonZeroU16::new(id) {
                    Some(id) => Some(Self(id)),
                    None => None,
                }
            }

            /// The id in host order.
            pub const fn get(self) -> u16 {
                self.0.get()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// A tunnel's id, as one side assigned it.
    TunnelId
}
id! {
    /// A session's id inside its tunnel, as one side assigned it.
    SessionId
}
