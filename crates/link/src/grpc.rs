//! gRPC over one connection that already is, in either role.

use std::io;

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_stream::StreamExt as _;
use tonic::{
    service::Routes,
    transport::{Channel, Endpoint, Server},
};
use tower::service_fn;

use crate::{Life, Watched, settings};

/// Why a connection did not become a link.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    #[error("failed to speak HTTP/2 over the connection: {why}")]
    Http2 {
        /// How the connection came to its end.
        why: String,
        #[source]
        source: tonic::transport::Error,
    },
}

/// Speaks as the gRPC client over a connection.
///
/// The channel never connects again: once the connection has ended, its calls fail with
/// `UNAVAILABLE` and [`Life::ended`] says why. The connection ends as well when the last clone of the
/// channel and the last call on it are gone.
pub async fn client_over<S>(io: S) -> Result<(Channel, Life), LinkError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (io, life) = Watched::new(io);
    let mut io = Some(TokioIo::new(io));
    let connector = service_fn(move |_| {
        let io = io.take().ok_or(io::Error::new(io::ErrorKind::NotConnected, "the link has ended"));
        std::future::ready(io)
    });
    // The name is nobody's: it only fills the place of one in the requests.
    let endpoint = Endpoint::from_static("http://link.waggoner")
        .initial_stream_window_size(settings::STREAM_WINDOW)
        .initial_connection_window_size(settings::CONNECTION_WINDOW)
        .http2_keep_alive_interval(settings::KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(settings::KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true);
    match endpoint.connect_with_connector(connector).await {
        Ok(channel) => Ok((channel, life)),
        Err(source) => Err(LinkError::Http2 { why: life.ended().await.to_owned(), source }),
    }
}

/// Answers as the gRPC server over a connection, until it ends, and returns why it did.
///
/// After `shutdown` no new call is taken, and the connection ends with the last one. Dropping the
/// future ends it at once.
pub async fn serve_over<S>(
    io: S,
    routes: Routes,
    shutdown: impl Future<Output = ()> + Send,
) -> String
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (io, life) = Watched::new(io);
    let _guard = life.close_on_drop("the connection was closed here");
    let incoming = tokio_stream::once(Ok::<_, io::Error>(io)).chain(tokio_stream::pending());
    let ended = life.clone();
    let over = async move {
        let heard = async {
            // HTTP/2 keeps no watch before its first frame.
            ended.heard_within(settings::HANDSHAKE_TIMEOUT).await;
            ended.ended().await;
        };
        tokio::select! {
            () = shutdown => {}
            () = heard => {}
        }
    };
    let served = server().add_routes(routes).serve_with_incoming_shutdown(incoming, over).await;
    match served {
        Ok(()) => life.ended().await.to_owned(),
        Err(error) => error.to_string(),
    }
}

/// Returns a gRPC server with the figures of [`settings`].
pub fn server() -> Server {
    Server::builder()
        .initial_stream_window_size(settings::STREAM_WINDOW)
        .initial_connection_window_size(settings::CONNECTION_WINDOW)
        .max_concurrent_streams(settings::STREAMS)
        .http2_keepalive_interval(Some(settings::KEEP_ALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(settings::KEEP_ALIVE_TIMEOUT))
}
