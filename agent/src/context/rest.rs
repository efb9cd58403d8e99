//! Requests of Cloudify's REST API, made in the operation's name.

use serde_json::Value;
use waggoner_proto::agent::v1::{PutBody, Refusal, RestRequest, question::Ask};

use crate::{
    context::{HostApi, Key},
    questions::nonsense,
};

/// What Cloudify's REST API answered.
#[derive(Clone, Debug)]
pub(crate) struct RestAnswer {
    pub(crate) status: u16,
    pub(crate) body: Value,
    /// The resource that is the body, and the name that it is to be kept by.
    pub(crate) file: Option<(String, String)>,
}

// === impl HostApi ===

impl HostApi {
    /// Makes a request of Cloudify's REST API.
    pub(crate) async fn rest(&self, request: RestRequest, key: Key) -> Result<RestAnswer, Refusal> {
        if let Some(id) = request.path.strip_prefix("/node-instances/")
            && request.method != "GET"
        {
            // As it came with the start it is not any more.
            drop(self.take_instance(id.trim_end_matches('/')));
        }
        let key = (request.method != "GET").then_some(key);
        let mut answer = self.attempt.put(Ask::Rest(request), key).await.value().await?;
        let status = answer["status"].as_u64().and_then(|status| u16::try_from(status).ok());
        let status = status.ok_or_else(|| nonsense("it has no HTTP status"))?;
        let text = |field: &str| answer["file"][field].as_str().map(str::to_owned);
        let file = text("path").zip(text("name"));
        Ok(RestAnswer { status, body: answer["body"].take(), file })
    }

    /// Brings a piece of what a request brings to the manager.
    pub(crate) async fn put_body(&self, piece: PutBody) -> Result<(), Refusal> {
        self.ask(Ask::PutBody(piece)).await.map(drop)
    }

    /// Gets a value from Cloudify's REST API; what it refuses is a refusal.
    pub(super) async fn get(&self, path: String, query: String) -> Result<Value, Refusal> {
        let (method, body_json) = ("GET".to_owned(), String::new());
        let request = RestRequest { method, path, query, body_json, ..RestRequest::default() };
        self.successful(request, Key::fresh()).await
    }

    pub(super) async fn successful(
        &self,
        request: RestRequest,
        key: Key,
    ) -> Result<Value, Refusal> {
        let RestAnswer { status, body, .. } = self.rest(request, key).await?;
        if (200..300).contains(&status) {
            return Ok(body);
        }
        let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
        let (message, error_code) = (text("message"), text("error_code"));
        Err(Refusal { reason: "INVALID".to_owned(), message, status: status.into(), error_code })
    }
}
