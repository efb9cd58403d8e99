//! Who this agent is: nobody yet, or the one its certificate names.
//!
//! ```text
//!  Joining (key, token) ── a certificate for the key, from the token's CA ──▶ Joined (identity)
//!                                                                               │    ▲
//!                                                                               └────┘ renewal
//! ```

use std::sync::{Arc, Mutex, MutexGuard};

use camino::Utf8PathBuf;
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use tracing::info;
use waggoner_identity::{
    BadCertificate, CaCertificate, CaPin, Chain, Credentials, Identity, IdentityError, JoinToken,
    Key, KeyError, Who,
};
use waggoner_types::AgentName;

/// Holds the agent's identity, on disk and in use.
#[derive(Debug)]
pub(crate) struct Keeper {
    directory: Utf8PathBuf,
    held: Mutex<Held>,
}

#[derive(Debug)]
enum Held {
    Joining { key: Key, token: JoinToken, name: Option<AgentName> },
    Joined { identity: Identity, credentials: Arc<Credentials> },
}

/// What an agent asks for a certificate with.
pub(crate) struct Application {
    pub(crate) csr_der: Vec<u8>,
    /// Only who joins has one.
    pub(crate) token: Option<SecretString>,
    pub(crate) name: Option<AgentName>,
}

/// What TLS needs of an agent that has joined.
#[derive(Clone, Debug)]
pub(crate) struct Joined {
    pub(crate) credentials: Arc<Credentials>,
    pub(crate) ca: CaCertificate,
}

/// Why a certificate was not taken.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    #[error("failed to read the certificates that the manager sent")]
    Certificate(#[source] BadCertificate),

    #[error("the manager sent another CA than the one this agent believes")]
    OtherCa,

    #[error("failed to read the agent's own key")]
    Key(#[source] KeyError),

    #[error("failed to install the certificate")]
    Identity(#[source] IdentityError),
}

// === impl Keeper ===

impl Keeper {
    /// Loads the identity in `directory`; `None` where there is none, or none that is still good.
    pub(crate) fn load(directory: Utf8PathBuf) -> Result<Option<Self>, IdentityError> {
        let identity = Identity::load(&directory)?;
        let identity = identity.filter(|identity| !identity.is_expired(Timestamp::now()));
        Ok(identity.map(|identity| {
            info!(identity = %identity.id(), until = %identity.expires(), "the identity is loaded");
            Self { directory, held: Mutex::new(Held::joined(identity)) }
        }))
    }

    /// Prepares to join: makes the key, or takes the one with which a former try began.
    pub(crate) fn join(
        directory: Utf8PathBuf,
        token: JoinToken,
        name: Option<AgentName>,
    ) -> Result<Self, KeyError> {
        let key = Key::open_or_generate(&directory.join("joining.pem"))?;
        Ok(Self { directory, held: Mutex::new(Held::Joining { key, token, name }) })
    }

    /// Returns what TLS needs, once the agent has joined.
    pub(crate) fn joined(&self) -> Option<Joined> {
        match &*self.held() {
            Held::Joining { .. } => None,
            Held::Joined { identity, credentials } => {
                Some(Joined { credentials: credentials.clone(), ca: identity.ca().clone() })
            }
        }
    }

    /// Returns which CA this agent believes.
    pub(crate) fn ca(&self) -> CaPin {
        self.held().ca()
    }

    /// Returns the agent's name: the one in its certificate, or the one it would have.
    pub(crate) fn name(&self) -> Option<String> {
        match &*self.held() {
            Held::Joining { name, .. } => name.as_ref().map(ToString::to_string),
            Held::Joined { identity, .. } => match &identity.id().who {
                Who::Agent { name, .. } => Some(name.to_string()),
                Who::Manager => None,
            },
        }
    }

    /// Asks for a certificate over the agent's key.
    pub(crate) fn apply(&self) -> Result<Application, KeyError> {
        Ok(match &*self.held() {
            Held::Joining { key, token, name } => Application {
                csr_der: key.request()?,
                token: Some(token.reveal()),
                name: name.clone(),
            },
            Held::Joined { identity, .. } => {
                Application { csr_der: identity.key().request()?, token: None, name: None }
            }
        })
    }

    /// Takes a certificate: on disk first, then in use for new connections.
    pub(crate) fn install(&self, chain: &str, ca: &str) -> Result<(), InstallError> {
        let chain = Chain::from_pem(chain).map_err(InstallError::Certificate)?;
        let ca = CaCertificate::from_pem(ca).map_err(InstallError::Certificate)?;
        let mut held = self.held();
        if ca.pin() != held.ca() {
            return Err(InstallError::OtherCa);
        }
        let key = Key::from_pem(&held.key().to_pem()).map_err(InstallError::Key)?;
        let identity =
            Identity::new(key, chain, ca, Timestamp::now()).map_err(InstallError::Identity)?;
        identity.save(&self.directory).map_err(InstallError::Identity)?;
        info!(identity = %identity.id(), until = %identity.expires(), "the certificate is installed");
        match &mut *held {
            Held::Joined { identity: old, credentials } => {
                credentials.replace(&identity);
                *old = identity;
            }
            joining @ Held::Joining { .. } => *joining = Held::joined(identity),
        }
        Ok(())
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().expect("nothing panics while it holds the identity")
    }
}

// === impl Held ===

impl Held {
    fn joined(identity: Identity) -> Self {
        Self::Joined { credentials: identity.credentials(), identity }
    }

    fn ca(&self) -> CaPin {
        match self {
            Self::Joining { token, .. } => token.ca(),
            Self::Joined { identity, .. } => identity.ca().pin(),
        }
    }

    fn key(&self) -> &Key {
        match self {
            Self::Joining { key, .. } => key,
            Self::Joined { identity, .. } => identity.key(),
        }
    }
}

// === impl Application ===

impl Application {
    /// Returns the token as it goes over the wire; empty for none.
    pub(crate) fn token(&self) -> String {
        self.token.as_ref().map_or_else(String::new, |token| token.expose_secret().to_owned())
    }

    /// Returns the name as it goes over the wire; empty for none.
    pub(crate) fn name(&self) -> String {
        self.name.as_ref().map_or_else(String::new, ToString::to_string)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use camino_tempfile::Utf8TempDir;
    use waggoner_identity::{Ca, Csr, TrustDomain, Validity};

    use super::*;

    fn ca(directory: &Utf8TempDir, name: &str) -> Ca {
        let path = directory.path().join(name);
        Ca::open_or_create(&path, &TrustDomain::default(), Timestamp::now()).unwrap()
    }

    /// Answers an application as a manager does.
    fn certificate(ca: &Ca, application: &Application) -> (String, String) {
        let validity = Validity::new(Timestamp::now(), Duration::from_hours(1));
        let csr = Csr::from_der(&application.csr_der).unwrap();
        let (tenant, name) = ("t".parse().unwrap(), "a".parse().unwrap());
        let chain = ca.issue_agent(&csr, &tenant, &name, validity).unwrap();
        (chain.to_pem(), ca.certificate().to_pem())
    }

    #[test]
    fn an_agent_joins_once_and_renews_with_the_same_key() {
        let directory = Utf8TempDir::new().unwrap();
        let own = directory.path().join("identity");
        let ca = ca(&directory, "ca");
        let token = JoinToken::mint(ca.certificate().pin());
        let text = token.reveal();
        let again: JoinToken = text.expose_secret().parse().unwrap();
        let first = Keeper::join(own.clone(), token, None).unwrap();
        let lost = first.apply().unwrap();
        drop(first);

        let keeper = Keeper::join(own.clone(), again, None).unwrap();
        let application = keeper.apply().unwrap();
        let key =
            |application: &Application| Csr::from_der(&application.csr_der).unwrap().key_hash();
        assert_eq!(key(&application), key(&lost), "a repeat comes with the same key");
        assert_eq!(application.token(), text.expose_secret());
        assert!(keeper.joined().is_none());
        let (chain, ca_pem) = certificate(&ca, &application);
        keeper.install(&chain, &ca_pem).unwrap();
        assert_eq!(keeper.name().as_deref(), Some("a"));

        let loaded = Keeper::load(own).unwrap().expect("it is on the disk");
        let renewal = loaded.apply().unwrap();
        assert_eq!((renewal.token(), key(&renewal)), (String::new(), key(&application)));
        let (chain, ca_pem) = certificate(&ca, &renewal);
        loaded.install(&chain, &ca_pem).unwrap();
    }

    #[test]
    fn a_certificate_that_does_not_fit_changes_nothing() {
        let directory = Utf8TempDir::new().unwrap();
        let (ca, stranger) = (ca(&directory, "ca"), ca(&directory, "stranger"));
        let token = JoinToken::mint(ca.certificate().pin());
        let own = directory.path().join("identity");
        let keeper = Keeper::join(own.clone(), token, None).unwrap();
        let application = keeper.apply().unwrap();

        let (chain, ca_pem) = certificate(&stranger, &application);
        let refused = keeper.install(&chain, &ca_pem).unwrap_err();
        assert!(matches!(refused, InstallError::OtherCa), "{refused:?}");
        let (_, ca_pem) = certificate(&ca, &application);
        let refused = keeper.install(&chain, &ca_pem).unwrap_err();
        assert!(matches!(refused, InstallError::Identity(_)), "{refused:?}");
        let refused = keeper.install("no certificate", &ca_pem).unwrap_err();
        assert!(matches!(refused, InstallError::Certificate(_)), "{refused:?}");
        assert!(keeper.joined().is_none() && Keeper::load(own).unwrap().is_none());
    }
}
