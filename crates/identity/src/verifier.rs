//! Whether the certificate of a peer is believed.

use std::sync::Arc;

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{verify_tls12_signature, verify_tls13_signature},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::{CaCertificate, CaPin, InvalidSpiffeId, SpiffeId, Who, tls};

/// Believes peers whom our CA has named, and only those that ought to be at the other end.
///
/// An agent's certificate comes from the same CA as the manager's: without the second condition, any
/// agent could give orders to any other.
#[derive(Debug)]
pub(crate) struct Verifier {
    pub(crate) anchor: Anchor,
    pub(crate) expected: Expected,
    /// Whether a client may come without a certificate. A server never may.
    pub(crate) anonymous: Anonymous,
}

/// Which CA is believed.
#[derive(Debug)]
pub(crate) enum Anchor {
    Ca(CaCertificate),
    /// The one with this hash, which the peer has to send along.
    Pin(CaPin),
}

/// Who ought to be at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    Manager,
    Agent,
    Either,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anonymous {
    Allowed,
    Refused,
}

/// Believes any server at all. See [`tls::manager_enrolling_any_server`] for the one use.
#[derive(Debug)]
pub(crate) struct AnyServer;

/// The peer's certificate is good, but names somebody who has no business here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongPeer {
    #[error("it names {found}, where {expected} was expected")]
    Other { found: Who, expected: &'static str },
    #[error(transparent)]
    Nobody(#[from] InvalidSpiffeId),
}

// === impl Verifier ===

impl Verifier {
    fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        match &self.anchor {
            Anchor::Ca(ca) => ca.verify(leaf, now)?,
            Anchor::Pin(pin) => CaCertificate::pinned(others, *pin)
                .ok_or(Error::InvalidCertificate(CertificateError::UnknownIssuer))?
                .verify(leaf, now)?,
        }
        self.identify(leaf).map_err(|wrong| {
            let wrong = OtherError(Arc::new(wrong));
            Error::InvalidCertificate(CertificateError::Other(wrong))
        })
    }

    fn identify(&self, leaf: &CertificateDer<'_>) -> Result<(), WrongPeer> {
        let found = SpiffeId::of(leaf)?.who;
        let expected = match (self.expected, &found) {
            (Expected::Either, _)
            | (Expected::Manager, Who::Manager)
            | (Expected::Agent, Who::Agent { .. }) => return Ok(()),
            (Expected::Manager, Who::Agent { .. }) => "the manager",
            (Expected::Agent, Who::Manager) => "an agent",
        };
        Err(WrongPeer::Other { found, expected })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        // The SPIFFE name stands for the server's: a manager is the same under any address.
        self.verify(end_entity, intermediates, now).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        tls12(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        tls13(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        schemes()
    }
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.anonymous == Anonymous::Refused
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.verify(end_entity, intermediates, now).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        tls12(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        tls13(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        schemes()
    }
}

// === impl AnyServer ===

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        tls12(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        tls13(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        schemes()
    }
}

fn tls12(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    let algorithms = tls::provider().signature_verification_algorithms;
    verify_tls12_signature(message, certificate, signature, &algorithms)
}

fn tls13(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    let algorithms = tls::provider().signature_verification_algorithms;
    verify_tls13_signature(message, certificate, signature, &algorithms)
}

fn schemes() -> Vec<SignatureScheme> {
    tls::provider().signature_verification_algorithms.supported_schemes()
}
