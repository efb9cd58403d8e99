//! A certificate that can be exchanged while connections live.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::{
    SignatureScheme,
    client::ResolvesClientCert,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use crate::{Identity, tls};

/// What is shown to a peer. New handshakes show the newest; live connections go on with theirs.
#[derive(Debug)]
pub struct Credentials(ArcSwap<CertifiedKey>);

// === impl Credentials ===

impl Credentials {
    /// Shows an identity.
    pub fn new(identity: &Identity) -> Self {
        Self(ArcSwap::from_pointee(certified(identity)))
    }

    /// Shows another identity from now on.
    pub fn replace(&self, identity: &Identity) {
        self.0.store(Arc::new(certified(identity)));
    }
}

impl ResolvesServerCert for Credentials {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl ResolvesClientCert for Credentials {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

fn certified(identity: &Identity) -> CertifiedKey {
    let key = tls::provider()
        .key_provider
        .load_private_key(identity.key.to_der())
        .expect("aws-lc-rs signs with every P-256 key that rcgen has read");
    CertifiedKey::new(identity.chain.ders().to_vec(), key)
}
