//! Dials an address and shakes hands.

use std::{io, sync::Arc, time::Duration};

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::{net::TcpStream, time};
use tokio_rustls::TlsConnector;
use waggoner_identity::{Ca, Who, refusal};

use crate::{Io, settings};

/// Dials with the TLS settings of one purpose: see [`waggoner_identity::tls`].
#[derive(Clone, Debug)]
pub struct Dialler {
    tls: Arc<ClientConfig>,
    timeout: Duration,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    #[error("failed to connect to `{address}`")]
    Connect {
        address: String,
        #[source]
        source: io::Error,
    },
    #[error("failed to connect to `{address}` within {after:?}")]
    Timeout { address: String, after: Duration },
    #[error("failed to agree on TLS with `{address}`: {why}")]
    Tls { address: String, why: String },
    #[error("`{address}` is {found}, not {wanted}")]
    Stranger { address: String, found: String, wanted: Who },
}

// === impl Dialler ===

impl Dialler {
    /// Dials with these settings, and gives up after [`settings::HANDSHAKE_TIMEOUT`].
    pub fn new(tls: Arc<ClientConfig>) -> Self {
        Self { tls, timeout: settings::HANDSHAKE_TIMEOUT }
    }

    /// Dials `host:port` and shakes hands.
    ///
    /// The other end may refuse our certificate after this has succeeded: see the crate's notes.
    pub async fn dial(&self, address: &str) -> Result<Io, DialError> {
        let dialled = time::timeout(self.timeout, self.connect(address)).await;
        dialled.unwrap_or_else(|_| {
            Err(DialError::Timeout { address: address.to_owned(), after: self.timeout })
        })
    }

    /// Dials `host:port` and insists on who is there.
    pub async fn dial_for(&self, address: &str, wanted: &Who) -> Result<Io, DialError> {
        let io = self.dial(address).await?;
        match &io.caller().id {
            Some(id) if id.who == *wanted => Ok(io),
            id => {
                let found = id.as_ref().map(|id| id.who.to_string());
                Err(DialError::Stranger {
                    address: address.to_owned(),
                    found: found.unwrap_or_else(|| "nobody we know".to_owned()),
                    wanted: wanted.clone(),
                })
            }
        }
    }

    async fn connect(&self, address: &str) -> Result<Io, DialError> {
        let connect = |source| DialError::Connect { address: address.to_owned(), source };
        let tcp = TcpStream::connect(address).await.map_err(connect)?;
        // Small messages go out at once; bigger ones fill packets anyhow.
        tcp.set_nodelay(true).map_err(connect)?;
        let peer = tcp.peer_addr().map_err(connect)?;
        // What is verified is the SPIFFE name; this one only has to be in the form of a name.
        let name = ServerName::try_from(Ca::MANAGER_DNS).expect("the constant is a DNS name");
        match TlsConnector::from(self.tls.clone()).connect(name, tcp).await {
            Ok(tls) => Ok(Io::new(tls, peer)),
            Err(error) => Err(DialError::Tls { address: address.to_owned(), why: refusal(&error) }),
        }
    }
}
