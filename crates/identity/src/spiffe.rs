//! Names of managers and agents as SPIFFE URIs (SPIFFE-ID, sections 2.1 to 2.4).
//!
//! ```text
//!  spiffe://waggoner/manager
//!  spiffe://waggoner/tenant/default_tenant/agent/web-1
//! ```

use std::{fmt, str::FromStr};

use rustls_pki_types::CertificateDer;
use waggoner_types::{AgentName, TenantName};
use x509_parser::{extensions::GeneralName, parse_x509_certificate};

/// The name of all that one CA vouches for: lowercase letters, digits, `.`, `-` and `_`, 255 at most.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TrustDomain(Box<str>);

/// Who a certificate names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SpiffeId {
    pub trust_domain: TrustDomain,
    pub who: Who,
}

/// A manager, or one agent of a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Who {
    Manager,
    Agent { tenant: TenantName, name: AgentName },
}

/// Why a text or a certificate names nobody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSpiffeId {
    #[error("the trust domain has other characters than lowercase letters, digits, `.`, `-`, `_`")]
    TrustDomain,
    #[error("the name is not of the form `spiffe://…/manager` or `spiffe://…/tenant/…/agent/…`")]
    Form,
    #[error("the certificate cannot be read")]
    Certificate,
    #[error("the certificate has {0} names of the form `spiffe://…` instead of one")]
    Count(usize),
}

// === impl TrustDomain ===

impl TrustDomain {
    /// Returns the trust domain as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for TrustDomain {
    fn default() -> Self {
        Self("waggoner".into())
    }
}

impl FromStr for TrustDomain {
    type Err = InvalidSpiffeId;

    fn from_str(given: &str) -> Result<Self, InvalidSpiffeId> {
        let allowed = |b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_');
        let good = (1..=255).contains(&given.len()) && given.bytes().all(allowed);
        good.then(|| Self(given.into())).ok_or(InvalidSpiffeId::TrustDomain)
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl SpiffeId ===

impl SpiffeId {
    /// Reads the name out of a certificate, which has to carry exactly one.
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, InvalidSpiffeId> {
        uri_of(certificate)?.parse()
    }
}

impl FromStr for SpiffeId {
    type Err = InvalidSpiffeId;

    fn from_str(given: &str) -> Result<Self, InvalidSpiffeId> {
        let rest = given.strip_prefix(SCHEME).ok_or(InvalidSpiffeId::Form)?;
        let mut parts = rest.split('/');
        let trust_domain = parts.next().unwrap_or_default().parse()?;
        let who = match (parts.next(), parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some("manager"), None, ..) => Who::Manager,
            (Some("tenant"), Some(tenant), Some("agent"), Some(name), None) => Who::Agent {
                tenant: tenant.parse().map_err(|_| InvalidSpiffeId::Form)?,
                name: name.parse().map_err(|_| InvalidSpiffeId::Form)?,
            },
            _ => return Err(InvalidSpiffeId::Form),
        };
        Ok(Self { trust_domain, who })
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}", self.trust_domain)?;
        match &self.who {
            Who::Manager => f.write_str("/manager"),
            Who::Agent { tenant, name } => write!(f, "/tenant/{tenant}/agent/{name}"),
        }
    }
}

// === impl Who ===

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manager => f.write_str("the manager"),
            Self::Agent { tenant, name } => write!(f, "agent `{name}` of tenant `{tenant}`"),
        }
    }
}

const SCHEME: &str = "spiffe://";

/// Returns the URI of a trust domain itself: what its CA's certificate carries.
pub(crate) fn uri_of_domain(trust_domain: &TrustDomain) -> String {
    format!("{SCHEME}{trust_domain}")
}

/// Reads the trust domain out of a CA's certificate.
pub(crate) fn domain_of(ca: &CertificateDer<'_>) -> Result<TrustDomain, InvalidSpiffeId> {
    let uri = uri_of(ca)?;
    uri.strip_prefix(SCHEME).ok_or(InvalidSpiffeId::Form)?.parse()
}

fn uri_of(certificate: &CertificateDer<'_>) -> Result<String, InvalidSpiffeId> {
    let (_, parsed) =
        parse_x509_certificate(certificate).map_err(|_| InvalidSpiffeId::Certificate)?;
    let names = parsed.subject_alternative_name().map_err(|_| InvalidSpiffeId::Certificate)?;
    let names = names.map(|extension| extension.value.general_names.as_slice());
    let mut uris = names.unwrap_or_default().iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some((*uri).to_owned()),
        _ => None,
    });
    match (uris.next(), uris.count()) {
        (Some(uri), 0) => Ok(uri),
        (first, rest) => Err(InvalidSpiffeId::Count(usize::from(first.is_some()) + rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_written() {
        for uri in [
            "spiffe://waggoner/manager",
            "spiffe://eu.example/tenant/default_tenant/agent/web-1.example",
        ] {
            assert_eq!(uri.parse::<SpiffeId>().unwrap().to_string(), uri);
        }
    }

    #[test]
    fn what_names_nobody_is_refused() {
        for uri in [
            "",
            "waggoner/manager",
            "https://waggoner/manager",
            "spiffe://waggoner",
            "spiffe://waggoner/",
            "spiffe://waggoner/manager/",
            "spiffe://waggoner/manager/2",
            "spiffe://Waggoner/manager",
            "spiffe:///manager",
            "spiffe://user@waggoner/manager",
            "spiffe://waggoner:1/manager",
            "spiffe://waggoner/manager?x",
            "spiffe://waggoner/tenant/t",
            "spiffe://waggoner/tenant/t/agent/",
            "spiffe://waggoner/tenant//agent/a",
            "spiffe://waggoner/tenant/../agent/a",
            "spiffe://waggoner/tenant/t/agent/a%2f",
            "spiffe://waggoner/tenant/t/agent/a/b",
        ] {
            assert!(uri.parse::<SpiffeId>().is_err(), "{uri}");
        }
    }
}
