//! Files of this host, put among those of the deployment, and removed there.

use std::io;

use fs_err::tokio as fs;
use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use uuid::Uuid;
use waggoner_ctx::Refusal;
use waggoner_link::settings::MAX_CHUNK;
use waggoner_proto::agent::v1::{self as pb, PutBody, RestRequest};

use crate::context::{HostApi, Key, command::client_error, resource::os_error};

// === impl HostApi ===

impl HostApi {
    /// Answers `ctx upload-deployment-file`: puts a copy of a file of this host among the
    /// deployment's (`cloudify_rest_client/resources.py`).
    pub(super) async fn upload_file(
        &self,
        target: &str,
        source: &str,
        key: Key,
    ) -> Result<Value, Refusal> {
        let path = self.work.join(source);
        // Opening a FIFO waits for somebody, and a device has no end.
        let is_file = fs::metadata(&path).await.map_err(|error| os_error(&error))?.is_file();
        if !is_file {
            let why = format!("`{path}` is no regular file");
            return Err(os_error(&io::Error::new(io::ErrorKind::InvalidInput, why)));
        }
        let file = fs::File::open(path).await;
        let mut file = file.map_err(|error| os_error(&error))?;
        let body_id = Uuid::new_v4().to_string();
        let mut offset = 0;
        // An empty file is one piece as well.
        loop {
            let mut data = Vec::with_capacity(MAX_CHUNK);
            let piece = (&mut file).take(MAX_CHUNK as u64).read_to_end(&mut data).await;
            let length = piece.map_err(|error| os_error(&error))? as u64;
            if length > 0 || offset == 0 {
                let piece = PutBody { body_id: body_id.clone(), offset, data };
                self.put_body(piece).await.map_err(|refusal| client_error(&refusal))?;
            }
            offset += length;
            if length < MAX_CHUNK as u64 {
                break;
            }
        }
        let content_type = "application/octet-stream".to_owned();
        let (method, path) = ("PUT".to_owned(), self.deployment_file(target));
        let request = RestRequest { method, path, body_id, content_type, ..RestRequest::default() };
        self.change(request, key).await
    }

    /// Answers `ctx delete-deployment-file`.
    pub(super) async fn delete_file(&self, path: &str, key: Key) -> Result<Value, Refusal> {
        let (method, path) = ("DELETE".to_owned(), self.deployment_file(path));
        self.change(RestRequest { method, path, ..RestRequest::default() }, key).await
    }

    async fn change(&self, request: RestRequest, key: Key) -> Result<Value, Refusal> {
        let changed: Result<_, pb::Refusal> = self.successful(request, key).await;
        changed.map(|_| Value::Null).map_err(|refusal| client_error(&refusal))
    }

    /// Where the REST API has a file of the operation's deployment.
    fn deployment_file(&self, path: &str) -> String {
        let names = [self.tenant(), self.text("deployment_id"), path];
        let [tenant, deployment, path] = names.map(encoded);
        format!("/resources/deployments/{tenant}/{deployment}/{path}")
    }
}

/// A path as a URL has it.
fn encoded(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let part = |byte: u8| {
        if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    path.bytes().map(part).collect()
}
