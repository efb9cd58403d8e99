//! Certificates and keys as text (RFC 7468).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};

/// Writes certificates one after the other.
pub(crate) fn of_certificates(certificates: &[CertificateDer<'_>]) -> String {
    certificates.iter().map(|certificate| block("CERTIFICATE", certificate)).collect()
}

/// Reads the certificates of a text and skips everything else in it.
pub(crate) fn certificates(
    text: &str,
) -> Result<Vec<CertificateDer<'static>>, rustls_pki_types::pem::Error> {
    CertificateDer::pem_slice_iter(text.as_bytes()).collect()
}

fn block(label: &str, der: &[u8]) -> String {
    /// RFC 7468, section 2: lines of exactly 64 characters.
    const WIDTH: usize = 64;

    let text = STANDARD.encode(der);
    let lines = (0..text.len()).step_by(WIDTH).map(|at| &text[at..text.len().min(at + WIDTH)]);
    let lines: Vec<_> = lines.collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}
