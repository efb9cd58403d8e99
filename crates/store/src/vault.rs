//! Seals the values of secrets with AES-256-GCM under a key that lies beside the database.
//!
//! A copy of the database alone gives no secret away. Who can read the data directory can.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    rand,
};
use camino::{Utf8Path, Utf8PathBuf};
use secrecy::{ExposeSecret as _, SecretString};
use waggoner_types::TenantName;

/// The key.
pub(crate) struct Vault(RandomizedNonceKey);

/// Why the key for secrets cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error(
        "the database holds secrets but their key `{path}` is gone: restore it from the backup"
    )]
    Missing { path: Utf8PathBuf },
    #[error("`{path}` is no key for secrets, which is 32 bytes: restore it from the backup")]
    Damaged { path: Utf8PathBuf },
    #[error("failed to read the key for secrets `{path}`")]
    Read {
        path: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("failed to make the key for secrets `{path}`")]
    Make {
        path: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
}

/// A sealed value that this key does not open.
#[derive(Debug, thiserror::Error)]
#[error("the secret's value was sealed with another key or is damaged")]
pub(crate) struct Foreign;

const KEY_LEN: usize = 32;

// === impl Vault ===

impl Vault {
    /// Reads the key, or makes one where none is needed yet.
    pub(crate) fn open(path: &Utf8Path, needed: bool) -> Result<Self, KeyError> {
        let path = path.to_owned();
        let key = match fs_err::read(&path) {
            Ok(key) => key,
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(KeyError::Read { path, source: error });
            }
            Err(_) if needed => return Err(KeyError::Missing { path }),
            Err(_) => {
                make(&path).map_err(|source| KeyError::Make { path: path.clone(), source })?
            }
        };
        match RandomizedNonceKey::new(&AES_256_GCM, &key) {
            Ok(key) => Ok(Self(key)),
            Err(_) => Err(KeyError::Damaged { path }),
        }
    }

    /// Seals a value for its place: moved to another key or tenant it cannot be opened.
    pub(crate) fn seal(&self, tenant: &TenantName, key: &str, value: &SecretString) -> Vec<u8> {
        let mut text = value.expose_secret().as_bytes().to_vec();
        let nonce = self
            .0
            .seal_in_place_append_tag(place(tenant, key), &mut text)
            .expect("no secret is as long as the cipher's limit of 64 GiB");
        let mut sealed = nonce.as_ref().to_vec();
        sealed.append(&mut text);
        sealed
    }

    pub(crate) fn unseal(
        &self,
        tenant: &TenantName,
        key: &str,
        sealed: &[u8],
    ) -> Result<SecretString, Foreign> {
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN).ok_or(Foreign)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Foreign)?;
        let mut text = text.to_vec();
        let value = self.0.open_in_place(nonce, place(tenant, key), &mut text);
        let value = std::str::from_utf8(value.map_err(|_| Foreign)?).map_err(|_| Foreign)?;
        Ok(value.to_owned().into())
    }
}

/// A tenant's name has no `/`, so that no two places are the same text.
fn place(tenant: &TenantName, key: &str) -> Aad<String> {
    Aad::from(format!("{tenant}/{key}"))
}

/// Makes the key and has it on the disk, whole, before anything is sealed with it.
fn make(path: &Utf8Path) -> io::Result<Vec<u8>> {
    let mut key = vec![0; KEY_LEN];
    rand::fill(&mut key).map_err(io::Error::other)?;
    let half = path.with_extension("key.new");
    let mut file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&half)?;
    file.write_all(&key)?;
    file.sync_all()?;
    fs_err::rename(&half, path)?;
    fs_err::File::open(path.parent().unwrap_or(Utf8Path::new(".")))?.sync_all()?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use camino_tempfile::tempdir;

    use super::*;

    #[test]
    fn a_value_opens_at_its_own_place_with_its_own_key_only() {
        let directory = tempdir().unwrap();
        let path = directory.path().join("secrets.key");
        let (here, there) = ("a".parse().unwrap(), "b".parse().unwrap());
        let value = SecretString::from("s3cret");

        let sealed = Vault::open(&path, false).unwrap().seal(&here, "k", &value);
        assert!(!sealed.windows(6).any(|window| window == b"s3cret"));

        let vault = Vault::open(&path, true).unwrap();
        assert_eq!(vault.unseal(&here, "k", &sealed).unwrap().expose_secret(), "s3cret");
        assert!(vault.unseal(&there, "k", &sealed).is_err());
        assert!(vault.unseal(&here, "l", &sealed).is_err());
        assert!(vault.unseal(&here, "k", &sealed[..5]).is_err());

        fs_err::remove_file(&path).unwrap();
        assert!(matches!(Vault::open(&path, true), Err(KeyError::Missing { .. })));
        let other = Vault::open(&path, false).unwrap();
        assert!(other.unseal(&here, "k", &sealed).is_err());
        fs_err::write(&path, "short").unwrap();
        assert!(matches!(Vault::open(&path, true), Err(KeyError::Damaged { .. })));
    }
}
