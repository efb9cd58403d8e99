//! What a request brings: a text travels with it, anything else before it in pieces.

use axum::{body::Body, response::Response};
use bytes::{Bytes, BytesMut};
use tokio_stream::StreamExt as _;
use uuid::Uuid;
use waggoner_link::settings::MAX_CHUNK;
use waggoner_proto::agent::v1::{PutBody, RestRequest};

use crate::{
    context::HostApi,
    facade::say::{failure, refused},
};

/// The longest text that travels with its request: a message stays below gRPC's 4 MiB.
const INLINE: usize = 1 << 20;

/// Takes a body, and fills it into a request. The error is the answer to the client.
pub(super) async fn take(
    api: &HostApi,
    body: Body,
    request: RestRequest,
) -> Result<RestRequest, Box<Response>> {
    let mut coming = body.into_data_stream();
    let mut gathered = BytesMut::new();
    while gathered.len() <= INLINE {
        match coming.next().await {
            Some(bytes) => {
                let bytes = bytes.map_err(|error| Box::new(broken(&error)))?;
                gathered.extend_from_slice(&bytes);
            }
            None => {
                return match String::from_utf8(gathered.into()) {
                    Ok(body_json) => Ok(RestRequest { body_json, ..request }),
                    Err(bytes) => {
                        let mut pieces = Pieces::new(api);
                        pieces.put(bytes.into_bytes().into()).await?;
                        Ok(RestRequest { body_id: pieces.id(), ..request })
                    }
                };
            }
        }
    }
    let mut pieces = Pieces::new(api);
    pieces.put(gathered.freeze()).await?;
    while let Some(bytes) = coming.next().await {
        pieces.put(bytes.map_err(|error| Box::new(broken(&error)))?).await?;
    }
    Ok(RestRequest { body_id: pieces.id(), ..request })
}

/// A body on its way to the manager.
struct Pieces<'a> {
    api: &'a HostApi,
    id: Uuid,
    sent: u64,
}

// === impl Pieces ===

impl<'a> Pieces<'a> {
    fn new(api: &'a HostApi) -> Self {
        Self { api, id: Uuid::new_v4(), sent: 0 }
    }

    fn id(&self) -> String {
        self.id.to_string()
    }

    async fn put(&mut self, mut bytes: Bytes) -> Result<(), Box<Response>> {
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(MAX_CHUNK));
            let length = piece.len() as u64;
            let piece = PutBody { body_id: self.id(), offset: self.sent, data: piece.into() };
            let put = self.api.put_body(piece).await;
            put.map_err(|refusal| Box::new(refused(&refusal)))?;
            self.sent += length;
        }
        Ok(())
    }
}

fn broken(error: &axum::Error) -> Response {
    let message = format!("the request broke off: {error}");
    failure(axum::http::StatusCode::BAD_REQUEST, &message, "bad_parameters_error")
}
