//! An API that takes tokens of Daypass. With the issuer, the API's audience and where to listen:
//! `cargo run -p daypass-verify --example axum_api -- ISSUER AUDIENCE 127.0.0.1:8000`

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use daypass_verify::{Claims, Rejected, Verifier, bearer};
use std::io::Write as _;

/// Lets a request pass whose token is right, and hands its claims on.
async fn authenticate(State(verifier): State<Verifier>, mut request: Request, next: Next) -> Response {
    let verified = match bearer(request.headers().get_all(header::AUTHORIZATION)) {
        Ok(token) => verifier.verify(token).await,
        Err(rejected) => Err(rejected),
    };
    match verified {
        Ok(claims) => {
            request.extensions_mut().insert(claims);
            next.run(request).await
        }
        Err(rejected) => refuse(&rejected),
    }
}

fn refuse(rejected: &Rejected) -> Response {
    if let Rejected::Unavailable(why) = rejected {
        let _ = writeln!(std::io::stderr(), "{why}"); // for the log, and not for the caller
    }
    let status = StatusCode::from_u16(rejected.status()).unwrap_or(StatusCode::UNAUTHORIZED);
    match rejected.challenge() {
        Some(challenge) => (status, [(header::WWW_AUTHENTICATE, challenge)]).into_response(),
        None => status.into_response(),
    }
}

async fn list_orders(Extension(claims): Extension<Claims>) -> Response {
    match claims.require_role("orders.read") {
        Ok(()) => format!("orders for {}\n", claims.client().unwrap_or_default()).into_response(),
        Err(rejected) => refuse(&rejected),
    }
}

/// All routes, behind the verifier.
pub(crate) fn api(verifier: Verifier) -> Router {
    Router::new().route("/orders", get(list_orders)).layer(from_fn_with_state(verifier, authenticate))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [issuer, audience, listen] = &arguments[..] else {
        return Err("usage: axum_api ISSUER AUDIENCE LISTEN".into());
    };
    let verifier = Verifier::builder(issuer).audience(audience).applications_only().build()?;
    let listener = tokio::net::TcpListener::bind(listen).await?;
    axum::serve(listener, api(verifier)).await?;
    Ok(())
}
