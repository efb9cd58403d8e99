//! Which call is the same call, made again because its answer was lost.

use std::fmt;

use tonic::metadata::MetadataMap;
use uuid::Uuid;

/// The header, of HTTP and of gRPC, with 32 hexadecimal digits: the same for all tries of a call.
pub(crate) const CALL: &str = "waggoner-call";

/// The identity of something that is done once, however often it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key(Uuid);

// === impl Key ===

impl Key {
    /// Reads the key that a caller gave; one who gave none does not ask twice.
    pub(crate) fn of(metadata: &MetadataMap) -> Self {
        let given = metadata.get(CALL).and_then(|key| key.to_str().ok());
        Self(given.and_then(|key| key.parse().ok()).unwrap_or_else(Uuid::new_v4))
    }

    /// Makes the key of what nobody asks for twice.
    pub(crate) fn fresh() -> Self {
        Self(Uuid::new_v4())
    }

    /// Derives the key of a part of this.
    pub(crate) fn part(self, name: impl AsRef<[u8]>) -> Self {
        Self(Uuid::new_v5(&self.0, name.as_ref()))
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.simple().fmt(f)
    }
}

impl From<Uuid> for Key {
    fn from(id: Uuid) -> Self {
        Self(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_has_the_key_that_it_brings_and_else_one_of_its_own() {
        let mut metadata = MetadataMap::new();
        assert_ne!(Key::of(&metadata), Key::of(&metadata));
        metadata.insert(CALL, "00000000000000000000000000000007".parse().unwrap());
        assert_eq!(Key::of(&metadata), Uuid::from_u128(7).into());
        metadata.insert(CALL, "seven".parse().unwrap());
        assert_ne!(Key::of(&metadata), Key::of(&metadata));
    }

    #[test]
    fn parts_are_told_apart_and_always_the_same() {
        let key = Key::fresh();
        assert_eq!(key.part("1"), key.part("1"));
        assert_ne!(key.part("1"), key.part("2"));
    }
}
