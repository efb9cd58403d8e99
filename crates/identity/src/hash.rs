//! SHA-256 of things that are compared or stored instead of the things themselves.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// Declares a SHA-256 of one kind of thing. Shown as 64 hexadecimal digits.
macro_rules! hash {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// Hashes the thing.
            pub(crate) fn of_bytes(bytes: &[u8]) -> Self {
                Self(Sha256::digest(bytes).into())
            }

            /// The hash, to store it.
            pub fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl From<[u8; 32]> for $name {
            fn from(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

hash!(
    /// The hash of a CA's certificate (DER): enough to recognise the CA.
    CaPin
);
hash!(
    /// The hash of a public key (DER, `SubjectPublicKeyInfo`).
    KeyHash
);
hash!(
    /// The hash of a token's secret: what is stored of a token.
    ///
    /// A plain hash will do, since a secret is 256 random bits and cannot be guessed.
    TokenHash
);
