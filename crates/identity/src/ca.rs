//! The CA that a manager makes on its first start.

use std::{io, net::IpAddr, time::Duration};

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType, SerialNumber, string::Ia5String,
};
use secrecy::ExposeSecret as _;
use waggoner_types::{AgentName, TenantName};

use crate::{
    BadCertificate, CaCertificate, Chain, Csr, Identity, Key, KeyError, SpiffeId, TrustDomain, Who,
    files::{self, Access},
    spiffe, tls,
};

/// A certificate authority: its certificate and its private key.
#[derive(Debug)]
pub struct Ca {
    certificate: CaCertificate,
    issuer: Issuer<'static, KeyPair>,
}

/// For how long a certificate is good, from a moment on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    pub from: Timestamp,
    pub lifetime: Duration,
}

/// Why there is no CA.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    #[error("failed to keep the CA in `{directory}`")]
    File {
        directory: Utf8PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("failed to read the private key of the CA, `{path}`")]
    Key {
        path: Utf8PathBuf,
        #[source]
        source: KeyError,
    },
    #[error("the CA has a certificate but no private key: restore `{path}` from a backup")]
    NoKey { path: Utf8PathBuf },
    #[error("failed to read the certificate of the CA, `{path}`")]
    Certificate {
        path: Utf8PathBuf,
        #[source]
        source: BadCertificate,
    },
    #[error("the certificate and the private key in `{directory}` do not belong together")]
    Mismatch { directory: Utf8PathBuf },
    #[error("the CA in `{directory}` is for the trust domain `{found}`, not `{wanted}`")]
    TrustDomain { directory: Utf8PathBuf, found: TrustDomain, wanted: TrustDomain },
    #[error("failed to make a CA")]
    Make(#[source] IssueError),
}

/// Why a certificate was not issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    #[error("failed to make a private key")]
    Key(#[source] KeyError),
    #[error("`{0}` cannot be a name in a certificate: it is not ASCII")]
    Name(String),
    #[error("the end of the certificate would be outside of what a calendar has")]
    Dates,
    #[error("failed to sign a certificate")]
    Sign(#[source] rcgen::Error),
    #[error("the certificate just signed cannot be read")]
    Certificate(#[source] BadCertificate),
}

// === impl Validity ===

impl Validity {
    /// A certificate good for `lifetime` from `from` on.
    pub fn new(from: Timestamp, lifetime: Duration) -> Self {
        Self { from, lifetime }
    }
}

// === impl Ca ===

impl Ca {
    /// How long a CA lives: ten years.
    pub const LIFETIME: Duration = Duration::from_hours(10 * 365 * 24);

    /// The DNS name in every agent's certificate, for clients that verify by name.
    pub const AGENT_DNS: &str = "agent.waggoner";

    /// The DNS name in every manager's certificate, for clients that verify by name.
    pub const MANAGER_DNS: &str = "manager.waggoner";

    const KEY_FILE: &str = "ca.key";
    const CERTIFICATE_FILE: &str = "ca.crt";

    /// Loads the CA in `directory`, or makes one there.
    ///
    /// The private key is readable by the owner alone. The certificate is written last, so that a
    /// crash in between leaves no CA rather than half of one.
    pub fn open_or_create(
        directory: &Utf8Path,
        trust_domain: &TrustDomain,
        now: Timestamp,
    ) -> Result<Self, CaError> {
        let file = |source| CaError::File { directory: directory.to_owned(), source };
        let path = directory.join(Self::CERTIFICATE_FILE);
        if let Some(text) = files::read(&path).map_err(file)? {
            let ca = Self::load(directory, &text)?;
            return match ca.certificate.trust_domain() {
                found if found == trust_domain => Ok(ca),
                found => Err(CaError::TrustDomain {
                    directory: directory.to_owned(),
                    found: found.clone(),
                    wanted: trust_domain.clone(),
                }),
            };
        }
        let key = Key::generate().map_err(IssueError::Key).map_err(CaError::Make)?;
        let key_pem = key.to_pem();
        let ca = Self::create(key, trust_domain, now).map_err(CaError::Make)?;
        let key_path = directory.join(Self::KEY_FILE);
        files::write(&key_path, key_pem.expose_secret().as_bytes(), Access::Owner)
            .and_then(|()| {
                files::write(&path, ca.certificate.to_pem().as_bytes(), Access::Everyone)
            })
            .map_err(file)?;
        Ok(ca)
    }

    /// Returns the certificate, which is all that others get.
    pub fn certificate(&self) -> &CaCertificate {
        &self.certificate
    }

    /// Issues a certificate for an agent. Of the request only the public key is believed.
    pub fn issue_agent(
        &self,
        request: &Csr,
        tenant: &TenantName,
        name: &AgentName,
        validity: Validity,
    ) -> Result<Chain, IssueError> {
        let who = Who::Agent { tenant: tenant.clone(), name: name.clone() };
        self.issue(request.public_key(), who, vec![dns(Self::AGENT_DNS)?], validity)
    }

    /// Makes a key and issues its certificate for the manager, reachable under names and addresses.
    pub fn issue_manager(
        &self,
        names: &[String],
        addresses: &[IpAddr],
        validity: Validity,
    ) -> Result<Identity, IssueError> {
        let key = Key::generate().map_err(IssueError::Key)?;
        let mut alternatives = vec![dns(Self::MANAGER_DNS)?];
        for name in names {
            alternatives.push(dns(name)?);
        }
        alternatives.extend(addresses.iter().copied().map(SanType::IpAddress));
        let chain = self.issue(key.pair(), Who::Manager, alternatives, validity)?;
        Ok(Identity { key, chain, ca: self.certificate.clone() })
    }

    fn load(directory: &Utf8Path, certificate: &str) -> Result<Self, CaError> {
        let path = directory.join(Self::CERTIFICATE_FILE);
        let certificate = CaCertificate::from_pem(certificate)
            .map_err(|source| CaError::Certificate { path: path.clone(), source })?;
        let key_path = directory.join(Self::KEY_FILE);
        let key = files::read(&key_path)
            .map_err(|source| CaError::File { directory: directory.to_owned(), source })?;
        let Some(key) = key else { return Err(CaError::NoKey { path: key_path }) };
        let key =
            Key::from_pem(&key.into()).map_err(|source| CaError::Key { path: key_path, source })?;
        if !certificate.is_for(&key) {
            return Err(CaError::Mismatch { directory: directory.to_owned() });
        }
        let issuer = Issuer::from_ca_cert_der(certificate.der(), key.into_pair())
            .map_err(|_| CaError::Certificate { path, source: BadCertificate::NotCa })?;
        Ok(Self { certificate, issuer })
    }

    fn create(key: Key, domain: &TrustDomain, now: Timestamp) -> Result<Self, IssueError> {
        let mut params = params(Validity::new(now, Self::LIFETIME))?;
        // CAs of different managers have different names, so that a certificate of another CA is
        // recognised as such instead of failing as a forgery.
        let tag = hex::encode(tls::random::<4>());
        params.distinguished_name.push(DnType::CommonName, format!("Waggoner CA {tag}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.subject_alt_names = vec![SanType::URI(ascii(&spiffe::uri_of_domain(domain))?)];
        let certificate = params.self_signed(key.pair()).map_err(IssueError::Sign)?;
        let certificate = CaCertificate::from_der(certificate.der().clone());
        let certificate = certificate.map_err(IssueError::Certificate)?;
        Ok(Self { certificate, issuer: Issuer::new(params, key.into_pair()) })
    }

    fn issue(
        &self,
        key: &impl PublicKeyData,
        who: Who,
        mut alternatives: Vec<SanType>,
        validity: Validity,
    ) -> Result<Chain, IssueError> {
        let mut params = params(validity)?;
        let role = match &who {
            Who::Manager => "Waggoner manager",
            Who::Agent { .. } => "Waggoner agent",
        };
        params.distinguished_name.push(DnType::CommonName, role);
        let id = SpiffeId { trust_domain: self.certificate.trust_domain().clone(), who };
        alternatives.insert(0, SanType::URI(ascii(&id.to_string())?));
        params.subject_alt_names = alternatives;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        // Either end may dial, so each certificate is good for both ends of a connection.
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let leaf = params.signed_by(key, &self.issuer).map_err(IssueError::Sign)?;
        // The CA goes along, so that an agent with nothing but the pin of a join token can check.
        let certificates = vec![leaf.der().clone(), self.certificate.der().clone()];
        Chain::from_ders(certificates).map_err(IssueError::Certificate)
    }
}

/// How far the start of a certificate lies in the past, for peers whose clock is behind.
const SKEW: Duration = Duration::from_mins(5);

fn params(validity: Validity) -> Result<CertificateParams, IssueError> {
    /// RFC 5280, section 4.1.2.5: a certificate can say no later year than 9999.
    const LAST: Duration = Duration::from_secs(253_402_300_799);
    let mut params = CertificateParams::default();
    let from = seconds(validity.from)?;
    let until = from.checked_add(validity.lifetime).ok_or(IssueError::Dates)?;
    if until > LAST {
        return Err(IssueError::Dates);
    }
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + from.saturating_sub(SKEW);
    params.not_after = epoch + until;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Waggoner");
    let mut serial = tls::random::<16>();
    serial[0] = serial[0] & 0x7f | 0x40; // positive, and of full length
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    Ok(params)
}

fn seconds(time: Timestamp) -> Result<Duration, IssueError> {
    u64::try_from(time.as_second()).map(Duration::from_secs).map_err(|_| IssueError::Dates)
}

fn dns(name: &str) -> Result<SanType, IssueError> {
    ascii(name).map(SanType::DnsName)
}

fn ascii(text: &str) -> Result<Ia5String, IssueError> {
    text.try_into().map_err(|_| IssueError::Name(text.to_owned()))
}

#[cfg(test)]
mod tests;
