//! What a browser or a load balancer gets: whether the manager is there, and what it is.

use axum::{Json, Router, routing::get};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use serde_json::json;
use waggoner_link::Io;

/// Serves one HTTP/1.1 connection to its end.
pub(crate) async fn serve(io: Io) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let version = Json(json!({ "edition": "waggoner", "version": env!("CARGO_PKG_VERSION") }));
    let pages = Router::new()
        .route("/", get(|| async { "Waggoner's manager. Its API is gRPC; see the README.\n" }))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/api/version", get(move || async { version }));
    auto::Builder::new(TokioExecutor::new())
        .http1_only()
        .serve_connection(TokioIo::new(io), TowerToHyperService::new(pages))
        .await
}
