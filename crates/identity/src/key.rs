//! Private keys, and requests for a certificate over one.

use std::io;

use camino::Utf8Path;
use rcgen::{
    CertificateParams, CertificateSigningRequestParams, DistinguishedName, KeyPair,
    PKCS_ECDSA_P256_SHA256, PublicKey, PublicKeyData as _,
};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    KeyHash,
    files::{self, Access},
};

/// A private key: ECDSA on P-256. `Debug` does not show it.
#[derive(Debug)]
pub struct Key(KeyPair);

/// A request for a certificate whose signature has been checked.
///
/// Nothing but the public key is taken from it: names are the manager's to give.
#[derive(Clone, Debug)]
pub struct Csr {
    public_key: PublicKey,
}

/// Why there is no private key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("failed to make a private key")]
    Make(#[source] rcgen::Error),
    #[error("failed to keep the private key")]
    File(#[source] io::Error),
    #[error("failed to read the private key: it is not an ECDSA P-256 key in PKCS #8")]
    Parse,
    #[error("failed to sign a request for a certificate")]
    Request(#[source] rcgen::Error),
}

/// Why a request for a certificate is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    #[error("the request for a certificate has {0} bytes, more than the 16384 allowed")]
    Size(usize),
    #[error("the request for a certificate cannot be read: {0}")]
    Parse(String),
    #[error("the request for a certificate is over another kind of key than ECDSA P-256")]
    Algorithm,
}

// === impl Key ===

impl Key {
    /// Makes a new key.
    pub fn generate() -> Result<Self, KeyError> {
        KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map(Self).map_err(KeyError::Make)
    }

    /// Reads the key in a file, or makes one and puts it there, readable by the owner alone.
    ///
    /// An agent asks for its certificate with such a key, so that it asks with the same one after a
    /// crash: a join token is good for one key only.
    pub fn open_or_generate(path: &Utf8Path) -> Result<Self, KeyError> {
        if let Some(text) = files::read(path).map_err(KeyError::File)? {
            return Self::from_pem(&text.into());
        }
        let key = Self::generate()?;
        let pem = key.to_pem();
        files::write(path, pem.expose_secret().as_bytes(), Access::Owner)
            .map_err(KeyError::File)?;
        Ok(key)
    }

    /// Reads a key: the first `PRIVATE KEY` of a PEM text.
    pub fn from_pem(text: &SecretString) -> Result<Self, KeyError> {
        use rustls_pki_types::pem::PemObject as _;

        let der = PrivatePkcs8KeyDer::from_pem_slice(text.expose_secret().as_bytes())
            .map_err(|_| KeyError::Parse)?;
        KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_ECDSA_P256_SHA256)
            .map(Self)
            .map_err(|_| KeyError::Parse)
    }

    /// Writes the key as PEM, PKCS #8.
    pub fn to_pem(&self) -> SecretString {
        self.0.serialize_pem().into()
    }

    /// Returns the hash of the public key.
    pub fn hash(&self) -> KeyHash {
        KeyHash::of_bytes(&self.0.subject_public_key_info())
    }

    /// Asks for a certificate: the request as DER. It names nobody.
    pub fn request(&self) -> Result<Vec<u8>, KeyError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        let request = params.serialize_request(&self.0).map_err(KeyError::Request)?;
        Ok(request.der().to_vec())
    }

    pub(crate) fn pair(&self) -> &KeyPair {
        &self.0
    }

    pub(crate) fn into_pair(self) -> KeyPair {
        self.0
    }

    pub(crate) fn to_der(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.0.serialize_der()).into()
    }
}

// === impl Csr ===

impl Csr {
    /// Reads a request and checks that who made it holds the private key.
    pub fn from_der(der: &[u8]) -> Result<Self, BadRequest> {
        /// A request over a P-256 key has less than 300 bytes.
        const MOST: usize = 16 * 1024;
        /// A point of P-256, uncompressed (SEC 1, section 2.3.3).
        const POINT: usize = 65;

        if der.len() > MOST {
            return Err(BadRequest::Size(der.len()));
        }
        let request = CertificateSigningRequestParams::from_der(&der.into())
            .map_err(|error| BadRequest::Parse(error.to_string()))?;
        let public_key = request.public_key;
        let p256 = *public_key.algorithm() == PKCS_ECDSA_P256_SHA256;
        if !p256 || public_key.der_bytes().len() != POINT {
            return Err(BadRequest::Algorithm);
        }
        Ok(Self { public_key })
    }

    /// Returns the hash of the public key the request is over.
    pub fn key_hash(&self) -> KeyHash {
        KeyHash::of_bytes(&self.public_key.subject_public_key_info())
    }

    pub(crate) fn public_key(&self) -> &PublicKey {
        &self.public_key
    }
}
