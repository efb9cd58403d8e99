//! Settings of rustls, one function for each end of each kind of connection.
//!
//! ```text
//!  who dials            dials with                          is answered with
//!  agent                agent_dialling                      manager_port  (ALPN waggoner-agent/1)
//!  manager              manager_dialling                    agent_listening
//!  a person's tool      people                              manager_port  (ALPN h2)
//!  agent, to enrol      bootstrap                           manager_port  (ALPN h2)
//!  manager, to enrol    manager_enrolling_any_server        unenrolled_listening
//! ```
//!
//! All are TLS 1.3 only and none resumes a session.

use std::sync::{Arc, LazyLock};

use rustls::{
    ClientConfig, ConfigBuilder, ServerConfig, WantsVerifier,
    client::{Resumption, WantsClientCert},
    crypto::{CryptoProvider, aws_lc_rs},
    server::{NoServerSessionStorage, ResolvesServerCert},
    sign::{CertifiedKey, SingleCertAndKey},
    version::TLS13,
};

use crate::{
    CaCertificate, CaPin, Credentials, IssueError, Key,
    verifier::{Anchor, Anonymous, AnyServer, Expected, Verifier},
};

/// ALPN of a link: the side that accepted or dialled speaks HTTP/2 by role, not by direction.
pub const ALPN_AGENT: &[u8] = b"waggoner-agent/1";

/// ALPN of gRPC (RFC 9113, section 3.2).
pub const ALPN_H2: &[u8] = b"h2";

/// ALPN of REST and web pages (RFC 7301, section 6).
pub const ALPN_HTTP: &[u8] = b"http/1.1";

/// Settings for the manager's one public port: the offered ALPN chooses between them.
#[derive(Clone, Debug)]
pub struct ManagerPort {
    /// For who offers [`ALPN_AGENT`]: an agent's certificate is demanded.
    pub agents: Arc<ServerConfig>,
    /// For all others: a certificate may be shown, and has to be a good one then.
    pub people: Arc<ServerConfig>,
}

/// Returns the settings of the manager's public port.
pub fn manager_port(credentials: &Arc<Credentials>, ca: &CaCertificate) -> ManagerPort {
    let settings = |expected, anonymous, alpn| {
        let anchor = Anchor::Ca(ca.clone());
        server(Verifier { anchor, expected, anonymous }, credentials.clone(), alpn)
    };
    ManagerPort {
        agents: settings(Expected::Agent, Anonymous::Refused, &[ALPN_AGENT]),
        people: settings(Expected::Either, Anonymous::Allowed, &[ALPN_H2, ALPN_HTTP]),
    }
}

/// Returns the settings with which an agent dials its manager.
pub fn agent_dialling(credentials: &Arc<Credentials>, ca: &CaCertificate) -> Arc<ClientConfig> {
    let verifier = believing(Anchor::Ca(ca.clone()), Expected::Manager);
    client(verifier, ALPN_AGENT, |builder| builder.with_client_cert_resolver(credentials.clone()))
}

/// Returns the settings with which an agent answers a manager that dials.
pub fn agent_listening(credentials: &Arc<Credentials>, ca: &CaCertificate) -> Arc<ServerConfig> {
    let verifier = believing(Anchor::Ca(ca.clone()), Expected::Manager);
    server(verifier, credentials.clone(), &[ALPN_AGENT])
}

/// Returns the settings with which a manager dials an agent that listens.
///
/// That it is the *wanted* agent is for the caller to check.
pub fn manager_dialling(credentials: &Arc<Credentials>, ca: &CaCertificate) -> Arc<ClientConfig> {
    let verifier = believing(Anchor::Ca(ca.clone()), Expected::Agent);
    client(verifier, ALPN_AGENT, |builder| builder.with_client_cert_resolver(credentials.clone()))
}

/// Returns the settings with which a person's tool dials the manager; its token is the proof.
pub fn people(ca: &CaCertificate) -> Arc<ClientConfig> {
    let verifier = believing(Anchor::Ca(ca.clone()), Expected::Manager);
    client(verifier, ALPN_H2, ConfigBuilder::<_, WantsClientCert>::with_no_client_auth)
}

/// Returns the settings with which an agent dials the manager that its join token names.
pub fn bootstrap(pin: CaPin) -> Arc<ClientConfig> {
    let verifier = believing(Anchor::Pin(pin), Expected::Manager);
    client(verifier, ALPN_H2, ConfigBuilder::<_, WantsClientCert>::with_no_client_auth)
}

/// Returns the settings with which an agent without a certificate answers the manager that its join
/// token names. It shows a certificate made up for the purpose, which proves nothing.
pub fn unenrolled_listening(pin: CaPin) -> Result<Arc<ServerConfig>, IssueError> {
    let key = Key::generate().map_err(IssueError::Key)?;
    let certificate =
        rcgen::CertificateParams::default().self_signed(key.pair()).map_err(IssueError::Sign)?;
    let signing = provider()
        .key_provider
        .load_private_key(key.to_der())
        .expect("aws-lc-rs signs with every P-256 key");
    let certified = CertifiedKey::new(vec![certificate.der().clone()], signing);
    let verifier = believing(Anchor::Pin(pin), Expected::Manager);
    Ok(server(verifier, Arc::new(SingleCertAndKey::from(certified)), &[ALPN_AGENT]))
}

/// Returns the settings with which a manager dials an agent that has no certificate yet.
///
/// **Any server is believed.** Only for enrolling: the manager sends no secret on such a connection,
/// and believes nobody there who does not come up with a join token.
pub fn manager_enrolling_any_server(credentials: &Arc<Credentials>) -> Arc<ClientConfig> {
    let builder =
        versioned_client().dangerous().with_custom_certificate_verifier(Arc::new(AnyServer));
    finished(builder.with_client_cert_resolver(credentials.clone()), ALPN_AGENT)
}

/// Returns the cryptography of rustls that everything here uses: AWS-LC.
pub fn provider() -> &'static Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> =
        LazyLock::new(|| Arc::new(aws_lc_rs::default_provider()));
    &PROVIDER
}

/// Returns random bytes that nobody can guess.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    provider()
        .secure_random
        .fill(&mut bytes)
        .expect("the kernel's random generator always answers");
    bytes
}

fn believing(anchor: Anchor, expected: Expected) -> Verifier {
    Verifier { anchor, expected, anonymous: Anonymous::Refused }
}

fn server(
    verifier: Verifier,
    credentials: Arc<dyn ResolvesServerCert>,
    alpn: &[&[u8]],
) -> Arc<ServerConfig> {
    let mut config = ServerConfig::builder_with_provider(provider().clone())
        .with_protocol_versions(&[&TLS13])
        .expect("aws-lc-rs speaks TLS 1.3")
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(credentials);
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Arc::new(config)
}

fn client(
    verifier: Verifier,
    alpn: &[u8],
    prove: impl FnOnce(ConfigBuilder<ClientConfig, WantsClientCert>) -> ClientConfig,
) -> Arc<ClientConfig> {
    let verifier = Arc::new(verifier);
    let builder = versioned_client().dangerous().with_custom_certificate_verifier(verifier);
    finished(prove(builder), alpn)
}

fn versioned_client() -> ConfigBuilder<ClientConfig, WantsVerifier> {
    ClientConfig::builder_with_provider(provider().clone())
        .with_protocol_versions(&[&TLS13])
        .expect("aws-lc-rs speaks TLS 1.3")
}

fn finished(mut config: ClientConfig, alpn: &[u8]) -> Arc<ClientConfig> {
    config.alpn_protocols = vec![alpn.to_vec()];
    config.resumption = Resumption::disabled();
    Arc::new(config)
}
