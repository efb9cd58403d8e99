//! Certificates that were read once and are understood from then on.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use rustls::{
    RootCertStore, client::verify_server_cert_signed_by_trust_anchor, server::ParsedCertificate,
};
use rustls_pki_types::{CertificateDer, UnixTime};
use x509_parser::{certificate::X509Certificate, parse_x509_certificate};

use crate::{CaPin, InvalidSpiffeId, Key, KeyHash, SpiffeId, TrustDomain, pem, spiffe, tls};

/// The certificate of a CA, which is all one needs to trust it.
#[derive(Clone, Debug)]
pub struct CaCertificate {
    der: CertificateDer<'static>,
    roots: Arc<RootCertStore>,
    trust_domain: TrustDomain,
    expires: Timestamp,
}

/// The certificate of a manager or an agent, followed by the one of its CA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    certificates: Vec<CertificateDer<'static>>,
    id: SpiffeId,
    key: KeyHash,
    serial: String,
    expires: Timestamp,
}

/// Why a text or bytes are not a certificate that we could use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCertificate {
    #[error("there is no certificate in it")]
    Empty,
    #[error("it is not a certificate in PEM or DER")]
    Parse,
    #[error("it is not the certificate of a CA that could sign others")]
    NotCa,
    #[error(transparent)]
    Name(#[from] InvalidSpiffeId),
    #[error("its dates are outside of what a calendar has")]
    Dates,
}

// === impl CaCertificate ===

impl CaCertificate {
    /// Reads a CA's certificate from DER.
    pub fn from_der(der: CertificateDer<'static>) -> Result<Self, BadCertificate> {
        let parsed = parse(&der)?;
        if !parsed.is_ca() {
            return Err(BadCertificate::NotCa);
        }
        let expires = expiry(&parsed)?;
        let trust_domain = spiffe::domain_of(&der)?;
        let mut roots = RootCertStore::empty();
        roots.add(der.clone()).map_err(|_| BadCertificate::NotCa)?;
        Ok(Self { der, roots: Arc::new(roots), trust_domain, expires })
    }

    /// Reads the first certificate of a PEM text.
    pub fn from_pem(text: &str) -> Result<Self, BadCertificate> {
        let certificates = pem::certificates(text).map_err(|_| BadCertificate::Parse)?;
        Self::from_der(certificates.into_iter().next().ok_or(BadCertificate::Empty)?)
    }

    /// Finds the CA that a pin names among the certificates a peer has sent.
    pub fn pinned(certificates: &[CertificateDer<'_>], pin: CaPin) -> Option<Self> {
        let found = certificates.iter().find(|der| CaPin::of_bytes(der) == pin)?;
        Self::from_der(found.clone().into_owned()).ok()
    }

    /// Returns the certificate as DER.
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// Writes the certificate as PEM.
    pub fn to_pem(&self) -> String {
        pem::of_certificates(std::slice::from_ref(&self.der))
    }

    /// Returns the hash that names this CA in join tokens.
    pub fn pin(&self) -> CaPin {
        CaPin::of_bytes(&self.der)
    }

    /// Returns the name of all that this CA vouches for.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// Returns when this CA ends.
    pub fn expires(&self) -> Timestamp {
        self.expires
    }

    /// Says whether a private key is the one of this CA.
    pub(crate) fn is_for(&self, key: &Key) -> bool {
        parse(&self.der)
            .is_ok_and(|parsed| KeyHash::of_bytes(parsed.public_key().raw) == key.hash())
    }

    /// Checks that this CA issued a certificate and that it is valid at `now`.
    ///
    /// Which certificates there are besides does not matter: this CA issues directly.
    pub fn verify(&self, leaf: &CertificateDer<'_>, now: UnixTime) -> Result<(), rustls::Error> {
        // Every certificate of ours is good for both ends of a connection, so that the one check
        // that rustls offers by itself, of a server, is the check of a client as well.
        verify_server_cert_signed_by_trust_anchor(
            &ParsedCertificate::try_from(leaf)?,
            &self.roots,
            &[],
            now,
            tls::provider().signature_verification_algorithms.all,
        )
    }
}

impl PartialEq for CaCertificate {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for CaCertificate {}

// === impl Chain ===

impl Chain {
    /// Reads a chain, leaf first, from DER.
    pub fn from_ders(certificates: Vec<CertificateDer<'static>>) -> Result<Self, BadCertificate> {
        let leaf = certificates.first().ok_or(BadCertificate::Empty)?;
        let id = SpiffeId::of(leaf)?;
        let parsed = parse(leaf)?;
        let key = KeyHash::of_bytes(parsed.public_key().raw);
        let serial = parsed.raw_serial_as_string();
        let expires = expiry(&parsed)?;
        Ok(Self { certificates, id, key, serial, expires })
    }

    /// Reads a chain, leaf first, from PEM.
    pub fn from_pem(text: &str) -> Result<Self, BadCertificate> {
        Self::from_ders(pem::certificates(text).map_err(|_| BadCertificate::Parse)?)
    }

    /// Writes the chain as PEM, leaf first.
    pub fn to_pem(&self) -> String {
        pem::of_certificates(&self.certificates)
    }

    /// Returns the certificates as DER, leaf first.
    pub fn ders(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }

    /// Returns the certificate of the manager or agent itself.
    pub fn leaf(&self) -> &CertificateDer<'static> {
        &self.certificates[0]
    }

    /// Returns who the certificate names.
    pub fn id(&self) -> &SpiffeId {
        &self.id
    }

    /// Returns the hash of the public key that the certificate is for.
    pub fn key_hash(&self) -> KeyHash {
        self.key
    }

    /// Returns the serial number: hexadecimal pairs with colons between.
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// Returns when the certificate ends.
    pub fn expires(&self) -> Timestamp {
        self.expires
    }
}

/// Returns a time as rustls wants it. Times before 1970 are 1970.
pub(crate) fn unix_time(now: Timestamp) -> UnixTime {
    let seconds = u64::try_from(now.as_second()).unwrap_or(0);
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

fn parse<'a>(der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, BadCertificate> {
    parse_x509_certificate(der).map(|(_, parsed)| parsed).map_err(|_| BadCertificate::Parse)
}

fn expiry(certificate: &X509Certificate<'_>) -> Result<Timestamp, BadCertificate> {
    let seconds = certificate.validity().not_after.timestamp();
    Timestamp::from_second(seconds).map_err(|_| BadCertificate::Dates)
}
