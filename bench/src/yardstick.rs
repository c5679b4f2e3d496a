//! A server that does nothing: axum with a fixed answer, and axum with a parsed and echoed form. What it costs is
//! what HTTP costs, and everything of ours is quoted as a ratio to it.

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// The path of the fixed answer.
pub(crate) const HELLO: &str = "/hello";
/// The path of the form.
pub(crate) const FORM: &str = "/form";

/// As long as a small credential.
pub(crate) const HELLO_LENGTH: usize = 492;

/// The five fields of an OAuth token request, owned as a real handler owns them.
#[derive(Debug, Deserialize, Serialize)]
struct Fields {
    grant_type: String,
    client_id: String,
    client_secret: String,
    scope: String,
    state: String,
}

/// A JSON document of exactly [`HELLO_LENGTH`] bytes.
fn hello_body() -> String {
    const FRAME: usize = r#"{"hello":""}"#.len();
    format!(r#"{{"hello":"{}"}}"#, "x".repeat(HELLO_LENGTH - FRAME))
}

async fn echo(Form(fields): Form<Fields>) -> impl IntoResponse {
    Json(fields)
}

/// Serves until it is killed, on the same kind of runtime as `daypass`.
pub(crate) fn serve(address: SocketAddr) -> anyhow::Result<()> {
    let body: &'static str = hello_body().leak();
    let router = Router::new()
        .route(HELLO, get(move || async move { ([(CONTENT_TYPE, "application/json")], body) }))
        .route(FORM, post(echo));
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let listener = tokio::net::TcpListener::bind(address).await?;
        Ok(axum::serve(listener, router).await?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fixed_answer_is_json_of_the_stated_length() {
        let body = hello_body();
        assert_eq!(body.len(), HELLO_LENGTH);
        assert!(serde_json::from_str::<serde_json::Value>(&body).unwrap().is_object());
    }
}
