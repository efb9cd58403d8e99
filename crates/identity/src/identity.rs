//! What a manager or an agent proves itself with.

use std::{io, sync::Arc};

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    BadCertificate, CaCertificate, Chain, Credentials, Key, KeyError, SpiffeId,
    certificate::unix_time,
    files::{self, Access},
    pem, refusal,
};

/// A private key, the certificate for it, and the CA that issued it and that is trusted.
#[derive(Debug)]
pub struct Identity {
    pub(crate) key: Key,
    pub(crate) chain: Chain,
    pub(crate) ca: CaCertificate,
}

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("failed to keep the identity in `{path}`")]
    File {
        path: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("failed to read the private key in `{path}`")]
    Key {
        path: Utf8PathBuf,
        #[source]
        source: KeyError,
    },
    #[error("failed to read the certificates in `{path}`: join again with a new token")]
    Certificate {
        path: Utf8PathBuf,
        #[source]
        source: BadCertificate,
    },
    #[error("the certificate is for another private key")]
    OtherKey,
    #[error("the certificate is not to be trusted: {0}")]
    Untrusted(String),
}

// === impl Identity ===

impl Identity {
    /// Where an identity is kept in its directory: one file, so that it changes as a whole.
    const FILE: &str = "identity.pem";

    /// Puts together what a manager has answered, after checking that it belongs together.
    pub fn new(
        key: Key,
        chain: Chain,
        ca: CaCertificate,
        now: Timestamp,
    ) -> Result<Self, IdentityError> {
        if chain.key_hash() != key.hash() {
            return Err(IdentityError::OtherKey);
        }
        ca.verify(chain.leaf(), unix_time(now))
            .map_err(|error| IdentityError::Untrusted(refusal(&error)))?;
        Ok(Self { key, chain, ca })
    }

    /// Loads the identity in `directory`. `None` means that there is none yet.
    ///
    /// An identity that has expired is loaded all the same: see [`Identity::expires`].
    pub fn load(directory: &Utf8Path) -> Result<Option<Self>, IdentityError> {
        let path = directory.join(Self::FILE);
        let text = files::read(&path)
            .map_err(|source| IdentityError::File { path: path.clone(), source })?;
        let Some(text) = text.map(SecretString::from) else { return Ok(None) };

        let key = Key::from_pem(&text)
            .map_err(|source| IdentityError::Key { path: path.clone(), source })?;
        let certificate = |source| IdentityError::Certificate { path: path.clone(), source };
        let mut certificates = pem::certificates(text.expose_secret())
            .map_err(|_| certificate(BadCertificate::Parse))?;
        let ca = certificates.pop().ok_or_else(|| certificate(BadCertificate::Empty))?;
        let ca = CaCertificate::from_der(ca).map_err(certificate)?;
        let chain = Chain::from_ders(certificates).map_err(certificate)?;
        if chain.key_hash() != key.hash() {
            return Err(IdentityError::OtherKey);
        }
        Ok(Some(Self { key, chain, ca }))
    }

    /// Puts the identity into `directory`, readable by the owner alone, in one step.
    pub fn save(&self, directory: &Utf8Path) -> Result<(), IdentityError> {
        let path = directory.join(Self::FILE);
        let key = self.key.to_pem();
        let text = SecretString::from(
            [key.expose_secret(), &self.chain.to_pem(), &self.ca.to_pem()].concat(),
        );
        files::write(&path, text.expose_secret().as_bytes(), Access::Owner)
            .map_err(|source| IdentityError::File { path, source })
    }

    /// Returns what TLS settings prove this identity with.
    pub fn credentials(&self) -> Arc<Credentials> {
        Arc::new(Credentials::new(self))
    }

    /// Returns who this is.
    pub fn id(&self) -> &SpiffeId {
        self.chain.id()
    }

    /// Returns the private key.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Returns the certificate and its CA's.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Returns the CA that is trusted.
    pub fn ca(&self) -> &CaCertificate {
        &self.ca
    }

    /// Returns when the certificate ends.
    pub fn expires(&self) -> Timestamp {
        self.chain.expires()
    }

    /// Says whether the certificate has ended at `now`.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires() <= now
    }
}

#[cfg(test)]
mod tests;
