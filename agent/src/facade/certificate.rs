//! The certificate that the facade shows, of a CA that is nobody else's.

use std::{io::Write as _, sync::Arc};

use camino::{Utf8Path, Utf8PathBuf};
use fs_err::os::unix::fs::OpenOptionsExt as _;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use rustls::{ServerConfig, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer, pem::PemObject as _};

use crate::facade::FacadeError;

/// A certificate for the loopback, and where clients find the CA's.
#[derive(Debug)]
pub(super) struct Certificate {
    pub(super) ca_file: Utf8PathBuf,
    leaf: CertificateDer<'static>,
    key: PrivatePkcs8KeyDer<'static>,
}

// === impl Certificate ===

impl Certificate {
    /// Takes the one that a directory holds, or makes one there. The CA's key is kept nowhere.
    pub(super) fn keep(directory: &Utf8Path) -> Result<Self, FacadeError> {
        let [ca_file, leaf, key] =
            ["ca.pem", "leaf.pem", "key.pem"].map(|name| directory.join(name));
        if !(ca_file.exists() && leaf.exists() && key.exists()) {
            let [ca_pem, leaf_pem, key_pem] = make().map_err(FacadeError::Certificate)?;
            write(&leaf, &leaf_pem).map_err(FacadeError::Keep)?;
            write(&key, &key_pem).map_err(FacadeError::Keep)?;
            // The last one: with it the three are whole.
            write(&ca_file, &ca_pem).map_err(FacadeError::Keep)?;
        }
        let spoilt = |error| FacadeError::Keep(std::io::Error::other(error));
        let leaf = CertificateDer::from_pem_file(leaf).map_err(spoilt)?;
        let key = PrivatePkcs8KeyDer::from_pem_file(key).map_err(spoilt)?;
        Ok(Self { ca_file, leaf, key })
    }

    /// Returns what of it is secret, and the same in every life of the daemon.
    pub(super) fn secret(&self) -> &[u8] {
        self.key.secret_pkcs8_der()
    }

    /// Returns settings that show it.
    pub(super) fn tls(&self) -> Result<Arc<ServerConfig>, FacadeError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(rustls::ALL_VERSIONS)
            .map_err(FacadeError::Tls)?
            .with_no_client_auth()
            .with_single_cert(vec![self.leaf.clone()], self.key.clone_key().into())
            .map_err(FacadeError::Tls)?;
        Ok(Arc::new(config))
    }
}

/// Makes the CA's certificate, one for the loopback, and the key of that: PEM.
fn make() -> Result<[String; 3], rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Waggoner agent, REST facade");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;

    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "localhost");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let leaf = params.signed_by(&key, &ca)?;
    Ok([ca.pem(), leaf.pem(), key.serialize_pem()])
}

/// Writes a file that nobody else may read.
fn write(path: &Utf8Path, text: &str) -> std::io::Result<()> {
    let mut options = fs_err::OpenOptions::new();
    options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?
        .write_all(text.as_bytes())
}
