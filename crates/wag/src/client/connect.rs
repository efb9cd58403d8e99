//! One TLS connection to a manager, and again when it is lost.

use hyper_util::rt::TokioIo;
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;
use waggoner_identity::{BadCertificate, CaCertificate, tls};
use waggoner_link::{Dialler, settings};

use super::ClientError;
use crate::profile::Profile;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    #[error("the profile's CA is none")]
    Authority(#[source] BadCertificate),
    #[error(transparent)]
    Dial(waggoner_link::DialError),
    #[error("the connection was lost at once")]
    Lost(#[source] tonic::transport::Error),
}

/// Connects; the channel dials again by itself when it has to.
pub(super) async fn channel(profile: &Profile) -> Result<Channel, ClientError> {
    let Profile { address, ca_pem, .. } = profile;
    let failed = |source| ClientError::Dial { address: address.clone(), source };
    let ca = CaCertificate::from_pem(ca_pem).map_err(|bad| failed(DialError::Authority(bad)))?;
    let dialler = Dialler::new(tls::people(&ca));

    // The first connection is made before tonic is asked for one: its failure has a name here,
    // and is a bare transport error there.
    let first = dialler.dial(address).await.map_err(|error| failed(DialError::Dial(error)))?;
    let mut first = Some(first);
    let again = address.clone();
    let connector = service_fn(move |_| {
        let (first, dialler, address) = (first.take(), dialler.clone(), again.clone());
        async move {
            match first {
                Some(io) => Ok(TokioIo::new(io)),
                None => dialler.dial(&address).await.map(TokioIo::new),
            }
        }
    });
    Endpoint::from_static("http://manager.waggoner")
        .user_agent(concat!("wag/", env!("CARGO_PKG_VERSION")))
        .expect("a version is plain text")
        .http2_keep_alive_interval(settings::KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(settings::KEEP_ALIVE_TIMEOUT)
        .connect_with_connector(connector)
        .await
        .map_err(|lost| failed(DialError::Lost(lost)))
}
