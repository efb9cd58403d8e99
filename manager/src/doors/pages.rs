//! What a browser, a load balancer or a new host gets: whether the manager is there and what it is,
//! and what an agent is installed with.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Body,
    extract::{Path, State},
    http::{StatusCode, header::CONTENT_LENGTH},
    response::{IntoResponse as _, Response},
    routing::get,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use serde_json::json;
use tokio_util::io::ReaderStream;
use waggoner_link::Io;

use crate::{executions::install_page, home::Home};

/// Returns the pages.
pub(crate) fn router(home: Arc<Home>) -> Router {
    let version = Json(json!({ "edition": "waggoner", "version": env!("CARGO_PKG_VERSION") }));
    Router::new()
        .route("/", get(|| async { "Waggoner's manager. Its API is gRPC; see the README.\n" }))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/api/version", get(move || async { version }))
        .route("/install/{*path}", get(install))
        .with_state(home)
}

/// Serves one HTTP/1.1 connection to its end.
pub(crate) async fn serve(
    home: Arc<Home>,
    io: Io,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let pages = router(home);
    auto::Builder::new(TokioExecutor::new())
        .http1_only()
        .serve_connection(TokioIo::new(io), TowerToHyperService::new(pages))
        .await
}

/// Shows a script that installs an agent, or the agent's program, to whoever knows the name.
async fn install(State(home): State<Arc<Home>>, Path(path): Path<String>) -> Response {
    let missing = || (StatusCode::NOT_FOUND, "there is no such page\n").into_response();
    let Some(file) = install_page(&home, &path) else { return missing() };
    let Ok(file) = fs_err::tokio::File::open(file).await else { return missing() };
    let Ok(found) = file.metadata().await else { return missing() };
    let body = Body::from_stream(ReaderStream::new(file));
    ([(CONTENT_LENGTH, found.len().to_string())], body).into_response()
}
